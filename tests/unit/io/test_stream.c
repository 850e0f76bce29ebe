/* SPDX-License-Identifier: Apache-2.0
 *
 * test_stream.c -- plain streams: both directions, large transfers, back-pressure, every way to
 * end.
 */
#include "io/stream.h"

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
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define LIMIT_MS 20000
#define MIB (1024u * 1024u)

static void open_pair(struct echo *echo)
{
    echo_begin(echo);
    echo_listen(echo, NULL);
    echo_connect(echo, NULL);
    echo->stops_when_opened = true;
    assert_true(echo_run(echo, LIMIT_MS));
    echo->stops_when_opened = false;
}

static void test_what_is_sent_comes_back(void **state)
{
    (void)state;
    struct echo echo;
    open_pair(&echo);
    echo.stop_after = 100;
    echo_send_pattern(echo.client, 0, 100);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_received, 100);
    assert_false(echo.is_mismatched);
    assert_int_equal(io_stream_queued_bytes(echo.client), 0);
    assert_int_equal(io_stream_peer_uri_count(echo.client), 0);
    echo_end(&echo);
}

static void test_a_large_transfer_both_ways_keeps_every_byte(void **state)
{
    (void)state;
    struct echo echo;
    open_pair(&echo);
    echo.stop_after = 24 * MIB;
    echo_send_pattern(echo.client, 0, 24 * MIB);
    assert_int_equal(io_stream_queued_bytes(echo.client), 24 * MIB);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_received, 24 * MIB);
    assert_int_equal(echo.server_received, 24 * MIB);
    assert_false(echo.is_mismatched);
    assert_int_equal(echo.drained, 1);
    echo_end(&echo);
}

static void test_expected_bytes_come_in_one_piece(void **state)
{
    (void)state;
    struct echo echo;
    open_pair(&echo);
    echo.expect = 3 * MIB;
    echo.stop_after = 3 * MIB;
    echo_send_pattern(echo.client, 0, 3 * MIB);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_received, 3 * MIB);
    assert_false(echo.is_mismatched);
    echo_end(&echo);
}

/* A server that keeps the buf of the first bytes it gets and compares them at the end. */
struct keeper {
    struct echo echo;
    struct buf *kept;
    const uint8_t *data;
    uint8_t copy[16];
};

static void keeper_data(struct io_stream *stream)
{
    struct keeper *keeper = container_of(io_stream_owner(stream), struct keeper, echo);
    size_t length = 0;
    struct buf *buf = NULL;
    const uint8_t *data = io_stream_input(stream, &length, &buf);
    if (keeper->kept == NULL && length >= sizeof keeper->copy) {
        keeper->kept = buf_reference(buf);
        keeper->data = data;
        memcpy(keeper->copy, data, sizeof keeper->copy);
    }
    keeper->echo.server_received += length;
    io_stream_consume(stream, length);
}

static void keeper_close(struct io_stream *stream, const char *reason)
{
    struct keeper *keeper = container_of(io_stream_owner(stream), struct keeper, echo);
    assert_string_equal(reason, "");
    keeper->echo.server_closed++;
    io_loop_stop(keeper->echo.loop);
}

static void test_kept_bytes_do_not_change_and_an_idle_stream_holds_no_buf(void **state)
{
    (void)state;
    static const struct io_stream_handler keeper_handler = {.on_data = keeper_data,
                                                            .on_close = keeper_close};
    struct keeper keeper = {0};
    struct echo *echo = &keeper.echo;
    size_t length = 0;
    struct buf *buf = NULL;
    echo_begin(echo);
    echo->server_handler = &keeper_handler;
    echo_listen(echo, NULL);
    echo_connect(echo, NULL);
    for (size_t i = 0; i < 200; i++) {
        echo_send_pattern(echo->client, i * 1000, 1000);
        while (echo->server_received < (i + 1) * 1000) {
            echo_run(echo, 1);
        }
    }
    assert_memory_equal(keeper.data, keeper.copy, sizeof keeper.copy);
    io_stream_input(echo->server, &length, &buf);
    assert_int_equal(length, 0);
    assert_null(buf);
    io_stream_close(echo->client);
    assert_true(echo_run(echo, LIMIT_MS));
    assert_memory_equal(keeper.data, keeper.copy, sizeof keeper.copy);
    buf_release(keeper.kept);
    echo_end(echo);
}

