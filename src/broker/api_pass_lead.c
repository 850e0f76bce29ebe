/* SPDX-License-Identifier: Apache-2.0
 *
 * api_pass_lead.c -- PassLead (1014): another broker wants the lead of a group that this one leads
 * to pass to a third, see leader_handover.h.  Has no answer.
 *
 * Locality: shard 0; acted upon on the shard of the group.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/leader_handover.h"
#include "wire/pass_lead.h"

void api_pass_lead(struct request *request)
{
    struct pass_lead_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!pass_lead_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.group_id >= CLUSTER_FIRST_PARTITION_GROUP_ID) {
        leader_handover_begin(request->shard, (uint64_t)message.group_id, message.broker_id);
    }
    request_end(request);
}
