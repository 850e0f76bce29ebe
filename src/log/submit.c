/* SPDX-License-Identifier: Apache-2.0
 *
 * submit.c -- what one log contributes to a flush, and what it learns when that is durable.
 *
 * The order of steps is what recovery relies on:
 *   - a truncation is durable before new bytes are written where old ones were: first its record,
 * then the cut, then the rest.  So what an interrupted write leaves behind a valid end is missing
 * or zero, and never an old batch;
 *   - a membership is durable before the batches that come with it are written.  A batch names its
 * term, so without the term's start it is known for what it is; nothing in it tells of a membership
 * before it, and without that one it would be found at another index;
 *   - a segment, and the terms of its batches, are durable before the next one has a byte.  So only
 * the last one can be torn;
 *   - nothing is unlinked before the record that no longer needs it is durable.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "log/cache.h"
#include "log/stream.h"
#include "log/works.h"

#include <string.h>

static bool checkpoint_is_due(const struct log *log)
{
    return log->candidate_index > 0 && log->candidate_index <= log->commit_index;
}

bool log_is_dirty(const struct log *log)
{
    return log->epochs.pending_length > 0 || log->submitted_sequence < log->sequence ||
           log->cut_count > 0 || checkpoint_is_due(log);
}

static void sync_epochs_at_end(struct log *log, struct log_flush *flush)
{
    if (log->epochs_flush_number != flush->number) {
        log->epochs_flush_number = flush->number;
        log_flush_sync_file(flush, log->epochs.file);
    }
}

static void sync_segment_at_end(struct log_segment *segment, struct log_flush *flush)
{
    if (segment->flush_number != flush->number) {
        segment->flush_number = flush->number;
        log_flush_sync_segment(flush, segment);
    }
}

/* Takes over the only reference on content. */
static void write_epochs(struct log *log, struct log_flush *flush, struct buf *content,
                         uint64_t position)
{
    struct buf_slice slice = {content, content->data, content->length_bytes};
    log_flush_write(flush, NULL, log->epochs.file, position, &slice);
    buf_release(content);
    sync_epochs_at_end(log, flush);
}

static void capture_records(struct log *log, struct log_flush *flush)
{
    uint64_t position;
    /* Also without batches: the next submit may put some into this flush. */
    bool goes_first = log->epochs.pending_goes_first;
    struct buf *content = log_epochs_take(&log->epochs, &position);
    if (content != NULL) {
        write_epochs(log, flush, content, position);
    }
    if (goes_first) {
        log_flush_barrier(flush, NULL, log->epochs.file);
    }
}

/* A file of a closed segment is opened here, on the shard: cutting back over a segment's beginning
 * is rare enough. */
static int open_for_cut(const struct log *log, struct log_segment *segment)
{
    if (segment->file != NULL || segment->flush_number != 0) {
        return 0; /* open, or made by a flush */
    }
    char *path = log_segment_path(log->directory, segment->base_offset, LOG_SEGMENT_SUFFIX);
    int result = io_file_open(&segment->file, path, IO_OPEN_WRITE);
    memory_free(path);
    return result;
}

static void capture_cuts(struct log *log, struct log_flush *flush)
{
    if (log->cut_count == 0) {
        return;
    }
    log_flush_barrier(flush, NULL, log->epochs.file);
    for (size_t i = 0; i < log->cut_count; i++) {
        struct log_cut *cut = &log->cuts[i];
        int result = open_for_cut(log, cut->segment);
        if (result == 0) {
            log_flush_truncate(flush, cut->segment, cut->size_bytes);
            log_flush_barrier(flush, cut->segment, NULL);
            sync_segment_at_end(cut->segment, flush);
        } else {
            log_stream_fail(log->stream, result);
        }
        log_segment_release(cut->segment);
    }
    memory_free(log->cuts);
    log->cuts = NULL;
    log->cut_count = 0;
}

/* Begins a segment's file; what this flush writes to the segment before it must be durable first.
 */
static void capture_creation(struct log *log, struct log_flush *flush, struct log_segment *segment)
{
    segment->exists = true;
    log_flush_create(flush, segment, log->directory);
    if (segment->base_offset > log->segments[0]->base_offset) {
        struct log_segment *before = log_segment_of_offset(log, segment->base_offset - 1);
        if (before->flush_number == flush->number) {
            log_flush_barrier(flush, before, NULL);
        }
    }
    if (log->epochs_flush_number == flush->number) {
        log_flush_barrier(flush, NULL, log->epochs.file);
    }
}

