/* SPDX-License-Identifier: Apache-2.0
 *
 * plan.c -- the parts of plan.h.
 *
 * Locality: any.
 */
#include "cluster/plan.h"

#include "base/assert.h"
#include "cluster/metadata.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void plan_accept(struct cluster_problem *problem)
{
    problem->error = WIRE_ERROR_NONE;
    problem->message[0] = '\0';
}

void plan_refuse(struct cluster_problem *problem, enum wire_error error, const char *format, ...)
{
    require(error != WIRE_ERROR_NONE);
    va_list arguments;
    va_start(arguments, format);
    problem->error = error;
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
}

const char *plan_quote(char quoted[PLAN_QUOTE_BYTES], const char *text, size_t length)
{
    static const char cut_mark[] = "...";
    size_t room = PLAN_QUOTE_BYTES - sizeof "''" - (sizeof cut_mark - 1);
    size_t shown = length < room ? length : room;
    size_t end = 0;
    quoted[end++] = '\'';
    for (size_t i = 0; i < shown; i++) {
        quoted[end++] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
    }
    if (shown < length) {
        memcpy(&quoted[end], cut_mark, sizeof cut_mark - 1);
        end += sizeof cut_mark - 1;
    }
    quoted[end++] = '\'';
    quoted[end] = '\0';
    return quoted;
}

static bool is_among(const uint32_t *ids, size_t count, uint32_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (ids[i] == id) {
            return true;
        }
    }
    return false;
}

bool plan_check_assignment(const struct cluster_metadata *metadata,
                           const struct cluster_assignment *assignment, uint32_t partition,
                           const uint32_t *live_brokers, size_t live_broker_count,
                           struct cluster_problem *problem)
{
    uint32_t live = 0;
    if (assignment->replica_count < 1 || assignment->replica_count > CLUSTER_REPLICAS_MAX) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                    "partition %u is assigned to %u brokers; 1 to %d are possible", partition,
                    assignment->replica_count, CLUSTER_REPLICAS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < assignment->replica_count; i++) {
        uint32_t id = assignment->replicas[i];
        if (is_among(assignment->replicas, i, id)) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                        "partition %u is assigned to broker %u twice", partition, id);
            return false;
        }
        const struct cluster_broker *broker = cluster_broker_find(metadata, id);
        if (broker == NULL || broker->is_leaving) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
                        "partition %u is assigned to broker %u, which is %s the cluster", partition,
                        id, broker == NULL ? "not part of" : "leaving");
            return false;
        }
        live += is_among(live_brokers, live_broker_count, id) ? 1 : 0;
    }
    if (live <= assignment->replica_count / 2) {
        plan_refuse(
            problem, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT,
            "partition %u is assigned to %u brokers of which %u are alive, too few to elect "
            "a leader",
            partition, assignment->replica_count, live);
        return false;
    }
    return true;
}

bool plan_check_partition_limits(const struct cluster_metadata *metadata, uint32_t old_count,
                                 int32_t new_count, struct cluster_problem *problem)
{
    require(new_count > 0 && old_count <= CLUSTER_PARTITIONS_PER_TOPIC_MAX);
    uint64_t total = metadata->partition_count;
    if (new_count > CLUSTER_PARTITIONS_PER_REQUEST_MAX) {
        plan_refuse(problem, WIRE_ERROR_POLICY_VIOLATION,
                    "%d partitions are more than the %d that can be added at once", new_count,
                    CLUSTER_PARTITIONS_PER_REQUEST_MAX);
        return false;
    }
    if ((uint32_t)new_count > CLUSTER_PARTITIONS_PER_TOPIC_MAX - old_count) {
        plan_refuse(problem, WIRE_ERROR_POLICY_VIOLATION,
                    "a topic has at most %d partitions; %u and %d more are too many",
                    CLUSTER_PARTITIONS_PER_TOPIC_MAX, old_count, new_count);
        return false;
    }
    if (total + (uint32_t)new_count > CLUSTER_PARTITIONS_MAX) {
        plan_refuse(problem, WIRE_ERROR_POLICY_VIOLATION,
                    "the cluster has %llu partitions and at most %d; %d more are too many",
                    (unsigned long long)total, CLUSTER_PARTITIONS_MAX, new_count);
        return false;
    }
    return true;
}

bool plan_check_replica_count(const struct placement *placement, int32_t replica_count,
                              struct cluster_problem *problem)
{
    if (replica_count < 1 || replica_count > CLUSTER_REPLICAS_MAX) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REPLICATION_FACTOR,
                    "a replication factor of %d is not possible; 1 to %d are", replica_count,
                    CLUSTER_REPLICAS_MAX);
        return false;
    }
    if ((uint32_t)replica_count > placement_replica_count_max(placement)) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REPLICATION_FACTOR,
                    "a replication factor of %d is too large; with %u live brokers at most %u is "
                    "possible now",
                    replica_count, placement_broker_count(placement),
                    placement_replica_count_max(placement));
        return false;
    }
    return true;
}

const struct topic_config_row *plan_find_config(const struct topic_config_entry *entry,
                                                struct cluster_problem *problem)
{
    char name[PLAN_QUOTE_BYTES];
    size_t length = entry->name_length > 0 ? (size_t)entry->name_length : 0;
    const struct topic_config_row *row = topic_config_find(entry->name, length);
    if (row == NULL) {
        plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG, "there is no topic config %s",
                    plan_quote(name, entry->name, length));
    }
    return row;
}

bool plan_check_value(const struct topic_config_row *row, const struct topic_config_entry *entry,
                      struct cluster_problem *problem)
{
    char value[PLAN_QUOTE_BYTES];
    char reason[128];
    if (entry->value_length < 0) {
        plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG, "config %.*s has no value",
                    entry->name_length, entry->name);
        return false;
    }
    if (topic_config_check(row, entry->value, (size_t)entry->value_length, reason, sizeof reason) !=
        NULL) {
        plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG, "config %.*s: the value %s %s",
                    entry->name_length, entry->name,
                    plan_quote(value, entry->value, (size_t)entry->value_length), reason);
        return false;
    }
    return true;
}

const struct topic_config_row *plan_check_config(const struct topic_config_entry *entry,
                                                 struct cluster_problem *problem)
{
    const struct topic_config_row *row = plan_find_config(entry, problem);
    return row != NULL && plan_check_value(row, entry, problem) ? row : NULL;
}
