/* SPDX-License-Identifier: Apache-2.0
 *
 * test_offsets.c -- committing, fetching, deleting and expiring offsets; snapshots; which partition
 * a group belongs to.
 */
#include "coordinator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS 86400000ll

static struct wire_string text_of(const char *text)
{
    return (struct wire_string){text, (int32_t)strlen(text)};
}

static void one_member(struct coordinator *coordinator, struct client *client)
{
    client_init(client, "anna");
    client_join(coordinator, client);
    struct client *members[] = {client};
    client_assign(coordinator, client, members, 1);
    coordinator_commit(coordinator);
    assert_int_equal(client->sync.error, WIRE_ERROR_NONE);
}

static void leave(struct coordinator *coordinator, struct client *client)
{
    assert_int_equal(client_leave(coordinator, client), WIRE_ERROR_NONE);
    coordinator_commit(coordinator);
}

static void a_commit_counts_when_it_is_kept(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client_commit commit;
    coordinator_init(&coordinator, 0);
    client_commit(&coordinator, NULL, &commit, 5);
    assert_int_equal(committed(coordinator.leader, "payments", 0), -1);
    coordinator_commit(&coordinator);
    assert_int_equal(commit.error, WIRE_ERROR_NONE);
    assert_int_equal(committed(coordinator.leader, "payments", 0), 5);

    client_commit(&coordinator, NULL, &commit, 6);
    coordinator_fail(&coordinator, WIRE_ERROR_NOT_COORDINATOR);
    assert_int_equal(commit.error, WIRE_ERROR_NOT_COORDINATOR);
    assert_int_equal(committed(coordinator.leader, "payments", 0), 5);

    struct arena arena;
    struct group_offset *offsets;
    int32_t count;
    arena_init(&arena, 10000);
    assert_int_equal(
        group_fetch_all(coordinator.leader, text_of("readers"), &arena, &offsets, &count),
        WIRE_ERROR_NONE);
    assert_int_equal(count, 1);
    assert_int_equal(offsets[0].leader_epoch, 3);
    assert_int_equal(offsets[0].metadata.length, 4);
    assert_memory_equal(offsets[0].metadata.data, "note", 4);
    arena_free(&arena);
    coordinator_free(&coordinator);
}

