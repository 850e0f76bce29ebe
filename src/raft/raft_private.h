/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_private.h -- the state behind raft.h and the calls between the files of this room.
 *
 * Who owns what: terms.c the span table, writes.c the writes under way, progress.c a leader's
 * slots, election.c role and vote, append.c a follower's log, replication.c a leader's log and
 * commit, rest.c what is agreed of silence, reconfigure.c the membership, effects.c everything that
 * leaves, unreadable.c when a leader with a damaged disk gives way.  Others read.
 *
 * Locality: this room only.
 */
#ifndef RAFT_RAFT_PRIVATE_H
#define RAFT_RAFT_PRIVATE_H

#include "base/prng.h"
#include "raft/raft.h"

#define RAFT_NEVER UINT64_MAX

/* After a leader's process is known to be gone, elections are drawn from so few ticks: long enough
 * apart not to collide, short against the election timeout. */
#define RAFT_EAGER_TICKS 10

/* For so many election timeouts a leader looks for somebody who has what it cannot read, and after
 * its lead leaves the others alone. */
#define RAFT_BARRED_ELECTIONS 2
#define RAFT_ABSTAIN_ELECTIONS 4

/* Writes the host may have under way before neighbours are tracked as one. */
#define RAFT_WRITES_MAX 64

/* Read-barrier rounds handed out and not yet decided. */
#define RAFT_BARRIERS_MAX 8

/* Steps in which uncommitted bytes are accounted. */
#define RAFT_BACKLOG_STEPS 8

enum raft_progress_state {
    RAFT_PROBE,     /* where the logs meet is not known: one entry at a time, wait for the answer */
    RAFT_REPLICATE, /* known: pipeline, bounded by inflight_* */
    RAFT_SNAPSHOT,  /* what it needs is gone from the log: the host transfers a snapshot */
    RAFT_PROGRESS_STATES
};

struct raft_inflight {
    uint64_t last_index;
    uint64_t bytes;
};

/* A leader's knowledge of one other member. */
struct raft_slot {
    uint32_t node_id;
    uint8_t state;           /* enum raft_progress_state */
    bool is_paused;          /* nothing more until it answers (or answers a heartbeat) */
    bool is_stalled;         /* the host could not send: again at the next heartbeat */
    bool is_disconnected;    /* its connection broke: nothing until it is back or heard from */
    bool is_send_owed;       /* a send was handed out, raft_append_sent() is due */
    bool takes_rest;         /* that the latest round of heartbeats offered */
    bool is_barred;          /* what it lacks could not be read here (unreadable.c) */
    uint32_t inflight_first; /* ring of unacknowledged sends, allocated with the first one */
    uint32_t inflight_count;
    uint32_t inflight_capacity;
    struct raft_inflight *inflight;
    uint64_t inflight_bytes;
    uint64_t match;       /* durable there and equal to ours */
    uint64_t next;        /* first index to send; Invariant: match < next, next - 1 ends an entry */
    uint64_t send_index;  /* next - 1 when the owed send was handed out */
    uint64_t probe_last;  /* last index of the probe under way */
    uint64_t probe_round; /* the latest heartbeat when that left */
    uint64_t commit_sent; /* the commit it has been told */
    uint64_t contact_ticks;   /* when it was last heard, or became a member of this leader's; at
                               * rest: until when it counts as heard */
    uint64_t heard_ticks;     /* when it was last heard; 0: not yet */
    uint64_t caught_up_ticks; /* when it last had all that is in the log; 0: not yet */
    uint64_t barrier;         /* latest heartbeat round it answered */
    /* What counts towards a majority: answers given while it might vote (vote_return.c). */
    uint64_t match_counted;
    uint64_t barrier_counted;
    uint64_t mark;       /* in its latest answer; 0: it may vote */
    uint64_t mark_round; /* the latest heartbeat when that mark was first heard */
    /* A heartbeat not answered yet, and what had been acknowledged and sent when it left. */
    uint64_t heartbeat_round;
    uint64_t heartbeat_match;
    uint64_t heartbeat_sent;
};

/* A write handed to the host.  What it proves when done: the log up to saved_index. */
struct raft_pending_write {
    uint64_t id;
    uint64_t saved_index;
};

/* Uncommitted bytes up to an index (and behind the previous step). */
struct raft_backlog_step {
    uint64_t last_index;
    uint64_t bytes;
};

