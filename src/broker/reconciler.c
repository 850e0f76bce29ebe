/* SPDX-License-Identifier: Apache-2.0
 *
 * reconciler.c -- see reconciler.h.
 *
 * A pass walks the metadata and then the groups that are here.  It acts at most ACTIONS_MAX times
 * and comes again soon when there is more, so that a broker with thousands of groups stays
 * responsive.
 *
 * Invariant: a replica is removed only when the metadata, known in full, proves it dead: its
 * group's id was given out (it is below the next one) and is not there, or its incarnation was
 * given out (it is not above the partition's epoch) and is not listed.
 */
#include "broker/reconciler.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/partition.h"
#include "broker/readmission.h"
#include "broker/reassignment.h"
#include "broker/repair.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_START_NS 1000000000ull
#define INTERVAL_NS 3000000000ull
#define AGAIN_NS 200000000ull
#define ACTIONS_MAX 256
#define FAILURES_LOGGED_MAX 10

struct reconciler {
    struct broker_shard *shard;
    struct io_timer timer;
    uint32_t under_way;
    uint32_t failures_logged;
    bool is_stopping;
};

bool reconciler_knows_founding(const struct broker_shard *shard)
{
    return atomic_load(&shard->broker->first_founded_group_id) != DATA_DIRECTORY_NO_LIMIT;
}

bool reconciler_must_join(const struct broker_shard *shard, uint64_t group_id)
{
    return group_id < atomic_load(&shard->broker->first_founded_group_id);
}

/* In ascending order. */
static void take_voters(struct raft_membership *members, const uint32_t *brokers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = members->voter_count++;
        while (at > 0 && members->voters[at - 1] > brokers[i]) {
            members->voters[at] = members->voters[at - 1];
            at--;
        }
        members->voters[at] = brokers[i];
    }
}

void reconciler_spec_of(const struct broker_shard *shard, const struct cluster_topic *topic,
                        uint32_t partition, struct partition_spec *spec)
{
    require(partition < topic->partition_count);
    const struct cluster_partition *assigned = &topic->partitions[partition];
    memset(spec, 0, sizeof *spec);
    spec->group_id = assigned->group_id;
    snprintf(spec->topic, sizeof spec->topic, "%s", topic->name);
    spec->topic_id = topic->id;
    spec->partition = partition;
    uint32_t position = 0;
    bool is_assigned = cluster_partition_find_replica(assigned, shard->broker_id, &position);
    require(is_assigned);
    spec->incarnation = assigned->incarnations[position];
    spec->join = spec->incarnation > 0 || reconciler_must_join(shard, assigned->group_id);
    spec->preferred = assigned->replicas[0];
    take_voters(&spec->members, assigned->replicas, assigned->replica_count);
}

/* A replica that was never started before, perhaps long after its group was made: what was begun
 * since, others are in the midst of, and must not be taken for the founding members. */
static void found_or_join(const struct cluster_partition *assigned, struct partition_spec *spec)
{
    uint32_t founders[CLUSTER_REPLICAS_MAX];
    uint32_t count = cluster_partition_founders(assigned, founders);
    if (spec->join || count == 0) {
        spec->join = true;
        return;
    }
    memset(&spec->members, 0, sizeof spec->members);
    take_voters(&spec->members, founders, count);
}

/* ---- Acting ---- */

struct reconciler_action {
    struct reconciler *reconciler;
    uint64_t group_id;
    bool starts;
};

static void acted(void *context, enum replica_result result)
{
    struct reconciler_action *action = context;
    struct reconciler *reconciler = action->reconciler;
    reconciler->under_way--;
    bool is_fine = result == REPLICA_OK || (action->starts && result == REPLICA_ALREADY_RUNNING) ||
                   (!action->starts && result == REPLICA_NOT_RUNNING);
    if (!is_fine && reconciler->failures_logged++ < FAILURES_LOGGED_MAX) {
        trace_warn("group %" PRIu64 " cannot be %s: %s", action->group_id,
                   action->starts ? "started" : "removed", replica_result_text(result));
    }
    const struct partition *partition = partition_find(reconciler->shard, action->group_id);
    if (action->starts && result == REPLICA_OK && partition != NULL) {
        partition_spec_trace_started(partition_spec_of(partition));
    }
    memory_free(action);
}

