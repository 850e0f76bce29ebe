/* SPDX-License-Identifier: Apache-2.0
 *
 * test_produce.c -- Produce from the request to the partition and back: what is refused, what waits
 * for what, and what an answer promises.
 */
#include "broker/api.h"
#include "broker/partition_state.h"
#include "broker_fixture.h"
#include "fake_group.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION 12

struct sent {
    const char *topic;
    int32_t partition;
    struct buf *batch; /* released by produce() */
};

static void produce_with(struct exchange *exchange, struct fixture *fixture, int16_t version,
                         int16_t acks, int32_t timeout_ms, const struct sent *sent, int32_t count)
{
    struct produce_request body;
    struct produce_request_topic_produce_data topics[4];
    struct produce_request_partition_produce_data partitions[4];
    produce_request_init(&body);
    body.acks = acks;
    body.timeout_ms = timeout_ms;
    body.topic_data = topics;
    body.topic_data_count = count;
    for (int32_t i = 0; i < count; i++) {
        produce_request_topic_produce_data_init(&topics[i]);
        produce_request_partition_produce_data_init(&partitions[i]);
        topics[i].name = (struct wire_string){sent[i].topic, (int32_t)strlen(sent[i].topic)};
        topics[i].partition_data = &partitions[i];
        topics[i].partition_data_count = 1;
        partitions[i].index = sent[i].partition;
        partitions[i].records.data = sent[i].batch->data;
        partitions[i].records.length = (int32_t)sent[i].batch->length_bytes;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    produce_request_encode(&body, version, &writer);
    for (int32_t i = 0; i < count; i++) {
        buf_release(sent[i].batch);
    }
    exchange_run(exchange, &fixture->shard, api_produce, version, &writer);
}

static void produce(struct exchange *exchange, struct fixture *fixture, int16_t acks,
                    const char *topic, const struct batch_spec *spec)
{
    struct sent sent = {topic, 0, batch_make(spec)};
    produce_with(exchange, fixture, VERSION, acks, 300000, &sent, 1);
}

/* The answer for the topic at a position; the exchange is freed. */
static struct produce_response_partition_produce_response take(struct exchange *exchange,
                                                               int32_t position)
{
    struct produce_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(produce_response_decode(&response, exchange->request.version, &cursor));
    assert_true(wire_expect_end(&cursor));
    assert_true(position < response.responses_count);
    return response.responses[position].partition_responses[0];
}

static void expect(struct exchange *exchange, enum wire_error error, int64_t base_offset)
{
    struct produce_response_partition_produce_response answer = take(exchange, 0);
    assert_int_equal(answer.error_code, error);
    assert_int_equal(answer.base_offset, base_offset);
    exchange_free(exchange);
}

static int64_t now_ms(struct fixture *fixture)
{
    return io_wall_ms(fixture->shard.loop);
}

/* ---- What acks wait for ---- */

static void acks_all_waits_for_the_commit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange first;
    struct exchange second;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    produce(&first, &fixture, -1, "t", &(struct batch_spec){.record_count = 3});
    produce(&second, &fixture, -1, "t", &(struct batch_spec){.record_count = 2});
    assert_false(first.is_answered);
    fake_group_save(group);
    assert_false(first.is_answered);
    fake_group_commit(group, 3);
    assert_true(first.is_answered);
    assert_false(second.is_answered);
    fake_group_commit(group, 5);
    expect(&first, WIRE_ERROR_NONE, 0);
    expect(&second, WIRE_ERROR_NONE, 3);
    fixture_close(&fixture);
}

static void acks_one_waits_for_the_own_flush(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    produce(&exchange, &fixture, 1, "t", &(struct batch_spec){0});
    assert_false(exchange.is_answered);
    fake_group_save(fixture_group(&fixture, "t", 0));
    expect(&exchange, WIRE_ERROR_NONE, 0);
    fixture_close(&fixture);
}

