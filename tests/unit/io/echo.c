/* SPDX-License-Identifier: Apache-2.0
 *
 * echo.c -- see echo.h.
 */
#include "echo.h"

#include "base/assert.h"

#include <stdio.h>
#include <string.h>

#define SLICE_BYTES 10000

uint8_t echo_pattern(size_t position)
{
    return (uint8_t)(position * 31 + position / 251);
}

void echo_send_pattern(struct io_stream *stream, size_t position, size_t length)
{
    while (length > 0) {
        size_t part = length < SLICE_BYTES ? length : SLICE_BYTES;
        struct buf *buf = buf_new(part);
        for (size_t i = 0; i < part; i++) {
            buf->data[i] = echo_pattern(position + i);
        }
        buf->length_bytes = part;
        io_stream_send(stream, (struct buf_slice){buf, buf->data, part});
        buf_release(buf);
        position += part;
        length -= part;
    }
}

static void server_data(struct io_stream *stream)
{
    struct echo *echo = io_stream_owner(stream);
    size_t length = 0;
    struct buf *buf = NULL;
    const uint8_t *data = io_stream_input(stream, &length, &buf);
    echo->server_received += length;
    if (!echo->server_is_silent) {
        io_stream_send(stream, (struct buf_slice){buf, data, length});
    }
    io_stream_consume(stream, length);
}

static void server_close(struct io_stream *stream, const char *reason)
{
    struct echo *echo = io_stream_owner(stream);
    echo->server_closed++;
    echo->server = NULL;
    snprintf(echo->server_reason, sizeof echo->server_reason, "%s", reason);
    if (echo->client == NULL) {
        io_loop_stop(echo->loop);
    }
}

static const struct io_stream_handler server_handler = {
    .on_data = server_data,
    .on_close = server_close,
};

static void accepted(struct io_listener *listener, struct io_stream *stream)
{
    struct echo *echo = io_listener_owner(listener);
    echo->accepted++;
    echo->server = stream;
    if (io_stream_peer_uri_count(stream) > 0) {
        snprintf(echo->server_uri, sizeof echo->server_uri, "%s", io_stream_peer_uri(stream, 0));
    }
    io_stream_adopt(stream, echo->server_handler, echo);
    if (echo->server_ignores) {
        io_stream_pause(stream);
    }
}

static void refused(struct io_listener *listener, const struct io_address *peer, const char *reason)
{
    struct echo *echo = io_listener_owner(listener);
    require(io_address_is_loopback(peer));
    echo->refused++;
    snprintf(echo->refused_reason, sizeof echo->refused_reason, "%s", reason);
    if (echo->client == NULL) {
        io_loop_stop(echo->loop);
    }
}

static void client_open(struct io_stream *stream)
{
    struct echo *echo = io_stream_owner(stream);
    echo->opened++;
    if (echo->stops_when_opened) {
        io_loop_stop(echo->loop);
    }
}

static void client_data(struct io_stream *stream)
{
    struct echo *echo = io_stream_owner(stream);
    size_t length = 0;
    const uint8_t *data = io_stream_input(stream, &length, NULL);
    if (echo->expect > length) {
        io_stream_expect(stream, echo->expect);
        return;
    }
    for (size_t i = 0; i < length; i++) {
        if (data[i] != echo_pattern(echo->client_received + i)) {
            echo->is_mismatched = true;
        }
    }
    echo->client_received += length;
    io_stream_consume(stream, length);
    if (echo->client_received >= echo->stop_after) {
        io_loop_stop(echo->loop);
    }
}

static void client_drained(struct io_stream *stream)
{
    struct echo *echo = io_stream_owner(stream);
    echo->drained++;
}

static void client_close(struct io_stream *stream, const char *reason)
{
    struct echo *echo = io_stream_owner(stream);
    echo->client_closed++;
    echo->client = NULL;
    snprintf(echo->client_reason, sizeof echo->client_reason, "%s", reason);
    if (echo->server == NULL) {
        io_loop_stop(echo->loop);
    }
}

static const struct io_stream_handler client_handler = {
    .on_open = client_open,
    .on_data = client_data,
    .on_drained = client_drained,
    .on_close = client_close,
};

const struct io_stream_handler *echo_client_handler(void)
{
    return &client_handler;
}

void echo_begin(struct echo *echo)
{
    *echo = (struct echo){.loop = io_loop_new(1), .stop_after = SIZE_MAX, .patience_ms = 5000};
    echo->server_handler = &server_handler;
}

void echo_listen(struct echo *echo, struct io_tls *tls)
{
    char error[200];
    struct io_listener_options options = {
        .tls = tls,
        .handshake_ms = echo->patience_ms,
        .on_accept = accepted,
        .on_refused = refused,
        .owner = echo,
    };
    require(io_address_parse(&options.address, "127.0.0.1", 0));
    echo->listener = io_listener_open(echo->loop, &options, error, sizeof error);
    require(echo->listener != NULL);
}

void echo_connect(struct echo *echo, struct io_tls *tls)
{
    struct io_connect_options options = {
        .host = "127.0.0.1",
        .port = io_listener_address(echo->listener).port,
        .tls = tls,
        .connect_ms = echo->patience_ms,
    };
    echo->client = io_stream_connect(echo->loop, &options, &client_handler, echo);
}

struct watchdog {
    struct io_timer timer;
    struct io_loop *loop;
    bool has_barked;
};

static void watchdog_bark(struct io_timer *timer)
{
    struct watchdog *watchdog = container_of(timer, struct watchdog, timer);
    watchdog->has_barked = true;
    io_loop_stop(watchdog->loop);
}

bool echo_run(struct echo *echo, uint32_t limit_ms)
{
    struct watchdog watchdog = {.loop = echo->loop};
    io_timer_init(&watchdog.timer, watchdog_bark);
    io_timer_start(echo->loop, &watchdog.timer, io_clock_ns(echo->loop) + limit_ms * 1000000ull);
    io_loop_run(echo->loop);
    io_timer_stop(echo->loop, &watchdog.timer);
    return !watchdog.has_barked;
}

void echo_end(struct echo *echo)
{
    if (echo->listener != NULL) {
        io_listener_close(echo->listener);
    }
    io_loop_free(echo->loop);
}
