/* SPDX-License-Identifier: Apache-2.0
 *
 * test_leading.c -- what only a leader does, asked of one that is alone, busy, early, or no leader.
 */
#include "raft_fixture.h"

/* More writes under way than the core tracks one by one. */
#define MANY_WRITES 200

static struct raft *new_node(uint32_t voter_count)
{
    struct raft_options options = fixture_options(1);
    options.inflight_messages_max = 2 * MANY_WRITES;
    struct raft_state new_group = fixture_state(voter_count);
    return raft_new(&options, &new_group, 0);
}

static struct raft *new_leader(void)
{
    struct raft *raft = new_node(3);
    fixture_lead(raft);
    return raft;
}

static void a_follower_refuses_what_leaders_do(void **state)
{
    (void)state;
    struct raft *raft = new_node(3);
    struct raft_membership fewer = {.voter_count = 2, .voters = {1, 2}};
    struct raft_entry entry;
    uint64_t barrier = 0;
    struct raft_progress_view view;
    assert_int_equal(raft_propose(raft, 1, 1, &entry), RAFT_NOT_LEADER);
    assert_int_equal(raft_propose_control(raft, 8, &entry), RAFT_NOT_LEADER);
    assert_int_equal(raft_propose_membership(raft, &fewer, &entry), RAFT_NOT_LEADER);
    assert_int_equal(raft_transfer_leadership(raft, 2, 1), RAFT_NOT_LEADER);
    assert_int_equal(raft_read_barrier(raft, &barrier), RAFT_NOT_LEADER);
    assert_false(raft_progress(raft, 2, &view));
    raft_free(raft);
}

static void a_control_entry_takes_one_index(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    struct raft_entry entry;
    assert_int_equal(raft_propose(raft, 5, 100, &entry), RAFT_OK);
    uint64_t last = entry.last_index;
    assert_int_equal(raft_propose_control(raft, 8, &entry), RAFT_OK);
    assert_int_equal(entry.kind, RAFT_ENTRY_CONTROL);
    assert_int_equal(entry.first_index, last + 1);
    assert_int_equal(entry.last_index, last + 1);
    assert_int_equal(entry.term, raft_term(raft));
    assert_int_equal(raft_last_index(raft), last + 1);
    fixture_drain(raft);
    raft_free(raft);
}

static void only_members_have_progress(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    struct raft_progress_view view;
    assert_true(raft_progress(raft, 1, &view));
    assert_int_equal(view.match_index, 1);
    assert_true(raft_progress(raft, 3, &view));
    assert_true(view.is_voter);
    assert_false(raft_progress(raft, 4, &view));
    raft_free(raft);
}

/* For those who look on: KIP-836's last fetch, and last time at the end of the log. */
static void a_leader_knows_when_followers_were_heard_and_caught_up(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    struct raft_progress_view view;
    struct raft_entry entry;
    struct raft_message reply = {
        .kind = RAFT_MESSAGE_APPEND_REPLY, .from = 2, .to = 1, .term = 1, .index = 1, .granted = 1};
    uint64_t now = raft_due_ticks(raft) - 2;
    fixture_receive(raft, reply, now);
    assert_true(raft_progress(raft, 2, &view));
    assert_int_equal(view.heard_ticks, now);
    assert_int_equal(view.caught_up_ticks, now);
    assert_int_equal(raft_propose(raft, 1, 10, &entry), RAFT_OK);
    fixture_drain(raft);
    fixture_receive(raft, reply, now + 1);
    assert_true(raft_progress(raft, 2, &view));
    assert_int_equal(view.heard_ticks, now + 1);
    assert_int_equal(view.caught_up_ticks, now); /* it lacks the entry */
    reply.index = entry.last_index;
    fixture_receive(raft, reply, now + 1);
    assert_true(raft_progress(raft, 2, &view));
    assert_int_equal(view.caught_up_ticks, now + 1);

    struct raft_membership more = {
        .voter_count = 3, .voters = {1, 2, 3}, .learner_count = 1, .learners = {4}};
    assert_int_equal(raft_propose_membership(raft, &more, &entry), RAFT_OK);
    assert_true(raft_progress(raft, 4, &view));
    assert_int_equal(view.heard_ticks, 0);
    assert_int_equal(view.caught_up_ticks, 0);
    fixture_drain(raft);
    raft_free(raft);
}

