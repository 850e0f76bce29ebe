/* SPDX-License-Identifier: Apache-2.0
 *
 * test_membership.c -- joining, syncing, heartbeats, leaving; static members; the loss of a
 * coordinator.
 */
#include "coordinator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void assert_assigned(const struct client *client)
{
    assert_int_equal(client->sync.error, WIRE_ERROR_NONE);
    assert_int_equal(client->sync.assignment.length, strlen(client->name));
    assert_memory_equal(client->sync.assignment.data, client->name, strlen(client->name));
}

/* A first member, then a second: both in the generation that results. */
static void two_members(struct coordinator *coordinator, struct client *first,
                        struct client *second)
{
    client_join(coordinator, first);
    assert_int_equal(first->join.error, WIRE_ERROR_NONE);
    client_join(coordinator, second);
    assert_int_equal(second->joins_open, 1);
    if (first->syncs_open == 0 && strcmp(group_state_text(coordinator->leader), "Stable") == 0) {
        assert_int_equal(client_heartbeat(coordinator, first), WIRE_ERROR_REBALANCE_IN_PROGRESS);
    }
    client_join(coordinator, first);
    assert_int_equal(second->join.error, WIRE_ERROR_NONE);
    assert_int_equal(first->generation, second->generation);
    struct client *members[] = {first, second};
    client_sync(coordinator, second);
    client_assign(coordinator, first, members, 2);
    assert_int_equal(second->syncs_open, 1); /* not before it is kept */
    coordinator_commit(coordinator);
    assert_assigned(first);
    assert_assigned(second);
    assert_string_equal(group_state_text(coordinator->leader), "Stable");
}

static void a_group_forms_and_only_the_leader_hears_of_all(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    two_members(&coordinator, &anna, &bert);
    assert_int_equal(anna.join.member_count, 2);
    assert_int_equal(bert.join.member_count, 0);
    assert_int_equal(bert.join.leader.length, strlen(anna.member_id));
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_NONE);
    assert_int_equal(client_heartbeat(&coordinator, &bert), WIRE_ERROR_NONE);

    bert.generation--;
    assert_int_equal(client_heartbeat(&coordinator, &bert), WIRE_ERROR_ILLEGAL_GENERATION);
    client_sync(&coordinator, &bert);
    assert_int_equal(bert.sync.error, WIRE_ERROR_ILLEGAL_GENERATION);
    bert.generation++;
    client_sync(&coordinator, &bert); /* again, as its answer was lost */
    assert_assigned(&bert);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void the_first_rebalance_waits_for_more_members(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    coordinator_init(&coordinator, 3000);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_join(&coordinator, &anna);
    coordinator_pass(&coordinator, 2000);
    client_join(&coordinator, &bert);
    coordinator_pass(&coordinator, 2000);
    assert_int_equal(anna.joins_open, 1); /* somebody came: once more the delay */
    coordinator_pass(&coordinator, 2100);
    assert_int_equal(anna.joins_open, 0);
    assert_int_equal(bert.joins_open, 0);
    assert_int_equal(anna.generation, 1);
    assert_int_equal(bert.generation, 1);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void a_client_comes_back_with_the_id_it_is_given(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client lost;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&lost, "lost");
    anna.requires_member_id = true;
    lost.requires_member_id = true;
    client_join(&coordinator, &anna);
    assert_int_equal(anna.join.error, WIRE_ERROR_MEMBER_ID_REQUIRED);
    assert_memory_equal(anna.member_id, "anna-", 5);
    client_join(&coordinator, &lost); /* and never comes back */
    client_join(&coordinator, &anna);
    assert_int_equal(anna.joins_open, 1); /* it waits for the other promise */
    coordinator_pass(&coordinator, 10100);
    assert_int_equal(anna.joins_open, 0);
    assert_int_equal(anna.join.error, WIRE_ERROR_NONE);
    assert_int_equal(anna.join.member_count, 1);
    client_join(&coordinator, &lost);
    assert_int_equal(lost.join.error, WIRE_ERROR_UNKNOWN_MEMBER_ID);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&lost);
}

