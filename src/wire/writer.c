/* SPDX-License-Identifier: Apache-2.0
 *
 * writer.c -- big-endian writing into a buf that doubles when it is full.
 */
#include "wire/writer.h"

#include "base/assert.h"
#include "base/big_endian.h"
#include "base/memory.h"

#include <string.h>

#define CAPACITY_MIN_BYTES 64
#define SPLICES_MIN 8

void wire_writer_init(struct wire_writer *writer, size_t capacity_hint)
{
    *writer = (struct wire_writer){0};
    writer->buf = buf_new(capacity_hint < CAPACITY_MIN_BYTES ? CAPACITY_MIN_BYTES : capacity_hint);
}

void wire_writer_free(struct wire_writer *writer)
{
    buf_release(writer->buf);
    memory_free(writer->splices);
    *writer = (struct wire_writer){0};
}

struct buf *wire_writer_take(struct wire_writer *writer)
{
    require(writer->buf != NULL && writer->splice_count == 0);
    struct buf *buf = writer->buf;
    writer->buf = NULL;
    wire_writer_free(writer);
    return buf;
}

size_t wire_writer_length(const struct wire_writer *writer)
{
    return writer->buf->length_bytes;
}

/* Moves what is written into a buf with room for size more. */
static void grow(struct wire_writer *writer, size_t size)
{
    struct buf *old = writer->buf;
    require(size <= SIZE_MAX / 4 && old->capacity_bytes <= SIZE_MAX / 4);
    size_t capacity = old->capacity_bytes * 2;
    while (capacity - old->length_bytes < size) {
        capacity *= 2;
    }
    struct buf *larger = buf_new(capacity);
    memcpy(larger->data, old->data, old->length_bytes);
    larger->length_bytes = old->length_bytes;
    buf_release(old);
    writer->buf = larger;
}

/* The place of the next size bytes, which count as written. */
static uint8_t *extend(struct wire_writer *writer, size_t size)
{
    require(writer->buf != NULL);
    if (writer->buf->capacity_bytes - writer->buf->length_bytes < size) {
        grow(writer, size);
    }
    uint8_t *place = writer->buf->data + writer->buf->length_bytes;
    writer->buf->length_bytes += size;
    return place;
}

static inline void write_big_endian(struct wire_writer *writer, uint64_t value, size_t size)
{
    big_endian_put(extend(writer, size), value, size);
}

void wire_write_int8(struct wire_writer *writer, int8_t value)
{
    write_big_endian(writer, (uint64_t)value, 1);
}

void wire_write_int16(struct wire_writer *writer, int16_t value)
{
    write_big_endian(writer, (uint64_t)value, 2);
}

void wire_write_uint16(struct wire_writer *writer, uint16_t value)
{
    write_big_endian(writer, value, 2);
}

void wire_write_int32(struct wire_writer *writer, int32_t value)
{
    write_big_endian(writer, (uint64_t)value, 4);
}

void wire_write_uint32(struct wire_writer *writer, uint32_t value)
{
    write_big_endian(writer, value, 4);
}

void wire_write_int64(struct wire_writer *writer, int64_t value)
{
    write_big_endian(writer, (uint64_t)value, 8);
}

void wire_write_float64(struct wire_writer *writer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    write_big_endian(writer, bits, 8);
}

void wire_write_bool(struct wire_writer *writer, bool value)
{
    write_big_endian(writer, value ? 1 : 0, 1);
}

void wire_write_uuid(struct wire_writer *writer, const struct uuid *value)
{
    wire_write_raw(writer, value->bytes, sizeof(value->bytes));
}

static void write_groups(struct wire_writer *writer, uint64_t value)
{
    uint8_t bytes[10];
    size_t count = 0;
    while (value >= 0x80) {
        bytes[count++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    bytes[count++] = (uint8_t)value;
    wire_write_raw(writer, bytes, count);
}

void wire_write_unsigned_varint(struct wire_writer *writer, uint32_t value)
{
    write_groups(writer, value);
}

void wire_write_varint(struct wire_writer *writer, int32_t value)
{
    write_groups(writer, (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0));
}

void wire_write_varlong(struct wire_writer *writer, int64_t value)
{
    write_groups(writer, (uint64_t)value << 1 ^ (value < 0 ? UINT64_MAX : 0));
}

void wire_write_raw(struct wire_writer *writer, const void *data, size_t length)
{
    if (length > 0) {
        require(data != NULL);
        memcpy(extend(writer, length), data, length);
    }
}

void wire_write_splice(struct wire_writer *writer, void *payload, size_t length)
{
    require(payload != NULL && length > 0);
    if (writer->splice_count == writer->splice_capacity) {
        size_t capacity = writer->splice_capacity == 0 ? SPLICES_MIN : writer->splice_capacity * 2;
        require(capacity <= SIZE_MAX / sizeof(*writer->splices));
        writer->splices = memory_reallocate(writer->splices, capacity * sizeof(*writer->splices));
        writer->splice_capacity = capacity;
    }
    writer->splices[writer->splice_count++] = (struct wire_splice){
        .position = wire_writer_length(writer), .length = length, .payload = payload};
    writer->spliced_bytes += length;
}

void wire_patch_int32(struct wire_writer *writer, size_t position, int32_t value)
{
    require(position <= wire_writer_length(writer) && wire_writer_length(writer) - position >= 4);
    uint8_t *place = writer->buf->data + position;
    for (size_t i = 0; i < 4; i++) {
        place[i] = (uint8_t)((uint32_t)value >> (24 - 8 * i));
    }
}
