/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot_install.c -- a follower's side of a snapshot transfer.
 *
 *     RECEIVING  chunks are collected in memory, checked as a whole
 *     READY      the core gets no more input; when nothing is under way for the group ...
 *     WRITING    ... the snapshot replaces the old one on disk: from here on the new state counts
 *     WRITTEN    when nothing reads the log, it is begun anew behind the snapshot's place, the
 * applier is restored, and core and leader are told
 *
 * A crash before WRITING leaves the old state, one after it is finished at the next open
 * (group_open.c).  A failure in between makes the group FAILED; there is never a mixture in
 * service.
 *
 * The log is begun anew on the loop, not on the worker, because others on this shard may look at it
 * at any moment; it costs a few syncs, once for a follower that was away too long.
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/compaction.h"
#include "replica/manager.h"

#include <string.h>

#define RECEIVE_BYTES_MIN (1u << 20) /* first allocation; it doubles as bytes really come */

enum install_phase { RECEIVING, READY, WRITING, WRITTEN };

struct replica_install {
    struct io_work work;
    struct list_node node; /* in the manager's list while READY or WRITTEN */
    struct replica_group *group;
    enum install_phase phase;
    uint32_t from;
    uint64_t term;
    uint64_t transfer_id;
    struct replica_snapshot_place place;
    uint8_t *content;
    uint64_t received;
    uint64_t capacity;
    struct replica_snapshot snapshot; /* from READY on */
    int result;
    char path[REPLICA_PATH_SIZE];
};

/* ---- Answers ---- */

static void answer(struct replica_group *group, uint32_t to, uint64_t term, uint64_t transfer_id,
                   uint64_t received, enum replica_snapshot_status status)
{
    struct replica_frame_writer *frame = replica_peer_frame(group->manager, to);
    if (frame == NULL) {
        return; /* the leader asks again */
    }
    struct replica_snapshot_ack ack = {.group_id = group->id,
                                       .term = term,
                                       .transfer_id = transfer_id,
                                       .received = received,
                                       .status = status};
    replica_frame_add_ack(frame, &ack);
    replica_manager_wake(group->manager);
}

static void answer_install(const struct replica_install *install,
                           enum replica_snapshot_status status)
{
    answer(install->group, install->from, install->term, install->transfer_id, install->received,
           status);
}

/* ---- Receiving ---- */

static void free_install(struct replica_install *install)
{
    install->group->install = NULL;
    list_remove(&install->node);
    replica_snapshot_release(&install->snapshot);
    memory_free(install->content);
    memory_free(install);
}

static struct replica_install *begin(struct replica_group *group, uint32_t from,
                                     const struct replica_snapshot_chunk *chunk)
{
    struct replica_install *install = memory_allocate_zeroed(sizeof *install);
    install->group = group;
    install->from = from;
    install->term = chunk->term;
    install->transfer_id = chunk->transfer_id;
    install->place = chunk->place;
    list_node_init(&install->node);
    replica_group_path(group->manager->options.data_directory, group->id, "", install->path);
    group->install = install;
    trace_info("group %llu: receiving a snapshot of %llu bytes from broker %u",
               (unsigned long long)group->id, (unsigned long long)chunk->place.total_bytes, from);
    return install;
}

static bool is_same_transfer(const struct replica_install *install, uint32_t from,
                             const struct replica_snapshot_chunk *chunk)
{
    return install->from == from && install->term == chunk->term &&
           install->transfer_id == chunk->transfer_id &&
           install->place.total_bytes == chunk->place.total_bytes &&
           install->place.index == chunk->place.index && install->place.crc == chunk->place.crc;
}

static void collect(struct replica_install *install, const struct replica_snapshot_chunk *chunk)
{
    uint64_t length = chunk->data.length_bytes;
    uint64_t needed = install->received + length;
    ensure(needed <= install->place.total_bytes);
    if (needed > install->capacity) {
        uint64_t capacity = install->capacity == 0 ? RECEIVE_BYTES_MIN : 2 * install->capacity;
        capacity = capacity < needed ? needed : capacity;
        install->content = memory_reallocate(install->content, capacity);
        install->capacity = capacity;
    }
    if (length > 0) {
        memcpy(install->content + install->received, chunk->data.data, length);
    }
    install->received = needed;
}

/* The core has what the snapshot would bring; 0 no, 1 yes but not durable yet, 2 yes. */
static int has_already(const struct replica_group *group,
                       const struct replica_snapshot_place *place)
{
    uint64_t term = 0;
    bool is_there = raft_commit_index(group->raft) >= place->log_index ||
                    (raft_term_at(group->raft, place->log_index, &term) && term == place->log_term);
    if (!is_there) {
        return 0;
    }
    return raft_saved_index(group->raft) >= place->log_index ? 2 : 1;
}

static void get_ready(struct replica_install *install)
{
    struct replica_group *group = install->group;
    if (crc32c(0, install->content, install->received) != install->place.crc) {
        trace_warn("group %llu: a snapshot from broker %u came damaged and was dropped",
                   (unsigned long long)group->id, install->from);
        answer_install(install, REPLICA_SNAPSHOT_REFUSED);
        free_install(install);
        return;
    }
    replica_snapshot_wrap(&install->place, install->content, install->received, &install->snapshot);
    memory_free(install->content);
    install->content = NULL;
    install->phase = READY;
    group->is_installing = true;
    list_append(&group->manager->installing, &install->node);
    replica_manager_wake(group->manager);
}

