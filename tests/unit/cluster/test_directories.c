/* SPDX-License-Identifier: Apache-2.0
 *
 * test_directories.c -- what a broker's data directory tells: that it left with it, that it has
 * another one since, that this is an older copy; also when another record came first, and behind a
 * snapshot; and which groups are older than it.
 */
#include "cluster_fixture.h"

#include "cluster/record.h"
#include "wire/broker_registered.h"

/* As it starts on its directory, in which the starts [first, last] stand. */
static struct cluster_broker start(uint32_t id, uint64_t directory, uint64_t first, uint64_t last)
{
    struct cluster_broker broker = {.id = id, .kafka_port = 1, .peer_port = 2};
    snprintf(broker.kafka_host, sizeof broker.kafka_host, "k");
    snprintf(broker.peer_host, sizeof broker.peer_host, "p");
    broker.directory.id = fixture_id(directory);
    broker.directory.first_start = first;
    for (uint64_t i = first; i <= last; i++) {
        broker.directory.starts[broker.directory.start_count++] = fixture_id(1000 + i);
    }
    broker.incarnation = fixture_id(1000 + last);
    return broker;
}

static enum cluster_directory_verdict judge(const struct cluster_metadata *metadata,
                                            const struct cluster_broker *broker)
{
    return cluster_directory_judge(metadata, broker->id, &broker->directory);
}

static enum wire_error plan(const struct cluster_metadata *metadata,
                            const struct cluster_broker *broker, struct wire_writer *record)
{
    struct cluster_problem problem;
    wire_writer_init(record, 64);
    cluster_plan_register_broker(metadata, broker, record, &problem);
    if (problem.error != WIRE_ERROR_NONE) {
        assert_string_equal(problem.message, cluster_directory_text(judge(metadata, broker)));
        wire_writer_free(record);
    }
    return problem.error;
}

static enum wire_error enter(struct cluster_metadata *metadata, const struct cluster_broker *broker)
{
    struct wire_writer record;
    enum wire_error error = plan(metadata, broker, &record);
    return error != WIRE_ERROR_NONE ? error : fixture_apply(metadata, &record).error;
}

static void leave(struct cluster_metadata *metadata, uint32_t id)
{
    struct wire_writer record;
    struct cluster_problem problem;
    wire_writer_init(&record, 64);
    cluster_plan_decommission_broker(metadata, id, &record, &problem);
    assert_string_equal(problem.message, "");
    assert_int_equal(fixture_apply(metadata, &record).error, WIRE_ERROR_NONE);
    wire_writer_init(&record, 64);
    cluster_plan_unregister_broker(metadata, id, &record, &problem);
    assert_string_equal(problem.message, "");
    assert_int_equal(fixture_apply(metadata, &record).error, WIRE_ERROR_NONE);
}

/* Replaces the metadata by what its snapshot tells. */
static void go_through_snapshot(struct cluster_metadata **metadata)
{
    struct cluster_metadata *copy = cluster_metadata_new();
    struct buf *content = NULL;
    cluster_snapshot_write(*metadata, &content);
    assert_true(cluster_snapshot_restore(copy, content->data, content->length_bytes));
    fixture_assert_equal(*metadata, copy);
    buf_release(content);
    cluster_metadata_free(*metadata);
    *metadata = copy;
}

