/* SPDX-License-Identifier: Apache-2.0
 *
 * test_snapshot.c -- applier snapshots: at stop, after so many bytes, sent to a follower whose
 * entries are gone, and what a crash may leave of that.
 */
#include "nodes.h"

#include "io/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GROUP 7

static struct nodes *cluster;

static int begin(void **state)
{
    (void)state;
    cluster = calloc(1, sizeof *cluster);
    nodes_begin(cluster, 3);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    nodes_end(cluster);
    free(cluster);
    return 0;
}

static enum replica_result start(uint32_t index, bool drops_prefix)
{
    struct replica_group_spec spec = nodes_spec(cluster, index, GROUP, 3);
    spec.snapshot_bytes = 200000;
    spec.drop_prefix_after_snapshot = drops_prefix;
    spec.log.segment_bytes = 100000;
    cluster->group_id = GROUP;
    return nodes_start_group(cluster, index, &spec);
}

static void start_everywhere(bool drops_prefix)
{
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(start(i, drops_prefix), REPLICA_OK);
    }
}

static void snapshot_at_stop_saves_applying(void **state)
{
    (void)state;
    start_everywhere(false);
    nodes_write(cluster, GROUP, 50, 100);
    nodes_stop_manager(cluster, 1);
    nodes_start_manager(cluster, 1);
    assert_int_equal(start(1, false), REPLICA_OK);
    assert_int_equal(nodes_applier(cluster, 1, GROUP)->restores, 1);
    assert_int_equal(nodes_applier(cluster, 1, GROUP)->batches, 50);
    nodes_connect(cluster);
    nodes_write(cluster, GROUP, 50, 100);
    nodes_assert_equal(cluster, GROUP);
}

static bool has_new_snapshot(struct nodes *nodes)
{
    const struct replica_group *group = nodes_group(nodes, 0, GROUP);
    return replica_oldest_snapshot_offset(group) == replica_high_watermark(group);
}

/* What compaction must leave for those that start from a snapshot. */
static void oldest_snapshot_is_told(void **state)
{
    (void)state;
    start_everywhere(false);
    nodes_write(cluster, GROUP, 10, 100);
    struct replica_group *group = nodes_group(cluster, 0, GROUP);
    assert_true(replica_oldest_snapshot_offset(group) == UINT64_MAX);
    replica_take_snapshot(group);
    assert_int_equal(replica_oldest_snapshot_offset(group), 0); /* it is being written */
    nodes_run_until(cluster, has_new_snapshot);
    uint64_t offset = replica_oldest_snapshot_offset(group);
    nodes_write(cluster, GROUP, 10, 100);
    assert_int_equal(replica_oldest_snapshot_offset(group), offset);

    nodes_stop_manager(cluster, 0);
    nodes_start_manager(cluster, 0);
    assert_int_equal(start(0, false), REPLICA_OK);
    assert_true(has_new_snapshot(cluster)); /* one was taken at the stop */
    assert_true(replica_oldest_snapshot_offset(nodes_group(cluster, 0, GROUP)) > offset);
}

static bool every_log_was_cut(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct replica_group *group = nodes_group(nodes, i, GROUP);
        struct replica_group_view view;
        if (group != NULL) {
            replica_group_view(group, &view);
            if (view.first_index == 1) {
                return false;
            }
        }
    }
    return true;
}

static void prefix_is_dropped_after_a_snapshot(void **state)
{
    (void)state;
    start_everywhere(true);
    nodes_write(cluster, GROUP, 100, 10000);
    nodes_run_until(cluster, every_log_was_cut);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_assert_equal(cluster, GROUP);
    for (uint32_t i = 0; i < 3; i++) {
        nodes_stop_manager(cluster, i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        nodes_start_manager(cluster, i);
        assert_int_equal(start(i, true), REPLICA_OK);
    }
    nodes_connect(cluster);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_assert_equal(cluster, GROUP);
}

/* Leaves node `away` so far behind that its next entry is gone. */
static uint32_t leave_one_behind(void)
{
    start_everywhere(true);
    nodes_write(cluster, GROUP, 5, 100);
    uint32_t away = (nodes_leader(cluster) + 1) % 3;
    nodes_stop_manager(cluster, away);
    nodes_write(cluster, GROUP, 100, 10000);
    nodes_run_until(cluster, every_log_was_cut);
    return away;
}

static void follower_is_sent_a_snapshot(void **state)
{
    (void)state;
    uint32_t away = leave_one_behind();
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_connect(cluster);
    cluster->wanted = 105;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, GROUP);
    assert_int_equal(nodes_applier(cluster, away, GROUP)->restores, 2); /* own, then the leader's */
    nodes_write(cluster, GROUP, 20, 1000);
    nodes_assert_equal(cluster, GROUP);

    nodes_stop_manager(cluster, away);
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_connect(cluster);
    nodes_write(cluster, GROUP, 20, 1000);
    nodes_assert_equal(cluster, GROUP);
}

