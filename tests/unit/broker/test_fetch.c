/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fetch.c -- Fetch from the request to the partition and back: what is read, when a fetch
 * waits and what ends the wait, and that every reference given out is let go.
 */
#include "broker/api.h"
#include "broker_fixture.h"
#include "fake_group.h"
#include "wire/fetch.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define VERSION 12
#define FOR_EVER_MS 25000

/* One partition of the topic "t" to read. */
struct place {
    int32_t partition;
    int64_t offset;
    int32_t bytes_max; /* 0: one megabyte */
    int32_t current_epoch;
    int32_t last_epoch;
};

struct ask_for {
    int32_t wait_ms;
    int32_t min_bytes;
    int32_t max_bytes; /* 0: a lot */
    int32_t session_id;
    int32_t session_epoch; /* 0: no session is asked for */
    bool begins_session;
    const int32_t *forgotten; /* of "t" */
    int32_t forgotten_count;
    const char *rack;   /* NULL: not told */
    int32_t replica_id; /* 0: a consumer */
};

static void fetch(struct exchange *exchange, struct fixture *fixture, const struct ask_for *asked,
                  const struct place *places, int32_t count)
{
    struct fetch_request body;
    struct fetch_request_fetch_topic topic;
    struct fetch_request_fetch_partition partitions[8];
    fetch_request_init(&body);
    fetch_request_fetch_topic_init(&topic);
    body.max_wait_ms = asked->wait_ms;
    body.min_bytes = asked->min_bytes;
    body.max_bytes = asked->max_bytes != 0 ? asked->max_bytes : 1 << 24;
    body.session_id = asked->session_id;
    body.session_epoch =
        asked->begins_session || asked->session_epoch != 0 ? asked->session_epoch : -1;
    struct fetch_request_forgotten_topic forgotten;
    fetch_request_forgotten_topic_init(&forgotten);
    forgotten.topic = (struct wire_string){"t", 1};
    forgotten.partitions = (int32_t *)asked->forgotten;
    forgotten.partitions_count = asked->forgotten_count;
    body.forgotten_topics_data = &forgotten;
    body.forgotten_topics_data_count = asked->forgotten_count > 0 ? 1 : 0;
    body.replica_id = asked->replica_id != 0 ? asked->replica_id : -1;
    body.topics = &topic;
    body.topics_count = 1;
    topic.topic = (struct wire_string){"t", 1};
    topic.partitions = partitions;
    topic.partitions_count = count;
    for (int32_t i = 0; i < count; i++) {
        fetch_request_fetch_partition_init(&partitions[i]);
        partitions[i].partition = places[i].partition;
        partitions[i].fetch_offset = places[i].offset;
        partitions[i].partition_max_bytes =
            places[i].bytes_max != 0 ? places[i].bytes_max : 1 << 20;
        partitions[i].current_leader_epoch =
            places[i].current_epoch != 0 ? places[i].current_epoch : -1;
        partitions[i].last_fetched_epoch = places[i].last_epoch != 0 ? places[i].last_epoch : -1;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    body.rack_id = wire_string_from(asked->rack != NULL ? asked->rack : "");
    fetch_request_encode(&body, VERSION, &writer);
    exchange_run(exchange, &fixture->shard, api_fetch, VERSION, &writer);
}

static struct fetch_response take(struct exchange *exchange)
{
    struct fetch_response response;
    struct wire_cursor cursor = exchange_answer(exchange);
    assert_true(fetch_response_decode(&response, VERSION, &cursor));
    assert_true(wire_expect_end(&cursor));
    return response;
}

static struct fetch_response_partition_data take_partition(struct exchange *exchange,
                                                           int32_t number)
{
    struct fetch_response response = take(exchange);
    assert_int_equal(response.error_code, WIRE_ERROR_NONE);
    assert_int_equal(response.session_id, 0);
    assert_int_equal(response.responses_count, 1);
    struct fetch_response_partition_data data = response.responses[0].partitions[number];
    assert_true(data.records.length >= 0); /* never null */
    return data;
}

static void append(struct fixture *fixture, uint32_t partition, uint32_t value_bytes)
{
    struct produce_request body;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data data;
    struct exchange exchange;
    struct buf *batch = batch_make(&(struct batch_spec){.value_bytes = value_bytes});
    produce_request_init(&body);
    produce_request_topic_produce_data_init(&topic);
    produce_request_partition_produce_data_init(&data);
    body.acks = 0;
    body.topic_data = &topic;
    body.topic_data_count = 1;
    topic.name = (struct wire_string){"t", 1};
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    data.index = (int32_t)partition;
    data.records.data = batch->data;
    data.records.length = (int32_t)batch->length_bytes;
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    produce_request_encode(&body, 9, &writer);
    buf_release(batch);
    exchange_run(&exchange, &fixture->shard, api_produce, 9, &writer);
    assert_true(exchange.is_answered);
    assert_false(exchange.is_dropped);
    exchange_free(&exchange);
}

static void append_committed(struct fixture *fixture, uint32_t partition, uint32_t value_bytes)
{
    append(fixture, partition, value_bytes);
    fake_group_commit_all(fixture_group(fixture, "t", partition));
}

static void open_with_topic(struct fixture *fixture, int32_t partitions)
{
    fixture_open(fixture);
    fixture_add_topic(fixture, "t", partitions, NULL);
}

/* ---- What is read ---- */

static void committed_batches_come_and_no_others(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    append_committed(&fixture, 0, 10);
    append_committed(&fixture, 0, 10);
    append(&fixture, 0, 10);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1}, &(struct place){0}, 1);
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NONE);
    assert_int_equal(data.high_watermark, 2);
    assert_int_equal(data.last_stable_offset, 2);
    assert_int_equal(data.log_start_offset, 0);
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, data.records.data, (size_t)data.records.length));
    assert_int_equal(batch.base_offset, 0);
    assert_int_equal(batch.leader_epoch, FIXTURE_TERM);
    assert_int_equal(data.records.length, 2 * batch.total_bytes);
    assert_true(wire_batch_crc_matches(&batch));
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void limits_let_one_batch_through_at_least(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 2);
    append_committed(&fixture, 0, 1000);
    append_committed(&fixture, 0, 1000);
    append_committed(&fixture, 1, 1000);
    const struct place places[] = {{.partition = 0, .bytes_max = 10}, {.partition = 1}};
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .max_bytes = 10}, places, 2);
    struct fetch_response_partition_data first = take_partition(&exchange, 0);
    struct fetch_response_partition_data second = take_partition(&exchange, 1);
    assert_in_range(first.records.length, 1000, 1100);
    assert_int_equal(second.records.length, 0);
    assert_int_equal(second.error_code, WIRE_ERROR_NONE);
    exchange_free(&exchange);

    /* With room for both, both come; the order is the request's. */
    const struct place reversed[] = {{.partition = 1}, {.partition = 0, .bytes_max = 1500}};
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1}, reversed, 2);
    assert_in_range(take_partition(&exchange, 0).records.length, 1000, 1100);
    assert_in_range(take_partition(&exchange, 1).records.length, 1000, 1100);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void offsets_out_of_range_are_told_at_once(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    append_committed(&fixture, 0, 10);
    append_committed(&fixture, 0, 10);
    fake_group_drop_before(fixture_group(&fixture, "t", 0), 1);
    const int64_t offsets[] = {0, 3, -1, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS},
              &(struct place){.offset = offsets[i]}, 1);
        assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_OFFSET_OUT_OF_RANGE);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void epochs_are_fenced(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    const struct ask_for asked = {.min_bytes = 1, .wait_ms = FOR_EVER_MS};
    open_with_topic(&fixture, 1);
    append_committed(&fixture, 0, 10);
    fetch(&exchange, &fixture, &asked, &(struct place){.current_epoch = FIXTURE_TERM - 1}, 1);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_FENCED_LEADER_EPOCH);
    assert_int_equal(take_partition(&exchange, 0).current_leader.leader_epoch, FIXTURE_TERM);
    exchange_free(&exchange);
    fetch(&exchange, &fixture, &asked, &(struct place){.current_epoch = FIXTURE_TERM + 1}, 1);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_UNKNOWN_LEADER_EPOCH);
    exchange_free(&exchange);
    fetch(&exchange, &fixture, &asked, &(struct place){.current_epoch = FIXTURE_TERM}, 1);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_NONE);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_parted_log_is_sent_back_to_where_it_parts(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    append_committed(&fixture, 0, 10); /* offset 0 in FIXTURE_TERM, which ends there */
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    fake_group_lead(group, FIXTURE_TERM + 2);
    append_committed(&fixture, 0, 10);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS},
          &(struct place){.offset = 2, .last_epoch = FIXTURE_TERM}, 1);
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NONE);
    assert_int_equal(data.diverging_epoch.epoch, FIXTURE_TERM);
    assert_int_equal(data.diverging_epoch.end_offset, 1);
    assert_int_equal(data.records.length, 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* ---- Waiting ---- */

static void a_fetch_waits_for_the_commit(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 2);
    const struct place places[] = {{.partition = 0}, {.partition = 1}};
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS}, places,
          2);
    append(&fixture, 1, 10);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered);
    fake_group_commit_all(fixture_group(&fixture, "t", 1));
    assert_false(exchange.is_answered); /* at the end of the turn, for all partitions that moved */
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take_partition(&exchange, 0).records.length, 0);
    assert_true(take_partition(&exchange, 1).records.length > 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void min_bytes_are_waited_for(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 150, .wait_ms = FOR_EVER_MS},
          &(struct place){0}, 1);
    append_committed(&fixture, 0, 10);
    shard_turn(&fixture.shard);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered);
    assert_int_equal(fake_group_references(), 0); /* nothing is held while it waits */
    append_committed(&fixture, 0, 10);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_true(take_partition(&exchange, 0).records.length >= 150);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_full_partition_ends_the_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    append_committed(&fixture, 0, 10);
    append_committed(&fixture, 0, 10);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 100000, .wait_ms = FOR_EVER_MS},
          &(struct place){.bytes_max = 100}, 1);
    assert_true(exchange.is_answered);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void the_wait_ends_with_nothing_in_time(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = 2}, &(struct place){0},
          1);
    assert_false(exchange.is_answered);
    shard_turn_until_answered(&fixture.shard, &exchange);
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NONE);
    assert_int_equal(data.records.length, 0);
    assert_int_equal(data.high_watermark, 0);
    exchange_free(&exchange);

    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 0, .wait_ms = FOR_EVER_MS},
          &(struct place){0}, 1);
    assert_true(exchange.is_answered); /* nothing is asked for */
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void lost_leadership_ends_the_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS},
          &(struct place){0}, 1);
    fake_group_follow(fixture_group(&fixture, "t", 0), 3, FIXTURE_TERM + 1);
    shard_turn_until_answered(&fixture.shard, &exchange);
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(data.current_leader.leader_id, 3);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_leader_that_takes_over_is_waited_for(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    append_committed(&fixture, 0, 10);
    fake_group_elect(group, FIXTURE_TERM + 1);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS},
          &(struct place){.current_epoch = FIXTURE_TERM + 1}, 1);
    shard_turn(&fixture.shard);
    assert_false(exchange.is_answered);
    fake_group_lead(group, FIXTURE_TERM + 1);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_true(take_partition(&exchange, 0).records.length > 0);
    exchange_free(&exchange);

    /* But not beyond the client's own time. */
    fake_group_elect(group, FIXTURE_TERM + 2);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = 2}, &(struct place){0},
          1);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_gone_connection_ends_the_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS},
          &(struct place){0}, 1);
    assert_false(exchange.is_answered);
    exchange.request.connection_is_gone = true;
    exchange.request.abandoned(&exchange.request);
    assert_true(exchange.is_answered);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void a_deleted_partition_ends_the_wait(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = FOR_EVER_MS},
          &(struct place){0}, 1);
    fixture_close(&fixture);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    exchange_free(&exchange);
}

