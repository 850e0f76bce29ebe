/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress_zstd.c -- Zstandard frames without dictionary.
 */
#include "base/memory.h"
#include "wire/decompress.h"

#include <stdbool.h>
#include <zstd.h>

#define WINDOW_LOG_MAX 23 /* 8 MiB: what the highest ordinary levels use; more is refused */

struct zstd_state {
    ZSTD_DCtx *context;
    bool between_frames;
};

static void *zstd_open(void)
{
    struct zstd_state *zstd = memory_allocate_zeroed(sizeof(*zstd));
    zstd->context = ZSTD_createDCtx();
    if (zstd->context == NULL ||
        ZSTD_isError(ZSTD_DCtx_setParameter(zstd->context, ZSTD_d_windowLogMax, WINDOW_LOG_MAX))) {
        ZSTD_freeDCtx(zstd->context);
        memory_free(zstd);
        return NULL;
    }
    return zstd;
}

static size_t zstd_read(void *state, struct wire_codec_input *input, uint8_t *output,
                        size_t capacity)
{
    struct zstd_state *zstd = state;
    ZSTD_outBuffer produced = {.dst = output, .size = capacity, .pos = 0};
    while (produced.pos == 0) {
        if (zstd->between_frames && input->length == 0) {
            return 0;
        }
        ZSTD_inBuffer consumed = {.src = input->data, .size = input->length, .pos = 0};
        const size_t wanted = ZSTD_decompressStream(zstd->context, &produced, &consumed);
        if (ZSTD_isError(wanted)) {
            input->error = "damaged zstd data, or a window that is too large";
            return 0;
        }
        input->data += consumed.pos;
        input->length -= consumed.pos;
        zstd->between_frames = wanted == 0;
        if (produced.pos == 0 && consumed.pos == 0 && !zstd->between_frames) {
            input->error = "zstd data that ends too early";
            return 0;
        }
    }
    return produced.pos;
}

static void zstd_close(void *state)
{
    struct zstd_state *zstd = state;
    ZSTD_freeDCtx(zstd->context);
    memory_free(zstd);
}

const struct wire_codec wire_codec_zstd = {zstd_open, zstd_read, zstd_close};
