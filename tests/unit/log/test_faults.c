/* SPDX-License-Identifier: Apache-2.0
 *
 * test_faults.c -- every file operation fails once: while a log is written, cut, reset and closed,
 * while what a crash left of it is opened again, and while it is read.
 *
 * A history is played up to its k-th file operation, where the process dies and the power goes.
 * Then the log is opened with the n-th operation failing, for every n; and then without a fault:
 * that must succeed, find what an opening without any fault would have found, and nothing less than
 * was acknowledged.  So an open that fails half way does no harm, and no error of the disk is ever
 * taken for damage, or for success.
 */
#include "fake_io.h"
#include "log_fixture.h"

#include "base/memory.h"
#include "base/trace.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/data/g"
#define OPERATIONS_MAX 400
#define POWER_CUTS 10 /* of the same moment, keeping different sectors and names */
#define RECORDS 2
#define BATCH_BYTES 161

static struct log_stream *stream;
static struct log *opened;
static struct log_found found;
static char error[256];

/* Entries end at or above acknowledged and below or at appended. */
static struct {
    uint64_t acknowledged;
    uint64_t appended;
    uint64_t term;
} model;

static const struct log_options options = {
    .segment_bytes = 1000, .segment_ms = 60000, .index_interval_bytes = 300};

static int open_log(void)
{
    stream = log_stream_new(fake_loop());
    int result = log_open(&opened, stream, DIRECTORY, &options, &found, error, sizeof(error));
    if (result != 0) {
        log_stream_free(stream);
        opened = NULL;
    }
    return result;
}

static void close_log(void)
{
    fake_run();
    log_detach(opened);
    log_close(opened);
    log_stream_free(stream);
    fake_run();
    opened = NULL;
}

/* ---- Histories ---- */

static int last_result;

static void written(void *owner, uint64_t write_id, int result)
{
    (void)owner;
    (void)write_id;
    last_result = result;
}

/* True when it is durable, and then so is all before it. */
static bool submit(uint64_t term)
{
    struct log_write write = {
        .log = opened, .write_id = 1, .hard_state_changed = term > 0, .term = term, .vote = 2};
    last_result = 1;
    uint64_t last_index = log_last_index(opened);
    model.appended = last_index > model.appended ? last_index : model.appended;
    log_stream_submit(stream, &write, 1, written);
    fake_run();
    if (last_result == 0) {
        model.acknowledged = log_last_index(opened);
        model.term = term > model.term ? term : model.term;
    }
    return last_result == 0;
}

static void append(uint64_t term, uint32_t batches)
{
    for (uint32_t i = 0; i < batches; ++i) {
        fixture_append_batch(opened, term, RECORDS, 100, 1000 + i, i);
    }
}

static void history_of_writes(void)
{
    fixture_append_term(opened, 1);
    submit(1);
    for (int i = 0; i < 6; ++i) {
        append(1, 3);
        submit(0);
    }
    (void)log_snapshot_write(DIRECTORY, model.acknowledged, 1, 20, "state", 5);
    fixture_append_membership(opened, 1, 7);
    fixture_append_term(opened, 2);
    append(2, 1);
    submit(2);
}

/* The end goes, over several segments, and is written anew in another term. */
static void history_of_a_truncation(void)
{
    fixture_append_term(opened, 1);
    append(1, 20);
    submit(1);
    model.acknowledged = model.acknowledged < 11 ? model.acknowledged : 11;
    log_truncate(opened, 12);
    submit(3);
    fixture_append_term(opened, 3);
    append(3, 9);
    submit(0);
}

/* The beginning goes. */
static void history_of_retention(void)
{
    fixture_append_term(opened, 1);
    append(1, 20);
    submit(1);
    log_set_commit(opened, log_last_index(opened));
    log_set_snapshot(opened, log_last_index(opened));
    const struct log_retention retention = {.retention_ms = -1, .retention_bytes = 1500};
    log_apply_retention(opened, &retention, 2000);
    submit(0);
    append(1, 4);
    submit(0);
}

static void history_of_a_reset(void)
{
    fixture_append_term(opened, 1);
    append(1, 20);
    submit(1);
    model.acknowledged = 0;
    log_detach(opened);
    uint8_t bytes[] = {1, 2, 3};
    struct buf *buf = buf_new(sizeof(bytes));
    memcpy(buf->data, bytes, sizeof(bytes));
    buf->length_bytes = sizeof(bytes);
    const struct log_entry membership = {.first_index = 90,
                                         .last_index = 90,
                                         .term = 3,
                                         .kind = LOG_ENTRY_MEMBERSHIP,
                                         .payload = {buf, buf->data, buf->length_bytes}};
    int result = log_reset(opened, 100, 3, 95, &membership);
    buf_release(buf);
    if (result == 0) {
        model.acknowledged = 100;
        append(3, 5);
        submit(0);
    }
}

static void (*const histories[])(void) = {
    history_of_writes,
    history_of_a_truncation,
    history_of_retention,
    history_of_a_reset,
};

