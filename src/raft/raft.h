/* SPDX-License-Identifier: Apache-2.0
 *
 * raft.h -- one replica's share of one Raft group, as a pure state machine.
 *
 * This room computes and never acts: no file, socket, clock, lock or thread.  The host
 * (src/replica) feeds inputs and carries out the effects it is handed.  The same inputs give the
 * same effects on every machine; the simulator stands on that.
 *
 *     turn:  input*  ->  raft_collect()  ->  host acts  ->  raft_release()
 *
 * The core never holds payload.  It reasons about indexes and terms; the host keeps the entries and
 * puts them on the wire and on disk.  An entry covers one index or, when it is a batch of records,
 * as many as the batch has offsets; log positions named to or by the core as "last" always end an
 * entry.
 *
 * Ordering is the core's duty, not the host's.  Whatever promises something (a vote, an append ack,
 * the leader counting itself) stays inside until raft_saved() says that the write it rests on is
 * durable. So the host may carry out the write and the messages of one turn at once and in any
 * order.
 *
 * Invariants, asserted after every input (raft_check):
 *   I1  commit <= last, and first - 1 <= commit
 *   I2  saved <= last; what lies in (saved, last] is known to this process only
 *   I3  the term never falls; within a term the vote is cast at most once
 *   I4  a leader holds one progress slot for every other member
 *   I5  commit never falls, and a leader advances it only over entries of its own term
 *
 * Sources: Raft thesis (Ongaro 2014) chapters 3 (basics), 4 (membership), 6.4 (read barrier), 9.6
 * (pre-vote), 3.10 (transfer), 10.2.1 (writing in parallel); check-quorum as in section 6.2.
 *
 * Time is the host's count of ticks (10 ms each), absolute and never falling.
 * Locality: a group lives on one shard, and every call comes from that shard.
 */
#ifndef RAFT_RAFT_H
#define RAFT_RAFT_H

#include "raft/membership.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct raft; /* opaque: nothing outside this room reads its fields */

enum raft_role { RAFT_LEARNER, RAFT_FOLLOWER, RAFT_PRE_CANDIDATE, RAFT_CANDIDATE, RAFT_LEADER };

enum raft_result {
    RAFT_OK,
    RAFT_NOT_LEADER,  /* ask raft_leader() */
    RAFT_NOT_READY,   /* leader, but nothing of its own term has committed yet */
    RAFT_FULL,        /* too much is uncommitted: try again after commits */
    RAFT_BUSY,        /* another membership change or transfer is under way */
    RAFT_BAD_REQUEST, /* the change makes no sense (unknown node, last voter, ...) */
};

enum raft_entry_kind {
    RAFT_ENTRY_DATA,       /* the host's payload */
    RAFT_ENTRY_NOOP,       /* opens a term; one index, no payload */
    RAFT_ENTRY_MEMBERSHIP, /* one index; the membership is the payload */
    RAFT_ENTRY_CONTROL,    /* the host's payload, of one index */
};

struct raft_entry {
    uint64_t first_index;
    uint64_t last_index; /* Invariant: >= first_index; equal unless DATA */
    uint64_t term;
    uint64_t bytes; /* payload size, for flow control */
    enum raft_entry_kind kind;
    struct raft_membership membership; /* MEMBERSHIP only */
};

/* A stretch of the log written in one term: from first_index up to the next span, or to the end. */
struct raft_term_span {
    uint64_t term;
    uint64_t first_index;
};

struct raft_options {
    uint64_t group_id;
    uint64_t seed; /* the only source of chance */
    uint32_t node_id;
    uint32_t heartbeat_ticks; /* a leader beats at multiples of this, so groups share frames */
    uint32_t election_ticks;  /* > 2 * heartbeat_ticks; each time drawn from [n, 2n) */
    uint32_t inflight_messages_max; /* unacknowledged appends a follower may have */
    uint64_t inflight_bytes_max;    /* and their bytes */
    uint64_t uncommitted_bytes_max; /* beyond it raft_propose says RAFT_FULL */
    uint32_t first_candidate; /* of a new group, who campaigns first: a voter's node id, the same on
                               * all; any other: one is drawn by the group's id */
    uint32_t rest_ticks; /* how long a leader is silent while nothing happens; 0: never.  Else the
                          * host watches the other nodes and calls raft_peer_silent() */
    bool may_vote; /* false: this replica cannot prove what it voted before (wiped, damaged): it
                    * follows and receives, but counts for nothing until its leader has proven that
                    * no forgotten vote matters any more (raft_is_vote_proven); seed: new each
                    * time */
};

