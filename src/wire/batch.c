/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.c -- the head of a record batch: reading, checking, stamping, building.  Walking its
 * records, compressed or not, is record_reader.c.
 */
#include "wire/batch.h"

#include "base/assert.h"
#include "base/big_endian.h"
#include "base/crc32c.h"
#include "wire/record.h"
#include "wire/writer.h"

#include <string.h>

/* Places in the head; the checksum covers everything from the attributes on. */
enum {
    PLACE_BASE_OFFSET = 0,
    PLACE_LENGTH = 8,
    PLACE_LEADER_EPOCH = 12,
    PLACE_MAGIC = 16,
    PLACE_CRC = 17,
    PLACE_ATTRIBUTES = 21,
    PLACE_LAST_OFFSET_DELTA = 23,
    PLACE_BASE_TIMESTAMP = 27,
    PLACE_MAX_TIMESTAMP = 35,
    PLACE_PRODUCER_ID = 43,
    PLACE_PRODUCER_EPOCH = 51,
    PLACE_BASE_SEQUENCE = 53,
    PLACE_RECORD_COUNT = 57,
    PLACE_END = 61,
};

_Static_assert(PLACE_END == WIRE_BATCH_HEAD_BYTES, "the places are those of the head");

#define MAGIC 2
#define LENGTH_MIN (WIRE_BATCH_HEAD_BYTES - WIRE_BATCH_PREFIX_BYTES)
#define ATTRIBUTE_LOG_APPEND_TIME 8

bool wire_batch_read(struct wire_batch *batch, const uint8_t *data, size_t length)
{
    if (length < WIRE_BATCH_HEAD_BYTES) {
        return false;
    }
    *batch = (struct wire_batch){0};
    batch->base_offset = (int64_t)big_endian_get(data + PLACE_BASE_OFFSET, 8);
    const int32_t rest_bytes = (int32_t)big_endian_get(data + PLACE_LENGTH, 4);
    if (rest_bytes < LENGTH_MIN) {
        return false;
    }
    batch->total_bytes = (uint32_t)rest_bytes + WIRE_BATCH_PREFIX_BYTES;
    batch->data = batch->total_bytes <= length ? data : NULL;
    batch->leader_epoch = (int32_t)big_endian_get(data + PLACE_LEADER_EPOCH, 4);
    batch->magic = (int8_t)data[PLACE_MAGIC];
    batch->crc = (uint32_t)big_endian_get(data + PLACE_CRC, 4);
    batch->attributes = (int16_t)big_endian_get(data + PLACE_ATTRIBUTES, 2);
    batch->last_offset_delta = (int32_t)big_endian_get(data + PLACE_LAST_OFFSET_DELTA, 4);
    batch->base_timestamp = (int64_t)big_endian_get(data + PLACE_BASE_TIMESTAMP, 8);
    batch->max_timestamp = (int64_t)big_endian_get(data + PLACE_MAX_TIMESTAMP, 8);
    batch->producer_id = (int64_t)big_endian_get(data + PLACE_PRODUCER_ID, 8);
    batch->producer_epoch = (int16_t)big_endian_get(data + PLACE_PRODUCER_EPOCH, 2);
    batch->base_sequence = (int32_t)big_endian_get(data + PLACE_BASE_SEQUENCE, 4);
    batch->record_count = (int32_t)big_endian_get(data + PLACE_RECORD_COUNT, 4);
    return true;
}

bool wire_batch_crc_matches(const struct wire_batch *batch)
{
    require(batch->total_bytes >= WIRE_BATCH_HEAD_BYTES);
    return batch->data != NULL && crc32c(0, batch->data + PLACE_ATTRIBUTES,
                                         batch->total_bytes - PLACE_ATTRIBUTES) == batch->crc;
}

