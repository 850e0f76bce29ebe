/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_fixture.c -- see broker_fixture.h.
 */
#include "broker_fixture.h"

#include "broker/fetch_session.h"
#include "broker/partition.h"
#include "broker/upkeep.h"
#include "fake_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- The shard ---- */

static void apply_record(struct fixture *fixture, struct wire_writer *record,
                         struct cluster_change *change)
{
    assert_true(cluster_apply(fixture->shard.metadata, record->buf->data,
                              wire_writer_length(record), change));
    wire_writer_free(record);
}

static void register_broker(struct fixture *fixture, uint32_t id, const char *rack)
{
    struct wire_writer record;
    struct cluster_problem problem;
    struct cluster_change change;
    struct cluster_broker broker = {.id = id, .kafka_port = 9092, .peer_port = 19092};
    broker.incarnation.bytes[0] = (uint8_t)id;
    snprintf(broker.kafka_host, sizeof(broker.kafka_host), "host%u", id);
    snprintf(broker.peer_host, sizeof(broker.peer_host), "peer%u", id);
    snprintf(broker.rack, sizeof(broker.rack), "%s", rack);
    wire_writer_init(&record, 64);
    cluster_plan_register_broker(fixture->shard.metadata, &broker, &record, &problem);
    apply_record(fixture, &record, &change);
}

void fixture_open(struct fixture *fixture)
{
    memset(fixture, 0, sizeof(*fixture));
    fixture->config.retention_check_ms = 1000000;
    fixture->config.producer_id_expiration_ms = 86400000;
    fixture->config.default_partitions = 1;
    fixture->config.default_replication_factor = 1;
    fixture->shards = shards_new(1, 1);

    struct broker_shard *shard = &fixture->shard;
    shard->config = &fixture->config;
    shard->shard = shards_get(fixture->shards, 0);
    shard->loop = shard_loop(shard->shard);
    shard_set_owner(shard->shard, shard);
    shard->replicas = (struct replica_manager *)fixture; /* the fake group looks at no manager */
    shard->metadata = cluster_metadata_new();
    shard->metadata_is_loaded = true;
    shard->broker_id = 1;
    map_init(&shard->partitions);
    upkeep_start(shard);
    shard->fetch_sessions = fetch_session_table_new(&(struct fetch_session_limits){
        .sessions_max = FIXTURE_FETCH_SESSIONS, .bytes_max = 1 << 20, .seed = 1});

    for (uint32_t id = 1; id <= 3; id++) {
        register_broker(fixture, id, "");
    }
}

void fixture_set_rack(struct fixture *fixture, uint32_t broker_id, const char *rack)
{
    register_broker(fixture, broker_id, rack);
}

static void ignore_result(void *context, enum replica_result result)
{
    *(enum replica_result *)context = result;
}

void fixture_close(struct fixture *fixture)
{
    struct broker_shard *shard = &fixture->shard;
    size_t position = 0;
    struct partition *partition;
    while ((partition = map_next(&shard->partitions, &position)) != NULL) {
        enum replica_result result = REPLICA_BUSY;
        partition_stop(shard, partition_spec_of(partition)->group_id, false, ignore_result,
                       &result);
        fake_groups_turn();
        assert_int_equal(result, REPLICA_OK);
        position = 0;
    }
    shard_turn(&fixture->shard);
    upkeep_stop(shard);
    fetch_session_table_free(shard->fetch_sessions);
    map_free(&shard->partitions);
    cluster_metadata_free(shard->metadata);
    shards_free(fixture->shards);
    assert_int_equal(fake_group_references(), 0);
}

const struct cluster_topic *fixture_add_topic(struct fixture *fixture, const char *name,
                                              int32_t partitions, const char *const *config)
{
    static const uint32_t live[] = {1, 2, 3};
    struct broker_shard *shard = &fixture->shard;
    struct topic_config_entry entries[8];
    size_t entry_count = 0;
    for (; config != NULL && *config != NULL; config += 2) {
        entries[entry_count++] = (struct topic_config_entry){config[0], (int32_t)strlen(config[0]),
                                                             config[1], (int32_t)strlen(config[1])};
    }
    struct cluster_topic_request request = {
        .name = name,
        .name_length = strlen(name),
        .id = uuid_from_random(0x1234, cluster_topic_count(shard->metadata) + 1),
        .partition_count = partitions,
        .replication_factor = 3,
        .config = entries,
        .config_count = entry_count,
        .default_partition_count = 1,
        .default_replication_factor = 3,
        .live_brokers = live,
        .live_broker_count = 3,
    };
    struct wire_writer record;
    struct cluster_problem problem;
    struct cluster_change change;
    wire_writer_init(&record, 256);
    cluster_plan_create_topic(shard->metadata, &request, &record, &problem);
    assert_string_equal(problem.message, "");
    apply_record(fixture, &record, &change);

    for (uint32_t i = 0; i < change.topic->partition_count; i++) {
        struct partition_spec spec = {.group_id = change.topic->partitions[i].group_id,
                                      .topic_id = change.topic->id,
                                      .partition = i};
        snprintf(spec.topic, sizeof(spec.topic), "%s", name);
        fixture_host(fixture, &spec);
    }
    return change.topic;
}

void fixture_host(struct fixture *fixture, const struct partition_spec *spec)
{
    enum replica_result result = REPLICA_BUSY;
    partition_start(&fixture->shard, spec, ignore_result, &result);
    fake_groups_turn();
    assert_int_equal(result, REPLICA_OK);
    fake_group_lead(fake_group(spec->group_id), FIXTURE_TERM);
}

struct replica_group *fixture_group(struct fixture *fixture, const char *topic, uint32_t partition)
{
    const struct cluster_topic *found =
        cluster_topic_find(fixture->shard.metadata, topic, strlen(topic));
    assert_non_null(found);
    return fake_group(found->partitions[partition].group_id);
}
