/* SPDX-License-Identifier: Apache-2.0
 *
 * keyed.c -- the list, and reading the log against it.
 */
#include "keyed.h"

#include "fake_io.h"
#include "log_fixture.h"

#include "base/memory.h"
#include "wire/batch.h"
#include "wire/compress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RECORDS_MAX 200000
#define KEYS_MAX 4096

/* By offset. */
struct listed {
    struct keyed_record record;
    uint64_t index;
    uint64_t term;
    uint64_t batch_offset;
    uint32_t batch_crc;
    uint32_t batch_count; /* records of it */
};

static struct {
    struct log *log;
    struct log_stream *stream;
    struct listed list[RECORDS_MAX];
    uint64_t next_offset;
    uint64_t last_index;
    uint64_t term;
    uint64_t spent_offset; /* tombstones below may be gone */
    int32_t last_result;
    int32_t sequence;
    uint8_t memberships;
} keyed;

void keyed_reset(void)
{
    fake_reset();
    memset(&keyed, 0, sizeof(keyed));
}

struct log *keyed_log(void)
{
    return keyed.log;
}

struct log_stream *keyed_stream(void)
{
    return keyed.stream;
}

int keyed_open(const struct log_options *options)
{
    struct log_found found;
    char error[256];
    keyed.stream = log_stream_new(fake_loop());
    int result =
        log_open(&keyed.log, keyed.stream, KEYED_DIRECTORY, options, &found, error, sizeof(error));
    if (result != 0) {
        log_stream_free(keyed.stream);
        keyed.log = NULL;
        return result;
    }
    return 0;
}

void keyed_close(void)
{
    fake_run();
    log_detach(keyed.log);
    log_close(keyed.log);
    log_stream_free(keyed.stream);
    fake_run();
    keyed.log = NULL;
}

/* ---- Appending ---- */

static struct buf *compressed(struct buf *plain, int compression)
{
    struct buf *body = wire_compress(compression, plain->data + WIRE_BATCH_HEAD_BYTES,
                                     plain->length_bytes - WIRE_BATCH_HEAD_BYTES);
    assert_non_null(body);
    size_t length = WIRE_BATCH_HEAD_BYTES + body->length_bytes;
    struct buf *buf = buf_new(length);
    memcpy(buf->data, plain->data, WIRE_BATCH_HEAD_BYTES);
    memcpy(buf->data + WIRE_BATCH_HEAD_BYTES, body->data, body->length_bytes);
    buf->length_bytes = length;
    buf->data[22] = (uint8_t)compression;
    for (size_t i = 0; i < 4; i++) {
        buf->data[8 + i] = (uint8_t)((length - WIRE_BATCH_PREFIX_BYTES) >> (24 - 8 * i));
    }
    buf_release(body);
    buf_release(plain);
    return buf;
}

static struct buf *batch_of(const struct keyed_record *records, uint32_t count, int compression,
                            int64_t producer_id, int64_t timestamp_ms)
{
    struct wire_batch_writer writer;
    wire_batch_writer_begin(&writer, timestamp_ms);
    for (uint32_t i = 0; i < count; i++) {
        char key[32];
        char value[32];
        int key_length = snprintf(key, sizeof(key), "key-%u", records[i].key);
        int value_length = snprintf(value, sizeof(value), "value-%d", records[i].value);
        wire_batch_writer_add(&writer, key, records[i].key == KEYED_NO_KEY ? -1 : key_length, value,
                              records[i].value == KEYED_TOMBSTONE ? -1 : value_length);
    }
    struct buf *buf = wire_batch_writer_finish(&writer);
    if (compression != WIRE_COMPRESSION_NONE) {
        buf = compressed(buf, compression);
    }
    if (producer_id >= 0) {
        memset(buf->data + 43, 0, 14);
        buf->data[50] = (uint8_t)producer_id;
        buf->data[55] = (uint8_t)(keyed.sequence >> 8);
        buf->data[56] = (uint8_t)keyed.sequence;
        keyed.sequence += (int32_t)count;
    }
    return buf;
}

