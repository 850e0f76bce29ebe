/* SPDX-License-Identifier: Apache-2.0
 *
 * batch_write.c -- building record batches of the broker's own: uncompressed, without producer.
 *
 * The head is written first with zeros where counts belong, and mended when the last record is in.
 *
 * Locality: plain data.
 */
#include "base/assert.h"
#include "wire/batch.h"

#define MAGIC 2
#define PLACE_LENGTH 8
#define PLACE_LAST_OFFSET_DELTA 23
#define PLACE_RECORD_COUNT 57
/* Attributes, timestamp delta and header count of a record, one byte each. */
#define RECORD_FIXED_BYTES 3

static size_t varint_bytes(int32_t value)
{
    uint32_t rest = (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0);
    size_t bytes = 1;
    while (rest >= 0x80) {
        rest >>= 7;
        bytes++;
    }
    return bytes;
}

void wire_batch_writer_begin(struct wire_batch_writer *batch, int64_t timestamp_ms)
{
    struct wire_writer *writer = &batch->writer;
    batch->record_count = 0;
    wire_writer_init(writer, WIRE_BATCH_HEAD_BYTES + 256);
    wire_write_int64(writer, 0);
    wire_write_int32(writer, 0);  /* length: in the end */
    wire_write_int32(writer, -1); /* leader epoch: stamped when the batch is stored */
    wire_write_int8(writer, MAGIC);
    wire_write_uint32(writer, 0); /* checksum: in the end */
    wire_write_int16(writer, 0);
    wire_write_int32(writer, 0); /* last offset delta: in the end */
    wire_write_int64(writer, timestamp_ms);
    wire_write_int64(writer, timestamp_ms);
    wire_write_int64(writer, -1); /* no producer id, epoch, sequence */
    wire_write_int16(writer, -1);
    wire_write_int32(writer, -1);
    wire_write_int32(writer, 0); /* record count: in the end */
    ensure(wire_writer_length(writer) == WIRE_BATCH_HEAD_BYTES);
}

void wire_batch_writer_add(struct wire_batch_writer *batch, const void *key, int32_t key_length,
                           const void *value, int32_t value_length)
{
    require(key_length >= -1 && value_length >= -1);
    require(key_length <= INT32_MAX / 4 && value_length <= INT32_MAX / 4);
    struct wire_writer *writer = &batch->writer;
    int32_t offset_delta = batch->record_count++;
    size_t key_bytes = key_length > 0 ? (size_t)key_length : 0;
    size_t value_bytes = value_length > 0 ? (size_t)value_length : 0;
    size_t length = RECORD_FIXED_BYTES + varint_bytes(offset_delta) + varint_bytes(key_length) +
                    key_bytes + varint_bytes(value_length) + value_bytes;
    wire_write_varint(writer, (int32_t)length);
    wire_write_int8(writer, 0);
    wire_write_varlong(writer, 0); /* the timestamp is the batch's */
    wire_write_varint(writer, offset_delta);
    wire_write_varint(writer, key_length);
    wire_write_raw(writer, key, key_bytes);
    wire_write_varint(writer, value_length);
    wire_write_raw(writer, value, value_bytes);
    wire_write_varint(writer, 0);
}

struct buf *wire_batch_writer_finish(struct wire_batch_writer *batch)
{
    require(batch->record_count > 0);
    struct wire_writer *writer = &batch->writer;
    size_t length = wire_writer_length(writer);
    require(length <= INT32_MAX);
    wire_patch_int32(writer, PLACE_LENGTH, (int32_t)(length - WIRE_BATCH_PREFIX_BYTES));
    wire_patch_int32(writer, PLACE_LAST_OFFSET_DELTA, batch->record_count - 1);
    wire_patch_int32(writer, PLACE_RECORD_COUNT, batch->record_count);
    struct buf *buf = wire_writer_take(writer);
    wire_batch_write_crc(buf->data, buf->length_bytes);
    return buf;
}

void wire_batch_writer_drop(struct wire_batch_writer *batch)
{
    wire_writer_free(&batch->writer);
}

struct buf *wire_batch_build(const void *key, int32_t key_length, const void *value,
                             int32_t value_length, int64_t timestamp_ms)
{
    struct wire_batch_writer batch;
    wire_batch_writer_begin(&batch, timestamp_ms);
    wire_batch_writer_add(&batch, key, key_length, value, value_length);
    return wire_batch_writer_finish(&batch);
}
