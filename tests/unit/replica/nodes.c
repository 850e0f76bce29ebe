/* SPDX-License-Identifier: Apache-2.0
 *
 * nodes.c -- see nodes.h.
 */
#include "nodes.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/trace.h"
#include "io/file.h"
#include "wire/batch.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_NS 60000000000ull
#define TURN_BYTES (1u << 20) /* proposed between two turns */
#define FRAME_HEADER_BYTES 15 /* size and request header */
#define FRAME_BYTES_MAX (64u << 20)

/* ---- The applier ---- */

static struct counting_applier *of(struct applier *applier)
{
    return container_of(applier, struct counting_applier, applier);
}

static void counting_apply(struct applier *applier, const struct log_entry *entry,
                           uint64_t base_offset)
{
    struct counting_applier *counting = of(applier);
    require(base_offset == counting->next_offset);
    counting->next_offset = base_offset + (entry->last_index - entry->first_index) + 1;
    counting->batches++;
    counting->checksum =
        crc32c(counting->checksum, entry->payload.data, entry->payload.length_bytes);
}

static void counting_committed(struct applier *applier, uint64_t high_watermark)
{
    struct counting_applier *counting = of(applier);
    require(high_watermark > counting->high_watermark);
    counting->high_watermark = high_watermark;
}

static void counting_saved(struct applier *applier, uint64_t saved_offset)
{
    of(applier)->saved_offset = saved_offset;
}

static void counting_standing_changed(struct applier *applier,
                                      const struct applier_standing *standing)
{
    of(applier)->standing = *standing;
    of(applier)->standings++;
}

static void counting_proposable(struct applier *applier)
{
    of(applier)->proposables++;
}

static void counting_snapshot_write(struct applier *applier, struct buf **content)
{
    const struct counting_applier *counting = of(applier);
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    wire_write_int64(&writer, (int64_t)counting->batches);
    wire_write_uint32(&writer, counting->checksum);
    wire_write_int64(&writer, (int64_t)counting->next_offset);
    for (uint32_t i = 0; i < 100000; i++) {
        wire_write_uint32(&writer, i); /* several chunks long */
    }
    *content = wire_writer_take(&writer);
}

static bool counting_snapshot_restore(struct applier *applier, const uint8_t *content,
                                      size_t length)
{
    struct counting_applier *counting = of(applier);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, content, length, NULL);
    counting->batches = (uint64_t)wire_read_int64(&cursor);
    counting->checksum = wire_read_uint32(&cursor);
    counting->next_offset = (uint64_t)wire_read_int64(&cursor);
    counting->restores++;
    return cursor.error == NULL && !counting->refuses_restore;
}

static void counting_reset(struct applier *applier)
{
    struct counting_applier *counting = of(applier);
    counting->batches = 0;
    counting->checksum = 0;
    counting->next_offset = 0;
    counting->resets++;
}

static const struct applier_type counting_type = {
    .name = "counting",
    .apply = counting_apply,
    .committed = counting_committed,
    .saved = counting_saved,
    .standing_changed = counting_standing_changed,
    .proposable = counting_proposable,
    .snapshot_write = counting_snapshot_write,
    .snapshot_restore = counting_snapshot_restore,
    .reset = counting_reset,
};

struct counting_applier *nodes_applier(struct nodes *nodes, uint32_t index, uint64_t group_id)
{
    return &nodes->node[index].appliers[group_id % NODE_GROUPS_MAX];
}

struct replica_group *nodes_group(struct nodes *nodes, uint32_t index, uint64_t group_id)
{
    struct replica_manager *manager = nodes->node[index].manager;
    return manager == NULL ? NULL : replica_group_find(manager, group_id);
}

/* ---- Links ---- */

static struct node_link *new_link(struct nodes *nodes, uint32_t node, uint32_t peer)
{
    for (size_t i = 0; i < sizeof nodes->links / sizeof nodes->links[0]; i++) {
        struct node_link *link = &nodes->links[i];
        if (!link->is_used) {
            *link = (struct node_link){.nodes = nodes, .node = node, .peer = peer, .is_used = true};
            return link;
        }
    }
    unreachable_code();
}

