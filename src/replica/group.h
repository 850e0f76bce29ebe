/* SPDX-License-Identifier: Apache-2.0
 *
 * group.h -- a hosted Raft group inside this room: its state and the calls between the files that
 * drive it.
 *
 * Who owns what: group_state.c the life state, group_start.c and group_stop.c the ways in and out,
 * inputs.c everything that goes into the core, joined.c whether it may vote, quarantine.c what it
 * knows of damage, turn.c what comes out of it, apply.c the applied position and the applier,
 * barriers.c the waiting reads, snapshots.c own snapshots, snapshot_send.c and snapshot_install.c
 * those on the wire.
 *
 * A group that anything under way still points to (a read, a save, a work) is held: it leaves
 * RUNNING at once, but is not closed before the last hold is gone.
 *
 * Locality: the shard of its manager.
 */
#ifndef REPLICA_GROUP_H
#define REPLICA_GROUP_H

#include "base/list.h"
#include "raft/raft.h"
#include "replica/frame.h"
#include "replica/group_directory.h"
#include "replica/replica.h"

struct replica_manager;

/* Name, text in traces.  ABSENT and TOMBSTONED groups have no struct replica_group. */
#define REPLICA_GROUP_STATES(X)                                                                    \
    X(GROUP_STARTING, "starting")                                                                  \
    X(GROUP_RUNNING, "running")                                                                    \
    X(GROUP_FAILED, "failed")                                                                      \
    X(GROUP_STOPPING, "stopping")                                                                  \
    X(GROUP_DELETING, "deleting")                                                                  \
    X(GROUP_GONE, "gone")

enum replica_group_state {
#define STATE_NAME(name, text) name,
    REPLICA_GROUP_STATES(STATE_NAME)
#undef STATE_NAME
        GROUP_STATES
};

/* One request to stop, answered when the group is gone. */
struct replica_stop_waiter {
    struct list_node node;
    void (*done)(void *context, enum replica_result result);
    void *context;
};

struct replica_barrier {
    struct list_node node;
    uint64_t round;      /* the core's name for it */
    uint64_t read_index; /* committed when it was asked for: applied before it is answered */
    bool has_passed;
    void (*done)(void *context, bool confirmed);
    void *context;
};

/* The least incarnation of a node's replica that this group listens to. */
struct replica_expectation {
    uint32_t node_id; /* 0: none */
    uint32_t incarnation;
};

/* What every heartbeat looks at stands first and close together: a thousand idle groups cost little
 * but their cache misses. */
struct replica_group {
    uint64_t id;
    uint32_t incarnation; /* as asked for, then as found on disk */
    uint32_t floor;       /* DELETING: what its tombstone says */
    struct replica_manager *manager;
    /* NULL: none was given (deleting a group that does not run), or the start failed and it is the
     * caller's again. */
    struct applier *applier;
    const struct applier_type *applier_type; /* NULL: none was given */
    struct raft *raft;                       /* NULL before RUNNING */
    struct log *log;                         /* likewise */
    enum replica_group_state state;
    enum replica_result failure; /* FAILED: what a start or use is answered */
    uint32_t holds;              /* works, reads and saves under way */
    bool is_joining;             /* no durable proof yet that it may vote */
    bool is_proof_taken;         /* it is on its way into the group's record */
    bool is_damaged;             /* RUNNING: a read met damage */
    bool is_apply_blocked;       /* it was a read to apply: the applier stays where it is */
    bool is_closing;             /* a close is waiting or running */
    bool is_closing_on_worker;   /* it is running */
    bool is_tombstone_due;       /* DELETING: the tombstone is not durable yet */
    bool tombstone_has_failed;   /* DELETING: and will not be, so nothing may be removed */
    bool is_installing;          /* a snapshot is being made durable: the core gets no input */
    bool is_write_queued;        /* in the manager's writes: what the log holds goes with them */
    bool has_expectations;
    bool was_busy; /* a proposal met a transfer of the leadership */
    struct list_node dirty_node;
    struct list_node
        apply_node; /* in the manager's applying, or in retiring when it leaves service */
    struct list_node due_node;
    uint64_t due_ticks;               /* of the wheel's slot; <= raft_due_ticks() */
    struct applier_standing standing; /* as told to the applier */
    uint64_t high_watermark;          /* likewise */
    uint64_t seen_commit_index;       /* when the applier was last told */
    uint64_t seen_saved_index;
    struct replica_expectation expectations[RAFT_MEMBERS_MAX];

    struct replica_group_record
        *successor; /* of the empty replica that is put in its place when it stops, or NULL */

    struct replica_open *open; /* STARTING */
    struct list stop_waiters;
    struct list barriers;

    struct list_node
        close_node; /* in the manager's list of what is to be closed, or of tombstones */
    struct list_node created_node; /* while record_file is not synced */

    /* Applying. */
    struct log_read apply_read;
    bool is_apply_reading;
    uint64_t applied_index;
    uint64_t term_start_index;         /* of the no-op of the term this replica leads */
    uint64_t saved_offset;             /* as told to the applier */
    bool is_leaderless;                /* as counted */
    struct raft_membership membership; /* the newest committed one */
    uint64_t membership_index;

    /* The applier's snapshot. */
    uint64_t snapshot_bytes; /* one every so many */
    uint64_t bytes_since_snapshot;
    uint64_t snapshot_index; /* the newest durable one; 0: none */
    bool is_snapshot_running;
    bool drops_prefix;
    bool is_drop_due; /* entries before the snapshot are still there */

    struct io_file *record_file; /* just created: to be synced before the first save; else NULL */
    struct list transfers;       /* snapshots being sent to followers */
    struct replica_install *install; /* a snapshot being received, or NULL */
};

