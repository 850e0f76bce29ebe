/* SPDX-License-Identifier: Apache-2.0
 *
 * read_replica.c -- see read_replica.h.
 */
#include "broker/read_replica.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/partition_state.h"

#include <string.h>

static bool stands_in(const struct broker_shard *shard, uint32_t broker_id, struct wire_string rack)
{
    const struct cluster_broker *broker = cluster_broker_find(shard->metadata, broker_id);
    return broker != NULL && wire_string_equal(rack, broker->rack);
}

/* Replicas drop what is too old each in its own time.  A client that were sent to a follower which
 * has dropped what it wants already would be sent back, and here again, so what will be dropped
 * next is read from the leader: of a log that is cut at its beginning the oldest quarter. */
static bool is_kept_by_all(const struct partition *partition, int64_t offset)
{
    const struct log_retention *retention = &partition->rules.retention;
    bool is_cut = partition->rules.deletes_old &&
                  (retention->retention_ms >= 0 || retention->retention_bytes >= 0);
    int64_t start = (int64_t)log_start_offset(replica_group_log(partition->group));
    int64_t end = (int64_t)replica_high_watermark(partition->group);
    return offset >= start && (!is_cut || offset - start >= (end - start) / 4);
}

uint32_t read_replica_choose(const struct partition *partition, struct wire_string rack,
                             int64_t offset)
{
    const struct broker_shard *shard = partition->shard;
    require(partition->standing.is_leader);
    if (!shard->config->enable_follower_read || rack.length <= 0 ||
        stands_in(shard, shard->broker_id, rack) || !is_kept_by_all(partition, offset)) {
        return 0;
    }
    struct replica_group_view view;
    replica_group_view(partition->group, &view);
    uint64_t index = log_index_before(replica_group_log(partition->group), (uint64_t)offset);
    const struct replica_member_view *best = NULL;
    for (uint32_t i = 0; i < view.member_count; i++) {
        const struct replica_member_view *member = &view.members[i];
        bool can = member->node_id != shard->broker_id && member->is_voter && member->is_active &&
                   member->match_index >= index;
        if (can && (best == NULL || member->match_index > best->match_index) &&
            stands_in(shard, member->node_id, rack) && broker_is_live(shard, member->node_id)) {
            best = member;
        }
    }
    return best == NULL ? 0 : best->node_id;
}

bool read_replica_may_serve(const struct partition *partition)
{
    const struct broker_shard *shard = partition->shard;
    return shard->config->enable_follower_read && partition->life == PARTITION_RUNNING &&
           partition->standing.leader != 0 && partition->standing.leader != shard->broker_id &&
           !replica_group_is_joining(partition->group);
}
