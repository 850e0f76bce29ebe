/* SPDX-License-Identifier: Apache-2.0
 *
 * exchange.c -- see exchange.h.
 */
#include "exchange.h"
#include "loop_turn.h"

#include "base/crc32c.h"
#include "broker/api.h"
#include "io/file.h"
#include "log/log.h"
#include "wire/produce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#define ANSWER_NS 5000000000ull

/* ---- Turns ---- */

void shard_turn(struct broker_shard *shard)
{
    loop_turn(shard->loop);
}

void shard_turn_until_answered(struct broker_shard *shard, struct exchange *exchange)
{
    uint64_t end_ns = io_clock_ns(shard->loop) + ANSWER_NS;
    while (!exchange->is_answered && io_clock_ns(shard->loop) < end_ns) {
        shard_turn(shard);
    }
    assert_true(exchange->is_answered);
}

/* ---- Exchanges ---- */

static void write_file_range(struct wire_writer *writer, const struct log_fetched *fetched)
{
    for (uint64_t done = 0; fetched->file != NULL && done < fetched->length_bytes;) {
        uint8_t piece[4096];
        uint64_t left = fetched->length_bytes - done;
        size_t length = left < sizeof(piece) ? (size_t)left : sizeof(piece);
        size_t read = 0;
        assert_int_equal(
            io_file_read(fetched->file, fetched->position + done, piece, length, &read), 0);
        assert_int_equal(read, length);
        wire_write_raw(writer, piece, length);
        done += length;
    }
}

static void finish(struct request *request, struct wire_writer *body, bool close_connection)
{
    struct exchange *exchange = request->finish_owner;
    assert_false(exchange->is_answered);
    exchange->is_answered = true;
    exchange->is_dropped = close_connection;
    if (body == NULL) {
        wire_writer_init(&exchange->answer, 16);
        return;
    }
    /* What is spliced in is copied to its place, as a receiver would see it. */
    size_t written = 0;
    wire_writer_init(&exchange->answer, 256);
    for (size_t i = 0; i < body->splice_count; i++) {
        struct log_fetched *fetched = body->splices[i].payload;
        size_t before = body->splices[i].position;
        wire_write_raw(&exchange->answer, body->buf->data + written, before - written);
        written = before;
        write_file_range(&exchange->answer, fetched);
        for (uint32_t j = 0; j < fetched->slice_count; j++) {
            wire_write_raw(&exchange->answer, fetched->slices[j].data,
                           fetched->slices[j].length_bytes);
        }
        log_fetched_release(fetched);
    }
    wire_write_raw(&exchange->answer, body->buf->data + written,
                   wire_writer_length(body) - written);
    wire_writer_free(body);
}

void exchange_run(struct exchange *exchange, struct broker_shard *shard, request_handler handler,
                  int16_t version, struct wire_writer *body)
{
    memset(exchange, 0, sizeof(*exchange));
    struct request *request = &exchange->request;
    shard_turn(shard); /* so that the shard's time is now */
    request->shard = shard;
    request->configuration = &exchange->configuration;
    request->version = version;
    request->frame = body->buf;
    request->body = body->buf->data;
    request->body_length = wire_writer_length(body);
    request->received_ns = io_now_ns(shard->loop);
    request->finish = finish;
    request->finish_owner = exchange;
    arena_init(&request->arena, 65536 + 8 * request->body_length);
    arena_init(&exchange->arena, 16u << 20);
    buf_reference(request->frame);
    wire_writer_free(body);
    handler(request);
}

struct wire_cursor exchange_answer(struct exchange *exchange)
{
    struct wire_cursor cursor;
    assert_true(exchange->is_answered);
    assert_false(exchange->is_dropped);
    wire_cursor_init(&cursor, exchange->answer.buf->data, wire_writer_length(&exchange->answer),
                     &exchange->arena);
    return cursor;
}

void exchange_free(struct exchange *exchange)
{
    assert_true(exchange->is_answered);
    wire_writer_free(&exchange->answer);
    arena_free(&exchange->request.arena);
    arena_free(&exchange->arena);
    buf_release(exchange->request.frame);
}

/* ---- Batches ---- */

static void put_int(uint8_t *data, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--, value >>= 8) {
        data[i] = (uint8_t)value;
    }
}

