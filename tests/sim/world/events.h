/* SPDX-License-Identifier: Apache-2.0
 *
 * events.h -- what is going to happen, in a heap ordered by time; at the same time, in the order of
 * scheduling.  An event is embedded in its owner, which takes it out before it goes.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_EVENTS_H
#define TESTS_SIM_WORLD_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

/* Later than everything: an event of a paused process waits there. */
#define SIM_NEVER_NS (UINT64_MAX / 2)

struct sim_process;

struct sim_event {
    uint64_t at_ns;
    uint32_t position;           /* in the heap, from 1; 0: not scheduled */
    uint32_t kind;               /* for the digest */
    struct sim_process *process; /* whose doing it is: it waits while that is paused; or NULL */
    void (*run)(struct sim_event *event);
};

struct sim_event_slot {
    uint64_t at_ns;
    uint64_t sequence;
    struct sim_event *event;
};

struct sim_events {
    struct sim_event_slot *slots; /* from 1; Invariant: slots[i].event->position == i */
    uint32_t count;
    uint32_t capacity;
    uint64_t next_sequence;
};

void sim_events_free(struct sim_events *events);
/* Schedules, or moves when it is scheduled already. */
void sim_event_schedule(struct sim_events *events, struct sim_event *event, uint64_t at_ns);
void sim_event_cancel(struct sim_events *events, struct sim_event *event); /* harmless when not */
/* Takes the first one out; NULL when none comes before SIM_NEVER_NS. */
struct sim_event *sim_events_take(struct sim_events *events);
/* The time of the first one; SIM_NEVER_NS when there is none. */
uint64_t sim_events_next_ns(const struct sim_events *events);

static inline bool sim_event_is_scheduled(const struct sim_event *event)
{
    return event->position != 0;
}

#endif
