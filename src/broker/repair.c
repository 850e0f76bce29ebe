/* SPDX-License-Identifier: Apache-2.0
 *
 * repair.c -- see repair.h.
 *
 * Every spell of damage has a number of its own in its asks, so that an answer to an earlier one,
 * from before the replica came back, moves nothing.
 */
#include "broker/repair.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/partition.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "broker/reconciler.h"
#include "wire/withdraw_replica.h"

#include <inttypes.h>
#include <string.h>

/* One this close behind follows the log as it grows. */
#define CAUGHT_UP_INDEXES 1000

/* A damaged replica of this broker. */
struct repair {
    struct repairs *repairs;
    struct partition_spec spec;
    int64_t ask;
    bool is_moving;        /* to quarantine */
    bool has_said_why_not; /* why nothing is moved yet */
};

struct repairs {
    struct broker_shard *shard;
    struct map by_group; /* struct repair */
    uint32_t moving;
    bool gave_lead_away; /* of a damaged replica's group, since that was last asked for */
};

struct repairs *repairs_new(struct broker_shard *shard)
{
    struct repairs *repairs = memory_allocate_zeroed(sizeof *repairs);
    repairs->shard = shard;
    map_init(&repairs->by_group);
    return repairs;
}

void repairs_free(struct repairs *repairs)
{
    require(repairs_are_idle(repairs));
    size_t position = 0;
    struct repair *repair;
    while ((repair = map_next(&repairs->by_group, &position)) != NULL) {
        memory_free(repair);
    }
    map_free(&repairs->by_group);
    memory_free(repairs);
}

bool repairs_are_idle(const struct repairs *repairs)
{
    return repairs->moving == 0;
}

bool repairs_gave_lead_away(struct repairs *repairs)
{
    bool gave_lead_away = repairs->gave_lead_away;
    repairs->gave_lead_away = false;
    return gave_lead_away;
}

static void send_withdrawal(struct broker_shard *shard, uint32_t to, uint64_t group_id, int64_t ask,
                            bool is_out)
{
    struct withdraw_replica_request request;
    struct wire_writer writer;
    withdraw_replica_request_init(&request);
    request.group_id = (int64_t)group_id;
    request.ask = ask;
    request.is_out = is_out;
    peer_request_frame_begin(&writer, WITHDRAW_REPLICA_TYPE, 0);
    withdraw_replica_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    (void)peer_link_send(shard->links, to, frame); /* if not, the next pass asks again */
    buf_release(frame);
}

/* ---- The damaged replica ---- */

static struct repair *repair_of(struct repairs *repairs, const struct cluster_topic *topic,
                                uint32_t partition)
{
    uint64_t group_id = topic->partitions[partition].group_id;
    struct repair *repair = map_get(&repairs->by_group, group_id);
    if (repair == NULL) {
        repair = memory_allocate_zeroed(sizeof *repair);
        repair->repairs = repairs;
        repair->ask = (int64_t)(io_random(repairs->shard->loop) >> 1);
        map_put(&repairs->by_group, group_id, repair);
    }
    if (!repair->is_moving) {
        /* As the partition is placed now: its leader may be one that was none of its replicas. */
        reconciler_spec_of(repairs->shard, topic, partition, &repair->spec);
    }
    return repair;
}

static void forget(struct repairs *repairs, uint64_t group_id)
{
    memory_free(map_take(&repairs->by_group, group_id));
}

/* A leader that met damage handed over at once if somebody was there; if not, or if it was elected
 * since, it tries again.  Nobody answers what it asks meanwhile.  It may lead without serving: what
 * it cannot read it cannot apply, and so it never stands as the leader of its term. */
static void hand_over(struct repairs *repairs, uint64_t group_id)
{
    struct replica_manager *replicas = repairs->shard->replicas;
    if (replica_group_is_running(replicas, group_id) &&
        replica_transfer_leadership(replica_group_find(replicas, group_id), 0) !=
            REPLICA_NOT_LEADER) {
        repairs->gave_lead_away = true;
    }
}

/* All the others: a replica that was removed does not hear of the leader, and who does not lead
 * ignores it. */
static void ask(struct repairs *repairs, struct repair *repair)
{
    struct broker_shard *shard = repairs->shard;
    uint64_t group_id = repair->spec.group_id;
    const struct raft_membership *replicas = &repair->spec.members;
    hand_over(repairs, group_id);
    for (uint32_t i = 0; i < replicas->voter_count; i++) {
        if (replicas->voters[i] != shard->broker_id) {
            send_withdrawal(shard, replicas->voters[i], group_id, repair->ask, false);
        }
    }
    if (!repair->has_said_why_not) {
        repair->has_said_why_not = true;
        trace_error("group %" PRIu64 " (%s-%" PRIu32 "): its replica here is damaged%s; nothing is "
                    "moved or deleted",
                    group_id, repair->spec.topic, repair->spec.partition,
                    replicas->voter_count > 1 ? " and asks the others to go on without it first"
                                              : ", and it is the only one");
    }
}

