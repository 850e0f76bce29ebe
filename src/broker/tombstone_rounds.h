/* SPDX-License-Identifier: Apache-2.0
 *
 * tombstone_rounds.h -- asks, for every compacted partition that this shard leads, all who may hold
 * a copy of it how far theirs has been compacted, and tells them what that proves: up to where
 * tombstones may go (tombstone_floor.h is the rule).  With TellCompacted (1016), one message a
 * round and broker for all partitions.
 *
 * Who may hold a copy: the members of the Raft group, and whoever the metadata lists for the
 * partition, since a listed replica that is no member may come back with what it has.
 *
 * Not here: what is done with it (partition_compaction.h).
 *
 * Locality: one a shard, used on it only, unless it says so.
 */
#ifndef BROKER_TOMBSTONE_ROUNDS_H
#define BROKER_TOMBSTONE_ROUNDS_H

#include "wire/tell_compacted.h"

#include <stdint.h>

struct broker_shard;
struct tombstone_rounds;

struct tombstone_rounds *tombstone_rounds_new(struct broker_shard *shard);
void tombstone_rounds_start(struct tombstone_rounds *rounds);
void tombstone_rounds_stop(struct tombstone_rounds *rounds);
void tombstone_rounds_free(struct tombstone_rounds *rounds);

/* TellCompacted came from a broker: each shard of this one gets what concerns its groups.  told is
 * borrowed for the call.  On shard 0. */
void tombstone_rounds_spread(struct broker_shard *shard, uint32_t from,
                             const struct tell_compacted_request *told);

#endif
