/* SPDX-License-Identifier: Apache-2.0
 *
 * test_life.c -- the life of groups: starts and stops that come twice, late, early or during each
 * other; tombstones; directories that are half made, half gone or somebody else's.
 */
#include "nodes.h"

#include "base/prng.h"
#include "io/file.h"
#include "replica/frame.h"
#include "wire/batch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define GROUP 1001

static struct nodes *cluster;

static int begin(void **state)
{
    (void)state;
    cluster = calloc(1, sizeof *cluster);
    nodes_begin(cluster, 1);
    cluster->group_id = GROUP;
    return 0;
}

static int finish(void **state)
{
    (void)state;
    nodes_end(cluster);
    free(cluster);
    return 0;
}

static struct replica_manager *manager(void)
{
    return cluster->node[0].manager;
}

static enum replica_result start(uint64_t group_id)
{
    struct replica_group_spec spec = nodes_spec(cluster, 0, group_id, 1);
    return nodes_start_group(cluster, 0, &spec);
}

static const char *path_of(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", cluster->node[0].directory, name);
    return path;
}

static void restart(void)
{
    nodes_stop_manager(cluster, 0);
    nodes_start_manager(cluster, 0);
}

struct scanned {
    uint32_t count;
    uint64_t id;
    size_t description_length;
};

static void visit(uint64_t group_id, const uint8_t *description, size_t description_length,
                  void *context)
{
    struct scanned *scanned = context;
    scanned->count++;
    scanned->id = group_id;
    scanned->description_length = description_length;
    assert_memory_equal(description, "what it is for", description_length);
}

static struct scanned scan(void)
{
    struct scanned scanned = {0};
    replica_manager_scan(manager(), visit, &scanned);
    return scanned;
}

static uint32_t answers;
static enum replica_result results[16];

static void note_start(void *context, enum replica_result result, struct replica_group *group)
{
    (void)context;
    (void)group;
    results[answers++] = result;
}

static void note_stop(void *context, enum replica_result result)
{
    (void)context;
    results[answers++] = result;
}

static bool all_answered(struct nodes *nodes)
{
    return answers == nodes->wanted;
}

static void wait_for_answers(uint32_t count)
{
    cluster->wanted = count;
    nodes_run_until(cluster, all_answered);
}

static void group_of_one_serves(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 100, 100);
    assert_int_equal(nodes_applier(cluster, 0, GROUP)->batches, 100);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, false), REPLICA_OK);
    assert_false(nodes_applier(cluster, 0, GROUP)->standing.is_leader);
    assert_false(replica_group_is_running(manager(), GROUP));
    assert_string_equal(replica_group_state_text(manager(), GROUP), "absent");
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 1, 100);
    assert_int_equal(nodes_applier(cluster, 0, GROUP)->batches, 101);
}

static bool groups_have_failed(struct nodes *nodes)
{
    return counter_read(&replica_stats(manager())->groups_failed) == nodes->wanted;
}

static bool disk_has_failed(struct nodes *nodes)
{
    return nodes->node[0].disk_failures > 0;
}

/* Files may not grow for a while: a flush fails.  The group and all its manager's others are not
 * served any more, though the disk works again. */
static void failed_flush_is_final(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    assert_int_equal(start(GROUP + 1), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_write(cluster, GROUP + 1, 10, 100);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_true(nodes_propose(cluster, 0, GROUP, 100));
    nodes_run_until(cluster, disk_has_failed);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(nodes_applier(cluster, 0, GROUP)->batches, 10);
    assert_string_equal(replica_group_state_text(manager(), GROUP), "failed");
    assert_true(nodes_propose(cluster, 0, GROUP + 1, 100));
    cluster->wanted = 2;
    nodes_run_until(cluster, groups_have_failed);
    assert_int_equal(nodes_applier(cluster, 0, GROUP + 1)->batches, 10);
    assert_int_equal(cluster->node[0].disk_failures, 1);
    assert_int_equal(start(GROUP), REPLICA_DISK_FAILED);
}

static void refusals(void **state)
{
    (void)state;
    assert_int_equal(start(0), REPLICA_INVALID_GROUP_ID);
    assert_int_equal(nodes_stop_group(cluster, 0, 0, true), REPLICA_INVALID_GROUP_ID);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, false), REPLICA_NOT_RUNNING);
    assert_int_equal(start(GROUP), REPLICA_OK);
    /* A spec of its own: the running one's applier must stay as it is. */
    struct counting_applier other = *nodes_applier(cluster, 0, GROUP);
    struct replica_group_spec spec = nodes_spec(cluster, 0, GROUP + 1, 1);
    spec.group_id = GROUP;
    spec.applier = &other.applier;
    assert_int_equal(nodes_start_group(cluster, 0, &spec), REPLICA_ALREADY_RUNNING);
    spec = nodes_spec(cluster, 0, GROUP + 2, 0);
    assert_int_equal(nodes_start_group(cluster, 0, &spec), REPLICA_BAD_REQUEST);
    assert_string_equal(replica_result_text(REPLICA_INVALID_GROUP_ID), "invalid raft group ID");
    assert_string_equal(replica_result_text(REPLICA_ALREADY_RUNNING), "Raft group already running");
}

