/* SPDX-License-Identifier: Apache-2.0
 *
 * test_compaction.c -- compaction against a list of all that was appended: random keys, tombstones,
 * lags, memory too small for all keys, restarts, and a crash with a power cut at every file
 * operation.
 */
#include "fake_io.h"
#include "keyed.h"
#include "log_fixture.h"

#include "base/memory.h"
#include "base/trace.h"
#include "log/key_table.h"
#include "log/state.h"
#include "wire/batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define OPERATIONS_MAX 400
#define POWER_CUTS 3

static const struct log_options options = {
    .segment_bytes = 3000, .segment_ms = 1000000000, .index_interval_bytes = 300};

static const struct log_compaction_rules always = {
    .max_lag_ms = INT64_MAX, .delete_retention_ms = 1000, .dirty_ratio_least = 0};

static struct log_compaction compaction_at(int64_t now_ms)
{
    return (struct log_compaction){
        .rules = always, .now_ms = now_ms, .tombstone_offset = UINT64_MAX, .memory_bytes = 1 << 20};
}

static bool has_something(int64_t now_ms)
{
    struct log_compaction_extent extent;
    log_compaction_measure(keyed_log(), &always, log_last_index(keyed_log()), now_ms, &extent);
    return extent.dirty_offset < extent.end_offset;
}

/* ---- The table of keys ---- */

static void keys_find_their_newest_offset(void **state)
{
    (void)state;
    struct key_table table;
    key_table_init(&table, 1 << 20, 99);
    uint64_t offset = 0;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t key = 0; key < 5000; key++) {
            assert_true(key_table_put(&table, (const uint8_t *)&key, sizeof(key), offset++));
        }
    }
    for (uint32_t key = 0; key < 6000; key++) {
        uint64_t found = 0;
        bool is_there = key_table_find(&table, (const uint8_t *)&key, sizeof(key), &found);
        assert_int_equal(is_there, key < 5000);
        assert_int_equal(found, is_there ? 10000 + key : 0);
    }
    assert_int_equal(table.key_count, 5000);
    uint64_t found;
    assert_false(key_table_find(&table, NULL, 0, &found));
    assert_true(key_table_put(&table, NULL, 0, offset));
    assert_true(key_table_find(&table, NULL, 0, &found));
    assert_int_equal(found, offset);
    key_table_free(&table);
}

static void a_full_table_says_so(void **state)
{
    (void)state;
    struct key_table table;
    key_table_init(&table, 8192, 1);
    uint32_t key = 0;
    while (key_table_put(&table, (const uint8_t *)&key, sizeof(key), key)) {
        key++;
        assert_true(key < 8192);
    }
    assert_true(key > 100);
    uint32_t first = 0;
    assert_true(key_table_put(&table, (const uint8_t *)&first, sizeof(first), 9000));
    assert_true(table.slot_count * sizeof(struct key_slot) + table.bytes_capacity <= 8192);
    key_table_free(&table);
    static uint8_t large[20000];
    assert_true(key_table_put(&table, large, sizeof(large), 1)); /* or nothing would ever go on */
    assert_false(key_table_put(&table, large, 5, 2));
    key_table_free(&table);
}

/* ---- Small histories ---- */

static void append_one(uint32_t key, int32_t value, int64_t timestamp_ms)
{
    const struct keyed_record record = {key, value};
    keyed_append(&record, 1, WIRE_COMPRESSION_NONE, -1, timestamp_ms);
}

/* Rounds of all keys, then enough of others that the segments with them are closed. */
static void append_rounds(uint32_t rounds, uint32_t keys)
{
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t key = 0; key < keys; key++) {
            append_one(key, (int32_t)round, 1000 + round);
        }
    }
}

static void close_segments(void)
{
    assert_true(keyed_submit());
    for (uint32_t i = 0; i < 40; i++) {
        append_one(4000, (int32_t)i, 2000);
    }
    assert_true(keyed_submit());
}

