/* SPDX-License-Identifier: Apache-2.0
 *
 * test_recovery.c -- directories that no crash leaves behind: files missing, cut, put back, given
 * other names.
 *
 * What something vouches for must be there: an opening that misses it fails, names the file and
 * changes nothing.  What nothing vouches for (index files, other names) is made anew or left alone.
 */
#include "fake_io.h"
#include "log_fixture.h"

#include "base/memory.h"
#include "base/trace.h"
#include "log/scan.h"
#include "log/state.h"
#include "wire/batch.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/data/g"
#define EPOCHS DIRECTORY "/epochs"
#define RECORDS 2
#define SEGMENT_RECORDS 12 /* with segment_bytes below */
#define LARGE_BATCH_BYTES (300u << 10)

static struct log_stream *stream;
static struct log *opened;
static struct log_found found;
static char error[256];
static int last_result;

static struct log_options options = {
    .segment_bytes = 1000, .segment_ms = 60000, .index_interval_bytes = 300};

static int open_log(void)
{
    stream = log_stream_new(fake_loop());
    error[0] = '\0';
    int result = log_open(&opened, stream, DIRECTORY, &options, &found, error, sizeof(error));
    if (result != 0) {
        log_stream_free(stream);
    }
    return result;
}

/* Without a checkpoint at its end, as a crash would. */
static void abandon_log(void)
{
    fake_fail(-EIO);
    fake_run();
    log_detach(opened);
    log_close(opened);
    log_stream_free(stream);
    fake_restart();
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

static void begin_submit(uint64_t term)
{
    struct log_write write = {
        .log = opened, .write_id = 1, .hard_state_changed = term > 0, .term = term, .vote = 2};
    last_result = 1;
    log_stream_submit(stream, &write, 1, written);
}

static void submit(uint64_t term)
{
    begin_submit(term);
    fake_run();
    assert_int_equal(last_result, 0);
}

static void append(uint64_t term, uint32_t batches)
{
    for (uint32_t i = 0; i < batches; ++i) {
        fixture_append_batch(opened, term, RECORDS, 100, 1000 + i, i);
    }
}

static const char *segment_path(uint32_t number, const char *suffix)
{
    static char paths[2][128];
    static int turn;
    turn = !turn;
    snprintf(paths[turn], sizeof(paths[turn]), DIRECTORY "/%020u%s", number * SEGMENT_RECORDS,
             suffix);
    return paths[turn];
}

static size_t size_of(const char *path)
{
    size_t size = 0;
    assert_non_null(fake_file(path, &size));
    return size;
}

static void cut_file(const char *path, size_t size)
{
    size_t whole = size_of(path);
    size_t before;
    uint8_t *copy = memory_allocate(whole);
    memcpy(copy, fake_file(path, &before), whole);
    fake_file_put(path, copy, size);
    memory_free(copy);
}

static void copy_file(const char *from, const char *to)
{
    size_t size = size_of(from);
    size_t before;
    uint8_t *copy = memory_allocate(size);
    memcpy(copy, fake_file(from, &before), size);
    fake_file_put(to, copy, size);
    memory_free(copy);
}

/* Closed in good order: segments 0 to 4, the last one with two batches. */
static void make_closed(void)
{
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    append(1, 26);
    submit(1);
    close_log();
    assert_int_equal(size_of(segment_path(4, ".log")), 2 * 161);
}

static void assert_damaged(const char *file, const char *problem)
{
    size_t epochs_size = size_of(EPOCHS);
    size_t count = fake_file_count();
    assert_int_equal(open_log(), -EBADMSG);
    assert_non_null(strstr(error, file));
    assert_non_null(strstr(error, problem));
    assert_int_equal(size_of(EPOCHS), epochs_size);
    assert_int_equal(fake_file_count(), count);
    fake_reset();
}

static void assert_opens(uint64_t end_offset)
{
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, end_offset);
    close_log();
    fake_reset();
}