static void start_twice_at_once(void **state)
{
    (void)state;
    answers = 0;
    struct replica_group_spec spec = nodes_spec(cluster, 0, GROUP, 1);
    replica_group_start(manager(), &spec, note_start, NULL);
    replica_group_start(manager(), &spec, note_start, NULL);
    wait_for_answers(2);
    assert_true((results[0] == REPLICA_OK) != (results[1] == REPLICA_OK));
    assert_true(results[0] == REPLICA_ALREADY_RUNNING || results[1] == REPLICA_ALREADY_RUNNING);
    assert_int_equal(counter_read(&replica_stats(manager())->groups_running), 1);
}

static void stop_overtakes_start(void **state)
{
    (void)state;
    answers = 0;
    struct replica_group_spec spec = nodes_spec(cluster, 0, GROUP, 1);
    replica_group_start(manager(), &spec, note_start, NULL);
    replica_group_stop(manager(), GROUP, true, note_stop, NULL);
    wait_for_answers(2);
    assert_int_equal(results[0], REPLICA_DELETED);
    assert_int_equal(results[1], REPLICA_OK);
    assert_string_equal(replica_group_state_text(manager(), GROUP), "tombstoned");
    assert_false(io_path_exists(path_of("groups/1001")));
    assert_int_equal(nodes_applier(cluster, 0, GROUP)->resets, 0);
}

static void delete_before_start(void **state)
{
    (void)state;
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_int_equal(start(GROUP), REPLICA_DELETED);
    assert_false(io_path_exists(path_of("groups/1001")));
    restart();
    assert_int_equal(start(GROUP), REPLICA_DELETED);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_int_equal(start(GROUP + 1), REPLICA_OK);
}

static void start_after_delete_across_restarts(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    assert_true(io_path_exists(path_of("groups/1001/group")));
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_false(io_path_exists(path_of("groups/1001")));
    assert_false(io_path_exists(path_of("groups/1001.deleted")));
    assert_int_equal(start(GROUP), REPLICA_DELETED);
    restart();
    assert_int_equal(scan().count, 0);
    assert_int_equal(start(GROUP), REPLICA_DELETED);
    assert_int_equal(start(GROUP + 1), REPLICA_OK);
    cluster->group_id = GROUP + 1;
    nodes_write(cluster, GROUP + 1, 1, 100);
    assert_int_equal(nodes_applier(cluster, 0, GROUP + 1)->batches, 1);
}

static enum replica_result start_incarnation(uint32_t incarnation)
{
    struct replica_group_spec spec = nodes_spec(cluster, 0, GROUP, 1);
    spec.incarnation = incarnation;
    return nodes_start_group(cluster, 0, &spec);
}

static enum replica_result remove_incarnation(uint32_t incarnation)
{
    answers = 0;
    replica_group_remove(manager(), GROUP, incarnation, note_stop, NULL);
    wait_for_answers(1);
    return results[0];
}

