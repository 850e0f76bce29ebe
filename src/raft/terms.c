/* SPDX-License-Identifier: Apache-2.0
 *
 * terms.c -- the term of every index, as spans: a log of millions of entries has a handful.
 *
 * Not here: whether an entry may be added or cut (append.c, replication.c).
 *
 * Invariants: span terms and first indexes ascend strictly; the first span begins at first_index or
 * there is none; the log is empty exactly when there are no spans; prefix_term belongs to
 * first_index - 1.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "raft/raft_private.h"

#include <string.h>

void *raft_grow(void *array, uint32_t *capacity, uint32_t count, size_t element_size)
{
    if (count <= *capacity)
        return array;
    uint32_t grown = *capacity == 0 ? 4 : *capacity * 2;
    ensure(grown >= count);
    *capacity = grown;
    return memory_reallocate(array, grown * element_size);
}

/* Position of the span that holds index, which lies in [first, last]. */
static uint32_t span_position(const struct raft *raft, uint64_t index)
{
    ensure(raft->span_count > 0 && index >= raft->first_index && index <= raft->last_index);
    uint32_t low = 0;
    uint32_t high = raft->span_count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (raft->spans[middle].first_index <= index)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

static uint64_t span_end(const struct raft *raft, uint32_t position)
{
    return position + 1 < raft->span_count ? raft->spans[position + 1].first_index - 1
                                           : raft->last_index;
}

static void span_push(struct raft *raft, uint64_t first_index, uint64_t term)
{
    raft->spans =
        raft_grow(raft->spans, &raft->span_capacity, raft->span_count + 1, sizeof(raft->spans[0]));
    raft->spans[raft->span_count++] =
        (struct raft_term_span){.term = term, .first_index = first_index};
}

void raft_terms_load(struct raft *raft, const struct raft_term_span *spans, size_t count)
{
    require(raft->span_count == 0);
    for (size_t i = 0; i < count; ++i) {
        bool ends_before_first = i + 1 < count && spans[i + 1].first_index <= raft->first_index;
        if (ends_before_first || spans[i].first_index > raft->last_index)
            continue;
        span_push(raft, raft_max(spans[i].first_index, raft->first_index), spans[i].term);
    }
    ensure((raft->span_count == 0) == (raft->last_index < raft->first_index));
}

void raft_terms_append(struct raft *raft, uint64_t last_index, uint64_t term)
{
    require(last_index > raft->last_index);
    require(term >= raft_last_term(raft));
    if (raft->span_count == 0 || raft->spans[raft->span_count - 1].term != term)
        span_push(raft, raft->last_index + 1, term);
    raft->last_index = last_index;
}

void raft_terms_truncate(struct raft *raft, uint64_t from_index)
{
    require(from_index >= raft->first_index && from_index <= raft->last_index);
    while (raft->span_count > 0 && raft->spans[raft->span_count - 1].first_index >= from_index)
        raft->span_count -= 1;
    raft->last_index = from_index - 1;
}

void raft_terms_drop_prefix(struct raft *raft, uint64_t first_index)
{
    require(first_index > raft->first_index && first_index <= raft->last_index + 1);
    raft->prefix_term = raft_term_known(raft, first_index - 1);
    uint32_t kept_from = raft->span_count;
    if (first_index <= raft->last_index) {
        kept_from = span_position(raft, first_index);
        raft->spans[kept_from].first_index = first_index;
    }
    raft->span_count -= kept_from;
    memmove(raft->spans, raft->spans + kept_from, raft->span_count * sizeof(raft->spans[0]));
    raft->first_index = first_index;
}

void raft_terms_reset(struct raft *raft, uint64_t index, uint64_t term)
{
    raft->span_count = 0;
    raft->first_index = index + 1;
    raft->last_index = index;
    raft->prefix_term = term;
}

uint64_t raft_last_term(const struct raft *raft)
{
    return raft->span_count == 0 ? raft->prefix_term : raft->spans[raft->span_count - 1].term;
}

bool raft_term_at(const struct raft *raft, uint64_t index, uint64_t *term)
{
    if (index + 1 < raft->first_index || index > raft->last_index)
        return false;
    if (index + 1 == raft->first_index)
        *term = raft->prefix_term;
    else
        *term = raft->spans[span_position(raft, index)].term;
    return true;
}

uint64_t raft_term_known(const struct raft *raft, uint64_t index)
{
    uint64_t term = 0;
    bool is_known = raft_term_at(raft, index, &term);
    require(is_known);
    return term;
}

bool raft_terms_find_last(const struct raft *raft, uint64_t index_max, uint64_t term,
                          uint64_t *index)
{
    require(index_max + 1 >= raft->first_index);
    for (uint32_t i = raft->span_count; i > 0; --i) {
        const struct raft_term_span *span = &raft->spans[i - 1];
        if (span->term <= term && span->first_index <= index_max) {
            *index = raft_min(span_end(raft, i - 1), index_max);
            return true;
        }
    }
    if (raft->prefix_term > term)
        return false;
    *index = raft->first_index - 1;
    return true;
}

uint64_t raft_terms_span_end(const struct raft *raft, uint64_t index)
{
    if (index + 1 == raft->first_index) {
        bool goes_on = raft->span_count > 0 && raft->spans[0].term == raft->prefix_term;
        return goes_on ? span_end(raft, 0) : index;
    }
    return span_end(raft, span_position(raft, index));
}
