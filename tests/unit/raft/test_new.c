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
    struct raft_options options[7];
    for (size_t i = 0; i < 7; ++i)
        options[i] = fixture_options(1);
    options[0].group_id = 0;
    options[1].node_id = 0;
    options[2].heartbeat_ticks = 0;
    options[3].election_ticks = 20;
    options[4].inflight_bytes_max = 0;
    options[5].uncommitted_bytes_max = 0;
    options[6].inflight_messages_max = 0;
    for (size_t i = 0; i < 7; ++i)
        assert_null(raft_new(&options[i], &new_group, 0));
}

static void contradictory_states_are_refused(void **state)
{
    (void)state;
    struct raft_options options = fixture_options(1);
    static const struct raft_term_span falling[] = {{2, 1}, {1, 3}};
    static const struct raft_term_span late[] = {{1, 2}};
    static const struct raft_term_span future[] = {{9, 1}};
    static const struct raft_term_span stuck[] = {{1, 1}, {2, 1}};
    struct raft_state bad[17];
    for (size_t i = 0; i < 17; ++i) {
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
    bad[8].spans = stuck;
    bad[8].span_count = 2;
    bad[9].last_index = UINT64_MAX;
    bad[10].first_index = 6;
    bad[11].first_index = 3;
    bad[11].commit = 1;
    bad[12].membership.voter_count = 0;
    bad[12].membership.learner_count = 2;
    bad[13].membership_committed.voters[0] = 0;
    bad[14].membership_index = 2;
    bad[14].membership_committed_index = 3;
    bad[15].term = 0;
    /* The snapshot ends in a later term than the log goes on with. */
    bad[16].first_index = 2;
    bad[16].commit = 1;
    bad[16].prefix_term = 3;
    bad[16].spans = late;
    bad[16].span_count = 1;
    for (size_t i = 0; i < 17; ++i)
        assert_null(raft_new(&options, &bad[i], 0));
}

static void every_refusal_is_told(void **state)
{
    (void)state;
    int lines = 0;
    trace_install(swallow, &lines, TRACE_INFO);
    contradictory_options_are_refused(NULL);
    contradictory_states_are_refused(NULL);
    assert_int_equal(lines, 24);
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

/* Returns who begins at once when all of the members were told that first_candidate does. */
static uint32_t who_begins(uint64_t group_id, uint32_t first_candidate)
{
    uint32_t who = 0;
    for (uint32_t id = 1; id <= 3; ++id) {
        struct raft_options options = fixture_options(id);
        options.group_id = group_id;
        options.first_candidate = first_candidate;
        struct raft_state new_group = fixture_state(3);
        struct raft *raft = raft_new(&options, &new_group, 1000);
        raft_check(raft);
        if (raft_due_ticks(raft) == 1001) {
            assert_int_equal(who, 0);
            who = id;
        } else {
            assert_in_range(raft_due_ticks(raft), 1050, 1099);
        }
        raft_free(raft);
    }
    return who;
}

static void the_first_candidate_is_who_was_wished_for(void **state)
{
    (void)state;
    for (uint64_t group_id = 1001; group_id <= 1006; ++group_id) {
        for (uint32_t wished = 1; wished <= 3; ++wished)
            assert_int_equal(who_begins(group_id, wished), wished);
        /* Who is no voter cannot begin; then it is one by the group's id, as without a wish. */
        assert_int_equal(who_begins(group_id, 0), 1 + group_id % 3);
        assert_int_equal(who_begins(group_id, 4), 1 + group_id % 3);
    }
}

static void a_group_that_has_a_term_is_not_begun_again(void **state)
{
    (void)state;
    struct raft_options options = fixture_options(1);
    struct raft_state old_group = fixture_state(3);
    options.first_candidate = 1;
    old_group.term = 1;
    struct raft *raft = raft_new(&options, &old_group, 1000);
    raft_check(raft);
    assert_in_range(raft_due_ticks(raft), 1050, 1099);
    raft_free(raft);
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
    restored.vote = 3;
    restored.first_index = 11;
    restored.last_index = 10;
    restored.commit = 10;
    restored.prefix_term = 5;
    for (restored.term = 0; restored.term < 5; ++restored.term) {
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
}

/* What the host kept of terms that lie before the log or behind it. */
static void spans_outside_the_log_are_left_out(void **state)
{
    (void)state;
    static const struct raft_term_span spans[] = {{1, 1}, {2, 4}, {5, 8}, {6, 20}};
    struct raft_options options = fixture_options(1);
    struct raft_state old = fixture_state(3);
    old.term = 6;
    old.first_index = 6;
    old.last_index = 10;
    old.prefix_term = 2;
    old.commit = 5;
    old.spans = spans;
    old.span_count = 4;
    struct raft *raft = raft_new(&options, &old, 0);
    raft_check(raft);
    uint64_t term = 0;
    assert_true(raft_term_at(raft, 6, &term));
    assert_int_equal(term, 2);
    assert_true(raft_term_at(raft, 10, &term));
    assert_int_equal(term, 5);
    assert_false(raft_term_at(raft, 11, &term));
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_told),
        cmocka_unit_test(one_voter_of_a_new_group_begins_at_once),
        cmocka_unit_test(the_first_candidate_is_who_was_wished_for),
        cmocka_unit_test(a_group_that_has_a_term_is_not_begun_again),
        cmocka_unit_test(a_sole_voter_does_not_wait),
        cmocka_unit_test(without_a_vote_it_never_campaigns),
        cmocka_unit_test(spans_outside_the_log_are_left_out),
        cmocka_unit_test(a_snapshot_of_a_later_term_raises_the_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
