/* SPDX-License-Identifier: Apache-2.0
 *
 * field.c -- reading of strings, bytes, records, arrays and tagged fields; wire/field_write.c
 * writes them.
 */
#include "wire/field.h"

#include "base/assert.h"

/* A length or count, -1 for null where that is allowed.  A string has at most 32,767 bytes in the
 * flexible form too: what is taken in one version may be given out in another. */
static int32_t read_length(struct wire_cursor *cursor, bool flexible, bool nullable, bool is_string)
{
    const int64_t length_max = is_string ? INT16_MAX : INT32_MAX;
    int64_t length;
    if (flexible) {
        length = (int64_t)wire_read_unsigned_varint(cursor) - 1;
    } else {
        length = is_string ? wire_read_int16(cursor) : wire_read_int32(cursor);
    }
    if (cursor->error != NULL) {
        return 0;
    }
    if (length < -1 || length > length_max) {
        wire_fail(cursor, "an impossible length");
        return 0;
    }
    if (length == -1 && !nullable) {
        wire_fail(cursor, "null where no null is allowed");
        return 0;
    }
    return (int32_t)length;
}

static const uint8_t *read_counted_bytes(struct wire_cursor *cursor, int32_t *length)
{
    const uint8_t *data = *length >= 0 ? wire_read_raw(cursor, (size_t)*length) : NULL;
    if (cursor->error != NULL) {
        *length = 0;
    }
    return data;
}

struct wire_string wire_read_string(struct wire_cursor *cursor, bool flexible, bool nullable)
{
    struct wire_string string = {.length = read_length(cursor, flexible, nullable, true)};
    string.data = (const char *)read_counted_bytes(cursor, &string.length);
    return string;
}

struct wire_bytes wire_read_bytes(struct wire_cursor *cursor, bool flexible, bool nullable)
{
    struct wire_bytes bytes = {.length = read_length(cursor, flexible, nullable, false)};
    bytes.data = read_counted_bytes(cursor, &bytes.length);
    return bytes;
}

struct wire_records wire_read_records(struct wire_cursor *cursor, bool flexible, bool nullable)
{
    struct wire_bytes bytes = wire_read_bytes(cursor, flexible, nullable);
    return (struct wire_records){.data = bytes.data, .length = bytes.length};
}

void *wire_read_array(struct wire_cursor *cursor, bool flexible, bool nullable,
                      size_t minimal_bytes, size_t element_bytes, int32_t *count)
{
    require(minimal_bytes > 0 && element_bytes > 0);
    *count = read_length(cursor, flexible, nullable, false);
    if (*count <= 0) {
        return NULL;
    }
    if ((size_t)*count > wire_remaining(cursor) / minimal_bytes) {
        wire_fail(cursor, "an array of more elements than the message can hold");
        *count = 0;
        return NULL;
    }
    require(cursor->arena != NULL);
    void *elements = arena_allocate_array(cursor->arena, (size_t)*count, element_bytes);
    if (elements == NULL) {
        wire_fail(cursor, "the message needs too much memory");
        *count = 0;
    }
    return elements;
}

bool wire_read_present(struct wire_cursor *cursor)
{
    int8_t mark = wire_read_int8(cursor);
    if (mark != 1 && mark != -1) {
        wire_fail(cursor, "neither null nor a struct");
    }
    return mark == 1;
}

void wire_tags_open(struct wire_tags *tags, struct wire_cursor *cursor)
{
    tags->left = wire_read_unsigned_varint(cursor);
    tags->tag = -1;
    tags->struct_end = cursor->end;
    if (tags->left > WIRE_TAGGED_FIELDS_MAX) {
        wire_fail(cursor, "too many tagged fields");
    }
}

bool wire_tags_next(struct wire_tags *tags, struct wire_cursor *cursor)
{
    if (cursor->error == NULL && cursor->position != cursor->end && tags->tag >= 0) {
        wire_fail(cursor, "a tagged field is longer than its content");
    }
    cursor->end = tags->struct_end;
    if (cursor->error != NULL) {
        cursor->position = cursor->end;
        return false;
    }
    if (tags->left == 0) {
        return false;
    }
    tags->left--;
    uint32_t tag = wire_read_unsigned_varint(cursor);
    uint32_t length = wire_read_unsigned_varint(cursor);
    if (length > wire_remaining(cursor)) {
        wire_fail(cursor, "the message ends inside a tagged field");
    } else if ((int64_t)tag <= tags->tag) {
        wire_fail(cursor, "tagged fields out of order");
    }
    if (cursor->error != NULL) {
        return false;
    }
    tags->tag = tag;
    cursor->end = cursor->position + length;
    return true;
}

void wire_tags_skip(struct wire_cursor *cursor)
{
    cursor->position = cursor->end;
}

void wire_skip_tagged_fields(struct wire_cursor *cursor)
{
    struct wire_tags tags;
    wire_tags_open(&tags, cursor);
    while (wire_tags_next(&tags, cursor)) {
        wire_tags_skip(cursor);
    }
}
