/* SPDX-License-Identifier: Apache-2.0
 *
 * test_flusher.c -- order of steps and flushes, and that a failure is for good.
 */
#include "io/file.h"

#include "directory.h"
#include "io/loop.h"
#include <stdio.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#define FLUSHES 50
#define SLICES 1000

struct sequence {
    struct io_loop *loop;
    int done;
    int expected;
};

struct one_flush {
    struct io_flush flush;
    struct sequence *sequence;
    int number;
};

static void one_done(struct io_flush *flush)
{
    struct one_flush *one = container_of(flush, struct one_flush, flush);
    assert_int_equal(one->sequence->done, one->number);
    one->sequence->done++;
    if (one->sequence->done == one->sequence->expected) {
        io_loop_stop(one->sequence->loop);
    }
}

static void one_submit(struct one_flush *one, struct sequence *sequence,
                       const struct io_flush_step *steps, uint32_t step_count)
{
    *one = (struct one_flush){
        .flush = {.steps = steps, .step_count = step_count, .done = one_done},
        .sequence = sequence,
        .number = sequence->expected++,
    };
    io_flush_submit(sequence->loop, &one->flush);
}

static void test_flushes_finish_in_order_and_write_what_they_say(void **state)
{
    (void)state;
    static struct one_flush flushes[FLUSHES];
    static struct io_flush_step steps[FLUSHES][2];
    static uint8_t bytes[FLUSHES];
    static struct buf_slice slices[FLUSHES];
    struct directory directory;
    struct io_file *file = NULL;
    uint8_t content[FLUSHES];
    size_t done = 0;
    directory_begin(&directory);
    assert_int_equal(io_file_open(&file, directory_join(&directory, "f"), IO_OPEN_CREATE), 0);
    struct sequence sequence = {.loop = io_loop_new(1)};
    for (int i = 0; i < FLUSHES; i++) {
        bytes[i] = (uint8_t)i;
        slices[i] = (struct buf_slice){NULL, &bytes[i], 1};
        /* Each flush overwrites the byte of the one before. */
        steps[i][0] = (struct io_flush_step){.kind = IO_FLUSH_WRITE,
                                             .file = file,
                                             .position = (uint64_t)(i > 0 ? i - 1 : 0),
                                             .slices = &slices[i],
                                             .slice_count = 1};
        steps[i][1] = (struct io_flush_step){.kind = IO_FLUSH_WRITE,
                                             .file = file,
                                             .position = (uint64_t)i,
                                             .slices = &slices[i],
                                             .slice_count = 1};
        one_submit(&flushes[i], &sequence, steps[i], 2);
    }
    io_loop_run(sequence.loop);
    assert_int_equal(io_file_read(file, 0, content, sizeof content, &done), 0);
    assert_int_equal(done, FLUSHES);
    for (int i = 0; i < FLUSHES - 1; i++) {
        assert_int_equal(flushes[i].flush.result, 0);
        assert_int_equal(content[i], i + 1);
    }
    io_loop_free(sequence.loop);
    io_file_release(file);
    directory_end(&directory);
}

static void test_many_slices_and_all_kinds_of_steps(void **state)
{
    (void)state;
    static struct buf_slice slices[SLICES];
    static uint8_t bytes[SLICES * 3];
    static uint8_t content[SLICES * 3];
    struct directory directory;
    struct io_file *files[6];
    struct io_flush_step steps[9];
    struct one_flush one;
    size_t total = 0;
    size_t done = 0;
    directory_begin(&directory);
    for (size_t i = 0; i < SLICES; i++) {
        slices[i] = (struct buf_slice){NULL, bytes + total, i % 4};
        for (size_t j = 0; j < i % 4; j++) {
            bytes[total + j] = (uint8_t)(i * 7 + j);
        }
        total += i % 4;
    }
    for (int i = 0; i < 6; i++) {
        char name[8];
        snprintf(name, sizeof name, "f%d", i);
        assert_int_equal(io_file_open(&files[i], directory_join(&directory, name), IO_OPEN_CREATE),
                         0);
        steps[2 + i] = (struct io_flush_step){.kind = IO_FLUSH_SYNC, .file = files[i]};
    }
    steps[0] = (struct io_flush_step){
        .kind = IO_FLUSH_WRITE, .file = files[0], .slices = slices, .slice_count = SLICES};
    steps[1] =
        (struct io_flush_step){.kind = IO_FLUSH_TRUNCATE, .file = files[0], .position = total - 1};
    steps[8] = (struct io_flush_step){.kind = IO_FLUSH_SYNC_DIRECTORY, .path = directory.path};
    struct sequence sequence = {.loop = io_loop_new(1)};
    one_submit(&one, &sequence, steps, 9);
    io_loop_run(sequence.loop);
    assert_int_equal(one.flush.result, 0);
    assert_true(one.flush.duration_ns > 0);
    assert_int_equal(io_file_read(files[0], 0, content, sizeof content, &done), 0);
    assert_int_equal(done, total - 1);
    assert_memory_equal(content, bytes, done);
    io_loop_free(sequence.loop);
    for (int i = 0; i < 6; i++) {
        io_file_release(files[i]);
    }
    directory_end(&directory);
}

