/* SPDX-License-Identifier: Apache-2.0
 *
 * test_damage.c -- torn writes are mended, damage is refused, caches are rebuilt, a failed disk is
 * final.
 */
#include "fake_io.h"
#include "log_fixture.h"

#include "base/list.h"
#include "base/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/data/g"
#define FIRST DIRECTORY "/00000000000000000000.log"
#define EPOCHS DIRECTORY "/epochs"

static struct log_stream *stream;
static struct log *opened;
static struct log_found found;
static char error[256];
static int last_result;

static const struct log_options options = {
    .segment_bytes = 2000, .segment_ms = 60000, .index_interval_bytes = 300};

static int open_log(void)
{
    stream = log_stream_new(fake_loop());
    int result = log_open(&opened, stream, DIRECTORY, &options, &found, error, sizeof(error));
    if (result != 0) {
        log_stream_free(stream);
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
}

static void written(void *owner, uint64_t write_id, int result)
{
    (void)owner;
    (void)write_id;
    last_result = result;
}

static void submit(uint64_t term)
{
    struct log_write write = {
        .log = opened, .write_id = 1, .hard_state_changed = term > 0, .term = term, .vote = 2};
    last_result = 1;
    log_stream_submit(stream, &write, 1, written);
    fake_run();
}

/* Leaves the log as a crash does: no checkpoint at its end. */
static void crash(void)
{
    fake_run();
    fake_fail(-EIO);
    submit(0);
    assert_int_equal(last_result, -EIO);
    struct prng prng;
    prng_init(&prng, 1);
    fake_cut_power(&prng);
    log_detach(opened);
    log_close(opened);
    log_stream_free(stream);
}

static void make(uint32_t batches)
{
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    submit(1);
    for (uint32_t i = 0; i < batches; i++) {
        fixture_append_batch(opened, 1, 2, 100, 1000 + i, i);
        submit(0);
        assert_int_equal(last_result, 0);
    }
    fixture_append_batch(opened, 1, 1, 100, 5000,
                         77); /* what the failing submit of crash() takes */
    crash();
}

static void test_torn_segment(void **state)
{
    (void)state;
    make(4);
    size_t size;
    uint8_t *copy = memory_allocate(1000);
    memcpy(copy, fake_file(FIRST, &size), 4 * 161);
    for (size_t length = 3 * 161; length < 4 * 161; length++) {
        for (int zeroed = 0; zeroed < 2; zeroed++) {
            uint8_t torn[1000] = {0};
            memcpy(torn, copy, length);
            fake_file_put(FIRST, torn, zeroed ? 700 : length);
            assert_int_equal(open_log(), 0);
            assert_int_equal(found.end_offset, 6);
            assert_int_equal(found.tail_was_cut, zeroed || length > 3 * 161);
            log_detach(opened);
            fake_fail(-EIO); /* closes without leaving a checkpoint */
            log_close(opened);
            fake_fail(0);
            log_stream_free(stream);
        }
    }
    memory_free(copy);
    fake_reset();
}

static void test_bit_flip_in_the_middle(void **state)
{
    (void)state;
    make(4);
    size_t size;
    uint8_t *data = fake_file(FIRST, &size);
    for (size_t at = 0; at < 3 * 161; at++) {
        data[at] ^= 0x10;
        uint8_t before = data[at];
        int result = open_log();
        assert_int_equal(result, -EBADMSG);
        assert_non_null(strstr(error, "00000000000000000000.log"));
        assert_int_equal(data[at], before);
        data[at] ^= 0x10;
    }
    assert_int_equal(open_log(), 0);
    close_log();
    fake_reset();
}

/* A replica that cannot read the end of its log gives way to one that has less: it goes, whichever
 * of its bytes are wrong, and whether the index points there or not. */
static void test_what_is_damaged_can_be_cut_off(void **state)
{
    (void)state;
    for (size_t kept = 2; kept < 4; kept++) {
        for (size_t at = kept * 161; at < (kept + 1) * 161; at++) {
            make(5);
            assert_int_equal(open_log(), 0);
            size_t size;
            fake_file(FIRST, &size)[at] ^= 0x10;
            log_truncate(opened, log_first_index(opened) + 1 + 2 * kept);
            assert_int_equal(log_next_offset(opened), 2 * kept);
            fixture_append_term(opened, 2);
            fixture_append_batch(opened, 2, 2, 100, 2000, 8);
            submit(2);
            assert_int_equal(last_result, 0);
            close_log();
            assert_int_equal(open_log(), 0);
            assert_int_equal(found.end_offset, 2 * kept + 2);
            assert_int_equal(found.term, 2);
            close_log();
        }
    }
    fake_reset();
}

struct reading {
    struct log_read read;
    int result; /* 1: not yet */
    size_t count;
};

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct reading *reading = container_of(read, struct reading, read);
    (void)entries;
    reading->result = result;
    reading->count = count;
}