/* The disk as the history leaves it that dies at its operation-th file operation, or at its end;
 * whether it came that far. */
static bool play(void (*history)(void), uint32_t operation, uint64_t seed)
{
    fake_reset();
    memset(&model, 0, sizeof(model));
    fake_fail_at(operation, -EIO, true);
    if (open_log() == 0) {
        history();
        close_log();
    }
    bool is_over = fake_fault_is_ahead();
    struct prng prng;
    prng_init(&prng, seed);
    fake_cut_power(&prng);
    return !is_over;
}

/* ---- Opening what is left ---- */

static void assert_nothing_is_lost(void)
{
    assert_true(found.last_index >= model.acknowledged);
    assert_true(found.term >= model.term);
    if (found.prefix_term == 3) { /* the reset happened */
        assert_true(found.first_index == 101 && found.membership_count == 1);
    }
    assert_true(found.last_index <= model.appended || found.first_index == 101);
}

static void assert_same(const struct log_found *left, const struct log_found *right)
{
    assert_int_equal(left->term, right->term);
    assert_int_equal(left->vote, right->vote);
    assert_int_equal(left->first_index, right->first_index);
    assert_int_equal(left->last_index, right->last_index);
    assert_int_equal(left->start_offset, right->start_offset);
    assert_int_equal(left->end_offset, right->end_offset);
    assert_int_equal(left->prefix_term, right->prefix_term);
}

/* False when the opening has fewer operations than fault. */
static bool open_with_fault(uint32_t fault, int how)
{
    fake_fail_at(fault, how, false);
    int result = open_log();
    bool has_failed = !fake_fault_is_ahead();
    assert_true(result == 0 || result == -EIO);
    if (result != 0) {
        assert_true(has_failed);
        assert_true(error[0] != '\0');
    } else {
        close_log();
    }
    return has_failed;
}

static void open_with_every_fault(void (*history)(void), uint32_t operation, uint64_t seed, int how)
{
    play(history, operation, seed);
    assert_int_equal(open_log(), 0);
    assert_nothing_is_lost();
    const struct log_found expected = found;
    close_log();
    for (uint32_t fault = 1;; ++fault) {
        assert_true(fault < OPERATIONS_MAX);
        play(history, operation, seed);
        if (!open_with_fault(fault, how)) {
            break;
        }
        struct prng prng;
        prng_init(&prng, seed * OPERATIONS_MAX + fault);
        fake_cut_power(&prng);
        assert_int_equal(open_log(), 0);
        assert_same(&found, &expected);
        close_log();
    }
}

static void test_a_crash_and_then_a_fault_at_every_operation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(histories) / sizeof(histories[0]); ++i) {
        bool has_died = true;
        for (uint32_t operation = 1; has_died; ++operation) {
            assert_true(operation < OPERATIONS_MAX);
            for (uint64_t seed = 0; seed < POWER_CUTS; ++seed) {
                open_with_every_fault(histories[i], operation, seed, -EIO);
                open_with_every_fault(histories[i], operation, seed, FAKE_SHORT_READ);
            }
            has_died = play(histories[i], operation, 0);
        }
    }
    fake_reset();
}

/* ---- Reading ---- */

struct reader {
    struct log_read read;
    struct log_find_time find;
    struct log_wait wait;
    uint32_t answers;
    uint64_t last_index;
    int result;
};

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct reader *reader = container_of(read, struct reader, read);
    reader->answers++;
    reader->result = result;
    reader->last_index = count > 0 ? entries[count - 1].last_index : 0;
}

static void find_done(struct log_find_time *find, int result, struct buf_slice batch)
{
    struct reader *reader = container_of(find, struct reader, find);
    reader->answers++;
    reader->result = result;
    assert_true(result == 0 || batch.length_bytes == 0);
}

static void resumed(struct log_wait *wait)
{
    container_of(wait, struct reader, wait)->answers++;
}

/* 0, or the error that the reading of all entries ended with. */
static int read_all(void)
{
    struct reader reader = {.read.done = read_done};
    uint64_t after_index = 0;
    while (after_index < log_last_index(opened)) {
        reader.answers = 0;
        reader.read.after_index = after_index;
        reader.read.last_index = log_last_index(opened);
        reader.read.bytes_max = 500;
        log_read(opened, &reader.read);
        fake_run();
        assert_int_equal(reader.answers, 1);
        if (reader.result != 0) {
            return reader.result;
        }
        assert_true(reader.last_index > after_index);
        after_index = reader.last_index;
    }
    return 0;
}

static int fetch_all(void)
{
    struct reader reader = {.wait.resume = resumed};
    uint64_t offset = 0;
    while (offset < log_next_offset(opened)) {
        struct log_fetched fetched;
        int result =
            log_fetch(opened, offset, log_next_offset(opened), 500, &fetched, &reader.wait);
        if (result == -EAGAIN) {
            reader.answers = 0;
            fake_run();
            assert_int_equal(reader.answers, 1);
            continue;
        }
        if (result != 0) {
            return result;
        }
        assert_true(fetched.length_bytes >= BATCH_BYTES);
        offset += RECORDS * (fetched.length_bytes / BATCH_BYTES);
        log_fetched_release(&fetched);
        reader.wait = (struct log_wait){.resume = resumed};
    }
    return 0;
}