static void acks_zero_ends_at_once_and_an_error_closes(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    produce(&exchange, &fixture, 0, "t", &(struct batch_spec){0});
    assert_true(exchange.is_answered);
    assert_false(exchange.is_dropped);
    assert_true(exchange.request.wants_no_response);
    assert_int_equal(fake_group_end(fixture_group(&fixture, "t", 0)), 1);
    exchange_free(&exchange);

    produce(&exchange, &fixture, 0, "unknown", &(struct batch_spec){0});
    assert_true(exchange.is_dropped);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void other_acks_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    produce(&exchange, &fixture, 2, "t", &(struct batch_spec){0});
    expect(&exchange, WIRE_ERROR_INVALID_REQUIRED_ACKS, -1);
    produce(&exchange, &fixture, -5, "t", &(struct batch_spec){0});
    expect(&exchange, WIRE_ERROR_INVALID_REQUIRED_ACKS, -1);
    assert_int_equal(fake_group_end(fixture_group(&fixture, "t", 0)), 0);
    fixture_close(&fixture);
}

static void a_timeout_leaves_the_fate_open(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct sent sent = {"t", 0, batch_make(&(struct batch_spec){0})};
    produce_with(&exchange, &fixture, VERSION, -1, 1, &sent, 1);
    shard_turn_until_answered(&fixture.shard, &exchange);
    expect(&exchange, WIRE_ERROR_REQUEST_TIMED_OUT, -1);
    fake_group_commit_all(fixture_group(&fixture, "t", 0)); /* nobody is answered twice */
    fixture_close(&fixture);
}

/* ---- Leadership ---- */

static void lost_leadership_never_promises_that_a_batch_is_gone(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange appended;
    struct exchange held;
    struct exchange late;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    produce(&appended, &fixture, -1, "t", &(struct batch_spec){0});
    fake_group_set_full(group, true);
    produce(&held, &fixture, -1, "t", &(struct batch_spec){0});
    assert_false(held.is_answered);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    /* Another leader may commit the first; the second was never in any log. */
    expect(&appended, WIRE_ERROR_REQUEST_TIMED_OUT, -1);
    expect(&held, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, -1);

    produce(&late, &fixture, -1, "t", &(struct batch_spec){0});
    struct produce_response response;
    struct wire_cursor cursor = exchange_answer(&late);
    assert_true(produce_response_decode(&response, VERSION, &cursor));
    assert_int_equal(response.responses[0].partition_responses[0].error_code,
                     WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(response.responses[0].partition_responses[0].current_leader.leader_id, 2);
    assert_int_equal(response.responses[0].partition_responses[0].current_leader.leader_epoch,
                     FIXTURE_TERM + 1);
    assert_int_equal(response.node_endpoints_count, 1);
    assert_true(wire_string_equal(response.node_endpoints[0].host, "host2"));
    exchange_free(&late);
    fixture_close(&fixture);
}

static void a_full_log_holds_batches_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchanges[3];
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    produce(&exchanges[0], &fixture, -1, "t", &(struct batch_spec){0});
    fake_group_set_full(group, true);
    produce(&exchanges[1], &fixture, -1, "t", &(struct batch_spec){.record_count = 2});
    fake_group_set_full(group, false);
    produce(&exchanges[2], &fixture, -1, "t", &(struct batch_spec){0}); /* behind the one held */
    assert_int_equal(fake_group_end(group), 1);
    fake_group_commit_all(group);
    assert_int_equal(fake_group_end(group), 4);
    fake_group_commit_all(group);
    expect(&exchanges[0], WIRE_ERROR_NONE, 0);
    expect(&exchanges[1], WIRE_ERROR_NONE, 1);
    expect(&exchanges[2], WIRE_ERROR_NONE, 3);
    fixture_close(&fixture);
}

/* Clients learn of an election before the new leader is ready.  If it refused one batch and took
 * the next, an idempotent producer would see a gap and might take it for lost data. */
static void a_leader_that_is_not_ready_yet_holds_batches_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchanges[3];
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    produce(&exchanges[0], &fixture, -1, "t", &(struct batch_spec){.producer_id = 9});
    fake_group_commit_all(group);
    expect(&exchanges[0], WIRE_ERROR_NONE, 0);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    fake_group_elect(group, FIXTURE_TERM + 2);
    produce(&exchanges[1], &fixture, -1, "t",
            &(struct batch_spec){.producer_id = 9, .base_sequence = 1});
    assert_false(exchanges[1].is_answered);
    fake_group_lead(group, FIXTURE_TERM + 2);
    produce(&exchanges[2], &fixture, -1, "t",
            &(struct batch_spec){.producer_id = 9, .base_sequence = 2});
    fake_group_commit_all(group);
    expect(&exchanges[1], WIRE_ERROR_NONE, 1);
    expect(&exchanges[2], WIRE_ERROR_NONE, 2);

    fake_group_follow(group, 2, FIXTURE_TERM + 3);
    fake_group_elect(group, FIXTURE_TERM + 4);
    produce(&exchanges[0], &fixture, -1, "t", &(struct batch_spec){0});
    assert_false(exchanges[0].is_answered);
    fake_group_follow(group, 2, FIXTURE_TERM + 5); /* it never got ready */
    expect(&exchanges[0], WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, -1);
    assert_int_equal(fake_group_end(group), 3);
    fixture_close(&fixture);
}

