/* SPDX-License-Identifier: Apache-2.0
 *
 * shard.c -- threads with loops, and the mailboxes between them.
 *
 * A mailbox is one lock-free stack per receiving shard.  What a shard posts in a turn is first
 * collected, per receiver, in a stack of its own and then pushed whole with one exchange, so
 * crossing a core costs once per turn and not once per message.  The receiver takes the whole stack
 * at once and turns it round; because both stacks grow at the same end, messages of one sender come
 * out in the order they went in.  There is nothing to overflow: the messages are their own links.
 *
 * Locality: inbox by any thread, atomically; everything else by the shard's own thread.
 */
#define _GNU_SOURCE
#include "io/shard.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "io/loop_internal.h"
#include "io/thread.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#define SHARD_STACK_BYTES (2 * 1024 * 1024)
#define SHARD_DELIVERIES_PER_TURN 4096

/* Messages linked by node.next, newest on top. */
struct shard_stack {
    struct list_node *top;
    struct list_node *bottom; /* of use only when top is not NULL */
};

struct shard {
    struct io_source source;
    struct shards *shards;
    struct io_loop *loop;
    void *owner;
    uint32_t id;
    pthread_t thread;
    void (*start)(struct shard *shard);
    struct shard_stack outboxes[SHARDS_MAX];
    uint32_t outboxes_filled; /* bit per receiver */
    struct list_node *taken;  /* taken out of the inbox, oldest first, not yet delivered */

    char padding[IO_CACHE_LINE_BYTES];
    struct list_node *_Atomic inbox;
    struct list_node *_Atomic inbox_outside; /* posts from outside; never mixed with the others */
    char padding_after[IO_CACHE_LINE_BYTES];
};

struct shards {
    uint32_t count;
    struct shard *shards[SHARDS_MAX];
};

static void shard_push(struct list_node *_Atomic *inbox, const struct shard_stack *stack)
{
    struct list_node *top = atomic_load_explicit(inbox, memory_order_relaxed);
    do {
        stack->bottom->next = top;
    } while (!atomic_compare_exchange_weak(inbox, &top, stack->top));
}

/* A whole stack, turned round: oldest first. */
static struct list_node *shard_take_all(struct list_node *_Atomic *inbox)
{
    struct list_node *node = atomic_exchange(inbox, NULL);
    struct list_node *oldest = NULL;
    while (node != NULL) {
        struct list_node *next = node->next;
        node->next = oldest;
        oldest = node;
        node = next;
    }
    return oldest;
}

static bool shard_is_pending(struct io_source *source)
{
    struct shard *shard = container_of(source, struct shard, source);
    return shard->taken != NULL || shard->outboxes_filled != 0 ||
           atomic_load(&shard->inbox) != NULL || atomic_load(&shard->inbox_outside) != NULL;
}

/* The mark that a message from outside is on its way stands in its second link, which stacks do not
 * use. */
static void shard_deliver_outside(struct shard *shard)
{
    struct list_node *node = shard_take_all(&shard->inbox_outside);
    while (node != NULL) {
        struct list_node *next = node->next;
        struct shard_message *message = container_of(node, struct shard_message, node);
        __atomic_store_n(&node->previous, NULL, __ATOMIC_RELEASE);
        message->deliver(shard, message);
        node = next;
    }
}

static void shard_deliver(struct io_source *source)
{
    struct shard *shard = container_of(source, struct shard, source);
    shard_deliver_outside(shard);
    for (uint32_t i = 0; i < SHARD_DELIVERIES_PER_TURN; i++) {
        if (shard->taken == NULL) {
            shard->taken = shard_take_all(&shard->inbox);
        }
        struct list_node *node = shard->taken;
        if (node == NULL) {
            break;
        }
        shard->taken = node->next;
        struct shard_message *message = container_of(node, struct shard_message, node);
        message->deliver(shard, message);
    }
    if (shard->taken != NULL) {
        io_loop_again(shard->loop);
    }
}

