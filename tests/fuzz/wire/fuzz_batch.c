/* SPDX-License-Identifier: Apache-2.0
 *
 * fuzz_batch.c -- record batches: the check of a whole batch, and reading its records in every
 * compression.  The checksum is mended first, since no mutation would ever find a right one.
 */
#include "base/assert.h"
#include "base/buf.h"
#include "fuzz/fuzz.h"
#include "unit/wire/batches.h"

#include <string.h>

#define OUTPUT_BYTES_MAX (1u << 20) /* small, so that bombs cost little time */

/* Reads all records; whether there was no error. */
static bool read_records(const struct wire_batch *batch)
{
    struct wire_record_reader *reader = wire_record_reader_open(batch, OUTPUT_BYTES_MAX);
    struct wire_record record;
    int32_t count = 0;
    while (wire_record_reader_next(reader, &record)) {
        ensure(record.offset_delta >= count && record.offset_delta <= batch->last_offset_delta);
        ensure(record.key.length >= -1 && record.value.length >= -1);
        count++;
    }
    ensure(count <= batch->record_count || batch->record_count < 0);
    const bool whole = wire_record_reader_error(reader) == NULL;
    wire_record_reader_close(reader);
    return whole;
}

/* What can be compressed anew is a good batch. */
static void recompress(const struct wire_batch *batch, enum wire_compression compression)
{
    const char *reason = NULL;
    if (wire_batch_compression(batch) == (int)compression) {
        return;
    }
    struct buf *packed = wire_batch_recompress(batch, compression, 1, OUTPUT_BYTES_MAX, &reason);
    ensure(packed == NULL || reason == NULL);
    if (packed != NULL) {
        struct wire_batch again;
        enum wire_error error =
            wire_batch_validate(&again, packed->data, packed->length_bytes, &reason);
        ensure(error == WIRE_ERROR_NONE && again.record_count == batch->record_count);
        buf_release(packed);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length)
{
    struct wire_batch batch;
    const char *reason = NULL;
    enum wire_error error = wire_batch_validate(&batch, data, length, &reason);
    ensure((error == WIRE_ERROR_NONE) == (reason == NULL));
    if (!wire_batch_read(&batch, data, length)) {
        return 0;
    }
    read_records(&batch);

    struct buf *mended = buf_new(length);
    memcpy(mended->data, data, length);
    mended->length_bytes = length;
    batch_put(mended, 8, 4, (int64_t)(length - WIRE_BATCH_PREFIX_BYTES));
    error = wire_batch_validate(&batch, mended->data, length, &reason);
    const bool plain = wire_batch_compression(&batch) == WIRE_COMPRESSION_NONE;
    if (error == WIRE_ERROR_NONE) {
        const bool whole = read_records(&batch);
        ensure(whole || !plain);
        recompress(&batch, WIRE_COMPRESSION_NONE);
        recompress(&batch, WIRE_COMPRESSION_LZ4);
    }
    buf_release(mended);
    return 0;
}