/* What is wrong with the numbers of the head, or NULL. */
static const char *check_head(const struct wire_batch *batch)
{
    const size_t body_bytes = batch->total_bytes - WIRE_BATCH_HEAD_BYTES;
    const bool compressed = wire_batch_compression(batch) != WIRE_COMPRESSION_NONE;
    const size_t expanded_bytes_max = compressed ? body_bytes * WIRE_EXPANSION_MAX : body_bytes;
    if (wire_batch_is_control(batch)) {
        return "a client may not write control batches";
    }
    if (batch->record_count < 1) {
        return "a batch without records";
    }
    if ((size_t)batch->record_count > expanded_bytes_max / WIRE_RECORD_BYTES_MIN) {
        return "a batch with more records than it can hold";
    }
    if (batch->last_offset_delta != batch->record_count - 1) {
        return "the last offset of the batch does not fit its record count";
    }
    if (batch->producer_id < 0 && wire_batch_is_transactional(batch)) {
        return "a transactional batch without producer id";
    }
    if (batch->producer_id >= 0 && (batch->producer_epoch < 0 || batch->base_sequence < 0)) {
        return "a batch with a producer id but no epoch or sequence";
    }
    return NULL;
}

const char *wire_batch_check_records(const struct wire_batch *batch)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, batch->data + WIRE_BATCH_HEAD_BYTES,
                     batch->total_bytes - WIRE_BATCH_HEAD_BYTES, NULL);
    for (int32_t i = 0; i < batch->record_count; i++) {
        const int32_t record_bytes = wire_read_varint(&cursor);
        if (cursor.error != NULL || record_bytes < 0) {
            return "the batch ends before its last record";
        }
        const uint8_t *data = wire_read_raw(&cursor, (size_t)record_bytes);
        if (data == NULL) {
            return "a record is longer than its batch";
        }
        struct wire_record record;
        struct wire_cursor inside;
        wire_cursor_init(&inside, data, (size_t)record_bytes, NULL);
        if (!wire_record_read(&record, batch, &inside)) {
            return inside.error;
        }
        if (record.offset_delta != i) {
            return "the offsets of the records leave a gap";
        }
    }
    return wire_remaining(&cursor) == 0 ? NULL : "bytes after the last record";
}

enum wire_error wire_batch_validate(struct wire_batch *batch, const uint8_t *data, size_t length,
                                    const char **reason)
{
    if (!wire_batch_read(batch, data, length) || batch->data == NULL) {
        *reason = "not a whole record batch";
        return WIRE_ERROR_CORRUPT_MESSAGE;
    }
    if (batch->magic != MAGIC) {
        *reason = "only record format 2 is taken";
        return batch->magic == 0 || batch->magic == 1 ? WIRE_ERROR_UNSUPPORTED_FOR_MESSAGE_FORMAT
                                                      : WIRE_ERROR_CORRUPT_MESSAGE;
    }
    if (batch->total_bytes != length) {
        *reason = "more than one record batch";
        return WIRE_ERROR_INVALID_RECORD;
    }
    if (!wire_batch_crc_matches(batch)) {
        *reason = "the checksum does not match";
        return WIRE_ERROR_CORRUPT_MESSAGE;
    }
    if (wire_batch_compression(batch) > WIRE_COMPRESSION_ZSTD) {
        *reason = "an unknown compression";
        return WIRE_ERROR_UNSUPPORTED_COMPRESSION_TYPE;
    }
    *reason = check_head(batch);
    if (*reason == NULL && wire_batch_compression(batch) == WIRE_COMPRESSION_NONE) {
        *reason = wire_batch_check_records(batch);
    }
    return *reason == NULL ? WIRE_ERROR_NONE : WIRE_ERROR_INVALID_RECORD;
}

void wire_batch_stamp(uint8_t *data, int64_t base_offset, int32_t leader_epoch)
{
    require(data != NULL);
    big_endian_put(data + PLACE_BASE_OFFSET, (uint64_t)base_offset, 8);
    big_endian_put(data + PLACE_LEADER_EPOCH, (uint64_t)leader_epoch, 4);
}

void wire_batch_write_crc(uint8_t *data, size_t length)
{
    big_endian_put(data + PLACE_CRC, crc32c(0, data + PLACE_ATTRIBUTES, length - PLACE_ATTRIBUTES),
                   4);
}

void wire_batch_set_append_time(uint8_t *data, size_t length, int64_t timestamp_ms)
{
    require(data != NULL && length >= WIRE_BATCH_HEAD_BYTES);
    data[PLACE_ATTRIBUTES + 1] |= ATTRIBUTE_LOG_APPEND_TIME;
    big_endian_put(data + PLACE_MAX_TIMESTAMP, (uint64_t)timestamp_ms, 8);
    wire_batch_write_crc(data, length);
}
