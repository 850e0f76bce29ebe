/* SPDX-License-Identifier: Apache-2.0
 *
 * api_peer_hello.c -- PeerHello (1000): the last check of the guard, by which a connection becomes
 * a broker's.
 *
 * Locality: shard 0.
 */
#include "base/assert.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/connection.h"
#include "broker/peer_link.h"
#include "wire/peer_hello.h"

static void refuse(struct request *request, const struct io_stream *stream, const char *what)
{
    listener_report_unauthorized(request->shard, io_stream_peer_address(stream), what, "");
    request_drop(request, what);
}

static struct peer_guard_claim claim_of(const struct peer_hello_request *hello,
                                        const struct io_stream *stream)
{
    struct peer_guard_claim claim = {
        .address = io_stream_peer_address(stream),
        .uri_count = io_stream_peer_uri_count(stream),
        .cluster_id = hello->cluster_id,
        .broker_id = hello->broker_id,
    };
    claim.uri = claim.uri_count > 0 ? io_stream_peer_uri(stream, 0) : NULL;
    return claim;
}

static void answer(struct request *request)
{
    const struct broker_shard *shard = request->shard;
    struct peer_hello_response response;
    peer_hello_response_init(&response);
    response.cluster_id = shard->cluster_id;
    response.broker_id = shard->broker_id;
    response.incarnation = shard->broker->incarnation;
    response.shard_count = shard->broker->shard_count;
    struct wire_writer body;
    wire_writer_init(&body, 64);
    peer_hello_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

void api_peer_hello(struct request *request)
{
    struct peer_hello_request hello;
    struct wire_cursor cursor = request_cursor(request);
    if (!peer_hello_request_decode(&hello, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct connection *connection = connection_of(request);
    ensure(connection != NULL);
    const struct io_stream *stream = connection_stream(connection);
    struct peer_guard_claim claim = claim_of(&hello, stream);
    enum peer_guard_verdict verdict = peer_guard_decide(&request->shard->broker->guard, &claim);
    if (verdict != PEER_GUARD_PASSED) {
        refuse(request, stream, peer_guard_text(verdict));
        return;
    }
    if (hello.shard_count == 0 || hello.shard_count > SHARDS_MAX ||
        hello.shard_id >= hello.shard_count) {
        refuse(request, stream, "impossible shard");
        return;
    }
    struct connection_peer peer = {
        .broker_id = hello.broker_id,
        .incarnation = hello.incarnation,
        .shard_id = hello.shard_id,
        .shard_count = hello.shard_count,
    };
    connection_set_peer(connection, &peer);
    peer_links_introduce(request->shard->links, peer.broker_id, hello.peer_host, hello.peer_port);
    peer_links_redial(request->shard, peer.broker_id);
    answer(request);
}
