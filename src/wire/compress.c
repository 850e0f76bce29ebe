/* SPDX-License-Identifier: Apache-2.0
 *
 * compress.c -- the four codecs, each by its own library.
 *
 * Snappy is written in the framing of the Java library, in blocks of 32 KiB, and LZ4 as a frame of
 * independent blocks of 64 KiB: what every client reads.
 *
 * Locality: any.
 */
#include "wire/compress.h"

#include "base/assert.h"
#include "wire/batch.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW_BITS (15 + 16) /* with the head of a gzip file */
#define GZIP_HEAD_AND_TAIL_BYTES 18
#define GZIP_MEMORY_LEVEL 8
#define SNAPPY_BLOCK_BYTES 32768u
#define SNAPPY_LENGTH_BYTES 4

static const uint8_t snappy_head[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                        0,    0,   0,   1,   0,   0,   0,   1};

/* ---- gzip ---- */

static size_t gzip(int level, const uint8_t *data, size_t length, uint8_t *output, size_t capacity)
{
    z_stream stream = {0};
    require(length <= UINT32_MAX && capacity <= UINT32_MAX);
    if (deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    stream.next_in = (Bytef *)data; /* which the library does not write to */
    stream.avail_in = (uInt)length;
    stream.next_out = output;
    stream.avail_out = (uInt)capacity;
    int result = deflate(&stream, Z_FINISH);
    size_t written = stream.total_out;
    deflateEnd(&stream);
    return result == Z_STREAM_END ? written : 0;
}

/* ---- snappy ---- */

static size_t snappy_block_count(size_t length)
{
    return (length + SNAPPY_BLOCK_BYTES - 1) / SNAPPY_BLOCK_BYTES;
}

static size_t snappy(const uint8_t *data, size_t length, uint8_t *output, size_t capacity)
{
    memcpy(output, snappy_head, sizeof snappy_head);
    size_t written = sizeof snappy_head;
    for (size_t done = 0; done < length;) {
        size_t left = length - done;
        size_t block = left < SNAPPY_BLOCK_BYTES ? left : SNAPPY_BLOCK_BYTES;
        size_t size = capacity - written - SNAPPY_LENGTH_BYTES;
        uint8_t *place = output + written;
        if (snappy_compress((const char *)data + done, block, (char *)place + SNAPPY_LENGTH_BYTES,
                            &size) != SNAPPY_OK) {
            return 0;
        }
        for (size_t i = 0; i < SNAPPY_LENGTH_BYTES; i++) {
            place[i] = (uint8_t)(size >> (8 * (SNAPPY_LENGTH_BYTES - 1 - i)));
        }
        written += SNAPPY_LENGTH_BYTES + size;
        done += block;
    }
    return written;
}

/* ---- lz4 ---- */

static LZ4F_preferences_t lz4_preferences(int level)
{
    LZ4F_preferences_t preferences = LZ4F_INIT_PREFERENCES;
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.compressionLevel = level;
    return preferences;
}

/* ---- All of them ---- */

size_t wire_compress_bytes_max(int compression, size_t length)
{
    const LZ4F_preferences_t preferences = lz4_preferences(0);
    switch (compression) {
    case WIRE_COMPRESSION_GZIP:
        return compressBound(length) + GZIP_HEAD_AND_TAIL_BYTES;
    case WIRE_COMPRESSION_SNAPPY:
        return sizeof snappy_head +
               snappy_block_count(length) *
                   (SNAPPY_LENGTH_BYTES + snappy_max_compressed_length(SNAPPY_BLOCK_BYTES));
    case WIRE_COMPRESSION_LZ4:
        return LZ4F_compressFrameBound(length, &preferences);
    case WIRE_COMPRESSION_ZSTD:
        return ZSTD_compressBound(length);
    default:
        unreachable_code();
    }
}

size_t wire_compress(int compression, int level, const uint8_t *data, size_t length,
                     uint8_t *output, size_t capacity)
{
    require(length > 0 && capacity >= wire_compress_bytes_max(compression, length));
    size_t written = 0;
    switch (compression) {
    case WIRE_COMPRESSION_GZIP:
        return gzip(level, data, length, output, capacity);
    case WIRE_COMPRESSION_SNAPPY:
        return snappy(data, length, output, capacity);
    case WIRE_COMPRESSION_LZ4: {
        const LZ4F_preferences_t preferences = lz4_preferences(level);
        written = LZ4F_compressFrame(output, capacity, data, length, &preferences);
        return LZ4F_isError(written) ? 0 : written;
    }
    case WIRE_COMPRESSION_ZSTD:
        written = ZSTD_compress(output, capacity, data, length, level);
        return ZSTD_isError(written) ? 0 : written;
    default:
        unreachable_code();
    }
}
