/* SPDX-License-Identifier: Apache-2.0
 *
 * test_giving_way.c -- whom a leader asks to take over, and when it leaves as its disk has lost
 * what the others lack.
 */
#include "raft_fixture.h"

/* A follower of node 1, as the test plays it. */
struct follower {
    uint64_t last_index; /* where its log ends */
    uint64_t mark;       /* it has no vote */
    bool is_silent;
};

struct play {
    struct raft *raft;
    struct follower followers[4]; /* [node id] */
    uint64_t readable_from;       /* what comes before cannot be read */
    uint32_t asked_to_run;        /* by TIMEOUT_NOW; 0: nobody */
};

static void answer(struct play *play, struct raft_message message)
{
    message.to = 1;
    message.term = raft_term(play->raft);
    message.hint_term = message.granted || message.kind == RAFT_MESSAGE_HEARTBEAT_REPLY
                            ? play->followers[message.from].mark
                            : message.hint_term;
    fixture_receive(play->raft, message, 0);
}

static void answer_send(struct play *play, const struct raft_send *send)
{
    struct follower *follower = &play->followers[send->to];
    if (send->index + 1 < play->readable_from) {
        raft_append_unreadable(play->raft, send->to);
        return;
    }
    raft_append_sent(play->raft, send->to, send->last_index_max, 0);
    if (follower->is_silent)
        return;
    struct raft_message reply = {.kind = RAFT_MESSAGE_APPEND_REPLY, .from = send->to};
    if (send->index > follower->last_index) {
        reply.index = send->index;
        reply.hint_index = follower->last_index;
        reply.hint_term = 1;
    } else {
        follower->last_index = send->last_index_max;
        reply.index = send->last_index_max;
        reply.granted = 1;
    }
    answer(play, reply);
}

static void take_messages(struct play *play, const struct raft_message *messages, uint32_t count)
{
    for (uint32_t i = 0; i < count; ++i) {
        const struct follower *follower = &play->followers[messages[i].to];
        if (messages[i].kind == RAFT_MESSAGE_TIMEOUT_NOW)
            play->asked_to_run = messages[i].to;
        if (messages[i].kind == RAFT_MESSAGE_HEARTBEAT && messages[i].barrier != 0 &&
            !follower->is_silent)
            answer(play, (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                               .from = messages[i].to,
                                               .index = messages[i].index,
                                               .barrier = messages[i].barrier});
    }
}

/* Carries out what node 1 wants until it wants nothing. */
static void carry_out(struct play *play)
{
    struct raft_effects effects;
    struct raft_entry entry;
    (void)raft_take_noop(play->raft, &entry);
    while (raft_is_dirty(play->raft) && raft_collect(play->raft, &effects)) {
        struct raft_send sends[RAFT_MEMBERS_MAX];
        struct raft_message messages[2 * RAFT_MEMBERS_MAX];
        uint32_t send_count = effects.send_count;
        uint32_t message_count = effects.message_count;
        uint64_t write_id = effects.write.id;
        assert_true(message_count <= 2 * RAFT_MEMBERS_MAX);
        if (send_count > 0)
            memcpy(sends, effects.sends, send_count * sizeof(sends[0]));
        if (message_count > 0)
            memcpy(messages, effects.messages, message_count * sizeof(messages[0]));
        raft_release(play->raft, &effects);
        if (write_id != 0)
            raft_saved(play->raft, write_id, 0);
        for (uint32_t i = 0; i < send_count; ++i)
            answer_send(play, &sends[i]);
        take_messages(play, messages, message_count);
        (void)raft_take_noop(play->raft, &entry);
        raft_check(play->raft);
    }
}

/* Node 1 of three leads with entries 1..8 of the term before; the others have 1..5 and 1..4. */
static struct play new_play(void)
{
    struct raft_term_span span = {.term = 1, .first_index = 1};
    struct raft_options options = fixture_options(1);
    struct raft_state state = fixture_state(3);
    state.term = 1;
    state.last_index = 8;
    state.spans = &span;
    state.span_count = 1;
    struct play play = {.raft = raft_new(&options, &state, 0)};
    play.followers[2].last_index = 4;
    play.followers[3].last_index = 5;
    raft_tick(play.raft, raft_due_ticks(play.raft));
    carry_out(&play);
    for (int i = 0; i < 2; ++i) {
        enum raft_message_kind kind =
            i == 0 ? RAFT_MESSAGE_PRE_VOTE_REPLY : RAFT_MESSAGE_VOTE_REPLY;
        fixture_receive(
            play.raft,
            (struct raft_message){.kind = kind, .from = 2, .to = 1, .term = 2, .granted = 1}, 0);
        if (i == 0)
            carry_out(&play);
    }
    assert_int_equal(raft_role(play.raft), RAFT_LEADER);
    return play;
}

/* Lets it lead for so many election timeouts, if it does; since when it does not. */
static uint64_t lead_for(struct play *play, uint64_t elections)
{
    uint64_t end = raft_due_ticks(play->raft) + elections * fixture_options(1).election_ticks;
    carry_out(play);
    uint64_t now = 0;
    while (raft_role(play->raft) == RAFT_LEADER && raft_due_ticks(play->raft) < end) {
        now = raft_due_ticks(play->raft);
        raft_tick(play->raft, now);
        carry_out(play);
    }
    return now;
}

