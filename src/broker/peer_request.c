/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_request.c -- see peer_request.h.
 *
 * Answers come in the order of the requests (connection.c), so the queue of unanswered ones is all
 * the matching there is; the correlation id only checks it.
 */
#include "broker/peer_request.h"

#include "base/assert.h"
#include "base/list.h"
#include "base/memory.h"
#include "broker/broker_process.h"
#include "broker/peer_dial.h"
#include "broker/peer_request_frame.h"
#include "broker/request.h"

#define CONNECT_MS 5000
#define TYPE_POSITION 4
#define CORRELATION_POSITION 8

struct peer_ask {
    struct list_node node;
    struct buf *frame; /* until it is sent */
    int16_t type;
    int32_t correlation_id;
    uint64_t asked_ns;
    peer_answer answer;
    void *context;
};

struct peer_client {
    struct broker_shard *shard;
    struct peer_dial dial;
    struct io_timer timer;
    uint64_t deadline_ns;
    uint32_t ask_ms;
    void (*on_connected)(void *context);
    void (*on_closed)(void *context);
    void *context;
    struct list asks; /* unanswered, in order */
    uint32_t pending;
    int32_t last_correlation_id;
    bool closes_when_idle;
    const char *reason;
};

static struct peer_client *client_of(struct peer_dial *dial)
{
    return container_of(dial, struct peer_client, dial);
}

static void count(struct peer_client *client, const struct peer_ask *ask, bool succeeded)
{
    uint32_t position = (uint32_t)(ask->type - REQUEST_FIRST_PEER_TYPE);
    ensure(position < BROKER_PEER_REQUEST_TYPES);
    struct broker_peer_request_stats *stats = &client->shard->stats.inter_broker_requests[position];
    counter_add(succeeded ? &stats->succeeded : &stats->failed, 1);
    histogram_record(&stats->duration_us,
                     (io_clock_ns(client->shard->loop) - ask->asked_ns) / 1000);
}

static void finish_ask(struct peer_client *client, struct peer_ask *ask, struct wire_cursor *cursor,
                       const char *reason)
{
    bool was_sent = ask->frame == NULL;
    list_remove(&ask->node);
    client->pending--;
    count(client, ask, cursor != NULL);
    ask->answer(ask->context, cursor, was_sent, reason);
    buf_release(ask->frame);
    memory_free(ask);
}

static void send_ask(struct peer_client *client, struct peer_ask *ask)
{
    io_stream_send(client->dial.stream,
                   (struct buf_slice){ask->frame, ask->frame->data, ask->frame->length_bytes});
    buf_release(ask->frame);
    ask->frame = NULL;
}

static void close_if_idle(struct peer_client *client)
{
    if (client->closes_when_idle && client->pending == 0) {
        peer_client_close(client);
    }
}

static void client_ready(struct peer_dial *dial)
{
    struct peer_client *client = client_of(dial);
    if (client->on_connected != NULL) {
        client->on_connected(client->context);
    }
    list_for_each(&client->asks, node)
    {
        send_ask(client, container_of(node, struct peer_ask, node));
    }
    close_if_idle(client);
}

static bool client_frame(struct peer_dial *dial, const uint8_t *frame, size_t length)
{
    struct peer_client *client = client_of(dial);
    struct list_node *node = list_first(&client->asks);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, frame, length, NULL);
    int32_t correlation_id = wire_read_int32(&cursor);
    if (node == NULL ||
        container_of(node, struct peer_ask, node)->correlation_id != correlation_id) {
        return false;
    }
    finish_ask(client, container_of(node, struct peer_ask, node), &cursor, "");
    close_if_idle(client);
    return true;
}

static void client_closed(struct peer_dial *dial, const char *reason, bool process_gone)
{
    struct peer_client *client = client_of(dial);
    (void)process_gone;
    io_timer_stop(client->shard->loop, &client->timer);
    struct list_node *node = NULL;
    while ((node = list_first(&client->asks)) != NULL) {
        finish_ask(client, container_of(node, struct peer_ask, node), NULL,
                   client->reason != NULL ? client->reason : reason);
    }
    client->on_closed(client->context);
    memory_free(client);
}

