/* SPDX-License-Identifier: Apache-2.0
 *
 * test_rest.c -- one core's share in a rest: what is offered, taken, agreed on and ended. Scenarios
 * show it for whole groups (tests/scenario/raft/rest-*).
 */
#include "raft_fixture.h"

#define REST_TICKS 300u

static struct raft_options resting_options(uint32_t node_id)
{
    struct raft_options options = fixture_options(node_id);
    options.rest_ticks = REST_TICKS;
    return options;
}

/* ---- A leader ---- */

static struct raft *leader_of(const struct raft_options *options)
{
    struct raft_state new_group = fixture_state(3);
    struct raft *raft = raft_new(options, &new_group, 0);
    fixture_lead(raft);
    return raft;
}

/* Its next round of heartbeats; the rest they offer. */
static uint32_t beat(struct raft *raft)
{
    raft_tick(raft, raft_due_ticks(raft));
    struct raft_effects effects;
    assert_true(raft_collect(raft, &effects));
    assert_int_equal(effects.message_count, 2);
    assert_int_equal(effects.messages[0].kind, RAFT_MESSAGE_HEARTBEAT);
    uint32_t rest_ticks = effects.messages[0].rest_ticks;
    assert_int_equal(effects.messages[1].rest_ticks, rest_ticks);
    raft_release(raft, &effects);
    return rest_ticks;
}

static void answer(struct raft *raft, uint32_t peer, uint64_t round, uint64_t index, uint64_t now)
{
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                          .from = peer,
                                          .to = 1,
                                          .term = 1,
                                          .index = index,
                                          .hint_index = index,
                                          .barrier = round,
                                          .rest_ticks = REST_TICKS},
                    now);
}

static void a_rest_needs_everybodys_word(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    struct raft *raft = leader_of(&options);
    assert_int_equal(beat(raft), REST_TICKS);
    uint64_t due = raft_due_ticks(raft);
    uint64_t now = due - options.heartbeat_ticks;
    answer(raft, 2, 1, 1, now);
    answer(raft, 2, 1, 1, now);
    assert_int_equal(raft_due_ticks(raft), due);
    answer(raft, 3, 1, 1, now);
    assert_in_range(raft_due_ticks(raft), now + REST_TICKS - options.heartbeat_ticks,
                    now + REST_TICKS);
    struct raft_progress_view view;
    assert_true(raft_progress(raft, 2, &view));
    assert_true(view.is_at_rest && view.is_active);
    raft_free(raft);
}

static void a_late_word_counts_for_nothing(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    struct raft *raft = leader_of(&options);
    assert_int_equal(beat(raft), REST_TICKS);
    uint64_t due = raft_due_ticks(raft);
    answer(raft, 2, 1, 1, due - 1);
    /* 3 did not answer the first round, so the second offers nothing. */
    assert_int_equal(beat(raft), 0);
    due = raft_due_ticks(raft);
    answer(raft, 2, 2, 1, due - 1);
    answer(raft, 3, 1, 1, due - 1);
    answer(raft, 3, 2, 1, due - 1);
    assert_int_equal(raft_due_ticks(raft), due);
    raft_free(raft);
}

/* The entry is in, its turn has not ended: the answers of before begin nothing. */
static void an_entry_is_noticed_before_its_turn_ends(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    struct raft *raft = leader_of(&options);
    assert_int_equal(beat(raft), REST_TICKS);
    uint64_t due = raft_due_ticks(raft);
    struct raft_entry entry;
    assert_int_equal(raft_propose(raft, 1, 10, &entry), RAFT_OK);
    answer(raft, 2, 1, 1, due - 1);
    answer(raft, 3, 1, 1, due - 1);
    assert_int_equal(raft_due_ticks(raft), due);
    fixture_drain(raft);
    raft_free(raft);
}

static void a_rest_shorter_than_an_interval_is_none(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    options.rest_ticks = options.heartbeat_ticks;
    struct raft *raft = leader_of(&options);
    assert_int_equal(beat(raft), options.rest_ticks);
    uint64_t due = raft_due_ticks(raft);
    answer(raft, 2, 1, 1, due - 1);
    answer(raft, 3, 1, 1, due - 1);
    assert_int_equal(raft_due_ticks(raft), due);
    raft_free(raft);
}

/* The leader of a group that rests; *now: when that began. */
static struct raft *resting_leader(const struct raft_options *options, uint64_t *now)
{
    struct raft *raft = leader_of(options);
    beat(raft);
    *now = raft_due_ticks(raft) - options->heartbeat_ticks;
    answer(raft, 2, 1, 1, *now);
    answer(raft, 3, 1, 1, *now);
    assert_true(raft_due_ticks(raft) > *now + options->election_ticks);
    return raft;
}