/* A removed replica's life is over; one with a higher number begins with nothing of it. */
static void a_later_incarnation_begins_anew(void **state)
{
    (void)state;
    assert_int_equal(start_incarnation(0), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    assert_int_equal(remove_incarnation(0), REPLICA_OK);
    assert_false(io_path_exists(path_of("groups/1001")));
    assert_int_equal(start_incarnation(0), REPLICA_DELETED);
    restart();
    assert_int_equal(start_incarnation(0), REPLICA_DELETED);
    assert_int_equal(start_incarnation(3), REPLICA_OK);
    struct replica_group *group = replica_group_find(manager(), GROUP);
    assert_int_equal(replica_group_incarnation(group), 3);
    assert_int_equal(log_next_offset(replica_group_log(group)), 0);
    nodes_write(cluster, GROUP, 2, 100);
    restart();
    struct scanned scanned = scan();
    assert_int_equal(scanned.count, 1);
    assert_int_equal(start_incarnation(3), REPLICA_OK);
    group = replica_group_find(manager(), GROUP);
    assert_int_equal(replica_group_incarnation(group), 3);
}

/* An order to remove an earlier life comes late. */
static void a_late_removal_does_no_harm(void **state)
{
    (void)state;
    assert_int_equal(start_incarnation(3), REPLICA_OK);
    nodes_write(cluster, GROUP, 2, 100);
    assert_int_equal(remove_incarnation(2), REPLICA_SUPERSEDED);
    assert_string_equal(replica_group_state_text(manager(), GROUP), "running");
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, false), REPLICA_OK);
    assert_int_equal(remove_incarnation(2), REPLICA_SUPERSEDED); /* its directory is there */
    assert_int_equal(start_incarnation(3), REPLICA_OK);
    assert_int_equal(log_next_offset(replica_group_log(replica_group_find(manager(), GROUP))), 2);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_int_equal(start_incarnation(UINT32_MAX - 1), REPLICA_DELETED);
}

static void a_removal_before_its_start(void **state)
{
    (void)state;
    assert_int_equal(remove_incarnation(2), REPLICA_OK);
    assert_int_equal(remove_incarnation(1), REPLICA_OK);
    assert_int_equal(start_incarnation(2), REPLICA_DELETED);
    assert_int_equal(start_incarnation(3), REPLICA_OK);
}

static void start_and_second_delete_during_delete(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    answers = 0;
    struct counting_applier other = *nodes_applier(cluster, 0, GROUP);
    struct replica_group_spec spec = nodes_spec(cluster, 0, GROUP + 1, 1);
    spec.group_id = GROUP;
    spec.applier = &other.applier;
    replica_group_stop(manager(), GROUP, false, note_stop, NULL);
    replica_group_stop(manager(), GROUP, true, note_stop, NULL);
    replica_group_stop(manager(), GROUP, true, note_stop, NULL);
    replica_group_start(manager(), &spec, note_start, NULL);
    wait_for_answers(4);
    assert_int_equal(results[0], REPLICA_DELETED);
    for (int i = 1; i < 4; i++) {
        assert_int_equal(results[i], REPLICA_OK);
    }
    assert_false(io_path_exists(path_of("groups/1001")));
}

static void scan_visits_whole_groups(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    restart();
    struct scanned scanned = scan();
    assert_int_equal(scanned.count, 1);
    assert_int_equal(scanned.id, GROUP);
    assert_int_equal(scanned.description_length, 14);
}

static void make_file(const char *name, const void *content, size_t length)
{
    struct io_file *file;
    assert_int_equal(io_file_open(&file, path_of(name), IO_OPEN_CREATE), 0);
    if (length > 0) {
        assert_int_equal(io_file_write(file, 0, content, length), 0);
    }
    io_file_release(file);
}

/* What a power cut during creation can leave: each is removed, and others are not touched. */
static void half_created_directories_are_removed(void **state)
{
    (void)state;
    static const char zeros[200];
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_stop_manager(cluster, 0);
    assert_int_equal(io_directory_make(path_of("groups/1002")), 0);
    assert_int_equal(io_directory_make(path_of("groups/1003")), 0);
    make_file("groups/1003/group", NULL, 0);
    assert_int_equal(io_directory_make(path_of("groups/1004")), 0);
    make_file("groups/1004/group", zeros, sizeof zeros);
    nodes_start_manager(cluster, 0);
    struct scanned scanned = scan();
    assert_int_equal(scanned.count, 1);
    assert_int_equal(scanned.id, GROUP);
    assert_false(io_path_exists(path_of("groups/1002")));
    assert_false(io_path_exists(path_of("groups/1003")));
    assert_false(io_path_exists(path_of("groups/1004")));
    assert_int_equal(start(1002), REPLICA_OK);
}

static void half_created_is_started_anew(void **state)
{
    (void)state;
    assert_int_equal(io_directory_make(path_of("groups/1001")), 0);
    make_file("groups/1001/group", NULL, 0);
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
}

/* A disk that failed while the group was opened is no reason to keep what is to be deleted. */
static void what_could_not_be_opened_is_deleted(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_stop_manager(cluster, 0);
    assert_int_equal(io_path_remove(path_of("groups/1001/epochs")), 0);
    assert_int_equal(io_directory_make(path_of("groups/1001/epochs")), 0);
    nodes_start_manager(cluster, 0);
    assert_int_equal(start(GROUP), REPLICA_DISK_FAILED);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_false(io_path_exists(path_of("groups/1001")));
    assert_int_equal(start(GROUP), REPLICA_DELETED);
}

