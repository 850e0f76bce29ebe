/* SPDX-License-Identifier: Apache-2.0
 *
 * operators.h -- what people and the broker around it do to a group: clients' writes and reads,
 * changes of its members, transfers, and bringing back nodes whose disk was lost.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_OPERATORS_H
#define TESTS_SIM_RAFT_OPERATORS_H

#include "world.h"

/* What they ask of a node that leads, in one tick. */
void operators_ask(struct world *world, uint32_t leader);
/* One step that brings nodes without a vote back; true while there are any. */
bool operators_readmit(struct world *world, uint32_t leader);
/* The leader, when the group promises to bear the loss of this node's disk now; 0: some copy is
 * still to be made good. */
uint32_t operators_may_wipe(struct world *world, uint32_t node_id);

#endif
