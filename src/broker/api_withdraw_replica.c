/* SPDX-License-Identifier: Apache-2.0
 *
 * api_withdraw_replica.c -- WithdrawReplica (1012): between a damaged replica and its leader, see
 * repair.h.  Has no answer.
 *
 * Locality: shard 0; acted upon on the shard of the group.
 */
#include "base/memory.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/controller_upkeep.h"
#include "broker/repair.h"
#include "wire/withdraw_replica.h"

struct withdrawal {
    struct shard_message message;
    struct repair_message content;
};

static void deliver(struct shard *shard, struct shard_message *message)
{
    struct withdrawal *withdrawal = container_of(message, struct withdrawal, message);
    struct broker_shard *owner = shard_owner(shard);
    repairs_take(owner->repairs, &withdrawal->content);
    memory_free(withdrawal);
}

void api_withdraw_replica(struct request *request)
{
    struct withdraw_replica_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!withdraw_replica_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.group_id == CLUSTER_CONTROLLER_GROUP_ID) {
        controller_upkeep_withdraw(request->shard->controller_upkeep,
                                   &(struct repair_message){.group_id = CLUSTER_CONTROLLER_GROUP_ID,
                                                            .ask = message.ask,
                                                            .from = request->peer_broker_id,
                                                            .is_out = message.is_out});
    } else if (message.group_id >= CLUSTER_FIRST_PARTITION_GROUP_ID) {
        struct withdrawal *withdrawal = memory_allocate_zeroed(sizeof *withdrawal);
        list_node_init(&withdrawal->message.node);
        withdrawal->message.deliver = deliver;
        withdrawal->content = (struct repair_message){.group_id = (uint64_t)message.group_id,
                                                      .ask = message.ask,
                                                      .from = request->peer_broker_id,
                                                      .is_out = message.is_out};
        shard_post(request->shard->shard,
                   replica_shard_of_group(withdrawal->content.group_id,
                                          request->shard->broker->shard_count),
                   &withdrawal->message);
    }
    request_end(request);
}
