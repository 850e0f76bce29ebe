/* SPDX-License-Identifier: Apache-2.0
 *
 * input.h -- what the fuzz targets and the maker of their first inputs agree on.
 */
#ifndef FUZZ_WIRE_INPUT_H
#define FUZZ_WIRE_INPUT_H

#include "unit/wire/samples.h"

#define FUZZ_OTHER_TYPES 20000 /* records and headers: this plus the place in the table */

/* The memory that decoding so many bytes may take. */
#define FUZZ_ARENA_BYTES(length) (8 * (length) + 65536)

static inline int16_t fuzz_type_of(size_t place)
{
    return (int16_t)(samples[place].type >= 0 ? samples[place].type
                                              : FUZZ_OTHER_TYPES + (int)place);
}

#endif
