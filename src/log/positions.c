/* SPDX-License-Identifier: Apache-2.0
 *
 * positions.c -- where a log begins and ends, in Raft indexes and in Kafka offsets.
 */
#include "base/assert.h"
#include "log/bytes.h"
#include "log/state.h"
#include "wire/cursor.h"

uint64_t log_first_index(const struct log *log)
{
    return log->history.first_index;
}

uint64_t log_last_index(const struct log *log)
{
    return log->last_index;
}

uint64_t log_start_offset(const struct log *log)
{
    return log->history.start_offset;
}

uint64_t log_next_offset(const struct log *log)
{
    return log->next_offset;
}

void log_set_commit(struct log *log, uint64_t commit_index)
{
    require(commit_index >= log->commit_index && commit_index <= log->last_index);
    log_history_move_start(&log->history, log->commit_index, commit_index);
    log->commit_index = commit_index;
}

void log_start_move_encode(uint64_t offset, uint8_t payload[LOG_START_MOVE_BYTES])
{
    put_uint64(payload, offset);
}

bool log_start_move_decode(const uint8_t *payload, size_t length, uint64_t *offset)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, payload, length, NULL);
    *offset = (uint64_t)wire_read_int64(&cursor);
    return wire_expect_end(&cursor) && *offset <= INT64_MAX;
}

void log_set_snapshot(struct log *log, uint64_t snapshot_index)
{
    if (snapshot_index > log->snapshot_index) {
        log->snapshot_index = snapshot_index;
    }
}

uint64_t log_offset_after(const struct log *log, uint64_t index)
{
    return index >= log->last_index ? log->next_offset
                                    : log_history_offset_after(&log->history, index);
}

uint64_t log_index_before(const struct log *log, uint64_t offset)
{
    require(offset <= log->next_offset);
    if (offset <= log->history.first_offset) {
        return log->history.first_index - 1;
    }
    return log_history_index_of_offset(&log->history, offset - 1);
}

bool log_term_end_offset(const struct log *log, uint64_t term, uint64_t *term_found,
                         uint64_t *end_offset)
{
    const struct log_history *history = &log->history;
    bool found = false;
    bool begins_within = history->control_count > 0 &&
                         history->controls[0].kind == LOG_ENTRY_TERM_START &&
                         history->controls[0].index == history->first_index;
    if (!begins_within && history->prefix_term > 0 && history->prefix_term <= term) {
        *term_found = history->prefix_term;
        *end_offset = log->next_offset;
        found = true;
    }
    for (size_t i = 0; i < history->control_count; i++) {
        const struct log_control *control = &history->controls[i];
        if (control->kind != LOG_ENTRY_TERM_START) {
            continue;
        }
        if (control->term > term) {
            *end_offset = control->offset;
            return found;
        }
        *term_found = control->term;
        *end_offset = log->next_offset;
        found = true;
    }
    return found;
}

uint64_t log_size_bytes(const struct log *log)
{
    uint64_t size_bytes = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        size_bytes += log->segments[i]->size_bytes;
    }
    return size_bytes;
}

/* The part of a segment below limit_offset, as exactly as memory knows it: up to the last index
 * entry, and batch by batch in the tail. */
static void max_timestamp_below(const struct log *log, const struct log_segment *segment,
                                uint64_t limit_offset, int64_t *timestamp_ms, uint64_t *base_offset)
{
    const struct log_index_entry *entry = log_index_floor(&segment->index, limit_offset);
    if (entry != NULL && entry->max_timestamp_before > *timestamp_ms) {
        *timestamp_ms = entry->max_timestamp_before;
        *base_offset = entry->max_timestamp_offset_before;
    }
    for (size_t i = 0; i < log->tail.count; i++) {
        const struct log_tail_entry *batch = log_tail_at(&log->tail, i);
        if (batch->segment == segment && batch->end_offset <= limit_offset &&
            batch->max_timestamp > *timestamp_ms) {
            *timestamp_ms = batch->max_timestamp;
            *base_offset = batch->first_offset;
        }
    }
}

bool log_max_timestamp(const struct log *log, uint64_t limit_offset, int64_t *timestamp_ms,
                       uint64_t *batch_base_offset)
{
    *timestamp_ms = INT64_MIN;
    *batch_base_offset = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct log_segment *segment = log->segments[i];
        if (segment->base_offset >= limit_offset || segment->size_bytes == 0) {
            break;
        }
        if (segment->max_timestamp_offset >= limit_offset) {
            max_timestamp_below(log, segment, limit_offset, timestamp_ms, batch_base_offset);
        } else if (segment->max_timestamp > *timestamp_ms) {
            *timestamp_ms = segment->max_timestamp;
            *batch_base_offset = segment->max_timestamp_offset;
        }
    }
    return *timestamp_ms != INT64_MIN;
}
