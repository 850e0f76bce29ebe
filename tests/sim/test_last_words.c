/* SPDX-License-Identifier: Apache-2.0
 *
 * test_last_words.c -- a process that ends by a signal has said which seed it was at and what came
 * before, however it came to its end.
 */
#include "last_words.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAME_BYTES 4096
#define OUTPUT_SIZE 65536

static void end_by_abort(void)
{
    abort();
}

/* Not NULL, which a sanitizer would see and end the process for by itself. */
static void end_by_a_wild_pointer(void)
{
    void *forbidden = mmap(NULL, FRAME_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (forbidden == MAP_FAILED)
        _exit(0);
    *(volatile char *)forbidden = 1;
}

static int fall(volatile int depth)
{
    volatile char frame[FRAME_BYTES];
    frame[depth % FRAME_BYTES] = 1;
    return depth < 0 ? 0 : fall(depth + 1) + frame[0];
}

static void end_by_a_full_stack(void)
{
    (void)fall(0);
}

static void end_by_a_signal_sent(void)
{
    (void)raise(SIGBUS);
}

/* In a process of its own; what it wrote is left in output. */
static void check_end(void (*end)(void), char *output)
{
    int ends[2];
    int status = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        last_words_install();
        last_words_prepare(
            &(struct last_words){.program = "build/some_sim", .options = "", .seed = 41});
        last_words_prepare(&(struct last_words){.program = "build/some_sim",
                                                .options = "--with rot",
                                                .seed = 42,
                                                .steps = 1234567890123,
                                                .simulated_s = 98765.4});
        end();
        _exit(0);
    }
    (void)close(ends[1]);
    size_t length = 0;
    ssize_t count = 0;
    while ((count = read(ends[0], output + length, OUTPUT_SIZE - 1 - length)) > 0) {
        length += (size_t)count;
    }
    output[length] = 0;
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void test_the_seed_is_named(void **state)
{
    static char output[OUTPUT_SIZE];
    static void (*const all[])(void) = {end_by_abort, end_by_a_wild_pointer, end_by_a_full_stack,
                                        end_by_a_signal_sent};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        check_end(all[i], output);
        assert_non_null(strstr(output, "\nso far: 1234567890123 steps, 98765 simulated seconds\n"));
        assert_non_null(strstr(output, "\nfailing seed: 42\n"));
        assert_non_null(strstr(output, "\nreplay: build/some_sim --seed 42 --with rot\n"));
        assert_null(strstr(output, "seed 41"));
        assert_null(strstr(output, "seed: 41"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_seed_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