static void link_open(struct io_stream *stream)
{
    struct node_link *link = io_stream_owner(stream);
    struct node *node = &link->nodes->node[link->node];
    if (node->manager == NULL) {
        io_stream_close(stream);
        return;
    }
    link->is_attached = true;
    replica_peer_attach(node->manager, link->peer, stream);
}

/* One frame at the beginning of the input; its length, 0 when it is not whole. */
static size_t take_frame(struct node_link *link, struct io_stream *stream)
{
    size_t length;
    struct buf *buf;
    const uint8_t *data = io_stream_input(stream, &length, &buf);
    if (length < 4) {
        return 0;
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    size_t whole = 4 + (size_t)wire_read_int32(&cursor);
    require(whole > FRAME_HEADER_BYTES && whole < FRAME_BYTES_MAX);
    if (length < whole) {
        io_stream_expect(stream, whole);
        return 0;
    }
    require(wire_read_int16(&cursor) == 1001 && wire_read_int16(&cursor) == 0);
    wire_cursor_init(&cursor, data + FRAME_HEADER_BYTES + 1, 4, NULL);
    link->peer = wire_read_uint32(&cursor);
    struct node *node = &link->nodes->node[link->node];
    if (node->manager != NULL) {
        bool is_good = replica_receive_frame(node->manager, link->peer, buf,
                                             data + FRAME_HEADER_BYTES, whole - FRAME_HEADER_BYTES);
        require(is_good);
    }
    return whole;
}

static void link_data(struct io_stream *stream)
{
    size_t length;
    while ((length = take_frame(io_stream_owner(stream), stream)) > 0) {
        io_stream_consume(stream, length);
    }
}

static void link_close(struct io_stream *stream, const char *reason)
{
    (void)reason;
    struct node_link *link = io_stream_owner(stream);
    struct node *node = &link->nodes->node[link->node];
    if (link->is_attached && node->manager != NULL) {
        replica_peer_detach(node->manager, link->peer, true);
    }
    link->is_used = false;
}

static const struct io_stream_handler link_handler = {
    .on_open = link_open, .on_data = link_data, .on_close = link_close};

static void accepted(struct io_listener *listener, struct io_stream *stream)
{
    struct node *node = io_listener_owner(listener);
    struct node_link *link = new_link(node->nodes, (uint32_t)(node - node->nodes->node), 0);
    link->stream = stream;
    io_stream_adopt(stream, &link_handler, link);
}

static bool is_linked(struct nodes *nodes, uint32_t from, uint32_t peer)
{
    for (size_t i = 0; i < sizeof nodes->links / sizeof nodes->links[0]; i++) {
        const struct node_link *link = &nodes->links[i];
        if (link->is_used && link->node == from && link->peer == peer && link->is_attached) {
            return true;
        }
    }
    return false;
}

static bool is_up(const struct nodes *nodes, uint32_t index)
{
    return nodes->node[index].manager != NULL && !nodes->node[index].is_cut_off;
}

static bool are_connected(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        for (uint32_t j = 0; j < nodes->count; j++) {
            if (i != j && is_up(nodes, i) && is_up(nodes, j) &&
                !is_linked(nodes, i, nodes->node[j].broker_id)) {
                return false;
            }
        }
    }
    return true;
}

void nodes_connect(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        nodes->node[i].is_cut_off = false;
    }
    for (uint32_t i = 0; i < nodes->count; i++) {
        for (uint32_t j = 0; j < nodes->count; j++) {
            if (i == j || !is_up(nodes, i) || !is_up(nodes, j) ||
                is_linked(nodes, i, nodes->node[j].broker_id)) {
                continue;
            }
            struct node_link *link = new_link(nodes, i, nodes->node[j].broker_id);
            struct io_connect_options options = {
                .host = "127.0.0.1", .port = nodes->node[j].port, .connect_ms = 5000};
            link->stream = io_stream_connect(nodes->loop, &options, &link_handler, link);
        }
    }
    nodes_run_until(nodes, are_connected);
}

