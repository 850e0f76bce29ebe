/* SPDX-License-Identifier: Apache-2.0
 *
 * compress.h -- the plain record part of a batch in the form that its compression says; the
 * counterpart of decompress.h.
 *
 * Not for other rooms, which have whole batches made (wire/batch.h).
 *
 * Locality: any.
 */
#ifndef WIRE_COMPRESS_H
#define WIRE_COMPRESS_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

/* compression: enum wire_compression, not NONE.  A new buf the caller releases; NULL when the
 * library refuses, or when so little came out that a reader would refuse to expand it
 * (WIRE_EXPANSION_MAX): then the records are to be stored plain. */
struct buf *wire_compress(int compression, const uint8_t *data, size_t length);
/* level: how hard to try, in the codec's own numbers; Snappy has none. */
struct buf *wire_compress_at_level(int compression, int level, const uint8_t *data, size_t length);

#endif