static void a_tick_before_its_time_does_nothing(void **state)
{
    (void)state;
    struct raft *follower = new_node(3);
    uint64_t due_ticks = raft_due_ticks(follower);
    raft_tick(follower, due_ticks - 1);
    assert_false(raft_is_dirty(follower));
    assert_int_equal(raft_due_ticks(follower), due_ticks);
    raft_free(follower);

    struct raft *leader = new_leader();
    due_ticks = raft_due_ticks(leader);
    raft_tick(leader, due_ticks - 1);
    assert_false(raft_is_dirty(leader));
    assert_int_equal(raft_due_ticks(leader), due_ticks);
    raft_free(leader);
}

static void a_leader_without_peers_has_nothing_to_tick(void **state)
{
    (void)state;
    struct raft *raft = new_node(1);
    raft_tick(raft, raft_due_ticks(raft));
    fixture_drain(raft);
    assert_true(raft_is_ready_leader(raft));
    raft_tick(raft, 100000);
    assert_false(raft_is_dirty(raft));
    assert_true(raft_is_ready_leader(raft));
    raft_free(raft);
}

/* Node 1 leads term 2 of a log of eight entries of term 1, which the others have not spoken of. */
static struct raft *new_leader_of_old_entries(void)
{
    static const struct raft_term_span span = {1, 1};
    struct raft_options options = fixture_options(1);
    struct raft_state state = fixture_state(3);
    state.term = 1;
    state.last_index = 8;
    state.spans = &span;
    state.span_count = 1;
    struct raft *raft = raft_new(&options, &state, 0);
    raft_tick(raft, raft_due_ticks(raft));
    fixture_drain(raft);
    for (int i = 0; i < 2; ++i) {
        enum raft_message_kind kind =
            i == 0 ? RAFT_MESSAGE_PRE_VOTE_REPLY : RAFT_MESSAGE_VOTE_REPLY;
        fixture_receive(
            raft, (struct raft_message){.kind = kind, .from = 2, .to = 1, .term = 2, .granted = 1},
            raft_due_ticks(raft) - 1);
        fixture_drain(raft);
    }
    assert_int_equal(raft_role(raft), RAFT_LEADER);
    assert_int_equal(raft_last_index(raft), 9);
    return raft;
}

/* The one send of a turn, which is to node 3. */
static struct raft_send collect_send_to_3(struct raft *raft)
{
    struct raft_effects effects;
    assert_true(raft_collect(raft, &effects));
    assert_int_equal(effects.send_count, 1);
    struct raft_send send = effects.sends[0];
    assert_int_equal(send.to, 3);
    raft_release(raft, &effects);
    return send;
}

static uint64_t next_of_3(const struct raft *raft)
{
    struct raft_progress_view view;
    assert_true(raft_progress(raft, 3, &view));
    return view.next_index;
}

static void refuse_from_3(struct raft *raft, uint64_t asked_index, uint64_t last_index)
{
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 2,
                                          .index = asked_index,
                                          .hint_index = last_index,
                                          .hint_term = 1},
                    raft_due_ticks(raft) - 1);
}

/* Whoever has them already need not be sent them, and who has them shows behind them. */
static void what_cannot_be_read_is_asked_for_behind_it(void **state)
{
    (void)state;
    struct raft *raft = new_leader_of_old_entries();
    assert_int_equal(next_of_3(raft), 9);
    refuse_from_3(raft, 8, 4);
    assert_int_equal(collect_send_to_3(raft).index, 4);
    raft_append_unreadable(raft, 3);
    raft_check(raft);
    assert_int_equal(next_of_3(raft), 9);

    /* At the next heartbeat; who does lack them would be asked in a circle. */
    fixture_drain(raft);
    refuse_from_3(raft, 8, 4);
    assert_int_equal(next_of_3(raft), 5);
    struct raft_effects effects;
    if (raft_collect(raft, &effects)) {
        assert_int_equal(effects.send_count, 0);
        raft_release(raft, &effects);
    }
    raft_tick(raft, raft_due_ticks(raft));
    assert_int_equal(collect_send_to_3(raft).index, 4);
    raft_append_unreadable(raft, 3);
    raft_check(raft);

    raft_tick(raft, raft_due_ticks(raft));
    struct raft_send send = collect_send_to_3(raft);
    assert_int_equal(send.index, 8);
    raft_append_sent(raft, 3, 9, 0);
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 2,
                                          .index = 9,
                                          .granted = 1},
                    raft_due_ticks(raft) - 1);
    assert_true(raft_is_ready_leader(raft));
    raft_free(raft);
}

