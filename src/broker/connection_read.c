/* SPDX-License-Identifier: Apache-2.0
 *
 * connection_read.c -- frames in: cut, their heads read, given to their handlers.
 *
 * A frame is cut where it was received: the request points into the receive buffer and holds it.
 * Nothing is read while the connection has too many requests unanswered or too many bytes unsent,
 * so one peer cannot make the broker hold more than a bounded amount for it.
 *
 * Locality: the shard of the connection.
 */
#include "base/trace.h"
#include "broker/broker.h"
#include "broker/connection_internal.h"
#include "wire/cursor.h"
#include "wire/field.h"

#include <inttypes.h>
#include <stdio.h>

#define FRAME_BYTES_LEAST 8            /* type, version, correlation id */
#define FRAME_BYTES_BEFORE_HELLO 65536 /* what a stranger on the broker listener may send */
/* A frame between brokers may wrap a whole client request. */
#define PEER_FRAME_BYTES_EXTRA (16u << 20)
#define UNSENT_BYTES_MAX (1u << 20) /* nothing is read while more waits to be sent */
/* A client that sends ahead is made to wait beyond this, rather than refused by a partition whose
 * replicas are behind: what is refused and comes again comes after what was taken meanwhile. */
#define CLIENT_UNANSWERED_BYTES_MAX (16u << 20)
#define ARENA_BASE_BYTES (64u * 1024)
#define ARENA_FRAME_FACTOR 8u

/* ---- One request ---- */

/* Why the request may not be served on this connection, or NULL. */
static const char *guard_objection(const struct connection *connection, int16_t type)
{
    if (!connection->is_peer) {
        const struct request_configuration *configuration = request_configuration_find(type);
        bool is_for_operators =
            configuration != NULL && configuration->class == REQUEST_METADATA_WRITE;
        return type >= REQUEST_FIRST_PEER_TYPE && !is_for_operators ? "client listener" : NULL;
    }
    if (type < REQUEST_FIRST_PEER_TYPE) {
        return "not a request between brokers";
    }
    bool is_hello = type == REQUEST_PEER_HELLO;
    if (connection->peer.broker_id == 0) {
        return is_hello && connection->exchange_count == 0 ? NULL : "request before the hello";
    }
    return is_hello ? "second hello" : NULL;
}

static bool read_head(struct request *request, struct wire_cursor *cursor, int16_t version,
                      const char **error)
{
    request->client_id = wire_read_string(cursor, false, true);
    if (version >= request->configuration->version_flexible) {
        wire_skip_tagged_fields(cursor);
    }
    *error = cursor->error;
    return cursor->error == NULL;
}

static struct exchange *exchange_begin(struct connection *connection,
                                       const struct request_configuration *configuration,
                                       struct buf *buf, size_t frame_length)
{
    struct exchange *exchange = exchange_new(connection->shard->connections);
    exchange->connection = connection;
    exchange->frame_bytes = frame_length;
    struct request *request = &exchange->request;
    list_node_init(&request->node);
    request->shard = connection->shard;
    request->configuration = configuration;
    request->frame = buf_reference(buf);
    request->peer_broker_id = connection->peer.broker_id;
    request->received_ns = io_now_ns(connection->shard->loop);
    request->finish = exchange_finish;
    arena_init(&request->arena, ARENA_BASE_BYTES + ARENA_FRAME_FACTOR * frame_length);
    return exchange;
}

static void note_peer_request(const struct connection *connection, const struct request *request)
{
    int16_t type = request->configuration->type;
    if (!connection->is_peer || type == REQUEST_RAFT_FRAME || type == REQUEST_PEER_HELLO ||
        type == REQUEST_ANNOUNCE_LEADERS || type == REQUEST_READMIT_REPLICA ||
        type == REQUEST_WITHDRAW_REPLICA || type == REQUEST_PASS_LEAD ||
        type == REQUEST_PEER_PING || type == REQUEST_TELL_COMPACTED ||
        type == REQUEST_AWAIT_METADATA) {
        return;
    }
    counter_add(&connection->shard->stats.inter_broker_handled, 1);
    char address[IO_ADDRESS_TEXT_SIZE];
    io_address_format(io_stream_peer_address(connection->stream), address);
    trace_info("Handling inter-broker request from %s (broker %" PRIu32 "): %s", address,
               connection->peer.broker_id, request->configuration->name);
}

