/* SPDX-License-Identifier: Apache-2.0
 *
 * field_write.c -- writing of strings, bytes, records, arrays and tagged fields; wire/field.c reads
 * them.
 */
#include "base/assert.h"
#include "wire/field.h"

#include <string.h>

/* A length or count in front of what it counts; null becomes 0 where the version knows no null. */
static void write_length(struct wire_writer *writer, bool flexible, bool nullable, bool is_string,
                         int32_t length)
{
    require(length >= -1 && (!is_string || length <= INT16_MAX));
    if (length == -1 && !nullable) {
        length = 0;
    }
    if (flexible) {
        wire_write_unsigned_varint(writer, (uint32_t)length + 1);
    } else if (is_string) {
        wire_write_int16(writer, (int16_t)length);
    } else {
        wire_write_int32(writer, length);
    }
}

void wire_write_string(struct wire_writer *writer, bool flexible, bool nullable,
                       struct wire_string value)
{
    write_length(writer, flexible, nullable, true, value.length);
    if (value.length > 0) {
        wire_write_raw(writer, value.data, (size_t)value.length);
    }
}

void wire_write_bytes(struct wire_writer *writer, bool flexible, bool nullable,
                      struct wire_bytes value)
{
    write_length(writer, flexible, nullable, false, value.length);
    if (value.length > 0) {
        wire_write_raw(writer, value.data, (size_t)value.length);
    }
}

void wire_write_records(struct wire_writer *writer, bool flexible, bool nullable,
                        const struct wire_records *value)
{
    write_length(writer, flexible, nullable, false, value->length);
    if (value->length <= 0) {
        return;
    }
    if (value->payload != NULL) {
        wire_write_splice(writer, value->payload, (size_t)value->length);
    } else {
        wire_write_raw(writer, value->data, (size_t)value->length);
    }
}

void wire_write_count(struct wire_writer *writer, bool flexible, bool nullable, int32_t count)
{
    write_length(writer, flexible, nullable, false, count);
}

void wire_write_present(struct wire_writer *writer, bool present)
{
    wire_write_int8(writer, present ? 1 : -1);
}

size_t wire_write_tag_begin(struct wire_writer *writer, uint32_t tag)
{
    wire_write_unsigned_varint(writer, tag);
    wire_write_int8(writer, 0); /* the length, when it is below 128 */
    return wire_writer_length(writer);
}

void wire_write_tag_end(struct wire_writer *writer, size_t mark)
{
    size_t length = wire_writer_length(writer) - mark;
    require(mark > 0 && length <= INT32_MAX);
    require(writer->splice_count == 0 || writer->splices[writer->splice_count - 1].position < mark);
    uint8_t prefix[5];
    size_t prefix_bytes = 0;
    uint32_t rest = (uint32_t)length;
    while (rest >= 0x80) {
        prefix[prefix_bytes++] = (uint8_t)(rest | 0x80);
        rest >>= 7;
    }
    prefix[prefix_bytes++] = (uint8_t)rest;
    if (prefix_bytes > 1) {
        wire_write_raw(writer, prefix, prefix_bytes - 1); /* makes room at the end */
        uint8_t *content = writer->buf->data + mark;
        memmove(content + prefix_bytes - 1, content, length);
    }
    memcpy(writer->buf->data + mark - 1, prefix, prefix_bytes);
}
