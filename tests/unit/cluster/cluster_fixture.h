/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster_fixture.h -- a cluster of brokers to plan and apply on, for the tests of this room.
 */
#ifndef TESTS_CLUSTER_FIXTURE_H
#define TESTS_CLUSTER_FIXTURE_H

#include "base/buf.h"
#include "cluster/cluster.h"
#include "wire/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Brokers 1 .. count; racks may be NULL, or hold one name for each broker. */
static inline void fixture_register_broker(struct cluster_metadata *metadata, uint32_t id,
                                           const char *rack, struct cluster_change *change)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    struct cluster_broker broker = {.id = id, .kafka_port = 9092, .peer_port = 19092};
    broker.incarnation.bytes[0] = (uint8_t)id;
    snprintf(broker.kafka_host, sizeof broker.kafka_host, "host%u", id);
    snprintf(broker.peer_host, sizeof broker.peer_host, "peer%u", id);
    snprintf(broker.rack, sizeof broker.rack, "%s", rack);
    wire_writer_init(&writer, 64);
    cluster_plan_register_broker(metadata, &broker, &writer, &problem);
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    assert_true(cluster_apply(metadata, writer.buf->data, wire_writer_length(&writer), change));
    wire_writer_free(&writer);
}

static inline struct cluster_metadata *fixture_cluster(uint32_t broker_count,
                                                       const char *const *racks)
{
    struct cluster_metadata *metadata = cluster_metadata_new();
    struct cluster_change change;
    for (uint32_t id = 1; id <= broker_count; id++) {
        fixture_register_broker(metadata, id, racks == NULL ? "" : racks[id - 1], &change);
        assert_int_equal(change.kind, CLUSTER_CHANGE_BROKER);
    }
    return metadata;
}

static inline struct uuid fixture_id(uint64_t number)
{
    return uuid_from_random(0x0123456789abcdefull, number);
}

static const uint32_t fixture_live[64] = {
    1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
    23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44,
    45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 64,
};

/* A request with counts; brokers 1 .. live_count are live. */
static inline struct cluster_topic_request fixture_request(const char *name, uint64_t id,
                                                           int32_t partitions, int32_t replicas,
                                                           size_t live_count)
{
    return (struct cluster_topic_request){
        .name = name,
        .name_length = strlen(name),
        .id = fixture_id(id),
        .partition_count = partitions,
        .replication_factor = replicas,
        .default_partition_count = 1,
        .default_replication_factor = 1,
        .live_brokers = fixture_live,
        .live_broker_count = live_count,
    };
}

/* Plans without applying; the record is dropped. */
static inline struct cluster_problem fixture_try_create(const struct cluster_metadata *metadata,
                                                        const struct cluster_topic_request *request)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 256);
    cluster_plan_create_topic(metadata, request, &writer, &problem);
    assert_true((problem.error == WIRE_ERROR_NONE) == (wire_writer_length(&writer) > 0));
    assert_true((problem.error == WIRE_ERROR_NONE) == (problem.message[0] == '\0'));
    wire_writer_free(&writer);
    return problem;
}

/* Applies what stands in the writer and frees it. */
static inline struct cluster_change fixture_apply(struct cluster_metadata *metadata,
                                                  struct wire_writer *writer)
{
    struct cluster_change change;
    assert_true(cluster_apply(metadata, writer->buf->data, wire_writer_length(writer), &change));
    wire_writer_free(writer);
    return change;
}

static inline const struct cluster_topic *
fixture_create(struct cluster_metadata *metadata, const struct cluster_topic_request *request)
{
    struct wire_writer writer;
    struct cluster_problem problem;
    wire_writer_init(&writer, 256);
    cluster_plan_create_topic(metadata, request, &writer, &problem);
    assert_string_equal(problem.message, "");
    assert_int_equal(problem.error, WIRE_ERROR_NONE);
    struct cluster_change change = fixture_apply(metadata, &writer);
    assert_int_equal(change.kind, CLUSTER_CHANGE_TOPIC_CREATED);
    assert_int_equal(change.error, WIRE_ERROR_NONE);
    return change.topic;
}

/* Equal states have equal snapshots. */
static inline void fixture_assert_equal(const struct cluster_metadata *left,
                                        const struct cluster_metadata *right)
{
    struct buf *left_bytes = NULL;
    struct buf *right_bytes = NULL;
    cluster_snapshot_write(left, &left_bytes);
    cluster_snapshot_write(right, &right_bytes);
    assert_int_equal(left_bytes->length_bytes, right_bytes->length_bytes);
    assert_memory_equal(left_bytes->data, right_bytes->data, left_bytes->length_bytes);
    buf_release(left_bytes);
    buf_release(right_bytes);
}

#endif