static void test_who_left_stays_away(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_broker broker = start(3, 1, 1, 1);
    struct wire_writer late;
    assert_int_equal(enter(metadata, &broker), WIRE_ERROR_NONE);
    /* Its registration is sent again, and overtaken. */
    assert_int_equal(plan(metadata, &broker, &late), WIRE_ERROR_NONE);
    leave(metadata, 3);
    assert_int_equal(fixture_apply(metadata, &late).error, WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_null(cluster_broker_find(metadata, 3));
    go_through_snapshot(&metadata);
    assert_int_equal(enter(metadata, &broker), WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    assert_int_equal(judge(metadata, &broker), CLUSTER_DIRECTORY_LEFT);
    broker = start(3, 1, 1, 2); /* nor when it is started again */
    assert_int_equal(enter(metadata, &broker), WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    broker = start(4, 1, 1, 2); /* a directory is one broker's */
    assert_int_equal(enter(metadata, &broker), WIRE_ERROR_NONE);
    cluster_metadata_free(metadata);
}

static void test_another_directory_takes_its_place(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_broker first = start(3, 1, 1, 1);
    struct cluster_broker second = start(3, 2, 2, 2);
    assert_int_equal(enter(metadata, &first), WIRE_ERROR_NONE);
    assert_int_equal(enter(metadata, &second), WIRE_ERROR_NONE);
    for (uint32_t i = 0; i < 2; i++) {
        first = start(3, 1, 1, 1 + i); /* also when it is started again */
        assert_int_equal(judge(metadata, &first), CLUSTER_DIRECTORY_REPLACED);
        assert_int_equal(enter(metadata, &first), WIRE_ERROR_STALE_BROKER_EPOCH);
        assert_int_equal(enter(metadata, &second), WIRE_ERROR_NONE);
        go_through_snapshot(&metadata);
    }
    leave(metadata, 3);
    assert_int_equal(judge(metadata, &first), CLUSTER_DIRECTORY_LEFT);
    assert_int_equal(judge(metadata, &second), CLUSTER_DIRECTORY_LEFT);
    cluster_metadata_free(metadata);
}

/* Another copy of the directory, in which the starts up to shared are the same. */
static struct cluster_broker start_copy(uint64_t first, uint64_t shared, uint64_t last)
{
    struct cluster_broker broker = start(3, 1, first, last);
    for (uint64_t i = shared + 1; i <= last; i++) {
        broker.directory.starts[i - first] = fixture_id(2000 + i);
    }
    return broker;
}

static void test_an_older_copy_lacks_the_last_start(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_broker first = start(3, 1, 1, 1);
    struct cluster_broker second = start(3, 1, 1, 2);
    struct cluster_broker copy = start_copy(1, 1, 2);
    struct cluster_broker copy_started_often = start_copy(1, 1, 9);
    struct wire_writer late;
    assert_int_equal(enter(metadata, &first), WIRE_ERROR_NONE);
    assert_int_equal(judge(metadata, &copy), CLUSTER_DIRECTORY_CURRENT); /* nobody knows better */
    assert_int_equal(plan(metadata, &copy, &late), WIRE_ERROR_NONE);
    assert_int_equal(enter(metadata, &second), WIRE_ERROR_NONE);
    assert_int_equal(fixture_apply(metadata, &late).error, WIRE_ERROR_STALE_BROKER_EPOCH);
    go_through_snapshot(&metadata);
    assert_int_equal(judge(metadata, &first), CLUSTER_DIRECTORY_OLD_COPY);
    assert_int_equal(judge(metadata, &copy), CLUSTER_DIRECTORY_OLD_COPY);
    assert_int_equal(judge(metadata, &copy_started_often), CLUSTER_DIRECTORY_OLD_COPY);
    assert_int_equal(enter(metadata, &copy_started_often), WIRE_ERROR_STALE_BROKER_EPOCH);
    assert_int_equal(enter(metadata, &second), WIRE_ERROR_NONE); /* itself, again */
    cluster_metadata_free(metadata);
}

/* What registered, and did not live to hear of it, is among what the next start tells. */
static void test_starts_that_heard_nothing(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_broker first = start(3, 1, 1, 1);
    struct cluster_broker third = start(3, 1, 1, 3);
    struct cluster_broker fifth = start(3, 1, 1, 5);
    assert_int_equal(enter(metadata, &first), WIRE_ERROR_NONE);
    assert_int_equal(enter(metadata, &third), WIRE_ERROR_NONE);
    assert_int_equal(enter(metadata, &fifth), WIRE_ERROR_NONE);
    assert_int_equal(judge(metadata, &third), CLUSTER_DIRECTORY_OLD_COPY);
    cluster_metadata_free(metadata);
}

/* A broker whose metadata is behind knows an earlier start than those that are told. */
static void test_who_is_behind_judges_nobody(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_broker second = start(3, 1, 1, 2);
    struct cluster_broker fifth = start(3, 1, 4, 5);
    assert_int_equal(enter(metadata, &second), WIRE_ERROR_NONE);
    assert_int_equal(judge(metadata, &fifth), CLUSTER_DIRECTORY_CURRENT);
    assert_int_equal(enter(metadata, &fifth), WIRE_ERROR_NONE);
    cluster_metadata_free(metadata);
}

/* By a record of version 0, as an earlier version wrote it. */
static void enter_untold(struct cluster_metadata *metadata, uint32_t id)
{
    struct wire_writer writer;
    struct broker_registered_record record = {
        .broker_id = id,
        .incarnation = fixture_id(1),
        .kafka_host = cluster_record_string("k"),
        .kafka_port = 1,
        .peer_host = cluster_record_string("p"),
        .peer_port = 2,
        .rack = cluster_record_string(""),
    };
    wire_writer_init(&writer, 64);
    cluster_record_begin_version(&writer, CLUSTER_RECORD_BROKER_REGISTERED, 0);
    broker_registered_record_encode(&record, 0, &writer);
    assert_int_equal(fixture_apply(metadata, &writer).error, WIRE_ERROR_NONE);
}

static void test_records_that_tell_no_directory(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    enter_untold(metadata, 3);
    assert_true(uuid_is_zero(&cluster_broker_find(metadata, 3)->directory.id));
    leave(metadata, 3); /* which leaves nothing to remember */
    struct cluster_broker broker = start(3, 1, 1, 1);
    assert_int_equal(enter(metadata, &broker), WIRE_ERROR_NONE);
    assert_int_equal(enter(metadata, &broker), WIRE_ERROR_NONE);
    cluster_metadata_free(metadata);
}

/* A leader of an earlier version wrote down a restart: that gives nothing up. */
static void test_what_is_known_outlasts_records_that_do_not_tell(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_broker first = start(3, 1, 1, 1);
    struct cluster_broker third = start(3, 1, 1, 3);
    struct cluster_broker other = start(3, 2, 1, 1);
    assert_int_equal(enter(metadata, &first), WIRE_ERROR_NONE);
    enter_untold(metadata, 3);
    go_through_snapshot(&metadata);
    struct cluster_broker copy = start(3, 1, 2, 2); /* its start 1 is another one */
    copy.directory.first_start = 1;
    assert_int_equal(judge(metadata, &copy), CLUSTER_DIRECTORY_OLD_COPY);
    assert_int_equal(judge(metadata, &third), CLUSTER_DIRECTORY_CURRENT);
    assert_int_equal(enter(metadata, &third), WIRE_ERROR_NONE);
    enter_untold(metadata, 3);
    assert_int_equal(enter(metadata, &other), WIRE_ERROR_NONE);
    assert_int_equal(judge(metadata, &third), CLUSTER_DIRECTORY_REPLACED);
    cluster_metadata_free(metadata);
}

static void test_the_newest_are_remembered(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    for (uint64_t i = 1; i <= CLUSTER_BROKERS_MAX + 2; i++) {
        struct cluster_broker broker = start(3, i, i, i);
        assert_int_equal(enter(metadata, &broker), WIRE_ERROR_NONE);
    }
    go_through_snapshot(&metadata);
    struct cluster_broker second = start(3, 2, 2, 2);
    assert_int_equal(judge(metadata, &second), CLUSTER_DIRECTORY_REPLACED);
    struct cluster_broker first = start(3, 1, 1, 1);
    assert_int_equal(judge(metadata, &first), CLUSTER_DIRECTORY_CURRENT);
    cluster_metadata_free(metadata);
}

static uint64_t first_founded(const struct cluster_metadata *metadata)
{
    return cluster_broker_find(metadata, 3)->first_founded_group_id;
}

/* Also for a start that never heard of its registration: groups were made with it since. */
static void test_groups_older_than_a_directory_stay_the_same(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_topic_request ships = fixture_request("ships", 1, 2, 1, 2);
    struct cluster_topic_request boats = fixture_request("boats", 2, 3, 3, 3);
    struct cluster_broker first = start(3, 1, 1, 1);
    struct cluster_broker second = start(3, 1, 1, 2);
    struct cluster_broker other = start(3, 2, 1, 1);
    (void)fixture_create(metadata, &ships);
    uint64_t next = cluster_next_group_id(metadata);
    assert_int_equal(enter(metadata, &first), WIRE_ERROR_NONE);
    assert_int_equal(first_founded(metadata), next);
    (void)fixture_create(metadata, &boats);
    go_through_snapshot(&metadata);
    assert_int_equal(first_founded(metadata), next);
    assert_int_equal(enter(metadata, &second), WIRE_ERROR_NONE);
    assert_int_equal(first_founded(metadata), next);
    enter_untold(metadata, 3);
    assert_int_equal(first_founded(metadata), next);
    assert_int_equal(enter(metadata, &other), WIRE_ERROR_NONE); /* its disk was lost */
    assert_int_equal(first_founded(metadata), cluster_next_group_id(metadata));
    assert_true(first_founded(metadata) > next);
    go_through_snapshot(&metadata);
    assert_int_equal(first_founded(metadata), cluster_next_group_id(metadata));
    cluster_metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_left_stays_away),
        cmocka_unit_test(test_another_directory_takes_its_place),
        cmocka_unit_test(test_an_older_copy_lacks_the_last_start),
        cmocka_unit_test(test_starts_that_heard_nothing),
        cmocka_unit_test(test_who_is_behind_judges_nobody),
        cmocka_unit_test(test_records_that_tell_no_directory),
        cmocka_unit_test(test_what_is_known_outlasts_records_that_do_not_tell),
        cmocka_unit_test(test_the_newest_are_remembered),
        cmocka_unit_test(test_groups_older_than_a_directory_stay_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
