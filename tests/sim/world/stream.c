/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.c -- io/stream.h over simulated connections.
 *
 * The order within a turn is that of src/io: what arrived is handed over, then what is due without
 * an event, and at the end of the turn everything queued is sent and everything closing is shut.
 * Bytes are received into bufs in the same way too, since the code above keeps references to them.
 */
#include "io/stream.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/file.h"
#include "loop_parts.h"
#include "network.h"

#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000ull
#define LINGER_NS 1000000000ull
#define RECEIVE_MIN_BYTES 16384u
#define RECEIVE_TURN_BYTES 262144u
#define RECEIVE_TAIL_MIN_BYTES 1024u
#define SEND_HIGH_WATER_BYTES 262144u
#define SEND_LOW_WATER_BYTES 65536u
#define SEND_TURN_BYTES 1048576u
#define PACKET_BYTES_MAX 65536u
#define REASON_SIZE 160

enum state {
    STATE_CONNECTING,
    STATE_OPEN,
    STATE_LINGERING, /* everything is sent; what the peer still sends is thrown away */
    STATE_CLOSED,
};

/* One thing to send: bytes, or a range of a file. */
struct item {
    struct list_node node;
    struct io_file *file; /* NULL: bytes */
    struct buf *buf;
    const uint8_t *data;
    uint64_t position;
    size_t length_bytes;
};

struct io_stream {
    struct io_loop *loop;
    struct list_node node;
    struct list_node ready_node;
    struct list_node due_node;
    struct list_node send_node;
    struct io_timer deadline; /* of connecting, of lingering */
    const struct io_stream_handler *handler;
    void *owner;
    struct io_address peer;
    enum state state;
    struct net_end *end; /* NULL: no connection (any more) */

    bool is_closing;
    bool is_closing_after_sending;
    bool is_paused;
    bool is_input_due;
    bool is_above_high_water;
    bool is_drained_due;

    struct buf *receive;
    size_t receive_begin;
    size_t expected_bytes;

    struct list queue; /* struct item */
    size_t queue_bytes;
    char reason[REASON_SIZE];
};

/* ---- Marks ---- */

void stream_network_news(struct io_stream *stream)
{
    if (!list_is_linked(&stream->ready_node)) {
        list_append(&stream->loop->streams_ready, &stream->ready_node);
    }
    loop_wake(stream->loop);
}

static void stream_set_due(struct io_stream *stream)
{
    if (!list_is_linked(&stream->due_node)) {
        list_append(&stream->loop->streams_due, &stream->due_node);
    }
    io_loop_again(stream->loop);
}

static void stream_set_to_send(struct io_stream *stream)
{
    if (!list_is_linked(&stream->send_node)) {
        list_append(&stream->loop->streams_to_send, &stream->send_node);
    }
    loop_wake(stream->loop); /* harmless within a turn */
}

static void stream_fail(struct io_stream *stream, const char *reason)
{
    if (!stream->is_closing) {
        stream->is_closing = true;
        snprintf(stream->reason, sizeof stream->reason, "%s", reason);
        stream_set_to_send(stream);
        io_loop_again(stream->loop);
    }
}

/* ---- Beginning ---- */

static void stream_deadline_passed(struct io_timer *timer)
{
    struct io_stream *stream = container_of(timer, struct io_stream, deadline);
    stream_fail(stream, stream->state == STATE_CONNECTING ? "timed out" : "");
}

static struct io_stream *stream_new(struct io_loop *loop)
{
    struct io_stream *stream = memory_allocate_zeroed(sizeof *stream);
    stream->loop = loop;
    list_append(&loop->streams, &stream->node);
    list_node_init(&stream->ready_node);
    list_node_init(&stream->due_node);
    list_node_init(&stream->send_node);
    list_init(&stream->queue);
    io_timer_init(&stream->deadline, stream_deadline_passed);
    return stream;
}

