/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_of.c -- which partition of __consumer_offsets a group belongs to.
 *
 * Kafka hashes the id as a Java string, that is over its UTF-16 code units; tools that read the
 * topic rely on it.
 *
 * Locality: any.
 */
#include "base/assert.h"
#include "group/group.h"

#define REPLACEMENT 0xfffd

static bool is_continuation(const uint8_t *at, const uint8_t *end)
{
    return at < end && (*at & 0xc0) == 0x80;
}

/* The code point at *position, which moves behind it; what is no UTF-8 reads as U+FFFD, a byte at a
 * time. */
static uint32_t next_code_point(const uint8_t **position, const uint8_t *end)
{
    const uint8_t *at = *position;
    uint32_t lead = *at++;
    uint32_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    *position = at;
    if (lead < 0x80) {
        return lead;
    }
    if (lead < 0xc2 || lead > 0xf4) {
        return REPLACEMENT;
    }
    uint32_t code_point = lead & (0x3fu >> more);
    for (uint32_t i = 0; i < more; i++) {
        if (!is_continuation(at, end)) {
            return REPLACEMENT;
        }
        code_point = code_point << 6 | (*at++ & 0x3fu);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (code_point < least[more] || code_point > 0x10ffff ||
        (code_point >= 0xd800 && code_point < 0xe000)) {
        return REPLACEMENT;
    }
    *position = at;
    return code_point;
}

int32_t group_partition_of(struct wire_string group_id, int32_t partition_count)
{
    require(partition_count > 0);
    const uint8_t *at = (const uint8_t *)group_id.data;
    const uint8_t *end = at + (group_id.length > 0 ? group_id.length : 0);
    uint32_t hash = 0;
    while (at < end) {
        uint32_t code_point = next_code_point(&at, end);
        if (code_point >= 0x10000) {
            hash = hash * 31 + (0xd800 + ((code_point - 0x10000) >> 10));
            hash = hash * 31 + (0xdc00 + ((code_point - 0x10000) & 0x3ff));
        } else {
            hash = hash * 31 + code_point;
        }
    }
    uint32_t magnitude = (int32_t)hash < 0 ? 0 - hash : hash;
    if (magnitude > INT32_MAX) {
        magnitude = 0; /* as Kafka takes the absolute value of the smallest integer */
    }
    return (int32_t)(magnitude % (uint32_t)partition_count);
}
