/* SPDX-License-Identifier: Apache-2.0
 *
 * test_shard.c -- mailboxes between shards: order, nothing lost, posts from outside.
 */
#include "io/shard.h"

#include "base/assert.h"
#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>
#include <stdatomic.h>

#define SHARDS 4
#define MESSAGES 20000 /* from each shard to each, its own included */

struct numbered {
    struct shard_message message;
    uint32_t from;
    uint32_t number;
};

/* What one shard keeps; touched by its own thread only until the shards are joined. */
struct post_office {
    uint32_t sent[SHARDS];
    uint32_t received[SHARDS];
    uint32_t ended; /* shards that have received everything */
    bool is_out_of_order;
    bool is_reentered;
    bool is_inside;
    struct io_turn_hook hook;
    struct shard *shard;
};

static struct post_office offices[SHARDS];

static void ended_deliver(struct shard *shard, struct shard_message *message)
{
    struct post_office *office = shard_owner(shard);
    memory_free(message);
    office->ended++;
    if (office->ended == SHARDS) {
        io_loop_stop(shard_loop(shard));
    }
}

static void tell_everybody_that_we_have_all(struct shard *shard)
{
    for (uint32_t to = 0; to < SHARDS; to++) {
        struct shard_message *message = memory_allocate_zeroed(sizeof *message);
        message->deliver = ended_deliver;
        shard_post(shard, to, message);
    }
}

static void numbered_deliver(struct shard *shard, struct shard_message *message)
{
    struct post_office *office = shard_owner(shard);
    struct numbered *numbered = container_of(message, struct numbered, message);
    office->is_reentered = office->is_reentered || office->is_inside;
    office->is_inside = true;
    if (numbered->number != office->received[numbered->from]) {
        office->is_out_of_order = true;
    }
    office->received[numbered->from]++;
    memory_free(numbered);
    uint64_t total = 0;
    for (uint32_t from = 0; from < SHARDS; from++) {
        total += office->received[from];
    }
    if (total == (uint64_t)SHARDS * MESSAGES) {
        tell_everybody_that_we_have_all(shard);
    }
    office->is_inside = false;
}

/* Sends in uneven portions, so that receivers now sleep and now are busy. */
static void post_some(struct io_turn_hook *hook)
{
    struct post_office *office = container_of(hook, struct post_office, hook);
    bool has_more = false;
    for (uint32_t to = 0; to < SHARDS; to++) {
        uint64_t portion = io_random(shard_loop(office->shard)) % 64;
        for (uint64_t i = 0; i < portion && office->sent[to] < MESSAGES; i++) {
            struct numbered *numbered = memory_allocate_zeroed(sizeof *numbered);
            numbered->message.deliver = numbered_deliver;
            numbered->from = shard_id(office->shard);
            numbered->number = office->sent[to]++;
            shard_post(office->shard, to, &numbered->message);
        }
        has_more = has_more || office->sent[to] < MESSAGES;
    }
    if (has_more) {
        io_loop_again(shard_loop(office->shard));
    }
}

static void post_office_start(struct shard *shard)
{
    struct post_office *office = &offices[shard_id(shard)];
    require(shard_count(shard) == SHARDS);
    office->shard = shard;
    office->hook.run = post_some;
    shard_set_owner(shard, office);
    io_turn_hook_add(shard_loop(shard), &office->hook);
}

static void test_every_message_arrives_once_and_in_order(void **state)
{
    (void)state;
    struct shards *shards = shards_new(SHARDS, 3);
    shards_start(shards, post_office_start);
    shards_join(shards);
    for (int to = 0; to < SHARDS; to++) {
        assert_false(offices[to].is_out_of_order);
        assert_false(offices[to].is_reentered);
        for (int from = 0; from < SHARDS; from++) {
            assert_int_equal(offices[to].received[from], MESSAGES);
        }
    }
    shards_free(shards);
}

#define ROUNDS 20000

/* One message that goes to and fro: every hop finds the other shard asleep. */
struct ball {
    struct shard_message message;
    uint32_t hops;
};

static void stop_deliver(struct shard *shard, struct shard_message *message)
{
    memory_free(message);
    io_loop_stop(shard_loop(shard));
}

static void ball_deliver(struct shard *shard, struct shard_message *message)
{
    struct ball *ball = container_of(message, struct ball, message);
    ball->hops++;
    if (ball->hops < ROUNDS) {
        shard_post(shard, 1 - shard_id(shard), message);
        return;
    }
    for (uint32_t to = 0; to < 2; to++) {
        struct shard_message *stop = memory_allocate_zeroed(sizeof *stop);
        stop->deliver = stop_deliver;
        shard_post(shard, to, stop);
    }
}

static struct ball ball;

static void ball_start(struct shard *shard)
{
    if (shard_id(shard) == 0) {
        ball.message.deliver = ball_deliver;
        shard_post(shard, 1, &ball.message);
    }
}

static void test_a_sleeping_shard_is_always_woken(void **state)
{
    (void)state;
    struct shards *shards = shards_new(2, 4);
    shards_start(shards, ball_start);
    shards_join(shards);
    assert_int_equal(ball.hops, ROUNDS);
    shards_free(shards);
}

static struct shard_message outside;
static _Atomic int outside_count;

static void outside_deliver(struct shard *shard, struct shard_message *message)
{
    assert_ptr_equal(message, &outside);
    if (atomic_fetch_add(&outside_count, 1) + 1 == 100) {
        io_loop_stop(shard_loop(shard));
    }
}

static void no_start(struct shard *shard)
{
    (void)shard;
}

static void test_posts_from_outside_reach_a_sleeping_shard(void **state)
{
    (void)state;
    struct shards *shards = shards_new(1, 5);
    outside.deliver = outside_deliver;
    shards_start(shards, no_start);
    for (int i = 1; i <= 100; i++) {
        shard_post_from_outside(shards_get(shards, 0), &outside);
        while (atomic_load(&outside_count) < i) {
            sched_yield(); /* posting again before it is delivered would be lost */
        }
    }
    shards_join(shards);
    assert_int_equal(atomic_load(&outside_count), 100);
    shards_free(shards);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_message_arrives_once_and_in_order),
        cmocka_unit_test(test_a_sleeping_shard_is_always_woken),
        cmocka_unit_test(test_posts_from_outside_reach_a_sleeping_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
