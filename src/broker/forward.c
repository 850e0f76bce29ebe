/* SPDX-License-Identifier: Apache-2.0
 *
 * forward.c -- see forward.h.
 *
 * Every forward passes through shard 0 by message.  There it is run, when this broker leads the
 * controller group; goes to the leader as a Forward request (1002) over one standing connection; or
 * waits until a leader is known.  When another one leads, what it was asked goes there at once; the
 * connection to the one before stays until that has answered, or has failed to in time: it may be
 * gone without a word, and nobody is to wait for it but those who asked it, and they not for long.
 * One that lets an ask time out is left the same way, unless the group here hears from it.
 * A broker that knows no leader asks others in turn, and their NOT_CONTROLLER names the leader: one
 * without a vote in the controller group hears of none at first, and one whose vote was taken while
 * it was down never does.
 *
 * Life of a forward: WAITING -> (local run | asked) -> answered, or too late -> home.
 *
 * Locality: shard 0, except the way out and home.
 */
#include "broker/forward.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker_process.h"
#include "broker/controller.h"
#include "broker/nested_request.h"
#include "broker/peer_dial.h"
#include "broker/peer_link.h"
#include "broker/peer_request.h"
#include "wire/forward.h"

#define RETRY_NS 50000000ull
#define ASK_MS 120000 /* longer than clients let a request wait on the leader */
/* For one that leads no more: what it was asked is decided once it hears of its successor. */
#define FORMER_LEADER_NS 5000000000ull

/* A connection to a broker that leads, or led when it was opened. */
struct forward_link {
    struct list_node node; /* forwarder->links */
    struct forwarder *forwarder;
    struct peer_client *client;
    uint32_t broker_id;
    bool is_left; /* another one leads, or may: nothing more is asked over it */
};

struct forwarder {
    struct broker_shard *shard;
    struct list waiting; /* for a leader */
    struct io_timer retry;
    struct list links;
    struct forward_link *link; /* the one that is asked over; NULL: none.  The others only wait. */
    uint32_t hint;             /* the leader somebody told us; 0: none */
    uint32_t denied;   /* who said last that it does not lead, whatever the group here believes: it
                        * is not told anything any more when this broker is no member; 0: nobody */
    size_t next_asked; /* whose turn it is when there is nothing better */
    bool is_stopping;
};

struct forward {
    struct shard_message message;
    struct list_node node; /* forwarder->waiting */
    struct broker_shard *home;
    const struct request_configuration *configuration;
    int16_t version;
    struct buf *client_id; /* NULL: none */
    struct buf *body;
    uint64_t deadline_ns;
    /* Its deadline is for finding a leader; an answer may take as long as the request itself says.
     * When no leader can be reached it is run here. */
    bool is_from_client;
    enum wire_error error;
    struct buf *response;
    size_t response_position;
    size_t response_length;
    void (*done)(void *context, enum wire_error error, struct buf *response, const uint8_t *data,
                 size_t length);
    void *context;
};

/* A forward that a leader was asked to run. */
struct forward_ask {
    struct forward_link *link; /* it stays until the ask has ended */
    struct forward *forward;   /* NULL: it went home without the answer */
    struct io_timer timer;     /* the forward's deadline */
};

static void forward_try(struct forwarder *forwarder, struct forward *forward);

/* ---- Home ---- */

static void deliver_home(struct shard *shard, struct shard_message *message)
{
    (void)shard;
    struct forward *forward = container_of(message, struct forward, message);
    struct buf *response = forward->response;
    const uint8_t *data = response != NULL ? response->data + forward->response_position : NULL;
    forward->done(forward->context, forward->error, response, data, forward->response_length);
    buf_release(response);
    buf_release(forward->client_id);
    buf_release(forward->body);
    memory_free(forward);
}

/* From shard 0.  What runs here may end later than the forwarder does. */
static void go_home(struct forward *forward, enum wire_error error)
{
    struct broker_shard *shard = broker_shard_at(forward->home->broker, 0);
    forward->error = error;
    list_node_init(&forward->message.node);
    forward->message.deliver = deliver_home;
    shard_post(shard->shard, broker_shard_id(forward->home), &forward->message);
}

static void keep_response(struct forward *forward, struct wire_writer *body)
{
    require(body->splice_count == 0);
    forward->response = buf_reference(body->buf);
    forward->response_length = wire_writer_length(body);
}

/* ---- Here ---- */

