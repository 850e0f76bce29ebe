/* SPDX-License-Identifier: Apache-2.0
 *
 * connection.c -- the life of a connection, its deadlines, and the table of them.
 *
 * Everything that does not fit the protocol closes the connection: one line in the log (of a
 * limited number, line_limit.h), one count, no answer.
 *
 * Life: OPEN -> CLOSING (nothing is read any more, answers already queued may still leave) -> gone.
 *
 * Locality: the shard that accepted it.
 */
#include "broker/connection.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "broker/connection_internal.h"
#include "broker/listener.h"

#include <inttypes.h>

#define STALL_NS 30000000000ull /* a reader that takes nothing for so long is cut off */

/* ---- Bad input ---- */

void connection_report_bad_input(struct connection *connection, const char *what)
{
    struct connection_table *table = connection->shard->connections;
    uint64_t missed = 0;
    counter_add(&connection->shard->stats.connections_closed_bad_input, 1);
    if (!line_limit_allows(&table->bad_input_lines, io_now_ns(connection->shard->loop), &missed)) {
        return;
    }
    if (missed > 0) {
        trace_warn("%" PRIu64 " more connections were closed for bad input", missed);
    }
    char address[IO_ADDRESS_TEXT_SIZE];
    io_address_format(io_stream_peer_address(connection->stream), address);
    trace_warn("closing the connection from %s: %s", address, what);
}

void connection_close_now(struct connection *connection)
{
    if (!connection->is_closing) {
        connection->is_closing = true;
        io_stream_pause(connection->stream);
        io_stream_close(connection->stream);
    }
}

void connection_refuse(struct connection *connection, const char *what)
{
    if (connection->is_closing) {
        return;
    }
    connection_report_bad_input(connection, what);
    connection_close_now(connection);
}

void connection_refuse_unauthorized(struct connection *connection, const char *what)
{
    if (connection->is_closing) {
        return;
    }
    listener_report_unauthorized(connection->shard, io_stream_peer_address(connection->stream),
                                 what, "");
    connection_close_now(connection);
}

/* ---- Deadlines ---- */

