/* SPDX-License-Identifier: Apache-2.0
 *
 * offsets_topic.h -- __consumer_offsets as a topic: its shape, and which Raft group holds a
 * consumer group.
 *
 * Locality: the shard of the request, whose copy of the metadata is read.
 */
#ifndef BROKER_OFFSETS_TOPIC_H
#define BROKER_OFFSETS_TOPIC_H

#include "wire/cursor.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

bool offsets_topic_is(const char *name, size_t length);
/* What it is created with: the configured partitions, and as many replicas as are configured and
 * the cluster, which may still be starting, can hold. */
int32_t offsets_topic_partition_count(const struct broker_shard *shard);
int16_t offsets_topic_replication_factor(const struct broker_shard *shard);
/* The Raft group whose leader coordinates a consumer group; 0 with COORDINATOR_NOT_AVAILABLE while
 * there is no such topic, COORDINATOR_LOAD_IN_PROGRESS while the metadata is not known yet. */
uint64_t offsets_topic_group(const struct broker_shard *shard, struct wire_string group_id,
                             enum wire_error *error);

#endif
