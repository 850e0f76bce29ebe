/* SPDX-License-Identifier: Apache-2.0
 *
 * batches.c -- makes record batches.
 */
#include "unit/wire/batches.h"

#include "base/assert.h"
#include "base/crc32c.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define SNAPPY_BLOCK_BYTES 32768
#define FIRST_TIMESTAMP_MS 1000

static void write_record(struct wire_writer *writer, int32_t number, size_t value_bytes)
{
    char key[32];
    int key_length = snprintf(key, sizeof(key), "key-%d", number);
    struct wire_writer record;
    wire_writer_init(&record, 0);
    wire_write_int8(&record, 0);
    wire_write_varlong(&record, number);
    wire_write_varint(&record, number);
    wire_write_varint(&record, key_length);
    wire_write_raw(&record, key, (size_t)key_length);
    wire_write_varint(&record, (int32_t)value_bytes);
    for (size_t i = 0; i < value_bytes; i++) {
        wire_write_int8(&record, (int8_t)('a' + (number + (int32_t)i * 7) % 26));
    }
    wire_write_varint(&record, 1);
    wire_write_varint(&record, 1);
    wire_write_raw(&record, "h", 1);
    wire_write_varint(&record, -1);
    wire_write_varint(writer, (int32_t)wire_writer_length(&record));
    wire_write_raw(writer, record.buf->data, record.buf->length_bytes);
    wire_writer_free(&record);
}

static size_t compress_gzip(uint8_t *output, size_t capacity, const uint8_t *data, size_t length)
{
    z_stream stream = {0};
    int result =
        deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    ensure(result == Z_OK);
    stream.next_in = (Bytef *)(uintptr_t)data;
    stream.avail_in = (uInt)length;
    stream.next_out = output;
    stream.avail_out = (uInt)capacity;
    result = deflate(&stream, Z_FINISH);
    ensure(result == Z_STREAM_END);
    size_t written = stream.total_out;
    deflateEnd(&stream);
    return written;
}

static void write_snappy_block(struct wire_writer *writer, const uint8_t *data, size_t length,
                               bool framed)
{
    size_t capacity = snappy_max_compressed_length(length);
    struct buf *block = buf_new(capacity);
    snappy_status status =
        snappy_compress((const char *)data, length, (char *)block->data, &capacity);
    ensure(status == SNAPPY_OK);
    if (framed) {
        wire_write_int32(writer, (int32_t)capacity);
    }
    wire_write_raw(writer, block->data, capacity);
    buf_release(block);
}

static struct buf *compress_snappy(const uint8_t *data, size_t length, bool framed)
{
    struct wire_writer writer;
    wire_writer_init(&writer, length);
    if (!framed) {
        write_snappy_block(&writer, data, length, false);
        return wire_writer_take(&writer);
    }
    wire_write_raw(&writer, "\x82SNAPPY\0", 8);
    wire_write_int32(&writer, 1);
    wire_write_int32(&writer, 1);
    for (size_t done = 0; done < length; done += SNAPPY_BLOCK_BYTES) {
        size_t left = length - done;
        write_snappy_block(&writer, data + done,
                           left < SNAPPY_BLOCK_BYTES ? left : SNAPPY_BLOCK_BYTES, true);
    }
    return wire_writer_take(&writer);
}

struct buf *batch_compress(int compression, const uint8_t *data, size_t length)
{
    if (compression == WIRE_COMPRESSION_SNAPPY || compression == BATCH_SNAPPY_FRAMED) {
        return compress_snappy(data, length, compression == BATCH_SNAPPY_FRAMED);
    }
    const size_t capacity = 2 * length + 4096;
    struct buf *buf = buf_new(capacity);
    switch (compression) {
    case WIRE_COMPRESSION_GZIP:
        buf->length_bytes = compress_gzip(buf->data, capacity, data, length);
        break;
    case WIRE_COMPRESSION_LZ4:
        buf->length_bytes = LZ4F_compressFrame(buf->data, capacity, data, length, NULL);
        break;
    case WIRE_COMPRESSION_ZSTD:
        buf->length_bytes = ZSTD_compress(buf->data, capacity, data, length, 3);
        break;
    default:
        memcpy(buf->data, data, length);
        buf->length_bytes = length;
        break;
    }
    ensure(buf->length_bytes <= capacity);
    return buf;
}

static void put_big_endian(uint8_t *place, int64_t value, size_t size)
{
    uint64_t rest = (uint64_t)value;
    for (size_t i = size; i > 0; i--) {
        place[i - 1] = (uint8_t)rest;
        rest >>= 8;
    }
}

void batch_put(struct buf *batch, size_t place, size_t size, int64_t value)
{
    ensure(place + size <= batch->length_bytes);
    put_big_endian(batch->data + place, value, size);
    put_big_endian(batch->data + 17, crc32c(0, batch->data + 21, batch->length_bytes - 21), 4);
}

struct buf *batch_from_body(const uint8_t *body, size_t length, int32_t record_count,
                            int compression)
{
    struct wire_writer writer;
    wire_writer_init(&writer, WIRE_BATCH_HEAD_BYTES + length);
    wire_write_int64(&writer, 0);
    wire_write_int32(&writer, (int32_t)(WIRE_BATCH_HEAD_BYTES - WIRE_BATCH_PREFIX_BYTES + length));
    wire_write_int32(&writer, 0);
    wire_write_int8(&writer, 2);
    wire_write_uint32(&writer, 0);
    wire_write_int16(&writer, (int16_t)compression);
    wire_write_int32(&writer, record_count - 1);
    wire_write_int64(&writer, FIRST_TIMESTAMP_MS);
    wire_write_int64(&writer, FIRST_TIMESTAMP_MS + record_count - 1);
    wire_write_int64(&writer, -1);
    wire_write_int16(&writer, -1);
    wire_write_int32(&writer, -1);
    wire_write_int32(&writer, record_count);
    wire_write_raw(&writer, body, length);
    struct buf *batch = wire_writer_take(&writer);
    batch_put(batch, 0, 8, 0);
    return batch;
}

struct buf *batch_new_sized(int32_t record_count, int compression, size_t value_bytes)
{
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    for (int32_t i = 0; i < record_count; i++) {
        write_record(&writer, i, value_bytes);
    }
    struct buf *plain = wire_writer_take(&writer);
    struct buf *body = batch_compress(compression, plain->data, plain->length_bytes);
    struct buf *batch =
        batch_from_body(body->data, body->length_bytes, record_count,
                        compression == BATCH_SNAPPY_FRAMED ? WIRE_COMPRESSION_SNAPPY : compression);
    buf_release(body);
    buf_release(plain);
    return batch;
}

struct buf *batch_new(int32_t record_count, int compression)
{
    return batch_new_sized(record_count, compression, 10);
}
