/* SPDX-License-Identifier: Apache-2.0
 *
 * ask.c -- splitting a request's items by shard, and the way out and home of an ask.
 *
 * Locality: see ask.h.
 */
#include "broker/ask.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "replica/replica.h"

#include <stdlib.h>

static int compare_groups(const void *left, const void *right)
{
    uint64_t left_id = (*(struct ask_item *const *)left)->group_id;
    uint64_t right_id = (*(struct ask_item *const *)right)->group_id;
    return (left_id > right_id) - (left_id < right_id);
}

void ask_refuse_copies(struct ask_item **items, uint32_t count)
{
    require(count <= ASK_ITEMS_MAX);
    qsort(items, count, sizeof(*items), compare_groups);
    for (uint32_t i = 1; i < count; i++) {
        if (items[i]->group_id != 0 && items[i]->group_id == items[i - 1]->group_id) {
            items[i]->error = WIRE_ERROR_INVALID_REQUEST;
            items[i - 1]->error = WIRE_ERROR_INVALID_REQUEST;
        }
    }
}

uint32_t ask_split(struct arena *arena, struct ask_item *const *items, uint32_t count,
                   uint32_t shards, struct ask_share shares[SHARDS_MAX], bool *complete)
{
    require(shards >= 1 && shards <= SHARDS_MAX);
    uint32_t counts[SHARDS_MAX] = {0};
    for (uint32_t i = 0; i < count; i++) {
        if (items[i]->group_id != 0) {
            counts[replica_shard_of_group(items[i]->group_id, shards)]++;
        }
    }

    *complete = true;
    uint32_t share_count = 0;
    for (uint32_t shard_id = 0; shard_id < shards; shard_id++) {
        if (counts[shard_id] == 0) {
            continue;
        }
        struct ask_share *share = &shares[share_count];
        share->shard_id = shard_id;
        share->count = 0;
        share->items = arena_allocate_array(arena, counts[shard_id], sizeof(struct ask_item *));
        if (share->items == NULL) {
            *complete = false;
            return 0;
        }
        for (uint32_t i = 0; i < count; i++) {
            if (items[i]->group_id != 0 &&
                replica_shard_of_group(items[i]->group_id, shards) == shard_id) {
                share->items[share->count++] = items[i];
            }
        }
        share_count++;
    }
    return share_count;
}

static void deliver_out(struct shard *shard, struct shard_message *message)
{
    struct ask *ask = container_of(message, struct ask, message);
    ask->perform(shard_owner(shard), ask);
}

static void deliver_home(struct shard *shard, struct shard_message *message)
{
    struct ask *ask = container_of(message, struct ask, message);
    require(shard_owner(shard) == ask->home);
    ask->answered(ask);
}

void ask_init(struct ask *ask, const struct ask_share *share, struct broker_shard *home,
              void (*perform)(struct broker_shard *shard, struct ask *ask),
              void (*answered)(struct ask *ask), void *context)
{
    *ask = (struct ask){.home = home,
                        .context = context,
                        .perform = perform,
                        .answered = answered,
                        .items = share->items,
                        .count = share->count};
}

void ask_send(struct ask *ask, uint32_t to)
{
    require(ask->count > 0);
    if (to == shard_id(ask->home->shard)) {
        ask->perform(ask->home, ask);
        return;
    }
    list_node_init(&ask->message.node);
    ask->message.deliver = deliver_out;
    shard_post(ask->home->shard, to, &ask->message);
}

void ask_return(struct broker_shard *shard, struct ask *ask)
{
    require(ask->unanswered == 0);
    if (shard == ask->home) {
        ask->answered(ask);
        return;
    }
    list_node_init(&ask->message.node);
    ask->message.deliver = deliver_home;
    shard_post(shard->shard, shard_id(ask->home->shard), &ask->message);
}
