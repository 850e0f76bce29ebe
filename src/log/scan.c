/* SPDX-License-Identifier: Apache-2.0
 *
 * scan.c -- walking batch heads through a small window on the file.
 */
#include "log/scan.h"

#include "base/assert.h"

#include <errno.h>

void log_scan_init(struct log_scan *scan, const struct io_file *file, uint64_t position,
                   uint64_t end, bool cached_only)
{
    scan->file = file;
    scan->position = position;
    scan->end = end;
    scan->cached_only = cached_only;
    scan->chunk_position = 0;
    scan->chunk_length = 0;
}

bool log_scan_is_plausible(const struct wire_batch *head, uint64_t bytes_left)
{
    return head->magic == 2 && head->total_bytes >= WIRE_BATCH_HEAD_BYTES &&
           head->total_bytes <= LOG_BATCH_BYTES_MAX && head->total_bytes <= bytes_left &&
           head->base_offset >= 0 && head->base_offset < INT64_MAX / 2 &&
           head->last_offset_delta >= 0;
}

static int fill(struct log_scan *scan)
{
    uint64_t left = scan->end - scan->position;
    size_t length = left < sizeof(scan->chunk) ? (size_t)left : sizeof(scan->chunk);
    size_t done = 0;
    int result = scan->cached_only
                     ? io_file_read_cached(scan->file, scan->position, scan->chunk, length, &done)
                     : io_file_read(scan->file, scan->position, scan->chunk, length, &done);
    scan->chunk_position = scan->position;
    scan->chunk_length = result == 0 ? done : 0;
    if (result == 0 && done < WIRE_BATCH_HEAD_BYTES) {
        return scan->cached_only ? -EAGAIN : -EBADMSG;
    }
    return result;
}

int log_scan_head(struct log_scan *scan, struct wire_batch *head)
{
    require(scan->position <= scan->end);
    uint64_t left = scan->end - scan->position;
    if (left == 0) {
        return -ENODATA;
    }
    if (left < WIRE_BATCH_HEAD_BYTES) {
        return -EBADMSG;
    }
    ensure(scan->position >= scan->chunk_position);
    bool in_chunk =
        scan->position + WIRE_BATCH_HEAD_BYTES <= scan->chunk_position + scan->chunk_length;
    if (!in_chunk) {
        int result = fill(scan);
        if (result != 0) {
            return result;
        }
    }
    uint64_t skip = scan->position - scan->chunk_position;
    if (!wire_batch_read(head, scan->chunk + skip, scan->chunk_length - (size_t)skip) ||
        !log_scan_is_plausible(head, left)) {
        return -EBADMSG;
    }
    return 0;
}

void log_scan_skip(struct log_scan *scan, const struct wire_batch *head)
{
    scan->position += head->total_bytes;
    ensure(scan->position <= scan->end);
}