static void ran_here(void *context, struct wire_writer *body, const char *reason)
{
    (void)reason;
    struct forward *forward = context;
    if (body != NULL) {
        keep_response(forward, body);
    }
    go_home(forward, body != NULL ? WIRE_ERROR_NONE : WIRE_ERROR_INVALID_REQUEST);
}

static struct wire_string client_id_of(const struct forward *forward)
{
    struct wire_string none = {NULL, -1};
    if (forward->client_id == NULL) {
        return none;
    }
    return (struct wire_string){(const char *)forward->client_id->data,
                                (int32_t)forward->client_id->length_bytes};
}

static void run_here(struct forwarder *forwarder, struct forward *forward)
{
    bool is_ours = forward->configuration->class == REQUEST_CONTROLLER;
    struct nested_request nested = {
        .configuration = forward->configuration,
        .version = forward->version,
        .client_id = client_id_of(forward),
        .frame = forward->body,
        .body = forward->body->data,
        .body_length = forward->body->length_bytes,
        .peer_broker_id = is_ours ? forwarder->shard->broker_id : 0,
        .done = ran_here,
        .context = forward,
    };
    nested_request_run(forwarder->shard, &nested);
}

/* ---- Waiting ---- */

static void wait_for_leader(struct forwarder *forwarder, struct forward *forward)
{
    list_append(&forwarder->waiting, &forward->node);
    if (!io_timer_is_running(&forwarder->retry)) {
        io_timer_start(forwarder->shard->loop, &forwarder->retry,
                       io_now_ns(forwarder->shard->loop) + RETRY_NS);
    }
}

static void try_waiting(struct forwarder *forwarder)
{
    struct list mine;
    struct list_node *node = NULL;
    list_init(&mine);
    while ((node = list_take_first(&forwarder->waiting)) != NULL) {
        list_append(&mine, node);
    }
    while ((node = list_take_first(&mine)) != NULL) {
        forward_try(forwarder, container_of(node, struct forward, node));
    }
}

static void retry_due(struct io_timer *timer)
{
    try_waiting(container_of(timer, struct forwarder, retry));
}

/* ---- The leader elsewhere ---- */

static void link_closed(void *context)
{
    struct forward_link *link = context;
    struct forwarder *forwarder = link->forwarder;
    list_remove(&link->node);
    if (forwarder->link == link) {
        forwarder->link = NULL;
    }
    if (forwarder->hint == link->broker_id) {
        forwarder->hint = 0; /* it was tried */
    }
    memory_free(link);
    if (forwarder->is_stopping && list_is_empty(&forwarder->links)) {
        /* What came back unsent from the closing connections waits again: answer it, too. */
        io_timer_stop(forwarder->shard->loop, &forwarder->retry);
        try_waiting(forwarder);
        forwarder->shard->forwarder = NULL;
        memory_free(forwarder);
    }
}

/* Nothing was done: it may be asked again elsewhere. */
static void take_denial(struct forwarder *forwarder, uint32_t from,
                        const struct forward_response *response)
{
    forwarder->denied = from;
    forwarder->hint = response->leader_id != from ? response->leader_id : 0;
    if (forwarder->hint != 0) {
        peer_links_introduce(forwarder->shard->links, forwarder->hint, response->leader_host,
                             response->leader_port);
    }
}

static void take_answer(struct forwarder *forwarder, struct forward *forward,
                        const struct forward_response *response)
{
    if (response->error_code != WIRE_ERROR_NONE || response->body.length < 0) {
        go_home(forward, (enum wire_error)response->error_code);
        return;
    }
    forwarder->denied = 0;
    struct wire_writer body;
    wire_writer_init(&body, (size_t)response->body.length);
    wire_write_raw(&body, response->body.data, (size_t)response->body.length);
    keep_response(forward, &body);
    wire_writer_free(&body);
    go_home(forward, WIRE_ERROR_NONE);
}

static void leader_answered(void *context, struct wire_cursor *cursor, bool was_sent,
                            const char *reason)
{
    (void)reason;
    struct forward_ask *ask = context;
    struct forwarder *forwarder = ask->link->forwarder;
    struct forward *forward = ask->forward;
    uint32_t from = ask->link->broker_id;
    io_timer_stop(forwarder->shard->loop, &ask->timer);
    memory_free(ask);
    if (forward == NULL) {
        return;
    }
    struct forward_response response;
    if (cursor == NULL && !was_sent) {
        wait_for_leader(forwarder, forward);
    } else if (cursor == NULL || !forward_response_decode(&response, 0, cursor) ||
               !wire_expect_end(cursor)) {
        go_home(forward, WIRE_ERROR_NETWORK_EXCEPTION);
    } else if (response.error_code == WIRE_ERROR_NOT_CONTROLLER) {
        take_denial(forwarder, from, &response);
        wait_for_leader(forwarder, forward);
    } else {
        take_answer(forwarder, forward, &response);
    }
}

