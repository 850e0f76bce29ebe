/* SPDX-License-Identifier: Apache-2.0
 *
 * test_checked.c -- a consumer is not sent bytes that are wrong on the disk: what was not lately
 * seen to be good is checked first.
 */
#include "fake_io.h"
#include "log_fixture.h"

#include "base/memory.h"
#include "base/prng.h"
#include "base/trace.h"
#include "log/checked.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/data/g"
#define FIRST DIRECTORY "/00000000000000000000.log"
#define BATCH_BYTES 161

static struct log_stream *stream;
static struct log *opened;
static struct log_found found;
static char error[256];
static int last_result;

static struct log_options options = {
    .segment_bytes = 2000, .segment_ms = 60000, .index_interval_bytes = 300};

static void open_log(void)
{
    stream = log_stream_new(fake_loop());
    assert_int_equal(log_open(&opened, stream, DIRECTORY, &options, &found, error, sizeof error),
                     0);
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

/* As many batches of two records, opened anew: nothing is in memory, nothing known to be good. */
static void make(uint32_t batches, size_t payload_bytes)
{
    fake_reset();
    open_log();
    fixture_append_term(opened, 1);
    for (uint32_t i = 0; i < batches; i++) {
        fixture_append_batch(opened, 1, 2, payload_bytes, 1000 + i, i);
    }
    struct log_write write = {
        .log = opened, .write_id = 1, .hard_state_changed = true, .term = 1, .vote = 2};
    log_stream_submit(stream, &write, 1, written);
    fake_run();
    assert_int_equal(last_result, 0);
    close_log();
    open_log();
}

struct fetch {
    struct log_wait wait;
    uint32_t resumes;
};

static void resumed(struct log_wait *wait)
{
    container_of(wait, struct fetch, wait)->resumes++;
}

static int fetch(uint64_t offset, uint64_t bytes_max, struct log_fetched *fetched)
{
    struct fetch fetch = {.wait.resume = resumed};
    uint32_t asked = 0;
    int result = log_fetch(opened, offset, found.end_offset, bytes_max, fetched, &fetch.wait);
    while (result == -EAGAIN) {
        asked++;
        fake_run();
        assert_int_equal(fetch.resumes, asked);
        assert_true(asked < 100);
        result = log_fetch(opened, offset, found.end_offset, bytes_max, fetched, &fetch.wait);
    }
    return result;
}

/* The length of what was fetched, or a negative errno. */
static int64_t fetch_length(uint64_t offset, uint64_t bytes_max)
{
    struct log_fetched fetched = {0};
    int result = fetch(offset, bytes_max, &fetched);
    int64_t length = (int64_t)fetched.length_bytes;
    log_fetched_release(&fetched);
    return result < 0 ? result : length;
}

static void flip(const char *path, size_t byte)
{
    size_t size;
    fake_file(path, &size)[byte] ^= 0x10;
}

/* Whatever byte is wrong: no answer holds it. */
static void test_no_wrong_byte_is_sent(void **state)
{
    (void)state;
    make(20, 100);
    close_log();
    for (size_t byte = 0; byte < 12 * BATCH_BYTES; byte++) {
        flip(FIRST, byte);
        open_log();
        for (uint64_t batch = 0; batch < 12; batch += 3) {
            struct log_fetched fetched = {0};
            int result = fetch(batch * 2, 500, &fetched);
            if (result == 0) {
                assert_non_null(fetched.file);
                assert_true(byte < fetched.position ||
                            byte >= fetched.position + fetched.length_bytes);
                log_fetched_release(&fetched);
            } else {
                assert_int_equal(result, -EBADMSG);
            }
        }
        /* The batch itself cannot be had. */
        assert_int_equal(fetch_length(byte / BATCH_BYTES * 2, 1), -EBADMSG);
        close_log();
        flip(FIRST, byte);
    }
    fake_reset();
}

static void test_what_was_checked_is_not_checked_again_for_a_minute(void **state)
{
    (void)state;
    make(20, 100);
    assert_int_equal(fetch_length(0, 1000), 6 * BATCH_BYTES);
    flip(FIRST, 100);
    assert_int_equal(fetch_length(0, 1000), 6 * BATCH_BYTES);
    fake_advance_ms(61000);
    assert_int_equal(fetch_length(0, 1000), -EBADMSG);
    flip(FIRST, 100);
    assert_int_equal(fetch_length(0, 1000), 6 * BATCH_BYTES);
    close_log();
    fake_reset();
}

static void test_a_large_part_is_checked_piece_by_piece(void **state)
{
    (void)state;
    const size_t payload = 300000;
    options.segment_bytes = 10000000;
    make(20, payload);
    assert_int_equal(fetch_length(0, 1 << 30), 20 * (61 + payload));
    close_log();
    flip(FIRST, 15 * (61 + payload) + 5000);
    open_log();
    assert_int_equal(fetch_length(0, 1 << 30), -EBADMSG);
    assert_int_equal(fetch_length(0, 15 * (61 + payload)), 15 * (61 + payload));
    assert_int_equal(fetch_length(32, 1 << 30), 4 * (61 + payload));
    close_log();
    options.segment_bytes = 2000;
    fake_reset();
}

/* What the medium cannot give is told, not sent; and not what was merely slow. */
static void test_errors_of_the_disk(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth < 10; nth++) {
        make(20, 100);
        fake_page_cache(nth % 2 == 0);
        fake_fail_at(nth, -EIO, false);
        int64_t length = fetch_length(0, 1000);
        assert_true(length == -EIO || length == 6 * BATCH_BYTES);
        fake_page_cache(false);
        fake_restart();
        assert_true(fake_fault_is_ahead() || fetch_length(0, 1000) == 6 * BATCH_BYTES);
        fake_fail_at(0, 0, false);
        close_log();
    }
    fake_reset();
}

