/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_dial.c -- see peer_dial.h.
 *
 * The certificate is looked at before the hello is sent, so that a stranger at the address learns
 * nothing.
 */
#include "broker/peer_dial.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "wire/peer_hello.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HELLO_CORRELATION_ID 0
#define ANSWER_BYTES_MAX (64u << 20)
#define HELLO_ANSWER_BYTES_MAX 1024u
#define HELLO_ARENA_BYTES 4096

static void fail(struct peer_dial *dial, const char *reason)
{
    trace_warn("broker %" PRIu32 " at %s:%u is not who it should be: %s", dial->broker_id,
               dial->host, dial->port, reason);
    counter_add(&dial->shard->stats.inter_broker_unauthorized, 1);
    peer_dial_close(dial);
}

static void say_hello(struct peer_dial *dial)
{
    const struct broker_shard *shard = dial->shard;
    struct cluster_directory own = shard->broker->own_directory;
    struct peer_hello_request hello;
    peer_hello_request_init(&hello);
    hello.cluster_id = shard->cluster_id;
    hello.broker_id = shard->broker_id;
    hello.incarnation = shard->broker->incarnation;
    hello.shard_count = shard->broker->shard_count;
    hello.shard_id = broker_shard_id(shard);
    hello.peer_host = wire_string_from(shard->config->peer_advertised_host);
    hello.peer_port = shard->broker->peer_port;
    hello.directory_id = own.id;
    hello.first_start = (int64_t)own.first_start;
    hello.directory_starts = own.starts;
    hello.directory_starts_count = (int32_t)own.start_count;

    struct wire_writer writer;
    peer_request_frame_begin(&writer, PEER_HELLO_TYPE, HELLO_CORRELATION_ID);
    peer_hello_request_encode(&hello, 0, &writer);
    peer_request_frame_send(&writer, dial->stream);
}

static struct peer_guard_claim claim_of(const struct peer_dial *dial)
{
    struct peer_guard_claim claim = {
        .uri_count = io_stream_peer_uri_count(dial->stream),
        .cluster_id = dial->shard->cluster_id,
        .broker_id = dial->broker_id,
        .dialled_broker_id = dial->broker_id,
    };
    claim.uri = claim.uri_count > 0 ? io_stream_peer_uri(dial->stream, 0) : NULL;
    return claim;
}

static void on_open(struct io_stream *stream)
{
    struct peer_dial *dial = io_stream_owner(stream);
    ensure(dial->state == PEER_DIAL_CONNECTING);
    struct peer_guard_claim claim = claim_of(dial);
    enum peer_guard_verdict verdict = peer_guard_decide(&dial->shard->broker->guard, &claim);
    if (verdict != PEER_GUARD_PASSED) {
        fail(dial, peer_guard_text(verdict));
        return;
    }
    dial->state = PEER_DIAL_GREETING;
    say_hello(dial);
}

/* STALE_BROKER_EPOCH is for good, for this process; every other error for this connection. */
static bool check_error(struct peer_dial *dial, const struct peer_hello_response *answer)
{
    enum wire_error error = (enum wire_error)answer->error_code;
    if (error == WIRE_ERROR_STALE_BROKER_EPOCH) {
        broker_abandon_outdated(answer->message);
    }
    if (error != WIRE_ERROR_NONE) {
        char reason[256];
        snprintf(reason, sizeof reason, "it refuses the hello with error %d (%s): %.*s",
                 (int)answer->error_code, wire_error_name(error), (int)answer->message.length,
                 answer->message.data);
        fail(dial, reason);
        return false;
    }
    return true;
}

/* Whether the two brokers' data directories are such that they may hear each other. */
static bool check_directories(struct peer_dial *dial, const struct peer_hello_response *answer)
{
    struct cluster_directory directory;
    if (!cluster_directory_take(&directory, &answer->directory_id, answer->first_start,
                                answer->directory_starts, answer->directory_starts_count)) {
        fail(dial, "its hello makes no sense");
        return false;
    }
    enum cluster_directory_verdict verdict =
        cluster_directory_judge(dial->shard->metadata, dial->broker_id, &directory);
    if (verdict == CLUSTER_DIRECTORY_REPLACED || verdict == CLUSTER_DIRECTORY_OLD_COPY) {
        fail(dial, "its data directory is out of date");
        return false;
    }
    return true;
}

static bool check_hello_answer(struct peer_dial *dial, struct wire_cursor *cursor)
{
    struct peer_hello_response answer;
    int32_t correlation_id = wire_read_int32(cursor);
    if (!peer_hello_response_decode(&answer, 0, cursor) || !wire_expect_end(cursor) ||
        correlation_id != HELLO_CORRELATION_ID) {
        fail(dial, "its hello makes no sense");
        return false;
    }
    struct peer_guard_claim claim = claim_of(dial);
    claim.cluster_id = answer.cluster_id;
    claim.broker_id = answer.broker_id;
    enum peer_guard_verdict verdict = peer_guard_decide(&dial->shard->broker->guard, &claim);
    if (verdict != PEER_GUARD_PASSED) {
        fail(dial, peer_guard_text(verdict));
        return false;
    }
    dial->incarnation = answer.incarnation;
    dial->shard_count = answer.shard_count;
    return check_error(dial, &answer) && check_directories(dial, &answer);
}

