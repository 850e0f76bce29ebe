/* SPDX-License-Identifier: Apache-2.0
 *
 * crc32c.c -- CRC-32C three ways: the x86-64 instruction, the ARMv8 instruction, and tables.
 *
 * The x86 instruction takes one word a cycle but answers three cycles later, so a long input is cut
 * into three blocks that run side by side.  Their results are joined by carry-less multiplication:
 * moving a checksum past n bytes is multiplying it by x^(8n) modulo the polynomial, and one more
 * crc instruction does the reduction (it multiplies by x^32, and the bit order adds one, hence the
 * exponent 8n - 33).
 *
 * Everywhere in this file the running value is the complement of what callers see.
 *
 * Locality: any thread.
 */
#include "base/crc32c.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#include <wmmintrin.h>
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

/* The checksum is linear: a table entry is the sum of the entries of its index's bits.  So each of
 * the eight tables is written as its eight basis values, and the preprocessor spreads them out. */
#define BIT(index, bit, value) (((index) >> (bit)&1) != 0 ? (value) : 0u)
#define ENTRY(index, b0, b1, b2, b3, b4, b5, b6, b7)                                               \
    BIT(index, 0, b0)                                                                              \
    ^BIT(index, 1, b1) ^ BIT(index, 2, b2) ^ BIT(index, 3, b3) ^ BIT(index, 4, b4) ^               \
        BIT(index, 5, b5) ^ BIT(index, 6, b6) ^ BIT(index, 7, b7)
#define ENTRIES_4(index, ...)                                                                      \
    ENTRY(index, __VA_ARGS__), ENTRY((index) + 1, __VA_ARGS__), ENTRY((index) + 2, __VA_ARGS__),   \
        ENTRY((index) + 3, __VA_ARGS__)
#define ENTRIES_16(index, ...)                                                                     \
    ENTRIES_4(index, __VA_ARGS__), ENTRIES_4((index) + 4, __VA_ARGS__),                            \
        ENTRIES_4((index) + 8, __VA_ARGS__), ENTRIES_4((index) + 12, __VA_ARGS__)
