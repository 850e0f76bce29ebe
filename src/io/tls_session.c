/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_session.c -- OpenSSL on a non-blocking socket.
 *
 * OpenSSL's error queue belongs to the thread, not to the session, so it is emptied before every
 * call whose result is looked up in it.
 *
 * Locality: the loop's own thread.
 */
#include "io/tls_session.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/tls_internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define REASON_SIZE 160
#define URIS_MAX 16
#define URI_LENGTH_MAX 512

struct io_tls_session {
    SSL *ssl;
    char *uris[URIS_MAX];
    size_t uri_count;
    char reason[REASON_SIZE];
};

static bool session_is_literal_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

struct io_tls_session *io_tls_session_new(struct io_tls *tls, int fd, const char *host)
{
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL || SSL_set_fd(ssl, fd) != 1) {
        SSL_free(ssl);
        return NULL;
    }
    if (host != NULL) {
        SSL_set_connect_state(ssl);
        if (!session_is_literal_address(host)) {
            (void)SSL_set_tlsext_host_name(ssl, host);
        }
    } else {
        SSL_set_accept_state(ssl);
    }
    struct io_tls_session *session = memory_allocate_zeroed(sizeof *session);
    session->ssl = ssl;
    return session;
}

void io_tls_session_free(struct io_tls_session *session)
{
    if (session == NULL) {
        return;
    }
    for (size_t i = 0; i < session->uri_count; i++) {
        memory_free(session->uris[i]);
    }
    SSL_free(session->ssl);
    memory_free(session);
}

/* A refused certificate leaves errors of many libraries in the queue; its verdict says it best. */
static void session_explain(struct io_tls_session *session)
{
    long verdict = SSL_get_verify_result(session->ssl);
    bool is_verified = (SSL_get_verify_mode(session->ssl) & SSL_VERIFY_PEER) != 0;
    if (is_verified && verdict != X509_V_OK) {
        snprintf(session->reason, sizeof session->reason, "TLS: certificate verify failed: %s",
                 X509_verify_cert_error_string(verdict));
    } else {
        snprintf(session->reason, sizeof session->reason, "TLS: %s", io_tls_error_text());
    }
    ERR_clear_error();
}

/* result: what the OpenSSL call returned; system_error: errno right after it. */
static enum io_tls_result session_result(struct io_tls_session *session, int result,
                                         int system_error)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_NONE:
        return IO_TLS_DONE;
    case SSL_ERROR_WANT_READ:
        return IO_TLS_WANT_READ;
    case SSL_ERROR_WANT_WRITE:
        return IO_TLS_WANT_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return IO_TLS_ENDED;
    case SSL_ERROR_SYSCALL:
        if (system_error == 0) {
            return IO_TLS_ENDED;
        }
        snprintf(session->reason, sizeof session->reason, "%s",
                 system_error == ECONNRESET || system_error == EPIPE ? "connection reset"
                                                                     : strerror(system_error));
        return IO_TLS_FAILED;
    default:
        session_explain(session);
        return IO_TLS_FAILED;
    }
}

static void session_keep_uri(struct io_tls_session *session, const GENERAL_NAME *name)
{
    if (name->type != GEN_URI || session->uri_count == URIS_MAX) {
        return;
    }
    const ASN1_STRING *value = name->d.uniformResourceIdentifier;
    const char *text = (const char *)ASN1_STRING_get0_data(value);
    int length = ASN1_STRING_length(value);
    if (length <= 0 || length > URI_LENGTH_MAX || memchr(text, 0, (size_t)length) != NULL) {
        return; /* a hidden end would make another name of it */
    }
    char *uri = memory_allocate((size_t)length + 1);
    memcpy(uri, text, (size_t)length);
    uri[length] = 0;
    session->uris[session->uri_count++] = uri;
}

/* Names count only when the certificate was verified. */
static void session_keep_uris(struct io_tls_session *session)
{
    X509 *certificate = SSL_get0_peer_certificate(session->ssl);
    if (certificate == NULL || (SSL_get_verify_mode(session->ssl) & SSL_VERIFY_PEER) == 0 ||
        SSL_get_verify_result(session->ssl) != X509_V_OK) {
        return;
    }
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        session_keep_uri(session, sk_GENERAL_NAME_value(names, i));
    }
    GENERAL_NAMES_free(names);
}

enum io_tls_result io_tls_session_handshake(struct io_tls_session *session)
{
    require(!SSL_is_init_finished(session->ssl));
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(session->ssl);
    enum io_tls_result outcome = session_result(session, result, errno);
    if (outcome == IO_TLS_DONE) {
        session_keep_uris(session);
    }
    return outcome;
}

enum io_tls_result io_tls_session_read(struct io_tls_session *session, void *data, size_t size,
                                       size_t *done)
{
    require(size > 0);
    ERR_clear_error();
    errno = 0;
    int result = SSL_read_ex(session->ssl, data, size, done);
    return result == 1 ? IO_TLS_DONE : session_result(session, result, errno);
}

enum io_tls_result io_tls_session_write(struct io_tls_session *session, const void *data,
                                        size_t length, size_t *done)
{
    require(length > 0);
    ERR_clear_error();
    errno = 0;
    int result = SSL_write_ex(session->ssl, data, length, done);
    return result == 1 ? IO_TLS_DONE : session_result(session, result, errno);
}

void io_tls_session_shutdown(struct io_tls_session *session)
{
    ERR_clear_error();
    (void)SSL_shutdown(session->ssl);
    ERR_clear_error();
}

const char *io_tls_session_reason(const struct io_tls_session *session)
{
    return session->reason;
}

size_t io_tls_session_uri_count(const struct io_tls_session *session)
{
    return session->uri_count;
}

const char *io_tls_session_uri(const struct io_tls_session *session, size_t position)
{
    require(position < session->uri_count);
    return session->uris[position];
}
