/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.c -- malloc and its kin under one policy: no memory, no process.
 *
 * Locality: any thread.
 */
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void memory_exhausted(size_t size)
{
    fprintf(stderr, "out of memory: cannot allocate %zu bytes\n", size);
    fflush(stderr);
    abort();
}

void *memory_allocate(size_t size)
{
    void *memory = malloc(size > 0 ? size : 1);
    if (memory == NULL) {
        memory_exhausted(size);
    }
    return memory;
}

void *memory_allocate_zeroed(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    if (memory == NULL) {
        memory_exhausted(size);
    }
    return memory;
}

void *memory_reallocate(void *memory, size_t size)
{
    void *moved = realloc(memory, size > 0 ? size : 1);
    if (moved == NULL) {
        memory_exhausted(size);
    }
    return moved;
}

char *memory_duplicate_string(const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = memory_allocate(size);
    memcpy(copy, string, size);
    return copy;
}

void memory_free(void *memory)
{
    free(memory);
}
