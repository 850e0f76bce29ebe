/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.h -- work on partitions that may live on other shards: one ask per shard and request goes
 * out, holding that shard's share of the request's items, and comes home answered.
 *
 * The memory of asks and items is the request's arena; while an ask is away it belongs to the shard
 * that performs it, and the request waits until all its asks are home.  Payload is not copied:
 * items point into the request's frame.  On the home shard itself both ways are plain calls.
 *
 * Locality: ask_send() and answered on the home shard, perform and ask_return() on the performing
 * one.
 */
#ifndef BROKER_ASK_H
#define BROKER_ASK_H

#include "base/arena.h"
#include "io/shard.h"
#include "wire/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct broker_shard;

/* Partitions that one request may name: each costs far more here than on the wire. */
#define ASK_ITEMS_MAX 100000

/* What the items of all asks begin with: one partition of a request. */
struct ask_item {
    uint64_t group_id; /* 0: answered at home, not asked for */
    enum wire_error error;
    uint32_t leader; /* with NOT_LEADER_OR_FOLLOWER and epoch errors: who leads (0 unknown) and its
                        term */
    uint64_t term;
};

struct ask {
    struct shard_message message; /* first, so that a message is its ask */
    struct broker_shard *home;
    void *context; /* the asking handler's */
    /* Works on the items, at once or in later turns, and ends with ask_return(). */
    void (*perform)(struct broker_shard *shard, struct ask *ask);
    void (*answered)(struct ask *ask);
    struct ask_item **items;
    uint32_t count;
    uint32_t unanswered; /* items the performing shard still works on */
};

/* The items of one shard, in the order of the request. */
struct ask_share {
    uint32_t shard_id;
    uint32_t count;
    struct ask_item **items;
};

/* Splits the items that have a group by the shard of it.  Returns the number of shares written, at
 * most SHARDS_MAX; *complete false when the arena is exhausted. */
uint32_t ask_split(struct arena *arena, struct ask_item *const *items, uint32_t count,
                   uint32_t shards, struct ask_share shares[SHARDS_MAX], bool *complete);

/* Items that name the same partition get INVALID_REQUEST, every one of them; the array is sorted.
 */
void ask_refuse_copies(struct ask_item **items, uint32_t count);

/* Raises the arena's limit, which is made for decoding, by what each partition named in the request
 * costs beyond that. */
static inline void ask_allow_items(struct arena *arena, uint32_t count, size_t item_bytes)
{
    arena->limit_bytes += (size_t)count * (item_bytes + 2 * sizeof(struct ask_item *) + 16);
}

/* Makes the ask for a share. */
void ask_init(struct ask *ask, const struct ask_share *share, struct broker_shard *home,
              void (*perform)(struct broker_shard *shard, struct ask *ask),
              void (*answered)(struct ask *ask), void *context);
void ask_send(struct ask *ask, uint32_t to);
/* All items are answered: the ask goes home, and its memory is no longer this shard's. */
void ask_return(struct broker_shard *shard, struct ask *ask);

#endif
