/* SPDX-License-Identifier: Apache-2.0
 *
 * shard.c -- io/shard.h: loops that are turned by the world, and the mail between them.
 *
 * Messages of one sender arrive in order; those of different senders interleave as their turns do.
 */
#include "io/shard.h"

#include "base/assert.h"
#include "base/memory.h"
#include "fiber.h"
#include "kernel.h"
#include "loop_parts.h"

#define DELIVERIES_PER_TURN 4096
#define SHARDS_IN_A_SMALL_MACHINE 2

struct shard {
    struct shards *shards;
    struct io_loop *loop;
    void *owner;
    uint32_t id;
    void (*start)(struct shard *shard); /* NULL: has begun */
    struct list outboxes[SHARDS_MAX];
    uint32_t outboxes_filled; /* bit per receiver */
    struct list inbox;
    struct list inbox_outside;
};

struct shards {
    uint32_t count;
    struct shard *shards[SHARDS_MAX];
};

void shard_begin(struct shard *shard)
{
    trace_set_shard((int)shard->id);
    if (shard->start != NULL) {
        void (*start)(struct shard * shard) = shard->start;
        shard->start = NULL;
        start(shard);
    }
}

static void deliver_first(struct shard *shard, struct list *inbox)
{
    struct list_node *node = list_take_first(inbox);
    struct shard_message *message = container_of(node, struct shard_message, node);
    message->deliver(shard, message);
}

void shard_deliver_mail(struct shard *shard)
{
    while (!list_is_empty(&shard->inbox_outside)) {
        deliver_first(shard, &shard->inbox_outside);
    }
    for (uint32_t i = 0; i < DELIVERIES_PER_TURN && !list_is_empty(&shard->inbox); i++) {
        deliver_first(shard, &shard->inbox);
    }
    if (!list_is_empty(&shard->inbox)) {
        io_loop_again(shard->loop);
    }
}

void shard_publish_mail(struct shard *shard)
{
    while (shard->outboxes_filled != 0) {
        uint32_t to = (uint32_t)__builtin_ctz(shard->outboxes_filled);
        struct shard *receiver = shard->shards->shards[to];
        struct list_node *node = NULL;
        shard->outboxes_filled &= shard->outboxes_filled - 1;
        while ((node = list_take_first(&shard->outboxes[to])) != NULL) {
            list_append(&receiver->inbox, node);
        }
        if (to == shard->id) {
            io_loop_again(shard->loop);
        } else {
            loop_wake(receiver->loop);
        }
    }
}

static struct shard *shard_new(struct shards *shards, uint32_t id, uint64_t seed)
{
    struct shard *shard = memory_allocate_zeroed(sizeof *shard);
    shard->shards = shards;
    shard->id = id;
    shard->loop = io_loop_new(seed == 0 ? 0 : seed + id);
    shard->loop->shard = shard;
    list_init(&shard->inbox);
    list_init(&shard->inbox_outside);
    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        list_init(&shard->outboxes[i]);
    }
    return shard;
}

struct shards *shards_new(uint32_t count, uint64_t seed)
{
    require(count <= SHARDS_MAX);
    struct shards *shards = memory_allocate_zeroed(sizeof *shards);
    shards->count = count > 0 ? count : SHARDS_IN_A_SMALL_MACHINE;
    for (uint32_t i = 0; i < shards->count; i++) {
        shards->shards[i] = shard_new(shards, i, seed);
    }
    return shards;
}

uint32_t shards_count(const struct shards *shards)
{
    return shards->count;
}

struct shard *shards_get(struct shards *shards, uint32_t id)
{
    require(id < shards->count);
    return shards->shards[id];
}

void shards_start(struct shards *shards, void (*start)(struct shard *shard))
{
    struct sim_process *process = the_world->process;
    for (uint32_t i = 0; i < shards->count; i++) {
        struct shard *shard = shards->shards[i];
        shard->start = start;
        shard->loop->is_running = true;
        process->loops_running++;
        loop_wake(shard->loop);
    }
}

void shards_join(struct shards *shards)
{
    struct sim_process *process = the_world->process;
    (void)shards;
    process->is_joining = true;
    while (process->loops_running > 0) {
        fiber_park();
    }
    process->is_joining = false;
}

void shards_free(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->count; i++) {
        io_loop_free(shards->shards[i]->loop);
        memory_free(shards->shards[i]);
    }
    memory_free(shards);
}

uint32_t shard_id(const struct shard *shard)
{
    return shard->id;
}

uint32_t shard_count(const struct shard *shard)
{
    return shard->shards->count;
}

struct io_loop *shard_loop(struct shard *shard)
{
    return shard->loop;
}

void *shard_owner(const struct shard *shard)
{
    return shard->owner;
}

void shard_set_owner(struct shard *shard, void *owner)
{
    shard->owner = owner;
}

void shard_post(struct shard *from, uint32_t to, struct shard_message *message)
{
    require(to < from->shards->count);
    require(message->deliver != NULL);
    list_append(&from->outboxes[to], &message->node);
    from->outboxes_filled |= 1u << to;
    loop_wake(from->loop); /* harmless within its turn */
}

/* A zeroed node is in no list; once taken out of one it points to itself. */
void shard_post_from_outside(struct shard *shard, struct shard_message *message)
{
    if (message->node.next != NULL && list_is_linked(&message->node)) {
        return;
    }
    list_append(&shard->inbox_outside, &message->node);
    loop_wake(shard->loop);
}
