/* SPDX-License-Identifier: Apache-2.0
 *
 * test_restored.c -- a replica whose log is replaced by a leader's snapshot, whatever it was doing.
 */
#include "raft_fixture.h"

#define SNAPSHOT_INDEX 20
#define SNAPSHOT_TERM 3

static const struct raft_membership all = {.voter_count = 3, .voters = {1, 2, 3}};
static const struct raft_membership without_first = {.voter_count = 2, .voters = {2, 3}};

/* Node 1, whose last entry may be its own removal, not committed. */
static struct raft *new_replica(bool is_being_removed)
{
    static const struct raft_term_span spans[] = {{1, 1}, {3, 4}};
    struct raft_options options = fixture_options(1);
    struct raft_state old = fixture_state(3);
    old.term = 3;
    old.last_index = 5;
    old.commit = 4;
    old.spans = spans;
    old.span_count = 2;
    if (is_being_removed) {
        old.membership = without_first;
        old.membership_index = 5;
    }
    return raft_new(&options, &old, 0);
}

static void restore(struct raft *raft, uint64_t leader_term, uint32_t leader,
                    const struct raft_membership *membership)
{
    raft_restored(raft, SNAPSHOT_INDEX, SNAPSHOT_TERM, leader_term, leader, membership,
                  SNAPSHOT_INDEX, 1000);
    raft_check(raft);
    assert_int_equal(raft_first_index(raft), SNAPSHOT_INDEX + 1);
    assert_int_equal(raft_last_index(raft), SNAPSHOT_INDEX);
    assert_int_equal(raft_saved_index(raft), SNAPSHOT_INDEX);
    assert_int_equal(raft_commit_index(raft), SNAPSHOT_INDEX);
    fixture_drain(raft);
}

static void make_pre_candidate(struct raft *raft)
{
    raft_tick(raft, raft_due_ticks(raft));
    fixture_drain(raft);
    assert_int_equal(raft_role(raft), RAFT_PRE_CANDIDATE);
}

static void make_candidate(struct raft *raft)
{
    make_pre_candidate(raft);
    for (uint32_t voter = 2; voter <= 3; ++voter)
        fixture_receive(raft,
                        (struct raft_message){.kind = RAFT_MESSAGE_PRE_VOTE_REPLY,
                                              .from = voter,
                                              .to = 1,
                                              .term = raft_term(raft) + 1,
                                              .granted = 1},
                        raft_due_ticks(raft) - 1);
    fixture_drain(raft);
    assert_int_equal(raft_role(raft), RAFT_CANDIDATE);
}

static void a_follower_follows_who_sent_it(void **state)
{
    (void)state;
    struct raft *raft = new_replica(false);
    restore(raft, 3, 2, &all);
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(raft), 2);
    raft_free(raft);
}

/* While it was written a later term was heard of, or the sender is not known any more. */
static void a_sender_that_may_not_lead_is_not_followed(void **state)
{
    (void)state;
    static const struct {
        uint64_t term;
        uint32_t leader;
    } senders[] = {{3, 2}, {4, 0}, {4, 1}};
    for (size_t i = 0; i < sizeof(senders) / sizeof(senders[0]); ++i) {
        struct raft *raft = new_replica(false);
        fixture_receive(raft,
                        (struct raft_message){.kind = RAFT_MESSAGE_VOTE,
                                              .from = 3,
                                              .to = 1,
                                              .term = 4,
                                              .index = 9,
                                              .index_term = 3},
                        1);
        fixture_drain(raft);
        assert_int_equal(raft_term(raft), 4);
        restore(raft, senders[i].term, senders[i].leader, &all);
        assert_int_equal(raft_term(raft), 4);
        assert_int_equal(raft_leader(raft), 0);
        raft_free(raft);
    }
}

static void a_campaign_ends(void **state)
{
    (void)state;
    for (int is_candidate = 0; is_candidate < 2; ++is_candidate) {
        struct raft *raft = new_replica(false);
        if (is_candidate)
            make_candidate(raft);
        else
            make_pre_candidate(raft);
        uint64_t term = raft_term(raft);
        restore(raft, 3, 2, &all);
        assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
        assert_int_equal(raft_term(raft), term);
        raft_free(raft);
    }
}

/* It campaigned because its removal might not have happened; the snapshot shows that it did. */
static void a_removed_campaigner_becomes_a_learner(void **state)
{
    (void)state;
    for (int is_candidate = 0; is_candidate < 2; ++is_candidate) {
        struct raft *raft = new_replica(true);
        if (is_candidate)
            make_candidate(raft);
        else
            make_pre_candidate(raft);
        restore(raft, raft_term(raft), 2, &without_first);
        assert_int_equal(raft_role(raft), RAFT_LEARNER);
        assert_int_equal(raft_leader(raft), 2);
        raft_free(raft);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_follower_follows_who_sent_it),
        cmocka_unit_test(a_sender_that_may_not_lead_is_not_followed),
        cmocka_unit_test(a_campaign_ends),
        cmocka_unit_test(a_removed_campaigner_becomes_a_learner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
