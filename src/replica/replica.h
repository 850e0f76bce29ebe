/* SPDX-License-Identifier: Apache-2.0
 *
 * replica.h -- the Raft manager of a shard: it hosts that shard's groups, drives their turn, and
 * talks to the peers.
 *
 * Per turn: all dirty groups are collected; their writes go to the log stream in one submit; all
 * their messages to one broker leave in one frame; committed entries are applied.  Heartbeats of
 * all groups share those frames.
 *
 * Life of a group:
 *
 *     ABSENT -> STARTING -> RUNNING -> STOPPING -> ABSENT
 *                   |           |          `-> DELETING -> TOMBSTONED
 *                   |           `-> FAILED   (disk error or damage: kept as it is, not served)
 *                   `-> FAILED
 *
 * A replica that is damaged but runs serves what is whole; once its group goes on without its vote
 * it is moved aside, never deleted, for an empty one that joins (quarantine.c).
 *
 * Deleting makes a tombstone durable before it unlinks the first file.  A tombstone is for a group,
 * which then never lives here again, or for a replica's incarnation and those before it: one life
 * of its data on this broker, numbered by the owner, who gives a replica that comes back a higher
 * number.  What is dead is never started again, and its late messages count for nothing.
 *
 * Not here: topics, Kafka, sockets (streams are handed in, connected and authenticated).
 *
 * Locality: one manager a shard, every call on that shard unless it says "may block".
 */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include "base/counter.h"
#include "base/uuid.h"
#include "io/shard.h"
#include "io/stream.h"
#include "log/log.h"
#include "raft/membership.h"
#include "replica/applier.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct replica_manager;
struct replica_group;

#define REPLICA_DESCRIPTION_BYTES_MAX 1024
#define REPLICA_INCARNATION_NONE UINT32_MAX /* above every incarnation */

struct replica_manager_options {
    struct shard *shard;
    const char *data_directory; /* groups/ and tombstones/ live below it; borrowed for life */
    uint32_t broker_id;
    struct uuid cluster_id; /* stamped into every group directory; another one there is refused */
    uint32_t heartbeat_ms;
    uint32_t election_ms;              /* default 500, drawn from [n, 2n) */
    uint64_t learner_bytes_per_second; /* sent to learners of all groups at most; 0: no bound */
    uint64_t scrub_bytes_per_second;   /* read to look for damage (scrubber.h); 0: not at all */
    uint64_t scrub_interval_ms;        /* from the beginning of one pass to the next, at least */
    /* A write or sync failed: nothing more can be made durable in this process, which ends.  Once.
     */
    void (*disk_failed)(void *owner, int result);
    void *owner;
};

enum replica_result {
    REPLICA_OK,
    REPLICA_INVALID_GROUP_ID, /* 0: "invalid raft group ID" */
    REPLICA_ALREADY_RUNNING,  /* "Raft group already running" */
    REPLICA_NOT_RUNNING,      /* "Raft group not running" */
    REPLICA_DELETED,          /* tombstoned: "Raft group was deleted" */
    REPLICA_SUPERSEDED,       /* a later incarnation of the replica runs here */
    REPLICA_FOREIGN,          /* the directory belongs to another cluster or broker */
    REPLICA_DAMAGED,          /* the log cannot be proven whole */
    REPLICA_DISK_FAILED,
    REPLICA_NOT_LEADER,
    REPLICA_NOT_READY, /* leader without a committed entry of its term */
    REPLICA_FULL,      /* too much uncommitted: again when committed() comes */
    REPLICA_BUSY,
    REPLICA_BAD_REQUEST,
};

/* The sentence for logs and answers. */
const char *replica_result_text(enum replica_result result);

/* Which shard hosts a group, a fixed function of its id (> 0); group 1 is always on shard 0. */
uint32_t replica_shard_of_group(uint64_t group_id, uint32_t shard_count);

/* Makes groups/ and tombstones/, reads the tombstones.  May block.  NULL with a message on failure.
 */
struct replica_manager *replica_manager_new(const struct replica_manager_options *options,
                                            char *error, size_t error_size);
/* Every group must be absent (see replica_manager_stop). */
void replica_manager_free(struct replica_manager *manager);

/* What is sent to learners from now on (options.learner_bytes_per_second). */
void replica_set_learner_rate(struct replica_manager *manager, uint64_t bytes_per_second);

/* Calls visit for every group directory of this shard that is whole and not tombstoned, and
 * finishes deletions that a crash left half done.  May block; before the loop runs. */
void replica_manager_scan(struct replica_manager *manager,
                          void (*visit)(uint64_t group_id, const uint8_t *description,
                                        size_t description_length, void *context),
                          void *context);

/* While set, followers take no data from their leaders, but for group 1: there is hardly any disk
 * space left.  What consensus itself writes is still taken. */
void replica_manager_refuse_data(struct replica_manager *manager, bool refuses);

/* ---- Life of a group ---- */

