/* SPDX-License-Identifier: Apache-2.0
 *
 * producer_snapshot.c -- the committed part of the producer table as bytes.
 *
 * Producers stand in the order of their newest batches, so equal tables give equal bytes and the
 * order in which they will be forgotten survives.  Whoever stores the bytes adds a checksum; what
 * is read back is checked all the same, as it may come from a peer.
 *
 * Locality: the shard of the partition.
 */
#include "txn/producer.h"
#include "txn/producer_table.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#define SNAPSHOT_VERSION 0
#define PRODUCER_BYTES 19 /* id, epoch, timestamp, batch count */
#define BATCH_BYTES 24

static void write_producer(struct wire_writer *writer, const struct producer *producer)
{
    wire_write_int64(writer, producer->id);
    wire_write_int16(writer, producer->committed.epoch);
    wire_write_int64(writer, producer->newest_timestamp_ms);
    wire_write_int8(writer, (int8_t)producer->committed.count);
    for (uint32_t i = 0; i < producer->committed.count; i++) {
        const struct producer_batch *batch = &producer->committed.batches[i];
        wire_write_int32(writer, batch->first_sequence);
        wire_write_int32(writer, batch->last_sequence);
        wire_write_int64(writer, batch->base_offset);
        wire_write_int64(writer, batch->log_append_time_ms);
    }
}

void producer_snapshot_write(const struct producer_table *table, struct buf **content)
{
    struct wire_writer writer;
    wire_writer_init(&writer, 8 + table->committed_count *
                                      (PRODUCER_BYTES + PRODUCER_BATCHES_REMEMBERED * BATCH_BYTES));
    wire_write_int16(&writer, SNAPSHOT_VERSION);
    wire_write_uint32(&writer, (uint32_t)table->committed_count);
    list_for_each(&table->committed, node)
    {
        write_producer(&writer, container_of(node, struct producer, node));
    }
    *content = wire_writer_take(&writer);
}

static void read_batch(struct wire_cursor *cursor, struct producer_window *window)
{
    struct producer_batch batch = {
        .first_sequence = wire_read_int32(cursor),
        .last_sequence = wire_read_int32(cursor),
        .base_offset = wire_read_int64(cursor),
        .log_append_time_ms = wire_read_int64(cursor),
    };
    int64_t least_offset =
        window->count == 0 ? 0 : window->batches[window->count - 1].base_offset + 1;
    if (batch.first_sequence < 0 || batch.last_sequence < 0 || batch.base_offset < least_offset) {
        wire_fail(cursor, "a remembered batch is out of order");
        return;
    }
    window->batches[window->count++] = batch;
}

static void read_producer(struct wire_cursor *cursor, struct producer_table *table)
{
    int64_t id = wire_read_int64(cursor);
    struct producer_window window = {.epoch = wire_read_int16(cursor)};
    int64_t newest_timestamp_ms = wire_read_int64(cursor);
    int8_t batch_count = wire_read_int8(cursor);
    if (id < 0 || window.epoch < 0 || batch_count < 1 ||
        batch_count > PRODUCER_BATCHES_REMEMBERED ||
        map_get(&table->producers, (uint64_t)id) != NULL) {
        wire_fail(cursor, "a producer makes no sense");
        return;
    }
    for (int8_t i = 0; i < batch_count; i++) {
        read_batch(cursor, &window);
    }
    if (cursor->error != NULL) {
        return;
    }
    struct producer *producer = memory_allocate_zeroed(sizeof *producer);
    producer->id = id;
    producer->newest_timestamp_ms = newest_timestamp_ms;
    producer->committed = window;
    list_node_init(&producer->node);
    map_put(&table->producers, (uint64_t)id, producer);
    table->committed_count++;
    producer_table_touch(table, producer);
}

bool producer_snapshot_restore(struct producer_table *table, const uint8_t *content, size_t length)
{
    struct wire_cursor cursor;
    producer_table_reset(table);
    wire_cursor_init(&cursor, content, length, NULL);
    int16_t version = wire_read_int16(&cursor);
    uint32_t count = wire_read_uint32(&cursor);
    if (version != SNAPSHOT_VERSION || count > PRODUCERS_MAX) {
        wire_fail(&cursor, "unknown version or too many producers");
    }
    for (uint32_t i = 0; i < count && cursor.error == NULL; i++) {
        read_producer(&cursor, table);
    }
    if (cursor.error != NULL || wire_remaining(&cursor) > 0) {
        producer_table_reset(table);
        return false;
    }
    ensure(table->committed_count == count);
    return true;
}
