/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_endpoints.h -- the leaders named in an answer and where they are reached (KIP-951), so
 * that a client that asked the wrong broker can go to the right one without asking for metadata
 * first.
 *
 * Locality: the shard of the request.
 */
#ifndef BROKER_LEADER_ENDPOINTS_H
#define BROKER_LEADER_ENDPOINTS_H

#include "base/arena.h"
#include "broker/ask.h"
#include "broker/topic_place.h"

#include <stdint.h>

/* Beyond so many different leaders in one answer the client asks for metadata. */
#define LEADER_ENDPOINTS_MAX 32

struct leader_endpoint {
    int32_t id;
    struct wire_string host; /* borrowed from the metadata */
    int32_t port;
    struct wire_string rack;
};

struct leader_endpoints {
    struct arena *arena;
    struct leader_endpoint *nodes; /* room for LEADER_ENDPOINTS_MAX, or NULL */
    uint32_t count;
};

/* Takes no memory before the first is added. */
void leader_endpoints_init(struct leader_endpoints *endpoints, struct arena *arena);
/* The leader the item names, or the one this shard knows; its address is added if it is known. */
struct topic_place_leader leader_endpoints_add(struct leader_endpoints *endpoints,
                                               const struct broker_shard *shard,
                                               const struct ask_item *item);

#endif
