/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor.c -- bounds-checked reading of big-endian values.
 *
 * A failed cursor has position == end, so the one test "are there enough bytes" is also the test
 * for an earlier error.
 */
#include "wire/cursor.h"

#include "base/assert.h"
#include "base/big_endian.h"

#include <string.h>

void wire_cursor_init(struct wire_cursor *cursor, const uint8_t *data, size_t length,
                      struct arena *arena)
{
    require(data != NULL || length == 0);
    cursor->position = data;
    cursor->end = length == 0 ? data : data + length;
    cursor->arena = arena;
    cursor->error = NULL;
}

size_t wire_remaining(const struct wire_cursor *cursor)
{
    return (size_t)(cursor->end - cursor->position);
}

void wire_fail(struct wire_cursor *cursor, const char *error)
{
    require(error != NULL);
    if (cursor->error == NULL) {
        cursor->error = error;
    }
    cursor->position = cursor->end;
}

bool wire_expect_end(struct wire_cursor *cursor)
{
    if (cursor->error == NULL && cursor->position != cursor->end) {
        wire_fail(cursor, "bytes after the end of the message");
    }
    return cursor->error == NULL;
}

const uint8_t *wire_read_raw(struct wire_cursor *cursor, size_t length)
{
    if (cursor->error != NULL || length > wire_remaining(cursor)) {
        wire_fail(cursor, "the message ends too early");
        return NULL;
    }
    const uint8_t *data = cursor->position;
    cursor->position = length == 0 ? data : data + length;
    return data;
}

/* The next size bytes (1 to 8) as a big-endian number; 0 after an error. */
static inline uint64_t read_big_endian(struct wire_cursor *cursor, size_t size)
{
    if (size > wire_remaining(cursor)) {
        wire_fail(cursor, "the message ends too early");
        return 0;
    }
    const uint8_t *data = cursor->position;
    cursor->position += size;
    return big_endian_get(data, size);
}

int8_t wire_read_int8(struct wire_cursor *cursor)
{
    return (int8_t)read_big_endian(cursor, 1);
}

int16_t wire_read_int16(struct wire_cursor *cursor)
{
    return (int16_t)read_big_endian(cursor, 2);
}

uint16_t wire_read_uint16(struct wire_cursor *cursor)
{
    return (uint16_t)read_big_endian(cursor, 2);
}

int32_t wire_read_int32(struct wire_cursor *cursor)
{
    return (int32_t)read_big_endian(cursor, 4);
}

uint32_t wire_read_uint32(struct wire_cursor *cursor)
{
    return (uint32_t)read_big_endian(cursor, 4);
}

int64_t wire_read_int64(struct wire_cursor *cursor)
{
    return (int64_t)read_big_endian(cursor, 8);
}

double wire_read_float64(struct wire_cursor *cursor)
{
    uint64_t bits = read_big_endian(cursor, 8);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

bool wire_read_bool(struct wire_cursor *cursor)
{
    return read_big_endian(cursor, 1) != 0;
}

struct uuid wire_read_uuid(struct wire_cursor *cursor)
{
    struct uuid uuid = {{0}};
    const uint8_t *data = wire_read_raw(cursor, sizeof(uuid.bytes));
    if (data != NULL) {
        memcpy(uuid.bytes, data, sizeof(uuid.bytes));
    }
    return uuid;
}

/* Base-128, least significant group first.  Longer forms than needed are taken (some clients pad),
 * bits that do not fit into bit_count are not. */
static uint64_t read_groups(struct wire_cursor *cursor, uint32_t bit_count)
{
    uint64_t value = 0;
    for (uint32_t shift = 0; shift < bit_count; shift += 7) {
        if (wire_remaining(cursor) == 0) {
            wire_fail(cursor, "the message ends too early");
            return 0;
        }
        uint64_t byte = *cursor->position++;
        uint64_t group = byte & 0x7f;
        if (bit_count - shift < 7 && group >> (bit_count - shift) != 0) {
            break;
        }
        value |= group << shift;
        if ((byte & 0x80) == 0) {
            return value;
        }
    }
    wire_fail(cursor, "a variable-length number is too long");
    return 0;
}

uint32_t wire_read_unsigned_varint(struct wire_cursor *cursor)
{
    return (uint32_t)read_groups(cursor, 32);
}

int32_t wire_read_varint(struct wire_cursor *cursor)
{
    uint32_t value = (uint32_t)read_groups(cursor, 32);
    return (int32_t)(value >> 1 ^ (0u - (value & 1)));
}

int64_t wire_read_varlong(struct wire_cursor *cursor)
{
    uint64_t value = read_groups(cursor, 64);
    return (int64_t)(value >> 1 ^ (0ull - (value & 1)));
}

bool wire_string_equal(struct wire_string string, const char *text)
{
    require(text != NULL);
    if (string.length < 0 || (size_t)string.length != strlen(text)) {
        return false;
    }
    return string.length == 0 || memcmp(string.data, text, (size_t)string.length) == 0;
}

struct wire_string wire_string_from(const char *text)
{
    if (text == NULL) {
        return (struct wire_string){.data = NULL, .length = -1};
    }
    size_t length = strlen(text);
    require(length <= INT32_MAX);
    return (struct wire_string){.data = text, .length = (int32_t)length};
}
