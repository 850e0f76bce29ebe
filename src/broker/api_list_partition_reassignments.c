/* SPDX-License-Identifier: Apache-2.0
 *
 * api_list_partition_reassignments.c -- ListPartitionReassignments (KIP-455), on the controller
 * leader, so that whoever has just begun one sees it: the partitions that are being moved.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/proposal_line.h"
#include "broker/topic_place.h"
#include "wire/list_partition_reassignments.h"

typedef struct list_partition_reassignments_response_ongoing_topic_reassignment listed_topic;
typedef struct list_partition_reassignments_response_ongoing_partition_reassignment
    listed_partition;

static bool list_partition(struct arena *arena, const struct cluster_partition *partition,
                           uint32_t number, listed_partition *listed)
{
    uint32_t count = partition->replica_count;
    arena->limit_bytes += 3 * (size_t)count * sizeof(int32_t) + 64;
    int32_t *ids = arena_allocate_array(arena, 3 * (size_t)count, sizeof(int32_t));
    if (ids == NULL) {
        return false;
    }
    list_partition_reassignments_response_ongoing_partition_reassignment_init(listed);
    listed->partition_index = (int32_t)number;
    listed->replicas = ids;
    listed->replicas_count = (int32_t)count;
    listed->adding_replicas = ids + count;
    listed->removing_replicas = ids + 2 * (size_t)count;
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = (int32_t)partition->replicas[i];
        listed->replicas[i] = id;
        if (partition->standings[i] == CLUSTER_REPLICA_ADDING) {
            listed->adding_replicas[listed->adding_replicas_count++] = id;
        } else if (!cluster_partition_wants(partition, i)) {
            listed->removing_replicas[listed->removing_replicas_count++] = id;
        }
    }
    return true;
}

/* Adds what of the topic is being moved; numbers NULL: of all its partitions.  False: no memory. */
static bool list_topic(struct arena *arena, const struct cluster_topic *topic,
                       const int32_t *numbers, uint32_t number_count,
                       struct list_partition_reassignments_response *response)
{
    listed_topic *listed = &response->topics[response->topics_count];
    uint32_t count = numbers != NULL ? number_count : topic->partition_count;
    uint32_t moving = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = numbers != NULL ? (uint32_t)numbers[i] : i;
        bool is_moving = number < topic->partition_count &&
                         cluster_partition_is_moving(&topic->partitions[number]);
        moving += is_moving ? 1 : 0;
    }
    if (moving == 0) {
        return true;
    }
    arena->limit_bytes += moving * sizeof(*listed->partitions) + 64;
    list_partition_reassignments_response_ongoing_topic_reassignment_init(listed);
    listed->name = (struct wire_string){topic->name, (int32_t)topic->name_length};
    listed->partitions = arena_allocate_array(arena, moving, sizeof(*listed->partitions));
    if (listed->partitions == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = numbers != NULL ? (uint32_t)numbers[i] : i;
        if (number >= topic->partition_count ||
            !cluster_partition_is_moving(&topic->partitions[number])) {
            continue;
        }
        if (!list_partition(arena, &topic->partitions[number], number,
                            &listed->partitions[listed->partitions_count++])) {
            return false;
        }
    }
    response->topics_count++;
    return true;
}

static bool list_all(struct request *request,
                     struct list_partition_reassignments_response *response)
{
    const struct cluster_metadata *metadata = request->shard->metadata;
    const struct cluster_topic *topic = NULL;
    size_t position = 0;
    bool good = true;
    while (good && (topic = cluster_topic_next(metadata, &position)) != NULL) {
        good = list_topic(&request->arena, topic, NULL, 0, response);
    }
    return good;
}

/* Topics that are not there have nothing that is moved. */
static bool list_asked(struct request *request,
                       const struct list_partition_reassignments_request *body,
                       struct list_partition_reassignments_response *response)
{
    bool good = true;
    for (int32_t i = 0; i < body->topics_count && good; i++) {
        enum wire_error error = WIRE_ERROR_NONE;
        const struct cluster_topic *topic =
            topic_place_by_name(request->shard, body->topics[i].name, &error);
        if (topic != NULL && body->topics[i].partition_indexes_count > 0) {
            good = list_topic(&request->arena, topic, body->topics[i].partition_indexes,
                              (uint32_t)body->topics[i].partition_indexes_count, response);
        }
    }
    return good;
}

void api_list_partition_reassignments(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct list_partition_reassignments_request body;
    struct list_partition_reassignments_response response;
    if (!list_partition_reassignments_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    list_partition_reassignments_response_init(&response);
    response.error_message = topic_place_string(NULL);
    bool good = true;
    if (!proposal_line_is_here(request->shard)) {
        response.error_code = WIRE_ERROR_NOT_CONTROLLER;
    } else {
        size_t count = body.topics_count < 0 ? cluster_topic_count(request->shard->metadata)
                                             : (size_t)body.topics_count;
        request->arena.limit_bytes += count * sizeof(*response.topics) + 64;
        response.topics = arena_allocate_array(&request->arena, count, sizeof(*response.topics));
        good = response.topics != NULL &&
               (body.topics_count < 0 ? list_all(request, &response)
                                      : list_asked(request, &body, &response));
    }
    if (!good) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    list_partition_reassignments_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
