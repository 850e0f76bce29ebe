/* SPDX-License-Identifier: Apache-2.0
 *
 * command_elect.c -- flotilla topic elect: gives partitions back to the leaders they are preferred
 * to have.
 */
#include "cli/kafka_request.h"
#include "wire/elect_leaders.h"
#include "wire/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ELECT_VERSION 2

typedef struct elect_leaders_response_replica_election_result elected_topic;
typedef struct elect_leaders_response_partition_result elected_partition;

/* A partition that was elected for, or did not need it, is done. */
static const char *result_of(const elected_partition *partition)
{
    switch (partition->error_code) {
    case WIRE_ERROR_NONE:
        return "elected";
    case WIRE_ERROR_ELECTION_NOT_NEEDED:
        return "unchanged";
    default:
        return "failed";
    }
}

static int show_partition(const struct tool_options *options, const elected_topic *topic,
                          const elected_partition *partition, json_t *rows)
{
    const char *result = result_of(partition);
    bool failed = strcmp(result, "failed") == 0;
    if (failed) {
        tool_fail("%.*s-%d: %.*s", (int)topic->topic.length, topic->topic.data,
                  partition->partition_id,
                  partition->error_message.length > 0 ? (int)partition->error_message.length : 0,
                  partition->error_message.data);
    }
    if (options->json) {
        json_array_append_new(
            rows, json_pack("{so si ss}", "topic",
                            json_stringn(topic->topic.data, (size_t)topic->topic.length),
                            "partition", partition->partition_id, "result", result));
    } else if (!failed) {
        printf("%.*s-%d %s\n", (int)topic->topic.length, topic->topic.data, partition->partition_id,
               result);
    }
    return failed ? TOOL_FAILED : TOOL_DONE;
}

static int show(const struct tool_options *options, const struct elect_leaders_response *response)
{
    if (response->error_code != WIRE_ERROR_NONE) {
        return tool_fail("the cluster: %s", wire_error_text((enum wire_error)response->error_code));
    }
    int status = TOOL_DONE;
    json_t *rows = json_array();
    for (int32_t i = 0; i < response->replica_election_results_count; i++) {
        const elected_topic *topic = &response->replica_election_results[i];
        for (int32_t j = 0; j < topic->partition_result_count; j++) {
            if (show_partition(options, topic, &topic->partition_result[j], rows) != TOOL_DONE) {
                status = TOOL_FAILED;
            }
        }
    }
    if (options->json) {
        tool_print_json(rows);
        return status;
    }
    json_decref(rows);
    if (response->replica_election_results_count == 0) {
        printf("every partition has its preferred leader\n");
    }
    return status;
}

static int ask(const struct tool_options *options, const struct elect_leaders_request *request)
{
    struct elect_leaders_response response;
    struct kafka_answer answer;
    struct wire_writer body;
    char error[512];
    wire_writer_init(&body, 256);
    elect_leaders_request_encode(request, ELECT_VERSION, &body);
    if (!kafka_request_ask(options, ELECT_LEADERS_TYPE, ELECT_VERSION, &body, &answer, error,
                           sizeof error)) {
        return tool_fail("%s", error);
    }
    int status = TOOL_FAILED;
    if (elect_leaders_response_decode(&response, ELECT_VERSION, &answer.cursor)) {
        status = show(options, &response);
    } else {
        tool_fail("an answer that makes no sense");
    }
    kafka_answer_free(&answer);
    return status;
}

int command_topic_elect(const struct tool_options *options)
{
    if (!tool_check_options(options, "--partition", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    const char *text = tool_take_option(options, "--partition");
    int64_t number = -1;
    if (text != NULL && name == NULL) {
        return tool_usage("--partition needs the name of a topic");
    }
    if (text != NULL && !tool_parse_number("--partition", text, 0, 99999, &number)) {
        return TOOL_USAGE;
    }
    int total = 1;
    if (name != NULL && number < 0) {
        total = tool_count_partitions(options, name);
    }
    if (total < 1) {
        return TOOL_FAILED;
    }
    int32_t *numbers = calloc((size_t)total, sizeof *numbers);
    for (int32_t i = 0; i < total; i++) {
        numbers[i] = number >= 0 ? (int32_t)number : i;
    }
    struct elect_leaders_request request;
    struct elect_leaders_request_topic_partitions topic = {.partitions = numbers,
                                                           .partitions_count = total};
    elect_leaders_request_init(&request);
    request.timeout_ms = options->timeout_ms;
    request.topic_partitions_count = -1;
    if (name != NULL) {
        topic.topic = (struct wire_string){name, (int32_t)strlen(name)};
        request.topic_partitions = &topic;
        request.topic_partitions_count = 1;
    }
    int status = ask(options, &request);
    free(numbers);
    return status;
}
