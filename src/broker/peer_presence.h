/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_presence.h -- which brokers are connected to us, and when each was last heard.
 *
 * A broker id belongs to one process at a time: while the process that holds it is connected and
 * heard, a second one with the same id is kept out.
 *
 * Locality: shard 0, where brokers connect.
 */
#ifndef BROKER_PEER_PRESENCE_H
#define BROKER_PEER_PRESENCE_H

#include "base/uuid.h"
#include "broker/connection.h"

#include <stdbool.h>
#include <stdint.h>

/* A broker that was heard within this time counts as running. */
#define PEER_PRESENCE_HEARD_NS 2000000000ull

struct peer_presence;

struct peer_presence *peer_presence_new(void);
void peer_presence_free(struct peer_presence *presence);

/* The first Raft frame on a connection.  False: another process holds the id. */
bool peer_presence_enter(struct peer_presence *presence, const struct connection_peer *peer,
                         uint64_t now_ns);
void peer_presence_left(struct peer_presence *presence, const struct connection_peer *peer);
/* A connection stands over which the process that has the id has sent Raft frames.  Whether it was
 * heard lately, which peer_presence_is_live() asks as well, does not matter. */
bool peer_presence_is_connected(const struct peer_presence *presence, uint32_t broker_id);
void peer_presence_heard(struct peer_presence *presence, uint32_t broker_id, uint64_t now_ns);
bool peer_presence_is_live(const struct peer_presence *presence, uint32_t broker_id,
                           uint64_t now_ns);

#endif
