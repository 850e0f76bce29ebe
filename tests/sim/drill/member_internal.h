/* SPDX-License-Identifier: Apache-2.0
 *
 * member_internal.h -- a member's state, for member.c and member_calls.c only.
 */
#ifndef TESTS_SIM_DRILL_MEMBER_INTERNAL_H
#define TESTS_SIM_DRILL_MEMBER_INTERNAL_H

#include "drill/member.h"
#include "drill/swarm.h"
#include "wire/error.h"

#define MEMBER_ID_SIZE 96
#define MEMBER_OTHERS_MAX 16
#define MEMBER_PARTITIONS_MAX (SWARM_TOPICS_MAX * HISTORY_PARTITIONS_MAX)
#define MEMBER_REQUEST_MS 4000
#define MEMBER_GROUP "readers"

enum member_step {
    MEMBER_FIND,   /* the coordinator */
    MEMBER_JOIN,   /* a generation */
    MEMBER_SYNC,   /* what is whose */
    MEMBER_RESUME, /* how far the group was */
    MEMBER_WORK,   /* heartbeats and commits */
    MEMBER_LEAVE,
};

/* What is asked that another step's answer could be taken for. */
enum member_call {
    MEMBER_CALL_OTHER,
    MEMBER_CALL_COMMIT,
    MEMBER_CALL_LATE_COMMIT, /* of an earlier generation */
};

/* A partition that a request on its way is about. */
struct member_place {
    uint32_t topic;
    uint32_t partition;
    int64_t committed_before; /* asked for: the largest offset whose commit was acknowledged then */
    uint32_t commit;          /* committed: its number */
};

struct drill_member {
    struct client *client;
    struct check_groups *groups;
    struct member_options options;
    struct io_timer timer;
    enum member_step step;
    bool is_waiting; /* for an answer */
    enum member_call call;
    bool is_quiet;
    uint64_t whim_ns; /* when it leaves or falls silent next */

    uint32_t coordinator;    /* 0: not known */
    char id[MEMBER_ID_SIZE]; /* empty: none yet */
    uint32_t incarnation;    /* a number for each id it had */
    int32_t generation;
    int32_t synced_generation; /* the one whose assignment it was told last; -1: none */
    int32_t late_generation;   /* the one before that, with the same id; -1: none */
    int32_t generation_before; /* the latest that any member knew when this one asked to join */
    char others[MEMBER_OTHERS_MAX][MEMBER_ID_SIZE]; /* those it leads, itself among them */
    uint32_t other_count;                           /* 0: it does not lead */
    bool is_mine[SWARM_TOPICS_MAX][HISTORY_PARTITIONS_MAX];
    int64_t done[SWARM_TOPICS_MAX][HISTORY_PARTITIONS_MAX]; /* committed, as far as it knows */

    struct member_place places[MEMBER_PARTITIONS_MAX]; /* of the request on its way */
    uint32_t place_count;
};

/* ---- member.c ---- */

/* What an answer says, or that there was none: CLIENT_UNSENT and CLIENT_LOST. */
void member_found(struct drill_member *member, int16_t error, int32_t broker);
void member_joined(struct drill_member *member, int16_t error);
void member_synced(struct drill_member *member, int16_t error);
void member_resumed(struct drill_member *member, int16_t error);
void member_beaten(struct drill_member *member, int16_t error);
void member_committed(struct drill_member *member, int16_t error);
void member_left(struct drill_member *member);
void member_lost(struct drill_member *member, enum client_result result);
/* The partitions that the group reads, one after the other, from position 0 on. */
bool member_next_place(const struct drill_member *member, uint32_t *position, uint32_t *topic,
                       uint32_t *partition);

/* ---- member_calls.c: requests; each ends in one of the above ---- */

void member_call_find(struct drill_member *member);
void member_call_join(struct drill_member *member);
void member_call_sync(struct drill_member *member);
/* How far the group is in the partitions of places, whose committed_before it fills in. */
void member_call_fetch(struct drill_member *member);
void member_call_heartbeat(struct drill_member *member);
/* The partitions of places, each with the offset behind what was acknowledged there. */
void member_call_commit(struct drill_member *member, int32_t generation);
void member_call_leave(struct drill_member *member);

#endif
