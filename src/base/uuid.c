/* SPDX-License-Identifier: Apache-2.0
 *
 * uuid.c -- text form and making of 128-bit identities.
 *
 * Locality: any thread.
 */
#include "base/uuid.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

bool uuid_is_zero(const struct uuid *uuid)
{
    static const struct uuid zero;
    return uuid_equal(uuid, &zero);
}

bool uuid_equal(const struct uuid *left, const struct uuid *right)
{
    return memcmp(left->bytes, right->bytes, sizeof left->bytes) == 0;
}

/* The last character carries two bits of the uuid and four zero bits. */
char *uuid_format(const struct uuid *uuid, char *text)
{
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < sizeof uuid->bytes; i++) {
        bits = bits << 8 | uuid->bytes[i];
        bit_count += 8;
        while (bit_count >= 6) {
            bit_count -= 6;
            text[at++] = alphabet[bits >> bit_count & 63];
        }
    }
    text[at++] = alphabet[bits << (6 - bit_count) & 63];
    text[at] = 0;
    return text;
}

static int uuid_digit(char character)
{
    const char *found = character != 0 ? strchr(alphabet, character) : NULL;
    return found != NULL ? (int)(found - alphabet) : -1;
}

bool uuid_parse(struct uuid *uuid, const char *text, size_t length)
{
    if (length != UUID_TEXT_LENGTH) {
        return false;
    }
    struct uuid parsed;
    uint32_t bits = 0;
    uint32_t bit_count = 0;
    size_t at = 0;
    for (size_t i = 0; i < length; i++) {
        int digit = uuid_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)digit;
        bit_count += 6;
        if (bit_count >= 8) {
            bit_count -= 8;
            parsed.bytes[at++] = (uint8_t)(bits >> bit_count);
        }
    }
    *uuid = parsed;
    return true;
}

/* A text that begins with '-' would be taken for an option on a command line: that is the six
 * leading bits 111110, from which clearing the first leads away. */
struct uuid uuid_from_random(uint64_t high, uint64_t low)
{
    struct uuid uuid;
    for (size_t i = 0; i < 8; i++) {
        uuid.bytes[i] = (uint8_t)(high >> (56 - 8 * i));
        uuid.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
    }
    uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x40);
    uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80);
    if (alphabet[uuid.bytes[0] >> 2] == '-') {
        uuid.bytes[0] &= 0x7f;
    }
    return uuid;
}