/* ---- What must be there ---- */

static void test_the_last_segment_is_cut(void **state)
{
    (void)state;
    make_closed();
    cut_file(segment_path(4, ".log"), 161);
    assert_damaged(segment_path(4, ".log"), "bytes that had been made durable are missing");
}

static void test_segments_are_missing(void **state)
{
    (void)state;
    make_closed();
    assert_int_equal(io_path_remove(segment_path(4, ".log")), 0);
    assert_damaged(segment_path(4, ".log"), "a segment that had been made durable is missing");
    make_closed();
    assert_int_equal(io_path_remove(segment_path(3, ".log")), 0);
    assert_damaged(segment_path(2, ".log"), "the segment after this one is missing");
    make_closed();
    assert_int_equal(io_path_remove(segment_path(0, ".log")), 0);
    assert_damaged(segment_path(0, ".log"), "the first segment is missing");
    make_closed();
    for (uint32_t i = 0; i < 5; ++i) {
        assert_int_equal(io_path_remove(segment_path(i, ".log")), 0);
    }
    assert_damaged(segment_path(0, ".log"), "the first segment is missing");
}

/* Found by the life of groups in a million steps: a power cut in the removal of a directory that
 * was half made kept one file of it and lost the other. */
static void test_what_is_left_of_an_unmade_log_is_new(void **state)
{
    (void)state;
    for (int removed = 0; removed < 2; ++removed) {
        fake_reset();
        assert_int_equal(open_log(), 0);
        close_log();
        assert_int_equal(log_unmake(DIRECTORY), 0);
        if (removed == 1) {
            assert_int_equal(io_path_remove(segment_path(0, ".log")), 0);
        }
        assert_int_equal(log_unmake(DIRECTORY), 0); /* there is none: fine */
        assert_opens(0);
    }
}

/* The last segment is there by name, or one before its place is, but not what was in it. */
static void test_the_last_segment_is_empty(void **state)
{
    (void)state;
    make_closed();
    cut_file(segment_path(4, ".log"), 0);
    assert_damaged(segment_path(4, ".log"), "a segment that had been made durable is missing");
    make_closed();
    assert_int_equal(io_path_remove(segment_path(4, ".log")), 0);
    fake_file_put(DIRECTORY "/00000000000000000040.log", "", 0);
    assert_damaged(segment_path(4, ".log"), "a segment that had been made durable is missing");
}

/* An empty segment is made ahead of its first batch; only one that follows the last is of use. */
static void test_an_empty_segment_that_does_not_follow(void **state)
{
    (void)state;
    make_closed();
    fake_file_put(DIRECTORY "/00000000000000000060.log", "", 0);
    assert_opens(52);
    make_closed();
    assert_int_equal(open_log(), 0);
    append(1, 1);
    submit(0);
    abandon_log();
    cut_file(segment_path(4, ".log"), 2 * 161 + 50);
    fake_file_put(DIRECTORY "/00000000000000000052.log", "", 0);
    assert_opens(52);
}

static void test_the_epoch_log_is_missing(void **state)
{
    (void)state;
    make_closed();
    assert_int_equal(io_path_remove(EPOCHS), 0);
    assert_int_equal(open_log(), -EBADMSG);
    assert_non_null(strstr(error, "epochs"));
    fake_reset();
}

/* ---- Truncations that were not carried out ---- */

/* The epoch log says that entries from 12 on are gone; the segments still hold them. */
static void make_half_truncated(void)
{
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    append(1, 26);
    submit(1);
    uint64_t cut_index = log_last_index(opened) - 40;
    log_truncate(opened, cut_index);
    fixture_append_term(opened, 3);
    size_t before = size_of(EPOCHS);
    begin_submit(3);
    while (size_of(EPOCHS) == before) {
        assert_true(fake_step());
    }
    abandon_log();
    assert_int_equal(size_of(segment_path(3, ".log")), 6 * 161);
}

