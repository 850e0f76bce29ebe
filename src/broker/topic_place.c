/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_place.c -- look-ups in metadata and leader table.
 *
 * Locality: the shard of the request.
 */
#include "broker/topic_place.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/leader_table.h"

#include <string.h>

const struct cluster_topic *topic_place_by_name(const struct broker_shard *shard,
                                                struct wire_string name, enum wire_error *error)
{
    const struct cluster_topic *topic = NULL;
    if (name.length > 0) {
        topic = cluster_topic_find(shard->metadata, name.data, (size_t)name.length);
    }
    *error = WIRE_ERROR_NONE;
    if (topic == NULL) {
        *error = shard->metadata_is_loaded ? WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION
                                           : WIRE_ERROR_LEADER_NOT_AVAILABLE;
    }
    return topic;
}

const struct cluster_topic *topic_place_by_id(const struct broker_shard *shard,
                                              const struct uuid *id, enum wire_error *error)
{
    const struct cluster_topic *topic = cluster_topic_find_id(shard->metadata, id);
    *error = WIRE_ERROR_NONE;
    if (topic == NULL) {
        *error = shard->metadata_is_loaded ? WIRE_ERROR_UNKNOWN_TOPIC_ID
                                           : WIRE_ERROR_LEADER_NOT_AVAILABLE;
    }
    return topic;
}

uint64_t topic_place_group(const struct cluster_topic *topic, int32_t partition)
{
    require(topic != NULL);
    if (partition < 0 || (uint32_t)partition >= topic->partition_count) {
        return 0;
    }
    return topic->partitions[partition].group_id;
}

struct topic_place_leader topic_place_leader(const struct broker_shard *shard, uint64_t group_id)
{
    uint32_t leader = 0;
    uint64_t term = 0;
    if (!leader_table_get(shard->leaders, group_id, &leader, &term)) {
        return (struct topic_place_leader){-1, -1};
    }
    /* A leader whose process is gone is none: told so, clients ask again soon instead of trying it.
     */
    bool is_reachable = leader != 0 && broker_is_live(shard, leader);
    return (struct topic_place_leader){is_reachable ? (int32_t)leader : -1, (int32_t)term};
}

bool topic_place_has_leaders(const struct broker_shard *shard, const struct cluster_topic *topic)
{
    require(topic != NULL);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        if (topic_place_leader(shard, topic->partitions[i].group_id).id < 0) {
            return false;
        }
    }
    return true;
}

struct wire_string topic_place_string(const char *text)
{
    if (text == NULL) {
        return (struct wire_string){NULL, -1};
    }
    return (struct wire_string){text, (int32_t)strlen(text)};
}

struct wire_string topic_place_message(const struct cluster_problem *problem)
{
    return topic_place_string(problem->message[0] == '\0' ? NULL : problem->message);
}
