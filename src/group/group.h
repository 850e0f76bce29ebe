/* SPDX-License-Identifier: Apache-2.0
 *
 * group.h -- consumer groups: who is a member, who reads what, and how far they have read.
 *
 * A group belongs to one partition of __consumer_offsets (group_partition_of()); a group_table is
 * the state of one such partition.  It has two layers:
 *
 *   kept   what the partition's log says: for each group its newest metadata record, for each of
 *          its topic partitions the newest committed offset.  Every replica applies the log and
 *          has the same; it is the whole of a snapshot.
 *   live   members that wait, sessions, rebalances.  Only the coordinator has it: it is made from
 *          what is kept when the replica begins to lead, with fresh sessions, so members of a
 *          lost coordinator go on where they are; it is thrown away when leadership is lost.
 *
 * Life of a group (the classic protocol, KIP-62, KIP-134, KIP-345, KIP-394):
 *
 *     EMPTY -> PREPARING_REBALANCE -> COMPLETING_REBALANCE -> STABLE
 *                 ^       |  ^                 |                |
 *                 |       v  `-----------------+----------------'
 *                 `---- EMPTY        DEAD: deleted, or all that was kept has expired
 *
 * Does no I/O and reads no clock: the host tells the time, appends records, and reports back.
 * Locality: the shard of the partition.
 */
#ifndef GROUP_GROUP_H
#define GROUP_GROUP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "wire/cursor.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stdint.h>

struct group_table;

#define GROUP_OFFSETS_TOPIC "__consumer_offsets"

/* The partition of __consumer_offsets that a group belongs to: the absolute value of Java's
 * String.hashCode() of its id, modulo the partition count, so that tools find it where Kafka has
 * it. */
int32_t group_partition_of(struct wire_string group_id, int32_t partition_count);

struct group_limits {
    int32_t session_timeout_min_ms;
    int32_t session_timeout_max_ms;
    int32_t initial_rebalance_delay_ms; /* how long a new group waits for more members */
    int32_t members_max;
    int32_t offset_metadata_bytes_max;
    int64_t offsets_retention_ms; /* of a group without members, or a topic not subscribed to */
    uint32_t record_bytes_max;    /* what a batch of the partition may take */
};

/* A batch of records on its way into the log.  Embedded in whoever waits for it. */
struct group_write {
    struct list_node node; /* the host's */
    uint64_t base_offset;  /* the host's */
    /* Once: NONE when the batch is committed and applied; else it may or may not be. */
    void (*done)(struct group_write *write, enum wire_error error);
};

struct group_host {
    /* Appends a batch (a reference is handed over) and later calls write->done exactly once, never
     * from inside this call. */
    void (*append)(void *owner, struct buf *batch, struct group_write *write);
    /* Writes 36 characters and a final 0 that nobody used before. */
    void (*unique_id)(void *owner, char text[37]);
    /* Whether a topic has that partition: commits for others are refused. */
    bool (*partition_exists)(void *owner, struct wire_string topic, int32_t partition);
    void *owner;
};

struct group_table *group_table_new(const struct group_host *host,
                                    const struct group_limits *limits);
/* Nothing waits any more (group_table_follow() was called, if it ever led). */
void group_table_free(struct group_table *table);

/* ---- What is kept ---- */

/* One committed batch of the partition, in log order.  Records that make no sense to us (of newer
 * group kinds) are kept out and counted. */
void group_table_apply(struct group_table *table, const uint8_t *batch, size_t length);
void group_table_snapshot_write(const struct group_table *table, struct buf **content);
/* False (nothing is kept) when the bytes make no sense. */
bool group_table_snapshot_restore(struct group_table *table, const uint8_t *content, size_t length);
void group_table_reset(struct group_table *table);

/* ---- Leading ---- */

/* Monotonic and wall-clock milliseconds; before any call below, and never falling (now_ms). */
void group_table_set_time(struct group_table *table, int64_t now_ms, int64_t wall_ms);
/* This replica coordinates from now on: everything committed before has been applied. */
void group_table_lead(struct group_table *table);
/* Not any more: whoever waits is answered NOT_COORDINATOR.  The host has failed all writes. */
void group_table_follow(struct group_table *table);
bool group_table_leads(const struct group_table *table);
/* Sessions that ended, rebalances whose time is up.  The host calls it about ten times a second
 * while it leads. */
void group_table_tick(struct group_table *table);
/* Writes tombstones for what has expired; called every few minutes. */
void group_table_expire(struct group_table *table);

/* ---- Requests ----
 *
 * Each is a struct that its caller fills in and keeps, with everything it points to, until done;
 * done comes exactly once, perhaps from inside the call.  What is answered is allocated from
 * arena, which the caller owns.  A table that does not lead answers NOT_COORDINATOR. */

struct group_protocol {
    struct wire_string name;
    struct wire_bytes metadata;
};

struct group_joined_member {
    struct wire_string id;
    struct wire_string instance_id;
    struct wire_bytes metadata;
};