/* What the host found on disk, all of it durable.  A new group: term 0, vote 0, the founding
 * membership at index 0, first_index 1, last_index 0, no spans.  A replica that waits to be added
 * to a running group: the same with an empty membership. */
struct raft_state {
    uint64_t term;
    uint32_t vote;        /* node id, 0 for none */
    uint64_t first_index; /* of the log; all before is in the snapshot */
    uint64_t last_index;  /* Invariant: >= first_index - 1 */
    uint64_t prefix_term; /* of the entry at first_index - 1; 0 when first_index is 1 */
    uint64_t commit;      /* known to be committed: at least first_index - 1 */
    const struct raft_term_span *spans; /* ascending; borrowed for the call; cover [first, last] */
    size_t span_count;
    struct raft_membership membership; /* the latest one in the log or snapshot */
    uint64_t membership_index;
    struct raft_membership
        membership_committed;            /* the one before it, to fall back to on truncation */
    uint64_t membership_committed_index; /* <= membership_index */
};

enum raft_message_kind {
    RAFT_MESSAGE_PRE_VOTE,
    RAFT_MESSAGE_PRE_VOTE_REPLY,
    RAFT_MESSAGE_VOTE,
    RAFT_MESSAGE_VOTE_REPLY,
    RAFT_MESSAGE_APPEND,
    RAFT_MESSAGE_APPEND_REPLY,
    RAFT_MESSAGE_HEARTBEAT, /* an append without entries: carries commit and the read barrier */
    RAFT_MESSAGE_HEARTBEAT_REPLY,
    RAFT_MESSAGE_SNAPSHOT_REPLY, /* the follower's host finished (or failed) to install one */
    RAFT_MESSAGE_TIMEOUT_NOW,    /* leadership transfer */
    RAFT_MESSAGE_KINDS           /* how many there are; order is on the wire: append only */
};

/* One message for all kinds; a field unused by a kind is 0. */
struct raft_message {
    enum raft_message_kind kind;
    uint32_t from;
    uint32_t to;
    uint32_t rest_ticks; /* HEARTBEAT: how long the leader may be silent after it, if all agree;
                          * HEARTBEAT_REPLY: how long this follower agrees to wait.  A host that
                          * does not watch the sender makes it 0 before it hands the message in */
    uint64_t group_id;
    uint64_t term;  /* the sender's (PRE_VOTE and its grant: the term it would have) */
    uint64_t index; /* APPEND, HEARTBEAT: position before the entries; VOTE, PRE_VOTE: last index;
                     * APPEND_REPLY, HEARTBEAT_REPLY: last index that is durable and matches;
                     * refused APPEND: the position refused */
    uint64_t index_term; /* term of the entry at index */
    uint64_t commit;     /* APPEND, HEARTBEAT: the leader's, capped by what this message verifies */
    uint64_t
        barrier; /* HEARTBEAT: its round, echoed in the reply; 0: tells commit, wants no reply */
    uint64_t hint_index; /* refused APPEND: where to probe next; HEARTBEAT_REPLY: last index that
                          * was received and matches, durable or not */
    uint64_t hint_term; /* refused APPEND: the term at hint_index; HEARTBEAT_REPLY, accepted APPEND:
                         * the mark of a replica that may not vote, else 0; HEARTBEAT: the mark of
                         * the replica that may vote again when commit has reached hint_index */
    uint8_t granted;    /* votes: yes; APPEND_REPLY: matched; SNAPSHOT_REPLY: installed */
    uint8_t forced;     /* VOTE: sent after TIMEOUT_NOW, so leader stickiness does not apply */
    uint32_t entry_count;             /* APPEND */
    const struct raft_entry *entries; /* APPEND; borrowed for the call */
};

/* What the host must make durable this turn, as one unit.  Writes of a group complete in id order.
 */
struct raft_write {
    uint64_t id; /* ascending; 0: nothing to write */
    bool hard_state_changed;
    uint64_t term; /* valid when hard_state_changed */
    uint32_t vote;
};

/* Entries to send to one follower: (index, last_index_max] with at most bytes_max of payload (0
 * when probing), but at least one entry.  The host takes them from memory or reads them from disk,
 * sends an APPEND made of these fields, and reports by raft_append_sent(), or
 * raft_append_unreadable() -- now or in a later turn.  Until then the core asks nothing more for
 * that follower. */
