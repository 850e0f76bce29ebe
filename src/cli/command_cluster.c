/* SPDX-License-Identifier: Apache-2.0
 *
 * command_cluster.c -- flotilla cluster decommission: takes a broker out of the cluster and shows
 * how it gets on, or lets it stay after all.
 */
#include "cli/cluster_view.h"
#include "cli/kafka_request.h"
#include "wire/error.h"
#include "wire/recommission_broker.h"
#include "wire/unregister_broker.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_NS 500000000L
#define VERSION 0
#define ASK_AGAIN (-1) /* beside enum tool_status */

/* What can be told the user; an outcome that is not known is asked for again. */
static int judge(long long broker_id, int16_t error, struct wire_string message)
{
    if (error == WIRE_ERROR_REQUEST_TIMED_OUT || error == WIRE_ERROR_NOT_CONTROLLER) {
        return ASK_AGAIN;
    }
    if (error == WIRE_ERROR_NONE) {
        return TOOL_DONE;
    }
    if (message.length > 0) {
        return tool_fail("broker %lld: %.*s", broker_id, (int)message.length, message.data);
    }
    return tool_fail("broker %lld: %s", broker_id, wire_error_text((enum wire_error)error));
}

static int ask_to_leave(const struct tool_options *options, long long broker_id)
{
    struct unregister_broker_request request;
    struct unregister_broker_response response;
    struct kafka_answer answer;
    struct wire_writer body;
    char error[512];
    unregister_broker_request_init(&request);
    request.broker_id = (int32_t)broker_id;
    wire_writer_init(&body, 64);
    unregister_broker_request_encode(&request, VERSION, &body);
    if (!kafka_request_ask(options, UNREGISTER_BROKER_TYPE, VERSION, &body, &answer, error,
                           sizeof error)) {
        return tool_fail("%s", error);
    }
    int status = unregister_broker_response_decode(&response, VERSION, &answer.cursor)
                     ? judge(broker_id, response.error_code, response.error_message)
                     : tool_fail("an answer that makes no sense");
    kafka_answer_free(&answer);
    return status;
}

static int ask_to_stay(const struct tool_options *options, long long broker_id)
{
    struct recommission_broker_request request;
    struct recommission_broker_response response;
    struct kafka_answer answer;
    struct wire_writer body;
    char error[512];
    recommission_broker_request_init(&request);
    request.broker_id = (int32_t)broker_id;
    wire_writer_init(&body, 64);
    recommission_broker_request_encode(&request, VERSION, &body);
    if (!kafka_request_ask(options, RECOMMISSION_BROKER_TYPE, VERSION, &body, &answer, error,
                           sizeof error)) {
        return tool_fail("%s", error);
    }
    int status = recommission_broker_response_decode(&response, VERSION, &answer.cursor)
                     ? judge(broker_id, response.error_code, response.error_message)
                     : tool_fail("an answer that makes no sense");
    kafka_answer_free(&answer);
    return status;
}

/* Both requests say how it is to be, so they may be sent again when a leader was lost. */
static int ask_until_known(const struct tool_options *options, long long broker_id,
                           int (*ask)(const struct tool_options *options, long long broker_id))
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    long tries = 1 + options->timeout_ms / (LOOK_NS / 1000000);
    int status = ask(options, broker_id);
    while (status == ASK_AGAIN && --tries > 0) {
        nanosleep(&pause, NULL);
        status = ask(options, broker_id);
    }
    return status == ASK_AGAIN ? tool_fail("no controller leader took the request") : status;
}

/* ---- Progress ---- */

static int follow(const struct tool_options *options, long long broker_id)
{
    const struct timespec pause = {.tv_nsec = LOOK_NS};
    long long shown = -1;
    for (;;) {
        json_t *view = cluster_view(options);
        json_t *broker = cluster_view_broker(view, broker_id);
        bool is_gone = view != NULL && broker == NULL;
        bool stays = broker != NULL && !json_is_true(json_object_get(broker, "leaving"));
        long long replicas = (long long)json_integer_value(json_object_get(broker, "replicas"));
        if (broker != NULL && !stays && replicas != shown && tool_shows_progress(options)) {
            fprintf(stderr, "broker %lld: %lld replicas to move\n", broker_id, replicas);
            shown = replicas;
        }
        json_decref(view);
        if (is_gone) {
            return TOOL_DONE;
        }
        if (stays) {
            return tool_fail("broker %lld is to stay: its leaving was cancelled", broker_id);
        }
        nanosleep(&pause, NULL);
    }
}

int command_cluster_decommission(const struct tool_options *options)
{
    static const char flags[] = "--cancel --no-wait";
    int64_t broker_id;
    if (!tool_check_options(options, "", flags, 1)) {
        return TOOL_USAGE;
    }
    const char *text = tool_positional(options, 0, flags);
    if (text == NULL) {
        return tool_usage("cluster decommission needs a broker's id");
    }
    if (!tool_parse_number("the broker's id", text, 1, INT32_MAX, &broker_id)) {
        return TOOL_USAGE;
    }
    bool is_cancel = tool_has_flag(options, "--cancel");
    int status = ask_until_known(options, broker_id, is_cancel ? ask_to_stay : ask_to_leave);
    bool waits = !is_cancel && !tool_has_flag(options, "--no-wait");
    if (status == TOOL_DONE && waits) {
        status = follow(options, broker_id);
    }
    if (status != TOOL_DONE) {
        return status;
    }
    const char *outcome = is_cancel ? "staying" : waits ? "left" : "leaving";
    if (options->json) {
        tool_print_json(json_pack("{sI ss}", "broker", (json_int_t)broker_id, "outcome", outcome));
    } else {
        printf("broker %lld: %s\n", (long long)broker_id, outcome);
    }
    return TOOL_DONE;
}
