/* SPDX-License-Identifier: Apache-2.0
 *
 * stream.c -- the life of a stream, from its socket to on_close.
 *
 * Handlers are called in one place of the turn only, where I/O completes: from a watch, or from
 * io_streams_attend() for what is due without an event.  Sending and closing happen in one place
 * too, io_streams_send() at the end of the turn, which calls no handler; what it causes
 * (on_drained, on_close) is due in the next turn, which then does not wait.
 *
 * Locality: the loop's own thread.
 */
#define _GNU_SOURCE
#include "io/stream.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/stream_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_NS 1000000000u
#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define KEEPALIVE_PROBES 4

#define STATE_BIT(state) (1u << (state))

static const unsigned successors[] = {
    [IO_STREAM_RESOLVING] = STATE_BIT(IO_STREAM_CONNECTING) | STATE_BIT(IO_STREAM_CLOSED),
    [IO_STREAM_CONNECTING] = STATE_BIT(IO_STREAM_CONNECTING) | STATE_BIT(IO_STREAM_HANDSHAKING) |
                             STATE_BIT(IO_STREAM_OPEN) | STATE_BIT(IO_STREAM_CLOSED),
    [IO_STREAM_HANDSHAKING] = STATE_BIT(IO_STREAM_OPEN) | STATE_BIT(IO_STREAM_CLOSED),
    [IO_STREAM_OPEN] = STATE_BIT(IO_STREAM_LINGERING) | STATE_BIT(IO_STREAM_CLOSED),
    [IO_STREAM_LINGERING] = STATE_BIT(IO_STREAM_CLOSED),
    [IO_STREAM_CLOSED] = 0,
};

/* The causes operators meet every day, in words that do not depend on the C library. */
static const struct {
    int error;
    const char *text;
} error_texts[] = {
    {ECONNREFUSED, "connection refused"},
    {ECONNRESET, "connection reset"},
    {EPIPE, "connection reset"},
    {ETIMEDOUT, "timed out"},
    {EHOSTUNREACH, "host unreachable"},
    {ENETUNREACH, "network unreachable"},
    {EADDRINUSE, "address already in use"},
    {EADDRNOTAVAIL, "address not available"},
    {EACCES, "permission denied"},
    {EMFILE, "too many open files"},
};

const char *io_error_text(int error, char *text, size_t size)
{
    for (size_t i = 0; i < sizeof error_texts / sizeof error_texts[0]; i++) {
        if (error_texts[i].error == error) {
            return error_texts[i].text;
        }
    }
    return strerror_r(error, text, size);
}

void io_socket_set_options(int fd)
{
    static const struct {
        int level;
        int name;
        int value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_PROBES},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        /* An option refused costs speed, not correctness. */
        (void)setsockopt(fd, options[i].level, options[i].name, &options[i].value, sizeof(int));
    }
}

void io_stream_set_due(struct io_stream *stream)
{
    if (!list_is_linked(&stream->due_node)) {
        list_append(&stream->loop->streams_due, &stream->due_node);
    }
    io_loop_again(stream->loop);
}

void io_stream_set_to_send(struct io_stream *stream)
{
    if (!list_is_linked(&stream->send_node)) {
        list_append(&stream->loop->streams_to_send, &stream->send_node);
    }
}

void io_stream_move(struct io_stream *stream, enum io_stream_state state)
{
    ensure((successors[stream->state] & STATE_BIT(state)) != 0);
    stream->state = state;
}

void io_stream_fail(struct io_stream *stream, const char *reason)
{
    if (stream->is_closing) {
        return;
    }
    stream->is_closing = true;
    snprintf(stream->reason, sizeof stream->reason, "%s", reason);
    io_stream_set_to_send(stream);
    io_loop_again(stream->loop);
}

void io_stream_fail_errno(struct io_stream *stream, int error)
{
    char text[IO_REASON_SIZE];
    io_stream_fail(stream, io_error_text(error, text, sizeof text));
}

void io_stream_update_watch(struct io_stream *stream)
{
    uint32_t events = 0;
    if (stream->watch.fd < 0 || stream->state < IO_STREAM_OPEN) {
        return; /* the handshake sets its own */
    }
    if (!stream->is_paused || stream->state == IO_STREAM_LINGERING) {
        events |= EPOLLIN;
    }
    if (stream->is_send_blocked) {
        events |= EPOLLOUT;
    }
    io_watch_change(stream->loop, &stream->watch, events);
}

static void stream_open(struct io_stream *stream)
{
    io_stream_move(stream, IO_STREAM_OPEN);
    io_timer_stop(stream->loop, &stream->deadline);
    io_stream_update_watch(stream);
    if (stream->queue.count > 0 || stream->is_closing_after_sending) {
        io_stream_set_to_send(stream);
    }
    if (stream->session != NULL) {
        stream->is_input_due = true; /* bytes that came with the handshake raise no event */
        io_stream_set_due(stream);
    }
    if (stream->listener != NULL) {
        struct io_listener *listener = stream->listener;
        stream->listener = NULL;
        io_listener_offer(listener, stream);
    } else {
        stream->handler->on_open(stream);
    }
}

