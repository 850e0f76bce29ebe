/* SPDX-License-Identifier: Apache-2.0
 *
 * test_ask.c -- asks between two running shards: items are split by shard, answered there, and the
 * answers come home on the home shard's own thread.
 */
#include "base/memory.h"
#include "broker/ask.h"
#include "broker/broker.h"
#include "replica/replica.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SHARDS 2
#define ITEMS 6

struct world {
    struct shards *shards;
    struct broker_shard shard[SHARDS];
    struct arena arena;
    struct ask_item items[ITEMS];
    struct ask asks[SHARDS];
    struct shard_message begin;
    struct shard_message end; /* stops the other shard */
    uint32_t away;
    uint32_t answers_at_home;
};

static struct world *world_of(const struct ask *ask)
{
    return ask->context;
}

static void perform(struct broker_shard *shard, struct ask *ask)
{
    for (uint32_t i = 0; i < ask->count; i++) {
        ask->items[i]->term = shard->broker_id; /* names the shard here */
    }
    ask->unanswered = 0;
    ask_return(shard, ask);
}

static void stop_other(struct shard *shard, struct shard_message *message)
{
    (void)message;
    io_loop_stop(shard_loop(shard));
}

static void answered(struct ask *ask)
{
    struct world *world = world_of(ask);
    world->answers_at_home++;
    world->away--;
    if (world->away == 0) {
        world->end.deliver = stop_other;
        list_node_init(&world->end.node);
        shard_post(ask->home->shard, 1, &world->end);
        io_loop_stop(ask->home->loop);
    }
}

static void begin(struct shard *shard, struct shard_message *message)
{
    struct world *world = container_of(message, struct world, begin);
    struct ask_item *pointers[ITEMS];
    struct ask_share shares[SHARDS_MAX];
    bool complete = false;
    for (uint32_t i = 0; i < ITEMS; i++) {
        pointers[i] = &world->items[i];
    }
    world->away = ask_split(&world->arena, pointers, ITEMS, SHARDS, shares, &complete);
    uint32_t count = world->away;
    for (uint32_t i = 0; i < count; i++) {
        ask_init(&world->asks[i], &shares[i], shard_owner(shard), perform, answered, world);
    }
    for (uint32_t i = 0; i < count; i++) {
        ask_send(&world->asks[i], shares[i].shard_id);
    }
}

static void start(struct shard *shard)
{
    (void)shard; /* everything begins with a message */
}

static void asks_go_out_and_come_home(void **state)
{
    (void)state;
    struct world *world = memory_allocate_zeroed(sizeof(*world));
    world->shards = shards_new(SHARDS, 1);
    arena_init(&world->arena, 65536);
    for (uint32_t i = 0; i < SHARDS; i++) {
        world->shard[i].shard = shards_get(world->shards, i);
        world->shard[i].loop = shard_loop(world->shard[i].shard);
        world->shard[i].broker_id = i + 100;
        shard_set_owner(world->shard[i].shard, &world->shard[i]);
    }
    for (uint32_t i = 0; i < ITEMS; i++) {
        world->items[i].group_id = i == 0 ? 0 : 1000 + i; /* the first is answered at home */
    }
    world->begin.deliver = begin;
    list_node_init(&world->begin.node);
    shards_start(world->shards, start);
    shard_post_from_outside(world->shard[0].shard, &world->begin);
    shards_join(world->shards);

    assert_int_equal(world->answers_at_home, SHARDS);
    assert_int_equal(world->items[0].term, 0);
    for (uint32_t i = 1; i < ITEMS; i++) {
        assert_int_equal(world->items[i].term,
                         100 + replica_shard_of_group(world->items[i].group_id, SHARDS));
    }
    arena_free(&world->arena);
    shards_free(world->shards);
    memory_free(world);
}

static void copies_are_refused_all(void **state)
{
    (void)state;
    struct ask_item items[] = {{.group_id = 7}, {.group_id = 5}, {.group_id = 0},
                               {.group_id = 7}, {.group_id = 0}, {.group_id = 7}};
    struct ask_item *pointers[ITEMS];
    for (uint32_t i = 0; i < ITEMS; i++) {
        pointers[i] = &items[i];
    }
    ask_refuse_copies(pointers, ITEMS);
    const enum wire_error expected[] = {
        WIRE_ERROR_INVALID_REQUEST, WIRE_ERROR_NONE, WIRE_ERROR_NONE,
        WIRE_ERROR_INVALID_REQUEST, WIRE_ERROR_NONE, WIRE_ERROR_INVALID_REQUEST};
    for (uint32_t i = 0; i < ITEMS; i++) {
        assert_int_equal(items[i].error, expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_go_out_and_come_home),
        cmocka_unit_test(copies_are_refused_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
