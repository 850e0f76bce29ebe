/* SPDX-License-Identifier: Apache-2.0
 *
 * field.h -- the parts of a message that are more than a number: strings, bytes, records, arrays,
 * null marks and tagged fields, in the classic form (fixed-width lengths) and the flexible one
 * (variable-width lengths plus one, 0 for null).  What the generated codecs are made of.
 *
 * nullable says whether the version knows a null there: reading one where it does not is an error;
 * writing one there writes the empty value.
 *
 * Locality: plain data.
 */
#ifndef WIRE_FIELD_H
#define WIRE_FIELD_H

#include "wire/cursor.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_TAGGED_FIELDS_MAX 64 /* of one struct; beyond it the message is refused */

/* A string has at most 32,767 bytes in both forms; one that is longer may not be written. */
struct wire_string wire_read_string(struct wire_cursor *cursor, bool flexible, bool nullable);
struct wire_bytes wire_read_bytes(struct wire_cursor *cursor, bool flexible, bool nullable);
struct wire_records wire_read_records(struct wire_cursor *cursor, bool flexible, bool nullable);

/* Reads a count and returns zeroed memory from the cursor's arena for so many elements.  The count
 * is first held against the bytes left, of which every element takes at least minimal_bytes (> 0).
 * *count is -1 and the result NULL for a null array; *count 0 and the error set when it is refused.
 */
void *wire_read_array(struct wire_cursor *cursor, bool flexible, bool nullable,
                      size_t minimal_bytes, size_t element_bytes, int32_t *count);

/* The mark before a struct that may be null. */
bool wire_read_present(struct wire_cursor *cursor);

/* The tagged fields at the end of a flexible struct, in ascending order of tags.  While one is open
 * the cursor ends where the field ends:
 *
 *     struct wire_tags tags;
 *     wire_tags_open(&tags, cursor);
 *     while (wire_tags_next(&tags, cursor)) {
 *         switch (tags.tag) { ... default: wire_tags_skip(cursor); }
 *     }
 */
struct wire_tags {
    uint32_t left;
    int64_t tag;               /* of the open field; -1 before the first */
    const uint8_t *struct_end; /* the cursor's end outside of the open field */
};

void wire_tags_open(struct wire_tags *tags, struct wire_cursor *cursor);
/* Closes the open field, which must have been read to its end, and opens the next; false after the
 * last one and after an error. */
bool wire_tags_next(struct wire_tags *tags, struct wire_cursor *cursor);
/* Passes over the open field. */
void wire_tags_skip(struct wire_cursor *cursor);
/* All of them, for a struct that knows none. */
void wire_skip_tagged_fields(struct wire_cursor *cursor);

void wire_write_string(struct wire_writer *writer, bool flexible, bool nullable,
                       struct wire_string value);
void wire_write_bytes(struct wire_writer *writer, bool flexible, bool nullable,
                      struct wire_bytes value);
void wire_write_records(struct wire_writer *writer, bool flexible, bool nullable,
                        const struct wire_records *value);
/* The count before an array; -1: null. */
void wire_write_count(struct wire_writer *writer, bool flexible, bool nullable, int32_t count);
void wire_write_present(struct wire_writer *writer, bool present);

/* Brackets a tagged field: begin writes the tag and returns a mark, end puts the length in front of
 * what was written since.  No splice may stand between them. */
size_t wire_write_tag_begin(struct wire_writer *writer, uint32_t tag);
void wire_write_tag_end(struct wire_writer *writer, size_t mark);

#endif
