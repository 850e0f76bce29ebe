/* SPDX-License-Identifier: Apache-2.0
 *
 * backlog.c -- how many proposed bytes are not committed yet, in a handful of steps.
 *
 * Steps are at least an eighth of the limit, except the newest, so the count is too high by at most
 * that and never too low; a busy leader pays no list of entries for it.
 *
 * Invariant: backlog_bytes is the sum of the steps.
 * Locality: the shard of the group.
 */
#include "base/assert.h"
#include "raft/raft_private.h"

#include <string.h>

void raft_backlog_add(struct raft *raft, uint64_t last_index, uint64_t bytes)
{
    uint64_t step_bytes = raft->options.uncommitted_bytes_max / RAFT_BACKLOG_STEPS;
    struct raft_backlog_step *newest =
        raft->backlog_count == 0 ? NULL : &raft->backlog[raft->backlog_count - 1];
    require(newest == NULL || newest->last_index < last_index);
    raft->backlog_bytes += bytes;
    bool is_full = raft->backlog_count == RAFT_BACKLOG_STEPS;
    if (newest != NULL && (is_full || newest->bytes < step_bytes)) {
        newest->bytes += bytes;
        newest->last_index = last_index;
        return;
    }
    raft->backlog[raft->backlog_count++] =
        (struct raft_backlog_step){.last_index = last_index, .bytes = bytes};
}

void raft_backlog_commit(struct raft *raft)
{
    uint32_t done = 0;
    while (done < raft->backlog_count && raft->backlog[done].last_index <= raft->commit_index) {
        ensure(raft->backlog_bytes >= raft->backlog[done].bytes);
        raft->backlog_bytes -= raft->backlog[done].bytes;
        done += 1;
    }
    raft->backlog_count -= done;
    memmove(raft->backlog, raft->backlog + done, raft->backlog_count * sizeof(raft->backlog[0]));
}
