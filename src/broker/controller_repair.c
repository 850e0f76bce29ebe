/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_repair.c -- see controller_repair.h.
 *
 * A broker that was removed is a broker of the cluster still, and would be added again at once as a
 * follower of the metadata.  So the leader keeps it out while it asks, until it has come back
 * empty: what the damaged replica acknowledges must count for nothing when the empty one begins.
 */
#include "broker/controller_repair.h"

#include "base/assert.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/controller_applier.h"
#include "broker/membership_step.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "broker/repair.h"
#include "wire/withdraw_replica.h"

#include <inttypes.h>

#define ASK_NS 1000000000ull
#define WITHDRAWN_NS (5 * ASK_NS)

static struct buf *withdrawal(int64_t ask, bool is_out)
{
    struct withdraw_replica_request request;
    struct wire_writer writer;
    withdraw_replica_request_init(&request);
    request.group_id = CLUSTER_CONTROLLER_GROUP_ID;
    request.ask = ask;
    request.is_out = is_out;
    peer_request_frame_begin(&writer, WITHDRAW_REPLICA_TYPE, 0);
    withdraw_replica_request_encode(&request, 0, &writer);
    return peer_request_frame_take(&writer);
}

/* ---- The damaged replica ---- */

/* It goes on as a member, but as leader it might never apply what a leader must know; and it can be
 * elected after it met the damage.  If nobody can take it now, the next pass tries again. */
static void hand_over(struct broker_shard *shard)
{
    struct replica_group *group = replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    if (group != NULL) {
        (void)replica_transfer_leadership(group, 0); /* refused where it does not lead */
    }
}

static void ask(struct controller_repair *repair)
{
    struct broker_shard *shard = repair->shard;
    uint64_t now_ns = io_now_ns(shard->loop);
    if (repair->ask == 0) {
        repair->ask = (int64_t)(io_random(shard->loop) >> 1) | 1;
        repair->ask_again_ns = now_ns;
    }
    if (now_ns < repair->ask_again_ns) {
        return;
    }
    repair->ask_again_ns = now_ns + ASK_NS;
    struct buf *frame = withdrawal(repair->ask, false);
    peer_links_send(shard->links, frame); /* who does not lead ignores it */
    buf_release(frame);
    if (!repair->has_said_why_not) {
        repair->has_said_why_not = true;
        trace_error("The controller group's replica here is damaged and asks the others to go on "
                    "without it first; nothing is moved or deleted");
    }
}

void controller_repair_pass(struct controller_repair *repair)
{
    struct replica_manager *replicas = repair->shard->replicas;
    if (repair->is_moving) {
        return;
    }
    if (!replica_group_is_damaged(replicas, CLUSTER_CONTROLLER_GROUP_ID)) {
        repair->ask = 0;
        repair->has_said_why_not = false;
        return;
    }
    hand_over(repair->shard);
    if (replica_group_may_be_quarantined(replicas, CLUSTER_CONTROLLER_GROUP_ID)) {
        ask(repair);
    }
}

static void moved(void *context, enum replica_result result)
{
    struct controller_repair *repair = context;
    repair->is_moving = false;
    if (repair->shard->broker->is_stopping) {
        return;
    }
    if (result != REPLICA_OK) {
        trace_warn("The controller group's damaged replica was not replaced: %s",
                   replica_result_text(result));
    }
    controller_start_again(repair->shard);
}

static void is_out(struct controller_repair *repair, const struct repair_message *message)
{
    struct broker_shard *shard = repair->shard;
    if (repair->is_moving || repair->ask == 0 || repair->ask != message->ask ||
        shard->broker->is_stopping ||
        !replica_group_may_be_quarantined(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID)) {
        return;
    }
    trace_warn("The controller group goes on without its damaged replica here, which is replaced");
    repair->is_moving = true;
    repair->ask = 0;
    controller_quarantine(shard, moved, repair);
}

/* ---- Its leader ---- */

static void withdraw(struct controller_repair *repair, const struct repair_message *message)
{
    struct broker_shard *shard = repair->shard;
    struct replica_group *group = replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    uint64_t now_ns = io_now_ns(shard->loop);
    struct replica_group_view view;
    bool is_other = repair->withdrawn != 0 && repair->withdrawn != message->from;
    if (group == NULL || !controller_is_leader(shard) ||
        (is_other && now_ns < repair->withdrawn_until_ns)) {
        return; /* one at a time */
    }
    if (repair->withdrawn != message->from) {
        trace_warn("Broker %" PRIu32 " is to leave the controller group: its replica is damaged",
                   message->from);
    }
    repair->withdrawn = message->from; /* and the upkeep removes it */
    repair->withdrawn_until_ns = now_ns + WITHDRAWN_NS;
    replica_group_view(group, &view);
    if (view.is_membership_committed &&
        member_standing_of(&view, message->from, NULL) == MEMBER_NONE) {
        struct buf *frame = withdrawal(message->ask, true);
        (void)peer_link_send(shard->links, message->from, frame); /* if not, it asks again */
        buf_release(frame);
    }
}

void controller_repair_take(struct controller_repair *repair, const struct repair_message *message)
{
    require(message->group_id == CLUSTER_CONTROLLER_GROUP_ID);
    if (message->is_out) {
        is_out(repair, message);
    } else {
        withdraw(repair, message);
    }
}

uint32_t controller_repair_withdrawn(struct controller_repair *repair)
{
    if (repair->withdrawn != 0 && (!controller_is_leader(repair->shard) ||
                                   io_now_ns(repair->shard->loop) >= repair->withdrawn_until_ns)) {
        repair->withdrawn = 0;
    }
    return repair->withdrawn;
}

void controller_repair_rejoins(struct controller_repair *repair, uint32_t broker_id)
{
    if (repair->withdrawn == broker_id) {
        repair->withdrawn = 0;
    }
}

bool controller_repair_is_idle(const struct controller_repair *repair)
{
    return !repair->is_moving;
}
