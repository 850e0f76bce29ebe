/* SPDX-License-Identifier: Apache-2.0
 *
 * scrub.h -- reading what a log has on disk, piece by piece, to see whether it still holds what was
 * written: every batch of its segments, its epoch log, the applier's snapshot beside it.
 *
 * Reads from the medium, past the page cache, which may hold what the medium has lost.  Only what
 * was durable when a step began is looked at.  Truncation, retention and appends go on meanwhile; a
 * step that one of them has overtaken says nothing and is made again.
 *
 * Not here: when, how fast, and what becomes of a damaged log.
 *
 * Locality: the shard of the log.
 */
#ifndef LOG_SCRUB_H
#define LOG_SCRUB_H

#include "log/log.h"

#include <stdbool.h>
#include <stdint.h>

struct log_segment;

enum log_scrub_stage {
    LOG_SCRUB_SEGMENTS,
    LOG_SCRUB_EPOCHS,
    LOG_SCRUB_SNAPSHOT,
    LOG_SCRUB_END, /* everything was read */
};

/* One pass over one log.  Zeroed but for done before the first step. */
struct log_scrub {
    /* From the loop, once for each step, later.  result: 0; -EBADMSG or -EIO when the log is
     * damaged, which was traced with file and position (the pass is over); another errno when the
     * file could not be read now.  The log stays open until then. */
    void (*done)(struct log_scrub *scrub, int result);
    enum log_scrub_stage stage;
    uint64_t bytes_read;      /* by the step that is done */
    bool snapshot_is_damaged; /* the log itself is not: the applier can write another */

    /* The log's own. */
    struct log_segment *segment; /* a reference: where the pass is in the segments, or NULL */
    uint64_t position;           /* in its file: all batches before it were good */
    uint64_t offset;             /* of the batch expected there */
    uint64_t next_base;          /* the segment with this base or the first one behind it is next */
    struct io_work work;
    struct log *log;
    void *private_state;
};

/* Takes the pass a step on: reads about bytes_max, but at least one batch or file if any is left.
 * Not while a step is under way, nor at LOG_SCRUB_END. */
void log_scrub_step(struct log *log, struct log_scrub *scrub, uint64_t bytes_max);
/* Ends the pass, between two steps, whether complete or not; also after the log was closed. */
void log_scrub_end(struct log_scrub *scrub);

#endif
