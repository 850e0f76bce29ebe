/* SPDX-License-Identifier: Apache-2.0
 *
 * offsets_topic.c -- look-ups for __consumer_offsets.
 *
 * Locality: the shard of the request.
 */
#include "broker/offsets_topic.h"

#include "broker/broker.h"
#include "broker/topic_place.h"
#include "group/group.h"

#include <string.h>

bool offsets_topic_is(const char *name, size_t length)
{
    return length == strlen(GROUP_OFFSETS_TOPIC) && memcmp(name, GROUP_OFFSETS_TOPIC, length) == 0;
}

int32_t offsets_topic_partition_count(const struct broker_shard *shard)
{
    return (int32_t)shard->config->offsets_topic_partitions;
}

int16_t offsets_topic_replication_factor(const struct broker_shard *shard)
{
    /* The controllers are brokers: while they have not all registered, fewer replicas than they
     * can hold would stay with the topic for ever. */
    size_t brokers = cluster_broker_count(shard->metadata);
    size_t founders = shard->config->controller_count;
    size_t most = brokers > founders ? brokers : founders;
    uint32_t wanted = shard->config->offsets_topic_replication_factor;
    return (int16_t)(wanted < most ? wanted : most > 0 ? most : 1);
}

uint64_t offsets_topic_group(const struct broker_shard *shard, struct wire_string group_id,
                             enum wire_error *error)
{
    const struct cluster_topic *topic =
        topic_place_by_name(shard, topic_place_string(GROUP_OFFSETS_TOPIC), error);
    if (topic == NULL) {
        *error = *error == WIRE_ERROR_LEADER_NOT_AVAILABLE ? WIRE_ERROR_COORDINATOR_LOAD_IN_PROGRESS
                                                           : WIRE_ERROR_COORDINATOR_NOT_AVAILABLE;
        return 0;
    }
    return topic_place_group(topic, group_partition_of(group_id, (int32_t)topic->partition_count));
}
