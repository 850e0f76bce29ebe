/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_upkeep.c -- see controller_upkeep.h.
 */
#include "broker/controller_upkeep.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "broker/controller_applier.h"
#include "broker/controller_members.h"
#include "broker/controller_repair.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/readmit_replica.h"

#include <inttypes.h>

#define PASS_NS 200000000ull
#define MOVES_MAX 16 /* partitions that move off leaving brokers at once */

struct controller_upkeep {
    struct broker_shard *shard;
    struct io_timer timer;
    uint32_t lost;      /* broker id; 0: none */
    uint32_t under_way; /* records proposed */
    struct controller_repair repair;
    bool is_full_told;  /* that there is no room for more members */
    bool is_stuck_told; /* that a move was refused */
};

/* ---- The controller group ---- */

static void take_step(struct broker_shard *shard, const struct replica_group_view *view,
                      const struct controller_members_step *step)
{
    static const char *const becomes[] = {"leaves", "becomes a learner of", "becomes a voter of"};
    struct replica_group *group = shard->controller->group;
    struct raft_membership members;
    if (step->hands_over) {
        trace_info("Handing the controller group over to broker %" PRIu32, step->broker_id);
        (void)replica_transfer_leadership(group, step->broker_id); /* or at the next pass */
        return;
    }
    if (!membership_step(view, step->broker_id, step->standing, view->membership_epoch, &members)) {
        return;
    }
    enum replica_result result = replica_propose_membership(group, &members);
    if (result == REPLICA_OK) {
        trace_info("Broker %" PRIu32 " %s the controller group", step->broker_id,
                   becomes[step->standing]);
    } else {
        trace_debug("broker %" PRIu32 " not yet: it %s the controller group: %s", step->broker_id,
                    becomes[step->standing], replica_result_text(result));
    }
}

static void keep_members(struct controller_upkeep *upkeep)
{
    struct broker_shard *shard = upkeep->shard;
    struct replica_group_view view;
    struct controller_members_step step;
    replica_group_view(shard->controller->group, &view);
    if (view.leader != shard->broker_id) {
        return; /* no longer leads, which the controller is told only at the end of this turn */
    }
    if (upkeep->lost != 0 && member_standing_of(&view, upkeep->lost, NULL) != MEMBER_VOTER) {
        upkeep->lost = 0;
    }
    bool is_full = view.member_count == RAFT_MEMBERS_MAX &&
                   cluster_broker_count(shard->metadata) > RAFT_MEMBERS_MAX;
    if (is_full && !upkeep->is_full_told) {
        trace_warn("%d brokers are the most that can follow the controller log", RAFT_MEMBERS_MAX);
    }
    upkeep->is_full_told = is_full;
    if (view.is_membership_committed &&
        controller_members_next(shard->metadata, &view, upkeep->lost,
                                controller_repair_withdrawn(&upkeep->repair), &step)) {
        take_step(shard, &view, &step);
    }
}

/* ---- Leaving brokers ---- */

static void recorded(void *context, enum wire_error error, const struct cluster_change *change)
{
    struct controller_upkeep *upkeep = context;
    (void)change;
    upkeep->under_way--;
    if (error != WIRE_ERROR_NONE) {
        trace_debug("a step of a leaving broker was not taken: %s", wire_error_text(error));
    }
}

/* Proposes the record, or says once why there is none. */
static void propose(struct controller_upkeep *upkeep, struct wire_writer *record,
                    const struct cluster_problem *problem)
{
    if (problem->error == WIRE_ERROR_NONE) {
        upkeep->under_way++;
        upkeep->is_stuck_told = false;
        controller_propose(upkeep->shard, record, recorded, upkeep);
        return;
    }
    wire_writer_free(record);
    if (!upkeep->is_stuck_told) {
        upkeep->is_stuck_told = true;
        trace_warn("a leaving broker cannot be taken a step on: %s", problem->message);
    }
}

static void move_replicas(struct controller_upkeep *upkeep)
{
    struct broker_shard *shard = upkeep->shard;
    struct cluster_move moves[MOVES_MAX];
    uint32_t live[CLUSTER_BROKERS_MAX];
    size_t live_count = controller_live_brokers(shard, live, CLUSTER_BROKERS_MAX);
    size_t count = cluster_plan_evacuation(shard->metadata, live, live_count, moves, MOVES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct wire_writer record;
        struct cluster_problem problem;
        wire_writer_init(&record, 128);
        cluster_plan_reassign_partition(shard->metadata, &moves[i].topic_id,
                                        moves[i].target.partition, &moves[i].target, live,
                                        live_count, &record, &problem);
        propose(upkeep, &record, &problem);
    }
}

static bool is_live(struct broker_shard *shard, uint32_t broker_id)
{
    uint32_t live[CLUSTER_BROKERS_MAX];
    size_t count = controller_live_brokers(shard, live, CLUSTER_BROKERS_MAX);
    bool is_there = false;
    for (size_t i = 0; i < count; i++) {
        is_there = is_there || live[i] == broker_id;
    }
    return is_there;
}

