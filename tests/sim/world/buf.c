/* SPDX-License-Identifier: Apache-2.0
 *
 * buf.c -- base/buf.h for a world of one thread: the count is kept by plain loads and stores, as
 * locked instructions for nobody's sake would be a good part of a run.
 */
#include "base/buf.h"

#include "base/assert.h"
#include "base/memory.h"

static uint32_t references_of(const struct buf *buf)
{
    uint32_t references = atomic_load_explicit(&buf->references, memory_order_relaxed);
    require(references > 0 && references < UINT32_MAX);
    return references;
}

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
        uint32_t more = references_of(buf) + 1;
        atomic_store_explicit(&buf->references, more, memory_order_relaxed);
    }
    return buf;
}

void buf_release(struct buf *buf)
{
    if (buf == NULL) {
        return;
    }
    uint32_t left = references_of(buf) - 1;
    atomic_store_explicit(&buf->references, left, memory_order_relaxed);
    if (left == 0) {
        memory_free(buf);
    }
}
