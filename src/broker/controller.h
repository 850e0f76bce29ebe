/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.h -- the controller group on this broker: proposing records, following the committed
 * ones, and the flows by which the controller leader starts and stops partition Raft groups on all
 * brokers.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_CONTROLLER_H
#define BROKER_CONTROLLER_H

#include "cluster/cluster.h"
#include "replica/replica.h"
#include "wire/error.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

/* This broker is the controller leader and has applied everything committed before its term. */
bool controller_is_leader(const struct broker_shard *shard);
/* This broker has a vote in the controller group, so it hears of its leader by itself. */
bool controller_is_voter(const struct broker_shard *shard);
/* 0: unknown. */
uint32_t controller_leader(const struct broker_shard *shard);

/* The controller group as its leader sees it; false when this broker does not lead it. */
bool controller_view(const struct broker_shard *shard, struct replica_group_view *view);

/* Commits a record planned against this shard's metadata; takes over the writer's contents.  done
 * comes once: NONE (or change->error) with the change after it was applied here; NOT_CONTROLLER
 * when this is not the leader; REQUEST_TIMED_OUT when leadership was lost and the outcome is
 * unknown. */
void controller_propose(struct broker_shard *shard, struct wire_writer *record,
                        void (*done)(void *context, enum wire_error error,
                                     const struct cluster_change *change),
                        void *context);

/* done comes once, maybe at once: whether this broker was the controller leader at some moment
 * after the call, by a majority's word (thesis 6.4). */
void controller_confirm_lead(struct broker_shard *shard,
                             void (*done)(void *context, bool is_leader), void *context);

/* StartPartitionRaftGroups(): sends StartPartitionRaftGroup (1003) for the partitions
 * [first_partition, partition_count) of the topic to all their replicas' brokers, in parallel; done
 * when every partition has a leader, or with REQUEST_TIMED_OUT at the deadline (monotonic ns). */
void controller_start_groups(struct broker_shard *shard, const struct cluster_topic *topic,
                             uint32_t first_partition, uint64_t deadline_ns,
                             void (*done)(void *context, enum wire_error error), void *context);
/* The same with StopPartitionRaftGroup (1004); done when all answered or gave up. The topic is
 * copied. */
void controller_stop_groups(struct broker_shard *shard, const struct cluster_topic *topic,
                            uint64_t deadline_ns,
                            void (*done)(void *context, enum wire_error error), void *context);

/* Broker ids that may be given replicas now: registered and live, ascending; in memory of the
 * caller. */
size_t controller_live_brokers(const struct broker_shard *shard, uint32_t *broker_ids,
                               size_t capacity);

#endif