/* Of its own term there is nothing that it could be asked behind. */
static void what_cannot_be_read_of_its_own_term_waits(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    uint64_t now = raft_due_ticks(raft) - 1;
    struct raft_entry entry;
    raft_peer_disconnected(raft, 2, now);
    assert_int_equal(raft_propose(raft, 1, 10, &entry), RAFT_OK);
    uint64_t asked_index = collect_send_to_3(raft).index;
    raft_append_unreadable(raft, 3);
    raft_check(raft);
    assert_int_equal(next_of_3(raft), asked_index + 1);
    raft_tick(raft, raft_due_ticks(raft));
    assert_int_equal(collect_send_to_3(raft).index, asked_index);

    /* A report that comes too late means nothing: an answer has moved on, or the lead is lost. */
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 1,
                                          .index = entry.last_index,
                                          .granted = 1},
                    raft_due_ticks(raft) - 1);
    raft_append_unreadable(raft, 3);
    raft_check(raft);
    assert_int_equal(next_of_3(raft), entry.last_index + 1);
    assert_int_equal(raft_propose(raft, 1, 10, &entry), RAFT_OK);
    (void)collect_send_to_3(raft);
    fixture_receive(
        raft, (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT, .from = 2, .to = 1, .term = 2},
        raft_due_ticks(raft) - 1);
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    raft_append_unreadable(raft, 3);
    raft_check(raft);
    raft_free(raft);
}

/* Reports snapshot transfers to node 3, whose next entry is gone from the log. */
static void a_snapshot_beyond_the_log_proves_nothing(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    struct raft_entry entry;
    uint64_t now = raft_due_ticks(raft) - 1;
    raft_peer_disconnected(raft, 3, now);
    for (int i = 0; i < 4; ++i) {
        assert_int_equal(raft_propose(raft, 1, 10, &entry), RAFT_OK);
        fixture_drain(raft);
    }
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                          .from = 2,
                                          .to = 1,
                                          .term = 1,
                                          .index = 5,
                                          .granted = 1},
                    now);
    raft_prefix_dropped(raft, 5);
    raft_peer_connected(raft, 3);
    fixture_drain(raft);
    struct raft_progress_view view;
    assert_true(raft_progress(raft, 3, &view) && view.is_receiving_snapshot);

    /* Its connection breaks and it is heard again: the transfer is still the host's affair. */
    raft_peer_disconnected(raft, 3, now);
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 1,
                                          .index = 1,
                                          .hint_index = 1},
                    now);
    assert_true(raft_progress(raft, 3, &view) && view.is_receiving_snapshot);

    raft_snapshot_sent(raft, 3, 6, true);
    raft_check(raft);
    uint64_t beat = raft_due_ticks(raft);
    raft_tick(raft, beat);
    fixture_drain(raft);
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 1,
                                          .index = 1,
                                          .hint_index = 1,
                                          .barrier = 1},
                    beat);
    fixture_drain(raft);
    assert_true(raft_progress(raft, 3, &view) && view.is_receiving_snapshot);
    raft_snapshot_sent(raft, 3, 1, true); /* nor does one of what it has */
    raft_check(raft);
    assert_true(raft_progress(raft, 3, &view));
    assert_false(view.is_receiving_snapshot);
    assert_int_equal(view.match_index, 1);
    raft_snapshot_sent(raft, 3, 4, true); /* of a transfer that is over */
    assert_true(raft_progress(raft, 3, &view));
    assert_int_equal(view.match_index, 1);
    raft_free(raft);
}

/* A disk that stalls: the writes beyond those tracked are taken together, none is forgotten and
 * none counts early. */
static void more_writes_than_are_tracked(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    struct raft_effects effects;
    struct raft_entry entry;
    uint64_t ids[MANY_WRITES];
    uint64_t lasts[MANY_WRITES];
    for (int i = 0; i < MANY_WRITES; ++i) {
        assert_int_equal(raft_propose(raft, 1, 10, &entry), RAFT_OK);
        assert_true(raft_collect(raft, &effects));
        ids[i] = effects.write.id;
        lasts[i] = entry.last_index;
        uint32_t send_count = effects.send_count;
        uint32_t sent_to[RAFT_MEMBERS_MAX];
        for (uint32_t j = 0; j < send_count; ++j)
            sent_to[j] = effects.sends[j].to;
        raft_release(raft, &effects);
        for (uint32_t j = 0; j < send_count; ++j)
            raft_append_sent(raft, sent_to[j], entry.last_index, 10);
        raft_check(raft);
    }
    assert_int_equal(raft_saved_index(raft), 1);
    for (int i = 0; i < MANY_WRITES; ++i) {
        raft_saved(raft, ids[i], 0);
        raft_check(raft);
        assert_in_range(raft_saved_index(raft), 1, lasts[i]);
    }
    assert_int_equal(raft_saved_index(raft), lasts[MANY_WRITES - 1]);
    raft_free(raft);
}

