/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.h -- the keys and rules of TLS streams (OpenSSL 3): TLS 1.2 or newer, no session resumption,
 * no early data, so an identity is verified anew on every connection.
 *
 * Locality: made and freed by the main thread; used by any number of loops in between.
 */
#ifndef IO_TLS_H
#define IO_TLS_H

#include <stdbool.h>
#include <stddef.h>

struct io_tls;

struct io_tls_options {
    const char *ca_path;          /* PEM: whom we trust */
    const char *certificate_path; /* PEM: our chain */
    const char *key_path;         /* PEM: our private key; refused when others may read it */
    bool verify_peer; /* ask for the peer's certificate and refuse without a valid one */
};

/* NULL on failure, with a message that names the file and the cause in error.  The same object
 * serves listeners and dialled streams; certificates need both key usages (serverAuth, clientAuth).
 */
struct io_tls *io_tls_new(const struct io_tls_options *options, char *error, size_t error_size);
/* After the last stream that was made with it.  Accepts NULL. */
void io_tls_free(struct io_tls *tls);

#endif
