/* SPDX-License-Identifier: Apache-2.0
 *
 * metadata.c -- holding brokers and topics so that every question is answered at once, and the
 * questions of cluster.h.
 *
 * What may happen to the state is decided in apply.c; here it is only kept in order.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"

#include "base/assert.h"
#include "base/memory.h"
#include "cluster/topic_name.h"

#include <string.h>

/* ---- Life ---- */

static void metadata_init(struct cluster_metadata *metadata)
{
    *metadata = (struct cluster_metadata){.next_group_id = CLUSTER_FIRST_PARTITION_GROUP_ID};
    map_init(&metadata->topics_by_id);
    map_init(&metadata->topics_by_likeness);
    map_init(&metadata->groups);
}

struct cluster_metadata *cluster_metadata_new(void)
{
    struct cluster_metadata *metadata = memory_allocate(sizeof *metadata);
    metadata_init(metadata);
    return metadata;
}

static void metadata_clear(struct cluster_metadata *metadata)
{
    for (size_t i = 0; i < metadata->topic_count; i++) {
        topic_entry_free(metadata->topics[i]);
    }
    topic_entry_free(metadata->departed);
    memory_free(metadata->topics);
    memory_free(metadata->brokers);
    for (size_t i = 0; i < metadata->broker_config_count; i++) {
        topic_config_clear(&metadata->broker_configs[i].config);
    }
    memory_free(metadata->broker_configs);
    memory_free(metadata->given_up);
    map_free(&metadata->topics_by_id);
    map_free(&metadata->topics_by_likeness);
    map_free(&metadata->groups);
}

void cluster_reset(struct cluster_metadata *metadata)
{
    metadata_clear(metadata);
    metadata_init(metadata);
}

void cluster_metadata_free(struct cluster_metadata *metadata)
{
    if (metadata == NULL) {
        return;
    }
    metadata_clear(metadata);
    memory_free(metadata);
}

/* ---- Brokers ---- */

