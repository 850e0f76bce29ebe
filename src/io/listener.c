/* SPDX-License-Identifier: Apache-2.0
 *
 * listener.c -- accepts connections and hands over those that are ready.
 *
 * When the process is out of descriptors, one that is kept in reserve is given up to accept and
 * close what waits; otherwise a level-triggered loop would spin on it.  When even that fails the
 * listener rests a moment.
 *
 * The kernel gives out the lowest number that is free, so the number of a new connection says how
 * many descriptors the process has open at least.
 *
 * Locality: the loop's own thread.
 */
#define _GNU_SOURCE
#include "base/assert.h"
#include "base/memory.h"
#include "io/address.h"
#include "io/stream_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define LISTEN_BACKLOG 1024
#define REST_NS 100000000u
#define NS_PER_MS 1000000ull

struct io_listener {
    struct io_loop *loop;
    struct io_listener_options options;
    struct io_address bound;
    struct io_watch watch;
    struct io_timer rest;
    int reserve_fd;
    int newest_fd;     /* of the connection that asks to be let in */
    int scarce_from;   /* the first number of the last quarter */
    bool is_accepting; /* a handler of ours is running */
    bool is_closed;    /* to be freed when it returns */
};

static void listener_rested(struct io_timer *timer)
{
    struct io_listener *listener = container_of(timer, struct io_listener, rest);
    io_watch_change(listener->loop, &listener->watch, EPOLLIN);
}

static void listener_rest(struct io_listener *listener)
{
    io_watch_change(listener->loop, &listener->watch, 0);
    io_timer_start(listener->loop, &listener->rest, io_now_ns(listener->loop) + REST_NS);
}

static int listener_open_reserve(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Out of descriptors: turns the first waiting connection away. */
static bool listener_turn_away(struct io_listener *listener)
{
    if (listener->reserve_fd < 0) {
        return false;
    }
    close(listener->reserve_fd);
    int fd = accept4(listener->watch.fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) {
        close(fd);
    }
    listener->reserve_fd = listener_open_reserve();
    return fd >= 0;
}

static void listener_take(struct io_listener *listener, int fd, const struct io_address *peer)
{
    const struct io_listener_options *options = &listener->options;
    listener->newest_fd = fd;
    if (options->admit != NULL && !options->admit(listener, peer)) {
        close(fd);
        return;
    }
    if (listener->is_closed) {
        close(fd);
        return;
    }
    struct io_stream *stream = io_stream_new(listener->loop, IO_STREAM_CONNECTING);
    stream->peer = *peer;
    stream->tls = options->tls;
    stream->listener = listener;
    if (options->tls != NULL) {
        uint64_t deadline_ns = io_now_ns(listener->loop) + options->handshake_ms * NS_PER_MS;
        io_timer_start(listener->loop, &stream->deadline, deadline_ns);
    }
    io_stream_connected(stream, fd);
}

/* False when there is nothing more to accept for now. */
static bool listener_accept_one(struct io_listener *listener)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    struct io_address peer;
    int fd = accept4(listener->watch.fd, (struct sockaddr *)&storage, &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
        if (io_address_from_kernel(&peer, (const struct sockaddr *)&storage)) {
            listener_take(listener, fd, &peer);
        } else {
            close(fd);
        }
        return true;
    }
    switch (errno) {
    case EAGAIN:
        return false;
    case EMFILE:
    case ENFILE:
        if (listener_turn_away(listener)) {
            return true;
        }
        listener_rest(listener);
        return false;
    case ENOBUFS:
    case ENOMEM:
        listener_rest(listener);
        return false;
    default:
        return true; /* that connection died while it waited */
    }
}

static void listener_ready(struct io_watch *watch, uint32_t events)
{
    (void)events;
    struct io_listener *listener = container_of(watch, struct io_listener, watch);
    listener->is_accepting = true;
    for (int i = 0; i < ACCEPTS_PER_TURN && !listener->is_closed; i++) {
        if (!listener_accept_one(listener)) {
            break;
        }
    }
    listener->is_accepting = false;
    if (listener->is_closed) {
        memory_free(listener);
    }
}

