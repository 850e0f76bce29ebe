/* SPDX-License-Identifier: Apache-2.0
 *
 * test_partition.c -- a partition over the real rooms replica and log, on disk: what was
 * acknowledged is read back, also after a stop and a start, and a producer's repeated batch is
 * known for one all the while.
 */
#include "broker/api.h"
#include "broker/fetch_session.h"
#include "broker/leader_table.h"
#include "broker/partition.h"
#include "broker/partition_ask.h"
#include "broker/partition_retention.h"
#include "broker/upkeep.h"
#include "exchange.h"
#include "io/file.h"
#include "wire/delete_records.h"
#include "wire/fetch.h"
#include "wire/list_offsets.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GROUP_ID 1001
#define PATIENCE_NS 10000000000ull

struct world {
    char directory[64];
    struct broker_config config;
    struct broker_shard shard;
    struct shards *shards;
    struct partition_spec spec;
};

/* ---- The broker's other half ---- */

static uint32_t known_leader;
static uint64_t known_term;

bool leader_table_get(const struct leader_table *table, uint64_t group_id, uint32_t *leader,
                      uint64_t *term)
{
    (void)table;
    (void)group_id;
    *leader = known_leader;
    *term = known_term;
    return known_term > 0;
}

void leader_table_publish(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                          uint64_t term)
{
    (void)shard;
    (void)group_id;
    known_leader = leader;
    known_term = term;
}

void leader_table_withdraw(struct broker_shard *shard, uint64_t group_id)
{
    (void)shard;
    (void)group_id;
}

/* ---- The world ---- */

static void apply(struct world *world, struct wire_writer *record, struct cluster_change *change)
{
    assert_true(cluster_apply(world->shard.metadata, record->buf->data, wire_writer_length(record),
                              change));
    wire_writer_free(record);
}

static void make_metadata(struct world *world)
{
    static const uint32_t live[] = {1};
    struct wire_writer record;
    struct cluster_problem problem;
    struct cluster_change change;
    struct cluster_broker broker = {
        .id = 1, .kafka_host = "host1", .peer_host = "peer1", .kafka_port = 9092, .peer_port = 1};
    broker.incarnation.bytes[0] = 1;
    wire_writer_init(&record, 64);
    cluster_plan_register_broker(world->shard.metadata, &broker, &record, &problem);
    apply(world, &record, &change);

    struct cluster_topic_request request = {.name = "t",
                                            .name_length = 1,
                                            .id = uuid_from_random(1, 2),
                                            .partition_count = 1,
                                            .replication_factor = 1,
                                            .default_partition_count = 1,
                                            .default_replication_factor = 1,
                                            .live_brokers = live,
                                            .live_broker_count = 1};
    wire_writer_init(&record, 64);
    cluster_plan_create_topic(world->shard.metadata, &request, &record, &problem);
    apply(world, &record, &change);
    world->spec = (struct partition_spec){.group_id = change.topic->partitions[0].group_id,
                                          .topic = "t",
                                          .topic_id = change.topic->id,
                                          .members = {.voter_count = 1, .voters = {1}}};
    assert_int_equal(world->spec.group_id, GROUP_ID);
}

static void world_open(struct world *world)
{
    char error[256];
    memset(world, 0, sizeof(*world));
    snprintf(world->directory, sizeof(world->directory), "/tmp/flotilla-partition-XXXXXX");
    assert_non_null(mkdtemp(world->directory));
    world->config.retention_check_ms = 1000000;
    world->config.producer_id_expiration_ms = 86400000;
    world->shards = shards_new(1, 1);
    struct broker_shard *shard = &world->shard;
    shard->config = &world->config;
    shard->shard = shards_get(world->shards, 0);
    shard->loop = shard_loop(shard->shard);
    shard_set_owner(shard->shard, shard);
    shard->metadata = cluster_metadata_new();
    shard->metadata_is_loaded = true;
    shard->broker_id = 1;
    map_init(&shard->partitions);
    struct replica_manager_options options = {.shard = shard->shard,
                                              .data_directory = world->directory,
                                              .broker_id = 1,
                                              .cluster_id = uuid_from_random(3, 4),
                                              .heartbeat_ms = 20,
                                              .election_ms = 100};
    shard->replicas = replica_manager_new(&options, error, sizeof(error));
    assert_non_null(shard->replicas);
    upkeep_start(shard);
    shard->fetch_sessions = fetch_session_table_new(
        &(struct fetch_session_limits){.sessions_max = 2, .bytes_max = 1 << 20, .seed = 1});
    make_metadata(world);
}

