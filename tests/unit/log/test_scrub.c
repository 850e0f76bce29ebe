/* SPDX-License-Identifier: Apache-2.0
 *
 * test_scrub.c -- a pass over a log's files finds every bit that is not as it was written, says
 * nothing against a log that is whole, and gets along with what goes on meanwhile.
 */
#include "fake_io.h"
#include "log_fixture.h"

#include "base/crc32c.h"
#include "base/memory.h"
#include "base/trace.h"
#include "log/scrub.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DIRECTORY "/data/g"
#define FIRST DIRECTORY "/00000000000000000000.log"
#define SECOND DIRECTORY "/00000000000000000024.log"
#define EPOCHS DIRECTORY "/epochs"
#define SNAPSHOT DIRECTORY "/snapshot"
#define BATCH_BYTES 161
#define FILES_MAX 64

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
    assert_int_equal(last_result, 0);
}

static void append(uint64_t term, uint32_t batches)
{
    for (uint32_t i = 0; i < batches; i++) {
        fixture_append_batch(opened, term, 2, 100, 1000 + i, i);
    }
    submit(0);
}

/* Several segments, terms, members, a truncation, checkpoints, a snapshot. */
static void make(void)
{
    fake_reset();
    assert_int_equal(open_log(), 0);
    fixture_append_term(opened, 1);
    submit(1);
    append(1, 16);
    fixture_append_membership(opened, 1, 7);
    append(1, 10);
    log_truncate(opened, log_last_index(opened) - 5);
    submit(3);
    fixture_append_term(opened, 3);
    append(3, 15);
    assert_int_equal(log_snapshot_write(DIRECTORY, 40, 1, 38, "what was applied", 16), 0);
}

/* ---- A pass ---- */

struct pass {
    struct log_scrub scrub;
    int result;
    uint32_t steps;
    uint64_t bytes;
    bool is_answered;
};

static void step_done(struct log_scrub *scrub, int result)
{
    struct pass *pass = container_of(scrub, struct pass, scrub);
    assert_false(pass->is_answered);
    pass->is_answered = true;
    pass->result = result;
    pass->bytes += scrub->bytes_read;
}

static void begin_step(struct pass *pass, uint64_t bytes_max)
{
    pass->is_answered = false;
    pass->scrub.done = step_done;
    pass->steps++;
    log_scrub_step(opened, &pass->scrub, bytes_max);
}

static void step(struct pass *pass, uint64_t bytes_max)
{
    begin_step(pass, bytes_max);
    assert_false(pass->is_answered);
    fake_run();
    assert_true(pass->is_answered);
}

/* The result of the first step that fails, or 0. */
static int scrub(struct pass *pass, uint64_t bytes_max)
{
    while (pass->scrub.stage != LOG_SCRUB_END) {
        step(pass, bytes_max);
        assert_true(pass->steps < 1000);
        if (pass->result != 0) {
            break;
        }
    }
    log_scrub_end(&pass->scrub);
    return pass->result;
}

static void test_a_whole_log(void **state)
{
    (void)state;
    make();
    uint64_t bytes = log_size_bytes(opened);
    size_t epochs_bytes;
    size_t snapshot_bytes;
    fake_file(EPOCHS, &epochs_bytes);
    fake_file(SNAPSHOT, &snapshot_bytes);
    const uint64_t pieces[] = {1, BATCH_BYTES, 500, 1 << 20};
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct pass pass = {0};
        assert_int_equal(scrub(&pass, pieces[i]), 0);
        assert_false(pass.scrub.snapshot_is_damaged);
        assert_int_equal(pass.bytes, bytes + epochs_bytes + snapshot_bytes);
        assert_true(pieces[i] > 1 || pass.steps == bytes / BATCH_BYTES + 2);
    }
    close_log();
    assert_int_equal(open_log(), 0);
    struct pass again = {0};
    assert_int_equal(scrub(&again, 1 << 20), 0);
    close_log();
    fake_reset();
}

static void test_an_empty_log(void **state)
{
    (void)state;
    fake_reset();
    assert_int_equal(open_log(), 0);
    struct pass pass = {0};
    assert_int_equal(scrub(&pass, 1000), 0);
    assert_false(pass.scrub.snapshot_is_damaged);
    close_log();
    fake_reset();
}

/* ---- What goes on meanwhile ---- */

static void test_appends_go_on(void **state)
{
    (void)state;
    make();
    struct pass pass = {0};
    for (int i = 0; i < 10; i++) {
        begin_step(&pass, 300);
        fixture_append_batch(opened, 3, 2, 100, 2000, 5);
        struct log_write write = {.log = opened, .write_id = 1};
        log_stream_submit(stream, &write, 1, written);
        fake_run();
        assert_true(pass.is_answered);
        assert_int_equal(pass.result, 0);
    }
    assert_int_equal(scrub(&pass, 300), 0);
    close_log();
    fake_reset();
}

