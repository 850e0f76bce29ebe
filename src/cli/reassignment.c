/* SPDX-License-Identifier: Apache-2.0
 *
 * reassignment.c -- see reassignment.h.
 */
#include "cli/reassignment.h"

#include "cli/kafka_request.h"
#include "wire/error.h"
#include "wire/list_partition_reassignments.h"

#include <string.h>

#define ALTER_VERSION 0
#define LIST_VERSION 0

typedef struct alter_partition_reassignments_request_reassignable_topic asked_topic;
typedef struct list_partition_reassignments_response_ongoing_topic_reassignment listed_topic;
typedef struct list_partition_reassignments_response_ongoing_partition_reassignment
    listed_partition;

int reassignment_refused(const char *place, int16_t code, struct wire_string message)
{
    if (message.length > 0) {
        return tool_fail("%s: %.*s", place, (int)message.length, message.data);
    }
    return tool_fail("%s: %s", place, wire_error_text((enum wire_error)code));
}

static json_t *ids_of(const int32_t *ids, int32_t count)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < count; i++) {
        json_array_append_new(list, json_integer(ids[i]));
    }
    return list;
}

json_t *reassignment_list(const struct tool_options *options, const char *topic)
{
    struct list_partition_reassignments_request request;
    struct list_partition_reassignments_response response;
    struct wire_writer body;
    struct kafka_answer answer;
    char error[512];
    list_partition_reassignments_request_init(&request);
    request.timeout_ms = options->timeout_ms;
    request.topics_count = -1;
    wire_writer_init(&body, 64);
    list_partition_reassignments_request_encode(&request, LIST_VERSION, &body);
    if (!kafka_request_ask(options, LIST_PARTITION_REASSIGNMENTS_TYPE, LIST_VERSION, &body, &answer,
                           error, sizeof error)) {
        tool_fail("%s", error);
        return NULL;
    }
    json_t *rows = NULL;
    if (!list_partition_reassignments_response_decode(&response, LIST_VERSION, &answer.cursor)) {
        tool_fail("an answer that makes no sense");
    } else if (response.error_code != WIRE_ERROR_NONE) {
        reassignment_refused("the cluster", response.error_code, response.error_message);
    } else {
        rows = json_array();
    }
    for (int32_t i = 0; rows != NULL && i < response.topics_count; i++) {
        const listed_topic *listed = &response.topics[i];
        if (topic != NULL && (strlen(topic) != (size_t)listed->name.length ||
                              memcmp(topic, listed->name.data, strlen(topic)) != 0)) {
            continue;
        }
        for (int32_t j = 0; j < listed->partitions_count; j++) {
            const listed_partition *row = &listed->partitions[j];
            json_array_append_new(
                rows,
                json_pack("{so si so so so}", "topic",
                          json_stringn(listed->name.data, (size_t)listed->name.length), "partition",
                          row->partition_index, "replicas",
                          ids_of(row->replicas, row->replicas_count), "adding",
                          ids_of(row->adding_replicas, row->adding_replicas_count), "removing",
                          ids_of(row->removing_replicas, row->removing_replicas_count)));
        }
    }
    kafka_answer_free(&answer);
    return rows;
}

int reassignment_ask(const struct tool_options *options, const char *topic,
                     struct reassignment_partition *partitions, int32_t count,
                     reassignment_judge judge, void *context)
{
    struct alter_partition_reassignments_request request;
    struct alter_partition_reassignments_response response;
    struct kafka_answer answer;
    struct wire_writer body;
    char error[512];
    asked_topic asked = {.name = {topic, (int32_t)strlen(topic)},
                         .partitions = partitions,
                         .partitions_count = count};
    alter_partition_reassignments_request_init(&request);
    request.timeout_ms = options->timeout_ms;
    request.topics = &asked;
    request.topics_count = 1;
    wire_writer_init(&body, 256);
    alter_partition_reassignments_request_encode(&request, ALTER_VERSION, &body);
    if (!kafka_request_ask(options, ALTER_PARTITION_REASSIGNMENTS_TYPE, ALTER_VERSION, &body,
                           &answer, error, sizeof error)) {
        return tool_fail("%s", error);
    }
    int status = TOOL_FAILED;
    if (alter_partition_reassignments_response_decode(&response, ALTER_VERSION, &answer.cursor)) {
        status = judge(&response, context);
    } else {
        tool_fail("an answer that makes no sense");
    }
    kafka_answer_free(&answer);
    return status;
}