struct replica_group_spec {
    uint64_t group_id;
    uint32_t incarnation; /* of this replica; 0: a founding one */
    struct raft_membership
        members;              /* the founding voters, the same on every replica (join = false) */
    bool join;                /* an empty replica that waits to be added by a running group */
    uint32_t first_candidate; /* of the founding voters: leads first if it can (raft.h) */
    struct applier *applier;
    struct log_options log;
    const void
        *description; /* what a later scan gives back; at most REPLICA_DESCRIPTION_BYTES_MAX */
    size_t description_length;
    uint64_t snapshot_bytes; /* an applier snapshot every so many bytes applied; 0: only at stop */
    bool drop_prefix_after_snapshot; /* controller: the log before a snapshot is not needed */
};

/* Opens or creates the group off the loop; done(context, result, group) comes exactly once, later.
 * With an existing directory the members on disk win over the spec's. */
void replica_group_start(struct replica_manager *manager, const struct replica_group_spec *spec,
                         void (*done)(void *context, enum replica_result result,
                                      struct replica_group *group),
                         void *context);

/* Stops a group (its applier gets a last standing_changed and is not called again); with
 * delete_data it is tombstoned and its directory removed.  Deleting an absent group writes the
 * tombstone all the same, so that a start that comes late is refused. */
void replica_group_stop(struct replica_manager *manager, uint64_t group_id, bool delete_data,
                        void (*done)(void *context, enum replica_result result), void *context);

/* Likewise deletes the replica that runs if its incarnation is not above the one given, which is
 * dead from then on with all before it, while later ones may live.  SUPERSEDED when a later one
 * runs: nothing was done. */
void replica_group_remove(struct replica_manager *manager, uint64_t group_id, uint32_t incarnation,
                          void (*done)(void *context, enum replica_result result), void *context);

/* ---- Damage ---- */

/* The group's data here is known to be damaged: it runs and serves what is whole, or has failed. */
bool replica_group_is_damaged(struct replica_manager *manager, uint64_t group_id);
/* Likewise, and moving it aside has not gone wrong before. */
bool replica_group_may_be_quarantined(struct replica_manager *manager, uint64_t group_id);
/* Whether a read that failed so has met damage, or may do better the next time. */
bool replica_read_met_damage(int result);
/* The owner met damage in the group's log: a fetch, a scrub.  A leader hands over. */
void replica_group_report_damage(struct replica_group *group, const char *reason);
/* Stops a damaged replica, moves its directory to groups/<id>.damaged-<n> and puts an empty one
 * that must join in its place; the owner starts it.  Only when the group's own committed membership
 * is without this replica: until then its copy may be the one that counts.  description as in a
 * spec.  done once, with REPLICA_DAMAGED when as many as are kept are there already (then nothing
 * was moved), REPLICA_NOT_RUNNING when it may not be quarantined, REPLICA_DISK_FAILED when the disk
 * failed, which the owner is told as of any write. */
void replica_group_quarantine(struct replica_manager *manager, uint64_t group_id,
                              const void *description, size_t description_length,
                              void (*done)(void *context, enum replica_result result),
                              void *context);

/* Hands over what this broker leads (as far as others can take it) and stops all groups. */
void replica_manager_stop(struct replica_manager *manager, void (*done)(void *context),
                          void *context);

struct replica_group *replica_group_find(struct replica_manager *manager, uint64_t group_id);
bool replica_group_is_running(struct replica_manager *manager, uint64_t group_id);
/* "absent", "starting", "running", "failed", "stopping", "deleting" or "tombstoned". */
const char *replica_group_state_text(struct replica_manager *manager, uint64_t group_id);
/* Walks running groups: start with position 0. */
struct replica_group *replica_group_next(struct replica_manager *manager, size_t *position);
/* Likewise those that are not served any more; only replica_group_view() takes them. */
struct replica_group *replica_group_next_failed(struct replica_manager *manager, size_t *position);

/* ---- Use of a group ---- */

/* Proposes one record batch of record_span offsets, given with a writable head: base offset and
 * leader epoch are stamped here.  On REPLICA_OK *base_offset is its place; the outcome comes
 * through the applier: committed (high_watermark > base_offset) or standing_changed. */
enum replica_result replica_propose(struct replica_group *group, struct buf *buf, uint8_t *batch,
                                    size_t batch_length, uint32_t record_span,
                                    uint64_t *base_offset);
/* Proposes that everything before the offset, which is not above the high watermark, is deleted: on
 * every replica, once it is committed, and for good.  Takes no Kafka offset.  On REPLICA_OK the
 * outcome comes through the applier: start_moved (log_start_offset() has reached the offset) or
 * standing_changed.  Files go with retention. */
enum replica_result replica_propose_start(struct replica_group *group, uint64_t start_offset);
enum replica_result replica_propose_membership(struct replica_group *group,
                                               const struct raft_membership *membership);
/* confirmed = this broker was the leader at some moment after the call; called once. */
void replica_read_barrier(struct replica_group *group, void (*done)(void *context, bool confirmed),
                          void *context);
enum replica_result replica_transfer_leadership(struct replica_group *group, uint32_t node_id);

