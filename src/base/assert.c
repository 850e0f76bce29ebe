/* SPDX-License-Identifier: Apache-2.0
 *
 * assert.c -- the end of a process that found itself to be wrong.
 *
 * One formatted line, flushed, then abort(): whoever supervises the process sees where and a core
 * can be kept.  No clean-up is tried, since the state it would touch is the state that is wrong.
 *
 * Locality: any thread.
 */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *kind, const char *expression, const char *file, int line)
{
    fprintf(stderr, "assertion failed: %s(%s) at %s:%d\n", kind, expression, file, line);
    fflush(stderr);
    abort();
}