static void data_on_disk_is_waited_for(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    append_committed(&fixture, 0, 10);
    fake_group_unload(group, 2);
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1}, &(struct place){0}, 1);
    assert_false(exchange.is_answered); /* though its time is over: the log still knows it */
    fake_group_load(group);
    assert_false(exchange.is_answered);
    fake_group_load(group);
    assert_true(exchange.is_answered);
    assert_true(take_partition(&exchange, 0).records.length > 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* ---- Sessions ---- */

#define WAIT                                                                                       \
    (struct ask_for)                                                                               \
    {                                                                                              \
        .min_bytes = 1, .wait_ms = FOR_EVER_MS                                                     \
    }

/* Begins one over the first so many partitions of "t"; what they hold is read. */
static int32_t begin_session(struct fixture *fixture, int32_t partitions)
{
    struct exchange exchange;
    struct place places[8] = {{0}};
    for (int32_t i = 0; i < partitions; i++) {
        places[i] = (struct place){
            .partition = i,
            .offset = (int64_t)fake_group_end(fixture_group(fixture, "t", (uint32_t)i))};
    }
    fetch(&exchange, fixture, &(struct ask_for){.begins_session = true}, places, partitions);
    struct fetch_response response = take(&exchange);
    assert_int_equal(response.error_code, WIRE_ERROR_NONE);
    assert_true(response.session_id > 0);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, partitions);
    exchange_free(&exchange);
    return response.session_id;
}