/* What was not appended is told so, unlike a batch whose commit is late. */
static void what_is_held_too_long_is_refused_for_certain(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    struct sent sent = {"t", 0, batch_make(&(struct batch_spec){0})};
    fake_group_set_full(group, true);
    produce_with(&exchange, &fixture, VERSION, -1, 1, &sent, 1);
    shard_turn_until_answered(&fixture.shard, &exchange);
    expect(&exchange, WIRE_ERROR_NOT_ENOUGH_REPLICAS, -1);
    assert_int_equal(fake_group_end(group), 0);
    fixture_close(&fixture);
}

static void what_is_held_has_a_limit(void **state)
{
    (void)state;
    enum { COUNT = 90 }; /* of a megabyte each */
    static struct exchange exchanges[COUNT];
    struct fixture fixture;
    const char *const config[] = {"max.message.bytes", "2000000", NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, config);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    fake_group_set_full(group, true);
    int refused = 0;
    for (int i = 0; i < COUNT; i++) {
        produce(&exchanges[i], &fixture, -1, "t", &(struct batch_spec){.value_bytes = 1000000});
        refused += exchanges[i].is_answered;
    }
    assert_in_range(refused, 10, 40);
    expect(&exchanges[COUNT - 1], WIRE_ERROR_NOT_ENOUGH_REPLICAS, -1);
    fake_group_set_full(group, false);
    fake_group_commit_all(group); /* makes room */
    fake_group_commit_all(group);
    expect(&exchanges[0], WIRE_ERROR_NONE, 0);
    for (int i = 1; i < COUNT - 1; i++) {
        exchange_free(&exchanges[i]);
    }
    produce(&exchanges[0], &fixture, -1, "t", &(struct batch_spec){0});
    fake_group_commit_all(group);
    expect(&exchanges[0], WIRE_ERROR_NONE, COUNT - refused);
    fixture_close(&fixture);
}

static void min_insync_replicas_beyond_the_majority_count(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const char *const config[] = {"min.insync.replicas", "3", NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, config);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    fake_group_set_active(group, 2);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){0});
    expect(&exchange, WIRE_ERROR_NOT_ENOUGH_REPLICAS, -1);
    fake_group_set_active(group, 3);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){0});
    fake_group_commit_all(group);
    expect(&exchange, WIRE_ERROR_NONE, 0);
    fixture_close(&fixture);
}

/* ---- Idempotence ---- */

static void a_repeated_batch_is_answered_with_its_first_place(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct exchange copy;
    const struct batch_spec first = {.producer_id = 9, .record_count = 2};
    const struct batch_spec second = {.producer_id = 9, .record_count = 2, .base_sequence = 2};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    produce(&exchange, &fixture, -1, "t", &first);
    produce(&copy, &fixture, -1, "t", &first);
    assert_int_equal(fake_group_end(group), 2);
    assert_false(copy.is_answered); /* not before the one it repeats is committed */
    fake_group_commit_all(group);
    expect(&exchange, WIRE_ERROR_NONE, 0);
    expect(&copy, WIRE_ERROR_NONE, 0);

    produce(&exchange, &fixture, -1, "t", &second);
    fake_group_commit_all(group);
    expect(&exchange, WIRE_ERROR_NONE, 2);
    produce(&copy, &fixture, -1, "t", &first);
    expect(&copy, WIRE_ERROR_NONE, 0);
    assert_int_equal(fake_group_end(group), 4);
    fixture_close(&fixture);
}

/* Soon after an election or a start the batch before it may have been refused on the way: it is
 * sent again, and no client is told of lost data. */
