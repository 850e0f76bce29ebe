/* SPDX-License-Identifier: Apache-2.0
 *
 * test_broker.c -- a whole broker in this process: what refuses to start, and that it starts,
 * answers, ends and starts again on its data.
 */
#include "broker/broker.h"
#include "broker/config_table.h"
#include "broker/data_directory.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/trace.h"
#include "io/file.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct broker_config config;
};

static void set(struct broker_config *config, const char *key, const char *value)
{
    char error[256];
    const struct config_row *row = config_row_find(key);
    assert_non_null(row);
    assert_true(broker_config_set(config, row, value, error, sizeof error));
}

static void configure(struct fixture *fixture, const char *broker_id, const char *cluster)
{
    char error[256];
    broker_config_init(&fixture->config);
    set(&fixture->config, "broker_id", broker_id);
    set(&fixture->config, "cluster_name", cluster);
    set(&fixture->config, "data_directory", fixture->directory);
    set(&fixture->config, "kafka_listener", "127.0.0.1:0");
    set(&fixture->config, "peer_listener", "127.0.0.1:0");
    set(&fixture->config, "shards", "2");
    assert_true(broker_config_finish(&fixture->config, error, sizeof error));
}

static void reconfigure(struct fixture *fixture, const char *broker_id, const char *cluster)
{
    broker_config_free(&fixture->config);
    configure(fixture, broker_id, cluster);
}

static int set_up(void **state)
{
    struct fixture *fixture = memory_allocate_zeroed(sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/flotilla-broker-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    configure(fixture, "1", "ships");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    broker_config_free(&fixture->config);
    io_directory_remove_tree(fixture->directory);
    memory_free(fixture);
    return 0;
}

/* The lock on a data directory lasts as long as the process, and here that goes on. */
static void unlock(const struct fixture *fixture)
{
    char path[128];
    snprintf(path, sizeof path, "%s/lock", fixture->directory);
    assert_int_equal(io_path_remove(path), 0);
}

static struct broker *start(struct fixture *fixture)
{
    unlock(fixture);
    char error[256] = "";
    struct broker *broker = broker_start(&fixture->config, error, sizeof error);
    if (broker == NULL) {
        fail_msg("%s", error);
    }
    return broker;
}

static void stop(struct broker *broker)
{
    broker_request_stop(broker);
    assert_int_equal(broker_wait(broker), 0);
    broker_free(broker);
}

static int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = 10};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(socket_fd >= 0);
    setsockopt(socket_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(socket_fd, (struct sockaddr *)&address, sizeof address), 0);
    return socket_fd;
}

static void read_whole(int socket_fd, uint8_t *bytes, size_t length)
{
    size_t done = 0;
    while (done < length) {
        ssize_t count = recv(socket_fd, bytes + done, length - done, 0);
        assert_true(count > 0);
        done += (size_t)count;
    }
}

/* ApiVersions v0 with this correlation id. */
static const uint8_t *question(uint8_t correlation_id)
{
    static uint8_t frame[14];
    const uint8_t bytes[] = {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, correlation_id, 0xff, 0xff};
    memcpy(frame, bytes, sizeof frame);
    return frame;
}

static void expect_answer(int socket_fd, uint8_t correlation_id)
{
    uint8_t head[10];
    read_whole(socket_fd, head, sizeof head);
    size_t size = (size_t)head[2] << 8 | head[3];
    assert_int_equal(head[0] | head[1], 0);
    assert_int_equal(head[7], correlation_id);
    assert_int_equal(head[8] << 8 | head[9], 0); /* no error */
    uint8_t *rest = memory_allocate(size);
    read_whole(socket_fd, rest, size - 6);
    memory_free(rest);
}

static bool is_closed(int socket_fd)
{
    uint8_t byte = 0;
    return recv(socket_fd, &byte, 1, 0) <= 0;
}

static void test_starts_answers_ends_and_starts_again(void **state)
{
    for (int round = 0; round < 2; round++) {
        struct broker *broker = start(*state);
        int socket_fd = dial(broker_kafka_port(broker));
        send(socket_fd, question(7), 14, 0);
        expect_answer(socket_fd, 7);
        stop(broker);
        assert_true(is_closed(socket_fd));
        close(socket_fd);
    }
}