struct io_stream *io_stream_connect(struct io_loop *loop, const struct io_connect_options *options,
                                    const struct io_stream_handler *handler, void *owner)
{
    require(handler->on_open != NULL && handler->on_data != NULL && handler->on_close != NULL);
    require(options->tls == NULL);
    struct io_stream *stream = stream_new(loop);
    stream->handler = handler;
    stream->owner = owner;
    if (!io_address_parse(&stream->peer, options->host, options->port)) {
        stream_fail(stream, "cannot resolve host: no name servers here");
        return stream;
    }
    stream->end = network_dial(loop->host, stream, &stream->peer);
    if (stream->end == NULL) {
        stream_fail(stream, "host unreachable");
        return stream;
    }
    io_timer_start(loop, &stream->deadline, io_now_ns(loop) + options->connect_ms * NS_PER_MS);
    return stream;
}

static void stream_open(struct io_stream *stream)
{
    stream->state = STATE_OPEN;
    io_timer_stop(stream->loop, &stream->deadline);
    if (!list_is_empty(&stream->queue) || stream->is_closing_after_sending) {
        stream_set_to_send(stream);
    }
}

void stream_accept(struct io_listener *listener, struct io_loop *loop, struct net_end *end)
{
    struct io_stream *stream = stream_new(loop);
    stream->peer = end_other(end)->address;
    stream->end = end;
    end->stream = stream;
    stream_open(stream);
    if (!list_is_empty(&end->received) || end->peer_finished || end->broken != NULL) {
        stream_network_news(stream);
    }
    listener_offer(listener, stream);
    require(stream->handler != NULL || stream->is_closing);
}

/* ---- Receiving ---- */

static size_t unread_bytes(const struct io_stream *stream)
{
    return stream->receive != NULL ? stream->receive->length_bytes - stream->receive_begin : 0;
}

static void receive_release(struct io_stream *stream)
{
    struct io_loop *loop = stream->loop;
    struct buf *buf = stream->receive;
    if (buf == NULL || unread_bytes(stream) > 0) {
        return;
    }
    stream->receive = NULL;
    stream->receive_begin = 0;
    if (buf->capacity_bytes == RECEIVE_MIN_BYTES && loop->receive_spare == NULL &&
        buf->references == 1) {
        buf->length_bytes = 0;
        loop->receive_spare = buf;
    } else {
        buf_release(buf);
    }
}

static struct buf *receive_take_buf(struct io_loop *loop, size_t capacity_bytes)
{
    if (capacity_bytes == RECEIVE_MIN_BYTES && loop->receive_spare != NULL) {
        struct buf *spare = loop->receive_spare;
        loop->receive_spare = NULL;
        return spare;
    }
    return buf_new(capacity_bytes);
}

static bool receive_has_room(const struct io_stream *stream, size_t unread)
{
    const struct buf *buf = stream->receive;
    if (stream->expected_bytes > unread) {
        return buf->capacity_bytes - stream->receive_begin >= stream->expected_bytes;
    }
    return buf->capacity_bytes - buf->length_bytes >= RECEIVE_TAIL_MIN_BYTES;
}

/* A byte once received is never moved while somebody may hold its buf. */
static void receive_make_room(struct io_stream *stream)
{
    size_t unread = unread_bytes(stream);
    if (unread == 0) {
        receive_release(stream);
    }
    struct buf *old = stream->receive;
    if (old != NULL && receive_has_room(stream, unread)) {
        return;
    }
    size_t capacity_bytes = RECEIVE_MIN_BYTES;
    if (capacity_bytes < stream->expected_bytes) {
        capacity_bytes = stream->expected_bytes;
    }
    while (capacity_bytes < unread + RECEIVE_TAIL_MIN_BYTES) {
        capacity_bytes *= 2;
    }
    struct buf *buf = receive_take_buf(stream->loop, capacity_bytes);
    if (unread > 0) {
        memcpy(buf->data, old->data + stream->receive_begin, unread);
    }
    buf->length_bytes = unread;
    buf_release(old);
    stream->receive = buf;
    stream->receive_begin = 0;
}

/* Bytes the kernel holds into data; returns how many. */
static size_t take_received(struct net_end *end, uint8_t *data, size_t room)
{
    size_t taken = 0;
    struct list_node *node = NULL;
    while (taken < room && (node = list_first(&end->received)) != NULL) {
        struct sim_packet *packet = container_of(node, struct sim_packet, node);
        size_t length = packet->length - packet->read;
        length = length < room - taken ? length : room - taken;
        memcpy(data + taken, packet->data + packet->read, length);
        packet->read += length;
        taken += length;
        if (packet->read == packet->length) {
            list_remove(&packet->node);
            packet_free(packet);
        }
    }
    if (taken > 0) {
        end_has_read(end, taken);
    }
    return taken;
}

