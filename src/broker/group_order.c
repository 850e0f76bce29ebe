/* SPDX-License-Identifier: Apache-2.0
 *
 * group_order.c -- see group_order.h.
 */
#include "broker/group_order.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker_process.h"

struct group_order {
    struct shard_message message;
    struct broker_shard *home;
    struct broker_shard *where;
    bool starts;
    bool is_objectionable;
    struct partition_spec spec; /* to stop, the id alone */
    struct group_order_result result;
    group_order_done done;
    void *context;
};

static void deliver_home(struct shard *shard, struct shard_message *message)
{
    (void)shard;
    struct group_order *order = container_of(message, struct group_order, message);
    order->done(order->context, &order->result);
    memory_free(order);
}

static bool runs_the_same(const struct group_order *order)
{
    struct partition *partition = partition_find(order->where, order->spec.group_id);
    if (partition == NULL) {
        return false;
    }
    const struct partition_spec *running = partition_spec_of(partition);
    return uuid_equal(&running->topic_id, &order->spec.topic_id) &&
           running->partition == order->spec.partition &&
           raft_membership_equal(&running->members, &order->spec.members);
}

static void worked(void *context, enum replica_result result)
{
    struct group_order *order = context;
    order->result.result = result;
    order->result.runs_the_same = result == REPLICA_ALREADY_RUNNING && runs_the_same(order);
    list_node_init(&order->message.node);
    order->message.deliver = deliver_home;
    shard_post(order->where->shard, broker_shard_id(order->home), &order->message);
}

static void deliver_out(struct shard *shard, struct shard_message *message)
{
    struct group_order *order = container_of(message, struct group_order, message);
    order->where = shard_owner(shard);
    bool is_running = partition_find(order->where, order->spec.group_id) != NULL;
    if (order->is_objectionable && !is_running) {
        worked(order, REPLICA_BAD_REQUEST);
    } else if (order->starts) {
        partition_start(order->where, &order->spec, worked, order);
    } else {
        partition_stop(order->where, order->spec.group_id, true, worked, order);
    }
}

static void order_post(struct broker_shard *shard, struct group_order *order)
{
    require(order->spec.group_id != 0);
    order->home = shard;
    list_node_init(&order->message.node);
    order->message.deliver = deliver_out;
    shard_post(shard->shard,
               replica_shard_of_group(order->spec.group_id, shard->broker->shard_count),
               &order->message);
}

void group_order_start(struct broker_shard *shard, const struct partition_spec *spec,
                       const char *objection, group_order_done done, void *context)
{
    struct group_order *order = memory_allocate_zeroed(sizeof *order);
    order->starts = true;
    order->is_objectionable = objection != NULL;
    order->spec = *spec;
    order->done = done;
    order->context = context;
    order_post(shard, order);
}

void group_order_remove(struct broker_shard *shard, uint64_t group_id, group_order_done done,
                        void *context)
{
    struct group_order *order = memory_allocate_zeroed(sizeof *order);
    order->spec.group_id = group_id;
    order->done = done;
    order->context = context;
    order_post(shard, order);
}