/* One whole frame, size word not included. */
static void take_frame(struct connection *connection, struct buf *buf, const uint8_t *frame,
                       size_t length)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, frame, length, NULL);
    int16_t type = wire_read_int16(&cursor);
    int16_t version = wire_read_int16(&cursor);
    int32_t correlation_id = wire_read_int32(&cursor);
    const char *objection = guard_objection(connection, type);
    if (objection != NULL) {
        connection_refuse_unauthorized(connection, objection);
        return;
    }
    const struct request_configuration *configuration = request_configuration_find(type);
    char what[96];
    if (configuration == NULL) {
        snprintf(what, sizeof what, "unknown request type %d", type);
        connection_refuse(connection, what);
        return;
    }
    bool is_served =
        version >= configuration->version_least && version <= configuration->version_most;
    if (!is_served && type != REQUEST_API_VERSIONS) {
        snprintf(what, sizeof what, "%s version %d is not served", configuration->name, version);
        connection_refuse(connection, what);
        return;
    }

    struct exchange *exchange = exchange_begin(connection, configuration, buf, length);
    struct request *request = &exchange->request;
    request->correlation_id = correlation_id;
    request->client_address = io_stream_peer_address(connection->stream);
    request->version = is_served ? version : -1;
    const char *error = NULL;
    if (is_served && !read_head(request, &cursor, version, &error)) {
        exchange_free(connection->shard->connections, exchange);
        connection_refuse(connection, error);
        return;
    }
    request->body = (uint8_t *)cursor.position;
    request->body_length = is_served ? wire_remaining(&cursor) : 0;
    list_append(&connection->exchanges, &request->node);
    connection->exchange_count++;
    connection->unanswered_bytes += exchange->frame_bytes;
    note_peer_request(connection, request);
    request_dispatch(request);
}

/* ---- How much is taken on ---- */

static bool may_read(const struct connection *connection)
{
    return !connection->is_closing &&
           connection->exchange_count < connection->shard->config->requests_in_flight_max &&
           (connection->is_peer || connection->unanswered_bytes < CLIENT_UNANSWERED_BYTES_MAX) &&
           io_stream_queued_bytes(connection->stream) < UNSENT_BYTES_MAX;
}

static void block(struct connection *connection)
{
    if (!connection->is_blocked) {
        connection->is_blocked = true;
        io_stream_pause(connection->stream);
        connection_watch(connection, io_now_ns(connection->shard->loop) + CONNECTION_RECHECK_NS);
    }
}

void connection_unblock_later(struct connection *connection)
{
    if (connection->is_blocked && !list_is_linked(&connection->resuming) && may_read(connection)) {
        list_append(&connection->shard->connections->resuming, &connection->resuming);
        io_loop_again(connection->shard->loop);
    }
}

/* ---- Frames ---- */

static size_t frame_bytes_max(const struct connection *connection)
{
    if (!connection->is_peer) {
        return connection->shard->config->request_bytes_max;
    }
    return connection->peer.broker_id == 0
               ? FRAME_BYTES_BEFORE_HELLO
               : connection->shard->config->request_bytes_max + PEER_FRAME_BYTES_EXTRA;
}

/* Reads the size word; false when the frame is not whole yet or the size is refused. */
static bool frame_is_whole(struct connection *connection, const uint8_t *input, size_t length,
                           size_t *size)
{
    if (length >= 4) {
        *size = (size_t)input[0] << 24 | (size_t)input[1] << 16 | (size_t)input[2] << 8 |
                (size_t)input[3];
        if (*size < FRAME_BYTES_LEAST || *size > frame_bytes_max(connection)) {
            char what[64];
            snprintf(what, sizeof what, "frame size %" PRId32, (int32_t)(uint32_t)*size);
            connection_refuse(connection, what);
            return false;
        }
        if (length - 4 >= *size) {
            connection->partial_ns = 0;
            return true;
        }
    }
    if (length > 0 && connection->partial_ns == 0) {
        connection->partial_ns = io_now_ns(connection->shard->loop);
        connection_watch(connection,
                         connection->partial_ns +
                             connection->shard->config->request_partial_ms * 1000000ull);
    }
    if (length > 0) {
        io_stream_expect(connection->stream, length >= 4 ? 4 + *size : 4);
    }
    return false;
}

void connection_read_frames(struct connection *connection)
{
    if (connection->is_reading) {
        return;
    }
    connection->is_reading = true;
    while (!connection->is_closing) {
        if (!may_read(connection)) {
            block(connection);
            break;
        }
        size_t length = 0;
        size_t size = 0;
        struct buf *buf = NULL;
        const uint8_t *input = io_stream_input(connection->stream, &length, &buf);
        if (!frame_is_whole(connection, input, length, &size)) {
            break;
        }
        connection->active_ns = io_now_ns(connection->shard->loop);
        /* Consuming may let go of the buf the frame stands in. */
        buf_reference(buf);
        io_stream_consume(connection->stream, 4 + size);
        take_frame(connection, buf, input + 4, size);
        buf_release(buf);
    }
    connection->is_reading = false;
}

void connection_resume_all(struct io_turn_hook *hook)
{
    struct connection_table *table = container_of(hook, struct connection_table, hook);
    struct list_node *node = NULL;
    struct list ready;
    list_init(&ready);
    while ((node = list_take_first(&table->resuming)) != NULL) {
        list_append(&ready, node);
    }
    while ((node = list_take_first(&ready)) != NULL) {
        struct connection *connection = container_of(node, struct connection, resuming);
        if (!connection->is_closing && may_read(connection)) {
            connection->is_blocked = false;
            io_stream_resume(connection->stream);
            connection_read_frames(connection);
        }
    }
}
