/* SPDX-License-Identifier: Apache-2.0
 *
 * log.c -- life of a log, appending and truncating: what changes positions in memory.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "log/cache.h"
#include "log/load.h"
#include "log/state.h"
#include "log/stream.h"
#include "log/works.h"

#include <errno.h>
#include <string.h>

static void fill_found(struct log *log, struct log_found *found)
{
    const struct log_history *history = &log->history;
    log->found_starts =
        memory_allocate((history->control_count + 1) * sizeof(log->found_starts[0]));
    *found = (struct log_found){
        .term = log->term,
        .vote = log->vote,
        .first_index = history->first_index,
        .last_index = log->last_index,
        .prefix_term = history->prefix_term,
        .start_offset = history->first_offset,
        .end_offset = log->next_offset,
        .term_starts = log->found_starts,
        .term_start_count = log_history_term_starts(history, log->last_index, log->found_starts),
    };
    found->membership_count = log_history_memberships(history, found->memberships);
}

int log_open(struct log **log, struct log_stream *stream, const char *directory,
             const struct log_options *options, struct log_found *found, char *error,
             size_t error_size)
{
    require(options->segment_bytes > 0 && error_size > 0);
    error[0] = '\0';
    *log = NULL;
    struct log *opened = memory_allocate_zeroed(sizeof(*opened));
    opened->stream = stream;
    opened->directory = memory_duplicate_string(directory);
    opened->options = *options;
    log_history_init(&opened->history);
    list_node_init(&opened->cached_node);
    bool tail_was_cut = false;
    int result = log_recover(opened, &tail_was_cut, error, error_size);
    if (result != 0) {
        log_free(opened);
        return result;
    }
    fill_found(opened, found);
    found->tail_was_cut = tail_was_cut;
    *log = opened;
    return 0;
}

void log_free(struct log *log)
{
    require(!list_is_linked(&log->cached_node));
    log_tail_clear(&log->tail);
    for (size_t i = 0; i < log->segment_count; i++) {
        log_segment_release(log->segments[i]);
    }
    for (size_t i = 0; i < log->cut_count; i++) {
        log_segment_release(log->cuts[i].segment);
    }
    memory_free(log->segments);
    memory_free(log->cuts);
    memory_free(log->doomed.bases);
    memory_free(log->found_starts);
    log_epochs_free(&log->epochs);
    log_history_free(&log->history);
    memory_free(log->directory);
    memory_free(log);
}

bool log_is_idle(const struct log *log)
{
    return log->submissions == 0 && log->works == 0;
}

void log_detach(struct log *log)
{
    require(log_is_idle(log));
    log_cache_forget(log);
}

/* Writes the active segment's index and a checkpoint at its end, so that the next open scans
 * nothing. A failure only makes that open slower. */
static void leave_clean(struct log *log)
{
    struct log_segment *active = log_active(log);
    const struct log_checkpoint *last = &log->checkpoint;
    bool is_known = last->sequence > 0 && last->segment_base == active->base_offset &&
                    last->position == active->size_bytes;
    if (is_known || active->size_bytes == 0) {
        return;
    }
    struct log_checkpoint checkpoint = {
        .segment_base = active->base_offset,
        .position = active->size_bytes,
        .offset = log->next_offset,
        .max_timestamp = active->max_timestamp,
        .max_timestamp_offset = active->max_timestamp_offset,
    };
    uint64_t position;
    struct buf *slot = log_epochs_take_checkpoint(&log->epochs, &checkpoint, &position);
    int result = io_file_write(log->epochs.file, position, slot->data, slot->length_bytes);
    buf_release(slot);
    if (result == 0 && io_file_sync(log->epochs.file) == 0 && active->index.covered_from == 0) {
        (void)log_write_index(log->directory, active);
    }
}

void log_close(struct log *log)
{
    require(log->submissions == 0 && log->works == 0);
    require(!list_is_linked(&log->cached_node));
    if (!log->failed && log_submit_blocking(log) == 0) {
        leave_clean(log);
    }
    log_free(log);
}

void log_set_options(struct log *log, const struct log_options *options)
{
    require(options->segment_bytes > 0);
    log->options = *options;
}