static void test_a_truncation_is_finished(void **state)
{
    (void)state;
    make_half_truncated();
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, 10);
    assert_int_equal(found.term, 3);
    close_log();
    size_t size;
    assert_null(fake_file(segment_path(1, ".log"), &size));
    fake_reset();
}

/* In a segment that should be void stands a batch that belongs to this log: then it is not void. */
static void test_a_good_batch_in_a_void_segment(void **state)
{
    (void)state;
    make_half_truncated();
    struct buf *batch = fixture_batch(SEGMENT_RECORDS, 3, RECORDS, 100, 1000, 1);
    fake_file_put(segment_path(1, ".log"), batch->data, batch->length_bytes);
    buf_release(batch);
    assert_damaged(segment_path(1, ".log"), "good batches follow a damaged segment");

    make_half_truncated();
    uint8_t bytes[400];
    memset(bytes, 0xee, sizeof(bytes));
    batch = fixture_batch(SEGMENT_RECORDS + RECORDS, 3, RECORDS, 100, 1000, 1);
    memcpy(bytes + 161, batch->data, batch->length_bytes);
    fake_file_put(segment_path(1, ".log"), bytes, sizeof(bytes));
    buf_release(batch);
    assert_damaged(segment_path(1, ".log"), "good batches follow a damaged segment");
}

/* After an old truncation a closed segment loses its end: no truncation explains that. */
static void test_damage_long_after_a_truncation(void **state)
{
    (void)state;
    make_half_truncated();
    assert_int_equal(open_log(), 0);
    append(3, 26);
    submit(0);
    log_truncate(opened, log_last_index(opened) - 1);
    fixture_append_term(opened, 4);
    append(4, 12);
    submit(4);
    close_log();
    const char *path = DIRECTORY "/00000000000000000060.log";
    cut_file(path, size_of(path) - 10);
    size_t count = fake_file_count();
    assert_int_equal(open_log(), -EBADMSG);
    assert_int_equal(fake_file_count(), count);
    fake_reset();
}

/* ---- What stands in the page cache only ---- */

/* A process ends at any step of its writes; the next one finds what is not durable and counts it as
 * saved.  Then the power goes: it must still be there. */
static void assert_what_was_found_is_kept(bool sync_has_failed)
{
    bool was_idle = false;
    for (uint32_t steps = 0; !was_idle; ++steps) {
        for (uint64_t seed = 0; seed < 20; ++seed) {
            fake_reset();
            assert_int_equal(open_log(), 0);
            fixture_append_term(opened, 1);
            append(1, 3);
            submit(1);
            append(1, 20);
            begin_submit(2);
            was_idle = false;
            for (uint32_t i = 0; i < steps; ++i) {
                was_idle = !fake_step();
            }
            abandon_log();
            if (sync_has_failed) {
                fake_lose_unsynced();
            }
            assert_int_equal(open_log(), 0);
            const struct log_found first = found;
            abandon_log();
            struct prng prng;
            prng_init(&prng, seed);
            fake_cut_power(&prng);
            assert_int_equal(open_log(), 0);
            assert_int_equal(found.last_index, first.last_index);
            assert_int_equal(found.term, first.term);
            assert_int_equal(found.vote, first.vote);
            close_log();
        }
    }
    fake_reset();
}

static void test_what_a_killed_process_left_is_kept(void **state)
{
    (void)state;
    assert_what_was_found_is_kept(false);
}

/* The kernel calls clean what it could not write: a sync alone does not make it durable. */
static void test_what_a_failed_sync_left_is_kept(void **state)
{
    (void)state;
    assert_what_was_found_is_kept(true);
}

/* ---- What may be anything ---- */

/* Batches of one term before and behind a membership, all in one flush, and the power goes at any
 * step of it.  What is found is a prefix: offsets and indexes differ by the entries that are no
 * data, so a batch behind the membership must not be there without it. */
static void append_membership(void)
{
    fixture_append_membership(opened, 1, 7);
}

