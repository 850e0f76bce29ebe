/* SPDX-License-Identifier: Apache-2.0
 *
 * test_raft_group_flow.c -- when the caller of a flow is told, and that flows end with their
 * broker. Brokers that never answer stand in for raft_group_flow_send.c.
 */
#include "loop_turn.h"

#include "base/memory.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/leader_table.h"
#include "broker/raft_group_flow.h"
#include "broker/raft_group_flow_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GROUP 1001
#define FAR_NS 60000000000ull

/* ---- Brokers that never answer ---- */

static uint32_t sent;

void flow_send_to(struct flow *flow, uint32_t broker_id)
{
    (void)broker_id;
    sent++;
    flow->unanswered++;
}

/* What is on its way fails with its connection. */
void flow_close_targets(struct flow *flow)
{
    flow->unanswered = 0;
}

/* ---- A shard with nothing but flows ---- */

struct fixture {
    struct shards *shards;
    struct broker_shard shard;
    struct cluster_partition partition;
    struct cluster_topic topic;
    uint32_t told;
    enum wire_error error;
};

static void open(struct fixture *fixture)
{
    struct broker_shard *shard = &fixture->shard;
    memset(fixture, 0, sizeof *fixture);
    sent = 0;
    fixture->shards = shards_new(1, 1);
    shard->shard = shards_get(fixture->shards, 0);
    shard->loop = shard_loop(shard->shard);
    shard->broker_id = 1;
    shard->leaders = leader_table_new();
    shard->flows = raft_group_flows_new(shard);
    fixture->partition =
        (struct cluster_partition){.group_id = GROUP, .replica_count = 3, .replicas = {1, 2, 3}};
    fixture->topic =
        (struct cluster_topic){.partition_count = 1, .partitions = &fixture->partition};
    snprintf(fixture->topic.name, sizeof fixture->topic.name, "events");
}

static void close_all(struct fixture *fixture)
{
    assert_true(raft_group_flows_are_done(fixture->shard.flows));
    raft_group_flows_free(fixture->shard.flows);
    leader_table_free(fixture->shard.leaders);
    shards_free(fixture->shards);
}

static void turn(struct fixture *fixture)
{
    loop_turn(fixture->shard.loop);
}

static void told(void *context, enum wire_error error)
{
    struct fixture *fixture = context;
    fixture->told++;
    fixture->error = error;
}

static void start(struct fixture *fixture)
{
    controller_start_groups(&fixture->shard, &fixture->topic, 0,
                            io_clock_ns(fixture->shard.loop) + FAR_NS, told, fixture);
}

/* ---- Tests ---- */

static void test_a_start_is_done_when_its_group_has_a_leader(void **state)
{
    struct fixture fixture;
    (void)state;
    open(&fixture);
    start(&fixture);
    assert_int_equal(sent, 3);
    turn(&fixture);
    assert_int_equal(fixture.told, 0);
    raft_group_flows_leader_known(fixture.shard.flows, GROUP, 2);
    assert_int_equal(fixture.told, 1);
    assert_int_equal(fixture.error, WIRE_ERROR_NONE);
    assert_false(raft_group_flows_are_done(fixture.shard.flows));
    raft_group_flows_stop(fixture.shard.flows);
    assert_int_equal(fixture.told, 1);
    close_all(&fixture);
}

static void test_a_stop_of_the_broker_ends_what_is_under_way(void **state)
{
    struct fixture fixture;
    (void)state;
    open(&fixture);
    start(&fixture);
    raft_group_flows_stop(fixture.shard.flows);
    assert_int_equal(fixture.told, 1);
    assert_int_equal(fixture.error, WIRE_ERROR_REQUEST_TIMED_OUT);
    close_all(&fixture);
}

static void test_what_begins_while_the_broker_ends_sends_nothing(void **state)
{
    struct fixture fixture;
    (void)state;
    open(&fixture);
    raft_group_flows_stop(fixture.shard.flows);
    start(&fixture);
    controller_stop_groups(&fixture.shard, &fixture.topic, io_clock_ns(fixture.shard.loop) + FAR_NS,
                           told, &fixture);
    assert_int_equal(fixture.told, 0); /* never from inside the call */
    turn(&fixture);
    assert_int_equal(sent, 0);
    assert_int_equal(fixture.told, 2);
    assert_int_equal(fixture.error, WIRE_ERROR_REQUEST_TIMED_OUT);
    close_all(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_start_is_done_when_its_group_has_a_leader),
        cmocka_unit_test(test_a_stop_of_the_broker_ends_what_is_under_way),
        cmocka_unit_test(test_what_begins_while_the_broker_ends_sends_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