static int find_every_time(void)
{
    for (int64_t timestamp_ms = 999; timestamp_ms < 1042; ++timestamp_ms) {
        struct reader reader = {.find = {.timestamp_ms = timestamp_ms,
                                         .limit_offset = log_next_offset(opened),
                                         .done = find_done}};
        log_find_time(opened, &reader.find);
        fake_run();
        assert_int_equal(reader.answers, 1);
        if (reader.result != 0) {
            return reader.result;
        }
    }
    return 0;
}

/* Twenty segments on disk, nothing in memory; without index files every read has to scan. */
static void make_for_reading(bool has_index_files)
{
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    append(1, 40);
    assert_true(submit(1));
    close_log();
    for (uint32_t i = 0; !has_index_files && i < 40; ++i) {
        char path[128];
        snprintf(path, sizeof(path), DIRECTORY "/%020u.index", i * RECORDS);
        (void)io_path_remove(path);
    }
    assert_int_equal(open_log(), 0);
    fake_page_cache(true);
}

static void test_reads_with_a_fault_at_every_operation(void **state)
{
    (void)state;
    static int (*const reads[])(void) = {read_all, fetch_all, find_every_time};
    static const int faults[] = {-EIO, FAKE_SHORT_READ};
    for (size_t i = 0; i < 12; ++i) {
        int (*reading)(void) = reads[i % 3];
        int how = faults[i / 3 % 2];
        bool has_failed = true;
        for (uint32_t fault = 1; has_failed; ++fault) {
            assert_true(fault < OPERATIONS_MAX);
            make_for_reading(i < 6);
            fake_fail_at(fault, how, false);
            int result = reading();
            has_failed = !fake_fault_is_ahead();
            assert_true(has_failed || result == 0);
            fake_fail_at(0, 0, false);
            assert_int_equal(reading(), 0);
            close_log();
        }
    }
    fake_reset();
}

/* ---- Cutting what only the disk knows ---- */

/* Cuts behind keep entries, the n-th file operation failing, and appends; whether that operation
 * came.  Either all of it is durable then, or it was refused and the disk is as it was. */
static bool cut_with_fault(uint64_t keep, uint32_t fault, bool *is_refused)
{
    uint64_t last_index = log_last_index(opened);
    fake_fail_at(fault, -EIO, false);
    log_truncate(opened, keep + 1);
    bool has_failed = !fake_fault_is_ahead();
    fake_fail_at(0, 0, false);
    assert_int_equal(log_last_index(opened), keep);
    append(1, 3);
    *is_refused = !submit(0);
    assert_true(has_failed || !*is_refused);
    close_log();
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.last_index, *is_refused ? last_index : keep + 3 * RECORDS);
    close_log();
    return has_failed;
}

/* In the middle, and in the segment that takes what comes next; its place is read from the disk. */
static void test_a_cut_with_a_fault_at_every_operation(void **state)
{
    (void)state;
    static const uint64_t kept[] = {29, 75};
    for (size_t i = 0; i < 6; ++i) {
        uint32_t refusals = 0;
        bool has_failed = true;
        for (uint32_t fault = 1; has_failed; ++fault) {
            assert_true(fault < OPERATIONS_MAX);
            make_for_reading(i / 2 != 0);
            assert_int_equal(i / 2 == 2 ? fetch_all() : 0, 0); /* the indexes are loaded then */
            bool is_refused;
            has_failed = cut_with_fault(kept[i % 2], fault, &is_refused);
            refusals += is_refused;
        }
        assert_true(refusals > 0);
    }
    fake_reset();
}

/* ---- The applier's snapshot ---- */

static void test_snapshots_with_a_fault_at_every_operation(void **state)
{
    (void)state;
    uint64_t index, term, next_offset;
    struct buf *content;
    fake_reset();
    assert_int_equal(log_snapshot_write(DIRECTORY, 9, 3, 5, "state", 5), 0);
    fake_fail_at(1, -EIO, false);
    assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content), -EIO);
    assert_null(content);
    fake_fail_at(1, -ENOSPC, false);
    assert_int_equal(log_snapshot_write(DIRECTORY, 10, 3, 6, "newer", 5), -ENOSPC);
    assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content), 0);
    assert_int_equal(index, 9);
    buf_release(content);
    fake_reset();
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
        cmocka_unit_test(test_a_crash_and_then_a_fault_at_every_operation),
        cmocka_unit_test(test_reads_with_a_fault_at_every_operation),
        cmocka_unit_test(test_a_cut_with_a_fault_at_every_operation),
        cmocka_unit_test(test_snapshots_with_a_fault_at_every_operation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
