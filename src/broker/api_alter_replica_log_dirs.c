/* SPDX-License-Identifier: Apache-2.0
 *
 * api_alter_replica_log_dirs.c -- AlterReplicaLogDirs (KIP-113): a broker has one directory for its
 * data, so a replica is where it was asked to be, or there is no such directory.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/partition_ask.h"
#include "broker/topic_place.h"
#include "wire/alter_replica_log_dirs.h"

#include <string.h>

typedef struct alter_replica_log_dirs_response_alter_replica_log_dir_topic_result answered_topic;
typedef struct alter_replica_log_dirs_response_alter_replica_log_dir_partition_result
    answered_partition;

static enum wire_error check(const struct broker_shard *shard, bool is_known_directory,
                             const struct cluster_topic *topic, enum wire_error topic_error,
                             int32_t number)
{
    uint32_t position = 0;
    if (!is_known_directory) {
        return WIRE_ERROR_LOG_DIR_NOT_FOUND;
    }
    if (topic == NULL) {
        return topic_error;
    }
    if (topic_place_group(topic, number) == 0) {
        return WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
    return cluster_partition_find_replica(&topic->partitions[number], shard->broker_id, &position)
               ? WIRE_ERROR_NONE
               : WIRE_ERROR_REPLICA_NOT_AVAILABLE;
}

static bool
answer_topic(struct request *request, bool is_known_directory,
             const struct alter_replica_log_dirs_request_alter_replica_log_dir_topic *asked,
             answered_topic *answer)
{
    enum wire_error error = WIRE_ERROR_NONE;
    const struct cluster_topic *topic = topic_place_by_name(request->shard, asked->name, &error);
    alter_replica_log_dirs_response_alter_replica_log_dir_topic_result_init(answer);
    answer->topic_name = asked->name;
    answer->partitions = arena_allocate_array(&request->arena, (size_t)asked->partitions_count,
                                              sizeof(*answer->partitions));
    if (answer->partitions == NULL) {
        return false;
    }
    for (int32_t i = 0; i < asked->partitions_count; i++) {
        answered_partition *partition = &answer->partitions[answer->partitions_count++];
        alter_replica_log_dirs_response_alter_replica_log_dir_partition_result_init(partition);
        partition->partition_index = asked->partitions[i];
        partition->error_code =
            (int16_t)check(request->shard, is_known_directory, topic, error, asked->partitions[i]);
    }
    return true;
}

static bool is_data_directory(const struct broker_shard *shard, struct wire_string path)
{
    const char *directory = shard->config->data_directory;
    return path.length == (int32_t)strlen(directory) &&
           memcmp(path.data, directory, strlen(directory)) == 0;
}

/* False when that is more than a request may name. */
static bool answer_all(struct request *request, const struct alter_replica_log_dirs_request *body,
                       struct alter_replica_log_dirs_response *response)
{
    size_t topics = 0;
    size_t partitions = 0;
    for (int32_t i = 0; i < body->dirs_count; i++) {
        topics += (size_t)body->dirs[i].topics_count;
        for (int32_t j = 0; j < body->dirs[i].topics_count; j++) {
            partitions += (size_t)body->dirs[i].topics[j].partitions_count;
        }
    }
    request->arena.limit_bytes +=
        topics * (sizeof(answered_topic) + 32) + partitions * sizeof(answered_partition) + 64;
    response->results = arena_allocate_array(&request->arena, topics, sizeof(*response->results));
    if (partitions > ASK_ITEMS_MAX || response->results == NULL) {
        return false;
    }
    for (int32_t i = 0; i < body->dirs_count; i++) {
        bool is_known = is_data_directory(request->shard, body->dirs[i].path);
        for (int32_t j = 0; j < body->dirs[i].topics_count; j++) {
            if (!answer_topic(request, is_known, &body->dirs[i].topics[j],
                              &response->results[response->results_count++])) {
                return false;
            }
        }
    }
    return true;
}

void api_alter_replica_log_dirs(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct alter_replica_log_dirs_request body;
    struct alter_replica_log_dirs_response response;
    if (!alter_replica_log_dirs_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    alter_replica_log_dirs_response_init(&response);
    if (!answer_all(request, &body, &response)) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    alter_replica_log_dirs_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
