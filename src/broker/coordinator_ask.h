/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator_ask.h -- a question to the coordinator of a consumer group, which may live on another
 * shard: it goes out with the request's memory and comes home with its answer.
 *
 * Embedded in the handler's own state, in the arena of the request, which belongs to the performing
 * shard while the ask is away.  What is answered stands in the ask's own arena.
 *
 * Locality: coordinator_ask_send() and answered on the home shard, perform,
 * coordinator_ask_confirm() and coordinator_ask_return() on the performing one.
 */
#ifndef BROKER_COORDINATOR_ASK_H
#define BROKER_COORDINATOR_ASK_H

#include "base/arena.h"
#include "group/group.h"
#include "io/shard.h"

#include <stdint.h>

struct broker_shard;

/* What one answer may take: everything that is known of one group. */
#define COORDINATOR_ANSWER_BYTES_MAX (512u << 20)

struct coordinator_ask {
    struct shard_message message; /* its own */
    struct broker_shard *home;
    struct broker_shard *performing;
    uint64_t raft_group_id;
    struct arena arena;
    void *context; /* the handler's */
    /* table NULL: no replica of that partition runs here.  Ends, now or later, with
     * coordinator_ask_return(). */
    void (*perform)(struct coordinator_ask *ask, struct group_table *table);
    void (*confirmed)(struct coordinator_ask *ask, struct group_table *table); /* its own */
    void (*answered)(struct coordinator_ask *ask);
};

void coordinator_ask_init(struct coordinator_ask *ask, struct broker_shard *home, void *context,
                          void (*perform)(struct coordinator_ask *ask, struct group_table *table),
                          void (*answered)(struct coordinator_ask *ask));
/* To the coordinator of the partition that this Raft group serves. */
void coordinator_ask_send(struct coordinator_ask *ask, uint64_t raft_group_id);
/* To a shard, for all the coordinators on it (coordinator_next()); perform gets no table. */
void coordinator_ask_send_to_shard(struct coordinator_ask *ask, uint32_t shard_id);
/* From perform, for what must not be old: confirmed is called, perhaps from inside this call, with
 * the table of a coordinator that was one at some moment after the call, or with NULL.  A leader
 * that was replaced and does not know it yet would answer with less than another acknowledged. */
void coordinator_ask_confirm(struct coordinator_ask *ask,
                             void (*confirmed)(struct coordinator_ask *ask,
                                               struct group_table *table));
void coordinator_ask_return(struct coordinator_ask *ask);
void coordinator_ask_free(struct coordinator_ask *ask);

/* Walks the tables of a shard that lead: start with position 0; NULL at the end. */
struct group_table *coordinator_next(struct broker_shard *shard, size_t *position);

#endif
