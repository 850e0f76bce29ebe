/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_retention.h -- applying a topic's retention to one of its partitions.
 *
 * Locality: the shard of the group.
 */
#ifndef BROKER_PARTITION_RETENTION_H
#define BROKER_PARTITION_RETENTION_H

#include <stdint.h>

struct partition;

/* Drops what the topic's configs no longer keep. */
void partition_apply_retention(struct partition *partition, int64_t now_ms);

#endif
