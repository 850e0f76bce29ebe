/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress_lz4.c -- one LZ4 frame.
 */
#include "base/memory.h"
#include "wire/decompress.h"

#include <lz4frame.h>
#include <stdbool.h>

struct lz4_state {
    LZ4F_dctx *context;
    bool at_end;
};

static void *lz4_open(void)
{
    struct lz4_state *lz4 = memory_allocate_zeroed(sizeof(*lz4));
    if (LZ4F_isError(LZ4F_createDecompressionContext(&lz4->context, LZ4F_VERSION))) {
        memory_free(lz4);
        return NULL;
    }
    return lz4;
}

static size_t lz4_read(void *state, struct wire_codec_input *input, uint8_t *output,
                       size_t capacity)
{
    struct lz4_state *lz4 = state;
    while (!lz4->at_end) {
        size_t produced = capacity;
        size_t consumed = input->length;
        const size_t wanted =
            LZ4F_decompress(lz4->context, output, &produced, input->data, &consumed, NULL);
        if (LZ4F_isError(wanted)) {
            input->error = "damaged lz4 data";
            return 0;
        }
        input->data += consumed;
        input->length -= consumed;
        lz4->at_end = wanted == 0;
        if (lz4->at_end && input->length > 0) {
            input->error = "bytes after the lz4 frame";
            return 0;
        }
        if (produced > 0) {
            return produced;
        }
        if (consumed == 0 && !lz4->at_end) {
            input->error = "lz4 data that ends too early";
            return 0;
        }
    }
    return 0;
}

static void lz4_close(void *state)
{
    struct lz4_state *lz4 = state;
    LZ4F_freeDecompressionContext(lz4->context);
    memory_free(lz4);
}

const struct wire_codec wire_codec_lz4 = {lz4_open, lz4_read, lz4_close};
