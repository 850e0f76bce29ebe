/* SPDX-License-Identifier: Apache-2.0
 *
 * test_apply.c -- records whose premise is gone, bytes that are no record, damaged snapshots:
 * nothing of that changes the state.
 */
#include "cluster_fixture.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "base/prng.h"
#include "cluster/record.h"
#include "wire/cluster_counters.h"
#include "wire/topic_created.h"

static struct buf *planned_topic(const struct cluster_metadata *metadata, const char *name,
                                 uint64_t id, int32_t partitions)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    struct cluster_topic_request request = fixture_request(name, id, partitions, 1, 2);
    wire_writer_init(&writer, 64);
    cluster_plan_create_topic(metadata, &request, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    return wire_writer_take(&writer);
}

static struct buf *planned_deletion(const struct cluster_metadata *metadata, uint64_t number)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    struct uuid id = fixture_id(number);
    wire_writer_init(&writer, 64);
    cluster_plan_delete_topic(metadata, &id, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    return wire_writer_take(&writer);
}

static struct buf *planned_partitions(const struct cluster_metadata *metadata, const char *name,
                                      int32_t count)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 64);
    cluster_plan_create_partitions(metadata, name, strlen(name), count, NULL, 0, fixture_live, 2,
                                   &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    return wire_writer_take(&writer);
}

static struct cluster_change apply(struct cluster_metadata *metadata, struct buf *record)
{
    struct cluster_change change;
    assert_true(cluster_apply(metadata, record->data, record->length_bytes, &change));
    buf_release(record);
    return change;
}

static void assert_without_effect(struct cluster_metadata *metadata, struct buf *record,
                                  enum wire_error error)
{
    struct buf *before = NULL;
    struct buf *after = NULL;
    cluster_snapshot_write(metadata, &before);
    struct cluster_change change = apply(metadata, record);
    assert_int_equal(change.kind, CLUSTER_CHANGE_NONE);
    assert_int_equal(change.error, error);
    cluster_snapshot_write(metadata, &after);
    assert_int_equal(before->length_bytes, after->length_bytes);
    assert_memory_equal(before->data, after->data, before->length_bytes);
    buf_release(before);
    buf_release(after);
}

