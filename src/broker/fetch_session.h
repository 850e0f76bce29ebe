/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_session.h -- fetch sessions (KIP-227): what a client reads from this broker, remembered
 * between its fetches, so that a fetch names only what it reads differently and an answer holds
 * only what is new.
 *
 * A session is created with the answer to a full fetch and has an epoch, which each fetch of it
 * advances by one; a fetch at another epoch is refused, as one of the two sides has missed
 * something.  The partitions stand in the order in which they are served: one that gave records
 * goes to the end, so that none starves behind the limits of an answer.
 *
 * The table is bounded in sessions and in memory.  When it is full, sessions that nobody used for
 * two minutes make room; if there are none the client goes on with full fetches, which cost more
 * and are right all the same.
 *
 * Not here: reading partitions, and the messages (api_fetch.c, fetch_answer.c).
 *
 * Invariants: a session's id is above 0 and says its shard, so that no other shard takes it for one
 * of its own; its epoch is above 0; a partition of it has a topic, a topic at least one partition;
 * pointers to a session or its parts hold as long as the session stands at the same epoch.
 *
 * Locality: one table a shard, the one of the connection; a client that comes back to another shard
 * begins anew.
 */
#ifndef BROKER_FETCH_SESSION_H
#define BROKER_FETCH_SESSION_H

#include "base/list.h"
#include "base/map.h"
#include "base/uuid.h"
#include "wire/cursor.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A client that reads more than this from one broker has no session. */
#define FETCH_SESSION_PARTITIONS_MAX 10000
/* What one table's sessions may hold together. */
#define FETCH_SESSION_TABLE_BYTES_MAX ((size_t)64 * 1024 * 1024)
/* Unused for so long, a session makes room for another. */
#define FETCH_SESSION_IDLE_NS 120000000000ull

struct fetch_session_table;

struct fetch_session_topic {
    struct uuid id;          /* of a session by ids, else zero */
    struct wire_string name; /* of a session by names, else empty */
    uint32_t number;         /* within the session, never used twice */
    uint32_t partition_count;
};

/* What the client asks of a partition. */
struct fetch_session_wish {
    int64_t offset;
    int32_t bytes_max;
    int32_t current_leader_epoch; /* -1: not told */
    int32_t last_fetched_epoch;   /* -1: not told */
};

struct fetch_session_partition {
    struct list_node node;
    struct fetch_session_topic *topic;
    int32_t partition;
    struct fetch_session_wish wish;
    int64_t high_watermark; /* what the client was told last; -1: nothing that still holds */
    int64_t log_start_offset;
};

struct fetch_session {
    struct list_node node; /* the table's order of use */
    int32_t id;
    int32_t epoch; /* of the next fetch */
    bool has_topic_ids;
    uint64_t used_ns;
    size_t bytes;
    uint32_t partition_count;
    struct list partitions;
    struct map topics; /* id or name -> struct fetch_session_topic */
    struct map places; /* topic's number and partition -> struct fetch_session_partition */
    uint32_t topic_numbers;
};

/* One partition of an answer. */
struct fetch_session_news {
    enum wire_error error;
    int64_t high_watermark;
    int64_t log_start_offset;
    bool has_records;
    bool is_parting; /* tells of a diverging epoch, or of a replica to read from */
};

struct fetch_session_limits {
    uint32_t sessions_max; /* 0: none are kept */
    size_t bytes_max;
    uint32_t shard_id;
    uint64_t seed; /* of the ids, which should not be guessed easily */
};

struct fetch_session_stats {
    uint64_t sessions;
    uint64_t partitions; /* of all of them */
    uint64_t bytes;
    uint64_t evicted; /* since the beginning, as the next */
    uint64_t refused; /* full fetches that got no session for want of room */
};

struct fetch_session_table *fetch_session_table_new(const struct fetch_session_limits *limits);
void fetch_session_table_free(struct fetch_session_table *table);
struct fetch_session_stats fetch_session_table_stats(const struct fetch_session_table *table);

/* A new session without partitions, at epoch 1, that is to hold so many; NULL when there is no room
 * for it. */
struct fetch_session *fetch_session_create(struct fetch_session_table *table, bool has_topic_ids,
                                           uint32_t partition_count, uint64_t now_ns);
/* The session for a fetch at that epoch, which it is advanced from.  NONE, or
 * FETCH_SESSION_ID_NOT_FOUND, INVALID_FETCH_SESSION_EPOCH, FETCH_SESSION_TOPIC_ID_ERROR. */
enum wire_error fetch_session_advance(struct fetch_session_table *table, int32_t id, int32_t epoch,
                                      bool has_topic_ids, uint64_t now_ns,
                                      struct fetch_session **session);
/* The session, if the fetch that advanced it from that epoch is still its newest; else NULL with
 * the error. */
struct fetch_session *fetch_session_find(const struct fetch_session_table *table, int32_t id,
                                         int32_t epoch, enum wire_error *error);
/* An unknown id is none to close. */
void fetch_session_close(struct fetch_session_table *table, int32_t id);

/* Adds the partition or changes what is asked of it; topic_id or name is copied, whichever the
 * session goes by.  NULL when the session or the table has no room for it. */
struct fetch_session_partition *fetch_session_put(struct fetch_session_table *table,
                                                  struct fetch_session *session,
                                                  const struct uuid *topic_id,
                                                  struct wire_string name, int32_t partition,
                                                  const struct fetch_session_wish *wish);
/* One that is not there is forgotten already. */
void fetch_session_forget(struct fetch_session_table *table, struct fetch_session *session,
                          const struct uuid *topic_id, struct wire_string name, int32_t partition);

/* Notes what is to be told of a partition; true when the client has to be told, because it differs
 * from what it knows. */
bool fetch_session_note(struct fetch_session *session, struct fetch_session_partition *partition,
                        const struct fetch_session_news *news);

#endif