static void a_silent_member_is_dropped_and_the_others_go_on(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    two_members(&coordinator, &anna, &bert);
    for (int i = 0; i < 4; i++) {
        coordinator_pass(&coordinator, 3000);
        (void)client_heartbeat(&coordinator, &bert);
    }
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_UNKNOWN_MEMBER_ID);
    assert_int_equal(client_heartbeat(&coordinator, &bert), WIRE_ERROR_REBALANCE_IN_PROGRESS);
    client_join(&coordinator, &bert);
    assert_int_equal(bert.join.error, WIRE_ERROR_NONE);
    assert_int_equal(bert.join.member_count, 1);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void a_member_that_waits_is_not_dropped(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    struct client curt;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_init(&curt, "curt");
    two_members(&coordinator, &anna, &bert);
    client_join(&coordinator, &curt);
    client_join(&coordinator, &bert);
    for (int i = 0; i < 10; i++) { /* anna is busy, but alive; the others wait without heartbeats */
        coordinator_pass(&coordinator, 5000);
        assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_REBALANCE_IN_PROGRESS);
    }
    assert_int_equal(bert.joins_open, 1);
    assert_int_equal(curt.joins_open, 1);
    coordinator_pass(&coordinator, 10100); /* the rebalance timeout: anna is left behind */
    assert_int_equal(bert.join.error, WIRE_ERROR_NONE);
    assert_int_equal(curt.join.error, WIRE_ERROR_NONE);
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_UNKNOWN_MEMBER_ID);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
    client_free(&curt);
}

static void members_that_never_sync_are_dropped(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    anna.session_timeout_ms = 1000000;
    client_join(&coordinator, &anna);
    client_join(&coordinator, &bert);
    client_join(&coordinator, &anna);
    client_sync(&coordinator, &bert); /* the leader never says who gets what */
    coordinator_pass(&coordinator, 60100);
    assert_int_equal(bert.syncs_open, 0);
    assert_int_equal(bert.sync.error, WIRE_ERROR_REBALANCE_IN_PROGRESS);
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_UNKNOWN_MEMBER_ID);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void leaving_moves_the_group_on(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    two_members(&coordinator, &anna, &bert);
    assert_int_equal(client_leave(&coordinator, &anna), WIRE_ERROR_NONE);
    assert_int_equal(client_leave(&coordinator, &anna), WIRE_ERROR_UNKNOWN_MEMBER_ID);
    client_join(&coordinator, &bert);
    assert_int_equal(bert.join.member_count, 1);
    assert_int_equal(client_leave(&coordinator, &bert), WIRE_ERROR_NONE);
    assert_string_equal(group_state_text(coordinator.leader), "Empty");
    coordinator_commit(&coordinator);
    coordinator_fail_over(&coordinator);
    assert_string_equal(group_state_text(coordinator.leader), "Empty");
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void a_static_member_that_restarts_disturbs_nobody(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    struct client again;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_init(&again, "bert");
    bert.instance_id = "pod-1";
    again.instance_id = "pod-1";
    two_members(&coordinator, &anna, &bert);
    client_join(&coordinator, &again);
    assert_int_equal(again.join.error, WIRE_ERROR_NONE);
    assert_int_equal(again.generation, bert.generation);
    assert_string_not_equal(again.member_id, bert.member_id);
    assert_string_equal(group_state_text(coordinator.leader), "Stable");
    client_sync(&coordinator, &again);
    assert_assigned(&again);
    assert_int_equal(client_heartbeat(&coordinator, &bert), WIRE_ERROR_FENCED_INSTANCE_ID);
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_NONE);
    struct client_commit commit;
    client_commit(&coordinator, &bert, &commit, 7);
    assert_int_equal(commit.error, WIRE_ERROR_FENCED_INSTANCE_ID);

    coordinator_commit(&coordinator); /* the next coordinator knows the new id */
    coordinator_fail_over(&coordinator);
    assert_int_equal(client_heartbeat(&coordinator, &again), WIRE_ERROR_NONE);
    assert_int_equal(client_heartbeat(&coordinator, &bert), WIRE_ERROR_FENCED_INSTANCE_ID);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
    client_free(&again);
}

