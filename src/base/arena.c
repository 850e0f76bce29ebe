/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.c -- bump allocation out of chunks that double from 1 KiB to 64 KiB.
 *
 * A small request costs one small chunk; a large allocation gets a chunk of its own size.  The
 * limit counts what was handed out, rounded to the alignment; chunk heads and tails come on top and
 * are bounded by the largest chunk size.
 *
 * Locality: see arena.h.
 */
#include "base/arena.h"

#include "base/assert.h"
#include "base/memory.h"

#include <stdint.h>
#include <string.h>

#define ARENA_ALIGNMENT _Alignof(max_align_t)
#define ARENA_CHUNK_MIN_BYTES 1024
#define ARENA_CHUNK_MAX_BYTES 65536

struct arena_chunk {
    struct arena_chunk *older;
    size_t used_bytes;
    size_t capacity_bytes; /* Invariant: used_bytes <= capacity_bytes */
    _Alignas(max_align_t) unsigned char data[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

static struct arena_chunk *arena_add_chunk(struct arena *arena, size_t size_bytes)
{
    size_t capacity_bytes = ARENA_CHUNK_MIN_BYTES;
    if (arena->chunks != NULL) {
        capacity_bytes = arena->chunks->capacity_bytes * 2;
    }
    if (capacity_bytes > ARENA_CHUNK_MAX_BYTES) {
        capacity_bytes = ARENA_CHUNK_MAX_BYTES;
    }
    if (capacity_bytes < size_bytes) {
        capacity_bytes = size_bytes;
    }
    struct arena_chunk *chunk = memory_allocate(sizeof *chunk + capacity_bytes);
    chunk->older = arena->chunks;
    chunk->used_bytes = 0;
    chunk->capacity_bytes = capacity_bytes;
    arena->chunks = chunk;
    return chunk;
}

void *arena_allocate(struct arena *arena, size_t size_bytes)
{
    require(arena->used_bytes <= arena->limit_bytes);
    size_t left_bytes = arena->limit_bytes - arena->used_bytes;
    if (size_bytes > left_bytes) {
        return NULL;
    }
    size_t step_bytes = size_bytes > 0 ? size_bytes : 1;
    if (step_bytes > SIZE_MAX - ARENA_ALIGNMENT) {
        return NULL;
    }
    step_bytes = (step_bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (step_bytes > left_bytes) {
        return NULL;
    }
    struct arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->capacity_bytes - chunk->used_bytes < step_bytes) {
        chunk = arena_add_chunk(arena, step_bytes);
    }
    void *memory = chunk->data + chunk->used_bytes;
    chunk->used_bytes += step_bytes;
    arena->used_bytes += step_bytes;
    return memset(memory, 0, step_bytes);
}

void *arena_allocate_array(struct arena *arena, size_t count, size_t size_bytes)
{
    size_t total_bytes = 0;
    if (__builtin_mul_overflow(count, size_bytes, &total_bytes)) {
        return NULL;
    }
    return arena_allocate(arena, total_bytes);
}

static void arena_free_chunks(struct arena_chunk *chunk)
{
    while (chunk != NULL) {
        struct arena_chunk *older = chunk->older;
        memory_free(chunk);
        chunk = older;
    }
}

/* Keeps the newest chunk when it is of ordinary size, so that an arena used for one request after
 * another settles on one chunk and takes no more memory. */
void arena_reset(struct arena *arena)
{
    struct arena_chunk *newest = arena->chunks;
    arena->used_bytes = 0;
    if (newest == NULL) {
        return;
    }
    arena_free_chunks(newest->older);
    newest->older = NULL;
    newest->used_bytes = 0;
    if (newest->capacity_bytes > ARENA_CHUNK_MAX_BYTES) {
        memory_free(newest);
        arena->chunks = NULL;
    }
}

void arena_free(struct arena *arena)
{
    arena_free_chunks(arena->chunks);
    arena->chunks = NULL;
    arena->used_bytes = 0;
}
