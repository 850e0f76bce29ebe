/* SPDX-License-Identifier: Apache-2.0
 *
 * history.h -- what the clients of one world did and were told: every value sent, with the fate its
 * producer was told, and every offset seen.
 *
 * A value is a number, unlike all others of the world, and the bytes that follow from it.  In a
 * topic with keys it has one, and may be a tombstone: then it has no bytes, and its number stands
 * in a header.  A topic here is one life of a topic: created again under its old name it is another
 * one.
 *
 * The recording functions hand what they record to the rules (check_sends.c, check_reads.c), which
 * fail the world when a promise is broken.  Recording keeps the first truth told of an offset.
 *
 * Times are the world's true time.  Not here: how the clients came to know.
 */
#ifndef TESTS_SIM_DRILL_HISTORY_H
#define TESTS_SIM_DRILL_HISTORY_H

#include "base/uuid.h"
#include "wire/batch.h"
#include "world/world.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_TOPICS_MAX 64
#define HISTORY_PARTITIONS_MAX 8
#define HISTORY_TOPIC_NAME_SIZE 32
#define HISTORY_NO_VALUE UINT32_MAX
#define HISTORY_VALUE_BYTES_LEAST 8 /* its number */
#define HISTORY_NO_KEY UINT32_MAX
#define HISTORY_KEY_BYTES_LEAST 4

enum history_fate {
    HISTORY_OPEN,    /* sent or about to be */
    HISTORY_ACKED,   /* the producer was told yes */
    HISTORY_FAILED,  /* told no, for sure: it must never be read */
    HISTORY_UNKNOWN, /* may be there or not */
};

struct history_value {
    uint32_t topic;
    uint32_t partition;
    uint32_t session;  /* of an idempotent producer's id; 0: sent plainly */
    uint32_t previous; /* the one before and the one behind it in its session and partition, */
    uint32_t next;     /* or HISTORY_NO_VALUE */
    uint32_t key;      /* or HISTORY_NO_KEY */
    uint32_t bytes;    /* 0: a tombstone */
    enum history_fate fate;
    int8_t acks;
    bool is_read;
    bool is_read_at_end; /* after the last fault */
    int64_t offset;      /* acked at or read at; -1: not known */
    int64_t
        acked_before; /* the largest offset acked in its partition before it was sent; -1: none */
    uint64_t sent_ns;
    uint64_t done_ns;
};

/* What is known to stand in a partition. */
struct history_partition {
    uint32_t *values; /* by offset: HISTORY_NO_VALUE where nothing is known */
    size_t length;
    size_t capacity;
    int64_t acked_most; /* with acks=all; -1: none */
    int64_t start;      /* where the last reading from the beginning began */
    int64_t trim_asked; /* everything before may have been deleted by request */
    int64_t trim_acked; /* and this much was, as was told */
};

enum history_topic_state {
    HISTORY_TOPIC_CREATING,
    HISTORY_TOPIC_LIVE,      /* its creation was acknowledged */
    HISTORY_TOPIC_DELETING,  /* its deletion was asked for */
    HISTORY_TOPIC_DELETED,   /* and acknowledged */
    HISTORY_TOPIC_ABANDONED, /* nobody knows whether it exists */
};

struct history_topic {
    char name[HISTORY_TOPIC_NAME_SIZE];
    enum history_topic_state state;
    bool churns;           /* may be deleted */
    bool keeps_everything; /* but what is deleted by request */
    uint32_t key_count;    /* 0: it has no keys; else it may be compacted */
    uint32_t key_bytes;
    bool keeps_tombstones; /* for longer than the world lasts */
    uint32_t partition_count;
    uint32_t replicas;
    struct uuid id; /* zero: not known */
    uint64_t create_ns;
    uint64_t created_ns;
    uint64_t delete_ns;
    uint64_t deleted_ns;
    struct history_partition partitions[HISTORY_PARTITIONS_MAX];
};

struct history {
    struct sim_world *world;
    struct history_topic topics[HISTORY_TOPICS_MAX];
    uint32_t topic_count;
    struct history_value *values;
    uint32_t value_count;
    uint32_t value_capacity;
    uint32_t session_count;
    uint64_t acked;
    uint64_t failed;
    uint64_t unknown;
    uint64_t records_read;
    bool is_at_end; /* the last reading has begun */
    bool has_rot;   /* somewhere bytes are not what was written, and consumers may be given them */
};

void history_init(struct history *history, struct sim_world *world);
void history_free(struct history *history);

/* A new life of a topic, CREATING; its number. */
uint32_t history_topic_add(struct history *history, const char *name, uint32_t partition_count,
                           uint32_t replicas);

/* A new value, OPEN, sent from now on; its number.  previous: the one before it in its session and
 * partition, or HISTORY_NO_VALUE.  key: in a topic with keys, else HISTORY_NO_KEY; bytes 0: a
 * tombstone. */
uint32_t history_send(struct history *history, uint32_t topic, uint32_t partition, uint32_t session,
                      uint32_t previous, int8_t acks, uint32_t key, uint32_t bytes);
/* offset -1: acknowledged without saying where. */
void history_ack(struct history *history, uint32_t value, int64_t offset);
void history_fail(struct history *history, uint32_t value);
void history_give_up(struct history *history, uint32_t value);

/* Adds the record of a value to a batch. */
void history_value_write(const struct history *history, uint32_t value,
                         struct wire_batch_writer *writer);
/* A consumer was given a record; reports what is wrong with it. */
void history_read(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                  const struct wire_record *record);

/* The value known at an offset, or HISTORY_NO_VALUE. */
uint32_t history_at(const struct history *history, uint32_t topic, uint32_t partition,
                    int64_t offset);
struct history_partition *history_partition(struct history *history, uint32_t topic,
                                            uint32_t partition);
/* Keeps value as what stands at offset; the caller has compared it with what was known. */
void history_put(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                 uint32_t value);

#endif
