/* SPDX-License-Identifier: Apache-2.0
 *
 * test_forward.c -- whom a broker asks that is no member of the controller group.  Brokers that
 * answer when the test says so, and else not, stand in for peer_request.c.
 */
#include "loop_turn.h"

#include "base/list.h"
#include "base/memory.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "broker/forward.h"
#include "broker/nested_request.h"
#include "broker/peer_dial.h"
#include "broker/peer_link.h"
#include "broker/peer_request.h"
#include "broker/peer_request_frame.h"
#include "wire/forward.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ANSWER_NS 5000000000ull
#define SOON_MS 200
#define FAR_MS 60000

/* ---- Brokers that do not answer by themselves ---- */

struct peer_client {
    struct list_node node; /* clients */
    uint32_t broker_id;
    void (*on_closed)(void *context);
    void *context;
    peer_answer answer; /* NULL: nothing is asked */
    void *answer_context;
    bool is_closing;
    bool has_a_while; /* closes by a deadline */
};

static struct list clients;
static uint32_t last_asked; /* 0: nobody since it was set */
static uint32_t own_leader; /* as the controller group here has it; 0: there is none */

struct peer_client *peer_client_open(struct broker_shard *shard,
                                     const struct peer_client_options *options)
{
    (void)shard;
    struct peer_client *client = memory_allocate_zeroed(sizeof *client);
    client->broker_id = options->broker_id;
    client->on_closed = options->on_closed;
    client->context = options->context;
    list_node_init(&client->node);
    list_append(&clients, &client->node);
    return client;
}

void peer_client_begin(struct wire_writer *writer, int16_t type)
{
    peer_request_frame_begin(writer, type, 0);
}

void peer_client_ask(struct peer_client *client, struct wire_writer *request, peer_answer answer,
                     void *context)
{
    wire_writer_free(request);
    assert_null(client->answer);
    client->answer = answer;
    client->answer_context = context;
    last_asked = client->broker_id;
}

void peer_client_close(struct peer_client *client)
{
    client->is_closing = true;
}

void peer_client_close_when_idle(struct peer_client *client)
{
    client->is_closing = client->is_closing || client->answer == NULL;
}

bool peer_client_close_unconnected(struct peer_client *client)
{
    (void)client;
    return false;
}

void peer_client_close_by(struct peer_client *client, uint64_t deadline_ns)
{
    (void)deadline_ns;
    client->has_a_while = true;
}

static struct peer_client *client_to(uint32_t broker_id)
{
    list_for_each(&clients, node)
    {
        struct peer_client *client = container_of(node, struct peer_client, node);
        if (client->broker_id == broker_id) {
            return client;
        }
    }
    return NULL;
}

/* Ends the connections that are closing. */
static void close_clients(void)
{
    struct list open;
    struct list_node *node = NULL;
    list_init(&open);
    while ((node = list_take_first(&clients)) != NULL) {
        struct peer_client *client = container_of(node, struct peer_client, node);
        if (!client->is_closing) {
            list_append(&open, node);
            continue;
        }
        if (client->answer != NULL) {
            client->answer(client->answer_context, NULL, true, "closed");
        }
        client->on_closed(client->context);
        memory_free(client);
    }
    while ((node = list_take_first(&open)) != NULL) {
        list_append(&clients, node);
    }
}

/* The broker says that it does not lead, but the other one does. */
static void deny(uint32_t broker_id, uint32_t leader)
{
    struct peer_client *client = client_to(broker_id);
    struct forward_response response;
    struct wire_writer writer;
    struct wire_cursor cursor;
    forward_response_init(&response);
    response.error_code = WIRE_ERROR_NOT_CONTROLLER;
    response.leader_id = leader;
    wire_writer_init(&writer, 64);
    forward_response_encode(&response, 0, &writer);
    wire_cursor_init(&cursor, writer.buf->data, wire_writer_length(&writer), NULL);
    peer_answer answer = client->answer;
    client->answer = NULL;
    answer(client->answer_context, &cursor, true, "");
    wire_writer_free(&writer);
}

/* ---- The rest of the broker ---- */

static const struct request_configuration configuration = {.type = 1006,
                                                           .class = REQUEST_CONTROLLER};

const struct request_configuration *request_configuration_find(int16_t type)
{
    return type == configuration.type ? &configuration : NULL;
}

uint32_t controller_leader(const struct broker_shard *shard)
{
    (void)shard;
    return own_leader;
}

bool controller_is_leader(const struct broker_shard *shard)
{
    (void)shard;
    return false;
}

struct broker_shard *broker_shard_at(struct broker *broker, uint32_t position)
{
    return &broker->shard_states[position];
}

bool peer_address_find(const struct broker_shard *shard, uint32_t broker_id,
                       char host[CLUSTER_HOST_BYTES_MAX + 1], uint16_t *port)
{
    (void)shard;
    snprintf(host, CLUSTER_HOST_BYTES_MAX + 1, "peer%u", (unsigned)broker_id);
    *port = 1;
    return true;
}