/* What an idle group's heartbeats need stands first: a thousand of them cost little but their cache
 * misses. */
struct raft {
    struct raft_options options;
    uint64_t now_ticks;

    /* Hard state, and whether it is durable. */
    uint64_t term;
    uint32_t vote;
    bool is_hard_state_changed;   /* since the last collect */
    bool is_log_changed;          /* likewise */
    uint64_t hard_state_write_id; /* the write that carries the present term and vote */

    /* Role. */
    enum raft_role role;
    uint32_t leader;
    uint64_t leader_contact_ticks;
    uint64_t election_deadline_ticks;
    uint64_t abstain_until_ticks; /* until then it lets others win: it led and could not */
    uint64_t vote_stands_ticks;   /* until then nobody but who has our vote gets a pre-vote */
    uint32_t lost_leader;         /* its process is gone, and it was not heard since; 0: none */
    uint32_t farewell_to;         /* who left the lead asks this one to take over; 0: nobody */
    uint64_t eager_until_ticks;   /* elections are drawn from RAFT_EAGER_TICKS until then */
    uint64_t rest_end_ticks;      /* of the rest that was offered or taken */
    uint16_t votes_granted;       /* bit i: membership.voters[i] */
    uint16_t votes_refused;
    bool is_campaign_forced;  /* after TIMEOUT_NOW */
    bool is_resting;          /* the leader is silent until rest_end_ticks, by agreement */
    bool is_rest_offered;     /* by a leader's latest round, and nothing happened since */
    bool is_vote_request_due; /* candidate: ask as soon as its own vote is durable */

    /* Log, by index and term only. */
    uint64_t first_index;
    uint64_t last_index;
    uint64_t saved_index;
    uint64_t commit_index;
    uint64_t prefix_term;
    struct raft_term_span *spans;
    uint32_t span_count;
    uint32_t span_capacity;

    struct prng prng; /* of elections */

    /* Writes under way. */
    struct raft_pending_write *writes;
    uint32_t write_count;
    uint32_t write_capacity;
    uint64_t last_write_id;
    uint64_t saved_write_id;

    /* Follower: what is promised as soon as it is durable. */
    uint64_t verified_index; /* known to equal the log of this term's leader, durable or not */
    uint64_t acked_index;    /* told this term's leader */
    uint32_t vote_reply_to;  /* 0: none */
    bool is_ack_due;
    bool is_heartbeat_reply_due;
    uint64_t heartbeat_barrier;
    uint64_t mark;        /* of this life, while it may not vote; 0: it may */
    uint64_t proof_index; /* it may vote when commit is there; 0: not known */

    /* Leader. */
    struct raft_slot *slots; /* one for every other member */
    uint32_t slot_count;
    uint32_t slot_capacity;
    uint64_t term_first_index; /* of the no-op */
    uint64_t heartbeat_due_ticks;
    uint64_t round; /* of heartbeats; never reset */
    uint32_t transfer_target;
    bool is_transfer_asked; /* TIMEOUT_NOW left since the last heartbeat */
    bool is_noop_due;
    uint64_t transfer_deadline_ticks;
    uint64_t barred_since_ticks; /* a majority lacks what cannot be read here; RAFT_NEVER: no */

    /* Effects. */
    struct raft_message *messages;
    uint32_t message_count;
    uint32_t message_capacity;
    struct raft_send *sends; /* a leader's; given out between collect and release */
    uint32_t *snapshots;     /* likewise, and as many */
    uint32_t send_capacity;
    bool is_dirty;
    bool is_collected; /* between raft_collect() and raft_release() */
    enum raft_role reported_role;
    uint32_t reported_leader;
    uint64_t reported_term;
    uint64_t reported_commit;

    /* Leader: entries proposed and not committed. */
    uint64_t backlog_bytes;
    struct raft_backlog_step backlog[RAFT_BACKLOG_STEPS];
    uint32_t backlog_count;

    /* Barriers given out: passed, then failed, then waiting; ascending rounds. */
    uint32_t barrier_count;
    uint32_t barrier_passed_count;
    uint32_t barrier_failed_count;
    uint64_t barriers[RAFT_BARRIERS_MAX];

    /* Sends whose report is still due though their slot is gone. */
    uint32_t *owed;
    uint32_t owed_count;
    uint32_t owed_capacity;