void log_segments_push(struct log *log, struct log_segment *segment)
{
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = log->segment_capacity == 0 ? 2 : log->segment_capacity * 2;
        log->segments =
            memory_reallocate(log->segments, log->segment_capacity * sizeof(log->segments[0]));
    }
    log->segments[log->segment_count++] = segment;
}

void log_doom(struct log *log, uint64_t base_offset)
{
    struct log_doomed *doomed = &log->doomed;
    doomed->bases = memory_reallocate(doomed->bases, (doomed->count + 1) * sizeof(uint64_t));
    doomed->bases[doomed->count++] = base_offset;
}

struct log_segment *log_segment_of_offset(const struct log *log, uint64_t offset)
{
    size_t low = 0;
    size_t high = log->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->base_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    require(low > 0);
    return log->segments[low - 1];
}

uint64_t log_segment_saved_bytes(const struct log *log, const struct log_segment *segment)
{
    size_t place = log_tail_first_after(&log->tail, log->saved_sequence);
    if (place == log->tail.count) {
        return segment->size_bytes;
    }
    const struct log_tail_entry *unsaved = log_tail_at(&log->tail, place);
    if (unsaved->segment == segment) {
        return unsaved->position;
    }
    return unsaved->segment->base_offset > segment->base_offset ? segment->size_bytes : 0;
}

uint64_t log_saved_offset(const struct log *log)
{
    size_t place = log_tail_first_after(&log->tail, log->saved_sequence);
    return place == log->tail.count ? log->next_offset
                                    : log_tail_at(&log->tail, place)->first_offset;
}

bool log_batch_head(struct wire_batch *head, const struct buf_slice *payload)
{
    return wire_batch_read(head, payload->data, payload->length_bytes) &&
           log_scan_is_plausible(head, payload->length_bytes) &&
           head->total_bytes == payload->length_bytes;
}

struct log_entry log_entry_of_tail(const struct log *log, const struct log_tail_entry *entry)
{
    uint64_t first_index = log_history_index_of_offset(&log->history, entry->first_offset);
    return (struct log_entry){
        .first_index = first_index,
        .last_index = first_index + (entry->end_offset - entry->first_offset) - 1,
        .term = entry->term,
        .kind = LOG_ENTRY_BATCH,
        .payload = entry->payload,
    };
}

/* ---- Appending ---- */

static bool must_roll(const struct log *log, const struct log_segment *active,
                      const struct wire_batch *head, int64_t now_ms)
{
    if (active->size_bytes == 0) {
        return false;
    }
    bool is_old = active->created_ms != 0 && now_ms >= active->created_ms &&
                  (uint64_t)(now_ms - active->created_ms) >= log->options.segment_ms;
    uint64_t size_bytes = active->size_bytes + head->total_bytes;
    return is_old || size_bytes > log->options.segment_bytes || size_bytes > UINT32_MAX ||
           log_scan_end_offset(head) - active->base_offset > UINT32_MAX;
}

static struct log_segment *segment_for(struct log *log, const struct wire_batch *head)
{
    struct log_segment *active = log_active(log);
    int64_t now_ms = log_stream_wall_ms(log->stream);
    if (must_roll(log, active, head, now_ms)) {
        active->index_is_unsaved = true;
        active = log_segment_new(log->next_offset, log->options.index_interval_bytes);
        log_segments_push(log, active);
    }
    if (active->created_ms == 0) {
        active->created_ms = now_ms;
    }
    return active;
}

static void forget_found(struct log *log)
{
    memory_free(log->found_starts);
    log->found_starts = NULL;
}

