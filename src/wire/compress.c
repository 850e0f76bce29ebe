/* SPDX-License-Identifier: Apache-2.0
 *
 * compress.c -- one call of each library.  Forms are those every Kafka client reads: gzip with its
 * own head, Snappy as one raw block, LZ4 as a frame of independent blocks, one zstd frame.
 */
#include "wire/compress.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/record.h"

#include <lz4frame.h>
#include <snappy-c.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#define GZIP_WINDOW_BITS (15 + 16) /* the largest window, in gzip's own head */
#define GZIP_MEMORY_LEVEL 8

/* Each returns how much it wrote, or 0. */

static size_t gzip_bound(size_t length)
{
    return compressBound(length) + 32; /* gzip's head and tail are longer than zlib's */
}

static size_t gzip(int level, const uint8_t *data, size_t length, uint8_t *output, size_t capacity)
{
    z_stream stream;
    memset(&stream, 0, sizeof(stream));
    if (length > UINT32_MAX || capacity > UINT32_MAX ||
        deflateInit2(&stream, level, Z_DEFLATED, GZIP_WINDOW_BITS, GZIP_MEMORY_LEVEL,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        return 0;
    }
    stream.next_in = (Bytef *)(uintptr_t)data; /* read only */
    stream.avail_in = (uInt)length;
    stream.next_out = output;
    stream.avail_out = (uInt)capacity;
    int result = deflate(&stream, Z_FINISH);
    size_t written = capacity - stream.avail_out;
    deflateEnd(&stream);
    return result == Z_STREAM_END ? written : 0;
}

static size_t snappy(int level, const uint8_t *data, size_t length, uint8_t *output,
                     size_t capacity)
{
    (void)level;
    size_t written = capacity;
    snappy_status status = snappy_compress((const char *)data, length, (char *)output, &written);
    return status == SNAPPY_OK ? written : 0;
}

static LZ4F_preferences_t lz4_preferences(int level)
{
    return (LZ4F_preferences_t){
        .frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
        .compressionLevel = level,
    };
}

static size_t lz4_bound(size_t length)
{
    const LZ4F_preferences_t preferences = lz4_preferences(0);
    return LZ4F_compressFrameBound(length, &preferences);
}

static size_t lz4(int level, const uint8_t *data, size_t length, uint8_t *output, size_t capacity)
{
    const LZ4F_preferences_t preferences = lz4_preferences(level);
    size_t written = LZ4F_compressFrame(output, capacity, data, length, &preferences);
    return LZ4F_isError(written) ? 0 : written;
}

static size_t zstd(int level, const uint8_t *data, size_t length, uint8_t *output, size_t capacity)
{
    size_t written = ZSTD_compress(output, capacity, data, length, level);
    return ZSTD_isError(written) ? 0 : written;
}

static const struct {
    size_t (*bound)(size_t length);
    size_t (*compress)(int level, const uint8_t *data, size_t length, uint8_t *output,
                       size_t capacity);
    int default_level;
} codecs[] = {
    [WIRE_COMPRESSION_GZIP] = {gzip_bound, gzip, Z_DEFAULT_COMPRESSION},
    [WIRE_COMPRESSION_SNAPPY] = {snappy_max_compressed_length, snappy, 0},
    [WIRE_COMPRESSION_LZ4] = {lz4_bound, lz4, 0},
    [WIRE_COMPRESSION_ZSTD] = {ZSTD_compressBound, zstd, 3},
};

struct buf *wire_compress(int compression, const uint8_t *data, size_t length)
{
    require(compression > WIRE_COMPRESSION_NONE && compression <= WIRE_COMPRESSION_ZSTD);
    return wire_compress_at_level(compression, codecs[compression].default_level, data, length);
}

struct buf *wire_compress_at_level(int compression, int level, const uint8_t *data, size_t length)
{
    require(compression > WIRE_COMPRESSION_NONE && compression <= WIRE_COMPRESSION_ZSTD);
    size_t capacity = codecs[compression].bound(length);
    if (capacity == 0) {
        return NULL;
    }
    struct buf *output = buf_new(capacity);
    size_t written = codecs[compression].compress(level, data, length, output->data, capacity);
    if (written == 0 || written * WIRE_EXPANSION_MAX < length) {
        buf_release(output);
        return NULL;
    }
    ensure(written <= capacity);
    output->length_bytes = written;
    return output;
}
