/* SPDX-License-Identifier: Apache-2.0
 *
 * producer.h -- what a partition remembers of its idempotent producers, to append every batch once.
 *
 * Per producer id: the epoch and the last five batches (first and last sequence, base offset), as
 * Kafka keeps them (KIP-98, KIP-360).  The state is a function of the committed log, so every
 * replica has the same.  On the leader batches that are appended but not committed yet are
 * remembered apart (the pending part), checked first, and dropped whole when leadership is lost.
 *
 * Does no I/O.  Locality: the shard of the partition.
 */
#ifndef TXN_PRODUCER_H
#define TXN_PRODUCER_H

#include "base/buf.h"
#include "wire/batch.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRODUCER_BATCHES_REMEMBERED 5

/* Producers one partition remembers; beyond it the one that has been silent longest is forgotten.
 */
#define PRODUCERS_MAX 100000

struct producer_table;

struct producer_table *producer_table_new(void);
void producer_table_free(struct producer_table *table);
void producer_table_reset(struct producer_table *table);

enum producer_verdict {
    PRODUCER_APPEND,    /* new: append it, then call producer_appended() */
    PRODUCER_DUPLICATE, /* appended before at *base_offset: answer with that, when it is committed
                         */
    PRODUCER_REFUSED,   /* *error: OUT_OF_ORDER_SEQUENCE_NUMBER, INVALID_PRODUCER_EPOCH, ... */
};

/* Judges a batch on the leader: *base_offset and *log_append_time_ms (-1: the batch carries its
 * producer's time) are written for PRODUCER_DUPLICATE only, *error for PRODUCER_REFUSED only.
 * Batches without producer id and control batches are always PRODUCER_APPEND and leave no trace in
 * the table. */
enum producer_verdict producer_check(const struct producer_table *table,
                                     const struct wire_batch *batch, int64_t *base_offset,
                                     int64_t *log_append_time_ms, enum wire_error *error);
/* Whether batches of its producer that come before this one are not known here. */
bool producer_misses_batches(const struct producer_table *table, const struct wire_batch *batch);
/* The leader appended the batch at base_offset (not committed yet). */
void producer_appended(struct producer_table *table, const struct wire_batch *batch,
                       int64_t base_offset);
/* The batch at base_offset is committed: it moves from the pending part, or (on a follower, and
 * when the log is replayed) enters the committed part directly. */
void producer_committed(struct producer_table *table, const struct wire_batch *batch,
                        int64_t base_offset);
/* Leadership was lost. */
void producer_drop_pending(struct producer_table *table);
/* Forgets producers whose newest batch is older than oldest_ms and that have nothing pending. */
void producer_expire(struct producer_table *table, int64_t oldest_ms);
/* The base offsets of the batches in the committed part, ascending; NULL for none, else the caller
 * frees it. */
uint64_t *producer_heads(const struct producer_table *table, size_t *count);
/* Producers known, pending ones included. */
size_t producer_count(const struct producer_table *table);

/* What is committed of a producer. */
struct producer_description {
    int64_t id;
    int16_t epoch;
    int32_t last_sequence;
    int64_t last_timestamp_ms; /* the largest in its newest batch */
};
/* Describes the producers with something committed, the one silent longest first, and says how
 * many; there is room for producer_count(). */
size_t producer_describe(const struct producer_table *table,
                         struct producer_description *descriptions);

/* The committed part as bytes (a new buf), and back; false (table empty) when they make no sense.
 */
void producer_snapshot_write(const struct producer_table *table, struct buf **content);
bool producer_snapshot_restore(struct producer_table *table, const uint8_t *content, size_t length);

#endif
