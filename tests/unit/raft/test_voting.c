/* SPDX-License-Identifier: Apache-2.0
 *
 * test_voting.c -- answers that are given twice, not at all, or not any more.
 */
#include "raft_fixture.h"

#define ELECTION_TICKS 50

/* Collects one turn, saves its write, and copies its messages; how many. */
static uint32_t take_messages(struct raft *raft, struct raft_message *messages)
{
    struct raft_effects effects;
    uint32_t count = 0;
    while (raft_is_dirty(raft) && raft_collect(raft, &effects)) {
        for (uint32_t i = 0; i < effects.message_count; ++i)
            messages[count++] = effects.messages[i];
        uint64_t write_id = effects.write.id;
        raft_release(raft, &effects);
        if (write_id != 0)
            raft_saved(raft, write_id, 0);
        raft_check(raft);
    }
    return count;
}

static struct raft *new_voter(bool may_vote)
{
    struct raft_options options = fixture_options(2);
    options.may_vote = may_vote;
    struct raft_state new_group = fixture_state(3);
    return raft_new(&options, &new_group, 0);
}

static struct raft_message heartbeat(uint64_t barrier)
{
    return (struct raft_message){
        .kind = RAFT_MESSAGE_HEARTBEAT, .from = 1, .to = 2, .term = 1, .barrier = barrier};
}

/* The first answer may be lost: the same vote is told again, and is no second vote. */
static void a_vote_asked_for_twice_is_told_twice(void **state)
{
    (void)state;
    struct raft_message messages[8];
    struct raft *raft = new_voter(true);
    struct raft_message question = {.kind = RAFT_MESSAGE_VOTE, .from = 3, .to = 2, .term = 1};
    for (int i = 0; i < 2; ++i) {
        fixture_receive(raft, question, 1);
        assert_int_equal(take_messages(raft, messages), 1);
        assert_int_equal(messages[0].kind, RAFT_MESSAGE_VOTE_REPLY);
        assert_int_equal(messages[0].to, 3);
        assert_true(messages[0].granted);
    }
    question.from = 1;
    fixture_receive(raft, question, 1);
    assert_int_equal(take_messages(raft, messages), 1);
    assert_false(messages[0].granted);
    raft_free(raft);
}

/* Its connection broke before the turn ended: who leads is open again. */
static void a_lost_leader_gets_no_answer(void **state)
{
    (void)state;
    struct raft_message messages[8];
    struct raft *raft = new_voter(true);
    fixture_receive(raft, heartbeat(1), 1);
    (void)take_messages(raft, messages);
    fixture_receive(raft, heartbeat(2), 2);
    raft_peer_disconnected(raft, 1, 2);
    assert_int_equal(take_messages(raft, messages), 0);
    assert_int_equal(raft_leader(raft), 0);

    /* It is heard again: the answer is to what it asked last. */
    fixture_receive(raft, heartbeat(3), 3);
    assert_int_equal(take_messages(raft, messages), 1);
    assert_int_equal(messages[0].barrier, 3);
    raft_free(raft);
}

/* Who asks for a vote in a term that has passed is told so, but by nobody without a vote. */
static void a_late_candidate_is_told_by_voters(void **state)
{
    (void)state;
    for (int may_vote = 0; may_vote < 2; ++may_vote) {
        struct raft_message messages[8];
        struct raft *raft = new_voter(may_vote != 0);
        struct raft_message leader = heartbeat(1);
        leader.term = 2;
        fixture_receive(raft, leader, 1);
        (void)take_messages(raft, messages);
        struct raft_message late = {.kind = RAFT_MESSAGE_VOTE, .from = 3, .to = 2, .term = 1};
        fixture_receive(raft, late, 2);
        assert_int_equal(take_messages(raft, messages), may_vote);
        raft_free(raft);
    }
}

/* Answers of a replica without a vote carry its mark; a leader's proof names it. */
static uint64_t mark_of(struct raft *raft)
{
    struct raft_message messages[8];
    fixture_receive(raft, heartbeat(1), 1);
    assert_int_equal(take_messages(raft, messages), 1);
    assert_int_equal(messages[0].kind, RAFT_MESSAGE_HEARTBEAT_REPLY);
    return messages[0].hint_term;
}