/* ---- group_state.c ---- */

const char *replica_group_state_name(enum replica_group_state state);
/* Asserts that the table allows it, counts and traces. */
void replica_group_move(struct replica_group *group, enum replica_group_state state);
struct replica_group *replica_group_new(struct replica_manager *manager, uint64_t group_id,
                                        struct applier *applier);
/* Nothing points to it any more. */
void replica_group_free(struct replica_group *group);
void replica_group_hold(struct replica_group *group);
/* May begin the closing of a group that is STOPPING or DELETING. */
void replica_group_unhold(struct replica_group *group);
/* RUNNING -> FAILED: not served any more, its files kept as they are. */
void replica_group_fail(struct replica_group *group, enum replica_result failure,
                        const char *reason);

/* ---- group_stop.c ---- */

/* Takes a group that just left RUNNING out of service, at the end of the turn: the applier hears it
 * last, waiting reads fail, transfers end. */
void replica_group_begin_retire(struct replica_group *group);
void replica_group_retire(struct replica_group *group);
/* Begins the stop of a RUNNING, STARTING or FAILED group, or of an absent one to be deleted.
 * floor: 0 to keep the data, else of the tombstone. */
void replica_group_begin_stop(struct replica_group *group, uint32_t floor);
/* Nothing holds a STOPPING or DELETING group any more: on to its closing. */
void replica_group_released(struct replica_group *group);

/* ---- inputs.c ---- */

/* After every input to the core: puts a new leader's no-op into the log, marks the group for this
 * turn's collection and moves it in the wheel. */
void replica_group_touched(struct replica_group *group);
/* Tells the core when retention has moved the beginning of the log. */
void replica_group_sync_prefix(struct replica_group *group);
void replica_group_tick(struct replica_group *group, uint64_t now_ticks);
/* A decoded message, whose entries' payloads stand beside them. */
void replica_group_receive(struct replica_group *group, const struct raft_message *message,
                           const struct buf_slice *payloads);
/* Appends an entry that the core has taken. */
void replica_group_append_control(struct replica_group *group, const struct raft_entry *entry);

/* ---- expectations.c ---- */

/* False when the message is from a replica of the node that is no more. */
bool replica_group_listens_to(const struct replica_group *group, uint32_t node_id,
                              uint32_t incarnation);

/* ---- joined.c ---- */

/* When it is proven that this replica may vote, makes that durable and then gives it its vote. */
void replica_group_check_joined(struct replica_group *group);

/* ---- apply.c ---- */

/* Has the group looked at in this turn; _if_moved only when the core's positions or standing moved.
 */
void replica_apply_mark(struct replica_group *group);
void replica_apply_mark_if_moved(struct replica_group *group);
/* Applies what may be applied, a bounded share a turn, and tells the applier what moved. */
void replica_apply_run(struct replica_group *group);
/* The last standing_changed. */
void replica_apply_farewell(struct replica_group *group);

/* ---- barriers.c ---- */

void replica_barriers_decided(struct replica_group *group, const uint64_t *rounds, uint32_t count,
                              bool confirmed);
/* Answers those that passed and whose read point is applied. */
void replica_barriers_serve(struct replica_group *group);
void replica_barriers_fail(struct replica_group *group);

/* ---- snapshots.c ---- */

/* The applier's state with the place it stands for, as kept in the log's snapshot file. */
struct replica_snapshot {
    struct replica_snapshot_place place; /* total_bytes and crc are of content */
    bool is_installed; /* came from a leader: the log must reach place.log_index, or be reset to it
                        */
    struct buf *envelope;     /* what the file holds; one reference */
    struct buf_slice content; /* the applier's bytes inside envelope */
};

/* Of the applier's present state; group applied to what is durable. */
void replica_snapshot_take(struct replica_group *group, struct replica_snapshot *snapshot);
/* Puts content that was received into an envelope. */
void replica_snapshot_wrap(const struct replica_snapshot_place *place, const uint8_t *content,
                           size_t length, struct replica_snapshot *snapshot);
/* Looks into an envelope read from file and keeps a reference on it; false when it makes no sense.
 */
bool replica_snapshot_unwrap(struct replica_snapshot *snapshot, struct buf *envelope);
void replica_snapshot_release(struct replica_snapshot *snapshot);
/* Begins the log anew behind a snapshot from a leader.  Blocks; durable on return.  0 or a negative
 * errno. */
int replica_snapshot_reset_log(struct log *log, const struct replica_snapshot_place *place);
/* True when the applier's state is newer than its snapshot and stands on durable entries. */
bool replica_snapshot_is_useful(const struct replica_group *group);
/* The one on disk is damaged: writes another, if the applier's state can be taken now. */
void replica_snapshot_renew(struct replica_group *group);
/* After applying: starts a snapshot when enough was applied. */
void replica_snapshot_if_due(struct replica_group *group);
/* Drops entries that only the snapshot's past needs, if so configured. */
void replica_snapshot_drop_prefix(struct replica_group *group);

/* ---- snapshot_send.c, snapshot_install.c ---- */

void replica_transfer_start(struct replica_group *group, uint32_t node_id);
void replica_transfer_ack(struct replica_group *group, uint32_t from,
                          const struct replica_snapshot_ack *ack);
/* Sends again what seems lost, gives up what takes too long. */
void replica_transfers_tick(struct replica_group *group, uint64_t now_ticks);
void replica_transfers_end(struct replica_group *group);
void replica_install_chunk(struct replica_group *group, uint32_t from,
                           const struct replica_snapshot_chunk *chunk);
void replica_install_drop(struct replica_group *group);
/* Takes the installs one step on that nothing is in the way of; once a turn. */
void replica_installs_run(struct replica_manager *manager);

#endif