/* A replica with data, whose record is gone when the broker starts again. */
static void lose_the_record(void)
{
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_stop_manager(cluster, 0);
    assert_int_equal(io_path_remove(path_of("groups/1001/group")), 0);
    nodes_start_manager(cluster, 0);
}

/* The record of the owner is gone, but the log holds data: kept, not served, never removed. */
static void lost_record_is_damage(void **state)
{
    (void)state;
    lose_the_record();
    assert_int_equal(scan().count, 0);
    assert_true(io_path_exists(path_of("groups/1001/epochs")));
    assert_int_equal(start(GROUP), REPLICA_DAMAGED);
    assert_true(io_path_exists(path_of("groups/1001/epochs")));
    assert_int_equal(counter_read(&replica_stats(manager())->groups_failed), 1);
    /* It is shown, though its applier is the caller's again. */
    size_t position = 0;
    struct replica_group *failed = replica_group_next_failed(manager(), &position);
    assert_non_null(failed);
    struct replica_group_view view;
    replica_group_view(failed, &view);
    assert_int_equal(view.group_id, GROUP);
    assert_string_equal(view.role, "failed");
    assert_null(replica_group_next_failed(manager(), &position));
    position = 0;
    assert_null(replica_group_next(manager(), &position));
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, false), REPLICA_OK);
}

static enum replica_result quarantine(void)
{
    answers = 0;
    replica_group_quarantine(manager(), GROUP, "what it is for", 14, note_stop, NULL);
    wait_for_answers(1);
    return results[0];
}

/* What was renamed may be undone by a power cut: nothing is begun on top of it, the process ends.
 * The next one finds the damaged replica where it was and moves it aside. */
static void disk_that_fails_while_damage_is_moved_aside_ends_the_process(void **state)
{
    (void)state;
    lose_the_record();
    assert_int_equal(start(GROUP), REPLICA_DAMAGED);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    struct rlimit none = {.rlim_cur = 1, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_equal(quarantine(), REPLICA_DISK_FAILED);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(cluster->node[0].disk_failures, 1);
    assert_true(io_path_exists(path_of("groups/1001/epochs")));
    restart();
    assert_int_equal(start(GROUP), REPLICA_DAMAGED);
    assert_true(replica_group_may_be_quarantined(manager(), GROUP));
    assert_int_equal(quarantine(), REPLICA_OK);
    assert_int_equal(cluster->node[0].disk_failures, 1);
    assert_true(io_path_exists(path_of("groups/1001.damaged-1/epochs")));
    assert_false(io_path_exists(path_of("groups/1001.joining")));
    assert_int_equal(start(GROUP), REPLICA_OK);
    assert_true(replica_group_is_joining(replica_group_find(manager(), GROUP)));
}

static void half_deleted_directories_are_finished(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    assert_int_equal(start(GROUP + 1), REPLICA_OK);
    nodes_write(cluster, GROUP + 1, 10, 100);
    /* The tombstones are durable, the directories are still there, one renamed. */
    nodes_stop_manager(cluster, 0);
    const char *directory = cluster->node[0].directory;
    nodes_shell("cp -r %s/groups %s.copy", directory, directory);
    nodes_start_manager(cluster, 0);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP + 1, true), REPLICA_OK);
    nodes_stop_manager(cluster, 0);
    nodes_shell("cp -r %s.copy/1001 %s/groups/1001", directory, directory);
    nodes_shell("mv %s.copy/1002 %s/groups/1002.deleted && rm -r %s.copy", directory, directory,
                directory);
    nodes_start_manager(cluster, 0);
    assert_int_equal(scan().count, 0);
    assert_false(io_path_exists(path_of("groups/1001")));
    assert_false(io_path_exists(path_of("groups/1002.deleted")));
    assert_int_equal(start(GROUP), REPLICA_DELETED);
}

