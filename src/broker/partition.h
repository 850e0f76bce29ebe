/* SPDX-License-Identifier: Apache-2.0
 *
 * partition.h -- one Kafka partition on this broker: the applier over its Raft group's log,
 * appends, reads, and the requests that wait for it.
 *
 * Reached from another shard by asks (messages that come home with their answers); the payload in
 * them travels by reference.  Waiting is a linked struct in the partition, never a poll.
 *
 * Locality: the shard of its group; partition_ask_* on the shard of the request.
 */
#ifndef BROKER_PARTITION_H
#define BROKER_PARTITION_H

#include "base/uuid.h"
#include "cluster/topic_config.h"
#include "io/shard.h"
#include "replica/replica.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct partition;

/* What it takes to start a partition's group on this broker; also what is stored in the group's
 * directory (partition_spec_encode), so that it starts again before the metadata is known. */
struct partition_spec {
    uint64_t group_id;
    char topic[250];
    struct uuid topic_id;
    uint32_t partition;
    struct raft_membership members;
    uint32_t incarnation; /* of the replica (cluster.h); one above 0 joins */
    bool join;
    uint32_t preferred; /* leads first, if it founds the group and can; 0: unknown.  Not stored */
};

size_t partition_spec_encode(const struct partition_spec *spec,
                             uint8_t description[REPLICA_DESCRIPTION_BYTES_MAX]);
bool partition_spec_decode(struct partition_spec *spec, const uint8_t *description, size_t length);
/* Any shard: the log line that ends a start in the trail, whoever asked for it. */
void partition_spec_trace_started(const struct partition_spec *spec);

/* On the shard of the group (replica_shard_of_group). Configs come from the metadata where the
 * topic is known, else are defaults until it is (partition_configure). */
void partition_start(struct broker_shard *shard, const struct partition_spec *spec,
                     void (*done)(void *context, enum replica_result result), void *context);
void partition_stop(struct broker_shard *shard, uint64_t group_id, bool delete_data,
                    void (*done)(void *context, enum replica_result result), void *context);
/* Deletes the replica if it is of that incarnation or an earlier one (replica_group_remove). */
void partition_remove(struct broker_shard *shard, uint64_t group_id, uint32_t incarnation,
                      void (*done)(void *context, enum replica_result result), void *context);
/* Stops a damaged replica and has an empty one that must join put in its place, described by spec
 * (replica_group_quarantine()), which is borrowed until done; the caller starts it. */
void partition_quarantine(struct broker_shard *shard, const struct partition_spec *spec,
                          void (*done)(void *context, enum replica_result result), void *context);
/* The topic's configs became known or changed.  config: what is in force (effective_config.h). */
void partition_configure(struct broker_shard *shard, uint64_t group_id,
                         const struct topic_config *config);
struct partition *partition_find(struct broker_shard *shard, uint64_t group_id);
const struct partition_spec *partition_spec_of(const struct partition *partition);

#endif