void log_append_batch(struct log *log, const struct log_entry *entry)
{
    struct wire_batch head;
    require(entry->kind == LOG_ENTRY_BATCH && log_batch_head(&head, &entry->payload));
    require((uint64_t)head.base_offset == log->next_offset);
    require(entry->first_index == log->last_index + 1);
    require(entry->last_index == entry->first_index + (uint64_t)head.last_offset_delta);
    require((uint64_t)(uint32_t)head.leader_epoch == entry->term);
    require(entry->term == log_history_last_term(&log->history));
    forget_found(log);
    struct log_segment *segment = segment_for(log, &head);
    struct log_tail_entry tail_entry = {
        .first_offset = log->next_offset,
        .end_offset = log_scan_end_offset(&head),
        .term = entry->term,
        .sequence = ++log->sequence,
        .max_timestamp = head.record_count > 0 ? head.max_timestamp : INT64_MIN,
        .segment = segment,
        .position = segment->size_bytes,
        .payload = entry->payload,
    };
    log_checked_append(&segment->checked, segment->size_bytes, io_now_ns(log->stream->loop));
    log_segment_note(segment, &head);
    log_cache_push(log, &tail_entry);
    log->next_offset = tail_entry.end_offset;
    log->last_index = entry->last_index;
}

void log_append_control(struct log *log, const struct log_entry *entry)
{
    require(entry->kind != LOG_ENTRY_BATCH && entry->first_index == log->last_index + 1);
    require(entry->last_index == entry->first_index);
    require((entry->kind == LOG_ENTRY_TERM_START) == (entry->payload.length_bytes == 0));
    require(entry->payload.length_bytes <= LOG_MEMBERSHIP_BYTES_MAX);
    forget_found(log);
    struct log_control control = {
        .index = entry->first_index,
        .term = entry->term,
        .offset = log->next_offset,
        .kind = entry->kind,
        .payload_length = (uint32_t)entry->payload.length_bytes,
        .payload = (uint8_t *)(uintptr_t)entry->payload.data, /* read only: it is copied */
    };
    bool added = log_history_add(&log->history, &control);
    require(added);
    log_epochs_append_control(&log->epochs, &control);
    log->last_index = entry->first_index;
}

/* ---- Truncating ---- */

/* Cuts a segment to size_bytes, in memory now and on disk, as far as it got there, with the next
 * submit. */
static void cut_segment(struct log *log, struct log_segment *segment, uint64_t size_bytes,
                        uint64_t end_offset)
{
    if (segment->submitted_bytes > size_bytes) {
        log->cuts = memory_reallocate(log->cuts, (log->cut_count + 1) * sizeof(log->cuts[0]));
        log->cuts[log->cut_count++] = (struct log_cut){log_segment_reference(segment), size_bytes};
        segment->submitted_bytes = size_bytes;
    }
    if (segment->exists) {
        log_doom(log,
                 segment->base_offset); /* the file when nothing is left of it, else its index */
    }
    segment->size_bytes = size_bytes;
    segment->end_offset = end_offset;
    log_index_truncate(&segment->index, size_bytes);
    log_checked_forget(&segment->checked);
}

/* Finds where the batch that holds offset begins, waiting for the disk if it must.  What is
 * truncated is nearly always in the tail; the rest happens once, after a restart.
 *
 * The batch that holds the offset before is asked where it ends: what is cut away may be cut as it
 * is damaged (a replica that could not show it to its group has given way). */
static int find_cut(struct log *log, struct log_segment *segment, uint64_t offset,
                    uint64_t *position, uint64_t *base_offset)
{
    size_t place;
    if (log_tail_find(&log->tail, offset, &place)) {
        *position = log_tail_at(&log->tail, place)->position;
        *base_offset = log_tail_at(&log->tail, place)->first_offset;
        return 0;
    }
    if (offset == segment->base_offset) {
        *position = 0;
        *base_offset = offset;
        return 0;
    }
    struct log_scan scan;
    struct wire_batch head;
    uint64_t end = log_segment_saved_bytes(log, segment);
    int result = log_segment_locate(segment, offset - 1, end, false, &scan, &head);
    while (result == -ENOENT) {
        result = log_segment_load_blocking(log, segment);
        if (result == 0) {
            result = log_segment_locate(segment, offset - 1, end, false, &scan, &head);
        }
    }
    if (result == 0) {
        bool is_kept = log_scan_end_offset(&head) <= offset;
        *position = is_kept ? scan.position + head.total_bytes : scan.position;
        *base_offset = is_kept ? offset : (uint64_t)head.base_offset;
    }
    return result;
}

/* The largest timestamp of what is left of a cut segment: from the last index entry on batch by
 * batch. */
