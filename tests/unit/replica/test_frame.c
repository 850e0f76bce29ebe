/* SPDX-License-Identifier: Apache-2.0
 *
 * test_frame.c -- peer frames: what is written is read, what is damaged is refused, and no bytes
 * whatever lead out of bounds.
 */
#include "base/prng.h"
#include "replica/frame.h"
#include "replica/membership_codec.h"
#include "wire/batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEADER_BYTES 15
#define MUTATIONS 20000

static const struct replica_frame_head head = {.broker_id = 3, .shard = 1, .shard_count = 4};

/* The body as it would be received: splices put in. */
static struct buf *body_of(struct replica_frame_writer *frame)
{
    struct buf *body = buf_new(replica_frame_bytes(frame));
    const struct wire_writer *writer = &frame->writer;
    size_t position = HEADER_BYTES;
    for (size_t i = 0; i <= writer->splice_count; i++) {
        size_t until =
            i < writer->splice_count ? writer->splices[i].position : wire_writer_length(writer);
        memcpy(body->data + body->length_bytes, writer->buf->data + position, until - position);
        body->length_bytes += until - position;
        position = until;
        if (i < writer->splice_count) {
            memcpy(body->data + body->length_bytes, frame->payloads[i].data,
                   frame->payloads[i].length_bytes);
            body->length_bytes += frame->payloads[i].length_bytes;
        }
    }
    replica_frame_discard(frame);
    return body;
}

static struct log_entry batch_entry(uint64_t index, uint64_t offset, uint64_t term, int32_t size)
{
    uint8_t *value = calloc(1, (size_t)size);
    struct buf *buf = wire_batch_build(NULL, -1, value, size, 5);
    free(value);
    wire_batch_stamp(buf->data, (int64_t)offset, (int32_t)term);
    return (struct log_entry){.first_index = index,
                              .last_index = index,
                              .term = term,
                              .kind = LOG_ENTRY_BATCH,
                              .payload = {buf, buf->data, buf->length_bytes}};
}

static const struct raft_message append = {.kind = RAFT_MESSAGE_APPEND,
                                           .group_id = 1005,
                                           .term = 7,
                                           .index = 40,
                                           .index_term = 6,
                                           .commit = 42};

/* A frame with everything in it. */
static struct buf *sample(void)
{
    struct replica_frame_writer frame;
    replica_frame_init(&frame);
    replica_frame_begin(&frame, &head);
    for (int kind = 0; kind < RAFT_MESSAGE_KINDS; kind++) {
        if (kind != RAFT_MESSAGE_APPEND) {
            struct raft_message message = {.kind = (enum raft_message_kind)kind,
                                           .group_id = 1001 + (uint64_t)kind,
                                           .term = 9,
                                           .index = 1000,
                                           .index_term = 8,
                                           .commit = 900,
                                           .barrier = 3,
                                           .rest_ticks = 300,
                                           .hint_index = 77,
                                           .hint_term = 5,
                                           .granted = 1,
                                           .forced = 1};
            replica_frame_add_message(&frame, &message, 0);
        }
    }
    uint8_t bytes[REPLICA_MEMBERSHIP_BYTES_MAX];
    struct raft_membership members = {.voter_count = 2, .voters = {1, 3}};
    uint8_t start[LOG_START_MOVE_BYTES];
    log_start_move_encode(25, start);
    struct log_entry entries[5] = {
        {.first_index = 41, .last_index = 41, .term = 7, .kind = LOG_ENTRY_TERM_START},
        batch_entry(42, 30, 7, 10),
        batch_entry(43, 31, 7, 5000),
        {.first_index = 44,
         .last_index = 44,
         .term = 7,
         .kind = LOG_ENTRY_MEMBERSHIP,
         .payload = {NULL, bytes, replica_membership_encode(&members, bytes)}},
        {.first_index = 45,
         .last_index = 45,
         .term = 7,
         .kind = LOG_ENTRY_START_MOVE,
         .payload = {NULL, start, sizeof start}},
    };
    replica_frame_add_append(&frame, &append, entries, 5);
    static const uint8_t content[1000];
    struct replica_snapshot_chunk chunk = {
        .group_id = 2000,
        .term = 7,
        .transfer_id = 12,
        .place = {.log_index = 10,
                  .log_term = 2,
                  .log_offset = 5,
                  .index = 20,
                  .term = 3,
                  .next_offset = 14,
                  .membership = members,
                  .membership_index = 4,
                  .total_bytes = 5000,
                  .crc = 99},
        .position = 3000,
        .data = {NULL, content, sizeof content},
    };
    replica_frame_add_chunk(&frame, &chunk);
    struct replica_snapshot_ack ack = {.group_id = 2001,
                                       .term = 7,
                                       .transfer_id = 12,
                                       .received = 4000,
                                       .status = REPLICA_SNAPSHOT_REFUSED};
    replica_frame_add_ack(&frame, &ack);
    struct buf *body = body_of(&frame);
    buf_release(entries[1].payload.buf);
    buf_release(entries[2].payload.buf);
    replica_frame_free(&frame);
    return body;
}

