/* SPDX-License-Identifier: Apache-2.0
 *
 * read_barrier.c -- a leader proves that it still was one after a question came (thesis 6.4).
 *
 * A barrier is a heartbeat round: it passes when a majority has answered that round or a later one.
 * Barriers asked for in one turn share a round; while a round is under way the next ones gather, so
 * any number of readers costs one round trip at a time.  A lost round is made good by the next
 * tick's.
 *
 * Invariant: barriers[] ascends: passed, failed, then waiting ones.
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

static uint32_t decided_count(const struct raft *raft)
{
    return raft->barrier_passed_count + raft->barrier_failed_count;
}

enum raft_result raft_read_barrier(struct raft *raft, uint64_t *barrier)
{
    if (raft->role != RAFT_LEADER)
        return RAFT_NOT_LEADER;
    if (!raft_is_ready_leader(raft))
        return RAFT_NOT_READY;
    uint64_t next_round = raft->round + 1;
    bool is_shared = raft->barrier_count > decided_count(raft) &&
                     raft->barriers[raft->barrier_count - 1] == next_round;
    if (!is_shared) {
        if (raft->barrier_count == RAFT_BARRIERS_MAX)
            return RAFT_FULL;
        raft->barriers[raft->barrier_count++] = next_round;
    }
    *barrier = next_round;
    raft->is_dirty = true;
    return RAFT_OK;
}

bool raft_barrier_round_is_due(const struct raft *raft)
{
    uint32_t decided = decided_count(raft);
    if (raft->role != RAFT_LEADER || raft->barrier_count == decided)
        return false;
    /* The oldest one waiting has not left yet: then nothing is under way. */
    return raft->barriers[decided] > raft->round;
}

static uint64_t barrier_of(const struct raft_slot *slot)
{
    return slot->barrier_counted;
}

void raft_barriers_confirm(struct raft *raft)
{
    require(raft->role == RAFT_LEADER);
    if (raft->barrier_count == decided_count(raft))
        return;
    ensure(raft->barrier_failed_count == 0);
    uint64_t round = raft_quorum_value(raft, raft->round, barrier_of);
    while (raft->barrier_passed_count < raft->barrier_count &&
           raft->barriers[raft->barrier_passed_count] <= round) {
        raft->barrier_passed_count += 1;
        raft->is_dirty = true;
    }
}

void raft_barriers_fail(struct raft *raft)
{
    raft->barrier_failed_count = raft->barrier_count - raft->barrier_passed_count;
    raft->is_dirty = true;
}