static uint64_t earlier(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

void connection_watch(struct connection *connection, uint64_t deadline_ns)
{
    if (!io_timer_is_running(&connection->timer) || deadline_ns < connection->timer.deadline_ns) {
        io_timer_start(connection->shard->loop, &connection->timer, deadline_ns);
    }
}

static uint64_t bytes_sent(const struct connection *connection)
{
    return connection->queued_total - io_stream_queued_bytes(connection->stream);
}

static void deadline_passed(struct io_timer *timer)
{
    struct connection *connection = container_of(timer, struct connection, timer);
    const struct broker_config *config = connection->shard->config;
    uint64_t now_ns = io_now_ns(connection->shard->loop);
    uint64_t next_ns = now_ns + 60 * CONNECTION_RECHECK_NS;
    if (connection->is_closing) {
        io_stream_close(connection->stream); /* what is left unsent now stays unsent */
        return;
    }
    if (connection->is_peer && connection->peer.broker_id == 0) {
        uint64_t hello_ns = connection->opened_ns + CONNECTION_HELLO_NS;
        if (now_ns >= hello_ns) {
            connection_refuse_unauthorized(connection, "no hello in time");
            return;
        }
        next_ns = earlier(next_ns, hello_ns);
    }
    if (connection->partial_ns != 0) {
        uint64_t whole_ns = connection->partial_ns + config->request_partial_ms * 1000000ull;
        if (now_ns >= whole_ns) {
            connection_refuse(connection, "a request was not complete in time");
            return;
        }
        next_ns = earlier(next_ns, whole_ns);
    }
    if (io_stream_queued_bytes(connection->stream) > 0) {
        if (bytes_sent(connection) != connection->sent_seen) {
            connection->sent_seen = bytes_sent(connection);
            connection->sent_seen_ns = now_ns;
        } else if (now_ns - connection->sent_seen_ns >= STALL_NS) {
            connection_refuse(connection, "the answers are not taken");
            return;
        }
        next_ns = earlier(next_ns, now_ns + CONNECTION_RECHECK_NS);
    } else if (!connection->is_peer && connection->exchange_count == 0) {
        uint64_t idle_ns = connection->active_ns + config->connection_idle_ms * 1000000ull;
        if (now_ns >= idle_ns) {
            connection_close_now(connection);
            return;
        }
        next_ns = earlier(next_ns, idle_ns);
    }
    connection_watch(connection, next_ns);
}

/* ---- Life ---- */

static void on_data(struct io_stream *stream)
{
    connection_read_frames(io_stream_owner(stream));
}

static void on_drained(struct io_stream *stream)
{
    connection_unblock_later(io_stream_owner(stream));
}

static void on_close(struct io_stream *stream, const char *reason)
{
    struct connection *connection = io_stream_owner(stream);
    struct connection_table *table = connection->shard->connections;
    (void)reason;
    struct list_node *node = NULL;
    while ((node = list_take_first(&connection->exchanges)) != NULL) {
        struct exchange *exchange = container_of(node, struct exchange, request.node);
        exchange->connection = NULL;
        exchange->request.connection_is_gone = true;
        if (exchange->is_answered) {
            exchange_free(table, exchange);
        } else if (exchange->request.abandoned != NULL) {
            exchange->request.abandoned(&exchange->request);
        }
    }
    if (connection->peer.holds_id) {
        listener_peer_gone(connection->shard, &connection->peer);
    }
    io_timer_stop(connection->shard->loop, &connection->timer);
    list_remove(&connection->resuming);
    list_remove(&connection->node);
    listener_release_slot(connection->shard, connection->slot);
    counter_set(&connection->shard->stats.connections_open,
                counter_read(&connection->shard->stats.connections_open) - 1);
    buf_release(connection->heads);
    memory_free(connection);
}

static const struct io_stream_handler connection_handler = {
    .on_data = on_data,
    .on_drained = on_drained,
    .on_close = on_close,
};

void connection_accept(struct broker_shard *shard, struct io_stream *stream, bool is_peer,
                       uint32_t slot)
{
    struct connection *connection = memory_allocate_zeroed(sizeof *connection);
    connection->shard = shard;
    connection->stream = stream;
    connection->is_peer = is_peer;
    connection->slot = slot;
    connection->opened_ns = io_now_ns(shard->loop);
    connection->active_ns = connection->opened_ns;
    list_init(&connection->exchanges);
    list_node_init(&connection->resuming);
    list_node_init(&connection->node);
    list_append(&shard->connections->connections, &connection->node);
    io_timer_init(&connection->timer, deadline_passed);
    connection_watch(connection, connection->opened_ns +
                                     (is_peer ? CONNECTION_HELLO_NS
                                              : shard->config->connection_idle_ms * 1000000ull));
    counter_add(&shard->stats.connections_accepted, 1);
    counter_add(&shard->stats.connections_open, 1);
    io_stream_adopt(stream, &connection_handler, connection);
}

struct connection *connection_of(const struct request *request)
{
    if (request->finish != exchange_finish) {
        return NULL;
    }
    return container_of(request, struct exchange, request)->connection;
}

const struct connection_peer *connection_peer(const struct connection *connection)
{
    return &connection->peer;
}

void connection_set_peer(struct connection *connection, const struct connection_peer *peer)
{
    require(connection->is_peer && connection->peer.broker_id == 0 && peer->broker_id != 0);
    connection->peer = *peer;
}

void connection_set_holds_id(struct connection *connection)
{
    require(connection->peer.broker_id != 0);
    connection->peer.holds_id = true;
}

struct io_stream *connection_stream(const struct connection *connection)
{
    return connection->stream;
}

struct connection_table *connection_table_new(struct broker_shard *shard)
{
    struct connection_table *table = memory_allocate_zeroed(sizeof *table);
    table->shard = shard;
    list_init(&table->connections);
    list_init(&table->resuming);
    list_init(&table->spare);
    list_node_init(&table->hook.node);
    table->hook.run = connection_resume_all;
    io_turn_hook_add(shard->loop, &table->hook);
    return table;
}

void connection_table_close_all(struct connection_table *table)
{
    list_for_each(&table->connections, node)
    {
        connection_close_now(container_of(node, struct connection, node));
    }
}

bool connection_table_is_empty(const struct connection_table *table)
{
    return list_is_empty(&table->connections);
}

void connection_table_free(struct connection_table *table)
{
    require(connection_table_is_empty(table));
    io_turn_hook_remove(table->shard->loop, &table->hook);
    struct list_node *node = NULL;
    while ((node = list_take_first(&table->spare)) != NULL) {
        memory_free(container_of(node, struct exchange, request.node));
    }
    memory_free(table);
}