static void stream_shake_hands(struct io_stream *stream)
{
    switch (io_tls_session_handshake(stream->session)) {
    case IO_TLS_DONE:
        stream_open(stream);
        break;
    case IO_TLS_WANT_READ:
        io_watch_change(stream->loop, &stream->watch, EPOLLIN);
        break;
    case IO_TLS_WANT_WRITE:
        io_watch_change(stream->loop, &stream->watch, EPOLLOUT);
        break;
    case IO_TLS_ENDED:
        io_stream_fail(stream, "closed by the peer during the TLS handshake");
        break;
    case IO_TLS_FAILED:
        io_stream_fail(stream, io_tls_session_reason(stream->session));
        break;
    }
}

static void stream_ready_open(struct io_stream *stream, uint32_t events)
{
    if ((events & EPOLLOUT) != 0) {
        stream->is_send_blocked = false;
        io_stream_set_to_send(stream);
    }
    if (!stream->is_paused) {
        io_stream_receive(stream);
    } else if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
        int error = 0;
        socklen_t length = sizeof error;
        getsockopt(stream->watch.fd, SOL_SOCKET, SO_ERROR, &error, &length);
        io_stream_fail_errno(stream, error != 0 ? error : ECONNRESET);
    }
}

static void stream_ready(struct io_watch *watch, uint32_t events)
{
    struct io_stream *stream = container_of(watch, struct io_stream, watch);
    if (stream->is_closing) {
        return;
    }
    switch (stream->state) {
    case IO_STREAM_CONNECTING:
        io_dial_ready(stream);
        break;
    case IO_STREAM_HANDSHAKING:
        stream_shake_hands(stream);
        break;
    case IO_STREAM_OPEN:
        stream_ready_open(stream, events);
        break;
    case IO_STREAM_LINGERING:
        io_stream_discard_input(stream);
        break;
    case IO_STREAM_RESOLVING:
    case IO_STREAM_CLOSED:
        unreachable_code();
    }
}

static void stream_deadline_passed(struct io_timer *timer)
{
    struct io_stream *stream = container_of(timer, struct io_stream, deadline);
    switch (stream->state) {
    case IO_STREAM_RESOLVING:
    case IO_STREAM_CONNECTING:
        io_stream_fail(stream, "timed out");
        break;
    case IO_STREAM_HANDSHAKING:
        io_stream_fail(stream, "timed out during the TLS handshake");
        break;
    case IO_STREAM_LINGERING:
        io_stream_fail(stream, "");
        break;
    case IO_STREAM_OPEN:
    case IO_STREAM_CLOSED:
        unreachable_code();
    }
}

struct io_stream *io_stream_new(struct io_loop *loop, enum io_stream_state state)
{
    struct io_stream *stream = memory_allocate_zeroed(sizeof *stream);
    stream->loop = loop;
    stream->state = state;
    stream->watch.fd = -1;
    stream->watch.ready = stream_ready;
    stream->receive_size = IO_RECEIVE_MIN_BYTES;
    list_append(&loop->streams, &stream->node);
    list_node_init(&stream->due_node);
    list_node_init(&stream->send_node);
    io_timer_init(&stream->deadline, stream_deadline_passed);
    return stream;
}

/* The dialling stream's watch is already on the socket. */
void io_stream_connected(struct io_stream *stream, int fd)
{
    if (stream->watch.fd < 0) {
        int result = io_watch_add(stream->loop, &stream->watch, fd, EPOLLIN);
        if (result != 0) {
            close(fd);
            io_stream_fail_errno(stream, -result);
            return;
        }
    }
    io_socket_set_options(fd);
    if (stream->tls == NULL) {
        stream_open(stream);
        return;
    }
    const char *host = stream->dial != NULL ? io_dial_host(stream->dial) : NULL;
    io_stream_move(stream, IO_STREAM_HANDSHAKING);
    stream->session = io_tls_session_new(stream->tls, fd, host);
    if (stream->session == NULL) {
        io_stream_fail(stream, "TLS: no session");
        return;
    }
    stream_shake_hands(stream);
}

static void stream_release_resources(struct io_stream *stream)
{
    io_timer_stop(stream->loop, &stream->deadline);
    io_dial_abandon(stream);
    if (stream->watch.fd >= 0) {
        int fd = stream->watch.fd;
        io_watch_remove(stream->loop, &stream->watch);
        close(fd);
    }
    buf_release(stream->receive);
    stream->receive = NULL;
    io_send_queue_clear(&stream->queue);
}

