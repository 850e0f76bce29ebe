/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_session.h -- TLS on one connected socket, without a word of OpenSSL.  Not for other rooms.
 *
 * Locality: the loop's own thread.
 */
#ifndef IO_TLS_SESSION_H
#define IO_TLS_SESSION_H

#include "io/tls.h"

#include <stdbool.h>
#include <stddef.h>

struct io_tls_session;

enum io_tls_result {
    IO_TLS_DONE,
    IO_TLS_WANT_READ,  /* call again when the socket is readable */
    IO_TLS_WANT_WRITE, /* call again when the socket is writable */
    IO_TLS_ENDED,      /* the peer closed in an orderly way */
    IO_TLS_FAILED,     /* io_tls_session_reason() says why */
};

/* host: the name the peer was dialled by, NULL when accepted; borrowed for the call.  NULL when
 * there is no memory for a session. */
struct io_tls_session *io_tls_session_new(struct io_tls *tls, int fd, const char *host);
void io_tls_session_free(struct io_tls_session *session); /* accepts NULL */

enum io_tls_result io_tls_session_handshake(struct io_tls_session *session);
/* At least one byte when DONE. */
enum io_tls_result io_tls_session_read(struct io_tls_session *session, void *data, size_t size,
                                       size_t *done);
/* Encrypts everything (DONE), or the session FAILED: the socket is not waited for.  The bytes are
 * not needed any more; what they became leaves by io_tls_session_send(). */
enum io_tls_result io_tls_session_write(struct io_tls_session *session, const void *data,
                                        size_t length);
/* Sends what is encrypted: DONE (nothing is left of it), WANT_WRITE or FAILED. */
enum io_tls_result io_tls_session_send(struct io_tls_session *session);
/* How much is encrypted and waits for the socket.  Reading may leave something here too: the answer
 * to a key update, an alert. */
size_t io_tls_session_unsent_bytes(const struct io_tls_session *session);
/* Tells the peer that nothing more comes; best effort. */
void io_tls_session_shutdown(struct io_tls_session *session);

const char *io_tls_session_reason(const struct io_tls_session *session);
/* The verified URI names of the peer; complete after the handshake. */
size_t io_tls_session_uri_count(const struct io_tls_session *session);
const char *io_tls_session_uri(const struct io_tls_session *session, size_t position);

#endif
