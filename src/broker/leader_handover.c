/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_handover.c -- see leader_handover.h.
 */
#include "broker/leader_handover.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/membership_step.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/pass_lead.h"

#include <inttypes.h>

struct handover_wish {
    struct shard_message message;
    uint64_t group_id;
    uint32_t to_broker_id;
};

bool leader_may_pass_to(const struct replica_group *group, uint32_t broker_id)
{
    struct replica_group_view view;
    const struct replica_member_view *member = NULL;
    replica_group_view(group, &view);
    return member_standing_of(&view, broker_id, &member) == MEMBER_VOTER &&
           member_is_caught_up(&view, member);
}

static void hand_over(struct broker_shard *shard, const struct handover_wish *wish)
{
    struct replica_group *group = replica_group_find(shard->replicas, wish->group_id);
    if (group == NULL || !replica_standing(group).is_leader ||
        wish->to_broker_id == shard->broker_id || !leader_may_pass_to(group, wish->to_broker_id)) {
        return;
    }
    enum replica_result result = replica_transfer_leadership(group, wish->to_broker_id);
    if (result == REPLICA_OK) {
        trace_info("Handing group %" PRIu64 " over to broker %" PRIu32 ", as was asked for",
                   wish->group_id, wish->to_broker_id);
        counter_add(&shard->stats.leaders_handed_over, 1);
    } else {
        trace_debug("group %" PRIu64 " is not handed over to broker %" PRIu32 " now: %s",
                    wish->group_id, wish->to_broker_id, replica_result_text(result));
    }
}

static void deliver(struct shard *shard, struct shard_message *message)
{
    struct handover_wish *wish = container_of(message, struct handover_wish, message);
    hand_over(shard_owner(shard), wish);
    memory_free(wish);
}

void leader_handover_begin(struct broker_shard *shard, uint64_t group_id, uint32_t to_broker_id)
{
    require(group_id != 0);
    struct handover_wish *wish = memory_allocate_zeroed(sizeof *wish);
    list_node_init(&wish->message.node);
    wish->message.deliver = deliver;
    wish->group_id = group_id;
    wish->to_broker_id = to_broker_id;
    shard_post(shard->shard, replica_shard_of_group(group_id, shard->broker->shard_count),
               &wish->message);
}

void leader_handover_ask(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                         uint32_t to_broker_id)
{
    require(leader != 0 && to_broker_id != 0);
    if (leader == shard->broker_id) {
        leader_handover_begin(shard, group_id, to_broker_id);
        return;
    }
    struct pass_lead_request request;
    struct wire_writer writer;
    pass_lead_request_init(&request);
    request.group_id = (int64_t)group_id;
    request.broker_id = to_broker_id;
    peer_request_frame_begin(&writer, PASS_LEAD_TYPE, 0);
    pass_lead_request_encode(&request, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    (void)peer_link_send(shard->links, leader, frame); /* false: lost, as the header says */
    buf_release(frame);
}