static void foreign_directories_are_not_touched(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_stop_manager(cluster, 0);
    assert_int_equal(io_path_remove(path_of("tombstones/0")), 0);
    cluster->cluster_id = uuid_from_random(3, 4);
    nodes_start_manager(cluster, 0);
    assert_int_equal(start(GROUP), REPLICA_FOREIGN);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_FOREIGN);
    assert_true(io_path_exists(path_of("groups/1001/epochs")));
    nodes_stop_manager(cluster, 0);

    struct replica_manager_options options = {.shard = shards_get(cluster->shards, 0),
                                              .data_directory = cluster->node[0].directory,
                                              .broker_id = 9,
                                              .cluster_id = cluster->cluster_id,
                                              .heartbeat_ms = 20,
                                              .election_ms = 100};
    char error[256];
    assert_null(replica_manager_new(&options, error, sizeof error));
    assert_non_null(strstr(error, "another cluster or broker"));
    nodes_start_manager(cluster, 0);
}

static void send_frame(const struct raft_message *message)
{
    struct replica_frame_writer frame;
    struct replica_frame_head head = {.broker_id = 2, .shard = 0, .shard_count = 1};
    replica_frame_init(&frame);
    replica_frame_begin(&frame, &head);
    replica_frame_add_message(&frame, message, 0);
    struct buf *buf = buf_reference(frame.writer.buf);
    replica_frame_discard(&frame);
    assert_true(replica_receive_frame(manager(), 2, buf, buf->data + 15, buf->length_bytes - 15));
    buf_release(buf);
}

static bool turned(struct nodes *nodes)
{
    io_loop_again(nodes->loop);
    return nodes->wanted++ > 3;
}

static void late_messages_start_nothing(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    uint64_t dropped = 0;
    for (int round = 0; round < 2; round++) {
        for (uint64_t id = GROUP; id < GROUP + 2; id++) { /* deleted, and never known */
            for (int kind = 0; kind < RAFT_MESSAGE_KINDS; kind++) {
                if (kind != RAFT_MESSAGE_APPEND) {
                    struct raft_message message = {.kind = (enum raft_message_kind)kind,
                                                   .group_id = id,
                                                   .term = 9,
                                                   .index = 4};
                    send_frame(&message);
                    dropped++;
                }
            }
        }
        cluster->wanted = 0;
        nodes_run_until(cluster, turned);
        assert_int_equal(counter_read(&replica_stats(manager())->messages_dropped), dropped);
        assert_false(io_path_exists(path_of("groups/1001")));
        assert_false(io_path_exists(path_of("groups/1002")));
        assert_int_equal(counter_read(&replica_stats(manager())->groups_running), 0);
        restart();
        dropped = 0;
    }
}

static void stop_with_everything_under_way(void **state)
{
    (void)state;
    assert_int_equal(start(GROUP), REPLICA_OK);
    nodes_run_until(cluster, nodes_have_leader);
    for (int i = 0; i < 100; i++) {
        struct buf *buf = wire_batch_build(NULL, -1, "value", 5, 1);
        uint64_t base_offset;
        assert_int_equal(replica_propose(nodes_group(cluster, 0, GROUP), buf, buf->data,
                                         buf->length_bytes, 1, &base_offset),
                         REPLICA_OK);
        buf_release(buf);
    }
    uint32_t standings = nodes_applier(cluster, 0, GROUP)->standings;
    assert_int_equal(nodes_stop_group(cluster, 0, GROUP, true), REPLICA_OK);
    assert_int_equal(nodes_applier(cluster, 0, GROUP)->standings, standings + 1);
    assert_false(nodes_applier(cluster, 0, GROUP)->standing.is_leader);
}

static void many_starts_and_deletes(void **state)
{
    (void)state;
    answers = 0;
    struct replica_group_spec spec;
    for (uint64_t id = 1; id <= NODE_GROUPS_MAX; id++) {
        spec = nodes_spec(cluster, 0, id, 1);
        cluster->node[0].starts_answered = 0;
        replica_group_start(manager(), &spec, note_start, NULL);
        wait_for_answers(1);
        answers = 0;
    }
    for (uint64_t id = 1; id <= NODE_GROUPS_MAX; id++) {
        cluster->group_id = id;
        nodes_run_until(cluster, nodes_have_leader);
    }
    for (uint64_t id = 1; id <= 16; id++) {
        replica_group_stop(manager(), id, true, note_stop, NULL);
    }
    wait_for_answers(16);
    assert_int_equal(counter_read(&replica_stats(manager())->groups_running), NODE_GROUPS_MAX - 16);
    assert_int_equal(counter_read(&replica_stats(manager())->groups_leading), NODE_GROUPS_MAX - 16);
    restart();
    assert_int_equal(scan().count, NODE_GROUPS_MAX - 16);
}

/* Random starts, stops, deletes, late messages and restarts of eight ids, against a model of which
 * may live. */