static bool cut_off_has_no_links(struct nodes *nodes)
{
    for (size_t i = 0; i < sizeof nodes->links / sizeof nodes->links[0]; i++) {
        const struct node_link *link = &nodes->links[i];
        for (uint32_t j = 0; link->is_used && j < nodes->count; j++) {
            bool is_down = nodes->node[j].manager == NULL || nodes->node[j].is_cut_off;
            if (is_down && (link->node == j || link->peer == nodes->node[j].broker_id)) {
                return false;
            }
        }
    }
    return true;
}

static void close_links(struct nodes *nodes, uint32_t index)
{
    for (size_t i = 0; i < sizeof nodes->links / sizeof nodes->links[0]; i++) {
        struct node_link *link = &nodes->links[i];
        if (link->is_used && (link->node == index || link->peer == nodes->node[index].broker_id)) {
            io_stream_close(link->stream);
        }
    }
}

void nodes_cut_off(struct nodes *nodes, uint32_t index)
{
    nodes->node[index].is_cut_off = true;
    close_links(nodes, index);
    nodes_run_until(nodes, cut_off_has_no_links);
}

/* ---- Managers ---- */

static void disk_failed(void *owner, int result)
{
    (void)result;
    ((struct node *)owner)->disk_failures++;
}

void nodes_start_manager(struct nodes *nodes, uint32_t index)
{
    struct node *node = &nodes->node[index];
    require(node->manager == NULL);
    struct replica_manager_options options = {
        .shard = shards_get(nodes->shards, 0),
        .data_directory = node->directory,
        .broker_id = node->broker_id,
        .cluster_id = nodes->cluster_id,
        .heartbeat_ms = 50,
        .election_ms = 500, /* a busy machine must not depose leaders */
        .learner_bytes_per_second = NODES_LEARNER_BYTES_PER_SECOND,
        .disk_failed = disk_failed,
        .owner = node,
    };
    char error[256];
    node->manager = replica_manager_new(&options, error, sizeof error);
    if (node->manager == NULL) {
        fprintf(stderr, "%s\n", error);
    }
    require(node->manager != NULL);
    node->is_stopped = false;
    if (nodes->hook.run != NULL) { /* conditions are looked at after all managers' hooks */
        io_turn_hook_remove(nodes->loop, &nodes->hook);
        io_turn_hook_add(nodes->loop, &nodes->hook);
    }
}

static void manager_stopped(void *context)
{
    ((struct node *)context)->is_stopped = true;
}

static bool all_asked_are_stopped(struct nodes *nodes)
{
    return nodes->node[nodes->wanted].is_stopped;
}

void nodes_stop_manager(struct nodes *nodes, uint32_t index)
{
    struct node *node = &nodes->node[index];
    if (node->manager == NULL) {
        return;
    }
    replica_manager_stop(node->manager, manager_stopped, node);
    uint64_t wanted = nodes->wanted;
    nodes->wanted = index;
    nodes_run_until(nodes, all_asked_are_stopped);
    nodes->wanted = wanted;
    replica_manager_free(node->manager);
    node->manager = NULL;
    close_links(nodes, index);
    nodes_run_until(nodes, cut_off_has_no_links);
}

static void check_condition(struct io_turn_hook *hook)
{
    struct nodes *nodes = container_of(hook, struct nodes, hook);
    if (nodes->condition != NULL && nodes->condition(nodes)) {
        nodes->condition = NULL;
        io_loop_stop(nodes->loop);
    }
}

static void out_of_time(struct io_timer *timer)
{
    struct nodes *nodes = container_of(timer, struct nodes, deadline);
    nodes->timed_out = true;
    io_loop_stop(nodes->loop);
}

void nodes_run_until(struct nodes *nodes, bool (*condition)(struct nodes *nodes))
{
    nodes->condition = condition;
    io_timer_start(nodes->loop, &nodes->deadline, io_clock_ns(nodes->loop) + DEADLINE_NS);
    io_loop_again(nodes->loop);
    io_loop_run(nodes->loop);
    io_timer_stop(nodes->loop, &nodes->deadline);
    require(!nodes->timed_out);
}