static void the_newest_of_each_key_stays(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(20, 30);
    close_segments();
    uint64_t before = log_size_bytes(keyed_log());
    struct log_compaction compaction = compaction_at(5000);
    assert_int_equal(keyed_compact(&compaction), 0);
    keyed_check(0);
    assert_true(log_size_bytes(keyed_log()) < before / 4);
    assert_int_equal(before - log_size_bytes(keyed_log()), compaction.bytes_saved);
    assert_true(compaction.records_removed > 500);
    assert_true(log_compacted_offset(keyed_log()) == compaction.end_offset);
    assert_false(has_something(6000));
    keyed_close();
    assert_int_equal(keyed_open(&options), 0);
    assert_int_equal(log_compacted_offset(keyed_log()), compaction.end_offset);
    keyed_check(0);
    keyed_close();
    keyed_reset();
}

/* What was closed is due though nothing is appended behind the last flush. */
static void a_log_at_rest_is_compacted(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(20, 30);
    assert_true(log_is_dirty(keyed_log()));
    assert_true(keyed_submit());
    assert_false(log_is_dirty(keyed_log()));
    assert_true(has_something(5000));
    struct log_compaction compaction = compaction_at(5000);
    assert_int_equal(keyed_compact(&compaction), 0);
    keyed_check(0);
    assert_true(compaction.records_removed > 400);
    keyed_close();
    keyed_reset();
}

/* A tombstone is seen for a time that begins when it is first compacted, and as long as a replica
 * may still have what it deletes. */
static void tombstones_stay_their_time(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(3, 10);
    append_one(3, KEYED_TOMBSTONE, 1100);
    close_segments();
    struct log_compaction compaction = compaction_at(10000);
    assert_int_equal(keyed_compact(&compaction), 0);
    uint64_t compacted = compaction.end_offset;
    assert_int_equal(compaction.tombstones_removed, 0);
    keyed_check(0);

    close_segments();
    compaction = compaction_at(10999);
    assert_int_equal(keyed_compact(&compaction), 0);
    assert_int_equal(compaction.tombstones_removed, 0);
    keyed_check(0);

    close_segments();
    compaction = compaction_at(11001);
    compaction.tombstone_offset = 30;
    assert_int_equal(keyed_compact(&compaction), 0);
    assert_int_equal(compaction.tombstones_removed, 0);
    keyed_check(0);

    close_segments();
    compaction = compaction_at(11001);
    compaction.tombstone_offset = 31;
    keyed_spend_tombstones(31);
    assert_true(compacted >= 31);
    assert_int_equal(keyed_compact(&compaction), 0);
    assert_int_equal(compaction.tombstones_removed, 1);
    keyed_check(0);
    keyed_close();
    keyed_reset();
}

static void young_records_stay(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(20, 10);
    close_segments();
    struct log_compaction_rules rules = always;
    struct log_compaction_extent extent;
    rules.min_lag_ms = 500;
    log_compaction_measure(keyed_log(), &rules, log_last_index(keyed_log()), 1499, &extent);
    assert_int_equal(extent.end_offset, 0);
    assert_false(extent.is_due);
    log_compaction_measure(keyed_log(), &rules, log_last_index(keyed_log()), 1515, &extent);
    assert_true(extent.end_offset > 0 && extent.end_offset < 200);
    assert_true(extent.is_due);
    /* Only what is applied. */
    log_compaction_measure(keyed_log(), &always, 20, 5000, &extent);
    assert_int_equal(extent.end_offset, 0);
    keyed_close();
    keyed_reset();
}

static void it_is_time_by_share_and_by_age(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    for (uint32_t key = 0; key < 2000; key++) {
        append_one(key, 1, 1000);
    }
    close_segments();
    struct log_compaction compaction = compaction_at(5000);
    assert_int_equal(keyed_compact(&compaction), 0);
    close_segments();
    close_segments();
    struct log_compaction_rules rules = always;
    struct log_compaction_extent extent;
    rules.dirty_ratio_least = 0.5;
    log_compaction_measure(keyed_log(), &rules, log_last_index(keyed_log()), 6000, &extent);
    assert_true(extent.dirty_bytes > 0 && extent.dirty_bytes < extent.clean_bytes);
    assert_false(extent.is_due);
    rules.max_lag_ms = 4000;
    log_compaction_measure(keyed_log(), &rules, log_last_index(keyed_log()), 6000, &extent);
    assert_false(extent.is_due);
    log_compaction_measure(keyed_log(), &rules, log_last_index(keyed_log()), 6001, &extent);
    assert_true(extent.is_due);
    keyed_close();
    keyed_reset();
}

