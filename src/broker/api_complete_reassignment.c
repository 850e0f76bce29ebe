/* SPDX-License-Identifier: Apache-2.0
 *
 * api_complete_reassignment.c -- CompleteReassignment (1013): a group's leader tells the controller
 * leader that a reassignment is complete.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/reassignment.h"
#include "wire/complete_reassignment.h"

void api_complete_reassignment(struct request *request)
{
    struct complete_reassignment_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!complete_reassignment_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    reassignment_record_completion(request->shard, (uint64_t)message.group_id, message.epoch);
    request_end(request);
}
