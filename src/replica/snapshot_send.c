/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot_send.c -- a leader's side of a snapshot transfer: to a follower whose next entry is gone
 * from the log go the applier's state and the place where the log begins, in chunks, a window at a
 * time.
 *
 * The follower answers every chunk with what it holds; that is where sending goes on after a gap or
 * a new connection.  The follower then takes the log from its beginning, so that it holds what
 * consumers may read.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/manager.h"

#define WINDOW_BYTES (1u << 20)
#define RESEND_TICKS 200   /* 2 s without an answer: from the last one again */
#define GIVE_UP_TICKS 3000 /* 30 s */

struct replica_transfer {
    struct list_node node; /* of the group */
    uint32_t node_id;
    uint64_t id;
    uint64_t term;
    struct replica_snapshot snapshot;
    uint64_t acked;
    uint64_t sent;
    bool is_asked; /* a chunk was sent since the last answer or resend: one goes even if there are
                      no bytes */
    uint64_t answered_ticks;
    uint64_t sent_ticks;
};

static struct replica_transfer *find(struct replica_group *group, uint32_t node_id)
{
    list_for_each(&group->transfers, node)
    {
        struct replica_transfer *transfer = container_of(node, struct replica_transfer, node);
        if (transfer->node_id == node_id) {
            return transfer;
        }
    }
    return NULL;
}

static void end(struct replica_transfer *transfer)
{
    list_remove(&transfer->node);
    replica_snapshot_release(&transfer->snapshot);
    memory_free(transfer);
}

static void finish(struct replica_group *group, struct replica_transfer *transfer, bool success)
{
    uint32_t node_id = transfer->node_id;
    uint64_t index = transfer->snapshot.place.log_index;
    trace_info("group %llu: snapshot for broker %u %s", (unsigned long long)group->id, node_id,
               success ? "was installed" : "was given up");
    end(transfer);
    raft_snapshot_sent(group->raft, node_id, index, success);
    replica_group_touched(group);
}

/* ---- Chunks ---- */

static bool send_chunk(struct replica_group *group, struct replica_transfer *transfer)
{
    struct replica_manager *manager = group->manager;
    if (!replica_peer_has_room(manager, transfer->node_id, NULL)) {
        return false;
    }
    const struct buf_slice *content = &transfer->snapshot.content;
    uint64_t length = content->length_bytes - transfer->sent;
    length = length < REPLICA_SNAPSHOT_CHUNK_BYTES ? length : REPLICA_SNAPSHOT_CHUNK_BYTES;
    struct replica_snapshot_chunk chunk = {
        .group_id = group->id,
        .term = transfer->term,
        .transfer_id = transfer->id,
        .place = transfer->snapshot.place,
        .position = transfer->sent,
        .data = {content->buf, content->data + transfer->sent, length},
    };
    struct replica_frame_writer *frame = replica_peer_frame(manager, transfer->node_id);
    ensure(frame != NULL);
    replica_frame_add_chunk(frame, &chunk);
    replica_manager_wake(manager);
    transfer->sent += length;
    transfer->is_asked = true;
    return true;
}

static void send_window(struct replica_group *group, struct replica_transfer *transfer)
{
    uint64_t total = transfer->snapshot.content.length_bytes;
    transfer->sent_ticks = replica_now_ticks(group->manager);
    while (!transfer->is_asked ||
           (transfer->sent < total && transfer->sent - transfer->acked < WINDOW_BYTES)) {
        if (!send_chunk(group, transfer)) {
            return;
        }
    }
}

/* ---- Beginning and end ---- */

/* A fresh snapshot, placed where this log begins. */
static bool take(struct replica_group *group, struct replica_snapshot *snapshot)
{
    uint64_t log_index = raft_first_index(group->raft) - 1;
    if (log_index == 0 || group->applied_index < log_index ||
        group->applied_index > raft_saved_index(group->raft)) {
        return false;
    }
    replica_snapshot_take(group, snapshot);
    struct replica_snapshot_place *place = &snapshot->place;
    bool is_known = raft_term_at(group->raft, log_index, &place->log_term);
    ensure(is_known);
    place->log_index = log_index;
    place->log_offset = log_offset_after(group->log, log_index);
    if (place->membership_index > log_index) {
        place->membership_index = log_index; /* committed later, but what the group knows best */
    }
    return place->total_bytes <= REPLICA_SNAPSHOT_BYTES_MAX;
}

void replica_transfer_start(struct replica_group *group, uint32_t node_id)
{
    require(group->state == GROUP_RUNNING);
    struct replica_manager *manager = group->manager;
    struct replica_transfer *transfer = find(group, node_id);
    if (transfer != NULL) {
        end(transfer);
    }
    transfer = memory_allocate_zeroed(sizeof *transfer);
    transfer->node_id = node_id;
    transfer->id = ++manager->next_transfer_id;
    transfer->term = raft_term(group->raft);
    transfer->answered_ticks = replica_now_ticks(manager);
    list_node_init(&transfer->node);
    list_append(&group->transfers, &transfer->node);
    if (!take(group, &transfer->snapshot)) {
        finish(group, transfer, false);
        return;
    }
    trace_info("group %llu: sending broker %u a snapshot of %llu bytes at index %llu",
               (unsigned long long)group->id, node_id,
               (unsigned long long)transfer->snapshot.place.total_bytes,
               (unsigned long long)transfer->snapshot.place.index);
    send_window(group, transfer);
}

static bool is_of_this_leadership(const struct replica_group *group,
                                  const struct replica_transfer *transfer)
{
    return raft_role(group->raft) == RAFT_LEADER && raft_term(group->raft) == transfer->term;
}

void replica_transfer_ack(struct replica_group *group, uint32_t from,
                          const struct replica_snapshot_ack *ack)
{
    struct replica_transfer *transfer = find(group, from);
    if (transfer == NULL || transfer->id != ack->transfer_id || transfer->term != ack->term ||
        !is_of_this_leadership(group, transfer) ||
        ack->received > transfer->snapshot.content.length_bytes) {
        return;
    }
    transfer->answered_ticks = replica_now_ticks(group->manager);
    if (ack->status != REPLICA_SNAPSHOT_GOING_ON) {
        finish(group, transfer, ack->status == REPLICA_SNAPSHOT_INSTALLED);
        return;
    }
    if (ack->received < transfer->acked) {
        transfer->sent = ack->received; /* it lost what it had: from there again */
    }
    transfer->acked = ack->received;
    if (transfer->sent < transfer->acked) {
        transfer->sent = transfer->acked;
    }
    send_window(group, transfer);
}

void replica_transfers_tick(struct replica_group *group, uint64_t now_ticks)
{
    list_for_each(&group->transfers, node)
    {
        struct replica_transfer *transfer = container_of(node, struct replica_transfer, node);
        if (!is_of_this_leadership(group, transfer)) {
            end(transfer);
        } else if (now_ticks - transfer->answered_ticks > GIVE_UP_TICKS) {
            finish(group, transfer, false);
        } else if (now_ticks - transfer->sent_ticks > RESEND_TICKS) {
            transfer->sent = transfer->acked;
            transfer->is_asked = false;
            send_window(group, transfer);
        }
    }
}

void replica_transfers_end(struct replica_group *group)
{
    struct list_node *node;
    while ((node = list_first(&group->transfers)) != NULL) {
        end(container_of(node, struct replica_transfer, node));
    }
}
