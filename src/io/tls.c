/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c -- one OpenSSL context with the rules of the house.
 *
 * TLS 1.2 or newer, forward secrecy and authenticated encryption only; no sessions, tickets,
 * renegotiation, compression or early data.  The purpose of a certificate (serverAuth for the peer
 * we dial, clientAuth for the peer we accept) is checked by OpenSSL by the side the session is on.
 *
 * Locality: see tls.h.
 */
#include "io/tls.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/tls_internal.h"
#include "io/tls_outgoing.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TLS_1_2_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20"
#define TLS_CHAIN_DEPTH_MAX 8
#define TLS_READ_BYTES                                                                             \
    65536 /* taken from the socket at once; held only while something stands there */

const char *io_tls_error_text(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = ERR_SYSTEM_ERROR(code) ? strerror((int)ERR_GET_REASON(code))
                                              : ERR_reason_error_string(code);
    return text != NULL ? text : "unknown error";
}

static bool tls_explain(char *error, size_t error_size, const char *what, const char *path,
                        const char *cause)
{
    snprintf(error, error_size, "%s %s: %s", what, path, cause);
    return false;
}

/* A private key that others can read is no secret any more. */
static bool tls_check_key_mode(const char *path, char *error, size_t error_size)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return tls_explain(error, error_size, "private key", path, strerror(errno));
    }
    if ((status.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return tls_explain(error, error_size, "private key", path,
                           "group or others have access; it must be the owner's alone (0600)");
    }
    return true;
}

static bool tls_load(SSL_CTX *context, const struct io_tls_options *options, char *error,
                     size_t error_size)
{
    ERR_clear_error();
    if (options->ca_path != NULL &&
        SSL_CTX_load_verify_locations(context, options->ca_path, NULL) != 1) {
        return tls_explain(error, error_size, "certificate authority", options->ca_path,
                           io_tls_error_text());
    }
    if (options->certificate_path == NULL) {
        return true;
    }
    if (SSL_CTX_use_certificate_chain_file(context, options->certificate_path) != 1) {
        return tls_explain(error, error_size, "certificate", options->certificate_path,
                           io_tls_error_text());
    }
    if (!tls_check_key_mode(options->key_path, error, error_size)) {
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(context, options->key_path, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(context) != 1) {
        return tls_explain(error, error_size, "private key", options->key_path,
                           io_tls_error_text());
    }
    return true;
}

/* OpenSSL reads a certificate's extensions at its first use, under a lock.  Ours are used by every
 * shard, so they are read before there are any.  One that makes no sense fails verification later.
 */
static void tls_read_extensions(SSL_CTX *context)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(context));
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *authority = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        if (authority != NULL) {
            (void)X509_check_purpose(authority, -1, 0);
        }
    }
    X509 *own = SSL_CTX_get0_certificate(context);
    if (own != NULL) {
        (void)X509_check_purpose(own, -1, 0);
    }
    ERR_clear_error();
}

static bool tls_set_rules(SSL_CTX *context, const struct io_tls_options *options)
{
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, TLS_READ_BYTES);
    SSL_CTX_set_verify_depth(context, TLS_CHAIN_DEPTH_MAX);
    SSL_CTX_set_verify(context,
                       options->verify_peer ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
                                            : SSL_VERIFY_NONE,
                       NULL);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_cipher_list(context, TLS_1_2_CIPHERS) == 1;
}

struct io_tls *io_tls_new(const struct io_tls_options *options, char *error, size_t error_size)
{
    require(options->certificate_path == NULL || options->key_path != NULL);
    if (options->verify_peer && options->ca_path == NULL) {
        snprintf(error, error_size, "TLS: peers are to be verified, but no authority is given");
        return NULL;
    }
    struct io_tls *tls = memory_allocate(sizeof *tls);
    tls->context = SSL_CTX_new(TLS_method());
    tls->outgoing = io_tls_outgoing_method_new();
    if (tls->context == NULL || tls->outgoing == NULL || !tls_set_rules(tls->context, options)) {
        snprintf(error, error_size, "TLS: %s", io_tls_error_text());
        io_tls_free(tls);
        return NULL;
    }
    if (!tls_load(tls->context, options, error, error_size)) {
        io_tls_free(tls);
        return NULL;
    }
    tls_read_extensions(tls->context);
    return tls;
}

void io_tls_free(struct io_tls *tls)
{
    if (tls != NULL) {
        SSL_CTX_free(tls->context);
        BIO_meth_free(tls->outgoing);
        memory_free(tls);
    }
}
