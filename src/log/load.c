/* SPDX-License-Identifier: Apache-2.0
 *
 * load.c -- opening segments and loading indexes, off the loop.
 */
#include "log/load.h"

#include "base/assert.h"
#include "base/memory.h"
#include "log/cache.h"
#include "log/stream.h"
#include "log/works.h"

#include <errno.h>

struct load {
    struct io_work work;
    struct log *log;
    struct log_segment *segment; /* a reference; the work itself does not touch it */
    char *data_path;
    char *index_path;
    struct io_file *file;
    struct log_summary summary; /* what the segment is known to be */
    uint64_t covered_from;      /* load what lies before this position */
    uint64_t interval_bytes;
    bool by_scanning;
    struct log_index index; /* what was loaded */
    int result;
};

static bool read_index_file(struct load *load)
{
    struct buf *content;
    if (load->by_scanning ||
        io_path_read(load->index_path, LOG_INDEX_FILE_BYTES_MAX, &content) != 0) {
        return false;
    }
    struct log_summary summary;
    bool valid = log_index_decode(content->data, content->length_bytes, &summary, &load->index);
    buf_release(content);
    if (valid && (summary.base_offset != load->summary.base_offset ||
                  summary.size_bytes != load->covered_from)) {
        log_index_free(&load->index);
        valid = false;
    }
    return valid;
}

static int scan_segment(struct load *load)
{
    log_index_init(&load->index, load->interval_bytes, 0);
    struct log_segment *scratch = log_segment_new(load->summary.base_offset, load->interval_bytes);
    struct log_scan scan;
    log_scan_init(&scan, load->file, 0, load->covered_from, false);
    struct wire_batch head;
    int result = log_scan_head(&scan, &head);
    while (result == 0) {
        if ((uint64_t)head.base_offset != scratch->end_offset) {
            result = -EBADMSG;
            break;
        }
        log_segment_note(scratch, &head);
        log_scan_skip(&scan, &head);
        result = log_scan_head(&scan, &head);
    }
    struct log_index found = scratch->index;
    log_index_init(&scratch->index, load->interval_bytes, 0);
    log_segment_release(scratch);
    if (result != -ENODATA) {
        log_index_free(&found);
        return result;
    }
    load->index = found;
    return 0;
}

static void load_run(struct io_work *work)
{
    struct load *load = container_of(work, struct load, work);
    if (load->file == NULL) {
        load->result = io_file_open(&load->file, load->data_path, IO_OPEN_WRITE);
    }
    if (load->result == 0 && load->covered_from > 0 && !read_index_file(load)) {
        load->result = scan_segment(load);
    }
}

/* Hands what was loaded to the segment, unless it was cut meanwhile: then whoever waits comes
 * again. */
static int load_finish(struct load *load)
{
    struct log_segment *segment = load->segment;
    segment->is_loading = false;
    if (segment->file == NULL && load->result == 0) {
        segment->file = io_file_reference(load->file);
    }
    if (load->result == 0 && segment->index.covered_from == load->covered_from) {
        log_index_prepend(&segment->index, &load->index);
    }
    log_index_free(&load->index);
    io_file_release(load->file);
    memory_free(load->data_path);
    memory_free(load->index_path);
    return load->result;
}

static void load_done(struct io_work *work)
{
    struct load *load = container_of(work, struct load, work);
    struct log *log = load->log;
    struct log_segment *segment = load->segment;
    int result = load_finish(load);
    log->works--;
    log_cache_loaded(log, segment);
    struct list waiters;
    list_init(&waiters);
    for (struct list_node *node; (node = list_take_first(&segment->waiters)) != NULL;) {
        list_append(&waiters, node);
    }
    log_segment_release(segment);
    memory_free(load);
    for (struct list_node *node; (node = list_take_first(&waiters)) != NULL;) {
        struct log_wait *wait = container_of(node, struct log_wait, node);
        wait->result = result;
        wait->resume(wait);
    }
}

static struct load *load_new(struct log *log, struct log_segment *segment)
{
    struct load *load = memory_allocate_zeroed(sizeof(*load));
    load->log = log;
    load->segment = segment;
    load->data_path = log_segment_path(log->directory, segment->base_offset, LOG_SEGMENT_SUFFIX);
    load->index_path = log_segment_path(log->directory, segment->base_offset, LOG_INDEX_SUFFIX);
    load->file = segment->file != NULL ? io_file_reference(segment->file) : NULL;
    load->summary = log_segment_summary(segment);
    load->covered_from = segment->index.covered_from;
    load->interval_bytes = log->options.index_interval_bytes;
    load->by_scanning = segment->distrusts_index;
    load->work = (struct io_work){.run = load_run, .done = load_done};
    list_node_init(&load->work.node);
    return load;
}

void log_segment_load(struct log *log, struct log_segment *segment, struct log_wait *wait)
{
    wait->result = 0;
    list_node_init(&wait->node);
    list_append(&segment->waiters, &wait->node);
    if (segment->is_loading) {
        return;
    }
    segment->is_loading = true;
    log->works++;
    struct load *load = load_new(log, log_segment_reference(segment));
    io_work_submit(log->stream->loop, &load->work);
}

int log_segment_load_blocking(struct log *log, struct log_segment *segment)
{
    struct load *load = load_new(log, segment);
    bool was_loading = segment->is_loading;
    load_run(&load->work);
    int result = load_finish(load);
    segment->is_loading = was_loading;
    memory_free(load);
    return result;
}

/* ---- Prefetch ---- */

struct prefetch {
    struct io_work work;
    struct log *log;
    struct io_file *file; /* a reference */
    uint64_t position;
    uint64_t length_bytes;
    struct log_wait *wait;
    int result;
};

#define PREFETCH_CHUNK_BYTES (64u << 10)

static void prefetch_run(struct io_work *work)
{
    struct prefetch *prefetch = container_of(work, struct prefetch, work);
    uint8_t *chunk = memory_allocate(PREFETCH_CHUNK_BYTES);
    uint64_t position = prefetch->position;
    uint64_t end = prefetch->position + prefetch->length_bytes;
    while (position < end) {
        size_t done = 0;
        uint64_t left = end - position;
        size_t length = left < PREFETCH_CHUNK_BYTES ? (size_t)left : PREFETCH_CHUNK_BYTES;
        prefetch->result = io_file_read(prefetch->file, position, chunk, length, &done);
        if (prefetch->result != 0 || done == 0) {
            break;
        }
        position += done;
    }
    memory_free(chunk);
}

static void prefetch_done(struct io_work *work)
{
    struct prefetch *prefetch = container_of(work, struct prefetch, work);
    struct log_wait *wait = prefetch->wait;
    wait->result = prefetch->result;
    prefetch->log->works--;
    io_file_release(prefetch->file);
    memory_free(prefetch);
    wait->resume(wait);
}

void log_prefetch(struct log *log, struct io_file *file, uint64_t position, uint64_t length_bytes,
                  struct log_wait *wait)
{
    struct prefetch *prefetch = memory_allocate_zeroed(sizeof(*prefetch));
    *prefetch = (struct prefetch){
        .work = {.run = prefetch_run, .done = prefetch_done},
        .log = log,
        .file = io_file_reference(file),
        .position = position,
        .length_bytes = length_bytes,
        .wait = wait,
    };
    list_node_init(&prefetch->work.node);
    list_node_init(&wait->node);
    wait->result = 0;
    log->works++;
    io_work_submit(log->stream->loop, &prefetch->work);
}