void replica_install_chunk(struct replica_group *group, uint32_t from,
                           const struct replica_snapshot_chunk *chunk)
{
    require(group->state == GROUP_RUNNING);
    if (group->is_installing || chunk->term != raft_term(group->raft) ||
        raft_role(group->raft) == RAFT_LEADER) {
        return; /* busy with one; from a leader of the past; or its heartbeat has to come first */
    }
    int has = has_already(group, &chunk->place);
    if (has == 2) {
        answer(group, from, chunk->term, chunk->transfer_id, 0, REPLICA_SNAPSHOT_INSTALLED);
    }
    if (has != 0) {
        replica_install_drop(group);
        return;
    }
    struct replica_install *install = group->install;
    if (install != NULL && !is_same_transfer(install, from, chunk)) {
        replica_install_drop(group);
        install = NULL;
    }
    if (install == NULL) {
        install = begin(group, from, chunk);
    }
    if (chunk->position == install->received) {
        collect(install, chunk);
    }
    if (install->received == install->place.total_bytes) {
        get_ready(install);
    } else {
        answer_install(install, REPLICA_SNAPSHOT_GOING_ON);
    }
}

void replica_install_drop(struct replica_group *group)
{
    struct replica_install *install = group->install;
    if (install == NULL || install->phase == WRITING) {
        return; /* the work in progress ends it */
    }
    group->is_installing = false;
    free_install(install);
}

/* ---- Installing ---- */

static void fail(struct replica_install *install, enum replica_result result, const char *reason)
{
    struct replica_group *group = install->group;
    answer_install(install, REPLICA_SNAPSHOT_REFUSED);
    group->is_installing = false;
    free_install(install);
    replica_group_fail(group, result, reason);
}

static void run(struct io_work *work)
{
    struct replica_install *install = container_of(work, struct replica_install, work);
    const struct replica_snapshot_place *place = &install->place;
    install->result = log_snapshot_write(install->path, place->index, place->term,
                                         place->next_offset, install->snapshot.envelope->data,
                                         install->snapshot.envelope->length_bytes);
}

static void written(struct io_work *work)
{
    struct replica_install *install = container_of(work, struct replica_install, work);
    struct replica_group *group = install->group;
    group->manager->works--;
    install->phase = WRITTEN;
    if (group->state != GROUP_RUNNING) {
        group->is_installing = false;
        free_install(install); /* the next open finishes it */
    } else if (install->result < 0) {
        /* Whether the old file was replaced is open until the next open reads it. */
        fail(install, REPLICA_DISK_FAILED, strerror(-install->result));
    } else {
        list_append(&group->manager->installing, &install->node);
        replica_manager_wake(group->manager);
    }
    replica_group_unhold(group);
}

static void write_snapshot(struct replica_install *install)
{
    struct replica_group *group = install->group;
    list_remove(&group->dirty_node); /* the core is collected again when the install is done */
    install->phase = WRITING;
    install->work.run = run;
    install->work.done = written;
    list_node_init(&install->work.node);
    replica_group_hold(group);
    group->manager->works++;
    io_work_submit(group->manager->loop, &install->work);
}

static void tell_core(struct replica_install *install)
{
    struct replica_group *group = install->group;
    const struct replica_snapshot_place *place = &install->place;
    group->applied_index = place->index;
    group->snapshot_index = place->index;
    group->bytes_since_snapshot = 0;
    group->membership = place->membership;
    group->membership_index = place->membership_index;
    group->is_installing = false;
    log_set_snapshot(group->log, place->index);
    raft_restored(group->raft, place->log_index, place->log_term, install->term, install->from,
                  &place->membership, place->membership_index, replica_now_ticks(group->manager));
    log_set_commit(group->log, raft_commit_index(group->raft));
    trace_info("group %llu: snapshot of broker %u installed, log from index %llu",
               (unsigned long long)group->id, install->from,
               (unsigned long long)place->log_index + 1);
    answer_install(install, REPLICA_SNAPSHOT_INSTALLED);
    free_install(install);
    replica_group_touched(group);
    replica_apply_mark(group);
}

static void replace(struct replica_install *install)
{
    struct replica_group *group = install->group;
    int result = replica_snapshot_reset_log(group->log, &install->place);
    if (result < 0) {
        replica_manager_disk_failed(group->manager, result);
        fail(install, REPLICA_DISK_FAILED, strerror(-result));
        return;
    }
    const struct applier_type *type = group->applier->type;
    const struct buf_slice *content = &install->snapshot.content;
    type->reset(group->applier);
    if (!type->snapshot_restore(group->applier, content->data, content->length_bytes)) {
        fail(install, REPLICA_DAMAGED, "a leader's snapshot makes no sense to the applier");
        return;
    }
    tell_core(install);
}

void replica_installs_run(struct replica_manager *manager)
{
    list_for_each(&manager->installing, node)
    {
        struct replica_install *install = container_of(node, struct replica_install, node);
        struct replica_group *group = install->group;
        if (group->state == GROUP_RUNNING) {
            log_compaction_cancel(group->log);
        }
        if (group->state != GROUP_RUNNING || group->holds > 0 || !log_is_idle(group->log)) {
            continue; /* whatever it waits for makes another turn */
        }
        list_remove(node);
        if (install->phase == READY) {
            write_snapshot(install);
        } else {
            replace(install);
        }
    }
}