static void look_again(struct log_wait *wait)
{
    (void)wait;
}

typedef int fetch_function(struct log *log, uint64_t offset, uint64_t limit_offset,
                           uint64_t bytes_max, struct log_fetched *fetched, struct log_wait *wait);

/* The caller releases it. */
static void fetch_with(fetch_function *fetch, uint64_t offset, uint64_t limit_offset,
                       uint64_t bytes_max, struct log_fetched *fetched)
{
    struct log_wait wait = {.resume = look_again};
    int result = -EAGAIN;
    while (result == -EAGAIN) {
        result = fetch(keyed_log(), offset, limit_offset, bytes_max, fetched, &wait);
        fake_run();
    }
    assert_int_equal(result, 0);
}

/* The first batch of what is fetched. */
static struct wire_batch head_with(fetch_function *fetch, uint64_t offset)
{
    struct log_fetched fetched;
    struct wire_batch head;
    uint8_t bytes[WIRE_BATCH_HEAD_BYTES];
    size_t done = 0;
    fetch_with(fetch, offset, log_next_offset(keyed_log()), 1, &fetched);
    /* What was compacted comes from a file; a consumer may be led on to the tail. */
    assert_true(fetched.file != NULL || fetch == log_fetch_records);
    if (fetched.file == NULL) {
        assert_true(wire_batch_read(&head, fetched.slices[0].data, fetched.slices[0].length_bytes));
    } else {
        assert_int_equal(io_file_read(fetched.file, fetched.position, bytes, sizeof(bytes), &done),
                         0);
        assert_true(wire_batch_read(&head, bytes, done));
    }
    log_fetched_release(&fetched);
    return head;
}

static struct wire_batch head_at(uint64_t offset)
{
    return head_with(log_fetch, offset);
}

static struct wire_batch head_for_consumer(uint64_t offset)
{
    return head_with(log_fetch_records, offset);
}

/* Of thirty batches of the same three keys, by one producer, three heads are needed. */
static void open_with_needed_heads(const uint64_t heads[3])
{
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    const struct keyed_record records[] = {{1, 1}, {2, 1}, {3, 1}};
    for (uint32_t i = 0; i < 30; i++) {
        keyed_append(records, 3, WIRE_COMPRESSION_ZSTD, 9, 1000);
    }
    close_segments();
    struct log_compaction compaction = compaction_at(5000);
    compaction.heads = heads;
    compaction.head_count = 3;
    assert_int_equal(keyed_compact(&compaction), 0);
}

static void heads_that_are_needed_stay(void **state)
{
    (void)state;
    static const uint64_t heads[] = {0, 30, 33};
    open_with_needed_heads(heads);
    keyed_check(0);
    keyed_close();
    assert_int_equal(keyed_open(&options), 0);
    keyed_check(0);
    for (size_t i = 0; i < 3; i++) {
        struct wire_batch head = head_at(heads[i]);
        assert_int_equal(head.base_offset, heads[i]);
        assert_int_equal(head.record_count, 0);
        assert_int_equal(head.producer_id, 9);
        assert_int_equal(head.base_sequence, heads[i]);
        assert_int_equal(head.last_offset_delta, 2);
    }
    struct wire_batch gap = head_at(3);
    assert_true(wire_batch_is_filler(&gap));
    assert_int_equal(gap.last_offset_delta, 26);
    keyed_close();
    keyed_reset();
}

