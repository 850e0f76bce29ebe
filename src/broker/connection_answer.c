/* SPDX-License-Identifier: Apache-2.0
 *
 * connection_answer.c -- answers out, in the order of the requests, whatever order the handlers
 * finish in.
 *
 * Payload that an answer splices in (log/log.h) is sent from where it lies.
 *
 * Locality: the shard of the connection.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "broker/connection_internal.h"
#include "log/log.h"

#include <stdio.h>
#include <string.h>

#define ANSWER_HEAD_BYTES 9 /* size, correlation id, tagged fields */
#define HEADS_BYTES 512     /* answer heads share a buf of this size */
#define EXCHANGES_KEPT_MAX 1024

/* ---- Exchanges ---- */

struct exchange *exchange_new(struct connection_table *table)
{
    struct list_node *node = list_take_first(&table->spare);
    if (node == NULL) {
        return memory_allocate_zeroed(sizeof(struct exchange));
    }
    table->spare_count--;
    struct exchange *exchange = container_of(node, struct exchange, request.node);
    memset(exchange, 0, sizeof *exchange);
    return exchange;
}

/* Releases the references that an answer's splices hold. */
static void answer_release(struct wire_writer *answer)
{
    for (size_t i = 0; i < answer->splice_count; i++) {
        log_fetched_release(answer->splices[i].payload);
    }
    wire_writer_free(answer);
}

void exchange_free(struct connection_table *table, struct exchange *exchange)
{
    if (exchange->has_answer) {
        answer_release(&exchange->answer);
    }
    arena_free(&exchange->request.arena);
    buf_release(exchange->request.frame);
    if (table->spare_count >= EXCHANGES_KEPT_MAX) {
        memory_free(exchange);
        return;
    }
    table->spare_count++;
    list_node_init(&exchange->request.node);
    list_append(&table->spare, &exchange->request.node);
}

/* ---- Sending ---- */

static void queue_slice(struct connection *connection, struct buf *buf, const uint8_t *data,
                        size_t length)
{
    if (length > 0) {
        io_stream_send(connection->stream, (struct buf_slice){buf, data, length});
        connection->queued_total += length;
    }
}

static void queue_fetched(struct connection *connection, const struct log_fetched *fetched)
{
    if (fetched->file != NULL) {
        io_stream_send_file(connection->stream, fetched->file, fetched->position,
                            fetched->length_bytes);
        connection->queued_total += fetched->length_bytes;
        return;
    }
    for (uint32_t i = 0; i < fetched->slice_count; i++) {
        const struct buf_slice *slice = &fetched->slices[i];
        queue_slice(connection, slice->buf, slice->data, slice->length_bytes);
    }
}

static void put_int32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

static void queue_head(struct connection *connection, const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    /* ApiVersions is answered before the client knows what we speak: always the classic head. */
    bool is_flexible = request->version >= request->configuration->version_flexible &&
                       request->configuration->type != REQUEST_API_VERSIONS;
    size_t length = is_flexible ? ANSWER_HEAD_BYTES : ANSWER_HEAD_BYTES - 1;
    struct buf *heads = connection->heads;
    if (heads == NULL || heads->capacity_bytes - heads->length_bytes < ANSWER_HEAD_BYTES) {
        buf_release(heads);
        heads = connection->heads = buf_new(HEADS_BYTES);
    }
    uint8_t *head = heads->data + heads->length_bytes;
    size_t size =
        length - 4 + wire_writer_length(&exchange->answer) + exchange->answer.spliced_bytes;
    ensure(size <= INT32_MAX);
    put_int32(head, (uint32_t)size);
    put_int32(head + 4, (uint32_t)request->correlation_id);
    head[8] = 0; /* no tagged fields; not sent with a classic head */
    heads->length_bytes += length;
    queue_slice(connection, heads, head, length);
}

static void queue_answer(struct connection *connection, const struct exchange *exchange)
{
    const struct wire_writer *answer = &exchange->answer;
    if (io_stream_queued_bytes(connection->stream) == 0) {
        connection->sent_seen = connection->queued_total;
        connection->sent_seen_ns = io_now_ns(connection->shard->loop);
    }
    queue_head(connection, exchange);
    size_t from = 0;
    for (size_t i = 0; i < answer->splice_count; i++) {
        const struct wire_splice *splice = &answer->splices[i];
        queue_slice(connection, answer->buf, answer->buf->data + from, splice->position - from);
        queue_fetched(connection, splice->payload);
        from = splice->position;
    }
    queue_slice(connection, answer->buf, answer->buf->data + from,
                wire_writer_length(answer) - from);
    connection_watch(connection, io_now_ns(connection->shard->loop) + CONNECTION_RECHECK_NS);
}

/* ---- The order of the requests ---- */

/* The sender is cut off, after the answers before have left. */
static void end_by_exchange(struct connection *connection, const struct request *request)
{
    if (connection->is_closing) {
        return;
    }
    if (request->is_malformed) {
        char what[160];
        snprintf(what, sizeof what, "%s version %d: %s", request->configuration->name,
                 request->version, request->drop_reason);
        connection_report_bad_input(connection, what);
    } else {
        trace_debug("ending a connection after %s: %s", request->configuration->name,
                    request->drop_reason);
    }
    connection->is_closing = true;
    io_stream_pause(connection->stream);
    io_stream_close_after_sending(connection->stream);
    connection_watch(connection, io_now_ns(connection->shard->loop) + CONNECTION_HELLO_NS);
}

static void send_answers(struct connection *connection)
{
    struct list_node *node = NULL;
    while ((node = list_first(&connection->exchanges)) != NULL) {
        struct exchange *exchange = container_of(node, struct exchange, request.node);
        if (!exchange->is_answered) {
            break;
        }
        list_remove(node);
        connection->exchange_count--;
        ensure(connection->unanswered_bytes >= exchange->frame_bytes);
        connection->unanswered_bytes -= exchange->frame_bytes;
        if (!connection->is_closing) {
            if (exchange->has_answer) {
                queue_answer(connection, exchange);
            }
            if (exchange->closes) {
                end_by_exchange(connection, &exchange->request);
            }
        }
        exchange_free(connection->shard->connections, exchange);
    }
    connection->active_ns = io_now_ns(connection->shard->loop);
    connection_unblock_later(connection);
}

void exchange_finish(struct request *request, struct wire_writer *body, bool close_connection)
{
    struct exchange *exchange = container_of(request, struct exchange, request);
    require(!exchange->is_answered);
    exchange->is_answered = true;
    exchange->closes = close_connection;
    if (body != NULL) {
        exchange->answer = *body;
        exchange->has_answer = true;
        if (request->wants_no_response) {
            answer_release(&exchange->answer);
            exchange->has_answer = false;
        }
    }
    if (exchange->connection == NULL) {
        exchange_free(request->shard->connections, exchange);
        return;
    }
    send_answers(exchange->connection);
}
