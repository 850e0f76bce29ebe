/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_header.c -- the first bytes of a connection: the request header in both forms.
 */
#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "wire/request_header.h"

static void try_version(int16_t version, const uint8_t *data, size_t length)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    struct request_header header;
    if (!request_header_decode(&header, version, &cursor)) {
        ensure(cursor.error != NULL);
        return;
    }
    ensure(header.client_id.length >= -1 && header.client_id.length <= INT16_MAX);
    struct wire_writer writer;
    wire_writer_init(&writer, 0);
    request_header_encode(&header, version, &writer);
    struct wire_cursor again;
    wire_cursor_init(&again, writer.buf->data, writer.buf->length_bytes, NULL);
    struct request_header copy;
    ensure(request_header_decode(&copy, version, &again) && wire_expect_end(&again));
    ensure(copy.request_api_key == header.request_api_key);
    ensure(copy.request_api_version == header.request_api_version);
    ensure(copy.correlation_id == header.correlation_id);
    ensure(copy.client_id.length == header.client_id.length);
    wire_writer_free(&writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    try_version(1, data, length);
    try_version(2, data, length);
    return 0;
}
