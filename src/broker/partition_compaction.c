/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_compaction.c -- choosing what is compacted, and taking its outcome.
 *
 * The heads of the batches that the table of producers remembers stay in the log, with or without
 * records, so that a replica that is filled from it knows of its producers what the others know.
 */
#include "broker/partition_compaction.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "broker/partition_state.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define NS_A_MS 1000000u
/* A compaction that failed (no space, say) is tried again after so long; others go first. */
#define RETRY_NS (300ull * 1000 * 1000 * 1000)

static void start_timer(struct partition_compactor *compactor, uint64_t pause_ns)
{
    struct io_loop *loop = compactor->shard->loop;
    io_timer_start(loop, &compactor->timer, io_now_ns(loop) + pause_ns);
}

static bool may_compact(const struct partition *partition)
{
    return partition->life == PARTITION_RUNNING && partition->rules.compacts &&
           replica_group_is_running(partition->shard->replicas, partition->spec.group_id) &&
           io_now_ns(partition->shard->loop) >= partition->compaction_retry_ns;
}

/* What is applied here. */
static uint64_t applied_index(const struct partition *partition)
{
    return log_index_before(replica_group_log(partition->group),
                            replica_high_watermark(partition->group));
}

/* The partition with the largest dirty share among those that are due; NULL: none is.  Counts what
 * is dirty and clean on the way. */
static struct partition *choose(struct broker_shard *shard)
{
    struct partition *chosen = NULL;
    struct partition *partition;
    double chosen_ratio = -1;
    size_t position = 0;
    uint64_t clean_bytes = 0;
    uint64_t dirty_bytes = 0;
    while ((partition = map_next(&shard->partitions, &position)) != NULL) {
        if (!may_compact(partition)) {
            continue;
        }
        struct log_compaction_extent extent;
        log_compaction_measure(replica_group_log(partition->group), &partition->rules.compaction,
                               applied_index(partition), io_wall_ms(shard->loop), &extent);
        clean_bytes += extent.clean_bytes;
        dirty_bytes += extent.dirty_bytes;
        if (!extent.is_due) {
            continue;
        }
        double ratio =
            (double)extent.dirty_bytes / ((double)extent.clean_bytes + (double)extent.dirty_bytes);
        if (ratio > chosen_ratio) {
            chosen = partition;
            chosen_ratio = ratio;
        }
    }
    counter_set(&shard->stats.compaction_clean_bytes, clean_bytes);
    counter_set(&shard->stats.compaction_dirty_bytes, dirty_bytes);
    return chosen;
}

/* ---- One compaction ---- */

static void count(struct broker_stats *stats, const struct log_compaction *compaction, int result)
{
    counter_add(result == 0 ? &stats->compactions : &stats->compactions_failed,
                result != -ECANCELED);
    counter_add(&stats->compaction_read_bytes, compaction->bytes_read);
    counter_add(&stats->compaction_saved_bytes, compaction->bytes_saved);
    counter_add(&stats->compaction_records_removed, compaction->records_removed);
    counter_add(&stats->compaction_tombstones_removed, compaction->tombstones_removed);
}

static void compacted(struct log_compaction *compaction, int result)
{
    struct partition_compactor *compactor = compaction->owner;
    struct partition *partition = compactor->partition;
    struct broker_shard *shard = compactor->shard;
    require(partition != NULL);
    compactor->partition = NULL;
    memory_free(compactor->heads);
    compactor->heads = NULL;
    count(&shard->stats, compaction, result);
    if (result == 0) {
        trace_info("group %" PRIu64 ": compacted up to offset %" PRIu64 ": %" PRIu64
                   " records and %" PRIu64 " bytes fewer",
                   partition->spec.group_id, compaction->end_offset, compaction->records_removed,
                   compaction->bytes_saved);
    } else if (result != -ECANCELED) {
        trace_warn("group %" PRIu64 ": its log could not be compacted: %s",
                   partition->spec.group_id, strerror(-result));
        partition->compaction_retry_ns = io_now_ns(shard->loop) + RETRY_NS;
    }
    if (result == -EBADMSG && replica_group_is_running(shard->replicas, partition->spec.group_id)) {
        replica_group_report_damage(partition->group, "what is to be compacted cannot be read");
    }
    start_timer(compactor,
                result == 0 ? NS_A_MS : (uint64_t)shard->config->compaction_check_ms * NS_A_MS);
}

/* Below it every replica has been compacted, and no consumer group can come back: one that starts
 * from an older snapshot would not see in the log any more that it was deleted. */
static uint64_t tombstone_offset(const struct partition *partition)
{
    uint64_t floor = partition->tombstone_floor;
    if (partition->coordinator == NULL) {
        return floor;
    }
    uint64_t snapshot_offset = replica_oldest_snapshot_offset(partition->group);
    if (snapshot_offset < floor) {
        replica_take_snapshot(partition->group); /* for the next time */
    }
    return snapshot_offset < floor ? snapshot_offset : floor;
}

static void begin(struct partition_compactor *compactor, struct partition *partition)
{
    struct broker_shard *shard = compactor->shard;
    const struct broker_config *config = shard->config;
    compactor->partition = partition;
    compactor->compaction = (struct log_compaction){
        .rules = partition->rules.compaction,
        .applied_index = applied_index(partition),
        .now_ms = io_wall_ms(shard->loop),
        .tombstone_offset = tombstone_offset(partition),
        .memory_bytes = (size_t)config->compaction_memory_bytes,
        .bytes_per_second = config->compaction_bytes_per_second,
        .done = compacted,
        .owner = compactor,
    };
    compactor->heads = producer_heads(partition->producers, &compactor->compaction.head_count);
    compactor->compaction.heads = compactor->heads;
    log_compact(replica_group_log(partition->group), &compactor->compaction);
}

static void due(struct io_timer *timer)
{
    struct partition_compactor *compactor = container_of(timer, struct partition_compactor, timer);
    require(compactor->partition == NULL);
    struct partition *partition = choose(compactor->shard);
    if (partition != NULL) {
        begin(compactor, partition);
    } else {
        start_timer(compactor, (uint64_t)compactor->shard->config->compaction_check_ms * NS_A_MS);
    }
}

/* ---- Life ---- */

void partition_compactor_start(struct partition_compactor *compactor, struct broker_shard *shard)
{
    require(compactor->shard == NULL);
    compactor->shard = shard;
    io_timer_init(&compactor->timer, due);
    start_timer(compactor, (uint64_t)shard->config->compaction_check_ms * NS_A_MS);
}

void partition_compactor_stop(struct partition_compactor *compactor)
{
    require(compactor->partition == NULL);
    io_timer_stop(compactor->shard->loop, &compactor->timer);
}
