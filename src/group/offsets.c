/* SPDX-License-Identifier: Apache-2.0
 *
 * offsets.c -- what groups have committed, as far as it is kept; and OffsetFetch.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"

#include <stdlib.h>
#include <string.h>

#define KEY_PARTITION_BYTES 4
#define KEY_ON_STACK_BYTES 256 /* that of every topic there can be; clients may ask for others */

static size_t length_of(struct wire_string text)
{
    return text.length > 0 ? (size_t)text.length : 0;
}

/* key: with room for KEY_PARTITION_BYTES and the topic's. */
static size_t write_key(uint8_t *key, struct wire_string topic, int32_t partition)
{
    uint32_t number = (uint32_t)partition;
    for (int i = 0; i < KEY_PARTITION_BYTES; i++) {
        key[i] = (uint8_t)(number >> (24 - 8 * i));
    }
    size_t length = length_of(topic);
    if (length > 0) {
        memcpy(key + KEY_PARTITION_BYTES, topic.data, length);
    }
    return KEY_PARTITION_BYTES + length;
}

struct kept_offset *group_offset_find(const struct group *group, struct wire_string topic,
                                      int32_t partition)
{
    uint8_t on_stack[KEY_ON_STACK_BYTES];
    size_t key_bytes = KEY_PARTITION_BYTES + length_of(topic);
    uint8_t *key = key_bytes <= sizeof on_stack ? on_stack : memory_allocate(key_bytes);
    struct kept_offset *kept =
        map_get_bytes(&group->offsets, key, write_key(key, topic, partition));
    if (key != on_stack) {
        memory_free(key);
    }
    return kept;
}

void group_offset_keep(struct group *group, struct wire_string topic, int32_t partition,
                       const struct kept_offset *fields, struct wire_string metadata)
{
    group_offset_forget(group, topic, partition);
    size_t topic_bytes = length_of(topic);
    size_t metadata_bytes = length_of(metadata);
    struct kept_offset *kept =
        memory_allocate(sizeof(*kept) + KEY_PARTITION_BYTES + topic_bytes + metadata_bytes);
    *kept = *fields;
    kept->partition = partition;
    kept->topic_length = (int32_t)topic_bytes;
    kept->metadata_length = (int32_t)metadata_bytes;
    size_t key_bytes = write_key(kept->bytes, topic, partition);
    if (metadata_bytes > 0) {
        memcpy(kept->bytes + key_bytes, metadata.data, metadata_bytes);
    }
    map_put_bytes(&group->offsets, kept->bytes, key_bytes, kept);
    group->table->offset_count++;
}

void group_offset_forget(struct group *group, struct wire_string topic, int32_t partition)
{
    struct kept_offset *kept = group_offset_find(group, topic, partition);
    if (kept == NULL) {
        return;
    }
    map_take_bytes(&group->offsets, kept->bytes, KEY_PARTITION_BYTES + (size_t)kept->topic_length);
    memory_free(kept);
    group->table->offset_count--;
}

void group_offsets_clear(struct group *group)
{
    size_t position = 0;
    struct kept_offset *kept;
    while ((kept = map_next(&group->offsets, &position)) != NULL) {
        memory_free(kept);
        group->table->offset_count--;
    }
    map_free(&group->offsets);
    map_init(&group->offsets);
}

/* ---- OffsetFetch ---- */

static void answer(const struct kept_offset *kept, struct group_offset *offset)
{
    offset->error = WIRE_ERROR_NONE;
    offset->offset = kept != NULL ? kept->offset : -1;
    offset->leader_epoch = kept != NULL ? kept->leader_epoch : -1;
    offset->metadata = kept != NULL ? kept_offset_metadata(kept) : (struct wire_string){"", 0};
}

enum wire_error group_fetch(struct group_table *table, struct wire_string group_id,
                            struct group_offset *offsets, int32_t offset_count)
{
    enum wire_error error = group_check(table, group_id);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    const struct group *group = group_find(table, group_id);
    for (int32_t i = 0; i < offset_count; i++) {
        const struct kept_offset *kept =
            group != NULL ? group_offset_find(group, offsets[i].topic, offsets[i].partition) : NULL;
        answer(kept, &offsets[i]);
    }
    return WIRE_ERROR_NONE;
}

static int by_topic_and_partition(const void *left, const void *right)
{
    const struct group_offset *a = left;
    const struct group_offset *b = right;
    int32_t shorter = a->topic.length < b->topic.length ? a->topic.length : b->topic.length;
    int order = memcmp(a->topic.data, b->topic.data, (size_t)shorter);
    if (order == 0) {
        order = (a->topic.length > b->topic.length) - (a->topic.length < b->topic.length);
    }
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

enum wire_error group_fetch_all(struct group_table *table, struct wire_string group_id,
                                struct arena *arena, struct group_offset **offsets,
                                int32_t *offset_count)
{
    *offsets = NULL;
    *offset_count = 0;
    enum wire_error error = group_check(table, group_id);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    const struct group *group = group_find(table, group_id);
    size_t count = group != NULL ? group->offsets.count : 0;
    *offsets = arena_allocate_array(arena, count, sizeof(**offsets));
    if (*offsets == NULL || count == 0) {
        return WIRE_ERROR_NONE;
    }
    size_t position = 0;
    const struct kept_offset *kept;
    while ((kept = map_next(&group->offsets, &position)) != NULL) {
        struct group_offset *offset = &(*offsets)[(*offset_count)++];
        offset->topic = kept_offset_topic(kept);
        offset->partition = kept->partition;
        answer(kept, offset);
    }
    qsort(*offsets, count, sizeof(**offsets), by_topic_and_partition);
    return WIRE_ERROR_NONE;
}