static void listen_on(struct nodes *nodes, struct node *node)
{
    struct io_listener_options options = {.on_accept = accepted, .owner = node};
    bool is_address = io_address_parse(&options.address, "127.0.0.1", 0);
    require(is_address);
    char error[256];
    node->listener = io_listener_open(nodes->loop, &options, error, sizeof error);
    require(node->listener != NULL);
    node->port = io_listener_address(node->listener).port;
}

void nodes_shell(const char *format, ...)
{
    char command[2048];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    require(length > 0 && (size_t)length < sizeof command);
    require(system(command) == 0);
}

void nodes_begin(struct nodes *nodes, uint32_t count)
{
    require(count <= NODES_MAX);
    memset(nodes, 0, sizeof *nodes);
    if (getenv("TRACE") == NULL) {
        trace_install(NULL, NULL, TRACE_ERROR);
    }
    nodes->count = count;
    nodes->shards = shards_new(1, 7);
    nodes->loop = shard_loop(shards_get(nodes->shards, 0));
    nodes->cluster_id = uuid_from_random(1, 2);
    io_timer_init(&nodes->deadline, out_of_time);
    for (uint32_t i = 0; i < count; i++) {
        struct node *node = &nodes->node[i];
        node->nodes = nodes;
        node->broker_id = i + 1;
        snprintf(node->directory, sizeof node->directory, "/tmp/flotilla-replica-XXXXXX");
        require(mkdtemp(node->directory) != NULL);
        listen_on(nodes, node);
        nodes_start_manager(nodes, i);
    }
    nodes->hook.run = check_condition;
    list_node_init(&nodes->hook.node);
    io_turn_hook_add(nodes->loop, &nodes->hook);
    nodes_connect(nodes);
}

void nodes_end(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        nodes_stop_manager(nodes, i);
    }
    for (uint32_t i = 0; i < nodes->count; i++) {
        io_listener_close(nodes->node[i].listener);
        require(io_directory_remove_tree(nodes->node[i].directory) == 0);
    }
    nodes_run_until(nodes, cut_off_has_no_links);
    io_turn_hook_remove(nodes->loop, &nodes->hook);
    shards_free(nodes->shards);
}

/* ---- Groups ---- */

struct replica_group_spec nodes_spec(struct nodes *nodes, uint32_t index, uint64_t group_id,
                                     uint32_t voters)
{
    struct counting_applier *counting = nodes_applier(nodes, index, group_id);
    memset(counting, 0, sizeof *counting);
    counting->applier.type = &counting_type;
    struct replica_group_spec spec = {
        .group_id = group_id,
        .applier = &counting->applier,
        .log = {.segment_bytes = 1u << 20, .segment_ms = 3600000, .index_interval_bytes = 4096},
        .description = "what it is for",
        .description_length = 14,
    };
    spec.members.voter_count = voters;
    for (uint32_t i = 0; i < voters; i++) {
        spec.members.voters[i] = nodes->node[i].broker_id;
    }
    return spec;
}

static void started(void *context, enum replica_result result, struct replica_group *group)
{
    struct node *node = context;
    require((group != NULL) == (result == REPLICA_OK));
    node->start_result = result;
    node->starts_answered++;
}

static void stopped(void *context, enum replica_result result)
{
    struct node *node = context;
    node->stop_result = result;
    node->stops_answered++;
}

static bool start_is_answered(struct nodes *nodes)
{
    return nodes->node[nodes->wanted].starts_answered > 0;
}

static bool stop_is_answered(struct nodes *nodes)
{
    return nodes->node[nodes->wanted].stops_answered > 0;
}

enum replica_result nodes_start_group(struct nodes *nodes, uint32_t index,
                                      const struct replica_group_spec *spec)
{
    struct node *node = &nodes->node[index];
    node->starts_answered = 0;
    replica_group_start(node->manager, spec, started, node);
    require(node->starts_answered == 0); /* never inside the call */
    uint64_t wanted = nodes->wanted;
    nodes->wanted = index;
    nodes_run_until(nodes, start_is_answered);
    nodes->wanted = wanted;
    require(node->starts_answered == 1);
    return node->start_result;
}

