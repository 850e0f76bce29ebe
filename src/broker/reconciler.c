/* SPDX-License-Identifier: Apache-2.0
 *
 * reconciler.c -- see reconciler.h.
 *
 * A pass walks the metadata and then the running groups.  It acts at most ACTIONS_MAX times and
 * comes again soon when there is more, so that a broker with thousands of groups stays responsive.
 *
 * Invariant: a group is removed only when its id was given out (it is below the next one) and the
 * metadata, known in full, does not have it.
 */
#include "broker/reconciler.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/leader_table.h"
#include "broker/partition.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/readmit_replica.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD_START_NS 1000000000ull
#define INTERVAL_NS 3000000000ull
#define AGAIN_NS 100000000ull
#define ACTIONS_MAX 256
#define FAILURES_LOGGED_MAX 10

struct reconciler {
    struct broker_shard *shard;
    struct io_timer timer;
    uint32_t under_way;
    uint32_t failures_logged;
    bool is_stopping;
};

bool reconciler_must_join(const struct broker_shard *shard, uint64_t group_id)
{
    uint64_t first = atomic_load(&shard->broker->first_founded_group_id);
    return first != DATA_DIRECTORY_NO_LIMIT && group_id < first;
}

/* The specification of a partition's replica on this broker. */
static void spec_of(const struct broker_shard *shard, const struct cluster_topic *topic,
                    uint32_t partition, struct partition_spec *spec)
{
    require(partition < topic->partition_count);
    const struct cluster_partition *assigned = &topic->partitions[partition];
    memset(spec, 0, sizeof *spec);
    spec->group_id = assigned->group_id;
    snprintf(spec->topic, sizeof spec->topic, "%s", topic->name);
    spec->topic_id = topic->id;
    spec->partition = partition;
    spec->join = reconciler_must_join(shard, assigned->group_id);
    for (uint32_t i = 0; i < assigned->replica_count; i++) {
        uint32_t at = spec->members.voter_count++;
        while (at > 0 && spec->members.voters[at - 1] > assigned->replicas[i]) {
            spec->members.voters[at] = spec->members.voters[at - 1];
            at--;
        }
        spec->members.voters[at] = assigned->replicas[i];
    }
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
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (partition->replicas[i] == shard->broker_id) {
            return true;
        }
    }
    return false;
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
            if (!is_assigned_here(shard, partition) ||
                partition_find(shard, partition->group_id) != NULL) {
                continue;
            }
            struct partition_spec spec;
            spec_of(shard, topic, i, &spec);
            trace_info("Starting Raft group %" PRIu64 " for partition %s-%" PRIu32
                       ", which is assigned to this broker",
                       spec.group_id, spec.topic, spec.partition);
            partition_start(shard, &spec, acted, action_new(reconciler, spec.group_id, true));
            actions++;
        }
    }
    return actions;
}

static uint32_t remove_deleted(struct reconciler *reconciler, uint32_t actions_max)
{
    struct broker_shard *shard = reconciler->shard;
    uint64_t *deleted = memory_allocate(ACTIONS_MAX * sizeof *deleted);
    uint64_t next_group_id = cluster_next_group_id(shard->metadata);
    struct replica_group *group = NULL;
    size_t position = 0;
    uint32_t count = 0;
    while (count < actions_max && count < ACTIONS_MAX &&
           (group = replica_group_next(shard->replicas, &position)) != NULL) {
        uint64_t group_id = replica_group_id(group);
        const struct cluster_topic *topic = NULL;
        uint32_t partition = 0;
        if (group_id >= CLUSTER_FIRST_PARTITION_GROUP_ID && group_id < next_group_id &&
            !cluster_group_find(shard->metadata, group_id, &topic, &partition)) {
            deleted[count++] = group_id;
        }
    }
    /* Stopping changes what is being walked, hence the two steps. */
    for (uint32_t i = 0; i < count; i++) {
        trace_info("Removing Raft group %" PRIu64 ": its topic was deleted", deleted[i]);
        partition_stop(shard, deleted[i], true, acted, action_new(reconciler, deleted[i], false));
    }
    memory_free(deleted);
    return count;
}

static void send_readmission(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                             bool may_vote)
{
    struct readmit_replica_request request;
    struct wire_writer writer;
    readmit_replica_request_init(&request);
    request.group_id = (int64_t)group_id;
    request.may_vote = may_vote;
    peer_request_frame_begin(&writer, READMIT_REPLICA_TYPE, 0);
    readmit_replica_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    (void)peer_link_send(shard->links, leader, frame); /* if not, the next pass asks again */
    buf_release(frame);
}

/* Replicas that came empty ask their leaders for their vote back. */
static void ask_for_readmission(struct broker_shard *shard)
{
    struct replica_group *group = NULL;
    size_t position = 0;
    while ((group = replica_group_next(shard->replicas, &position)) != NULL) {
        uint64_t group_id = replica_group_id(group);
        /* A replica that was removed for the while hears of the leader by its announcements only.
         */
        uint32_t leader = 0;
        uint64_t term = 0;
        leader_table_get(shard->leaders, group_id, &leader, &term);
        const struct cluster_topic *topic = NULL;
        uint32_t partition = 0;
        if (leader == 0 || leader == shard->broker_id ||
            !cluster_group_find(shard->metadata, group_id, &topic, &partition) ||
            !is_assigned_here(shard, &topic->partitions[partition])) {
            continue;
        }
        struct replica_group_view view;
        replica_group_view(group, &view);
        bool is_learner = strcmp(view.role, "learner") == 0;
        if (replica_group_is_joining(group) || is_learner) {
            send_readmission(shard, group_id, leader, !replica_group_is_joining(group));
        }
    }
}

static void pass_due(struct io_timer *timer)
{
    struct reconciler *reconciler = container_of(timer, struct reconciler, timer);
    struct broker_shard *shard = reconciler->shard;
    uint32_t actions = 0;
    if (shard->metadata_is_loaded && reconciler->under_way == 0) {
        reconciler->failures_logged = 0;
        actions = start_missing(reconciler, ACTIONS_MAX);
        actions += remove_deleted(reconciler, ACTIONS_MAX - actions);
        ask_for_readmission(shard);
    }
    uint64_t pause_ns = actions == ACTIONS_MAX ? AGAIN_NS : INTERVAL_NS;
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

void reconciler_wake(struct reconciler *reconciler)
{
    if (reconciler == NULL || reconciler->is_stopping) {
        return;
    }
    struct io_loop *loop = reconciler->shard->loop;
    uint64_t soon_ns = io_now_ns(loop) + HEAD_START_NS;
    if (!io_timer_is_running(&reconciler->timer) || reconciler->timer.deadline_ns > soon_ns) {
        io_timer_start(loop, &reconciler->timer, soon_ns);
    }
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
