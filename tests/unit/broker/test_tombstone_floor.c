/* SPDX-License-Identifier: Apache-2.0
 *
 * test_tombstone_floor.c -- up to where tombstones may go: only what every copy had at one moment.
 */
#include "broker/tombstone_floor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TERM 5
#define EPOCH 2

static struct tombstone_proof proof;

static struct tombstone_holders holders_of(uint64_t term, uint32_t epoch, uint32_t count)
{
    struct tombstone_holders holders = {.term = term, .epoch = epoch};
    for (uint32_t i = count; i > 0; i--) {
        assert_true(tombstone_holders_add(&holders, i));
    }
    return holders;
}

static int reset(void **state)
{
    (void)state;
    proof = (struct tombstone_proof){0};
    return 0;
}

static void begin(uint64_t number)
{
    struct tombstone_holders holders = holders_of(TERM, EPOCH, 3);
    tombstone_proof_begin(&proof, number, &holders);
}

/* By default the copy with the broker's id as its own. */
static uint64_t take(uint64_t number, uint32_t broker_id, uint64_t offset)
{
    struct tombstone_answer answer = {TERM, EPOCH, broker_id, offset};
    return tombstone_proof_take(&proof, number, broker_id, &answer);
}

static uint64_t take_of_copy(uint64_t number, uint32_t broker_id, uint64_t copy_id, uint64_t offset)
{
    struct tombstone_answer answer = {TERM, EPOCH, copy_id, offset};
    return tombstone_proof_take(&proof, number, broker_id, &answer);
}

static uint64_t run_round(uint64_t number, uint64_t first, uint64_t second, uint64_t third)
{
    begin(number);
    assert_int_equal(take(number, 1, first), 0);
    assert_int_equal(take(number, 3, third), 0);
    return take(number, 2, second);
}

static void test_holders_stand_once_and_in_order(void **state)
{
    (void)state;
    struct tombstone_holders holders = {0};
    assert_true(tombstone_holders_add(&holders, 7));
    assert_true(tombstone_holders_add(&holders, 3));
    assert_true(tombstone_holders_add(&holders, 7));
    assert_true(tombstone_holders_add(&holders, 9));
    assert_int_equal(holders.count, 3);
    assert_int_equal(holders.brokers[0], 3);
    assert_int_equal(holders.brokers[1], 7);
    assert_int_equal(holders.brokers[2], 9);
    for (uint32_t i = 100; holders.count < TOMBSTONE_HOLDERS_MAX; i++) {
        assert_true(tombstone_holders_add(&holders, i));
    }
    assert_false(tombstone_holders_add(&holders, 1));
    assert_true(tombstone_holders_add(&holders, 3));
}

static void test_two_whole_rounds_prove_the_least_of_the_earlier(void **state)
{
    (void)state;
    assert_int_equal(run_round(11, 100, 80, 90), 0);
    assert_int_equal(run_round(12, 200, 180, 190), 80);
    assert_int_equal(run_round(13, 200, 180, 190), 180);
}

static void test_one_that_does_not_answer_counts_as_nothing(void **state)
{
    (void)state;
    run_round(11, 100, 80, 90);
    begin(12);
    assert_int_equal(take(12, 1, 200), 0);
    assert_int_equal(take(12, 2, 200), 0);
    /* What the first round said still held in the same copies when a later one begins. */
    assert_int_equal(run_round(13, 300, 300, 300), 80);
    assert_int_equal(run_round(14, 300, 300, 300), 300);
}

static void test_one_that_was_compacted_to_nowhere_proves_nothing(void **state)
{
    (void)state;
    run_round(11, 100, 0, 90);
    assert_int_equal(run_round(12, 100, 100, 90), 0);
    assert_int_equal(run_round(13, 100, 100, 90), 90);
}

/* A replica that answered, lost its disk and is filled again by a leader that is not compacted yet
 * holds old records again: what it said before counts for nothing. */
static void test_a_copy_that_was_lost_since_it_answered_proves_nothing(void **state)
{
    (void)state;
    run_round(11, 100, 100, 100);
    begin(12);
    take(12, 1, 100);
    take(12, 3, 100);
    assert_int_equal(take_of_copy(12, 2, 77, 0), 0);
    begin(13);
    take(13, 1, 100);
    take(13, 3, 100);
    assert_int_equal(take_of_copy(13, 2, 77, 60), 0);
    begin(14);
    take(14, 1, 100);
    take(14, 3, 100);
    assert_int_equal(take_of_copy(14, 2, 77, 100), 60);
}

/* Even when it is as far as before already: it was not between the rounds. */
static void test_a_copy_made_anew_between_rounds_proves_nothing_however_far(void **state)
{
    (void)state;
    run_round(11, 100, 100, 100);
    begin(12);
    take(12, 1, 100);
    take(12, 3, 100);
    assert_int_equal(take_of_copy(12, 2, 77, 100), 0);
}

