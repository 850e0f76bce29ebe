/* SPDX-License-Identifier: Apache-2.0
 *
 * listener.h -- the two doors of a broker: for clients (one listener on every shard, sharing the
 * port) and for brokers (shard 0).
 *
 * Locality: opened by the main thread before the shards run; afterwards the shard.
 */
#ifndef BROKER_LISTENER_H
#define BROKER_LISTENER_H

#include "broker/connection.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;

/* Opens this shard's doors.  port 0: any, the same on all shards once the first has it. */
bool listener_open_all(struct broker_shard *shard, char *error, size_t error_size);
void listener_close_all(struct broker_shard *shard);

/* A broker connection was refused: the line operators look for (of a limited number) and the count.
 * check: which of the guard's checks failed; detail: "" or more about it. */
void listener_report_unauthorized(struct broker_shard *shard, const struct io_address *peer,
                                  const char *check, const char *detail);

/* For connection.c: what a connection held is free again; a broker's connection is gone. */
void listener_release_slot(struct broker_shard *shard, uint32_t slot);
void listener_peer_gone(struct broker_shard *shard, const struct connection_peer *peer);

#endif