static void write_record(struct wire_writer *writer, const struct batch_spec *spec, int32_t number)
{
    uint32_t value_bytes = spec->value_bytes > 0 ? spec->value_bytes : 10;
    struct wire_writer body;
    wire_writer_init(&body, 64);
    wire_write_int8(&body, 0);
    wire_write_varlong(&body, number * spec->step_ms);
    wire_write_varint(&body, number);
    if (spec->null_key_every > 0 ? number % spec->null_key_every == 0 : spec->has_null_key) {
        wire_write_varint(&body, -1);
    } else {
        wire_write_varint(&body, 1);
        wire_write_raw(&body, "k", 1);
    }
    wire_write_varint(&body, (int32_t)value_bytes);
    for (uint32_t i = 0; i < value_bytes; i++) {
        wire_write_int8(&body, 'v');
    }
    wire_write_varint(&body, 0);
    wire_write_varint(writer, (int32_t)wire_writer_length(&body));
    wire_write_raw(writer, body.buf->data, wire_writer_length(&body));
    wire_writer_free(&body);
}

static size_t gzip(uint8_t *output, size_t size, const struct wire_writer *input)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = input->buf->data;
    stream.avail_in = (uInt)wire_writer_length(input);
    stream.next_out = output;
    stream.avail_out = (uInt)size;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return size - stream.avail_out;
}

struct buf *batch_make(const struct batch_spec *spec)
{
    int32_t count = spec->record_count > 0 ? spec->record_count : 1;
    struct wire_writer records;
    wire_writer_init(&records, 256);
    for (int32_t i = 0; i < count; i++) {
        write_record(&records, spec, i);
    }
    size_t length = wire_writer_length(&records);
    struct buf *buf = buf_new(WIRE_BATCH_HEAD_BYTES + length + 128);
    uint8_t *data = buf->data;
    if (spec->is_compressed) {
        length = gzip(data + WIRE_BATCH_HEAD_BYTES, length + 128, &records);
    } else {
        memcpy(data + WIRE_BATCH_HEAD_BYTES, records.buf->data, length);
    }
    wire_writer_free(&records);
    buf->length_bytes = WIRE_BATCH_HEAD_BYTES + length;

    bool has_producer = spec->producer_id != 0;
    put_int(data, 0, 8);
    put_int(data + 8, buf->length_bytes - WIRE_BATCH_PREFIX_BYTES, 4);
    put_int(data + 12, 0, 4);
    data[16] = 2;
    put_int(data + 21, spec->is_compressed ? WIRE_COMPRESSION_GZIP : 0, 2);
    put_int(data + 23, (uint64_t)count - 1, 4);
    put_int(data + 27, (uint64_t)spec->timestamp_ms, 8);
    put_int(data + 35, (uint64_t)(spec->timestamp_ms + (count - 1) * spec->step_ms), 8);
    put_int(data + 43, has_producer ? (uint64_t)spec->producer_id : UINT64_MAX, 8);
    put_int(data + 51, has_producer ? (uint64_t)spec->producer_epoch : UINT64_MAX, 2);
    put_int(data + 53, has_producer ? (uint64_t)spec->base_sequence : UINT64_MAX, 4);
    put_int(data + 57, (uint64_t)count, 4);
    put_int(data + 17, crc32c(0, data + 21, buf->length_bytes - 21), 4);
    return buf;
}

void exchange_produce(struct broker_shard *shard, const char *topic_name,
                      const struct batch_spec *spec)
{
    struct produce_request body;
    struct produce_request_topic_produce_data topic;
    struct produce_request_partition_produce_data data;
    struct exchange exchange;
    struct buf *batch = batch_make(spec);
    produce_request_init(&body);
    produce_request_topic_produce_data_init(&topic);
    produce_request_partition_produce_data_init(&data);
    body.topic_data = &topic;
    body.topic_data_count = 1;
    topic.name = (struct wire_string){topic_name, (int32_t)strlen(topic_name)};
    topic.partition_data = &data;
    topic.partition_data_count = 1;
    data.records.data = batch->data;
    data.records.length = (int32_t)batch->length_bytes;
    struct wire_writer writer;
    wire_writer_init(&writer, 256);
    produce_request_encode(&body, 9, &writer);
    buf_release(batch);
    exchange_run(&exchange, shard, api_produce, 9, &writer);
    assert_false(exchange.is_dropped);
    exchange_free(&exchange);
}
