/* SPDX-License-Identifier: Apache-2.0
 *
 * turn.c -- the manager's share of a turn, at its end:
 *
 *     groups that are due are ticked; what is committed and durable is applied, and appliers are
 * told; the effects of all dirty groups are collected: their writes go to the log stream in one
 * submit, their messages to each peer in one frame; stops and starts go to the worker.
 *
 * Applying comes before collecting, so that what appliers propose in answer leaves in the same
 * turn.
 */
#include "replica/turn.h"

#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"

/* Collecting a group can make it dirty again (a send that was carried out at once asks for the
 * next). */
#define COLLECT_ROUNDS_PER_TURN 4
#define APPLY_GROUPS_PER_TURN 4096

/* ---- Ticks ---- */

static void tick_due_groups(struct replica_manager *manager)
{
    uint64_t now_ticks = replica_now_ticks(manager);
    if (now_ticks <= manager->due.now_ticks) {
        return;
    }
    struct list ready;
    list_init(&ready);
    replica_due_advance(&manager->due, now_ticks, &ready);
    struct list_node *node;
    while ((node = list_take_first(&ready)) != NULL) {
        struct replica_group *group = container_of(node, struct replica_group, due_node);
        replica_group_tick(group, now_ticks);
        replica_transfers_tick(group, now_ticks);
    }
}

static void tick_timer_fired(struct io_timer *timer)
{
    (void)timer; /* it makes a turn happen; the hook looks at what is due */
}

static void arm_tick_timer(struct replica_manager *manager)
{
    uint64_t next = replica_due_next(&manager->due);
    uint64_t beat = replica_beats_due_ticks(manager);
    next = beat < next ? beat : next;
    if (next == REPLICA_DUE_NEVER) {
        io_timer_stop(manager->loop, &manager->tick_timer);
        return;
    }
    uint64_t deadline_ns = next * REPLICA_TICK_NS;
    if (!io_timer_is_running(&manager->tick_timer) ||
        manager->tick_timer.deadline_ns != deadline_ns) {
        io_timer_start(manager->loop, &manager->tick_timer, deadline_ns);
    }
}

/* ---- Collecting ---- */

static void saved(void *owner, uint64_t write_id, int result)
{
    struct replica_group *group = owner;
    if (result < 0) {
        replica_group_fail(group, REPLICA_DISK_FAILED, "a write or sync failed");
        replica_manager_disk_failed(group->manager, result);
    } else if (group->state == GROUP_RUNNING && write_id != 0) {
        raft_saved(group->raft, write_id, replica_now_ticks(group->manager));
        replica_group_touched(group);
    }
    replica_group_unhold(group);
}

static void add_write(struct replica_group *group, const struct raft_write *write)
{
    struct replica_manager *manager = group->manager;
    if (manager->write_count == manager->write_capacity) {
        manager->write_capacity = manager->write_capacity == 0 ? 64 : 2 * manager->write_capacity;
        manager->writes =
            memory_reallocate(manager->writes, manager->write_capacity * sizeof *manager->writes);
    }
    manager->writes[manager->write_count++] =
        (struct log_write){.log = group->log,
                           .write_id = write->id,
                           .hard_state_changed = write->hard_state_changed,
                           .term = write->term,
                           .vote = write->vote,
                           .owner = group};
    group->is_write_queued = true;
    replica_group_hold(group);
}

static void submit_writes(struct replica_manager *manager)
{
    if (manager->write_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < manager->write_count; i++) {
        ((struct replica_group *)manager->writes[i].owner)->is_write_queued = false;
    }
    replica_creation_sync(manager);
    log_stream_submit(manager->stream, manager->writes, manager->write_count, saved);
    manager->write_count = 0;
}

/* What must be done after the effects were released, as it feeds the core again. */
struct collected {
    struct raft_send sends[2 * RAFT_MEMBERS_MAX];
    uint32_t snapshots[2 * RAFT_MEMBERS_MAX];
    uint32_t send_count;
    uint32_t snapshot_count;
};

static void take_effects(struct replica_group *group, const struct raft_effects *effects,
                         struct collected *collected)
{
    for (uint32_t i = 0; i < effects->message_count; i++) {
        replica_peer_send_message(group, &effects->messages[i]);
    }
    ensure(effects->send_count <= 2 * RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < effects->send_count; i++) {
        collected->sends[i] = effects->sends[i];
    }
    collected->send_count = effects->send_count;
    ensure(effects->snapshot_count <= 2 * RAFT_MEMBERS_MAX);
    for (uint32_t i = 0; i < effects->snapshot_count; i++) {
        collected->snapshots[i] = effects->snapshots[i];
    }
    collected->snapshot_count = effects->snapshot_count;
    replica_barriers_decided(group, effects->barriers, effects->barrier_count, true);
    replica_barriers_decided(group, effects->barriers_failed, effects->barrier_failed_count, false);
    if (effects->commit_changed) {
        log_set_commit(group->log, raft_commit_index(group->raft));
    }
}

