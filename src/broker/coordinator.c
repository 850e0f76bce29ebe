/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.c -- what a group table asks of its host, and its clockwork.
 *
 * A write that cannot be proposed is answered in a later turn, as the table must not be called
 * from inside its own call.  Writes of a lost leadership are answered NOT_COORDINATOR although they
 * may be committed later: clients of groups repeat what they asked, at the next coordinator.
 *
 * Locality: the shard of the partition.
 */
#include "broker/coordinator.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/uuid.h"
#include "broker/broker.h"
#include "broker/topic_place.h"
#include "wire/batch.h"

#include <inttypes.h>
#include <stdio.h>

#define TICK_NS (100 * 1000000ull)
#define EXPIRE_NS (600 * 1000000000ull)
/* A batch of records may not be larger than this, whatever the topic allows its producers. */
#define BATCH_BYTES_MAX (16u << 20)

struct coordinator {
    struct broker_shard *shard;
    struct replica_group *group; /* NULL before the partition runs */
    struct group_table *table;
    struct list writes;  /* proposed, ascending */
    struct list refused; /* could not be proposed */
    struct io_timer tick;
    struct io_timer refuse;
    uint64_t expire_ns; /* when to look for what has expired */
};

/* ---- The table's host ---- */

static void append(void *owner, struct buf *batch, struct group_write *write)
{
    struct coordinator *coordinator = owner;
    struct wire_batch head;
    bool is_batch = wire_batch_read(&head, batch->data, batch->length_bytes);
    ensure(is_batch);
    uint64_t base_offset = 0;
    enum replica_result result =
        coordinator->group != NULL
            ? replica_propose(coordinator->group, batch, batch->data, batch->length_bytes,
                              (uint32_t)head.last_offset_delta + 1, &base_offset)
            : REPLICA_NOT_RUNNING;
    buf_release(batch);
    list_node_init(&write->node);
    if (result == REPLICA_OK) {
        write->base_offset = base_offset;
        list_append(&coordinator->writes, &write->node);
        return;
    }
    list_append(&coordinator->refused, &write->node);
    io_timer_start(coordinator->shard->loop, &coordinator->refuse, 0);
}

static void refuse(struct io_timer *timer)
{
    struct coordinator *coordinator = container_of(timer, struct coordinator, refuse);
    struct list_node *node;
    (void)coordinator_table(coordinator);
    while ((node = list_take_first(&coordinator->refused)) != NULL) {
        struct group_write *write = container_of(node, struct group_write, node);
        write->done(write, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE);
    }
}

static void unique_id(void *owner, char text[37])
{
    struct coordinator *coordinator = owner;
    uint8_t b[16];
    io_random_secure(coordinator->shard->loop, b, sizeof b);
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4 */
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(text, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

static bool partition_exists(void *owner, struct wire_string topic, int32_t partition)
{
    const struct coordinator *coordinator = owner;
    const struct broker_shard *shard = coordinator->shard;
    enum wire_error error = WIRE_ERROR_NONE;
    const struct cluster_topic *found = topic_place_by_name(shard, topic, &error);
    if (found == NULL) {
        return !shard->metadata_is_loaded; /* nothing is gone for sure before that */
    }
    return topic_place_group(found, partition) != 0;
}

/* ---- Clockwork ---- */

struct group_table *coordinator_table(struct coordinator *coordinator)
{
    struct io_loop *loop = coordinator->shard->loop;
    group_table_set_time(coordinator->table, (int64_t)(io_now_ns(loop) / 1000000u),
                         io_wall_ms(loop));
    return coordinator->table;
}

static void tick(struct io_timer *timer)
{
    struct coordinator *coordinator = container_of(timer, struct coordinator, tick);
    uint64_t now_ns = io_now_ns(coordinator->shard->loop);
    struct group_table *table = coordinator_table(coordinator);
    group_table_tick(table);
    if (now_ns >= coordinator->expire_ns && coordinator->shard->metadata_is_loaded) {
        coordinator->expire_ns = now_ns + EXPIRE_NS;
        group_table_expire(table);
    }
    io_timer_start(coordinator->shard->loop, timer, now_ns + TICK_NS);
}

/* ---- From the applier ---- */

void coordinator_apply(struct coordinator *coordinator, const uint8_t *batch, size_t length)
{
    group_table_apply(coordinator_table(coordinator), batch, length);
}

void coordinator_committed(struct coordinator *coordinator, uint64_t high_watermark)
{
    (void)coordinator_table(coordinator);
    struct list_node *node;
    while ((node = list_first(&coordinator->writes)) != NULL) {
        struct group_write *write = container_of(node, struct group_write, node);
        if (write->base_offset >= high_watermark) {
            break;
        }
        list_remove(node);
        write->done(write, WIRE_ERROR_NONE);
    }
}

static void stop_leading(struct coordinator *coordinator)
{
    struct group_table *table = coordinator_table(coordinator);
    struct list_node *node;
    while ((node = list_take_first(&coordinator->writes)) != NULL ||
           (node = list_take_first(&coordinator->refused)) != NULL) {
        struct group_write *write = container_of(node, struct group_write, node);
        write->done(write, WIRE_ERROR_NOT_COORDINATOR);
    }
    io_timer_stop(coordinator->shard->loop, &coordinator->tick);
    io_timer_stop(coordinator->shard->loop, &coordinator->refuse);
    group_table_follow(table);
}

void coordinator_standing_changed(struct coordinator *coordinator, bool lost, bool leads)
{
    struct group_table *table = coordinator_table(coordinator);
    if (lost && group_table_leads(table)) {
        stop_leading(coordinator);
    }
    if (leads && !group_table_leads(table)) {
        uint64_t now_ns = io_now_ns(coordinator->shard->loop);
        group_table_lead(table);
        coordinator->expire_ns = now_ns + EXPIRE_NS;
        io_timer_start(coordinator->shard->loop, &coordinator->tick, now_ns + TICK_NS);
    }
}

/* ---- Life ---- */

struct coordinator *coordinator_new(struct broker_shard *shard)
{
    const struct broker_config *config = shard->config;
    struct coordinator *coordinator = memory_allocate_zeroed(sizeof *coordinator);
    const struct group_host host = {append, unique_id, partition_exists, coordinator};
    const struct group_limits limits = {
        .session_timeout_min_ms = (int32_t)config->group_min_session_timeout_ms,
        .session_timeout_max_ms = (int32_t)config->group_max_session_timeout_ms,
        .initial_rebalance_delay_ms = (int32_t)config->group_initial_rebalance_delay_ms,
        .members_max = (int32_t)config->group_max_size,
        .offset_metadata_bytes_max = (int32_t)config->offset_metadata_max_bytes,
        .offsets_retention_ms = (int64_t)config->offsets_retention_minutes * 60000,
        .record_bytes_max = BATCH_BYTES_MAX,
    };
    coordinator->shard = shard;
    coordinator->table = group_table_new(&host, &limits);
    list_init(&coordinator->writes);
    list_init(&coordinator->refused);
    io_timer_init(&coordinator->tick, tick);
    io_timer_init(&coordinator->refuse, refuse);
    return coordinator;
}

void coordinator_free(struct coordinator *coordinator)
{
    ensure(!group_table_leads(coordinator->table));
    ensure(list_is_empty(&coordinator->writes) && list_is_empty(&coordinator->refused));
    group_table_free(coordinator->table);
    memory_free(coordinator);
}

void coordinator_attach(struct coordinator *coordinator, struct replica_group *group)
{
    coordinator->group = group;
}
