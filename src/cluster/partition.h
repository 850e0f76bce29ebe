/* SPDX-License-Identifier: Apache-2.0
 *
 * partition.h -- how records change the replicas of a partition.  The questions are in cluster.h.
 *
 * Locality: the owner of the partition.
 */
#ifndef CLUSTER_PARTITION_H
#define CLUSTER_PARTITION_H

#include "cluster/cluster.h"

/* The founding replicas, all SETTLED.  False when they are none, too many, doubled, or broker 0 is
 * among them. */
bool partition_take_replicas(struct cluster_partition *partition, const uint32_t *replicas,
                             int32_t count);

/* What a snapshot says of the reassignment, after the replicas are taken.  False when it
 * contradicts itself. */
bool partition_take_reassignment(struct cluster_partition *partition, uint32_t epoch,
                                 const uint32_t *incarnations, int32_t incarnation_count,
                                 const int8_t *standings, int32_t standing_count);

/* The partition as it is when its replicas are to become those of target, whose other fields are
 * not looked at.  False when there would be more than CLUSTER_REPLICAS_MAX until the others are
 * gone. */
bool partition_retarget(const struct cluster_partition *partition,
                        const struct cluster_partition *target, struct cluster_partition *result);

/* The replicas that are not wanted leave; the others are settled. */
void partition_settle(struct cluster_partition *partition);

#endif
