/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress_snappy.c -- Snappy as Kafka clients write it: one raw block, or the framing of the
 * Java library (a head of 16 bytes, then blocks with their length in front).
 *
 * The library only decompresses whole blocks, so a block's declared length is held against the
 * limit, and against what its input could give at most, before memory is taken for it.
 */
#include "base/memory.h"
#include "wire/decompress.h"

#include <snappy-c.h>
#include <stdbool.h>
#include <string.h>

#define FRAME_HEAD_BYTES 16 /* magic, version, least compatible version */
#define BLOCK_LENGTH_BYTES 4
#define BLOCK_EXPANSION_MAX 64 /* a copy of 64 bytes takes two or three; room to spare */

static const uint8_t frame_magic[8] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0};

struct snappy_state {
    bool started;
    bool framed;
    uint8_t *block; /* the decompressed block that is being handed out */
    size_t block_capacity;
    size_t block_length;
    size_t block_position;
};

static void *snappy_open(void)
{
    return memory_allocate_zeroed(sizeof(struct snappy_state));
}

static void start(struct snappy_state *snappy, struct wire_codec_input *input)
{
    snappy->started = true;
    snappy->framed = input->length >= FRAME_HEAD_BYTES &&
                     memcmp(input->data, frame_magic, sizeof(frame_magic)) == 0;
    if (snappy->framed) {
        input->data += FRAME_HEAD_BYTES;
        input->length -= FRAME_HEAD_BYTES;
    } else if (input->length == 0) {
        input->error = "snappy data that ends too early";
    }
}

/* How many bytes the next block has; 0 and the error when they are not there. */
static size_t next_block_bytes(const struct snappy_state *snappy, struct wire_codec_input *input)
{
    if (!snappy->framed) {
        return input->length;
    }
    size_t length = 0;
    if (input->length >= BLOCK_LENGTH_BYTES) {
        for (size_t i = 0; i < BLOCK_LENGTH_BYTES; i++) {
            length = length << 8 | input->data[i];
        }
        input->data += BLOCK_LENGTH_BYTES;
        input->length -= BLOCK_LENGTH_BYTES;
    }
    if (length == 0 || length > input->length) {
        input->error = "snappy data that ends too early";
        return 0;
    }
    return length;
}

/* Decompresses the next block; false at the end and after an error. */
static bool next_block(struct snappy_state *snappy, struct wire_codec_input *input)
{
    const size_t length = input->length > 0 ? next_block_bytes(snappy, input) : 0;
    if (length == 0) {
        return false;
    }
    const char *data = (const char *)input->data;
    size_t output_length = 0;
    if (snappy_uncompressed_length(data, length, &output_length) != SNAPPY_OK ||
        output_length > length * BLOCK_EXPANSION_MAX) {
        input->error = "damaged snappy data";
        return false;
    }
    if (output_length > input->output_bytes_max) {
        input->error = "decompresses to more than is allowed";
        return false;
    }
    if (output_length > snappy->block_capacity) {
        memory_free(snappy->block);
        snappy->block = memory_allocate(output_length);
        snappy->block_capacity = output_length;
    }
    if (snappy->block == NULL) {
        snappy->block = memory_allocate(1); /* the library wants a place even for nothing */
    }
    if (snappy_uncompress(data, length, (char *)snappy->block, &output_length) != SNAPPY_OK) {
        input->error = "damaged snappy data";
        return false;
    }
    input->data += length;
    input->length -= length;
    snappy->block_length = output_length;
    snappy->block_position = 0;
    return true;
}

static size_t snappy_read(void *state, struct wire_codec_input *input, uint8_t *output,
                          size_t capacity)
{
    struct snappy_state *snappy = state;
    if (!snappy->started) {
        start(snappy, input);
    }
    while (input->error == NULL && snappy->block_position == snappy->block_length) {
        if (!next_block(snappy, input)) {
            return 0;
        }
    }
    if (input->error != NULL) {
        return 0;
    }
    const size_t left = snappy->block_length - snappy->block_position;
    const size_t count = capacity < left ? capacity : left;
    memcpy(output, snappy->block + snappy->block_position, count);
    snappy->block_position += count;
    return count;
}

static void snappy_close(void *state)
{
    struct snappy_state *snappy = state;
    memory_free(snappy->block);
    memory_free(snappy);
}

const struct wire_codec wire_codec_snappy = {snappy_open, snappy_read, snappy_close};
