/* SPDX-License-Identifier: Apache-2.0
 *
 * read_replica.h -- reading from followers (KIP-392): which replica in a client's rack the leader
 * sends it to, and when a follower may serve a read.
 *
 * Only where the config enable_follower_read says so.  A follower shows what it knows to be
 * committed, which may be less than the leader shows, never something else.
 *
 * Locality: the shard of the partition.
 */
#ifndef BROKER_READ_REPLICA_H
#define BROKER_READ_REPLICA_H

#include "wire/cursor.h"

#include <stdbool.h>
#include <stdint.h>

struct partition;

/* The broker in that rack which a client at the offset should read from instead of this one, the
 * leader; 0: none. */
uint32_t read_replica_choose(const struct partition *partition, struct wire_string rack,
                             int64_t offset);
/* Whether this replica follows a leader it knows and may serve reads. */
bool read_replica_may_serve(const struct partition *partition);

#endif
