/* SPDX-License-Identifier: Apache-2.0
 *
 * test_input.c -- messages that make no sense: dropped, whatever their fields, never asserted.
 */
#include "raft_fixture.h"

#include "base/prng.h"

static struct raft *new_follower(void)
{
    static const struct raft_term_span spans[] = {{1, 1}, {3, 6}};
    struct raft_options options = fixture_options(2);
    struct raft_state old = fixture_state(3);
    old.term = 3;
    old.last_index = 10;
    old.spans = spans;
    old.span_count = 2;
    return raft_new(&options, &old, 0);
}

static void a_message_for_others_is_dropped(void **state)
{
    (void)state;
    struct raft *raft = new_follower();
    const struct raft_message strays[] = {
        {.kind = RAFT_MESSAGE_VOTE, .from = 1, .to = 3, .group_id = 1001, .term = 9},
        {.kind = RAFT_MESSAGE_VOTE, .from = 1, .to = 2, .group_id = 1002, .term = 9},
        {.kind = RAFT_MESSAGE_VOTE, .from = 0, .to = 2, .group_id = 1001, .term = 9},
        {.kind = RAFT_MESSAGE_VOTE, .from = 2, .to = 2, .group_id = 1001, .term = 9},
        {.kind = RAFT_MESSAGE_KINDS, .from = 1, .to = 2, .group_id = 1001, .term = 3},
    };
    for (size_t i = 0; i < sizeof(strays) / sizeof(strays[0]); ++i) {
        raft_receive(raft, &strays[i], 1, NULL);
        assert_false(raft_is_dirty(raft));
        assert_int_equal(raft_term(raft), 3);
    }
    raft_free(raft);
}

static void malformed_entries_are_dropped(void **state)
{
    (void)state;
    struct raft *raft = new_follower();
    const struct raft_entry bad[][2] = {
        {{.first_index = 12, .last_index = 12, .term = 4}, {0}},
        {{.first_index = 11, .last_index = 10, .term = 4}, {0}},
        {{.first_index = 11, .last_index = UINT64_MAX, .term = 4}, {0}},
        {{.first_index = 11, .last_index = 11, .term = 2}, {0}},
        {{.first_index = 11, .last_index = 11, .term = 5}, {0}},
        {{.first_index = 11, .last_index = 12, .term = 4, .kind = RAFT_ENTRY_NOOP}, {0}},
        {{.first_index = 11, .last_index = 11, .term = 4, .kind = RAFT_ENTRY_MEMBERSHIP}, {0}},
        {{.first_index = 11, .last_index = 11, .term = 4},
         {.first_index = 13, .last_index = 13, .term = 4}},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        struct raft_message message = {.kind = RAFT_MESSAGE_APPEND,
                                       .from = 1,
                                       .to = 2,
                                       .group_id = 1001,
                                       .term = 4,
                                       .index = 10,
                                       .index_term = 3,
                                       .entries = bad[i],
                                       .entry_count = bad[i][1].term == 0 ? 1 : 2};
        struct raft_accepted accepted;
        raft_receive(raft, &message, 1, &accepted);
        assert_int_equal(accepted.first_entry, message.entry_count);
        assert_int_equal(accepted.truncate_from, 0);
        assert_int_equal(raft_last_index(raft), 10);
        raft_check(raft);
    }
    raft_free(raft);
}

/* Only a broken or forged leader says so; on this side nothing that was promised is taken back. */
static void what_is_committed_is_not_contradicted(void **state)
{
    (void)state;
    struct raft *raft = new_follower();
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT,
                                          .from = 1,
                                          .to = 2,
                                          .term = 4,
                                          .index = 10,
                                          .index_term = 3,
                                          .commit = 10},
                    1);
    assert_int_equal(raft_commit_index(raft), 10);
    const struct raft_entry other = {.first_index = 10, .last_index = 10, .term = 4};
    struct raft_message message = {.kind = RAFT_MESSAGE_APPEND,
                                   .from = 1,
                                   .to = 2,
                                   .group_id = 1001,
                                   .term = 4,
                                   .index = 9,
                                   .index_term = 3,
                                   .entries = &other,
                                   .entry_count = 1};
    struct raft_accepted accepted;
    raft_receive(raft, &message, 2, &accepted);
    raft_check(raft);
    assert_int_equal(accepted.truncate_from, 0);
    assert_int_equal(accepted.first_entry, 1);
    uint64_t term = 0;
    assert_true(raft_term_at(raft, 10, &term));
    assert_int_equal(term, 3);
    raft_free(raft);
}