/* What was cut and written anew is looked at anew, wherever the pass was. */
static void test_truncation_during_a_step(void **state)
{
    (void)state;
    bool is_over = false;
    for (uint32_t steps = 0; !is_over; steps++) {
        make();
        struct pass pass = {0};
        for (uint32_t i = 0; i < steps; i++) {
            step(&pass, BATCH_BYTES);
        }
        is_over = pass.scrub.stage == LOG_SCRUB_SNAPSHOT; /* the last one */
        begin_step(&pass, BATCH_BYTES);
        log_truncate(opened, log_last_index(opened) - 10);
        fixture_append_term(opened, 4 + steps);
        fixture_append_batch(opened, 4 + steps, 1, 77, 2000, 9);
        submit(4 + steps);
        assert_int_equal(pass.result, 0);
        assert_int_equal(scrub(&pass, BATCH_BYTES), 0);
        close_log();
    }
    fake_reset();
}

static void test_retention_during_a_step(void **state)
{
    (void)state;
    const struct log_retention nothing = {.retention_ms = -1, .retention_bytes = 0};
    bool is_over = false;
    for (uint32_t steps = 0; !is_over; steps++) {
        make();
        struct pass pass = {0};
        for (uint32_t i = 0; i < steps; i++) {
            step(&pass, BATCH_BYTES);
        }
        is_over = pass.scrub.stage == LOG_SCRUB_SNAPSHOT;
        log_set_commit(opened, log_last_index(opened));
        log_set_snapshot(opened, log_last_index(opened));
        bool begins_before = steps % 2 == 0;
        if (begins_before) {
            begin_step(&pass, BATCH_BYTES);
        }
        assert_true(log_apply_retention(opened, &nothing, 2000));
        submit(0);
        assert_int_equal(pass.result, 0);
        assert_int_equal(scrub(&pass, BATCH_BYTES), 0);
        close_log();
    }
    fake_reset();
}

static void test_what_cannot_be_read_now_is_no_damage(void **state)
{
    (void)state;
    make();
    struct pass pass = {0};
    fake_fail_at(1, -EMFILE, false);
    step(&pass, 1000);
    assert_int_equal(pass.result, -EMFILE);
    assert_int_equal(scrub(&pass, 1000), 0);
    /* A medium that has lost the bytes is damage; one that has them the second time is not. */
    struct pass lost = {0};
    fake_fail_at(2, -EIO, false);
    assert_int_equal(scrub(&lost, 1000), 0);
    close_log();
    fake_reset();
}

static void test_missing_files(void **state)
{
    (void)state;
    const char *const paths[] = {FIRST, SECOND, EPOCHS};
    for (size_t i = 0; i < 3; i++) {
        make();
        assert_int_equal(io_path_remove(paths[i]), 0);
        struct pass pass = {0};
        assert_int_equal(scrub(&pass, 1 << 20), -EBADMSG);
        close_log();
    }
    make();
    size_t size;
    uint8_t *data = fake_file(FIRST, &size);
    uint8_t *copy = memory_allocate(size);
    memcpy(copy, data, size);
    fake_file_put(FIRST, copy, size - 1);
    struct pass pass = {0};
    assert_int_equal(scrub(&pass, 1 << 20), -EIO);
    memory_free(copy);
    close_log();
    fake_reset();
}

/* ---- Every bit of every file ---- */

struct image {
    char path[128];
    uint8_t *data;
    size_t size;
};

static struct image images[FILES_MAX];
static size_t image_count;

static bool note_file(const char *name, void *context)
{
    (void)context;
    struct image *image = &images[image_count++];
    assert_true(image_count <= FILES_MAX);
    snprintf(image->path, sizeof image->path, "%s/%s", DIRECTORY, name);
    const uint8_t *data = fake_file(image->path, &image->size);
    image->data = memory_allocate(image->size);
    memcpy(image->data, data, image->size);
    return true;
}

static void restore(void)
{
    fake_reset();
    for (size_t i = 0; i < image_count; i++) {
        fake_file_put(images[i].path, images[i].data, images[i].size);
    }
}

struct fetch {
    struct log_wait wait;
    bool is_resumed;
};

static void resumed(struct log_wait *wait)
{
    container_of(wait, struct fetch, wait)->is_resumed = true;
}

static uint32_t add_file(uint32_t crc, const struct log_fetched *fetched)
{
    uint8_t *bytes = memory_allocate(fetched->length_bytes);
    size_t done = 0;
    assert_int_equal(
        io_file_read(fetched->file, fetched->position, bytes, fetched->length_bytes, &done), 0);
    assert_int_equal(done, fetched->length_bytes);
    crc = crc32c(crc, bytes, done);
    memory_free(bytes);
    return crc;
}

