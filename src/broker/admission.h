/* SPDX-License-Identifier: Apache-2.0
 *
 * admission.h -- how many connections may be open: in the whole process and from each address.
 *
 * Addresses (IPv6: each /64) are counted in a fixed table of atomic counters, so a flood costs no
 * memory; two addresses that share a counter share its limit.
 *
 * Locality: any thread.
 */
#ifndef BROKER_ADMISSION_H
#define BROKER_ADMISSION_H

#include "io/stream.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define ADMISSION_SLOTS 16384

/* Shared by all shards. */
struct admission {
    _Atomic uint32_t total;
    _Atomic uint32_t by_address[ADMISSION_SLOTS];
};

/* Which counter an address uses. */
uint32_t admission_slot(const struct io_address *address);
/* Counts one more; false (and not counted) when it would pass a limit. */
bool admission_enter(struct admission *admission, uint32_t slot, uint32_t total_max,
                     uint32_t address_max);
void admission_leave(struct admission *admission, uint32_t slot);

#endif
