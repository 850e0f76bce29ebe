/* SPDX-License-Identifier: Apache-2.0
 *
 * manager.c -- the manager as an object: making and freeing it, finding groups, scanning the disk,
 * and stopping everything.
 */
#include "replica/manager.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/quarantine.h"
#include "replica/turn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long a stopping manager waits for others to take over what it leads. */
#define HAND_OVER_NS 1000000000ull

static void tombstones_saved(void *owner, int result)
{
    struct replica_manager *manager = owner;
    if (result < 0) {
        replica_manager_disk_failed(manager, result);
    }
    replica_stop_tombstones_saved(manager, result);
}

/* groups/ and tombstones/ with all tombstones read. */
static bool open_directories(struct replica_manager *manager, char *error, size_t error_size)
{
    char path[REPLICA_PATH_SIZE];
    snprintf(path, sizeof path, "%s/groups", manager->options.data_directory);
    int result = io_directory_make(path);
    result = result < 0 ? result : io_directory_sync(manager->options.data_directory);
    if (result < 0) {
        snprintf(error, error_size, "%s: %s", path, strerror(-result));
        return false;
    }
    snprintf(path, sizeof path, "%s/tombstones", manager->options.data_directory);
    struct replica_tombstones_options options = {.loop = manager->loop,
                                                 .directory = path,
                                                 .shard = manager->shard,
                                                 .broker_id = manager->options.broker_id,
                                                 .cluster_id = manager->options.cluster_id,
                                                 .saved = tombstones_saved,
                                                 .owner = manager};
    return replica_tombstones_open(&manager->tombstones, &options, error, error_size) &&
           io_directory_sync(manager->options.data_directory) == 0;
}

static void init_lists(struct replica_manager *manager)
{
    struct list *lists[] = {&manager->dirty,
                            &manager->applying,
                            &manager->answers,
                            &manager->decided_barriers,
                            &manager->spare_sends,
                            &manager->learner_sends,
                            &manager->retiring,
                            &manager->installing,
                            &manager->opens_waiting,
                            &manager->closes_waiting,
                            &manager->tombstones_waiting,
                            &manager->tombstones_writing,
                            &manager->created,
                            &manager->life.opens,
                            &manager->life.closes};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        list_init(lists[i]);
    }
}

struct replica_manager *replica_manager_new(const struct replica_manager_options *options,
                                            char *error, size_t error_size)
{
    require(options->shard != NULL && options->broker_id != 0 && error_size > 0);
    require(options->heartbeat_ms >= 10 && options->election_ms > 2 * options->heartbeat_ms);
    struct replica_manager *manager = memory_allocate_zeroed(sizeof *manager);
    manager->options = *options;
    manager->loop = shard_loop(options->shard);
    manager->shard = shard_id(options->shard);
    manager->shard_count = shard_count(options->shard);
    error[0] = '\0';
    if (!open_directories(manager, error, error_size)) {
        memory_free(manager);
        return NULL;
    }
    map_init(&manager->groups);
    map_init(&manager->peers);
    map_init(&manager->given_up);
    init_lists(manager);
    replica_frame_reader_init(&manager->reader);
    manager->stream = log_stream_new(manager->loop);
    replica_turn_begin(manager);
    replica_scrubber_start(&manager->scrubber, manager);
    return manager;
}

void replica_manager_free(struct replica_manager *manager)
{
    require(manager->groups.count == 0 && manager->works == 0);
    require(list_is_empty(&manager->answers));
    replica_scrubber_free(&manager->scrubber);
    replica_turn_end(manager);
    replica_peers_free(manager);
    replica_sends_free(manager);
    replica_tombstones_close(&manager->tombstones);
    replica_frame_reader_free(&manager->reader);
    log_stream_free(manager->stream);
    map_free(&manager->groups);
    map_free(&manager->peers);
    memory_free(manager->peers_all);
    map_free(&manager->given_up);
    memory_free(manager->writes);
    memory_free(manager);
}

uint64_t replica_now_ticks(const struct replica_manager *manager)
{
    return io_now_ns(manager->loop) / REPLICA_TICK_NS;
}

void replica_manager_disk_failed(struct replica_manager *manager, int result)
{
    require(result < 0);
    if (manager->has_disk_failed) {
        return;
    }
    manager->has_disk_failed = true;
    trace_error("the disk failed: %s", strerror(-result));
    if (manager->options.disk_failed != NULL) {
        manager->options.disk_failed(manager->options.owner, result);
    }
}

void replica_manager_refuse_data(struct replica_manager *manager, bool refuses)
{
    manager->refuses_data = refuses;
}

/* ---- Groups ---- */

uint32_t replica_shard_of_group(uint64_t group_id, uint32_t shard_count)
{
    require(shard_count > 0);
    /* Ids count from 1, so group 1, the controller's, is always on shard 0. */
    return (uint32_t)((group_id - 1) % shard_count);
}

static struct replica_group *running(struct replica_group *group)
{
    return group != NULL && group->state == GROUP_RUNNING ? group : NULL;
}

