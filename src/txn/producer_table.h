/* SPDX-License-Identifier: Apache-2.0
 *
 * producer_table.h -- the table's insides, for the files of this room.
 *
 * Invariants: a producer in the map has a committed window, a pending part, or both;
 * table->committed holds exactly those with a committed window, by their newest committed batch,
 * oldest first; table->pending holds exactly the pending parts in use.
 *
 * Locality: the shard of the partition.
 */
#ifndef TXN_PRODUCER_TABLE_H
#define TXN_PRODUCER_TABLE_H

#include "base/list.h"
#include "base/map.h"
#include "txn/producer.h"

struct producer_batch {
    int32_t first_sequence;
    int32_t last_sequence; /* below first_sequence when the batch passes the wrap */
    int64_t base_offset;
    int64_t log_append_time_ms; /* -1: the batch carries its producer's time */
};

struct producer_window {
    int16_t epoch;
    uint32_t count;
    struct producer_batch batches[PRODUCER_BATCHES_REMEMBERED]; /* oldest first; offsets ascend */
};

struct producer_pending {
    struct list_node node; /* in table->pending, or in table->spare */
    struct producer *producer;
    struct producer_window window; /* Invariant: count > 0 while in use */
};

struct producer {
    int64_t id;
    int64_t newest_timestamp_ms; /* of the newest committed batch */
    struct producer_window committed;
    struct producer_pending *pending; /* NULL: nothing appended is uncommitted */
    struct list_node node;            /* in table->committed */
};

struct producer_table {
    struct map producers; /* by id */
    struct list committed;
    size_t committed_count;
    struct list pending;
    struct list spare; /* pending parts to use again, so that appending allocates nothing */
};

/* Makes the producer the one with the newest committed batch. */
void producer_table_touch(struct producer_table *table, struct producer *producer);

#endif
