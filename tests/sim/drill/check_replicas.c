/* SPDX-License-Identifier: Apache-2.0
 *
 * check_replicas.c -- at rest the replicas of a partition hold the same bytes.
 *
 *   replica-divergence    two replicas differ in a batch that both hold below the high watermark
 *                         (and of replica_files.c: one has a hole there)
 *   trim-lost             a replica begins below what was deleted by request, as was told
 */
#include "drill/check.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/map.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "cluster/cluster.h"
#include "drill/drill.h"
#include "drill/replica_files.h"
#include "drill/rest.h"

/* What the first host that was read holds. */
struct held_batch {
    uint32_t crc;
    uint32_t host;
};

static void compare(const struct replica_files *files, const struct wire_batch *batch)
{
    struct map *batches = files->context; /* base offset + 1 -> struct held_batch */
    uint32_t crc = crc32c(0, batch->data, batch->total_bytes);
    uint64_t key = (uint64_t)batch->base_offset + 1;
    struct held_batch *held = map_get(batches, key);
    if (held == NULL) {
        held = memory_allocate(sizeof *held);
        *held = (struct held_batch){crc, files->host};
        (void)map_put(batches, key, held);
    } else if (held->crc != crc) {
        sim_world_fail(files->drill->world,
                       "replica-divergence: group %lu at offset %ld: brokers %u and %u differ",
                       (unsigned long)files->group_id, (long)batch->base_offset, held->host,
                       files->host);
    }
}

static void check_group(struct drill *drill, uint64_t group_id)
{
    struct map batches;
    struct held_batch *held;
    size_t position = 0;
    map_init(&batches);
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        (void)replica_files_read(drill, i, group_id, false, compare, &batches);
    }
    while ((held = map_next(&batches, &position)) != NULL) {
        memory_free(held);
    }
    map_free(&batches);
}

static void check_trimmed_everywhere(struct drill *drill, uint64_t group_id,
                                     const struct history_topic *topic, uint32_t partition)
{
    int64_t trimmed = topic->partitions[partition].trim_acked;
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        struct broker *broker = sim_host_broker(drill->hosts[i]);
        struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
        if (group != NULL && (int64_t)log_start_offset(replica_group_log(group)) < trimmed) {
            sim_world_fail(drill->world,
                           "trim-lost: %s-%u: broker %u begins at %lu, below %ld, which was told "
                           "to be deleted",
                           topic->name, partition, i,
                           (unsigned long)log_start_offset(replica_group_log(group)),
                           (long)trimmed);
        }
    }
}

static const struct history_topic *find_history(const struct drill *drill, const struct uuid *id)
{
    for (uint32_t i = 0; i < drill->history.topic_count; i++) {
        if (uuid_equal(&drill->history.topics[i].id, id)) {
            return &drill->history.topics[i];
        }
    }
    return NULL;
}

static void check_topic(struct drill *drill, const struct cluster_topic *topic)
{
    const struct history_topic *known = find_history(drill, &topic->id);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        uint64_t group_id = topic->partitions[i].group_id;
        if (known != NULL && known->key_count > 0) {
            check_compacted_equal(drill, group_id, known->keeps_tombstones);
        } else {
            check_group(drill, group_id);
        }
        if (known != NULL) {
            check_trimmed_everywhere(drill, group_id, known, i);
        }
    }
}

void check_replicas_equal(struct drill *drill)
{
    const struct cluster_metadata *metadata = NULL;
    for (uint32_t i = 1; i <= drill->swarm.brokers && metadata == NULL; i++) {
        struct broker *broker = sim_host_broker(drill->hosts[i]);
        metadata = broker == NULL ? NULL : broker_shard_at(broker, 0)->metadata;
    }
    require(metadata != NULL);
    const struct cluster_topic *topic;
    size_t position = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        check_topic(drill, topic);
    }
}
