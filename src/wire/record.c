/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c -- taking one record apart.
 */
#include "wire/record.h"

#define HEADER_BYTES_MIN 2 /* a length for the key and one for the value */

static struct wire_bytes read_part(struct wire_cursor *cursor, bool nullable)
{
    struct wire_bytes part = {.data = NULL, .length = wire_read_varint(cursor)};
    if (part.length < (nullable ? -1 : 0)) {
        wire_fail(cursor, "a negative length in a record");
    } else if (part.length >= 0) {
        part.data = wire_read_raw(cursor, (size_t)part.length);
    }
    if (cursor->error != NULL) {
        part = (struct wire_bytes){0};
    }
    return part;
}

static void read_headers(struct wire_record *record, struct wire_cursor *cursor)
{
    record->header_count = wire_read_varint(cursor);
    const size_t left = wire_remaining(cursor);
    if (record->header_count < 0 || (size_t)record->header_count > left / HEADER_BYTES_MIN) {
        wire_fail(cursor, "a record with more headers than it can hold");
        return;
    }
    record->headers = (struct wire_bytes){.data = cursor->position, .length = (int32_t)left};
    for (int32_t i = 0; i < record->header_count && cursor->error == NULL; i++) {
        read_part(cursor, false);
        read_part(cursor, true);
    }
}

bool wire_record_read(struct wire_record *record, const struct wire_batch *batch,
                      struct wire_cursor *cursor)
{
    *record = (struct wire_record){
        .encoded = {.data = cursor->position, .length = (int32_t)wire_remaining(cursor)}};
    wire_read_int8(cursor); /* attributes: none is defined */
    const int64_t timestamp_delta = wire_read_varlong(cursor);
    record->timestamp_ms =
        wire_batch_is_log_append_time(batch)
            ? batch->max_timestamp
            : (int64_t)((uint64_t)batch->base_timestamp + (uint64_t)timestamp_delta);
    record->offset_delta = wire_read_varint(cursor);
    if (record->offset_delta < 0 || record->offset_delta > batch->last_offset_delta) {
        wire_fail(cursor, "a record with an offset outside of its batch");
    }
    record->key = read_part(cursor, true);
    record->value = read_part(cursor, true);
    read_headers(record, cursor);
    if (cursor->error == NULL && wire_remaining(cursor) > 0) {
        wire_fail(cursor, "a record that is longer than its parts");
    }
    return cursor->error == NULL;
}
