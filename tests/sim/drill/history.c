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
                      uint32_t previous, int8_t acks, uint32_t bytes)
{
    require(bytes >= HISTORY_VALUE_BYTES_LEAST);
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

void history_value_write(uint32_t value, uint8_t *data, uint32_t bytes)
{
    require(bytes >= HISTORY_VALUE_BYTES_LEAST);
    memcpy(data, &value, sizeof value);
    memcpy(data + sizeof value, &bytes, sizeof bytes);
    for (uint32_t i = HISTORY_VALUE_BYTES_LEAST; i < bytes; i++) {
        data[i] = (uint8_t)(value * 131u + i * 7u);
    }
}

/* The number of a value out of its bytes; HISTORY_NO_VALUE when they are nobody's. */
static uint32_t recognise(const struct history *history, const uint8_t *data, size_t length)
{
    uint32_t number;
    uint32_t bytes;
    if (length < HISTORY_VALUE_BYTES_LEAST) {
        return HISTORY_NO_VALUE;
    }
    memcpy(&number, data, sizeof number);
    memcpy(&bytes, data + sizeof number, sizeof bytes);
    if (number >= history->value_count || bytes != length ||
        history->values[number].bytes != bytes) {
        return HISTORY_NO_VALUE;
    }
    for (uint32_t i = HISTORY_VALUE_BYTES_LEAST; i < bytes; i++) {
        if (data[i] != (uint8_t)(number * 131u + i * 7u)) {
            return HISTORY_NO_VALUE;
        }
    }
    return number;
}

void history_read(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                  const uint8_t *data, size_t length)
{
    history->records_read++;
    check_record_read(history, topic, partition, offset, recognise(history, data, length));
}
