/* SPDX-License-Identifier: Apache-2.0
 *
 * batch_filter.c -- a record batch with fewer records, or none, at the same offsets.
 *
 * What is left keeps its place: base offset, last offset, leader epoch and sequence stay in the
 * head, so that positions, terms and producers are what they were; records are copied byte for
 * byte.
 *
 * Locality: any.
 */
#include "base/assert.h"
#include "base/buf.h"
#include "wire/batch.h"
#include "wire/compress.h"
#include "wire/record.h"

#include <string.h>

enum {
    PLACE_LENGTH = 8,
    PLACE_ATTRIBUTES = 21,
    PLACE_LAST_OFFSET_DELTA = 23,
    PLACE_MAX_TIMESTAMP = 35,
    PLACE_RECORD_COUNT = 57,
};

#define MAGIC 2
#define COMPRESSION_BITS 7

static void patch_int64(struct wire_writer *writer, size_t position, int64_t value)
{
    wire_patch_int32(writer, position, (int32_t)((uint64_t)value >> 32));
    wire_patch_int32(writer, position + 4, (int32_t)(uint32_t)(uint64_t)value);
}

/* The batch is written but for its length and checksum. */
static struct buf *finish(struct wire_writer *writer)
{
    size_t length = wire_writer_length(writer);
    require(length >= WIRE_BATCH_HEAD_BYTES && length <= INT32_MAX);
    wire_patch_int32(writer, PLACE_LENGTH, (int32_t)(length - WIRE_BATCH_PREFIX_BYTES));
    struct buf *buf = wire_writer_take(writer);
    wire_batch_write_crc(buf->data, buf->length_bytes);
    return buf;
}

/* The records that stay, encoded one after another. */
struct kept {
    struct wire_writer records;
    int32_t count;
    int32_t seen;
    int64_t max_timestamp_ms;
};

static void keep_record(struct kept *kept, const struct wire_record *record)
{
    wire_write_varint(&kept->records, record->encoded.length);
    wire_write_raw(&kept->records, record->encoded.data, (size_t)record->encoded.length);
    if (kept->count == 0 || record->timestamp_ms > kept->max_timestamp_ms) {
        kept->max_timestamp_ms = record->timestamp_ms;
    }
    kept->count++;
}

static struct buf *build(const struct wire_batch *batch, struct kept *kept)
{
    struct buf *plain = wire_writer_take(&kept->records);
    int compression = wire_batch_compression(batch);
    struct buf *body = compression == WIRE_COMPRESSION_NONE
                           ? NULL
                           : wire_compress(compression, plain->data, plain->length_bytes);
    bool is_plain = body == NULL;
    body = is_plain ? buf_reference(plain) : body;
    struct wire_writer writer;
    wire_writer_init(&writer, WIRE_BATCH_HEAD_BYTES + body->length_bytes);
    wire_write_raw(&writer, batch->data, WIRE_BATCH_HEAD_BYTES);
    wire_write_raw(&writer, body->data, body->length_bytes);
    patch_int64(&writer, PLACE_MAX_TIMESTAMP, kept->max_timestamp_ms);
    wire_patch_int32(&writer, PLACE_RECORD_COUNT, kept->count);
    buf_release(body);
    buf_release(plain);
    if (is_plain) {
        writer.buf->data[PLACE_ATTRIBUTES + 1] &= (uint8_t)~COMPRESSION_BITS;
    }
    return finish(&writer);
}

enum wire_batch_rest wire_batch_filter(const struct wire_batch *batch,
                                       bool (*keeps)(const struct wire_record *record,
                                                     void *context),
                                       void *context, struct buf **rest)
{
    require(batch->data != NULL);
    *rest = NULL;
    struct kept kept = {.count = 0};
    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(batch, SIZE_MAX);
    wire_writer_init(&kept.records, batch->total_bytes);
    while (wire_record_reader_next(reader, &record)) {
        kept.seen++;
        if (keeps(&record, context)) {
            keep_record(&kept, &record);
        }
    }
    bool is_readable = wire_record_reader_error(reader) == NULL;
    wire_record_reader_close(reader);
    enum wire_batch_rest result = WIRE_BATCH_REST_SOME;
    if (!is_readable) {
        result = WIRE_BATCH_REST_UNKNOWN;
    } else if (kept.count == 0) {
        result = WIRE_BATCH_REST_NOTHING;
    } else if (kept.count == kept.seen) {
        result = WIRE_BATCH_REST_ALL;
    }
    if (result == WIRE_BATCH_REST_SOME) {
        *rest = build(batch, &kept);
    } else {
        wire_writer_free(&kept.records);
    }
    return result;
}

struct buf *wire_batch_empty(const struct wire_batch *batch)
{
    require(batch->data != NULL);
    struct wire_writer writer;
    wire_writer_init(&writer, WIRE_BATCH_HEAD_BYTES);
    wire_write_raw(&writer, batch->data, WIRE_BATCH_HEAD_BYTES);
    wire_patch_int32(&writer, PLACE_RECORD_COUNT, 0);
    writer.buf->data[PLACE_ATTRIBUTES + 1] &= (uint8_t)~COMPRESSION_BITS;
    return finish(&writer);
}

struct buf *wire_batch_filler(int64_t base_offset, int32_t last_offset_delta, int32_t leader_epoch)
{
    require(base_offset >= 0 && last_offset_delta >= 0 && leader_epoch >= 0);
    struct wire_writer writer;
    wire_writer_init(&writer, WIRE_BATCH_HEAD_BYTES);
    wire_write_int64(&writer, base_offset);
    wire_write_int32(&writer, 0); /* length: in the end */
    wire_write_int32(&writer, leader_epoch);
    wire_write_int8(&writer, MAGIC);
    wire_write_uint32(&writer, 0); /* checksum: in the end */
    wire_write_int16(&writer, 0);
    wire_write_int32(&writer, last_offset_delta);
    wire_write_int64(&writer, -1); /* no record, no timestamp */
    wire_write_int64(&writer, -1);
    wire_write_int64(&writer, -1); /* no producer id, epoch, sequence */
    wire_write_int16(&writer, -1);
    wire_write_int32(&writer, -1);
    wire_write_int32(&writer, 0);
    ensure(wire_writer_length(&writer) == WIRE_BATCH_HEAD_BYTES);
    return finish(&writer);
}
