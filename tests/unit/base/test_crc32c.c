/* SPDX-License-Identifier: Apache-2.0
 *
 * test_crc32c.c -- both ways to compute the checksum against published values and the definition.
 */
#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"

#include <string.h>

#define NOISE_BYTES 20000

static uint8_t noise[NOISE_BYTES + 16];

/* The definition, bit by bit. */
static uint32_t crc32c_by_definition(uint32_t crc, const uint8_t *data, size_t length)
{
    crc = ~crc;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ ((crc & 1) != 0 ? 0x82f63b78u : 0);
        }
    }
    return ~crc;
}

static int fill_noise(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 42);
    for (size_t i = 0; i < sizeof noise; i++) {
        noise[i] = (uint8_t)prng_next(&prng);
    }
    return 0;
}

/* RFC 3720, appendix B.4. */
static void test_published_values(void **state)
{
    (void)state;
    uint8_t bytes[32];
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c_portable(0, "123456789", 9), 0xe3069283);
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (uint8_t i = 0; i < 32; i++) {
        bytes[i] = i;
    }
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c_portable(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, NULL, 0), 0);
}

static void test_every_length_and_alignment(void **state)
{
    (void)state;
    for (size_t length = 0; length <= NOISE_BYTES; length += length < 1700 ? 1 : 997) {
        const uint8_t *data = noise + length % 16;
        uint32_t expected = crc32c_by_definition(7, data, length);
        assert_int_equal(crc32c(7, data, length), expected);
        assert_int_equal(crc32c_portable(7, data, length), expected);
    }
}

static void test_pieces_give_the_whole(void **state)
{
    (void)state;
    uint32_t whole = crc32c(0, noise, NOISE_BYTES);
    for (size_t cut = 0; cut <= NOISE_BYTES; cut += 1237) {
        uint32_t first = crc32c(0, noise, cut);
        assert_int_equal(crc32c(first, noise + cut, NOISE_BYTES - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_values),
        cmocka_unit_test(test_every_length_and_alignment),
        cmocka_unit_test(test_pieces_give_the_whole),
    };
    return cmocka_run_group_tests(tests, fill_noise, NULL);
}