static const struct peer_dial_handler client_handler = {
    .on_ready = client_ready,
    .on_frame = client_frame,
    .on_close = client_closed,
};

static void deadline_passed(struct io_timer *timer)
{
    struct peer_client *client = container_of(timer, struct peer_client, timer);
    uint64_t now_ns = io_now_ns(client->shard->loop);
    if (client->deadline_ns == 0) {
        struct list_node *node = list_first(&client->asks);
        uint64_t oldest_ns =
            node != NULL ? container_of(node, struct peer_ask, node)->asked_ns : now_ns;
        uint64_t due_ns = oldest_ns + client->ask_ms * 1000000ull;
        if (now_ns < due_ns) {
            io_timer_start(client->shard->loop, timer, due_ns);
            return;
        }
    }
    client->reason = "timed out";
    peer_client_close(client);
}

struct peer_client *peer_client_open(struct broker_shard *shard,
                                     const struct peer_client_options *options)
{
    require(options->on_closed != NULL && (options->deadline_ns != 0 || options->ask_ms != 0));
    struct peer_client *client = memory_allocate_zeroed(sizeof *client);
    client->shard = shard;
    client->deadline_ns = options->deadline_ns;
    client->ask_ms = options->ask_ms;
    client->on_connected = options->on_connected;
    client->on_closed = options->on_closed;
    client->context = options->context;
    list_init(&client->asks);
    io_timer_init(&client->timer, deadline_passed);
    io_timer_start(shard->loop, &client->timer,
                   options->deadline_ns != 0
                       ? options->deadline_ns
                       : io_now_ns(shard->loop) + options->ask_ms * 1000000ull);
    peer_dial_init(&client->dial, shard, &client_handler);
    peer_dial_open(&client->dial, options->broker_id, options->host, options->port, CONNECT_MS);
    return client;
}

void peer_client_begin(struct wire_writer *writer, int16_t type)
{
    peer_request_frame_begin(writer, type, 0);
}

void peer_client_ask(struct peer_client *client, struct wire_writer *request, peer_answer answer,
                     void *context)
{
    struct peer_ask *ask = memory_allocate_zeroed(sizeof *ask);
    ask->correlation_id = client->last_correlation_id =
        client->last_correlation_id == INT32_MAX ? 1 : client->last_correlation_id + 1;
    wire_patch_int32(request, CORRELATION_POSITION, ask->correlation_id);
    ask->frame = peer_request_frame_take(request);
    ask->type =
        (int16_t)(ask->frame->data[TYPE_POSITION] << 8 | ask->frame->data[TYPE_POSITION + 1]);
    ask->asked_ns = io_clock_ns(client->shard->loop);
    ask->answer = answer;
    ask->context = context;
    list_node_init(&ask->node);
    list_append(&client->asks, &ask->node);
    client->pending++;
    if (client->dial.state == PEER_DIAL_READY && !client->dial.is_closed_by_us) {
        send_ask(client, ask);
    }
}

void peer_client_close(struct peer_client *client)
{
    peer_dial_close(&client->dial);
}

void peer_client_close_when_idle(struct peer_client *client)
{
    client->closes_when_idle = true;
    if (client->dial.state == PEER_DIAL_READY) {
        close_if_idle(client);
    }
}

bool peer_client_close_unconnected(struct peer_client *client)
{
    bool is_connected = client->dial.state == PEER_DIAL_READY;
    if (!is_connected) {
        peer_client_close(client);
    }
    return !is_connected;
}

void peer_client_close_by(struct peer_client *client, uint64_t deadline_ns)
{
    require(deadline_ns != 0);
    if (client->deadline_ns == 0 || deadline_ns < client->deadline_ns) {
        client->deadline_ns = deadline_ns;
        io_timer_start(client->shard->loop, &client->timer, deadline_ns);
    }
}

uint32_t peer_client_pending(const struct peer_client *client)
{
    return client->pending;
}