    /* Membership. */
    struct raft_membership membership;
    uint64_t membership_index;
    struct raft_membership membership_previous; /* to fall back to when the newest is truncated */
    uint64_t membership_previous_index;
};

static inline uint64_t raft_min(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

static inline uint64_t raft_max(uint64_t left, uint64_t right)
{
    return left > right ? left : right;
}

/* Room for count elements, at most one more than before, in an array that doubles. */
void *raft_grow(void *array, uint32_t *capacity, uint32_t count, size_t element_size);

/* ---- terms.c ---- */
void raft_terms_load(struct raft *raft, const struct raft_term_span *spans, size_t count);
/* The entries up to last_index have this term; extends the log. */
void raft_terms_append(struct raft *raft, uint64_t last_index, uint64_t term);
void raft_terms_truncate(struct raft *raft, uint64_t from_index);
void raft_terms_drop_prefix(struct raft *raft, uint64_t first_index);
void raft_terms_reset(struct raft *raft, uint64_t index, uint64_t term);
uint64_t raft_last_term(const struct raft *raft);
/* The term at an index known to lie in [first - 1, last]. */
uint64_t raft_term_known(const struct raft *raft, uint64_t index);
/* Largest index in [first - 1, index_max] whose term is <= term; false when there is none.
 * index_max >= first - 1. */
bool raft_terms_find_last(const struct raft *raft, uint64_t index_max, uint64_t term,
                          uint64_t *index);
/* Last index of the span that holds index. */
uint64_t raft_terms_span_end(const struct raft *raft, uint64_t index);

/* ---- writes.c ---- */
void raft_writes_begin(struct raft *raft, struct raft_write *write);
/* Nothing behind index may be taken as durable from writes handed out so far. */
void raft_writes_cap(struct raft *raft, uint64_t index);
bool raft_hard_state_is_saved(const struct raft *raft);

/* ---- election.c ---- */
/* A voter, or one whose removal has not committed: FOLLOWER rather than LEARNER. */
bool raft_is_electable(const struct raft *raft);
bool raft_can_campaign(const struct raft *raft);
bool raft_leader_is_alive(const struct raft *raft);
void raft_draw_deadline(struct raft *raft);
/* Gives a candidate, which may be this node, the time to win. */
void raft_stand_back(struct raft *raft);
void raft_become_follower(struct raft *raft, uint64_t term, uint32_t leader);
/* The present leader was heard. */
void raft_follow(struct raft *raft, uint32_t leader);
void raft_campaign(struct raft *raft, bool forced);
void raft_own_vote_saved(struct raft *raft);
void raft_push_vote_requests(struct raft *raft);
/* LEARNER or FOLLOWER, after the membership or its commit changed. */
void raft_refresh_role(struct raft *raft);
void raft_receive_pre_vote(struct raft *raft, const struct raft_message *message);
void raft_receive_vote(struct raft *raft, const struct raft_message *message);
void raft_receive_vote_reply(struct raft *raft, const struct raft_message *message);
void raft_receive_timeout_now(struct raft *raft, const struct raft_message *message);

/* ---- append.c: follower ---- */
void raft_receive_append(struct raft *raft, const struct raft_message *message,
                         struct raft_accepted *accepted);
void raft_receive_heartbeat(struct raft *raft, const struct raft_message *message);
/* This node's log is cut: commit < from_index <= last. */
void raft_truncate(struct raft *raft, uint64_t from_index);
/* An entry was added at the end, by a leader or from one. */
void raft_append_entry(struct raft *raft, const struct raft_entry *entry);

/* ---- replication.c: leader ---- */
void raft_lead(struct raft *raft);
void raft_stop_leading(struct raft *raft);
void raft_heartbeat(struct raft *raft);
bool raft_quorum_is_active(const struct raft *raft);
void raft_advance_commit(struct raft *raft);
void raft_set_commit(struct raft *raft, uint64_t commit_index);
void raft_receive_append_reply(struct raft *raft, const struct raft_message *message);
void raft_receive_heartbeat_reply(struct raft *raft, const struct raft_message *message);
void raft_receive_snapshot_reply(struct raft *raft, const struct raft_message *message);
/* The value that a quorum of voters reaches, given what each voter has; own: this node's. */
uint64_t raft_quorum_value(const struct raft *raft, uint64_t own,
                           uint64_t (*value_of)(const struct raft_slot *slot));

/* ---- backlog.c ---- */
void raft_backlog_add(struct raft *raft, uint64_t last_index, uint64_t bytes);
void raft_backlog_commit(struct raft *raft);

/* ---- progress.c ---- */
struct raft_slot *raft_slot_find(const struct raft *raft, uint32_t node_id);
/* Makes the slots those of the present membership; next_index for new ones. */
void raft_slots_refresh(struct raft *raft, uint64_t next_index);
void raft_slots_free(struct raft *raft);
void raft_slot_enter(struct raft_slot *slot, enum raft_progress_state state, uint64_t next_index);
void raft_slot_acked(struct raft *raft, struct raft_slot *slot, uint64_t index);
void raft_slot_refused(struct raft *raft, struct raft_slot *slot,
                       const struct raft_message *message);
void raft_slot_shrink(struct raft_slot *slot);
bool raft_slot_is_owed(const struct raft *raft, uint32_t node_id);
/* Whether a follower is to be sent entries, or a snapshot, now. */
bool raft_slot_wants_send(const struct raft *raft, const struct raft_slot *slot);
bool raft_slot_wants_snapshot(const struct raft *raft, const struct raft_slot *slot);
/* The follower has everything and knows it, and nobody waits for its next answer. */
bool raft_slot_is_at_rest(const struct raft *raft, const struct raft_slot *slot);

/* ---- rest.c ---- */
/* A leader whose members have everything and know it, and nothing is under way. */
bool raft_is_at_rest(const struct raft *raft);
/* A round of heartbeats begins: how long a rest it offers; 0: none. */
uint32_t raft_rest_offer(struct raft *raft);
/* A follower: takes what a heartbeat offers, if it may. */
void raft_rest_take(struct raft *raft, const struct raft_message *heartbeat);
/* It was heard of the leader before the rest was over. */
void raft_rest_leave(struct raft *raft);
/* A leader: a follower's answer; the rest begins when all have taken it. */
void raft_rest_taken(struct raft *raft, struct raft_slot *slot, const struct raft_message *reply);
/* A leader beats again. */
void raft_rest_end(struct raft *raft);
void raft_rest_end_if_disturbed(struct raft *raft);

/* ---- reconfigure.c ---- */
void raft_membership_adopt(struct raft *raft, const struct raft_membership *membership,
                           uint64_t index);
void raft_membership_truncated(struct raft *raft, uint64_t from_index);
/* After commit moved: a leader that is no longer a voter leaves. */
void raft_leave_if_removed(struct raft *raft);

/* ---- membership.c ---- */
int raft_membership_voter_position(const struct raft_membership *membership, uint32_t node_id);

/* ---- read_barrier.c ---- */
bool raft_barrier_round_is_due(const struct raft *raft);
void raft_barriers_confirm(struct raft *raft);
void raft_barriers_fail(struct raft *raft);

/* ---- vote_return.c ---- */
void raft_mark_draw(struct raft *raft);
/* A heartbeat may bring the proof. */
void raft_receive_proof(struct raft *raft, const struct raft_message *message);
/* An answer came with this mark. */
void raft_slot_marked(const struct raft *raft, struct raft_slot *slot, uint64_t mark);
/* Puts the proof into a heartbeat to a member that waits for it. */
void raft_offer_proof(const struct raft *raft, const struct raft_slot *slot,
                      struct raft_message *heartbeat);

/* ---- unreadable.c ---- */
/* A leader, with its heartbeats: leaves when it has long been of no use. */
bool raft_leave_if_barred(struct raft *raft);
/* It loses its lead: whether it abstains from the next elections. */
void raft_abstain_if_barred(struct raft *raft);
bool raft_is_abstaining(const struct raft *raft);

/* ---- transfer.c ---- */
/* Whether TIMEOUT_NOW may leave now. */
bool raft_transfer_is_ripe(const struct raft *raft);
bool raft_slot_is_active(const struct raft *raft, const struct raft_slot *slot);
/* The active voter with a vote whose log is longest, this node apart; 0: none. */
uint32_t raft_most_advanced_voter(const struct raft *raft);

/* ---- effects.c ---- */
/* A message with from, group and the present term filled in; borrowed until the next push. */
struct raft_message *raft_push(struct raft *raft, enum raft_message_kind kind, uint32_t to);

#endif
