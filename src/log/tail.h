/* SPDX-License-Identifier: Apache-2.0
 *
 * tail.h -- the newest batches of a log in memory: all that are not durable yet, and behind them
 * some that are, for the followers and consumers that read at the end.
 *
 * A double-ended queue; the bytes are the producers' own bufs, referenced.
 *
 * Locality: the shard of the log.
 */
#ifndef LOG_TAIL_H
#define LOG_TAIL_H

#include "base/buf.h"
#include "log/segment.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_tail_entry {
    uint64_t first_offset;
    uint64_t end_offset;
    uint64_t term;
    uint64_t
        sequence; /* counts appends, never reused, so a late completion cannot name a newer batch */
    int64_t max_timestamp;
    struct log_segment *segment; /* stands in the log's table as long as this entry */
    uint64_t position;
    struct buf_slice payload;
    uint64_t held_bytes; /* memory that goes when the entry goes */
};

struct log_tail {
    struct log_tail_entry *entries; /* a ring */
    size_t capacity;                /* 0 or a power of two */
    size_t first;
    size_t count;
    uint64_t held_bytes;
};

/* Takes a reference on the entry's buf and sets held_bytes. */
void log_tail_push(struct log_tail *tail, const struct log_tail_entry *entry);
struct log_tail_entry *log_tail_at(const struct log_tail *tail, size_t place);
void log_tail_drop_first(struct log_tail *tail);
void log_tail_drop_last(struct log_tail *tail);
void log_tail_clear(struct log_tail *tail);
/* Place of the batch that holds an offset; false when it is not here. */
bool log_tail_find(const struct log_tail *tail, uint64_t offset, size_t *place);
/* Place of the first entry with a sequence above the given one; count when none. */
size_t log_tail_first_after(const struct log_tail *tail, uint64_t sequence);

#endif
