/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_delete.c -- deleting records: moves the start of a partition's log on all its replicas.
 *
 * The move is an entry of the partition's Raft log that takes no offset (docs/adr/0009).  It is
 * answered when it is committed and this leader's own start has moved; every later leader has it in
 * its log before it serves.  A move that is under way already is waited for, not proposed again.
 *
 * Locality: the shard of the partitions.
 */
#include "broker/partition_state.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/replica_error.h"
#include "cluster/topic_name.h"

#include <string.h>

static struct delete_item *item_at(const struct delete_ask *ask, uint32_t position)
{
    return container_of(ask->ask.items[position], struct delete_item, head);
}

static void answer(struct delete_item *item, enum wire_error error, int64_t low_watermark)
{
    struct delete_ask *ask = item->ask;
    list_remove(&item->node);
    item->head.error = error;
    item->low_watermark = low_watermark;
    item->is_answered = true;
    ensure(ask->ask.unanswered > 0);
    ask->ask.unanswered--;
    if (ask->ask.unanswered == 0) {
        io_timer_stop(ask->shard->loop, &ask->timer);
        ask_return(ask->shard, &ask->ask);
    }
}

static void refuse(struct delete_item *item, enum wire_error error)
{
    answer(item, error, -1);
}

/* What speaks against the deletion.  An offset of -1 becomes the high watermark. */
static enum wire_error check(const struct partition *partition, struct delete_item *item)
{
    enum wire_error error = partition_leads(partition, &item->head);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    if (topic_name_is_internal(partition->spec.topic, strlen(partition->spec.topic))) {
        return WIRE_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    if (!partition->rules.deletes_old) {
        return WIRE_ERROR_POLICY_VIOLATION;
    }
    int64_t high_watermark = (int64_t)replica_high_watermark(partition->group);
    item->offset = item->offset == DELETE_TO_HIGH_WATERMARK ? high_watermark : item->offset;
    return item->offset < 0 || item->offset > high_watermark ? WIRE_ERROR_OFFSET_OUT_OF_RANGE
                                                             : WIRE_ERROR_NONE;
}

static bool is_proposed(const struct partition *partition, int64_t offset)
{
    list_for_each(&partition->deletes, node)
    {
        if (container_of(node, struct delete_item, node)->offset >= offset) {
            return true;
        }
    }
    return false;
}

static void begin(struct partition *partition, struct delete_item *item)
{
    enum wire_error error = check(partition, item);
    if (error != WIRE_ERROR_NONE) {
        refuse(item, error);
        return;
    }
    int64_t start_offset = (int64_t)log_start_offset(replica_group_log(partition->group));
    if (item->offset <= start_offset) {
        answer(item, WIRE_ERROR_NONE, start_offset);
        return;
    }
    if (!is_proposed(partition, item->offset)) {
        enum replica_result result =
            replica_propose_start(partition->group, (uint64_t)item->offset);
        if (result != REPLICA_OK) {
            refuse(item, replica_error(result));
            return;
        }
    }
    list_append(&partition->deletes, &item->node);
}

static void deadline(struct io_timer *timer)
{
    struct delete_ask *ask = container_of(timer, struct delete_ask, timer);
    for (uint32_t i = 0, count = ask->ask.count; i < count; i++) {
        /* The ask goes home with its last item's answer and is not touched after it. */
        bool is_last = ask->ask.unanswered == 1;
        struct delete_item *item = item_at(ask, i);
        if (item->is_answered) {
            continue;
        }
        refuse(item, WIRE_ERROR_REQUEST_TIMED_OUT);
        if (is_last) {
            return;
        }
    }
}

void delete_perform(struct broker_shard *shard, struct ask *base)
{
    struct delete_ask *ask = container_of(base, struct delete_ask, ask);
    require(base->count > 0);
    ask->shard = shard;
    base->unanswered = base->count;
    io_timer_init(&ask->timer, deadline);
    io_timer_start(shard->loop, &ask->timer, ask->deadline_ns);
    for (uint32_t i = 0, count = base->count; i < count; i++) {
        struct delete_item *item = item_at(ask, i);
        item->ask = ask;
        item->is_answered = false;
        list_node_init(&item->node);
    }
    for (uint32_t i = 0, count = base->count; i < count; i++) {
        struct delete_item *item = item_at(ask, i);
        struct partition *partition = partition_find(shard, item->head.group_id);
        if (partition == NULL) {
            refuse(item, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
        } else {
            begin(partition, item);
        }
    }
}

/* Answers those that wait for a start up to the offset; error NONE: it is there. */
static void answer_waiting(struct partition *partition, int64_t offset, enum wire_error error)
{
    struct list waiting;
    struct list_node *node = NULL;
    list_init(&waiting);
    while ((node = list_take_first(&partition->deletes)) != NULL) {
        list_append(&waiting, node);
    }
    while ((node = list_take_first(&waiting)) != NULL) {
        struct delete_item *item = container_of(node, struct delete_item, node);
        if (item->offset > offset) {
            list_append(&partition->deletes, node);
        } else if (error == WIRE_ERROR_NONE) {
            answer(item, error, offset);
        } else {
            (void)partition_leads(partition, &item->head); /* who does */
            refuse(item, error);
        }
    }
}

void partition_answer_deletes(struct partition *partition)
{
    answer_waiting(partition, (int64_t)log_start_offset(replica_group_log(partition->group)),
                   WIRE_ERROR_NONE);
}

void partition_fail_deletes(struct partition *partition)
{
    answer_waiting(partition, INT64_MAX, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
}
