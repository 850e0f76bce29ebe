/* SPDX-License-Identifier: Apache-2.0
 *
 * reassignment.h -- what the leader of a partition's group does for a reassignment of its replicas:
 * once those that are wanted are voters, it removes the others, itself by handing over first, and
 * then has the controller leader record that the reassignment is complete.
 *
 * Everything follows from the committed metadata and the group's own membership; nothing is
 * remembered, so whoever leads next goes on.  Not here: the wanted replicas, which start and ask to
 * become members by themselves (reconciler.h, readmission.h).
 *
 * Locality: the shard of the group.
 */
#ifndef BROKER_REASSIGNMENT_H
#define BROKER_REASSIGNMENT_H

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

/* Takes every group that this shard leads one step on.  True when it hosts one that is being moved,
 * so that another pass is due soon. */
bool reassignment_pass(struct broker_shard *shard);

/* On shard 0 of the controller leader: a group's leader says that it is as the epoch wants it. */
void reassignment_record_completion(struct broker_shard *shard, uint64_t group_id, uint32_t epoch);

#endif
