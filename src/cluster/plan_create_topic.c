/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_create_topic.c -- checks a request for a new topic, places its partitions, writes the
 * record.
 *
 * The checks go from the name outward, and the first that fails is told.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"
#include "cluster/placement.h"
#include "cluster/plan.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/topic_created.h"

#include <string.h>

static bool check_name(const struct cluster_metadata *metadata,
                       const struct cluster_topic_request *request, struct cluster_problem *problem)
{
    const char *reason = cluster_topic_name_error(request->name, request->name_length);
    if (reason != NULL) {
        plan_refuse(problem, WIRE_ERROR_INVALID_TOPIC_EXCEPTION, "%s", reason);
        return false;
    }
    const struct topic_entry *alike =
        metadata_find_alike(metadata, request->name, request->name_length);
    if (alike == NULL) {
        return true;
    }
    if (memcmp(alike->topic.name, request->name, request->name_length) == 0) {
        plan_refuse(problem, WIRE_ERROR_TOPIC_ALREADY_EXISTS, "the topic exists already");
    } else {
        char name[PLAN_QUOTE_BYTES];
        plan_refuse(problem, WIRE_ERROR_INVALID_TOPIC_EXCEPTION,
                    "the name collides with the topic %s: in metrics '.' and '_' are the same",
                    plan_quote(name, alike->topic.name, alike->topic.name_length));
    }
    return false;
}

static bool check_id(const struct cluster_metadata *metadata,
                     const struct cluster_topic_request *request, struct cluster_problem *problem)
{
    if (uuid_is_zero(&request->id) || metadata_find_id(metadata, &request->id) != NULL) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "the topic id is zero or taken");
        return false;
    }
    return true;
}

/* Good values, and no config twice. */
static bool check_configs(const struct cluster_topic_request *request,
                          struct cluster_problem *problem)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < request->config_count; i++) {
        const struct topic_config_row *row = plan_check_config(&request->config[i], problem);
        if (row == NULL) {
            return false;
        }
        uint64_t bit = 1ull << (size_t)(row - topic_config_row(0));
        if ((seen & bit) != 0) {
            plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG, "config %s is given twice", row->name);
            return false;
        }
        seen |= bit;
    }
    return true;
}

/* ---- Partitions with given replicas ---- */

/* Sorts the assignments into partitions by their numbers, which must be 0 and upward without a gap.
 */
static bool take_assignments(const struct cluster_metadata *metadata,
                             const struct cluster_topic_request *request,
                             struct cluster_assignment *partitions, struct cluster_problem *problem)
{
    size_t count = request->assignment_count;
    for (size_t i = 0; i < count; i++) {
        const struct cluster_assignment *given = &request->assignments[i];
        if (given->partition >= count || partitions[given->partition].replica_count > 0) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                        "the assigned partitions are not 0 to %zu, each once: see %u", count - 1,
                        given->partition);
            return false;
        }
        if (!plan_check_assignment(metadata, given, given->partition, request->live_brokers,
                                   request->live_broker_count, problem)) {
            return false;
        }
        if (given->replica_count != request->assignments[0].replica_count) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                        "partition %u has %u replicas, others have %u", given->partition,
                        given->replica_count, request->assignments[0].replica_count);
            return false;
        }
        partitions[given->partition] = *given;
    }
    return true;
}

static struct cluster_assignment *assigned_partitions(const struct cluster_metadata *metadata,
                                                      const struct cluster_topic_request *request,
                                                      uint32_t *count,
                                                      struct cluster_problem *problem)
{
    if (request->partition_count != -1 || request->replication_factor != -1) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST,
                    "give either replica assignments or numbers of partitions and replicas, not "
                    "both");
        return NULL;
    }
    int32_t new_count =
        request->assignment_count > INT32_MAX ? INT32_MAX : (int32_t)request->assignment_count;
    if (!plan_check_partition_limits(metadata, 0, new_count, problem)) {
        return NULL;
    }
    struct cluster_assignment *partitions =
        memory_allocate_zeroed(request->assignment_count * sizeof partitions[0]);
    if (!take_assignments(metadata, request, partitions, problem)) {
        memory_free(partitions);
        return NULL;
    }
    *count = (uint32_t)request->assignment_count;
    return partitions;
}

/* ---- Partitions by number ---- */

static struct cluster_assignment *placed_partitions(const struct cluster_metadata *metadata,
                                                    const struct cluster_topic_request *request,
                                                    uint32_t *count,
                                                    struct cluster_problem *problem)
{
    int32_t new_count = request->partition_count == -1 ? request->default_partition_count
                                                       : request->partition_count;
    int32_t replica_count = request->replication_factor == -1 ? request->default_replication_factor
                                                              : request->replication_factor;
    if (new_count < 1) {
        plan_refuse(problem, WIRE_ERROR_INVALID_PARTITIONS,
                    "%d partitions are not possible; a topic has at least 1", new_count);
        return NULL;
    }
    if (!plan_check_partition_limits(metadata, 0, new_count, problem)) {
        return NULL;
    }
    struct placement *placement =
        placement_new(metadata, request->live_brokers, request->live_broker_count);
    struct cluster_assignment *partitions = NULL;
    if (plan_check_replica_count(placement, replica_count, problem)) {
        partitions = memory_allocate_zeroed((size_t)new_count * sizeof partitions[0]);
        placement_choose(placement, (uint32_t)replica_count, partitions, (uint32_t)new_count);
        *count = (uint32_t)new_count;
    }
    placement_free(placement);
    return partitions;
}

/* ---- The record ---- */

static void write_record(const struct cluster_topic_request *request,
                         struct cluster_assignment *partitions, uint32_t count,
                         struct wire_writer *writer)
{
    struct topic_created_record record = {
        .topic_id = request->id,
        .name = {.data = request->name, .length = (int32_t)request->name_length},
        .partitions = memory_allocate_zeroed(count * sizeof record.partitions[0]),
        .partitions_count = (int32_t)count,
        .configs = memory_allocate_zeroed(request->config_count * sizeof record.configs[0]),
        .configs_count = (int32_t)request->config_count,
    };
    for (uint32_t i = 0; i < count; i++) {
        record.partitions[i].replicas = partitions[i].replicas;
        record.partitions[i].replicas_count = (int32_t)partitions[i].replica_count;
    }
    for (size_t i = 0; i < request->config_count; i++) {
        const struct topic_config_entry *entry = &request->config[i];
        record.configs[i].name = (struct wire_string){entry->name, entry->name_length};
        record.configs[i].value = (struct wire_string){entry->value, entry->value_length};
    }
    cluster_record_begin(writer, CLUSTER_RECORD_TOPIC_CREATED);
    topic_created_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    memory_free(record.partitions);
    memory_free(record.configs);
}

void cluster_plan_create_topic(const struct cluster_metadata *metadata,
                               const struct cluster_topic_request *request,
                               struct wire_writer *record, struct cluster_problem *problem)
{
    uint32_t count = 0;
    if (!check_name(metadata, request, problem) || !check_id(metadata, request, problem) ||
        !check_configs(request, problem)) {
        return;
    }
    struct cluster_assignment *partitions =
        request->assignment_count > 0 ? assigned_partitions(metadata, request, &count, problem)
                                      : placed_partitions(metadata, request, &count, problem);
    if (partitions == NULL) {
        return;
    }
    write_record(request, partitions, count, record);
    memory_free(partitions);
    plan_accept(problem);
}
