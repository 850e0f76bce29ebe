/* SPDX-License-Identifier: Apache-2.0
 *
 * connection.h -- an accepted connection: frames in, answers out in the order of the requests.
 *
 * The same for clients and brokers; on the broker listener the first request must be the hello that
 * passes the guard (peer_guard.h), and only request types between brokers are served.
 *
 * Locality: the shard that accepted it.
 */
#ifndef BROKER_CONNECTION_H
#define BROKER_CONNECTION_H

#include "base/uuid.h"
#include "broker/request.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct connection_table;

/* Once per shard, before its replica manager, so that what it reads in a turn the manager still
 * sees. */
struct connection_table *connection_table_new(struct broker_shard *shard);
/* Every connection must be gone. */
void connection_table_free(struct connection_table *table);
/* Closes all; they are gone some turns later (connection_table_is_empty). */
void connection_table_close_all(struct connection_table *table);
bool connection_table_is_empty(const struct connection_table *table);

/* Takes over an open stream; slot is where its address is counted (listener.c). */
void connection_accept(struct broker_shard *shard, struct io_stream *stream, bool is_peer,
                       uint32_t slot);

/* Who the other side of a broker connection has proven to be. */
struct connection_peer {
    uint32_t broker_id; /* 0: has not said hello */
    struct uuid incarnation;
    uint32_t shard_id;
    uint32_t shard_count;
    bool holds_id; /* it speaks for its Raft groups; see peer_presence.h */
};

/* NULL when the request did not come by a connection, or that is gone. */
struct connection *connection_of(const struct request *request);
const struct connection_peer *connection_peer(const struct connection *connection);
void connection_set_peer(struct connection *connection, const struct connection_peer *peer);
void connection_set_holds_id(struct connection *connection);
struct io_stream *connection_stream(const struct connection *connection);

#endif