static void test_ranges_of_files_and_bytes_leave_in_order(void **state)
{
    (void)state;
    static uint8_t pattern[4 * MIB];
    struct echo echo;
    struct directory directory;
    struct io_file *file = NULL;
    directory_begin(&directory);
    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = echo_pattern(i);
    }
    assert_int_equal(io_file_open(&file, directory_join(&directory, "f"), IO_OPEN_CREATE), 0);
    assert_int_equal(io_file_write(file, 0, pattern, sizeof pattern), 0);
    open_pair(&echo);
    size_t position = 0;
    for (int i = 0; i < 40; i++) {
        echo_send_pattern(echo.client, position, 5);
        io_stream_send_file(echo.client, file, position + 5, 100000);
        position += 100005;
    }
    io_file_release(file);
    echo.stop_after = position;
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_received, position);
    assert_false(echo.is_mismatched);
    echo_end(&echo);
    directory_end(&directory);
}

static void test_a_file_shorter_than_its_range_ends_the_stream(void **state)
{
    (void)state;
    struct echo echo;
    struct directory directory;
    struct io_file *file = NULL;
    directory_begin(&directory);
    assert_int_equal(io_file_open(&file, directory_join(&directory, "f"), IO_OPEN_CREATE), 0);
    open_pair(&echo);
    io_stream_send_file(echo.client, file, 0, 10);
    io_file_release(file);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_closed, 1);
    assert_non_null(strstr(echo.client_reason, "file"));
    echo_end(&echo);
    directory_end(&directory);
}

/* Runs turn after turn until the client's queue stands still: kernel buffers on both sides are
 * full. */
static void run_until_stuck(struct echo *echo)
{
    size_t before = SIZE_MAX;
    int still = 0;
    while (still < 3) {
        assert_false(echo_run(echo, 20));
        size_t queued = io_stream_queued_bytes(echo->client);
        still = queued == before ? still + 1 : 0;
        before = queued;
    }
}

static void test_a_peer_that_does_not_read_holds_the_sender(void **state)
{
    (void)state;
    struct echo echo;
    echo_begin(&echo);
    echo.server_ignores = true;
    echo.server_is_silent = true;
    echo_listen(&echo, NULL);
    echo_connect(&echo, NULL);
    echo_send_pattern(echo.client, 0, 32 * MIB);
    run_until_stuck(&echo);
    assert_true(io_stream_queued_bytes(echo.client) > MIB);
    assert_int_equal(echo.server_received, 0);
    assert_int_equal(echo.drained, 0);
    io_stream_resume(echo.server);
    while (echo.drained == 0 || echo.server_received < 32 * MIB) {
        echo_run(&echo, 20);
    }
    assert_int_equal(echo.server_received, 32 * MIB);
    assert_int_equal(echo.drained, 1);
    echo_end(&echo);
}

static void test_close_drops_and_close_after_sending_keeps_what_is_queued(void **state)
{
    (void)state;
    struct echo echo;
    open_pair(&echo);
    echo.server_is_silent = true;
    echo_send_pattern(echo.client, 0, 5 * MIB);
    io_stream_close_after_sending(echo.client);
    echo_send_pattern(echo.client, 0, 100); /* too late */
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.server_received, 5 * MIB);
    assert_int_equal(echo.client_closed, 1);
    assert_int_equal(echo.server_closed, 1);
    assert_string_equal(echo.client_reason, "");
    assert_string_equal(echo.server_reason, "");
    echo_end(&echo);

    open_pair(&echo);
    echo.server_is_silent = true;
    echo_send_pattern(echo.client, 0, 5 * MIB);
    io_stream_close(echo.client);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.server_received, 0);
    assert_int_equal(echo.client_closed, 1);
    echo_end(&echo);
}

static void test_a_stream_closed_before_it_is_open_is_closed_once(void **state)
{
    (void)state;
    struct echo echo;
    echo_begin(&echo);
    echo_listen(&echo, NULL);
    echo_connect(&echo, NULL);
    io_stream_close(echo.client);
    io_stream_close(echo.client);
    assert_int_equal(echo.client_closed, 0); /* never from inside the call */
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.opened, 0);
    assert_int_equal(echo.client_closed, 1);
    echo_end(&echo);
}

