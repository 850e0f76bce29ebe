/* SPDX-License-Identifier: Apache-2.0
 *
 * proposals.c -- what the owner of a group asks it to do.
 */
#include "base/assert.h"
#include "replica/manager.h"
#include "wire/batch.h"

static enum replica_result result_of(enum raft_result result)
{
    switch (result) {
    case RAFT_OK:
        return REPLICA_OK;
    case RAFT_NOT_LEADER:
        return REPLICA_NOT_LEADER;
    case RAFT_NOT_READY:
        return REPLICA_NOT_READY;
    case RAFT_FULL:
        return REPLICA_FULL;
    case RAFT_BUSY:
        return REPLICA_BUSY;
    case RAFT_BAD_REQUEST:
        return REPLICA_BAD_REQUEST;
    }
    unreachable_code();
}

/* A leader serves when all earlier terms' entries are applied, as told by standing_changed. */
static enum replica_result check(const struct replica_group *group)
{
    require(!group->manager->is_in_apply);
    if (group->state == GROUP_FAILED) {
        return group->failure;
    }
    if (group->state != GROUP_RUNNING) {
        return REPLICA_NOT_RUNNING;
    }
    if (raft_role(group->raft) != RAFT_LEADER) {
        return REPLICA_NOT_LEADER;
    }
    return group->standing.is_leader ? REPLICA_OK : REPLICA_NOT_READY;
}

enum replica_result replica_propose(struct replica_group *group, struct buf *buf, uint8_t *batch,
                                    size_t batch_length, uint32_t record_span,
                                    uint64_t *base_offset)
{
    require(record_span > 0 && batch_length >= WIRE_BATCH_HEAD_BYTES);
    enum replica_result result = check(group);
    if (result != REPLICA_OK) {
        return result;
    }
    struct raft_entry entry;
    result = result_of(raft_propose(group->raft, record_span, batch_length, &entry));
    if (result != REPLICA_OK) {
        group->was_busy = group->was_busy || result == REPLICA_BUSY;
        return result;
    }
    *base_offset = log_next_offset(group->log);
    wire_batch_stamp(batch, (int64_t)*base_offset, (int32_t)entry.term);
    struct log_entry appended = {.first_index = entry.first_index,
                                 .last_index = entry.last_index,
                                 .term = entry.term,
                                 .kind = LOG_ENTRY_BATCH,
                                 .payload = {buf, batch, batch_length}};
    log_append_batch(group->log, &appended);
    replica_group_touched(group);
    return REPLICA_OK;
}

enum replica_result replica_propose_start(struct replica_group *group, uint64_t start_offset)
{
    enum replica_result result = check(group);
    if (result != REPLICA_OK) {
        return result;
    }
    require(start_offset <= group->high_watermark);
    struct raft_entry entry;
    result = result_of(raft_propose_control(group->raft, LOG_START_MOVE_BYTES, &entry));
    if (result != REPLICA_OK) {
        return result;
    }
    uint8_t payload[LOG_START_MOVE_BYTES];
    log_start_move_encode(start_offset, payload);
    struct log_entry appended = {.first_index = entry.first_index,
                                 .last_index = entry.last_index,
                                 .term = entry.term,
                                 .kind = LOG_ENTRY_START_MOVE,
                                 .payload = {NULL, payload, sizeof payload}};
    log_append_control(group->log, &appended);
    replica_group_touched(group);
    return REPLICA_OK;
}

enum replica_result replica_propose_membership(struct replica_group *group,
                                               const struct raft_membership *membership)
{
    enum replica_result result = check(group);
    if (result != REPLICA_OK) {
        return result;
    }
    struct raft_entry entry;
    result = result_of(raft_propose_membership(group->raft, membership, &entry));
    if (result == REPLICA_OK) {
        replica_group_append_control(group, &entry);
        replica_group_touched(group);
    }
    return result;
}

enum replica_result replica_transfer_leadership(struct replica_group *group, uint32_t node_id)
{
    if (group->state != GROUP_RUNNING) {
        return REPLICA_NOT_RUNNING;
    }
    enum raft_result result =
        raft_transfer_leadership(group->raft, node_id, replica_now_ticks(group->manager));
    replica_group_touched(group);
    return result_of(result);
}