static struct reconciler_action *action_new(struct reconciler *reconciler, uint64_t group_id,
                                            bool starts)
{
    struct reconciler_action *action = memory_allocate(sizeof *action);
    *action = (struct reconciler_action){reconciler, group_id, starts};
    reconciler->under_way++;
    return action;
}

static bool is_assigned_here(const struct broker_shard *shard,
                             const struct cluster_partition *partition)
{
    if (replica_shard_of_group(partition->group_id, shard->broker->shard_count) !=
        broker_shard_id(shard)) {
        return false;
    }
    uint32_t position = 0;
    return cluster_partition_find_replica(partition, shard->broker_id, &position);
}

/* Both return how often they acted. */
static uint32_t start_missing(struct reconciler *reconciler, uint32_t actions_max)
{
    struct broker_shard *shard = reconciler->shard;
    const struct cluster_topic *topic = NULL;
    size_t position = 0;
    uint32_t actions = 0;
    while ((topic = cluster_topic_next(shard->metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count && actions < actions_max; i++) {
            const struct cluster_partition *partition = &topic->partitions[i];
            if (!is_assigned_here(shard, partition) || repairs_attend(shard->repairs, topic, i) ||
                partition_find(shard, partition->group_id) != NULL) {
                continue;
            }
            struct partition_spec spec;
            reconciler_spec_of(shard, topic, i, &spec);
            found_or_join(&topic->partitions[i], &spec);
            trace_info("Starting Raft group %" PRIu64 " for partition %s-%" PRIu32
                       ", which is assigned to this broker",
                       spec.group_id, spec.topic, spec.partition);
            partition_start(shard, &spec, acted, action_new(reconciler, spec.group_id, true));
            actions++;
        }
    }
    return actions;
}

/* A replica that the metadata proves to be no more: its topic was deleted, or a reassignment has
 * taken it out of the list.  One that is newer than what is known here is left alone. */
struct dead_replica {
    uint64_t group_id;
    uint32_t incarnation; /* REPLICA_INCARNATION_NONE: the whole group */
};

static bool is_dead(const struct broker_shard *shard, const struct replica_group *group,
                    struct dead_replica *dead)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    uint32_t position = 0;
    uint64_t group_id = replica_group_id(group);
    uint32_t incarnation = replica_group_incarnation(group);
    *dead = (struct dead_replica){group_id, REPLICA_INCARNATION_NONE};
    if (group_id < CLUSTER_FIRST_PARTITION_GROUP_ID ||
        group_id >= cluster_next_group_id(shard->metadata)) {
        return false;
    }
    if (!cluster_group_find(shard->metadata, group_id, &topic, &number)) {
        return true;
    }
    const struct cluster_partition *partition = &topic->partitions[number];
    dead->incarnation = incarnation;
    bool is_listed = cluster_partition_find_replica(partition, shard->broker_id, &position) &&
                     partition->incarnations[position] <= incarnation;
    return incarnation <= partition->epoch && !is_listed;
}

static void remove_replica(struct reconciler *reconciler, const struct dead_replica *dead)
{
    struct broker_shard *shard = reconciler->shard;
    struct reconciler_action *action = action_new(reconciler, dead->group_id, false);
    if (dead->incarnation == REPLICA_INCARNATION_NONE) {
        trace_info("Removing Raft group %" PRIu64 ": its topic was deleted", dead->group_id);
        partition_stop(shard, dead->group_id, true, acted, action);
    } else {
        trace_info("Removing the replica of Raft group %" PRIu64
                   ": it was reassigned to other brokers",
                   dead->group_id);
        partition_remove(shard, dead->group_id, dead->incarnation, acted, action);
    }
}