static void consumers_are_not_sent_parts_without_records(void **state)
{
    (void)state;
    static const uint64_t heads[] = {0, 30, 33};
    open_with_needed_heads(heads);
    for (int opening = 0; opening < 2; opening++) {
        struct wire_batch last = head_for_consumer(0);
        assert_true(last.base_offset > 33);
        assert_true(last.record_count > 0);
        uint64_t before = (uint64_t)last.base_offset - 1;
        assert_int_equal(head_at(before).record_count, 0);
        assert_int_equal(head_for_consumer(before).base_offset, last.base_offset);
        assert_int_equal(head_for_consumer(31).base_offset, last.base_offset);
        keyed_close();
        assert_int_equal(keyed_open(&options), 0);
    }
    keyed_close();
    keyed_reset();
}

/* A fetch of several partitions is looked at anew while one of them waits for its log. */
static void what_was_passed_over_is_not_looked_at_again(void **state)
{
    (void)state;
    uint64_t heads[200];
    struct log_options small = options;
    small.segment_bytes = 600;
    keyed_reset();
    assert_int_equal(keyed_open(&small), 0);
    keyed_append_term();
    for (uint32_t i = 0; i < 200; i++) {
        heads[i] = i;
        keyed_append(&(struct keyed_record){1, 1}, 1, WIRE_COMPRESSION_NONE, 9, 1000);
    }
    close_segments();
    struct log_compaction compaction = compaction_at(5000);
    compaction.heads = heads;
    compaction.head_count = 200;
    assert_int_equal(keyed_compact(&compaction), 0);
    keyed_close();
    assert_int_equal(keyed_open(&small), 0);

    struct log_wait wait = {.resume = look_again};
    struct log_fetched fetched;
    uint64_t end = log_next_offset(keyed_log());
    uint32_t waits = 0;
    while (log_fetch_records(keyed_log(), 0, end, 1000, &fetched, &wait) == -EAGAIN) {
        waits++;
        fake_run();
    }
    log_fetched_release(&fetched);
    assert_true(waits > 2 * LOG_OPEN_CLOSED_SEGMENTS_MAX);
    for (int look = 0; look < 3; look++) {
        assert_int_equal(log_fetch_records(keyed_log(), 0, end, 1000, &fetched, &wait), 0);
        assert_true(fetched.length_bytes > 0);
        log_fetched_release(&fetched);
    }
    keyed_close();
    keyed_reset();
}

/* Nothing follows: the consumer still learns how far it has come. */
static void parts_without_records_at_the_end_are_sent(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(30, 1);
    close_segments();
    struct log_compaction compaction = compaction_at(5000);
    assert_int_equal(keyed_compact(&compaction), 0);
    struct wire_batch first = head_at(0);
    assert_int_equal(first.record_count, 0);
    uint64_t end = (uint64_t)first.base_offset + (uint64_t)first.last_offset_delta + 1;
    struct log_fetched fetched;
    fetch_with(log_fetch_records, 0, end, 1000000, &fetched);
    assert_true(fetched.length_bytes > 0);
    log_fetched_release(&fetched);
    keyed_close();
    keyed_reset();
}

/* A follower may have any prefix of what was appended; it is sent the rest, from where it is. */
struct part {
    struct log_read read;
    uint64_t first_index;
    uint64_t last_index;
    struct wire_batch head;
};

static void part_read(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct part *part = container_of(read, struct part, read);
    assert_int_equal(result, 0);
    assert_true(count > 0);
    part->first_index = entries[0].first_index;
    part->last_index = entries[0].last_index;
    assert_true(
        wire_batch_read(&part->head, entries[0].payload.data, entries[0].payload.length_bytes));
    assert_true(wire_batch_crc_matches(&part->head));
}

static void fillers_are_read_from_anywhere(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(30, 1);
    close_segments();
    struct log_compaction compaction = compaction_at(5000);
    assert_int_equal(keyed_compact(&compaction), 0);
    for (uint64_t after = 1; after < 25; after++) {
        for (uint64_t last = after + 1; last < 28; last++) {
            struct part part = {
                .read = {
                    .after_index = after, .last_index = last, .bytes_max = 100, .done = part_read}};
            log_read(keyed_log(), &part.read);
            fake_run();
            assert_int_equal(part.first_index, after + 1);
            assert_int_equal(part.last_index, last);
            assert_true(wire_batch_is_filler(&part.head));
            assert_int_equal(part.head.base_offset, after - 1);
            assert_int_equal(part.head.last_offset_delta, last - after - 1);
        }
    }
    keyed_close();
    keyed_reset();
}

