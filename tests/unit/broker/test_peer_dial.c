/* SPDX-License-Identifier: Apache-2.0
 *
 * test_peer_dial.c -- what becomes of a dial when the broker that is reached answers the hello with
 * an error.
 */
#include "loop_turn.h"

#include "broker/broker_process.h"
#include "broker/peer_dial.h"
#include "broker/peer_link.h"

#include "base/trace.h"
#include "wire/peer_hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CONNECT_MS 5000
#define PATIENCE_NS 10000000000ull
#define FRAME_HEAD_BYTES 8 /* size, correlation id */

/* ---- The rest of the broker ---- */

_Noreturn void broker_abandon_outdated(struct wire_string message)
{
    fail_msg("the broker gives up: %.*s", (int)message.length, message.data);
    abort();
}

bool peer_links_find_introduced(const struct peer_links *links, uint32_t broker_id,
                                char host[CLUSTER_HOST_BYTES_MAX + 1], uint16_t *port)
{
    (void)links;
    (void)broker_id;
    (void)host;
    (void)port;
    return false;
}

/* ---- Broker 2, which answers every hello alike ---- */

static struct peer_hello_response hello_answer;

static void take_hello(struct io_stream *stream)
{
    size_t length = 0;
    io_stream_input(stream, &length, NULL);
    if (length < FRAME_HEAD_BYTES) {
        return;
    }
    io_stream_consume(stream, length);
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    wire_write_int32(&writer, 0); /* the size */
    wire_write_int32(&writer, 0); /* the hello's correlation id */
    peer_hello_response_encode(&hello_answer, 0, &writer);
    wire_patch_int32(&writer, 0, (int32_t)wire_writer_length(&writer) - 4);
    struct buf *frame = wire_writer_take(&writer);
    io_stream_send(stream, (struct buf_slice){frame, frame->data, frame->length_bytes});
    buf_release(frame);
}

static void accepted_closed(struct io_stream *stream, const char *reason)
{
    (void)reason;
    *(bool *)io_stream_owner(stream) = false;
}

static const struct io_stream_handler accepted_handler = {.on_data = take_hello,
                                                          .on_close = accepted_closed};

static void accept_dial(struct io_listener *listener, struct io_stream *stream)
{
    bool *is_connected = io_listener_owner(listener);
    *is_connected = true;
    io_stream_adopt(stream, &accepted_handler, is_connected);
}

/* ---- Broker 1, which dials ---- */

struct fixture {
    struct broker broker;
    struct broker_config config;
    struct broker_shard shard;
    struct io_listener *listener;
    bool is_connected; /* to the listener */
    struct peer_dial dial;
    bool is_ready;
    bool is_closed;
    char warning[512]; /* the last one */
};

static void dial_ready(struct peer_dial *dial)
{
    container_of(dial, struct fixture, dial)->is_ready = true;
}

static void dial_closed(struct peer_dial *dial, const char *reason, bool process_gone)
{
    (void)reason;
    (void)process_gone;
    container_of(dial, struct fixture, dial)->is_closed = true;
}

static const struct peer_dial_handler dial_handler = {.on_ready = dial_ready,
                                                      .on_close = dial_closed};

static void keep_warning(enum trace_level level, const char *line, void *context)
{
    struct fixture *fixture = context;
    if (level == TRACE_WARN) {
        snprintf(fixture->warning, sizeof fixture->warning, "%s", line);
    }
}

static void turn(struct fixture *fixture)
{
    loop_turn(fixture->shard.loop);
}

static int open(void **state)
{
    static struct fixture fixture;
    static char own_host[] = "127.0.0.1";
    char error[256] = "";
    memset(&fixture, 0, sizeof fixture);
    fixture.broker.shards = shards_new(1, 1);
    fixture.broker.shard_states = &fixture.shard;
    fixture.broker.shard_count = 1;
    fixture.broker.peer_port = 1;
    fixture.broker.guard.own_broker_id = 1;
    fixture.config.peer_advertised_host = own_host;
    fixture.shard.broker = &fixture.broker;
    fixture.shard.config = &fixture.config;
    fixture.shard.shard = shards_get(fixture.broker.shards, 0);
    fixture.shard.loop = shard_loop(fixture.shard.shard);
    fixture.shard.broker_id = 1;
    fixture.shard.metadata = cluster_metadata_new();
    struct io_listener_options options = {.on_accept = accept_dial, .owner = &fixture.is_connected};
    assert_true(io_address_parse(&options.address, "127.0.0.1", 0));
    fixture.listener = io_listener_open(fixture.shard.loop, &options, error, sizeof error);
    assert_string_equal(error, "");
    trace_install(keep_warning, &fixture, TRACE_WARN);
    *state = &fixture;
    return 0;
}

static int close_all(void **state)
{
    struct fixture *fixture = *state;
    uint64_t end_ns = io_clock_ns(fixture->shard.loop) + PATIENCE_NS;
    peer_dial_close(&fixture->dial);
    while ((!fixture->is_closed || fixture->is_connected) &&
           io_clock_ns(fixture->shard.loop) < end_ns) {
        turn(fixture);
    }
    trace_install(NULL, NULL, TRACE_WARN);
    io_listener_close(fixture->listener);
    turn(fixture);
    cluster_metadata_free(fixture->shard.metadata);
    shards_free(fixture->broker.shards);
    return 0;
}

/* Until the dial is ready or closed. */
static void dial_broker_2(struct fixture *fixture, enum wire_error error, const char *message)
{
    uint64_t end_ns = io_clock_ns(fixture->shard.loop) + PATIENCE_NS;
    peer_hello_response_init(&hello_answer);
    hello_answer.error_code = (int16_t)error;
    hello_answer.message = wire_string_from(message);
    hello_answer.broker_id = 2;
    hello_answer.shard_count = 1;
    peer_dial_init(&fixture->dial, &fixture->shard, &dial_handler);
    peer_dial_open(&fixture->dial, 2, "127.0.0.1", io_listener_address(fixture->listener).port,
                   CONNECT_MS);
    while (!fixture->is_ready && !fixture->is_closed && io_clock_ns(fixture->shard.loop) < end_ns) {
        turn(fixture);
    }
}

/* ---- Tests ---- */

static void test_a_good_answer_makes_it_ready(void **state)
{
    struct fixture *fixture = *state;
    dial_broker_2(fixture, WIRE_ERROR_NONE, "");
    assert_true(fixture->is_ready);
    assert_false(fixture->is_closed);
}

static void test_an_error_fails_this_dial_alone(void **state)
{
    struct fixture *fixture = *state;
    dial_broker_2(fixture, WIRE_ERROR_POLICY_VIOLATION, "not today");
    assert_false(fixture->is_ready);
    assert_true(fixture->is_closed);
    assert_non_null(strstr(fixture->warning, "POLICY_VIOLATION"));
    assert_non_null(strstr(fixture->warning, "not today"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_good_answer_makes_it_ready, open, close_all),
        cmocka_unit_test_setup_teardown(test_an_error_fails_this_dial_alone, open, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