struct raft_send {
    uint32_t to;
    uint64_t term;
    uint64_t index; /* the entry before the first to send */
    uint64_t index_term;
    uint64_t last_index_max;
    uint64_t bytes_max;
    uint64_t commit; /* the APPEND's commit field is min(commit, last index sent) */
};

/* All pointers are borrowed until raft_release(). */
struct raft_effects {
    struct raft_write write;
    const struct raft_message *messages; /* every kind but APPEND and SNAPSHOT_REPLY */
    uint32_t message_count;
    const struct raft_send *sends;
    uint32_t send_count;
    const uint32_t
        *snapshots; /* node ids: followers whose next entry is gone; start a transfer each */
    uint32_t snapshot_count;
    const uint64_t *barriers; /* read barriers that passed: serve what waited for them */
    uint32_t barrier_count;
    const uint64_t *barriers_failed; /* leadership was lost before they passed */
    uint32_t barrier_failed_count;
    bool role_changed; /* role, leader or term differ from the last collect */
    bool commit_changed;
};

/* What raft_receive() tells the host to do with the entries of an APPEND, before anything else. */
struct raft_accepted {
    uint64_t
        truncate_from;    /* 0: nothing; else drop every entry with last_index >= this one first */
    uint32_t first_entry; /* then append entries [first_entry, entry_count) of the message */
};

/* NULL when options or state contradict themselves (the log line says how).  The caller frees it
 * with raft_free().  now: current tick. */
struct raft *raft_new(const struct raft_options *options, const struct raft_state *state,
                      uint64_t now_ticks);
void raft_free(struct raft *raft);

/* ---- Inputs.  They never block.  After any of them raft_is_dirty() tells whether to collect. ----
 */

/* Time has come to raft_due_ticks() or later. */
void raft_tick(struct raft *raft, uint64_t now_ticks);

/* A message addressed to this node and group.  accepted is filled for APPEND (all zero and
 * first_entry = entry_count when nothing is to be appended), else untouched. */
void raft_receive(struct raft *raft, const struct raft_message *message, uint64_t now_ticks,
                  struct raft_accepted *accepted);

/* Appends one DATA entry of span_indexes indexes: on RAFT_OK *entry says which, and the host
 * appends its payload to the log in the same turn, in the order of proposals. */
enum raft_result raft_propose(struct raft *raft, uint64_t span_indexes, uint64_t bytes,
                              struct raft_entry *entry);

/* Likewise one CONTROL entry, which is the host's and takes one index. */
enum raft_result raft_propose_control(struct raft *raft, uint64_t bytes, struct raft_entry *entry);

/* Proposes the membership that differs from the current one by exactly one voter or learner added,
 * removed or promoted, or by a later epoch alone.  On RAFT_OK the host appends *entry at once, as
 * with raft_propose. */
enum raft_result raft_propose_membership(struct raft *raft,
                                         const struct raft_membership *membership,
                                         struct raft_entry *entry);

/* A leader's first entry.  True at most once after becoming leader, and then before anything else
 * may be proposed: the host asks after every input and appends *entry to its log at once. */
bool raft_take_noop(struct raft *raft, struct raft_entry *entry);

/* The write of that id, and with it all before, is durable. */
void raft_saved(struct raft *raft, uint64_t write_id, uint64_t now_ticks);

/* A send was carried out: entries up to last_index with that many bytes are on their way
 * (last_index == send.index: nothing could be sent, ask again). */
void raft_append_sent(struct raft *raft, uint32_t to, uint64_t last_index, uint64_t bytes);

/* A send could not be carried out, as the first of its entries cannot be read here, now and perhaps
 * for good: they are damaged.  Takes the place of the report by raft_append_sent().  A leader that
 * cannot read what a majority lacks leaves after some election timeouts: the host hands over before
 * that to somebody who has all of its log, if there is one (raft_transfer_leadership). */
void raft_append_unreadable(struct raft *raft, uint32_t to);

/* A snapshot transfer to a follower ended; on success index is the position it restored. */
void raft_snapshot_sent(struct raft *raft, uint32_t to, uint64_t index, bool success);

/* The host restored this replica from a leader's snapshot, durably: the log now begins behind
 * index, which lies behind commit. Never for a position that the log has already
 * (raft_term_at(index) gives term): what follows it may have been acknowledged.  So while it
 * installs one the host hands this replica no APPEND. */
