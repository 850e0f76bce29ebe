/* SPDX-License-Identifier: Apache-2.0
 *
 * peer_link.c -- see peer_link.h.
 */
#include "broker/peer_link.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/leader_feed.h"
#include "broker/peer_dial.h"
#include "broker/peer_presence.h"
#include "broker/peer_request_frame.h"
#include "wire/peer_ping.h"

#include <inttypes.h>
#include <string.h>

#define CONNECT_MS 1000
#define BACKOFF_LEAST_MS 50
#define BACKOFF_MOST_MS 1000
/* A connection that held this long makes the next attempt an early one; one that breaks at once
 * does not, or a peer that accepts and drops would be dialled, and written of, twenty times a
 * second. */
#define HELD_NS 5000000000ull
#define PING_NS 500000000ull
#define SILENT_NS 10000000000ull

struct peer_links {
    struct broker_shard *shard;
    struct map links; /* broker id -> struct peer_link */
    struct io_timer ping;
    bool is_stopping;
};

struct peer_link {
    struct peer_links *links;
    struct peer_dial dial;
    uint32_t broker_id;
    struct io_timer retry;
    uint32_t backoff_ms;
    uint64_t attached_ns;
    bool is_attached;
    bool is_asked; /* a ping is under way */
    bool disk_answers;
    uint64_t answered_ns;
    char introduced_host[CLUSTER_HOST_BYTES_MAX + 1]; /* "": nobody said */
    uint16_t introduced_port;
};

static struct peer_link *link_of(struct peer_dial *dial)
{
    return container_of(dial, struct peer_link, dial);
}

static void link_dial(struct peer_link *link)
{
    char host[CLUSTER_HOST_BYTES_MAX + 1];
    uint16_t port = 0;
    if (!link->links->is_stopping &&
        peer_address_find(link->links->shard, link->broker_id, host, &port)) {
        peer_dial_open(&link->dial, link->broker_id, host, port, CONNECT_MS);
    }
}

static void retry_due(struct io_timer *timer)
{
    link_dial(container_of(timer, struct peer_link, retry));
}

static void link_ready(struct peer_dial *dial)
{
    struct peer_link *link = link_of(dial);
    struct broker_shard *shard = link->links->shard;
    link->is_attached = true;
    link->attached_ns = io_now_ns(shard->loop);
    link->answered_ns = link->attached_ns; /* the hello */
    link->is_asked = false;
    link->disk_answers = true;
    trace_info("Connected to broker %" PRIu32 " at %s:%u", link->broker_id, dial->host, dial->port);
    replica_peer_attach(shard->replicas, link->broker_id, dial->stream);
    leader_feed_tell(shard->leader_feed, dial->stream);
}

static void link_closed(struct peer_dial *dial, const char *reason, bool process_gone)
{
    struct peer_link *link = link_of(dial);
    struct broker_shard *shard = link->links->shard;
    if (link->is_attached) {
        link->is_attached = false;
        if (io_now_ns(shard->loop) - link->attached_ns >= HELD_NS) {
            link->backoff_ms = BACKOFF_LEAST_MS;
        }
        trace_info("Connection to broker %" PRIu32 " at %s:%u ended: %s", link->broker_id,
                   dial->host, dial->port, reason);
        replica_peer_detach(shard->replicas, link->broker_id, process_gone);
    } else {
        trace_debug("cannot reach broker %" PRIu32 " at %s:%u: %s", link->broker_id, dial->host,
                    dial->port, reason);
    }
    if (!link->links->is_stopping) {
        io_timer_start(shard->loop, &link->retry,
                       io_now_ns(shard->loop) + link->backoff_ms * 1000000ull);
        link->backoff_ms =
            link->backoff_ms * 2 < BACKOFF_MOST_MS ? link->backoff_ms * 2 : BACKOFF_MOST_MS;
    }
}

/* ---- Does it live? ---- */

static bool link_answered(struct peer_dial *dial, const uint8_t *frame, size_t length)
{
    struct peer_link *link = link_of(dial);
    struct peer_ping_response answer;
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, frame, length, NULL);
    (void)wire_read_int32(&cursor); /* the correlation id: one question at a time */
    if (!link->is_asked || !peer_ping_response_decode(&answer, 0, &cursor) ||
        !wire_expect_end(&cursor)) {
        return false;
    }
    link->is_asked = false;
    link->answered_ns = io_now_ns(link->links->shard->loop);
    link->disk_answers = answer.disk_answers;
    return true;
}

