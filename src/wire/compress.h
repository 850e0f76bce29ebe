/* SPDX-License-Identifier: Apache-2.0
 *
 * compress.h -- bytes into one compressed stream, as Kafka's clients read it.
 *
 * Not for other rooms, which recompress whole batches (wire/batch.h).
 *
 * Locality: any.
 */
#ifndef WIRE_COMPRESS_H
#define WIRE_COMPRESS_H

#include <stddef.h>
#include <stdint.h>

/* What length bytes take at most.  compression: enum wire_compression, not NONE. */
size_t wire_compress_bytes_max(int compression, size_t length);

/* Writes at most capacity bytes, which is at least wire_compress_bytes_max(), and says how many; 0
 * when there is no memory to work in.  level: the codec's own; without a meaning for snappy. */
size_t wire_compress(int compression, int level, const uint8_t *data, size_t length,
                     uint8_t *output, size_t capacity);

#endif