/* ---- Ranges against a map of bytes ---- */

enum { BYTES = 200, SECOND = 1000000000 };

static uint64_t end_of(const uint64_t *good_until, uint64_t position, uint64_t now_ns)
{
    while (position < BYTES && good_until[position] > now_ns) {
        position++;
    }
    return position;
}

/* Never more than was checked within the minute, and all of a range that was just added. */
static void test_ranges(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 5);
    struct log_checked checked = {0};
    uint64_t good_until[BYTES] = {0};
    uint64_t now_ns = SECOND;
    for (int round = 0; round < 100000; round++) {
        uint64_t from = prng_below(&prng, BYTES - 1);
        uint64_t to =
            from + 1 + prng_below(&prng, prng_below(&prng, 4) == 0 ? BYTES - from - 1 : 1);
        now_ns += prng_below(&prng, 5) == 0 ? prng_below(&prng, 20) * SECOND : 0;
        log_checked_add(&checked, from, to, now_ns);
        for (uint64_t at = from; at < to; at++) {
            good_until[at] = now_ns + LOG_CHECKED_NS;
        }
        uint64_t position = prng_below(&prng, BYTES);
        assert_true(log_checked_end(&checked, position, BYTES, now_ns) <=
                    end_of(good_until, position, now_ns));
        if (prng_below(&prng, 1000) == 0) {
            log_checked_forget(&checked);
            assert_int_equal(log_checked_end(&checked, position, BYTES, now_ns), position);
            memset(good_until, 0, sizeof good_until);
        }
    }
    log_checked_forget(&checked);
    log_checked_add(&checked, 10, 20, now_ns);
    log_checked_add(&checked, 20, 30, now_ns + 1);
    log_checked_append(&checked, 30, now_ns + 2);
    assert_int_equal(log_checked_end(&checked, 12, BYTES, now_ns + 3), BYTES);
    assert_int_equal(log_checked_end(&checked, 9, BYTES, now_ns + 3), 9);
    assert_int_equal(log_checked_end(&checked, 12, BYTES, now_ns + LOG_CHECKED_NS + 1), 12);
    assert_int_equal(log_checked_end(&checked, 40, BYTES, now_ns + LOG_CHECKED_NS + 1), BYTES);
    assert_int_equal(log_checked_end(&checked, 40, BYTES, now_ns + LOG_CHECKED_NS + 2), 40);
    log_checked_forget(&checked);
}

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
        cmocka_unit_test(test_no_wrong_byte_is_sent),
        cmocka_unit_test(test_what_was_checked_is_not_checked_again_for_a_minute),
        cmocka_unit_test(test_a_large_part_is_checked_piece_by_piece),
        cmocka_unit_test(test_errors_of_the_disk),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
