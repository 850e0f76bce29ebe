/* SPDX-License-Identifier: Apache-2.0
 *
 * writer.h -- building what goes out: bytes in a growing buf, and places where payload that stands
 * elsewhere (a file range, slices) belongs in between.
 *
 * Locality: its owner.
 */
#ifndef WIRE_WRITER_H
#define WIRE_WRITER_H

#include "base/buf.h"
#include "base/uuid.h"
#include "wire/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Payload by reference, to be sent after the first `position` bytes of the buf. */
struct wire_splice {
    size_t position;
    size_t length;
    void *payload; /* the encoder's caller knows what it is */
};

/* A `records` field: inline bytes, or payload (not NULL) of length bytes to be spliced in.  length
 * -1: null. */
struct wire_records {
    const uint8_t *data;
    int32_t length;
    void *payload;
};

struct wire_writer {
    struct buf *buf; /* one reference, the writer's, until wire_writer_take() or _free() */
    struct wire_splice *splices;
    size_t splice_count;
    size_t splice_capacity;
    size_t spliced_bytes; /* sum of the splices' lengths */
};

void wire_writer_init(struct wire_writer *writer, size_t capacity_hint);
void wire_writer_free(struct wire_writer *writer);
/* The bytes as a buf whose reference becomes the caller's; the writer is free afterwards.  Only for
 * a writer without splices. */
struct buf *wire_writer_take(struct wire_writer *writer);
/* The bytes written so far, without spliced payload. */
size_t wire_writer_length(const struct wire_writer *writer);

void wire_write_int8(struct wire_writer *writer, int8_t value);
void wire_write_int16(struct wire_writer *writer, int16_t value);
void wire_write_uint16(struct wire_writer *writer, uint16_t value);
void wire_write_int32(struct wire_writer *writer, int32_t value);
void wire_write_uint32(struct wire_writer *writer, uint32_t value);
void wire_write_int64(struct wire_writer *writer, int64_t value);
void wire_write_float64(struct wire_writer *writer, double value);
void wire_write_bool(struct wire_writer *writer, bool value);
void wire_write_uuid(struct wire_writer *writer, const struct uuid *value);
void wire_write_unsigned_varint(struct wire_writer *writer, uint32_t value);
void wire_write_varint(struct wire_writer *writer, int32_t value);
void wire_write_varlong(struct wire_writer *writer, int64_t value);
void wire_write_raw(struct wire_writer *writer, const void *data, size_t length);
void wire_write_splice(struct wire_writer *writer, void *payload, size_t length);
/* Overwrites four bytes written before (a length known late). */
void wire_patch_int32(struct wire_writer *writer, size_t position, int32_t value);

#endif
