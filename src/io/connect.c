/* SPDX-License-Identifier: Apache-2.0
 *
 * connect.c -- dialling: from a host and a port to a connected socket.
 *
 * A literal address is dialled at once; a name is resolved on the loop's resolver thread.  The
 * addresses of a name are tried one after another until one answers or the deadline passes.
 *
 * Locality: the loop's own thread, but for dial_resolve() on the resolver's, which touches the dial
 * only.
 */
#define _GNU_SOURCE
#include "base/assert.h"
#include "base/memory.h"
#include "io/address.h"
#include "io/file.h"
#include "io/stream_internal.h"
#include "io/worker.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DIAL_ADDRESSES_MAX 8
#define DIAL_HOST_SIZE 256
#define NS_PER_MS 1000000ull

struct io_dial {
    struct io_work work;
    struct io_stream *stream; /* NULL: the stream ended while the name was being resolved */
    bool is_resolving;
    char host[DIAL_HOST_SIZE];
    uint16_t port;
    int resolve_error; /* of getaddrinfo */
    struct io_address addresses[DIAL_ADDRESSES_MAX];
    uint32_t address_count;
    uint32_t next_address;
};

const char *io_dial_host(const struct io_dial *dial)
{
    return dial->host;
}

void io_dial_abandon(struct io_stream *stream)
{
    struct io_dial *dial = stream->dial;
    stream->dial = NULL;
    if (dial != NULL && dial->is_resolving) {
        dial->stream = NULL; /* freed when the resolver is done with it */
    } else {
        memory_free(dial);
    }
}

static void dial_resolve(struct io_work *work)
{
    struct io_dial *dial = container_of(work, struct io_dial, work);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *found = NULL;
    dial->resolve_error = getaddrinfo(dial->host, NULL, &hints, &found);
    if (dial->resolve_error != 0) {
        return;
    }
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        struct io_address *address = &dial->addresses[dial->address_count];
        if (dial->address_count < DIAL_ADDRESSES_MAX &&
            io_address_from_kernel(address, at->ai_addr)) {
            address->port = dial->port;
            dial->address_count++;
        }
    }
    freeaddrinfo(found);
}

/* 0 when the connection is under way, else the errno. */
static int dial_begin(struct io_stream *stream, const struct io_address *address)
{
    int fd = socket(address->family == 6 ? AF_INET6 : AF_INET,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    struct sockaddr_storage storage;
    socklen_t length = io_address_to_kernel(address, &storage);
    if (connect(fd, (struct sockaddr *)&storage, length) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        return error;
    }
    int result = io_watch_add(stream->loop, &stream->watch, fd, EPOLLOUT);
    if (result != 0) {
        close(fd);
        return -result;
    }
    stream->peer = *address;
    return 0;
}

/* Tries the remaining addresses; error is why the last one failed. */
static void dial_next(struct io_stream *stream, int error)
{
    struct io_dial *dial = stream->dial;
    while (dial->next_address < dial->address_count) {
        const struct io_address *address = &dial->addresses[dial->next_address];
        dial->next_address++;
        error = dial_begin(stream, address);
        if (error == 0) {
            return;
        }
    }
    io_stream_fail_errno(stream, error);
}

/* On one host, dialling a port nobody listens on can meet the very port the kernel lent the
 * dialling socket, and TCP then connects the socket to itself.  It would also keep the port from
 * its owner. */
static bool dial_reached_itself(int fd, const struct io_address *peer)
{
    struct sockaddr_storage storage;
    socklen_t length = sizeof storage;
    struct io_address own;
    return getsockname(fd, (struct sockaddr *)&storage, &length) == 0 &&
           io_address_from_kernel(&own, (const struct sockaddr *)&storage) &&
           own.family == peer->family && own.port == peer->port &&
           memcmp(own.bytes, peer->bytes, sizeof own.bytes) == 0;
}

void io_dial_ready(struct io_stream *stream)
{
    int fd = stream->watch.fd;
    int error = 0;
    socklen_t length = sizeof error;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
    }
    if (error == 0 && dial_reached_itself(fd, &stream->peer)) {
        error = ECONNREFUSED;
    }
    if (error != 0) {
        io_watch_remove(stream->loop, &stream->watch);
        close(fd);
        dial_next(stream, error);
        return;
    }
    io_stream_connected(stream, fd);
    io_dial_abandon(stream);
}

/* Also called for a name that was never looked up, when the loop ends. */
static void dial_resolved(struct io_work *work)
{
    struct io_dial *dial = container_of(work, struct io_dial, work);
    struct io_stream *stream = dial->stream;
    dial->is_resolving = false;
    if (stream == NULL) {
        memory_free(dial);
        return;
    }
    if (stream->is_closing) {
        return;
    }
    if (dial->address_count == 0) {
        char reason[IO_REASON_SIZE];
        snprintf(reason, sizeof reason, "cannot resolve host: %s",
                 dial->resolve_error != 0 ? gai_strerror(dial->resolve_error) : "no address");
        io_stream_fail(stream, reason);
        return;
    }
    io_stream_move(stream, IO_STREAM_CONNECTING);
    dial_next(stream, 0);
}

static void dial_start(struct io_stream *stream, struct io_dial *dial)
{
    if (io_address_parse(&dial->addresses[0], dial->host, dial->port)) {
        dial->address_count = 1;
        io_stream_move(stream, IO_STREAM_CONNECTING);
        dial_next(stream, 0);
        return;
    }
    dial->is_resolving = true;
    dial->work.run = dial_resolve;
    dial->work.done = dial_resolved;
    io_worker_submit(stream->loop->resolver, &dial->work);
}

struct io_stream *io_stream_connect(struct io_loop *loop, const struct io_connect_options *options,
                                    const struct io_stream_handler *handler, void *owner)
{
    require(handler->on_open != NULL && handler->on_data != NULL && handler->on_close != NULL);
    struct io_stream *stream = io_stream_new(loop, IO_STREAM_RESOLVING);
    stream->handler = handler;
    stream->owner = owner;
    stream->tls = options->tls;
    if (strlen(options->host) >= DIAL_HOST_SIZE) {
        io_stream_fail(stream, "cannot resolve host: name too long");
        return stream;
    }
    struct io_dial *dial = memory_allocate_zeroed(sizeof *dial);
    dial->stream = stream;
    dial->port = options->port;
    memcpy(dial->host, options->host, strlen(options->host) + 1);
    stream->dial = dial;
    io_timer_start(loop, &stream->deadline, io_now_ns(loop) + options->connect_ms * NS_PER_MS);
    dial_start(stream, dial);
    return stream;
}
