/* SPDX-License-Identifier: Apache-2.0
 *
 * bytes.h -- writing big-endian numbers into our own small files; they are read back through
 * wire/cursor.h.
 *
 * Locality: plain data.
 */
#ifndef LOG_BYTES_H
#define LOG_BYTES_H

#include <stdint.h>

static inline uint8_t *put_uint16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
    return at + 2;
}

static inline uint8_t *put_uint32(uint8_t *at, uint32_t value)
{
    return put_uint16(put_uint16(at, (uint16_t)(value >> 16)), (uint16_t)value);
}

static inline uint8_t *put_uint64(uint8_t *at, uint64_t value)
{
    return put_uint32(put_uint32(at, (uint32_t)(value >> 32)), (uint32_t)value);
}

#endif
