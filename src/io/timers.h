/* SPDX-License-Identifier: Apache-2.0
 *
 * timers.h -- a loop's timers in a heap ordered by deadline.  Knows no clock and no loop, so that
 * every implementation of io/loop.h can have its timers in it.  Not for other rooms.
 *
 * Locality: the loop's own thread.
 */
#ifndef IO_TIMERS_H
#define IO_TIMERS_H

#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct io_timers {
    struct io_timer **heap; /* from 1; Invariant: heap[i]->heap_position == i, parent not later */
    uint32_t count;
    uint32_t capacity;
    bool is_firing;
};

void io_timers_free(struct io_timers *timers);
/* Deadline of the earliest, or UINT64_MAX. */
uint64_t io_timers_next_ns(const struct io_timers *timers);
void io_timers_start(struct io_timers *timers, struct io_timer *timer, uint64_t deadline_ns,
                     uint64_t now_ns);
void io_timers_stop(struct io_timers *timers, struct io_timer *timer);
/* Fires those whose deadline is now or has passed. */
void io_timers_fire(struct io_timers *timers, uint64_t now_ns);

#endif
