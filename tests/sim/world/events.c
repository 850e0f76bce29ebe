/* SPDX-License-Identifier: Apache-2.0
 *
 * events.c -- a tournament: every event that is scheduled has a place among the leaves of a binary
 * tree, and each node above knows which of its two is earlier.  To change an event is to play its
 * games anew on the way to the root, which takes no branch that nobody could foretell.
 *
 * In front of the tree there is room for one event that is earlier than all in it.  Most events
 * cause one that comes next of all, which so costs next to nothing.
 */
#include "events.h"

#include "base/assert.h"
#include "own_memory.h"

#define EVENTS_CAPACITY_MIN 64
#define NOBODY 0 /* the handle that is never given out */

/* Later than any event's: of a leaf without one. */
static const struct sim_event_key no_key = {UINT64_MAX, UINT64_MAX};

static bool key_is_before(struct sim_event_key one, struct sim_event_key other)
{
    return ((unsigned __int128)one.at_ns << 64 | one.sequence) <
           ((unsigned __int128)other.at_ns << 64 | other.sequence);
}

static uint32_t earlier_of(const struct sim_events *events, uint32_t one, uint32_t other)
{
    uint32_t is_other = key_is_before(events->keys[other], events->keys[one]);
    return one ^ ((one ^ other) & -is_other);
}

/* ---- The tree ---- */

static void play(struct sim_events *events, uint32_t handle)
{
    uint32_t winner = earlier_of(events, handle, handle ^ 1);
    uint32_t node = (events->capacity + handle) / 2;
    events->winners[node] = winner;
    while (node > 1) {
        winner = earlier_of(events, winner, events->winners[node ^ 1]);
        node /= 2;
        events->winners[node] = winner;
    }
}

static void play_all(struct sim_events *events)
{
    for (uint32_t handle = 0; handle < events->capacity; handle += 2) {
        events->winners[(events->capacity + handle) / 2] = earlier_of(events, handle, handle + 1);
    }
    for (uint32_t node = events->capacity / 2 - 1; node > 0; node--) {
        events->winners[node] =
            earlier_of(events, events->winners[2 * node], events->winners[2 * node + 1]);
    }
}

static uint32_t tree_first(const struct sim_events *events)
{
    return events->capacity > 0 ? events->winners[1] : NOBODY;
}

/* ---- Handles ---- */

static void grow(struct sim_events *events)
{
    uint32_t old_capacity = events->capacity;
    uint32_t capacity = old_capacity > 0 ? old_capacity * 2 : EVENTS_CAPACITY_MIN;
    events->capacity = capacity;
    events->keys = own_reallocate(events->keys, capacity * sizeof events->keys[0]);
    events->winners = own_reallocate(events->winners, capacity * sizeof events->winners[0]);
    events->leaves = own_reallocate(events->leaves, capacity * sizeof events->leaves[0]);
    for (uint32_t handle = capacity; handle-- > old_capacity;) {
        events->keys[handle] = no_key;
        events->leaves[handle] = (union sim_event_leaf){.next_free = events->first_free};
        events->first_free = handle; /* in the end: the least of the new ones */
    }
    if (old_capacity == 0) {
        events->first_free = events->leaves[NOBODY].next_free;
    }
    play_all(events);
}

static void take_handle(struct sim_events *events, struct sim_event *event)
{
    if (events->first_free == NOBODY) {
        grow(events);
    }
    event->handle = events->first_free;
    events->first_free = events->leaves[event->handle].next_free;
    events->leaves[event->handle].event = event;
}

static void give_handle_back(struct sim_events *events, struct sim_event *event)
{
    events->leaves[event->handle].next_free = events->first_free;
    events->first_free = event->handle;
    event->handle = NOBODY;
}

/* ---- Both ---- */

static void set_key(struct sim_events *events, uint32_t handle, struct sim_event_key key)
{
    events->keys[handle] = key;
    play(events, handle);
}

/* The leaf of the event in front has no key: the tree knows nothing of it. */
static void take_out(struct sim_events *events, uint32_t handle)
{
    if (events->front == handle) {
        events->front = NOBODY;
    } else {
        set_key(events, handle, no_key);
    }
}

static void put_in(struct sim_events *events, uint32_t handle, struct sim_event_key key)
{
    bool has_front = events->front != NOBODY;
    struct sim_event_key first = has_front ? events->front_key : events->keys[tree_first(events)];
    if (!key_is_before(key, first)) {
        set_key(events, handle, key);
        return;
    }
    if (has_front) {
        set_key(events, events->front, events->front_key);
    }
    events->front = handle;
    events->front_key = key;
}

void sim_events_free(struct sim_events *events)
{
    own_free(events->keys);
    own_free(events->winners);
    own_free(events->leaves);
    *events = (struct sim_events){0};
}

void sim_event_schedule(struct sim_events *events, struct sim_event *event, uint64_t at_ns)
{
    require(event->run != NULL);
    if (event->handle == NOBODY) {
        take_handle(events, event);
    } else {
        take_out(events, event->handle);
    }
    event->at_ns = at_ns;
    put_in(events, event->handle, (struct sim_event_key){at_ns, events->next_sequence++});
}

void sim_event_cancel(struct sim_events *events, struct sim_event *event)
{
    if (event->handle != NOBODY) {
        ensure(events->leaves[event->handle].event == event);
        take_out(events, event->handle);
        give_handle_back(events, event);
    }
}

/* The handle of the first event; NOBODY: none comes before SIM_NEVER_NS. */
static uint32_t first_of(const struct sim_events *events, uint64_t *at_ns)
{
    uint32_t handle = events->front != NOBODY ? events->front : tree_first(events);
    *at_ns = SIM_NEVER_NS;
    if (events->front != NOBODY) {
        *at_ns = events->front_key.at_ns;
    } else if (handle != NOBODY) {
        *at_ns = events->keys[handle].at_ns;
    }
    return *at_ns < SIM_NEVER_NS ? handle : NOBODY;
}

uint64_t sim_events_next_ns(const struct sim_events *events)
{
    uint64_t at_ns = 0;
    return first_of(events, &at_ns) != NOBODY ? at_ns : SIM_NEVER_NS;
}

struct sim_event *sim_events_take(struct sim_events *events)
{
    uint64_t at_ns = 0;
    uint32_t handle = first_of(events, &at_ns);
    if (handle == NOBODY) {
        return NULL;
    }
    struct sim_event *event = events->leaves[handle].event;
    sim_event_cancel(events, event);
    return event;
}
