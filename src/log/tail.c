/* SPDX-License-Identifier: Apache-2.0
 *
 * tail.c -- the newest batches of a log in memory.
 */
#include "log/tail.h"

#include "base/assert.h"
#include "base/memory.h"

struct log_tail_entry *log_tail_at(const struct log_tail *tail, size_t place)
{
    require(place < tail->count);
    return &tail->entries[(tail->first + place) & (tail->capacity - 1)];
}

static void grow(struct log_tail *tail)
{
    size_t capacity = tail->capacity == 0 ? 8 : tail->capacity * 2;
    struct log_tail_entry *entries = memory_allocate(capacity * sizeof(entries[0]));
    for (size_t i = 0; i < tail->count; i++) {
        entries[i] = *log_tail_at(tail, i);
    }
    memory_free(tail->entries);
    tail->entries = entries;
    tail->capacity = capacity;
    tail->first = 0;
}

void log_tail_push(struct log_tail *tail, const struct log_tail_entry *entry)
{
    if (tail->count == tail->capacity) {
        grow(tail);
    }
    struct buf *buf = entry->payload.buf;
    uint64_t held_bytes = sizeof(*entry);
    bool shares = tail->count > 0 && log_tail_at(tail, tail->count - 1)->payload.buf == buf;
    if (buf != NULL && !shares) {
        held_bytes += buf->capacity_bytes;
    }
    buf_reference(buf);
    tail->count++;
    struct log_tail_entry *slot = log_tail_at(tail, tail->count - 1);
    *slot = *entry;
    slot->held_bytes = held_bytes;
    tail->held_bytes += held_bytes;
}

static void drop(struct log_tail *tail, struct log_tail_entry *entry)
{
    ensure(tail->held_bytes >= entry->held_bytes);
    tail->held_bytes -= entry->held_bytes;
    buf_release(entry->payload.buf);
    tail->count--;
    if (tail->count == 0) {
        memory_free(tail->entries);
        *tail = (struct log_tail){0};
    }
}

void log_tail_drop_first(struct log_tail *tail)
{
    struct log_tail_entry *entry = log_tail_at(tail, 0);
    tail->first = (tail->first + 1) & (tail->capacity - 1);
    drop(tail, entry);
}

void log_tail_drop_last(struct log_tail *tail)
{
    drop(tail, log_tail_at(tail, tail->count - 1));
}

void log_tail_clear(struct log_tail *tail)
{
    while (tail->count > 0) {
        log_tail_drop_last(tail);
    }
}

bool log_tail_find(const struct log_tail *tail, uint64_t offset, size_t *place)
{
    size_t low = 0;
    size_t high = tail->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log_tail_at(tail, middle)->end_offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *place = low;
    return low < tail->count && log_tail_at(tail, low)->first_offset <= offset;
}

size_t log_tail_first_after(const struct log_tail *tail, uint64_t sequence)
{
    size_t low = 0;
    size_t high = tail->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log_tail_at(tail, middle)->sequence <= sequence) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}
