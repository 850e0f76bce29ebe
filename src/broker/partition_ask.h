/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_ask.h -- what can be asked of partitions: append a batch, read, find an offset,
 * delete records.
 *
 * The handler on the home shard fills in the question and the owner; *_perform answers on the shard
 * of the partitions.
 *
 * Locality: see broker/ask.h.
 */
#ifndef BROKER_PARTITION_ASK_H
#define BROKER_PARTITION_ASK_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/list.h"
#include "broker/ask.h"
#include "io/file.h"
#include "io/loop.h"
#include "log/log.h"
#include "wire/batch.h"

#include <stdbool.h>
#include <stdint.h>

struct broker_shard;
struct partition;
struct producer_description;

/* ---- Append ---- */

struct produce_item {
    struct ask_item head;  /* first */
    struct list_node node; /* the partition's list it waits in */
    struct produce_ask *ask;
    uint8_t *data; /* one validated batch inside the ask's frame or recompressed; its head is
                      stamped in place */
    struct wire_batch batch;
    const char *message; /* says more about the error; static, may be NULL */
    /* The records that are at fault, when the error is of some; in the request's arena. */
    struct produce_response_batch_index_and_error_message *record_errors;
    int32_t record_error_count;
    int64_t base_offset;
    int64_t last_offset;
    int64_t append_time_ms; /* -1 unless the topic stamps LogAppendTime */
    int64_t log_start_offset;
    struct buf
        *recompressed; /* what data is in when the topic's compression is another; a reference */
    struct partition *holder; /* the partition it waits for room in, else NULL */
    bool is_answered;
};

struct produce_ask {
    struct ask ask;             /* first */
    struct broker_shard *shard; /* the performing one */
    struct buf *frame;
    int16_t acks; /* -1, 0, 1 */
    uint64_t deadline_ns;
    struct io_timer timer;
};

void produce_perform(struct broker_shard *shard, struct ask *ask);

/* ---- Read ---- */

struct fetch_item {
    struct ask_item head;   /* first */
    struct list_node watch; /* the partition's list of fetches that wait for data */
    struct fetch_ask *ask;
    int64_t offset;
    int32_t bytes_max;
    int32_t current_leader_epoch; /* -1: not told */
    int32_t last_fetched_epoch;   /* -1: not told */
    int64_t high_watermark;
    int64_t log_start_offset;
    bool diverges; /* the client's log parts from ours: it must go back to this epoch and offset */
    int32_t diverging_epoch;
    int64_t diverging_end_offset;
    enum wire_error put_off;     /* told if others are answered before the partition leads */
    bool is_follower;            /* this replica does not lead, and may answer all the same */
    uint32_t preferred_replica;  /* the broker the client should read from instead; 0: none */
    bool is_full;                /* there is more than its limit lets through */
    struct log_fetched *fetched; /* NULL: nothing; holds references; memory in the ask's results */
    struct log_wait wait;        /* the log's while is_loading */
    bool is_loading;             /* its data comes from disk first */
};

/* A fetch waits until its share of the answer is worth sending: bytes_least, an error, a full
 * partition, the deadline, or a stop from home because another share is complete. */
struct fetch_ask {
    struct ask ask;        /* first */
    struct list_node node; /* upkeep's list of those to look at */
    struct broker_shard *shard;
    uint64_t bytes_least;
    uint64_t bytes_max;
    uint64_t deadline_ns;
    bool may_read_follower;  /* the client knows how (version 11) */
    struct wire_string rack; /* the client's; borrowed from the request */
    struct io_timer timer;
    bool is_waiting;
    bool must_answer; /* stopped or too late: answers as soon as nothing is loading */
    uint32_t loading; /* items that are; the ask stays until the log lets go of them */
    struct arena results;
    struct shard_message stop;              /* out and home again, on its own */
    void (*stopped)(struct fetch_ask *ask); /* at home, when the stop is back */
    bool is_sent, is_stop_away, is_home;    /* home's */
};

void fetch_perform(struct broker_shard *shard, struct ask *ask);
/* Something it waits for changed: looks again, and answers or waits on. */
void fetch_ask_look(struct fetch_ask *ask);
/* From home: answer now with what there is. */
void fetch_ask_stop(struct fetch_ask *ask, uint32_t shard_id);

/* ---- Offsets ---- */

#define OFFSET_LATEST (-1)
#define OFFSET_EARLIEST (-2)
#define OFFSET_MAX_TIMESTAMP (-3)
#define OFFSET_EARLIEST_LOCAL (-4)
#define OFFSET_LATEST_TIERED (-5)
#define OFFSET_OF_EPOCH_END (-100) /* not of Kafka's ListOffsets: the end of a leader epoch */

struct offset_item {
    struct ask_item head;  /* first */
    struct list_node node; /* the partition's list, while its leader takes over */
    struct offset_ask *ask;
    int64_t timestamp_ms; /* a time, or one of the above */
    int32_t current_leader_epoch;
    int32_t epoch;              /* with OFFSET_OF_EPOCH_END */
    int64_t found_timestamp_ms; /* -1 where there is none */
    int64_t found_offset;       /* -1: no such record */
    int32_t found_epoch;        /* -1: unknown */
    uint64_t log_start_offset;
    struct log_find_time find;
    struct buf_slice batch; /* with a reference, while it is looked through */
    struct io_work work;
};

struct offset_ask {
    struct ask ask; /* first */
    struct broker_shard *shard;
};

void offsets_perform(struct broker_shard *shard, struct ask *ask);

/* ---- Deletion of records ---- */

#define DELETE_TO_HIGH_WATERMARK (-1)

struct delete_item {
    struct ask_item head;  /* first */
    struct list_node node; /* the partition's list of those that wait for the start to move */
    struct delete_ask *ask;
    int64_t offset;        /* what is before it goes; or DELETE_TO_HIGH_WATERMARK */
    int64_t low_watermark; /* where the log starts then; -1 with an error */
    bool is_answered;
};

struct delete_ask {
    struct ask ask; /* first */
    struct broker_shard *shard;
    uint64_t deadline_ns;
    struct io_timer timer;
};

void delete_perform(struct broker_shard *shard, struct ask *ask);

/* ---- Sizes ---- */

struct size_item {
    struct ask_item head; /* first */
    int32_t partition;
    bool is_here; /* a replica of it runs here */
    uint64_t size_bytes;
};

void sizes_perform(struct broker_shard *shard, struct ask *ask);

/* ---- Producers ---- */

struct producers_item {
    struct ask_item head;                   /* first */
    struct producer_description *producers; /* owned by the asker, to be freed; NULL: none */
    size_t producer_count;
};

void producers_perform(struct broker_shard *shard, struct ask *ask);

#endif