static void ask(struct peer_link *link)
{
    struct peer_ping_request ping;
    struct wire_writer writer;
    peer_ping_request_init(&ping);
    peer_request_frame_begin(&writer, PEER_PING_TYPE, 0);
    peer_ping_request_encode(&ping, 0, &writer);
    peer_request_frame_send(&writer, link->dial.stream);
    link->is_asked = true;
}

static void ping_due(struct io_timer *timer)
{
    struct peer_links *links = container_of(timer, struct peer_links, ping);
    size_t position = 0;
    struct peer_link *link = NULL;
    while ((link = map_next(&links->links, &position)) != NULL) {
        if (!link->is_attached) {
            continue;
        }
        if (!link->is_asked) {
            ask(link);
        } else if (io_now_ns(links->shard->loop) - link->answered_ns >= SILENT_NS) {
            peer_dial_give_up(&link->dial, "no answer", false);
        }
    }
    io_timer_start(links->shard->loop, timer, io_now_ns(links->shard->loop) + PING_NS);
}

static const struct peer_dial_handler link_handler = {
    .on_ready = link_ready,
    .on_frame = link_answered,
    .on_close = link_closed,
};

struct peer_links *peer_links_new(struct broker_shard *shard)
{
    struct peer_links *links = memory_allocate_zeroed(sizeof *links);
    links->shard = shard;
    map_init(&links->links);
    io_timer_init(&links->ping, ping_due);
    return links;
}

static struct peer_link *link_add(struct peer_links *links, uint32_t broker_id)
{
    struct peer_link *link = memory_allocate_zeroed(sizeof *link);
    link->links = links;
    link->broker_id = broker_id;
    link->backoff_ms = BACKOFF_LEAST_MS;
    io_timer_init(&link->retry, retry_due);
    peer_dial_init(&link->dial, links->shard, &link_handler);
    map_put(&links->links, broker_id, link);
    if (!io_timer_is_running(&links->ping)) {
        io_timer_start(links->shard->loop, &links->ping, io_now_ns(links->shard->loop) + PING_NS);
    }
    return link;
}

static void ensure_link(struct peer_links *links, uint32_t broker_id)
{
    if (broker_id == links->shard->broker_id) {
        return;
    }
    struct peer_link *link = map_get(&links->links, broker_id);
    if (link == NULL) {
        link = link_add(links, broker_id);
    }
    /* One whose address was not known any more rests. */
    if (link->dial.state == PEER_DIAL_CLOSED && !io_timer_is_running(&link->retry)) {
        link_dial(link);
    }
}

void peer_links_introduce(struct peer_links *links, uint32_t broker_id, struct wire_string host,
                          uint16_t port)
{
    if (links->is_stopping || port == 0 || broker_id == 0 || broker_id == links->shard->broker_id ||
        host.length < 1 || host.length > CLUSTER_HOST_BYTES_MAX) {
        return;
    }
    struct peer_link *link = map_get(&links->links, broker_id);
    if (link == NULL) {
        link = link_add(links, broker_id);
    }
    memcpy(link->introduced_host, host.data, (size_t)host.length);
    link->introduced_host[host.length] = '\0';
    link->introduced_port = port;
    ensure_link(links, broker_id);
}

void peer_links_spoken_to(struct peer_links *links, uint32_t broker_id)
{
    if (!links->is_stopping && map_get(&links->links, broker_id) != NULL) {
        ensure_link(links, broker_id);
    }
}

static bool introduction_counts(const struct peer_links *links, uint32_t broker_id)
{
    const struct broker_shard *shard = links->shard;
    return !shard->metadata_is_loaded ||
           (shard->presence != NULL && peer_presence_is_connected(shard->presence, broker_id));
}

bool peer_links_find_introduced(const struct peer_links *links, uint32_t broker_id,
                                char host[CLUSTER_HOST_BYTES_MAX + 1], uint16_t *port)
{
    const struct peer_link *link = map_get(&links->links, broker_id);
    if (link == NULL || link->introduced_port == 0 || !introduction_counts(links, broker_id)) {
        return false;
    }
    memcpy(host, link->introduced_host, sizeof link->introduced_host);
    *port = link->introduced_port;
    return true;
}

void peer_links_update(struct peer_links *links)
{
    if (links->is_stopping) {
        return;
    }
    const struct broker_config *config = links->shard->config;
    for (size_t i = 0; i < config->controller_count; i++) {
        ensure_link(links, config->controllers[i].id);
    }
    size_t position = 0;
    const struct cluster_broker *broker = NULL;
    while ((broker = cluster_broker_next(links->shard->metadata, &position)) != NULL) {
        ensure_link(links, broker->id);
    }
}

