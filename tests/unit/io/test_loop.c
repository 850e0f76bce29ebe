/* SPDX-License-Identifier: Apache-2.0
 *
 * test_loop.c -- timers, turn hooks, the worker, and that a turn neither starves nor spins.
 */
#include "io/loop.h"

#include "base/prng.h"
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#define MS 1000000ull
#define TIMERS 500

struct many_timers {
    struct io_loop *loop;
    struct io_timer timers[TIMERS];
    uint64_t last_ns;
    int fired;
    int expected;
};

static struct many_timers many;

static void many_fire(struct io_timer *timer)
{
    assert_false(io_timer_is_running(timer));
    assert_true(timer->deadline_ns >= many.last_ns);
    assert_true(io_now_ns(many.loop) >= timer->deadline_ns);
    many.last_ns = timer->deadline_ns;
    many.fired++;
    if (many.fired == many.expected) {
        io_loop_stop(many.loop);
    }
}

static void test_timers_fire_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 9);
    many = (struct many_timers){.loop = io_loop_new(1)};
    uint64_t start_ns = io_clock_ns(many.loop);
    for (int i = 0; i < TIMERS; i++) {
        io_timer_init(&many.timers[i], many_fire);
        io_timer_start(many.loop, &many.timers[i], start_ns + prng_below(&prng, 40 * MS));
    }
    for (int i = 0; i < TIMERS; i += 3) {
        io_timer_start(many.loop, &many.timers[i], start_ns + prng_below(&prng, 40 * MS));
    }
    for (int i = 0; i < TIMERS; i += 5) {
        io_timer_stop(many.loop, &many.timers[i]);
        io_timer_stop(many.loop, &many.timers[i]);
        assert_false(io_timer_is_running(&many.timers[i]));
    }
    many.expected = TIMERS - TIMERS / 5;
    io_loop_run(many.loop);
    assert_int_equal(many.fired, many.expected);
    io_loop_free(many.loop);
}

struct greedy {
    struct io_timer always_due;
    struct io_timer later;
    struct io_loop *loop;
    int rounds;
};

static void greedy_again(struct io_timer *timer)
{
    struct greedy *greedy = container_of(timer, struct greedy, always_due);
    greedy->rounds++;
    io_timer_start(greedy->loop, timer, 0);
}

static void greedy_end(struct io_timer *timer)
{
    struct greedy *greedy = container_of(timer, struct greedy, later);
    io_loop_stop(greedy->loop);
}

static void test_a_timer_that_is_always_due_starves_no_other(void **state)
{
    (void)state;
    struct greedy greedy = {.loop = io_loop_new(1)};
    io_timer_init(&greedy.always_due, greedy_again);
    io_timer_init(&greedy.later, greedy_end);
    io_timer_start(greedy.loop, &greedy.always_due, 0);
    io_timer_start(greedy.loop, &greedy.later, io_clock_ns(greedy.loop) + 2 * MS);
    io_loop_run(greedy.loop);
    assert_true(greedy.rounds > 1);
    io_loop_free(greedy.loop);
}

struct hooks {
    struct io_turn_hook first;
    struct io_turn_hook second;
    struct io_turn_hook third;
    struct io_loop *loop;
    char order[64];
};

static void hooks_note(struct hooks *hooks, char name)
{
    size_t length = strlen(hooks->order);
    assert_true(length + 1 < sizeof hooks->order);
    hooks->order[length] = name;
}

static void first_run(struct io_turn_hook *hook)
{
    struct hooks *hooks = container_of(hook, struct hooks, first);
    hooks_note(hooks, '1');
    if (strlen(hooks->order) == 1) {
        io_turn_hook_remove(hooks->loop, &hooks->second);
    }
    io_loop_again(hooks->loop);
}

static void second_run(struct io_turn_hook *hook)
{
    hooks_note(container_of(hook, struct hooks, second), '2');
}

static void third_run(struct io_turn_hook *hook)
{
    struct hooks *hooks = container_of(hook, struct hooks, third);
    hooks_note(hooks, '3');
    if (strlen(hooks->order) >= 6) {
        io_loop_stop(hooks->loop);
    }
}

static void test_hooks_run_every_turn_in_order_and_may_remove_each_other(void **state)
{
    (void)state;
    struct hooks hooks = {.first.run = first_run, .second.run = second_run, .third.run = third_run};
    hooks.loop = io_loop_new(1);
    io_turn_hook_add(hooks.loop, &hooks.first);
    io_turn_hook_add(hooks.loop, &hooks.second);
    io_turn_hook_add(hooks.loop, &hooks.third);
    io_loop_run(hooks.loop);
    assert_string_equal(hooks.order, "131313");
    io_loop_free(hooks.loop);
}

#define WORKS 200

struct many_works {
    struct io_work work;
    struct io_loop *loop;
    int number;
    int *run_count; /* worker thread only */
    int *done_count;
    bool ran_in_order;
};

static void work_run(struct io_work *work)
{
    struct many_works *one = container_of(work, struct many_works, work);
    one->ran_in_order = *one->run_count == one->number;
    (*one->run_count)++;
}

static void work_done(struct io_work *work)
{
    struct many_works *one = container_of(work, struct many_works, work);
    assert_true(one->ran_in_order);
    assert_int_equal(*one->done_count, one->number);
    (*one->done_count)++;
    if (*one->done_count == WORKS) {
        io_loop_stop(one->loop);
    }
}

static void test_works_run_and_finish_in_order(void **state)
{
    (void)state;
    static struct many_works works[WORKS];
    int run_count = 0;
    int done_count = 0;
    struct io_loop *loop = io_loop_new(1);
    for (int i = 0; i < WORKS; i++) {
        works[i] = (struct many_works){
            .work = {.run = work_run, .done = work_done},
            .loop = loop,
            .number = i,
            .run_count = &run_count,
            .done_count = &done_count,
        };
        io_work_submit(loop, &works[i].work);
    }
    io_loop_run(loop);
    assert_int_equal(done_count, WORKS);
    io_loop_free(loop);
}

static void test_the_generator_repeats_for_a_seed(void **state)
{
    (void)state;
    struct io_loop *one = io_loop_new(77);
    struct io_loop *two = io_loop_new(77);
    struct io_loop *chance = io_loop_new(0);
    uint64_t first = io_random(one);
    uint8_t secret[64] = {0};
    uint8_t zero[64] = {0};
    assert_true(first == io_random(two));
    assert_true(first != io_random(chance));
    io_random_secure(one, secret, sizeof secret);
    assert_memory_not_equal(secret, zero, sizeof secret);
    assert_true(io_wall_ms(one) > 1500000000000);
    io_loop_free(one);
    io_loop_free(two);
    io_loop_free(chance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_fire_in_the_order_of_their_deadlines),
        cmocka_unit_test(test_a_timer_that_is_always_due_starves_no_other),
        cmocka_unit_test(test_hooks_run_every_turn_in_order_and_may_remove_each_other),
        cmocka_unit_test(test_works_run_and_finish_in_order),
        cmocka_unit_test(test_the_generator_repeats_for_a_seed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