/* Both answers come twice; who gave them counts as heard until the rest's end all the same. */
static void words_that_come_twice_take_nothing_back(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    uint64_t now;
    struct raft *raft = resting_leader(&options, &now);
    answer(raft, 2, 1, 1, now + 1);
    answer(raft, 3, 1, 1, now + 1);
    assert_int_equal(beat(raft), REST_TICKS);
    assert_int_equal(raft_role(raft), RAFT_LEADER);
    raft_free(raft);
}

static void who_leaves_the_rest_ends_it(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    uint64_t now;
    struct raft *raft = resting_leader(&options, &now);
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                          .from = 3,
                                          .to = 1,
                                          .term = 1,
                                          .index = 1,
                                          .hint_index = 1,
                                          .barrier = 1},
                    now + 60);
    assert_true(raft_is_dirty(raft));
    assert_true(raft_due_ticks(raft) <= now + 60 + options.heartbeat_ticks);
    fixture_drain(raft);
    raft_free(raft);
}

/* It agreed to nothing yet, whatever the others did. */
static void a_member_that_is_added_is_not_at_rest(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    uint64_t now;
    struct raft *raft = resting_leader(&options, &now);
    struct raft_membership wider = *raft_membership(raft);
    struct raft_progress_view view;
    struct raft_entry entry;
    wider.learners[wider.learner_count++] = 4;
    wider.epoch++;
    assert_int_equal(raft_propose_membership(raft, &wider, &entry), RAFT_OK);
    assert_true(raft_progress(raft, 4, &view)); /* before the turn ends */
    assert_false(view.is_at_rest);
    assert_true(raft_progress(raft, 2, &view));
    assert_false(view.is_at_rest);
    fixture_drain(raft);
    raft_free(raft);
}

static void strangers_are_not_missed(void **state)
{
    (void)state;
    struct raft_options options = resting_options(1);
    uint64_t now;
    struct raft *raft = resting_leader(&options, &now);
    uint64_t due = raft_due_ticks(raft);
    raft_peer_silent(raft, 9, 0, now + 50);
    assert_int_equal(raft_due_ticks(raft), due);
    raft_peer_silent(raft, 3, now, now + 50);
    assert_true(raft_due_ticks(raft) <= now + 50 + options.heartbeat_ticks);
    struct raft_progress_view view;
    assert_true(raft_progress(raft, 3, &view) && !view.is_active);
    assert_true(raft_progress(raft, 2, &view) && view.is_active);
    raft_peer_silent(raft, 2, now, now + 50); /* the rest is over already */
    assert_true(raft_progress(raft, 2, &view) && !view.is_active);
    raft_tick(raft, now + 50); /* nobody is left to hear it */
    assert_int_equal(raft_role(raft), RAFT_FOLLOWER);
    fixture_drain(raft);
    raft_free(raft);
}

/* ---- A follower ---- */

static struct raft *follower_with_an_entry(const struct raft_options *options, uint64_t term)
{
    static const struct raft_term_span span = {.term = 1, .first_index = 1};
    struct raft_state found = fixture_state(3);
    found.term = term;
    found.last_index = 1;
    found.spans = &span;
    found.span_count = 1;
    return raft_new(options, &found, 0);
}

static struct raft_message offer(uint64_t round)
{
    return (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT,
                                 .from = 1,
                                 .to = 2,
                                 .term = 1,
                                 .index = 1,
                                 .index_term = 1,
                                 .commit = 1,
                                 .barrier = round,
                                 .rest_ticks = REST_TICKS};
}

static bool waits_longer(const struct raft *raft, uint64_t now)
{
    uint64_t patience = raft_due_ticks(raft) - now;
    assert_true(patience < 100 || patience >= REST_TICKS + 50);
    return patience >= REST_TICKS + 50;
}

static void who_has_everything_takes_it(void **state)
{
    (void)state;
    struct raft_options options = resting_options(2);
    struct raft *raft = follower_with_an_entry(&options, 1);
    fixture_receive(raft, offer(5), 10);
    assert_true(waits_longer(raft, 10));

    struct raft_message other = offer(6);
    other.rest_ticks = 0;
    fixture_receive(raft, other, 20);
    assert_false(waits_longer(raft, 20));
    fixture_receive(raft, offer(5), 30); /* late */
    assert_false(waits_longer(raft, 30));
    other = offer(7);
    other.rest_ticks = REST_TICKS + 1; /* longer than anybody offers */
    fixture_receive(raft, other, 40);
    assert_false(waits_longer(raft, 40));
    other = offer(8);
    other.index = 2; /* an entry that is not here */
    other.commit = 2;
    fixture_receive(raft, other, 50);
    assert_false(waits_longer(raft, 50));
    raft_free(raft);
}

