/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.h -- the heap, with one policy: running out of memory ends the process with a message.
 *
 * Every size that comes from outside is bounded before it gets here, so a failing allocation means
 * the machine is out of memory, which no caller can mend.  Per-request memory comes from an arena
 * (base/arena.h), payload from a buf (base/buf.h).
 *
 * Locality: any thread.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stddef.h>

/* Each returns memory that the caller frees with memory_free(); never NULL, size 0 included. */
void *memory_allocate(size_t size);
void *memory_allocate_zeroed(size_t size);
void *memory_reallocate(void *memory, size_t size);
char *memory_duplicate_string(const char *string);

/* Accepts NULL. */
void memory_free(void *memory);

#endif
