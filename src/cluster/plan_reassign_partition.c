/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_reassign_partition.c -- writes the records of a reassignment: another target, back to the
 * replicas before, complete.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"
#include "cluster/partition.h"
#include "cluster/plan.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "wire/partition_reassigned.h"
#include "wire/reassignment_completed.h"

#include <string.h>

static const struct cluster_partition *find_partition(const struct cluster_metadata *metadata,
                                                      const struct uuid *topic_id,
                                                      uint32_t partition,
                                                      struct cluster_problem *problem)
{
    const struct cluster_topic *topic = cluster_topic_find_id(metadata, topic_id);
    if (topic == NULL) {
        plan_refuse(problem, WIRE_ERROR_UNKNOWN_TOPIC_ID, "there is no topic with this id");
        return NULL;
    }
    if (partition >= topic->partition_count) {
        plan_refuse(problem, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION,
                    "the topic has %u partitions, so none is number %u", topic->partition_count,
                    partition);
        return NULL;
    }
    return &topic->partitions[partition];
}

static void write_target(const struct uuid *topic_id, uint32_t partition, uint32_t epoch,
                         uint32_t *replicas, uint32_t replica_count, struct wire_writer *record)
{
    struct partition_reassigned_record reassigned = {
        .topic_id = *topic_id,
        .partition = partition,
        .epoch = epoch,
        .replicas = replicas,
        .replicas_count = (int32_t)replica_count,
    };
    cluster_record_begin(record, CLUSTER_RECORD_PARTITION_REASSIGNED);
    partition_reassigned_record_encode(&reassigned, CLUSTER_RECORD_VERSION, record);
}

void cluster_plan_reassign_partition(const struct cluster_metadata *metadata,
                                     const struct uuid *topic_id, uint32_t partition,
                                     const struct cluster_assignment *replicas,
                                     const uint32_t *live_brokers, size_t live_broker_count,
                                     struct wire_writer *record, struct cluster_problem *problem)
{
    const struct cluster_partition *present =
        find_partition(metadata, topic_id, partition, problem);
    if (present == NULL || !plan_check_assignment(metadata, replicas, partition, live_brokers,
                                                  live_broker_count, problem)) {
        return;
    }
    struct cluster_partition target = {.replica_count = replicas->replica_count};
    struct cluster_partition moving;
    memcpy(target.replicas, replicas->replicas, sizeof target.replicas);
    if (!partition_retarget(present, &target, &moving)) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                    "partition %u would have more than %d replicas until it is moved", partition,
                    CLUSTER_REPLICAS_MAX);
        return;
    }
    write_target(topic_id, partition, present->epoch, target.replicas, target.replica_count,
                 record);
    plan_accept(problem);
}

void cluster_plan_cancel_reassignment(const struct cluster_metadata *metadata,
                                      const struct uuid *topic_id, uint32_t partition,
                                      struct wire_writer *record, struct cluster_problem *problem)
{
    const struct cluster_partition *present =
        find_partition(metadata, topic_id, partition, problem);
    if (present == NULL) {
        return;
    }
    struct cluster_partition before = {0};
    bool is_change = false;
    for (uint32_t i = 0; i < present->replica_count; i++) {
        uint8_t standing = present->standings[i];
        if (standing == CLUSTER_REPLICA_SETTLED || standing == CLUSTER_REPLICA_REMOVING) {
            before.replicas[before.replica_count++] = present->replicas[i];
        }
        is_change =
            is_change || standing == CLUSTER_REPLICA_REMOVING || standing == CLUSTER_REPLICA_ADDING;
    }
    if (!is_change) {
        plan_refuse(problem, WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS,
                    "partition %u is not being moved", partition);
        return;
    }
    ensure(before.replica_count > 0);
    if (!metadata_may_hold(metadata, &before)) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                    "partition %u had more replicas than there are brokers that stay: it cannot go "
                    "back to the one that is leaving",
                    partition);
        return;
    }
    write_target(topic_id, partition, present->epoch, before.replicas, before.replica_count,
                 record);
    plan_accept(problem);
}

void cluster_plan_complete_reassignment(const struct cluster_metadata *metadata, uint64_t group_id,
                                        uint32_t epoch, struct wire_writer *record,
                                        struct cluster_problem *problem)
{
    const struct cluster_topic *topic = NULL;
    uint32_t partition = 0;
    if (!cluster_group_find(metadata, group_id, &topic, &partition)) {
        plan_refuse(problem, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "no partition has group %llu",
                    (unsigned long long)group_id);
        return;
    }
    const struct cluster_partition *present = &topic->partitions[partition];
    if (present->epoch != epoch || !cluster_partition_is_moving(present)) {
        plan_refuse(problem, WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS,
                    "partition %u is not being moved by reassignment %u", partition, epoch);
        return;
    }
    struct reassignment_completed_record completed = {.group_id = (int64_t)group_id,
                                                      .epoch = epoch};
    cluster_record_begin(record, CLUSTER_RECORD_REASSIGNMENT_COMPLETED);
    reassignment_completed_record_encode(&completed, CLUSTER_RECORD_VERSION, record);
    plan_accept(problem);
}
