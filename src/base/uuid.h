/* SPDX-License-Identifier: Apache-2.0
 *
 * uuid.h -- 128-bit identities (topics, clusters).  The text form is Kafka's: 22 characters of
 * URL-safe base64 without padding.
 *
 * Locality: any thread.
 */
#ifndef BASE_UUID_H
#define BASE_UUID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UUID_TEXT_LENGTH 22

struct uuid {
    uint8_t bytes[16];
};

bool uuid_is_zero(const struct uuid *uuid);
bool uuid_equal(const struct uuid *left, const struct uuid *right);

/* text: at least UUID_TEXT_LENGTH + 1 bytes; returns text. */
char *uuid_format(const struct uuid *uuid, char *text);

/* False when the text is not 22 characters of the alphabet. */
bool uuid_parse(struct uuid *uuid, const char *text, size_t length);

/* A version-4 uuid out of 128 random bits, never one whose text begins with '-'. */
struct uuid uuid_from_random(uint64_t high, uint64_t low);

#endif
