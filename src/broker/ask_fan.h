/* SPDX-License-Identifier: Apache-2.0
 *
 * ask_fan.h -- a request that names partitions and asks each of them the same: its items are made
 * in the order of the request, go out as one ask per shard, and the answer is made when all are
 * home.
 *
 * What must wait at home between the asks (fetches) does without it.
 *
 * Locality: the shard of the request.
 */
#ifndef BROKER_ASK_FAN_H
#define BROKER_ASK_FAN_H

#include "broker/ask.h"
#include "cluster/cluster.h"
#include "wire/cursor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

/* Embedded in the handler's work, which lives in the request's arena. */
struct ask_fan {
    struct request *request;
    /* Set by the handler before ask_fan_send(): */
    size_t ask_bytes; /* of its kind of ask, which begins with a struct ask */
    void (*perform)(struct broker_shard *shard, struct ask *ask);
    void (*prepare)(struct ask_fan *fan, struct ask *ask); /* before it is sent; NULL: nothing */
    void (*respond)(struct ask_fan *fan);                  /* once, when every item is answered */
    /* The fan's own: */
    void *items;
    size_t item_bytes;
    uint32_t count;
    uint32_t asks_away;
};

/* Makes count zeroed items, each of item_bytes and beginning with a struct ask_item; answer_bytes:
 * what the answer takes for one of them.  False, with the request dropped, when that is too much.
 */
bool ask_fan_make(struct ask_fan *fan, struct request *request, uint64_t count, size_t item_bytes,
                  size_t answer_bytes);

/* Only the first count of the items made are asked. */
void ask_fan_shorten(struct ask_fan *fan, uint32_t count);

/* Where the partition is that the item asks for.  topic NULL: error says why it is not known. */
void ask_fan_place(struct ask_item *item, const struct cluster_topic *topic, enum wire_error error,
                   int32_t partition);

/* Sends out the items without error; those that name the same partition are refused
 * (INVALID_REQUEST). */
void ask_fan_send(struct ask_fan *fan);

#endif