bool repairs_attend(struct repairs *repairs, const struct cluster_topic *topic, uint32_t partition)
{
    require(partition < topic->partition_count);
    struct replica_manager *replicas = repairs->shard->replicas;
    uint64_t group_id = topic->partitions[partition].group_id;
    if (!replica_group_is_damaged(replicas, group_id)) {
        struct repair *repair = map_get(&repairs->by_group, group_id);
        if (repair != NULL && !repair->is_moving) {
            forget(repairs, group_id);
        }
        return repair != NULL && repair->is_moving;
    }
    struct repair *repair = repair_of(repairs, topic, partition);
    if (!repair->is_moving && replica_group_may_be_quarantined(replicas, group_id)) {
        ask(repairs, repair);
    }
    return true;
}

static void started(void *context, enum replica_result result)
{
    struct repair *repair = context;
    struct repairs *repairs = repair->repairs;
    ensure(repairs->moving > 0);
    repairs->moving--;
    if (result != REPLICA_OK) {
        trace_warn("group %" PRIu64 ": its damaged replica was not replaced: %s",
                   repair->spec.group_id, replica_result_text(result));
    }
    forget(repairs, repair->spec.group_id);
    reconciler_wake(repairs->shard->reconciler);
}

/* What is in its place now is started in any case: if the partition has left this broker or was
 * deleted meanwhile, the reconciler removes what it sees running. */
static void moved(void *context, enum replica_result result)
{
    struct repair *repair = context;
    if (result != REPLICA_OK) {
        started(repair, result);
        return;
    }
    repair->spec.join = true;
    partition_start(repair->repairs->shard, &repair->spec, started, repair);
}

static void is_out(struct repairs *repairs, const struct repair_message *message)
{
    struct broker_shard *shard = repairs->shard;
    struct repair *repair = map_get(&repairs->by_group, message->group_id);
    if (repair == NULL || repair->ask != message->ask || repair->is_moving ||
        !replica_group_may_be_quarantined(shard->replicas, message->group_id)) {
        return;
    }
    trace_warn("group %" PRIu64 " (%s-%" PRIu32 ") goes on without its damaged replica here, which "
               "is replaced",
               message->group_id, repair->spec.topic, repair->spec.partition);
    repair->is_moving = true;
    repairs->moving++;
    partition_quarantine(shard, &repair->spec, moved, repair);
}

/* ---- Its leader ---- */

static const struct replica_member_view *member_of(const struct replica_group_view *view,
                                                   uint32_t broker_id)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (view->members[i].node_id == broker_id) {
            return &view->members[i];
        }
    }
    return NULL;
}

/* Why the group cannot do without this replica now; NULL when it can. */
static const char *objection(const struct cluster_partition *partition,
                             const struct replica_group_view *view, uint32_t broker_id)
{
    uint32_t others = 0;
    uint32_t counted = 1; /* it, and those that still hold the log or are to */
    bool is_assigned = false;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        const struct replica_member_view *member = member_of(view, partition->replicas[i]);
        if (partition->replicas[i] == broker_id) {
            is_assigned = true;
            continue;
        }
        if (member == NULL && !cluster_partition_wants(partition, i)) {
            continue; /* a reassignment has let it go already */
        }
        counted++;
        if (member == NULL || !member->is_voter) {
            return "another replica is not a voter";
        }
        if (!member->is_active || member->lag_indexes > CAUGHT_UP_INDEXES) {
            return "another replica is not there or is behind";
        }
        others++;
    }
    if (!is_assigned) {
        return "it is none of the assigned replicas";
    }
    return others > counted / 2 ? NULL : "the others are no majority";
}

static void without(const struct replica_group_view *view, uint32_t broker_id,
                    struct raft_membership *members)
{
    memset(members, 0, sizeof *members);
    members->epoch = view->membership_epoch;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct replica_member_view *member = &view->members[i];
        if (member->node_id == broker_id) {
            continue;
        }
        if (member->is_voter) {
            members->voters[members->voter_count++] = member->node_id;
        } else {
            members->learners[members->learner_count++] = member->node_id;
        }
    }
}

static void withdraw(struct repairs *repairs, const struct repair_message *message)
{
    struct broker_shard *shard = repairs->shard;
    struct replica_group *group = replica_group_find(shard->replicas, message->group_id);
    const struct cluster_topic *topic = NULL;
    uint32_t partition = 0;
    if (group == NULL || !replica_standing(group).is_leader ||
        !cluster_group_find(shard->metadata, message->group_id, &topic, &partition)) {
        return;
    }
    struct replica_group_view view;
    replica_group_view(group, &view);
    if (member_of(&view, message->from) == NULL) {
        if (view.is_membership_committed) {
            send_withdrawal(shard, message->from, message->group_id, message->ask, true);
        }
        return;
    }
    const char *why_not = objection(&topic->partitions[partition], &view, message->from);
    if (why_not == NULL) {
        struct raft_membership members;
        without(&view, message->from, &members);
        enum replica_result result = replica_propose_membership(group, &members);
        why_not = result == REPLICA_OK ? NULL : replica_result_text(result);
    }
    if (why_not == NULL) {
        trace_warn("Broker %" PRIu32 " is removed from group %" PRIu64 ": its replica is damaged",
                   message->from, message->group_id);
    } else {
        trace_warn("group %" PRIu64 ": the damaged replica on broker %" PRIu32
                   " cannot be replaced yet: %s",
                   message->group_id, message->from, why_not);
    }
}

void repairs_take(struct repairs *repairs, const struct repair_message *message)
{
    if (message->is_out) {
        is_out(repairs, message);
    } else {
        withdraw(repairs, message);
    }
}
