/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_room.h -- keeps a reserve of disk space, so that a disk that fills up stops what is new and
 * nothing else.
 *
 * Looked at every second.  With less than disk_reserve_bytes free the shard is short of room:
 * produces are refused with KAFKA_STORAGE_ERROR (which clients try again), so is the creation of
 * topics by a controller here; what this shard leads is handed over, once, to whoever has room;
 * its followers take no more data and are seen to lag.  Reads go on.  Votes, term starts, members,
 * tombstones and the controller's log are still written: the reserve is for them.  With an eighth
 * more than the reserve free again, all of that ends by itself.
 *
 * A write that fails all the same ends the broker, as every failed write does (log.md).
 *
 * Locality: one a shard, part of its upkeep.
 */
#ifndef BROKER_DISK_ROOM_H
#define BROKER_DISK_ROOM_H

#include "io/loop.h"

struct broker_shard;

struct disk_room {
    struct broker_shard *shard;
    struct io_timer timer;
};

void disk_room_start(struct disk_room *room, struct broker_shard *shard);
void disk_room_stop(struct disk_room *room);

#endif
