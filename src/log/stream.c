/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.c -- the group commit of a shard.
 *
 * While one flush is in flight, everything submitted goes into the next one; so batches grow with
 * the load and nobody waits for a timer.  New segment files are made by the worker thread before
 * the flush that writes them starts.
 *
 * A shared write-ahead stream could stand behind the same interface: units would be framed into it
 * and completed by its sync, and the segment writes follow in the background.
 */
#include "log/stream.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/cache.h"

#include <string.h>

static void start_filled(struct log_stream *stream);

struct log_stream *log_stream_new(struct io_loop *loop)
{
    struct log_stream *stream = memory_allocate_zeroed(sizeof(*stream));
    stream->loop = loop;
    stream->filling = memory_allocate_zeroed(sizeof(*stream->filling));
    stream->flying = memory_allocate_zeroed(sizeof(*stream->flying));
    stream->flush_count = 1;
    stream->filling->flush.number = stream->flush_count;
    log_cache_init(stream);
    return stream;
}

static void free_batch(struct log_batch_of_units *batch)
{
    log_flush_free(&batch->flush);
    memory_free(batch->units);
    memory_free(batch);
}

void log_stream_free(struct log_stream *stream)
{
    require(!stream->is_flying && stream->filling->unit_count == 0);
    log_cache_free(stream);
    free_batch(stream->filling);
    free_batch(stream->flying);
    memory_free(stream);
}

int64_t log_stream_wall_ms(const struct log_stream *stream)
{
    return io_wall_ms(stream->loop);
}

const struct log_stream_stats *log_stream_stats(const struct log_stream *stream)
{
    return &stream->stats;
}

uint64_t log_stream_waits_ns(const struct log_stream *stream)
{
    return stream->is_flying ? io_now_ns(stream->loop) - stream->flying_since_ns : 0;
}

void log_stream_fail(struct log_stream *stream, int error)
{
    require(error < 0);
    int none = 0;
    if (atomic_compare_exchange_strong(&stream->failed, &none, error)) {
        trace_write_fields(TRACE_ERROR, "log write failed, nothing more is acknowledged",
                           "errno=%d", -error);
    }
}

/* A flush has ended, well or not: the next one takes over before anybody is told, so that what the
 * told submit goes there. */
static void end_flush(struct log_stream *stream, int result)
{
    struct log_batch_of_units *ended = stream->flying;
    if (result < 0) {
        log_stream_fail(stream, result);
    }
    result = atomic_load(&stream->failed);
    stream->is_ending = true;
    if (result == 0) {
        for (size_t i = 0; i < ended->unit_count; i++) {
            log_submit_completed(&ended->units[i]);
        }
    }
    log_flush_clear(&ended->flush);
    for (size_t i = 0; i < ended->unit_count; i++) {
        struct log_unit *unit = &ended->units[i];
        memory_free(unit->doomed.bases);
        unit->log->submissions--;
        unit->log->failed = unit->log->failed || result != 0;
        unit->done(unit->owner, unit->write_id, result);
    }
    ended->unit_count = 0;
    stream->is_ending = false;
    stream->is_flying = false;
    log_cache_trim(stream);
    if (stream->filling->unit_count > 0) {
        start_filled(stream);
    }
}

static void flush_done(struct io_flush *flush)
{
    struct log_stream *stream = container_of(flush, struct log_stream, flush);
    if (flush->result == 0) {
        counter_add(&stream->stats.flushes, 1);
        counter_add(&stream->stats.bytes_written, stream->flying->flush.bytes);
        histogram_record(&stream->stats.flush_us, flush->duration_ns / 1000);
    }
    end_flush(stream, flush->result);
}

static void launch(struct log_stream *stream)
{
    struct log_flush *flush = &stream->flying->flush;
    log_flush_seal(flush);
    stream->flush = (struct io_flush){
        .steps = flush->steps,
        .step_count = (uint32_t)flush->step_count,
        .done = flush_done,
    };
    list_node_init(&stream->flush.node);
    io_flush_submit(stream->loop, &stream->flush);
}

static void creation_run(struct io_work *work)
{
    struct log_stream *stream = container_of(work, struct log_stream, creation);
    stream->creation_result = atomic_load(&stream->failed);
    if (stream->creation_result == 0) {
        stream->creation_result = log_flush_make_files(&stream->flying->flush);
    }
}

static void creation_done(struct io_work *work)
{
    struct log_stream *stream = container_of(work, struct log_stream, creation);
    if (stream->creation_result != 0) {
        end_flush(stream, stream->creation_result);
        return;
    }
    launch(stream);
}

static void start_filled(struct log_stream *stream)
{
    struct log_batch_of_units *batch = stream->filling;
    stream->filling = stream->flying;
    stream->flying = batch;
    stream->filling->flush.number = ++stream->flush_count;
    stream->is_flying = true;
    stream->flying_since_ns = io_now_ns(stream->loop);
    /* A failed stream goes through the worker too: the failure is told from the loop, never from
     * inside a submit, and nothing of it reaches the disk. */
    if (batch->flush.creation_count > 0 || atomic_load(&stream->failed) != 0) {
        stream->creation = (struct io_work){.run = creation_run, .done = creation_done};
        list_node_init(&stream->creation.node);
        io_work_submit(stream->loop, &stream->creation);
        return;
    }
    launch(stream);
}

void log_stream_submit(struct log_stream *stream, const struct log_write *writes, size_t count,
                       void (*done)(void *owner, uint64_t write_id, int result))
{
    struct log_batch_of_units *batch = stream->filling;
    for (size_t i = 0; i < count; i++) {
        const struct log_write *write = &writes[i];
        struct log *log = write->log;
        require(log->stream == stream);
        if (write->hard_state_changed) {
            require(write->term >= log->term);
            log->term = write->term;
            log->vote = write->vote;
            log_epochs_append(&log->epochs, &(struct log_record){.type = LOG_RECORD_HARD_STATE,
                                                                 .term = write->term,
                                                                 .index = write->vote});
        }
        batch->units = log_vector_reserve(batch->units, batch->unit_count, &batch->unit_capacity,
                                          sizeof(batch->units[0]));
        struct log_unit *unit = &batch->units[batch->unit_count++];
        *unit = (struct log_unit){
            .log = log, .write_id = write->write_id, .owner = write->owner, .done = done};
        log_submit_capture(log, &batch->flush, unit);
        log->submissions++;
    }
    if (!stream->is_flying && !stream->is_ending && batch->unit_count > 0) {
        start_filled(stream);
    }
}
