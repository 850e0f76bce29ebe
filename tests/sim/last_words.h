/* SPDX-License-Identifier: Apache-2.0
 *
 * last_words.h -- a simulation that ends by a signal (a failed assertion, a fault of memory) says
 * which seed it was at, and the command that runs it again.  tools/run_soak goes on by that.
 *
 * What the signal did before, it does afterwards: a sanitizer reports as ever.
 *
 * Locality: one thread.
 */
#ifndef LAST_WORDS_H
#define LAST_WORDS_H

#include <stdint.h>

/* Once, at the start of the program. */
void last_words_install(void);
/* Before every seed.  options: what the command has behind the seed, or "". */
void last_words_prepare(const char *program, uint64_t seed, const char *options);

#endif
