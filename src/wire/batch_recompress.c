/* SPDX-License-Identifier: Apache-2.0
 *
 * batch_recompress.c -- a batch with the same records in another compression.
 *
 * The records stay byte for byte what they were; only how they are packed changes, and with it the
 * batch's length, its attributes and its checksum.
 *
 * Locality: any.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "wire/batch.h"
#include "wire/compress.h"
#include "wire/decompress.h"
#include "wire/record.h"

#include <string.h>

#define PLACE_LENGTH 8
#define PLACE_ATTRIBUTES 21 /* two bytes, of which the second has the compression */
#define COMPRESSION_MASK 7
#define ROOM_BYTES_MIN 16384

/* Twice the room, with what is there. */
static struct buf *grow(struct buf *buf)
{
    struct buf *larger = buf_new(2 * buf->capacity_bytes);
    memcpy(larger->data, buf->data, buf->length_bytes);
    larger->length_bytes = buf->length_bytes;
    buf_release(buf);
    return larger;
}

/* The head with the records behind it as they are uncompressed; NULL with the reason. */
static struct buf *expand(const struct wire_batch *batch, size_t output_bytes_max,
                          const char **reason)
{
    const uint8_t *body = batch->data + WIRE_BATCH_HEAD_BYTES;
    size_t body_bytes = batch->total_bytes - WIRE_BATCH_HEAD_BYTES;
    struct buf *plain = buf_new(WIRE_BATCH_HEAD_BYTES + 2 * body_bytes + ROOM_BYTES_MIN);
    memcpy(plain->data, batch->data, WIRE_BATCH_HEAD_BYTES);
    plain->length_bytes = WIRE_BATCH_HEAD_BYTES;
    struct wire_decompressor *decompressor =
        wire_decompressor_open(wire_batch_compression(batch), body, body_bytes, output_bytes_max);
    size_t count = 0;
    do {
        if (plain->length_bytes == plain->capacity_bytes) {
            plain = grow(plain);
        }
        count = wire_decompressor_read(decompressor, plain->data + plain->length_bytes,
                                       plain->capacity_bytes - plain->length_bytes);
        plain->length_bytes += count;
    } while (count > 0);
    *reason = wire_decompressor_error(decompressor);
    wire_decompressor_close(decompressor);
    if (*reason != NULL) {
        buf_release(plain);
        return NULL;
    }
    return plain;
}

/* Makes the head fit what stands behind it. */
static void finish(struct buf *buf, enum wire_compression compression)
{
    uint32_t rest = (uint32_t)(buf->length_bytes - WIRE_BATCH_PREFIX_BYTES);
    for (size_t i = 0; i < sizeof rest; i++) {
        buf->data[PLACE_LENGTH + i] = (uint8_t)(rest >> (8 * (sizeof rest - 1 - i)));
    }
    uint8_t *attributes = &buf->data[PLACE_ATTRIBUTES + 1];
    *attributes = (uint8_t)((*attributes & ~COMPRESSION_MASK) | (uint8_t)compression);
    wire_batch_write_crc(buf->data, buf->length_bytes);
}

/* plain, compressed; NULL when that has no use. */
static struct buf *pack(const uint8_t *plain, size_t plain_bytes, enum wire_compression compression,
                        int level)
{
    struct buf *body = wire_compress_at_level(compression, level, plain + WIRE_BATCH_HEAD_BYTES,
                                              plain_bytes - WIRE_BATCH_HEAD_BYTES);
    if (body == NULL) {
        return NULL;
    }
    struct buf *packed = buf_new(WIRE_BATCH_HEAD_BYTES + body->length_bytes);
    memcpy(packed->data, plain, WIRE_BATCH_HEAD_BYTES);
    memcpy(packed->data + WIRE_BATCH_HEAD_BYTES, body->data, body->length_bytes);
    packed->length_bytes = packed->capacity_bytes;
    buf_release(body);
    finish(packed, compression);
    return packed;
}

struct buf *wire_batch_recompress(const struct wire_batch *batch, enum wire_compression compression,
                                  int level, size_t output_bytes_max, const char **reason)
{
    require(batch->data != NULL && wire_batch_compression(batch) != (int)compression);
    *reason = NULL;
    if (wire_batch_compression(batch) == WIRE_COMPRESSION_NONE) {
        return pack(batch->data, batch->total_bytes, compression, level);
    }
    struct buf *plain = expand(batch, output_bytes_max, reason);
    if (plain == NULL) {
        return NULL;
    }
    struct wire_batch expanded;
    finish(plain, WIRE_COMPRESSION_NONE);
    bool is_whole = wire_batch_read(&expanded, plain->data, plain->length_bytes);
    ensure(is_whole && expanded.data != NULL);
    *reason = wire_batch_check_records(&expanded);
    if (*reason != NULL) {
        buf_release(plain);
        return NULL;
    }
    if (compression == WIRE_COMPRESSION_NONE) {
        return plain;
    }
    struct buf *packed = pack(plain->data, plain->length_bytes, compression, level);
    buf_release(plain);
    return packed;
}
