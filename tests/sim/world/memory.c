/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.c -- base/memory.h for simulated processes: every block is among its process's, so that
 * all of it goes when the process is killed, and what is left after a clean end is seen; and the
 * world's own memory beside it.
 *
 * New memory is filled with a pattern at its beginning, always the same, so that a read of what was
 * never written shows, and shows the same every time.
 *
 * Blocks come and go with every frame.  So they have a few sizes, and those that are free are kept
 * for the next one that wants their size, in this world or a later one; small ones are cut from
 * slabs.  Not under the address sanitizer, which must see them go, and not larger ones.
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

/* The sizes: multiples of 64 up to 1 KiB, then powers of two up to 512 KiB. */
#define SMALL_STEP_BYTES ((size_t)64)
#define SMALL_BYTES_MAX ((size_t)1024)
#define SMALL_SIZES (SMALL_BYTES_MAX / SMALL_STEP_BYTES)
#define LARGE_SIZES 9
#define SIZES (SMALL_SIZES + LARGE_SIZES)
#define SLAB_BYTES ((size_t)256 * 1024)

struct block {
    union {
        struct sim_process *owner; /* NULL: client code, checkers */
        struct block *next_spare;  /* while nobody has it */
    };
    size_t position; /* in owner->blocks */
    uint64_t mark;
    size_t size;
};

_Static_assert(sizeof(struct block) % 16 == 0, "a block's bytes are aligned");

/* ---- Spare ones ---- */

/* Free blocks of each size, and what is left of the latest slab.  A new world starts with what the
 * one before it left: what is in new memory behind its pattern was never anybody's business. */
static struct block *spare[SIZES];
static uint8_t *slab;
static size_t slab_left;

/* Which of the sizes holds so many bytes; SIZES: none does. */
static size_t size_class(size_t bytes)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)bytes;
    return SIZES;
#else
    if (bytes <= SMALL_BYTES_MAX) {
        return (bytes - 1) / SMALL_STEP_BYTES;
    }
    if (bytes > SMALL_BYTES_MAX << LARGE_SIZES) {
        return SIZES;
    }
    return SMALL_SIZES + (unsigned)(__builtin_clzll(SMALL_BYTES_MAX) - __builtin_clzll(bytes - 1));
#endif
}

static struct block *cut_from_slab(size_t bytes)
{
    if (slab_left < bytes) {
        slab = malloc(SLAB_BYTES); /* the rest of the one before is lost: less than 1 KiB */
        slab_left = slab != NULL ? SLAB_BYTES : 0;
        require(slab != NULL);
    }
    struct block *block = (struct block *)(void *)slab;
    slab += bytes;
    slab_left -= bytes;
    return block;
}

static struct block *block_take(size_t size)
{
    size_t bytes = sizeof(struct block) + size;
    size_t class = size_class(bytes);
    if (class == SIZES) {
        return malloc(bytes);
    }
    struct block *block = spare[class];
    if (block != NULL) {
        spare[class] = block->next_spare;
        return block;
    }
    return class < SMALL_SIZES ? cut_from_slab((class + 1) * SMALL_STEP_BYTES)
                               : malloc(SMALL_BYTES_MAX << (class - SMALL_SIZES + 1));
}

static void block_give_back(struct block *block)
{
    size_t class = size_class(sizeof *block + block->size);
    if (class == SIZES) {
        free(block);
        return;
    }
    block->next_spare = spare[class];
    spare[class] = block;
}

/* ---- Those of a process ---- */

static void blocks_add(struct sim_process *process, struct block *block)
{
    if (process->block_count == process->block_capacity) {
        process->block_capacity = process->block_capacity * 2 + 1024;
        process->blocks =
            own_reallocate(process->blocks, process->block_capacity * sizeof process->blocks[0]);
    }
    block->position = process->block_count;
    process->blocks[process->block_count++] = block;
    process->block_bytes += block->size;
}

/* The last one takes its place. */
static void blocks_remove(struct sim_process *process, struct block *block)
{
    ensure(block->position < process->block_count && process->blocks[block->position] == block);
    struct block *last = process->blocks[--process->block_count];
    process->blocks[block->position] = last;
    last->position = block->position;
    process->block_bytes -= block->size;
}

static struct block *block_new(size_t size)
{
    struct block *block = block_take(size);
    require(block != NULL);
    block->owner = the_world != NULL ? the_world->process : NULL;
    block->mark = BLOCK_MARK;
    block->size = size;
    if (block->owner != NULL) {
        blocks_add(block->owner, block);
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
    if (block->owner != NULL) {
        blocks_remove(block->owner, block);
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
        block_give_back(block);
    }
}

void memory_release_all(struct sim_process *process)
{
    while (process->block_count > 0) {
        struct block *block = process->blocks[process->block_count - 1];
        block_forget(block);
        block_give_back(block);
    }
    ensure(process->block_bytes == 0);
    own_free(process->blocks);
    process->blocks = NULL;
    process->block_capacity = 0;
}

void *own_allocate(size_t size)
{
    void *memory = calloc(1, size > 0 ? size : 1);
    require(memory != NULL);
    return memory;
}

void *own_allocate_raw(size_t size)
{
    void *memory = malloc(size);
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