static void a_gap_in_the_sequence_is_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const struct batch_spec gap = {.producer_id = 9, .base_sequence = 5};
    fixture_open(&fixture);
    const struct cluster_topic *topic = fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    struct partition *partition = partition_find(&fixture.shard, topic->partitions[0].group_id);
    produce(&exchange, &fixture, -1, "t", &gap);
    expect(&exchange, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, -1);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){.producer_id = 9});
    fake_group_commit_all(group);
    expect(&exchange, WIRE_ERROR_NONE, 0);
    produce(&exchange, &fixture, -1, "t", &gap);
    expect(&exchange, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, -1);

    partition->leads_since_ns = 0;
    fixture.shard.metadata_loaded_ns = io_now_ns(fixture.shard.loop);
    produce(&exchange, &fixture, -1, "t", &gap);
    expect(&exchange, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, -1);
    fixture.shard.metadata_loaded_ns = 0;
    produce(&exchange, &fixture, -1, "t", &gap);
    expect(&exchange, WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER, -1);
    /* Of a producer that nothing is known of: its batches may be older than the log. */
    produce(&exchange, &fixture, -1, "t",
            &(struct batch_spec){.producer_id = 10, .base_sequence = 5});
    fake_group_commit_all(group);
    expect(&exchange, WIRE_ERROR_NONE, 1);
    fixture_close(&fixture);
}

static void what_was_cut_is_appended_again(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const struct batch_spec spec = {.producer_id = 9};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    produce(&exchange, &fixture, -1, "t", &spec);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    expect(&exchange, WIRE_ERROR_REQUEST_TIMED_OUT, -1);
    fake_group_lead(group, FIXTURE_TERM + 2);
    produce(&exchange, &fixture, -1, "t", &spec);
    assert_int_equal(fake_group_end(group), 1);
    fake_group_commit_all(group);
    expect(&exchange, WIRE_ERROR_NONE, 0);
    fixture_close(&fixture);
}

/* ---- Checks ---- */

static void the_same_partition_twice_appends_neither(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 2, NULL);
    struct sent sent[] = {{"t", 0, batch_make(&(struct batch_spec){0})},
                          {"t", 1, batch_make(&(struct batch_spec){0})},
                          {"t", 0, batch_make(&(struct batch_spec){0})}};
    produce_with(&exchange, &fixture, VERSION, -1, 10000, sent, 3);
    assert_int_equal(fake_group_end(fixture_group(&fixture, "t", 0)), 0);
    fake_group_commit_all(fixture_group(&fixture, "t", 1));
    assert_int_equal(take(&exchange, 0).error_code, WIRE_ERROR_INVALID_REQUEST);
    assert_int_equal(take(&exchange, 1).error_code, WIRE_ERROR_NONE);
    assert_int_equal(take(&exchange, 2).error_code, WIRE_ERROR_INVALID_REQUEST);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void unknown_places_are_named(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct sent sent[] = {{"t", -1, batch_make(&(struct batch_spec){0})},
                          {"t", INT32_MAX, batch_make(&(struct batch_spec){0})},
                          {"other", 0, batch_make(&(struct batch_spec){0})}};
    produce_with(&exchange, &fixture, VERSION, -1, 10000, sent, 3);
    for (int32_t i = 0; i < 3; i++) {
        assert_int_equal(take(&exchange, i).error_code, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void damaged_batches_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct sent sent = {"t", 0, batch_make(&(struct batch_spec){0})};
    sent.batch->data[sent.batch->length_bytes - 1] ^= 1;
    produce_with(&exchange, &fixture, VERSION, -1, 10000, &sent, 1);
    expect(&exchange, WIRE_ERROR_CORRUPT_MESSAGE, -1);

    sent.batch = batch_make(&(struct batch_spec){0});
    sent.batch->length_bytes = 0;
    produce_with(&exchange, &fixture, VERSION, -1, 10000, &sent, 1);
    expect(&exchange, WIRE_ERROR_INVALID_RECORD, -1);
    assert_int_equal(fake_group_end(fixture_group(&fixture, "t", 0)), 0);
    fixture_close(&fixture);
}

static void the_limits_of_the_topic_hold(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const char *const config[] = {"max.message.bytes",
                                  "200",
                                  "message.timestamp.after.max.ms",
                                  "60000",
                                  "message.timestamp.before.max.ms",
                                  "60000",
                                  "cleanup.policy",
                                  "compact",
                                  NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, config);
    shard_turn(&fixture.shard);
    int64_t now = now_ms(&fixture);
    produce(&exchange, &fixture, -1, "t",
            &(struct batch_spec){.timestamp_ms = now, .value_bytes = 300});
    expect(&exchange, WIRE_ERROR_MESSAGE_TOO_LARGE, -1);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){.timestamp_ms = now + 120000});
    expect(&exchange, WIRE_ERROR_INVALID_TIMESTAMP, -1);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){.timestamp_ms = now - 120000});
    expect(&exchange, WIRE_ERROR_INVALID_TIMESTAMP, -1);
    produce(&exchange, &fixture, -1, "t",
            &(struct batch_spec){.timestamp_ms = now, .has_null_key = true});
    expect(&exchange, WIRE_ERROR_INVALID_RECORD, -1);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){.timestamp_ms = now});
    fake_group_commit_all(fixture_group(&fixture, "t", 0));
    expect(&exchange, WIRE_ERROR_NONE, 0);
    fixture_close(&fixture);
}

