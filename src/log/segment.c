/* SPDX-License-Identifier: Apache-2.0
 *
 * segment.c -- what is known about a segment, its file names, and finding an offset in it.
 */
#include "log/segment.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct log_segment *log_segment_new(uint64_t base_offset, uint64_t index_interval_bytes)
{
    struct log_segment *segment = memory_allocate_zeroed(sizeof(*segment));
    segment->references = 1;
    segment->base_offset = base_offset;
    segment->end_offset = base_offset;
    segment->max_timestamp = INT64_MIN;
    segment->max_timestamp_offset = base_offset;
    list_init(&segment->waiters);
    log_index_init(&segment->index, index_interval_bytes, 0);
    return segment;
}

struct log_segment *log_segment_reference(struct log_segment *segment)
{
    segment->references++;
    return segment;
}

void log_segment_release(struct log_segment *segment)
{
    require(segment->references > 0);
    if (--segment->references > 0) {
        return;
    }
    ensure(list_is_empty(&segment->waiters));
    io_file_release(segment->file);
    log_index_free(&segment->index);
    log_checked_forget(&segment->checked);
    memory_free(segment);
}

char *log_path(const char *directory, const char *name)
{
    size_t directory_length = strlen(directory);
    size_t name_size = strlen(name) + 1;
    char *path = memory_allocate(directory_length + 1 + name_size);
    memcpy(path, directory, directory_length);
    path[directory_length] = '/';
    memcpy(path + directory_length + 1, name, name_size);
    return path;
}

char *log_segment_path(const char *directory, uint64_t base_offset, const char *suffix)
{
    char name[64];
    snprintf(name, sizeof(name), "%020" PRIu64 "%s", base_offset, suffix);
    return log_path(directory, name);
}

void log_segment_note(struct log_segment *segment, const struct wire_batch *head)
{
    uint64_t base_offset = (uint64_t)head->base_offset;
    struct log_index_entry entry = {
        .offset = base_offset,
        .position = segment->size_bytes,
        .max_timestamp_before = segment->max_timestamp,
        .max_timestamp_offset_before = segment->max_timestamp_offset,
    };
    log_index_add(&segment->index, &entry);
    /* An empty batch may carry the time of records it had. */
    if (head->record_count > 0 && head->max_timestamp > segment->max_timestamp) {
        segment->max_timestamp = head->max_timestamp;
        segment->max_timestamp_offset = base_offset;
    }
    segment->size_bytes += head->total_bytes;
    segment->end_offset = log_scan_end_offset(head);
}

struct log_summary log_segment_summary(const struct log_segment *segment)
{
    return (struct log_summary){
        .base_offset = segment->base_offset,
        .end_offset = segment->end_offset,
        .size_bytes = segment->size_bytes,
        .max_timestamp = segment->max_timestamp,
        .max_timestamp_offset = segment->max_timestamp_offset,
    };
}

int log_segment_locate(struct log_segment *segment, uint64_t offset, uint64_t end, bool cached_only,
                       struct log_scan *scan, struct wire_batch *head)
{
    require(offset >= segment->base_offset && end <= segment->size_bytes);
    const struct log_index_entry *floor = log_index_floor(&segment->index, offset);
    if (segment->file == NULL || floor == NULL) {
        return -ENOENT;
    }
    log_scan_init(scan, segment->file, floor->position < end ? floor->position : end, end,
                  cached_only);
    int result = log_scan_head(scan, head);
    bool is_promised = result == 0 && (uint64_t)head->base_offset == floor->offset;
    if ((result == 0 && !is_promised) || result == -EBADMSG) {
        if (segment->distrusts_index) {
            return -EBADMSG;
        }
        segment->distrusts_index = true;
        log_index_free(&segment->index);
        log_index_init(&segment->index, segment->index.interval_bytes, segment->size_bytes);
        return -ENOENT;
    }
    while (result == 0 && log_scan_end_offset(head) <= offset) {
        log_scan_skip(scan, head);
        result = log_scan_head(scan, head);
    }
    return result;
}