static void capture_batches(struct log *log, struct log_flush *flush)
{
    /* Retention may have left nothing but a segment without a byte, which the log's start names. */
    if (!log->segments[0]->exists) {
        capture_creation(log, flush, log->segments[0]);
    }
    size_t place = log_tail_first_after(&log->tail, log->submitted_sequence);
    for (; place < log->tail.count; place++) {
        const struct log_tail_entry *entry = log_tail_at(&log->tail, place);
        struct log_segment *segment = entry->segment;
        if (!segment->exists) {
            capture_creation(log, flush, segment);
        }
        ensure(segment->submitted_bytes == entry->position);
        log_flush_write(flush, segment, NULL, entry->position, &entry->payload);
        segment->submitted_bytes = entry->position + entry->payload.length_bytes;
        sync_segment_at_end(segment, flush);
    }
    log->submitted_sequence = log->sequence;
}

static void capture_checkpoint(struct log *log, struct log_flush *flush)
{
    if (!checkpoint_is_due(log)) {
        return;
    }
    uint64_t position;
    struct buf *slot = log_epochs_take_checkpoint(&log->epochs, &log->candidate, &position);
    log->candidate.sequence = log->epochs.checkpoint_sequence;
    log->checkpoint = log->candidate;
    log->candidate_index = 0;
    write_epochs(log, flush, slot, position);
}

void log_submit_capture(struct log *log, struct log_flush *flush, struct log_unit *unit)
{
    capture_records(log, flush);
    capture_cuts(log, flush);
    capture_batches(log, flush);
    capture_checkpoint(log, flush);
    const struct log_segment *active = log_active(log);
    unit->sequence = log->sequence;
    unit->epochs_length = log->epochs.end_position;
    unit->truncations = log->truncations;
    unit->checkpointed_base = log->checkpoint.sequence > 0 ? log->checkpoint.segment_base : 0;
    unit->reached = (struct log_checkpoint){
        .segment_base = active->base_offset,
        .position = active->size_bytes,
        .offset = log->next_offset,
        .max_timestamp = active->max_timestamp,
        .max_timestamp_offset = active->max_timestamp_offset,
    };
    unit->reached_index = log->last_index;
    unit->doomed = log->doomed;
    log->doomed = (struct log_doomed){0};
}

int log_submit_blocking(struct log *log)
{
    int result = atomic_load(&log->stream->failed);
    if (result != 0 || (!log_is_dirty(log) && log->doomed.count == 0)) {
        return result;
    }
    struct log_flush flush = {.number = UINT64_MAX};
    struct log_unit unit = {.log = log};
    log_submit_capture(log, &flush, &unit);
    result = log_flush_make_files(&flush);
    if (result == 0) {
        log_flush_seal(&flush);
        result = log_flush_run(&flush);
    }
    if (result == 0) {
        log->saved_sequence = unit.sequence;
        log->epochs.durable_length = unit.epochs_length;
        for (size_t i = 0; i < unit.doomed.count && result == 0; i++) {
            result = log_remove_files(log->directory, unit.doomed.bases[i],
                                      log_find_segment(log, unit.doomed.bases[i]) == NULL);
        }
    }
    memory_free(unit.doomed.bases);
    log_flush_free(&flush);
    return result;
}

static void consider_checkpoint(struct log *log, const struct log_unit *unit)
{
    const struct log_checkpoint *last = &log->checkpoint;
    const struct log_checkpoint *reached = &unit->reached;
    uint64_t from = last->segment_base == reached->segment_base ? last->position : 0;
    bool is_far = reached->position >= from + LOG_CHECKPOINT_BYTES;
    /* And early in each segment, so that a segment that vanishes is missed. */
    bool is_new = reached->position > 0 && reached->segment_base > last->segment_base;
    if (log->candidate_index == 0 && (is_far || is_new) && unit->truncations == log->truncations) {
        log->candidate = *reached;
        log->candidate_index = unit->reached_index;
    }
}

/* Closed segments whose last byte is durable now get their index file. */
static void save_indexes(struct log *log)
{
    for (size_t i = log->segment_count - 1; i > 0; i--) {
        struct log_segment *segment = log->segments[i - 1];
        if (!segment->index_is_unsaved) {
            break;
        }
        bool is_saved = log_segment_saved_bytes(log, segment) == segment->size_bytes;
        if (is_saved && segment->index.covered_from == 0) {
            segment->index_is_unsaved = false;
            log_work_write_index(log, segment);
        }
    }
}

void log_submit_completed(struct log_unit *unit)
{
    struct log *log = unit->log;
    ensure(unit->sequence >= log->saved_sequence);
    log->saved_sequence = unit->sequence;
    log->epochs.durable_length = unit->epochs_length;
    if (unit->checkpointed_base > log->checkpointed_base) {
        log->checkpointed_base = unit->checkpointed_base;
    }
    consider_checkpoint(log, unit);
    for (size_t i = 0; i < unit->doomed.count; i++) {
        uint64_t base_offset = unit->doomed.bases[i];
        log_work_remove_files(log, base_offset, log_find_segment(log, base_offset) == NULL);
    }
    save_indexes(log);
    log_cache_saved(log);
}
