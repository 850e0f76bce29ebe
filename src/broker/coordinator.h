/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.h -- the consumer groups of one partition of __consumer_offsets: the group table
 * (group/group.h) on the partition's Raft group.
 *
 * The partition feeds it what its applier is told; what the table writes is proposed to the same
 * group and reported back when it is committed and applied.
 *
 * Locality: the shard of the partition.
 */
#ifndef BROKER_COORDINATOR_H
#define BROKER_COORDINATOR_H

#include "base/buf.h"
#include "group/group.h"
#include "replica/replica.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker_shard;
struct coordinator;

struct coordinator *coordinator_new(struct broker_shard *shard);
/* It leads no more and nothing waits. */
void coordinator_free(struct coordinator *coordinator);
/* The partition's group runs from now on; borrowed until the free. */
void coordinator_attach(struct coordinator *coordinator, struct replica_group *group);

/* The table, told the time of this turn: for one call into it. */
struct group_table *coordinator_table(struct coordinator *coordinator);

/* ---- From the applier ---- */

void coordinator_apply(struct coordinator *coordinator, const uint8_t *batch, size_t length);
void coordinator_committed(struct coordinator *coordinator, uint64_t high_watermark);
/* lost: leadership, or the term in which it was held, is gone; leads: it is the leader now. */
void coordinator_standing_changed(struct coordinator *coordinator, bool lost, bool leads);

#endif