void peer_links_introduce(struct peer_links *links, uint32_t broker_id, struct wire_string host,
                          uint16_t port)
{
    (void)links;
    (void)broker_id;
    (void)host;
    (void)port;
}

void nested_request_run(struct broker_shard *shard, const struct nested_request *nested)
{
    (void)shard;
    (void)nested;
    fail();
}

/* ---- A shard with nothing but a forwarder ---- */

struct fixture {
    struct broker_config config;
    struct broker_config_member controllers[3];
    struct broker broker;
    struct broker_shard shard;
    uint32_t done_count;
    enum wire_error error;
};

/* Broker 4, whose configuration names the controllers 1 to 3. */
static void open(struct fixture *fixture)
{
    struct broker_shard *shard = &fixture->shard;
    memset(fixture, 0, sizeof *fixture);
    list_init(&clients);
    last_asked = 0;
    own_leader = 0;
    for (uint32_t i = 0; i < 3; i++) {
        fixture->controllers[i].id = i + 1;
    }
    fixture->config.controllers = fixture->controllers;
    fixture->config.controller_count = 3;
    fixture->broker.shards = shards_new(1, 1);
    fixture->broker.shard_states = shard;
    shard->broker = &fixture->broker;
    shard->config = &fixture->config;
    shard->shard = shards_get(fixture->broker.shards, 0);
    shard->loop = shard_loop(shard->shard);
    shard_set_owner(shard->shard, shard);
    shard->metadata = cluster_metadata_new();
    shard->broker_id = 4;
    shard->forwarder = forwarder_new(shard);
}

static void turn(struct fixture *fixture)
{
    loop_turn(fixture->shard.loop);
    close_clients();
}

static void close_all(struct fixture *fixture)
{
    uint64_t end_ns = io_clock_ns(fixture->shard.loop) + ANSWER_NS;
    forwarder_stop(fixture->shard.forwarder);
    while (fixture->shard.forwarder != NULL && io_clock_ns(fixture->shard.loop) < end_ns) {
        turn(fixture);
    }
    turn(fixture);
    turn(fixture);
    assert_null(fixture->shard.forwarder);
    assert_true(list_is_empty(&clients));
    cluster_metadata_free(fixture->shard.metadata);
    shards_free(fixture->broker.shards);
}

static void done(void *context, enum wire_error error, struct buf *response, const uint8_t *data,
                 size_t length)
{
    (void)response;
    (void)data;
    (void)length;
    struct fixture *fixture = context;
    fixture->done_count++;
    fixture->error = error;
}

/* Who is asked, at last. */
static uint32_t ask(struct fixture *fixture, uint32_t timeout_ms)
{
    struct wire_writer body;
    uint64_t end_ns = io_clock_ns(fixture->shard.loop) + ANSWER_NS;
    wire_writer_init(&body, 16);
    wire_write_int32(&body, 1);
    last_asked = 0;
    forward_to_controller(&fixture->shard, configuration.type, 0, &body, timeout_ms, done, fixture);
    while (last_asked == 0 && io_clock_ns(fixture->shard.loop) < end_ns) {
        turn(fixture);
    }
    return last_asked;
}

static void wait_until_timed_out(struct fixture *fixture)
{
    uint64_t end_ns = io_clock_ns(fixture->shard.loop) + ANSWER_NS;
    uint32_t before = fixture->done_count;
    while (fixture->done_count == before && io_clock_ns(fixture->shard.loop) < end_ns) {
        turn(fixture);
    }
    assert_int_equal(fixture->done_count, before + 1);
    assert_int_equal(fixture->error, WIRE_ERROR_REQUEST_TIMED_OUT);
}

/* ---- Tests ---- */

static void test_a_leader_that_lets_an_ask_time_out_is_left(void **state)
{
    struct fixture fixture;
    (void)state;
    open(&fixture);
    assert_int_equal(ask(&fixture, SOON_MS), 1);
    wait_until_timed_out(&fixture);
    assert_true(client_to(1)->has_a_while); /* what else it was asked may yet be answered */
    assert_int_equal(ask(&fixture, FAR_MS), 2);
    close_all(&fixture);
}

static void test_so_is_one_that_another_named(void **state)
{
    struct fixture fixture;
    (void)state;
    open(&fixture);
    assert_int_equal(ask(&fixture, SOON_MS), 1);
    last_asked = 0;
    deny(1, 3);
    wait_until_timed_out(&fixture);
    assert_int_equal(last_asked, 3);
    assert_int_equal(ask(&fixture, FAR_MS), 2);
    close_all(&fixture);
}

static void test_who_leads_the_group_here_is_not_left(void **state)
{
    struct fixture fixture;
    (void)state;
    open(&fixture);
    own_leader = 3;
    assert_int_equal(ask(&fixture, SOON_MS), 3);
    wait_until_timed_out(&fixture);
    assert_false(client_to(3)->has_a_while);
    close_all(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_leader_that_lets_an_ask_time_out_is_left),
        cmocka_unit_test(test_so_is_one_that_another_named),
        cmocka_unit_test(test_who_leads_the_group_here_is_not_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