static void append_start_move(void)
{
    fixture_append_start_move(opened, 1, RECORDS);
}

/* Whenever the power goes in the flush that has both: what stands behind is not found without it,
 * at another index. */
static void check_goes_first(void (*append_control)(void))
{
    uint32_t behind = 0;
    bool was_idle = false;
    for (uint32_t steps = 0; !was_idle; ++steps) {
        for (uint64_t seed = 0; seed < 50; ++seed) {
            struct prng prng;
            fake_reset();
            assert_int_equal(open_log(), 0);
            fixture_append_term(opened, 1);
            append(1, 1);
            submit(1);
            append(1, 1);
            append_control();
            append(1, 2);
            begin_submit(0);
            was_idle = false;
            for (uint32_t i = 0; i < steps; ++i) {
                was_idle = !fake_step();
            }
            abandon_log();
            prng_init(&prng, seed);
            fake_cut_power(&prng);
            assert_int_equal(open_log(), 0);
            bool has_control = found.last_index == 1 + found.end_offset + 1;
            bool has_more = found.end_offset > 2 * RECORDS;
            assert_true(has_control || found.last_index == 1 + found.end_offset);
            assert_true(has_control || !has_more);
            behind += has_more ? 1 : 0;
            close_log();
        }
    }
    assert_true(behind > 0);
    fake_reset();
}

static void test_a_membership_goes_before_what_stands_behind_it(void **state)
{
    (void)state;
    check_goes_first(append_membership);
}

static void test_a_moved_start_goes_before_what_stands_behind_it(void **state)
{
    (void)state;
    check_goes_first(append_start_move);
}

static void test_other_names_are_left_alone(void **state)
{
    (void)state;
    static const char *const names[] = {
        DIRECTORY "/0000000000000000000x.log",
        DIRECTORY "/-0000000000000000012.log",
        DIRECTORY "/99999999999999999999.log",
        DIRECTORY "/00000000000000000024.tmp",
        DIRECTORY "/lost+found",
    };
    make_closed();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        fake_file_put(names[i], "not ours", 8);
    }
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, 52);
    close_log();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        assert_int_equal(size_of(names[i]), 8);
    }
    fake_reset();
}

struct reading {
    struct log_read read;
    int result;
    uint64_t last_index;
};

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct reading *reading = container_of(read, struct reading, read);
    reading->result = result;
    reading->last_index = count > 0 ? entries[count - 1].last_index : 0;
}

static int read_index(uint64_t index)
{
    struct reading reading = {.read = {.after_index = index - 1,
                                       .last_index = log_last_index(opened),
                                       .bytes_max = 1,
                                       .done = read_done},
                              .result = 1};
    log_read(opened, &reading.read);
    fake_run();
    assert_true(reading.result <= 0);
    assert_true(reading.result != 0 || reading.last_index >= index);
    return reading.result;
}

/* Another segment's index, and every index damaged at every byte: scanned instead. */
static void test_index_files_are_wrong(void **state)
{
    (void)state;
    make_closed();
    copy_file(segment_path(1, ".index"), segment_path(2, ".index"));
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, 52);
    assert_int_equal(read_index(2 * SEGMENT_RECORDS + 5), 0);
    close_log();
    for (size_t at = 0;; ++at) {
        make_closed();
        size_t size;
        uint8_t *data = fake_file(segment_path(1, ".index"), &size);
        if (at == size) {
            break;
        }
        data[at] ^= 0x10;
        assert_int_equal(open_log(), 0);
        assert_int_equal(found.end_offset, 52);
        for (uint64_t index = SEGMENT_RECORDS; index < 2 * SEGMENT_RECORDS; ++index) {
            assert_int_equal(read_index(index), 0);
        }
        close_log();
    }
    fake_reset();
}

