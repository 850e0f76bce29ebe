/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_create_partitions.c -- checks a request for more partitions of a topic, places them, writes
 * the record.
 *
 * New partitions have as many replicas as partition 0 of the topic.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"
#include "cluster/placement.h"
#include "cluster/plan.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/partitions_added.h"

/* The number of partitions to add; 0 when refused. */
static uint32_t check_count(const struct cluster_metadata *metadata,
                            const struct cluster_topic *topic, int32_t partition_count,
                            struct cluster_problem *problem)
{
    if (partition_count < 1 || (uint32_t)partition_count <= topic->partition_count) {
        plan_refuse(problem, WIRE_ERROR_INVALID_PARTITIONS,
                    "the topic has %u partitions already; %d is no increase",
                    topic->partition_count, partition_count);
        return 0;
    }
    uint32_t new_count = (uint32_t)partition_count - topic->partition_count;
    if (!plan_check_partition_limits(metadata, topic->partition_count, (int32_t)new_count,
                                     problem)) {
        return 0;
    }
    return new_count;
}

static bool take_assignments(const struct cluster_metadata *metadata,
                             const struct cluster_topic *topic,
                             const struct cluster_assignment *assignments, size_t assignment_count,
                             const uint32_t *live_brokers, size_t live_broker_count,
                             struct cluster_assignment *partitions, uint32_t new_count,
                             struct cluster_problem *problem)
{
    uint32_t replica_count = cluster_partition_replication_factor(&topic->partitions[0]);
    if (assignment_count != new_count) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                    "%u partitions are new, but %zu are assigned", new_count, assignment_count);
        return false;
    }
    for (uint32_t i = 0; i < new_count; i++) {
        uint32_t partition = topic->partition_count + i;
        if (!plan_check_assignment(metadata, &assignments[i], partition, live_brokers,
                                   live_broker_count, problem)) {
            return false;
        }
        if (assignments[i].replica_count != replica_count) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                        "partition %u has %u replicas, the topic has %u", partition,
                        assignments[i].replica_count, replica_count);
            return false;
        }
        partitions[i] = assignments[i];
    }
    return true;
}

static bool place(const struct cluster_metadata *metadata, const struct cluster_topic *topic,
                  const uint32_t *live_brokers, size_t live_broker_count,
                  struct cluster_assignment *partitions, uint32_t new_count,
                  struct cluster_problem *problem)
{
    uint32_t replica_count = cluster_partition_replication_factor(&topic->partitions[0]);
    struct placement *placement = placement_new(metadata, live_brokers, live_broker_count);
    bool possible = plan_check_replica_count(placement, (int32_t)replica_count, problem);
    if (possible) {
        placement_choose(placement, replica_count, partitions, new_count);
    }
    placement_free(placement);
    return possible;
}

static void write_record(const struct cluster_topic *topic, struct cluster_assignment *partitions,
                         uint32_t new_count, struct wire_writer *writer)
{
    struct partitions_added_record record = {
        .topic_id = topic->id,
        .first_partition = topic->partition_count,
        .partitions = memory_allocate_zeroed(new_count * sizeof record.partitions[0]),
        .partitions_count = (int32_t)new_count,
    };
    for (uint32_t i = 0; i < new_count; i++) {
        record.partitions[i].replicas = partitions[i].replicas;
        record.partitions[i].replicas_count = (int32_t)partitions[i].replica_count;
    }
    cluster_record_begin(writer, CLUSTER_RECORD_PARTITIONS_ADDED);
    partitions_added_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    memory_free(record.partitions);
}

void cluster_plan_create_partitions(const struct cluster_metadata *metadata, const char *name,
                                    size_t name_length, int32_t partition_count,
                                    const struct cluster_assignment *assignments,
                                    size_t assignment_count, const uint32_t *live_brokers,
                                    size_t live_broker_count, struct wire_writer *record,
                                    struct cluster_problem *problem)
{
    const struct cluster_topic *topic = cluster_topic_find(metadata, name, name_length);
    if (topic == NULL) {
        plan_refuse(problem, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION, "there is no such topic");
        return;
    }
    uint32_t new_count = check_count(metadata, topic, partition_count, problem);
    if (new_count == 0) {
        return;
    }
    struct cluster_assignment *partitions =
        memory_allocate_zeroed(new_count * sizeof partitions[0]);
    bool good = assignment_count > 0
                    ? take_assignments(metadata, topic, assignments, assignment_count, live_brokers,
                                       live_broker_count, partitions, new_count, problem)
                    : place(metadata, topic, live_brokers, live_broker_count, partitions, new_count,
                            problem);
    if (good) {
        write_record(topic, partitions, new_count, record);
        plan_accept(problem);
    }
    memory_free(partitions);
}
