/* SPDX-License-Identifier: Apache-2.0
 *
 * due.h -- which groups have something to do at which tick: a wheel of slots 10 ms wide.
 *
 * A group stands in the slot of a tick that is not later than its own due tick.  When the due tick
 * moves away (every heartbeat does that to a follower's election) the group stays where it is and
 * is moved when its slot comes up, so an input costs nothing here.
 *
 * Locality: the shard of its manager.
 */
#ifndef REPLICA_DUE_H
#define REPLICA_DUE_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define REPLICA_DUE_SLOTS 1024 /* a power of two; 10.24 s: more than a follower at rest waits */
#define REPLICA_DUE_NEVER UINT64_MAX

struct replica_due {
    uint64_t now_ticks;                        /* every slot up to here has come up */
    uint64_t occupied[REPLICA_DUE_SLOTS / 64]; /* a hint: a marked slot may be empty */
    struct list slots[REPLICA_DUE_SLOTS];
};

void replica_due_init(struct replica_due *due, uint64_t now_ticks);
/* Puts node (linked or not, *ticks its slot's tick) where it comes up no later than at due_ticks.
 */
void replica_due_set(struct replica_due *due, struct list_node *node, uint64_t *ticks,
                     uint64_t due_ticks);
/* Moves to now_ticks and unlinks everything that comes up, into ready. */
void replica_due_advance(struct replica_due *due, uint64_t now_ticks, struct list *ready);
/* The tick of the first slot that may hold something; REPLICA_DUE_NEVER when all are empty. */
uint64_t replica_due_next(const struct replica_due *due);

#endif
