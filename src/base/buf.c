/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c -- head and bytes of a buf in one allocation.
 *
 * Locality: see buf.h.
 */
#include "base/buf.h"

#include "base/assert.h"
#include "base/memory.h"

struct buf *buf_new(size_t capacity_bytes)
{
    require(capacity_bytes <= SIZE_MAX - sizeof(struct buf));
    struct buf *buf = memory_allocate(sizeof *buf + capacity_bytes);
    atomic_init(&buf->references, 1);
    buf->capacity_bytes = capacity_bytes;
    buf->length_bytes = 0;
    buf->data = (uint8_t *)(buf + 1);
    return buf;
}

struct buf *buf_reference(struct buf *buf)
{
    if (buf != NULL) {
        uint32_t before = atomic_fetch_add_explicit(&buf->references, 1, memory_order_relaxed);
        require(before > 0 && before < UINT32_MAX);
    }
    return buf;
}

/* Release order makes each holder's last use happen before the free; acquire makes the freeing
 * thread see them all. */
void buf_release(struct buf *buf)
{
    if (buf == NULL) {
        return;
    }
    if (atomic_load_explicit(&buf->references, memory_order_acquire) == 1) {
        memory_free(buf); /* the caller's is the only one, so nobody can make another */
        return;
    }
    uint32_t before = atomic_fetch_sub_explicit(&buf->references, 1, memory_order_acq_rel);
    require(before > 0);
    if (before == 1) {
        memory_free(buf);
    }
}
