/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.c -- base/memory.h for simulated processes: every block is in its process's list, so that
 * all of it goes when the process is killed, and what is left after a clean end is seen; and the
 * world's own memory beside it.
 *
 * New memory is filled with a pattern at its beginning, always the same, so that a read of what was
 * never written shows, and shows the same every time.
 */
#include "base/memory.h"

#include "base/assert.h"
#include "internal.h"
#include "own_memory.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_MARK 0x6b636f6c42796c46ull
#define BLOCK_GONE 0x656e6f47796c4621ull
#define PATTERN 0xa7
#define PATTERN_BYTES_MAX 256

struct block {
    struct list_node node;
    struct sim_process *owner; /* NULL: client code, checkers */
    uint64_t mark;
    size_t size;
    size_t padding; /* so that what follows is aligned for anything */
};

_Static_assert(sizeof(struct block) % 16 == 0, "a block's bytes are aligned");

static struct block *block_new(size_t size)
{
    struct block *block = malloc(sizeof *block + size);
    require(block != NULL);
    block->owner = the_world != NULL ? the_world->process : NULL;
    block->mark = BLOCK_MARK;
    block->size = size;
    list_node_init(&block->node);
    if (block->owner != NULL) {
        list_append(&block->owner->blocks, &block->node);
        block->owner->block_count++;
        block->owner->block_bytes += size;
    }
    return block;
}

static struct block *block_of(void *memory)
{
    struct block *block = (struct block *)memory - 1;
    if (block->mark != BLOCK_MARK) {
        assert_failed("memory", "freed twice, or never allocated", __FILE__, __LINE__);
    }
    return block;
}

static void block_forget(struct block *block)
{
    list_remove(&block->node);
    if (block->owner != NULL) {
        block->owner->block_count--;
        block->owner->block_bytes -= block->size;
    }
    block->mark = BLOCK_GONE;
}

void *memory_allocate(size_t size)
{
    struct block *block = block_new(size);
    memset(block + 1, PATTERN, size < PATTERN_BYTES_MAX ? size : PATTERN_BYTES_MAX);
    return block + 1;
}

void *memory_allocate_zeroed(size_t size)
{
    struct block *block = block_new(size);
    memset(block + 1, 0, size);
    return block + 1;
}

/* Always moves: whoever kept a pointer to the old place is found by the address sanitizer. */
void *memory_reallocate(void *memory, size_t size)
{
    void *moved = memory_allocate(size);
    if (memory != NULL) {
        size_t old_size = block_of(memory)->size;
        memcpy(moved, memory, old_size < size ? old_size : size);
        memory_free(memory);
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
    if (memory != NULL) {
        struct block *block = block_of(memory);
        block_forget(block);
        free(block);
    }
}

void memory_release_all(struct sim_process *process)
{
    struct list_node *node = list_first(&process->blocks);
    while (node != NULL) {
        struct block *block = container_of(node, struct block, node);
        block_forget(block);
        free(block);
        node = list_first(&process->blocks);
    }
    ensure(process->block_count == 0 && process->block_bytes == 0);
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
    char *copy = own_allocate(size);
    memcpy(copy, text, size);
    return copy;
}

void own_free(void *memory)
{
    free(memory);
}
