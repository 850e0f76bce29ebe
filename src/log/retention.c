/* SPDX-License-Identifier: Apache-2.0
 *
 * retention.c -- the log's beginning moves up: by age, by size, by request, or all at once by a
 * snapshot.
 *
 * The move is a record in the epoch log first; files are unlinked after it is durable.  Whoever
 * reads a dropped segment holds a reference on its file.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "log/cache.h"
#include "log/stream.h"
#include "log/works.h"

#include <errno.h>

static bool is_unwanted(const struct log *log, const struct log_segment *segment,
                        const struct log_retention *retention, int64_t now_ms, uint64_t size_bytes)
{
    if (segment->end_offset <= log->history.start_offset) {
        return true;
    }
    /* Nothing but fillers has no timestamp, and nothing to keep. */
    int64_t newest_ms = segment->max_timestamp < 0 ? 0 : segment->max_timestamp;
    bool is_old = retention->retention_ms >= 0 && newest_ms < now_ms &&
                  now_ms - newest_ms > retention->retention_ms;
    bool is_much = retention->retention_bytes >= 0 &&
                   size_bytes - segment->size_bytes >= (uint64_t)retention->retention_bytes;
    return is_old || is_much;
}

/* Nobody needs it any more: committed, durable, and in the snapshot. */
static bool may_go(const struct log *log, const struct log_segment *segment)
{
    if (segment->size_bytes == 0 || log_segment_saved_bytes(log, segment) < segment->size_bytes) {
        return false;
    }
    uint64_t last_index = log_history_index_of_offset(&log->history, segment->end_offset - 1);
    return last_index <= log->commit_index && last_index <= log->snapshot_index;
}

/* How many segments at the beginning go. */
static size_t count_unwanted(const struct log *log, const struct log_retention *retention,
                             int64_t now_ms)
{
    uint64_t size_bytes = log_size_bytes(log);
    size_t count = 0;
    while (count < log->segment_count) {
        const struct log_segment *segment = log->segments[count];
        bool is_active = count + 1 == log->segment_count;
        /* The active one goes for its age or the start offset only, and a new one is begun for it.
         */
        struct log_retention by_age = {.retention_ms = retention->retention_ms,
                                       .retention_bytes = -1};
        if (!may_go(log, segment) ||
            !is_unwanted(log, segment, is_active ? &by_age : retention, now_ms, size_bytes)) {
            break;
        }
        size_bytes -= segment->size_bytes;
        count++;
    }
    return count;
}

bool log_awaits_snapshot(const struct log *log)
{
    const struct log_segment *first = log->segment_count > 0 ? log->segments[0] : NULL;
    return first != NULL && first->size_bytes > 0 &&
           first->end_offset <= log->history.start_offset &&
           log_history_index_of_offset(&log->history, first->end_offset - 1) > log->snapshot_index;
}

bool log_apply_retention(struct log *log, const struct log_retention *retention, int64_t now_ms)
{
    size_t count = log->is_swapping ? 0 : count_unwanted(log, retention, now_ms);
    if (count == 0) {
        return false;
    }
    memory_free(log->found_starts);
    log->found_starts = NULL;
    uint64_t first_offset = log->segments[count - 1]->end_offset;
    if (count == log->segment_count) {
        log_segments_push(log, log_segment_new(first_offset, log->options.index_interval_bytes));
    }
    ensure(log->segments[count]->base_offset == first_offset);
    log_cache_drop_below(log, first_offset);
    for (size_t i = 0; i < count; i++) {
        log_doom(log, log->segments[i]->base_offset);
        log_segment_release(log->segments[i]);
    }
    for (size_t i = count; i < log->segment_count; i++) {
        log->segments[i - count] = log->segments[i];
    }
    log->segment_count -= count;
    uint64_t first_index = log_history_index_of_offset(&log->history, first_offset);
    /* Control entries right before it go only as far as nobody needs them. */
    uint64_t needed =
        log->commit_index < log->snapshot_index ? log->commit_index : log->snapshot_index;
    first_index = first_index < needed + 1 ? first_index : needed + 1;
    log_history_trim(&log->history, first_index, first_offset);
    log_epochs_append_start(&log->epochs, &log->history);
    return true;
}

void log_set_start_offset(struct log *log, uint64_t offset)
{
    require(offset <= log_offset_after(log, log->commit_index));
    if (offset <= log->history.start_offset) {
        return;
    }
    log->history.start_offset = offset;
    log_epochs_append_start(&log->epochs, &log->history);
}

/* ---- Reset ---- */

/* Also those that retention has let go and no flush has removed yet: nobody else would. */
static int remove_all_segments(struct log *log)
{
    int result = 0;
    while (log->doomed.count > 0 && result == 0) {
        log->doomed.count--;
        result = log_remove_files(log->directory, log->doomed.bases[log->doomed.count], true);
    }
    while (log->segment_count > 0 && result == 0) {
        struct log_segment *segment = log_active(log);
        result = log_remove_files(log->directory, segment->base_offset, true);
        log->segment_count--;
        log_segment_release(segment);
    }
    return result;
}

static void forget_everything(struct log *log)
{
    log_tail_clear(&log->tail);
    for (size_t i = 0; i < log->cut_count; i++) {
        log_segment_release(log->cuts[i].segment);
    }
    log->cut_count = 0;
    memory_free(log->found_starts);
    log->found_starts = NULL;
    memory_free(log->epochs.pending);
    log->epochs.pending = NULL;
    log->epochs.pending_length = 0;
    log->epochs.pending_capacity = 0;
    log->epochs.pending_goes_first = false;
    log->submitted_sequence = log->sequence;
    log->saved_sequence = log->sequence;
    log->truncations++;
    log->checkpoint = (struct log_checkpoint){0};
    log->checkpointed_base = 0;
    log->compacted.count = 0;
    log->candidate_index = 0;
}

int log_reset(struct log *log, uint64_t index, uint64_t term, uint64_t start_offset,
              const struct log_entry *membership)
{
    require(log->submissions == 0 && log->works == 0);
    require(!list_is_linked(&log->cached_node));
    forget_everything(log);
    log_history_reset(&log->history, index, term, start_offset);
    if (membership != NULL) {
        struct log_control control = {
            .index = membership->first_index,
            .term = membership->term,
            .offset = start_offset,
            .kind = LOG_ENTRY_MEMBERSHIP,
            .payload_length = (uint32_t)membership->payload.length_bytes,
            .payload = (uint8_t *)(uintptr_t)membership->payload.data, /* read only: copied */
        };
        require(control.index <= index && control.payload_length <= LOG_MEMBERSHIP_BYTES_MAX);
        log_history_set_prefix_membership(&log->history, &control);
    }
    log->next_offset = start_offset;
    log->last_index = index;
    log->commit_index = index;
    /* First the record that nothing on disk counts any more, then the files. */
    int result = log_replace_epochs(log, true);
    if (result == 0) {
        result = remove_all_segments(log);
    }
    if (result == 0) {
        result = log_create_files(log);
    }
    log->failed = log->failed || result != 0;
    return result;
}
