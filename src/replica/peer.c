/* SPDX-License-Identifier: Apache-2.0
 *
 * peer.c -- attached streams, and the one frame that each is sent in a turn.
 */
#include "replica/peer.h"

#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"

struct replica_peer *replica_peer_find(struct replica_manager *manager, uint32_t broker_id)
{
    return map_get(&manager->peers, broker_id);
}

static void list_peers(struct replica_manager *manager)
{
    size_t bytes = manager->peers.count * sizeof manager->peers_all[0];
    size_t position = 0;
    struct replica_peer *peer;
    manager->peers_all = memory_reallocate(manager->peers_all, bytes);
    manager->peer_count = 0;
    while ((peer = map_next(&manager->peers, &position)) != NULL) {
        manager->peers_all[manager->peer_count++] = peer;
    }
    ensure(manager->peer_count == manager->peers.count);
}

struct replica_peer *replica_peer_of(struct replica_manager *manager, uint32_t broker_id)
{
    struct replica_peer *peer = replica_peer_find(manager, broker_id);
    if (peer == NULL) {
        peer = memory_allocate_zeroed(sizeof *peer);
        peer->broker_id = broker_id;
        list_init(&peer->waiting_sends);
        replica_frame_init(&peer->frame);
        map_put(&manager->peers, broker_id, peer);
        list_peers(manager);
    }
    return peer;
}

void replica_peers_free(struct replica_manager *manager)
{
    for (uint32_t i = 0; i < manager->peer_count; i++) {
        struct replica_peer *peer = manager->peers_all[i];
        ensure(list_is_empty(&peer->waiting_sends));
        replica_frame_free(&peer->frame);
        memory_free(peer);
    }
}

/* ---- Coming and going ---- */

void replica_peer_attach(struct replica_manager *manager, uint32_t broker_id,
                         struct io_stream *stream)
{
    require(stream != NULL && broker_id != 0 && broker_id != manager->options.broker_id);
    struct replica_peer *peer = replica_peer_of(manager, broker_id);
    replica_frame_discard(&peer->frame);
    peer->stream = stream;
    size_t position = 0;
    struct replica_group *group;
    while ((group = replica_group_next(manager, &position)) != NULL) {
        if (!group->is_installing) {
            raft_peer_connected(group->raft, broker_id);
            replica_group_touched(group);
        }
    }
}

void replica_peer_detach(struct replica_manager *manager, uint32_t broker_id, bool process_gone)
{
    struct replica_peer *peer = replica_peer_find(manager, broker_id);
    if (peer != NULL) {
        replica_frame_discard(&peer->frame);
        peer->stream = NULL;
        replica_sends_give_up(manager, peer);
    }
    if (!process_gone) {
        return;
    }
    size_t position = 0;
    struct replica_group *group;
    while ((group = replica_group_next(manager, &position)) != NULL) {
        if (!group->is_installing) {
            raft_peer_disconnected(group->raft, broker_id, replica_now_ticks(manager));
            replica_group_touched(group);
        }
    }
}

/* ---- Frames ---- */

static void flush(struct replica_manager *manager, struct replica_peer *peer)
{
    counter_add(&manager->stats.frames_sent, 1);
    replica_frame_send(&peer->frame, peer->stream);
}

void replica_peer_open_frame(struct replica_manager *manager, struct replica_peer *peer)
{
    require(peer->stream != NULL);
    if (peer->frame.is_open) {
        return;
    }
    struct replica_frame_head head = {.broker_id = manager->options.broker_id,
                                      .shard = (uint16_t)manager->shard,
                                      .shard_count = (uint16_t)manager->shard_count};
    replica_frame_begin(&peer->frame, &head);
}

struct replica_frame_writer *replica_peer_frame(struct replica_manager *manager, uint32_t broker_id)
{
    struct replica_peer *peer = replica_peer_find(manager, broker_id);
    if (peer == NULL || peer->stream == NULL) {
        return NULL;
    }
    if (replica_frame_bytes(&peer->frame) > REPLICA_FRAME_BYTES_SOFT) {
        flush(manager, peer);
    }
    replica_peer_open_frame(manager, peer);
    counter_add(&manager->stats.messages_sent, 1);
    return &peer->frame;
}

bool replica_peer_has_room(struct replica_manager *manager, uint32_t broker_id, bool *is_connected)
{
    struct replica_peer *peer = replica_peer_find(manager, broker_id);
    bool connected = peer != NULL && peer->stream != NULL;
    if (is_connected != NULL) {
        *is_connected = connected;
    }
    return connected && io_stream_queued_bytes(peer->stream) + replica_frame_bytes(&peer->frame) <=
                            REPLICA_PEER_QUEUE_BYTES;
}

void replica_peers_flush(struct replica_manager *manager)
{
    for (uint32_t i = 0; i < manager->peer_count; i++) {
        struct replica_peer *peer = manager->peers_all[i];
        if (peer->frame.is_open) {
            ensure(peer->stream != NULL);
            flush(manager, peer);
        }
    }
}

void replica_peer_send_message(struct replica_group *group, const struct raft_message *message)
{
    struct replica_frame_writer *frame = replica_peer_frame(group->manager, message->to);
    if (frame == NULL) {
        counter_add(&group->manager->stats.messages_dropped, 1);
        return;
    }
    replica_frame_add_message(frame, message, group->incarnation);
}
