/* SPDX-License-Identifier: Apache-2.0
 *
 * producer.c -- the rules by which a batch of an idempotent producer is taken, recognised or
 * refused, and the table behind them.
 *
 * A producer has a window of its last batches in the committed log, and, on the leader only, a
 * second window of what is appended and not committed yet.  The committed window is made from
 * committed batches alone; the pending one is a preview that can be dropped at any time without
 * loss.  A batch counts as remembered when it is one of the last five of both windows together, so
 * that the answer is the same before and after a commit.
 *
 * How the table is written and read as bytes: producer_snapshot.c.
 *
 * Locality: the shard of the partition.
 */
#include "txn/producer.h"
#include "txn/producer_table.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdlib.h>

struct producer_table *producer_table_new(void)
{
    struct producer_table *table = memory_allocate_zeroed(sizeof *table);
    map_init(&table->producers);
    list_init(&table->committed);
    list_init(&table->pending);
    list_init(&table->spare);
    return table;
}

void producer_table_reset(struct producer_table *table)
{
    size_t position = 0;
    struct producer *producer;
    while ((producer = map_next(&table->producers, &position)) != NULL) {
        memory_free(producer->pending);
        memory_free(producer);
    }
    list_for_each(&table->spare, node)
    {
        memory_free(container_of(node, struct producer_pending, node));
    }
    map_free(&table->producers);
    map_init(&table->producers);
    list_init(&table->committed);
    list_init(&table->pending);
    list_init(&table->spare);
    table->committed_count = 0;
}

void producer_table_free(struct producer_table *table)
{
    if (table == NULL) {
        return;
    }
    producer_table_reset(table);
    map_free(&table->producers);
    memory_free(table);
}

size_t producer_count(const struct producer_table *table)
{
    return table->producers.count;
}

/* ---- Sequences and windows ---- */

/* Sequences run from 0 to 2^31 - 1 and then from 0 again. */
static int32_t sequence_after(int32_t sequence, int32_t steps)
{
    return (int32_t)(((uint32_t)sequence + (uint32_t)steps) & INT32_MAX);
}

static bool is_tracked(const struct wire_batch *batch)
{
    return batch->producer_id >= 0 && !wire_batch_is_control(batch);
}

static struct producer_batch remembered_form(const struct wire_batch *batch, int64_t base_offset)
{
    return (struct producer_batch){
        .first_sequence = batch->base_sequence,
        .last_sequence = sequence_after(batch->base_sequence, batch->last_offset_delta),
        .base_offset = base_offset,
        .log_append_time_ms = wire_batch_is_log_append_time(batch) ? batch->max_timestamp : -1,
    };
}

static const struct producer_batch *window_newest(const struct producer_window *window)
{
    require(window->count > 0);
    return &window->batches[window->count - 1];
}

static void window_drop_oldest(struct producer_window *window, uint32_t drop_count)
{
    require(drop_count <= window->count);
    window->count -= drop_count;
    for (uint32_t i = 0; i < window->count; i++) {
        window->batches[i] = window->batches[i + drop_count];
    }
}

/* A new epoch starts the window anew. */
static void window_add(struct producer_window *window, int16_t epoch, struct producer_batch batch)
{
    if (window->count > 0 && window->epoch != epoch) {
        window->count = 0;
    }
    if (window->count == PRODUCER_BATCHES_REMEMBERED) {
        window_drop_oldest(window, 1);
    }
    window->epoch = epoch;
    window->batches[window->count++] = batch;
    ensure(window->count <= PRODUCER_BATCHES_REMEMBERED);
}

/* Looks for the batch among the newest look_count of the window. */
static const struct producer_batch *window_find(const struct producer_window *window,
                                                uint32_t look_count, int32_t first_sequence,
                                                int32_t last_sequence)
{
    uint32_t first = window->count > look_count ? window->count - look_count : 0;
    for (uint32_t i = window->count; i > first; i--) {
        const struct producer_batch *batch = &window->batches[i - 1];
        if (batch->first_sequence == first_sequence && batch->last_sequence == last_sequence) {
            return batch;
        }
    }
    return NULL;
}

/* ---- Judging ---- */

static const struct producer_window *newest_window(const struct producer *producer)
{
    return producer->pending != NULL ? &producer->pending->window : &producer->committed;
}

