/* SPDX-License-Identifier: Apache-2.0
 *
 * upkeep.h -- what a shard looks after at the end of a turn and from time to time: fetches whose
 * partitions moved, requests that wait for the metadata to say something, retention, compaction,
 * forgotten producers, and the block of producer ids it hands out from.
 *
 * Everything that a waiting request could wait for changes inside some turn, so looking once at the
 * end of each turn misses nothing and needs no timer but the request's own deadline.
 *
 * Locality: one a shard, used on it only.
 */
#ifndef BROKER_UPKEEP_H
#define BROKER_UPKEEP_H

#include "base/list.h"
#include "broker/disk_room.h"
#include "broker/partition_compaction.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct fetch_ask;

/* Producer ids this shard may hand out without asking the controller (api_init_producer_id.c). */
struct upkeep_producer_ids {
    int64_t next;
    int64_t end; /* next == end: none left */
    bool is_fetching;
    struct list waiting; /* requests that wait for a block */
};

struct upkeep {
    struct broker_shard *shard;
    struct io_turn_hook hook;
    struct list fetches;    /* fetch asks to look at again at the end of this turn */
    struct list conditions; /* see struct upkeep_condition */
    struct io_timer retention;
    size_t retention_position;
    struct disk_room disk_room;
    struct partition_compactor compactor;
    struct upkeep_producer_ids producer_ids;
};

/* Once per shard, when its replica manager is there (whose turn hook must run before ours). */
void upkeep_start(struct broker_shard *shard);
/* When no request and no partition is left. */
void upkeep_stop(struct broker_shard *shard);

/* Looks at the ask again at the end of this turn. */
void upkeep_fetch_is_due(struct upkeep *upkeep, struct fetch_ask *ask);

/* Embedded in its owner.  done comes once, from a later turn end or the deadline: in_time says
 * which. */
struct upkeep_condition {
    struct list_node node;
    struct io_timer timer;
    struct upkeep *upkeep;
    bool (*holds)(struct upkeep_condition *condition);
    void (*done)(struct upkeep_condition *condition, bool in_time);
};

void upkeep_wait(struct upkeep *upkeep, struct upkeep_condition *condition, uint64_t deadline_ns);

#endif
