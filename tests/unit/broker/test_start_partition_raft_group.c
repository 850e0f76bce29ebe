/* SPDX-License-Identifier: Apache-2.0
 *
 * test_start_partition_raft_group.c -- a broker that does not know yet which groups existed before
 * its data directory founds none of them.
 */
#include "broker/api.h"
#include "broker/group_order.h"
#include "broker/reconciler.h"
#include "broker_fixture.h"
#include "wire/start_partition_raft_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define FIRST_FOUNDED 1010

static bool is_known;
static uint32_t started;
static bool has_joined; /* the one started last */

bool reconciler_knows_founding(const struct broker_shard *shard)
{
    (void)shard;
    return is_known;
}

bool reconciler_must_join(const struct broker_shard *shard, uint64_t group_id)
{
    (void)shard;
    return !is_known || group_id < FIRST_FOUNDED;
}

void group_order_start(struct broker_shard *shard, const struct partition_spec *spec,
                       const char *objection, group_order_done done, void *context)
{
    (void)shard;
    assert_null(objection);
    started++;
    has_joined = spec->join;
    done(context, &(struct group_order_result){.result = REPLICA_OK});
}

static void begin(struct fixture *fixture, bool knows)
{
    fixture_open(fixture);
    is_known = knows;
    started = 0;
    has_joined = false;
}

static void ask(struct fixture *fixture, struct exchange *exchange, uint64_t group_id, bool join)
{
    struct start_partition_raft_group_request_member members[3] = {
        {.broker_id = 1}, {.broker_id = 2}, {.broker_id = 3}};
    struct start_partition_raft_group_request request;
    start_partition_raft_group_request_init(&request);
    for (int i = 0; i < 3; i++) {
        members[i].host = wire_string_from("h");
    }
    request.group_id = (int64_t)group_id;
    request.topic_name = wire_string_from("t");
    request.topic_id = uuid_from_random(1, 2);
    request.join = join;
    request.members = members;
    request.members_count = 3;
    struct wire_writer body;
    wire_writer_init(&body, 128);
    start_partition_raft_group_request_encode(&request, 0, &body);
    exchange_run(exchange, &fixture->shard, api_start_partition_raft_group, 0, &body);
}

/* Returns the error code. */
static int answered(struct exchange *exchange)
{
    struct start_partition_raft_group_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(start_partition_raft_group_response_decode(&response, 0, &cursor));
    assert_int_equal(response.success, response.error_code == WIRE_ERROR_NONE);
    exchange_free(exchange);
    return response.error_code;
}

static void what_is_older_than_the_directory_is_joined(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    begin(&fixture, true);
    ask(&fixture, &exchange, FIRST_FOUNDED - 1, false);
    assert_int_equal(answered(&exchange), WIRE_ERROR_NONE);
    assert_true(has_joined);
    ask(&fixture, &exchange, FIRST_FOUNDED, false);
    assert_int_equal(answered(&exchange), WIRE_ERROR_NONE);
    assert_false(has_joined);
    assert_int_equal(started, 2);
    fixture_close(&fixture);
}

static void who_does_not_know_waits(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange older, newer;
    begin(&fixture, false);
    ask(&fixture, &older, FIRST_FOUNDED - 1, false);
    ask(&fixture, &newer, FIRST_FOUNDED, false);
    shard_turn(&fixture.shard);
    assert_int_equal(started, 0);

    is_known = true;
    shard_turn_until_answered(&fixture.shard, &older);
    shard_turn_until_answered(&fixture.shard, &newer);
    assert_int_equal(answered(&older), WIRE_ERROR_NONE);
    assert_int_equal(answered(&newer), WIRE_ERROR_NONE);
    assert_int_equal(started, 2);
    assert_false(has_joined);
    fixture_close(&fixture);
}

/* Who joins promises nothing. */
static void who_does_not_know_may_join(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    begin(&fixture, false);
    ask(&fixture, &exchange, FIRST_FOUNDED, true);
    assert_int_equal(answered(&exchange), WIRE_ERROR_NONE);
    assert_true(has_joined);
    fixture_close(&fixture);
}

static void who_never_learns_refuses(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    begin(&fixture, false);
    ask(&fixture, &exchange, FIRST_FOUNDED, false);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(answered(&exchange), WIRE_ERROR_REPLICA_NOT_AVAILABLE);
    assert_int_equal(started, 0);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_older_than_the_directory_is_joined),
        cmocka_unit_test(who_does_not_know_waits),
        cmocka_unit_test(who_does_not_know_may_join),
        cmocka_unit_test(who_never_learns_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