static const struct producer_batch *
find_duplicate(const struct producer *producer, const struct producer_batch *wanted, int16_t epoch)
{
    uint32_t look_count = PRODUCER_BATCHES_REMEMBERED;
    if (producer->pending != NULL) {
        const struct producer_window *pending = &producer->pending->window;
        const struct producer_batch *found =
            window_find(pending, look_count, wanted->first_sequence, wanted->last_sequence);
        if (found != NULL) {
            return found;
        }
        look_count -= pending->count;
    }
    if (producer->committed.count == 0 || producer->committed.epoch != epoch) {
        return NULL;
    }
    return window_find(&producer->committed, look_count, wanted->first_sequence,
                       wanted->last_sequence);
}

static enum producer_verdict refuse(enum wire_error *error, enum wire_error why)
{
    *error = why;
    return PRODUCER_REFUSED;
}

enum producer_verdict producer_check(const struct producer_table *table,
                                     const struct wire_batch *batch, int64_t *base_offset,
                                     int64_t *log_append_time_ms, enum wire_error *error)
{
    if (!is_tracked(batch)) {
        return PRODUCER_APPEND;
    }
    if (batch->producer_epoch < 0 || batch->base_sequence < 0 || batch->last_offset_delta < 0) {
        return refuse(error, WIRE_ERROR_INVALID_RECORD);
    }
    const struct producer *producer = map_get(&table->producers, (uint64_t)batch->producer_id);
    if (producer == NULL) {
        /* Nothing is known: perhaps its batches were deleted by retention, perhaps it is new.  Both
         * must be able to write. */
        return PRODUCER_APPEND;
    }
    const struct producer_window *newest = newest_window(producer);
    if (batch->producer_epoch < newest->epoch) {
        return refuse(error, WIRE_ERROR_INVALID_PRODUCER_EPOCH);
    }
    if (batch->producer_epoch > newest->epoch) {
        return batch->base_sequence == 0 ? PRODUCER_APPEND
                                         : refuse(error, WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
    }
    struct producer_batch wanted = remembered_form(batch, 0);
    const struct producer_batch *duplicate =
        find_duplicate(producer, &wanted, batch->producer_epoch);
    if (duplicate != NULL) {
        *base_offset = duplicate->base_offset;
        *log_append_time_ms = duplicate->log_append_time_ms;
        return PRODUCER_DUPLICATE;
    }
    int32_t expected = sequence_after(window_newest(newest)->last_sequence, 1);
    return batch->base_sequence == expected
               ? PRODUCER_APPEND
               : refuse(error, WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

bool producer_misses_batches(const struct producer_table *table, const struct wire_batch *batch)
{
    if (!is_tracked(batch) || batch->base_sequence <= 0) {
        return false; /* a producer begins at 0, also with a new epoch */
    }
    const struct producer *producer = map_get(&table->producers, (uint64_t)batch->producer_id);
    if (producer == NULL) {
        return true;
    }
    const struct producer_window *newest = newest_window(producer);
    if (batch->producer_epoch != newest->epoch) {
        return batch->producer_epoch > newest->epoch;
    }
    int32_t expected = sequence_after(window_newest(newest)->last_sequence, 1);
    uint32_t ahead = ((uint32_t)batch->base_sequence - (uint32_t)expected) & INT32_MAX;
    return ahead > 0 && ahead <= INT32_MAX / 2;
}

/* ---- Following the log ---- */

static struct producer *find_or_add(struct producer_table *table, int64_t id)
{
    struct producer *producer = map_get(&table->producers, (uint64_t)id);
    if (producer == NULL) {
        producer = memory_allocate_zeroed(sizeof *producer);
        producer->id = id;
        list_node_init(&producer->node);
        map_put(&table->producers, (uint64_t)id, producer);
    }
    return producer;
}

static void forget(struct producer_table *table, struct producer *producer)
{
    require(producer->pending == NULL && producer->committed.count == 0);
    map_take(&table->producers, (uint64_t)producer->id);
    memory_free(producer);
}

/* Takes the committed part away, and with it the producer unless it has a pending one. */
static void forget_committed(struct producer_table *table, struct producer *producer)
{
    require(producer->committed.count > 0);
    list_remove(&producer->node);
    table->committed_count--;
    producer->committed.count = 0;
    if (producer->pending == NULL) {
        forget(table, producer);
    }
}

static struct producer_pending *pending_begin(struct producer_table *table,
                                              struct producer *producer)
{
    struct list_node *node = list_take_first(&table->spare);
    struct producer_pending *pending = node != NULL
                                           ? container_of(node, struct producer_pending, node)
                                           : memory_allocate_zeroed(sizeof *pending);
    *pending = (struct producer_pending){.producer = producer};
    list_node_init(&pending->node);
    list_append(&table->pending, &pending->node);
    producer->pending = pending;
    return pending;
}

static void pending_end(struct producer_table *table, struct producer *producer)
{
    list_remove(&producer->pending->node);
    list_append(&table->spare, &producer->pending->node);
    producer->pending = NULL;
}

void producer_appended(struct producer_table *table, const struct wire_batch *batch,
                       int64_t base_offset)
{
    if (!is_tracked(batch)) {
        return;
    }
    require(base_offset >= 0 && batch->producer_epoch >= 0);
    struct producer *producer = find_or_add(table, batch->producer_id);
    struct producer_pending *pending =
        producer->pending != NULL ? producer->pending : pending_begin(table, producer);
    window_add(&pending->window, batch->producer_epoch, remembered_form(batch, base_offset));
}

/* What was pending up to base_offset is committed now. */
static void settle_pending(struct producer_table *table, struct producer *producer,
                           int64_t base_offset)
{
    if (producer->pending == NULL) {
        return;
    }
    struct producer_window *window = &producer->pending->window;
    uint32_t settled = 0;
    while (settled < window->count && window->batches[settled].base_offset <= base_offset) {
        settled++;
    }
    window_drop_oldest(window, settled);
    if (window->count == 0) {
        pending_end(table, producer);
    }
}

void producer_committed(struct producer_table *table, const struct wire_batch *batch,
                        int64_t base_offset)
{
    if (!is_tracked(batch)) {
        return;
    }
    struct producer *producer = find_or_add(table, batch->producer_id);
    struct producer_window *window = &producer->committed;
    require(window->count == 0 || base_offset > window_newest(window)->base_offset);
    settle_pending(table, producer, base_offset);
    if (window->count == 0) {
        table->committed_count++;
    }
    window_add(window, batch->producer_epoch, remembered_form(batch, base_offset));
    producer->newest_timestamp_ms = batch->max_timestamp;
    producer_table_touch(table, producer);
    if (table->committed_count > PRODUCERS_MAX) {
        struct list_node *oldest = list_first(&table->committed);
        forget_committed(table, container_of(oldest, struct producer, node));
    }
    ensure(table->committed_count <= PRODUCERS_MAX);
}

void producer_table_touch(struct producer_table *table, struct producer *producer)
{
    list_remove(&producer->node);
    list_append(&table->committed, &producer->node);
}

void producer_drop_pending(struct producer_table *table)
{
    list_for_each(&table->pending, node)
    {
        struct producer *producer = container_of(node, struct producer_pending, node)->producer;
        pending_end(table, producer);
        if (producer->committed.count == 0) {
            forget(table, producer);
        }
    }
    ensure(list_is_empty(&table->pending));
}

size_t producer_describe(const struct producer_table *table,
                         struct producer_description *descriptions)
{
    size_t count = 0;
    list_for_each(&table->committed, node)
    {
        const struct producer *producer = container_of(node, struct producer, node);
        descriptions[count++] = (struct producer_description){
            .id = producer->id,
            .epoch = producer->committed.epoch,
            .last_sequence = window_newest(&producer->committed)->last_sequence,
            .last_timestamp_ms = producer->newest_timestamp_ms,
        };
    }
    ensure(count == table->committed_count);
    return count;
}

void producer_expire(struct producer_table *table, int64_t oldest_ms)
{
    list_for_each(&table->committed, node)
    {
        struct producer *producer = container_of(node, struct producer, node);
        if (producer->newest_timestamp_ms < oldest_ms && producer->pending == NULL) {
            forget_committed(table, producer);
        }
    }
}

static int compare_offsets(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

uint64_t *producer_heads(const struct producer_table *table, size_t *count)
{
    *count = 0;
    if (table->committed_count == 0) {
        return NULL;
    }
    uint64_t *heads =
        memory_allocate(table->committed_count * PRODUCER_BATCHES_REMEMBERED * sizeof(heads[0]));
    list_for_each(&table->committed, node)
    {
        const struct producer *producer = container_of(node, struct producer, node);
        for (uint32_t i = 0; i < producer->committed.count; i++) {
            heads[(*count)++] = (uint64_t)producer->committed.batches[i].base_offset;
        }
    }
    qsort(heads, *count, sizeof(heads[0]), compare_offsets);
    return heads;
}
