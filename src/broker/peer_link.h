/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_link.h -- this shard's standing connections to the other brokers, one each, over which its
 * replica manager sends its frames and its leaders are announced.
 *
 * Who is dialled: the controllers of the config and every registered broker; also who said where it
 * can be called, or was named as the controller leader: until the metadata is known, since a new
 * broker knows few others and has to answer those that bring it the metadata, and later while that
 * broker's Raft groups speak to us.  It may have registered while this one was away, and lead the
 * controllers by now: what is missing here comes from it alone, and only if it is answered.  A link
 * that breaks is dialled again after 50 ms, then twice as long each time, up to a second.
 *
 * A connection that stands says only that the kernel at its other end lives.  So every link asks
 * its broker twice a second whether it lives (PeerPing), and one that has not answered for
 * PEER_LINK_ANSWER_NS, or says that its disk hangs, does not count as running until it answers
 * again.  After ten seconds without an answer the connection is given up and made anew: TCP may
 * take a minute to try again when a network is whole again, and two to notice that a host lost
 * power.
 *
 * Locality: one set a shard.
 */
#ifndef BROKER_PEER_LINK_H
#define BROKER_PEER_LINK_H

#include "base/buf.h"
#include "base/uuid.h"
#include "cluster/cluster.h"
#include "wire/cursor.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct peer_links;

struct peer_links *peer_links_new(struct broker_shard *shard);
/* Dials whoever is not dialled yet: at start, and when a broker has registered. */
void peer_links_update(struct peer_links *links);
/* Shard 0: somebody says where a broker can be called. */
void peer_links_introduce(struct peer_links *links, uint32_t broker_id, struct wire_string host,
                          uint16_t port);
/* Shard 0: a broker's Raft groups speak to us over a new connection, so where it said it can be
 * called counts.  It is dialled when its link rests: closed, and without a retry to come, as its
 * address was not known.  Nothing when there is no link to it. */
void peer_links_spoken_to(struct peer_links *links, uint32_t broker_id);
/* False when nobody said, or it does not count any more. */
bool peer_links_find_introduced(const struct peer_links *links, uint32_t broker_id,
                                char host[CLUSTER_HOST_BYTES_MAX + 1], uint16_t *port);
/* A process of the broker has just connected to this one: links to it of all shards that wait to
 * try again do so now, and those to a process before it are given up.  On any shard. */
void peer_links_redial(struct broker_shard *shard, uint32_t broker_id,
                       const struct uuid *incarnation);
/* Closes all links; empty some turns later. */
void peer_links_stop(struct peer_links *links);
bool peer_links_are_closed(const struct peer_links *links);
void peer_links_free(struct peer_links *links);

#define PEER_LINK_ANSWER_NS 3000000000ull

/* Its connection stands, and it has lately answered that it and its disk are well. */
bool peer_link_answers(const struct peer_links *links, uint32_t broker_id);
/* It answers, and its connection has held for so long. */
bool peer_link_has_held(const struct peer_links *links, uint32_t broker_id, uint64_t time_ns);
bool peer_link_is_attached(const struct peer_links *links, uint32_t broker_id);
/* Queues a whole frame on the link to one broker; false when it is not attached. */
bool peer_link_send(struct peer_links *links, uint32_t broker_id, struct buf *frame);
/* Queues a whole frame on every attached link. */
void peer_links_send(struct peer_links *links, struct buf *frame);

#endif
