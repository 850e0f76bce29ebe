/* SPDX-License-Identifier: Apache-2.0
 *
 * peer.h -- another broker as this shard talks to it: its stream, the frame being built for it this
 * turn, and the appends that wait because too much is queued already.
 *
 * Locality: the shard of its manager.
 */
#ifndef REPLICA_PEER_H
#define REPLICA_PEER_H

#include "replica/frame.h"

#include <stdbool.h>
#include <stdint.h>

struct replica_manager;
struct replica_group;

/* With more than this queued on its stream a peer is sent no payload, only messages. */
#define REPLICA_PEER_QUEUE_BYTES (8u << 20)

struct replica_peer {
    uint32_t broker_id;
    struct io_stream *stream; /* NULL: not connected */
    struct replica_frame_writer frame;
    struct list waiting_sends; /* struct replica_send */
    uint64_t heard_ticks;      /* when a frame last came from its shard that has our groups */
    bool is_watched;           /* heard within an election timeout (beats.c) */
};

/* Finds the peer, which is made when it is not known yet. */
struct replica_peer *replica_peer_of(struct replica_manager *manager, uint32_t broker_id);
/* Begins the peer's frame of this turn, if there is none; the peer is connected. */
void replica_peer_open_frame(struct replica_manager *manager, struct replica_peer *peer);
/* The frame to add something to, begun when need be; NULL when the peer is not connected. */
struct replica_frame_writer *replica_peer_frame(struct replica_manager *manager,
                                                uint32_t broker_id);
/* True when payload may be queued for the broker; *is_connected (may be NULL) tells a full queue
 * from none. */
bool replica_peer_has_room(struct replica_manager *manager, uint32_t broker_id, bool *is_connected);
struct replica_peer *replica_peer_find(struct replica_manager *manager, uint32_t broker_id);
/* Queues the frames of this turn on their streams. */
void replica_peers_flush(struct replica_manager *manager);
/* Sends what it is, or counts it as dropped. */
void replica_peer_send_message(struct replica_group *group, const struct raft_message *message);
void replica_peers_free(struct replica_manager *manager);

/* ---- append_sender.c ---- */

/* Carries out a send of the core: reads the entries and puts them into the peer's frame. */
void replica_send_append(struct replica_group *group, const struct raft_send *send);
/* Takes up the sends that waited for room. */
void replica_sends_retry(struct replica_manager *manager);
/* The connection is gone: the sends that wait are given back to the core. */
void replica_sends_give_up(struct replica_manager *manager, struct replica_peer *peer);
/* A group that goes takes its waiting sends along. */
void replica_sends_forget(struct replica_group *group);
void replica_sends_free(struct replica_manager *manager);

#endif