static void deliver_input(struct io_stream *stream)
{
    size_t unread = unread_bytes(stream);
    if (unread > 0 && unread >= stream->expected_bytes && stream->handler != NULL &&
        stream->state == STATE_OPEN && !stream->is_closing && !stream->is_paused) {
        stream->expected_bytes = 0;
        stream->handler->on_data(stream);
    }
}

static void receive_end(struct io_stream *stream)
{
    const struct net_end *end = stream->end;
    if (end->broken != NULL) {
        stream_fail(stream, end->broken);
    } else if (end->peer_finished) {
        stream_fail(stream, "");
    }
}

static void receive(struct io_stream *stream)
{
    size_t left = RECEIVE_TURN_BYTES;
    while (left > 0 && !stream->is_closing && !stream->is_paused &&
           !list_is_empty(&stream->end->received)) {
        receive_make_room(stream);
        struct buf *buf = stream->receive;
        size_t room = buf->capacity_bytes - buf->length_bytes;
        room = room < left ? room : left;
        size_t got = take_received(stream->end, buf->data + buf->length_bytes, room);
        buf->length_bytes += got;
        left -= got;
        deliver_input(stream);
    }
    receive_release(stream);
    if (stream->is_closing) {
        return;
    }
    if (list_is_empty(&stream->end->received)) {
        receive_end(stream);
    } else if (!stream->is_paused) {
        stream_network_news(stream);
        io_loop_again(stream->loop);
    } else if (stream->end->broken != NULL) {
        stream_fail(stream, stream->end->broken);
    }
}

static void discard(struct io_stream *stream)
{
    uint8_t discarded[4096];
    while (take_received(stream->end, discarded, sizeof discarded) > 0) {
    }
    if (stream->end->peer_finished || stream->end->broken != NULL) {
        stream_fail(stream, "");
    }
}

static void stream_serve(struct io_stream *stream)
{
    if (stream->is_closing || stream->end == NULL) {
        return;
    }
    switch (stream->state) {
    case STATE_CONNECTING:
        if (stream->end->broken != NULL) {
            stream_fail(stream, stream->end->broken);
        } else if (stream->end->is_open) {
            stream_open(stream);
            stream->handler->on_open(stream);
            receive(stream);
        }
        break;
    case STATE_OPEN:
        if (!list_is_empty(&stream->queue)) {
            stream_set_to_send(stream);
        }
        receive(stream);
        break;
    case STATE_LINGERING:
        discard(stream);
        break;
    case STATE_CLOSED:
        break;
    }
}

static void take_all(struct list *from, struct list *to)
{
    struct list_node *node = NULL;
    list_init(to);
    while ((node = list_take_first(from)) != NULL) {
        list_append(to, node);
    }
}

void streams_receive(struct io_loop *loop)
{
    struct list ready;
    struct list_node *node = NULL;
    take_all(&loop->streams_ready, &ready);
    while ((node = list_take_first(&ready)) != NULL) {
        stream_serve(container_of(node, struct io_stream, ready_node));
    }
}

/* ---- Ending ---- */

static void item_free(struct item *item)
{
    list_remove(&item->node);
    io_file_release(item->file);
    buf_release(item->buf);
    memory_free(item);
}

static void stream_release_resources(struct io_stream *stream)
{
    io_timer_stop(stream->loop, &stream->deadline);
    if (stream->end != NULL) {
        struct net_end *end = stream->end;
        stream->end = NULL;
        end_close(end);
    }
    buf_release(stream->receive);
    stream->receive = NULL;
    while (!list_is_empty(&stream->queue)) {
        item_free(container_of(list_first(&stream->queue), struct item, node));
    }
    stream->queue_bytes = 0;
}

static void stream_free(struct io_stream *stream)
{
    list_remove(&stream->node);
    list_remove(&stream->ready_node);
    list_remove(&stream->due_node);
    list_remove(&stream->send_node);
    memory_free(stream);
}

void streams_free(struct io_loop *loop)
{
    list_for_each(&loop->streams, node)
    {
        struct io_stream *stream = container_of(node, struct io_stream, node);
        stream_release_resources(stream);
        stream_free(stream);
    }
}

