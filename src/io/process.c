/* SPDX-License-Identifier: Apache-2.0
 *
 * process.c -- see process.h.
 */
#include "io/process.h"

#include <stdlib.h>

_Noreturn void io_process_end(int status)
{
    _Exit(status);
}