/* Another one leads, or may.  What is on its way to where nobody answers comes back before the next
 * turn; a host without power is found out late.  Who is connected may have run what it was asked,
 * and has a while to say so. */
static void leave_link(struct forwarder *forwarder, struct forward_link *link)
{
    link->is_left = true;
    if (forwarder->link == link) {
        forwarder->link = NULL;
    }
    if (!peer_client_close_unconnected(link->client)) {
        peer_client_close_by(link->client, io_now_ns(forwarder->shard->loop) + FORMER_LEADER_NS);
        peer_client_close_when_idle(link->client);
    }
}

/* The broker may still run it, or has: an answer that comes now is for nobody.  A leader that hangs
 * is followed by another one, of which a broker hears only from others when it is no member. */
static void ask_timed_out(struct io_timer *timer)
{
    struct forward_ask *ask = container_of(timer, struct forward_ask, timer);
    struct forward_link *link = ask->link;
    struct forwarder *forwarder = link->forwarder;
    struct forward *forward = ask->forward;
    ask->forward = NULL;
    go_home(forward, WIRE_ERROR_REQUEST_TIMED_OUT);
    if (!link->is_left && controller_leader(forwarder->shard) != link->broker_id) {
        forwarder->hint = forwarder->hint == link->broker_id ? 0 : forwarder->hint;
        leave_link(forwarder, link);
    }
}

/* The configured controllers and the brokers in turn. */
static uint32_t next_to_ask(struct forwarder *forwarder)
{
    const struct broker_shard *shard = forwarder->shard;
    size_t configured = shard->config->controller_count;
    size_t position =
        forwarder->next_asked++ % (configured + cluster_broker_count(shard->metadata));
    if (position < configured) {
        return shard->config->controllers[position].id;
    }
    position -= configured;
    return cluster_broker_next(shard->metadata, &position)->id;
}

/* Whom to ask; 0: nobody for now. */
static uint32_t choose_leader(struct forwarder *forwarder)
{
    const struct broker_shard *shard = forwarder->shard;
    uint32_t leader = controller_leader(shard);
    if (leader != 0 && leader != forwarder->denied) {
        return leader;
    }
    return forwarder->hint != 0 ? forwarder->hint : next_to_ask(forwarder);
}

static bool link_to(struct forwarder *forwarder, uint32_t leader)
{
    struct broker_shard *shard = forwarder->shard;
    if (forwarder->link != NULL && forwarder->link->broker_id == leader) {
        return true;
    }
    char host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t port = 0;
    if (!peer_address_find(shard, leader, host, &port)) {
        return false;
    }
    struct forward_link *former = forwarder->link;
    struct forward_link *link = memory_allocate_zeroed(sizeof *link);
    struct peer_client_options options = {
        .broker_id = leader,
        .host = host,
        .port = port,
        .ask_ms = ASK_MS,
        .on_closed = link_closed,
        .context = link,
    };
    link->forwarder = forwarder;
    link->broker_id = leader;
    link->client = peer_client_open(shard, &options);
    list_node_init(&link->node);
    list_append(&forwarder->links, &link->node);
    forwarder->link = link;
    if (former != NULL) {
        peer_client_close_when_idle(former->client);
    }
    return true;
}

static void ask_leader(struct forwarder *forwarder, struct forward *forward)
{
    struct forward_request request;
    forward_request_init(&request);
    request.request_type = forward->configuration->type;
    request.request_version = forward->version;
    request.client_id = client_id_of(forward);
    request.body.data = forward->body->data;
    request.body.length = (int32_t)forward->body->length_bytes;

    struct wire_writer writer;
    peer_client_begin(&writer, FORWARD_TYPE);
    forward_request_encode(&request, 0, &writer);
    struct forward_ask *ask = memory_allocate_zeroed(sizeof *ask);
    ask->link = forwarder->link;
    ask->forward = forward;
    io_timer_init(&ask->timer, ask_timed_out);
    if (!forward->is_from_client) {
        io_timer_start(forwarder->shard->loop, &ask->timer, forward->deadline_ns);
    }
    peer_client_ask(forwarder->link->client, &writer, leader_answered, ask);
}

