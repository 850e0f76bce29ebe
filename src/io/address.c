/* SPDX-License-Identifier: Apache-2.0
 *
 * address.c -- addresses as text and as the kernel wants them.
 *
 * Locality: any thread.
 */
#include "io/address.h"

#include "base/assert.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

char *io_address_format(const struct io_address *address, char *text)
{
    char literal[INET6_ADDRSTRLEN] = "?";
    bool is_ipv6 = address->family == 6;
    inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, address->bytes, literal, sizeof literal);
    snprintf(text, IO_ADDRESS_TEXT_SIZE, is_ipv6 ? "[%s]:%u" : "%s:%u", literal, address->port);
    return text;
}

/* ::ffff:a.b.c.d becomes a.b.c.d, so that one peer has one address. */
static void address_unmap(struct io_address *address)
{
    static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    if (address->family == 6 && memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0) {
        address->family = 4;
        memmove(address->bytes, address->bytes + sizeof mapped_prefix, 4);
        memset(address->bytes + 4, 0, 12);
    }
}

bool io_address_parse(struct io_address *address, const char *host, uint16_t port)
{
    struct io_address parsed = {.port = port};
    if (inet_pton(AF_INET, host, parsed.bytes) == 1) {
        parsed.family = 4;
    } else if (inet_pton(AF_INET6, host, parsed.bytes) == 1) {
        parsed.family = 6;
        address_unmap(&parsed);
    } else {
        return false;
    }
    *address = parsed;
    return true;
}

bool io_address_is_loopback(const struct io_address *address)
{
    static const uint8_t ipv6_loopback[16] = {[15] = 1};
    return address->family == 4 ? address->bytes[0] == 127
                                : memcmp(address->bytes, ipv6_loopback, 16) == 0;
}

socklen_t io_address_to_kernel(const struct io_address *address, struct sockaddr_storage *storage)
{
    memset(storage, 0, sizeof *storage);
    if (address->family == 4) {
        struct sockaddr_in *ipv4 = (struct sockaddr_in *)storage;
        ipv4->sin_family = AF_INET;
        ipv4->sin_port = htons(address->port);
        memcpy(&ipv4->sin_addr, address->bytes, 4);
        return sizeof *ipv4;
    }
    require(address->family == 6);
    struct sockaddr_in6 *ipv6 = (struct sockaddr_in6 *)storage;
    ipv6->sin6_family = AF_INET6;
    ipv6->sin6_port = htons(address->port);
    memcpy(&ipv6->sin6_addr, address->bytes, 16);
    return sizeof *ipv6;
}

bool io_address_from_kernel(struct io_address *address, const struct sockaddr *kernel)
{
    struct io_address read = {0};
    if (kernel->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, kernel, sizeof ipv4);
        read.family = 4;
        read.port = ntohs(ipv4.sin_port);
        memcpy(read.bytes, &ipv4.sin_addr, 4);
    } else if (kernel->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, kernel, sizeof ipv6);
        read.family = 6;
        read.port = ntohs(ipv6.sin6_port);
        memcpy(read.bytes, &ipv6.sin6_addr, 16);
        address_unmap(&read);
    } else {
        return false;
    }
    *address = read;
    return true;
}
