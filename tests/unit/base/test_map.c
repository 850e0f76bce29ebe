/* SPDX-License-Identifier: Apache-2.0
 *
 * test_map.c -- the table against a plain array, by number and by bytes.
 */
#include "base/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

#include <stdio.h>
#include <string.h>

#define KEYS 700

static void test_an_empty_map_holds_nothing(void **state)
{
    (void)state;
    struct map map;
    size_t position = 0;
    map_init(&map);
    assert_null(map_get(&map, 0));
    assert_null(map_take(&map, 0));
    assert_null(map_get_bytes(&map, "", 0));
    assert_null(map_next(&map, &position));
    map_free(&map);
}

static void test_random_history_by_number(void **state)
{
    (void)state;
    static int values[KEYS];
    void *expected[KEYS] = {0};
    size_t count = 0;
    struct map map;
    struct prng prng;
    map_init(&map);
    prng_init(&prng, 1);
    for (int step = 0; step < 100000; step++) {
        size_t key = (size_t)prng_below(&prng, KEYS);
        uint64_t number = key * 0x100000000ull;
        if (prng_below(&prng, 2) == 0) {
            assert_ptr_equal(map_put(&map, number, &values[step % KEYS]), expected[key]);
            count += expected[key] == NULL ? 1 : 0;
            expected[key] = &values[step % KEYS];
        } else {
            assert_ptr_equal(map_take(&map, number), expected[key]);
            count -= expected[key] != NULL ? 1 : 0;
            expected[key] = NULL;
        }
        assert_int_equal(map.count, count);
    }
    for (size_t key = 0; key < KEYS; key++) {
        assert_ptr_equal(map_get(&map, key * 0x100000000ull), expected[key]);
    }
    map_free(&map);
}

static void test_byte_keys(void **state)
{
    (void)state;
    static char names[KEYS][24];
    struct map map;
    map_init(&map);
    for (size_t i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof names[i], "topic-%zu", i);
        assert_null(map_put_bytes(&map, names[i], strlen(names[i]), names[i]));
    }
    for (size_t i = 0; i < KEYS; i++) {
        char key[24];
        snprintf(key, sizeof key, "topic-%zu", i);
        assert_ptr_equal(map_get_bytes(&map, key, strlen(key)), names[i]);
    }
    for (size_t i = 0; i < KEYS; i += 2) {
        assert_ptr_equal(map_take_bytes(&map, names[i], strlen(names[i])), names[i]);
    }
    size_t position = 0;
    size_t seen = 0;
    while (map_next(&map, &position) != NULL) {
        seen++;
    }
    assert_int_equal(seen, KEYS / 2);
    map_free(&map);
}

static void test_the_empty_string_is_a_key(void **state)
{
    (void)state;
    int value = 0;
    struct map map;
    map_init(&map);
    assert_null(map_put_bytes(&map, NULL, 0, &value));
    assert_ptr_equal(map_get_bytes(&map, "", 0), &value);
    assert_ptr_equal(map_take_bytes(&map, "x", 0), &value);
    assert_int_equal(map.count, 0);
    map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_empty_map_holds_nothing),
        cmocka_unit_test(test_random_history_by_number),
        cmocka_unit_test(test_byte_keys),
        cmocka_unit_test(test_the_empty_string_is_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
