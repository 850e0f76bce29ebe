/* SPDX-License-Identifier: Apache-2.0
 *
 * tls.c -- io/tls.h: there is none here, and brokers run without.
 */
#include "io/tls.h"

#include "base/assert.h"

#include <stdio.h>

struct io_tls *io_tls_new(const struct io_tls_options *options, char *error, size_t error_size)
{
    (void)options;
    snprintf(error, error_size, "TLS is not simulated");
    return NULL;
}

void io_tls_free(struct io_tls *tls)
{
    require(tls == NULL);
}