static void a_static_leader_that_restarts_skips_the_assignment(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    struct client again;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_init(&again, "anna");
    anna.instance_id = "pod-0";
    again.instance_id = "pod-0";
    two_members(&coordinator, &anna, &bert);
    client_join(&coordinator, &again); /* an old client: must not believe that it leads */
    assert_int_equal(again.join.leader.length, strlen(anna.member_id));
    assert_memory_equal(again.join.leader.data, anna.member_id, strlen(anna.member_id));
    assert_int_equal(again.join.member_count, 0);
    again.member_id[0] = '\0';
    again.can_skip_assignment = true;
    client_join(&coordinator, &again);
    assert_true(again.join.skip_assignment);
    assert_int_equal(again.join.member_count, 2);
    assert_string_equal(group_state_text(coordinator.leader), "Stable");
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
    client_free(&again);
}

static void the_loss_of_a_coordinator_costs_no_rebalance(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    struct client_commit commit;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    two_members(&coordinator, &anna, &bert);
    client_commit(&coordinator, &bert, &commit, 41);
    assert_int_equal(commit.error, -1000);
    coordinator_commit(&coordinator);
    assert_int_equal(commit.error, WIRE_ERROR_NONE);
    coordinator_fail_over(&coordinator);
    assert_string_equal(group_state_text(coordinator.leader), "Stable");
    coordinator_pass(&coordinator, 9000); /* within the session timeout */
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_NONE);
    assert_int_equal(client_heartbeat(&coordinator, &bert), WIRE_ERROR_NONE);
    client_sync(&coordinator, &bert);
    assert_assigned(&bert);
    assert_int_equal(committed(coordinator.leader, "payments", 0), 41);
    assert_int_equal(committed(coordinator.leader, "payments", 1), -1);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void whoever_waits_at_the_lost_coordinator_is_told(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_join(&coordinator, &anna);
    struct client *members[] = {&anna};
    client_assign(&coordinator, &anna, members, 1);
    client_join(&coordinator, &bert);
    coordinator_fail_over(&coordinator);
    assert_int_equal(anna.sync.error, WIRE_ERROR_REBALANCE_IN_PROGRESS);
    assert_int_equal(bert.join.error, WIRE_ERROR_NOT_COORDINATOR);
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_UNKNOWN_MEMBER_ID);
    group_table_follow(coordinator.leader);
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_NOT_COORDINATOR);
    group_table_lead(coordinator.leader);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
}

