/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.h -- payload bytes with a reference count, so that one received batch is what the log writes,
 * the peers are sent and the consumer reads.
 *
 * The count is atomic: a reference may be taken on one shard and dropped on another.  The bytes are
 * written by whoever created the buf, before anybody else holds a reference; after that they are
 * read-only, except the stamped head of a record batch (base offset and leader epoch), which the
 * owner of the partition writes before it shares the batch.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    _Atomic uint32_t references;
    size_t capacity_bytes;
    size_t length_bytes; /* Invariant: length_bytes <= capacity_bytes */
    uint8_t *data;
};

/* A run of bytes inside a buf.  Holding a slice does not hold the buf: whoever keeps it takes a
 * reference.  buf may be NULL for bytes of static life. */
struct buf_slice {
    struct buf *buf;
    const uint8_t *data;
    size_t length_bytes;
};

/* A new buf with one reference, length 0. */
struct buf *buf_new(size_t capacity_bytes);
struct buf *buf_reference(struct buf *buf); /* returns buf; accepts NULL */
void buf_release(struct buf *buf);          /* frees with the last reference; accepts NULL */

#endif
