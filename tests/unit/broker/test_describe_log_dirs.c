/* SPDX-License-Identifier: Apache-2.0
 *
 * test_describe_log_dirs.c -- DescribeLogDirs and AlterReplicaLogDirs of a broker with one data
 * directory.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_group.h"
#include "wire/alter_replica_log_dirs.h"
#include "wire/describe_log_dirs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/tmp"

typedef struct describe_log_dirs_response_describe_log_dirs_result described_directory;

/* "t" with ten records in partition 0 and none in 1, "u" with one partition. */
static void begin(struct fixture *fixture)
{
    static char directory[] = DIRECTORY;
    fixture_open(fixture);
    fixture->config.data_directory = directory;
    fixture_add_topic(fixture, "t", 2, NULL);
    fixture_add_topic(fixture, "u", 1, NULL);
    exchange_produce(&fixture->shard, "t", &(struct batch_spec){.record_count = 10});
    fake_group_commit_all(fixture_group(fixture, "t", 0));
}

/* name NULL: of all topics. */
static void describe(struct fixture *fixture, struct exchange *exchange, int16_t version,
                     const char *name, int32_t *partitions, int32_t count,
                     struct describe_log_dirs_response *response)
{
    struct wire_writer writer;
    struct describe_log_dirs_request body;
    struct describe_log_dirs_request_describable_log_dir_topic topic = {.partitions = partitions,
                                                                        .partitions_count = count};
    describe_log_dirs_request_init(&body);
    body.topics_count = -1;
    if (name != NULL) {
        topic.topic = (struct wire_string){name, (int32_t)strlen(name)};
        body.topics = &topic;
        body.topics_count = 1;
    }
    wire_writer_init(&writer, 64);
    describe_log_dirs_request_encode(&body, version, &writer);
    exchange_run(exchange, &fixture->shard, api_describe_log_dirs, version, &writer);
    shard_turn_until_answered(&fixture->shard, exchange);
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(describe_log_dirs_response_decode(response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response->error_code, WIRE_ERROR_NONE);
    assert_int_equal(response->results_count, 1);
    assert_int_equal(response->results[0].error_code, WIRE_ERROR_NONE);
    assert_int_equal(response->results[0].log_dir.length, strlen(DIRECTORY));
    assert_memory_equal(response->results[0].log_dir.data, DIRECTORY, strlen(DIRECTORY));
}

static int64_t size_of(const described_directory *directory, const char *name, int32_t partition)
{
    for (int32_t i = 0; i < directory->topics_count; i++) {
        const struct describe_log_dirs_response_describe_log_dirs_topic *topic =
            &directory->topics[i];
        for (int32_t j = 0; j < topic->partitions_count; j++) {
            if (topic->name.length == 1 && topic->name.data[0] == name[0] &&
                topic->partitions[j].partition_index == partition) {
                assert_int_equal(topic->partitions[j].offset_lag, 0);
                assert_false(topic->partitions[j].is_future_key);
                return topic->partitions[j].partition_size;
            }
        }
    }
    return -1;
}

static void all_replicas_here_are_told(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct describe_log_dirs_response response;
    begin(&fixture);
    uint64_t size_bytes = log_size_bytes(replica_group_log(fixture_group(&fixture, "t", 0)));
    assert_true(size_bytes > 0);
    for (int16_t version = 0; version <= 4; version++) {
        describe(&fixture, &exchange, version, NULL, NULL, 0, &response);
        const described_directory *directory = response.results;
        assert_int_equal(directory->topics_count, 2);
        assert_int_equal(size_of(directory, "t", 0), size_bytes);
        assert_int_equal(size_of(directory, "t", 1), 0);
        assert_int_equal(size_of(directory, "u", 0), 0);
        if (version >= 4) {
            assert_true(directory->total_bytes > 0);
            assert_in_range(directory->usable_bytes, 0, directory->total_bytes);
        }
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void what_is_not_here_is_left_out(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct describe_log_dirs_response response;
    int32_t partitions[] = {1, 7, -1};
    begin(&fixture);
    describe(&fixture, &exchange, 2, "t", partitions, 3, &response);
    assert_int_equal(response.results[0].topics_count, 1);
    assert_int_equal(response.results[0].topics[0].partitions_count, 1);
    assert_int_equal(size_of(response.results, "t", 1), 0);
    exchange_free(&exchange);
    describe(&fixture, &exchange, 2, "absent", partitions, 1, &response);
    assert_int_equal(response.results[0].topics_count, 0);
    exchange_free(&exchange);
    fixture.shard.broker_id = 9; /* holds no replica */
    describe(&fixture, &exchange, 2, NULL, NULL, 0, &response);
    assert_int_equal(response.results[0].topics_count, 0);
    exchange_free(&exchange);
    fixture.shard.broker_id = 1;
    fixture_close(&fixture);
}

static enum wire_error alter(struct fixture *fixture, int16_t version, const char *path,
                             const char *name, int32_t partition)
{
    struct exchange exchange;
    struct wire_writer writer;
    struct alter_replica_log_dirs_request body;
    struct alter_replica_log_dirs_response response;
    struct alter_replica_log_dirs_request_alter_replica_log_dir_topic topic = {
        .name = {name, (int32_t)strlen(name)}, .partitions = &partition, .partitions_count = 1};
    struct alter_replica_log_dirs_request_alter_replica_log_dir directory = {
        .path = {path, (int32_t)strlen(path)}, .topics = &topic, .topics_count = 1};
    alter_replica_log_dirs_request_init(&body);
    body.dirs = &directory;
    body.dirs_count = 1;
    wire_writer_init(&writer, 64);
    alter_replica_log_dirs_request_encode(&body, version, &writer);
    exchange_run(&exchange, &fixture->shard, api_alter_replica_log_dirs, version, &writer);
    shard_turn_until_answered(&fixture->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(alter_replica_log_dirs_response_decode(&response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response.results_count, 1);
    assert_int_equal(response.results[0].partitions[0].partition_index, partition);
    enum wire_error error = (enum wire_error)response.results[0].partitions[0].error_code;
    exchange_free(&exchange);
    return error;
}

static void a_replica_is_in_the_only_directory_there_is(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture);
    for (int16_t version = 0; version <= 2; version++) {
        assert_int_equal(alter(&fixture, version, DIRECTORY, "t", 1), WIRE_ERROR_NONE);
        assert_int_equal(alter(&fixture, version, "/elsewhere", "t", 1),
                         WIRE_ERROR_LOG_DIR_NOT_FOUND);
    }
    assert_int_equal(alter(&fixture, 2, DIRECTORY, "t", 2), WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_int_equal(alter(&fixture, 2, DIRECTORY, "absent", 0),
                     WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fixture.shard.broker_id = 9;
    assert_int_equal(alter(&fixture, 2, DIRECTORY, "t", 0), WIRE_ERROR_REPLICA_NOT_AVAILABLE);
    fixture.shard.broker_id = 1;
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_replicas_here_are_told),
        cmocka_unit_test(what_is_not_here_is_left_out),
        cmocka_unit_test(a_replica_is_in_the_only_directory_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
