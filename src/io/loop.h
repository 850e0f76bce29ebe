/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.h -- one shard's event loop: time, chance, timers and the turn.
 *
 * The room io is the only one that calls the kernel, and everything above it takes time and chance
 * from here; a simulator replaces this room whole by another implementation of these headers.
 *
 * A turn: wait -> complete I/O (streams, flushes, works) -> deliver mailboxes -> fire timers ->
 * turn hooks, in the order they were added -> send what the streams have queued.  Handlers
 * therefore never see a half-finished turn, and whatever they queue leaves in one batch.
 *
 * Locality: every function is called on the loop's own thread, unless it says otherwise.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct io_loop;

/* seed: of the loop's generator; 0 takes one from the kernel. */
struct io_loop *io_loop_new(uint64_t seed);
/* For a loop that does not run (any more), called by whoever joined its thread.  Flushes and works
 * that were submitted are executed, but their done is not called; streams are closed without
 * on_close. Listeners are closed by their owners before. */
void io_loop_free(struct io_loop *loop);

/* Runs turns until io_loop_stop() is called. */
void io_loop_run(struct io_loop *loop);
void io_loop_stop(struct io_loop *loop);

/* Monotonic nanoseconds at the start of the turn. */
uint64_t io_now_ns(const struct io_loop *loop);
/* Monotonic nanoseconds right now; for measuring. */
uint64_t io_clock_ns(const struct io_loop *loop);
/* Milliseconds since 1970 at the start of the turn. */
int64_t io_wall_ms(const struct io_loop *loop);
/* Deterministic chance from the loop's seed; not for secrets. */
uint64_t io_random(struct io_loop *loop);
/* Unpredictable bytes from the kernel, for identities. */
void io_random_secure(struct io_loop *loop, void *bytes, uint32_t length);

/* A timer is embedded in its owner, which outlives it or stops it first. */
struct io_timer {
    uint64_t deadline_ns;
    uint32_t heap_position; /* 0: not started */
    void (*fire)(struct io_timer *timer);
};

void io_timer_init(struct io_timer *timer, void (*fire)(struct io_timer *timer));
/* Starts, or moves when running.  A deadline in the past fires in the next turn. */
void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns);
void io_timer_stop(struct io_loop *loop, struct io_timer *timer); /* harmless when not running */
bool io_timer_is_running(const struct io_timer *timer);

/* Called once at the end of every turn, before streams are flushed.  A hook that has more work than
 * a turn should hold calls io_loop_again(). */
struct io_turn_hook {
    struct list_node node;
    void (*run)(struct io_turn_hook *hook);
};

void io_turn_hook_add(struct io_loop *loop, struct io_turn_hook *hook);
void io_turn_hook_remove(struct io_loop *loop, struct io_turn_hook *hook);
/* The next turn does not wait. */
void io_loop_again(struct io_loop *loop);

#endif