/* Reads the batches from that one on. */
static struct reading read_from_batch(uint64_t batch)
{
    struct reading reading = {.read = {.after_index = log_first_index(opened) + 2 * batch,
                                       .last_index = log_last_index(opened),
                                       .bytes_max = 10000,
                                       .done = read_done},
                              .result = 1};
    log_read(opened, &reading.read);
    fake_run();
    return reading;
}

/* Found by the drill: a byte of a batch's term had rotten, which its checksum does not cover, and a
 * leader sent it. */
static void test_nothing_damaged_is_read(void **state)
{
    (void)state;
    make(5);
    assert_int_equal(open_log(), 0);
    assert_int_equal(read_from_batch(2).count, 3);
    for (size_t at = 2 * 161; at < 3 * 161; at++) {
        for (uint8_t bit = 1; bit != 0; bit = (uint8_t)(bit << 1)) {
            size_t size;
            fake_file(FIRST, &size)[at] ^= bit;
            struct reading before = read_from_batch(1);
            assert_int_equal(before.result, 0);
            assert_int_equal(before.count, 1);
            assert_int_equal(read_from_batch(2).result, -EBADMSG);
            fake_file(FIRST, &size)[at] ^= bit;
        }
    }
    assert_int_equal(read_from_batch(2).count, 3);
    close_log();
    fake_reset();
}

static void test_torn_hard_state(void **state)
{
    (void)state;
    make(1);
    size_t before;
    fake_file(EPOCHS, &before);
    assert_int_equal(open_log(), 0);
    submit(7);
    fixture_append_batch(opened, 1, 1, 100, 5000, 78);
    crash();
    size_t after;
    uint8_t *data = fake_file(EPOCHS, &after);
    uint8_t *copy = memory_allocate(after);
    memcpy(copy, data, after);
    for (size_t length = before; length <= after; length++) {
        fake_file_put(EPOCHS, copy, length);
        assert_int_equal(open_log(), 0);
        assert_int_equal(found.term, length == after ? 7 : 1);
        log_detach(opened);
        fake_fail(-EIO);
        log_close(opened);
        fake_fail(0);
        log_stream_free(stream);
    }
    for (size_t at = before; at < after; at++) {
        copy[at] ^= 0x40;
        fake_file_put(EPOCHS, copy, after);
        int result = open_log();
        assert_true(result == -EBADMSG || (result == 0 && found.term == 1));
        if (result == 0) {
            close_log();
        }
        copy[at] ^= 0x40;
    }
    memory_free(copy);
    fake_reset();
}

static void test_missing_segment_and_index(void **state)
{
    (void)state;
    make(40);
    assert_int_equal(open_log(), 0);
    close_log();
    size_t size;
    const char *index = DIRECTORY "/00000000000000000024.index";
    uint8_t *data = fake_file(index, &size);
    assert_non_null(data);
    data[40] ^= 1;
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, 80);
    close_log();
    assert_int_equal(io_path_remove(index), 0);
    assert_int_equal(open_log(), 0);
    close_log();
    assert_int_equal(io_path_remove(DIRECTORY "/00000000000000000024.log"), 0);
    assert_int_equal(open_log(), -EBADMSG);
    fake_reset();
}

static void test_snapshot(void **state)
{
    (void)state;
    fake_reset();
    uint64_t index, term, next_offset;
    struct buf *content;
    assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content), -ENOENT);
    assert_int_equal(log_snapshot_write(DIRECTORY, 9, 3, 5, "state", 5), 0);
    assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content), 0);
    assert_int_equal(index, 9);
    assert_int_equal(next_offset, 5);
    assert_memory_equal(content->data, "state", 5);
    buf_release(content);
    size_t size;
    fake_file(DIRECTORY "/snapshot", &size)[50] ^= 1;
    assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content), -EBADMSG);
    fake_reset();
}

/* The disk fails at each step of a submit in turn, once, and works again: this stream says nothing
 * is durable from then on, and opening finds all that was told to be. */
