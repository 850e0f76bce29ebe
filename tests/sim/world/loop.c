/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.c -- io/loop.h: when the turns of a loop come, and what happens in one.
 *
 * A turn is one event.  It comes a little after its cause, so that causes close to each other meet
 * in one turn, and takes a little time, so that io_loop_again() cannot hold time still.  As on
 * epoll, timers are waited for in whole milliseconds.
 */
#include "io/loop.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/shard.h"
#include "kernel.h"
#include "loop_parts.h"

#include <string.h>

#define NS_PER_MS 1000000u

static void loop_schedule(struct io_loop *loop, uint64_t at_ns)
{
    if (at_ns < loop->busy_until_ns) {
        at_ns = loop->busy_until_ns;
    }
    if (!sim_event_is_scheduled(&loop->turn) || loop->turn.at_ns > at_ns) {
        sim_event_schedule(&the_world->events, &loop->turn, at_ns);
    }
}

void loop_wake(struct io_loop *loop)
{
    struct sim_world *world = the_world;
    if (loop->is_running && world->loop != loop) {
        if (sim_event_is_scheduled(&loop->turn) && loop->turn.at_ns <= world->now_ns) {
            return;
        }
        uint64_t late_ns = sim_between(&world->turn_prng, 0, world->options.turn_late_most_ns);
        loop_schedule(loop, world->now_ns + late_ns);
    }
}

/* Work was given to the loop: outside its turn, it has to be woken. */
static void loop_given(struct io_loop *loop)
{
    if (the_world->loop != loop) {
        loop_wake(loop);
    }
}

void loop_block(struct io_loop *loop, uint64_t duration_ns)
{
    loop->blocked_ns += duration_ns;
}

/* After a turn: the next one comes at once, with the next timer, or when somebody wakes the loop.
 */