/* The session outlives the socket, because the peer's names are borrowed until on_close. */
static void stream_shut(struct io_stream *stream)
{
    if (stream->session != NULL && stream->state == IO_STREAM_OPEN && stream->reason[0] == 0) {
        io_tls_session_shutdown(stream->session);
    }
    stream_release_resources(stream);
    io_stream_move(stream, IO_STREAM_CLOSED);
    io_stream_set_due(stream);
}

static void stream_free(struct io_stream *stream)
{
    list_remove(&stream->node);
    list_remove(&stream->due_node);
    list_remove(&stream->send_node);
    io_tls_session_free(stream->session);
    memory_free(stream);
}

static void stream_finish(struct io_stream *stream)
{
    if (stream->listener != NULL) {
        io_listener_report_refused(stream->listener, &stream->peer, stream->reason);
    } else if (stream->handler != NULL) {
        stream->handler->on_close(stream, stream->reason);
    }
    stream_free(stream);
}

static void stream_attend(struct io_stream *stream)
{
    if (stream->state == IO_STREAM_CLOSED) {
        stream_finish(stream);
        return;
    }
    if (stream->is_drained_due && !stream->is_closing) {
        stream->is_drained_due = false;
        if (stream->handler != NULL && stream->handler->on_drained != NULL) {
            stream->handler->on_drained(stream);
        }
    }
    if (stream->is_input_due && !stream->is_closing && stream->state == IO_STREAM_OPEN) {
        stream->is_input_due = false;
        io_stream_deliver_input(stream);
        if (stream->session != NULL) {
            io_stream_receive(stream);
        } else {
            io_stream_release_input(stream);
        }
    }
}

/* Streams that become due meanwhile wait for the next turn. */
void io_streams_attend(struct io_loop *loop)
{
    struct list due;
    list_init(&due);
    struct list_node *node = list_take_first(&loop->streams_due);
    while (node != NULL) {
        list_append(&due, node);
        node = list_take_first(&loop->streams_due);
    }
    node = list_take_first(&due);
    while (node != NULL) {
        stream_attend(container_of(node, struct io_stream, due_node));
        node = list_take_first(&due);
    }
}

static void stream_begin_lingering(struct io_stream *stream)
{
    if (stream->session != NULL) {
        io_tls_session_shutdown(stream->session);
    }
    io_stream_move(stream, IO_STREAM_LINGERING);
    shutdown(stream->watch.fd, SHUT_WR);
    io_timer_start(stream->loop, &stream->deadline, io_now_ns(stream->loop) + LINGER_NS);
    io_stream_update_watch(stream);
}

void io_streams_send(struct io_loop *loop)
{
    struct list_node *node = list_take_first(&loop->streams_to_send);
    while (node != NULL) {
        struct io_stream *stream = container_of(node, struct io_stream, send_node);
        if (!stream->is_closing && stream->state == IO_STREAM_OPEN) {
            io_stream_send_queued(stream);
            if (stream->is_closing_after_sending && io_stream_queued_bytes(stream) == 0 &&
                !stream->is_closing) {
                stream_begin_lingering(stream);
            }
        }
        if (stream->is_closing) {
            list_remove(&stream->send_node);
            stream_shut(stream);
        }
        node = list_take_first(&loop->streams_to_send);
    }
}

/* The loop ends: nobody is called any more. */
void io_streams_free(struct io_loop *loop)
{
    list_for_each(&loop->streams, node)
    {
        struct io_stream *stream = container_of(node, struct io_stream, node);
        stream_release_resources(stream);
        stream_free(stream);
    }
}

void io_stream_adopt(struct io_stream *stream, const struct io_stream_handler *handler, void *owner)
{
    require(handler->on_data != NULL && handler->on_close != NULL);
    stream->handler = handler;
    stream->owner = owner;
    if (stream->receive != NULL) {
        stream->is_input_due = true;
        io_stream_set_due(stream);
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
    return stream->session != NULL ? io_tls_session_uri_count(stream->session) : 0;
}

const char *io_stream_peer_uri(const struct io_stream *stream, size_t position)
{
    require(position < io_stream_peer_uri_count(stream));
    return io_tls_session_uri(stream->session, position);
}

void io_stream_pause(struct io_stream *stream)
{
    stream->is_paused = true;
    io_stream_update_watch(stream);
}

void io_stream_resume(struct io_stream *stream)
{
    if (!stream->is_paused) {
        return;
    }
    stream->is_paused = false;
    io_stream_update_watch(stream);
    if (stream->receive != NULL || stream->session != NULL) {
        stream->is_input_due = true;
        io_stream_set_due(stream);
    }
}

void io_stream_close(struct io_stream *stream)
{
    io_stream_fail(stream, "");
}

void io_stream_close_after_sending(struct io_stream *stream)
{
    stream->is_closing_after_sending = true;
    io_stream_set_to_send(stream);
}