static void set_flag(void *context)
{
    *(bool *)context = true;
}

/* After the replica manager has stopped. */
static void world_end(struct world *world)
{
    upkeep_stop(&world->shard);
    replica_manager_free(world->shard.replicas);
    fetch_session_table_free(world->shard.fetch_sessions);
    map_free(&world->shard.partitions);
    cluster_metadata_free(world->shard.metadata);
    shards_free(world->shards);
    assert_int_equal(io_directory_remove_tree(world->directory), 0);
}

static void world_close(struct world *world)
{
    bool is_stopped = false;
    replica_manager_stop(world->shard.replicas, set_flag, &is_stopped);
    while (!is_stopped) {
        shard_turn(&world->shard);
    }
    world_end(world);
}

struct outcome {
    bool is_there;
    enum replica_result result;
};

static void take_outcome(void *context, enum replica_result result)
{
    *(struct outcome *)context = (struct outcome){true, result};
}

static enum replica_result await(struct world *world, const struct outcome *outcome)
{
    while (!outcome->is_there) {
        shard_turn(&world->shard);
    }
    return outcome->result;
}

static enum replica_result start(struct world *world)
{
    struct outcome outcome = {0};
    known_leader = 0;
    partition_start(&world->shard, &world->spec, take_outcome, &outcome);
    enum replica_result result = await(world, &outcome);
    uint64_t end_ns = io_clock_ns(world->shard.loop) + PATIENCE_NS;
    while (result == REPLICA_OK && known_leader == 0) {
        assert_true(io_clock_ns(world->shard.loop) < end_ns);
        shard_turn(&world->shard);
    }
    return result;
}

static enum replica_result stop(struct world *world, bool delete_data)
{
    struct outcome outcome = {0};
    partition_stop(&world->shard, GROUP_ID, delete_data, take_outcome, &outcome);
    return await(world, &outcome);
}

/* ---- Requests ---- */

