/* SPDX-License-Identifier: Apache-2.0
 *
 * api_peer_ping.c -- PeerPing (1015): a broker that is connected asks whether this one lives, see
 * peer_link.h.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "wire/peer_ping.h"

void api_peer_ping(struct request *request)
{
    struct peer_ping_request ping;
    struct wire_cursor cursor = request_cursor(request);
    if (!peer_ping_request_decode(&ping, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct peer_ping_response response;
    struct wire_writer body;
    peer_ping_response_init(&response);
    response.disk_answers = atomic_load(&request->shard->broker->shards_with_hung_disk) == 0;
    wire_writer_init(&body, 16);
    peer_ping_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}