static void test_failure_at_every_step(void **state)
{
    (void)state;
    bool has_failed = true;
    for (uint32_t step = 0; has_failed; step++) {
        fake_reset();
        assert_int_equal(open_log(), 0);
        fixture_append_term(opened, 1);
        submit(1);
        assert_int_equal(last_result, 0);
        for (uint32_t i = 0; i < 30; i++) {
            fixture_append_batch(opened, 1, 2, 100, 1000 + i, i);
        }
        struct log_write write = {
            .log = opened, .write_id = 1, .hard_state_changed = true, .term = 2, .vote = 2};
        last_result = 1;
        log_stream_submit(stream, &write, 1, written);
        for (uint32_t i = 0; i < step; i++) {
            fake_step();
        }
        has_failed = last_result == 1;
        fake_fail(-EIO);
        fake_step();
        fake_fail(0);
        fake_run();
        assert_int_equal(last_result, has_failed ? -EIO : 0);
        uint64_t end = log_next_offset(opened);
        fixture_append_batch(opened, 1, 2, 100, 9000, 99);
        submit(0);
        assert_int_equal(last_result, has_failed ? -EIO : 0);
        close_log();
        struct prng prng;
        prng_init(&prng, step);
        fake_cut_power(&prng);
        assert_int_equal(open_log(), 0);
        assert_true(has_failed ? found.end_offset <= end : found.end_offset == end + 2);
        assert_true(has_failed || found.term == 2);
        close_log();
    }
    fake_reset();
}

static void test_reset(void **state)
{
    (void)state;
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    fixture_append_batch(opened, 1, 30, 3000, 1000, 1);
    fixture_append_batch(opened, 1, 30, 3000, 1000, 2);
    submit(4);
    uint8_t bytes[] = {1, 2, 3};
    struct buf *buf = buf_new(sizeof bytes);
    memcpy(buf->data, bytes, sizeof bytes);
    buf->length_bytes = sizeof bytes;
    struct log_entry membership = {.first_index = 90,
                                   .last_index = 90,
                                   .term = 3,
                                   .kind = LOG_ENTRY_MEMBERSHIP,
                                   .payload = {buf, buf->data, buf->length_bytes}};
    fake_run();
    log_detach(opened);
    assert_int_equal(log_reset(opened, 100, 3, 95, &membership), 0);
    buf_release(buf);
    fixture_append_batch(opened, 3, 2, 100, 2000, 3);
    submit(0);
    assert_int_equal(last_result, 0);
    close_log();
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.term, 4);
    assert_int_equal(found.first_index, 101);
    assert_int_equal(found.prefix_term, 3);
    assert_int_equal(found.start_offset, 95);
    assert_int_equal(found.end_offset, 97);
    assert_int_equal(found.membership_count, 1);
    assert_int_equal(found.memberships[0].index, 90);
    close_log();
    size_t size;
    assert_null(fake_file(FIRST, &size));
    fake_reset();
}

/* What retention has let go is not durable yet when the log begins anew: no file of it stays. */
static void test_reset_after_retention(void **state)
{
    (void)state;
    const struct log_retention retention = {.retention_ms = -1, .retention_bytes = 1500};
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    for (uint64_t i = 1; i <= 4; i++) {
        fixture_append_batch(opened, 1, 30, 1900, 1000, i);
    }
    submit(1);
    log_set_commit(opened, log_last_index(opened));
    log_set_snapshot(opened, log_last_index(opened));
    assert_true(log_apply_retention(opened, &retention, 2000));
    size_t size;
    assert_non_null(fake_file(FIRST, &size));
    log_detach(opened);
    assert_int_equal(log_reset(opened, 200, 2, 190, NULL), 0);
    assert_null(fake_file(FIRST, &size));
    close_log();
    fake_reset();
}

/* A reset that the disk refuses leaves a log that acknowledges nothing more; what was there before
 * is there again. */
static void test_failed_reset(void **state)
{
    (void)state;
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    fixture_append_batch(opened, 1, 30, 300, 1000, 1);
    submit(4);
    log_detach(opened);
    fake_fail(-EIO);
    assert_int_equal(log_reset(opened, 100, 3, 95, NULL), -EIO);
    fake_fail(0);
    log_close(opened);
    log_stream_free(stream);
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, 30);
    assert_int_equal(found.first_index, 1);
    close_log();
    fake_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_torn_segment),
        cmocka_unit_test(test_bit_flip_in_the_middle),
        cmocka_unit_test(test_nothing_damaged_is_read),
        cmocka_unit_test(test_what_is_damaged_can_be_cut_off),
        cmocka_unit_test(test_torn_hard_state),
        cmocka_unit_test(test_missing_segment_and_index),
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_failure_at_every_step),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_reset_after_retention),
        cmocka_unit_test(test_failed_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
