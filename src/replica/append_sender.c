/* SPDX-License-Identifier: Apache-2.0
 *
 * append_sender.c -- carrying out the core's sends: the entries are read from the log, from memory
 * at once or from file a little later, and put into the peer's frame by reference.  What goes to
 * learners is kept below a rate: a send that comes too early waits for its time.
 *
 * Every send is reported back to the core exactly once, whatever became of it.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"
#include "replica/quarantine.h"

#include <errno.h>
#include <string.h>

struct replica_send {
    struct list_node node; /* waiting at its peer, or spare */
    struct replica_group *group;
    struct raft_send send;
    struct log_read read;
};

static struct replica_send *take_spare(struct replica_manager *manager)
{
    struct list_node *node = list_take_first(&manager->spare_sends);
    if (node != NULL) {
        return container_of(node, struct replica_send, node);
    }
    struct replica_send *send = memory_allocate_zeroed(sizeof *send);
    list_node_init(&send->node);
    return send;
}

static void give_back(struct replica_manager *manager, struct replica_send *send)
{
    send->group = NULL;
    list_append(&manager->spare_sends, &send->node);
}

/* Tells the core that nothing was sent. */
static void report_nothing(struct replica_group *group, const struct raft_send *send)
{
    if (group->state == GROUP_RUNNING) {
        raft_append_sent(group->raft, send->to, send->index, 0);
        replica_group_touched(group);
    }
}

/* ---- The rate of learners ---- */

static bool is_to_learner(const struct replica_group *group, const struct raft_send *send)
{
    return raft_membership_has_learner(raft_membership(group->raft), send->to);
}

static bool must_wait(const struct replica_group *group, const struct raft_send *send)
{
    const struct replica_manager *manager = group->manager;
    return manager->options.learner_bytes_per_second > 0 && is_to_learner(group, send) &&
           (!list_is_empty(&manager->learner_sends) ||
            io_now_ns(manager->loop) < manager->learner_due_ns);
}

void replica_set_learner_rate(struct replica_manager *manager, uint64_t bytes_per_second)
{
    manager->options.learner_bytes_per_second = bytes_per_second;
}

/* So many bytes went to a learner: when the next may go. */
static void charge(struct replica_manager *manager, uint64_t bytes)
{
    uint64_t rate = manager->options.learner_bytes_per_second;
    if (rate > 0) {
        uint64_t now_ns = io_now_ns(manager->loop);
        uint64_t from_ns = manager->learner_due_ns > now_ns ? manager->learner_due_ns : now_ns;
        manager->learner_due_ns = from_ns + bytes * 1000000000u / rate;
    }
}

/* ---- Into the frame ---- */

static bool is_still_wanted(const struct replica_group *group, const struct raft_send *send)
{
    return raft_role(group->raft) == RAFT_LEADER && raft_term(group->raft) == send->term;
}

static void send_entries(struct replica_group *group, const struct raft_send *send,
                         const struct log_entry *entries, size_t count)
{
    struct replica_frame_writer *frame = replica_peer_frame(group->manager, send->to);
    if (frame == NULL || count == 0 || !is_still_wanted(group, send)) {
        report_nothing(group, send);
        return;
    }
    count = count < REPLICA_FRAME_ENTRIES_MAX ? count : REPLICA_FRAME_ENTRIES_MAX;
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].payload.length_bytes;
    }
    uint64_t last_index = entries[count - 1].last_index;
    struct raft_message message = {.kind = RAFT_MESSAGE_APPEND,
                                   .group_id = group->id,
                                   .to = send->to,
                                   .term = send->term,
                                   .index = send->index,
                                   .index_term = send->index_term,
                                   .commit = send->commit < last_index ? send->commit : last_index};
    replica_frame_add_append(frame, &message, entries, count);
    if (is_to_learner(group, send)) {
        charge(group->manager, bytes);
    }
    raft_append_sent(group->raft, send->to, last_index, bytes);
    replica_group_touched(group);
}

