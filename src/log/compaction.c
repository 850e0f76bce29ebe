/* SPDX-License-Identifier: Apache-2.0
 *
 * compaction.c -- a compaction from the shard's side: what may be compacted, the pieces of work one
 * after another at a measured rate, and the moment in which a segment made anew takes the place of
 * old ones.
 *
 * The order of that moment is what recovery relies on.  The new file is written and synced.  Then,
 * on the worker: the index files of the old ones go, which is made durable, so that none speaks of
 * a file it does not belong to; the new file is renamed over the first old one, which is made
 * durable.  Then, on the shard, it stands in the table; then the other old files, whose batches it
 * covers, are unlinked.  Who reads an old segment holds its file.
 */
#include "log/compaction.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/cache.h"
#include "log/compact_pass.h"
#include "log/stream.h"
#include "log/works.h"

#include <errno.h>
#include <string.h>

#define NS_A_SECOND 1000000000u

struct log_compaction_job {
    struct io_work work;
    struct io_timer timer; /* the pause before the next piece, or the end that was asked for */
    struct log *log;
    struct log_compaction *compaction;
    struct compact_pass pass;
    struct log_segment **segments; /* of the sources, each with a reference */
    size_t segment_count;
    struct compact_points points; /* to be written in the end */
    bool is_cancelled;
    bool is_working;
    int result; /* of the work */
};

/* ---- What may be compacted ---- */

/* Nothing can take back what stands in it, and the log goes on behind it. */
static bool is_settled(const struct log *log, const struct log_segment *segment,
                       uint64_t applied_index)
{
    if (segment->size_bytes == 0 || segment->end_offset > log->checkpointed_base ||
        log_segment_saved_bytes(log, segment) < segment->size_bytes) {
        return false;
    }
    uint64_t last_index = log_history_index_of_offset(&log->history, segment->end_offset - 1);
    return last_index <= log->commit_index && last_index <= applied_index;
}

/* How many segments from the beginning. */
static size_t count_cleanable(const struct log *log, const struct log_compaction_rules *rules,
                              uint64_t applied_index, int64_t now_ms)
{
    size_t count = 0;
    while (count + 1 < log->segment_count) {
        const struct log_segment *segment = log->segments[count];
        bool is_young =
            rules->min_lag_ms > 0 && segment->max_timestamp > now_ms - rules->min_lag_ms;
        if (is_young || !is_settled(log, segment, applied_index)) {
            break;
        }
        count++;
    }
    return count;
}

static bool is_old(const struct log_segment *segment, const struct log_compaction_rules *rules,
                   int64_t now_ms)
{
    int64_t oldest_ms = segment->created_ms != 0 && segment->created_ms < segment->max_timestamp
                            ? segment->created_ms
                            : segment->max_timestamp;
    return oldest_ms < now_ms && (oldest_ms < 0 ? now_ms : now_ms - oldest_ms) > rules->max_lag_ms;
}

void log_compaction_measure(const struct log *log, const struct log_compaction_rules *rules,
                            uint64_t applied_index, int64_t now_ms,
                            struct log_compaction_extent *extent)
{
    require(rules->max_lag_ms > 0);
    uint64_t first_offset = log->segments[0]->base_offset;
    uint64_t compacted = compact_points_offset(&log->compacted);
    *extent = (struct log_compaction_extent){
        .dirty_offset = compacted > first_offset ? compacted : first_offset,
    };
    extent->end_offset = first_offset;
    bool has_old = false;
    size_t count = count_cleanable(log, rules, applied_index, now_ms);
    for (size_t i = 0; i < count; i++) {
        const struct log_segment *segment = log->segments[i];
        extent->end_offset = segment->end_offset;
        if (segment->end_offset <= extent->dirty_offset) {
            extent->clean_bytes += segment->size_bytes;
        } else {
            extent->dirty_bytes += segment->size_bytes;
            has_old = has_old || is_old(segment, rules, now_ms);
        }
    }
    double total = (double)extent->clean_bytes + (double)extent->dirty_bytes;
    extent->is_due = extent->end_offset > extent->dirty_offset &&
                     (has_old || (double)extent->dirty_bytes > rules->dirty_ratio_least * total);
}

uint64_t log_compacted_offset(const struct log *log)
{
    return compact_points_offset(&log->compacted);
}

bool log_is_compacting(const struct log *log)
{
    return log->compaction != NULL;
}

/* ---- The job's end ---- */

static void finish(struct log_compaction_job *job, int result)
{
    struct log *log = job->log;
    struct log_compaction *compaction = job->compaction;
    require(!job->is_working && log->compaction == job && !log->is_swapping);
    compaction->bytes_read = job->pass.bytes_read;
    compaction->records_removed = job->pass.records_removed;
    compaction->tombstones_removed = job->pass.tombstones_removed;
    for (size_t i = 0; i < job->segment_count; i++) {
        log_segment_release(job->segments[i]);
    }
    memory_free(job->segments);
    memory_free(job);
    log->compaction = NULL;
    log->works--;
    compaction->done(compaction, result);
}

