/* SPDX-License-Identifier: Apache-2.0
 *
 * events.c -- a heap with four children a node: shallower than a binary one, and the four stand
 * side by side in memory.
 */
#include "events.h"

#include "base/assert.h"
#include "own_memory.h"

#define EVENTS_CAPACITY_MIN 64
#define CHILDREN 4

static bool slot_is_before(const struct sim_event_slot *one, const struct sim_event_slot *other)
{
    return one->at_ns != other->at_ns ? one->at_ns < other->at_ns : one->sequence < other->sequence;
}

static void events_put(struct sim_events *events, uint32_t position, struct sim_event_slot slot)
{
    events->slots[position] = slot;
    slot.event->position = position;
}

/* Puts the slot at a free position or above it. */
static void events_move_up(struct sim_events *events, uint32_t position, struct sim_event_slot slot)
{
    while (position > 1) {
        uint32_t parent = (position + CHILDREN - 2) / CHILDREN;
        if (!slot_is_before(&slot, &events->slots[parent])) {
            break;
        }
        events_put(events, position, events->slots[parent]);
        position = parent;
    }
    events_put(events, position, slot);
}

/* Fills a free position with the first of what is below it, and so on: what is free then is a leaf.
 * What takes its place comes from the end of the heap and belongs near a leaf, so moving it up from
 * there costs less than holding it against every child on the way down. */
static uint32_t events_sink(struct sim_events *events, uint32_t position)
{
    for (;;) {
        uint32_t first = (position - 1) * CHILDREN + 2;
        uint32_t end = first + CHILDREN <= events->count + 1 ? first + CHILDREN : events->count + 1;
        if (first >= end) {
            return position;
        }
        uint32_t least = first;
        for (uint32_t child = first + 1; child < end; child++) {
            if (slot_is_before(&events->slots[child], &events->slots[least])) {
                least = child;
            }
        }
        events_put(events, position, events->slots[least]);
        position = least;
    }
}

void sim_events_free(struct sim_events *events)
{
    own_free(events->slots);
    *events = (struct sim_events){0};
}

static void events_grow(struct sim_events *events)
{
    if (events->count + 1 < events->capacity) {
        return;
    }
    events->capacity = events->capacity > 0 ? events->capacity * 2 : EVENTS_CAPACITY_MIN;
    events->slots = own_reallocate(events->slots, events->capacity * sizeof(struct sim_event_slot));
}

void sim_event_schedule(struct sim_events *events, struct sim_event *event, uint64_t at_ns)
{
    require(event->run != NULL);
    struct sim_event_slot slot = {at_ns, events->next_sequence++, event};
    uint32_t position = event->position;
    if (position == 0) {
        events_grow(events);
        position = ++events->count;
    } else if (slot_is_before(&events->slots[position], &slot)) {
        position = events_sink(events, position);
    }
    event->at_ns = at_ns;
    events_move_up(events, position, slot);
}

void sim_event_cancel(struct sim_events *events, struct sim_event *event)
{
    uint32_t position = event->position;
    if (position == 0) {
        return;
    }
    ensure(position <= events->count && events->slots[position].event == event);
    struct sim_event_slot last = events->slots[events->count--];
    event->position = 0;
    if (last.event != event) {
        events_move_up(events, events_sink(events, position), last);
    }
}

uint64_t sim_events_next_ns(const struct sim_events *events)
{
    return events->count > 0 && events->slots[1].at_ns < SIM_NEVER_NS ? events->slots[1].at_ns
                                                                      : SIM_NEVER_NS;
}

struct sim_event *sim_events_take(struct sim_events *events)
{
    if (sim_events_next_ns(events) == SIM_NEVER_NS) {
        return NULL;
    }
    struct sim_event *event = events->slots[1].event;
    sim_event_cancel(events, event);
    return event;
}