/* Fetches at the epoch, naming so many places, and expects the numbers of the partitions told of,
 * -1 at their end. */
static void fetch_news(struct fixture *fixture, int32_t session_id, int32_t epoch,
                       const struct place *places, int32_t count, const int32_t *expected)
{
    struct exchange exchange;
    fetch(&exchange, fixture,
          &(struct ask_for){.session_id = session_id, .session_epoch = epoch, .min_bytes = 0},
          places, count);
    struct fetch_response response = take(&exchange);
    assert_int_equal(response.error_code, WIRE_ERROR_NONE);
    assert_int_equal(response.session_id, session_id);
    for (int32_t i = 0; i < response.responses_count; i++) {
        for (int32_t j = 0; j < response.responses[i].partitions_count; j++) {
            assert_int_equal(response.responses[i].partitions[j].partition_index, *expected);
            expected++;
        }
    }
    assert_int_equal(*expected, -1);
    exchange_free(&exchange);
}

static void a_session_is_told_the_news(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_topic(&fixture, 3);
    append_committed(&fixture, 0, 10);
    int32_t id = begin_session(&fixture, 3);
    fetch_news(&fixture, id, 1, NULL, 0, (int32_t[]){-1});
    append_committed(&fixture, 1, 10);
    fetch_news(&fixture, id, 2, NULL, 0, (int32_t[]){1, -1});
    fetch_news(&fixture, id, 3, &(struct place){.partition = 1, .offset = 1}, 1, (int32_t[]){-1});
    /* What gave records is served last from then on. */
    append_committed(&fixture, 1, 10);
    append_committed(&fixture, 2, 10);
    fetch_news(&fixture, id, 4, NULL, 0, (int32_t[]){2, 1, -1});
    const struct place read_on[] = {{.partition = 1, .offset = 2}, {.partition = 2, .offset = 1}};
    fetch_news(&fixture, id, 5, read_on, 2, (int32_t[]){-1});
    /* The beginning of the log moves, a leader goes and comes back. */
    fake_group_drop_before(fixture_group(&fixture, "t", 0), 1);
    fetch_news(&fixture, id, 6, NULL, 0, (int32_t[]){0, -1});
    fake_group_follow(fixture_group(&fixture, "t", 0), 2, FIXTURE_TERM + 1);
    fetch_news(&fixture, id, 7, NULL, 0, (int32_t[]){0, -1});
    fetch_news(&fixture, id, 8, NULL, 0, (int32_t[]){0, -1});
    fake_group_lead(fixture_group(&fixture, "t", 0), FIXTURE_TERM + 2);
    fetch_news(&fixture, id, 9, NULL, 0, (int32_t[]){0, -1});
    fetch_news(&fixture, id, 10, NULL, 0, (int32_t[]){-1});
    assert_int_equal(counter_read(&fixture.shard.stats.fetch_sessions), 1);
    assert_int_equal(counter_read(&fixture.shard.stats.fetch_session_partitions), 3);
    fixture_close(&fixture);
}

