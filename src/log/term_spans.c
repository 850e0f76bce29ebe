/* SPDX-License-Identifier: Apache-2.0
 *
 * term_spans.c -- see term_spans.h.
 */
#include "log/term_spans.h"

#include "base/assert.h"
#include "base/memory.h"

void log_term_spans_copy(struct log_term_spans *spans, const struct log_history *history,
                         uint64_t offset)
{
    size_t first = history->control_count;
    while (first > 0 && history->controls[first - 1].offset > offset) {
        first--;
    }
    spans->spans = memory_allocate((history->control_count - first + 1) * sizeof spans->spans[0]);
    spans->spans[0] = (struct log_term_span){0, log_history_term_at_offset(history, offset)};
    spans->count = 1;
    for (size_t i = first; i < history->control_count; i++) {
        const struct log_control *control = &history->controls[i];
        if (control->kind == LOG_ENTRY_TERM_START) {
            spans->spans[spans->count++] = (struct log_term_span){control->offset, control->term};
        }
    }
}

void log_term_spans_free(struct log_term_spans *spans)
{
    memory_free(spans->spans);
    spans->spans = NULL;
    spans->count = 0;
}

uint64_t log_term_spans_at(const struct log_term_spans *spans, uint64_t offset)
{
    size_t low = 0;
    size_t high = spans->count;
    require(high > 0);
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->spans[middle].offset <= offset) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return spans->spans[low].term;
}