static struct produce_response_partition_produce_response produce(struct world *world,
                                                                  const struct batch_spec *spec)
{
    struct produce_request body;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data data;
    struct produce_response response;
    struct exchange exchange;
    struct buf *batch = batch_make(spec);
    produce_request_init(&body);
    produce_request_topic_produce_data_init(&topic);
    produce_request_partition_produce_data_init(&data);
    body.acks = -1;
    body.timeout_ms = 5000;
    body.topic_data = &topic;
    body.topic_data_count = 1;
    topic.name = (struct wire_string){"t", 1};
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    data.records.data = batch->data;
    data.records.length = (int32_t)batch->length_bytes;
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    produce_request_encode(&body, 9, &writer);
    buf_release(batch);
    exchange_run(&exchange, &world->shard, api_produce, 9, &writer);
    shard_turn_until_answered(&world->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(produce_response_decode(&response, 9, &cursor));
    struct produce_response_partition_produce_response answer =
        response.responses[0].partition_responses[0];
    exchange_free(&exchange);
    return answer;
}

/* The leader may be elected and not ready yet: then it waits. */
static int64_t produce_to_leader(struct world *world, const struct batch_spec *spec)
{
    struct produce_response_partition_produce_response answer = produce(world, spec);
    assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
    return answer.base_offset;
}

/* The records read from an offset, counted; the batches must be whole and good. */
static int32_t count_records(struct world *world, int64_t offset)
{
    struct fetch_request body;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partition;
    struct fetch_response response;
    struct exchange exchange;
    fetch_request_init(&body);
    fetch_request_fetch_topic_init(&topic);
    fetch_request_fetch_partition_init(&partition);
    body.max_wait_ms = 5000;
    body.min_bytes = 1;
    body.topics = &topic;
    body.topics_count = 1;
    topic.topic = (struct wire_string){"t", 1};
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.fetch_offset = offset;
    partition.partition_max_bytes = 1 << 20;
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    fetch_request_encode(&body, 11, &writer);
    exchange_run(&exchange, &world->shard, api_fetch, 11, &writer);
    shard_turn_until_answered(&world->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(fetch_response_decode(&response, 11, &cursor));
    const struct fetch_response_partition_data *data = &response.responses[0].partitions[0];
    assert_int_equal(data->error_code, WIRE_ERROR_NONE);
    int32_t count = 0;
    for (int32_t position = 0; position < data->records.length;) {
        struct wire_batch batch;
        assert_true(wire_batch_read(&batch, data->records.data + position,
                                    (size_t)(data->records.length - position)));
        assert_true(wire_batch_crc_matches(&batch));
        count += batch.record_count;
        position += (int32_t)batch.total_bytes;
    }
    exchange_free(&exchange);
    return count;
}

static int64_t find_offset(struct world *world, int64_t timestamp_ms)
{
    struct list_offsets_request body;
    struct list_offsets_request_list_offsets_topic topic;
    struct list_offsets_request_list_offsets_partition partition;
    struct list_offsets_response response;
    struct exchange exchange;
    list_offsets_request_init(&body);
    list_offsets_request_list_offsets_topic_init(&topic);
    list_offsets_request_list_offsets_partition_init(&partition);
    body.topics = &topic;
    body.topics_count = 1;
    topic.name = (struct wire_string){"t", 1};
    topic.partitions = &partition;
    topic.partitions_count = 1;
    partition.timestamp = timestamp_ms;
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    list_offsets_request_encode(&body, 7, &writer);
    exchange_run(&exchange, &world->shard, api_list_offsets, 7, &writer);
    shard_turn_until_answered(&world->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(list_offsets_response_decode(&response, 7, &cursor));
    assert_int_equal(response.topics[0].partitions[0].error_code, WIRE_ERROR_NONE);
    int64_t offset = response.topics[0].partitions[0].offset;
    exchange_free(&exchange);
    return offset;
}

/* Deletes what is before the offset; where the log starts then. */
static int64_t delete_before(struct world *world, int64_t offset)
{
    struct delete_records_request body;
    struct delete_records_response response;
    struct delete_records_request_delete_records_partition partition = {.offset = offset};
    struct delete_records_request_delete_records_topic topic = {
        .name = {"t", 1}, .partitions = &partition, .partitions_count = 1};
    struct exchange exchange;
    struct wire_writer writer;
    delete_records_request_init(&body);
    body.topics = &topic;
    body.topics_count = 1;
    body.timeout_ms = 5000;
    wire_writer_init(&writer, 64);
    delete_records_request_encode(&body, 2, &writer);
    exchange_run(&exchange, &world->shard, api_delete_records, 2, &writer);
    shard_turn_until_answered(&world->shard, &exchange);
    struct wire_cursor cursor = exchange_answer(&exchange);
    assert_true(delete_records_response_decode(&response, 2, &cursor));
    assert_int_equal(response.topics[0].partitions[0].error_code, WIRE_ERROR_NONE);
    int64_t low_watermark = response.topics[0].partitions[0].low_watermark;
    exchange_free(&exchange);
    return low_watermark;
}

/* ---- Tests ---- */

static const struct batch_spec first = {
    .producer_id = 9, .record_count = 3, .timestamp_ms = 1000, .step_ms = 10};
static const struct batch_spec second = {.producer_id = 9,
                                         .record_count = 2,
                                         .base_sequence = 3,
                                         .timestamp_ms = 2000,
                                         .step_ms = 10,
                                         .is_compressed = true};

static void expect_both_batches(struct world *world)
{
    assert_int_equal(count_records(world, 0), 5);
    assert_int_equal(count_records(world, 4), 2); /* the whole batch that holds it */
    assert_int_equal(find_offset(world, OFFSET_LATEST), 5);
    assert_int_equal(find_offset(world, OFFSET_EARLIEST), 0);
    assert_int_equal(find_offset(world, 1015), 2);
    assert_int_equal(find_offset(world, 2001), 4);
    assert_int_equal(find_offset(world, OFFSET_MAX_TIMESTAMP), 4);
    assert_int_equal(find_offset(world, 3000), -1);
    assert_int_equal(produce_to_leader(world, &first), 0);
    assert_int_equal(produce_to_leader(world, &second), 3);
}

static void what_was_acknowledged_outlives_a_restart(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    assert_int_equal(produce_to_leader(&world, &first), 0);
    assert_int_equal(produce_to_leader(&world, &second), 3);
    expect_both_batches(&world);

    assert_int_equal(stop(&world, false), REPLICA_OK);
    assert_null(partition_find(&world.shard, GROUP_ID));
    assert_int_equal(start(&world), REPLICA_OK);
    produce_to_leader(&world, &second); /* waits until it leads */
    expect_both_batches(&world);
    assert_int_equal(stop(&world, false), REPLICA_OK);
    world_close(&world);
}

static void old_records_go_and_stay_gone(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    produce_to_leader(&world, &first);
    produce_to_leader(&world, &second);
    /* Next week: first for the snapshot that has to be there, then for the records. */
    int64_t next_week_ms = io_wall_ms(world.shard.loop) + 8ll * 24 * 60 * 60 * 1000;
    uint64_t end_ns = io_clock_ns(world.shard.loop) + PATIENCE_NS;
    while (find_offset(&world, OFFSET_EARLIEST) == 0) {
        assert_true(io_clock_ns(world.shard.loop) < end_ns);
        partition_apply_retention(partition_find(&world.shard, GROUP_ID), next_week_ms);
        shard_turn(&world.shard);
    }
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 5);
    assert_int_equal(find_offset(&world, OFFSET_LATEST), 5);
    assert_int_equal(find_offset(&world, 0), -1);

    assert_int_equal(stop(&world, false), REPLICA_OK);
    assert_int_equal(start(&world), REPLICA_OK);
    assert_int_equal(produce_to_leader(&world, &(struct batch_spec){.timestamp_ms = 5000}), 5);
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 5);
    assert_int_equal(count_records(&world, 5), 1);
    assert_int_equal(stop(&world, false), REPLICA_OK);
    world_close(&world);
}

static void deleted_records_stay_deleted_and_take_no_offset(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    produce_to_leader(&world, &first);
    produce_to_leader(&world, &second);
    assert_int_equal(delete_before(&world, 2), 2);
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 2);
    assert_int_equal(find_offset(&world, OFFSET_LATEST), 5);
    assert_int_equal(find_offset(&world, 0), 2);       /* by time: not the one that is deleted */
    assert_int_equal(count_records(&world, 2), 3 + 2); /* whole batches; consumers skip */

    assert_int_equal(stop(&world, false), REPLICA_OK);
    assert_int_equal(start(&world), REPLICA_OK);
    assert_int_equal(produce_to_leader(&world, &(struct batch_spec){.timestamp_ms = 5000}), 5);
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 2);
    assert_int_equal(produce_to_leader(&world, &second), 3); /* still known for a duplicate */
    assert_int_equal(stop(&world, false), REPLICA_OK);
    world_close(&world);
}

