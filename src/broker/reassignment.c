/* SPDX-License-Identifier: Apache-2.0
 *
 * reassignment.c -- see reassignment.h.
 *
 * Every membership carries the epoch of the metadata that it follows.  A leader whose copy of the
 * metadata is older than that changes nothing, so once the last membership of a reassignment is
 * committed no leader goes back behind it; only then is the reassignment recorded as complete, and
 * only that record lets the brokers of the other replicas delete them.
 */
#include "broker/reassignment.h"

#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "broker/membership_step.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/complete_reassignment.h"

#include <inttypes.h>

/* ---- The completion, on the controller leader ---- */

static void recorded(void *context, enum wire_error error, const struct cluster_change *change)
{
    (void)context;
    (void)error; /* the group's leader says it again until the metadata shows it */
    (void)change;
}

void reassignment_record_completion(struct broker_shard *shard, uint64_t group_id, uint32_t epoch)
{
    if (!controller_is_leader(shard)) {
        return;
    }
    struct wire_writer record;
    struct cluster_problem problem;
    wire_writer_init(&record, 32);
    cluster_plan_complete_reassignment(shard->metadata, group_id, epoch, &record, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        wire_writer_free(&record);
        return; /* said again although it is recorded, or of an epoch that is over */
    }
    controller_propose(shard, &record, recorded, NULL);
}

/* ---- The completion, on its way ---- */

struct completion {
    struct shard_message message;
    uint64_t group_id;
    uint32_t epoch;
};

static void deliver_completion(struct shard *shard, struct shard_message *message)
{
    struct completion *completion = container_of(message, struct completion, message);
    reassignment_record_completion(shard_owner(shard), completion->group_id, completion->epoch);
    memory_free(completion);
}

static void report_here(struct broker_shard *shard, uint64_t group_id, uint32_t epoch)
{
    struct completion *completion = memory_allocate_zeroed(sizeof *completion);
    list_node_init(&completion->message.node);
    completion->message.deliver = deliver_completion;
    completion->group_id = group_id;
    completion->epoch = epoch;
    shard_post(shard->shard, 0, &completion->message);
}

static void report_completion(struct broker_shard *shard, uint64_t group_id, uint32_t epoch)
{
    uint32_t leader = controller_leader(shard);
    if (leader == shard->broker_id) {
        report_here(shard, group_id, epoch);
        return;
    }
    struct complete_reassignment_request request;
    struct wire_writer writer;
    complete_reassignment_request_init(&request);
    request.group_id = (int64_t)group_id;
    request.epoch = epoch;
    peer_request_frame_begin(&writer, COMPLETE_REASSIGNMENT_TYPE, 0);
    complete_reassignment_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    (void)peer_link_send(shard->links, leader, frame); /* if not, the next pass says it again */
    buf_release(frame);
}

/* ---- One step of one group ---- */

struct move {
    struct broker_shard *shard;
    struct replica_group *group;
    const struct cluster_partition *partition;
    struct replica_group_view view;
};

static bool is_wanted(const struct cluster_partition *partition, uint32_t broker_id)
{
    uint32_t position = 0;
    return cluster_partition_find_replica(partition, broker_id, &position) &&
           cluster_partition_wants(partition, position);
}

static bool all_wanted_vote(const struct move *move)
{
    const struct cluster_partition *partition = move->partition;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        if (cluster_partition_wants(partition, i) &&
            member_standing_of(&move->view, partition->replicas[i], NULL) != MEMBER_VOTER) {
            return false;
        }
    }
    return true;
}

/* A member that is not wanted; one that does not answer rather than one that does, as it is of the
 * least use.  0: none. */
static uint32_t unwanted_member(const struct move *move)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < move->view.member_count; i++) {
        const struct replica_member_view *member = &move->view.members[i];
        if (is_wanted(move->partition, member->node_id)) {
            continue;
        }
        if (!member->is_active) {
            return member->node_id;
        }
        found = found == 0 || found == move->shard->broker_id ? member->node_id : found;
    }
    return found;
}

/* One of the wanted replicas that follow closely; 0: there is none.  Drawn, as the first one may
 * be damaged: it would hand the lead back, and so on for ever. */
static uint32_t draw_heir(const struct move *move)
{
    const struct cluster_partition *partition = move->partition;
    uint32_t heir = 0;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        const struct replica_member_view *member = NULL;
        uint32_t broker_id = partition->replicas[i];
        if (cluster_partition_wants(partition, i) &&
            member_standing_of(&move->view, broker_id, &member) == MEMBER_VOTER &&
            member_is_caught_up(&move->view, member) &&
            io_random(move->shard->loop) % ++seen == 0) {
            heir = broker_id;
        }
    }
    return heir;
}

static void hand_over(struct move *move)
{
    uint32_t heir = draw_heir(move);
    if (heir != 0 && replica_transfer_leadership(move->group, heir) == REPLICA_OK) {
        trace_info("Group %" PRIu64 " is handed over to broker %" PRIu32
                   ", as this broker is to leave it",
                   move->view.group_id, heir);
    }
}

static void propose(struct move *move, const struct raft_membership *members, uint32_t removed)
{
    enum replica_result result = replica_propose_membership(move->group, members);
    if (result == REPLICA_OK && removed != 0) {
        trace_info("Broker %" PRIu32 " is removed from group %" PRIu64, removed,
                   move->view.group_id);
    } else if (result != REPLICA_OK) {
        trace_debug("group %" PRIu64 " is not changed yet: %s", move->view.group_id,
                    replica_result_text(result));
    }
}

static void take_step(struct move *move)
{
    const struct cluster_partition *partition = move->partition;
    struct raft_membership members;
    if (!move->view.is_membership_committed || move->view.membership_epoch > partition->epoch ||
        !all_wanted_vote(move)) {
        return;
    }
    uint32_t unwanted = unwanted_member(move);
    if (unwanted == move->shard->broker_id) {
        hand_over(move);
    } else if (unwanted != 0) {
        if (membership_step(&move->view, unwanted, MEMBER_NONE, partition->epoch, &members)) {
            propose(move, &members, unwanted);
        }
    } else if (!cluster_partition_is_moving(partition)) {
        return;
    } else if (!is_wanted(partition, move->shard->broker_id)) {
        return; /* removed, and about to step down */
    } else if (move->view.membership_epoch < partition->epoch) {
        if (membership_step(&move->view, move->shard->broker_id, MEMBER_VOTER, partition->epoch,
                            &members)) {
            propose(move, &members, 0);
        }
    } else {
        report_completion(move->shard, move->view.group_id, partition->epoch);
    }
}

/* ---- All groups ---- */

bool reassignment_pass(struct broker_shard *shard)
{
    struct replica_group *group = NULL;
    size_t position = 0;
    bool is_moving = false;
    while ((group = replica_group_next(shard->replicas, &position)) != NULL) {
        const struct cluster_topic *topic = NULL;
        uint32_t number = 0;
        if (!cluster_group_find(shard->metadata, replica_group_id(group), &topic, &number)) {
            continue;
        }
        struct move move = {
            .shard = shard, .group = group, .partition = &topic->partitions[number]};
        is_moving = is_moving || cluster_partition_is_moving(move.partition);
        if (replica_standing(group).is_leader) {
            replica_group_view(group, &move.view);
            take_step(&move);
        }
    }
    return is_moving;
}
