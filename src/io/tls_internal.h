/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_internal.h -- the OpenSSL side of struct io_tls, for tls.c and tls_session.c only.
 */
#ifndef IO_TLS_INTERNAL_H
#define IO_TLS_INTERNAL_H

#include "io/tls.h"

#include <openssl/ssl.h>

struct io_tls {
    SSL_CTX *context;
    BIO_METHOD *outgoing; /* of io_tls_outgoing_method_new() */
};

/* The oldest error of the thread's OpenSSL queue in words; "unknown error" when it is empty. */
const char *io_tls_error_text(void);

#endif