struct replica_group *replica_group_find(struct replica_manager *manager, uint64_t group_id)
{
    return running(map_get(&manager->groups, group_id));
}

bool replica_group_is_running(struct replica_manager *manager, uint64_t group_id)
{
    return replica_group_find(manager, group_id) != NULL;
}

const char *replica_group_state_text(struct replica_manager *manager, uint64_t group_id)
{
    const struct replica_group *group = map_get(&manager->groups, group_id);
    if (group != NULL) {
        return replica_group_state_name(group->state);
    }
    return replica_tombstones_floor(&manager->tombstones, group_id) > 0 ? "tombstoned" : "absent";
}

static struct replica_group *next_in(struct replica_manager *manager, size_t *position,
                                     enum replica_group_state state)
{
    struct replica_group *group;
    while ((group = map_next(&manager->groups, position)) != NULL) {
        if (group->state == state) {
            return group;
        }
    }
    return NULL;
}

struct replica_group *replica_group_next(struct replica_manager *manager, size_t *position)
{
    return next_in(manager, position, GROUP_RUNNING);
}

struct replica_group *replica_group_next_failed(struct replica_manager *manager, size_t *position)
{
    return next_in(manager, position, GROUP_FAILED);
}

const struct replica_stats *replica_stats(const struct replica_manager *manager)
{
    return &manager->stats;
}

const struct log_stream_stats *replica_log_stats(const struct replica_manager *manager)
{
    return log_stream_stats(manager->stream);
}

uint64_t replica_flush_waits_ns(const struct replica_manager *manager)
{
    return log_stream_waits_ns(manager->stream);
}

/* ---- Scan ---- */

struct scan {
    struct replica_manager *manager;
    uint64_t *ids;
    size_t count;
    size_t capacity;
};

/* "<id>", "<id>.deleted" and "<id>.joining" of this shard; an id is noted once for each. */
static bool note_directory(const char *name, void *context)
{
    struct scan *scan = context;
    char *end = NULL;
    uint64_t group_id = strtoull(name, &end, 10);
    bool is_ours =
        end != name && name[0] >= '1' && name[0] <= '9' &&
        (*end == '\0' || strcmp(end, ".deleted") == 0 || strcmp(end, REPLICA_JOINING_SUFFIX) == 0);
    bool is_aside =
        end != name && strncmp(end, REPLICA_DAMAGED_SUFFIX, strlen(REPLICA_DAMAGED_SUFFIX)) == 0;
    if (is_aside) {
        return true;
    }
    if (!is_ours) {
        trace_warn("groups/%s is not a group's directory and was left alone", name);
        return true;
    }
    if (replica_shard_of_group(group_id, scan->manager->shard_count) != scan->manager->shard) {
        return true;
    }
    if (scan->count == scan->capacity) {
        scan->capacity = scan->capacity == 0 ? 256 : 2 * scan->capacity;
        scan->ids = memory_reallocate(scan->ids, scan->capacity * sizeof *scan->ids);
    }
    scan->ids[scan->count++] = group_id;
    return true;
}

static bool is_ours(const struct replica_manager *manager,
                    const struct replica_group_record *record, uint64_t group_id)
{
    return replica_record_is_ours(record, &manager->options.cluster_id, manager->options.broker_id,
                                  group_id);
}

/* The tombstone is about what stands in the group's directory, or about what a deletion left. */
static bool is_dead(const struct replica_manager *manager, uint64_t group_id,
                    enum replica_record_state state, const struct replica_group_record *record)
{
    uint32_t floor = replica_tombstones_floor(&manager->tombstones, group_id);
    if (state == RECORD_WHOLE) {
        return record->incarnation < floor;
    }
    /* What cannot be read may be a later life of the replica. */
    return floor == REPLICA_INCARNATION_NONE || (state == RECORD_ABSENT && floor > 0);
}

static void finish_deletion(struct replica_manager *manager, uint64_t group_id,
                            enum replica_record_state state,
                            const struct replica_group_record *record)
{
    if (state == RECORD_WHOLE && !is_ours(manager, record, group_id)) {
        trace_error(
            "group %llu: deleted here, but its directory belongs to another cluster or broker",
            (unsigned long long)group_id);
        return;
    }
    int result = replica_directory_delete(manager->options.data_directory, group_id);
    if (result < 0) {
        trace_error("group %llu: its deletion could not be finished: %s",
                    (unsigned long long)group_id, strerror(-result));
    } else {
        trace_info("group %llu: its deletion was finished", (unsigned long long)group_id);
    }
}

