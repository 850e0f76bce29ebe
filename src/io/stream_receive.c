/* SPDX-License-Identifier: Apache-2.0
 *
 * stream_receive.c -- bytes from the socket into a buf that the owner reads in place.
 *
 * A byte once received is never written again, because somebody may hold the buf: new bytes go
 * behind it, or into another buf.  The unconsumed beginning moves to another buf only when what is
 * expected does not fit behind it, so a frame of known length is moved at most once, while it is
 * still short. A stream whose bytes are all consumed holds no buf.
 *
 * Locality: the loop's own thread.
 */
#define _GNU_SOURCE
#include "base/assert.h"
#include "io/stream_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define RECEIVE_TURN_BYTES 262144 /* what one stream may bring in a turn */
#define RECEIVE_TAIL_MIN_BYTES 1024
#define DISCARD_BYTES 4096

enum receive_result { RECEIVE_SOME, RECEIVE_NOTHING, RECEIVE_STOPPED };

static size_t stream_unread_bytes(const struct io_stream *stream)
{
    return stream->receive != NULL ? stream->receive->length_bytes - stream->receive_begin : 0;
}

static bool buf_is_ours_alone(const struct buf *buf)
{
    return atomic_load_explicit(&buf->references, memory_order_acquire) == 1;
}

/* One spare of the smallest size is kept in the loop: most requests fit into it. */
static struct buf *receive_take_buf(struct io_loop *loop, size_t capacity_bytes)
{
    if (capacity_bytes == IO_RECEIVE_MIN_BYTES && loop->receive_spare != NULL) {
        struct buf *spare = loop->receive_spare;
        loop->receive_spare = NULL;
        return spare;
    }
    return buf_new(capacity_bytes);
}

void io_stream_release_input(struct io_stream *stream)
{
    struct io_loop *loop = stream->loop;
    struct buf *buf = stream->receive;
    if (buf == NULL || stream_unread_bytes(stream) > 0) {
        return;
    }
    stream->receive = NULL;
    stream->receive_begin = 0;
    if (buf->capacity_bytes == IO_RECEIVE_MIN_BYTES && loop->receive_spare == NULL &&
        buf_is_ours_alone(buf)) {
        buf->length_bytes = 0;
        loop->receive_spare = buf;
    } else {
        buf_release(buf);
    }
}

static bool receive_has_room(const struct io_stream *stream, size_t unread_bytes)
{
    const struct buf *buf = stream->receive;
    if (stream->expected_bytes > unread_bytes) {
        return buf->capacity_bytes - stream->receive_begin >= stream->expected_bytes;
    }
    return buf->capacity_bytes - buf->length_bytes >= RECEIVE_TAIL_MIN_BYTES;
}

/* Makes sure that stream->receive has room behind its last byte. */
static void receive_make_room(struct io_stream *stream)
{
    size_t unread_bytes = stream_unread_bytes(stream);
    if (unread_bytes == 0) {
        io_stream_release_input(stream);
    }
    struct buf *old = stream->receive;
    if (old != NULL && receive_has_room(stream, unread_bytes)) {
        return;
    }
    size_t capacity_bytes = stream->receive_size;
    if (capacity_bytes < stream->expected_bytes) {
        capacity_bytes = stream->expected_bytes;
    }
    while (capacity_bytes < unread_bytes + RECEIVE_TAIL_MIN_BYTES) {
        capacity_bytes *= 2;
    }
    struct buf *buf = receive_take_buf(stream->loop, capacity_bytes);
    if (unread_bytes > 0) {
        memcpy(buf->data, old->data + stream->receive_begin, unread_bytes);
    }
    buf->length_bytes = unread_bytes;
    buf_release(old);
    stream->receive = buf;
    stream->receive_begin = 0;
}

/* A stream that fills its buffers gets larger ones, up to a limit, and loses them when it calms
 * down. */
static void receive_adapt(struct io_stream *stream, size_t room_bytes, size_t got_bytes)
{
    if (got_bytes == room_bytes && stream->receive_size < IO_RECEIVE_MAX_BYTES) {
        stream->receive_size *= 2;
    } else if (got_bytes < stream->receive_size / 4 &&
               stream->receive_size > IO_RECEIVE_MIN_BYTES) {
        stream->receive_size /= 2;
    }
}