/* It has no vote any more, and will hear that it is unregistered: as a learner that is heard, which
 * one whose vote was just taken is to become first.  One that is down is refused when it starts. */
static bool may_go(struct broker_shard *shard, uint32_t broker_id)
{
    struct replica_group_view view;
    replica_group_view(shard->controller->group, &view);
    for (uint32_t i = 0; i < view.member_count; i++) {
        const struct replica_member_view *member = &view.members[i];
        if (member->node_id == broker_id) {
            return !member->is_voter && (member->is_active || !is_live(shard, broker_id));
        }
    }
    return view.member_count == RAFT_MEMBERS_MAX || !is_live(shard, broker_id);
}

/* A broker goes when it holds nothing, has no vote, and the moves are past. */
static void unregister(struct controller_upkeep *upkeep, uint32_t broker_id)
{
    struct broker_shard *shard = upkeep->shard;
    if (!may_go(shard, broker_id) || cluster_broker_replica_count(shard->metadata, broker_id) > 0) {
        return;
    }
    struct wire_writer record;
    struct cluster_problem problem;
    wire_writer_init(&record, 32);
    cluster_plan_unregister_broker(shard->metadata, broker_id, &record, &problem);
    trace_info("Broker %" PRIu32 " holds nothing any more: it leaves the cluster", broker_id);
    propose(upkeep, &record, &problem);
}

static void help_leavers(struct controller_upkeep *upkeep)
{
    const struct cluster_broker *broker = NULL;
    size_t position = 0;
    bool is_one_leaving = false;
    while ((broker = cluster_broker_next(upkeep->shard->metadata, &position)) != NULL) {
        if (broker->is_leaving) {
            is_one_leaving = true;
            unregister(upkeep, broker->id);
        }
    }
    if (is_one_leaving) {
        move_replicas(upkeep);
    }
}

/* ---- A controller whose disk was lost ---- */

/* It cannot know whether it is a voter, as founding members stand in no log: the leader does. */
static void ask_for_vote(struct broker_shard *shard)
{
    struct controller *controller = shard->controller;
    uint32_t leader = controller_leader(shard);
    if (controller->group == NULL || !replica_group_is_joining(controller->group) || leader == 0 ||
        leader == shard->broker_id) {
        return;
    }
    struct readmit_replica_request request;
    struct wire_writer writer;
    readmit_replica_request_init(&request);
    request.group_id = CLUSTER_CONTROLLER_GROUP_ID;
    peer_request_frame_begin(&writer, READMIT_REPLICA_TYPE, 0);
    readmit_replica_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    (void)peer_link_send(shard->links, leader, frame); /* if not, the next pass asks again */
    buf_release(frame);
}

void controller_upkeep_note_lost(struct controller_upkeep *upkeep, uint32_t broker_id)
{
    controller_repair_rejoins(&upkeep->repair, broker_id);
    if (controller_is_leader(upkeep->shard)) {
        upkeep->lost = broker_id; /* if it is no voter, the next pass forgets it */
    }
}

/* ---- A controller whose data is damaged ---- */

void controller_upkeep_withdraw(struct controller_upkeep *upkeep,
                                const struct repair_message *message)
{
    controller_repair_take(&upkeep->repair, message);
}

/* ---- Life ---- */

static void pass_due(struct io_timer *timer)
{
    struct controller_upkeep *upkeep = container_of(timer, struct controller_upkeep, timer);
    struct broker_shard *shard = upkeep->shard;
    controller_repair_pass(&upkeep->repair);
    if (!controller_is_leader(shard)) {
        upkeep->lost = 0;
        ask_for_vote(shard);
    } else if (upkeep->under_way == 0) {
        keep_members(upkeep);
        help_leavers(upkeep);
    }
    io_timer_start(shard->loop, timer, io_now_ns(shard->loop) + PASS_NS);
}

struct controller_upkeep *controller_upkeep_new(struct broker_shard *shard)
{
    struct controller_upkeep *upkeep = memory_allocate_zeroed(sizeof *upkeep);
    upkeep->shard = shard;
    upkeep->repair.shard = shard;
    io_timer_init(&upkeep->timer, pass_due);
    return upkeep;
}

void controller_upkeep_start(struct controller_upkeep *upkeep)
{
    io_timer_start(upkeep->shard->loop, &upkeep->timer, io_now_ns(upkeep->shard->loop) + PASS_NS);
}

void controller_upkeep_stop(struct controller_upkeep *upkeep)
{
    io_timer_stop(upkeep->shard->loop, &upkeep->timer);
}

bool controller_upkeep_is_idle(const struct controller_upkeep *upkeep)
{
    return upkeep->under_way == 0 && controller_repair_is_idle(&upkeep->repair);
}

void controller_upkeep_free(struct controller_upkeep *upkeep)
{
    require(controller_upkeep_is_idle(upkeep));
    memory_free(upkeep);
}