static void everything_comes_back(void **state)
{
    (void)state;
    struct buf *body = sample();
    struct replica_frame_reader reader;
    struct replica_frame_head read;
    struct replica_frame_item item;
    replica_frame_reader_init(&reader);
    assert_true(replica_frame_reader_begin(&reader, body, body->data, body->length_bytes, &read));
    assert_int_equal(read.broker_id, 3);
    assert_int_equal(read.shard, 1);
    assert_int_equal(read.shard_count, 4);
    for (int kind = 0; kind < RAFT_MESSAGE_KINDS; kind++) {
        if (kind == RAFT_MESSAGE_APPEND) {
            continue;
        }
        replica_frame_reader_next(&reader, &item);
        assert_int_equal(item.kind, REPLICA_FRAME_MESSAGE);
        assert_int_equal(item.message.kind, kind);
        assert_int_equal(item.message.group_id, 1001 + kind);
        assert_int_equal(item.message.term, 9);
        assert_int_equal(item.message.index, 1000);
        assert_int_equal(item.message.index_term, 8);
        assert_int_equal(item.message.commit, 900);
        assert_int_equal(item.message.barrier, 3);
        assert_int_equal(item.message.rest_ticks, 300);
        assert_int_equal(item.message.hint_index, 77);
        assert_int_equal(item.message.hint_term, 5);
        assert_int_equal(item.message.granted, 1);
        assert_int_equal(item.message.forced, 1);
    }
    replica_frame_reader_next(&reader, &item);
    assert_int_equal(item.kind, REPLICA_FRAME_MESSAGE);
    assert_int_equal(item.message.commit, 42);
    assert_int_equal(item.message.entry_count, 5);
    assert_int_equal(item.message.entries[0].kind, RAFT_ENTRY_NOOP);
    assert_int_equal(item.message.entries[2].first_index, 43);
    assert_int_equal(item.message.entries[2].kind, RAFT_ENTRY_DATA);
    assert_ptr_equal(reader.payloads[2].buf, body);
    assert_int_equal(item.message.entries[3].membership.voters[1], 3);
    assert_int_equal(item.message.entries[4].kind, RAFT_ENTRY_CONTROL);
    uint64_t start_offset = 0;
    assert_true(log_start_move_decode(reader.payloads[4].data, reader.payloads[4].length_bytes,
                                      &start_offset));
    assert_int_equal(start_offset, 25);
    replica_frame_reader_next(&reader, &item);
    assert_int_equal(item.kind, REPLICA_FRAME_CHUNK);
    assert_int_equal(item.chunk.place.next_offset, 14);
    assert_int_equal(item.chunk.data.length_bytes, 1000);
    replica_frame_reader_next(&reader, &item);
    assert_int_equal(item.kind, REPLICA_FRAME_ACK);
    assert_int_equal(item.ack.received, 4000);
    assert_int_equal(item.ack.status, REPLICA_SNAPSHOT_REFUSED);
    replica_frame_reader_next(&reader, &item);
    assert_int_equal(item.kind, REPLICA_FRAME_END);
    replica_frame_reader_free(&reader);
    buf_release(body);
}

static void heartbeats_are_small(void **state)
{
    (void)state;
    struct replica_frame_writer frame;
    replica_frame_init(&frame);
    replica_frame_begin(&frame, &head);
    size_t before = replica_frame_bytes(&frame);
    for (uint64_t id = 1001; id < 2001; id++) {
        struct raft_message message = {.kind = RAFT_MESSAGE_HEARTBEAT,
                                       .group_id = id,
                                       .term = 5,
                                       .index = 100000,
                                       .index_term = 5,
                                       .commit = 100000,
                                       .barrier = 12};
        replica_frame_add_message(&frame, &message, 0);
    }
    assert_true((replica_frame_bytes(&frame) - before) / 1000 <= 12);
    replica_frame_free(&frame);
}

