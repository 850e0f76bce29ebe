/* SPDX-License-Identifier: Apache-2.0
 *
 * history.c -- control entries in memory and the arithmetic of positions.
 */
#include "log/history.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

void log_history_init(struct log_history *history)
{
    *history = (struct log_history){.first_index = 1};
}

static void control_free(struct log_control *control)
{
    memory_free(control->payload);
    *control = (struct log_control){0};
}

void log_history_free(struct log_history *history)
{
    for (size_t i = 0; i < history->control_count; i++) {
        control_free(&history->controls[i]);
    }
    memory_free(history->controls);
    control_free(&history->prefix_membership);
    *history = (struct log_history){.first_index = 1};
}

static struct log_control control_copy(const struct log_control *control)
{
    struct log_control copy = *control;
    copy.payload = NULL;
    if (control->payload_length > 0) {
        copy.payload = memory_allocate(control->payload_length);
        memcpy(copy.payload, control->payload, control->payload_length);
    }
    return copy;
}

/* Control entries that stand before the log's start. */
static uint64_t controls_in_prefix(const struct log_history *history)
{
    ensure(history->first_index > history->first_offset);
    return history->first_index - 1 - history->first_offset;
}

/* Position of the first control entry behind an index. */
static size_t upper_bound_index(const struct log_history *history, uint64_t index)
{
    size_t low = 0;
    size_t high = history->control_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (history->controls[middle].index <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static size_t upper_bound_offset(const struct log_history *history, uint64_t offset)
{
    size_t low = 0;
    size_t high = history->control_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (history->controls[middle].offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Nothing is deleted that was not there yet. */
static bool payload_fits(const struct log_control *control)
{
    uint64_t start_offset = 0;
    if (control->kind != LOG_ENTRY_START_MOVE) {
        return true;
    }
    return log_start_move_decode(control->payload, control->payload_length, &start_offset) &&
           start_offset <= control->offset;
}

bool log_history_add(struct log_history *history, const struct log_control *control)
{
    uint64_t before = controls_in_prefix(history) + history->control_count;
    uint64_t offset_least = history->first_offset;
    if (history->control_count > 0) {
        offset_least = history->controls[history->control_count - 1].offset;
    }
    uint64_t last_term = log_history_last_term(history);
    bool term_fits = control->kind == LOG_ENTRY_TERM_START ? control->term > last_term
                                                           : control->term >= last_term;
    if (control->kind == LOG_ENTRY_BATCH || control->offset < offset_least || !term_fits ||
        control->offset > UINT64_MAX / 2 || control->index != control->offset + before + 1 ||
        control->payload_length > LOG_MEMBERSHIP_BYTES_MAX || !payload_fits(control)) {
        return false;
    }
    if (history->control_count == history->control_capacity) {
        history->control_capacity =
            history->control_capacity == 0 ? 2 : history->control_capacity * 2;
        history->controls = memory_reallocate(history->controls, history->control_capacity *
                                                                     sizeof(history->controls[0]));
    }
    history->controls[history->control_count++] = control_copy(control);
    return true;
}

bool log_history_truncate(struct log_history *history, uint64_t from_index)
{
    size_t count = history->control_count;
    while (count > 0 && history->controls[count - 1].index >= from_index) {
        control_free(&history->controls[--count]);
    }
    bool some = count < history->control_count;
    history->control_count = count;
    return some;
}

void log_history_trim(struct log_history *history, uint64_t first_index, uint64_t first_offset)
{
    require(first_index >= history->first_index && first_offset >= history->first_offset);
    size_t gone = upper_bound_index(history, first_index - 1);
    uint64_t term = history->prefix_term;
    for (size_t i = 0; i < gone; i++) {
        struct log_control *control = &history->controls[i];
        term = control->term;
        if (control->kind == LOG_ENTRY_MEMBERSHIP) {
            control_free(&history->prefix_membership);
            history->prefix_membership = *control;
            control->payload = NULL;
        }
        control_free(control);
    }
    size_t left = history->control_count - gone;
    if (gone > 0) {
        memmove(history->controls, history->controls + gone, left * sizeof(history->controls[0]));
    }
    history->control_count = left;
    history->prefix_term = term;
    history->first_index = first_index;
    history->first_offset = first_offset;
    if (history->start_offset < first_offset) {
        history->start_offset = first_offset;
    }
}

void log_history_reset(struct log_history *history, uint64_t index, uint64_t term, uint64_t offset)
{
    require(offset <= index);
    log_history_free(history);
    history->first_index = index + 1;
    history->prefix_term = term;
    history->first_offset = offset;
    history->start_offset = offset;
}

void log_history_move_start(struct log_history *history, uint64_t after_index, uint64_t last_index)
{
    size_t end = upper_bound_index(history, last_index);
    for (size_t i = upper_bound_index(history, after_index); i < end; i++) {
        const struct log_control *control = &history->controls[i];
        uint64_t start_offset = 0;
        if (control->kind == LOG_ENTRY_START_MOVE &&
            log_start_move_decode(control->payload, control->payload_length, &start_offset) &&
            start_offset > history->start_offset) {
            history->start_offset = start_offset;
        }
    }
}

void log_history_set_prefix_membership(struct log_history *history,
                                       const struct log_control *control)
{
    struct log_control copy = control_copy(control);
    control_free(&history->prefix_membership);
    history->prefix_membership = copy;
}

uint64_t log_history_controls_through(const struct log_history *history, uint64_t index)
{
    return controls_in_prefix(history) + upper_bound_index(history, index);
}

uint64_t log_history_controls_before_offset(const struct log_history *history, uint64_t offset)
{
    return controls_in_prefix(history) + upper_bound_offset(history, offset);
}

uint64_t log_history_index_of_offset(const struct log_history *history, uint64_t offset)
{
    return offset + log_history_controls_before_offset(history, offset) + 1;
}

uint64_t log_history_offset_after(const struct log_history *history, uint64_t index)
{
    if (index < history->first_index) {
        return history->first_offset;
    }
    return index - log_history_controls_through(history, index);
}

const struct log_control *log_history_at_or_after(const struct log_history *history, uint64_t index)
{
    size_t place = index == 0 ? 0 : upper_bound_index(history, index - 1);
    return place < history->control_count ? &history->controls[place] : NULL;
}

uint64_t log_history_term_at_offset(const struct log_history *history, uint64_t offset)
{
    size_t place = upper_bound_offset(history, offset);
    while (place > 0) {
        if (history->controls[place - 1].kind == LOG_ENTRY_TERM_START) {
            return history->controls[place - 1].term;
        }
        place--;
    }
    return history->prefix_term;
}

uint64_t log_history_last_term(const struct log_history *history)
{
    size_t count = history->control_count;
    return count > 0 ? history->controls[count - 1].term : history->prefix_term;
}

size_t log_history_term_starts(const struct log_history *history, uint64_t last_index,
                               struct log_term_start *starts)
{
    size_t count = 0;
    if (last_index < history->first_index) {
        return 0;
    }
    const struct log_control *first = log_history_at_or_after(history, history->first_index);
    bool begins_with_term = first != NULL && first->kind == LOG_ENTRY_TERM_START &&
                            first->index == history->first_index;
    if (!begins_with_term) {
        starts[count++] = (struct log_term_start){
            .term = history->prefix_term,
            .first_index = history->first_index,
            .start_offset = history->first_offset,
        };
    }
    for (size_t i = 0; i < history->control_count; i++) {
        const struct log_control *control = &history->controls[i];
        if (control->kind == LOG_ENTRY_TERM_START && control->index <= last_index) {
            starts[count++] = (struct log_term_start){
                .term = control->term,
                .first_index = control->index,
                .start_offset = control->offset,
            };
        }
    }
    return count;
}

static struct log_membership_entry membership_of(const struct log_control *control)
{
    return (struct log_membership_entry){
        .index = control->index,
        .term = control->term,
        .payload = control->payload,
        .payload_length = control->payload_length,
    };
}

size_t log_history_memberships(const struct log_history *history,
                               struct log_membership_entry memberships[2])
{
    size_t count = 0;
    for (size_t i = history->control_count; i > 0 && count < 2; i--) {
        if (history->controls[i - 1].kind == LOG_ENTRY_MEMBERSHIP) {
            memberships[count++] = membership_of(&history->controls[i - 1]);
        }
    }
    if (count < 2 && history->prefix_membership.payload_length > 0) {
        memberships[count++] = membership_of(&history->prefix_membership);
    }
    return count;
}
