/* SPDX-License-Identifier: Apache-2.0
 *
 * test_epochs.c -- epoch logs made by hand: whole ones that contradict themselves, and damage in
 * every place that something else vouches for.
 *
 * None of it can come from a crash; it is refused, and the problem and its place are named.
 */
#include "base/memory.h"
#include "log/bytes.h"
#include "log/epochs.h"
#include "log/epochs_format.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FILE_BYTES_MAX 8192
#define RECORDS_MAX 6

static const uint8_t start_5[8] = {[7] = 5};
static const uint8_t start_20[8] = {[7] = 20};
static const uint8_t is_done[1] = {0};
static const uint8_t large[LOG_MEMBERSHIP_BYTES_MAX];

#define FORMAT                                                                                     \
    {                                                                                              \
        .type = LOG_RECORD_FORMAT, .term = EPOCHS_FORMAT_VERSION                                   \
    }
#define HARD_STATE(term_, vote)                                                                    \
    {                                                                                              \
        .type = LOG_RECORD_HARD_STATE, .term = (term_), .index = (vote)                            \
    }
#define TERM_START(term_, index_, offset_)                                                         \
    {                                                                                              \
        .type = LOG_RECORD_TERM_START, .term = (term_), .index = (index_), .offset = (offset_)     \
    }
#define MEMBERSHIP(term_, index_, offset_)                                                         \
    {                                                                                              \
        .type = LOG_RECORD_MEMBERSHIP, .term = (term_), .index = (index_), .offset = (offset_),    \
        .payload = large, .payload_length = 24                                                     \
    }
#define LOG_START(term_, index_, offset_, start)                                                   \
    {                                                                                              \
        .type = LOG_RECORD_LOG_START, .term = (term_), .index = (index_), .offset = (offset_),     \
        .payload = (start), .payload_length = EPOCHS_START_PAYLOAD_BYTES                           \
    }
#define RESET(term_, index_, offset_)                                                              \
    {                                                                                              \
        .type = LOG_RECORD_RESET, .term = (term_), .index = (index_), .offset = (offset_),         \
        .payload = is_done, .payload_length = EPOCHS_RESET_PAYLOAD_BYTES                           \
    }
#define TRUNCATE(index_, offset_)                                                                  \
    {                                                                                              \
        .type = LOG_RECORD_TRUNCATE, .index = (index_), .offset = (offset_)                        \
    }
#define START_MOVE(term_, index_, offset_, start)                                                  \
    {                                                                                              \
        .type = LOG_RECORD_START_MOVE, .term = (term_), .index = (index_), .offset = (offset_),    \
        .payload = (start), .payload_length = LOG_START_MOVE_BYTES                                 \
    }
#define PREFIX_MEMBERSHIP(term_, index_)                                                           \
    {                                                                                              \
        .type = LOG_RECORD_PREFIX_MEMBERSHIP, .term = (term_), .index = (index_),                  \
        .payload = large, .payload_length = 24                                                     \
    }

struct file {
    uint8_t data[FILE_BYTES_MAX];
    size_t length;
    size_t positions[RECORDS_MAX];
};

/* A file of these records, the last of which knows all before it to be durable. */
static struct file file_of(const struct log_record *records, size_t count)
{
    struct file file = {.length = LOG_EPOCHS_RECORDS_AT};
    struct log_epochs epochs = {.end_position = file.length, .durable_length = file.length};
    for (size_t i = 0; i < count; ++i) {
        file.positions[i] = epochs.end_position;
        epochs.durable_length = i + 1 == count ? epochs.end_position : LOG_EPOCHS_RECORDS_AT;
        log_epochs_append(&epochs, &records[i]);
    }
    memcpy(file.data + file.length, epochs.pending, epochs.pending_length);
    file.length += epochs.pending_length;
    log_epochs_free(&epochs);
    return file;
}

static void put_checkpoint(struct file *file, uint64_t sequence, uint64_t epochs_length)
{
    struct log_epochs epochs = {.checkpoint_sequence = sequence - 1,
                                .end_position = epochs_length,
                                .durable_length = epochs_length};
    const struct log_checkpoint checkpoint = {.epochs_length = epochs_length, .offset = 3};
    uint64_t position = 0;
    struct buf *slot = log_epochs_take_checkpoint(&epochs, &checkpoint, &position);
    memcpy(file->data + position, slot->data, slot->length_bytes);
    buf_release(slot);
}

static int replay(const struct file *file, struct log_epochs_state *state)
{
    int result = log_epochs_replay(file->data, file->length, state);
    log_epochs_state_free(state);
    return result;
}

static void assert_refused(const struct file *file, const char *problem, uint64_t position)
{
    struct log_epochs_state state;
    assert_int_equal(replay(file, &state), -EBADMSG);
    assert_string_equal(state.problem, problem);
    assert_int_equal(state.problem_position, position);
}

static const struct log_record usual[] = {
    FORMAT, HARD_STATE(2, 3), TERM_START(1, 1, 0), MEMBERSHIP(1, 12, 10), TERM_START(2, 13, 10),
};
#define USUAL_COUNT (sizeof(usual) / sizeof(usual[0]))

static void test_what_the_others_are_measured_by(void **state)
{
    (void)state;
    struct file file = file_of(usual, USUAL_COUNT);
    struct log_epochs_state found;
    assert_int_equal(replay(&file, &found), 0);
    assert_int_equal(found.term, 2);
    assert_int_equal(found.vote, 3);
    assert_int_equal(found.valid_length, file.length);
    put_checkpoint(&file, 4, file.length);
    put_checkpoint(&file, 5, file.length);
    assert_int_equal(replay(&file, &found), 0);
    assert_int_equal(found.checkpoint.sequence, 5);
}