void io_listener_offer(struct io_listener *listener, struct io_stream *stream)
{
    listener->options.on_accept(listener, stream);
    require(stream->handler != NULL || stream->is_closing);
}

void io_listener_report_refused(struct io_listener *listener, const struct io_address *peer,
                                const char *reason)
{
    if (listener->options.on_refused != NULL) {
        listener->options.on_refused(listener, peer, reason);
    }
}

/* The listening socket, or a negative errno. */
static int listener_bind(const struct io_listener_options *options)
{
    static const int on = 1;
    static const int off = 0;
    bool is_ipv6 = options->address.family == 6;
    int fd = socket(is_ipv6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    struct sockaddr_storage storage;
    socklen_t length = io_address_to_kernel(&options->address, &storage);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (options->share_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (is_ipv6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(fd, (struct sockaddr *)&storage, length) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static struct io_address listener_bound_address(int fd, const struct io_address *asked)
{
    struct io_address bound = *asked;
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    if (getsockname(fd, (struct sockaddr *)&storage, &length) == 0) {
        io_address_from_kernel(&bound, (const struct sockaddr *)&storage);
    }
    return bound;
}

static void listener_explain(const struct io_listener_options *options, int error_number,
                             char *error, size_t error_size)
{
    char address[IO_ADDRESS_TEXT_SIZE];
    char text[IO_REASON_SIZE];
    snprintf(error, error_size, "cannot listen on %s: %s",
             io_address_format(&options->address, address),
             io_error_text(error_number, text, sizeof text));
}

static int listener_scarce_from(void)
{
    struct rlimit limit;
    bool is_bounded = getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < INT_MAX;
    return is_bounded ? (int)(limit.rlim_cur - limit.rlim_cur / 4) : INT_MAX;
}

struct io_listener *io_listener_open(struct io_loop *loop,
                                     const struct io_listener_options *options, char *error,
                                     size_t error_size)
{
    require(options->on_accept != NULL);
    require(options->tls == NULL || options->handshake_ms > 0);
    int fd = listener_bind(options);
    if (fd < 0) {
        listener_explain(options, -fd, error, error_size);
        return NULL;
    }
    struct io_listener *listener = memory_allocate_zeroed(sizeof *listener);
    listener->loop = loop;
    listener->options = *options;
    listener->bound = listener_bound_address(fd, &options->address);
    listener->watch.ready = listener_ready;
    io_timer_init(&listener->rest, listener_rested);
    int result = io_watch_add(loop, &listener->watch, fd, EPOLLIN);
    if (result != 0) {
        listener_explain(options, -result, error, error_size);
        close(fd);
        memory_free(listener);
        return NULL;
    }
    listener->reserve_fd = listener_open_reserve();
    listener->scarce_from = listener_scarce_from();
    return listener;
}

/* Streams that are still shaking hands end with the listener; nobody is told. */
static void listener_end_handshakes(struct io_listener *listener)
{
    list_for_each(&listener->loop->streams, node)
    {
        struct io_stream *stream = container_of(node, struct io_stream, node);
        if (stream->listener == listener) {
            stream->listener = NULL;
            io_stream_fail(stream, "");
        }
    }
}

void io_listener_close(struct io_listener *listener)
{
    require(!listener->is_closed);
    int fd = listener->watch.fd;
    io_timer_stop(listener->loop, &listener->rest);
    io_watch_remove(listener->loop, &listener->watch);
    close(fd);
    if (listener->reserve_fd >= 0) {
        close(listener->reserve_fd);
    }
    listener_end_handshakes(listener);
    listener->is_closed = true;
    if (!listener->is_accepting) {
        memory_free(listener);
    }
}

bool io_listener_is_scarce(const struct io_listener *listener)
{
    return listener->newest_fd >= listener->scarce_from;
}

void *io_listener_owner(const struct io_listener *listener)
{
    return listener->options.owner;
}

struct io_address io_listener_address(const struct io_listener *listener)
{
    return listener->bound;
}