/* One append of one batch, changed by mutate on the wire or before: how it is read. */
static enum replica_frame_item_kind read_append(const struct log_entry *entry, size_t flip)
{
    struct replica_frame_writer frame;
    replica_frame_init(&frame);
    replica_frame_begin(&frame, &head);
    replica_frame_add_append(&frame, &append, entry, 1);
    struct buf *body = body_of(&frame);
    replica_frame_free(&frame);
    body->data[body->length_bytes - 1 - flip] ^= 1;
    struct replica_frame_reader reader;
    struct replica_frame_head read;
    struct replica_frame_item item;
    replica_frame_reader_init(&reader);
    assert_true(replica_frame_reader_begin(&reader, body, body->data, body->length_bytes, &read));
    replica_frame_reader_next(&reader, &item);
    replica_frame_reader_free(&reader);
    buf_release(body);
    return item.kind;
}

static void damaged_batches_are_not_accepted(void **state)
{
    (void)state;
    struct log_entry entry = batch_entry(41, 30, 7, 2000);
    /* Any byte behind the checksum field, and the leader epoch, and the length. */
    for (size_t flip = 0; flip < entry.payload.length_bytes; flip++) {
        size_t at = entry.payload.length_bytes - 1 - flip;
        enum replica_frame_item_kind kind = read_append(&entry, flip);
        if (at < 8) {
            continue; /* the base offset is compared with the log's end when it is appended */
        }
        assert_int_equal(kind, REPLICA_FRAME_SKIPPED);
    }
    buf_release(entry.payload.buf);
    entry = batch_entry(41, 30, 6, 100); /* the batch says another term than the entry */
    entry.term = 7;
    assert_int_equal(read_append(&entry, entry.payload.length_bytes - 1), REPLICA_FRAME_SKIPPED);
    buf_release(entry.payload.buf);
}

static void walk(struct replica_frame_reader *reader, struct buf *body, const uint8_t *data,
                 size_t length)
{
    struct replica_frame_head read;
    if (!replica_frame_reader_begin(reader, body, data, length, &read)) {
        return;
    }
    for (;;) {
        struct replica_frame_item item;
        replica_frame_reader_next(reader, &item);
        if (item.kind == REPLICA_FRAME_END || item.kind == REPLICA_FRAME_BAD) {
            return;
        }
        if (item.kind == REPLICA_FRAME_MESSAGE && item.message.kind == RAFT_MESSAGE_APPEND) {
            for (uint32_t i = 0; i < item.message.entry_count; i++) {
                const struct buf_slice *payload = &reader->payloads[i];
                assert_true(payload->data >= data && payload->length_bytes <= length &&
                            payload->data + payload->length_bytes <= data + length);
            }
        }
    }
}

static void no_bytes_lead_astray(void **state)
{
    (void)state;
    struct buf *body = sample();
    struct replica_frame_reader reader;
    replica_frame_reader_init(&reader);
    struct prng prng;
    prng_init(&prng, 42);
    for (size_t length = 0; length <= body->length_bytes; length++) {
        uint8_t *exact = malloc(length + 1); /* its end is where a sanitizer looks */
        memcpy(exact, body->data, length);
        uint8_t *shrunk = realloc(exact, length > 0 ? length : 1);
        walk(&reader, body, shrunk, length);
        free(shrunk);
    }
    uint8_t *copy = malloc(body->length_bytes);
    for (int round = 0; round < MUTATIONS; round++) {
        memcpy(copy, body->data, body->length_bytes);
        uint64_t changes = 1 + prng_below(&prng, 8);
        for (uint64_t i = 0; i < changes; i++) {
            copy[prng_below(&prng, body->length_bytes)] = (uint8_t)prng_next(&prng);
        }
        walk(&reader, body, copy, body->length_bytes);
    }
    free(copy);
    replica_frame_reader_free(&reader);
    buf_release(body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_comes_back),
        cmocka_unit_test(heartbeats_are_small),
        cmocka_unit_test(damaged_batches_are_not_accepted),
        cmocka_unit_test(no_bytes_lead_astray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
