/* SPDX-License-Identifier: Apache-2.0
 *
 * last_words.c -- see last_words.h.
 *
 * The words are put together before they are needed, as a signal's handler may do little.  It has a
 * stack of its own: the fault may be that the other one is used up.
 */
#define _GNU_SOURCE
#include "last_words.h"

#include "base/assert.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WORDS_SIZE 1024
#define STACK_BYTES 65536

static const int deadly[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
#define DEADLY_COUNT (sizeof deadly / sizeof deadly[0])

/* A signal's handler is given nothing else. */
static char words[WORDS_SIZE];
static struct sigaction former[DEADLY_COUNT];
static uint8_t handler_stack[STACK_BYTES];

static void speak(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (write(STDERR_FILENO, words, strnlen(words, sizeof words)) < 0) {
        _exit(2);
    }
    for (size_t i = 0; i < DEADLY_COUNT; i++) {
        if (deadly[i] == number) {
            (void)sigaction(number, &former[i], NULL);
        }
    }
    /* A fault comes again when what caused it is tried again; what was sent (also by abort()) does
     * not. */
    if (info->si_code <= 0) {
        (void)raise(number);
    }
}

void last_words_install(void)
{
    stack_t stack;
    int result = sigaltstack(NULL, &stack);
    if (result == 0 && (stack.ss_flags & SS_DISABLE) != 0) { /* a sanitizer has one already */
        stack = (stack_t){.ss_sp = handler_stack, .ss_size = sizeof handler_stack};
        result = sigaltstack(&stack, NULL);
    }
    require(result == 0);
    struct sigaction action = {.sa_sigaction = speak, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < DEADLY_COUNT; i++) {
        result = sigaction(deadly[i], &action, &former[i]);
        require(result == 0);
    }
}

void last_words_prepare(const struct last_words *last)
{
    (void)snprintf(words, sizeof words,
                   "\nso far: %" PRIu64 " steps, %.0f simulated seconds\nfailing seed: %" PRIu64
                   "\nreplay: %s --seed %" PRIu64 "%s%s\n",
                   last->steps, last->simulated_s, last->seed, last->program, last->seed,
                   last->options[0] == 0 ? "" : " ", last->options);
}