/* I-9: however a request is cut, the answer is the same. */
static void test_i9_split_points(void **state)
{
    struct broker *broker = start(*state);
    int socket_fd = dial(broker_kafka_port(broker));
    for (size_t split = 1; split < 14; split++) {
        const uint8_t *frame = question((uint8_t)split);
        send(socket_fd, frame, split, 0);
        send(socket_fd, frame + split, 14 - split, 0);
        expect_answer(socket_fd, (uint8_t)split);
    }
    close(socket_fd);
    stop(broker);
}

/* I-7: many requests before the first answer is read come back in order. */
static void test_i7_answers_in_order(void **state)
{
    struct broker *broker = start(*state);
    int socket_fd = dial(broker_kafka_port(broker));
    for (int i = 0; i < 1000; i++) {
        send(socket_fd, question((uint8_t)i), 14, 0);
    }
    for (int i = 0; i < 1000; i++) {
        expect_answer(socket_fd, (uint8_t)i);
    }
    close(socket_fd);
    stop(broker);
}

/* I-3, I-6, I-10, I-11, I-12 and P-6: closed without a word. */
static void test_bad_frames_close_the_connection(void **state)
{
    static const struct {
        bool to_brokers;
        uint8_t bytes[14];
    } cases[] = {
        {false, {0x7f, 0xff, 0xff, 0xff}},                                /* size 2^31 - 1 */
        {false, {0xff, 0xff, 0xff, 0xff}},                                /* negative */
        {false, {0, 0, 0, 7, 0, 18, 0, 0, 0, 0, 0}},                      /* too small to be one */
        {false, {0, 0, 0, 10, 0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff}}, /* unknown type */
        {false, {0, 0, 0, 10, 0, 3, 0x7f, 0xff, 0, 0, 0, 1, 0xff, 0xff}}, /* unknown version */
        {false, {0, 0, 0, 10, 3, 0xeb, 0, 0, 0, 0, 0, 1, 0xff, 0xff}},    /* 1003 from a client */
        {true, {0, 1, 0, 1}},                                             /* 64 KiB + 1 */
        {true, {0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}},       /* ApiVersions */
        {true, {0, 0, 0, 10, 3, 0xeb, 0, 0, 0, 0, 0, 1, 0xff, 0xff}}, /* 1003 before the hello */
    };
    struct broker *broker = start(*state);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int socket_fd =
            dial(cases[i].to_brokers ? broker_peer_port(broker) : broker_kafka_port(broker));
        send(socket_fd, cases[i].bytes, sizeof cases[i].bytes, 0);
        assert_true(is_closed(socket_fd));
        close(socket_fd);
    }
    stop(broker);
}

static void expect_refusal(struct fixture *fixture, const char *needle)
{
    char error[512] = "";
    unlock(fixture);
    assert_null(broker_start(&fixture->config, error, sizeof error));
    if (strstr(error, needle) == NULL) {
        fail_msg("'%s' does not mention '%s'", error, needle);
    }
}

static void test_foreign_directory_is_refused(void **state)
{
    struct fixture *fixture = *state;
    stop(start(fixture));
    reconfigure(fixture, "2", "ships");
    expect_refusal(fixture, "belongs to broker 1, not to broker 2");
    reconfigure(fixture, "1", "other-ships");
    expect_refusal(fixture, "belongs to cluster");
    reconfigure(fixture, "1", "ships");
    stop(start(fixture));
}

static void test_damaged_meta_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[128];
    stop(start(fixture));
    snprintf(path, sizeof path, "%s/meta", fixture->directory);
    struct io_file *file = NULL;
    assert_int_equal(io_file_open(&file, path, IO_OPEN_WRITE), 0);
    assert_int_equal(io_file_write(file, 20, "x", 1), 0);
    io_file_release(file);
    expect_refusal(fixture, "damaged");
}

static struct uuid start_id(uint64_t number)
{
    return uuid_from_random(2, number);
}

/* As the start of this number. */
static struct data_directory open_directory(struct fixture *fixture, uint64_t number)
{
    char error[512] = "";
    struct data_directory directory = {0};
    struct uuid fresh_id = uuid_from_random(1, number);
    struct uuid id = start_id(number);
    unlock(fixture);
    if (!data_directory_open(&directory, &fixture->config, &fresh_id, &id, error, sizeof error)) {
        fail_msg("%s", error);
    }
    return directory;
}