struct group_join {
    struct wire_string group_id;
    struct wire_string member_id;   /* empty: new */
    struct wire_string instance_id; /* null: dynamic membership */
    struct wire_string client_id;
    struct wire_string client_host;
    struct wire_string protocol_type;
    const struct group_protocol *protocols; /* in the order of preference */
    int32_t protocol_count;
    int32_t session_timeout_ms;
    int32_t rebalance_timeout_ms;
    bool requires_member_id; /* the client joins again with the id it is given (KIP-394) */
    bool can_skip_assignment;
    struct arena *arena;
    void (*done)(struct group_join *join);
    void *context;

    enum wire_error error;
    int32_t generation;
    struct wire_string answer_protocol_type;
    struct wire_string answer_protocol; /* null: none */
    struct wire_string leader;
    struct wire_string answer_member_id;
    bool skip_assignment;
    struct group_joined_member *members; /* for the leader only */
    int32_t member_count;
};
void group_join(struct group_table *table, struct group_join *join);

struct group_assignment {
    struct wire_string member_id;
    struct wire_bytes assignment;
};

struct group_sync {
    struct wire_string group_id;
    struct wire_string member_id;
    struct wire_string instance_id;
    struct wire_string protocol_type; /* null: not told */
    struct wire_string protocol;      /* null: not told */
    int32_t generation;
    const struct group_assignment *assignments; /* from the leader */
    int32_t assignment_count;
    struct arena *arena;
    void (*done)(struct group_sync *sync);
    void *context;

    enum wire_error error;
    struct wire_string answer_protocol_type;
    struct wire_string answer_protocol;
    struct wire_bytes assignment;
};
void group_sync(struct group_table *table, struct group_sync *sync);

/* At once. */
enum wire_error group_heartbeat(struct group_table *table, struct wire_string group_id,
                                struct wire_string member_id, struct wire_string instance_id,
                                int32_t generation);
/* One member leaves, by its id or (member_id empty) by its instance id.  At once. */
enum wire_error group_leave(struct group_table *table, struct wire_string group_id,
                            struct wire_string member_id, struct wire_string instance_id);
/* NONE, or why nobody can leave this group. */
enum wire_error group_check(const struct group_table *table, struct wire_string group_id);

struct group_offset {
    struct wire_string topic;
    int32_t partition;
    int64_t offset; /* fetched: -1 when nothing was committed */
    int32_t leader_epoch;
    struct wire_string metadata;
    enum wire_error error;
};

struct group_commit {
    struct wire_string group_id;
    struct wire_string member_id;
    struct wire_string instance_id;
    int32_t generation;           /* -1: not as a member */
    struct group_offset *offsets; /* each gets its error */
    int32_t offset_count;
    void (*done)(struct group_commit *commit);
    void *context;
    struct group_write write; /* the room's own */
};
void group_commit(struct group_table *table, struct group_commit *commit);

/* What is committed for each of offsets (topic and partition filled in). */
enum wire_error group_fetch(struct group_table *table, struct wire_string group_id,
                            struct group_offset *offsets, int32_t offset_count);
/* All there is, by topic and partition ascending; *offsets NULL when the arena is exhausted. */
enum wire_error group_fetch_all(struct group_table *table, struct wire_string group_id,
                                struct arena *arena, struct group_offset **offsets,
                                int32_t *offset_count);

/* DeleteGroups, and OffsetDelete when offsets are given. */
struct group_delete {
    struct wire_string group_id;
    struct group_offset *offsets; /* NULL: the whole group; else each gets its error */
    int32_t offset_count;
    void (*done)(struct group_delete *deletion);
    void *context;
    enum wire_error error;
    struct group_write write; /* the room's own */
};
void group_delete(struct group_table *table, struct group_delete *deletion);

/* ---- Looking ---- */

struct group_member_view {
    struct wire_string id;
    struct wire_string instance_id;
    struct wire_string client_id;
    struct wire_string client_host;
    struct wire_bytes metadata;
    struct wire_bytes assignment;
};

struct group_view {
    struct wire_string id;
    const char *state; /* "Stable", "PreparingRebalance", "CompletingRebalance", "Empty", "Dead" */
    struct wire_string protocol_type;
    struct wire_string protocol;
    struct group_member_view *members;
    int32_t member_count;
};
/* A group that is not there is "Dead".  What view points to is copied into arena; false when that
 * is exhausted. */
bool group_describe(const struct group_table *table, struct wire_string group_id,
                    struct arena *arena, struct group_view *view);
/* Walks all groups, without their members; start with position 0.  view borrows until the next
 * call into the table. */
bool group_next(const struct group_table *table, size_t *position, struct group_view *view);

struct group_stats {
    uint64_t groups;
    uint64_t members;
    uint64_t offsets;
    uint64_t rebalances;      /* completed since the table was made */
    uint64_t records_unknown; /* applied records of kinds this version does not know */
};
void group_table_stats(const struct group_table *table, struct group_stats *stats);

#endif