static bool take_hello_answer(struct peer_dial *dial, const uint8_t *frame, size_t length)
{
    struct wire_cursor cursor;
    struct arena arena;
    arena_init(&arena, HELLO_ARENA_BYTES);
    wire_cursor_init(&cursor, frame, length, &arena);
    bool is_good = check_hello_answer(dial, &cursor);
    arena_free(&arena);
    if (is_good) {
        dial->state = PEER_DIAL_READY;
        io_timer_stop(dial->shard->loop, &dial->timer);
        dial->handler->on_ready(dial);
    }
    return is_good;
}

static bool take_frame(struct peer_dial *dial, const uint8_t *frame, size_t length)
{
    if (dial->state == PEER_DIAL_GREETING) {
        return take_hello_answer(dial, frame, length);
    }
    if (dial->handler->on_frame == NULL || !dial->handler->on_frame(dial, frame, length)) {
        fail(dial, "an answer that nobody asked for");
        return false;
    }
    return true;
}

static void on_data(struct io_stream *stream)
{
    struct peer_dial *dial = io_stream_owner(stream);
    while (!dial->is_closed_by_us) {
        size_t length = 0;
        struct buf *buf = NULL;
        const uint8_t *input = io_stream_input(stream, &length, &buf);
        if (length < 4) {
            break;
        }
        size_t size = (size_t)input[0] << 24 | (size_t)input[1] << 16 | (size_t)input[2] << 8 |
                      (size_t)input[3];
        size_t most = dial->state == PEER_DIAL_READY ? ANSWER_BYTES_MAX : HELLO_ANSWER_BYTES_MAX;
        if (size < 4 || size > most) {
            fail(dial, "an answer of an impossible size");
            return;
        }
        if (length - 4 < size) {
            io_stream_expect(stream, 4 + size);
            break;
        }
        buf_reference(buf);
        io_stream_consume(stream, 4 + size);
        bool goes_on = take_frame(dial, input + 4, size);
        buf_release(buf);
        if (!goes_on) {
            return;
        }
    }
}

static void on_close(struct io_stream *stream, const char *reason)
{
    struct peer_dial *dial = io_stream_owner(stream);
    bool is_nobody_there =
        !dial->is_closed_by_us && (reason[0] == '\0' || strcmp(reason, "connection refused") == 0 ||
                                   strcmp(reason, "connection reset") == 0);
    if (dial->close_reason != NULL) {
        reason = dial->close_reason;
    }
    io_timer_stop(dial->shard->loop, &dial->timer);
    dial->stream = NULL;
    dial->state = PEER_DIAL_CLOSED;
    dial->handler->on_close(dial, reason[0] != '\0' ? reason : "closed",
                            is_nobody_there || dial->is_process_gone);
}

static const struct io_stream_handler dial_handler = {
    .on_open = on_open,
    .on_data = on_data,
    .on_close = on_close,
};

static void hello_timed_out(struct io_timer *timer)
{
    peer_dial_close(container_of(timer, struct peer_dial, timer));
}

void peer_dial_init(struct peer_dial *dial, struct broker_shard *shard,
                    const struct peer_dial_handler *handler)
{
    memset(dial, 0, sizeof *dial);
    dial->shard = shard;
    dial->handler = handler;
    io_timer_init(&dial->timer, hello_timed_out);
}

void peer_dial_open(struct peer_dial *dial, uint32_t broker_id, const char *host, uint16_t port,
                    uint32_t connect_ms)
{
    require(dial->state == PEER_DIAL_CLOSED);
    require(broker_id != 0 && broker_id != dial->shard->broker_id);
    dial->broker_id = broker_id;
    snprintf(dial->host, sizeof dial->host, "%s", host);
    dial->port = port;
    dial->is_closed_by_us = false;
    dial->is_process_gone = false;
    dial->close_reason = NULL;
    dial->state = PEER_DIAL_CONNECTING;
    struct io_connect_options options = {
        .host = dial->host,
        .port = port,
        .tls = dial->shard->broker->peer_tls,
        .connect_ms = connect_ms,
    };
    dial->stream = io_stream_connect(dial->shard->loop, &options, &dial_handler, dial);
    io_timer_start(dial->shard->loop, &dial->timer,
                   io_now_ns(dial->shard->loop) + connect_ms * 1000000ull);
}

void peer_dial_close(struct peer_dial *dial)
{
    if (dial->state != PEER_DIAL_CLOSED && !dial->is_closed_by_us) {
        dial->is_closed_by_us = true;
        io_stream_close(dial->stream);
    }
}

void peer_dial_give_up(struct peer_dial *dial, const char *reason, bool process_gone)
{
    if (dial->state != PEER_DIAL_CLOSED && !dial->is_closed_by_us) {
        dial->close_reason = reason;
        dial->is_process_gone = process_gone;
        peer_dial_close(dial);
    }
}

bool peer_address_find(const struct broker_shard *shard, uint32_t broker_id,
                       char host[CLUSTER_HOST_BYTES_MAX + 1], uint16_t *port)
{
    for (size_t i = 0; i < shard->config->controller_count; i++) {
        const struct broker_config_member *member = &shard->config->controllers[i];
        if (member->id == broker_id) {
            snprintf(host, CLUSTER_HOST_BYTES_MAX + 1, "%s", member->host);
            *port = member->port;
            return true;
        }
    }
    const struct cluster_broker *broker = cluster_broker_find(shard->metadata, broker_id);
    if (broker == NULL) {
        return peer_links_find_introduced(shard->links, broker_id, host, port);
    }
    snprintf(host, CLUSTER_HOST_BYTES_MAX + 1, "%s", broker->peer_host);
    *port = broker->peer_port;
    return true;
}