static void collect_group(struct replica_group *group)
{
    struct raft_effects effects;
    struct collected collected;
    collected.send_count = 0;
    collected.snapshot_count = 0;
    bool has_effects = raft_collect(group->raft, &effects);
    if (effects.write.id != 0 || log_is_dirty(group->log)) {
        add_write(group, &effects.write);
    }
    replica_group_check_joined(group);
    if (!has_effects) {
        return;
    }
    take_effects(group, &effects, &collected);
    raft_release(group->raft, &effects);
    for (uint32_t i = 0; i < collected.send_count && group->state == GROUP_RUNNING; i++) {
        replica_send_append(group, &collected.sends[i]);
    }
    for (uint32_t i = 0; i < collected.snapshot_count && group->state == GROUP_RUNNING; i++) {
        replica_transfer_start(group, collected.snapshots[i]);
    }
}

static void collect_groups(struct replica_manager *manager)
{
    for (uint32_t i = 0; i < COLLECT_ROUNDS_PER_TURN && !list_is_empty(&manager->dirty); i++) {
        struct list round;
        list_init(&round);
        struct list_node *node;
        while ((node = list_take_first(&manager->dirty)) != NULL) {
            list_append(&round, node);
        }
        while ((node = list_take_first(&round)) != NULL) {
            struct replica_group *group = container_of(node, struct replica_group, dirty_node);
            collect_group(group);
            if (group->state == GROUP_RUNNING) {
                replica_group_touched(group); /* dirty still: into the next round */
            }
        }
        submit_writes(manager);
    }
}

/* ---- The rest ---- */

static void retire_groups(struct replica_manager *manager)
{
    struct list_node *node;
    while ((node = list_take_first(&manager->retiring)) != NULL) {
        replica_group_retire(container_of(node, struct replica_group, apply_node));
    }
}

static void apply_groups(struct replica_manager *manager)
{
    struct list_node *node;
    for (uint32_t i = 0; i < APPLY_GROUPS_PER_TURN; i++) {
        if ((node = list_take_first(&manager->applying)) == NULL) {
            return;
        }
        replica_apply_run(container_of(node, struct replica_group, apply_node));
    }
}

static void submit_tombstones(struct replica_manager *manager)
{
    if (!replica_tombstones_submit(&manager->tombstones)) {
        return;
    }
    struct list_node *node;
    while ((node = list_take_first(&manager->tombstones_waiting)) != NULL) {
        list_append(&manager->tombstones_writing, node);
    }
}

static bool has_more(const struct replica_manager *manager)
{
    return !list_is_empty(&manager->dirty) || !list_is_empty(&manager->applying) ||
           !list_is_empty(&manager->answers) || !list_is_empty(&manager->retiring) ||
           !list_is_empty(&manager->decided_barriers);
}

static void run(struct io_turn_hook *hook)
{
    struct replica_manager *manager = container_of(hook, struct replica_manager, hook);
    uint64_t begin_ns = io_clock_ns(manager->loop);
    manager->is_in_hook = true;
    tick_due_groups(manager);
    replica_beats_look(manager);
    apply_groups(manager);
    retire_groups(manager);
    replica_installs_run(manager);
    replica_answers_give(manager);
    replica_barriers_answer(manager);
    replica_sends_retry(manager);
    collect_groups(manager);
    replica_beats_send(manager);
    replica_peers_flush(manager);
    submit_tombstones(manager);
    replica_life_submit(manager);
    arm_tick_timer(manager);
    manager->is_in_hook = false;
    manager->hook_ns = io_now_ns(manager->loop);
    if (has_more(manager)) {
        io_loop_again(manager->loop);
    }
    uint64_t turn_us = (io_clock_ns(manager->loop) - begin_ns) / 1000;
    if (turn_us > counter_read(&manager->stats.turn_us_max)) {
        counter_set(&manager->stats.turn_us_max, turn_us);
    }
    replica_manager_stop_progress(manager); /* last: the owner may free the manager in it */
}

void replica_manager_wake(struct replica_manager *manager)
{
    /* A hook still to come in this turn sees to it; inside the hook its end does. */
    if (!manager->is_in_hook && manager->hook_ns == io_now_ns(manager->loop)) {
        io_loop_again(manager->loop);
    }
}

void replica_turn_begin(struct replica_manager *manager)
{
    replica_due_init(&manager->due, replica_now_ticks(manager));
    manager->silence_due_ticks = REPLICA_DUE_NEVER;
    io_timer_init(&manager->tick_timer, tick_timer_fired);
    io_timer_init(&manager->learner_timer, tick_timer_fired);
    manager->hook.run = run;
    list_node_init(&manager->hook.node);
    manager->hook_ns = io_now_ns(manager->loop);
    io_turn_hook_add(manager->loop, &manager->hook);
    io_loop_again(manager->loop);
}

void replica_turn_end(struct replica_manager *manager)
{
    io_timer_stop(manager->loop, &manager->tick_timer);
    io_timer_stop(manager->loop, &manager->learner_timer);
    io_turn_hook_remove(manager->loop, &manager->hook);
}
