/* SPDX-License-Identifier: Apache-2.0
 *
 * memory.c -- base/memory.h for simulated processes: every block is its process's, so that all of
 * it goes when the process is killed, and what is left after a clean end is seen; and the world's
 * own memory beside it.
 *
 * New memory is filled with a pattern at its beginning, always the same, so that a read of what was
 * never written shows, and shows the same every time.
 *
 * Blocks come and go with every frame.  So they have a few sizes, and free ones are kept for the
 * next block of their size.  Small ones are cut from slabs, which belong to one process each and go
 * with it as a whole; larger ones are counted one by one and kept for any process, of this world or
 * a later one.  Not under the address sanitizer, which must see them go.
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
#define PATTERN_BYTES_MAX 64

/* The sizes: those of small blocks (struct sim_memory), then powers of two up to 512 KiB. */
#define SMALL_SIZES SIM_SMALL_SIZES
#define SMALL_STEP_BYTES ((size_t)64)
#define SMALL_BYTES_MAX (SMALL_STEP_BYTES * SMALL_SIZES)
#define LARGE_SIZES 9
#define SIZES (SMALL_SIZES + LARGE_SIZES)
#define SLAB_BYTES ((size_t)64 * 1024)

struct block {
    union {
        struct sim_memory *owner;
        struct block *next_spare; /* while nobody has it */
    };
    size_t position; /* in owner->large; of a small one: nothing */
    uint64_t mark;
    size_t size;
};

_Static_assert(sizeof(struct block) % 16 == 0, "a block's bytes are aligned");

struct slab {
    struct slab *next;
    uint8_t padding[8]; /* blocks are aligned */
    uint8_t bytes[];
};

_Static_assert(sizeof(struct slab) % 16 == 0, "a slab's blocks are aligned");

/* ---- Sizes ---- */

/* What nobody has: larger blocks of each size, slabs.  A new world starts with what the one before
 * it left: what is in new memory behind its pattern was never anybody's business. */
static struct block *spare_large[LARGE_SIZES];
static struct slab *spare_slabs;

/* Of client code and checkers, which end with the program. */
static struct sim_memory outside;

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

static bool is_small(size_t class)
{
    return class < SMALL_SIZES;
}

/* ---- Small ones ---- */

static void add_slab(struct sim_memory *memory)
{
    struct slab *slab = spare_slabs;
    if (slab != NULL) {
        spare_slabs = slab->next;
    } else {
        slab = malloc(sizeof *slab + SLAB_BYTES);
        require(slab != NULL);
    }
    slab->next = memory->slabs;
    memory->slabs = slab;
    memory->slab_rest = slab->bytes; /* that of the one before is lost: less than 1 KiB */
    memory->slab_left = SLAB_BYTES;
}

static struct block *small_take(struct sim_memory *memory, size_t class)
{
    struct block *block = memory->spare[class];
    if (block != NULL) {
        memory->spare[class] = block->next_spare;
        return block;
    }
    size_t bytes = (class + 1) * SMALL_STEP_BYTES;
    if (memory->slab_left < bytes) {
        add_slab(memory);
    }
    block = (struct block *)(void *)memory->slab_rest;
    memory->slab_rest += bytes;
    memory->slab_left -= bytes;
    return block;
}

static void small_give_back(struct sim_memory *memory, struct block *block, size_t class)
{
    block->next_spare = memory->spare[class];
    memory->spare[class] = block;
}

/* ---- Larger ones ---- */

static struct block *large_take(struct sim_memory *memory, size_t class, size_t bytes)
{
    struct block *block = NULL;
    if (class == SIZES) {
        block = malloc(bytes);
    } else if (spare_large[class - SMALL_SIZES] != NULL) {
        block = spare_large[class - SMALL_SIZES];
        spare_large[class - SMALL_SIZES] = block->next_spare;
    } else {
        block = malloc(SMALL_BYTES_MAX << (class - SMALL_SIZES + 1));
    }
    require(block != NULL);
    if (memory->large_count == memory->large_capacity) {
        memory->large_capacity = memory->large_capacity * 2 + 256;
        memory->large =
            own_reallocate(memory->large, memory->large_capacity * sizeof memory->large[0]);
    }
    block->position = memory->large_count;
    memory->large[memory->large_count++] = block;
    return block;
}

/* The last one takes its place. */
static void large_give_back(struct sim_memory *memory, struct block *block, size_t class)
{
    ensure(block->position < memory->large_count && memory->large[block->position] == block);
    struct block *last = memory->large[--memory->large_count];
    memory->large[block->position] = last;
    last->position = block->position;
    if (class == SIZES) {
        free(block);
    } else {
        block->next_spare = spare_large[class - SMALL_SIZES];
        spare_large[class - SMALL_SIZES] = block;
    }
}

/* ---- Any ---- */

/* Of whoever runs now. */
static struct sim_memory *memory_now(void)
{
    bool is_process = the_world != NULL && the_world->process != NULL;
    return is_process ? &the_world->process->memory : &outside;
}

static struct block *block_new(size_t size)
{
    struct sim_memory *memory = memory_now();
    size_t bytes = sizeof(struct block) + size;
    size_t class = size_class(bytes);
    struct block *block =
        is_small(class) ? small_take(memory, class) : large_take(memory, class, bytes);
    block->owner = memory;
    block->mark = BLOCK_MARK;
    block->size = size;
    memory->block_count++;
    memory->block_bytes += size;
    return block;
}

static void block_free(struct block *block)
{
    struct sim_memory *memory = block->owner;
    size_t class = size_class(sizeof *block + block->size);
    ensure(memory->block_count > 0 && memory->block_bytes >= block->size);
    memory->block_count--;
    memory->block_bytes -= block->size;
    block->mark = BLOCK_GONE;
    if (is_small(class)) {
        small_give_back(memory, block, class);
    } else {
        large_give_back(memory, block, class);
    }
}

static struct block *block_of(void *memory)
{
    struct block *block = (struct block *)memory - 1;
    if (block->mark != BLOCK_MARK) {
        assert_failed("memory", "freed twice, or never allocated", __FILE__, __LINE__);
    }
    return block;
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
        ensure(block->owner == memory_now() || block->owner == &outside);
        block_free(block);
    }
}

void memory_release_all(struct sim_process *process)
{
    struct sim_memory *memory = &process->memory;
    while (memory->large_count > 0) {
        block_free(memory->large[memory->large_count - 1]);
    }
    own_free(memory->large);
    while (memory->slabs != NULL) {
        struct slab *slab = memory->slabs;
        memory->slabs = slab->next;
        slab->next = spare_slabs;
        spare_slabs = slab;
    }
    *memory = (struct sim_memory){0};
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
