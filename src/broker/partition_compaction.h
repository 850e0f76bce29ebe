/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_compaction.h -- the compactor of a shard: which partition of a compacted topic is next,
 * and what its compaction may touch.
 *
 * One compaction at a time, of the partition whose dirty part is the largest share.  Each replica
 * compacts its own log, whoever leads.
 *
 * Locality: one a shard, used on it only.
 */
#ifndef BROKER_PARTITION_COMPACTION_H
#define BROKER_PARTITION_COMPACTION_H

#include "io/loop.h"
#include "log/compaction.h"

#include <stdint.h>

struct broker_shard;
struct partition;

struct partition_compactor {
    struct broker_shard *shard;
    struct io_timer timer;
    struct partition *partition; /* being compacted; NULL: none */
    struct log_compaction compaction;
    uint64_t *heads;
};

void partition_compactor_start(struct partition_compactor *compactor, struct broker_shard *shard);
/* When no partition is left. */
void partition_compactor_stop(struct partition_compactor *compactor);

#endif
