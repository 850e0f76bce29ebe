/* SPDX-License-Identifier: Apache-2.0
 *
 * history.c -- keeps the history; the rules are in check_sends.c and check_reads.c.
 */
#include "drill/history.h"

#include "base/assert.h"
#include "base/memory.h"
#include "drill/check.h"

#include <string.h>

void history_init(struct history *history, struct sim_world *world)
{
    memset(history, 0, sizeof *history);
    history->world = world;
}

void history_free(struct history *history)
{
    for (uint32_t i = 0; i < history->topic_count; i++) {
        for (uint32_t j = 0; j < history->topics[i].partition_count; j++) {
            memory_free(history->topics[i].partitions[j].values);
        }
    }
    memory_free(history->values);
}

uint32_t history_topic_add(struct history *history, const char *name, uint32_t partition_count,
                           uint32_t replicas)
{
    require(history->topic_count < HISTORY_TOPICS_MAX);
    require(partition_count > 0 && partition_count <= HISTORY_PARTITIONS_MAX);
    struct history_topic *topic = &history->topics[history->topic_count];
    require(strlen(name) < sizeof topic->name);
    memcpy(topic->name, name, strlen(name) + 1);
    topic->state = HISTORY_TOPIC_CREATING;
    topic->partition_count = partition_count;
    topic->replicas = replicas;
    topic->create_ns = sim_world_now_ns(history->world);
    for (uint32_t i = 0; i < partition_count; i++) {
        topic->partitions[i].acked_most = -1;
    }
    return history->topic_count++;
}

struct history_partition *history_partition(struct history *history, uint32_t topic,
                                            uint32_t partition)
{
    require(topic < history->topic_count);
    require(partition < history->topics[topic].partition_count);
    return &history->topics[topic].partitions[partition];
}

uint32_t history_at(const struct history *history, uint32_t topic, uint32_t partition,
                    int64_t offset)
{
    const struct history_partition *known = &history->topics[topic].partitions[partition];
    require(offset >= 0);
    return (size_t)offset < known->length ? known->values[offset] : HISTORY_NO_VALUE;
}

void history_put(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                 uint32_t value)
{
    struct history_partition *known = history_partition(history, topic, partition);
    require(offset >= 0 && value < history->value_count);
    if ((size_t)offset >= known->capacity) {
        known->capacity = (size_t)offset * 2 + 256;
        known->values = memory_reallocate(known->values, known->capacity * sizeof *known->values);
    }
    while (known->length <= (size_t)offset) {
        known->values[known->length++] = HISTORY_NO_VALUE;
    }
    known->values[offset] = value;
}

uint32_t history_send(struct history *history, uint32_t topic, uint32_t partition, uint32_t session,
                      uint32_t previous, int8_t acks, uint32_t key, uint32_t bytes)
{
    require(bytes >= HISTORY_VALUE_BYTES_LEAST || (bytes == 0 && key != HISTORY_NO_KEY));
    require((key == HISTORY_NO_KEY) == (history->topics[topic].key_count == 0));
    if (history->value_count == history->value_capacity) {
        history->value_capacity = history->value_capacity * 2 + 1024;
        history->values =
            memory_reallocate(history->values, history->value_capacity * sizeof *history->values);
    }
    history->values[history->value_count] = (struct history_value){
        .topic = topic,
        .partition = partition,
        .session = session,
        .previous = previous,
        .next = HISTORY_NO_VALUE,
        .key = key,
        .bytes = bytes,
        .acks = acks,
        .offset = -1,
        .acked_before = history_partition(history, topic, partition)->acked_most,
        .sent_ns = sim_world_now_ns(history->world),
    };
    if (previous != HISTORY_NO_VALUE) {
        ensure(history->values[previous].session == session);
        history->values[previous].next = history->value_count;
    }
    return history->value_count++;
}

static struct history_value *settle(struct history *history, uint32_t number,
                                    enum history_fate fate)
{
    require(number < history->value_count);
    struct history_value *value = &history->values[number];
    require(value->fate == HISTORY_OPEN);
    value->fate = fate;
    value->done_ns = sim_world_now_ns(history->world);
    return value;
}

void history_ack(struct history *history, uint32_t number, int64_t offset)
{
    settle(history, number, HISTORY_ACKED);
    history->acked++;
    check_acked(history, number, offset);
}

void history_fail(struct history *history, uint32_t number)
{
    settle(history, number, HISTORY_FAILED);
    history->failed++;
    check_failed(history, number);
}

void history_give_up(struct history *history, uint32_t number)
{
    settle(history, number, HISTORY_UNKNOWN);
    history->unknown++;
}

/* ---- Bytes ---- */

#define HEADER_BYTES 7 /* one header: its key's length, 'n', its value's length, a number */

static uint8_t pattern_at(uint32_t number, uint32_t position)
{
    return (uint8_t)(number * 131u + position * 7u);
}

