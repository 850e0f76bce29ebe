/* SPDX-License-Identifier: Apache-2.0
 *
 * test_prng.c -- the sequence is fixed for a seed, and bounded draws are even.
 */
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Computed from the published description of splitmix64 and xoshiro256** for seed 0. */
static void test_the_sequence_is_the_published_one(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 0);
    assert_true(prng.state[0] == 0xe220a8397b1dcdafull);
    assert_true(prng.state[1] == 0x6e789e6aa1b965f4ull);
    assert_true(prng_next(&prng) == 0x99ec5f36cb75f2b4ull);
}

static void test_draws_stay_below_the_bound_and_are_even(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    int seen[10] = {0};
    for (int i = 0; i < 100000; i++) {
        uint64_t drawn = prng_below(&prng, 10);
        assert_true(drawn < 10);
        seen[drawn]++;
    }
    for (int i = 0; i < 10; i++) {
        assert_in_range(seen[i], 9500, 10500);
    }
    assert_int_equal(prng_below(&prng, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_sequence_is_the_published_one),
        cmocka_unit_test(test_draws_stay_below_the_bound_and_are_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
