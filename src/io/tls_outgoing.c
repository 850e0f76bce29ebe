/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_outgoing.c -- collects encrypted records and sends them together.
 *
 * Locality: the loop's own thread.
 */
#include "io/tls_outgoing.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define CAPACITY_MIN_BYTES 1024
#define CAPACITY_IDLE_MAX_BYTES 4096 /* more is given back when everything has left */

void io_tls_outgoing_reserve(struct io_tls_outgoing *outgoing, size_t bytes)
{
    size_t unsent_bytes = outgoing->end - outgoing->begin;
    if (outgoing->begin > 0) {
        memmove(outgoing->data, outgoing->data + outgoing->begin, unsent_bytes);
        outgoing->begin = 0;
        outgoing->end = unsent_bytes;
    }
    if (outgoing->capacity - outgoing->end >= bytes) {
        return;
    }
    size_t capacity = outgoing->capacity > 0 ? outgoing->capacity : CAPACITY_MIN_BYTES;
    while (capacity - outgoing->end < bytes) {
        capacity *= 2;
    }
    outgoing->data = memory_reallocate(outgoing->data, capacity);
    outgoing->capacity = capacity;
    ensure(outgoing->capacity - outgoing->end >= bytes);
}

static int outgoing_write(BIO *bio, const char *data, size_t length, size_t *written)
{
    struct io_tls_outgoing *outgoing = BIO_get_data(bio);
    if (outgoing->capacity - outgoing->end < length) {
        io_tls_outgoing_reserve(outgoing, length);
    }
    memcpy(outgoing->data + outgoing->end, data, length);
    outgoing->end += length;
    *written = length;
    return 1;
}

/* OpenSSL flushes after a flight of the handshake; the session sends then anyway. */
static long outgoing_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD *io_tls_outgoing_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "outgoing");
    if (method != NULL && (BIO_meth_set_write_ex(method, outgoing_write) != 1 ||
                           BIO_meth_set_ctrl(method, outgoing_control) != 1)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

BIO *io_tls_outgoing_bio_new(const BIO_METHOD *method, struct io_tls_outgoing *outgoing)
{
    BIO *bio = BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, outgoing);
        BIO_set_init(bio, 1);
    }
    return bio;
}

int io_tls_outgoing_send(struct io_tls_outgoing *outgoing, int fd)
{
    while (outgoing->begin < outgoing->end) {
        ssize_t sent = send(fd, outgoing->data + outgoing->begin, outgoing->end - outgoing->begin,
                            MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EINTR || errno == EAGAIN ? -EAGAIN : -errno;
        }
        outgoing->begin += (size_t)sent;
        ensure(outgoing->begin <= outgoing->end);
    }
    outgoing->begin = 0;
    outgoing->end = 0;
    if (outgoing->capacity > CAPACITY_IDLE_MAX_BYTES) {
        io_tls_outgoing_free(outgoing);
    }
    return 0;
}

void io_tls_outgoing_free(struct io_tls_outgoing *outgoing)
{
    memory_free(outgoing->data);
    *outgoing = (struct io_tls_outgoing){0};
}