void raft_restored(struct raft *raft, uint64_t index, uint64_t term, uint64_t leader_term,
                   uint32_t leader, const struct raft_membership *membership,
                   uint64_t membership_index, uint64_t now_ticks);

/* The log was cut off at its beginning (retention): first_index moved up to at most commit + 1. */
void raft_prefix_dropped(struct raft *raft, uint64_t first_index);

/* The connection to a node broke (process gone) or came back.  A follower that loses its leader
 * starts a pre-vote within a few ticks instead of waiting for the election timeout; a leader stops
 * sending. */
void raft_peer_disconnected(struct raft *raft, uint32_t node_id, uint64_t now_ticks);
void raft_peer_connected(struct raft *raft, uint32_t node_id);

/* Nothing at all was heard from a node since heard_ticks, an election timeout ago, though its
 * connection stands: what a group at rest (options.rest_ticks) cannot notice by itself.  A follower
 * whose leader it is waits no longer than if that had been the last heartbeat; a leader beats
 * again.
 */
void raft_peer_silent(struct raft *raft, uint32_t node_id, uint64_t heard_ticks,
                      uint64_t now_ticks);

/* That this replica may vote is durable.  Only while raft_is_vote_proven(), which stays so. */
void raft_return_vote(struct raft *raft, uint64_t now_ticks);

/* Asks for a linearizable read point: *barrier comes back in an effect, once, when a majority has
 * confirmed this leader after now (thesis 6.4).  Callers may be given the same one. */
enum raft_result raft_read_barrier(struct raft *raft, uint64_t *barrier);

/* Hands leadership to a voter, or to the most advanced one for node_id 0.  Proposals are refused
 * (RAFT_BUSY) until it succeeded or an election timeout passed.  A leader that is not ready hands
 * over only to a voter that has all of its log; RAFT_NOT_READY: there is none. */
enum raft_result raft_transfer_leadership(struct raft *raft, uint32_t node_id, uint64_t now_ticks);
/* A transfer is under way: nothing is proposed until it has succeeded or was given up. */
bool raft_is_transferring(const struct raft *raft);

/* ---- Effects ---- */

bool raft_is_dirty(const struct raft *raft);
/* False, and needs no release, when there is nothing to do. */
bool raft_collect(struct raft *raft, struct raft_effects *effects);
void raft_release(struct raft *raft, struct raft_effects *effects);

/* ---- Views, free of side effects ---- */

enum raft_role raft_role(const struct raft *raft);
const char *raft_role_name(enum raft_role role);
uint64_t raft_term(const struct raft *raft);
uint32_t raft_leader(const struct raft *raft); /* 0: unknown */
/* Whether this replica may vote; once true it stays so. */
bool raft_may_vote(const struct raft *raft);
/* It may not vote yet, and it is proven that it could: the host makes that durable, so that the
 * replica is started with may_vote from then on, and then calls raft_return_vote(). */
bool raft_is_vote_proven(const struct raft *raft);
/* Leader, and an entry of its own term has committed: reads and proposals make sense. */
bool raft_is_ready_leader(const struct raft *raft);
uint64_t raft_first_index(const struct raft *raft);
uint64_t raft_last_index(const struct raft *raft);
uint64_t raft_saved_index(const struct raft *raft);
uint64_t raft_commit_index(const struct raft *raft);
const struct raft_membership *raft_membership(const struct raft *raft);
/* Term of the entry at index; false when it lies outside [first - 1, last]. */
bool raft_term_at(const struct raft *raft, uint64_t index, uint64_t *term);
/* Absolute tick at which raft_tick() has something to do; UINT64_MAX: never. */
uint64_t raft_due_ticks(const struct raft *raft);
/* A leader's view of a member: false when not leader or unknown. */
struct raft_progress_view {
    uint64_t match_index;
    uint64_t next_index;
    bool is_voter;
    bool is_active;  /* heard from within an election timeout */
    bool is_at_rest; /* silent by agreement: heard and level whenever its node is heard */
    bool is_receiving_snapshot;
    /* When it was last heard, and when it last had all that is in the log; 0: not yet by this
     * leader. */
    uint64_t heard_ticks;
    uint64_t caught_up_ticks;
};
bool raft_progress(const struct raft *raft, uint32_t node_id, struct raft_progress_view *view);

/* Asserts every state invariant; cheap enough for tests and the simulator after each step. */
void raft_check(const struct raft *raft);

#endif