void keyed_append(const struct keyed_record *records, uint32_t count, int compression,
                  int64_t producer_id, int64_t timestamp_ms)
{
    struct buf *buf = batch_of(records, count, compression, producer_id, timestamp_ms);
    wire_batch_stamp(buf->data, (int64_t)keyed.next_offset, (int32_t)keyed.term);
    wire_batch_write_crc(buf->data, buf->length_bytes);
    struct wire_batch head;
    assert_true(wire_batch_read(&head, buf->data, buf->length_bytes));
    assert_true(keyed.next_offset + count <= RECORDS_MAX);
    for (uint32_t i = 0; i < count; i++) {
        keyed.list[keyed.next_offset + i] = (struct listed){
            records[i], keyed.last_index + 1 + i, keyed.term, keyed.next_offset, head.crc, count};
    }
    const struct log_entry entry = {.first_index = keyed.last_index + 1,
                                    .last_index = keyed.last_index + count,
                                    .term = keyed.term,
                                    .kind = LOG_ENTRY_BATCH,
                                    .payload = {buf, buf->data, buf->length_bytes}};
    log_append_batch(keyed.log, &entry);
    buf_release(buf);
    keyed.next_offset += count;
    keyed.last_index += count;
}

void keyed_append_term(void)
{
    fixture_append_term(keyed.log, ++keyed.term);
    keyed.last_index++;
}

void keyed_append_membership(void)
{
    fixture_append_membership(keyed.log, keyed.term, ++keyed.memberships);
    keyed.last_index++;
}

static void written(void *owner, uint64_t write_id, int result)
{
    (void)owner;
    (void)write_id;
    keyed.last_result = result;
}

bool keyed_submit(void)
{
    struct log_write write = {.log = keyed.log, .write_id = 1};
    do { /* again for the checkpoint of what is committed then, as the host does */
        keyed.last_result = 1;
        log_stream_submit(keyed.stream, &write, 1, written);
        fake_run();
        if (keyed.last_result != 0) {
            return false;
        }
        log_set_commit(keyed.log, log_last_index(keyed.log));
    } while (log_is_dirty(keyed.log));
    return true;
}

/* ---- Compacting ---- */

static void compacted(struct log_compaction *compaction, int result)
{
    int *outcome = compaction->owner;
    assert_int_equal(*outcome, 1);
    *outcome = result;
}

int keyed_compact(struct log_compaction *compaction)
{
    int outcome = 1;
    compaction->done = compacted;
    compaction->owner = &outcome;
    compaction->applied_index = log_last_index(keyed.log);
    log_compact(keyed.log, compaction);
    assert_int_equal(outcome, 1);
    while (outcome == 1) {
        fake_run();
        fake_advance_ms(1);
    }
    fake_run();
    return outcome;
}

void keyed_spend_tombstones(uint64_t offset)
{
    keyed.spent_offset = offset > keyed.spent_offset ? offset : keyed.spent_offset;
}

void keyed_forget_after(uint64_t last_index)
{
    keyed.last_index = last_index;
    keyed.next_offset = log_next_offset(keyed.log);
}

/* ---- Looking ---- */

struct looking {
    struct log_read read;
    uint64_t next_index;
    uint64_t next_offset;
    bool *is_shown; /* by offset */
    bool is_done;
    int result;
};

static void look_at_record(struct looking *looking, const struct wire_record *record,
                           uint64_t offset)
{
    const struct listed *listed = &keyed.list[offset];
    char text[32];
    int length = snprintf(text, sizeof(text), "key-%u", listed->record.key);
    assert_int_equal(record->key.length, listed->record.key == KEYED_NO_KEY ? -1 : length);
    if (record->key.length > 0) {
        assert_memory_equal(record->key.data, text, (size_t)length);
    }
    length = snprintf(text, sizeof(text), "value-%d", listed->record.value);
    assert_int_equal(record->value.length, listed->record.value == KEYED_TOMBSTONE ? -1 : length);
    if (record->value.length > 0) {
        assert_memory_equal(record->value.data, text, (size_t)length);
    }
    looking->is_shown[offset] = true;
}