static enum receive_result receive_plain(struct io_stream *stream, uint8_t *data, size_t room_bytes,
                                         size_t *got_bytes)
{
    ssize_t got = recv(stream->watch.fd, data, room_bytes, 0);
    if (got > 0) {
        *got_bytes = (size_t)got;
        return RECEIVE_SOME;
    }
    if (got == 0) {
        io_stream_fail(stream, "");
        return RECEIVE_STOPPED;
    }
    if (errno == EAGAIN || errno == EINTR) {
        return RECEIVE_NOTHING;
    }
    io_stream_fail_errno(stream, errno);
    return RECEIVE_STOPPED;
}

static enum receive_result receive_tls(struct io_stream *stream, uint8_t *data, size_t room_bytes,
                                       size_t *got_bytes)
{
    switch (io_tls_session_read(stream->session, data, room_bytes, got_bytes)) {
    case IO_TLS_DONE:
        return RECEIVE_SOME;
    case IO_TLS_WANT_READ:
    case IO_TLS_WANT_WRITE: /* not while reading: what TLS writes is collected */
        return RECEIVE_NOTHING;
    case IO_TLS_ENDED:
        io_stream_fail(stream, "");
        return RECEIVE_STOPPED;
    case IO_TLS_FAILED:
        io_stream_fail(stream, io_tls_session_reason(stream->session));
        return RECEIVE_STOPPED;
    }
    unreachable_code();
}

static bool stream_may_receive(const struct io_stream *stream)
{
    return stream->state == IO_STREAM_OPEN && !stream->is_closing && !stream->is_paused;
}

void io_stream_deliver_input(struct io_stream *stream)
{
    size_t unread_bytes = stream_unread_bytes(stream);
    if (unread_bytes > 0 && unread_bytes >= stream->expected_bytes && stream->handler != NULL &&
        stream_may_receive(stream)) {
        stream->expected_bytes = 0;
        stream->handler->on_data(stream);
    }
}

void io_stream_receive(struct io_stream *stream)
{
    bool is_plain = stream->session == NULL;
    size_t left_bytes = RECEIVE_TURN_BYTES;
    enum receive_result result = RECEIVE_SOME;
    while (left_bytes > 0 && result == RECEIVE_SOME && stream_may_receive(stream)) {
        receive_make_room(stream);
        struct buf *buf = stream->receive;
        size_t room_bytes = buf->capacity_bytes - buf->length_bytes;
        room_bytes = room_bytes < left_bytes ? room_bytes : left_bytes;
        uint8_t *end = buf->data + buf->length_bytes;
        size_t got_bytes = 0;
        result = is_plain ? receive_plain(stream, end, room_bytes, &got_bytes)
                          : receive_tls(stream, end, room_bytes, &got_bytes);
        if (result != RECEIVE_SOME) {
            break;
        }
        buf->length_bytes += got_bytes;
        left_bytes -= got_bytes;
        receive_adapt(stream, room_bytes, got_bytes);
        io_stream_deliver_input(stream);
        if (is_plain && got_bytes < room_bytes) {
            result = RECEIVE_NOTHING; /* the socket is empty; if not, it says so again */
        }
    }
    io_stream_release_input(stream);
    if (!is_plain && io_tls_session_unsent_bytes(stream->session) > 0 && !stream->is_send_blocked) {
        io_stream_set_to_send(stream); /* the answer to a key update, and the socket was full */
    }
    if (!is_plain && left_bytes == 0 && result == RECEIVE_SOME) {
        stream->is_input_due = true; /* TLS may hold bytes the socket knows nothing of */
        io_stream_set_due(stream);
    }
}

void io_stream_discard_input(struct io_stream *stream)
{
    uint8_t discarded[DISCARD_BYTES];
    ssize_t got = 0;
    for (size_t bytes = 0; bytes < RECEIVE_TURN_BYTES; bytes += (size_t)got) {
        got = recv(stream->watch.fd, discarded, sizeof discarded, 0);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            io_stream_fail(stream, "");
            return;
        }
        if (got < 0) {
            return;
        }
    }
}

const uint8_t *io_stream_input(struct io_stream *stream, size_t *length, struct buf **buf)
{
    *length = stream_unread_bytes(stream);
    if (buf != NULL) {
        *buf = stream->receive;
    }
    return stream->receive != NULL ? stream->receive->data + stream->receive_begin : NULL;
}

void io_stream_consume(struct io_stream *stream, size_t length)
{
    require(length <= stream_unread_bytes(stream));
    stream->receive_begin += length;
    stream->expected_bytes = 0;
}

void io_stream_expect(struct io_stream *stream, size_t length)
{
    stream->expected_bytes = length;
}
