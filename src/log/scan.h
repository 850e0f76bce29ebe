/* SPDX-License-Identifier: Apache-2.0
 *
 * scan.h -- walking the heads of the batches in a segment file, without their payload.
 *
 * Locality: the shard with cached_only set; else wherever blocking is allowed.
 */
#ifndef LOG_SCAN_H
#define LOG_SCAN_H

#include "io/file.h"
#include "wire/batch.h"

#include <stdbool.h>
#include <stdint.h>

/* A batch larger than this is damage: requests are bounded well below it. */
#define LOG_BATCH_BYTES_MAX (256u << 20)

struct log_scan {
    const struct io_file *file;
    uint64_t position; /* of the batch that log_scan_head() reads */
    uint64_t end;      /* whole batches end here */
    bool cached_only;  /* never wait for the disk */
    uint64_t chunk_position;
    size_t chunk_length;
    uint8_t chunk[2048];
};

void log_scan_init(struct log_scan *scan, const struct io_file *file, uint64_t position,
                   uint64_t end, bool cached_only);
/* The head at the position; its data pointer is not to be used.  0; -ENODATA at the end; -EAGAIN
 * when it would have to wait; -EBADMSG when no batch stands there; another errno when reading
 * failed. */
int log_scan_head(struct log_scan *scan, struct wire_batch *head);
void log_scan_skip(struct log_scan *scan, const struct wire_batch *head);

/* Whether a head can be that of a batch with at most bytes_left bytes. */
bool log_scan_is_plausible(const struct wire_batch *head, uint64_t bytes_left);

static inline uint64_t log_scan_end_offset(const struct wire_batch *head)
{
    return (uint64_t)head->base_offset + (uint64_t)head->last_offset_delta + 1;
}

#endif
