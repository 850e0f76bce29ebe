/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_group_flow.h -- the flows by which the controller leader starts and stops the Raft groups of
 * a topic's partitions on all brokers (controller_start_groups(), controller_stop_groups()).
 *
 * A flow is the fast path only.  What it does not reach, each broker does by itself (reconciler.h).
 *
 * Locality: shard 0.
 */
#ifndef BROKER_RAFT_GROUP_FLOW_H
#define BROKER_RAFT_GROUP_FLOW_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct raft_group_flows;

struct raft_group_flows *raft_group_flows_new(struct broker_shard *shard);
/* Ends what is under way with REQUEST_TIMED_OUT, and what begins from now on; empty some turns
 * later. */
void raft_group_flows_stop(struct raft_group_flows *flows);
bool raft_group_flows_are_done(const struct raft_group_flows *flows);
void raft_group_flows_free(struct raft_group_flows *flows);

/* A group has (leader != 0) a leader now. */
void raft_group_flows_leader_known(struct raft_group_flows *flows, uint64_t group_id,
                                   uint32_t leader);

#endif