static void cancelled(struct log_compaction *compaction, int result)
{
    *(int *)compaction->owner = result;
}

/* No checksum covers a batch's base offset and term; a filler made of them would have one. */
static void a_batch_of_another_term_ends_it(void **state)
{
    (void)state;
    static const char first[] = KEYED_DIRECTORY "/00000000000000000000.log";
    static const size_t places[] = {7, 12, 15}; /* the offset's end, the term's beginning and end */
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        keyed_reset();
        assert_int_equal(keyed_open(&options), 0);
        keyed_append_term();
        append_rounds(20, 30);
        close_segments();
        size_t size;
        uint8_t *batch = fake_file(first, &size);
        struct wire_batch head;
        assert_true(wire_batch_read(&head, batch, size));
        batch += head.total_bytes; /* the second one: all of its records are void */
        batch[places[i]] ^= 0x80;
        struct log_compaction compaction = compaction_at(5000);
        assert_int_equal(keyed_compact(&compaction), -EBADMSG);
        assert_int_equal(compaction.bytes_saved, 0);
        batch[places[i]] ^= 0x80;
        compaction = compaction_at(5000);
        assert_int_equal(keyed_compact(&compaction), 0);
        keyed_check(0);
        keyed_close();
    }
    keyed_reset();
}

static void a_cancelled_one_ends_soon(void **state)
{
    (void)state;
    for (uint32_t steps = 0; steps < 60; steps++) {
        keyed_reset();
        assert_int_equal(keyed_open(&options), 0);
        keyed_append_term();
        append_rounds(30, 20);
        close_segments();
        int result = 1;
        struct log_compaction compaction = compaction_at(5000);
        compaction.applied_index = log_last_index(keyed_log());
        compaction.bytes_per_second = 1000000;
        compaction.done = cancelled;
        compaction.owner = &result;
        log_compact(keyed_log(), &compaction);
        assert_true(log_is_compacting(keyed_log()) && !log_is_idle(keyed_log()));
        for (uint32_t i = 0; i < steps; i++) {
            (void)fake_step();
            fake_advance_ms(i % 7 == 0 ? 400 : 0);
        }
        log_compaction_cancel(keyed_log());
        fake_advance_ms(1);
        fake_run();
        assert_true(result == -ECANCELED || result == 0);
        assert_false(log_is_compacting(keyed_log()));
        assert_true(log_is_idle(keyed_log()));
        keyed_check(0);
        keyed_close();
        assert_int_equal(keyed_open(&options), 0);
        keyed_check(0);
        keyed_close();
    }
    keyed_reset();
}

static void retention_and_compaction_get_along(void **state)
{
    (void)state;
    keyed_reset();
    assert_int_equal(keyed_open(&options), 0);
    keyed_append_term();
    append_rounds(40, 20);
    close_segments();
    int result = 1;
    struct log_compaction compaction = compaction_at(5000);
    compaction.applied_index = log_last_index(keyed_log());
    compaction.done = cancelled;
    compaction.owner = &result;
    log_compact(keyed_log(), &compaction);
    log_set_snapshot(keyed_log(), log_last_index(keyed_log()));
    const struct log_retention retention = {.retention_ms = -1, .retention_bytes = 9000};
    assert_true(log_apply_retention(keyed_log(), &retention, 5000));
    uint64_t start = log_start_offset(keyed_log());
    while (result == 1) {
        fake_run();
        fake_advance_ms(1);
    }
    assert_int_equal(result, -ECANCELED);
    assert_true(keyed_submit());
    assert_int_equal(log_start_offset(keyed_log()), start);
    compaction = compaction_at(6000);
    assert_int_equal(keyed_compact(&compaction), 0);
    keyed_close();
    assert_int_equal(keyed_open(&options), 0);
    assert_int_equal(log_start_offset(keyed_log()), start);
    keyed_close();
    keyed_reset();
}

