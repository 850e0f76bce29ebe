/* SPDX-License-Identifier: Apache-2.0
 *
 * beats.h -- hearing other brokers, and being heard by them, for all groups of a shard at once.
 *
 * Locality: the shard of its manager.
 */
#ifndef REPLICA_BEATS_H
#define REPLICA_BEATS_H

#include <stdint.h>

struct replica_manager;
struct replica_peer;

/* A frame came from the peer's shard that has the same groups as this one. */
void replica_beats_heard(struct replica_manager *manager, struct replica_peer *peer);
/* Once a turn, before groups are collected: tells them of peers that are heard no more. */
void replica_beats_look(struct replica_manager *manager);
/* Once a turn, before frames leave: sees to it that each peer gets one every heartbeat interval. */
void replica_beats_send(struct replica_manager *manager);
/* The tick at which one of them has something to do; REPLICA_DUE_NEVER: none. */
uint64_t replica_beats_due_ticks(const struct replica_manager *manager);

#endif
