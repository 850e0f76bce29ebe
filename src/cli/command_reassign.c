/* SPDX-License-Identifier: Apache-2.0
 *
 * command_reassign.c -- flotilla topic reassign: moves the replicas of a topic's partitions, shows
 * what is being moved, and takes it back.
 */
#include "cli/reassignment.h"
#include "cli/tool.h"
#include "wire/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REPLICAS_MAX 15
#define WAIT_POLL_US 500000

struct reassign_wish {
    const char *topic;
    int64_t partition; /* -1: all */
    bool is_cancel;
    int32_t brokers[REPLICAS_MAX];
    int32_t broker_count;
    int64_t replication_factor;
};

static void print_ids(const char *label, const json_t *ids)
{
    size_t position;
    json_t *id;
    printf("  %s ", label);
    json_array_foreach(ids, position, id)
    {
        printf("%s%lld", position == 0 ? "" : ",", (long long)json_integer_value(id));
    }
    if (json_array_size(ids) == 0) {
        printf("-");
    }
}

static int list_moving(const struct tool_options *options, const char *topic)
{
    json_t *rows = reassignment_list(options, topic);
    if (rows == NULL) {
        return TOOL_FAILED;
    }
    if (options->json) {
        tool_print_json(rows);
        return TOOL_DONE;
    }
    size_t position;
    json_t *row;
    json_array_foreach(rows, position, row)
    {
        printf("%s-%lld", json_string_value(json_object_get(row, "topic")),
               (long long)json_integer_value(json_object_get(row, "partition")));
        print_ids("replicas", json_object_get(row, "replicas"));
        print_ids("adding", json_object_get(row, "adding"));
        print_ids("removing", json_object_get(row, "removing"));
        printf("\n");
    }
    if (json_array_size(rows) == 0) {
        printf("nothing is being moved\n");
    }
    json_decref(rows);
    return TOOL_DONE;
}

/* Until nothing of the topic is being moved any more, or the time is over. */
static int wait_until_moved(const struct tool_options *options, const char *topic)
{
    bool shows_progress = tool_shows_progress(options);
    for (int64_t waited_us = 0; waited_us <= (int64_t)options->timeout_ms * 1000;
         waited_us += WAIT_POLL_US) {
        json_t *rows = reassignment_list(options, topic);
        if (rows == NULL) {
            return TOOL_FAILED;
        }
        size_t count = json_array_size(rows);
        json_decref(rows);
        if (shows_progress) {
            fprintf(stderr, count > 0 ? "\r\033[K%zu partitions are being moved" : "\r\033[K",
                    count);
        }
        if (count == 0) {
            return TOOL_DONE;
        }
        usleep(WAIT_POLL_US);
    }
    return tool_fail("%s is still being moved; flotilla topic reassign %s --list shows what", topic,
                     topic);
}

/* ---- The wish ---- */

/* "1,2,3"; false after a message. */
static bool read_brokers(struct reassign_wish *wish, const char *text)
{
    char *copy = strdup(text);
    char *rest = copy;
    bool good = true;
    for (char *word = strtok_r(copy, ",", &rest); word != NULL && good;
         word = strtok_r(NULL, ",", &rest)) {
        int64_t id = 0;
        good = tool_parse_number("--replicas", word, 1, INT32_MAX, &id);
        if (good && wish->broker_count == REPLICAS_MAX) {
            tool_usage("--replicas: %d brokers are the most", REPLICAS_MAX);
            good = false;
        } else if (good) {
            wish->brokers[wish->broker_count++] = (int32_t)id;
        }
    }
    free(copy);
    return good;
}

/* Partition n begins with the n-th broker, so that preferred leaders are spread. */
static void choose_replicas(const struct reassign_wish *wish, int32_t number, int32_t *replicas)
{
    int32_t first = wish->partition >= 0 ? 0 : number;
    for (int32_t i = 0; i < wish->replication_factor; i++) {
        replicas[i] = wish->brokers[(first + i) % wish->broker_count];
    }
}

/* Every partition's own answer: a cancelled topic has partitions that were not being moved, which
 * is no failure when others were. */