static void stream_attend(struct io_stream *stream)
{
    if (stream->state == STATE_CLOSED) {
        if (stream->handler != NULL) {
            stream->handler->on_close(stream, stream->reason);
        }
        stream_free(stream);
        return;
    }
    if (stream->is_drained_due && !stream->is_closing) {
        stream->is_drained_due = false;
        if (stream->handler != NULL && stream->handler->on_drained != NULL) {
            stream->handler->on_drained(stream);
        }
    }
    if (stream->is_input_due && !stream->is_closing && stream->state == STATE_OPEN) {
        stream->is_input_due = false;
        deliver_input(stream);
        receive_release(stream);
    }
}

void streams_attend(struct io_loop *loop)
{
    struct list due;
    struct list_node *node = NULL;
    take_all(&loop->streams_due, &due);
    while ((node = list_take_first(&due)) != NULL) {
        stream_attend(container_of(node, struct io_stream, due_node));
    }
}

/* ---- Sending ---- */

static bool item_copy(const struct item *item, uint8_t *data, size_t length)
{
    if (item->file == NULL) {
        memcpy(data, item->data, length);
        return true;
    }
    size_t done = 0;
    return io_file_read(item->file, item->position, data, length, &done) == 0 && done == length;
}

static void item_advance(struct io_stream *stream, struct item *item, size_t length)
{
    stream->queue_bytes -= length;
    item->length_bytes -= length;
    item->position += length;
    item->data = item->file == NULL ? item->data + length : NULL;
    if (item->length_bytes == 0) {
        item_free(item);
    }
}

/* Packets are cut where it pleases the network, so that every frame comes in pieces now and then.
 */
static size_t packet_bytes(struct io_stream *stream, size_t left)
{
    struct prng *prng = &the_world->network_prng;
    size_t length = stream->queue_bytes;
    length = length < left ? length : left;
    length = length < end_room(stream->end) ? length : end_room(stream->end);
    length = length < PACKET_BYTES_MAX ? length : PACKET_BYTES_MAX;
    bool is_cut = length > 1 && prng_below(prng, the_world->options.network.cut_one_in) == 0;
    return is_cut ? 1 + (size_t)prng_below(prng, length) : length;
}

static bool send_packet(struct io_stream *stream, size_t length)
{
    struct sim_packet *packet = packet_new(PACKET_DATA, length);
    ensure(stream->end->filling == NULL);
    stream->end->filling = packet;
    size_t at = 0;
    while (at < length) {
        struct item *item = container_of(list_first(&stream->queue), struct item, node);
        size_t part = item->length_bytes < length - at ? item->length_bytes : length - at;
        if (!item_copy(item, packet->data + at, part)) {
            stream->end->filling = NULL;
            packet_free(packet);
            stream_fail(stream, "a file range that was to be sent could not be read");
            return false;
        }
        at += part;
        item_advance(stream, item, part);
    }
    stream->end->filling = NULL;
    end_send(stream->end, packet);
    return true;
}

static void send_queued(struct io_stream *stream)
{
    size_t left = SEND_TURN_BYTES;
    while (!list_is_empty(&stream->queue) && left > 0 && end_room(stream->end) > 0) {
        size_t length = packet_bytes(stream, left);
        if (!send_packet(stream, length)) {
            return;
        }
        left -= length;
    }
    if (!list_is_empty(&stream->queue)) {
        if (end_room(stream->end) == 0) {
            stream->end->wants_window = true;
        } else {
            stream_network_news(stream);
            io_loop_again(stream->loop);
        }
    }
    if (stream->is_above_high_water && stream->queue_bytes <= SEND_LOW_WATER_BYTES) {
        stream->is_above_high_water = false;
        stream->is_drained_due = true;
        stream_set_due(stream);
    }
}

static void begin_lingering(struct io_stream *stream)
{
    stream->state = STATE_LINGERING;
    stream->end->has_finished = true;
    end_send_kind(stream->end, PACKET_FINISH);
    io_timer_start(stream->loop, &stream->deadline, io_now_ns(stream->loop) + LINGER_NS);
    stream_network_news(stream);
}