/* Those that run, and those too damaged to: nobody asks for their repair when their place is gone.
 * What failed for other reasons is left for the next start. */
static uint32_t find_dead(const struct broker_shard *shard, struct dead_replica *dead,
                          uint32_t count_max)
{
    struct replica_group *group = NULL;
    size_t position = 0;
    uint32_t count = 0;
    while (count < count_max && (group = replica_group_next(shard->replicas, &position)) != NULL) {
        count += is_dead(shard, group, &dead[count]) ? 1 : 0;
    }
    position = 0;
    while (count < count_max &&
           (group = replica_group_next_failed(shard->replicas, &position)) != NULL) {
        bool is_damaged = replica_group_is_damaged(shard->replicas, replica_group_id(group));
        count += is_damaged && is_dead(shard, group, &dead[count]) ? 1 : 0;
    }
    return count;
}

static uint32_t remove_dead(struct reconciler *reconciler, uint32_t actions_max)
{
    struct dead_replica *dead = memory_allocate(ACTIONS_MAX * sizeof *dead);
    uint32_t count =
        find_dead(reconciler->shard, dead, actions_max < ACTIONS_MAX ? actions_max : ACTIONS_MAX);
    /* Stopping changes what is being walked, hence the two steps. */
    for (uint32_t i = 0; i < count; i++) {
        remove_replica(reconciler, &dead[i]);
    }
    memory_free(dead);
    return count;
}

static void pass_due(struct io_timer *timer)
{
    struct reconciler *reconciler = container_of(timer, struct reconciler, timer);
    struct broker_shard *shard = reconciler->shard;
    uint32_t actions = 0;
    bool is_moving = false;
    if (shard->metadata_is_loaded && reconciler->under_way == 0) {
        reconciler->failures_logged = 0;
        actions = start_missing(reconciler, ACTIONS_MAX);
        actions += remove_dead(reconciler, ACTIONS_MAX - actions);
    }
    if (shard->metadata_is_loaded) {
        is_moving = reassignment_pass(shard);
        is_moving = readmission_pass(shard) || is_moving;
    }
    bool is_soon = actions == ACTIONS_MAX || is_moving || repairs_gave_lead_away(shard->repairs);
    uint64_t pause_ns = is_soon ? AGAIN_NS : INTERVAL_NS;
    io_timer_start(shard->loop, timer, io_now_ns(shard->loop) + pause_ns);
}

/* ---- Life ---- */

struct reconciler *reconciler_new(struct broker_shard *shard)
{
    struct reconciler *reconciler = memory_allocate_zeroed(sizeof *reconciler);
    reconciler->shard = shard;
    io_timer_init(&reconciler->timer, pass_due);
    return reconciler;
}

static void pass_within(struct reconciler *reconciler, uint64_t delay_ns)
{
    if (reconciler == NULL || reconciler->is_stopping) {
        return;
    }
    struct io_loop *loop = reconciler->shard->loop;
    uint64_t soon_ns = io_now_ns(loop) + delay_ns;
    if (!io_timer_is_running(&reconciler->timer) || reconciler->timer.deadline_ns > soon_ns) {
        io_timer_start(loop, &reconciler->timer, soon_ns);
    }
}

void reconciler_wake(struct reconciler *reconciler)
{
    pass_within(reconciler, HEAD_START_NS);
}

void reconciler_hurry(struct reconciler *reconciler)
{
    pass_within(reconciler, 0);
}

void reconciler_stop(struct reconciler *reconciler)
{
    reconciler->is_stopping = true;
    io_timer_stop(reconciler->shard->loop, &reconciler->timer);
}

bool reconciler_is_idle(const struct reconciler *reconciler)
{
    return reconciler->under_way == 0;
}

void reconciler_free(struct reconciler *reconciler)
{
    require(reconciler_is_idle(reconciler));
    memory_free(reconciler);
}
