/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch.c -- what a consumer is sent: slices of the tail, or a range of a segment file that begins
 * and ends at batches.
 *
 * The range is found by walking batch heads from the nearest index entry, in pages that are in
 * memory; otherwise a work brings them there and the caller comes again.  What was not lately seen
 * to be good is read and checked by a work before it goes out
 * (docs/adr/0008-checksums-of-fetches.md).
 */
#include "base/assert.h"
#include "log/cache.h"
#include "log/check.h"
#include "log/load.h"
#include "log/stream.h"

#include <errno.h>
#include <string.h>

#define SLICES_MAX (sizeof(((struct log_fetched *)0)->slices) / sizeof(struct buf_slice))
#define ATTEMPTS_MAX                                                                               \
    3 /* then pages are read by the caller's own thread: someone must make progress */
#define PREFETCH_BYTES_MAX (1u << 20)
#define PREFETCH_BYTES_MIN (64u << 10)

static void add_slice(struct log_fetched *fetched, const struct buf_slice *slice)
{
    if (fetched->slice_count > 0) {
        struct buf_slice *last = &fetched->slices[fetched->slice_count - 1];
        if (last->buf == slice->buf && last->data + last->length_bytes == slice->data) {
            last->length_bytes += slice->length_bytes;
            return;
        }
    }
    buf_reference(slice->buf);
    fetched->slices[fetched->slice_count++] = *slice;
}

static void fetch_tail(struct log *log, size_t place, uint64_t limit_offset, uint64_t bytes_max,
                       struct log_fetched *fetched)
{
    for (; place < log->tail.count && fetched->slice_count < SLICES_MAX; place++) {
        const struct log_tail_entry *entry = log_tail_at(&log->tail, place);
        uint64_t length = fetched->length_bytes + entry->payload.length_bytes;
        if (entry->end_offset > limit_offset || (fetched->length_bytes > 0 && length > bytes_max)) {
            return;
        }
        add_slice(fetched, &entry->payload);
        fetched->length_bytes = length;
    }
}

/* Many small batches fill the slices before bytes_max: when they are durable a file range says
 * more. */
static bool fetch_tail_as_range(struct log *log, size_t place, uint64_t limit_offset,
                                uint64_t bytes_max, struct log_fetched *fetched)
{
    const struct log_tail_entry *first = log_tail_at(&log->tail, place);
    uint64_t end = first->position;
    for (; place < log->tail.count; place++) {
        const struct log_tail_entry *entry = log_tail_at(&log->tail, place);
        uint64_t entry_end = entry->position + entry->payload.length_bytes;
        if (entry->segment != first->segment || entry->sequence > log->saved_sequence ||
            entry->end_offset > limit_offset || entry_end - first->position > bytes_max) {
            break;
        }
        end = entry_end;
    }
    if (first->segment->file == NULL || end - first->position <= fetched->length_bytes) {
        return false;
    }
    log_fetched_release(fetched);
    fetched->file = io_file_reference(first->segment->file);
    fetched->position = first->position;
    fetched->length_bytes = end - first->position;
    return true;
}

/* Extends [scan->position of the first batch, end) batch by batch; index entries save most of the
 * steps. */
static int find_end(const struct log_segment *segment, struct log_scan *scan,
                    struct wire_batch *head, uint64_t limit_offset, uint64_t bytes_max,
                    uint64_t *end)
{
    uint64_t begin = scan->position;
    *end = begin;
    uint64_t skip_to = begin > UINT64_MAX - bytes_max ? UINT64_MAX : begin + bytes_max;
    const struct log_index_entry *far = log_index_floor_position(&segment->index, skip_to);
    const struct log_index_entry *near = log_index_floor(&segment->index, limit_offset);
    if (far != NULL && near != NULL) {
        const struct log_index_entry *last = far->position < near->position ? far : near;
        if (last->position > begin && last->position <= scan->end) {
            *end = last->position;
            scan->position = last->position;
        }
    }
    int result = log_scan_head(scan, head);
    while (result == 0) {
        uint64_t batch_end = scan->position + head->total_bytes;
        bool is_first = *end == begin;
        if (log_scan_end_offset(head) > limit_offset ||
            (!is_first && batch_end - begin > bytes_max)) {
            return 0;
        }
        *end = batch_end;
        log_scan_skip(scan, head);
        result = log_scan_head(scan, head);
    }
    return result == -ENODATA ? 0 : result;
}

static int wait_for_pages(struct log *log, const struct log_segment *segment, uint64_t position,
                          uint64_t length, uint64_t end, struct log_wait *wait)
{
    length = length > PREFETCH_BYTES_MIN ? length : PREFETCH_BYTES_MIN;
    length = length < PREFETCH_BYTES_MAX ? length : PREFETCH_BYTES_MAX;
    length = length < end - position ? length : end - position;
    wait->attempts++;
    log_prefetch(log, segment->file, position, length, wait);
    return -EAGAIN;
}

