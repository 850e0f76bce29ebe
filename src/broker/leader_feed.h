/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_feed.h -- how news of leaders travels: collected during a turn, they leave at its end as
 * one message to every other shard and, for groups this broker now leads, one AnnounceLeaders to
 * every broker.
 *
 * Locality: one a shard.
 */
#ifndef BROKER_LEADER_FEED_H
#define BROKER_LEADER_FEED_H

#include <stdint.h>

struct broker_shard;
struct io_stream;
struct leader_feed;

/* When the replica manager is there, whose turn hook must run before ours. */
struct leader_feed *leader_feed_new(struct broker_shard *shard);
void leader_feed_free(struct leader_feed *feed);

/* Everything this shard leads, to a broker that was just connected. */
void leader_feed_tell(struct leader_feed *feed, struct io_stream *stream);

struct leader_news {
    uint64_t group_id;
    uint64_t term;
    uint32_t leader;
};

/* News for this shard's table, and for who waits for leaders on it. */
void leader_feed_take(struct broker_shard *shard, const struct leader_news *news);
/* News from another broker (shard 0), for all shards. */
void leader_feed_spread(struct broker_shard *shard, const struct leader_news *news, uint32_t count);

#endif
