/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator_ask.c -- the way of an ask to a coordinator and home.
 *
 * Locality: as the header says.
 */
#include "broker/coordinator_ask.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/coordinator.h"
#include "broker/partition_state.h"

void coordinator_ask_init(struct coordinator_ask *ask, struct broker_shard *home, void *context,
                          void (*perform)(struct coordinator_ask *ask, struct group_table *table),
                          void (*answered)(struct coordinator_ask *ask))
{
    *ask = (struct coordinator_ask){
        .home = home, .context = context, .perform = perform, .answered = answered};
    arena_init(&ask->arena, COORDINATOR_ANSWER_BYTES_MAX);
}

/* NULL when no replica of the partition runs here. */
static struct partition *partition_of(const struct coordinator_ask *ask)
{
    struct partition *partition =
        ask->raft_group_id != 0 ? partition_find(ask->performing, ask->raft_group_id) : NULL;
    return partition != NULL && partition->coordinator != NULL ? partition : NULL;
}

static void perform(struct broker_shard *shard, struct coordinator_ask *ask)
{
    ask->performing = shard;
    struct partition *partition = partition_of(ask);
    ask->perform(ask, partition != NULL ? coordinator_table(partition->coordinator) : NULL);
}

static void lead_confirmed(void *context, bool is_confirmed)
{
    struct coordinator_ask *ask = context;
    struct partition *partition = is_confirmed ? partition_of(ask) : NULL;
    ask->confirmed(ask, partition != NULL ? coordinator_table(partition->coordinator) : NULL);
}

void coordinator_ask_confirm(struct coordinator_ask *ask,
                             void (*confirmed)(struct coordinator_ask *ask,
                                               struct group_table *table))
{
    struct partition *partition = partition_of(ask);
    ask->confirmed = confirmed;
    if (partition == NULL || !group_table_leads(coordinator_table(partition->coordinator))) {
        confirmed(ask, NULL);
    } else {
        replica_read_barrier(partition->group, lead_confirmed, ask);
    }
}

static void deliver_out(struct shard *shard, struct shard_message *message)
{
    perform(shard_owner(shard), container_of(message, struct coordinator_ask, message));
}

static void deliver_home(struct shard *shard, struct shard_message *message)
{
    struct coordinator_ask *ask = container_of(message, struct coordinator_ask, message);
    require(shard_owner(shard) == ask->home);
    ask->answered(ask);
}

void coordinator_ask_send_to_shard(struct coordinator_ask *ask, uint32_t to)
{
    if (to == shard_id(ask->home->shard)) {
        perform(ask->home, ask);
        return;
    }
    list_node_init(&ask->message.node);
    ask->message.deliver = deliver_out;
    shard_post(ask->home->shard, to, &ask->message);
}

void coordinator_ask_send(struct coordinator_ask *ask, uint64_t raft_group_id)
{
    require(raft_group_id != 0);
    ask->raft_group_id = raft_group_id;
    coordinator_ask_send_to_shard(
        ask, replica_shard_of_group(raft_group_id, shard_count(ask->home->shard)));
}

void coordinator_ask_return(struct coordinator_ask *ask)
{
    struct broker_shard *from = ask->performing;
    if (from == ask->home) {
        ask->answered(ask);
        return;
    }
    list_node_init(&ask->message.node);
    ask->message.deliver = deliver_home;
    shard_post(from->shard, shard_id(ask->home->shard), &ask->message);
}

void coordinator_ask_free(struct coordinator_ask *ask)
{
    arena_free(&ask->arena);
}

struct group_table *coordinator_next(struct broker_shard *shard, size_t *position)
{
    struct partition *partition;
    while ((partition = map_next(&shard->partitions, position)) != NULL) {
        if (partition->coordinator != NULL) {
            struct group_table *table = coordinator_table(partition->coordinator);
            if (group_table_leads(table)) {
                return table;
            }
        }
    }
    return NULL;
}
