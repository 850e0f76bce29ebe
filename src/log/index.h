/* SPDX-License-Identifier: Apache-2.0
 *
 * index.h -- a segment's sparse index: where some of its batches begin, and how late their
 * neighbours' timestamps are.
 *
 * An index is a cache.  It never says where a batch is, only from where to look, and whoever looks
 * compares the batch it finds with the offset it was promised.  Its memory is bounded: when it is
 * full every second entry goes and the interval doubles, so a larger segment has a coarser index.
 *
 * Not here: reading batches (log/scan.h), deciding when to load (log/load.h).
 *
 * Locality: plain data.
 */
#ifndef LOG_INDEX_H
#define LOG_INDEX_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_INDEX_ENTRIES_MAX 4096
#define LOG_INDEX_HEAD_BYTES 72
#define LOG_INDEX_ENTRY_BYTES 20
#define LOG_INDEX_FILE_BYTES_MAX                                                                   \
    (LOG_INDEX_HEAD_BYTES + LOG_INDEX_ENTRIES_MAX * LOG_INDEX_ENTRY_BYTES)

/* A batch's place, and the largest timestamp of all batches before it in the segment. */
struct log_index_entry {
    uint64_t offset;                      /* base offset of the batch */
    uint64_t position;                    /* in the file */
    int64_t max_timestamp_before;         /* INT64_MIN: none before */
    uint64_t max_timestamp_offset_before; /* base offset of the batch that has it */
};

struct log_index {
    struct log_index_entry *entries; /* ascending in offset and position */
    uint32_t count;
    uint32_t capacity;
    uint64_t interval_bytes;
    uint64_t covered_from; /* what lies before this position is not in the entries (not loaded) */
};

/* What is known about a whole segment without looking into it. */
struct log_summary {
    uint64_t base_offset;
    uint64_t end_offset;
    uint64_t size_bytes;
    int64_t max_timestamp; /* INT64_MIN: empty */
    uint64_t max_timestamp_offset;
};

void log_index_init(struct log_index *index, uint64_t interval_bytes, uint64_t covered_from);
void log_index_free(struct log_index *index);
/* Adds a batch's place, unless the last entry is nearer than the interval. */
void log_index_add(struct log_index *index, const struct log_index_entry *entry);
/* The last entry at or before an offset; NULL when none is covered. */
const struct log_index_entry *log_index_floor(const struct log_index *index, uint64_t offset);
/* The last entry at or before a position; NULL likewise. */
const struct log_index_entry *log_index_floor_position(const struct log_index *index,
                                                       uint64_t position);
/* The entry to look from for the first batch with timestamp >= timestamp_ms; NULL when none. */
const struct log_index_entry *log_index_before_time(const struct log_index *index,
                                                    int64_t timestamp_ms);
/* Forgets entries at or behind a position. */
void log_index_truncate(struct log_index *index, uint64_t position);
/* Puts the entries of lower, which cover what index does not, before its own; lower is empty then.
 */
void log_index_prepend(struct log_index *index, struct log_index *lower);

/* The file form; a new buf. */
struct buf *log_index_encode(const struct log_index *index, const struct log_summary *summary);
/* The head of the file form alone: enough for opening.  False when damaged. */
bool log_index_decode_summary(const uint8_t *data, size_t length, struct log_summary *summary);
/* The whole; false when anything in it is damaged or makes no sense, and index is empty then. */
bool log_index_decode(const uint8_t *data, size_t length, struct log_summary *summary,
                      struct log_index *index);

#endif
