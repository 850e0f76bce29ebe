/* SPDX-License-Identifier: Apache-2.0
 *
 * loop_turn.c -- see loop_turn.h: a timer that is due at once stops the loop.
 */
#include "loop_turn.h"

#include "base/list.h"
#include "io/loop.h"

struct stopper {
    struct io_timer timer;
    struct io_loop *loop;
};

static void stop_loop(struct io_timer *timer)
{
    io_loop_stop(container_of(timer, struct stopper, timer)->loop);
}

void loop_turn(struct io_loop *loop)
{
    struct stopper stopper = {.loop = loop};
    io_timer_init(&stopper.timer, stop_loop);
    io_timer_start(loop, &stopper.timer, io_clock_ns(loop));
    io_loop_run(loop);
    io_timer_stop(loop, &stopper.timer);
}