/* Where the broker stands, or would. */
static size_t broker_position(const struct cluster_metadata *metadata, uint32_t id)
{
    size_t low = 0;
    size_t high = metadata->broker_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (metadata->brokers[middle].id < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const struct cluster_broker *cluster_broker_find(const struct cluster_metadata *metadata,
                                                 uint32_t id)
{
    size_t position = broker_position(metadata, id);
    if (position == metadata->broker_count || metadata->brokers[position].id != id) {
        return NULL;
    }
    return &metadata->brokers[position];
}

const struct cluster_broker *cluster_broker_next(const struct cluster_metadata *metadata,
                                                 size_t *position)
{
    return *position < metadata->broker_count ? &metadata->brokers[(*position)++] : NULL;
}

size_t cluster_broker_count(const struct cluster_metadata *metadata)
{
    return metadata->broker_count;
}

void metadata_put_broker(struct cluster_metadata *metadata, const struct cluster_broker *broker)
{
    size_t position = broker_position(metadata, broker->id);
    if (position == metadata->broker_count || metadata->brokers[position].id != broker->id) {
        require(metadata->broker_count < CLUSTER_BROKERS_MAX);
        metadata->brokers = memory_reallocate(metadata->brokers, (metadata->broker_count + 1) *
                                                                     sizeof metadata->brokers[0]);
        memmove(&metadata->brokers[position + 1], &metadata->brokers[position],
                (metadata->broker_count - position) * sizeof metadata->brokers[0]);
        metadata->broker_count++;
    }
    metadata->brokers[position] = *broker;
}

void metadata_remove_broker(struct cluster_metadata *metadata, uint32_t id)
{
    size_t position = broker_position(metadata, id);
    require(position < metadata->broker_count && metadata->brokers[position].id == id);
    metadata->broker_count--;
    memmove(&metadata->brokers[position], &metadata->brokers[position + 1],
            (metadata->broker_count - position) * sizeof metadata->brokers[0]);
}

/* ---- Configs of brokers ---- */

/* Where the broker's configs stand, or would. */
static size_t broker_config_position(const struct cluster_metadata *metadata, uint32_t broker_id)
{
    size_t position = 0;
    while (position < metadata->broker_config_count &&
           metadata->broker_configs[position].broker_id < broker_id) {
        position++;
    }
    return position;
}

const struct topic_config *cluster_broker_config(const struct cluster_metadata *metadata,
                                                 uint32_t broker_id)
{
    static const struct topic_config none;
    size_t position = broker_config_position(metadata, broker_id);
    bool is_there = position < metadata->broker_config_count &&
                    metadata->broker_configs[position].broker_id == broker_id;
    return is_there ? &metadata->broker_configs[position].config : &none;
}

struct topic_config *metadata_broker_config(struct cluster_metadata *metadata, uint32_t broker_id)
{
    size_t position = broker_config_position(metadata, broker_id);
    if (position == metadata->broker_config_count ||
        metadata->broker_configs[position].broker_id != broker_id) {
        size_t count = metadata->broker_config_count + 1;
        metadata->broker_configs =
            memory_reallocate(metadata->broker_configs, count * sizeof metadata->broker_configs[0]);
        memmove(&metadata->broker_configs[position + 1], &metadata->broker_configs[position],
                (metadata->broker_config_count - position) * sizeof metadata->broker_configs[0]);
        metadata->broker_configs[position] = (struct broker_config_entry){.broker_id = broker_id};
        metadata->broker_config_count = count;
    }
    return &metadata->broker_configs[position].config;
}

/* ---- Counting ---- */

uint64_t cluster_broker_replica_count(const struct cluster_metadata *metadata, uint32_t id)
{
    uint64_t count = 0;
    for (size_t i = 0; i < metadata->topic_count; i++) {
        const struct cluster_topic *topic = &metadata->topics[i]->topic;
        for (uint32_t j = 0; j < topic->partition_count; j++) {
            uint32_t position = 0;
            count += cluster_partition_find_replica(&topic->partitions[j], id, &position) ? 1 : 0;
        }
    }
    return count;
}

/* ---- Topics ---- */

static int compare_names(const char *left, size_t left_length, const char *right,
                         size_t right_length)
{
    int order = memcmp(left, right, left_length < right_length ? left_length : right_length);
    if (order != 0) {
        return order;
    }
    return left_length < right_length ? -1 : left_length > right_length ? 1 : 0;
}

/* Where the topic stands by name, or would. */
static size_t topic_position(const struct cluster_metadata *metadata, const char *name,
                             size_t length)
{
    size_t low = 0;
    size_t high = metadata->topic_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct cluster_topic *topic = &metadata->topics[middle]->topic;
        if (compare_names(topic->name, topic->name_length, name, length) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct topic_entry *metadata_find_alike(const struct cluster_metadata *metadata, const char *name,
                                        size_t name_length)
{
    char likeness[CLUSTER_TOPIC_NAME_BYTES_MAX + 1];
    if (name_length > CLUSTER_TOPIC_NAME_BYTES_MAX) {
        return NULL;
    }
    topic_name_likeness(name, name_length, likeness);
    return map_get_bytes(&metadata->topics_by_likeness, likeness, name_length);
}

struct topic_entry *metadata_find_id(const struct cluster_metadata *metadata, const struct uuid *id)
{
    return map_get_bytes(&metadata->topics_by_id, id->bytes, sizeof id->bytes);
}

const struct cluster_topic *cluster_topic_find(const struct cluster_metadata *metadata,
                                               const char *name, size_t name_length)
{
    const struct topic_entry *entry = metadata_find_alike(metadata, name, name_length);
    if (entry == NULL || memcmp(entry->topic.name, name, name_length) != 0) {
        return NULL;
    }
    return &entry->topic;
}

const struct cluster_topic *cluster_topic_find_id(const struct cluster_metadata *metadata,
                                                  const struct uuid *id)
{
    const struct topic_entry *entry = metadata_find_id(metadata, id);
    return entry == NULL ? NULL : &entry->topic;
}

const struct cluster_topic *cluster_topic_next(const struct cluster_metadata *metadata,
                                               size_t *position)
{
    return *position < metadata->topic_count ? &metadata->topics[(*position)++]->topic : NULL;
}

size_t cluster_topic_count(const struct cluster_metadata *metadata)
{
    return metadata->topic_count;
}

bool cluster_group_find(const struct cluster_metadata *metadata, uint64_t group_id,
                        const struct cluster_topic **topic, uint32_t *partition)
{
    const struct topic_entry *entry = map_get(&metadata->groups, group_id);
    if (entry == NULL) {
        return false;
    }
    uint32_t low = 0;
    uint32_t high = entry->topic.partition_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry->topic.partitions[middle].group_id < group_id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    ensure(low < entry->topic.partition_count && entry->topic.partitions[low].group_id == group_id);
    *topic = &entry->topic;
    *partition = low;
    return true;
}

uint64_t cluster_next_group_id(const struct cluster_metadata *metadata)
{
    return metadata->next_group_id;
}

enum wire_error metadata_addition_error(const struct cluster_metadata *metadata,
                                        const struct topic_entry *entry)
{
    const struct cluster_topic *topic = &entry->topic;
    const struct topic_entry *alike =
        metadata_find_alike(metadata, topic->name, topic->name_length);
    if (alike != NULL) {
        return memcmp(alike->topic.name, topic->name, topic->name_length) == 0
                   ? WIRE_ERROR_TOPIC_ALREADY_EXISTS
                   : WIRE_ERROR_INVALID_TOPIC_EXCEPTION;
    }
    if (metadata_find_id(metadata, &topic->id) != NULL) {
        return WIRE_ERROR_TOPIC_ALREADY_EXISTS;
    }
    if (topic->partition_count > CLUSTER_PARTITIONS_MAX - metadata->partition_count) {
        return WIRE_ERROR_POLICY_VIOLATION;
    }
    return WIRE_ERROR_NONE;
}

void metadata_add_topic(struct cluster_metadata *metadata, struct topic_entry *entry)
{
    struct cluster_topic *topic = &entry->topic;
    size_t position = topic_position(metadata, topic->name, topic->name_length);
    if (metadata->topic_count == metadata->topic_capacity) {
        metadata->topic_capacity = metadata->topic_capacity == 0 ? 8 : metadata->topic_capacity * 2;
        metadata->topics = memory_reallocate(metadata->topics,
                                             metadata->topic_capacity * sizeof metadata->topics[0]);
    }
    memmove(&metadata->topics[position + 1], &metadata->topics[position],
            (metadata->topic_count - position) * sizeof metadata->topics[0]);
    metadata->topics[position] = entry;
    metadata->topic_count++;
    void *same_id =
        map_put_bytes(&metadata->topics_by_id, topic->id.bytes, sizeof topic->id.bytes, entry);
    void *alike =
        map_put_bytes(&metadata->topics_by_likeness, entry->likeness, topic->name_length, entry);
    ensure(same_id == NULL && alike == NULL);
    metadata_add_groups(metadata, entry, 0);
}

void metadata_add_groups(struct cluster_metadata *metadata, struct topic_entry *entry,
                         uint32_t first)
{
    for (uint32_t i = first; i < entry->topic.partition_count; i++) {
        uint64_t group_id = entry->topic.partitions[i].group_id;
        require(i == 0 || group_id > entry->topic.partitions[i - 1].group_id);
        void *same_group = map_put(&metadata->groups, group_id, entry);
        ensure(same_group == NULL && group_id < metadata->next_group_id);
    }
    metadata->partition_count += entry->topic.partition_count - first;
}

void metadata_remove_topic(struct cluster_metadata *metadata, struct topic_entry *entry)
{
    struct cluster_topic *topic = &entry->topic;
    size_t position = topic_position(metadata, topic->name, topic->name_length);
    require(position < metadata->topic_count && metadata->topics[position] == entry);
    metadata->topic_count--;
    memmove(&metadata->topics[position], &metadata->topics[position + 1],
            (metadata->topic_count - position) * sizeof metadata->topics[0]);
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        map_take(&metadata->groups, topic->partitions[i].group_id);
    }
    map_take_bytes(&metadata->topics_by_id, topic->id.bytes, sizeof topic->id.bytes);
    map_take_bytes(&metadata->topics_by_likeness, entry->likeness, topic->name_length);
    metadata->partition_count -= topic->partition_count;
    topic_entry_free(metadata->departed);
    metadata->departed = entry;
}
