/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor.h -- reading bytes that come from outside, one bounds-checked step at a time.
 *
 * The error is sticky: after the first bad read every further one gives zero, so a decoder checks
 * once at its end.  All parsing in the broker goes through this type, but for the head of a record
 * batch (batch.c): its numbers stand at fixed places, and its length is checked once.
 *
 * Locality: plain data.
 */
#ifndef WIRE_CURSOR_H
#define WIRE_CURSOR_H

#include "base/arena.h"
#include "base/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_cursor {
    const uint8_t *position;
    const uint8_t *end;
    struct arena *arena; /* arrays are allocated from it; may be NULL when none is decoded */
    const char *error;   /* NULL, or what was wrong, in words; the first one stays */
};

/* Borrowed views into the decoded bytes.  length -1: null. */
struct wire_string {
    const char *data;
    int32_t length;
};

struct wire_bytes {
    const uint8_t *data;
    int32_t length;
};

void wire_cursor_init(struct wire_cursor *cursor, const uint8_t *data, size_t length,
                      struct arena *arena);
size_t wire_remaining(const struct wire_cursor *cursor);
/* Sets the error unless one is set; nothing remains to be read after it. */
void wire_fail(struct wire_cursor *cursor, const char *error);
/* True when everything was read and nothing was wrong; bytes left over are an error. */
bool wire_expect_end(struct wire_cursor *cursor);

int8_t wire_read_int8(struct wire_cursor *cursor);
int16_t wire_read_int16(struct wire_cursor *cursor);
uint16_t wire_read_uint16(struct wire_cursor *cursor);
int32_t wire_read_int32(struct wire_cursor *cursor);
uint32_t wire_read_uint32(struct wire_cursor *cursor);
int64_t wire_read_int64(struct wire_cursor *cursor);
double wire_read_float64(struct wire_cursor *cursor);
bool wire_read_bool(struct wire_cursor *cursor);
struct uuid wire_read_uuid(struct wire_cursor *cursor);
uint32_t wire_read_unsigned_varint(struct wire_cursor *cursor); /* at most 5 bytes */
int32_t wire_read_varint(struct wire_cursor *cursor);           /* zigzag */
int64_t wire_read_varlong(struct wire_cursor *cursor);          /* zigzag, at most 10 bytes */
/* The next length bytes in place; NULL (and the error) when there are fewer. */
const uint8_t *wire_read_raw(struct wire_cursor *cursor, size_t length);

/* Helpers for one-line comparisons of strings.  Null equals nothing. */
bool wire_string_equal(struct wire_string string, const char *text);
/* A view of text up to its final 0; NULL gives the null string. */
struct wire_string wire_string_from(const char *text);

#endif