static void test_answers_to_another_round_count_for_nothing(void **state)
{
    (void)state;
    run_round(11, 100, 100, 100);
    begin(12);
    take(12, 1, 100);
    take(12, 3, 100);
    assert_int_equal(take(11, 2, 100), 0);
    assert_int_equal(take(13, 2, 100), 0);
    assert_int_equal(take(0, 2, 100), 0);
    assert_int_equal(take(12, 2, 100), 100);
}

static void test_the_first_answer_of_a_holder_counts(void **state)
{
    (void)state;
    run_round(11, 100, 100, 100);
    begin(12);
    take(12, 1, 100);
    take(12, 1, 100);
    assert_int_equal(take(12, 1, 100), 0); /* not three holders */
    take(12, 2, 100);
    assert_int_equal(take(12, 3, 100), 100);
}

static void test_strangers_do_not_count(void **state)
{
    (void)state;
    run_round(11, 100, 100, 100);
    begin(12);
    take(12, 1, 100);
    take(12, 2, 100);
    assert_int_equal(take(12, 4, 100), 0);
    assert_int_equal(take(12, 3, 100), 100);
}

static void test_who_sees_another_term_or_epoch_does_not_count(void **state)
{
    (void)state;
    struct tombstone_answer later_term = {TERM + 1, EPOCH, 2, 100};
    struct tombstone_answer earlier_term = {TERM - 1, EPOCH, 2, 100};
    struct tombstone_answer other_epoch = {TERM, EPOCH + 1, 2, 100};
    struct tombstone_answer no_copy = {TERM, EPOCH, 0, 100};
    run_round(11, 100, 100, 100);
    begin(12);
    take(12, 1, 100);
    take(12, 3, 100);
    assert_int_equal(tombstone_proof_take(&proof, 12, 2, &later_term), 0);
    assert_int_equal(tombstone_proof_take(&proof, 12, 2, &earlier_term), 0);
    assert_int_equal(tombstone_proof_take(&proof, 12, 2, &other_epoch), 0);
    assert_int_equal(tombstone_proof_take(&proof, 12, 2, &no_copy), 0);
    assert_int_equal(take(12, 2, 100), 100);
}

/* A member more, another decision about the replicas, another term: what was heard before is of
 * other holders. */
static void test_other_holders_begin_anew(void **state)
{
    (void)state;
    const struct tombstone_holders others[] = {
        holders_of(TERM, EPOCH, 4),
        holders_of(TERM, EPOCH + 1, 3),
        holders_of(TERM + 1, EPOCH, 3),
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        reset(NULL);
        run_round(11, 100, 100, 100);
        for (uint64_t number = 12; number < 15; number++) {
            uint64_t floor = 0;
            tombstone_proof_begin(&proof, number, &others[i]);
            for (uint32_t id = 1; id <= others[i].count; id++) {
                struct tombstone_answer answer = {others[i].term, others[i].epoch, id, 50 + number};
                floor = tombstone_proof_take(&proof, number, id, &answer);
            }
            assert_int_equal(floor, number == 12 ? 0 : 50 + number - 1);
        }
    }
}

static void test_a_single_holder_needs_two_rounds_as_well(void **state)
{
    (void)state;
    struct tombstone_holders alone = holders_of(TERM, EPOCH, 1);
    tombstone_proof_begin(&proof, 1, &alone);
    assert_int_equal(take(1, 1, 40), 0);
    tombstone_proof_begin(&proof, 2, &alone);
    assert_int_equal(take(2, 1, 50), 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_holders_stand_once_and_in_order, reset),
        cmocka_unit_test_setup(test_two_whole_rounds_prove_the_least_of_the_earlier, reset),
        cmocka_unit_test_setup(test_one_that_does_not_answer_counts_as_nothing, reset),
        cmocka_unit_test_setup(test_one_that_was_compacted_to_nowhere_proves_nothing, reset),
        cmocka_unit_test_setup(test_a_copy_that_was_lost_since_it_answered_proves_nothing, reset),
        cmocka_unit_test_setup(test_a_copy_made_anew_between_rounds_proves_nothing_however_far,
                               reset),
        cmocka_unit_test_setup(test_answers_to_another_round_count_for_nothing, reset),
        cmocka_unit_test_setup(test_the_first_answer_of_a_holder_counts, reset),
        cmocka_unit_test_setup(test_strangers_do_not_count, reset),
        cmocka_unit_test_setup(test_who_sees_another_term_or_epoch_does_not_count, reset),
        cmocka_unit_test_setup(test_other_holders_begin_anew, reset),
        cmocka_unit_test_setup(test_a_single_holder_needs_two_rounds_as_well, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