static void a_leader_takes_no_entries_of_its_own_term(void **state)
{
    (void)state;
    struct raft_options options = fixture_options(1);
    struct raft_state new_group = fixture_state(3);
    struct raft *raft = raft_new(&options, &new_group, 0);
    fixture_lead(raft);
    const struct raft_entry entry = {.first_index = 2, .last_index = 2, .term = 1};
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND,
                                          .from = 2,
                                          .to = 1,
                                          .term = 1,
                                          .index = 1,
                                          .index_term = 1,
                                          .entries = &entry,
                                          .entry_count = 1},
                    raft_due_ticks(raft) - 1);
    assert_int_equal(raft_role(raft), RAFT_LEADER);
    assert_int_equal(raft_last_index(raft), 1);
    raft_free(raft);
}

static const enum raft_message_kind answers[] = {
    RAFT_MESSAGE_PRE_VOTE_REPLY, RAFT_MESSAGE_VOTE_REPLY, RAFT_MESSAGE_APPEND_REPLY,
    RAFT_MESSAGE_HEARTBEAT_REPLY, RAFT_MESSAGE_SNAPSHOT_REPLY};

/* Node 1 leads voters 1 to 3 in term 1; node 4 learns, node 5 is nobody. */
static struct raft *new_leader(void)
{
    struct raft_options options = fixture_options(1);
    struct raft_state new_group = fixture_state(3);
    new_group.membership.learner_count = 1;
    new_group.membership.learners[0] = 4;
    new_group.membership_committed = new_group.membership;
    struct raft *raft = raft_new(&options, &new_group, 0);
    fixture_lead(raft);
    return raft;
}

static void answer(struct raft *raft, enum raft_message_kind kind, uint32_t from, uint32_t to)
{
    fixture_receive(raft, (struct raft_message){.kind = kind, .from = from, .to = to, .term = 9},
                    1);
    fixture_drain(raft);
}

/* It was asked when it was a member, long ago, and speaks of a term that has gone by here. */
static void an_answer_of_a_stranger_changes_no_term(void **state)
{
    (void)state;
    struct raft *leader = new_leader();
    struct raft *follower = new_follower();
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); ++i) {
        answer(leader, answers[i], 5, 1);
        assert_int_equal(raft_role(leader), RAFT_LEADER);
        assert_int_equal(raft_term(leader), 1);
        answer(follower, answers[i], 5, 2);
        assert_int_equal(raft_term(follower), 3);
    }
    raft_free(leader);
    raft_free(follower);
}

static void an_answer_of_a_member_brings_its_term(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); ++i) {
        for (uint32_t member = 2; member <= 4; ++member) {
            struct raft *leader = new_leader();
            answer(leader, answers[i], member, 1);
            assert_int_equal(raft_role(leader), RAFT_FOLLOWER);
            assert_int_equal(raft_term(leader), 9);
            raft_free(leader);
        }
    }
}

/* A leader that does not know the members of today gives way to one that is none of its own. */
static void a_question_of_a_stranger_brings_its_term(void **state)
{
    (void)state;
    struct raft *leader = new_leader();
    fixture_receive(
        leader,
        (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT, .from = 5, .to = 1, .term = 9},
        raft_due_ticks(leader) - 1);
    assert_int_equal(raft_role(leader), RAFT_FOLLOWER);
    assert_int_equal(raft_leader(leader), 5);
    assert_int_equal(raft_term(leader), 9);
    raft_free(leader);
}

