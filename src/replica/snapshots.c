/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshots.c -- the applier's state as bytes with the place it stands for, and making one from
 * time to time, so that a restart applies little and the log's beginning may go.
 *
 * The envelope around the applier's bytes says where the log must at least reach.  For an own
 * snapshot that is its own index; for one from a leader it is where that leader's log began, and
 * since the file is replaced in one step it decides whether an install took place (group_open.c
 * finishes what a crash left).
 */
#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/manager.h"
#include "replica/membership_codec.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <string.h>

#define ENVELOPE_VERSION 0
#define ENVELOPE_HEAD_BYTES 256 /* about; for the first allocation */

/* ---- The envelope ---- */

static void write_head(struct wire_writer *writer, const struct replica_snapshot_place *place,
                       bool is_installed)
{
    uint8_t members[REPLICA_MEMBERSHIP_BYTES_MAX];
    size_t length = replica_membership_encode(&place->membership, members);
    wire_write_int8(writer, ENVELOPE_VERSION);
    wire_write_bool(writer, is_installed);
    wire_write_int64(writer, (int64_t)place->log_index);
    wire_write_int64(writer, (int64_t)place->log_term);
    wire_write_int64(writer, (int64_t)place->log_offset);
    wire_write_int64(writer, (int64_t)place->index);
    wire_write_int64(writer, (int64_t)place->term);
    wire_write_int64(writer, (int64_t)place->next_offset);
    wire_write_int64(writer, (int64_t)place->membership_index);
    wire_write_int16(writer, (int16_t)length);
    wire_write_raw(writer, members, length);
}

static void wrap(const struct replica_snapshot_place *place, bool is_installed,
                 const uint8_t *content, size_t length, struct replica_snapshot *snapshot)
{
    struct wire_writer writer;
    wire_writer_init(&writer, ENVELOPE_HEAD_BYTES + length);
    write_head(&writer, place, is_installed);
    size_t head_length = wire_writer_length(&writer);
    wire_write_raw(&writer, content, length);
    snapshot->place = *place;
    snapshot->is_installed = is_installed;
    snapshot->envelope = wire_writer_take(&writer);
    snapshot->content =
        (struct buf_slice){snapshot->envelope, snapshot->envelope->data + head_length, length};
}

void replica_snapshot_wrap(const struct replica_snapshot_place *place, const uint8_t *content,
                           size_t length, struct replica_snapshot *snapshot)
{
    require(length == place->total_bytes);
    wrap(place, true, content, length, snapshot);
}

static void read_place(struct wire_cursor *cursor, struct replica_snapshot_place *place)
{
    place->log_index = (uint64_t)wire_read_int64(cursor);
    place->log_term = (uint64_t)wire_read_int64(cursor);
    place->log_offset = (uint64_t)wire_read_int64(cursor);
    place->index = (uint64_t)wire_read_int64(cursor);
    place->term = (uint64_t)wire_read_int64(cursor);
    place->next_offset = (uint64_t)wire_read_int64(cursor);
    place->membership_index = (uint64_t)wire_read_int64(cursor);
    size_t length = wire_read_uint16(cursor);
    const uint8_t *members = wire_read_raw(cursor, length);
    if (members == NULL || !replica_membership_decode(&place->membership, members, length)) {
        wire_fail(cursor, "membership");
    }
}

bool replica_snapshot_unwrap(struct replica_snapshot *snapshot, struct buf *envelope)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, envelope->data, envelope->length_bytes, NULL);
    int8_t version = wire_read_int8(&cursor);
    bool is_installed = wire_read_bool(&cursor);
    struct replica_snapshot_place place = {0};
    read_place(&cursor, &place);
    if (cursor.error != NULL || version != ENVELOPE_VERSION || place.log_index > place.index ||
        place.membership_index > place.index) {
        return false;
    }
    snapshot->place = place;
    snapshot->is_installed = is_installed;
    snapshot->envelope = buf_reference(envelope);
    snapshot->content = (struct buf_slice){envelope, cursor.position, wire_remaining(&cursor)};
    return true;
}

void replica_snapshot_release(struct replica_snapshot *snapshot)
{
    buf_release(snapshot->envelope);
    *snapshot = (struct replica_snapshot){0};
}

int replica_snapshot_reset_log(struct log *log, const struct replica_snapshot_place *place)
{
    uint8_t bytes[REPLICA_MEMBERSHIP_BYTES_MAX];
    size_t length = replica_membership_encode(&place->membership, bytes);
    struct log_entry membership = {.first_index = place->membership_index,
                                   .last_index = place->membership_index,
                                   .term = place->log_term,
                                   .kind = LOG_ENTRY_MEMBERSHIP,
                                   .payload = {NULL, bytes, length}};
    log_detach(log);
    return log_reset(log, place->log_index, place->log_term, place->log_offset,
                     place->membership_index == 0 ? NULL : &membership);
}

/* ---- Taking one ---- */

static bool is_possible(const struct replica_group *group)
{
    return group->raft != NULL && !group->is_installing && group->install == NULL &&
           group->applied_index > 0 && group->applied_index <= raft_saved_index(group->raft);
}

bool replica_snapshot_is_useful(const struct replica_group *group)
{
    return is_possible(group) && group->bytes_since_snapshot > 0 &&
           group->applied_index > group->snapshot_index;
}

