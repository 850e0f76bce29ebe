/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tls.c -- streams under TLS: who gets in, with which names, and that bytes survive.
 */
#include "io/tls.h"

#include "certificates.h"
#include "directory.h"
#include "echo.h"
#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LIMIT_MS 20000
#define MIB (1024u * 1024u)
#define BOTH_USAGES "serverAuth,clientAuth"

/* Everything one connection needs: an authority, another one, and the two ends' keys. */
struct fixture {
    struct directory directory;
    struct authority *authority;
    struct authority *stranger;
    struct echo echo;
    struct io_tls *server;
    struct io_tls *client;
};

static const struct certificate_wish good_server = {"flotilla://broker/1", BOTH_USAGES, false};
static const struct certificate_wish good_client = {"flotilla://broker/2", BOTH_USAGES, false};

static void fixture_begin(struct fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    directory_begin(&fixture->directory);
    fixture->authority = authority_new(directory_join(&fixture->directory, "ca.pem"));
    fixture->stranger = authority_new(directory_join(&fixture->directory, "stranger.pem"));
    echo_begin(&fixture->echo);
}

static struct io_tls *fixture_tls(struct fixture *fixture, struct authority *signer,
                                  const struct certificate_wish *wish, bool verify_peer)
{
    char error[300] = "";
    struct io_tls_options options = {
        .ca_path = directory_join(&fixture->directory, "ca.pem"),
        .verify_peer = verify_peer,
    };
    if (wish != NULL) {
        options.certificate_path = directory_join(&fixture->directory, "peer.pem");
        options.key_path = directory_join(&fixture->directory, "peer.key");
        authority_issue(signer, wish, options.certificate_path, options.key_path);
    }
    struct io_tls *tls = io_tls_new(&options, error, sizeof error);
    assert_string_equal(error, "");
    assert_non_null(tls);
    return tls;
}

static void fixture_end(struct fixture *fixture)
{
    echo_end(&fixture->echo);
    io_tls_free(fixture->server);
    io_tls_free(fixture->client);
    authority_free(fixture->authority);
    authority_free(fixture->stranger);
    directory_end(&fixture->directory);
}

static void fixture_begin_good(struct fixture *fixture)
{
    fixture_begin(fixture);
    fixture->server = fixture_tls(fixture, fixture->authority, &good_server, true);
    fixture->client = fixture_tls(fixture, fixture->authority, &good_client, true);
    echo_listen(&fixture->echo, fixture->server);
    echo_connect(&fixture->echo, fixture->client);
}

static void test_both_ends_know_each_other_and_bytes_survive(void **state)
{
    (void)state;
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin_good(&fixture);
    echo->stop_after = 9 * MIB;
    echo_send_pattern(echo->client, 0, 9 * MIB); /* queued before the handshake */
    assert_true(echo_run(echo, LIMIT_MS));
    assert_int_equal(echo->client_received, 9 * MIB);
    assert_false(echo->is_mismatched);
    assert_int_equal(io_stream_peer_uri_count(echo->client), 1);
    assert_string_equal(io_stream_peer_uri(echo->client, 0), "flotilla://broker/1");
    assert_string_equal(echo->server_uri, "flotilla://broker/2");
    io_stream_close(echo->client);
    assert_true(echo_run(echo, LIMIT_MS));
    assert_string_equal(echo->client_reason, "");
    assert_string_equal(echo->server_reason, "");
    assert_int_equal(echo->client_closed, 1);
    assert_int_equal(echo->server_closed, 1);
    fixture_end(&fixture);
}

static void test_file_ranges_and_small_slices_mix(void **state)
{
    (void)state;
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    struct io_file *file = NULL;
    fixture_begin_good(&fixture);
    assert_int_equal(
        io_file_open(&file, directory_join(&fixture.directory, "data"), IO_OPEN_CREATE), 0);
    static uint8_t pattern[MIB];
    for (size_t i = 0; i < MIB; i++) {
        pattern[i] = echo_pattern(i);
    }
    assert_int_equal(io_file_write(file, 0, pattern, MIB), 0);
    echo_send_pattern(echo->client, 0, 100);
    io_stream_send_file(echo->client, file, 100, 300000);
    echo_send_pattern(echo->client, 300100, 7);
    io_stream_send_file(echo->client, file, 300107, MIB - 300107);
    io_file_release(file);
    echo->stop_after = MIB;
    assert_true(echo_run(echo, LIMIT_MS));
    assert_int_equal(echo->client_received, MIB);
    assert_false(echo->is_mismatched);
    fixture_end(&fixture);
}

