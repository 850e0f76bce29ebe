/* SPDX-License-Identifier: Apache-2.0
 *
 * cidr.h -- address blocks ("10.1.0.0/16", "fd00::/8", or a single address) and whether an address
 * lies in one.  IPv4-mapped IPv6 addresses are IPv4 (io/stream.h), so a block of one family never
 * admits an address of the other.
 *
 * Locality: plain data.
 */
#ifndef BROKER_CIDR_H
#define BROKER_CIDR_H

#include "io/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct cidr {
    struct io_address address;
    uint8_t prefix_bits;
};

/* False when the text is no block, or has bits set behind its prefix. */
bool cidr_parse(struct cidr *cidr, const char *text);
bool cidr_contains(const struct cidr *cidr, const struct io_address *address);

#endif
