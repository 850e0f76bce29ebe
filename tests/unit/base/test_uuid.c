/* SPDX-License-Identifier: Apache-2.0
 *
 * test_uuid.c -- text form there and back, and texts that are none.
 */
#include "base/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

#include <string.h>

static void test_known_texts(void **state)
{
    (void)state;
    char text[UUID_TEXT_LENGTH + 1];
    struct uuid uuid = {{0}};
    assert_true(uuid_is_zero(&uuid));
    assert_string_equal(uuid_format(&uuid, text), "AAAAAAAAAAAAAAAAAAAAAA");
    uuid.bytes[15] = 1;
    assert_false(uuid_is_zero(&uuid));
    assert_string_equal(uuid_format(&uuid, text), "AAAAAAAAAAAAAAAAAAAAAQ");
    memset(uuid.bytes, 0xff, sizeof uuid.bytes);
    assert_string_equal(uuid_format(&uuid, text), "_____________________w");
}

static void test_random_uuids_go_there_and_back(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 3);
    for (int i = 0; i < 1000; i++) {
        char text[UUID_TEXT_LENGTH + 1];
        struct uuid parsed;
        struct uuid uuid = uuid_from_random(prng_next(&prng), prng_next(&prng));
        uuid_format(&uuid, text);
        assert_int_equal(strlen(text), UUID_TEXT_LENGTH);
        assert_int_not_equal(text[0], '-');
        assert_true(uuid_parse(&parsed, text, UUID_TEXT_LENGTH));
        assert_true(uuid_equal(&uuid, &parsed));
        assert_int_equal(uuid.bytes[6] >> 4, 4);
        assert_int_equal(uuid.bytes[8] >> 6, 2);
    }
}

static void test_a_leading_dash_is_avoided(void **state)
{
    (void)state;
    char text[UUID_TEXT_LENGTH + 1];
    struct uuid uuid = uuid_from_random(0xf800000000000000ull, 0);
    assert_int_not_equal(uuid_format(&uuid, text)[0], '-');
}

static void test_other_texts_are_refused(void **state)
{
    (void)state;
    struct uuid uuid;
    assert_false(uuid_parse(&uuid, "AAAAAAAAAAAAAAAAAAAAA", 21));
    assert_false(uuid_parse(&uuid, "AAAAAAAAAAAAAAAAAAAAAAA", 23));
    assert_false(uuid_parse(&uuid, "AAAAAAAAAAA+AAAAAAAAAA", 22));
    assert_false(uuid_parse(&uuid, "AAAAAAAAAAA\0AAAAAAAAAA", 22));
    assert_false(uuid_parse(&uuid, "", 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_random_uuids_go_there_and_back),
        cmocka_unit_test(test_a_leading_dash_is_avoided),
        cmocka_unit_test(test_other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
