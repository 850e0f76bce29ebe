/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_retention.c -- what time takes away from a partition: old segments, producers not heard
 * of.
 *
 * Locality: the shard of the group.
 */
#include "broker/partition_retention.h"

#include "broker/broker.h"
#include "broker/partition_state.h"

/* A snapshot no older than a tenth of the time kept, so that age finds the log behind one. */
#define SNAPSHOTS_A_RETENTION 10

/* Only what lies behind an applier snapshot can go, and a quiet partition takes none of itself. */
static void take_snapshot_if_needed(struct partition *partition, int64_t now_ms)
{
    const struct log_retention *retention = &partition->rules.retention;
    const struct log *log = replica_group_log(partition->group);
    uint64_t size_bytes = log_size_bytes(log);
    bool is_too_large =
        retention->retention_bytes >= 0 && size_bytes > (uint64_t)retention->retention_bytes;
    bool is_too_old =
        retention->retention_ms >= 0 &&
        now_ms - partition->snapshot_asked_ms >= retention->retention_ms / SNAPSHOTS_A_RETENTION;
    if (is_too_large || is_too_old || log_awaits_snapshot(log)) {
        partition->snapshot_asked_ms = now_ms;
        replica_take_snapshot(partition->group);
    }
}

void partition_apply_retention(struct partition *partition, int64_t now_ms)
{
    /* When the broker stops, the groups go before the partitions. */
    if (partition->life != PARTITION_RUNNING ||
        !replica_group_is_running(partition->shard->replicas, partition->spec.group_id)) {
        return;
    }
    /* Until the metadata is known as it was at the start, the topic's own configs may be others:
     * then nothing is deleted on a guess. */
    if (partition->rules.deletes_old && partition->shard->metadata_is_loaded) {
        take_snapshot_if_needed(partition, now_ms);
        if (log_apply_retention(replica_group_log(partition->group), &partition->rules.retention,
                                now_ms)) {
            replica_log_changed(partition->group);
        }
    }
    producer_expire(partition->producers,
                    now_ms - (int64_t)partition->shard->config->producer_id_expiration_ms);
}