/* Nothing of the topic's configs would ever make it go, and no snapshot be taken. */
static void the_space_of_deleted_records_is_given_back(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    produce_to_leader(&world, &first);
    produce_to_leader(&world, &second);
    struct partition *partition = partition_find(&world.shard, GROUP_ID);
    struct replica_group *group = replica_group_find(world.shard.replicas, GROUP_ID);
    uint64_t end_ns = io_clock_ns(world.shard.loop) + PATIENCE_NS;
    partition_apply_retention(partition, 0);
    assert_true(log_size_bytes(replica_group_log(group)) > 0);
    assert_int_equal(delete_before(&world, -1), 5);
    while (log_size_bytes(replica_group_log(group)) > 0) {
        assert_true(io_clock_ns(world.shard.loop) < end_ns);
        partition_apply_retention(partition, 0);
        shard_turn(&world.shard);
    }
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 5);
    assert_int_equal(stop(&world, false), REPLICA_OK);
    assert_int_equal(start(&world), REPLICA_OK);
    assert_int_equal(produce_to_leader(&world, &(struct batch_spec){.timestamp_ms = 5000}), 5);
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 5);
    assert_int_equal(stop(&world, false), REPLICA_OK);
    world_close(&world);
}

/* The topic may keep its data longer than the configs that are known so far say. */
static void nothing_is_deleted_before_the_metadata_is_known(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    produce_to_leader(&world, &first);
    produce_to_leader(&world, &second);
    world.shard.metadata_is_loaded = false;
    int64_t next_week_ms = io_wall_ms(world.shard.loop) + 8ll * 24 * 60 * 60 * 1000;
    uint64_t end_ns = io_clock_ns(world.shard.loop) + 300000000;
    while (io_clock_ns(world.shard.loop) < end_ns) {
        partition_apply_retention(partition_find(&world.shard, GROUP_ID), next_week_ms);
        shard_turn(&world.shard);
    }
    assert_int_equal(find_offset(&world, OFFSET_EARLIEST), 0);
    assert_int_equal(stop(&world, false), REPLICA_OK);
    world_close(&world);
}

static void a_deleted_partition_never_comes_back(void **state)
{
    (void)state;
    struct world world;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    assert_int_equal(start(&world), REPLICA_ALREADY_RUNNING);
    assert_int_equal(stop(&world, true), REPLICA_OK);
    assert_int_equal(start(&world), REPLICA_DELETED);
    assert_null(partition_find(&world.shard, GROUP_ID));
    world_close(&world);
}

