/* SPDX-License-Identifier: Apache-2.0
 *
 * group_state.h -- the insides of a group, for the files of this room.
 *
 * Invariants: a group is in the table while something of it is kept or it lives (members, or
 * members that were promised an id); members, by_id and (static ones) by_instance hold the same
 * members; the leader is one of them or NULL; a member waits in join only while the group is
 * PREPARING_REBALANCE, and in sync only while it is COMPLETING_REBALANCE.
 *
 * Locality: the shard of the partition.
 */
#ifndef GROUP_GROUP_STATE_H
#define GROUP_GROUP_STATE_H

#include "base/map.h"
#include "group/group.h"

#define GROUP_NEVER_MS INT64_MAX
/* A member whose first join is still waited on need not heartbeat, but is not waited for without
 * end either: its client may be long gone. */
#define GROUP_NEW_MEMBER_TIMEOUT_MS (5 * 60 * 1000)

/* Bytes of one's own; length -1: null. */
struct group_text {
    char *data;
    int32_t length;
};

enum group_life {
    GROUP_EMPTY,
    GROUP_PREPARING_REBALANCE,
    GROUP_COMPLETING_REBALANCE,
    GROUP_STABLE,
    GROUP_DEAD,
    GROUP_LIVES,
};

struct member_protocol {
    struct group_text name;
    struct group_text metadata;
};

struct group_member {
    struct list_node node; /* in group->members, in the order of joining */
    struct group_text id;
    struct group_text instance_id; /* null: dynamic */
    struct group_text client_id;
    struct group_text client_host;
    struct member_protocol *protocols;
    int32_t protocol_count;
    struct group_text assignment;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    int64_t session_deadline_ms;
    bool is_new;             /* has never been answered a join */
    bool has_synced;         /* in this generation */
    struct group_join *join; /* it waits in, or NULL */
    struct group_sync *sync; /* it waits in, or NULL */
};

/* An id that was given out and not come back with yet (KIP-394). */
struct promised_member {
    struct list_node node;
    struct group_text id;
    int64_t deadline_ms;
};

/* What a group committed for one partition; memory holds the struct, the key and the metadata. */
struct kept_offset {
    int64_t offset;
    int32_t leader_epoch;
    int64_t commit_ms; /* wall clock */
    int64_t expire_ms; /* wall clock, of old records; -1: by the table's retention */
    int32_t partition;
    int32_t topic_length;
    int32_t metadata_length;
    uint8_t bytes[]; /* partition (4, big-endian), topic, metadata; the first two are the key */
};

struct group {
    struct group_table *table;
    struct group_text id;

    /* Kept. */
    struct group_text kept_value; /* the newest metadata record's value; null: none */
    struct map offsets;           /* key bytes -> struct kept_offset */

    /* Live. */
    enum group_life life;
    int32_t generation;
    struct group_text protocol_type;
    struct group_text protocol;
    int64_t state_since_ms; /* wall clock */
    struct list members;
    int32_t member_count;
    struct map by_id;
    struct map by_instance;
    struct group_member *leader;
    struct list promised;
    int32_t promised_count;
    int64_t join_deadline_ms;       /* PREPARING_REBALANCE: it ends then at the latest */
    int64_t delay_left_ms;          /* of the first rebalance: how often it may still be put off */
    bool is_first_delay;            /* the join phase ends at its deadline only */
    bool got_members_in_delay;      /* since the delay was last put off */
    int64_t sync_deadline_ms;       /* COMPLETING_REBALANCE */
    int64_t due_ms;                 /* nothing has to be done before */
    struct metadata_write *writing; /* the assignment that is on its way into the log, or NULL */
};

struct group_table {
    struct group_host host;
    struct group_limits limits;
    struct map groups; /* by id */
    int64_t now_ms;
    int64_t wall_ms;
    bool leads;
    uint64_t offset_count;
    uint64_t rebalances;
    uint64_t records_unknown;
};

/* ---- text.c: bytes of one's own ---- */

struct group_text group_text_copy(const void *data, int32_t length);
struct group_text group_text_of(struct wire_string string);
void group_text_free(struct group_text *text);
/* Frees what was there. */
void group_text_set(struct group_text *text, const void *data, int32_t length);
bool group_text_equal(const struct group_text *text, const void *data, int32_t length);
static inline struct wire_string group_text_view(const struct group_text *text)
{
    return (struct wire_string){text->data, text->length};
}
static inline struct wire_bytes group_text_bytes(const struct group_text *text)
{
    return (struct wire_bytes){(const uint8_t *)text->data, text->length};
}
/* Copies in an arena; an arena that is exhausted gives the null string. */
struct wire_string group_text_answer(struct arena *arena, const struct group_text *text);
struct wire_bytes group_text_answer_bytes(struct arena *arena, const struct group_text *text);

/* ---- table.c ---- */

