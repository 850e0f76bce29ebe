/* SPDX-License-Identifier: Apache-2.0
 *
 * placement.h -- choosing the brokers that hold the replicas of new partitions.
 *
 * The choice is a function of the metadata and the brokers offered: no chance, so that a plan can
 * be made again with the same result.  In this order of weight: replicas of a partition on
 * different brokers; on as many different racks as there are; leaders even over the brokers;
 * replicas even over the brokers.  What is placed already counts.
 *
 * Locality: its owner.
 */
#ifndef CLUSTER_PLACEMENT_H
#define CLUSTER_PLACEMENT_H

#include "cluster/cluster.h"

struct placement;

/* Counts what the offered brokers hold.  Those that leave, or that the metadata does not know, are
 * left out. */
struct placement *placement_new(const struct cluster_metadata *metadata, const uint32_t *broker_ids,
                                size_t broker_id_count);
void placement_free(struct placement *placement);

/* Offered brokers that can be chosen. */
uint32_t placement_broker_count(const struct placement *placement);

/* The most replicas a partition can have now.  When the offered brokers are too few, others of the
 * cluster, which are away, take the last places and start their replicas when they come back; but a
 * majority of every partition is on offered ones, so that it can elect a leader at once. */
uint32_t placement_replica_count_max(const struct placement *placement);

/* Fills in replica_count replicas for each of the count partitions; the first is the preferred
 * leader. replica_count <= placement_replica_count_max(). */
void placement_choose(struct placement *placement, uint32_t replica_count,
                      struct cluster_assignment *partitions, uint32_t count);

#endif