static void shard_publish(struct io_source *source)
{
    struct shard *shard = container_of(source, struct shard, source);
    while (shard->outboxes_filled != 0) {
        uint32_t to = (uint32_t)__builtin_ctz(shard->outboxes_filled);
        struct shard *receiver = shard->shards->shards[to];
        shard->outboxes_filled &= shard->outboxes_filled - 1;
        shard_push(&receiver->inbox, &shard->outboxes[to]);
        shard->outboxes[to] = (struct shard_stack){0};
        if (to == shard->id) {
            io_loop_again(shard->loop);
        } else {
            io_loop_wake(receiver->loop);
        }
    }
}

static struct shard *shard_new(struct shards *shards, uint32_t id, uint64_t seed)
{
    struct shard *shard = memory_allocate_zeroed(sizeof *shard);
    shard->shards = shards;
    shard->id = id;
    shard->loop = io_loop_new(seed == 0 ? 0 : seed + id);
    shard->source.is_pending = shard_is_pending;
    shard->source.deliver = shard_deliver;
    shard->source.publish = shard_publish;
    io_source_add(shard->loop, &shard->source);
    return shard;
}

/* Cores the process may use; at least 1. */
static uint32_t core_count(void)
{
    cpu_set_t allowed;
    int count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    return count > 1 ? (uint32_t)count : 1;
}

struct shards *shards_new(uint32_t count, uint64_t seed)
{
    require(count <= SHARDS_MAX);
    if (count == 0) {
        count = core_count() < SHARDS_MAX ? core_count() : SHARDS_MAX;
    }
    struct shards *shards = memory_allocate_zeroed(sizeof *shards);
    shards->count = count;
    for (uint32_t i = 0; i < count; i++) {
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

/* Pins when the process has exactly one core for each shard.  With cores to spare the scheduler
 * does better, because brokers that share a machine would all pin to the same first cores. */
static void shard_pin(const struct shard *shard)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 ||
        (uint32_t)CPU_COUNT(&allowed) != shard->shards->count) {
        return;
    }
    uint32_t position = 0;
    for (int core = 0; core < CPU_SETSIZE; core++) {
        if (CPU_ISSET(core, &allowed) && position++ == shard->id) {
            cpu_set_t own;
            CPU_ZERO(&own);
            CPU_SET(core, &own);
            pthread_setaffinity_np(pthread_self(), sizeof own, &own);
            return;
        }
    }
}

static void *shard_main(void *argument)
{
    struct shard *shard = argument;
    trace_set_shard((int)shard->id);
    shard_pin(shard);
    shard->start(shard);
    io_loop_run(shard->loop);
    return NULL;
}

void shards_start(struct shards *shards, void (*start)(struct shard *shard))
{
    for (uint32_t i = 0; i < shards->count; i++) {
        struct shard *shard = shards->shards[i];
        char name[24];
        snprintf(name, sizeof name, "shard-%u", i);
        shard->start = start;
        io_thread_start(&shard->thread, name, SHARD_STACK_BYTES, shard_main, shard);
    }
}

void shards_join(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->count; i++) {
        pthread_join(shards->shards[i]->thread, NULL);
    }
}

void shards_free(struct shards *shards)
{
    for (uint32_t i = 0; i < shards->count; i++) {
        io_source_remove(&shards->shards[i]->source);
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
    struct shard_stack *outbox = &from->outboxes[to];
    message->node.next = outbox->top;
    message->node.previous = NULL;
    if (outbox->top == NULL) {
        outbox->bottom = &message->node;
    }
    outbox->top = &message->node;
    from->outboxes_filled |= 1u << to;
}

void shard_post_from_outside(struct shard *shard, struct shard_message *message)
{
    struct list_node *on_its_way = (struct list_node *)(void *)shard; /* an address no list uses */
    if (__atomic_exchange_n(&message->node.previous, on_its_way, __ATOMIC_ACQ_REL) == on_its_way) {
        return;
    }
    struct shard_stack stack = {&message->node, &message->node};
    shard_push(&shard->inbox_outside, &stack);
    io_loop_wake(shard->loop);
}
