/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_feed.c -- see leader_feed.h.
 */
#include "broker/leader_feed.h"

#include "base/memory.h"
#include "broker/broker_process.h"
#include "broker/forward.h"
#include "broker/leader_table.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "broker/raft_group_flow.h"
#include "broker/registration.h"
#include "wire/announce_leaders.h"

#include <string.h>

#define ANNOUNCED_AT_ONCE_MAX 4096

struct leader_feed {
    struct broker_shard *shard;
    struct io_turn_hook hook;
    struct leader_news *news; /* of this turn */
    uint32_t count;
    uint32_t capacity;
};

struct leader_news_message {
    struct shard_message message;
    uint32_t count;
    struct leader_news news[];
};

void leader_feed_take(struct broker_shard *shard, const struct leader_news *news)
{
    if (!leader_table_put(shard->leaders, news->group_id, news->leader, news->term) ||
        shard->controller == NULL) {
        return;
    }
    raft_group_flows_leader_known(shard->flows, news->group_id, news->leader);
    if (news->group_id == CLUSTER_CONTROLLER_GROUP_ID) {
        forwarder_wake(shard->forwarder);
        registration_wake(shard->registration);
    }
}

static void deliver_news(struct shard *shard, struct shard_message *message)
{
    struct leader_news_message *letter = container_of(message, struct leader_news_message, message);
    struct broker_shard *state = shard_owner(shard);
    for (uint32_t i = 0; i < letter->count; i++) {
        leader_feed_take(state, &letter->news[i]);
    }
    memory_free(letter);
}

static void post_news(struct broker_shard *shard, const struct leader_news *news, uint32_t count)
{
    for (uint32_t to = 0; to < shard->broker->shard_count; to++) {
        if (to == broker_shard_id(shard)) {
            continue;
        }
        size_t bytes = count * sizeof news[0];
        struct leader_news_message *letter = memory_allocate_zeroed(sizeof *letter + bytes);
        list_node_init(&letter->message.node);
        letter->message.deliver = deliver_news;
        letter->count = count;
        memcpy(letter->news, news, bytes);
        shard_post(shard->shard, to, &letter->message);
    }
}

void leader_feed_spread(struct broker_shard *shard, const struct leader_news *news, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        leader_feed_take(shard, &news[i]);
    }
    if (count > 0) {
        post_news(shard, news, count);
    }
}

static struct buf *announcement(const struct leader_news *news, uint32_t count)
{
    struct announce_leaders_request request;
    announce_leaders_request_init(&request);
    request.groups = memory_allocate_zeroed(count * sizeof request.groups[0]);
    request.groups_count = (int32_t)count;
    for (uint32_t i = 0; i < count; i++) {
        request.groups[i].group_id = (int64_t)news[i].group_id;
        request.groups[i].leader_id = news[i].leader;
        request.groups[i].term = (int64_t)news[i].term;
    }
    struct wire_writer writer;
    peer_request_frame_begin(&writer, ANNOUNCE_LEADERS_TYPE, 0);
    announce_leaders_request_encode(&request, 0, &writer);
    memory_free(request.groups);
    return peer_request_frame_take(&writer);
}

static void announce_own(struct leader_feed *feed)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < feed->count; i++) {
        if (feed->news[i].leader == feed->shard->broker_id) {
            feed->news[count++] = feed->news[i];
        }
    }
    if (count > 0) {
        struct buf *frame = announcement(feed->news, count);
        peer_links_send(feed->shard->links, frame);
        buf_release(frame);
    }
}

static void end_of_turn(struct io_turn_hook *hook)
{
    struct leader_feed *feed = container_of(hook, struct leader_feed, hook);
    if (feed->count > 0) {
        post_news(feed->shard, feed->news, feed->count);
        announce_own(feed);
        feed->count = 0;
    }
}

void leader_table_publish(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                          uint64_t term)
{
    struct leader_feed *feed = shard->leader_feed;
    if (feed->count == feed->capacity) {
        feed->capacity = feed->capacity > 0 ? feed->capacity * 2 : 16;
        feed->news = memory_reallocate(feed->news, feed->capacity * sizeof feed->news[0]);
    }
    struct leader_news *news = &feed->news[feed->count++];
    *news = (struct leader_news){.group_id = group_id, .term = term, .leader = leader};
    leader_feed_take(shard, news);
    io_loop_again(shard->loop); /* when it comes after our hook has run */
}

void leader_table_withdraw(struct broker_shard *shard, uint64_t group_id)
{
    uint32_t leader;
    uint64_t term;
    bool is_known = leader_table_get(shard->leaders, group_id, &leader, &term);
    uint32_t last = leader_table_last(shard->leaders, group_id, &term);
    if (is_known && leader == 0 && last != 0 && last != shard->broker_id) {
        leader_table_publish(shard, group_id, last, term);
    }
}

void leader_feed_tell(struct leader_feed *feed, struct io_stream *stream)
{
    struct leader_news *news = memory_allocate(ANNOUNCED_AT_ONCE_MAX * sizeof *news);
    struct replica_group *group = NULL;
    size_t position = 0;
    uint32_t count = 0;
    do {
        group = replica_group_next(feed->shard->replicas, &position);
        if (group != NULL) {
            struct applier_standing standing = replica_standing(group);
            if (standing.leader == feed->shard->broker_id) {
                news[count++] = (struct leader_news){.group_id = replica_group_id(group),
                                                     .term = standing.term,
                                                     .leader = standing.leader};
            }
        }
        if (count == ANNOUNCED_AT_ONCE_MAX || (group == NULL && count > 0)) {
            struct buf *frame = announcement(news, count);
            io_stream_send(stream, (struct buf_slice){frame, frame->data, frame->length_bytes});
            buf_release(frame);
            count = 0;
        }
    } while (group != NULL);
    memory_free(news);
}

struct leader_feed *leader_feed_new(struct broker_shard *shard)
{
    struct leader_feed *feed = memory_allocate_zeroed(sizeof *feed);
    feed->shard = shard;
    list_node_init(&feed->hook.node);
    feed->hook.run = end_of_turn;
    io_turn_hook_add(shard->loop, &feed->hook);
    return feed;
}

void leader_feed_free(struct leader_feed *feed)
{
    io_turn_hook_remove(feed->shard->loop, &feed->hook);
    memory_free(feed->news);
    memory_free(feed);
}
