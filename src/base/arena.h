/* SPDX-License-Identifier: Apache-2.0
 *
 * arena.h -- memory that is freed all at once, with a limit.
 *
 * Everything decoded from one request lives in its arena.  The limit is what keeps a small frame
 * from becoming a large heap: a caller that gets NULL refuses the input.
 *
 * Locality: one owner at a time; not shared between threads.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* newest first */
    size_t used_bytes;          /* handed out; Invariant: used_bytes <= limit_bytes */
    size_t limit_bytes;
};

/* No memory is taken before the first allocation. */
void arena_init(struct arena *arena, size_t limit_bytes);

/* Memory aligned for any type, zeroed, valid until arena_free() or arena_reset(); NULL when the
 * limit would be passed.  size_bytes 0 gives a unique non-NULL pointer. */
void *arena_allocate(struct arena *arena, size_t size_bytes);

/* As arena_allocate for count * size_bytes, NULL on overflow. */
void *arena_allocate_array(struct arena *arena, size_t count, size_t size_bytes);

void arena_reset(struct arena *arena);
void arena_free(struct arena *arena);

#endif
