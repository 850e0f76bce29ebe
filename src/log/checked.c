/* SPDX-License-Identifier: Apache-2.0
 *
 * checked.c -- see checked.h.
 */
#include "log/checked.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdbool.h>

static bool is_old(uint64_t since_ns, uint64_t now_ns)
{
    return now_ns - since_ns >= LOG_CHECKED_NS;
}

void log_checked_append(struct log_checked *checked, uint64_t position, uint64_t now_ns)
{
    if (checked->appended_ns == 0 || is_old(checked->appended_ns, now_ns)) {
        checked->appended_from = position;
        checked->appended_ns = now_ns;
    }
}

/* One that touches [from, to), else one that is not used, else the oldest. */
static struct log_checked_range *find_room(struct log_checked *checked, uint64_t from, uint64_t to,
                                           uint64_t now_ns)
{
    struct log_checked_range *room = &checked->ranges[0];
    for (size_t i = 0; i < LOG_CHECKED_RANGES_MAX; i++) {
        struct log_checked_range *range = &checked->ranges[i];
        if (range->from < range->to && is_old(range->since_ns, now_ns)) {
            *range = (struct log_checked_range){0};
        }
        if (range->from < range->to && range->from <= to && from <= range->to) {
            return range;
        }
        if (range->since_ns < room->since_ns) {
            room = range; /* an unused one is older than all */
        }
    }
    *room = (struct log_checked_range){from, to, now_ns};
    return room;
}

void log_checked_add(struct log_checked *checked, uint64_t from, uint64_t to, uint64_t now_ns)
{
    require(from < to && now_ns > 0);
    if (checked->ranges == NULL) {
        checked->ranges =
            memory_allocate_zeroed(LOG_CHECKED_RANGES_MAX * sizeof checked->ranges[0]);
    }
    struct log_checked_range *range = find_room(checked, from, to, now_ns);
    range->from = from < range->from ? from : range->from;
    range->to = to > range->to ? to : range->to;
}

/* The end of a range that holds position; position itself when none does. */
static uint64_t end_of_range(const struct log_checked *checked, uint64_t position, uint64_t now_ns)
{
    uint64_t end = position;
    for (size_t i = 0; checked->ranges != NULL && i < LOG_CHECKED_RANGES_MAX; i++) {
        const struct log_checked_range *range = &checked->ranges[i];
        if (range->from <= position && position < range->to && !is_old(range->since_ns, now_ns)) {
            end = range->to > end ? range->to : end;
        }
    }
    return end;
}

uint64_t log_checked_end(const struct log_checked *checked, uint64_t position, uint64_t size_bytes,
                         uint64_t now_ns)
{
    bool knows_appended = checked->appended_ns != 0 && !is_old(checked->appended_ns, now_ns);
    uint64_t reached = position;
    for (;;) {
        if (knows_appended && reached >= checked->appended_from) {
            return size_bytes;
        }
        uint64_t end = end_of_range(checked, reached, now_ns);
        if (end == reached) {
            return reached;
        }
        reached = end;
    }
}

void log_checked_forget(struct log_checked *checked)
{
    memory_free(checked->ranges);
    *checked = (struct log_checked){0};
}
