/* SPDX-License-Identifier: Apache-2.0
 *
 * check_state.c -- at rest the replicas of a group have made the same of the same log.
 *
 *   state-divergence    two replicas that have applied equally much differ in what they hold: the
 *                       cluster's metadata, what is remembered of producers, what is kept of
 *                       consumer groups
 *
 * Compared are the snapshots that the states would write.  Those of metadata and producers are
 * equal bytes for equal states; the records of a group table stand in any order.
 */
#include "drill/check.h"
#include "drill/drill.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "broker/broker.h"
#include "broker/coordinator.h"
#include "broker/partition.h"
#include "broker/partition_state.h"
#include "cluster/cluster.h"
#include "drill/rest.h"
#include "group/group.h"
#include "replica/group.h"
#include "txn/producer.h"
#include "wire/batch.h"

#define RECORD_BYTES_MAX (16u * 1024 * 1024)

struct state {
    uint64_t applied_index;
    uint64_t digest;
};

static uint64_t digest_of(struct buf *content)
{
    uint64_t digest =
        ((uint64_t)content->length_bytes << 32) | crc32c(0, content->data, content->length_bytes);
    buf_release(content);
    return digest;
}

/* ---- Consumer groups ---- */

static uint64_t add_records(const struct wire_batch *batch)
{
    uint64_t sum = 0;
    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(batch, RECORD_BYTES_MAX);
    while (wire_record_reader_next(reader, &record)) {
        size_t key_length = record.key.length > 0 ? (size_t)record.key.length : 0;
        size_t value_length = record.value.length > 0 ? (size_t)record.value.length : 0;
        uint32_t key = crc32c(0, record.key.data, key_length);
        sum += (uint64_t)key << 32 | crc32c(key, record.value.data, value_length);
    }
    wire_record_reader_close(reader);
    return sum;
}

static uint64_t digest_groups(struct group_table *table)
{
    struct buf *content = NULL;
    struct wire_cursor cursor;
    uint64_t sum = 0;
    group_table_snapshot_write(table, &content);
    wire_cursor_init(&cursor, content->data, content->length_bytes, NULL);
    (void)wire_read_int16(&cursor);
    int32_t count = wire_read_int32(&cursor);
    for (int32_t i = 0; i < count; i++) {
        int32_t length = wire_read_int32(&cursor);
        const uint8_t *data = wire_read_raw(&cursor, (size_t)length);
        struct wire_batch batch;
        bool is_batch = data != NULL && wire_batch_read(&batch, data, (size_t)length);
        ensure(is_batch);
        sum += add_records(&batch);
    }
    buf_release(content);
    return sum;
}

/* ---- One replica ---- */

/* False: it does not run on that host. */
static bool state_of_partition(struct drill *drill, uint32_t host, uint64_t group_id,
                               struct state *state)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    if (group == NULL) {
        return false;
    }
    uint32_t shard = replica_shard_of_group(group_id, broker_shard_count(broker));
    const struct partition *partition = partition_find(broker_shard_at(broker, shard), group_id);
    if (partition == NULL) {
        return false;
    }
    struct buf *content = NULL;
    producer_snapshot_write(partition->producers, &content);
    state->applied_index = group->applied_index;
    state->digest = digest_of(content);
    if (partition->coordinator != NULL) {
        state->digest += digest_groups(coordinator_table(partition->coordinator));
    }
    return true;
}

static bool state_of_metadata(struct drill *drill, uint32_t host, uint64_t group_id,
                              struct state *state)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    struct buf *content = NULL;
    if (group == NULL) {
        return false;
    }
    cluster_snapshot_write(broker_shard_at(broker, 0)->metadata, &content);
    state->applied_index = group->applied_index;
    state->digest = digest_of(content);
    return true;
}

/* ---- All of a group ---- */

static void compare(struct drill *drill, uint64_t group_id,
                    bool (*state_of)(struct drill *drill, uint32_t host, uint64_t group_id,
                                     struct state *state))
{
    struct state states[SWARM_BROKERS_MAX + 1];
    bool is_known[SWARM_BROKERS_MAX + 1] = {false};
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        is_known[i] = state_of(drill, i, group_id, &states[i]);
        for (uint32_t j = 1; is_known[i] && j < i; j++) {
            if (is_known[j] && states[j].applied_index == states[i].applied_index &&
                states[j].digest != states[i].digest) {
                sim_world_fail(drill->world,
                               "state-divergence: group %lu at index %lu: brokers %u and %u differ",
                               (unsigned long)group_id, (unsigned long)states[i].applied_index, j,
                               i);
            }
        }
    }
}

void check_states_equal(struct drill *drill)
{
    compare(drill, CLUSTER_CONTROLLER_GROUP_ID, state_of_metadata);
    const struct cluster_metadata *metadata = rest_metadata(drill);
    require(metadata != NULL);
    const struct cluster_topic *topic;
    size_t position = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            compare(drill, topic->partitions[i].group_id, state_of_partition);
        }
    }
}
