/* SPDX-License-Identifier: Apache-2.0
 *
 * timer.c -- the loop's timers in a binary heap ordered by deadline.
 *
 * The heap starts at position 1, so that position 0 in a timer means "not running" and a parent is
 * half its child.
 *
 * Locality: the loop's own thread.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "io/timers.h"

#define TIMERS_CAPACITY_MIN 16

static void timers_put(struct io_timers *timers, uint32_t position, struct io_timer *timer)
{
    timers->heap[position] = timer;
    timer->heap_position = position;
}

static void timers_move_up(struct io_timers *timers, uint32_t position)
{
    struct io_timer *timer = timers->heap[position];
    while (position > 1 && timers->heap[position / 2]->deadline_ns > timer->deadline_ns) {
        timers_put(timers, position, timers->heap[position / 2]);
        position /= 2;
    }
    timers_put(timers, position, timer);
}

static void timers_move_down(struct io_timers *timers, uint32_t position)
{
    struct io_timer *timer = timers->heap[position];
    while (position * 2 <= timers->count) {
        uint32_t child = position * 2;
        if (child < timers->count &&
            timers->heap[child + 1]->deadline_ns < timers->heap[child]->deadline_ns) {
            child++;
        }
        if (timers->heap[child]->deadline_ns >= timer->deadline_ns) {
            break;
        }
        timers_put(timers, position, timers->heap[child]);
        position = child;
    }
    timers_put(timers, position, timer);
}

static void timers_grow(struct io_timers *timers)
{
    timers->capacity = timers->capacity > 0 ? timers->capacity * 2 : TIMERS_CAPACITY_MIN;
    timers->heap =
        memory_reallocate(timers->heap, (timers->capacity + 1u) * sizeof(struct io_timer *));
}

void io_timers_free(struct io_timers *timers)
{
    memory_free(timers->heap);
    *timers = (struct io_timers){0};
}

uint64_t io_timers_next_ns(const struct io_timers *timers)
{
    return timers->count > 0 ? timers->heap[1]->deadline_ns : UINT64_MAX;
}

void io_timer_init(struct io_timer *timer, void (*fire)(struct io_timer *timer))
{
    *timer = (struct io_timer){.fire = fire};
}

/* While timers fire, a deadline in the past is moved behind the present: it fires in the next turn
 * and cannot keep the others, or the sockets, from their turn. */
void io_timers_start(struct io_timers *timers, struct io_timer *timer, uint64_t deadline_ns,
                     uint64_t now_ns)
{
    require(timer->fire != NULL);
    if (timers->is_firing && deadline_ns <= now_ns) {
        deadline_ns = now_ns + 1;
    }
    timer->deadline_ns = deadline_ns;
    if (timer->heap_position == 0) {
        if (timers->count == timers->capacity) {
            timers_grow(timers);
        }
        timers->count++;
        timers_put(timers, timers->count, timer);
    }
    ensure(timers->heap[timer->heap_position] == timer);
    timers_move_up(timers, timer->heap_position);
    timers_move_down(timers, timer->heap_position);
}

void io_timers_stop(struct io_timers *timers, struct io_timer *timer)
{
    uint32_t position = timer->heap_position;
    if (position == 0) {
        return;
    }
    ensure(position <= timers->count && timers->heap[position] == timer);
    struct io_timer *last = timers->heap[timers->count];
    timers->count--;
    timer->heap_position = 0;
    if (last != timer) {
        timers_put(timers, position, last);
        timers_move_up(timers, position);
        timers_move_down(timers, last->heap_position);
    }
}

bool io_timer_is_running(const struct io_timer *timer)
{
    return timer->heap_position != 0;
}

void io_timers_fire(struct io_timers *timers, uint64_t now_ns)
{
    timers->is_firing = true;
    while (io_timers_next_ns(timers) <= now_ns) {
        struct io_timer *timer = timers->heap[1];
        io_timers_stop(timers, timer);
        timer->fire(timer);
    }
    timers->is_firing = false;
}
