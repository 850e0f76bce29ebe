/* SPDX-License-Identifier: Apache-2.0
 *
 * record_reader.c -- the records of a batch one after another.
 *
 * Uncompressed ones are read where they stand.  Compressed ones pass through a window that holds
 * what is decompressed but not yet read, and grows only as bytes really come out: a record that
 * claims to be long takes no memory for the claim.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "wire/decompress.h"
#include "wire/record.h"

#include <string.h>

#define WINDOW_BYTES_MIN 16384
#define LENGTH_BYTES_MAX 5

struct wire_record_reader {
    struct wire_batch batch;
    struct wire_decompressor *decompressor; /* NULL: uncompressed, window is the batch itself */
    uint8_t *memory;                        /* of the window, or NULL */
    size_t capacity;
    const uint8_t *window; /* not yet read: window_bytes from here */
    size_t window_bytes;
    size_t record_bytes_max;
    int32_t records_read;
    int32_t previous_offset_delta;
    const char *error;
};

struct wire_record_reader *wire_record_reader_open(const struct wire_batch *batch,
                                                   size_t output_bytes_max)
{
    require(batch->total_bytes >= WIRE_BATCH_HEAD_BYTES);
    struct wire_record_reader *reader = memory_allocate_zeroed(sizeof(*reader));
    reader->batch = *batch;
    reader->previous_offset_delta = -1;
    if (batch->data == NULL) {
        reader->error = "only a part of the batch is at hand";
        return reader;
    }
    const uint8_t *body = batch->data + WIRE_BATCH_HEAD_BYTES;
    const size_t body_bytes = batch->total_bytes - WIRE_BATCH_HEAD_BYTES;
    const int compression = wire_batch_compression(batch);
    if (compression == WIRE_COMPRESSION_NONE) {
        reader->window = body;
        reader->window_bytes = body_bytes;
        reader->record_bytes_max = body_bytes;
    } else if (compression <= WIRE_COMPRESSION_ZSTD) {
        const size_t expanded_max = body_bytes * WIRE_EXPANSION_MAX;
        reader->record_bytes_max =
            expanded_max < output_bytes_max ? expanded_max : output_bytes_max;
        reader->decompressor =
            wire_decompressor_open(compression, body, body_bytes, reader->record_bytes_max);
    } else {
        reader->error = "an unknown compression";
    }
    return reader;
}

/* Makes room behind the unread bytes: first by moving them to the front, then by a larger window.
 */
static void make_room(struct wire_record_reader *reader)
{
    if (reader->window_bytes > 0 && reader->window != reader->memory) {
        memmove(reader->memory, reader->window, reader->window_bytes);
    }
    if (reader->window_bytes == reader->capacity) {
        reader->capacity = reader->capacity == 0 ? WINDOW_BYTES_MIN : reader->capacity * 2;
        reader->memory = memory_reallocate(reader->memory, reader->capacity);
    }
    reader->window = reader->memory;
}

/* Whether wanted unread bytes are in the window, decompressing more if need be. */
static bool fill(struct wire_record_reader *reader, size_t wanted)
{
    while (reader->window_bytes < wanted) {
        if (reader->decompressor == NULL) {
            return false;
        }
        if (reader->memory == NULL ||
            reader->window + reader->window_bytes == reader->memory + reader->capacity) {
            make_room(reader);
        }
        uint8_t *free_place =
            reader->memory + (reader->window - reader->memory) + reader->window_bytes;
        const size_t room = (size_t)(reader->memory + reader->capacity - free_place);
        const size_t count = wire_decompressor_read(reader->decompressor, free_place, room);
        if (count == 0) {
            reader->error = wire_decompressor_error(reader->decompressor);
            return false;
        }
        reader->window_bytes += count;
    }
    return true;
}

static void consume(struct wire_record_reader *reader, size_t count)
{
    ensure(count <= reader->window_bytes);
    reader->window += count;
    reader->window_bytes -= count;
}

static bool fail(struct wire_record_reader *reader, const char *error)
{
    if (reader->error == NULL) {
        reader->error = error;
    }
    return false;
}

/* The length in front of the next record. */
static bool read_length(struct wire_record_reader *reader, size_t *length)
{
    size_t prefix_bytes = 0;
    do {
        prefix_bytes++;
        if (!fill(reader, prefix_bytes)) {
            return fail(reader, "the batch ends before its last record");
        }
    } while ((reader->window[prefix_bytes - 1] & 0x80) != 0 && prefix_bytes < LENGTH_BYTES_MAX);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, reader->window, prefix_bytes, NULL);
    const int32_t value = wire_read_varint(&cursor);
    if (cursor.error != NULL || value < 0 || (size_t)value > reader->record_bytes_max) {
        return fail(reader, "a record with an impossible length");
    }
    consume(reader, prefix_bytes);
    *length = (size_t)value;
    return true;
}

/* After the last record nothing may follow. */
static bool finish(struct wire_record_reader *reader)
{
    if (fill(reader, 1)) {
        fail(reader, "bytes after the last record");
    }
    return false;
}

bool wire_record_reader_next(struct wire_record_reader *reader, struct wire_record *record)
{
    if (reader->error != NULL) {
        return false;
    }
    if (reader->records_read >= reader->batch.record_count) {
        return finish(reader);
    }
    size_t length;
    if (!read_length(reader, &length)) {
        return false;
    }
    if (!fill(reader, length)) {
        return fail(reader, "a record is longer than its batch");
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, reader->window, length, NULL);
    if (!wire_record_read(record, &reader->batch, &cursor)) {
        return fail(reader, cursor.error);
    }
    if (record->offset_delta <= reader->previous_offset_delta) {
        return fail(reader, "the offsets of the records do not rise");
    }
    reader->previous_offset_delta = record->offset_delta;
    reader->records_read++;
    consume(reader, length);
    return true;
}

const char *wire_record_reader_error(const struct wire_record_reader *reader)
{
    return reader->error;
}

void wire_record_reader_close(struct wire_record_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    if (reader->decompressor != NULL) {
        wire_decompressor_close(reader->decompressor);
    }
    memory_free(reader->memory);
    memory_free(reader);
}