static void forward_try(struct forwarder *forwarder, struct forward *forward)
{
    struct broker_shard *shard = forwarder->shard;
    if (controller_is_leader(shard)) {
        run_here(forwarder, forward);
        return;
    }
    if (forwarder->is_stopping || io_now_ns(shard->loop) >= forward->deadline_ns) {
        if (forward->is_from_client) {
            run_here(forwarder, forward);
        } else {
            go_home(forward, WIRE_ERROR_NOT_CONTROLLER);
        }
        return;
    }
    uint32_t leader = choose_leader(forwarder);
    if (leader == 0 || leader == shard->broker_id || !link_to(forwarder, leader)) {
        wait_for_leader(forwarder, forward);
        return;
    }
    ask_leader(forwarder, forward);
}

/* ---- The way out ---- */

static void deliver_out(struct shard *shard, struct shard_message *message)
{
    struct broker_shard *state = shard_owner(shard);
    struct forward *forward = container_of(message, struct forward, message);
    if (state->forwarder == NULL) {
        go_home(forward, WIRE_ERROR_NOT_CONTROLLER);
        return;
    }
    forward_try(state->forwarder, forward);
}

static struct forward *forward_new(struct broker_shard *shard, int16_t type, int16_t version,
                                   struct wire_writer *body, uint32_t timeout_ms)
{
    struct forward *forward = memory_allocate_zeroed(sizeof *forward);
    forward->home = shard;
    forward->configuration = request_configuration_find(type);
    require(forward->configuration != NULL);
    forward->version = version;
    forward->body = wire_writer_take(body);
    forward->deadline_ns = io_now_ns(shard->loop) + timeout_ms * 1000000ull;
    list_node_init(&forward->node);
    list_node_init(&forward->message.node);
    forward->message.deliver = deliver_out;
    return forward;
}

void forward_to_controller(struct broker_shard *shard, int16_t type, int16_t version,
                           struct wire_writer *body, uint32_t timeout_ms,
                           void (*done)(void *context, enum wire_error error, struct buf *response,
                                        const uint8_t *data, size_t length),
                           void *context)
{
    struct forward *forward = forward_new(shard, type, version, body, timeout_ms);
    forward->done = done;
    forward->context = context;
    shard_post(shard->shard, 0, &forward->message);
}

void forward_request(struct broker_shard *shard, const struct request *request,
                     struct wire_writer *body, uint32_t timeout_ms,
                     void (*done)(void *context, enum wire_error error, struct buf *response,
                                  const uint8_t *data, size_t length),
                     void *context)
{
    struct forward *forward =
        forward_new(shard, request->configuration->type, request->version, body, timeout_ms);
    forward->is_from_client = true;
    forward->done = done;
    forward->context = context;
    if (request->client_id.length >= 0) {
        struct wire_writer client_id;
        wire_writer_init(&client_id, (size_t)request->client_id.length);
        wire_write_raw(&client_id, request->client_id.data, (size_t)request->client_id.length);
        forward->client_id = wire_writer_take(&client_id);
    }
    shard_post(shard->shard, 0, &forward->message);
}

struct forwarder *forwarder_new(struct broker_shard *shard)
{
    struct forwarder *forwarder = memory_allocate_zeroed(sizeof *forwarder);
    forwarder->shard = shard;
    list_init(&forwarder->waiting);
    list_init(&forwarder->links);
    io_timer_init(&forwarder->retry, retry_due);
    return forwarder;
}

static void leave_former_leaders(struct forwarder *forwarder)
{
    uint32_t leader = controller_leader(forwarder->shard);
    list_for_each(&forwarder->links, node) /* none is gone before the next turn */
    {
        struct forward_link *link = container_of(node, struct forward_link, node);
        if (leader != 0 && link->broker_id != leader && !link->is_left) {
            leave_link(forwarder, link);
        }
    }
}

void forwarder_wake(struct forwarder *forwarder)
{
    if (forwarder == NULL) {
        return;
    }
    forwarder->denied = 0;
    leave_former_leaders(forwarder);
    if (!list_is_empty(&forwarder->waiting)) {
        io_timer_start(forwarder->shard->loop, &forwarder->retry,
                       io_now_ns(forwarder->shard->loop));
    }
}

void forwarder_stop(struct forwarder *forwarder)
{
    forwarder->is_stopping = true;
    io_timer_stop(forwarder->shard->loop, &forwarder->retry);
    try_waiting(forwarder);
    if (list_is_empty(&forwarder->links)) {
        forwarder->shard->forwarder = NULL;
        memory_free(forwarder);
        return;
    }
    list_for_each(&forwarder->links, node) /* none is gone before the next turn */
    {
        peer_client_close(container_of(node, struct forward_link, node)->client);
    }
}