struct group *group_find(const struct group_table *table, struct wire_string id);
struct group *group_make(struct group_table *table, struct wire_string id);
/* Forgets the group if nothing of it is kept and nobody is in it.  True when it is gone. */
bool group_drop_if_idle(struct group *group);
/* Enters a state that may follow the present one. */
void group_enter(struct group *group, enum group_life life);
const char *group_life_name(enum group_life life);
void group_wake_at(struct group *group, int64_t ms);

/* ---- member.c ---- */

struct group_member *group_member_new(struct group *group, const struct group_join *join,
                                      struct wire_string id);
/* Takes it out of the group and frees it; its waiting requests were answered. */
void group_member_remove(struct group *group, struct group_member *member);
struct group_member *group_member_find(const struct group *group, struct wire_string id);
struct group_member *group_member_static(const struct group *group, struct wire_string instance_id);
/* Joins again with what may be other protocols and timeouts. */
void group_member_update(struct group_member *member, const struct group_join *join);
void group_member_rename(struct group *group, struct group_member *member, struct wire_string id);
bool group_member_has_protocols(const struct group_member *member, const struct group_join *join);
const struct group_text *group_member_metadata(const struct group_member *member,
                                               const struct group_text *protocol);
/* It was heard from. */
void group_member_touch(struct group *group, struct group_member *member);
/* NONE, UNKNOWN_MEMBER_ID or FENCED_INSTANCE_ID; *member on NONE. */
enum wire_error group_member_check(const struct group *group, struct wire_string id,
                                   struct wire_string instance_id, struct group_member **member);
struct promised_member *group_promised_find(const struct group *group, struct wire_string id);
void group_promise(struct group *group, struct wire_string id, int32_t session_timeout_ms);
void group_promised_remove(struct group *group, struct promised_member *promised);

/* ---- join.c ---- */

void group_answer_join(struct group_member *member, enum wire_error error);
void group_refuse_join(struct group_join *join, enum wire_error error);
/* Tells a waiting member of the generation that begins. */
void group_tell_joined(struct group *group, struct group_member *member);

/* ---- rebalance.c ---- */

/* Begins a rebalance unless one is being prepared. */
void group_rebalance(struct group *group);
/* Ends the join phase if everybody is there. */
void group_complete_if_joined(struct group *group);
void group_join_phase_is_over(struct group *group);
/* Whether every member knows the protocol. */
bool group_all_speak(const struct group *group, struct wire_string protocol);
/* Takes a member out for good: rebalances, or completes the join phase that waited for it. */
void group_expel(struct group *group, struct group_member *member);

/* ---- sync.c ---- */

void group_answer_syncs(struct group *group, enum wire_error error);
void group_refuse_sync(struct group_sync *sync, enum wire_error error);
/* Writes the group's present metadata; nobody waits for it. */
void group_keep_metadata(struct group *group);

/* ---- sessions.c ---- */

void group_look_at_deadlines(struct group *group);

/* ---- records.c: what is kept, as records ---- */

struct wire_batch_writer;
void group_write_metadata(const struct group *group, struct wire_batch_writer *batch);
void group_write_metadata_tombstone(const struct group *group, struct wire_batch_writer *batch);
void group_write_offset(const struct group *group, const struct group_offset *offset,
                        int64_t commit_ms, struct wire_batch_writer *batch);
void group_write_offset_tombstone(const struct group *group, const struct kept_offset *offset,
                                  struct wire_batch_writer *batch);
/* What is kept, as it is. */
void group_write_kept_metadata(const struct group *group, struct wire_batch_writer *batch);
void group_write_kept_offset(const struct group *group, const struct kept_offset *offset,
                             struct wire_batch_writer *batch);
/* The live group out of what is kept.  False when that makes no sense; the group is EMPTY then. */
bool group_revive(struct group *group);

/* ---- offsets.c ---- */

struct kept_offset *group_offset_find(const struct group *group, struct wire_string topic,
                                      int32_t partition);
void group_offset_keep(struct group *group, struct wire_string topic, int32_t partition,
                       const struct kept_offset *fields, struct wire_string metadata);
void group_offset_forget(struct group *group, struct wire_string topic, int32_t partition);
void group_offsets_clear(struct group *group);
static inline struct wire_string kept_offset_topic(const struct kept_offset *kept)
{
    return (struct wire_string){(const char *)kept->bytes + 4, kept->topic_length};
}

static inline struct wire_string kept_offset_metadata(const struct kept_offset *kept)
{
    return (struct wire_string){(const char *)kept->bytes + 4 + kept->topic_length,
                                kept->metadata_length};
}

/* ---- subscription.c ---- */

/* Whether a member of a group of consumers may read the topic, or does not say clearly what it
 * reads. */
bool group_subscribes(const struct group *group, struct wire_string topic);

#endif
