/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_presence.c -- see peer_presence.h.
 */
#include "broker/peer_presence.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"

struct peer_presence {
    struct map peers; /* broker id -> struct present_peer; never shrinks: ids are few */
};

struct present_peer {
    struct uuid incarnation; /* of the process that holds the id, while connections > 0 */
    uint32_t connections;
    uint64_t heard_ns;
};

struct peer_presence *peer_presence_new(void)
{
    struct peer_presence *presence = memory_allocate_zeroed(sizeof *presence);
    map_init(&presence->peers);
    return presence;
}

void peer_presence_free(struct peer_presence *presence)
{
    size_t position = 0;
    void *peer = NULL;
    while ((peer = map_next(&presence->peers, &position)) != NULL) {
        memory_free(peer);
    }
    map_free(&presence->peers);
    memory_free(presence);
}

bool peer_presence_enter(struct peer_presence *presence, const struct connection_peer *peer,
                         uint64_t now_ns)
{
    require(peer->broker_id != 0);
    struct present_peer *present = map_get(&presence->peers, peer->broker_id);
    if (present == NULL) {
        present = memory_allocate_zeroed(sizeof *present);
        map_put(&presence->peers, peer->broker_id, present);
    }
    if (!uuid_equal(&present->incarnation, &peer->incarnation)) {
        if (present->connections > 0 && now_ns - present->heard_ns < PEER_PRESENCE_HEARD_NS) {
            return false;
        }
        present->incarnation = peer->incarnation;
        present->connections = 0; /* those of the process before are dead, and do not count */
    }
    present->connections++;
    present->heard_ns = now_ns;
    return true;
}

void peer_presence_left(struct peer_presence *presence, const struct connection_peer *peer)
{
    struct present_peer *present = map_get(&presence->peers, peer->broker_id);
    if (present != NULL && uuid_equal(&present->incarnation, &peer->incarnation)) {
        ensure(present->connections > 0);
        present->connections--;
    }
}

bool peer_presence_is_connected(const struct peer_presence *presence, uint32_t broker_id)
{
    const struct present_peer *present = map_get(&presence->peers, broker_id);
    return present != NULL && present->connections > 0;
}

void peer_presence_heard(struct peer_presence *presence, uint32_t broker_id, uint64_t now_ns)
{
    struct present_peer *present = map_get(&presence->peers, broker_id);
    if (present != NULL) {
        present->heard_ns = now_ns;
    }
}

bool peer_presence_is_live(const struct peer_presence *presence, uint32_t broker_id,
                           uint64_t now_ns)
{
    const struct present_peer *present = map_get(&presence->peers, broker_id);
    return present != NULL && present->connections > 0 &&
           now_ns - present->heard_ns < PEER_PRESENCE_HEARD_NS;
}