static void loop_wait(struct io_loop *loop)
{
    struct sim_world *world = the_world;
    loop->busy_until_ns = world->now_ns + loop->blocked_ns +
                          sim_between(&world->turn_prng, world->options.turn_cost_least_ns,
                                      world->options.turn_cost_most_ns);
    loop->blocked_ns = 0;
    if (loop->is_again_wanted) {
        loop_schedule(loop, loop->busy_until_ns);
        return;
    }
    uint64_t deadline_ns = io_timers_next_ns(&loop->timers);
    if (deadline_ns != UINT64_MAX) {
        uint64_t clock_ns = loop->now_ns;
        uint64_t wait_ns = deadline_ns > clock_ns ? deadline_ns - clock_ns : 0;
        wait_ns = (wait_ns + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;
        loop_schedule(loop, host_when_ns(loop->host, clock_ns + wait_ns));
    }
}

static void loop_take_time(struct io_loop *loop)
{
    loop->now_ns = host_clock_ns(loop->host);
    loop->wall_ms = sim_host_wall_ms(loop->host);
}

static void loop_run_hooks(struct io_loop *loop)
{
    struct list_node *node = loop->hooks.head.next;
    while (node != &loop->hooks.head) {
        struct io_turn_hook *hook = container_of(node, struct io_turn_hook, node);
        loop->next_hook = node->next;
        hook->run(hook);
        node = loop->next_hook;
    }
    loop->next_hook = NULL;
}

static void loop_turn(struct io_loop *loop)
{
    loop->is_again_wanted = false;
    loop_take_time(loop);
    trace_set_shard(-1);
    if (loop->shard != NULL) {
        shard_begin(loop->shard);
    }
    listeners_accept(loop);
    streams_receive(loop);
    streams_attend(loop);
    jobs_deliver(loop);
    if (loop->shard != NULL) {
        shard_deliver_mail(loop->shard);
        shard_publish_mail(loop->shard);
    }
    io_timers_fire(&loop->timers, loop->now_ns);
    loop_run_hooks(loop);
    if (loop->shard != NULL) {
        shard_publish_mail(loop->shard);
    }
    streams_send(loop);
}

static void loop_enter_turn(struct io_loop *loop)
{
    if (!loop->is_stopped) {
        loop_turn(loop);
    }
    if (!loop->is_stopped) {
        loop_wait(loop);
        return;
    }
    loop->is_running = false;
    if (loop->process != NULL) {
        process_loop_ended(loop->process);
    }
}

/* A process that ends within the turn comes back here by the jump. */
static void loop_turn_due(struct sim_event *event)
{
    struct io_loop *loop = container_of(event, struct io_loop, turn);
    struct sim_world *world = the_world;
    struct sim_process *process = loop->process;
    world->loop = loop;
    world->host = loop->host;
    world->process = process;
    if (process == NULL) {
        loop_enter_turn(loop);
    } else {
        if (loop->shard != NULL) {
            world_stir_shard(loop->host, shard_id(loop->shard));
        } else {
            world_stir(loop->host);
        }
        if (_setjmp(world->turn_exit) == 0) {
            loop_enter_turn(loop);
        }
    }
    world->loop = NULL;
    world->host = NULL;
    world->process = NULL;
    if (process != NULL && process->is_ending) {
        process_destroy(process);
    }
}

static void loop_init(struct io_loop *loop, uint64_t seed)
{
    loop->turn =
        (struct sim_event){.kind = SIM_EVENT_TURN, .process = loop->process, .run = loop_turn_due};
    list_node_init(&loop->process_node);
    list_init(&loop->hooks);
    list_init(&loop->ready_listeners);
    list_init(&loop->streams);
    list_init(&loop->streams_ready);
    list_init(&loop->streams_due);
    list_init(&loop->streams_to_send);
    if (seed == 0) {
        io_random_secure(loop, &seed, sizeof seed);
    }
    prng_init(&loop->prng, seed);
    jobs_init(loop);
    loop_take_time(loop);
}

struct io_loop *io_loop_new(uint64_t seed)
{
    struct sim_world *world = the_world;
    require(world->process != NULL);
    struct io_loop *loop = memory_allocate_zeroed(sizeof *loop);
    loop->process = world->process;
    loop->host = world->host;
    loop_init(loop, seed);
    list_append(&loop->process->loops, &loop->process_node);
    return loop;
}

struct io_loop *loop_new_for_client(struct sim_host *host, uint64_t seed)
{
    struct io_loop *loop = memory_allocate_zeroed(sizeof *loop);
    loop->host = host;
    loop_init(loop, seed);
    loop->is_running = true;
    return loop;
}

static void loop_release(struct io_loop *loop)
{
    streams_free(loop);
    sim_event_cancel(&the_world->events, &loop->turn);
    buf_release(loop->receive_spare);
    io_timers_free(&loop->timers);
    memory_free(loop);
}

void loop_free_client(struct io_loop *loop)
{
    loop_release(loop);
}

void io_loop_free(struct io_loop *loop)
{
    require(!loop->is_running);
    jobs_finish(loop);
    list_remove(&loop->process_node);
    loop_release(loop);
}

void loop_abandon(struct io_loop *loop)
{
    sim_event_cancel(&the_world->events, &loop->turn);
    jobs_abandon(loop);
}

void loop_resume(struct io_loop *loop)
{
    if (sim_event_is_scheduled(&loop->turn) && loop->turn.at_ns >= SIM_NEVER_NS) {
        sim_event_schedule(&the_world->events, &loop->turn, the_world->now_ns);
    }
    jobs_resume(loop);
}

struct io_loop *loop_of_process_node(struct list_node *node)
{
    return container_of(node, struct io_loop, process_node);
}

void io_loop_stop(struct io_loop *loop)
{
    loop->is_stopped = true;
    loop_given(loop);
}

uint64_t io_now_ns(const struct io_loop *loop)
{
    bool is_between_turns = loop->process == NULL && the_world->loop != loop;
    return is_between_turns ? host_clock_ns(loop->host) : loop->now_ns;
}

uint64_t io_clock_ns(const struct io_loop *loop)
{
    return host_clock_ns(loop->host) + loop->blocked_ns;
}

int64_t io_wall_ms(const struct io_loop *loop)
{
    return loop->wall_ms;
}

uint64_t io_random(struct io_loop *loop)
{
    return prng_next(&loop->prng);
}

void io_random_secure(struct io_loop *loop, void *bytes, uint32_t length)
{
    struct prng *prng = loop->process != NULL ? &loop->process->prng : &the_world->identity_prng;
    uint8_t *at = bytes;
    for (uint32_t i = 0; i < length; i += 8) {
        uint64_t number = prng_next(prng);
        memcpy(at + i, &number, length - i < 8 ? length - i : 8);
    }
}

void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns)
{
    io_timers_start(&loop->timers, timer, deadline_ns, loop->now_ns);
    if (the_world->loop != loop && loop->is_running) {
        loop_schedule(loop, host_when_ns(loop->host, deadline_ns));
    }
}

void io_timer_stop(struct io_loop *loop, struct io_timer *timer)
{
    io_timers_stop(&loop->timers, timer);
}

void io_turn_hook_add(struct io_loop *loop, struct io_turn_hook *hook)
{
    list_append(&loop->hooks, &hook->node);
    io_loop_again(loop);
}

void io_turn_hook_remove(struct io_loop *loop, struct io_turn_hook *hook)
{
    if (loop->next_hook == &hook->node) {
        loop->next_hook = hook->node.next;
    }
    list_remove(&hook->node);
}

void io_loop_again(struct io_loop *loop)
{
    loop->is_again_wanted = true;
    loop_given(loop);
}