static void an_assignment_that_is_not_kept_is_not_told(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_join(&coordinator, &anna);
    struct client *members[] = {&anna};
    client_assign(&coordinator, &anna, members, 1);
    coordinator_fail(&coordinator, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(anna.sync.error, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_string_equal(group_state_text(coordinator.leader), "PreparingRebalance");
    client_join(&coordinator, &anna);
    assert_int_equal(anna.join.error, WIRE_ERROR_NONE);
    coordinator_free(&coordinator);
    client_free(&anna);
}

static void members_agree_on_a_protocol_or_stay_out(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    struct client odd;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_init(&odd, "odd");
    anna.protocols[0] = "sticky";
    anna.protocols[1] = "range";
    bert.protocols[0] = "range";
    odd.protocols[0] = "own";
    two_members(&coordinator, &anna, &bert);
    assert_int_equal(bert.join.answer_protocol.length, 5);
    assert_memory_equal(bert.join.answer_protocol.data, "range", 5);
    client_join(&coordinator, &odd);
    assert_int_equal(odd.join.error, WIRE_ERROR_INCONSISTENT_GROUP_PROTOCOL);
    odd.protocols[0] = "range";
    odd.session_timeout_ms = 5999;
    client_join(&coordinator, &odd);
    assert_int_equal(odd.join.error, WIRE_ERROR_INVALID_SESSION_TIMEOUT);
    odd.session_timeout_ms = 1800001;
    client_join(&coordinator, &odd);
    assert_int_equal(odd.join.error, WIRE_ERROR_INVALID_SESSION_TIMEOUT);
    strcpy(odd.member_id, "invented");
    odd.session_timeout_ms = 6000;
    client_join(&coordinator, &odd);
    assert_int_equal(odd.join.error, WIRE_ERROR_UNKNOWN_MEMBER_ID);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
    client_free(&odd);
}

static void a_full_group_takes_nobody(void **state)
{
    (void)state;
    enum { MEMBERS = 9 }; /* one more than the limit */
    struct coordinator coordinator;
    struct client clients[MEMBERS];
    coordinator_init(&coordinator, 3000);
    for (int i = 0; i < MEMBERS; i++) {
        client_init(&clients[i], "client");
        client_join(&coordinator, &clients[i]);
    }
    assert_int_equal(clients[MEMBERS - 1].join.error, WIRE_ERROR_GROUP_MAX_SIZE_REACHED);
    coordinator_pass(&coordinator, 10000);
    for (int i = 0; i < MEMBERS - 1; i++) {
        assert_int_equal(clients[i].join.error, WIRE_ERROR_NONE);
    }
    coordinator_free(&coordinator);
    for (int i = 0; i < MEMBERS; i++) {
        client_free(&clients[i]);
    }
}

static void a_new_member_that_is_never_answered_is_given_up(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client bert;
    struct client curt;
    coordinator_init(&coordinator, 0);
    client_init(&anna, "anna");
    client_init(&bert, "bert");
    client_init(&curt, "curt");
    anna.rebalance_timeout_ms = 1000000;
    two_members(&coordinator, &anna, &bert);
    client_join(&coordinator, &curt);
    for (int i = 0; i < 100; i++) {
        coordinator_pass(&coordinator, 3100);
        (void)client_heartbeat(&coordinator, &anna);
        (void)client_heartbeat(&coordinator, &bert);
    }
    assert_int_equal(curt.joins_open, 0);
    assert_int_equal(curt.join.error, WIRE_ERROR_UNKNOWN_MEMBER_ID);
    coordinator_free(&coordinator);
    client_free(&anna);
    client_free(&bert);
    client_free(&curt);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_group_forms_and_only_the_leader_hears_of_all),
        cmocka_unit_test(the_first_rebalance_waits_for_more_members),
        cmocka_unit_test(a_client_comes_back_with_the_id_it_is_given),
        cmocka_unit_test(a_silent_member_is_dropped_and_the_others_go_on),
        cmocka_unit_test(a_member_that_waits_is_not_dropped),
        cmocka_unit_test(members_that_never_sync_are_dropped),
        cmocka_unit_test(leaving_moves_the_group_on),
        cmocka_unit_test(a_static_member_that_restarts_disturbs_nobody),
        cmocka_unit_test(a_static_leader_that_restarts_skips_the_assignment),
        cmocka_unit_test(the_loss_of_a_coordinator_costs_no_rebalance),
        cmocka_unit_test(whoever_waits_at_the_lost_coordinator_is_told),
        cmocka_unit_test(an_assignment_that_is_not_kept_is_not_told),
        cmocka_unit_test(members_agree_on_a_protocol_or_stay_out),
        cmocka_unit_test(a_full_group_takes_nobody),
        cmocka_unit_test(a_new_member_that_is_never_answered_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