static void the_records_without_a_key_are_named(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const char *const config[] = {"cleanup.policy", "compact", NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, config);
    for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
        produce(&exchange, &fixture, -1, "t",
                &(struct batch_spec){
                    .record_count = 5, .null_key_every = 2, .is_compressed = is_compressed != 0});
        struct produce_response_partition_produce_response answer = take(&exchange, 0);
        assert_int_equal(answer.error_code, WIRE_ERROR_INVALID_RECORD);
        assert_int_equal(answer.record_errors_count, 3);
        for (int32_t i = 0; i < 3; i++) {
            assert_int_equal(answer.record_errors[i].batch_index, 2 * i);
        }
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void log_append_time_is_stamped_and_told(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const char *const config[] = {"message.timestamp.type", "LogAppendTime", NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, config);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){.timestamp_ms = 5});
    fake_group_commit_all(fixture_group(&fixture, "t", 0));
    struct produce_response_partition_produce_response answer = take(&exchange, 0);
    assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
    assert_in_range(now_ms(&fixture) - answer.log_append_time_ms, 0, 1000);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* The topic's compression wins over the producer's; sizes are judged before and after. */
static void batches_are_compressed_as_the_topic_wants(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const char *const gzip[] = {"compression.type", "gzip", NULL};
    const char *const plain[] = {"compression.type", "uncompressed", "max.message.bytes", "400",
                                 NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "gzip", 1, gzip);
    fixture_add_topic(&fixture, "plain", 1, plain);
    const struct batch_spec spec = {.record_count = 20, .value_bytes = 100};
    uint64_t before = fixture.shard.stats.produce_bytes.value;
    produce(&exchange, &fixture, -1, "gzip", &spec);
    fake_group_commit_all(fixture_group(&fixture, "gzip", 0));
    expect(&exchange, WIRE_ERROR_NONE, 0);
    assert_true(fixture.shard.stats.produce_bytes.value - before < 1000); /* and not 2000 */

    struct batch_spec packed = {.record_count = 3, .value_bytes = 10, .is_compressed = true};
    produce(&exchange, &fixture, -1, "plain", &packed);
    fake_group_commit_all(fixture_group(&fixture, "plain", 0));
    expect(&exchange, WIRE_ERROR_NONE, 0);
    packed.value_bytes = 300;
    produce(&exchange, &fixture, -1, "plain", &packed);
    expect(&exchange, WIRE_ERROR_MESSAGE_TOO_LARGE, -1);

    struct sent damaged = {"plain", 0, batch_make(&(struct batch_spec){.is_compressed = true})};
    damaged.batch->data[WIRE_BATCH_HEAD_BYTES + 12] ^= 0x55;
    wire_batch_write_crc(damaged.batch->data, damaged.batch->length_bytes);
    produce_with(&exchange, &fixture, VERSION, -1, 1000, &damaged, 1);
    expect(&exchange, WIRE_ERROR_INVALID_RECORD, -1);
    fixture_close(&fixture);
}

/* What waits for room has been compressed already, and is accounted as that. */
static void compressed_batches_wait_in_order(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchanges[2];
    const char *const gzip[] = {"compression.type", "gzip", NULL};
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, gzip);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    fake_group_set_full(group, true);
    for (int i = 0; i < 2; i++) {
        produce(&exchanges[i], &fixture, -1, "t",
                &(struct batch_spec){.record_count = 3, .value_bytes = 200});
    }
    assert_int_equal(fake_group_end(group), 0);
    fake_group_set_full(group, false);
    fake_group_commit_all(group);
    fake_group_commit_all(group);
    expect(&exchanges[0], WIRE_ERROR_NONE, 0);
    expect(&exchanges[1], WIRE_ERROR_NONE, 3);
    fixture_close(&fixture);
}