static void submit(struct log_compaction_job *job, void (*run)(struct io_work *work),
                   void (*done)(struct io_work *work))
{
    require(!job->is_working);
    job->is_working = true;
    job->work = (struct io_work){.run = run, .done = done};
    list_node_init(&job->work.node);
    io_work_submit(job->log->stream->loop, &job->work);
}

static void drop_run(struct io_work *work)
{
    compact_pass_free(&container_of(work, struct log_compaction_job, work)->pass);
}

static void drop_done(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    job->is_working = false;
    finish(job, job->result);
}

/* Files are closed and half a segment is removed off the loop. */
static void end(struct log_compaction_job *job, int result)
{
    job->result = result;
    submit(job, drop_run, drop_done);
}

static void save_run(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    job->result = compact_points_write(job->pass.directory, &job->points);
}

static void save_done(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    job->is_working = false;
    if (job->result == 0) {
        job->log->compacted = job->points;
    }
    end(job, job->result);
}

static void save(struct log_compaction_job *job)
{
    struct log_compaction *compaction = job->compaction;
    job->points = job->log->compacted;
    compact_points_add(&job->points, job->pass.end_offset, compaction->now_ms);
    compaction->end_offset = job->pass.end_offset;
    submit(job, save_run, save_done);
}

/* ---- A segment takes its place ---- */

static void next_piece(struct log_compaction_job *job);

static bool stand_in_table(const struct log_compaction_job *job)
{
    for (size_t i = job->pass.group_first; i < job->pass.group_end; i++) {
        if (log_find_segment(job->log, job->segments[i]->base_offset) != job->segments[i]) {
            return false;
        }
    }
    return true;
}

static void swap_run(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    const struct compact_pass *pass = &job->pass;
    int result = 0;
    for (size_t i = pass->group_first; i < pass->group_end && result == 0; i++) {
        result = log_remove_files(pass->directory, pass->sources[i].base_offset, false);
    }
    if (result == 0) {
        result = io_directory_sync(pass->directory);
    }
    if (result == 0) {
        char *from = compact_path(pass->directory, pass->made->base_offset);
        char *to = log_segment_path(pass->directory, pass->made->base_offset, LOG_SEGMENT_SUFFIX);
        result = io_path_rename(from, to);
        memory_free(from);
        memory_free(to);
    }
    if (result == 0) {
        result = io_directory_sync(pass->directory);
    }
    job->result = result;
}

/* The group's segments in the table become the one that was made. */
static void put_in_table(struct log_compaction_job *job)
{
    struct log *log = job->log;
    struct compact_pass *pass = &job->pass;
    struct log_segment *made = pass->made;
    size_t count = pass->group_end - pass->group_first;
    size_t place = 0;
    while (log->segments[place] != job->segments[pass->group_first]) {
        place++;
    }
    /* What is in memory of them is in the file as well, and names segments of the table. */
    log_cache_drop_below(log, made->end_offset);
    uint64_t old_bytes = 0;
    for (size_t i = 0; i < count; i++) {
        struct log_segment *old = log->segments[place + i];
        ensure(old == job->segments[pass->group_first + i]);
        old_bytes += old->size_bytes;
        made->created_ms = old->created_ms;
        log_segment_release(old);
    }
    made->exists = true;
    made->submitted_bytes = made->size_bytes;
    log->segments[place] = made;
    memmove(log->segments + place + 1, log->segments + place + count,
            (log->segment_count - place - count) * sizeof(log->segments[0]));
    log->segment_count -= count - 1;
    job->compaction->bytes_saved += old_bytes > made->size_bytes ? old_bytes - made->size_bytes : 0;
    pass->made = NULL;
    log_work_write_index(log, made);
    for (size_t i = pass->group_first + 1; i < pass->group_end; i++) {
        log_work_remove_files(log, pass->sources[i].base_offset, true);
    }
    log_cache_loaded(log, made);
}

static void swap_done(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    struct log *log = job->log;
    job->is_working = false;
    log->is_swapping = false;
    if (job->result != 0) {
        /* Whether the disk has the old segment or the new one is not known: both are right, but
         * names that cannot be made durable are not to be built upon. */
        log_stream_fail(log->stream, job->result);
        end(job, job->result);
        return;
    }
    put_in_table(job);
    compact_pass_next_group(&job->pass);
    next_piece(job);
}

/* From here on the old files are known by their descriptors: their names come to mean others. */
static void swap(struct log_compaction_job *job)
{
    struct compact_pass *pass = &job->pass;
    job->log->is_swapping = true;
    for (size_t i = pass->group_first; i < pass->group_end; i++) {
        ensure(pass->sources[i].file != NULL);
        if (job->segments[i]->file == NULL) {
            job->segments[i]->file = io_file_reference(pass->sources[i].file);
        }
    }
    submit(job, swap_run, swap_done);
}