static bool last_page_is_cached(const struct log_segment *segment, uint64_t end)
{
    uint8_t byte;
    size_t done = 0;
    return io_file_read_cached(segment->file, end - 1, &byte, 1, &done) != 0 || done == 1;
}

/* A number and not the address, which a later segment may have again. */
static uint64_t check_number(struct log *log, struct log_segment *segment)
{
    if (segment->check_number == 0) {
        segment->check_number = ++log->stream->check_numbers;
    }
    return segment->check_number;
}

/* 0: what the part holds is known to be good; -EAGAIN: it is being checked, piece by piece. */
static int check_first(struct log *log, struct log_segment *segment, const struct log_part *part,
                       struct log_wait *wait)
{
    uint64_t now_ns = io_now_ns(log->stream->loop);
    uint64_t number = check_number(log, segment);
    bool has_begun = wait->checked.segment == number && wait->checked.from == part->position;
    if ((has_begun && wait->checked.to >= part->end) ||
        log_checked_end(&segment->checked, part->position, segment->size_bytes, now_ns) >=
            part->end) {
        return 0;
    }
    struct log_part rest = *part;
    if (has_begun) {
        rest.position = wait->checked.to;
        rest.offset = wait->checked.offset;
    }
    wait->checked.segment = number;
    wait->checked.from = part->position;
    log_check(log, segment, &rest, wait);
    return -EAGAIN;
}

static int fetch_file(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
                      struct log_fetched *fetched, struct log_wait *wait)
{
    struct log_segment *segment = log_segment_of_offset(log, offset);
    uint64_t saved = log_segment_saved_bytes(log, segment);
    bool cached_only = wait->attempts < ATTEMPTS_MAX;
    struct log_scan scan;
    struct wire_batch head;
    int result = log_segment_locate(segment, offset, saved, cached_only, &scan, &head);
    if (result == -ENOENT) {
        log_segment_load(log, segment, wait);
        return -EAGAIN;
    }
    if (result == -EAGAIN) {
        return wait_for_pages(log, segment, scan.position, bytes_max, saved, wait);
    }
    if (result != 0) {
        return result == -ENODATA ? -EBADMSG : result;
    }
    struct log_part part = {.position = scan.position, .offset = (uint64_t)head.base_offset};
    result = find_end(segment, &scan, &head, limit_offset, bytes_max, &part.end);
    if (result == -EAGAIN) {
        return wait_for_pages(log, segment, part.position, bytes_max, saved, wait);
    }
    if (result == 0 && part.offset > offset) {
        return -EBADMSG;
    }
    if (result == 0) {
        /* A first batch that is said to end behind the limit may be a wrong one. */
        struct log_part looked_at = part;
        looked_at.end += part.end == part.position ? head.total_bytes : 0;
        result = check_first(log, segment, &looked_at, wait);
    }
    if (result != 0) {
        return result;
    }
    if (part.end > part.position && cached_only && !last_page_is_cached(segment, part.end)) {
        return wait_for_pages(log, segment, part.position, part.end - part.position, saved, wait);
    }
    log_cache_touch(log);
    fetched->length_bytes = part.end - part.position;
    if (part.end > part.position) {
        fetched->file = io_file_reference(segment->file);
        fetched->position = part.position;
    }
    return 0;
}

int log_fetch(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
              struct log_fetched *fetched, struct log_wait *wait)
{
    require(wait->resume != NULL);
    fetched->file = NULL;
    fetched->position = 0;
    fetched->length_bytes = 0;
    fetched->slice_count = 0;
    int result = wait->result;
    wait->result = 0;
    if (result != 0) {
        return result;
    }
    if (offset < log->history.start_offset || offset > limit_offset) {
        return -ERANGE;
    }
    if (limit_offset > log->next_offset) {
        limit_offset = log->next_offset;
    }
    if (offset >= limit_offset) {
        return 0;
    }
    size_t place;
    if (log_tail_find(&log->tail, offset, &place)) {
        fetch_tail(log, place, limit_offset, bytes_max, fetched);
        if (fetched->slice_count == SLICES_MAX) {
            (void)fetch_tail_as_range(log, place, limit_offset, bytes_max, fetched);
        }
    } else {
        result = fetch_file(log, offset, limit_offset, bytes_max, fetched, wait);
    }
    if (result != -EAGAIN) {
        wait->attempts = 0;
        wait->checked.segment = 0;
    }
    return result;
}

void log_fetched_release(struct log_fetched *fetched)
{
    io_file_release(fetched->file);
    fetched->file = NULL;
    for (uint32_t i = 0; i < fetched->slice_count; i++) {
        buf_release(fetched->slices[i].buf);
    }
    fetched->slice_count = 0;
    fetched->length_bytes = 0;
}
