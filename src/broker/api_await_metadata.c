/* SPDX-License-Identifier: Apache-2.0
 *
 * api_await_metadata.c -- AwaitMetadata (1017): between the controller leader and a broker that is
 * to have applied a change, see metadata_wait.h.  Has no answer.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/metadata_wait.h"
#include "wire/await_metadata.h"

void api_await_metadata(struct request *request)
{
    struct await_metadata_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!await_metadata_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (message.index < 0) {
        request_drop(request, "an index below 0");
        return;
    }
    metadata_waits_take(request->shard->metadata_waits,
                        &(struct metadata_wait_message){.from = request->peer_broker_id,
                                                        .ask = message.ask,
                                                        .index = (uint64_t)message.index,
                                                        .is_applied = message.is_applied});
    request_end(request);
}