static void look_at_batch(struct looking *looking, const struct log_entry *entry)
{
    struct wire_batch batch;
    assert_true(wire_batch_read(&batch, entry->payload.data, entry->payload.length_bytes));
    assert_true(wire_batch_crc_matches(&batch));
    assert_int_equal(batch.base_offset, looking->next_offset);
    uint64_t end_offset = looking->next_offset + (uint64_t)batch.last_offset_delta + 1;
    assert_true(end_offset <= keyed.next_offset);
    assert_int_equal(entry->last_index - entry->first_index, batch.last_offset_delta);
    for (uint64_t offset = looking->next_offset; offset < end_offset; offset++) {
        const struct listed *listed = &keyed.list[offset];
        assert_int_equal(listed->term, entry->term);
        assert_int_equal(listed->index, entry->first_index + (offset - looking->next_offset));
        if (!wire_batch_is_filler(&batch)) {
            assert_int_equal(listed->batch_offset, batch.base_offset);
        }
    }
    const struct listed *first = &keyed.list[looking->next_offset];
    if (!wire_batch_is_filler(&batch)) {
        assert_int_equal(end_offset, first->batch_offset + first->batch_count);
    }
    if ((uint32_t)batch.record_count == first->batch_count) {
        assert_int_equal(batch.crc, first->batch_crc); /* byte for byte */
    }
    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(&batch, SIZE_MAX);
    while (wire_record_reader_next(reader, &record)) {
        look_at_record(looking, &record, looking->next_offset + (uint64_t)record.offset_delta);
    }
    assert_null(wire_record_reader_error(reader));
    wire_record_reader_close(reader);
    looking->next_offset = end_offset;
}

static void looked(struct log_read *read, int result, const struct log_entry *entries, size_t count)
{
    struct looking *looking = container_of(read, struct looking, read);
    looking->is_done = true;
    looking->result = result;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(entries[i].first_index, looking->next_index);
        looking->next_index = entries[i].last_index + 1;
        if (entries[i].kind == LOG_ENTRY_BATCH) {
            look_at_batch(looking, &entries[i]);
        }
    }
    assert_true(result != 0 || count > 0);
}

/* Each record that is gone had to go, or may have. */
static void check_what_is_gone(const bool *is_shown, uint64_t end_offset)
{
    static uint64_t newest[KEYS_MAX];
    uint64_t compacted_offset = log_compacted_offset(keyed.log);
    memset(newest, 0xff, sizeof(newest));
    uint64_t newest_below[KEYS_MAX];
    memset(newest_below, 0xff, sizeof(newest_below));
    for (uint64_t offset = 0; offset < end_offset; offset++) {
        uint32_t key = keyed.list[offset].record.key;
        if (key != KEYED_NO_KEY) {
            newest[key] = offset;
            newest_below[key] = offset < compacted_offset ? offset : newest_below[key];
        }
    }
    for (uint64_t offset = 0; offset < end_offset; offset++) {
        const struct keyed_record *record = &keyed.list[offset].record;
        bool is_newest = record->key != KEYED_NO_KEY && newest[record->key] == offset;
        bool may_be_spent = record->value == KEYED_TOMBSTONE && offset < keyed.spent_offset;
        if (is_newest && !may_be_spent) {
            assert_true(is_shown[offset]);
        }
        if (offset < compacted_offset && is_shown[offset]) {
            assert_int_equal(newest_below[record->key], offset);
        }
    }
}

void keyed_check(uint64_t at_least)
{
    assert_true(log_last_index(keyed.log) >= at_least);
    assert_int_equal(log_last_index(keyed.log), keyed.last_index);
    assert_int_equal(log_next_offset(keyed.log), keyed.next_offset);
    struct looking looking = {.read.done = looked, .next_index = 1};
    looking.is_shown = memory_allocate_zeroed(keyed.next_offset + 1);
    while (looking.next_index <= log_last_index(keyed.log)) {
        looking.is_done = false;
        looking.read.after_index = looking.next_index - 1;
        looking.read.last_index = log_last_index(keyed.log);
        looking.read.bytes_max = 3000;
        log_read(keyed.log, &looking.read);
        fake_run();
        assert_true(looking.is_done);
        assert_int_equal(looking.result, 0);
    }
    assert_int_equal(looking.next_offset, keyed.next_offset);
    check_what_is_gone(looking.is_shown, keyed.next_offset);
    memory_free(looking.is_shown);
}