static int mend_max_timestamp(struct log *log, struct log_segment *segment)
{
    if (segment->max_timestamp_offset < segment->end_offset || segment->size_bytes == 0) {
        if (segment->size_bytes == 0) {
            segment->max_timestamp = INT64_MIN;
            segment->max_timestamp_offset = segment->base_offset;
        }
        return 0;
    }
    const struct log_index_entry *from =
        log_index_floor_position(&segment->index, segment->size_bytes - 1);
    uint64_t position = from != NULL ? from->position : 0;
    segment->max_timestamp = from != NULL ? from->max_timestamp_before : INT64_MIN;
    segment->max_timestamp_offset =
        from != NULL ? from->max_timestamp_offset_before : segment->base_offset;
    uint64_t saved = log_segment_saved_bytes(log, segment);
    struct log_scan scan;
    log_scan_init(&scan, segment->file, position < saved ? position : saved, saved, false);
    int result = segment->file == NULL ? -ENODATA : 0;
    while (result == 0) {
        struct wire_batch head;
        result = log_scan_head(&scan, &head);
        if (result == 0 && head.record_count > 0 && head.max_timestamp > segment->max_timestamp) {
            segment->max_timestamp = head.max_timestamp;
            segment->max_timestamp_offset = (uint64_t)head.base_offset;
        }
        if (result == 0) {
            log_scan_skip(&scan, &head);
        }
    }
    size_t place = log_tail_first_after(&log->tail, log->saved_sequence);
    for (; place < log->tail.count; place++) {
        const struct log_tail_entry *entry = log_tail_at(&log->tail, place);
        if (entry->segment == segment && entry->max_timestamp > segment->max_timestamp) {
            segment->max_timestamp = entry->max_timestamp;
            segment->max_timestamp_offset = entry->first_offset;
        }
    }
    return result == -ENODATA ? 0 : result;
}

static void truncate_data(struct log *log, uint64_t offset)
{
    struct log_segment *segment = log_segment_of_offset(log, offset);
    uint64_t position = 0;
    uint64_t base_offset = offset;
    int result = find_cut(log, segment, offset, &position, &base_offset);
    if (result != 0) {
        /* Nothing reaches the disk from here on, so what follows is about memory alone: there the
         * cut may lie before its place. */
        log_stream_fail(log->stream, result);
        const struct log_index_entry *floor = log_index_floor(&segment->index, offset);
        position = floor != NULL ? floor->position : 0;
        base_offset = offset;
    }
    while (log->tail.count > 0 &&
           log_tail_at(&log->tail, log->tail.count - 1)->end_offset > offset) {
        log_cache_drop_last(log);
    }
    while (log_active(log) != segment) {
        struct log_segment *gone = log_active(log);
        cut_segment(log, gone, 0, gone->base_offset);
        log->segment_count--;
        log_segment_release(gone);
    }
    cut_segment(log, segment, position, base_offset);
    segment->index_is_unsaved = false;
    log->next_offset = base_offset;
    int mended = result == 0 ? mend_max_timestamp(log, segment) : 0;
    if (mended != 0) {
        log_stream_fail(log->stream, mended);
    }
}

void log_truncate(struct log *log, uint64_t from_index)
{
    require(from_index > log->commit_index && from_index >= log->history.first_index);
    if (from_index > log->last_index) {
        return;
    }
    forget_found(log);
    uint64_t offset = log_history_offset_after(&log->history, from_index - 1);
    if (offset < log->next_offset) {
        truncate_data(log, offset);
    }
    log_history_truncate(&log->history, from_index);
    log->last_index =
        log->next_offset + log_history_controls_before_offset(&log->history, log->next_offset);
    ensure(log->last_index < from_index);
    log->truncations++;
    if (log->candidate_index >= from_index) {
        log->candidate_index = 0;
    }
    if (log->checkpoint.offset > log->next_offset) {
        log->checkpoint = (struct log_checkpoint){0};
    }
    log_epochs_append(&log->epochs, &(struct log_record){.type = LOG_RECORD_TRUNCATE,
                                                         .index = log->last_index + 1,
                                                         .offset = log->next_offset});
}
