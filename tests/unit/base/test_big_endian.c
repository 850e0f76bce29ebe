/* SPDX-License-Identifier: Apache-2.0
 *
 * test_big_endian.c -- numbers of every size as bytes, at every alignment, and back.
 */
#include "base/big_endian.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t digits[] = {0x81, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8};

static void test_the_first_byte_is_the_most_significant(void **state)
{
    (void)state;
    assert_true(big_endian_get(digits, 1) == 0x81);
    assert_true(big_endian_get(digits, 2) == 0x8192);
    assert_true(big_endian_get(digits, 3) == 0x8192a3);
    assert_true(big_endian_get(digits, 4) == 0x8192a3b4);
    assert_true(big_endian_get(digits, 8) == 0x8192a3b4c5d6e7f8);
    assert_true(big_endian_get(digits, 0) == 0);
}

static void test_what_is_put_is_got_and_nothing_beside_it_changes(void **state)
{
    (void)state;
    const uint64_t value = 0x8192a3b4c5d6e7f8;
    for (size_t size = 1; size <= 8; size++) {
        for (size_t at = 1; at < 9; at++) {
            uint8_t bytes[24] = {0};
            big_endian_put(bytes + at, value, size);
            uint64_t kept = size == 8 ? value : value & ((UINT64_C(1) << size * 8) - 1);
            assert_true(big_endian_get(bytes + at, size) == kept);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(bytes[at + i], digits[8 - size + i]);
            }
            assert_int_equal(bytes[at - 1], 0);
            assert_int_equal(bytes[at + size], 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_byte_is_the_most_significant),
        cmocka_unit_test(test_what_is_put_is_got_and_nothing_beside_it_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
