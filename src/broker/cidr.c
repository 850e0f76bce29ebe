/* SPDX-License-Identifier: Apache-2.0
 *
 * cidr.c -- see cidr.h.
 */
#include "broker/cidr.h"

#include <string.h>

#define TEXT_BYTES_MAX 63

static uint8_t family_bits(const struct io_address *address)
{
    return address->family == 4 ? 32 : 128;
}

/* 0 to 128 in decimal digits without leading zeros; false otherwise. */
static bool parse_prefix(const char *text, uint8_t most, uint8_t *bits)
{
    size_t length = strlen(text);
    if (length == 0 || length > 3 || strspn(text, "0123456789") != length ||
        (length > 1 && text[0] == '0')) {
        return false;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < length; i++) {
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    *bits = (uint8_t)value;
    return value <= most;
}

static uint8_t mask_of_byte(uint8_t prefix_bits, uint32_t byte)
{
    uint32_t covered = prefix_bits > byte * 8 ? prefix_bits - byte * 8u : 0;
    return (uint8_t)(covered >= 8 ? 0xffu : 0xff00u >> covered);
}

bool cidr_parse(struct cidr *cidr, const char *text)
{
    char host[TEXT_BYTES_MAX + 1];
    size_t length = strlen(text);
    if (length > TEXT_BYTES_MAX) {
        return false;
    }
    memcpy(host, text, length + 1);
    char *slash = strchr(host, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    memset(cidr, 0, sizeof *cidr);
    if (!io_address_parse(&cidr->address, host, 0)) {
        return false;
    }
    cidr->prefix_bits = family_bits(&cidr->address);
    if (slash != NULL && !parse_prefix(slash + 1, cidr->prefix_bits, &cidr->prefix_bits)) {
        return false;
    }
    for (uint32_t i = 0; i < family_bits(&cidr->address) / 8u; i++) {
        if ((cidr->address.bytes[i] & ~mask_of_byte(cidr->prefix_bits, i)) != 0) {
            return false;
        }
    }
    return true;
}

bool cidr_contains(const struct cidr *cidr, const struct io_address *address)
{
    if (cidr->address.family != address->family) {
        return false;
    }
    for (uint32_t i = 0; i * 8u < cidr->prefix_bits; i++) {
        uint8_t mask = mask_of_byte(cidr->prefix_bits, i);
        if ((address->bytes[i] & mask) != (cidr->address.bytes[i] & mask)) {
            return false;
        }
    }
    return true;
}
