/* SPDX-License-Identifier: Apache-2.0
 *
 * host_memory.c -- base/memory.h for simulated processes: a process's blocks stand in its list, and
 * go with it; and the memory of what outlives processes (disks).
 *
 * Locality: one thread.
 */
#include "host_parts.h"

#include "../world/own_memory.h"
#include "base/assert.h"
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct block {
    struct list_node node;
    struct host_memory *owner; /* NULL: of the simulation itself */
    size_t size;
};

_Static_assert(sizeof(struct block) % 16 == 0, "what follows is aligned for anything");

void *memory_allocate_zeroed(size_t size)
{
    struct block *block = calloc(1, sizeof *block + size);
    require(block != NULL);
    block->owner = host_memory_in_use();
    block->size = size;
    list_node_init(&block->node);
    if (block->owner != NULL) {
        list_append(&block->owner->blocks, &block->node);
        block->owner->count++;
    }
    return block + 1;
}

void *memory_allocate(size_t size)
{
    return memory_allocate_zeroed(size);
}

void memory_free(void *memory)
{
    if (memory == NULL) {
        return;
    }
    struct block *block = (struct block *)memory - 1;
    if (block->owner != NULL) {
        block->owner->count--;
        list_remove(&block->node);
    }
    free(block);
}

/* Always moves, so that the address sanitizer sees who kept the old place. */
void *memory_reallocate(void *memory, size_t size)
{
    void *moved = memory_allocate_zeroed(size);
    if (memory != NULL) {
        size_t old_size = ((struct block *)memory - 1)->size;
        memcpy(moved, memory, old_size < size ? old_size : size);
        memory_free(memory);
    }
    return moved;
}

char *memory_duplicate_string(const char *string)
{
    size_t size = strlen(string) + 1;
    return memcpy(memory_allocate(size), string, size);
}

void host_memory_release(struct host_memory *memory)
{
    struct list_node *node;
    while ((node = list_first(&memory->blocks)) != NULL) {
        memory_free(container_of(node, struct block, node) + 1);
    }
    ensure(memory->count == 0);
}

void *own_allocate(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    require(memory != NULL);
    return memory;
}

void *own_reallocate(void *memory, size_t size)
{
    void *moved = realloc(memory, size > 0 ? size : 1);
    require(moved != NULL);
    return moved;
}

char *own_duplicate(const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(own_allocate(size), text, size);
}

void own_free(void *memory)
{
    free(memory);
}