/* A peer the server must refuse.  Under TLS 1.3 the dialling end may be open before it hears of it.
 */
static void assert_client_refused(struct authority *(*signer)(struct fixture *fixture),
                                  const struct certificate_wish *wish, const char *reason)
{
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin(&fixture);
    fixture.server = fixture_tls(&fixture, fixture.authority, &good_server, true);
    fixture.client = fixture_tls(&fixture, signer(&fixture), wish, true);
    echo_listen(echo, fixture.server);
    echo_connect(echo, fixture.client);
    while (echo->refused == 0 || echo->client_closed == 0) {
        assert_true(echo_run(echo, LIMIT_MS));
    }
    assert_int_equal(echo->accepted, 0);
    assert_int_equal(echo->refused, 1);
    assert_int_equal(echo->client_closed, 1);
    assert_non_null(strstr(echo->refused_reason, reason));
    assert_string_not_equal(echo->client_reason, "");
    fixture_end(&fixture);
}

static struct authority *ours(struct fixture *fixture)
{
    return fixture->authority;
}

static struct authority *stranger(struct fixture *fixture)
{
    return fixture->stranger;
}

static void test_a_client_without_certificate_is_refused(void **state)
{
    (void)state;
    assert_client_refused(ours, NULL, "did not return a certificate");
}

static void test_a_client_of_another_authority_is_refused(void **state)
{
    (void)state;
    assert_client_refused(stranger, &good_client, "certificate verify failed");
}

static void test_an_expired_client_is_refused(void **state)
{
    (void)state;
    struct certificate_wish wish = good_client;
    wish.is_expired = true;
    assert_client_refused(ours, &wish, "expired");
}

static void test_a_client_with_a_servers_certificate_is_refused(void **state)
{
    (void)state;
    struct certificate_wish wish = good_client;
    wish.extended_usage = "serverAuth";
    assert_client_refused(ours, &wish, "purpose");
}

/* A server the dialling end must refuse. */
static void assert_server_refused(struct authority *(*signer)(struct fixture *fixture),
                                  const struct certificate_wish *wish, const char *reason)
{
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin(&fixture);
    fixture.server = fixture_tls(&fixture, signer(&fixture), wish, true);
    fixture.client = fixture_tls(&fixture, fixture.authority, &good_client, true);
    echo_listen(echo, fixture.server);
    echo_connect(echo, fixture.client);
    while (echo->client_closed == 0) {
        assert_true(echo_run(echo, LIMIT_MS));
    }
    assert_int_equal(echo->opened, 0);
    assert_int_equal(echo->client_closed, 1);
    assert_non_null(strstr(echo->client_reason, reason));
    fixture_end(&fixture);
}

static void test_bad_servers_are_refused(void **state)
{
    (void)state;
    struct certificate_wish wish = good_server;
    assert_server_refused(stranger, &wish, "certificate verify failed");
    wish.extended_usage = "clientAuth";
    assert_server_refused(ours, &wish, "purpose");
    wish = good_server;
    wish.is_expired = true;
    assert_server_refused(ours, &wish, "expired");
}

static void test_without_verification_a_client_needs_no_certificate_and_has_no_name(void **state)
{
    (void)state;
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin(&fixture);
    fixture.server = fixture_tls(&fixture, fixture.authority, &good_server, false);
    fixture.client = fixture_tls(&fixture, fixture.authority, NULL, true);
    echo_listen(echo, fixture.server);
    echo_connect(echo, fixture.client);
    echo_send_pattern(echo->client, 0, 1000);
    echo->stop_after = 1000;
    assert_true(echo_run(echo, LIMIT_MS));
    assert_int_equal(io_stream_peer_uri_count(echo->server), 0);
    fixture_end(&fixture);
}

static void test_plain_bytes_on_a_tls_port_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin(&fixture);
    fixture.server = fixture_tls(&fixture, fixture.authority, &good_server, true);
    echo_listen(echo, fixture.server);
    echo_connect(echo, NULL);
    echo_send_pattern(echo->client, 0, 1000);
    while (echo->refused == 0) {
        assert_true(echo_run(echo, LIMIT_MS));
    }
    assert_int_equal(echo->accepted, 0);
    assert_memory_equal(echo->refused_reason, "TLS: ", 5);
    fixture_end(&fixture);
}