/* ---- Chance ---- */

static const int codecs[] = {WIRE_COMPRESSION_NONE,   WIRE_COMPRESSION_NONE, WIRE_COMPRESSION_GZIP,
                             WIRE_COMPRESSION_SNAPPY, WIRE_COMPRESSION_LZ4,  WIRE_COMPRESSION_ZSTD};

static void append_by_chance(struct prng *prng, uint32_t keys, int64_t now_ms)
{
    uint32_t what = (uint32_t)prng_next(prng) % 40;
    if (what == 0) {
        keyed_append_term();
    } else if (what == 1) {
        keyed_append_membership();
    } else {
        struct keyed_record records[12];
        uint32_t count = 1 + (uint32_t)prng_next(prng) % 12;
        for (uint32_t i = 0; i < count; i++) {
            records[i].key = (uint32_t)prng_next(prng) % keys;
            records[i].value =
                prng_next(prng) % 6 == 0 ? KEYED_TOMBSTONE : (int32_t)(prng_next(prng) % 100000);
            if (prng_next(prng) % 50 == 0) {
                records[i].key = KEYED_NO_KEY;
            }
        }
        keyed_append(records, count, codecs[prng_next(prng) % 6],
                     prng_next(prng) % 4 == 0 ? (int64_t)(prng_next(prng) % 3) : -1, now_ms);
    }
}

static void compact_by_chance(struct prng *prng, int64_t now_ms)
{
    struct log_compaction compaction = compaction_at(now_ms);
    compaction.memory_bytes = prng_next(prng) % 3 == 0 ? 1 << 20 : 2500;
    compaction.tombstone_offset = prng_next(prng) % 3 == 0 ? 0 : log_compacted_offset(keyed_log());
    if (has_something(now_ms)) {
        keyed_spend_tombstones(compaction.tombstone_offset);
        assert_int_equal(keyed_compact(&compaction), 0);
    }
}

static void chance_finds_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct prng prng;
        prng_init(&prng, seed);
        keyed_reset();
        assert_int_equal(keyed_open(&options), 0);
        keyed_append_term();
        int64_t now_ms = 1000;
        uint32_t keys = 1 + (uint32_t)prng_next(&prng) % 200;
        for (uint32_t round = 0; round < 25; round++) {
            uint32_t appends = (uint32_t)prng_next(&prng) % 60;
            for (uint32_t i = 0; i < appends; i++) {
                append_by_chance(&prng, keys, now_ms);
            }
            assert_true(keyed_submit());
            now_ms += (int64_t)(prng_next(&prng) % 900);
            if (prng_next(&prng) % 2 == 0) {
                compact_by_chance(&prng, now_ms);
            }
            if (prng_next(&prng) % 8 == 0) {
                keyed_close();
                assert_int_equal(keyed_open(&options), 0);
                log_set_commit(keyed_log(), log_last_index(keyed_log()));
            }
            keyed_check(0);
        }
        keyed_close();
    }
    keyed_reset();
}

/* ---- A crash at every file operation ---- */

static const struct log_options small = {
    .segment_bytes = 1400, .segment_ms = 1000000000, .index_interval_bytes = 300};

/* All keys but one in each. */
static void append_batches(uint32_t count)
{
    struct keyed_record records[12];
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < 12; k++) {
            records[k] = (struct keyed_record){k < i ? k : k + 1, (int32_t)i};
        }
        keyed_append(records, 12, WIRE_COMPRESSION_NONE, -1, 1000 + i);
    }
}

/* Two compactions: the second one meets fillers, segments made of several, spent tombstones. */
static uint64_t history(void)
{
    if (keyed_open(&small) != 0) {
        return 0;
    }
    keyed_append_term();
    uint64_t saved = 0;
    int64_t now_ms = 1000;
    for (uint32_t i = 0; i < 2; i++) {
        append_batches(8);
        append_one(5, KEYED_TOMBSTONE, now_ms);
        keyed_append_membership();
        append_batches(8);
        if (!keyed_submit()) {
            break;
        }
        saved = log_last_index(keyed_log());
        now_ms += 2000;
        struct log_compaction compaction = compaction_at(now_ms);
        if (has_something(now_ms)) {
            keyed_spend_tombstones(log_compacted_offset(keyed_log()));
            (void)keyed_compact(&compaction);
        }
    }
    keyed_close();
    return saved;
}

