/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_outgoing.h -- what TLS has encrypted and the socket has not taken yet.  For tls.c and
 * tls_session.c only.
 *
 * OpenSSL would write every record of 16 KiB to the socket by itself, one call each; here records
 * are collected, and leave together.  So encrypting never waits for the socket: what does not leave
 * stays here, and its owner stops encrypting until it has left.
 *
 * Locality: the loop's own thread.
 */
#ifndef IO_TLS_OUTGOING_H
#define IO_TLS_OUTGOING_H

#include <openssl/bio.h>
#include <stddef.h>
#include <stdint.h>

struct io_tls_outgoing {
    uint8_t *data; /* NULL while nothing stands there and little did */
    size_t begin;  /* first byte the socket has not taken */
    size_t end;
    size_t capacity;
};

/* The kind of BIO whose writes go to an io_tls_outgoing.  NULL: no memory.  The caller frees it by
 * BIO_meth_free() after the last BIO of it. */
BIO_METHOD *io_tls_outgoing_method_new(void);
/* A BIO that writes to outgoing, which must outlive it.  NULL: no memory. */
BIO *io_tls_outgoing_bio_new(const BIO_METHOD *method, struct io_tls_outgoing *outgoing);

/* Room for so many more bytes, so that they are not moved while they come. */
void io_tls_outgoing_reserve(struct io_tls_outgoing *outgoing, size_t bytes);
/* Sends what is there.  0: everything has left; -EAGAIN: the socket is full; another negative
 * errno: the connection is broken. */
int io_tls_outgoing_send(struct io_tls_outgoing *outgoing, int fd);
void io_tls_outgoing_free(struct io_tls_outgoing *outgoing);

#endif