void replica_snapshot_take(struct replica_group *group, struct replica_snapshot *snapshot)
{
    require(group->raft != NULL && group->log != NULL && group->applied_index > 0);
    require(group->applied_index <= raft_saved_index(group->raft));
    struct buf *content = NULL;
    group->applier->type->snapshot_write(group->applier, &content);
    ensure(content != NULL);
    uint64_t term = 0;
    bool is_known = raft_term_at(group->raft, group->applied_index, &term);
    ensure(is_known);
    /* Soon after a start the membership may be of an entry that is committed and not applied yet:
     * the one before the log's newest. */
    uint64_t membership_index = group->membership_index < group->applied_index
                                    ? group->membership_index
                                    : group->applied_index;
    uint64_t next_offset = log_offset_after(group->log, group->applied_index);
    struct replica_snapshot_place place = {
        .log_index = group->applied_index,
        .log_term = term,
        .log_offset = next_offset,
        .index = group->applied_index,
        .term = term,
        .next_offset = next_offset,
        .membership = group->membership,
        .membership_index = membership_index,
        .total_bytes = content->length_bytes,
        .crc = crc32c(0, content->data, content->length_bytes),
    };
    wrap(&place, false, content->data, content->length_bytes, snapshot);
    buf_release(content);
}

/* ---- From time to time ---- */

struct snapshot_work {
    struct io_work work;
    struct replica_group *group;
    struct replica_snapshot snapshot;
    int result;
    char path[REPLICA_PATH_SIZE];
};

static void run(struct io_work *work)
{
    struct snapshot_work *writing = container_of(work, struct snapshot_work, work);
    const struct replica_snapshot_place *place = &writing->snapshot.place;
    writing->result = log_snapshot_write(writing->path, place->index, place->term,
                                         place->next_offset, writing->snapshot.envelope->data,
                                         writing->snapshot.envelope->length_bytes);
}

/* What followers still have to be sent stays, so that they need no snapshot. */
static uint64_t droppable_index(const struct replica_group *group)
{
    uint64_t index = group->snapshot_index;
    const struct raft_membership *membership = raft_membership(group->raft);
    for (uint32_t i = 0; i < membership->voter_count + membership->learner_count; i++) {
        uint32_t node_id = i < membership->voter_count
                               ? membership->voters[i]
                               : membership->learners[i - membership->voter_count];
        struct raft_progress_view progress;
        if (raft_progress(group->raft, node_id, &progress) && progress.is_active &&
            progress.match_index < index) {
            index = progress.match_index;
        }
    }
    return index;
}

void replica_snapshot_drop_prefix(struct replica_group *group)
{
    static const struct log_retention nothing_else = {-1, -1};
    if (!group->is_drop_due || group->is_installing) {
        return;
    }
    uint64_t index = droppable_index(group);
    group->is_drop_due = index < group->snapshot_index; /* the rest at a later tick */
    if (index < log_first_index(group->log)) {
        return;
    }
    uint64_t offset = log_offset_after(group->log, index);
    if (offset > log_start_offset(group->log)) {
        log_set_start_offset(group->log, offset);
    }
    (void)log_apply_retention(group->log, &nothing_else, io_wall_ms(group->manager->loop));
    replica_log_changed(group);
}

static void done(struct io_work *work)
{
    struct snapshot_work *writing = container_of(work, struct snapshot_work, work);
    struct replica_group *group = writing->group;
    group->is_snapshot_running = false;
    group->manager->works--;
    if (writing->result < 0) {
        /* The old one stays, and the log behind it: nothing is lost, a later one may succeed. */
        trace_warn("group %llu: its snapshot could not be written: %s",
                   (unsigned long long)group->id, strerror(-writing->result));
    } else if (group->state == GROUP_RUNNING && !group->is_installing) {
        group->snapshot_index = writing->snapshot.place.index;
        log_set_snapshot(group->log, group->snapshot_index);
        group->is_drop_due = group->drops_prefix;
        replica_snapshot_drop_prefix(group);
    }
    replica_snapshot_release(&writing->snapshot);
    memory_free(writing);
    replica_group_unhold(group);
}

uint64_t replica_oldest_snapshot_offset(const struct replica_group *group)
{
    bool is_moving = group->is_snapshot_running || group->is_installing || group->install != NULL ||
                     !list_is_empty(&group->transfers);
    if (is_moving) {
        return 0;
    }
    return group->snapshot_index > 0 ? log_offset_after(group->log, group->snapshot_index)
                                     : UINT64_MAX;
}

static void start_writing(struct replica_group *group)
{
    require(!group->is_snapshot_running && is_possible(group));
    struct replica_manager *manager = group->manager;
    struct snapshot_work *writing = memory_allocate_zeroed(sizeof *writing);
    writing->group = group;
    replica_snapshot_take(group, &writing->snapshot);
    replica_group_path(manager->options.data_directory, group->id, "", writing->path);
    writing->work.run = run;
    writing->work.done = done;
    list_node_init(&writing->work.node);
    group->is_snapshot_running = true;
    group->bytes_since_snapshot = 0;
    replica_group_hold(group);
    manager->works++;
    io_work_submit(manager->loop, &writing->work);
}

void replica_snapshot_if_due(struct replica_group *group)
{
    if (group->snapshot_bytes > 0 && group->bytes_since_snapshot >= group->snapshot_bytes) {
        replica_take_snapshot(group);
    }
}

void replica_take_snapshot(struct replica_group *group)
{
    if (!group->is_snapshot_running && replica_snapshot_is_useful(group)) {
        start_writing(group);
    }
}

void replica_snapshot_renew(struct replica_group *group)
{
    if (!group->is_snapshot_running && is_possible(group)) {
        start_writing(group);
    }
}