static void test_premises_gone(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct buf *twice = planned_topic(metadata, "a.b", 2, 1);
    struct buf *alike = planned_topic(metadata, "a_b", 3, 1);
    struct buf *same_id = planned_topic(metadata, "c", 1, 1);
    apply(metadata, planned_topic(metadata, "a.b", 1, 2));
    assert_without_effect(metadata, twice, WIRE_ERROR_TOPIC_ALREADY_EXISTS);
    assert_without_effect(metadata, alike, WIRE_ERROR_INVALID_TOPIC_EXCEPTION);
    assert_without_effect(metadata, same_id, WIRE_ERROR_TOPIC_ALREADY_EXISTS);
    struct buf *to_four = planned_partitions(metadata, "a.b", 4);
    struct buf *to_five = planned_partitions(metadata, "a.b", 5);
    struct buf *deletion = planned_deletion(metadata, 1);
    struct cluster_change change = apply(metadata, to_four);
    assert_int_equal(change.kind, CLUSTER_CHANGE_PARTITIONS_ADDED);
    assert_without_effect(metadata, to_five, WIRE_ERROR_INVALID_PARTITIONS);
    struct buf *deletion_again = planned_deletion(metadata, 1);
    struct buf *to_six = planned_partitions(metadata, "a.b", 6);
    apply(metadata, deletion);
    assert_without_effect(metadata, deletion_again, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    assert_without_effect(metadata, to_six, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    assert_int_equal(cluster_topic_count(metadata), 0);
    cluster_metadata_free(metadata);
}

static void test_group_ids_are_never_used_twice(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    const struct cluster_topic *topic;
    uint32_t partition = 99;
    apply(metadata, planned_topic(metadata, "first", 1, 3));
    struct cluster_change change = apply(metadata, planned_topic(metadata, "second", 2, 2));
    assert_int_equal(change.topic->partitions[0].group_id, 1004);
    change = apply(metadata, planned_partitions(metadata, "first", 5));
    assert_int_equal(change.topic->partitions[4].group_id, 1007);
    assert_true(cluster_group_find(metadata, 1007, &topic, &partition));
    assert_string_equal(topic->name, "first");
    assert_int_equal(partition, 4);
    assert_true(cluster_group_find(metadata, 1001, &topic, &partition));
    assert_int_equal(partition, 0);
    apply(metadata, planned_deletion(metadata, 1));
    assert_false(cluster_group_find(metadata, 1001, &topic, &partition));
    assert_false(cluster_group_find(metadata, 1007, &topic, &partition));
    assert_true(cluster_group_find(metadata, 1005, &topic, &partition));
    change = apply(metadata, planned_topic(metadata, "first", 3, 1));
    assert_int_equal(change.topic->partitions[0].group_id, 1008);
    assert_int_equal(cluster_next_group_id(metadata), 1009);
    assert_false(cluster_group_find(metadata, CLUSTER_CONTROLLER_GROUP_ID, &topic, &partition));
    cluster_metadata_free(metadata);
}

static void test_topics_come_by_name(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    static const char *const names[] = {"m", "b", "zz", "a", "z", "bb", "-x", "0"};
    static const char *const sorted[] = {"-x", "0", "a", "b", "bb", "m", "z", "zz"};
    for (uint64_t i = 0; i < 8; i++) {
        apply(metadata, planned_topic(metadata, names[i], i + 1, 1));
    }
    size_t position = 0;
    for (size_t i = 0; i < 8; i++) {
        const struct cluster_topic *topic = cluster_topic_next(metadata, &position);
        assert_string_equal(topic->name, sorted[i]);
        assert_ptr_equal(cluster_topic_find(metadata, sorted[i], strlen(sorted[i])), topic);
        assert_ptr_equal(cluster_topic_find_id(metadata, &topic->id), topic);
    }
    assert_null(cluster_topic_next(metadata, &position));
    cluster_metadata_free(metadata);
}

/* ---- Bytes that are no record ---- */

static void assert_no_record(struct cluster_metadata *metadata, const uint8_t *bytes, size_t length)
{
    struct cluster_change change;
    assert_false(cluster_apply(metadata, bytes, length, &change));
    assert_int_equal(change.kind, CLUSTER_CHANGE_NONE);
    assert_int_equal(change.error, WIRE_ERROR_NONE);
}

static void test_cut_records_change_nothing(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_metadata *untouched = fixture_cluster(2, NULL);
    struct buf *record = planned_topic(metadata, "topic", 1, 5);
    for (size_t length = 0; length < record->length_bytes; length++) {
        assert_no_record(metadata, record->data, length);
    }
    fixture_assert_equal(metadata, untouched);
    buf_release(record);
    cluster_metadata_free(metadata);
    cluster_metadata_free(untouched);
}

static void test_unknown_and_snapshot_kinds_are_refused(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    struct wire_writer writer;
    struct cluster_counters_record counters = {.next_group_id = 5000, .next_producer_id = 1};
    wire_writer_init(&writer, 64);
    cluster_record_begin(&writer, CLUSTER_RECORD_CLUSTER_COUNTERS);
    cluster_counters_record_encode(&counters, CLUSTER_RECORD_VERSION, &writer);
    assert_no_record(metadata, writer.buf->data, wire_writer_length(&writer));
    wire_writer_free(&writer);
    static const uint8_t unknown_kind[] = {0x7f, 0xff, 0, 0, 0, 0, 0, 0};
    static const uint8_t unknown_version[] = {0, 3, 0xff, 0xff, 0, 0, 0, 0};
    assert_no_record(metadata, unknown_kind, sizeof unknown_kind);
    assert_no_record(metadata, unknown_version, sizeof unknown_version);
    cluster_metadata_free(metadata);
}

static void test_senseless_topics_are_refused(void **state)
{
    (void)state;
    struct cluster_metadata *metadata = fixture_cluster(1, NULL);
    uint32_t good[] = {1};
    uint32_t doubled[] = {1, 1};
    uint32_t nobody[] = {0};
    struct topic_created_record_partition partition = {.replicas = good, .replicas_count = 1};
    struct topic_created_record_config config = {.name = {"retention.ms", 12}, .value = {"1", 1}};
    struct topic_created_record record = {
        .topic_id = fixture_id(1),
        .name = {"good", 4},
        .partitions = &partition,
        .partitions_count = 1,
        .configs = &config,
        .configs_count = 1,
    };
    for (int fault = 0; fault <= 6; fault++) {
        struct topic_created_record bad = record;
        struct topic_created_record_partition bad_partition = partition;
        struct topic_created_record_config bad_config = config;
        struct cluster_change change;
        struct wire_writer writer;
        bad.partitions = &bad_partition;
        bad.configs = &bad_config;
        bad.name.length -= fault == 1 ? 4 : 0;
        bad.partitions_count -= fault == 2 ? 1 : 0;
        bad_partition.replicas = fault == 3 ? doubled : fault == 4 ? nobody : good;
        bad_partition.replicas_count += fault == 3 ? 1 : 0;
        bad_config.name.length -= fault == 5 ? 1 : 0;
        bad_config.value.data = fault == 6 ? "x" : "1";
        wire_writer_init(&writer, 64);
        cluster_record_begin(&writer, CLUSTER_RECORD_TOPIC_CREATED);
        topic_created_record_encode(&bad, CLUSTER_RECORD_VERSION, &writer);
        assert_int_equal(
            cluster_apply(metadata, writer.buf->data, wire_writer_length(&writer), &change),
            fault == 0);
        wire_writer_free(&writer);
    }
    assert_int_equal(cluster_topic_count(metadata), 1);
    cluster_metadata_free(metadata);
}

static void test_damaged_records_never_harm(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 7);
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct buf *record = planned_topic(metadata, "topic", 1, 3);
    for (uint32_t run = 0; run < 20000; run++) {
        struct cluster_change change;
        size_t position = (size_t)prng_below(&prng, record->length_bytes);
        uint8_t kept = record->data[position];
        record->data[position] = (uint8_t)prng_next(&prng);
        cluster_apply(metadata, record->data, record->length_bytes, &change);
        if (change.kind == CLUSTER_CHANGE_TOPIC_CREATED && run % 2 == 0) {
            struct uuid id = change.topic_id;
            struct wire_writer writer;
            struct cluster_problem problem;
            wire_writer_init(&writer, 64);
            cluster_plan_delete_topic(metadata, &id, &writer, &problem);
            fixture_apply(metadata, &writer);
        }
        record->data[position] = kept;
    }
    struct cluster_metadata *copy = cluster_metadata_new();
    struct buf *content = NULL;
    cluster_snapshot_write(metadata, &content);
    assert_true(cluster_snapshot_restore(copy, content->data, content->length_bytes));
    fixture_assert_equal(metadata, copy);
    buf_release(content);
    buf_release(record);
    cluster_metadata_free(copy);
    cluster_metadata_free(metadata);
}

/* ---- Snapshots ---- */

static struct buf *snapshot_of_something(void)
{
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct buf *content = NULL;
    apply(metadata, planned_topic(metadata, "gone", 1, 2));
    apply(metadata, planned_topic(metadata, "kept", 2, 3));
    apply(metadata, planned_deletion(metadata, 1));
    cluster_snapshot_write(metadata, &content);
    cluster_metadata_free(metadata);
    return content;
}

static void test_cut_and_damaged_snapshots_leave_nothing(void **state)
{
    (void)state;
    struct buf *content = snapshot_of_something();
    struct cluster_metadata *metadata = fixture_cluster(2, NULL);
    struct cluster_metadata *empty = cluster_metadata_new();
    for (size_t length = 0; length < content->length_bytes; length++) {
        assert_false(cluster_snapshot_restore(metadata, content->data, length));
    }
    for (size_t i = 0; i < content->length_bytes; i++) {
        content->data[i] ^= 0x10;
        assert_false(cluster_snapshot_restore(metadata, content->data, content->length_bytes));
        fixture_assert_equal(metadata, empty);
        content->data[i] ^= 0x10;
    }
    assert_true(cluster_snapshot_restore(metadata, content->data, content->length_bytes));
    assert_int_equal(cluster_topic_count(metadata), 1);
    assert_int_equal(cluster_next_group_id(metadata), 1006);
    buf_release(content);
    cluster_metadata_free(metadata);
    cluster_metadata_free(empty);
}

/* Made-up contents under a checksum that fits: whatever is taken must be a sound state. */
static void test_made_up_snapshots_never_harm(void **state)
{
    (void)state;
    struct buf *content = snapshot_of_something();
    struct cluster_metadata *metadata = cluster_metadata_new();
    for (size_t i = 6; i < content->length_bytes; i++) {
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            content->data[i] ^= (uint8_t)flip;
            uint32_t checksum = crc32c(0, content->data + 6, content->length_bytes - 6);
            for (size_t byte = 0; byte < 4; byte++) {
                content->data[2 + byte] = (uint8_t)(checksum >> (24 - 8 * byte));
            }
            if (cluster_snapshot_restore(metadata, content->data, content->length_bytes)) {
                size_t position = 0;
                const struct cluster_topic *topic = cluster_topic_next(metadata, &position);
                assert_true(topic == NULL || cluster_topic_find_id(metadata, &topic->id) == topic);
            }
            content->data[i] ^= (uint8_t)flip;
        }
    }
    buf_release(content);
    cluster_metadata_free(metadata);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_premises_gone),
        cmocka_unit_test(test_group_ids_are_never_used_twice),
        cmocka_unit_test(test_topics_come_by_name),
        cmocka_unit_test(test_cut_records_change_nothing),
        cmocka_unit_test(test_unknown_and_snapshot_kinds_are_refused),
        cmocka_unit_test(test_senseless_topics_are_refused),
        cmocka_unit_test(test_damaged_records_never_harm),
        cmocka_unit_test(test_cut_and_damaged_snapshots_leave_nothing),
        cmocka_unit_test(test_made_up_snapshots_never_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