static void test_a_failed_write_is_for_good(void **state)
{
    (void)state;
    struct directory directory;
    struct io_file *full = NULL;
    struct io_file *good = NULL;
    struct buf_slice slice = {NULL, (const uint8_t *)"abc", 3};
    struct one_flush before;
    struct one_flush failing;
    struct one_flush after;
    uint64_t size = 0;
    directory_begin(&directory);
    assert_int_equal(io_file_open(&full, "/dev/full", IO_OPEN_WRITE), 0);
    assert_int_equal(io_file_open(&good, directory_join(&directory, "f"), IO_OPEN_CREATE), 0);
    struct io_flush_step good_step = {
        .kind = IO_FLUSH_WRITE, .file = good, .slices = &slice, .slice_count = 1};
    struct io_flush_step later_step = {
        .kind = IO_FLUSH_WRITE, .file = good, .position = 3, .slices = &slice, .slice_count = 1};
    struct io_flush_step bad_steps[] = {
        {.kind = IO_FLUSH_WRITE, .file = full, .slices = &slice, .slice_count = 1}, later_step};
    struct sequence sequence = {.loop = io_loop_new(1)};
    one_submit(&before, &sequence, &good_step, 1);
    one_submit(&failing, &sequence, bad_steps, 2);
    one_submit(&after, &sequence, &later_step, 1);
    io_loop_run(sequence.loop);
    assert_int_equal(before.flush.result, 0);
    assert_int_equal(failing.flush.result, -ENOSPC);
    assert_int_equal(after.flush.result, -ENOSPC);
    assert_int_equal(io_file_size(good, &size), 0);
    assert_int_equal(size, 3);
    io_loop_free(sequence.loop);
    io_file_release(full);
    io_file_release(good);
    directory_end(&directory);
}

static void test_a_failed_sync_among_others_is_for_good(void **state)
{
    (void)state;
    struct directory directory;
    struct io_file *zero = NULL;
    struct io_file *good = NULL;
    struct one_flush failing;
    struct one_flush after;
    directory_begin(&directory);
    assert_int_equal(io_file_open(&zero, "/dev/zero", IO_OPEN_READ), 0); /* cannot be synced */
    assert_int_equal(io_file_open(&good, directory_join(&directory, "f"), IO_OPEN_CREATE), 0);
    struct io_flush_step steps[] = {{.kind = IO_FLUSH_SYNC, .file = good},
                                    {.kind = IO_FLUSH_SYNC, .file = zero},
                                    {.kind = IO_FLUSH_SYNC, .file = good}};
    struct sequence sequence = {.loop = io_loop_new(1)};
    one_submit(&failing, &sequence, steps, 3);
    one_submit(&after, &sequence, steps, 1);
    io_loop_run(sequence.loop);
    assert_int_equal(failing.flush.result, -EINVAL);
    assert_int_equal(after.flush.result, -EINVAL);
    io_loop_free(sequence.loop);
    io_file_release(zero);
    io_file_release(good);
    directory_end(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flushes_finish_in_order_and_write_what_they_say),
        cmocka_unit_test(test_many_slices_and_all_kinds_of_steps),
        cmocka_unit_test(test_a_failed_write_is_for_good),
        cmocka_unit_test(test_a_failed_sync_among_others_is_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
