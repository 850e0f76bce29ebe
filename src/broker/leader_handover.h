/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_handover.h -- the lead of a group passes to another broker because somebody wants it so:
 * who may get it, and the way of the wish to the broker that leads.
 *
 * It is a wish: whoever has it sees by the leader table whether it came true, and may ask again.
 *
 * Locality: see each function.
 */
#ifndef BROKER_LEADER_HANDOVER_H
#define BROKER_LEADER_HANDOVER_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct replica_group;

/* The broker votes in the group, is in touch and has what is committed.  The group is led here; on
 * its shard. */
bool leader_may_pass_to(const struct replica_group *group, uint32_t broker_id);

/* Passes the lead of the group to the broker, if it is led here and the broker may have it.  Any
 * shard. */
void leader_handover_begin(struct broker_shard *shard, uint64_t group_id, uint32_t to_broker_id);

/* Asks the leader, which may be this broker, to do so (PassLead, 1014).  Lost when there is no
 * connection to it.  Any shard. */
void leader_handover_ask(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                         uint32_t to_broker_id);

#endif
