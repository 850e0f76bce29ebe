/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_state.h -- what a partition consists of, for the files partition*.c only.
 *
 * Life:  STARTING -> RUNNING -> STOPPING -> gone.   Requests are served while RUNNING and leading.
 *
 * Invariants: waiting items stand in at most one list; commits is ascending by last offset, as
 * offsets are given out in order; no produce item waits but where this broker leads or takes over.
 *
 * Locality: the shard of the group.
 */
#ifndef BROKER_PARTITION_STATE_H
#define BROKER_PARTITION_STATE_H

#include "base/list.h"
#include "broker/partition.h"
#include "broker/partition_ask.h"
#include "log/compaction.h"
#include "replica/applier.h"
#include "txn/producer.h"

enum partition_life { PARTITION_STARTING, PARTITION_RUNNING, PARTITION_STOPPING };

/* The topic's configs as numbers, looked up once per change. */
struct partition_rules {
    bool log_append_time;
    int compression; /* enum wire_compression; -1: as the producer chose */
    int compression_level;
    bool deletes_old; /* cleanup.policy says delete */
    bool compacts;    /* cleanup.policy says compact */
    struct log_compaction_rules compaction;
    int64_t message_bytes_max;
    int64_t timestamp_before_max_ms;
    int64_t timestamp_after_max_ms;
    uint32_t insync_replicas_least;
    struct log_retention retention;
    struct log_options log;
};

struct coordinator;
struct partition_stopping;
struct tombstone_proof;

struct partition {
    struct applier applier;
    struct broker_shard *shard;
    struct partition_spec spec;
    struct partition_rules rules;
    enum partition_life life;
    struct partition_stopping *stopping; /* under way, or to come after the start; else NULL */
    struct replica_group *group;         /* from RUNNING on */
    struct applier_standing standing;
    uint64_t leads_since_ns; /* of the newest leadership of this broker */
    struct producer_table *producers;
    struct coordinator *coordinator; /* of __consumer_offsets only, else NULL */
    int64_t snapshot_asked_ms;       /* when retention last asked for a snapshot */
    uint64_t compaction_retry_ns;    /* not compacted before, since it failed */
    /* Tombstones below it may go (tombstone_floor.h); as far as is known since the start. */
    uint64_t tombstone_floor;
    struct tombstone_proof *tombstone_proof; /* NULL where nothing is to be proven now */
    /* Of this life of what the replica holds: another one after a start, or when a leader's
     * snapshot took its place. */
    uint64_t copy_id;
    uint64_t saved_offset; /* flushed here below it */
    struct list commits;   /* produce items that wait for the majority (acks=-1) */
    struct list saves;     /* for this broker's flush (acks=1) */
    struct list room;      /* for room in the log or a ready leader; not appended yet */
    uint64_t room_bytes;   /* Invariant: the sum of their batches */
    struct list fetches;   /* fetch items that wait for data */
    struct list offsets;   /* offset items that wait for a leader that takes over */
    struct list deletes;   /* delete items that wait for the log's start to move */
};

struct partition_rules partition_rules_of(const struct topic_config *config);

/* NONE when this broker may serve requests for it; else NOT_LEADER_OR_FOLLOWER with who leads. */
enum wire_error partition_leads(const struct partition *partition, struct ask_item *item);
/* Elected; it serves as soon as what earlier leaders left is committed and applied. */
bool partition_takes_over(const struct partition *partition);
/* KIP-320: is the client's idea of the leader's term ours?  -1: it has none. */
enum wire_error partition_check_epoch(const struct partition *partition, int32_t epoch,
                                      struct ask_item *item);

/* KIP-101, KIP-320: the largest epoch up to the one asked for, and where it ended here.  Of an
 * epoch older than all the log knows: itself, and the log's start.  False: the epoch is newer than
 * this leader's, or none. */
bool partition_epoch_end(const struct partition *partition, int32_t epoch, int32_t *epoch_found,
                         int64_t *end_offset);

/* The committed or saved end moved, or there is room: answers who waited for it. */
void partition_answer_committed(struct partition *partition, uint64_t high_watermark);
void partition_answer_saved(struct partition *partition);
/* What is held is appended, or refused, as far as that can be done now. */
void partition_append_held(struct partition *partition);
/* Leadership is gone. */
void partition_fail_produces(struct partition *partition);
void partition_fail_deletes(struct partition *partition);
/* The log's start has moved. */
void partition_answer_deletes(struct partition *partition);
/* The high watermark or the leadership changed. */
void partition_wake_fetches(struct partition *partition);
/* The leadership changed: offsets are found for those who waited, or they are told who leads. */
void partition_find_offsets(struct partition *partition);

#endif