static void a_stop_that_overtakes_the_start_wins(void **state)
{
    (void)state;
    struct world world;
    struct outcome started = {0};
    struct outcome stopped = {0};
    world_open(&world);
    partition_start(&world.shard, &world.spec, take_outcome, &started);
    partition_stop(&world.shard, GROUP_ID, false, take_outcome, &stopped);
    assert_int_equal(await(&world, &started), REPLICA_OK);
    assert_int_equal(await(&world, &stopped), REPLICA_OK);
    assert_null(partition_find(&world.shard, GROUP_ID));
    world_close(&world);
}

static void deletions_join_and_other_stops_come_again(void **state)
{
    (void)state;
    for (int is_started = 0; is_started < 2; is_started++) {
        struct world world;
        struct outcome started = {0};
        struct outcome deleted[2] = {{0}, {0}};
        struct outcome stopped = {0};
        world_open(&world);
        partition_start(&world.shard, &world.spec, take_outcome, &started);
        if (is_started) {
            assert_int_equal(await(&world, &started), REPLICA_OK);
        }
        partition_stop(&world.shard, GROUP_ID, true, take_outcome, &deleted[0]);
        partition_stop(&world.shard, GROUP_ID, true, take_outcome, &deleted[1]);
        partition_stop(&world.shard, GROUP_ID, false, take_outcome, &stopped);
        assert_int_equal(await(&world, &stopped), REPLICA_BUSY);
        assert_int_equal(await(&world, &deleted[0]), REPLICA_OK);
        assert_int_equal(await(&world, &deleted[1]), REPLICA_OK);
        assert_null(partition_find(&world.shard, GROUP_ID));
        world_close(&world);
    }
}

/* When the broker stops, its groups go first: what still comes for a partition finds none. */
static void a_partition_outlives_its_group(void **state)
{
    (void)state;
    static const struct topic_config config;
    struct world world;
    bool is_stopped = false;
    world_open(&world);
    assert_int_equal(start(&world), REPLICA_OK);
    replica_manager_stop(world.shard.replicas, set_flag, &is_stopped);
    while (!is_stopped) {
        partition_configure(&world.shard, GROUP_ID, &config);
        partition_apply_retention(partition_find(&world.shard, GROUP_ID), 1000);
        shard_turn(&world.shard);
    }
    partition_configure(&world.shard, GROUP_ID, &config);
    partition_apply_retention(partition_find(&world.shard, GROUP_ID), 1000);
    assert_int_equal(stop(&world, false), REPLICA_NOT_RUNNING);
    assert_null(partition_find(&world.shard, GROUP_ID));
    world_end(&world);
}

static void a_spec_survives_its_description(void **state)
{
    (void)state;
    uint8_t description[REPLICA_DESCRIPTION_BYTES_MAX];
    struct partition_spec read;
    struct partition_spec spec = {.group_id = 1234,
                                  .topic = "orders.v1",
                                  .topic_id = uuid_from_random(5, 6),
                                  .partition = 7,
                                  .members = {.voter_count = 3, .voters = {1, 2, 9}}};
    size_t length = partition_spec_encode(&spec, description);
    assert_true(partition_spec_decode(&read, description, length));
    uint8_t again[REPLICA_DESCRIPTION_BYTES_MAX];
    assert_int_equal(partition_spec_encode(&read, again), length);
    assert_memory_equal(again, description, length);
    assert_string_equal(read.topic, "orders.v1");
    assert_int_equal(read.members.voters[2], 9);
    for (size_t cut = 0; cut < length; cut++) {
        assert_false(partition_spec_decode(&read, description, cut));
    }
    description[0] = 99;
    assert_false(partition_spec_decode(&read, description, length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_outlives_a_restart),
        cmocka_unit_test(old_records_go_and_stay_gone),
        cmocka_unit_test(deleted_records_stay_deleted_and_take_no_offset),
        cmocka_unit_test(the_space_of_deleted_records_is_given_back),
        cmocka_unit_test(nothing_is_deleted_before_the_metadata_is_known),
        cmocka_unit_test(a_deleted_partition_never_comes_back),
        cmocka_unit_test(a_stop_that_overtakes_the_start_wins),
        cmocka_unit_test(deletions_join_and_other_stops_come_again),
        cmocka_unit_test(a_partition_outlives_its_group),
        cmocka_unit_test(a_spec_survives_its_description),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