/* One end speaks TLS and the other keeps silent. */
static void test_a_handshake_that_goes_nowhere_is_ended(void **state)
{
    (void)state;
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin(&fixture);
    fixture.server = fixture_tls(&fixture, fixture.authority, &good_server, true);
    echo->patience_ms = 30;
    echo_listen(echo, fixture.server);
    echo_connect(echo, NULL);
    while (echo->refused == 0) {
        assert_true(echo_run(echo, LIMIT_MS));
    }
    assert_string_equal(echo->refused_reason, "timed out during the TLS handshake");
    fixture_end(&fixture);

    fixture_begin(&fixture);
    fixture.client = fixture_tls(&fixture, fixture.authority, &good_client, true);
    echo->patience_ms = 30;
    echo->server_is_silent = true;
    echo_listen(echo, NULL);
    echo_connect(echo, fixture.client);
    while (echo->client_closed == 0) {
        assert_true(echo_run(echo, LIMIT_MS));
    }
    assert_string_equal(echo->client_reason, "timed out during the TLS handshake");
    assert_int_equal(echo->opened, 0);
    fixture_end(&fixture);
}

static void test_closing_a_listener_ends_its_handshakes_silently(void **state)
{
    (void)state;
    struct fixture fixture;
    struct echo *echo = &fixture.echo;
    fixture_begin(&fixture);
    fixture.server = fixture_tls(&fixture, fixture.authority, &good_server, true);
    echo_listen(echo, fixture.server);
    echo_connect(echo, NULL);
    echo->stops_when_opened = true;
    assert_true(echo_run(echo, LIMIT_MS));
    echo_run(echo, 10);
    io_listener_close(echo->listener);
    echo->listener = NULL;
    assert_true(echo_run(echo, LIMIT_MS));
    assert_int_equal(echo->client_closed, 1);
    assert_int_equal(echo->refused, 0);
    assert_int_equal(echo->accepted, 0);
    fixture_end(&fixture);
}

static void test_key_and_certificate_files_are_checked(void **state)
{
    (void)state;
    struct fixture fixture;
    char error[300];
    fixture_begin(&fixture);
    struct io_tls_options options = {
        .ca_path = directory_join(&fixture.directory, "ca.pem"),
        .certificate_path = directory_join(&fixture.directory, "peer.pem"),
        .key_path = directory_join(&fixture.directory, "peer.key"),
        .verify_peer = true,
    };
    assert_null(io_tls_new(&options, error, sizeof error));
    assert_non_null(strstr(error, options.certificate_path));
    authority_issue(fixture.authority, &good_server, options.certificate_path, options.key_path);
    assert_int_equal(chmod(options.key_path, 0640), 0);
    assert_null(io_tls_new(&options, error, sizeof error));
    assert_non_null(strstr(error, options.key_path));
    assert_int_equal(chmod(options.key_path, 0600), 0);
    const char *other_key = directory_join(&fixture.directory, "other.key");
    authority_issue(fixture.authority, &good_server,
                    directory_join(&fixture.directory, "other.pem"), other_key);
    const char *right_key = options.key_path;
    options.key_path = other_key;
    assert_null(io_tls_new(&options, error, sizeof error));
    assert_non_null(strstr(error, other_key));
    options.key_path = right_key;
    options.ca_path = "/no/such.pem";
    assert_null(io_tls_new(&options, error, sizeof error));
    assert_non_null(strstr(error, "/no/such.pem"));
    fixture_end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ends_know_each_other_and_bytes_survive),
        cmocka_unit_test(test_file_ranges_and_small_slices_mix),
        cmocka_unit_test(test_a_client_without_certificate_is_refused),
        cmocka_unit_test(test_a_client_of_another_authority_is_refused),
        cmocka_unit_test(test_an_expired_client_is_refused),
        cmocka_unit_test(test_a_client_with_a_servers_certificate_is_refused),
        cmocka_unit_test(test_bad_servers_are_refused),
        cmocka_unit_test(test_without_verification_a_client_needs_no_certificate_and_has_no_name),
        cmocka_unit_test(test_plain_bytes_on_a_tls_port_are_refused),
        cmocka_unit_test(test_a_handshake_that_goes_nowhere_is_ended),
        cmocka_unit_test(test_closing_a_listener_ends_its_handshakes_silently),
        cmocka_unit_test(test_key_and_certificate_files_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
