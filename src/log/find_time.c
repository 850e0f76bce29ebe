/* SPDX-License-Identifier: Apache-2.0
 *
 * find_time.c -- the first batch that reaches a timestamp.
 *
 * Segment by segment: the summary says whether one can hold it, the index from where to look, a
 * work walks the heads.  What is not durable yet is looked at in the tail.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "log/cache.h"
#include "log/load.h"
#include "log/stream.h"

#include <errno.h>

struct search {
    struct log_find_time *find;
    struct log_wait wait;
    uint64_t from_offset;  /* all before it was searched */
    uint64_t start_offset; /* batches wholly before it are not shown */
    uint64_t truncations;
    struct io_file *file;
    uint64_t position;
    uint64_t end;
    uint64_t end_offset; /* of what is being searched */
    struct buf *content; /* the batch; NULL: none in this segment */
    int result;
};

static void step(struct search *search);

static void finish(struct search *search, int result, struct buf_slice batch)
{
    struct log_find_time *find = search->find;
    struct buf *content = search->content;
    find->private_state = NULL;
    find->log->works--;
    io_file_release(search->file);
    memory_free(search);
    find->done(find, result, batch);
    buf_release(content);
}

static void finish_with_tail(struct search *search)
{
    const struct log_find_time *find = search->find;
    const struct log *log = find->log;
    struct buf_slice batch = {0};
    for (size_t place = 0; place < log->tail.count; place++) {
        const struct log_tail_entry *entry = log_tail_at(&log->tail, place);
        if (entry->first_offset >= find->limit_offset) {
            break;
        }
        if (entry->max_timestamp >= find->timestamp_ms &&
            entry->first_offset >= search->from_offset &&
            entry->end_offset > log->history.start_offset) {
            batch = entry->payload;
            break;
        }
    }
    finish(search, 0, batch);
}

static void resume(struct log_wait *wait)
{
    struct search *search = container_of(wait, struct search, wait);
    if (wait->result != 0) {
        finish(search, wait->result, (struct buf_slice){0});
        return;
    }
    step(search);
}

static int read_batch(struct search *search, uint64_t position, uint32_t length)
{
    struct wire_batch head;
    size_t done = 0;
    search->content = buf_new(length);
    int result = io_file_read(search->file, position, search->content->data, length, &done);
    search->content->length_bytes = done;
    if (result == 0 && (done < length || !wire_batch_read(&head, search->content->data, length) ||
                        !wire_batch_crc_matches(&head))) {
        result = -EBADMSG;
    }
    return result;
}

static void search_run(struct io_work *work)
{
    struct log_find_time *find = container_of(work, struct log_find_time, work);
    struct search *search = find->private_state;
    struct log_scan scan;
    log_scan_init(&scan, search->file, search->position, search->end, false);
    struct wire_batch head;
    int result = log_scan_head(&scan, &head);
    while (result == 0 && (uint64_t)head.base_offset < find->limit_offset) {
        if (head.record_count > 0 && head.max_timestamp >= find->timestamp_ms &&
            log_scan_end_offset(&head) > search->start_offset) {
            search->result = read_batch(search, scan.position, head.total_bytes);
            return;
        }
        log_scan_skip(&scan, &head);
        result = log_scan_head(&scan, &head);
    }
    search->result = result == -ENODATA ? 0 : result;
}

static void search_done(struct io_work *work)
{
    struct log_find_time *find = container_of(work, struct log_find_time, work);
    struct search *search = find->private_state;
    io_file_release(search->file);
    search->file = NULL;
    if (search->truncations != find->log->truncations) {
        buf_release(search->content);
        search->content = NULL;
        step(search);
        return;
    }
    if (search->result != 0 || search->content != NULL) {
        struct buf_slice batch = {0};
        if (search->result == 0) {
            batch = (struct buf_slice){search->content, search->content->data,
                                       search->content->length_bytes};
        }
        finish(search, search->result, batch);
        return;
    }
    search->from_offset = search->end_offset;
    step(search);
}

static struct log_segment *next_candidate(const struct search *search)
{
    const struct log *log = search->find->log;
    uint64_t saved_offset = log_saved_offset(log);
    for (size_t i = 0; i < log->segment_count; i++) {
        struct log_segment *segment = log->segments[i];
        uint64_t end_offset =
            segment->end_offset < saved_offset ? segment->end_offset : saved_offset;
        if (end_offset > search->from_offset && end_offset > segment->base_offset &&
            segment->base_offset < search->find->limit_offset &&
            segment->max_timestamp >= search->find->timestamp_ms) {
            return segment;
        }
    }
    return NULL;
}

static void step(struct search *search)
{
    struct log_find_time *find = search->find;
    struct log *log = find->log;
    search->truncations = log->truncations;
    search->start_offset = log->history.start_offset;
    struct log_segment *segment = next_candidate(search);
    if (segment == NULL) {
        finish_with_tail(search);
        return;
    }
    if (segment->file == NULL || segment->index.covered_from > 0) {
        log_segment_load(log, segment, &search->wait);
        return;
    }
    log_cache_touch(log);
    const struct log_index_entry *entry =
        log_index_before_time(&segment->index, find->timestamp_ms);
    search->end = log_segment_saved_bytes(log, segment);
    search->position = entry != NULL ? entry->position : 0;
    if (search->position > search->end) {
        search->position = search->end;
    }
    uint64_t saved_offset = log_saved_offset(log);
    search->end_offset = segment->end_offset < saved_offset ? segment->end_offset : saved_offset;
    search->file = io_file_reference(segment->file);
    find->work = (struct io_work){.run = search_run, .done = search_done};
    list_node_init(&find->work.node);
    io_work_submit(log->stream->loop, &find->work);
}

void log_find_time(struct log *log, struct log_find_time *find)
{
    struct search *search = memory_allocate_zeroed(sizeof(*search));
    search->find = find;
    search->wait.resume = resume;
    search->from_offset = log->history.first_offset;
    find->log = log;
    find->private_state = search;
    log->works++;
    step(search);
}