/* Two that want the same segment before it is open wait for one loading of it. */
static void test_a_segment_is_loaded_once_for_all(void **state)
{
    (void)state;
    make_closed();
    assert_int_equal(open_log(), 0);
    struct reading readings[2];
    for (int i = 0; i < 2; ++i) {
        readings[i] = (struct reading){.read = {.after_index = SEGMENT_RECORDS + 1,
                                                .last_index = log_last_index(opened),
                                                .bytes_max = 1,
                                                .done = read_done},
                                       .result = 1};
        log_read(opened, &readings[i].read);
        assert_int_equal(readings[i].result, 1);
    }
    fake_run();
    for (int i = 0; i < 2; ++i) {
        assert_int_equal(readings[i].result, 0);
        assert_int_equal(readings[i].last_index, SEGMENT_RECORDS + 3);
    }
    close_log();
    fake_reset();
}

struct fetching {
    struct log_wait wait;
    uint32_t resumed;
};

static void resumed(struct log_wait *wait)
{
    container_of(wait, struct fetching, wait)->resumed++;
}

/* A fetch of more than is read at once, and one of a segment that is cut while it loads. */
static void test_fetches_wait_for_what_is_on_disk(void **state)
{
    (void)state;
    make_closed();
    assert_int_equal(open_log(), 0);
    struct fetching first = {.wait.resume = resumed};
    struct fetching second = {.wait.resume = resumed};
    struct log_fetched fetched;
    uint64_t end = log_next_offset(opened);
    assert_int_equal(log_fetch(opened, 12, end, 500, &fetched, &first.wait), -EAGAIN);
    assert_int_equal(log_fetch(opened, 14, end, 500, &fetched, &second.wait), -EAGAIN);
    log_truncate(opened, SEGMENT_RECORDS + 4);
    fixture_append_term(opened, 2);
    submit(2);
    fake_run();
    assert_int_equal(first.resumed, 1);
    assert_int_equal(second.resumed, 1);
    close_log();
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.end_offset, SEGMENT_RECORDS + 2);
    close_log();
    fake_reset();
}

/* An index file is put back after opening: of another segment, or of an earlier end of this one. */
static void test_index_files_change_while_open(void **state)
{
    (void)state;
    make_closed();
    assert_int_equal(open_log(), 0);
    copy_file(segment_path(1, ".index"), segment_path(2, ".index"));
    assert_int_equal(read_index(2 * SEGMENT_RECORDS + 5), 0);
    close_log();
    fake_reset();
}

/* Bytes of a closed segment change while the log is open and its pages are not in memory. */
static void test_segments_are_damaged_while_open(void **state)
{
    (void)state;
    for (size_t at = 0; at < 161; ++at) {
        make_closed();
        assert_int_equal(open_log(), 0);
        fake_page_cache(true);
        assert_int_equal(io_path_remove(segment_path(1, ".index")), 0);
        size_t size;
        fake_file(segment_path(1, ".log"), &size)[at] ^= 0x80;
        int result = read_index(SEGMENT_RECORDS + 2);
        assert_true(result == -EBADMSG || (at >= 12 && at < 16) || at < 8);
        assert_int_equal(read_index(2 * SEGMENT_RECORDS + 5), 0);
        close_log();
    }
    fake_reset();
}

/* An epoch log that is mostly of the past is written anew, and says the same. */
static void test_garbage_in_the_epoch_log_goes(void **state)
{
    (void)state;
    make_closed();
    assert_int_equal(open_log(), 0);
    for (uint64_t term = 2; size_of(EPOCHS) < (80u << 10); ++term) {
        submit(term);
    }
    close_log();
    assert_int_equal(open_log(), 0);
    uint64_t term = found.term;
    close_log();
    assert_true(size_of(EPOCHS) < 4096);
    assert_int_equal(open_log(), 0);
    assert_int_equal(found.term, term);
    assert_int_equal(found.end_offset, 52);
    close_log();
    fake_reset();
}

/* ---- Batches larger than what is read at once ---- */

