/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress_gzip.c -- gzip members, one after another, through zlib.
 */
#include "base/memory.h"
#include "wire/decompress.h"

#include <limits.h>
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16) /* the largest window, gzip heads only */

struct gzip_state {
    z_stream stream;
    int result; /* of the last inflate() */
};

static void *gzip_open(void)
{
    struct gzip_state *gzip = memory_allocate_zeroed(sizeof(*gzip));
    if (inflateInit2(&gzip->stream, WINDOW_BITS_GZIP) != Z_OK) {
        memory_free(gzip);
        return NULL;
    }
    return gzip;
}

static size_t gzip_read(void *state, struct wire_codec_input *input, uint8_t *output,
                        size_t capacity)
{
    struct gzip_state *gzip = state;
    const uInt room = capacity < UINT_MAX ? (uInt)capacity : UINT_MAX;
    gzip->stream.next_out = output;
    gzip->stream.avail_out = room;
    while (gzip->stream.avail_out == room) {
        if (gzip->result == Z_STREAM_END && input->length == 0) {
            return 0;
        }
        if (gzip->result == Z_STREAM_END && inflateReset(&gzip->stream) != Z_OK) {
            input->error = "gzip data cannot be continued";
            return 0;
        }
        const uInt offered = input->length < UINT_MAX ? (uInt)input->length : UINT_MAX;
        gzip->stream.next_in = (Bytef *)(uintptr_t)input->data; /* zlib only reads it */
        gzip->stream.avail_in = offered;
        gzip->result = inflate(&gzip->stream, Z_NO_FLUSH);
        input->data += offered - gzip->stream.avail_in;
        input->length -= offered - gzip->stream.avail_in;
        if (gzip->result != Z_OK && gzip->result != Z_STREAM_END) {
            input->error =
                gzip->result == Z_BUF_ERROR ? "gzip data that ends too early" : "damaged gzip data";
            return 0;
        }
    }
    return room - gzip->stream.avail_out;
}

static void gzip_close(void *state)
{
    struct gzip_state *gzip = state;
    inflateEnd(&gzip->stream);
    memory_free(gzip);
}

const struct wire_codec wire_codec_gzip = {gzip_open, gzip_read, gzip_close};
