/* SPDX-License-Identifier: Apache-2.0
 *
 * address.h -- between struct io_address and the kernel's form.  Not for other rooms.
 */
#ifndef IO_ADDRESS_H
#define IO_ADDRESS_H

#include "io/stream.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

/* Returns the length the kernel wants to be told. */
socklen_t io_address_to_kernel(const struct io_address *address, struct sockaddr_storage *storage);

/* False for a family other than IPv4 and IPv6. */
bool io_address_from_kernel(struct io_address *address, const struct sockaddr *kernel);

#endif
