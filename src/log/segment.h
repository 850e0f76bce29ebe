/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.h -- one segment of a log: a file of whole batches, what is known about it, and where in
 * it an offset is.
 *
 * A segment is referenced by its log's table, by flushes that write it and by works that read it,
 * so it may outlive its place in the table (truncated away, dropped by retention).
 *
 * Locality: the shard of the log.  Works on other threads get the file and numbers, never the
 * segment.
 */
#ifndef LOG_SEGMENT_H
#define LOG_SEGMENT_H

#include "base/list.h"
#include "io/file.h"
#include "log/checked.h"
#include "log/index.h"
#include "log/scan.h"

#include <stdbool.h>
#include <stdint.h>

struct log_segment {
    uint32_t references;
    uint64_t base_offset;
    uint64_t end_offset;
    uint64_t size_bytes;      /* all that was appended */
    uint64_t submitted_bytes; /* all that was handed to the stream.  Invariant: <= size_bytes */
    int64_t max_timestamp;    /* INT64_MIN: empty */
    uint64_t max_timestamp_offset;
    int64_t created_ms;    /* when its first batch came, by our clock; 0: not known */
    struct io_file *file;  /* NULL: not open */
    bool exists;           /* the file was made, or is about to be by a submitted flush */
    bool is_loading;       /* log/load.c is at work */
    bool distrusts_index;  /* the index file lied: rebuild by scanning */
    bool index_is_unsaved; /* closed since open: its index file is still to be written */
    uint64_t flush_number; /* of the newest flush that syncs it */
    struct list waiters;   /* of struct log_wait, for the load */
    uint64_t check_number; /* no other segment of the stream ever has it; 0: none was needed yet */
    struct log_checked checked;
    struct log_index index;
};

#define LOG_SEGMENT_SUFFIX ".log"
#define LOG_INDEX_SUFFIX ".index"

struct log_segment *log_segment_new(uint64_t base_offset, uint64_t index_interval_bytes);
struct log_segment *log_segment_reference(struct log_segment *segment);
void log_segment_release(struct log_segment *segment);

/* "<directory>/<20 digits><suffix>"; the caller frees it. */
char *log_segment_path(const char *directory, uint64_t base_offset, const char *suffix);
/* "<directory>/<name>"; the caller frees it. */
char *log_path(const char *directory, const char *name);

/* Accounts for a batch that stands at the segment's end. */
void log_segment_note(struct log_segment *segment, const struct wire_batch *head);
struct log_summary log_segment_summary(const struct log_segment *segment);

/* Finds the batch that holds offset (or the first one behind it), looking no further than end; scan
 * stands at it.  -ENOENT: the file is not open, or the index does not cover the offset: load first.
 * Else as log_scan_head(). */
int log_segment_locate(struct log_segment *segment, uint64_t offset, uint64_t end, bool cached_only,
                       struct log_scan *scan, struct wire_batch *head);

#endif