static void who_lacks_something_takes_none(void **state)
{
    (void)state;
    struct raft_options options = resting_options(2);
    struct raft *raft = follower_with_an_entry(&options, 1);
    struct raft_message uncommitted = offer(1);
    uncommitted.commit = 0;
    fixture_receive(raft, uncommitted, 10);
    assert_false(waits_longer(raft, 10));

    struct raft_entry entry = {.first_index = 2, .last_index = 2, .term = 1, .bytes = 10};
    fixture_receive(raft,
                    (struct raft_message){.kind = RAFT_MESSAGE_APPEND,
                                          .from = 1,
                                          .to = 2,
                                          .term = 1,
                                          .index = 1,
                                          .index_term = 1,
                                          .commit = 2,
                                          .entry_count = 1,
                                          .entries = &entry},
                    20);
    struct raft_message unsaved = offer(2);
    unsaved.index = 2;
    unsaved.commit = 2;
    fixture_receive(raft, unsaved, 30);
    assert_false(waits_longer(raft, 30));
    fixture_drain(raft);
    unsaved.barrier = 3;
    fixture_receive(raft, unsaved, 40);
    assert_true(waits_longer(raft, 40));
    fixture_drain(raft);
    raft_free(raft);
}

static void an_answer_tells_what_is_left_of_it(void **state)
{
    (void)state;
    struct raft_options options = resting_options(2);
    for (uint64_t late = 0; late <= REST_TICKS; late += REST_TICKS) {
        struct raft *raft = follower_with_an_entry(&options, 1);
        struct raft_message heartbeat = offer(1);
        heartbeat.term = 2; /* the answer waits for that to be durable */
        fixture_receive(raft, heartbeat, 10);
        struct raft_effects effects;
        assert_true(raft_collect(raft, &effects));
        uint64_t write_id = effects.write.id;
        assert_int_not_equal(write_id, 0);
        assert_int_equal(effects.message_count, 0);
        raft_release(raft, &effects);
        fixture_receive(
            raft,
            (struct raft_message){.kind = RAFT_MESSAGE_PRE_VOTE, .from = 3, .to = 2, .term = 3},
            10 + late);
        raft_saved(raft, write_id, 10 + late);
        assert_true(raft_collect(raft, &effects));
        assert_int_equal(effects.messages[0].kind, RAFT_MESSAGE_PRE_VOTE_REPLY);
        assert_false(effects.messages[0].granted); /* its leader counts as alive */
        assert_int_equal(effects.messages[1].kind, RAFT_MESSAGE_HEARTBEAT_REPLY);
        assert_int_equal(effects.messages[1].rest_ticks, REST_TICKS - late);
        raft_release(raft, &effects);
        raft_free(raft);
    }
}

static void who_hears_something_late_leaves_and_says_so(void **state)
{
    (void)state;
    struct raft_options options = resting_options(2);
    struct raft *raft = follower_with_an_entry(&options, 1);
    fixture_receive(raft, offer(1), 10);
    fixture_drain(raft);
    struct raft_message late = offer(0); /* it only tells a commit, and wants no answer */
    late.rest_ticks = 0;
    fixture_receive(raft, late, 20);
    assert_false(waits_longer(raft, 20));
    struct raft_effects effects;
    assert_true(raft_collect(raft, &effects));
    assert_int_equal(effects.message_count, 1);
    assert_int_equal(effects.messages[0].kind, RAFT_MESSAGE_HEARTBEAT_REPLY);
    assert_int_equal(effects.messages[0].rest_ticks, 0);
    raft_release(raft, &effects);
    raft_free(raft);
}

static void only_the_leader_is_missed(void **state)
{
    (void)state;
    struct raft_options options = resting_options(2);
    struct raft *raft = follower_with_an_entry(&options, 1);
    fixture_receive(raft, offer(1), 10);
    raft_peer_silent(raft, 3, 10, 60);
    assert_true(waits_longer(raft, 10));
    raft_peer_silent(raft, 1, 10, 60);
    assert_in_range(raft_due_ticks(raft), 61, 109); /* drawn from [60, 110), and not past */
    uint64_t due = raft_due_ticks(raft);
    raft_peer_silent(raft, 1, 10, 60);
    assert_int_equal(raft_due_ticks(raft), due);

    /* Told long after: soon, but not all groups at once. */
    fixture_receive(raft, offer(2), 70);
    raft_peer_silent(raft, 1, 70, 250);
    assert_in_range(raft_due_ticks(raft), 251, 260);
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rest_needs_everybodys_word),
        cmocka_unit_test(a_late_word_counts_for_nothing),
        cmocka_unit_test(an_entry_is_noticed_before_its_turn_ends),
        cmocka_unit_test(a_rest_shorter_than_an_interval_is_none),
        cmocka_unit_test(a_member_that_is_added_is_not_at_rest),
        cmocka_unit_test(words_that_come_twice_take_nothing_back),
        cmocka_unit_test(who_leaves_the_rest_ends_it),
        cmocka_unit_test(strangers_are_not_missed),
        cmocka_unit_test(who_has_everything_takes_it),
        cmocka_unit_test(who_lacks_something_takes_none),
        cmocka_unit_test(an_answer_tells_what_is_left_of_it),
        cmocka_unit_test(who_hears_something_late_leaves_and_says_so),
        cmocka_unit_test(only_the_leader_is_missed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
