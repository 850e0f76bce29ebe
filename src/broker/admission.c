/* SPDX-License-Identifier: Apache-2.0
 *
 * admission.c -- see admission.h.
 */
#include "broker/admission.h"

#include "base/assert.h"

uint32_t admission_slot(const struct io_address *address)
{
    uint32_t bytes = address->family == 4 ? 4 : 8;
    uint64_t mixed = address->family;
    for (uint32_t i = 0; i < bytes; i++) {
        mixed = (mixed ^ address->bytes[i]) * 0x9e3779b97f4a7c15u;
        mixed ^= mixed >> 29;
    }
    return (uint32_t)(mixed % ADMISSION_SLOTS);
}

bool admission_enter(struct admission *admission, uint32_t slot, uint32_t total_max,
                     uint32_t address_max)
{
    require(slot < ADMISSION_SLOTS);
    if (atomic_fetch_add(&admission->total, 1) >= total_max) {
        atomic_fetch_sub(&admission->total, 1);
        return false;
    }
    if (atomic_fetch_add(&admission->by_address[slot], 1) >= address_max) {
        admission_leave(admission, slot);
        return false;
    }
    return true;
}

void admission_leave(struct admission *admission, uint32_t slot)
{
    require(slot < ADMISSION_SLOTS);
    uint32_t total = atomic_fetch_sub(&admission->total, 1);
    uint32_t here = atomic_fetch_sub(&admission->by_address[slot], 1);
    ensure(total > 0 && here > 0);
}