static bool start_has_moved(struct nodes *nodes)
{
    for (uint32_t i = 0; i < nodes->count; i++) {
        struct replica_group *group = nodes_group(nodes, i, GROUP);
        if (group == NULL || log_start_offset(replica_group_log(group)) != nodes->wanted) {
            return false;
        }
    }
    return true;
}

/* The move stands behind what the snapshot restores of the log, and before what it restores of the
 * state. */
static void who_is_sent_a_snapshot_has_the_moved_start(void **state)
{
    (void)state;
    uint32_t away = leave_one_behind();
    struct replica_group *leader = nodes_group(cluster, nodes_leader(cluster), GROUP);
    uint64_t start_offset = replica_high_watermark(leader);
    assert_int_equal(replica_propose_start(leader, start_offset), REPLICA_OK);
    nodes_write(cluster, GROUP, 5, 100);
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_connect(cluster);
    cluster->wanted = 110;
    nodes_run_until(cluster, nodes_have_applied);
    cluster->wanted = start_offset;
    nodes_run_until(cluster, start_has_moved);
}

static bool follower_failed(struct nodes *nodes)
{
    struct replica_manager *manager = nodes->node[nodes->wanted].manager;
    return strcmp(replica_group_state_text(manager, GROUP), "failed") == 0;
}

static void refused_snapshot_fails_the_group(void **state)
{
    (void)state;
    uint32_t away = leave_one_behind();
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_applier(cluster, away, GROUP)->refuses_restore = true;
    cluster->wanted = away;
    nodes_connect(cluster);
    cluster->wanted = away;
    nodes_run_until(cluster, follower_failed);
    assert_null(nodes_group(cluster, away, GROUP));
    assert_int_equal(counter_read(&replica_stats(cluster->node[away].manager)->groups_failed), 1);
    /* What is on disk is whole: with an applier that reads it the replica is back. */
    assert_int_equal(nodes_stop_group(cluster, away, GROUP, false), REPLICA_OK);
    assert_int_equal(start(away, true), REPLICA_OK);
    cluster->wanted = 105;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_assert_equal(cluster, GROUP);
}

/* Every state that a crash in the middle of an install can leave behind: the old one, and the
 * leader's snapshot beside the old log. */
static void interrupted_install_is_finished(void **state)
{
    (void)state;
    uint32_t away = leave_one_behind();
    char path[256];
    snprintf(path, sizeof path, "%s/groups/%d", cluster->node[away].directory, GROUP);
    nodes_shell("cp -r %s %s.kept", path, path);
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_connect(cluster);
    cluster->wanted = 105;
    nodes_run_until(cluster, nodes_have_applied);
    /* Before anything else is snapshot: the installed file beside the old log. */
    nodes_shell("cp %s/snapshot %s.kept/snapshot", path, path);
    nodes_stop_manager(cluster, away);
    nodes_shell("rm -r %s && mv %s.kept %s", path, path, path);
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_connect(cluster);
    cluster->wanted = 105;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_write(cluster, GROUP, 10, 100);
    nodes_assert_equal(cluster, GROUP);
}

static void damaged_snapshot_is_never_taken_for_none(void **state)
{
    (void)state;
    uint32_t away = leave_one_behind();
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_OK);
    nodes_connect(cluster);
    cluster->wanted = 105;
    nodes_run_until(cluster, nodes_have_applied);
    nodes_stop_manager(cluster, away);
    char path[256];
    snprintf(path, sizeof path, "%s/groups/%d/snapshot", cluster->node[away].directory, GROUP);
    struct io_file *file;
    assert_int_equal(io_file_open(&file, path, IO_OPEN_WRITE), 0);
    assert_int_equal(io_file_write(file, 300, "x", 1), 0);
    io_file_release(file);
    nodes_start_manager(cluster, away);
    assert_int_equal(start(away, true), REPLICA_DAMAGED);
    assert_true(io_path_exists(path));
    assert_string_equal(replica_group_state_text(cluster->node[away].manager, GROUP), "failed");
    assert_int_equal(start(away, true), REPLICA_DAMAGED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(snapshot_at_stop_saves_applying, begin, finish),
        cmocka_unit_test_setup_teardown(oldest_snapshot_is_told, begin, finish),
        cmocka_unit_test_setup_teardown(prefix_is_dropped_after_a_snapshot, begin, finish),
        cmocka_unit_test_setup_teardown(follower_is_sent_a_snapshot, begin, finish),
        cmocka_unit_test_setup_teardown(who_is_sent_a_snapshot_has_the_moved_start, begin, finish),
        cmocka_unit_test_setup_teardown(refused_snapshot_fails_the_group, begin, finish),
        cmocka_unit_test_setup_teardown(interrupted_install_is_finished, begin, finish),
        cmocka_unit_test_setup_teardown(damaged_snapshot_is_never_taken_for_none, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
