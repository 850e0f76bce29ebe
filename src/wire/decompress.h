/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress.h -- the compressed part of a record batch as a stream of plain bytes, with a limit.
 *
 * No size that stands in a compressed frame is believed: what comes out is counted, and passing the
 * limit is an error.  Not for other rooms, which read records (wire/batch.h).
 *
 * Locality: its owner.
 */
#ifndef WIRE_DECOMPRESS_H
#define WIRE_DECOMPRESS_H

#include <stddef.h>
#include <stdint.h>

struct wire_decompressor;

/* compression: enum wire_compression, not NONE.  data is borrowed until close. */
struct wire_decompressor *wire_decompressor_open(int compression, const uint8_t *data,
                                                 size_t length, size_t output_bytes_max);
/* Fills up to capacity (> 0) bytes and says how many; 0 at the end and after an error. */
size_t wire_decompressor_read(struct wire_decompressor *decompressor, uint8_t *output,
                              size_t capacity);
const char *wire_decompressor_error(const struct wire_decompressor *decompressor); /* or NULL */
void wire_decompressor_close(struct wire_decompressor *decompressor);

/* One compression each, behind the interface above.  A codec takes input from the front of *input
 * and moves it on; it sets *error and returns 0 when the input is no such stream or ends too early,
 * and returns 0 without error at the end. */
struct wire_codec_input {
    const uint8_t *data;
    size_t length;
    size_t output_bytes_max; /* of the whole stream */
    const char *error;
};

struct wire_codec {
    void *(*open)(void); /* NULL: no memory */
    size_t (*read)(void *state, struct wire_codec_input *input, uint8_t *output, size_t capacity);
    void (*close)(void *state);
};

extern const struct wire_codec wire_codec_gzip;
extern const struct wire_codec wire_codec_snappy;
extern const struct wire_codec wire_codec_lz4;
extern const struct wire_codec wire_codec_zstd;

#endif
