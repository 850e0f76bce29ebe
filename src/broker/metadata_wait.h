/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata_wait.h -- waiting until the live brokers have applied what is committed in the
 * controller log, so that a client that is answered finds its change at whichever of them it asks
 * next.  With AwaitMetadata (1017).
 *
 * The wait is bounded: what is committed stays so, whoever is late.
 *
 * Locality: shard 0.
 */
#ifndef BROKER_METADATA_WAIT_H
#define BROKER_METADATA_WAIT_H

#include "base/list.h"
#include "broker/upkeep.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct metadata_waits;

struct metadata_waits *metadata_waits_new(struct broker_shard *shard);
/* When upkeep waits for nothing any more. */
void metadata_waits_free(struct metadata_waits *waits);

/* Embedded in its owner, which fills in the first part. */
struct metadata_wait {
    /* All that are live have applied it, or it took too long.  Once, from a later turn. */
    void (*done)(struct metadata_wait *wait);
    /* By io_now_ns(): it is done by then, and within two seconds anyway; 0: those alone count. */
    uint64_t deadline_ns;

    struct list_node node; /* its own, as below */
    struct upkeep_condition condition;
    struct metadata_waits *waits;
    int64_t ask;
    uint32_t *awaited; /* broker ids, of which this is one; answered ones are taken out */
    uint32_t awaited_count;
};

/* At the controller leader, for what is committed now; elsewhere it is done soon. */
void metadata_wait_begin(struct broker_shard *shard, struct metadata_wait *wait);

/* AwaitMetadata came from a broker. */
struct metadata_wait_message {
    uint32_t from;
    int64_t ask;
    uint64_t index;
    bool is_applied;
};
void metadata_waits_take(struct metadata_waits *waits, const struct metadata_wait_message *message);

#endif
