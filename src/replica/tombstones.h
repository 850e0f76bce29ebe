/* SPDX-License-Identifier: Apache-2.0
 *
 * tombstones.h -- which groups were deleted here, and which incarnations of their replicas: those
 * never live again.
 *
 * One append-only file a shard, tombstones/<shard>; at boot the files of all shards are read, so a
 * changed number of shards keeps them.  A record is an id and the first incarnation that may live,
 * with a checksum; of several of an id the highest counts.  A torn last record is cut (its deletion
 * was never acted upon), damage before it is refused: what is lost there could rise again.
 *
 * Locality: the shard of its manager; opening may block.
 */
#ifndef REPLICA_TOMBSTONES_H
#define REPLICA_TOMBSTONES_H

#include "base/map.h"
#include "base/uuid.h"
#include "io/file.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replica_tombstones {
    struct io_loop *loop;
    struct io_file *file;
    uint64_t position; /* end of what was written or is being written */
    struct map stones; /* group id -> struct tombstone, durable or about to be */

    /* Ids wait in `waiting` while a flush of `writing` runs. */
    struct buf *waiting;
    struct buf *writing; /* NULL: no flush runs */
    struct buf_slice slice;
    struct io_flush_step steps[2];
    struct io_flush flush;

    /* Everything that was added before the flush began is durable, or (result < 0) nothing will be.
     */
    void (*saved)(void *owner, int result);
    void *owner;
};

struct replica_tombstones_options {
    struct io_loop *loop;
    const char *directory; /* made when missing */
    uint32_t shard;
    uint32_t broker_id;
    struct uuid cluster_id;
    void (*saved)(void *owner, int result);
    void *owner;
};

/* False with a message on failure. */
bool replica_tombstones_open(struct replica_tombstones *tombstones,
                             const struct replica_tombstones_options *options, char *error,
                             size_t error_size);
/* No flush may be running. */
void replica_tombstones_close(struct replica_tombstones *tombstones);
/* The least incarnation of the group that may live here: 0 when none was deleted,
 * REPLICA_INCARNATION_NONE when all are dead. */
uint32_t replica_tombstones_floor(const struct replica_tombstones *tombstones, uint64_t group_id);
/* Raises the floor, which must be lower.  Known at once; durable when saved() is called after the
 * next submit. */
void replica_tombstones_add(struct replica_tombstones *tombstones, uint64_t group_id,
                            uint32_t floor);
/* Starts a flush when ids wait and none runs; true when one was started. */
bool replica_tombstones_submit(struct replica_tombstones *tombstones);
bool replica_tombstones_are_busy(const struct replica_tombstones *tombstones);

#endif