static void random_lives(void **state)
{
    (void)state;
    enum { ABSENT, RUNNING, DELETED } model[9] = {ABSENT};
    struct prng prng;
    prng_init(&prng, 11);
    for (int step = 0; step < 400; step++) {
        uint64_t id = 1 + prng_below(&prng, 8);
        uint64_t action = prng_below(&prng, 100);
        if (action < 45) {
            struct counting_applier other = {.applier = nodes_applier(cluster, 0, id)->applier};
            struct replica_group_spec spec;
            if (model[id] == RUNNING) {
                struct counting_applier running = *nodes_applier(cluster, 0, id);
                spec = nodes_spec(cluster, 0, id, 1);
                *nodes_applier(cluster, 0, id) = running;
                spec.applier = &other.applier;
            } else {
                spec = nodes_spec(cluster, 0, id, 1);
            }
            enum replica_result expected = model[id] == RUNNING   ? REPLICA_ALREADY_RUNNING
                                           : model[id] == DELETED ? REPLICA_DELETED
                                                                  : REPLICA_OK;
            assert_int_equal(nodes_start_group(cluster, 0, &spec), expected);
            model[id] = model[id] == DELETED ? DELETED : RUNNING;
        } else if (action < 85) {
            enum replica_result expected = model[id] == RUNNING   ? REPLICA_OK
                                           : model[id] == DELETED ? REPLICA_DELETED
                                                                  : REPLICA_NOT_RUNNING;
            assert_int_equal(nodes_stop_group(cluster, 0, id, false), expected);
            model[id] = model[id] == RUNNING ? ABSENT : model[id];
        } else if (action < 88) {
            assert_int_equal(nodes_stop_group(cluster, 0, id, true), REPLICA_OK);
            model[id] = DELETED;
        } else if (action < 95) {
            send_frame(&(struct raft_message){
                .kind = RAFT_MESSAGE_PRE_VOTE, .group_id = id, .term = 3, .index = 1});
        } else {
            restart();
            for (uint64_t i = 1; i <= 8; i++) {
                model[i] = model[i] == RUNNING ? ABSENT : model[i];
            }
        }
        for (uint64_t i = 1; i <= 8; i++) {
            assert_true(replica_group_is_running(manager(), i) == (model[i] == RUNNING));
            char name[32];
            snprintf(name, sizeof name, "groups/%d", (int)i);
            assert_false(model[i] == DELETED && io_path_exists(path_of(name)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(group_of_one_serves, begin, finish),
        cmocka_unit_test_setup_teardown(failed_flush_is_final, begin, finish),
        cmocka_unit_test_setup_teardown(refusals, begin, finish),
        cmocka_unit_test_setup_teardown(start_twice_at_once, begin, finish),
        cmocka_unit_test_setup_teardown(stop_overtakes_start, begin, finish),
        cmocka_unit_test_setup_teardown(delete_before_start, begin, finish),
        cmocka_unit_test_setup_teardown(start_after_delete_across_restarts, begin, finish),
        cmocka_unit_test_setup_teardown(a_later_incarnation_begins_anew, begin, finish),
        cmocka_unit_test_setup_teardown(a_late_removal_does_no_harm, begin, finish),
        cmocka_unit_test_setup_teardown(a_removal_before_its_start, begin, finish),
        cmocka_unit_test_setup_teardown(start_and_second_delete_during_delete, begin, finish),
        cmocka_unit_test_setup_teardown(scan_visits_whole_groups, begin, finish),
        cmocka_unit_test_setup_teardown(half_created_directories_are_removed, begin, finish),
        cmocka_unit_test_setup_teardown(half_created_is_started_anew, begin, finish),
        cmocka_unit_test_setup_teardown(what_could_not_be_opened_is_deleted, begin, finish),
        cmocka_unit_test_setup_teardown(lost_record_is_damage, begin, finish),
        cmocka_unit_test_setup_teardown(
            disk_that_fails_while_damage_is_moved_aside_ends_the_process, begin, finish),
        cmocka_unit_test_setup_teardown(half_deleted_directories_are_finished, begin, finish),
        cmocka_unit_test_setup_teardown(foreign_directories_are_not_touched, begin, finish),
        cmocka_unit_test_setup_teardown(late_messages_start_nothing, begin, finish),
        cmocka_unit_test_setup_teardown(stop_with_everything_under_way, begin, finish),
        cmocka_unit_test_setup_teardown(many_starts_and_deletes, begin, finish),
        cmocka_unit_test_setup_teardown(random_lives, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
