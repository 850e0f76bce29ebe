/* SPDX-License-Identifier: Apache-2.0
 *
 * assert.h -- assertions that stay on in release builds.
 *
 * Three kinds, so that a crash report says who is wrong: require() -- the caller broke the
 * contract; ensure() -- this code broke its own invariant; unreachable_code() -- a branch no state
 * leads to. Not for operating errors (disk, network, input): those are returned and handled.
 *
 * Locality: any thread.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/* Prints kind, expression and place to standard error, then aborts.  Never returns. */
_Noreturn void assert_failed(const char *kind, const char *expression, const char *file, int line);

#define require(expression)                                                                        \
    ((expression) ? (void)0 : assert_failed("require", #expression, __FILE__, __LINE__))
#define ensure(expression)                                                                         \
    ((expression) ? (void)0 : assert_failed("ensure", #expression, __FILE__, __LINE__))
#define unreachable_code() assert_failed("unreachable", "", __FILE__, __LINE__)

#endif
