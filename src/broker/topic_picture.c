/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_picture.c -- see topic_picture.h.
 *
 * Locality: the shard of the request.
 */
#include "broker/topic_picture.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/topic_place.h"

bool partition_picture_take(const struct broker_shard *shard,
                            const struct cluster_partition *partition, struct arena *arena,
                            struct partition_picture *picture)
{
    require(partition->replica_count <= CLUSTER_REPLICAS_MAX);
    uint32_t count = partition->replica_count;
    int32_t *ids = arena_allocate_array(arena, 3 * (size_t)count, sizeof(int32_t));
    if (ids == NULL) {
        return false;
    }
    struct topic_place_leader leader = topic_place_leader(shard, partition->group_id);
    *picture = (struct partition_picture){
        .error = leader.id < 0 ? WIRE_ERROR_LEADER_NOT_AVAILABLE : WIRE_ERROR_NONE,
        .leader = leader.id,
        .leader_epoch = leader.epoch,
        .replicas = ids,
        .in_sync = ids + count,
        .offline = ids + 2 * (size_t)count,
        .replica_count = (int32_t)count,
    };
    for (uint32_t i = 0; i < count; i++) {
        int32_t id = (int32_t)partition->replicas[i];
        ids[i] = id;
        bool was_before = partition->standings[i] == CLUSTER_REPLICA_SETTLED ||
                          partition->standings[i] == CLUSTER_REPLICA_REMOVING;
        bool is_live = id == leader.id || broker_is_live(shard, partition->replicas[i]);
        if (!is_live) {
            picture->offline[picture->offline_count++] = id;
        } else if (was_before || id == leader.id) { /* one that is being filled is neither */
            picture->in_sync[picture->in_sync_count++] = id;
        }
    }
    return true;
}
