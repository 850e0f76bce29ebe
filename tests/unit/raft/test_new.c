/* SPDX-License-Identifier: Apache-2.0
 *
 * test_new.c -- what a replica is born from: contradictions are refused, the rest decides its first
 * steps.
 */
#include "raft_fixture.h"

#include "base/trace.h"

static void swallow(enum trace_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    *(int *)context += 1;
}

static void contradictory_options_are_refused(void **state)
{
    (void)state;
    struct raft_state new_group = fixture_state(3);
    struct raft_options options[6];
    for (size_t i = 0; i < 6; ++i)
        options[i] = fixture_options(1);
    options[0].group_id = 0;
    options[1].node_id = 0;
    options[2].heartbeat_ticks = 0;
    options[3].election_ticks = 20;
    options[4].inflight_bytes_max = 0;
    options[5].uncommitted_bytes_max = 0;
    for (size_t i = 0; i < 6; ++i)
        assert_null(raft_new(&options[i], &new_group, 0));
}

static void contradictory_states_are_refused(void **state)
{
    (void)state;
    struct raft_options options = fixture_options(1);
    static const struct raft_term_span falling[] = {{2, 1}, {1, 3}};
    static const struct raft_term_span late[] = {{1, 2}};
    static const struct raft_term_span future[] = {{9, 1}};
    struct raft_state bad[8];
    for (size_t i = 0; i < 8; ++i) {
        bad[i] = fixture_state(3);
        bad[i].term = 3;
        bad[i].last_index = 4;
        bad[i].spans = falling;
        bad[i].span_count = 1;
    }
    bad[0].first_index = 0;
    bad[1].last_index = 0;
    bad[1].commit = 1;
    bad[2].span_count = 2;
    bad[3].spans = late;
    bad[4].spans = future;
    bad[5].membership_index = 5;
    bad[6].membership.voters[1] = 1;
    bad[7].span_count = 0;
    for (size_t i = 0; i < 8; ++i)
        assert_null(raft_new(&options, &bad[i], 0));
}

static void every_refusal_is_told(void **state)
{
    (void)state;
    int lines = 0;
    trace_install(swallow, &lines, TRACE_INFO);
    contradictory_options_are_refused(NULL);
    contradictory_states_are_refused(NULL);
    assert_int_equal(lines, 14);
}

static void one_voter_of_a_new_group_begins_at_once(void **state)
{
    (void)state;
    int eager = 0;
    for (uint32_t id = 1; id <= 3; ++id) {
        struct raft_options options = fixture_options(id);
        struct raft_state new_group = fixture_state(3);
        struct raft *raft = raft_new(&options, &new_group, 1000);
        raft_check(raft);
        if (raft_due_ticks(raft) == 1001)
            eager += 1;
        else
            assert_in_range(raft_due_ticks(raft), 1050, 1099);
        raft_free(raft);
    }
    assert_int_equal(eager, 1);
}

static void a_sole_voter_does_not_wait(void **state)
{
    (void)state;
    static const struct raft_term_span spans[] = {{3, 1}};
    struct raft_options options = fixture_options(1);
    struct raft_state old = fixture_state(1);
    old.term = 4;
    old.last_index = 10;
    old.spans = spans;
    old.span_count = 1;
    struct raft *raft = raft_new(&options, &old, 500);
    assert_int_equal(raft_due_ticks(raft), 500);
    raft_tick(raft, 500);
    fixture_drain(raft);
    assert_true(raft_is_ready_leader(raft));
    assert_int_equal(raft_term(raft), 5);
    assert_int_equal(raft_commit_index(raft), 11);
    assert_int_equal(raft_due_ticks(raft), UINT64_MAX); /* an idle group of one costs nothing */
    raft_free(raft);
}

static void without_a_vote_it_never_campaigns(void **state)
{
    (void)state;
    struct raft_options options = fixture_options(1);
    options.may_vote = false;
    struct raft_state new_group = fixture_state(1);
    struct raft *raft = raft_new(&options, &new_group, 0);
    raft_tick(raft, raft_due_ticks(raft));
    fixture_drain(raft);
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    assert_int_equal(raft_due_ticks(raft), UINT64_MAX);
    raft_free(raft);
}

static void a_snapshot_of_a_later_term_raises_the_term(void **state)
{
    (void)state;
    struct raft_options options = fixture_options(1);
    struct raft_state restored = fixture_state(3);
    restored.term = 2;
    restored.vote = 3;
    restored.first_index = 11;
    restored.last_index = 10;
    restored.commit = 10;
    restored.prefix_term = 5;
    struct raft *raft = raft_new(&options, &restored, 0);
    raft_check(raft);
    assert_int_equal(raft_term(raft), 5);
    struct raft_effects effects;
    assert_true(raft_collect(raft, &effects));
    assert_true(effects.write.hard_state_changed);
    assert_int_equal(effects.write.term, 5);
    assert_int_equal(effects.write.vote, 0);
    raft_release(raft, &effects);
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_told),
        cmocka_unit_test(one_voter_of_a_new_group_begins_at_once),
        cmocka_unit_test(a_sole_voter_does_not_wait),
        cmocka_unit_test(without_a_vote_it_never_campaigns),
        cmocka_unit_test(a_snapshot_of_a_later_term_raises_the_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
