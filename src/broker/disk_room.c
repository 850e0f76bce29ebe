/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_room.c -- see disk_room.h.
 *
 * Locality: one a shard.
 */
#include "broker/disk_room.h"

#include "base/list.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "io/file.h"

#include <inttypes.h>
#include <string.h>

#define LOOK_NS 1000000000ull

/* Once: where all brokers are short, leaderships would go round and round. */
static void hand_over(struct broker_shard *shard)
{
    struct replica_group *group = NULL;
    size_t position = 0;
    while ((group = replica_group_next(shard->replicas, &position)) != NULL) {
        if (replica_group_id(group) != CLUSTER_CONTROLLER_GROUP_ID) {
            (void)replica_transfer_leadership(group, 0); /* refused where it does not lead */
        }
    }
}

static void set_short(struct broker_shard *shard, bool is_short, uint64_t free_bytes)
{
    shard->is_short_of_room = is_short;
    counter_set(&shard->stats.shards_short_of_room, is_short);
    replica_manager_refuse_data(shard->replicas, is_short);
    if (is_short) {
        trace_error("the disk under %s is nearly full: %" PRIu64 " bytes are free, %" PRIu64
                    " are held in reserve: no more data is taken until there is room",
                    shard->config->data_directory, free_bytes, shard->config->disk_reserve_bytes);
        hand_over(shard);
    } else {
        trace_info("the disk under %s has room again: %" PRIu64 " bytes are free",
                   shard->config->data_directory, free_bytes);
    }
}

/* The file system keeps this count in memory: asking does not wait for the disk. */
static void look(struct broker_shard *shard)
{
    uint64_t reserve = shard->config->disk_reserve_bytes;
    uint64_t free_bytes = 0;
    uint64_t total_bytes = 0;
    int result = io_path_space(shard->config->data_directory, &free_bytes, &total_bytes);
    if (result < 0) {
        trace_debug("%s: its free space is not known: %s", shard->config->data_directory,
                    strerror(-result)); /* what was last known stands */
        return;
    }
    bool is_short =
        shard->is_short_of_room ? free_bytes < reserve + reserve / 8 : free_bytes < reserve;
    if (is_short != shard->is_short_of_room) {
        set_short(shard, is_short, free_bytes);
    }
}

static void look_due(struct io_timer *timer)
{
    struct disk_room *room = container_of(timer, struct disk_room, timer);
    look(room->shard);
    io_timer_start(room->shard->loop, timer, io_now_ns(room->shard->loop) + LOOK_NS);
}

void disk_room_start(struct disk_room *room, struct broker_shard *shard)
{
    room->shard = shard;
    io_timer_init(&room->timer, look_due);
    if (shard->config->disk_reserve_bytes > 0) {
        io_timer_start(shard->loop, &room->timer, io_now_ns(shard->loop));
    }
}

void disk_room_stop(struct disk_room *room)
{
    io_timer_stop(room->shard->loop, &room->timer);
}
