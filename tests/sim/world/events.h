/* SPDX-License-Identifier: Apache-2.0
 *
 * events.h -- what is going to happen, ordered by time; at the same time, in the order of
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
    uint32_t handle;             /* which leaf is its; 0: not scheduled */
    uint32_t kind;               /* for the digest */
    struct sim_process *process; /* whose doing it is: it waits while that is paused; or NULL */
    void (*run)(struct sim_event *event);
};

struct sim_event_key {
    uint64_t at_ns;
    uint64_t sequence; /* of the scheduling */
};

union sim_event_leaf {
    struct sim_event *event;
    uint32_t next_free; /* of a leaf without an event; 0: it is the last one */
};

/* What the order needs of an event stands here and not in the event, so that its owner's memory is
 * not touched when others come and go. */
struct sim_events {
    uint32_t capacity;          /* of leaves: 0 or a power of two */
    struct sim_event_key *keys; /* by handle */
    uint32_t *winners;          /* from 1, the root; of 2n and 2n + 1 the earlier one is n's */
    union sim_event_leaf *leaves;
    uint32_t first_free; /* handle; 0: none */
    uint32_t front;      /* handle; 0: nobody is in front */
    struct sim_event_key front_key;
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
    return event->handle != 0;
}

#endif
