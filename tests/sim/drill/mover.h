/* SPDX-License-Identifier: Apache-2.0
 *
 * mover.h -- the operator who moves replicas and leaders while the cluster is under load: asks for
 * reassignments, gives those under way another target, cancels some, and has leaders elected.
 *
 * It knows what it was promised: where a partition's replicas are to be in the end, when its last
 * wish for it was acknowledged and no other one could still overtake that.
 *
 * Not here: whether it came so (check_places.c), brokers that come and go.
 */
#ifndef TESTS_SIM_DRILL_MOVER_H
#define TESTS_SIM_DRILL_MOVER_H

#include "drill/client.h"

#define MOVER_REPLICAS_MAX 7

struct drill_mover;

/* client outlives it. */
struct drill_mover *drill_mover_new(struct client *client, uint32_t broker_count);
void drill_mover_free(struct drill_mover *mover);
/* Begins to move things, or ends it. */
void drill_mover_move(struct drill_mover *mover, bool on);
/* Nothing is under way between it and the cluster; what it asked for may be. */
bool drill_mover_is_idle(const struct drill_mover *mover);

/* The replicas promised for a partition, in their order; 0: nothing is. */
uint32_t drill_mover_promised(const struct drill_mover *mover, uint32_t topic, uint32_t partition,
                              uint32_t replicas[MOVER_REPLICAS_MAX]);

#endif
