/* SPDX-License-Identifier: Apache-2.0
 *
 * applier.h -- what stands on top of a Raft group: a state machine fed with committed entries.
 *
 * The one abstraction that serves all of them (Kafka partition, controller, and later consumer
 * groups and transactions).  An applier is embedded in its owner and outlives its group.
 *
 * Locality: every function is called on the shard of the group, never from inside a call into
 * replica that the applier's owner made, except check (from replica_propose) -- so no handler is
 * entered twice.
 */
#ifndef REPLICA_APPLIER_H
#define REPLICA_APPLIER_H

#include "base/buf.h"
#include "log/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct applier;

/* The group's standing as its applier needs it. */
struct applier_standing {
    bool is_leader;  /* ready: an entry of its own term has committed and been applied */
    uint32_t leader; /* node id, 0 unknown */
    uint64_t term;
};

struct applier_type {
    const char *name; /* "partition", "controller" */

    /* One committed batch, in log order, exactly once in the life of this state (snapshot
     * included). base_offset: its first Kafka offset.  entry is borrowed.  Must not fail: what
     * cannot be applied was refused before it was proposed. */
    void (*apply)(struct applier *applier, const struct log_entry *entry, uint64_t base_offset);

    /* The committed, locally durable end moved: everything below high_watermark (a Kafka offset) is
     * applied and may be read.  Once a turn at most. */
    void (*committed)(struct applier *applier, uint64_t high_watermark);

    /* The locally durable end moved (acks=1); offsets below saved_offset are flushed here.  NULL:
     * of no interest. */
    void (*saved)(struct applier *applier, uint64_t saved_offset);

    /* The log's start has moved: records were deleted.  NULL: of no interest. */
    void (*start_moved)(struct applier *applier);

    /* Leadership came, went, or is known to be elsewhere. On loss everything proposed and not yet
     * committed has an unknown outcome: whoever waits for it is told so. */
    void (*standing_changed)(struct applier *applier, const struct applier_standing *standing);

    /* A proposal was answered BUSY, the leadership was not handed over after all, and proposals are
     * taken again.  NULL: of no interest. */
    void (*proposable)(struct applier *applier);

    /* The whole state as bytes, in a new buf the caller releases. */
    void (*snapshot_write)(struct applier *applier, struct buf **content);
    /* Replaces the state; false (state empty) when the bytes make no sense. */
    bool (*snapshot_restore)(struct applier *applier, const uint8_t *content, size_t length);
    /* The state before the first entry. */
    void (*reset)(struct applier *applier);
};

struct applier {
    const struct applier_type *type;
};

#endif
