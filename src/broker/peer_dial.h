/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_dial.h -- an outgoing connection to a broker: connect, verify whom we reached, say hello,
 * and only then hand it to its owner.
 *
 *     CLOSED -> CONNECTING -> GREETING -> READY -> CLOSED
 *
 * Embedded in its owner, who may dial again after on_close.
 *
 * Locality: the shard that dials.
 */
#ifndef BROKER_PEER_DIAL_H
#define BROKER_PEER_DIAL_H

#include "base/uuid.h"
#include "cluster/cluster.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct peer_dial;

struct peer_dial_handler {
    /* Verified; the stream may be used. */
    void (*on_ready)(struct peer_dial *dial);
    /* A whole answer frame, size word not included; borrowed for the call.  False closes the
     * connection.  NULL: nothing is expected. */
    bool (*on_frame)(struct peer_dial *dial, const uint8_t *frame, size_t length);
    /* Once, when READY was or was not reached.  process_gone: nobody answers at that address any
     * more (refused, reset, or the other side ended). */
    void (*on_close)(struct peer_dial *dial, const char *reason, bool process_gone);
};

enum peer_dial_state {
    PEER_DIAL_CLOSED,
    PEER_DIAL_CONNECTING,
    PEER_DIAL_GREETING,
    PEER_DIAL_READY,
};

struct peer_dial {
    struct broker_shard *shard;
    const struct peer_dial_handler *handler;
    enum peer_dial_state state;
    struct io_stream *stream; /* Invariant: NULL only in CLOSED */
    struct io_timer timer;    /* the hello's deadline */
    bool is_closed_by_us;
    bool is_process_gone;     /* as who closed it knows */
    const char *close_reason; /* NULL: the stream's */
    uint32_t broker_id;
    char host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t port;
    /* Known when READY. */
    struct uuid incarnation;
    uint32_t shard_count;
};

void peer_dial_init(struct peer_dial *dial, struct broker_shard *shard,
                    const struct peer_dial_handler *handler);
/* From CLOSED.  connect_ms covers connection, handshake and hello. */
void peer_dial_open(struct peer_dial *dial, uint32_t broker_id, const char *host, uint16_t port,
                    uint32_t connect_ms);
/* on_close follows, unless it is CLOSED. */
void peer_dial_close(struct peer_dial *dial);
/* Likewise, with what its owner has learned of the other side.  reason outlives the dial. */
void peer_dial_give_up(struct peer_dial *dial, const char *reason, bool process_gone);

/* Where a broker's inter-broker listener is: from the controllers list, or else as it registered,
 * or else as it said when it called.  False: unknown. */
bool peer_address_find(const struct broker_shard *shard, uint32_t broker_id,
                       char host[CLUSTER_HOST_BYTES_MAX + 1], uint16_t *port);

#endif