static void read_failed(struct replica_group *group, const struct raft_send *send, int result)
{
    if (result == -ENODATA) {
        replica_group_sync_prefix(group); /* the core will ask for a snapshot instead */
        report_nothing(group, send);
        return;
    }
    if (replica_read_met_damage(result)) {
        replica_group_damaged(group, "what a follower needs cannot be read");
        raft_append_unreadable(group->raft, send->to);
        replica_group_touched(group);
        return;
    }
    report_nothing(group, send); /* asked for again with the next heartbeats */
}

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct replica_send *sending = container_of(read, struct replica_send, read);
    struct replica_group *group = sending->group;
    struct raft_send send = sending->send;
    give_back(group->manager, sending);
    if (group->state == GROUP_RUNNING) {
        /* What follows a log that was written batch by batch begins behind it, or is not what it
         * says. */
        bool is_misplaced = result == 0 && count > 0 && entries[0].first_index != send.index + 1;
        if (result < 0 || is_misplaced) {
            read_failed(group, &send, is_misplaced ? -EBADMSG : result);
        } else {
            send_entries(group, &send, entries, count);
        }
    }
    replica_group_unhold(group);
}

static void read_entries(struct replica_send *sending)
{
    struct replica_group *group = sending->group;
    memset(&sending->read, 0, sizeof sending->read);
    sending->read.after_index = sending->send.index;
    sending->read.last_index = sending->send.last_index_max;
    sending->read.bytes_max = sending->send.bytes_max;
    sending->read.done = read_done;
    replica_group_hold(group);
    log_read(group->log, &sending->read);
}

/* ---- Waiting for room ---- */

void replica_send_append(struct replica_group *group, const struct raft_send *send)
{
    require(group->state == GROUP_RUNNING);
    struct replica_manager *manager = group->manager;
    bool is_connected = false;
    bool has_room = replica_peer_has_room(manager, send->to, &is_connected);
    if (!is_connected) {
        report_nothing(group, send);
        return;
    }
    struct replica_send *sending = take_spare(manager);
    sending->group = group;
    sending->send = *send;
    if (must_wait(group, send)) {
        list_append(&manager->learner_sends, &sending->node);
    } else if (has_room) {
        read_entries(sending);
    } else {
        list_append(&replica_peer_find(manager, send->to)->waiting_sends, &sending->node);
    }
}

/* One a turn, as what it takes is known only when it is read. */
static void retry_learner(struct replica_manager *manager)
{
    struct list_node *node = list_first(&manager->learner_sends);
    if (node == NULL) {
        return;
    }
    if (io_now_ns(manager->loop) >= manager->learner_due_ns) {
        struct replica_send *sending = container_of(node, struct replica_send, node);
        list_remove(node);
        if (replica_peer_has_room(manager, sending->send.to, NULL)) {
            read_entries(sending);
        } else {
            list_append(&replica_peer_find(manager, sending->send.to)->waiting_sends, node);
        }
        io_loop_again(manager->loop);
    } else {
        io_timer_start(manager->loop, &manager->learner_timer, manager->learner_due_ns);
    }
}

void replica_sends_retry(struct replica_manager *manager)
{
    retry_learner(manager);
    for (uint32_t i = 0; i < manager->peer_count; i++) {
        struct replica_peer *peer = manager->peers_all[i];
        struct list_node *node;
        while (!list_is_empty(&peer->waiting_sends) &&
               replica_peer_has_room(manager, peer->broker_id, NULL)) {
            node = list_take_first(&peer->waiting_sends);
            read_entries(container_of(node, struct replica_send, node));
        }
    }
}

void replica_sends_give_up(struct replica_manager *manager, struct replica_peer *peer)
{
    struct list_node *node;
    list_for_each(&manager->learner_sends, waiting)
    {
        struct replica_send *sending = container_of(waiting, struct replica_send, node);
        if (sending->send.to == peer->broker_id) {
            list_remove(waiting);
            list_append(&peer->waiting_sends, waiting);
        }
    }
    while ((node = list_take_first(&peer->waiting_sends)) != NULL) {
        struct replica_send *sending = container_of(node, struct replica_send, node);
        struct replica_group *group = sending->group;
        struct raft_send send = sending->send;
        give_back(manager, sending);
        report_nothing(group, &send);
    }
}

static void forget_in(struct list *sends, const struct replica_group *group)
{
    list_for_each(sends, node)
    {
        struct replica_send *sending = container_of(node, struct replica_send, node);
        if (sending->group == group) {
            list_remove(&sending->node);
            give_back(group->manager, sending);
        }
    }
}

void replica_sends_forget(struct replica_group *group)
{
    struct replica_manager *manager = group->manager;
    forget_in(&manager->learner_sends, group);
    for (uint32_t i = 0; i < manager->peer_count; i++) {
        forget_in(&manager->peers_all[i]->waiting_sends, group);
    }
}

void replica_sends_free(struct replica_manager *manager)
{
    struct list_node *node;
    while ((node = list_take_first(&manager->spare_sends)) != NULL) {
        memory_free(container_of(node, struct replica_send, node));
    }
}