static void make_large(uint32_t batches)
{
    fake_reset();
    options.segment_bytes = 16u << 20;
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    for (uint32_t i = 0; i < batches; ++i) {
        fixture_append_batch(opened, 1, RECORDS, LARGE_BATCH_BYTES, 1000, i);
    }
    submit(1);
    abandon_log();
}

static void test_large_batches(void **state)
{
    (void)state;
    uint64_t sizes[] = {0, 1000, LARGE_BATCH_BYTES - 1, LARGE_BATCH_BYTES + 61};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
        make_large(3);
        cut_file(segment_path(0, ".log"), 2 * (LARGE_BATCH_BYTES + 61) + sizes[i]);
        assert_int_equal(open_log(), 0);
        assert_int_equal(found.end_offset, sizes[i] == LARGE_BATCH_BYTES + 61 ? 6 : 4);
        close_log();
    }
    /* A bit in the first of three, the rest being good. */
    make_large(3);
    size_t size;
    fake_file(segment_path(0, ".log"), &size)[5000] ^= 1;
    assert_damaged(segment_path(0, ".log"), "no whole batch with a right checksum");
    options.segment_bytes = 1000;
}

/* While the damage is judged, which takes several reads, one of them fails: that is no verdict. */
static void test_a_fault_while_damage_is_judged(void **state)
{
    (void)state;
    for (int how = 0; how < 2; ++how) {
        for (uint32_t fault = 1;; ++fault) {
            make_large(3);
            size_t size;
            fake_file(segment_path(0, ".log"), &size)[5000] ^= 1;
            fake_fail_at(fault, how == 0 ? -EIO : FAKE_SHORT_READ, false);
            int result = open_log();
            if (fake_fault_is_ahead()) {
                assert_int_equal(result, -EBADMSG);
                break;
            }
            assert_true(result == -EIO || result == -EBADMSG);
            fake_fail_at(0, 0, false);
            assert_int_equal(open_log(), -EBADMSG);
        }
    }
    options.segment_bytes = 1000;
    fake_reset();
}

static void test_heads_that_cannot_be(void **state)
{
    (void)state;
    const struct wire_batch good = {.magic = 2, .total_bytes = 100};
    assert_true(log_scan_is_plausible(&good, 100));
    assert_false(log_scan_is_plausible(&good, 99));
    struct wire_batch bad[6];
    for (size_t i = 0; i < 6; ++i) {
        bad[i] = good;
    }
    bad[0].magic = 1;
    bad[1].total_bytes = WIRE_BATCH_HEAD_BYTES - 1;
    bad[2].total_bytes = LOG_BATCH_BYTES_MAX + 1;
    bad[3].base_offset = -1;
    bad[4].base_offset = INT64_MAX / 2;
    bad[5].last_offset_delta = -1;
    for (size_t i = 0; i < 6; ++i) {
        assert_false(log_scan_is_plausible(&bad[i], UINT32_MAX));
    }
}

/* ---- The applier's snapshot ---- */

static void test_snapshots_are_damaged(void **state)
{
    (void)state;
    uint64_t index, term, next_offset;
    struct buf *content;
    fake_reset();
    assert_int_equal(log_snapshot_write(DIRECTORY, 9, 3, 5, NULL, 0), 0);
    assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content), 0);
    assert_int_equal(content->length_bytes, 0);
    buf_release(content);
    assert_int_equal(log_snapshot_write(DIRECTORY, 9, 3, 5, "x", SIZE_MAX / 2), -EFBIG);
    make_closed();
    assert_int_equal(log_snapshot_write(DIRECTORY, 9, 3, 5, "state", 5), 0);
    const char *path = DIRECTORY "/snapshot";
    size_t size = size_of(path);
    for (size_t at = 0; at < size; ++at) {
        fake_file(path, &size)[at] ^= 4;
        assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content),
                         -EBADMSG);
        assert_int_equal(open_log(), 0); /* without it nothing may be dropped, and that is all */
        close_log();
        fake_file(path, &size)[at] ^= 4;
    }
    while (size > 0) {
        cut_file(path, --size);
        assert_int_equal(log_snapshot_read(DIRECTORY, &index, &term, &next_offset, &content),
                         -EBADMSG);
        assert_int_equal(open_log(), 0);
        close_log();
    }
    fake_reset();
}