/* The same members again say something only in a later epoch, and epochs do not fall. */
static void epochs_of_memberships_rise(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    struct raft_entry entry;
    struct raft_membership same = *raft_membership(raft);
    assert_int_equal(raft_propose_membership(raft, &same, &entry), RAFT_BAD_REQUEST);
    same.epoch += 2;
    assert_int_equal(raft_propose_membership(raft, &same, &entry), RAFT_OK);
    fixture_drain(raft);
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                          .from = 2,
                                          .to = 1,
                                          .term = 1,
                                          .index = entry.last_index,
                                          .granted = 1},
                    raft_due_ticks(raft) - 1);
    struct raft_membership fewer = same;
    fewer.voter_count = 2;
    fewer.epoch -= 1;
    assert_int_equal(raft_propose_membership(raft, &fewer, &entry), RAFT_BAD_REQUEST);
    fewer.epoch += 1;
    assert_int_equal(raft_propose_membership(raft, &fewer, &entry), RAFT_OK);
    raft_free(raft);
}

/* Node 3 answers with a mark: it may have forgotten its votes. */
static void hear_mark_of_3(struct raft *raft)
{
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 1,
                                          .index = 1,
                                          .hint_index = 1,
                                          .hint_term = 77},
                    raft_due_ticks(raft) - 1);
}

static void only_a_voter_to_be_needs_its_vote(void **state)
{
    (void)state;
    struct raft *raft = new_leader();
    hear_mark_of_3(raft);
    struct raft_entry entry;
    struct raft_membership members = *raft_membership(raft);
    members.learner_count = 1;
    members.learners[0] = 4;
    assert_int_equal(raft_propose_membership(raft, &members, &entry), RAFT_OK);
    raft_free(raft);
}

/* Node 1 leads in term 4 a log that begins at 11, with term 3 before and in it. */
static struct raft *new_leader_of_the_rest(void)
{
    static const struct raft_term_span spans[] = {{3, 11}};
    struct raft_options options = fixture_options(1);
    struct raft_state state = fixture_state(3);
    state.term = 3;
    state.first_index = 11;
    state.last_index = 12;
    state.prefix_term = 3;
    state.commit = 10;
    state.spans = spans;
    state.span_count = 1;
    struct raft *raft = raft_new(&options, &state, 0);
    raft_tick(raft, raft_due_ticks(raft));
    fixture_drain(raft);
    struct raft_message vote = {
        .kind = RAFT_MESSAGE_PRE_VOTE_REPLY, .from = 2, .to = 1, .term = 4, .granted = 1};
    fixture_receive(raft, vote, 0);
    fixture_drain(raft);
    vote.kind = RAFT_MESSAGE_VOTE_REPLY;
    fixture_receive(raft, vote, 0);
    fixture_drain(raft);
    assert_int_equal(raft_role(raft), RAFT_LEADER);
    return raft;
}

/* Its last entry that may be the leader's is of a term that the leader's log does not reach. */
static void who_has_older_terms_alone_needs_a_snapshot(void **state)
{
    (void)state;
    struct raft *raft = new_leader_of_the_rest();
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                          .from = 2,
                                          .to = 1,
                                          .term = 4,
                                          .index = 12,
                                          .hint_index = 11,
                                          .hint_term = 1},
                    0);
    struct raft_effects effects;
    assert_true(raft_collect(raft, &effects));
    assert_int_equal(effects.snapshot_count, 1);
    assert_int_equal(effects.snapshots[0], 2);
    raft_release(raft, &effects);
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_older_terms_alone_needs_a_snapshot),
        cmocka_unit_test(only_a_voter_to_be_needs_its_vote),
        cmocka_unit_test(a_follower_refuses_what_leaders_do),
        cmocka_unit_test(a_control_entry_takes_one_index),
        cmocka_unit_test(only_members_have_progress),
        cmocka_unit_test(a_leader_knows_when_followers_were_heard_and_caught_up),
        cmocka_unit_test(a_tick_before_its_time_does_nothing),
        cmocka_unit_test(a_leader_without_peers_has_nothing_to_tick),
        cmocka_unit_test(what_cannot_be_read_is_asked_for_behind_it),
        cmocka_unit_test(what_cannot_be_read_of_its_own_term_waits),
        cmocka_unit_test(a_snapshot_beyond_the_log_proves_nothing),
        cmocka_unit_test(epochs_of_memberships_rise),
        cmocka_unit_test(more_writes_than_are_tracked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