/* ---- Piece after piece ---- */

static void piece_run(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    job->result = compact_pass_work(&job->pass);
}

static void piece_done(struct io_work *work);

static void pause_over(struct io_timer *timer)
{
    struct log_compaction_job *job = container_of(timer, struct log_compaction_job, timer);
    if (job->is_cancelled) {
        end(job, -ECANCELED);
        return;
    }
    submit(job, piece_run, piece_done);
}

static void next_piece(struct log_compaction_job *job)
{
    struct io_loop *loop = job->log->stream->loop;
    if (job->is_cancelled) {
        end(job, -ECANCELED);
    } else if (job->pass.state == COMPACT_FINISHED) {
        save(job);
    } else {
        uint64_t rate = job->compaction->bytes_per_second;
        uint64_t pause_ns = rate > 0 ? job->pass.piece_bytes * NS_A_SECOND / rate : 0;
        io_timer_start(loop, &job->timer, io_now_ns(loop) + pause_ns);
    }
}

static void piece_done(struct io_work *work)
{
    struct log_compaction_job *job = container_of(work, struct log_compaction_job, work);
    struct compact_pass *pass = &job->pass;
    job->is_working = false;
    if (job->result != 0) {
        end(job, job->result);
    } else if (pass->state == COMPACT_READY && !job->is_cancelled) {
        if (stand_in_table(job)) {
            swap(job);
        } else {
            end(job, -ECANCELED); /* retention was faster */
        }
    } else if (pass->state == COMPACT_UNCHANGED) {
        compact_pass_next_group(pass);
        next_piece(job);
    } else {
        next_piece(job);
    }
}

/* ---- The job's beginning ---- */

static uint64_t *copy_offsets(const uint64_t *offsets, size_t count)
{
    if (count == 0) {
        return NULL;
    }
    uint64_t *copy = memory_allocate(count * sizeof(copy[0]));
    memcpy(copy, offsets, count * sizeof(copy[0]));
    return copy;
}

static void copy_sources(struct log_compaction_job *job, size_t count)
{
    struct log *log = job->log;
    struct compact_pass *pass = &job->pass;
    pass->source_count = count;
    pass->sources = memory_allocate_zeroed(count * sizeof(pass->sources[0]));
    job->segment_count = count;
    job->segments = memory_allocate(count * sizeof(job->segments[0]));
    for (size_t i = 0; i < count; i++) {
        const struct log_segment *segment = log->segments[i];
        pass->sources[i] = (struct compact_source){
            .base_offset = segment->base_offset,
            .end_offset = segment->end_offset,
            .size_bytes = segment->size_bytes,
        };
        job->segments[i] = log_segment_reference(log->segments[i]);
    }
    const struct log_history *history = &log->history;
    pass->control_count = history->control_count;
    pass->controls = memory_allocate((history->control_count + 1) * sizeof(pass->controls[0]));
    for (size_t i = 0; i < history->control_count; i++) {
        pass->controls[i] = history->controls[i].offset;
    }
}

void log_compact(struct log *log, struct log_compaction *compaction)
{
    require(log->compaction == NULL && compaction->done != NULL);
    struct log_compaction_extent extent;
    log_compaction_measure(log, &compaction->rules, compaction->applied_index, compaction->now_ms,
                           &extent);
    require(extent.dirty_offset < extent.end_offset);
    struct log_compaction_job *job = memory_allocate_zeroed(sizeof(*job));
    job->log = log;
    job->compaction = compaction;
    io_timer_init(&job->timer, pause_over);
    copy_sources(job, count_cleanable(log, &compaction->rules, compaction->applied_index,
                                      compaction->now_ms));
    struct compact_pass *pass = &job->pass;
    pass->directory = memory_duplicate_string(log->directory);
    pass->heads = copy_offsets(compaction->heads, compaction->head_count);
    pass->head_count = compaction->head_count;
    pass->dirty_offset = extent.dirty_offset;
    pass->end_offset = extent.end_offset;
    uint64_t spent = compact_points_older(
        &log->compacted, compaction->now_ms - compaction->rules.delete_retention_ms);
    pass->tombstone_offset =
        spent < compaction->tombstone_offset ? spent : compaction->tombstone_offset;
    pass->segment_bytes = log->options.segment_bytes;
    pass->index_interval_bytes = log->options.index_interval_bytes;
    pass->offset = pass->sources[0].base_offset;
    log_term_spans_copy(&pass->terms, &log->history, pass->offset);
    key_table_init(&pass->keys, compaction->memory_bytes, io_random(log->stream->loop));
    log->compaction = job;
    log->works++;
    submit(job, piece_run, piece_done);
}

void log_compaction_cancel(struct log *log)
{
    struct log_compaction_job *job = log->compaction;
    if (job == NULL) {
        return;
    }
    job->is_cancelled = true;
    if (io_timer_is_running(&job->timer)) {
        io_timer_start(log->stream->loop, &job->timer, io_now_ns(log->stream->loop));
    }
}
