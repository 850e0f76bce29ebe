/* SPDX-License-Identifier: Apache-2.0
 *
 * batches.h -- record batches for tests, plain and compressed by the libraries that clients use.
 */
#ifndef UNIT_WIRE_BATCHES_H
#define UNIT_WIRE_BATCHES_H

#include "base/buf.h"
#include "base/prng.h"
#include "wire/batch.h"
#include "wire/writer.h"

#define BATCH_SNAPPY_FRAMED                                                                        \
    100 /* beside enum wire_compression: snappy in the Java library's frame */

/* record_count records: key "key-<i>", value "value-<i>-..." of growing length, time 1000 + i. */
struct buf *batch_new(int32_t record_count, int compression);
/* As batch_new, with one more compression form; value_bytes in each value. */
struct buf *batch_new_sized(int32_t record_count, int compression, size_t value_bytes);
/* A batch around these bytes as they are. */
struct buf *batch_from_body(const uint8_t *body, size_t length, int32_t record_count,
                            int compression);
/* Overwrites size bytes at place with value and mends the checksum. */
void batch_put(struct buf *batch, size_t place, size_t size, int64_t value);
/* data compressed. */
struct buf *batch_compress(int compression, const uint8_t *data, size_t length);

#endif
