/* SPDX-License-Identifier: Apache-2.0
 *
 * last_words.h -- a simulation that ends by a signal (a failed assertion, a fault of memory) says
 * which seed it was at, the command that runs it again, and what the seeds before it came to.
 * tools/run_soak goes on by that, and ends with such a signal a simulation that does not end.
 *
 * What the signal did before, it does afterwards: a sanitizer reports as ever.
 *
 * Locality: one thread.
 */
#ifndef LAST_WORDS_H
#define LAST_WORDS_H

#include <stdint.h>

struct last_words {
    const char *program;
    const char *options; /* what the command has behind the seed, or "" */
    uint64_t seed;
    /* Of the seeds that this process has run through. */
    uint64_t steps;
    double simulated_s;
};

/* Once, at the start of the program. */
void last_words_install(void);
/* Before every seed. */
void last_words_prepare(const struct last_words *last);

#endif
