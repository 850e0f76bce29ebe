/* SPDX-License-Identifier: Apache-2.0
 *
 * test_membership.c -- memberships as values.
 */
#include "raft_fixture.h"

static void quorum_is_more_than_half(void **state)
{
    (void)state;
    static const uint32_t quorums[] = {0, 1, 2, 2, 3, 3, 4, 4};
    for (uint32_t voters = 1; voters < 8; ++voters) {
        struct raft_membership membership = {.voter_count = voters};
        assert_int_equal(raft_membership_quorum(&membership), quorums[voters]);
    }
}

static void members_are_found_by_kind(void **state)
{
    (void)state;
    struct raft_membership membership = {
        .voter_count = 2, .learner_count = 1, .voters = {1, 4}, .learners = {3}};
    assert_true(raft_membership_has_voter(&membership, 4));
    assert_false(raft_membership_has_voter(&membership, 3));
    assert_true(raft_membership_has_learner(&membership, 3));
    assert_false(raft_membership_has_learner(&membership, 1));
}

static void what_lies_behind_the_counts_is_not_compared(void **state)
{
    (void)state;
    struct raft_membership left = {.voter_count = 1, .voters = {1, 9}};
    struct raft_membership right = {.voter_count = 1, .voters = {1, 7}};
    assert_true(raft_membership_equal(&left, &right));
    right.learner_count = 1;
    right.learners[0] = 2;
    assert_false(raft_membership_equal(&left, &right));
    left.learner_count = 1;
    left.learners[0] = 3;
    assert_false(raft_membership_equal(&left, &right));
    left.learners[0] = 2;
    assert_true(raft_membership_equal(&left, &right));
    left.voters[0] = 4;
    assert_false(raft_membership_equal(&left, &right));
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const struct raft_membership bad[] = {
        {.voter_count = 0},
        {.voter_count = 1, .voters = {0}},
        {.voter_count = 2, .voters = {2, 1}},
        {.voter_count = 2, .voters = {2, 2}},
        {.voter_count = 1, .learner_count = 1, .voters = {1}, .learners = {1}},
        {.voter_count = 1, .learner_count = 2, .voters = {1}, .learners = {3, 2}},
        {.voter_count = RAFT_MEMBERS_MAX + 1, .voters = {1}},
        {.voter_count = 1, .learner_count = RAFT_MEMBERS_MAX + 1, .voters = {1}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i)
        assert_false(raft_membership_is_valid(&bad[i]));
    const struct raft_membership good = {
        .voter_count = 2, .learner_count = 1, .voters = {1, 3}, .learners = {2}};
    assert_true(raft_membership_is_valid(&good));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quorum_is_more_than_half),
        cmocka_unit_test(members_are_found_by_kind),
        cmocka_unit_test(what_lies_behind_the_counts_is_not_compared),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
