/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_place.h -- from what a request names to where it is: topic and partition to Raft group,
 * group to leader, leader to address.
 *
 * Locality: the shard of the request, whose copies of metadata and leader table are read.
 */
#ifndef BROKER_TOPIC_PLACE_H
#define BROKER_TOPIC_PLACE_H

#include "base/uuid.h"
#include "cluster/cluster.h"
#include "wire/cursor.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

/* NULL with the error that says so: until the metadata is loaded nothing is unknown for sure. */
const struct cluster_topic *topic_place_by_name(const struct broker_shard *shard,
                                                struct wire_string name, enum wire_error *error);
const struct cluster_topic *topic_place_by_id(const struct broker_shard *shard,
                                              const struct uuid *id, enum wire_error *error);
/* The group of a partition of the topic; 0: there is no such partition. */
uint64_t topic_place_group(const struct cluster_topic *topic, int32_t partition);

/* Who leads a group, as the protocol says it: -1 where unknown. */
struct topic_place_leader {
    int32_t id;
    int32_t epoch; /* the Raft term */
};
/* The leader of a partition, if it is a registered broker; id -1 else. */
struct topic_place_leader topic_place_leader(const struct broker_shard *shard, uint64_t group_id);
/* Whether every partition has one that can be reached. */
bool topic_place_has_leaders(const struct broker_shard *shard, const struct cluster_topic *topic);

/* A text of ours as a protocol string; NULL gives null. */
struct wire_string topic_place_string(const char *text);
/* The message of a problem; null when it has none. */
struct wire_string topic_place_message(const struct cluster_problem *problem);

#endif