/* A socket outside of the room, connected to the listener. */
static int connect_raw(const struct echo *echo)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(io_listener_address(echo->listener).port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_a_reset_is_told_apart_from_an_orderly_end(void **state)
{
    (void)state;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct echo echo;
    echo_begin(&echo);
    echo_listen(&echo, NULL);
    int fd = connect_raw(&echo);
    assert_int_equal(send(fd, "x", 1, 0), 1);
    while (echo.server_received == 0) {
        echo_run(&echo, 5);
    }
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_string_equal(echo.server_reason, "connection reset");

    fd = connect_raw(&echo);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_string_equal(echo.server_reason, "");
    assert_int_equal(echo.server_closed, 2);
    close(fd);
    echo_end(&echo);
}

static void test_a_paused_stream_hears_of_a_reset(void **state)
{
    (void)state;
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct echo echo;
    echo_begin(&echo);
    echo.server_ignores = true;
    echo_listen(&echo, NULL);
    int fd = connect_raw(&echo);
    while (echo.accepted == 0) {
        echo_run(&echo, 5);
    }
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    close(fd);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_string_equal(echo.server_reason, "connection reset");
    echo_end(&echo);
}

static void dial(struct echo *echo, const char *host, uint16_t port)
{
    struct io_connect_options options = {.host = host, .port = port, .connect_ms = 5000};
    echo->client = io_stream_connect(echo->loop, &options, echo_client_handler(), echo);
}

static void test_dialling_failures_name_their_cause(void **state)
{
    (void)state;
    struct echo echo;
    echo_begin(&echo);
    echo_listen(&echo, NULL);
    uint16_t port = io_listener_address(echo.listener).port;
    io_listener_close(echo.listener);
    echo.listener = NULL;
    dial(&echo, "127.0.0.1", port);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_string_equal(echo.client_reason, "connection refused");
    dial(&echo, "no-such-host.invalid", port);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_memory_equal(echo.client_reason, "cannot resolve host: ", 21);
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    dial(&echo, long_name, port);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_memory_equal(echo.client_reason, "cannot resolve host: ", 21);
    assert_int_equal(echo.client_closed, 3);
    assert_int_equal(echo.opened, 0);
    echo_end(&echo);
}

static void test_a_name_is_resolved_and_all_its_addresses_are_tried(void **state)
{
    (void)state;
    struct echo echo;
    echo_begin(&echo);
    echo_listen(&echo, NULL);
    dial(&echo, "localhost", io_listener_address(echo.listener).port);
    echo.stops_when_opened = true;
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.opened, 1);
    char text[IO_ADDRESS_TEXT_SIZE];
    io_address_format(io_stream_peer_address(echo.client), text);
    assert_memory_equal(text, "127.0.0.1:", 10);
    echo_end(&echo);
}

static void test_a_stream_that_ends_while_its_name_is_resolved(void **state)
{
    (void)state;
    struct echo echo;
    echo_begin(&echo);
    dial(&echo, "localhost", 1);
    io_stream_close(echo.client);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_closed, 1);
    dial(&echo, "localhost", 1); /* and one the loop ends under */
    echo_end(&echo);
}

static bool admit_nobody(struct io_listener *listener, const struct io_address *peer)
{
    (void)listener;
    assert_true(io_address_is_loopback(peer));
    return false;
}

static void accept_nobody(struct io_listener *listener, struct io_stream *stream)
{
    (void)listener;
    (void)stream;
    fail();
}

static void test_a_peer_that_is_not_admitted_is_closed_at_once(void **state)
{
    (void)state;
    struct echo echo;
    char error[200];
    echo_begin(&echo);
    struct io_listener_options options = {.admit = admit_nobody, .on_accept = accept_nobody};
    assert_true(io_address_parse(&options.address, "127.0.0.1", 0));
    echo.listener = io_listener_open(echo.loop, &options, error, sizeof error);
    assert_non_null(echo.listener);
    echo_connect(&echo, NULL);
    assert_true(echo_run(&echo, LIMIT_MS));
    assert_int_equal(echo.client_closed, 1);
    echo_end(&echo);
}