static void prove(struct raft *raft, uint64_t mark, uint64_t index)
{
    struct raft_message proof = heartbeat(2);
    proof.hint_index = index;
    proof.hint_term = mark;
    fixture_receive(raft, proof, 2);
    fixture_drain(raft);
}

/* The no-op of term 1, committed or not. */
static void append_noop(struct raft *raft, uint64_t commit)
{
    const struct raft_entry entry = {
        .first_index = 1, .last_index = 1, .term = 1, .kind = RAFT_ENTRY_NOOP};
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND,
                                          .from = 1,
                                          .to = 2,
                                          .term = 1,
                                          .commit = commit,
                                          .entries = &entry,
                                          .entry_count = 1},
                    1);
    fixture_drain(raft);
}

static void a_vote_comes_back_by_proof_alone(void **state)
{
    (void)state;
    struct raft *raft = new_voter(false);
    uint64_t mark = mark_of(raft);
    assert_int_not_equal(mark, 0);
    prove(raft, mark + 1, 1); /* for an earlier life */
    append_noop(raft, 1);
    assert_false(raft_is_vote_proven(raft));
    prove(raft, mark, 1);
    assert_true(raft_is_vote_proven(raft));
    assert_false(raft_may_vote(raft)); /* a crash now would take the vote away again */
    assert_int_equal(mark_of(raft), mark);
    prove(raft, mark, 2); /* a later membership, not here yet: one proof is enough */
    assert_true(raft_is_vote_proven(raft));
    raft_return_vote(raft, 3);
    assert_true(raft_may_vote(raft));
    assert_false(raft_is_vote_proven(raft));
    assert_int_equal(mark_of(raft), 0);
    raft_free(raft);

    raft = new_voter(false);
    prove(raft, mark_of(raft), 1);
    append_noop(raft, 0);
    assert_false(raft_is_vote_proven(raft)); /* known, and not committed here yet */
    append_noop(raft, 1);
    assert_true(raft_is_vote_proven(raft));
    raft_free(raft);
}

/* A replica that cannot tell what it voted before must not take the lead when it is offered. */
static void without_a_vote_the_lead_is_not_taken(void **state)
{
    (void)state;
    const struct raft_message offer = {
        .kind = RAFT_MESSAGE_TIMEOUT_NOW, .from = 1, .to = 2, .term = 1};
    struct raft *raft = new_voter(false);
    fixture_receive(raft, heartbeat(1), 1);
    fixture_drain(raft);
    fixture_receive(raft, offer, 2);
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    assert_int_equal(raft_term(raft), 1);

    append_noop(raft, 1);
    prove(raft, mark_of(raft), 1);
    fixture_receive(raft, offer, 3); /* the proof is not durable yet */
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    raft_return_vote(raft, 3);
    fixture_receive(raft, offer, 3);
    assert_int_equal(raft_role(raft), RAFT_CANDIDATE);
    assert_int_equal(raft_term(raft), 2);
    raft_free(raft);
}

/* Its timeout has passed without effect, as its leader went while the proof was on its way to the
 * disk; with its vote it counts again. */
static void with_its_vote_it_waits_for_a_leader_again(void **state)
{
    (void)state;
    struct raft *raft = new_voter(false);
    append_noop(raft, 1);
    prove(raft, mark_of(raft), 1);
    uint64_t now_ticks = raft_due_ticks(raft);
    raft_tick(raft, now_ticks);
    fixture_drain(raft);
    assert_int_equal(raft_due_ticks(raft), UINT64_MAX);
    assert_true(raft_is_vote_proven(raft)); /* it stays so */
    raft_return_vote(raft, now_ticks);
    uint64_t due_ticks = raft_due_ticks(raft);
    assert_in_range(due_ticks, now_ticks + ELECTION_TICKS, now_ticks + 2 * ELECTION_TICKS);
    raft_tick(raft, due_ticks - 1);
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    raft_tick(raft, due_ticks);
    assert_int_equal(raft_role(raft), RAFT_PRE_CANDIDATE);
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_asked_for_twice_is_told_twice),
        cmocka_unit_test(a_lost_leader_gets_no_answer),
        cmocka_unit_test(a_late_candidate_is_told_by_voters),
        cmocka_unit_test(without_a_vote_the_lead_is_not_taken),
        cmocka_unit_test(with_its_vote_it_waits_for_a_leader_again),
        cmocka_unit_test(a_vote_comes_back_by_proof_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
