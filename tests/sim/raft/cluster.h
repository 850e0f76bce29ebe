/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.h -- a Raft group of several nodes in one thread: the core of each node, a small host
 * around it, a disk that forgets what was not saved, a network that holds what was sent, and an
 * oracle.
 *
 * The driver decides when anything happens: the scenario runner by its script, the simulator by a
 * seed. The oracle knows what no node knows -- every entry ever made and every commit -- and aborts
 * with a message as soon as one of Raft's promises is broken.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_RAFT_CLUSTER_H
#define TESTS_SIM_RAFT_CLUSTER_H

#include "raft/raft.h"

#include <stdio.h>

#define CLUSTER_NODES_MAX 9
#define CLUSTER_GROUP_ID 7

/* One log entry as a host keeps it; value stands for its payload. */
struct cluster_record {
    struct raft_entry entry;
    uint64_t value;
};

/* Position of the first of these records, in the order of a log, that ends at or behind index;
 * count when all end before it (record.c). */
size_t cluster_record_find(const struct cluster_record *records, size_t count, uint64_t index);

struct cluster_log {
    struct cluster_record *records;
    size_t count;
    size_t capacity;
    /* What lies before the first record. */
    uint64_t snapshot_index;
    uint64_t snapshot_term;
    struct raft_membership snapshot_membership;
    uint64_t snapshot_membership_index;
};

struct cluster_write {
    struct raft_write write;
    bool is_log_void; /* a snapshot was installed since: only the hard state counts */
    uint64_t keep_to; /* the disk's log is cut to here, then records follow */
    struct cluster_record *records;
    size_t record_count;
};

#define CLUSTER_WRITES_MAX 256
#define CLUSTER_SENDS_MAX 32
#define CLUSTER_BARRIERS_MAX 64

/* A snapshot whose outcome is unknown for so long counts as failed. */
#define CLUSTER_SNAPSHOT_TICKS 50

/* It takes fewer ticks to note that a node may vote again. */
#define CLUSTER_VOTE_NOTE_TICKS 32

struct cluster_barrier {
    uint64_t id;
    uint64_t ledger_end; /* what was committed anywhere when it was asked for */
    uint64_t round;      /* the latest heartbeat that had left by then */
};

struct cluster_node {
    uint32_t id;
    struct raft *raft; /* NULL: down */
    bool may_vote;
    uint64_t vote_due_ticks; /* when it will have been noted that it may; 0: nothing is noted */
    /* Its disk was lost when it was a voter, and no later membership without it is committed. */
    bool is_amnesiac;
    uint64_t amnesia_index; /* the membership that it was a voter of */
    bool is_returning;      /* its disk was lost, and it is not a voter with a vote again yet */
    struct cluster_log log; /* in memory */
    uint64_t
        submitted_to; /* the disk will hold the log to here when all writes under way are done */
    uint64_t applied;
    bool is_membership_doubtful; /* an entry with one came or went in this turn */

    /* Disk. */
    struct cluster_log disk;
    uint64_t disk_term;
    uint32_t disk_vote;
    uint64_t voted_term; /* the latest vote it ever told of; no disk, so never lost */
    uint32_t voted_for;
    struct cluster_log lost_disk; /* what the disk held that was lost last */
    uint64_t damaged_from;        /* entries that it cannot read; 0: none */
    uint64_t damaged_to;
    bool has_met_damage; /* when it was to send them; its host forgets it */
    struct cluster_write writes[CLUSTER_WRITES_MAX];
    size_t write_count;

    struct raft_send held_sends[CLUSTER_SENDS_MAX]; /* handed out, not carried out yet */
    size_t held_send_count;
    struct cluster_barrier barriers[CLUSTER_BARRIERS_MAX];
    size_t barrier_count;
    uint64_t barriers_passed;
    uint64_t round;                                          /* its latest heartbeat */
    uint64_t round_answered[CLUSTER_NODES_MAX + 1];          /* by others, as far as it heard */
    uint64_t snapshot_deadline_ticks[CLUSTER_NODES_MAX + 1]; /* of transfers to others; 0: none */
    uint64_t led_term;                                       /* the term it is known to lead */
};

/* A message under way. */
struct cluster_flight {
    uint64_t deliver_ticks;
    uint64_t sequence;
    struct raft_message message;
    struct raft_entry *entries;
    uint64_t *values;
    bool is_snapshot; /* the host's own: carries log position and membership */
    struct raft_membership membership;
    uint64_t membership_index;
    uint64_t membership_term; /* term of the entry at index */
};