static void assert_starts(const struct data_directory *directory, uint64_t first, uint64_t last)
{
    assert_int_equal(directory->first_start, first);
    assert_int_equal(directory->start_count, last - first + 1);
    for (uint64_t i = first; i <= last; i++) {
        struct uuid expected = start_id(i);
        assert_true(uuid_equal(&directory->starts[i - first], &expected));
    }
}

/* As the version before wrote it: format 2, without starts.  One stands in it. */
static void make_meta_old(const struct fixture *fixture)
{
    char path[128];
    struct buf *content = NULL;
    snprintf(path, sizeof path, "%s/meta", fixture->directory);
    assert_int_equal(io_path_read(path, 4096, &content), 0);
    size_t length = content->length_bytes - sizeof(uint64_t) - sizeof(uint32_t) -
                    sizeof(struct uuid) - sizeof(uint32_t);
    assert_int_equal(content->data[7], 3);
    content->data[7] = 2;
    uint32_t crc = htonl(crc32c(0, content->data, length));
    memcpy(content->data + length, &crc, sizeof crc);
    assert_int_equal(io_path_replace(path, content->data, length + sizeof crc), 0);
    buf_release(content);
}

static void test_starts_are_written_down(void **state)
{
    struct fixture *fixture = *state;
    struct data_directory directory = open_directory(fixture, 1);
    struct uuid id = directory.id;
    assert_starts(&directory, 1, 1);
    const struct data_directory_founder founders[] = {{1, directory.id}};
    assert_int_equal(data_directory_set_founders(&directory, founders, 1), 0);
    directory = open_directory(fixture, 2); /* the first never heard of the cluster */
    assert_starts(&directory, 1, 2);
    assert_int_equal(data_directory_set_joined(&directory, 1234), 0);
    assert_starts(&directory, 1, 2);
    directory = open_directory(fixture, 3);
    assert_starts(&directory, 2, 3);
    assert_true(uuid_equal(&directory.id, &id));
    assert_int_equal(directory.founder_count, 1);
    assert_int_equal(directory.first_founded_group_id, 1234);
    reconfigure(fixture, "2", "ships");
    expect_refusal(fixture, "belongs to broker 1"); /* which is no start */
    reconfigure(fixture, "1", "ships");
    for (uint64_t i = 4; i <= CLUSTER_DIRECTORY_STARTS_MAX + 1; i++) {
        directory = open_directory(fixture, i);
        assert_starts(&directory, 2, i);
    }
    directory = open_directory(fixture, 99); /* goes by the last one's id */
    assert_starts(&directory, 2, CLUSTER_DIRECTORY_STARTS_MAX + 1);
}

static void test_meta_of_the_version_before_is_read(void **state)
{
    struct fixture *fixture = *state;
    struct data_directory first = open_directory(fixture, 1);
    assert_int_equal(data_directory_set_joined(&first, 1234), 0);
    make_meta_old(fixture);
    struct data_directory second = open_directory(fixture, 1);
    assert_starts(&second, 1, 1);
    assert_true(uuid_equal(&second.id, &first.id));
    assert_int_equal(second.first_founded_group_id, 1234);
    second = open_directory(fixture, 2);
    assert_starts(&second, 1, 2);
}

static void test_directory_in_use_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char error[512] = "";
    struct broker *broker = start(fixture);
    assert_null(broker_start(&fixture->config, error, sizeof error));
    assert_non_null(strstr(error, "in use by another process"));
    stop(broker);
}

static void test_busy_port_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct fixture other = {.directory = "/tmp/flotilla-broker-XXXXXX"};
    assert_non_null(mkdtemp(other.directory));
    configure(&other, "1", "ships");
    struct broker *broker = start(fixture);
    other.config.kafka_port = broker_kafka_port(broker);
    expect_refusal(&other, "address already in use");
    stop(broker);
    stop(start(&other));
    broker_config_free(&other.config);
    io_directory_remove_tree(other.directory);
}

/* Errors only: everything else is what brokers say all day. */
static void print_line(enum trace_level level, const char *line, void *context)
{
    (void)context;
    if (level == TRACE_ERROR) {
        fprintf(stderr, "%s\n", line);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    trace_install(print_line, NULL, TRACE_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_starts_answers_ends_and_starts_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_i9_split_points, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_i7_answers_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_frames_close_the_connection, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_foreign_directory_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damaged_meta_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_starts_are_written_down, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meta_of_the_version_before_is_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory_in_use_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_busy_port_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
