/* SPDX-License-Identifier: Apache-2.0
 *
 * shard_report.h -- what one shard says of itself when asked: its groups, and on shard 0 the
 * cluster.
 *
 * The shard copies plain values in its own turn; the asking thread formats them.
 *
 * Locality: shard_report_ask() on the admin thread; nothing here is shared while it is written.
 */
#ifndef ADMIN_SHARD_REPORT_H
#define ADMIN_SHARD_REPORT_H

#include "broker/broker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct group_report {
    struct replica_group_view view;
    char topic[CLUSTER_TOPIC_NAME_BYTES_MAX + 1]; /* "": not a partition, or not known */
    uint32_t partition;
};

struct broker_report {
    struct cluster_broker broker;
    bool is_live;
    uint64_t replica_count; /* those that come and go included */
    uint64_t leader_count;
    bool is_voter; /* of the controller group, as this broker knows it */
};

struct shard_report {
    struct group_report *groups;
    size_t group_count;
    /* Shard 0 only, else zero. */
    struct broker_report *brokers;
    size_t broker_count;
    bool metadata_is_loaded;
    uint32_t controller_leader;
    size_t topic_count;
    size_t partition_count;
    size_t leaderless_partition_count;
};

/* Asks and waits; NULL when the shard did not answer within wait_ms.  The caller frees the report.
 */
struct shard_report *shard_report_ask(struct broker_shard *shard, bool with_groups,
                                      uint32_t wait_ms);
void shard_report_free(struct shard_report *report); /* accepts NULL */

#endif