/* Every last record is whole, and contradicts those before it. */
static void test_contradictions(void **state)
{
    (void)state;
    static const struct log_record bad[][RECORDS_MAX] = {
        {HARD_STATE(1, 0)},
        {START_MOVE(2, 14, 10, start_20)}, /* beyond what is there */
        {START_MOVE(1, 14, 10, start_5)},  /* in a term that is over */
        {START_MOVE(2, 15, 10, start_5)},
        {{.type = LOG_RECORD_FORMAT, .term = EPOCHS_FORMAT_VERSION + 1}},
        {FORMAT, FORMAT},
        {FORMAT, HARD_STATE(2, 0), HARD_STATE(1, 0)},
        {FORMAT, HARD_STATE(2, (uint64_t)UINT32_MAX + 1)},
        {FORMAT, TERM_START(1, 2, 0)},
        {FORMAT, TERM_START(1, 1, 0), TERM_START(1, 2, 0)},
        {FORMAT, TERM_START(2, 1, 0), MEMBERSHIP(1, 2, 0)},
        {FORMAT, TERM_START(1, 6, 5), TERM_START(2, 5, 3)},
        {FORMAT, TERM_START(1, UINT64_MAX, UINT64_MAX - 1)},
        {FORMAT, RESET(1, 10, 11)},
        {FORMAT, RESET(1, UINT64_MAX / 2 + 1, 3)},
        {FORMAT, RESET(1, 10, 9), LOG_START(1, 8, 5, start_5)},
        {FORMAT, RESET(1, 10, 9), LOG_START(1, 11, 5, start_20)},
        {FORMAT, LOG_START(0, 11, 10, start_5)},
        {FORMAT, LOG_START(0, 3, 4, start_5)},
        /* Of another term, and with control entries that its start cannot have before it. */
        {FORMAT, TERM_START(1, 1, 0), LOG_START(2, 6, 5, start_5)},
        {FORMAT, TERM_START(1, 1, 0), TERM_START(2, 12, 10), LOG_START(1, 5, 5, start_5)},
        {FORMAT, RESET(1, 10, 9), TRUNCATE(10, 9)},
        {FORMAT, RESET(1, 10, 9), PREFIX_MEMBERSHIP(1, 11)},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
        size_t count = 0;
        while (count < RECORDS_MAX && bad[i][count].type != 0) {
            ++count;
        }
        struct file file = file_of(bad[i], count);
        assert_refused(&file, "a record contradicts those before it", file.positions[count - 1]);
        struct log_epochs_state found;
        file.length = file.positions[count - 1];
        if (count > 1) {
            assert_int_equal(replay(&file, &found), 0);
        }
    }
}

static void test_too_short(void **state)
{
    (void)state;
    struct file file = file_of(usual, USUAL_COUNT);
    for (file.length = 0; file.length < LOG_EPOCHS_RECORDS_AT; ++file.length) {
        assert_refused(&file, "the file is too short", file.length);
    }
    for (; file.length < file.positions[1]; ++file.length) {
        assert_refused(&file, "the first record is missing", LOG_EPOCHS_RECORDS_AT);
    }
}

/* A later record knows of the earlier one that it had been durable. */
static void test_damage_below_a_later_record(void **state)
{
    (void)state;
    const struct file whole = file_of(usual, USUAL_COUNT);
    for (size_t i = 1; i + 1 < USUAL_COUNT; ++i) {
        for (size_t at = whole.positions[i]; at < whole.positions[i + 1]; ++at) {
            struct file file = whole;
            file.data[at] ^= 0x20;
            assert_refused(&file, "a record that had been made durable is damaged",
                           whole.positions[i]);
        }
    }
}

/* A checkpoint knows it: even a torn end, or the loss of whole records, is damage then. */
static void test_damage_below_a_checkpoint(void **state)
{
    (void)state;
    for (uint64_t sequence = 6; sequence < 8; ++sequence) { /* in either slot */
        struct file whole = file_of(usual, USUAL_COUNT);
        put_checkpoint(&whole, sequence, whole.length);
        struct file file = whole;
        file.data[whole.positions[USUAL_COUNT - 1] + 9] ^= 1;
        assert_refused(&file, "a record that had been made durable is damaged",
                       whole.positions[USUAL_COUNT - 1]);
        file = whole;
        file.length -= 1;
        assert_refused(&file, "a record that had been made durable is damaged",
                       whole.positions[USUAL_COUNT - 1]);
        file = whole;
        file.length = whole.positions[USUAL_COUNT - 1];
        assert_refused(&file, "records that had been made durable are missing", file.length);
    }
}

/* A truncation takes back what a checkpoint said of the data behind it; of two, both. */
static void test_truncation_voids_checkpoints(void **state)
{
    (void)state;
    static const struct log_record records[] = {FORMAT, TERM_START(1, 1, 0), TRUNCATE(3, 2),
                                                TRUNCATE(4, 3), TRUNCATE(2, 1)};
    struct file file = file_of(records, 5);
    put_checkpoint(&file, 6, file.positions[2]);
    put_checkpoint(&file, 7, file.positions[3]);
    struct log_epochs_state found;
    assert_int_equal(replay(&file, &found), 0);
    assert_int_equal(found.checkpoint.sequence, 0);
    assert_true(found.was_truncated);
    assert_int_equal(found.truncated_to, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_the_others_are_measured_by),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_too_short),
        cmocka_unit_test(test_damage_below_a_later_record),
        cmocka_unit_test(test_damage_below_a_checkpoint),
        cmocka_unit_test(test_truncation_voids_checkpoints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
