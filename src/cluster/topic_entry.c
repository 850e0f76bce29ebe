/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_entry.c -- a topic by itself: built from what a record says, each part checked as it is
 * taken.
 *
 * Records come from the log or from a snapshot, and a snapshot may come from a peer; so what they
 * say is checked here although the plan that wrote it was careful.
 *
 * Locality: its owner.
 */
#include "cluster/topic_entry.h"

#include "base/assert.h"
#include "base/memory.h"
#include "cluster/topic_name.h"

#include <string.h>

struct topic_entry *topic_entry_new(const char *name, size_t name_length, const struct uuid *id)
{
    require(cluster_topic_name_error(name, name_length) == NULL);
    struct topic_entry *entry = memory_allocate_zeroed(sizeof *entry);
    memcpy(entry->topic.name, name, name_length);
    entry->topic.name_length = (uint32_t)name_length;
    entry->topic.id = *id;
    entry->topic.is_internal = topic_name_is_internal(name, name_length);
    topic_name_likeness(name, name_length, entry->likeness);
    return entry;
}

void topic_entry_free(struct topic_entry *entry)
{
    if (entry == NULL) {
        return;
    }
    topic_config_clear(&entry->topic.config);
    memory_free(entry->topic.partitions);
    memory_free(entry);
}

struct cluster_partition *topic_entry_extend(struct topic_entry *entry, uint32_t new_count)
{
    struct cluster_topic *topic = &entry->topic;
    uint32_t first = topic->partition_count;
    require(new_count <= CLUSTER_PARTITIONS_PER_TOPIC_MAX - first);
    topic->partitions =
        memory_reallocate(topic->partitions, (first + new_count) * sizeof topic->partitions[0]);
    memset(&topic->partitions[first], 0, new_count * sizeof topic->partitions[0]);
    topic->partition_count = first + new_count;
    return &topic->partitions[first];
}

const struct topic_config_row *topic_entry_config_row(struct wire_string name,
                                                      struct wire_string value)
{
    char message[128];
    const struct topic_config_row *row = topic_config_find(name.data, (size_t)name.length);
    if (row == NULL || value.length < 0 ||
        topic_config_check(row, value.data, (size_t)value.length, message, sizeof message) !=
            NULL) {
        return NULL;
    }
    return row;
}

bool topic_entry_take_config(struct topic_entry *entry, struct wire_string name,
                             struct wire_string value)
{
    const struct topic_config_row *row = topic_entry_config_row(name, value);
    if (row == NULL) {
        return false;
    }
    topic_config_set(&entry->topic.config, row, value.data, (size_t)value.length);
    return true;
}
