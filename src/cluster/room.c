/* SPDX-License-Identifier: Apache-2.0
 *
 * room.c -- whether the brokers that stay are enough for what is assigned.
 *
 * Asked when a change is planned and again when its record is applied, as another one may have come
 * between: a broker begins to leave while a partition is given more replicas, one of them there.
 *
 * Invariant: while some broker is leaving, another one stays, and every partition with a replica on
 * it can do without.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"

static uint32_t count_staying(const struct cluster_metadata *metadata, uint32_t leaver)
{
    uint32_t staying = 0;
    for (size_t i = 0; i < metadata->broker_count; i++) {
        const struct cluster_broker *broker = &metadata->brokers[i];
        staying += !broker->is_leaving && broker->id != leaver ? 1 : 0;
    }
    return staying;
}

bool metadata_may_leave(const struct cluster_metadata *metadata, uint32_t broker_id,
                        struct metadata_want *want)
{
    *want = (struct metadata_want){.staying = count_staying(metadata, broker_id)};
    for (size_t i = 0; i < metadata->topic_count; i++) {
        const struct cluster_topic *topic = &metadata->topics[i]->topic;
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            want->replicas = cluster_partition_replication_factor(&topic->partitions[j]);
            if (want->replicas > want->staying) {
                want->topic = topic;
                return false;
            }
        }
    }
    return want->staying > 0;
}

bool metadata_may_hold(const struct cluster_metadata *metadata,
                       const struct cluster_partition *target)
{
    bool names_leaver = false;
    for (uint32_t i = 0; i < target->replica_count; i++) {
        const struct cluster_broker *broker = cluster_broker_find(metadata, target->replicas[i]);
        names_leaver = names_leaver || (broker != NULL && broker->is_leaving);
    }
    return !names_leaver || target->replica_count <= count_staying(metadata, 0);
}