static void stream_send(struct io_stream *stream)
{
    if (!stream->is_closing && stream->state == STATE_OPEN) {
        send_queued(stream);
        if (stream->is_closing_after_sending && list_is_empty(&stream->queue) &&
            !stream->is_closing) {
            begin_lingering(stream);
        }
    }
    if (stream->is_closing && stream->state != STATE_CLOSED) {
        list_remove(&stream->send_node);
        stream_release_resources(stream);
        stream->state = STATE_CLOSED;
        stream_set_due(stream);
    }
}

void streams_send(struct io_loop *loop)
{
    struct list_node *node = NULL;
    while ((node = list_take_first(&loop->streams_to_send)) != NULL) {
        stream_send(container_of(node, struct io_stream, send_node));
    }
}

static void queue_item(struct io_stream *stream, struct item item)
{
    if (item.length_bytes == 0 || stream->is_closing || stream->is_closing_after_sending ||
        stream->state > STATE_OPEN) {
        return;
    }
    struct item *queued = memory_allocate(sizeof *queued);
    *queued = item;
    buf_reference(item.buf);
    if (item.file != NULL) {
        io_file_reference(item.file);
    }
    list_node_init(&queued->node);
    list_append(&stream->queue, &queued->node);
    stream->queue_bytes += item.length_bytes;
    if (stream->queue_bytes > SEND_HIGH_WATER_BYTES) {
        stream->is_above_high_water = true;
    }
    stream_set_to_send(stream);
}

void io_stream_send(struct io_stream *stream, struct buf_slice slice)
{
    queue_item(
        stream,
        (struct item){.buf = slice.buf, .data = slice.data, .length_bytes = slice.length_bytes});
}

void io_stream_send_file(struct io_stream *stream, struct io_file *file, uint64_t position,
                         size_t length)
{
    queue_item(stream, (struct item){.file = file, .position = position, .length_bytes = length});
}

size_t io_stream_queued_bytes(const struct io_stream *stream)
{
    return stream->queue_bytes;
}

/* ---- The rest of the contract ---- */

void io_stream_adopt(struct io_stream *stream, const struct io_stream_handler *handler, void *owner)
{
    require(handler->on_data != NULL && handler->on_close != NULL);
    stream->handler = handler;
    stream->owner = owner;
    if (stream->receive != NULL) {
        stream->is_input_due = true;
        stream_set_due(stream);
    }
}

void *io_stream_owner(const struct io_stream *stream)
{
    return stream->owner;
}

struct io_loop *io_stream_loop(const struct io_stream *stream)
{
    return stream->loop;
}

const struct io_address *io_stream_peer_address(const struct io_stream *stream)
{
    return &stream->peer;
}

size_t io_stream_peer_uri_count(const struct io_stream *stream)
{
    (void)stream;
    return 0;
}

const char *io_stream_peer_uri(const struct io_stream *stream, size_t position)
{
    (void)stream;
    (void)position;
    unreachable_code();
}

const uint8_t *io_stream_input(struct io_stream *stream, size_t *length, struct buf **buf)
{
    *length = unread_bytes(stream);
    if (buf != NULL) {
        *buf = stream->receive;
    }
    return stream->receive != NULL ? stream->receive->data + stream->receive_begin : NULL;
}

void io_stream_consume(struct io_stream *stream, size_t length)
{
    require(length <= unread_bytes(stream));
    stream->receive_begin += length;
    stream->expected_bytes = 0;
}

void io_stream_expect(struct io_stream *stream, size_t length)
{
    stream->expected_bytes = length;
}

void io_stream_pause(struct io_stream *stream)
{
    stream->is_paused = true;
}

void io_stream_resume(struct io_stream *stream)
{
    if (!stream->is_paused) {
        return;
    }
    stream->is_paused = false;
    if (stream->receive != NULL) {
        stream->is_input_due = true;
        stream_set_due(stream);
    }
    if (stream->end != NULL && (!list_is_empty(&stream->end->received) ||
                                stream->end->peer_finished || stream->end->broken != NULL)) {
        stream_network_news(stream);
        io_loop_again(stream->loop);
    }
}

void io_stream_close(struct io_stream *stream)
{
    stream_fail(stream, "");
}

void io_stream_close_after_sending(struct io_stream *stream)
{
    stream->is_closing_after_sending = true;
    stream_set_to_send(stream);
}