enum replica_result nodes_stop_group(struct nodes *nodes, uint32_t index, uint64_t group_id,
                                     bool delete_data)
{
    struct node *node = &nodes->node[index];
    node->stops_answered = 0;
    replica_group_stop(node->manager, group_id, delete_data, stopped, node);
    require(node->stops_answered == 0);
    uint64_t wanted = nodes->wanted;
    nodes->wanted = index;
    nodes_run_until(nodes, stop_is_answered);
    nodes->wanted = wanted;
    require(node->stops_answered == 1);
    return node->stop_result;
}

uint32_t nodes_leader(struct nodes *nodes)
{
    uint32_t leader = NODES_MAX;
    uint64_t term = 0;
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct replica_group *group = nodes_group(nodes, i, nodes->group_id);
        if (group != NULL && !nodes->node[i].is_cut_off && replica_standing(group).is_leader &&
            replica_standing(group).term >= term) {
            leader = i;
            term = replica_standing(group).term;
        }
    }
    return leader;
}

bool nodes_have_leader(struct nodes *nodes)
{
    return nodes_leader(nodes) != NODES_MAX;
}

bool nodes_have_applied(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (nodes_group(nodes, i, nodes->group_id) != NULL && !nodes->node[i].is_cut_off &&
            (nodes_applier(nodes, i, nodes->group_id)->batches < nodes->wanted ||
             nodes_applier(nodes, i, nodes->group_id)->high_watermark < nodes->wanted)) {
            return false;
        }
    }
    return true;
}

/* False when the leader does not take it now. */
static bool propose_one(struct nodes *nodes, uint32_t leader, uint64_t number, int32_t size)
{
    static uint8_t value[1u << 20];
    require(size >= 8 && (size_t)size <= sizeof value);
    memcpy(value, &number, sizeof number);
    struct buf *buf = wire_batch_build(NULL, -1, value, size, 1000);
    uint64_t base_offset = 0;
    enum replica_result result = replica_propose(nodes_group(nodes, leader, nodes->group_id), buf,
                                                 buf->data, buf->length_bytes, 1, &base_offset);
    buf_release(buf);
    return result == REPLICA_OK;
}

bool nodes_propose(struct nodes *nodes, uint32_t index, uint64_t group_id, int32_t size)
{
    nodes->group_id = group_id;
    return propose_one(nodes, index, 0, size);
}

static bool at_once(struct nodes *nodes)
{
    (void)nodes;
    return true;
}

void nodes_write(struct nodes *nodes, uint64_t group_id, uint64_t batches, int32_t size)
{
    nodes->group_id = group_id;
    nodes_run_until(nodes, nodes_have_leader);
    uint32_t leader = nodes_leader(nodes);
    nodes->wanted = nodes_applier(nodes, leader, group_id)->batches;
    for (uint64_t i = 0; i < batches; i++) {
        while (!propose_one(nodes, leader, i, size)) {
            nodes_run_until(nodes, nodes_have_applied); /* full: until what was taken is through */
            nodes_run_until(nodes, nodes_have_leader);
            leader = nodes_leader(nodes);
        }
        nodes->wanted++;
        /* Building many large batches takes longer than an election timeout where everything is
         * slow: without a turn in between the followers would depose a leader that is well. */
        if ((i + 1) * (uint64_t)size / TURN_BYTES > i * (uint64_t)size / TURN_BYTES) {
            nodes_run_until(nodes, at_once);
        }
    }
    nodes_run_until(nodes, nodes_have_applied);
}

void nodes_assert_equal(struct nodes *nodes, uint64_t group_id)
{
    const struct counting_applier *first = NULL;
    for (uint32_t i = 0; i < nodes->count; i++) {
        if (nodes_group(nodes, i, group_id) == NULL) {
            continue;
        }
        const struct counting_applier *counting = nodes_applier(nodes, i, group_id);
        first = first == NULL ? counting : first;
        require(counting->batches == first->batches && counting->checksum == first->checksum);
        require(counting->next_offset == first->next_offset);
    }
}
