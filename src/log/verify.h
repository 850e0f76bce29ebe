/* SPDX-License-Identifier: Apache-2.0
 *
 * verify.h -- reading a segment batch by batch with every check there is, and judging what stands
 * where the batches end.
 *
 * Locality: where blocking is allowed.
 */
#ifndef LOG_VERIFY_H
#define LOG_VERIFY_H

#include "log/history.h"
#include "log/segment.h"

enum log_end_kind {
    LOG_END_EXACT, /* the file ends with a whole batch */
    LOG_END_TORN,  /* an interrupted write, or batches of a term that was never made durable */
    LOG_END_DAMAGED,
};

struct log_verified {
    enum log_end_kind end;
    const char *problem; /* not EXACT: what stands at segment->size_bytes */
};

/* What is wrong with a batch as log_window_batch() found it (is_whole: its answer, 1 or 0), where
 * the one for this offset and of this term should stand; NULL: nothing. */
const char *log_verify_batch(int is_whole, const struct wire_batch *head, uint64_t offset,
                             uint64_t term);

/* Reads from segment->size_bytes (batches before it count as verified) to file_size, noting each
 * good batch in the segment.  0 with *verified, or an errno when reading failed. */
int log_verify_segment(struct log_segment *segment, const struct log_history *history,
                       uint64_t file_size, struct log_verified *verified);

#endif
