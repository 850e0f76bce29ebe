/* SPDX-License-Identifier: Apache-2.0
 *
 * test_offset_for_leader_epoch.c -- OffsetForLeaderEpoch: where each epoch ended, in every version,
 * and what consumers are told of epochs that nobody knows.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_group.h"
#include "wire/offset_for_leader_epoch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION_MOST 4

typedef struct offset_for_leader_epoch_response_epoch_end_offset epoch_end;

static epoch_end ask(struct fixture *fixture, int16_t version, const char *name, int32_t partition,
                     int32_t current_epoch, int32_t epoch)
{
    struct exchange exchange;
    struct wire_writer writer;
    struct offset_for_leader_epoch_request body;
    struct offset_for_leader_epoch_response response;
    struct offset_for_leader_epoch_request_offset_for_leader_partition asked = {
        .partition = partition, .current_leader_epoch = current_epoch, .leader_epoch = epoch};
    struct offset_for_leader_epoch_request_offset_for_leader_topic topic = {
        .topic = {name, (int32_t)strlen(name)}, .partitions = &asked, .partitions_count = 1};
    offset_for_leader_epoch_request_init(&body);
    body.topics = &topic;
    body.topics_count = 1;
    wire_writer_init(&writer, 64);
    offset_for_leader_epoch_request_encode(&body, version, &writer);
    exchange_run(&exchange, &fixture->shard, api_offset_for_leader_epoch, version, &writer);
    shard_turn_until_answered(&fixture->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(offset_for_leader_epoch_response_decode(&response, version, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_int_equal(response.topics_count, 1);
    assert_int_equal(response.topics[0].partitions_count, 1);
    epoch_end answer = response.topics[0].partitions[0];
    assert_int_equal(answer.partition, partition);
    exchange_free(&exchange);
    return answer;
}

static void assert_ends(epoch_end answer, int32_t epoch, int64_t offset)
{
    assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
    assert_int_equal(answer.leader_epoch, epoch);
    assert_int_equal(answer.end_offset, offset);
}

/* "t": offsets 0 to 9 in epoch 7, 10 to 14 in epoch 9, nothing yet in 12. */
static void open_with_epochs(struct fixture *fixture)
{
    fixture_open(fixture);
    fixture_add_topic(fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(fixture, "t", 0);
    exchange_produce(&fixture->shard, "t", &(struct batch_spec){.record_count = 10});
    fake_group_commit_all(group);
    fake_group_lead(group, 9);
    exchange_produce(&fixture->shard, "t", &(struct batch_spec){.record_count = 5});
    fake_group_commit_all(group);
    fake_group_lead(group, 12);
}

static void epochs_end_where_the_next_one_began(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_epochs(&fixture);
    for (int16_t version = 1; version <= VERSION_MOST; version++) {
        assert_ends(ask(&fixture, version, "t", 0, -1, FIXTURE_TERM), FIXTURE_TERM, 10);
        assert_ends(ask(&fixture, version, "t", 0, -1, 8), FIXTURE_TERM, 10);
        assert_ends(ask(&fixture, version, "t", 0, -1, 9), 9, 15);
        assert_ends(ask(&fixture, version, "t", 0, 12, 11), 9, 15);
        assert_ends(ask(&fixture, version, "t", 0, 12, 12), 12, 15);
    }
    assert_ends(ask(&fixture, 0, "t", 0, -1, 9), -1, 15); /* version 0 does not tell the epoch */
    fixture_close(&fixture);
}

static void an_epoch_before_the_log_ends_at_its_start(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_epochs(&fixture);
    fake_group_drop_before(fixture_group(&fixture, "t", 0), 3);
    assert_ends(ask(&fixture, 4, "t", 0, -1, 2), 2, 3);
    fixture_close(&fixture);
}

static void nobody_knows_where_an_epoch_to_come_ends(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_epochs(&fixture);
    assert_ends(ask(&fixture, 4, "t", 0, -1, 13), -1, -1);
    assert_ends(ask(&fixture, 4, "t", 0, 12, -1), -1, -1);
    fixture_close(&fixture);
}

static void assert_refused(epoch_end answer, enum wire_error error)
{
    assert_int_equal(answer.error_code, error);
    assert_int_equal(answer.leader_epoch, -1);
    assert_int_equal(answer.end_offset, -1);
}

static void who_has_another_leader_in_mind_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_epochs(&fixture);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    assert_refused(ask(&fixture, 4, "t", 0, 9, 9), WIRE_ERROR_FENCED_LEADER_EPOCH);
    assert_refused(ask(&fixture, 2, "t", 0, 13, 9), WIRE_ERROR_UNKNOWN_LEADER_EPOCH);
    assert_refused(ask(&fixture, 4, "t", 1, -1, 9), WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    assert_refused(ask(&fixture, 0, "absent", 0, -1, 9), WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    fake_group_depose_unknowingly(group); /* it does not know of epochs that others began since */
    assert_refused(ask(&fixture, 4, "t", 0, -1, 9), WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    fake_group_follow(group, 2, 13);
    assert_refused(ask(&fixture, 4, "t", 0, -1, 9), WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(epochs_end_where_the_next_one_began),
        cmocka_unit_test(an_epoch_before_the_log_ends_at_its_start),
        cmocka_unit_test(nobody_knows_where_an_epoch_to_come_ends),
        cmocka_unit_test(who_has_another_leader_in_mind_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
