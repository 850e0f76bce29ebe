/* SPDX-License-Identifier: Apache-2.0
 *
 * api_raft_frame.c -- RaftFrame (1001): what the groups of one shard of a broker have to say,
 * handed to the replica managers it is for.  Has no answer.
 *
 * A broker with as many shards as we have places every group as we do, so its shard n talks to ours
 * alone; otherwise each of our shards gets the frame and takes its own groups from it.  The frame
 * is not copied.
 *
 * Locality: shard 0; deliver_frame() on the shard of the groups.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/connection.h"
#include "broker/peer_link.h"
#include "broker/peer_presence.h"

#include <inttypes.h>

struct frame_message {
    struct shard_message message;
    uint32_t from_broker;
    struct buf *buf;
    const uint8_t *frame;
    size_t length;
};

static void deliver_frame(struct shard *shard, struct shard_message *message)
{
    struct frame_message *letter = container_of(message, struct frame_message, message);
    struct broker_shard *state = shard_owner(shard);
    if (!replica_receive_frame(state->replicas, letter->from_broker, letter->buf, letter->frame,
                               letter->length)) {
        trace_warn("a Raft frame of broker %" PRIu32 " makes no sense", letter->from_broker);
        counter_add(&state->stats.connections_closed_bad_input, 1);
    }
    buf_release(letter->buf);
    memory_free(letter);
}

static void post_frame(const struct request *request, uint32_t to)
{
    struct frame_message *letter = memory_allocate_zeroed(sizeof *letter);
    list_node_init(&letter->message.node);
    letter->message.deliver = deliver_frame;
    letter->from_broker = request->peer_broker_id;
    letter->buf = buf_reference(request->frame);
    letter->frame = request->body;
    letter->length = request->body_length;
    shard_post(request->shard->shard, to, &letter->message);
}

/* True when the sender's process is the one that holds its broker id. */
static bool claim_id(struct request *request, struct connection *connection)
{
    struct broker_shard *shard = request->shard;
    const struct connection_peer *peer = connection_peer(connection);
    if (peer->holds_id) {
        peer_presence_heard(shard->presence, peer->broker_id, io_now_ns(shard->loop));
        return true;
    }
    if (!peer_presence_enter(shard->presence, peer, io_now_ns(shard->loop))) {
        listener_report_unauthorized(shard, io_stream_peer_address(connection_stream(connection)),
                                     "broker id is held by another process", "");
        return false;
    }
    connection_set_holds_id(connection);
    peer_links_spoken_to(shard->links, peer->broker_id);
    return true;
}

void api_raft_frame(struct request *request)
{
    struct broker_shard *shard = request->shard;
    struct connection *connection = connection_of(request);
    ensure(connection != NULL && request->peer_broker_id != 0);
    const struct connection_peer *peer = connection_peer(connection);
    if (!claim_id(request, connection)) {
        request_drop(request, "broker id is taken by another process");
        return;
    }

    uint32_t count = shard->broker->shard_count;
    bool is_paired = peer->shard_count == count;
    for (uint32_t to = 1; to < count; to++) {
        if (!is_paired || peer->shard_id == to) {
            post_frame(request, to);
        }
    }
    bool is_for_us = !is_paired || peer->shard_id == 0;
    if (is_for_us && !replica_receive_frame(shard->replicas, peer->broker_id, request->frame,
                                            request->body, request->body_length)) {
        request->is_malformed = true;
        request_drop(request, "Raft frame");
        return;
    }
    request_end(request);
}