/* The owner moved the beginning of the group's log (retention, DeleteRecords): made durable with
 * this turn. */
void replica_log_changed(struct replica_group *group);

/* Takes an applier snapshot, off the loop, if anything was applied since the last one: retention
 * drops nothing that is not behind a snapshot. */
void replica_take_snapshot(struct replica_group *group);

/* Where the oldest of the applier's snapshots stands that an applier may yet be started from, here
 * or on a follower: it has all below this offset.  0: one is being written, sent or received.
 * UINT64_MAX: there is none, who starts is fed the log from its beginning. */
uint64_t replica_oldest_snapshot_offset(const struct replica_group *group);

uint64_t replica_group_id(const struct replica_group *group);
uint32_t replica_group_incarnation(const struct replica_group *group);
/* From now on messages to this group from an earlier incarnation of the node's replica are dropped:
 * what that one acknowledged, this one does not have.  Called before the node is made a member. */
void replica_group_expect(struct replica_group *group, uint32_t node_id, uint32_t incarnation);
struct log *replica_group_log(struct replica_group *group);
struct applier *replica_group_applier(struct replica_group *group);
/* Committed, applied and flushed here: what may be shown to consumers (a Kafka offset). */
uint64_t replica_high_watermark(const struct replica_group *group);
struct applier_standing replica_standing(const struct replica_group *group);
/* It was started with join = true and may not vote yet (see joined.c). */
bool replica_group_is_joining(const struct replica_group *group);

struct replica_member_view {
    uint32_t node_id;
    bool is_voter;
    bool is_active;
    uint64_t match_index; /* leader only, else 0 */
    uint64_t lag_indexes; /* leader only */
    /* Leader only: how long ago it was last heard, and last had all that is in the leader's log;
     * UINT64_MAX: not since that leads, or not known. */
    uint64_t heard_ns_ago;
    uint64_t caught_up_ns_ago;
};

struct replica_group_view {
    uint64_t group_id;
    const char *applier_name;
    /* "leader", "follower", "candidate", "pre-candidate", "learner"; "failed": all below is 0. */
    const char *role;
    uint32_t leader;
    uint64_t term;
    uint64_t first_index;
    uint64_t last_index;
    uint64_t saved_index;
    uint64_t commit_index;
    uint64_t applied_index;
    uint64_t log_start_offset;
    uint64_t high_watermark;
    uint64_t log_end_offset;
    uint64_t size_bytes;
    uint32_t membership_epoch; /* of the members below (raft_membership) */
    bool is_membership_committed;
    uint32_t member_count;
    struct replica_member_view members[RAFT_MEMBERS_MAX];
};
void replica_group_view(const struct replica_group *group, struct replica_group_view *view);

/* ---- Peers ---- */

/* A connected, authenticated stream to a broker, on which this manager sends its frames until the
 * detach. The owner of the stream keeps owning it. */
void replica_peer_attach(struct replica_manager *manager, uint32_t broker_id,
                         struct io_stream *stream);
/* The stream is gone or going.  process_gone: the peer itself is (connection reset or refused),
 * which lets followers of its groups start an election at once. */
void replica_peer_detach(struct replica_manager *manager, uint32_t broker_id, bool process_gone);

/* The shard that sent a frame and how many its broker has, without looking further; false when
 * malformed. */
bool replica_frame_sender(const uint8_t *frame, size_t length, uint32_t *shard,
                          uint32_t *shard_count);

/* A frame that a broker sent (the body of a RaftFrame request), standing in buf.  Groups of other
 * shards in it are skipped.  False when it makes no sense: the connection is closed by the caller.
 */
bool replica_receive_frame(struct replica_manager *manager, uint32_t from_broker, struct buf *buf,
                           const uint8_t *frame, size_t length);

/* A late message named a group that is tombstoned or absent here; a counter, not an error. */
struct replica_stats {
    struct counter frames_sent;
    struct counter frames_received;
    struct counter messages_sent;
    struct counter messages_received;
    struct counter messages_dropped;
    struct counter peers_missed; /* members of groups here, not heard for an election timeout */
    struct counter elections_won;
    struct counter groups_running;
    struct counter groups_leading;
    struct counter groups_leaderless;
    struct counter groups_failed;
    struct counter corrupt_reads; /* reads that met wrong bytes in a group's log */
    struct counter replicas_quarantined;
    struct counter replicas_rejoined; /* came empty and may vote again */
    struct counter scrubbed_bytes;
    struct counter scrub_damage_found;
    struct counter scrub_passes;       /* over all groups of this shard */
    struct counter scrub_last_pass_ms; /* wall clock, when the newest one ended; 0: none yet */
    struct counter turn_us_max;
};
const struct replica_stats *replica_stats(const struct replica_manager *manager);
/* How long the flush of this shard that is under way has been so; 0: none is. */
uint64_t replica_flush_waits_ns(const struct replica_manager *manager);
const struct log_stream_stats *replica_log_stats(const struct replica_manager *manager);

#endif
