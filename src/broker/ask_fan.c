/* SPDX-License-Identifier: Apache-2.0
 *
 * ask_fan.c -- see ask_fan.h.
 */
#include "broker/ask_fan.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/request.h"
#include "broker/topic_place.h"

static struct ask_item *item_at(const struct ask_fan *fan, uint32_t position)
{
    return (void *)((uint8_t *)fan->items + (size_t)position * fan->item_bytes);
}

bool ask_fan_make(struct ask_fan *fan, struct request *request, uint64_t count, size_t item_bytes,
                  size_t answer_bytes)
{
    require(item_bytes >= sizeof(struct ask_item));
    if (count <= ASK_ITEMS_MAX) {
        ask_allow_items(&request->arena, (uint32_t)count, item_bytes + answer_bytes);
        fan->items = arena_allocate_array(&request->arena, (size_t)count, item_bytes);
    }
    if (fan->items == NULL) {
        request_drop(request, "more partitions than a request may name");
        return false;
    }
    fan->request = request;
    fan->item_bytes = item_bytes;
    fan->count = (uint32_t)count;
    return true;
}

void ask_fan_shorten(struct ask_fan *fan, uint32_t count)
{
    require(count <= fan->count);
    fan->count = count;
}

void ask_fan_place(struct ask_item *item, const struct cluster_topic *topic, enum wire_error error,
                   int32_t partition)
{
    item->error = error;
    item->group_id = topic == NULL ? 0 : topic_place_group(topic, partition);
    if (topic != NULL && item->group_id == 0) {
        item->error = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
    }
}

static void answered(struct ask *ask)
{
    struct ask_fan *fan = ask->context;
    ensure(fan->asks_away > 0);
    fan->asks_away--;
    if (fan->asks_away == 0) {
        fan->respond(fan);
    }
}

/* Who is asked, in the order of the request; NULL: no memory. */
static struct ask_item **choose_items(const struct ask_fan *fan)
{
    struct ask_item **items =
        arena_allocate_array(&fan->request->arena, fan->count, sizeof(*items));
    if (items == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < fan->count; i++) {
        items[i] = item_at(fan, i);
    }
    ask_refuse_copies(items, fan->count); /* which sorts them */
    for (uint32_t i = 0; i < fan->count; i++) {
        items[i] = item_at(fan, i);
        items[i]->group_id = items[i]->error == WIRE_ERROR_NONE ? items[i]->group_id : 0;
    }
    return items;
}

void ask_fan_send(struct ask_fan *fan)
{
    struct request *request = fan->request;
    struct ask_share shares[SHARDS_MAX];
    bool complete = true;
    uint32_t share_count = 0;
    uint8_t *asks = NULL;
    require(fan->ask_bytes >= sizeof(struct ask) && fan->perform != NULL && fan->respond != NULL);
    struct ask_item **items = choose_items(fan);
    if (items != NULL) {
        share_count = ask_split(&request->arena, items, fan->count,
                                shard_count(request->shard->shard), shares, &complete);
        asks = arena_allocate_array(&request->arena, share_count, fan->ask_bytes);
    }
    if (!complete || asks == NULL) {
        request_drop(request, "more partitions than a request may name");
        return;
    }
    if (share_count == 0) {
        fan->respond(fan);
        return;
    }
    fan->asks_away = share_count; /* all of them, before the first can come home */
    for (uint32_t i = 0; i < share_count; i++) {
        struct ask *ask = (void *)(asks + i * fan->ask_bytes);
        ask_init(ask, &shares[i], request->shard, fan->perform, answered, fan);
        if (fan->prepare != NULL) {
            fan->prepare(fan, ask);
        }
    }
    for (uint32_t i = 0; i < share_count; i++) {
        ask_send((void *)(asks + i * fan->ask_bytes), shares[i].shard_id);
    }
}