#define ENTRIES_64(index, ...)                                                                     \
    ENTRIES_16(index, __VA_ARGS__), ENTRIES_16((index) + 16, __VA_ARGS__),                         \
        ENTRIES_16((index) + 32, __VA_ARGS__), ENTRIES_16((index) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                 \
    {                                                                                              \
        ENTRIES_64(0, __VA_ARGS__), ENTRIES_64(64, __VA_ARGS__), ENTRIES_64(128, __VA_ARGS__),     \
            ENTRIES_64(192, __VA_ARGS__)                                                           \
    }

/* tables[n][byte]: what byte contributes when n more bytes follow it. */
static const uint32_t tables[8][256] = {
    TABLE(0xf26b8303, 0xe13b70f7, 0xc79a971f, 0x8ad958cf, 0x105ec76f, 0x20bd8ede, 0x417b1dbc,
          0x82f63b78),
    TABLE(0x13a29877, 0x274530ee, 0x4e8a61dc, 0x9d14c3b8, 0x3fc5f181, 0x7f8be302, 0xff17c604,
          0xfbc3faf9),
    TABLE(0xa541927e, 0x4f6f520d, 0x9edea41a, 0x38513ec5, 0x70a27d8a, 0xe144fb14, 0xc76580d9,
          0x8b277743),
    TABLE(0xdd45aab8, 0xbf672381, 0x7b2231f3, 0xf64463e6, 0xe964b13d, 0xd725148b, 0xaba65fe7,
          0x52a0c93f),
    TABLE(0x38116fac, 0x7022df58, 0xe045beb0, 0xc5670b91, 0x8f2261d3, 0x1ba8b557, 0x37516aae,
          0x6ea2d55c),
    TABLE(0xef306b19, 0xdb8ca0c3, 0xb2f53777, 0x6006181f, 0xc00c303e, 0x85f4168d, 0x0e045beb,
          0x1c08b7d6),
    TABLE(0x68032cc8, 0xd0065990, 0xa5e0c5d1, 0x4e2dfd53, 0x9c5bfaa6, 0x3d5b83bd, 0x7ab7077a,
          0xf56e0ef4),
    TABLE(0x493c7d27, 0x9278fa4e, 0x211d826d, 0x423b04da, 0x847609b4, 0x0d006599, 0x1a00cb32,
          0x34019664),
};

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *at = data;
    uint32_t state = ~crc;
    for (; length >= 8; length -= 8, at += 8) {
        state ^=
            (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        state = tables[7][state & 255] ^ tables[6][state >> 8 & 255] ^
                tables[5][state >> 16 & 255] ^ tables[4][state >> 24] ^ tables[3][at[4]] ^
                tables[2][at[5]] ^ tables[1][at[6]] ^ tables[0][at[7]];
    }
    for (; length > 0; length--, at++) {
        state = state >> 8 ^ tables[0][(state ^ *at) & 255];
    }
    return ~state;
}

#if defined(__x86_64__)

/* Three blocks of bytes bytes each run side by side; one_ahead and two_ahead move a checksum past
 * one and past two blocks. */
struct crc32c_stride {
    size_t bytes;
    uint32_t one_ahead; /* x^(8 bytes - 33) */
    uint32_t two_ahead; /* x^(16 bytes - 33) */
};

static const struct crc32c_stride strides[] = {
    {2048, 0xa51b6135, 0x82f89c77},
    {256, 0xb9e02b86, 0xdd7e3b0c},
};

static uint64_t crc32c_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
crc32c_three_blocks(uint32_t state, const uint8_t *at, const struct crc32c_stride *stride)
{
    uint64_t first = state;
    uint64_t second = 0;
    uint64_t third = 0;
    const uint8_t *at_second = at + stride->bytes;
    const uint8_t *at_third = at_second + stride->bytes;
    for (size_t i = 0; i < stride->bytes; i += 8) {
        first = _mm_crc32_u64(first, crc32c_word(at + i));
        second = _mm_crc32_u64(second, crc32c_word(at_second + i));
        third = _mm_crc32_u64(third, crc32c_word(at_third + i));
    }
    __m128i moved_first = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)first),
                                               _mm_cvtsi64_si128(stride->two_ahead), 0);
    __m128i moved_second = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)second),
                                                _mm_cvtsi64_si128(stride->one_ahead), 0);
    uint64_t moved = (uint64_t)_mm_cvtsi128_si64(_mm_xor_si128(moved_first, moved_second));
    return (uint32_t)(_mm_crc32_u64(0, moved) ^ third);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t crc32c_x86(uint32_t crc, const void *data,
                                                                    size_t length)
{
    const uint8_t *at = data;
    uint32_t state = ~crc;
    for (size_t i = 0; i < sizeof strides / sizeof strides[0]; i++) {
        size_t span_bytes = 3 * strides[i].bytes;
        for (; length >= span_bytes; length -= span_bytes, at += span_bytes) {
            state = crc32c_three_blocks(state, at, &strides[i]);
        }
    }
    uint64_t wide = state;
    for (; length >= 8; length -= 8, at += 8) {
        wide = _mm_crc32_u64(wide, crc32c_word(at));
    }
    state = (uint32_t)wide;
    for (; length > 0; length--, at++) {
        state = _mm_crc32_u8(state, *at);
    }
    return ~state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")) {
        return crc32c_x86(crc, data, length);
    }
    return crc32c_portable(crc, data, length);
}

#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    const uint8_t *at = data;
    uint32_t state = ~crc;
    for (; length >= 8; length -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        state = __crc32cd(state, word);
    }
    for (; length > 0; length--, at++) {
        state = __crc32cb(state, *at);
    }
    return ~state;
}

#else

uint32_t crc32c(uint32_t crc, const void *data, size_t length)
{
    return crc32c_portable(crc, data, length);
}

#endif