static void forgotten_partitions_are_not_told_of(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 2);
    int32_t id = begin_session(&fixture, 2);
    append_committed(&fixture, 0, 10);
    fetch(&exchange, &fixture,
          &(struct ask_for){.session_id = id,
                            .session_epoch = 1,
                            .forgotten = (int32_t[]){0},
                            .forgotten_count = 1},
          NULL, 0);
    assert_int_equal(take(&exchange).responses_count, 0);
    exchange_free(&exchange);
    fetch_news(&fixture, id, 2, &(struct place){.partition = 0}, 1, (int32_t[]){0, -1});
    /* Nothing is left: the session is over. */
    fetch(&exchange, &fixture,
          &(struct ask_for){.session_id = id,
                            .session_epoch = 3,
                            .forgotten = (int32_t[]){0, 1},
                            .forgotten_count = 2},
          NULL, 0);
    assert_int_equal(take(&exchange).session_id, 0);
    exchange_free(&exchange);
    assert_int_equal(counter_read(&fixture.shard.stats.fetch_sessions), 0);
    fixture_close(&fixture);
}

static void a_session_waits_for_all_its_partitions(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 3);
    int32_t id = begin_session(&fixture, 3);
    struct ask_for asked = WAIT;
    asked.session_id = id;
    asked.session_epoch = 1;
    fetch(&exchange, &fixture, &asked, NULL, 0);
    assert_false(exchange.is_answered);
    append_committed(&fixture, 2, 10);
    shard_turn_until_answered(&fixture.shard, &exchange);
    struct fetch_response response = take(&exchange);
    assert_int_equal(response.responses_count, 1);
    assert_int_equal(response.responses[0].partitions_count, 1);
    assert_int_equal(response.responses[0].partitions[0].partition_index, 2);
    assert_true(response.responses[0].partitions[0].records.length > 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

static void expect_refused(struct fixture *fixture, int32_t id, int32_t epoch,
                           enum wire_error error)
{
    struct exchange exchange;
    struct ask_for asked = WAIT;
    asked.session_id = id;
    asked.session_epoch = epoch;
    fetch(&exchange, fixture, &asked, &(struct place){0}, 1);
    assert_true(exchange.is_answered);
    struct fetch_response response = take(&exchange);
    assert_int_equal(response.error_code, error);
    assert_int_equal(response.session_id, 0);
    assert_int_equal(response.responses_count, 0);
    exchange_free(&exchange);
}

static void wrong_sessions_are_refused(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    int32_t id = begin_session(&fixture, 1);
    expect_refused(&fixture, id, 2, WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    expect_refused(&fixture, id, INT32_MIN, WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    expect_refused(&fixture, id ^ 16, 1, WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    expect_refused(&fixture, 0, 1, WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    expect_refused(&fixture, -5, 3, WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    /* The client ends it, and is still told what it asks for. */
    fetch(&exchange, &fixture, &(struct ask_for){.session_id = id, .session_epoch = -1},
          &(struct place){0}, 1);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_NONE);
    exchange_free(&exchange);
    expect_refused(&fixture, id, 1, WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    fixture_close(&fixture);
}

static void a_waiting_fetch_learns_that_its_session_went_on(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange waiting;
    open_with_topic(&fixture, 2);
    int32_t id = begin_session(&fixture, 2);
    struct ask_for asked = WAIT;
    asked.session_id = id;
    asked.session_epoch = 1;
    fetch(&waiting, &fixture, &asked, NULL, 0);
    assert_false(waiting.is_answered);
    fetch_news(&fixture, id, 2, NULL, 0, (int32_t[]){-1});
    append_committed(&fixture, 1, 10);
    shard_turn_until_answered(&fixture.shard, &waiting);
    assert_int_equal(take(&waiting).error_code, WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    exchange_free(&waiting);

    asked.session_epoch = 3;
    const struct place read_on = {.partition = 1, .offset = 1};
    fetch(&waiting, &fixture, &asked, &read_on, 1);
    assert_false(waiting.is_answered);
    struct exchange closing;
    fetch(&closing, &fixture, &(struct ask_for){.session_id = id, .session_epoch = -1}, NULL, 0);
    exchange_free(&closing);
    append_committed(&fixture, 0, 10);
    shard_turn_until_answered(&fixture.shard, &waiting);
    assert_int_equal(take(&waiting).error_code, WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    exchange_free(&waiting);
    fixture_close(&fixture);
}

static void without_room_fetches_stay_full(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    for (int i = 0; i < FIXTURE_FETCH_SESSIONS; i++) {
        begin_session(&fixture, 1);
    }
    fetch(&exchange, &fixture, &(struct ask_for){.begins_session = true}, &(struct place){0}, 1);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_NONE); /* and id 0 */
    exchange_free(&exchange);
    assert_int_equal(counter_read(&fixture.shard.stats.fetch_sessions_refused), 1);
    fixture_close(&fixture);
}

/* ---- Reading from followers ---- */

#define IN_RACK(name)                                                                              \
    (struct ask_for)                                                                               \
    {                                                                                              \
        .min_bytes = 1, .wait_ms = FOR_EVER_MS, .rack = (name)                                     \
    }
#define IN_RACK_AT_ONCE(name)                                                                      \
    (struct ask_for)                                                                               \
    {                                                                                              \
        .min_bytes = 1, .rack = (name)                                                             \
    }

static void open_in_racks(struct fixture *fixture)
{
    static const char *const kept[] = {"retention.ms", "-1", NULL};
    fixture_open(fixture);
    fixture->config.enable_follower_read = true;
    fixture_set_rack(fixture, 1, "a");
    fixture_set_rack(fixture, 2, "b");
    fixture_set_rack(fixture, 3, "c");
    fixture_add_topic(fixture, "t", 1, kept);
    fake_group_set_matched(fixture_group(fixture, "t", 0), true);
}

static struct fetch_response_partition_data fetch_in_rack(struct fixture *fixture, const char *rack,
                                                          int64_t offset)
{
    struct exchange exchange;
    fetch(&exchange, fixture, &IN_RACK_AT_ONCE(rack), &(struct place){.offset = offset}, 1);
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    exchange_free(&exchange);
    return data;
}

static void the_leader_sends_clients_to_their_rack(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_in_racks(&fixture);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    append_committed(&fixture, 0, 10);
    fetch(&exchange, &fixture, &IN_RACK("b"), &(struct place){.offset = 1}, 1);
    assert_true(exchange.is_answered); /* though there is nothing to read */
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NONE);
    assert_int_equal(data.preferred_read_replica, 2);
    assert_int_equal(data.records.length, 0);
    assert_int_equal(data.high_watermark, 1);
    exchange_free(&exchange);
    assert_int_equal(fetch_in_rack(&fixture, "c", 0).preferred_read_replica, 3);
    /* Its own rack, no rack, one where nobody is. */
    assert_int_equal(fetch_in_rack(&fixture, "a", 0).preferred_read_replica, -1);
    assert_true(fetch_in_rack(&fixture, "a", 0).records.length > 0);
    assert_int_equal(fetch_in_rack(&fixture, "", 0).preferred_read_replica, -1);
    assert_int_equal(fetch_in_rack(&fixture, "z", 0).preferred_read_replica, -1);
    /* A follower that is not in touch, is behind, or may not be asked. */
    fake_group_set_active(group, 2);
    assert_int_equal(fetch_in_rack(&fixture, "c", 0).preferred_read_replica, -1);
    fake_group_set_active(group, 3);
    fake_group_set_matched(group, false);
    assert_int_equal(fetch_in_rack(&fixture, "c", 1).preferred_read_replica, -1);
    assert_int_equal(fetch_in_rack(&fixture, "c", 5).error_code, WIRE_ERROR_OFFSET_OUT_OF_RANGE);
    fake_group_set_matched(group, true);
    fixture.config.enable_follower_read = false;
    assert_int_equal(fetch_in_rack(&fixture, "c", 0).preferred_read_replica, -1);
    fixture_close(&fixture);
}

static void what_is_dropped_next_is_read_from_the_leader(void **state)
{
    (void)state;
    struct fixture fixture;
    open_in_racks(&fixture);
    fixture_add_topic(&fixture, "u", 1, NULL);
    for (int i = 0; i < 8; i++) {
        append_committed(&fixture, 0, 10);
    }
    assert_int_equal(fetch_in_rack(&fixture, "b", 0).preferred_read_replica, 2);
    const struct cluster_topic *cut = cluster_topic_find(fixture.shard.metadata, "u", 1);
    const struct cluster_topic *whole = cluster_topic_find(fixture.shard.metadata, "t", 1);
    partition_configure(&fixture.shard, whole->partitions[0].group_id, &cut->config);
    assert_int_equal(fetch_in_rack(&fixture, "b", 1).preferred_read_replica, -1);
    assert_int_equal(fetch_in_rack(&fixture, "b", 2).preferred_read_replica, 2);
    fixture_close(&fixture);
}

static void a_session_is_told_of_the_better_replica_each_time(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_in_racks(&fixture);
    append_committed(&fixture, 0, 10);
    struct ask_for asked = IN_RACK("b");
    asked.begins_session = true;
    for (int32_t epoch = 0; epoch < 4; epoch++) {
        asked.session_epoch = epoch;
        fetch(&exchange, &fixture, &asked, &(struct place){0}, epoch == 0 ? 1 : 0);
        struct fetch_response response = take(&exchange);
        asked.session_id = response.session_id;
        assert_int_equal(response.responses_count, 1);
        assert_int_equal(response.responses[0].partitions[0].preferred_read_replica, 2);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void a_follower_serves_what_it_knows(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_in_racks(&fixture);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    append_committed(&fixture, 0, 10);
    append_committed(&fixture, 0, 10);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    struct fetch_response_partition_data data = fetch_in_rack(&fixture, "a", 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NONE);
    assert_int_equal(data.high_watermark, 2);
    assert_true(data.records.length > 0);
    assert_int_equal(fetch_in_rack(&fixture, "a", 3).error_code, WIRE_ERROR_OFFSET_OUT_OF_RANGE);
    fake_group_drop_before(group, 1);
    assert_int_equal(fetch_in_rack(&fixture, "a", 0).error_code, WIRE_ERROR_OFFSET_OUT_OF_RANGE);

    /* It wakes those that wait when it learns of more, and when it loses its leader. */
    fetch(&exchange, &fixture, &IN_RACK("a"), &(struct place){.offset = 2}, 1);
    assert_false(exchange.is_answered);
    fake_group_follow(group, 0, FIXTURE_TERM + 2);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    exchange_free(&exchange);

    fake_group_follow(group, 2, FIXTURE_TERM + 2);
    assert_int_equal(fetch_in_rack(&fixture, "a", 1).error_code, WIRE_ERROR_NONE);
    fake_group_set_joining(group, true);
    assert_int_equal(fetch_in_rack(&fixture, "a", 1).error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    fake_group_set_joining(group, false);
    fixture.config.enable_follower_read = false;
    data = fetch_in_rack(&fixture, "a", 1);
    assert_int_equal(data.error_code, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
    assert_int_equal(data.current_leader.leader_id, 2);
    fixture_close(&fixture);
}

static void receive(struct replica_group *group)
{
    struct buf *batch = batch_make(&(struct batch_spec){0});
    fake_group_receive(group, batch);
    buf_release(batch);
}

static void a_follower_that_is_behind_the_client_says_so(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_in_racks(&fixture);
    struct replica_group *group = fixture_group(&fixture, "t", 0);
    append_committed(&fixture, 0, 10);
    fake_group_follow(group, 2, FIXTURE_TERM + 1);
    receive(group); /* one more, which is not known to be committed */
    const struct place ahead = {.offset = 2, .last_epoch = FIXTURE_TERM + 1};
    fetch(&exchange, &fixture, &(struct ask_for){.min_bytes = 1, .wait_ms = 2, .rack = "a"}, &ahead,
          1);
    assert_false(exchange.is_answered);
    shard_turn_until_answered(&fixture.shard, &exchange);
    assert_int_equal(take_partition(&exchange, 0).error_code, WIRE_ERROR_OFFSET_NOT_AVAILABLE);
    exchange_free(&exchange);

    fetch(&exchange, &fixture, &IN_RACK("a"), &ahead, 1);
    receive(group);
    fake_group_commit_all(group);
    shard_turn_until_answered(&fixture.shard, &exchange);
    struct fetch_response_partition_data data = take_partition(&exchange, 0);
    assert_int_equal(data.error_code, WIRE_ERROR_NONE);
    assert_int_equal(data.high_watermark, 3);
    assert_true(data.records.length > 0);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* ---- The request ---- */

static void nobody_fetches_as_a_replica(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    append(&fixture, 0, 10);
    fetch(&exchange, &fixture, &(struct ask_for){.replica_id = 2}, &(struct place){0}, 1);
    assert_int_equal(take(&exchange).error_code, WIRE_ERROR_INVALID_REQUEST);
    exchange_free(&exchange);
    fixture_close(&fixture);
}

/* From version 13 on topics go by their ids. */
static void every_version_reads_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    open_with_topic(&fixture, 1);
    append_committed(&fixture, 0, 10);
    for (int16_t version = 4; version <= 17; version++) {
        struct exchange exchange;
        struct fetch_request body;
        struct fetch_request_fetch_topic topics[2];
        struct fetch_request_fetch_partition partition;
        struct fetch_response response;
        struct wire_writer writer;
        fetch_request_init(&body);
        fetch_request_fetch_partition_init(&partition);
        partition.partition_max_bytes = 1 << 20;
        body.topics = topics;
        body.topics_count = 2;
        for (int i = 0; i < 2; i++) {
            fetch_request_fetch_topic_init(&topics[i]);
            topics[i].topic = (struct wire_string){i == 0 ? "t" : "u", 1};
            topics[i].partitions = &partition;
            topics[i].partitions_count = 1;
        }
        body.session_epoch = -1;
        topics[0].topic_id = cluster_topic_find(fixture.shard.metadata, "t", 1)->id;
        topics[1].topic_id.bytes[3] = 7;
        wire_writer_init(&writer, 64);
        fetch_request_encode(&body, version, &writer);
        exchange_run(&exchange, &fixture.shard, api_fetch, version, &writer);
        struct wire_cursor cursor = exchange_answer(&exchange);
        assert_true(fetch_response_decode(&response, version, &cursor));
        assert_true(wire_expect_end(&cursor));
        const struct fetch_response_partition_data *known = &response.responses[0].partitions[0];
        const struct fetch_response_partition_data *unknown = &response.responses[1].partitions[0];
        assert_int_equal(known->error_code, WIRE_ERROR_NONE);
        assert_int_equal(known->high_watermark, 1);
        assert_true(known->records.length > WIRE_BATCH_HEAD_BYTES);
        assert_int_equal(known->preferred_read_replica, -1);
        assert_int_equal(unknown->error_code, version >= 13
                                                  ? WIRE_ERROR_UNKNOWN_TOPIC_ID
                                                  : WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
        assert_int_equal(unknown->records.length, 0);
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

static void extreme_numbers_are_survived(void **state)
{
    (void)state;
    struct fixture fixture;
    struct exchange exchange;
    open_with_topic(&fixture, 1);
    append_committed(&fixture, 0, 10);
    const struct ask_for asked[] = {
        {.wait_ms = INT32_MAX, .min_bytes = INT32_MIN, .max_bytes = INT32_MIN},
        {.wait_ms = INT32_MIN, .min_bytes = INT32_MAX, .max_bytes = INT32_MAX},
        {.wait_ms = -1, .min_bytes = 1, .max_bytes = -1},
    };
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        fetch(&exchange, &fixture, &asked[i], &(struct place){.bytes_max = INT32_MIN}, 1);
        shard_turn_until_answered(&fixture.shard, &exchange);
        assert_true(take_partition(&exchange, 0).records.length > 0); /* one batch all the same */
        exchange_free(&exchange);
    }
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_batches_come_and_no_others),
        cmocka_unit_test(limits_let_one_batch_through_at_least),
        cmocka_unit_test(offsets_out_of_range_are_told_at_once),
        cmocka_unit_test(epochs_are_fenced),
        cmocka_unit_test(a_parted_log_is_sent_back_to_where_it_parts),
        cmocka_unit_test(a_fetch_waits_for_the_commit),
        cmocka_unit_test(min_bytes_are_waited_for),
        cmocka_unit_test(a_full_partition_ends_the_wait),
        cmocka_unit_test(the_wait_ends_with_nothing_in_time),
        cmocka_unit_test(lost_leadership_ends_the_wait),
        cmocka_unit_test(a_leader_that_takes_over_is_waited_for),
        cmocka_unit_test(a_gone_connection_ends_the_wait),
        cmocka_unit_test(a_deleted_partition_ends_the_wait),
        cmocka_unit_test(data_on_disk_is_waited_for),
        cmocka_unit_test(a_session_is_told_the_news),
        cmocka_unit_test(forgotten_partitions_are_not_told_of),
        cmocka_unit_test(a_session_waits_for_all_its_partitions),
        cmocka_unit_test(wrong_sessions_are_refused),
        cmocka_unit_test(a_waiting_fetch_learns_that_its_session_went_on),
        cmocka_unit_test(without_room_fetches_stay_full),
        cmocka_unit_test(the_leader_sends_clients_to_their_rack),
        cmocka_unit_test(what_is_dropped_next_is_read_from_the_leader),
        cmocka_unit_test(a_session_is_told_of_the_better_replica_each_time),
        cmocka_unit_test(a_follower_serves_what_it_knows),
        cmocka_unit_test(a_follower_that_is_behind_the_client_says_so),
        cmocka_unit_test(nobody_fetches_as_a_replica),
        cmocka_unit_test(every_version_reads_the_same),
        cmocka_unit_test(extreme_numbers_are_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