/* Its number, and what follows from it. */
static uint8_t *make_bytes(uint32_t number, uint32_t second, uint32_t second_bytes, uint32_t bytes)
{
    uint8_t *data = memory_allocate(bytes);
    memcpy(data, &number, sizeof number);
    memcpy(data + sizeof number, &second, second_bytes);
    for (uint32_t i = (uint32_t)sizeof number + second_bytes; i < bytes; i++) {
        data[i] = pattern_at(number, i);
    }
    return data;
}

static uint8_t *make_key(const struct history *history, const struct history_value *value)
{
    uint32_t bytes = history->topics[value->topic].key_bytes;
    require(bytes >= HISTORY_KEY_BYTES_LEAST);
    return make_bytes(value->key, 0, 0, bytes);
}

static void make_header(uint32_t number, uint8_t header[HEADER_BYTES])
{
    header[0] = 2; /* zigzag of 1 */
    header[1] = 'n';
    header[2] = 8; /* of 4 */
    memcpy(header + 3, &number, sizeof number);
}

static void add_tombstone(struct wire_batch_writer *batch, uint32_t number, const uint8_t *key,
                          uint32_t key_bytes)
{
    uint8_t header[HEADER_BYTES];
    struct wire_writer record;
    wire_writer_init(&record, 64 + key_bytes);
    make_header(number, header);
    wire_write_int8(&record, 0);
    wire_write_varlong(&record, 0);
    wire_write_varint(&record, batch->record_count++);
    wire_write_varint(&record, (int32_t)key_bytes);
    wire_write_raw(&record, key, key_bytes);
    wire_write_varint(&record, -1); /* no value */
    wire_write_varint(&record, 1);
    wire_write_raw(&record, header, sizeof header);
    wire_write_varint(&batch->writer, (int32_t)wire_writer_length(&record));
    wire_write_raw(&batch->writer, record.buf->data, wire_writer_length(&record));
    wire_writer_free(&record);
}

void history_value_write(const struct history *history, uint32_t number,
                         struct wire_batch_writer *writer)
{
    require(number < history->value_count);
    const struct history_value *value = &history->values[number];
    uint32_t key_bytes = history->topics[value->topic].key_bytes;
    uint8_t *key = value->key == HISTORY_NO_KEY ? NULL : make_key(history, value);
    if (value->bytes == 0) {
        add_tombstone(writer, number, key, key_bytes);
    } else {
        uint8_t *data = make_bytes(number, value->bytes, sizeof value->bytes, value->bytes);
        wire_batch_writer_add(writer, key, key == NULL ? -1 : (int32_t)key_bytes, data,
                              (int32_t)value->bytes);
        memory_free(data);
    }
    memory_free(key);
}

static bool is_filled(const uint8_t *data, uint32_t number, uint32_t from, uint32_t bytes)
{
    uint32_t i = from;
    while (i < bytes && data[i] == pattern_at(number, i)) {
        i++;
    }
    return i >= bytes;
}

/* The record's number, as far as its value or its header tells; HISTORY_NO_VALUE: none. */
static uint32_t number_of(const struct wire_record *record)
{
    uint32_t number = HISTORY_NO_VALUE;
    if (record->value.length >= HISTORY_VALUE_BYTES_LEAST) {
        memcpy(&number, record->value.data, sizeof number);
    } else if (record->value.length < 0 && record->header_count == 1 &&
               record->headers.length == HEADER_BYTES) {
        memcpy(&number, record->headers.data + HEADER_BYTES - sizeof number, sizeof number);
    }
    return number;
}

static bool has_key(const struct history *history, const struct history_value *value,
                    const struct wire_record *record)
{
    uint32_t key = HISTORY_NO_KEY;
    uint32_t bytes = history->topics[value->topic].key_bytes;
    if (value->key == HISTORY_NO_KEY) {
        return record->key.length < 0;
    }
    if (record->key.length != (int32_t)bytes) {
        return false;
    }
    memcpy(&key, record->key.data, sizeof key);
    return key == value->key && is_filled(record->key.data, key, sizeof key, bytes);
}

/* The number of a value out of its record; HISTORY_NO_VALUE when that is nobody's. */
static uint32_t recognise(const struct history *history, const struct wire_record *record)
{
    uint32_t number = number_of(record);
    if (number >= history->value_count || !has_key(history, &history->values[number], record)) {
        return HISTORY_NO_VALUE;
    }
    uint32_t bytes = history->values[number].bytes;
    if (bytes == 0 || record->value.length < 0) {
        return bytes == 0 && record->value.length < 0 ? number : HISTORY_NO_VALUE;
    }
    uint32_t told;
    memcpy(&told, record->value.data + sizeof number, sizeof told);
    bool is_it = told == bytes && record->value.length == (int32_t)bytes &&
                 is_filled(record->value.data, number, HISTORY_VALUE_BYTES_LEAST, bytes);
    return is_it ? number : HISTORY_NO_VALUE;
}

void history_read(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                  const struct wire_record *record)
{
    history->records_read++;
    check_record_read(history, topic, partition, offset, recognise(history, record));
}
