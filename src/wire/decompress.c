/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress.c -- chooses the codec and keeps its output within the limit.
 */
#include "wire/decompress.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/batch.h"

struct wire_decompressor {
    const struct wire_codec *codec;
    void *state;
    struct wire_codec_input input;
    size_t output_bytes; /* Invariant: output_bytes <= input.output_bytes_max */
};

static const struct wire_codec *const codecs[] = {
    [WIRE_COMPRESSION_GZIP] = &wire_codec_gzip,
    [WIRE_COMPRESSION_SNAPPY] = &wire_codec_snappy,
    [WIRE_COMPRESSION_LZ4] = &wire_codec_lz4,
    [WIRE_COMPRESSION_ZSTD] = &wire_codec_zstd,
};

struct wire_decompressor *wire_decompressor_open(int compression, const uint8_t *data,
                                                 size_t length, size_t output_bytes_max)
{
    require(compression > WIRE_COMPRESSION_NONE && compression <= WIRE_COMPRESSION_ZSTD);
    struct wire_decompressor *decompressor = memory_allocate_zeroed(sizeof(*decompressor));
    decompressor->codec = codecs[compression];
    decompressor->state = decompressor->codec->open();
    decompressor->input = (struct wire_codec_input){
        .data = data, .length = length, .output_bytes_max = output_bytes_max};
    if (decompressor->state == NULL) {
        decompressor->input.error = "no memory to decompress";
    }
    return decompressor;
}

size_t wire_decompressor_read(struct wire_decompressor *decompressor, uint8_t *output,
                              size_t capacity)
{
    struct wire_codec_input *input = &decompressor->input;
    require(capacity > 0);
    if (input->error != NULL) {
        return 0;
    }
    /* At the limit one byte more is asked for: nothing may come. */
    const size_t left = input->output_bytes_max - decompressor->output_bytes;
    uint8_t probe;
    const bool at_limit = left == 0;
    const size_t count = at_limit ? decompressor->codec->read(decompressor->state, input, &probe, 1)
                                  : decompressor->codec->read(decompressor->state, input, output,
                                                              capacity < left ? capacity : left);
    if (input->error != NULL) {
        return 0;
    }
    if (at_limit && count > 0) {
        input->error = "decompresses to more than is allowed";
        return 0;
    }
    decompressor->output_bytes += count;
    ensure(decompressor->output_bytes <= input->output_bytes_max);
    return count;
}

const char *wire_decompressor_error(const struct wire_decompressor *decompressor)
{
    return decompressor->input.error;
}

void wire_decompressor_close(struct wire_decompressor *decompressor)
{
    if (decompressor->state != NULL) {
        decompressor->codec->close(decompressor->state);
    }
    memory_free(decompressor);
}