static int judge(const struct alter_partition_reassignments_response *response, void *context)
{
    const struct reassign_wish *wish = context;
    int status = TOOL_DONE;
    int32_t idle = 0;
    int32_t count = 0;
    if (response->error_code != WIRE_ERROR_NONE) {
        return reassignment_refused("the cluster", response->error_code, response->error_message);
    }
    for (int32_t i = 0; i < response->responses_count; i++) {
        for (int32_t j = 0; j < response->responses[i].partitions_count; j++) {
            const struct alter_partition_reassignments_response_reassignable_partition_response
                *row = &response->responses[i].partitions[j];
            char place[300];
            count++;
            if (row->error_code == WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS && wish->partition < 0) {
                idle++;
            } else if (row->error_code != WIRE_ERROR_NONE) {
                snprintf(place, sizeof place, "%s-%d", wish->topic, row->partition_index);
                status = reassignment_refused(place, row->error_code, row->error_message);
            }
        }
    }
    if (wish->is_cancel && idle > 0 && idle == count) {
        return tool_fail("%s is not being moved", wish->topic);
    }
    return status;
}

static int carry_out(const struct tool_options *options, struct reassign_wish *wish)
{
    int total = wish->partition >= 0 ? 1 : tool_count_partitions(options, wish->topic);
    if (total < 1) {
        return TOOL_FAILED;
    }
    struct reassignment_partition *partitions = calloc((size_t)total, sizeof *partitions);
    int32_t *replicas = calloc((size_t)total * REPLICAS_MAX, sizeof *replicas);
    for (int32_t i = 0; i < total; i++) {
        int32_t number = wish->partition >= 0 ? (int32_t)wish->partition : i;
        partitions[i].partition_index = number;
        partitions[i].replicas = &replicas[(size_t)i * REPLICAS_MAX];
        partitions[i].replicas_count = wish->is_cancel ? -1 : (int32_t)wish->replication_factor;
        if (!wish->is_cancel) {
            choose_replicas(wish, number, partitions[i].replicas);
        }
    }
    int status = reassignment_ask(options, wish->topic, partitions, total, judge, wish);
    free(partitions);
    free(replicas);
    return status;
}

/* ---- The command ---- */

/* False after a message. */
static bool read_wish(const struct tool_options *options, struct reassign_wish *wish)
{
    const char *partition = tool_take_option(options, "--partition");
    const char *replicas = tool_take_option(options, "--replicas");
    const char *factor = tool_take_option(options, "--replication-factor");
    wish->partition = -1;
    wish->is_cancel = tool_has_flag(options, "--cancel");
    if (wish->topic == NULL || wish->is_cancel == (replicas != NULL)) {
        tool_usage("topic reassign needs a topic, and --replicas, --cancel or --list");
        return false;
    }
    if ((partition != NULL &&
         !tool_parse_number("--partition", partition, 0, 99999, &wish->partition)) ||
        (replicas != NULL && !read_brokers(wish, replicas))) {
        return false;
    }
    wish->replication_factor = wish->broker_count;
    return factor == NULL || tool_parse_number("--replication-factor", factor, 1,
                                               wish->broker_count, &wish->replication_factor);
}

int command_topic_reassign(const struct tool_options *options)
{
    static const char flags[] = "--cancel --list --wait";
    struct reassign_wish wish = {.topic = tool_positional(options, 0, flags)};
    if (!tool_check_options(options, "--partition --replicas --replication-factor", flags, 1)) {
        return TOOL_USAGE;
    }
    if (tool_has_flag(options, "--list")) {
        return list_moving(options, wish.topic);
    }
    if (!read_wish(options, &wish)) {
        return TOOL_USAGE;
    }
    int status = carry_out(options, &wish);
    if (status == TOOL_DONE && tool_has_flag(options, "--wait")) {
        status = wait_until_moved(options, wish.topic);
    }
    if (status == TOOL_DONE && options->json) {
        tool_print_json(json_pack("{ss ss}", "topic", wish.topic, "result",
                                  wish.is_cancel ? "cancelled" : "reassigned"));
    } else if (status == TOOL_DONE) {
        printf("%s %s\n", wish.is_cancel ? "cancelled the moving of" : "reassigned", wish.topic);
    }
    return status;
}