static void scan_group(struct replica_manager *manager, uint64_t group_id,
                       void (*visit)(uint64_t group_id, const uint8_t *description,
                                     size_t description_length, void *context),
                       void *context)
{
    static const struct log_options log_options = {
        .segment_bytes = 1u << 30, .segment_ms = UINT32_MAX, .index_interval_bytes = 4096};
    struct replica_group_record record;
    int result = replica_directory_finish_quarantine(manager->options.data_directory, group_id);
    if (result < 0) {
        trace_error("group %llu: its quarantine could not be finished: %s",
                    (unsigned long long)group_id, strerror(-result));
        return;
    }
    enum replica_record_state state =
        replica_record_read(manager->options.data_directory, group_id, &record, &result);
    if (is_dead(manager, group_id, state, &record)) {
        finish_deletion(manager, group_id, state, &record);
        return;
    }
    switch (state) {
    case RECORD_WHOLE:
        visit(group_id, record.description, record.description_length, context);
        break;
    case RECORD_ABSENT: /* <id>.deleted without a tombstone: not of our making */
        trace_warn("groups/%llu.deleted has no tombstone and was left alone",
                   (unsigned long long)group_id);
        break;
    case RECORD_UNBORN:
        (void)replica_directory_remove_unborn(manager->options.data_directory, group_id,
                                              manager->stream, &log_options);
        break;
    case RECORD_DAMAGED:
        trace_error("group %llu: the record of its owner is damaged; its directory is kept",
                    (unsigned long long)group_id);
        break;
    case RECORD_UNREADABLE:
        trace_error("group %llu: the record of its owner cannot be read: %s",
                    (unsigned long long)group_id, strerror(-result));
        break;
    }
}

void replica_manager_scan(struct replica_manager *manager,
                          void (*visit)(uint64_t group_id, const uint8_t *description,
                                        size_t description_length, void *context),
                          void *context)
{
    char path[REPLICA_PATH_SIZE];
    snprintf(path, sizeof path, "%s/groups", manager->options.data_directory);
    struct scan scan = {.manager = manager};
    int result = io_directory_list(path, note_directory, &scan);
    if (result < 0) {
        trace_error("%s: %s", path, strerror(-result));
    }
    for (size_t i = 0; i < scan.count; i++) {
        scan_group(manager, scan.ids[i], visit, context);
    }
    memory_free(scan.ids);
}

/* ---- Stopping everything ---- */

/* Another voter is connected that could lead instead. */
static bool can_hand_over(struct replica_group *group)
{
    const struct raft_membership *membership = raft_membership(group->raft);
    for (uint32_t i = 0; i < membership->voter_count; i++) {
        const struct replica_peer *peer = replica_peer_find(group->manager, membership->voters[i]);
        if (peer != NULL && peer->stream != NULL) {
            return true;
        }
    }
    return false;
}

static bool leads_something(struct replica_manager *manager)
{
    size_t position = 0;
    struct replica_group *group;
    while ((group = replica_group_next(manager, &position)) != NULL) {
        if (raft_role(group->raft) == RAFT_LEADER && can_hand_over(group)) {
            return true;
        }
    }
    return false;
}

static void ignore_result(void *context, enum replica_result result)
{
    (void)context;
    (void)result;
}

static void stop_groups(struct replica_manager *manager)
{
    manager->is_handing_over = false;
    io_timer_stop(manager->loop, &manager->stop_timer);
    size_t position = 0;
    struct replica_group *group;
    while ((group = map_next(&manager->groups, &position)) != NULL) {
        if (group->state != GROUP_STOPPING && group->state != GROUP_DELETING) {
            replica_group_stop(manager, group->id, false, ignore_result, NULL);
        }
    }
    replica_manager_wake(manager);
}

static void hand_over_timed_out(struct io_timer *timer)
{
    struct replica_manager *manager = container_of(timer, struct replica_manager, stop_timer);
    if (manager->is_handing_over) {
        stop_groups(manager);
    }
}

void replica_manager_stop(struct replica_manager *manager, void (*done)(void *context),
                          void *context)
{
    require(!manager->is_stopping && done != NULL);
    manager->is_stopping = true;
    replica_scrubber_stop(&manager->scrubber);
    manager->is_handing_over = true;
    manager->stop_done = done;
    manager->stop_context = context;
    size_t position = 0;
    struct replica_group *group;
    while ((group = replica_group_next(manager, &position)) != NULL) {
        if (raft_role(group->raft) == RAFT_LEADER) {
            (void)replica_transfer_leadership(group, 0);
        }
    }
    io_timer_init(&manager->stop_timer, hand_over_timed_out);
    io_timer_start(manager->loop, &manager->stop_timer, io_now_ns(manager->loop) + HAND_OVER_NS);
    replica_manager_wake(manager);
}

void replica_manager_stop_progress(struct replica_manager *manager)
{
    if (!manager->is_stopping) {
        return;
    }
    if (manager->is_handing_over) {
        if (leads_something(manager)) {
            return;
        }
        stop_groups(manager);
    }
    bool is_idle = manager->groups.count == 0 && manager->works == 0 &&
                   list_is_empty(&manager->answers) &&
                   !replica_tombstones_are_busy(&manager->tombstones);
    if (is_idle && manager->stop_done != NULL) {
        void (*done)(void *context) = manager->stop_done;
        manager->stop_done = NULL;
        done(manager->stop_context);
    }
}
