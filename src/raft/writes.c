/* SPDX-License-Identifier: Apache-2.0
 *
 * writes.c -- writes handed to the host and what they prove when they are durable.
 *
 * A write proves the log as it stood when the write left.  When the log is cut while it is under
 * way, the part behind the cut is no longer this log, even if new entries take the same indexes: so
 * a cut caps what every earlier write may prove.
 *
 * Invariants: ids ascend; at most RAFT_WRITES_MAX are tracked, the newest two being merged beyond
 * that, which delays what the earlier one proves and never forges it.
 *
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

#include <string.h>

void raft_writes_begin(struct raft *raft, struct raft_write *write)
{
    *write = (struct raft_write){0};
    if (!raft->is_hard_state_changed && !raft->is_log_changed)
        return;
    write->id = ++raft->last_write_id;
    if (raft->is_hard_state_changed) {
        write->hard_state_changed = true;
        write->term = raft->term;
        write->vote = raft->vote;
        raft->hard_state_write_id = write->id;
    }
    raft->is_hard_state_changed = false;
    raft->is_log_changed = false;
    if (raft->write_count < RAFT_WRITES_MAX) {
        raft->writes = raft_grow(raft->writes, &raft->write_capacity, raft->write_count + 1,
                                 sizeof(raft->writes[0]));
        raft->write_count += 1;
    }
    raft->writes[raft->write_count - 1] =
        (struct raft_pending_write){.id = write->id, .saved_index = raft->last_index};
}

void raft_writes_cap(struct raft *raft, uint64_t index)
{
    for (uint32_t i = 0; i < raft->write_count; ++i)
        raft->writes[i].saved_index = raft_min(raft->writes[i].saved_index, index);
    raft->saved_index = raft_min(raft->saved_index, index);
}

bool raft_hard_state_is_saved(const struct raft *raft)
{
    return !raft->is_hard_state_changed && raft->saved_write_id >= raft->hard_state_write_id;
}

void raft_saved(struct raft *raft, uint64_t write_id, uint64_t now_ticks)
{
    require(write_id > raft->saved_write_id && write_id <= raft->last_write_id);
    raft->now_ticks = raft_max(raft->now_ticks, now_ticks);
    bool was_hard_state_saved = raft_hard_state_is_saved(raft);
    raft->saved_write_id = write_id;
    uint32_t done = 0;
    while (done < raft->write_count && raft->writes[done].id <= write_id) {
        raft->saved_index = raft_max(raft->saved_index, raft->writes[done].saved_index);
        done += 1;
    }
    raft->write_count -= done;
    memmove(raft->writes, raft->writes + done, raft->write_count * sizeof(raft->writes[0]));
    ensure(raft->saved_index <= raft->last_index);
    raft->is_dirty = true;

    if (!was_hard_state_saved && raft_hard_state_is_saved(raft))
        raft_own_vote_saved(raft);
    if (raft->role == RAFT_LEADER)
        raft_advance_commit(raft);
}