/* Fields that lie near what the replica knows, and a few that lie nowhere. */
static uint64_t wild(struct prng *prng, uint64_t near)
{
    switch (prng_below(prng, 8)) {
    case 0:
        return UINT64_MAX;
    case 1:
        return prng_next(prng);
    default:
        return prng_below(prng, near);
    }
}

static void a_leader_survives_any_answer(void **state)
{
    (void)state;
    static const enum raft_message_kind kinds[] = {
        RAFT_MESSAGE_PRE_VOTE_REPLY,  RAFT_MESSAGE_VOTE_REPLY,     RAFT_MESSAGE_APPEND_REPLY,
        RAFT_MESSAGE_HEARTBEAT_REPLY, RAFT_MESSAGE_SNAPSHOT_REPLY, RAFT_MESSAGE_PRE_VOTE};
    struct prng prng;
    prng_init(&prng, 7);
    struct raft_options options = fixture_options(1);
    struct raft_state new_group = fixture_state(3);
    struct raft *raft = raft_new(&options, &new_group, 0);
    fixture_lead(raft);
    for (int i = 0; i < 100000; ++i) {
        struct raft_entry entry;
        if (i % 64 == 0 && raft_last_index(raft) < 1000)
            (void)raft_propose(raft, 1 + prng_below(&prng, 4), 10, &entry);
        struct raft_message message = {.kind = kinds[prng_below(&prng, 6)],
                                       .from = 2 + (uint32_t)prng_below(&prng, 3),
                                       .to = 1,
                                       .term = 1,
                                       .index = wild(&prng, raft_last_index(raft) + 3),
                                       .index_term = wild(&prng, 3),
                                       .barrier = wild(&prng, 10),
                                       .hint_index = wild(&prng, raft_last_index(raft) + 3),
                                       .hint_term = wild(&prng, 3),
                                       .granted = (uint8_t)prng_below(&prng, 2)};
        fixture_receive(raft, message, raft_due_ticks(raft) - 1);
        fixture_drain(raft);
    }
    assert_int_equal(raft_term(raft), 1);
    raft_free(raft);
}

static void a_follower_survives_any_question(void **state)
{
    (void)state;
    static const enum raft_message_kind kinds[] = {RAFT_MESSAGE_PRE_VOTE, RAFT_MESSAGE_VOTE,
                                                   RAFT_MESSAGE_HEARTBEAT, RAFT_MESSAGE_APPEND,
                                                   RAFT_MESSAGE_TIMEOUT_NOW};
    struct prng prng;
    prng_init(&prng, 8);
    struct raft *raft = new_follower();
    for (uint64_t now = 1; now < 100000; ++now) {
        struct raft_message message = {.kind = kinds[prng_below(&prng, 5)],
                                       .from = 1 + 2 * (uint32_t)prng_below(&prng, 2),
                                       .to = 2,
                                       .group_id = 1001,
                                       .term = prng_below(&prng, raft_term(raft) + 3),
                                       .index = wild(&prng, 20),
                                       .index_term = wild(&prng, raft_term(raft) + 1),
                                       .barrier = wild(&prng, 10),
                                       .forced = (uint8_t)prng_below(&prng, 2)};
        struct raft_accepted accepted;
        raft_receive(raft, &message, now, &accepted);
        raft_check(raft);
        if (raft_due_ticks(raft) <= now)
            raft_tick(raft, now);
        fixture_drain(raft);
    }
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_for_others_is_dropped),
        cmocka_unit_test(malformed_entries_are_dropped),
        cmocka_unit_test(what_is_committed_is_not_contradicted),
        cmocka_unit_test(a_leader_takes_no_entries_of_its_own_term),
        cmocka_unit_test(an_answer_of_a_stranger_changes_no_term),
        cmocka_unit_test(an_answer_of_a_member_brings_its_term),
        cmocka_unit_test(a_question_of_a_stranger_brings_its_term),
        cmocka_unit_test(a_leader_survives_any_answer),
        cmocka_unit_test(a_follower_survives_any_question),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