/* Whether the history came to its operation-th file operation, where it died. */
static bool play(uint32_t operation, uint64_t seed, uint64_t *saved)
{
    keyed_reset();
    fake_fail_at(operation, -EIO, true);
    *saved = history();
    bool has_died = !fake_fault_is_ahead();
    struct prng prng;
    prng_init(&prng, seed);
    fake_cut_power(&prng);
    return has_died;
}

static void check_what_is_left(uint64_t saved)
{
    keyed_forget_after(log_last_index(keyed_log()));
    keyed_check(saved);
    log_set_commit(keyed_log(), log_last_index(keyed_log()));
    if (has_something(100000)) {
        struct log_compaction compaction = compaction_at(100000);
        keyed_spend_tombstones(log_compacted_offset(keyed_log()));
        assert_int_equal(keyed_compact(&compaction), 0);
        keyed_check(saved);
    }
}

static void a_crash_at_every_operation(void **state)
{
    (void)state;
    uint32_t operation = 1;
    uint64_t saved;
    while (play(operation, 0, &saved)) {
        assert_true(operation < OPERATIONS_MAX);
        for (uint64_t seed = 0; seed < POWER_CUTS; seed++) {
            (void)play(operation, seed, &saved);
            assert_int_equal(keyed_open(&small), 0);
            check_what_is_left(saved);
            keyed_close();
        }
        operation++;
    }
    assert_true(operation > 80);
    keyed_reset();
}

/* And once more, at every file operation of the opening that follows. */
static void a_crash_and_then_a_fault_while_it_opens(void **state)
{
    (void)state;
    uint64_t saved;
    for (uint32_t operation = 30; play(operation, operation, &saved); operation += 7) {
        bool has_failed = true;
        for (uint32_t fault = 1; has_failed; fault++) {
            assert_true(fault < OPERATIONS_MAX);
            (void)play(operation, operation, &saved);
            fake_fail_at(fault, -EIO, false);
            int result = keyed_open(&small);
            has_failed = !fake_fault_is_ahead();
            assert_true(result == 0 || result == -EIO);
            if (result == 0) {
                keyed_close();
            }
            struct prng prng;
            prng_init(&prng, fault);
            fake_cut_power(&prng);
            assert_int_equal(keyed_open(&small), 0);
            check_what_is_left(saved);
            keyed_close();
        }
    }
    keyed_reset();
}

/* Thousands of faults, each with a line: not worth reading. */
static void swallow(enum trace_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    (void)context;
}

int main(void)
{
    trace_install(swallow, NULL, TRACE_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_find_their_newest_offset),
        cmocka_unit_test(a_full_table_says_so),
        cmocka_unit_test(the_newest_of_each_key_stays),
        cmocka_unit_test(a_log_at_rest_is_compacted),
        cmocka_unit_test(tombstones_stay_their_time),
        cmocka_unit_test(young_records_stay),
        cmocka_unit_test(it_is_time_by_share_and_by_age),
        cmocka_unit_test(heads_that_are_needed_stay),
        cmocka_unit_test(consumers_are_not_sent_parts_without_records),
        cmocka_unit_test(what_was_passed_over_is_not_looked_at_again),
        cmocka_unit_test(parts_without_records_at_the_end_are_sent),
        cmocka_unit_test(fillers_are_read_from_anywhere),
        cmocka_unit_test(a_batch_of_another_term_ends_it),
        cmocka_unit_test(a_cancelled_one_ends_soon),
        cmocka_unit_test(retention_and_compaction_get_along),
        cmocka_unit_test(chance_finds_nothing),
        cmocka_unit_test(a_crash_at_every_operation),
        cmocka_unit_test(a_crash_and_then_a_fault_while_it_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