static void only_who_may_commits(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client_commit commit;
    coordinator_init(&coordinator, 0);
    one_member(&coordinator, &anna);
    client_commit(&coordinator, NULL, &commit, 1);
    assert_int_equal(commit.error, WIRE_ERROR_UNKNOWN_MEMBER_ID);
    anna.generation++;
    client_commit(&coordinator, &anna, &commit, 1);
    assert_int_equal(commit.error, WIRE_ERROR_ILLEGAL_GENERATION);
    anna.generation--;
    coordinator.is_topic_gone = true;
    client_commit(&coordinator, &anna, &commit, 1);
    assert_int_equal(commit.error, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    coordinator.is_topic_gone = false;
    client_commit(&coordinator, &anna, &commit, 1);
    coordinator_commit(&coordinator);
    assert_int_equal(commit.error, WIRE_ERROR_NONE);

    client_join(&coordinator, &anna); /* the leader asks for a new generation */
    client_commit(&coordinator, &anna, &commit, 2);
    assert_int_equal(commit.error, WIRE_ERROR_REBALANCE_IN_PROGRESS);
    coordinator_free(&coordinator);
    client_free(&anna);
}

/* KafkaJS commits -2 when its offset is out of range, and reads it back as "the earliest". */
static void a_negative_offset_is_kept_as_it_is(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client_commit commit;
    coordinator_init(&coordinator, 0);
    client_commit(&coordinator, NULL, &commit, -2);
    coordinator_commit(&coordinator);
    assert_int_equal(commit.error, WIRE_ERROR_NONE);
    assert_int_equal(committed(coordinator.leader, "payments", 0), -2);
    coordinator_free(&coordinator);
}

struct deleted {
    struct group_delete deletion;
    struct group_offset offset;
    int error;
};

static void deletion_done(struct group_delete *deletion)
{
    ((struct deleted *)deletion->context)->error = deletion->error;
}

static void delete (struct coordinator *coordinator, struct deleted *deleted, const char *topic)
{
    *deleted = (struct deleted){
        .deletion = {.group_id = text_of("readers"), .done = deletion_done, .context = deleted},
        .error = -1000};
    if (topic != NULL) {
        deleted->offset.topic = text_of(topic);
        deleted->deletion.offsets = &deleted->offset;
        deleted->deletion.offset_count = 1;
    }
    group_delete(coordinator->leader, &deleted->deletion);
}

static void groups_are_deleted_when_nobody_is_in_them(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client_commit commit;
    struct deleted deleted;
    struct group_stats stats;
    coordinator_init(&coordinator, 0);
    delete (&coordinator, &deleted, NULL);
    assert_int_equal(deleted.error, WIRE_ERROR_GROUP_ID_NOT_FOUND);
    one_member(&coordinator, &anna);
    client_commit(&coordinator, &anna, &commit, 9);
    coordinator_commit(&coordinator);
    delete (&coordinator, &deleted, NULL);
    assert_int_equal(deleted.error, WIRE_ERROR_NON_EMPTY_GROUP);
    leave(&coordinator, &anna);

    delete (&coordinator, &deleted, NULL); /* the log refuses: nothing has happened */
    coordinator_fail(&coordinator, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_int_equal(deleted.error, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE);
    assert_string_equal(group_state_text(coordinator.leader), "Empty");

    delete (&coordinator, &deleted, NULL);
    assert_string_equal(group_state_text(coordinator.leader), "Dead");
    coordinator_commit(&coordinator);
    assert_int_equal(deleted.error, WIRE_ERROR_NONE);
    group_table_stats(coordinator.leader, &stats);
    assert_int_equal(stats.groups, 0);
    assert_int_equal(stats.offsets, 0);
    group_table_stats(coordinator.follower, &stats);
    assert_int_equal(stats.groups, 0);
    coordinator_free(&coordinator);
    client_free(&anna);
}

static void an_offset_in_use_is_not_deleted(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client_commit commit;
    struct deleted deleted;
    coordinator_init(&coordinator, 0);
    one_member(&coordinator, &anna);
    client_commit(&coordinator, &anna, &commit, 9);
    coordinator_commit(&coordinator);
    delete (&coordinator, &deleted, "payments");
    assert_int_equal(deleted.error, WIRE_ERROR_NONE);
    assert_int_equal(deleted.offset.error, WIRE_ERROR_GROUP_SUBSCRIBED_TO_TOPIC);
    leave(&coordinator, &anna);
    delete (&coordinator, &deleted, "payments");
    coordinator_commit(&coordinator);
    assert_int_equal(deleted.offset.error, WIRE_ERROR_NONE);
    assert_int_equal(committed(coordinator.leader, "payments", 0), -1);
    coordinator_free(&coordinator);
    client_free(&anna);
}

static void what_nobody_reads_expires(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client_commit commit;
    struct group_stats stats;
    coordinator_init(&coordinator, 0);
    one_member(&coordinator, &anna);
    client_commit(&coordinator, &anna, &commit, 9);
    coordinator_commit(&coordinator);
    coordinator.now_ms += 30 * DAY_MS; /* in use all the time */
    group_table_set_time(coordinator.leader, coordinator.now_ms, coordinator.now_ms);
    group_table_expire(coordinator.leader);
    coordinator_commit(&coordinator);
    assert_int_equal(committed(coordinator.leader, "payments", 0), 9);
    leave(&coordinator, &anna);

    coordinator.now_ms += 6 * DAY_MS; /* counted from when it lost its last member */
    group_table_set_time(coordinator.leader, coordinator.now_ms, coordinator.now_ms);
    group_table_expire(coordinator.leader);
    coordinator_commit(&coordinator);
    assert_int_equal(committed(coordinator.leader, "payments", 0), 9);

    coordinator.now_ms += DAY_MS;
    group_table_set_time(coordinator.leader, coordinator.now_ms, coordinator.now_ms);
    group_table_expire(coordinator.leader);
    coordinator_commit(&coordinator);
    group_table_stats(coordinator.leader, &stats);
    assert_int_equal(stats.groups, 0);
    group_table_stats(coordinator.follower, &stats);
    assert_int_equal(stats.groups, 0);
    coordinator_free(&coordinator);
    client_free(&anna);
}

static void offsets_of_deleted_topics_go(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client_commit commit;
    coordinator_init(&coordinator, 0);
    client_commit(&coordinator, NULL, &commit, 9);
    coordinator_commit(&coordinator);
    coordinator.is_topic_gone = true;
    group_table_expire(coordinator.leader);
    coordinator_commit(&coordinator);
    assert_int_equal(committed(coordinator.leader, "payments", 0), -1);
    coordinator_free(&coordinator);
}

static void a_snapshot_brings_everything_back(void **state)
{
    (void)state;
    struct coordinator coordinator;
    struct client anna;
    struct client_commit commit;
    struct buf *content;
    coordinator_init(&coordinator, 0);
    one_member(&coordinator, &anna);
    client_commit(&coordinator, &anna, &commit, 9);
    coordinator_commit(&coordinator);
    group_table_snapshot_write(coordinator.follower, &content);
    group_table_reset(coordinator.follower);

    for (size_t i = 0; i < content->length_bytes; i++) { /* every damaged byte is noticed */
        content->data[i] ^= 0x10;
        assert_false(group_table_snapshot_restore(coordinator.follower, content->data,
                                                  content->length_bytes));
        content->data[i] ^= 0x10;
        assert_false(group_table_snapshot_restore(coordinator.follower, content->data, i));
    }
    assert_true(
        group_table_snapshot_restore(coordinator.follower, content->data, content->length_bytes));
    buf_release(content);
    coordinator_fail_over(&coordinator);
    assert_int_equal(client_heartbeat(&coordinator, &anna), WIRE_ERROR_NONE);
    assert_int_equal(committed(coordinator.leader, "payments", 0), 9);
    coordinator_free(&coordinator);
    client_free(&anna);
}

static void groups_lie_where_kafka_has_them(void **state)
{
    (void)state;
    /* Java's hash codes: -1906497762, 99162322, the smallest integer, 3045921, -1570619006. */
    assert_int_equal(group_partition_of(text_of("my-group"), 50), 12);
    assert_int_equal(group_partition_of(text_of("hello"), 50), 22);
    assert_int_equal(group_partition_of(text_of("polygenelubricants"), 50), 0);
    assert_int_equal(group_partition_of(text_of("caf\xc3\xa9"), 50), 21);
    assert_int_equal(group_partition_of(text_of("\xf0\x9f\x98\x80 group"), 50), 6);
    assert_true(group_partition_of(text_of("\xff\xc3\xf0\x9f"), 50) >= 0); /* no UTF-8 */
    assert_int_equal(group_partition_of(text_of("anything"), 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_counts_when_it_is_kept),
        cmocka_unit_test(only_who_may_commits),
        cmocka_unit_test(a_negative_offset_is_kept_as_it_is),
        cmocka_unit_test(groups_are_deleted_when_nobody_is_in_them),
        cmocka_unit_test(an_offset_in_use_is_not_deleted),
        cmocka_unit_test(what_nobody_reads_expires),
        cmocka_unit_test(offsets_of_deleted_topics_go),
        cmocka_unit_test(a_snapshot_brings_everything_back),
        cmocka_unit_test(groups_lie_where_kafka_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
