/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.c -- bounding what logs keep in memory without having to.
 */
#include "log/cache.h"

#include "base/assert.h"
#include "log/stream.h"

#define IDLE_NS ((uint64_t)LOG_CACHE_IDLE_MS * 1000000)

static void idle_fire(struct io_timer *timer);

void log_cache_init(struct log_stream *stream)
{
    list_init(&stream->cached);
    io_timer_init(&stream->idle_timer, idle_fire);
}

void log_cache_free(struct log_stream *stream)
{
    require(list_is_empty(&stream->cached));
    io_timer_stop(stream->loop, &stream->idle_timer);
}

void log_cache_touch(struct log *log)
{
    struct log_stream *stream = log->stream;
    log->touched_ns = io_now_ns(stream->loop);
    if (stream->cached.head.previous == &log->cached_node) {
        return;
    }
    list_remove(&log->cached_node);
    list_append(&stream->cached, &log->cached_node);
    if (!io_timer_is_running(&stream->idle_timer)) {
        io_timer_start(stream->loop, &stream->idle_timer, log->touched_ns + IDLE_NS);
    }
}

void log_cache_push(struct log *log, const struct log_tail_entry *entry)
{
    uint64_t before = log->tail.held_bytes;
    log_tail_push(&log->tail, entry);
    log->stream->cached_bytes += log->tail.held_bytes - before;
    log_cache_touch(log);
}

static void account(struct log *log, uint64_t before)
{
    ensure(log->stream->cached_bytes >= before - log->tail.held_bytes);
    log->stream->cached_bytes -= before - log->tail.held_bytes;
}

void log_cache_drop_last(struct log *log)
{
    uint64_t before = log->tail.held_bytes;
    log_tail_drop_last(&log->tail);
    account(log, before);
}

void log_cache_drop_below(struct log *log, uint64_t offset)
{
    uint64_t before = log->tail.held_bytes;
    while (log->tail.count > 0 && log_tail_at(&log->tail, 0)->first_offset < offset) {
        require(log_tail_at(&log->tail, 0)->sequence <= log->saved_sequence);
        log_tail_drop_first(&log->tail);
    }
    account(log, before);
}

/* Drops durable entries, oldest first, until the tail holds no more than bytes_max. */
static void shrink(struct log *log, uint64_t bytes_max)
{
    uint64_t before = log->tail.held_bytes;
    while (log->tail.held_bytes > bytes_max &&
           log_tail_at(&log->tail, 0)->sequence <= log->saved_sequence) {
        log_tail_drop_first(&log->tail);
    }
    account(log, before);
}

void log_cache_saved(struct log *log)
{
    shrink(log, LOG_TAIL_BYTES_MAX);
}

void log_cache_trim(struct log_stream *stream)
{
    list_for_each(&stream->cached, node)
    {
        if (stream->cached_bytes <= LOG_CACHE_BYTES_MAX) {
            return;
        }
        shrink(container_of(node, struct log, cached_node), 0);
    }
}

static bool is_kept(const struct log *log, const struct log_segment *segment)
{
    return segment == log_active(log) || segment->is_loading || segment->index_is_unsaved ||
           segment->references > 1 || log_segment_saved_bytes(log, segment) < segment->size_bytes;
}

static void unload(struct log_segment *segment)
{
    io_file_release(segment->file);
    segment->file = NULL;
    segment->flush_number = 0;
    log_checked_forget(&segment->checked);
    uint64_t interval_bytes = segment->index.interval_bytes;
    log_index_free(&segment->index);
    log_index_init(&segment->index, interval_bytes, segment->size_bytes);
}

void log_cache_loaded(struct log *log, const struct log_segment *segment)
{
    uint32_t loaded = 0;
    for (size_t i = log->segment_count; i > 0; i--) {
        struct log_segment *other = log->segments[i - 1];
        if (other->file == NULL || other == segment || is_kept(log, other)) {
            continue;
        }
        if (++loaded >= LOG_OPEN_CLOSED_SEGMENTS_MAX) {
            unload(other);
        }
    }
    log_cache_touch(log);
}

void log_cache_forget(struct log *log)
{
    if (list_is_linked(&log->cached_node)) {
        list_remove(&log->cached_node);
        ensure(log->stream->cached_bytes >= log->tail.held_bytes);
        log->stream->cached_bytes -= log->tail.held_bytes;
    }
}

static void release_idle(struct log *log)
{
    shrink(log, 0);
    for (size_t i = 0; i < log->segment_count; i++) {
        if (log->segments[i]->file != NULL && !is_kept(log, log->segments[i])) {
            unload(log->segments[i]);
        }
    }
    if (log->tail.count == 0) {
        list_remove(&log->cached_node);
    } else {
        log_cache_touch(log);
    }
}

static void idle_fire(struct io_timer *timer)
{
    struct log_stream *stream = container_of(timer, struct log_stream, idle_timer);
    uint64_t now_ns = io_now_ns(stream->loop);
    list_for_each(&stream->cached, node)
    {
        struct log *log = container_of(node, struct log, cached_node);
        if (now_ns - log->touched_ns < IDLE_NS) {
            break;
        }
        release_idle(log);
    }
    if (!list_is_empty(&stream->cached)) {
        struct log *oldest = container_of(list_first(&stream->cached), struct log, cached_node);
        io_timer_start(stream->loop, timer, oldest->touched_ns + IDLE_NS);
    }
}