static void test_a_busy_port_is_named(void **state)
{
    (void)state;
    struct echo echo;
    char error[200] = "";
    char expected[200];
    char text[IO_ADDRESS_TEXT_SIZE];
    echo_begin(&echo);
    echo_listen(&echo, NULL);
    struct io_listener_options options = {.address = io_listener_address(echo.listener),
                                          .on_accept = accept_nobody};
    assert_null(io_listener_open(echo.loop, &options, error, sizeof error));
    snprintf(expected, sizeof expected, "cannot listen on %s: address already in use",
             io_address_format(&options.address, text));
    assert_string_equal(error, expected);
    echo_end(&echo);
}

static void test_shared_ports_take_two_listeners(void **state)
{
    (void)state;
    struct echo echo;
    char error[200] = "";
    echo_begin(&echo);
    struct io_listener_options options = {.share_port = true, .on_accept = accept_nobody};
    assert_true(io_address_parse(&options.address, "127.0.0.1", 0));
    echo.listener = io_listener_open(echo.loop, &options, error, sizeof error);
    assert_non_null(echo.listener);
    options.address = io_listener_address(echo.listener);
    struct io_listener *second = io_listener_open(echo.loop, &options, error, sizeof error);
    assert_non_null(second);
    io_listener_close(second);
    echo_end(&echo);
}

/* Out of descriptors the listener turns peers away, and serves again when there are some. */
static void test_running_out_of_descriptors_does_not_stop_the_listener(void **state)
{
    (void)state;
    struct echo echo;
    struct rlimit before;
    struct timeval patience = {.tv_sec = 5};
    char byte = 0;
    echo_begin(&echo);
    echo_listen(&echo, NULL);
    int fd = connect_raw(&echo);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none = {.rlim_cur = (rlim_t)fd + 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    echo_run(&echo, 50);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(echo.accepted, 0);
    assert_true(recv(fd, &byte, 1, 0) <= 0); /* closed, not left waiting */
    close(fd);
    echo_connect(&echo, NULL);
    echo.stops_when_opened = true;
    assert_true(echo_run(&echo, LIMIT_MS));
    echo_end(&echo);
}

static void test_addresses_as_text(void **state)
{
    (void)state;
    struct io_address address;
    char text[IO_ADDRESS_TEXT_SIZE];
    assert_true(io_address_parse(&address, "10.1.2.3", 9092));
    assert_string_equal(io_address_format(&address, text), "10.1.2.3:9092");
    assert_false(io_address_is_loopback(&address));
    assert_true(io_address_parse(&address, "::1", 9092));
    assert_string_equal(io_address_format(&address, text), "[::1]:9092");
    assert_true(io_address_is_loopback(&address));
    assert_true(io_address_parse(&address, "::ffff:127.0.0.1", 1));
    assert_string_equal(io_address_format(&address, text), "127.0.0.1:1");
    assert_true(io_address_is_loopback(&address));
    assert_false(io_address_parse(&address, "localhost", 1));
    assert_false(io_address_parse(&address, "1.2.3", 1));
    assert_false(io_address_parse(&address, "", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent_comes_back),
        cmocka_unit_test(test_a_large_transfer_both_ways_keeps_every_byte),
        cmocka_unit_test(test_expected_bytes_come_in_one_piece),
        cmocka_unit_test(test_kept_bytes_do_not_change_and_an_idle_stream_holds_no_buf),
        cmocka_unit_test(test_ranges_of_files_and_bytes_leave_in_order),
        cmocka_unit_test(test_a_file_shorter_than_its_range_ends_the_stream),
        cmocka_unit_test(test_a_peer_that_does_not_read_holds_the_sender),
        cmocka_unit_test(test_close_drops_and_close_after_sending_keeps_what_is_queued),
        cmocka_unit_test(test_a_stream_closed_before_it_is_open_is_closed_once),
        cmocka_unit_test(test_a_reset_is_told_apart_from_an_orderly_end),
        cmocka_unit_test(test_a_paused_stream_hears_of_a_reset),
        cmocka_unit_test(test_dialling_failures_name_their_cause),
        cmocka_unit_test(test_a_name_is_resolved_and_all_its_addresses_are_tried),
        cmocka_unit_test(test_a_stream_that_ends_while_its_name_is_resolved),
        cmocka_unit_test(test_a_peer_that_is_not_admitted_is_closed_at_once),
        cmocka_unit_test(test_a_busy_port_is_named),
        cmocka_unit_test(test_shared_ports_take_two_listeners),
        cmocka_unit_test(test_running_out_of_descriptors_does_not_stop_the_listener),
        cmocka_unit_test(test_addresses_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