struct cluster_options {
    uint32_t node_count;  /* ids 1..node_count exist */
    uint32_t voter_count; /* 1..voter_count found the group */
    uint64_t seed;
    uint32_t heartbeat_ticks;
    uint32_t election_ticks;
    uint32_t rest_ticks;
    uint32_t inflight_messages_max;
    uint64_t inflight_bytes_max;
    uint64_t uncommitted_bytes_max;
    uint32_t entries_per_message_max;
    bool hold_sends;     /* sends wait for cluster_carry_out() */
    uint32_t unreadable; /* of 1,000 sends, so many find that what they are to send is damaged */
    FILE *trace;         /* NULL: quiet */
};

struct cluster;

struct cluster *cluster_new(const struct cluster_options *options);
void cluster_free(struct cluster *cluster);
struct cluster_node *cluster_node(struct cluster *cluster, uint32_t id);
uint32_t cluster_node_count(const struct cluster *cluster);
uint64_t cluster_now(const struct cluster *cluster);
/* Inputs that cores have taken (a tick that was due, a message, a save, a call), each judged. */
uint64_t cluster_steps(const struct cluster *cluster);
void cluster_set_now(struct cluster *cluster, uint64_t now_ticks);
void cluster_set_hold_sends(struct cluster *cluster, bool hold_sends);
void cluster_set_trace(struct cluster *cluster, FILE *trace);
void cluster_set_unreadable(struct cluster *cluster, uint32_t unreadable);
/* From now on the node can read none of its entries from the first index to the last. */
void cluster_damage(struct cluster *cluster, uint32_t id, uint64_t first_index,
                    uint64_t last_index);

/* ---- Before a start: what the disk holds ---- */
void cluster_set_disk(struct cluster *cluster, uint32_t id, uint64_t term, uint32_t vote);
void cluster_add_to_disk(struct cluster *cluster, uint32_t id, uint64_t last_index, uint64_t term);

/* ---- Life of nodes ---- */
void cluster_start(struct cluster *cluster, uint32_t id);
/* The first saved_writes of those under way reached the disk, the others did not. */
void cluster_crash(struct cluster *cluster, uint32_t id, size_t saved_writes);
/* The newest one that a node that runs knows to be committed, and where. */
const struct raft_membership *cluster_committed_membership(const struct cluster_node *node,
                                                           uint64_t *index);
/* Its disk is lost; it comes back without a vote.  leader: of the group at that time, in which it
 * is a voter of the newest membership if it is one of the newest that is committed. */
void cluster_wipe(struct cluster *cluster, uint32_t id, uint32_t leader);
/* It is a voter with a vote again. */
void cluster_returned(struct cluster *cluster, uint32_t id);

/* ---- Inputs; each ends with the node's turn ---- */
void cluster_tick(struct cluster *cluster, uint32_t id);
void cluster_save(struct cluster *cluster, uint32_t id, size_t count);
enum raft_result cluster_propose(struct cluster *cluster, uint32_t id, uint64_t span,
                                 uint64_t bytes);
enum raft_result cluster_change(struct cluster *cluster, uint32_t id,
                                const struct raft_membership *membership);
enum raft_result cluster_barrier(struct cluster *cluster, uint32_t id);
enum raft_result cluster_transfer(struct cluster *cluster, uint32_t id, uint32_t target);
void cluster_disconnect(struct cluster *cluster, uint32_t id, uint32_t peer);
void cluster_connect(struct cluster *cluster, uint32_t id, uint32_t peer);
/* The node's host heard nothing of the peer since heard_ticks. */
void cluster_miss(struct cluster *cluster, uint32_t id, uint32_t peer, uint64_t heard_ticks);
/* Drops the log's beginning up to the last entry that ends at or before index. */
void cluster_compact(struct cluster *cluster, uint32_t id, uint64_t index);
void cluster_carry_out(struct cluster *cluster, uint32_t id);
/* Puts a message into the network by hand. */
void cluster_inject(struct cluster *cluster, const struct raft_message *message,
                    const uint64_t *values);

/* ---- Network ---- */
size_t cluster_flight_count(const struct cluster *cluster);
struct cluster_flight *cluster_flight(struct cluster *cluster, size_t position);
void cluster_deliver(struct cluster *cluster, size_t position); /* and removes it */
/* The same in two steps: what was taken belongs to the caller until it is handed over. */
struct cluster_flight *cluster_take(struct cluster *cluster, size_t position);
void cluster_hand_over(struct cluster *cluster, struct cluster_flight *flight);
void cluster_duplicate(struct cluster *cluster, size_t position);
void cluster_drop(struct cluster *cluster, size_t position);

/* ---- Views ---- */
uint64_t cluster_ledger_end(const struct cluster *cluster);
void cluster_print_flight(FILE *file, const struct cluster_flight *flight);
void cluster_print_membership(FILE *file, const struct raft_membership *membership);
const char *cluster_kind_name(enum raft_message_kind kind);

#endif
