/* SPDX-License-Identifier: Apache-2.0
 *
 * test_assert.c -- a broken promise ends the process, in every build, and says where.
 */
#include "base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void break_require(void)
{
    volatile int two = 2;
    require(two == 3);
}

static void break_ensure(void)
{
    volatile int two = 2;
    ensure(two == 3);
}

static void reach_unreachable(void)
{
    unreachable_code();
}

/* Runs act in a child, returns what it wrote to standard error, and demands that it died by abort.
 */
static void assert_dies(void (*act)(void), char *output, size_t output_size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        act();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t got = 0;
    while ((got = read(ends[0], output + length, output_size - 1 - length)) > 0) {
        length += (size_t)got;
    }
    output[length] = 0;
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_a_broken_require_dies(void **state)
{
    (void)state;
    char output[512];
    assert_dies(break_require, output, sizeof output);
    assert_non_null(strstr(output, "require(two == 3)"));
    assert_non_null(strstr(output, "test_assert.c"));
}

static void test_a_broken_ensure_dies(void **state)
{
    (void)state;
    char output[512];
    assert_dies(break_ensure, output, sizeof output);
    assert_non_null(strstr(output, "ensure(two == 3)"));
}

static void test_unreachable_code_dies(void **state)
{
    (void)state;
    char output[512];
    assert_dies(reach_unreachable, output, sizeof output);
    assert_non_null(strstr(output, "unreachable"));
}

static void test_a_kept_promise_lives_and_is_evaluated_once(void **state)
{
    (void)state;
    int count = 0;
    require(++count == 1);
    ensure(++count == 2);
    assert_int_equal(count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broken_require_dies),
        cmocka_unit_test(test_a_broken_ensure_dies),
        cmocka_unit_test(test_unreachable_code_dies),
        cmocka_unit_test(test_a_kept_promise_lives_and_is_evaluated_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