static void who_lacks_what_is_lost_is_left_alone(void **state)
{
    (void)state;
    struct play play = new_play();
    play.readable_from = 9;
    uint64_t election_ticks = fixture_options(1).election_ticks;
    (void)lead_for(&play, 1);
    assert_int_equal(raft_role(play.raft), RAFT_LEADER);
    assert_int_equal(raft_transfer_leadership(play.raft, 0, 0), RAFT_NOT_READY);
    uint64_t left_ticks = lead_for(&play, 3);
    assert_int_equal(raft_role(play.raft), RAFT_FOLLOWER);
    assert_int_equal(play.asked_to_run, 3); /* which is with it for longest */

    /* It runs neither by itself, nor against whose log is shorter, nor when it is asked to. */
    assert_true(raft_due_ticks(play.raft) >= left_ticks + 4 * election_ticks);
    fixture_receive(play.raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_PRE_VOTE,
                                          .from = 2,
                                          .to = 1,
                                          .term = 3,
                                          .index = 4,
                                          .index_term = 1},
                    left_ticks + 1);
    assert_true(raft_due_ticks(play.raft) >= left_ticks + 4 * election_ticks);
    for (uint64_t term = 3; term <= 4; ++term) {
        uint64_t now = left_ticks + (term == 3 ? 1 : 4) * election_ticks;
        enum raft_message_kind kinds[] = {RAFT_MESSAGE_HEARTBEAT, RAFT_MESSAGE_TIMEOUT_NOW};
        for (int i = 0; i < 2; ++i)
            fixture_receive(
                play.raft,
                (struct raft_message){.kind = kinds[i], .from = 2, .to = 1, .term = term}, now);
        assert_int_equal(raft_role(play.raft), term == 3 ? RAFT_FOLLOWER : RAFT_CANDIDATE);
    }
    raft_free(play.raft);
}

/* Its log has given way: it stands for election like any other. */
static void a_log_that_gave_way_is_as_good_as_any(void **state)
{
    (void)state;
    struct play play = new_play();
    play.readable_from = 9;
    uint64_t left_ticks = lead_for(&play, 4);
    assert_int_equal(raft_role(play.raft), RAFT_FOLLOWER);
    struct raft_entry entry = {
        .first_index = 6, .last_index = 6, .term = 3, .kind = RAFT_ENTRY_NOOP};
    fixture_receive(play.raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND,
                                          .from = 3,
                                          .to = 1,
                                          .term = 3,
                                          .index = 5,
                                          .index_term = 1,
                                          .entry_count = 1,
                                          .entries = &entry},
                    left_ticks + 1);
    assert_int_equal(raft_last_index(play.raft), 6);
    fixture_receive(
        play.raft,
        (struct raft_message){.kind = RAFT_MESSAGE_TIMEOUT_NOW, .from = 3, .to = 1, .term = 3},
        left_ticks + 2);
    assert_int_equal(raft_role(play.raft), RAFT_CANDIDATE);
    raft_free(play.raft);
}

static void it_stays_while_the_others_are_no_majority(void **state)
{
    (void)state;
    struct play play = new_play();
    play.readable_from = 9;
    play.followers[2].mark = 77;
    (void)lead_for(&play, 9);
    assert_int_equal(raft_role(play.raft), RAFT_LEADER);

    play.followers[2].mark = 0;
    play.followers[3].is_silent = true;
    (void)lead_for(&play, 9);
    assert_int_equal(raft_role(play.raft), RAFT_LEADER);

    play.followers[3].is_silent = false;
    (void)lead_for(&play, 4);
    assert_int_equal(raft_role(play.raft), RAFT_FOLLOWER);
    raft_free(play.raft);
}

static void it_stays_when_it_can_read_again(void **state)
{
    (void)state;
    struct play play = new_play();
    play.readable_from = 9;
    (void)lead_for(&play, 1);
    play.readable_from = 0;
    (void)lead_for(&play, 9);
    assert_int_equal(raft_role(play.raft), RAFT_LEADER);
    assert_true(raft_is_ready_leader(play.raft));
    raft_free(play.raft);
}

/* Node 2 has it all: the host hands over to it. */
static void it_stays_for_who_can_relieve_it(void **state)
{
    (void)state;
    struct play play = new_play();
    play.readable_from = 9;
    play.followers[2].last_index = 8;
    (void)lead_for(&play, 9);
    assert_int_equal(raft_role(play.raft), RAFT_LEADER);
    assert_int_equal(raft_transfer_leadership(play.raft, 0, 0), RAFT_OK);
    carry_out(&play);
    assert_int_equal(play.asked_to_run, 2);
    raft_free(play.raft);
}

static void who_has_no_vote_is_not_handed_the_lead(void **state)
{
    (void)state;
    struct play play = new_play();
    play.followers[2].mark = 77;
    (void)lead_for(&play, 1);
    assert_true(raft_is_ready_leader(play.raft));
    assert_int_equal(raft_transfer_leadership(play.raft, 0, 0), RAFT_OK);
    carry_out(&play);
    assert_int_equal(play.asked_to_run, 3);

    play.followers[3].mark = 78;
    (void)lead_for(&play, 2); /* the transfer is over */
    assert_false(raft_is_transferring(play.raft));
    assert_int_equal(raft_transfer_leadership(play.raft, 0, 0), RAFT_BAD_REQUEST);
    raft_free(play.raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_lacks_what_is_lost_is_left_alone),
        cmocka_unit_test(a_log_that_gave_way_is_as_good_as_any),
        cmocka_unit_test(it_stays_while_the_others_are_no_majority),
        cmocka_unit_test(it_stays_when_it_can_read_again),
        cmocka_unit_test(it_stays_for_who_can_relieve_it),
        cmocka_unit_test(who_has_no_vote_is_not_handed_the_lead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
