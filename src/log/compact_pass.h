/* SPDX-License-Identifier: Apache-2.0
 *
 * compact_pass.h -- the work of a compaction on the worker thread: what the keys' newest offsets
 * are in the dirty part, then the segments anew without what is void.
 *
 * A pass owns all it works with: copies of what the log knew when it began, files it opened, the
 * segment it makes.  It does a piece at a time; between two pieces the shard looks at it.
 *
 * When the keys do not fit in memory the pass ends where they stopped to fit: everything below is
 * compacted then, and the rest is dirty as before.
 *
 * Locality: whoever runs the piece; never two at once.
 */
#ifndef LOG_COMPACT_PASS_H
#define LOG_COMPACT_PASS_H

#include "log/compaction.h"
#include "log/key_table.h"
#include "log/segment.h"
#include "log/term_spans.h"
#include "log/window.h"

#define COMPACT_SUFFIX ".compacted" /* of a segment in the making */
#define COMPACT_GROUP_SEGMENTS_MAX 16

/* A closed segment as it was when the pass began. */
struct compact_source {
    uint64_t base_offset;
    uint64_t end_offset;
    uint64_t size_bytes;
    struct io_file *file; /* NULL: not open */
};

/* Batches that follow each other and of which nothing is left. */
struct compact_run {
    uint64_t base_offset;
    uint64_t end_offset; /* base_offset: none */
    int32_t leader_epoch;
};

enum compact_state {
    COMPACT_MAPPING,   /* reading the dirty part's keys */
    COMPACT_WRITING,   /* a group of segments is being written anew */
    COMPACT_READY,     /* one is written and synced: the shard takes it, then WRITING again */
    COMPACT_UNCHANGED, /* nothing was void in it: the shard goes on, likewise */
    COMPACT_FINISHED,
};

struct compact_pass {
    /* What it is given. */
    char *directory;
    struct compact_source *sources;
    size_t source_count;
    uint64_t *heads; /* ascending */
    size_t head_count;
    uint64_t *controls; /* offsets before which control entries stand, ascending */
    size_t control_count;
    struct log_term_spans terms; /* of the sources' offsets */
    uint64_t dirty_offset;
    uint64_t end_offset;       /* falls when the keys do not fit */
    uint64_t tombstone_offset; /* tombstones below it go */
    uint64_t segment_bytes;
    uint64_t index_interval_bytes;

    enum compact_state state;
    struct key_table keys;
    size_t source;      /* being read */
    uint64_t position;  /* in it */
    uint64_t offset;    /* the next batch's */
    size_t group_first; /* sources of the group being written */
    size_t group_end;

    struct log_window window; /* on the source */

    struct log_segment *made; /* the group anew; its file is open */
    uint8_t *unwritten;       /* its end */
    size_t unwritten_length;
    size_t unwritten_capacity;
    struct compact_run run;
    bool is_changed;

    uint64_t bytes_read; /* in all; of which in the newest piece: */
    uint64_t piece_bytes;
    uint64_t records_removed;
    uint64_t tombstones_removed;
};

/* One piece: 0, or an errno that ends the pass.  state is MAPPING or WRITING.  May block. */
int compact_pass_work(struct compact_pass *pass);
/* The shard has seen READY or UNCHANGED. */
void compact_pass_next_group(struct compact_pass *pass);
/* Drops everything, and removes what is half made.  May block. */
void compact_pass_free(struct compact_pass *pass);

/* "<directory>/<20 digits>.compacted"; the caller frees it. */
char *compact_path(const char *directory, uint64_t base_offset);

#endif