static void the_brokers_time_is_not_the_producers_to_claim(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    struct sent sent = {"t", 0, batch_make(&(struct batch_spec){0})};
    wire_batch_set_append_time(sent.batch->data, sent.batch->length_bytes, 5);
    produce_with(&exchange, &fixture, VERSION, -1, 1000, &sent, 1);
    expect(&exchange, WIRE_ERROR_INVALID_TIMESTAMP, -1);
    fixture_close(&fixture);
}

static void every_version_appends_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    for (int16_t version = 3; version <= 12; version++) {
        struct exchange exchange;
        struct sent sent = {"t", 0, batch_make(&(struct batch_spec){0})};
        produce_with(&exchange, &fixture, version, -1, 10000, &sent, 1);
        fake_group_commit_all(fixture_group(&fixture, "t", 0));
        struct produce_response_partition_produce_response answer = take(&exchange, 0);
        assert_int_equal(answer.error_code, WIRE_ERROR_NONE);
        assert_int_equal(answer.base_offset, version - 3);
        assert_int_equal(answer.log_append_time_ms, -1);
        assert_int_equal(answer.log_start_offset, version >= 5 ? 0 : -1);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void transactions_are_refused_clearly(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    struct produce_request body;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data data;
    struct buf *batch = batch_make(&(struct batch_spec){0});
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    produce_request_init(&body);
    produce_request_topic_produce_data_init(&topic);
    produce_request_partition_produce_data_init(&data);
    body.transactional_id = (struct wire_string){"x", 1};
    body.acks = -1;
    body.topic_data = &topic;
    body.topic_data_count = 1;
    topic.name = (struct wire_string){"t", 1};
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    data.records.data = batch->data;
    data.records.length = (int32_t)batch->length_bytes;
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    produce_request_encode(&body, VERSION, &writer);
    buf_release(batch);
    exchange_run(&exchange, &fixture.shard, api_produce, VERSION, &writer);
    expect(&exchange, WIRE_ERROR_INVALID_TXN_STATE, -1);
    assert_int_equal(fake_group_end(fixture_group(&fixture, "t", 0)), 0);
    fixture_close(&fixture);
}

static void a_stopped_partition_answers_everybody(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    fixture_open(&fixture);
    fixture_add_topic(&fixture, "t", 1, NULL);
    produce(&exchange, &fixture, -1, "t", &(struct batch_spec){0});
    fixture_close(&fixture);
    expect(&exchange, WIRE_ERROR_REQUEST_TIMED_OUT, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acks_all_waits_for_the_commit),
        cmocka_unit_test(acks_one_waits_for_the_own_flush),
        cmocka_unit_test(acks_zero_ends_at_once_and_an_error_closes),
        cmocka_unit_test(other_acks_are_refused),
        cmocka_unit_test(a_timeout_leaves_the_fate_open),
        cmocka_unit_test(lost_leadership_never_promises_that_a_batch_is_gone),
        cmocka_unit_test(a_full_log_holds_batches_in_order),
        cmocka_unit_test(a_leader_that_is_not_ready_yet_holds_batches_in_order),
        cmocka_unit_test(what_is_held_too_long_is_refused_for_certain),
        cmocka_unit_test(what_is_held_has_a_limit),
        cmocka_unit_test(min_insync_replicas_beyond_the_majority_count),
        cmocka_unit_test(a_repeated_batch_is_answered_with_its_first_place),
        cmocka_unit_test(a_gap_in_the_sequence_is_refused),
        cmocka_unit_test(what_was_cut_is_appended_again),
        cmocka_unit_test(the_same_partition_twice_appends_neither),
        cmocka_unit_test(unknown_places_are_named),
        cmocka_unit_test(damaged_batches_are_refused),
        cmocka_unit_test(the_limits_of_the_topic_hold),
        cmocka_unit_test(the_records_without_a_key_are_named),
        cmocka_unit_test(log_append_time_is_stamped_and_told),
        cmocka_unit_test(batches_are_compressed_as_the_topic_wants),
        cmocka_unit_test(compressed_batches_wait_in_order),
        cmocka_unit_test(the_brokers_time_is_not_the_producers_to_claim),
        cmocka_unit_test(every_version_appends_the_same),
        cmocka_unit_test(transactions_are_refused_clearly),
        cmocka_unit_test(a_stopped_partition_answers_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
