/* SPDX-License-Identifier: Apache-2.0
 *
 * test_arena.c -- alignment, zeroing, growth and the limit.
 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_memory_is_aligned_and_zeroed(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    assert_null(arena.chunks);
    unsigned char *previous = NULL;
    for (size_t size = 0; size < 3000; size += 7) {
        unsigned char *memory = arena_allocate(&arena, size);
        assert_non_null(memory);
        assert_ptr_not_equal(memory, previous);
        assert_int_equal((uintptr_t)memory % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(memory[i], 0);
            memory[i] = 0xff;
        }
        previous = memory;
    }
    arena_free(&arena);
}

static void test_the_limit_holds(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 4096);
    assert_null(arena_allocate(&arena, 4097));
    assert_non_null(arena_allocate(&arena, 4000));
    assert_null(arena_allocate(&arena, 97));
    assert_non_null(arena_allocate(&arena, 90));
    assert_null(arena_allocate(&arena, 1));
    assert_true(arena.used_bytes <= arena.limit_bytes);
    assert_null(arena_allocate_array(&arena, SIZE_MAX, 2));
    assert_null(arena_allocate_array(&arena, SIZE_MAX / 2 + 1, 2));
    arena_free(&arena);
}

static void test_an_unlimited_arena_does_not_overflow(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    assert_null(arena_allocate(&arena, SIZE_MAX));
    assert_null(arena_allocate(&arena, SIZE_MAX - 1));
    arena_free(&arena);
}

static void test_reset_gives_the_whole_limit_again(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, 100000);
    for (int round = 0; round < 3; round++) {
        unsigned char *large = arena_allocate_array(&arena, 900, 100);
        assert_non_null(large);
        assert_int_equal(large[0], 0);
        assert_int_equal(large[89999], 0);
        large[0] = 1;
        large[89999] = 1;
        assert_null(arena_allocate(&arena, 20000));
        arena_reset(&arena);
        assert_int_equal(arena.used_bytes, 0);
    }
    unsigned char *small = arena_allocate(&arena, 64);
    small[0] = 7;
    arena_reset(&arena);
    small = arena_allocate(&arena, 64);
    assert_int_equal(small[0], 0);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory_is_aligned_and_zeroed),
        cmocka_unit_test(test_the_limit_holds),
        cmocka_unit_test(test_an_unlimited_arena_does_not_overflow),
        cmocka_unit_test(test_reset_gives_the_whole_limit_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
