/* SPDX-License-Identifier: Apache-2.0
 *
 * check.h -- reading a part of a segment to see that its batches are good, before consumers are
 * sent it: a look at every byte, off the loop, after which its pages are in memory.
 *
 * Locality: the shard.
 */
#ifndef LOG_CHECK_H
#define LOG_CHECK_H

#include "log/state.h"

/* A part of a segment that begins with a batch. */
struct log_part {
    uint64_t position;
    uint64_t end;    /* where a batch ends */
    uint64_t offset; /* of the first batch */
};

/* Checks the part, or its beginning when it is large; then resumes wait, with the result: 0, and
 * the segment and wait->checked know how far it came, or what is wrong, traced with file and
 * position.
 */
void log_check(struct log *log, struct log_segment *segment, const struct log_part *part,
               struct log_wait *wait);

#endif