/* ---- A broker that came back ---- */

struct redial {
    struct shard_message message;
    uint32_t broker_id;
    struct uuid incarnation;
};

/* What stands may lead to the process before: a broker that lost power said no farewell, and
 * nothing shows that but an answer to something sent. */
static void redial_link(struct peer_link *link, const struct uuid *incarnation)
{
    struct io_loop *loop = link->links->shard->loop;
    if (link->dial.state == PEER_DIAL_READY && !uuid_equal(&link->dial.incarnation, incarnation)) {
        link->backoff_ms = BACKOFF_LEAST_MS;
        peer_dial_give_up(&link->dial, "another process has taken its place", true);
    } else if (io_timer_is_running(&link->retry)) {
        io_timer_stop(loop, &link->retry);
        link->backoff_ms = BACKOFF_LEAST_MS;
        link_dial(link);
    }
}

static void deliver_redial(struct shard *shard, struct shard_message *message)
{
    struct redial *redial = container_of(message, struct redial, message);
    struct broker_shard *state = shard_owner(shard);
    struct peer_link *link =
        state->links != NULL ? map_get(&state->links->links, redial->broker_id) : NULL;
    if (link != NULL) {
        redial_link(link, &redial->incarnation);
    }
    memory_free(redial);
}

void peer_links_redial(struct broker_shard *shard, uint32_t broker_id,
                       const struct uuid *incarnation)
{
    for (uint32_t to = 0; to < shard->broker->shard_count; to++) {
        struct redial *redial = memory_allocate_zeroed(sizeof *redial);
        list_node_init(&redial->message.node);
        redial->message.deliver = deliver_redial;
        redial->broker_id = broker_id;
        redial->incarnation = *incarnation;
        shard_post(shard->shard, to, &redial->message);
    }
}

void peer_links_stop(struct peer_links *links)
{
    links->is_stopping = true;
    io_timer_stop(links->shard->loop, &links->ping);
    size_t position = 0;
    struct peer_link *link = NULL;
    while ((link = map_next(&links->links, &position)) != NULL) {
        io_timer_stop(links->shard->loop, &link->retry);
        peer_dial_close(&link->dial);
    }
}

bool peer_links_are_closed(const struct peer_links *links)
{
    size_t position = 0;
    struct peer_link *link = NULL;
    while ((link = map_next(&links->links, &position)) != NULL) {
        if (link->dial.state != PEER_DIAL_CLOSED) {
            return false;
        }
    }
    return true;
}

void peer_links_free(struct peer_links *links)
{
    size_t position = 0;
    struct peer_link *link = NULL;
    require(peer_links_are_closed(links));
    while ((link = map_next(&links->links, &position)) != NULL) {
        memory_free(link);
    }
    map_free(&links->links);
    memory_free(links);
}

bool peer_link_answers(const struct peer_links *links, uint32_t broker_id)
{
    const struct peer_link *link = map_get(&links->links, broker_id);
    return link != NULL && link->is_attached && link->disk_answers &&
           io_now_ns(links->shard->loop) - link->answered_ns < PEER_LINK_ANSWER_NS;
}

bool peer_link_has_held(const struct peer_links *links, uint32_t broker_id, uint64_t time_ns)
{
    const struct peer_link *link = map_get(&links->links, broker_id);
    return link != NULL && peer_link_answers(links, broker_id) &&
           io_now_ns(links->shard->loop) - link->attached_ns >= time_ns;
}

bool peer_link_is_attached(const struct peer_links *links, uint32_t broker_id)
{
    const struct peer_link *link = map_get(&links->links, broker_id);
    return link != NULL && link->is_attached;
}

bool peer_link_send(struct peer_links *links, uint32_t broker_id, struct buf *frame)
{
    struct peer_link *link = map_get(&links->links, broker_id);
    if (link == NULL || !link->is_attached) {
        return false;
    }
    io_stream_send(link->dial.stream, (struct buf_slice){frame, frame->data, frame->length_bytes});
    return true;
}

void peer_links_send(struct peer_links *links, struct buf *frame)
{
    size_t position = 0;
    struct peer_link *link = NULL;
    while ((link = map_next(&links->links, &position)) != NULL) {
        if (link->is_attached) {
            io_stream_send(link->dial.stream,
                           (struct buf_slice){frame, frame->data, frame->length_bytes});
        }
    }
}