static void swallow(enum trace_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    (void)context;
}

static int verify_snapshot(void)
{
    uint64_t bytes_read;
    return log_snapshot_verify(DIRECTORY, &bytes_read);
}

static void cut_snapshot(uint64_t size)
{
    struct io_file *file;
    assert_int_equal(io_file_open(&file, DIRECTORY "/snapshot", IO_OPEN_WRITE), 0);
    assert_int_equal(io_file_truncate(file, size), 0);
    io_file_release(file);
}

/* As the scrubber does it: without the content in memory. */
static void test_snapshots_are_verified(void **state)
{
    (void)state;
    static const int faults[] = {-EIO, FAKE_SHORT_READ};
    const size_t length = 600000;
    char *content = memory_allocate_zeroed(length);
    fake_reset();
    assert_int_equal(verify_snapshot(), -ENOENT);
    assert_int_equal(log_snapshot_write(DIRECTORY, 9, 3, 5, content, length), 0);
    memory_free(content);
    assert_int_equal(verify_snapshot(), 0);
    for (size_t how = 0; how < 2; ++how) {
        bool has_failed = true;
        for (uint32_t fault = 1; has_failed; ++fault) {
            assert_true(fault < 20);
            fake_fail_at(fault, faults[how], false);
            int result = verify_snapshot();
            has_failed = !fake_fault_is_ahead();
            assert_int_equal(has_failed, result != 0);
            fake_fail_at(0, 0, false);
        }
    }
    uint64_t size = size_of(DIRECTORY "/snapshot");
    cut_snapshot(size - 1);
    assert_int_equal(verify_snapshot(), -EBADMSG);
    cut_snapshot(4);
    assert_int_equal(verify_snapshot(), -EBADMSG);
    fake_reset();
}

int main(void)
{
    trace_install(swallow, NULL, TRACE_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_segment_is_cut),
        cmocka_unit_test(test_segments_are_missing),
        cmocka_unit_test(test_what_is_left_of_an_unmade_log_is_new),
        cmocka_unit_test(test_the_last_segment_is_empty),
        cmocka_unit_test(test_an_empty_segment_that_does_not_follow),
        cmocka_unit_test(test_the_epoch_log_is_missing),
        cmocka_unit_test(test_a_truncation_is_finished),
        cmocka_unit_test(test_a_good_batch_in_a_void_segment),
        cmocka_unit_test(test_damage_long_after_a_truncation),
        cmocka_unit_test(test_what_a_killed_process_left_is_kept),
        cmocka_unit_test(test_what_a_failed_sync_left_is_kept),
        cmocka_unit_test(test_a_membership_goes_before_what_stands_behind_it),
        cmocka_unit_test(test_a_moved_start_goes_before_what_stands_behind_it),
        cmocka_unit_test(test_other_names_are_left_alone),
        cmocka_unit_test(test_index_files_are_wrong),
        cmocka_unit_test(test_a_segment_is_loaded_once_for_all),
        cmocka_unit_test(test_fetches_wait_for_what_is_on_disk),
        cmocka_unit_test(test_index_files_change_while_open),
        cmocka_unit_test(test_segments_are_damaged_while_open),
        cmocka_unit_test(test_garbage_in_the_epoch_log_goes),
        cmocka_unit_test(test_large_batches),
        cmocka_unit_test(test_a_fault_while_damage_is_judged),
        cmocka_unit_test(test_heads_that_cannot_be),
        cmocka_unit_test(test_snapshots_are_damaged),
        cmocka_unit_test(test_snapshots_are_verified),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
