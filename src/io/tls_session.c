/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_session.c -- OpenSSL on a non-blocking socket.
 *
 * OpenSSL's error queue belongs to the thread, not to the session, so it is emptied before every
 * call whose result is looked up in it.
 *
 * What OpenSSL writes is collected (tls_outgoing.h) and sent after the call, so OpenSSL itself
 * waits for the socket only to read.
 *
 * Locality: the loop's own thread.
 */
#include "io/tls_session.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/tls_internal.h"
#include "io/tls_outgoing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#define REASON_SIZE 160
#define RECORD_BYTES SSL3_RT_MAX_PLAIN_LENGTH
#define URIS_MAX 16
#define URI_LENGTH_MAX 512

struct io_tls_session {
    SSL *ssl;
    int fd;
    struct io_tls_outgoing outgoing;
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
    struct io_tls_session *session = memory_allocate_zeroed(sizeof *session);
    SSL *ssl = session->ssl = SSL_new(tls->context);
    session->fd = fd;
    BIO *outgoing = io_tls_outgoing_bio_new(tls->outgoing, &session->outgoing);
    if (ssl == NULL || outgoing == NULL || SSL_set_rfd(ssl, fd) != 1) {
        BIO_free(outgoing);
        io_tls_session_free(session);
        return NULL;
    }
    SSL_set0_wbio(ssl, outgoing);
    if (host != NULL) {
        SSL_set_connect_state(ssl);
        if (!session_is_literal_address(host)) {
            (void)SSL_set_tlsext_host_name(ssl, host);
        }
    } else {
        SSL_set_accept_state(ssl);
    }
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
    io_tls_outgoing_free(&session->outgoing);
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

static enum io_tls_result session_broken(struct io_tls_session *session, int error)
{
    snprintf(session->reason, sizeof session->reason, "%s",
             error == ECONNRESET || error == EPIPE ? "connection reset" : strerror(error));
    return IO_TLS_FAILED;
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
        return session_broken(session, system_error);
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
    if (io_tls_session_unsent_bytes(session) > 0) {
        enum io_tls_result sent = io_tls_session_send(session);
        if (sent != IO_TLS_DONE) {
            return sent;
        }
    }
    ERR_clear_error();
    errno = 0;
    int result = SSL_do_handshake(session->ssl);
    enum io_tls_result outcome = session_result(session, result, errno);
    enum io_tls_result sent = io_tls_session_send(session); /* an alert too, if there is one */
    if (outcome == IO_TLS_FAILED || outcome == IO_TLS_ENDED) {
        return outcome;
    }
    if (sent != IO_TLS_DONE) {
        return sent; /* and the handshake is asked again, finished or not */
    }
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
    enum io_tls_result outcome = result == 1 ? IO_TLS_DONE : session_result(session, result, errno);
    if (io_tls_session_unsent_bytes(session) > 0) {
        /* Reading is not what fails if the socket takes nothing any more: the next send will. */
        (void)io_tls_outgoing_send(&session->outgoing, session->fd);
    }
    return outcome;
}

/* Each record has a head, a checksum, and in TLS 1.3 a type. */
static size_t encrypted_bytes_most(size_t length)
{
    return length + (length / RECORD_BYTES + 1) * SSL3_RT_MAX_ENCRYPTED_OVERHEAD;
}

enum io_tls_result io_tls_session_write(struct io_tls_session *session, const void *data,
                                        size_t length)
{
    require(length > 0);
    const uint8_t *rest = data;
    io_tls_outgoing_reserve(&session->outgoing, encrypted_bytes_most(length));
    while (length > 0) {
        size_t done = 0;
        ERR_clear_error();
        errno = 0;
        int result = SSL_write_ex(session->ssl, rest, length, &done);
        if (result != 1) {
            enum io_tls_result outcome = session_result(session, result, errno);
            if (outcome == IO_TLS_FAILED) {
                return outcome;
            }
            /* We never wait to write, and a renegotiation is refused. */
            snprintf(session->reason, sizeof session->reason, "TLS: nothing can be written");
            return IO_TLS_FAILED;
        }
        ensure(done <= length);
        rest += done;
        length -= done;
    }
    return IO_TLS_DONE;
}

enum io_tls_result io_tls_session_send(struct io_tls_session *session)
{
    int result = io_tls_outgoing_send(&session->outgoing, session->fd);
    if (result == 0) {
        return IO_TLS_DONE;
    }
    return result == -EAGAIN ? IO_TLS_WANT_WRITE : session_broken(session, -result);
}

size_t io_tls_session_unsent_bytes(const struct io_tls_session *session)
{
    return session->outgoing.end - session->outgoing.begin;
}

void io_tls_session_shutdown(struct io_tls_session *session)
{
    ERR_clear_error();
    (void)SSL_shutdown(session->ssl);
    (void)io_tls_outgoing_send(&session->outgoing, session->fd);
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
