/* SPDX-License-Identifier: Apache-2.0
 *
 * big_endian.h -- numbers of one to eight bytes as they stand in messages and files, most
 * significant byte first.  With a size that the compiler knows each is one load or store.
 *
 * Locality: any thread.
 */
#ifndef BASE_BIG_ENDIAN_H
#define BASE_BIG_ENDIAN_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BIG_ENDIAN_SWAP(bits, value) __builtin_bswap##bits(value)
#else
#define BIG_ENDIAN_SWAP(bits, value) (value)
#endif

/* The number in the size bytes at place; size is at most 8. */
static inline uint64_t big_endian_get(const uint8_t *place, size_t size)
{
    uint64_t value = 0;
    if (size == 8) {
        memcpy(&value, place, 8);
        return BIG_ENDIAN_SWAP(64, value);
    }
    if (size == 4) {
        uint32_t narrow;
        memcpy(&narrow, place, 4);
        return BIG_ENDIAN_SWAP(32, narrow);
    }
    for (size_t i = 0; i < size; i++) {
        value = value << 8 | place[i];
    }
    return value;
}

/* The low size bytes of value, to the size bytes at place; size is at most 8. */
static inline void big_endian_put(uint8_t *place, uint64_t value, size_t size)
{
    if (size == 8) {
        uint64_t swapped = BIG_ENDIAN_SWAP(64, value);
        memcpy(place, &swapped, 8);
        return;
    }
    if (size == 4) {
        uint32_t swapped = BIG_ENDIAN_SWAP(32, (uint32_t)value);
        memcpy(place, &swapped, 4);
        return;
    }
    for (size_t i = size; i > 0; i--) {
        place[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

#endif