static void found_time(struct log_find_time *find, int result, struct buf_slice batch)
{
    (void)find;
    assert_int_equal(result, 0);
    last_result =
        batch.length_bytes > 0 ? (int)(crc32c(0, batch.data, batch.length_bytes) >> 1) : 0;
}

/* Of all that the log says to those above it. */
static uint32_t digest(void)
{
    uint64_t facts[] = {found.term,
                        found.vote,
                        found.first_index,
                        found.last_index,
                        found.prefix_term,
                        found.start_offset,
                        found.end_offset,
                        found.term_start_count,
                        found.membership_count};
    uint32_t crc = crc32c(0, facts, sizeof facts);
    for (size_t i = 0; i < found.membership_count; i++) {
        crc = crc32c(crc, found.memberships[i].payload, found.memberships[i].payload_length);
    }
    for (uint64_t offset = found.start_offset; offset < found.end_offset; offset++) {
        struct fetch fetch = {.wait.resume = resumed};
        struct log_fetched fetched = {0};
        int result = log_fetch(opened, offset, found.end_offset, 1, &fetched, &fetch.wait);
        while (result == -EAGAIN) {
            fake_run();
            assert_true(fetch.is_resumed);
            fetch.is_resumed = false;
            result = log_fetch(opened, offset, found.end_offset, 1, &fetched, &fetch.wait);
        }
        assert_int_equal(result, 0);
        assert_non_null(fetched.file);
        crc = add_file(crc, &fetched);
        log_fetched_release(&fetched);
    }
    for (int64_t time_ms = 1000; time_ms < 1020; time_ms += 3) {
        struct log_find_time find = {
            .timestamp_ms = time_ms, .limit_offset = found.end_offset, .done = found_time};
        log_find_time(opened, &find);
        fake_run();
        crc = crc32c(crc, &last_result, sizeof last_result);
    }
    return crc;
}

static bool is_cache(const char *path)
{
    return strstr(path, ".index") != NULL;
}

/* What became of one flipped bit: opening refuses the log, a pass finds it, or all that the log
 * says is as before. */
static struct {
    uint32_t refused;
    uint32_t scrubbed;
    uint32_t harmless;
} flips;

static void check_flip(const struct image *image, size_t byte, uint8_t bit, uint32_t expected)
{
    restore();
    size_t size;
    fake_file(image->path, &size)[byte] ^= (uint8_t)(1u << bit);
    if (open_log() != 0) {
        flips.refused++;
        return;
    }
    struct pass pass = {0};
    int result = scrub(&pass, 1 << 20);
    if (result != 0 || pass.scrub.snapshot_is_damaged) {
        flips.scrubbed++;
    } else {
        flips.harmless++;
        assert_int_equal(digest(), expected);
        /* A cache, or the older of the two checkpoints. */
        bool is_checkpoint = strcmp(image->path, EPOCHS) == 0 && byte < 1024;
        if (!is_cache(image->path) && !is_checkpoint) {
            fail_msg("%s: byte %zu, bit %d: not detected", image->path, byte, bit);
        }
    }
    close_log();
}

static void swallow(enum trace_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    (void)context;
}

static void test_every_flipped_bit_is_detected(void **state)
{
    (void)state;
    static const uint8_t bits[] = {0, 3, 7};
    trace_install(swallow, NULL, TRACE_ERROR);
    make();
    log_set_snapshot(opened, 40);
    close_log();
    assert_int_equal(io_directory_list(DIRECTORY, note_file, NULL), 0);
    restore();
    assert_int_equal(open_log(), 0);
    uint32_t expected = digest();
    close_log();
    for (size_t i = 0; i < image_count; i++) {
        for (size_t byte = 0; byte < images[i].size; byte++) {
            for (size_t bit = 0; bit < sizeof bits; bit++) {
                check_flip(&images[i], byte, bits[bit], expected);
            }
        }
    }
    printf("%zu files: %u flipped bits refused at open, %u found by a pass, %u harmless\n",
           image_count, flips.refused, flips.scrubbed, flips.harmless);
    assert_true(flips.refused + flips.scrubbed > 10000);
    for (size_t i = 0; i < image_count; i++) {
        memory_free(images[i].data);
    }
    fake_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_whole_log),
        cmocka_unit_test(test_an_empty_log),
        cmocka_unit_test(test_appends_go_on),
        cmocka_unit_test(test_truncation_during_a_step),
        cmocka_unit_test(test_retention_during_a_step),
        cmocka_unit_test(test_what_cannot_be_read_now_is_no_damage),
        cmocka_unit_test(test_missing_files),
        cmocka_unit_test(test_every_flipped_bit_is_detected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
