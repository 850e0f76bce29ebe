/* SPDX-License-Identifier: Apache-2.0
 *
 * api_peer_hello.c -- PeerHello (1000): the last check of the guard, by which a connection becomes
 * a broker's.
 *
 * A broker whose data directory is known here to be out of date is told so, and heard no further:
 * it has forgotten votes and acknowledgements, and would give them again.
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

/* Whether what the caller's data directory remembers may be believed. */
static enum cluster_directory_verdict judge_directory(const struct broker_shard *shard,
                                                      uint32_t broker_id,
                                                      const struct cluster_directory *directory)
{
    enum cluster_directory_verdict verdict =
        cluster_directory_judge(shard->metadata, broker_id, directory);
    /* Who has left is no member of anything, and is told by whom it asks (registration.c). */
    return verdict == CLUSTER_DIRECTORY_LEFT ? CLUSTER_DIRECTORY_CURRENT : verdict;
}

static void answer(struct request *request, enum cluster_directory_verdict verdict)
{
    const struct broker_shard *shard = request->shard;
    struct cluster_directory own = shard->broker->own_directory;
    struct peer_hello_response response;
    peer_hello_response_init(&response);
    response.error_code = (int16_t)cluster_directory_error(verdict);
    response.message = wire_string_from(
        verdict == CLUSTER_DIRECTORY_CURRENT ? "" : cluster_directory_text(verdict));
    response.cluster_id = shard->cluster_id;
    response.broker_id = shard->broker_id;
    response.incarnation = shard->broker->incarnation;
    response.shard_count = shard->broker->shard_count;
    response.directory_id = own.id;
    response.first_start = (int64_t)own.first_start;
    response.directory_starts = own.starts;
    response.directory_starts_count = (int32_t)own.start_count;
    struct wire_writer body;
    wire_writer_init(&body, 64);
    peer_hello_response_encode(&response, request->version, &body);
    request_respond(request, &body);
}

void api_peer_hello(struct request *request)
{
    struct peer_hello_request hello;
    struct cluster_directory directory;
    struct wire_cursor cursor = request_cursor(request);
    if (!peer_hello_request_decode(&hello, request->version, &cursor) ||
        !request_body_ends(request, &cursor) ||
        !cluster_directory_take(&directory, &hello.directory_id, hello.first_start,
                                hello.directory_starts, hello.directory_starts_count)) {
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
    enum cluster_directory_verdict standing =
        judge_directory(request->shard, hello.broker_id, &directory);
    if (standing != CLUSTER_DIRECTORY_CURRENT) {
        listener_report_unauthorized(request->shard, io_stream_peer_address(stream),
                                     "its data directory is out of date", "");
        answer(request, standing); /* it closes; the hello's deadline does else */
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
    peer_links_redial(request->shard, peer.broker_id, &peer.incarnation);
    answer(request, CLUSTER_DIRECTORY_CURRENT);
}
