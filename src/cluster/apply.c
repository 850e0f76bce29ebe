/* SPDX-License-Identifier: Apache-2.0
 *
 * apply.c -- what each kind of controller record does to the state.
 *
 * Every broker applies the same records in the same order and must end in the same state, so
 * nothing here depends on anything but state and record.  Three outcomes: the record changes the
 * state; its premise is gone, because another record came first (change->error, nothing changed);
 * its bytes make no sense (false, nothing changed).  A function therefore checks everything before
 * it changes anything.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/dynamic_config.h"
#include "cluster/metadata.h"
#include "cluster/partition.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "wire/broker_config_changed.h"
#include "wire/broker_leaving.h"
#include "wire/broker_registered.h"
#include "wire/broker_unregistered.h"
#include "wire/partition_reassigned.h"
#include "wire/partitions_added.h"
#include "wire/producer_ids_allocated.h"
#include "wire/reassignment_completed.h"
#include "wire/topic_config_changed.h"
#include "wire/topic_created.h"
#include "wire/topic_deleted.h"

#include <string.h>

/* The premise is gone: not an error of the record, so the function that applies it still says true.
 */
static bool refuse(struct cluster_change *change, enum wire_error error)
{
    *change = (struct cluster_change){.kind = CLUSTER_CHANGE_NONE, .error = error};
    return true;
}

/* ---- Brokers ---- */

static bool take_text(char *text, struct wire_string from)
{
    if (from.length < 0 || from.length > CLUSTER_HOST_BYTES_MAX) {
        return false;
    }
    text[0] = '\0';
    if (from.length > 0) { /* an empty string may have no data */
        memcpy(text, from.data, (size_t)from.length);
        text[from.length] = '\0';
    }
    return strlen(text) == (size_t)from.length;
}

static bool read_broker(struct cluster_broker *broker, struct wire_cursor *cursor, int16_t version)
{
    struct broker_registered_record record;
    if (!broker_registered_record_decode(&record, version, cursor) || record.broker_id == 0 ||
        record.first_founded_group_id < 0) {
        return false;
    }
    *broker = (struct cluster_broker){
        .id = record.broker_id,
        .incarnation = record.incarnation,
        .kafka_port = record.kafka_port,
        .peer_port = record.peer_port,
        .first_founded_group_id = (uint64_t)record.first_founded_group_id,
    };
    return take_text(broker->kafka_host, record.kafka_host) &&
           take_text(broker->peer_host, record.peer_host) && take_text(broker->rack, record.rack) &&
           cluster_directory_take(&broker->directory, &record.directory_id, record.first_start,
                                  record.directory_starts, record.directory_starts_count);
}

/* A broker that lost its power before it heard of its registration has nothing of this in its
 * directory, and may be among the founders of groups that were made meanwhile: it can ask when it
 * is back.  A snapshot of an earlier version does not say; then all groups in it count as older. */
static uint64_t first_founded_group(const struct cluster_metadata *metadata,
                                    const struct cluster_broker *known,
                                    const struct cluster_broker *broker)
{
    if (broker->first_founded_group_id > 0) {
        return broker->first_founded_group_id;
    }
    return known != NULL && uuid_equal(&known->directory.id, &broker->directory.id)
               ? known->first_founded_group_id
               : metadata->next_group_id;
}

static bool apply_broker_registered(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                                    int16_t version, struct cluster_change *change)
{
    struct cluster_broker broker;
    if (!read_broker(&broker, cursor, version)) {
        return false;
    }
    const struct cluster_broker *known = cluster_broker_find(metadata, broker.id);
    if (metadata->broker_count == CLUSTER_BROKERS_MAX && known == NULL) {
        return refuse(change, WIRE_ERROR_POLICY_VIOLATION);
    }
    /* It left, or another process of it registered, when this was under way. */
    enum cluster_directory_verdict verdict =
        cluster_directory_judge(metadata, broker.id, &broker.directory);
    if (verdict != CLUSTER_DIRECTORY_CURRENT) {
        return refuse(change, cluster_directory_error(verdict));
    }
    broker.is_leaving = known != NULL && known->is_leaving; /* a restart does not change its fate */
    if (known != NULL && uuid_is_zero(&broker.directory.id)) {
        broker.directory = known->directory; /* it does not say: it may well be on that one */
    } else if (known != NULL && !uuid_equal(&known->directory.id, &broker.directory.id)) {
        metadata_give_up_directory(metadata, broker.id, &known->directory.id);
    }
    broker.first_founded_group_id = first_founded_group(metadata, known, &broker);
    metadata_put_broker(metadata, &broker);
    change->kind = CLUSTER_CHANGE_BROKER;
    change->broker_id = broker.id;
    return true;
}

static bool apply_broker_leaving(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                                 int16_t version, struct cluster_change *change)
{
    struct broker_leaving_record record;
    if (!broker_leaving_record_decode(&record, version, cursor)) {
        return false;
    }
    const struct cluster_broker *known = cluster_broker_find(metadata, record.broker_id);
    if (known == NULL) {
        return refuse(change, WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    }
    /* A topic or a replica came when this was under way, or all others began to leave. */
    struct metadata_want want;
    if (record.is_leaving && !known->is_leaving &&
        !metadata_may_leave(metadata, record.broker_id, &want)) {
        return refuse(change, WIRE_ERROR_POLICY_VIOLATION);
    }
    struct cluster_broker broker = *known;
    broker.is_leaving = record.is_leaving;
    metadata_put_broker(metadata, &broker);
    change->kind = CLUSTER_CHANGE_BROKER;
    change->broker_id = broker.id;
    return true;
}

static bool apply_broker_unregistered(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                                      int16_t version, struct cluster_change *change)
{
    struct broker_unregistered_record record;
    if (!broker_unregistered_record_decode(&record, version, cursor)) {
        return false;
    }
    const struct cluster_broker *broker = cluster_broker_find(metadata, record.broker_id);
    if (broker == NULL) {
        return refuse(change, WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    }
    /* Its leaving was cancelled, or a topic was assigned to it, when this was under way. */
    if (!broker->is_leaving || cluster_broker_replica_count(metadata, broker->id) > 0) {
        return refuse(change, WIRE_ERROR_INVALID_REQUEST);
    }
    change->kind = CLUSTER_CHANGE_BROKER_REMOVED;
    change->broker_id = broker->id;
    topic_config_clear(metadata_broker_config(metadata, record.broker_id));
    metadata_give_up_directory(metadata, record.broker_id, &broker->directory.id);
    metadata_remove_broker(metadata, record.broker_id);
    return true;
}

/* ---- Topics ---- */

/* The topic of the record by itself, without group ids; NULL when the record makes no sense. */
static struct topic_entry *build_topic(const struct topic_created_record *record)
{
    if (cluster_topic_name_error(record->name.data, (size_t)record->name.length) != NULL ||
        uuid_is_zero(&record->topic_id) || record->partitions_count < 1 ||
        record->partitions_count > CLUSTER_PARTITIONS_PER_TOPIC_MAX) {
        return NULL;
    }
    struct topic_entry *entry =
        topic_entry_new(record->name.data, (size_t)record->name.length, &record->topic_id);
    struct cluster_partition *partitions =
        topic_entry_extend(entry, (uint32_t)record->partitions_count);
    bool good = true;
    for (int32_t i = 0; i < record->partitions_count && good; i++) {
        good = partition_take_replicas(&partitions[i], record->partitions[i].replicas,
                                       record->partitions[i].replicas_count);
    }
    for (int32_t i = 0; i < record->configs_count && good; i++) {
        good = topic_entry_take_config(entry, record->configs[i].name, record->configs[i].value);
    }
    if (!good) {
        topic_entry_free(entry);
        return NULL;
    }
    return entry;
}

/* Gives the partitions from first on the next group ids. */
static void number_groups(struct cluster_metadata *metadata, struct topic_entry *entry,
                          uint32_t first)
{
    for (uint32_t i = first; i < entry->topic.partition_count; i++) {
        entry->topic.partitions[i].group_id = metadata->next_group_id++;
    }
}

static bool apply_topic_created(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                                int16_t version, struct cluster_change *change)
{
    struct topic_created_record record;
    if (!topic_created_record_decode(&record, version, cursor)) {
        return false;
    }
    struct topic_entry *entry = build_topic(&record);
    if (entry == NULL) {
        return false;
    }
    enum wire_error error = metadata_addition_error(metadata, entry);
    for (uint32_t i = 0; i < entry->topic.partition_count && error == WIRE_ERROR_NONE; i++) {
        error = metadata_may_hold(metadata, &entry->topic.partitions[i])
                    ? WIRE_ERROR_NONE
                    : WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT;
    }
    if (error != WIRE_ERROR_NONE) {
        topic_entry_free(entry);
        return refuse(change, error);
    }
    number_groups(metadata, entry, 0);
    metadata_add_topic(metadata, entry);
    change->kind = CLUSTER_CHANGE_TOPIC_CREATED;
    change->topic_id = entry->topic.id;
    change->topic = &entry->topic;
    return true;
}

static bool apply_topic_deleted(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                                int16_t version, struct cluster_change *change)
{
    struct topic_deleted_record record;
    if (!topic_deleted_record_decode(&record, version, cursor)) {
        return false;
    }
    struct topic_entry *entry = metadata_find_id(metadata, &record.topic_id);
    if (entry == NULL) {
        return refuse(change, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    }
    metadata_remove_topic(metadata, entry);
    change->kind = CLUSTER_CHANGE_TOPIC_DELETED;
    change->topic_id = entry->topic.id;
    change->topic = &entry->topic;
    return true;
}

static bool apply_partitions_added(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                                   int16_t version, struct cluster_change *change)
{
    struct partitions_added_record record;
    struct cluster_partition checked;
    bool may_hold = true;
    if (!partitions_added_record_decode(&record, version, cursor) || record.partitions_count < 1) {
        return false;
    }
    for (int32_t i = 0; i < record.partitions_count; i++) {
        if (!partition_take_replicas(&checked, record.partitions[i].replicas,
                                     record.partitions[i].replicas_count)) {
            return false;
        }
        may_hold = may_hold && metadata_may_hold(metadata, &checked);
    }
    struct topic_entry *entry = metadata_find_id(metadata, &record.topic_id);
    if (entry == NULL) {
        return refuse(change, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    }
    uint32_t first = entry->topic.partition_count;
    uint32_t new_count = (uint32_t)record.partitions_count;
    if (record.first_partition != first) {
        return refuse(change, WIRE_ERROR_INVALID_PARTITIONS);
    }
    if (new_count > CLUSTER_PARTITIONS_PER_TOPIC_MAX - first ||
        new_count > CLUSTER_PARTITIONS_MAX - metadata->partition_count) {
        return refuse(change, WIRE_ERROR_POLICY_VIOLATION);
    }
    if (!may_hold) {
        return refuse(change, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    }
    struct cluster_partition *partitions = topic_entry_extend(entry, new_count);
    for (uint32_t i = 0; i < new_count; i++) {
        partition_take_replicas(&partitions[i], record.partitions[i].replicas,
                                record.partitions[i].replicas_count);
    }
    number_groups(metadata, entry, first);
    metadata_add_groups(metadata, entry, first);
    change->kind = CLUSTER_CHANGE_PARTITIONS_ADDED;
    change->topic_id = entry->topic.id;
    change->topic = &entry->topic;
    change->first_new_partition = first;
    return true;
}

static bool apply_topic_config_changed(struct cluster_metadata *metadata,
                                       struct wire_cursor *cursor, int16_t version,
                                       struct cluster_change *change)
{
    struct topic_config_changed_record record;
    if (!topic_config_changed_record_decode(&record, version, cursor)) {
        return false;
    }
    for (int32_t i = 0; i < record.changes_count; i++) {
        struct wire_string name = record.changes[i].name;
        struct wire_string value = record.changes[i].value;
        bool good = value.length < 0 ? topic_config_find(name.data, (size_t)name.length) != NULL
                                     : topic_entry_config_row(name, value) != NULL;
        if (!good) {
            return false;
        }
    }
    struct topic_entry *entry = metadata_find_id(metadata, &record.topic_id);
    if (entry == NULL) {
        return refuse(change, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    }
    for (int32_t i = 0; i < record.changes_count; i++) {
        struct wire_string name = record.changes[i].name;
        struct wire_string value = record.changes[i].value;
        const struct topic_config_row *row = topic_config_find(name.data, (size_t)name.length);
        if (value.length < 0) {
            topic_config_unset(&entry->topic.config, row);
        } else {
            topic_config_set(&entry->topic.config, row, value.data, (size_t)value.length);
        }
    }
    change->kind = CLUSTER_CHANGE_TOPIC_CONFIG;
    change->topic_id = entry->topic.id;
    change->topic = &entry->topic;
    return true;
}

static const struct topic_config_row *broker_config_row(struct wire_string name,
                                                        struct wire_string value)
{
    char message[128];
    const struct topic_config_row *row = dynamic_config_find(name.data, (size_t)name.length);
    bool is_good = row != NULL &&
                   (value.length < 0 || topic_config_check(row, value.data, (size_t)value.length,
                                                           message, sizeof message) == NULL);
    return is_good ? row : NULL;
}

static bool apply_broker_config_changed(struct cluster_metadata *metadata,
                                        struct wire_cursor *cursor, int16_t version,
                                        struct cluster_change *change)
{
    struct broker_config_changed_record record;
    if (!broker_config_changed_record_decode(&record, version, cursor) ||
        record.broker_id > INT32_MAX) {
        return false;
    }
    for (int32_t i = 0; i < record.changes_count; i++) {
        if (broker_config_row(record.changes[i].name, record.changes[i].value) == NULL) {
            return false;
        }
    }
    if (record.broker_id != 0 && cluster_broker_find(metadata, record.broker_id) == NULL) {
        return refuse(change, WIRE_ERROR_BROKER_ID_NOT_REGISTERED);
    }
    struct topic_config *config = metadata_broker_config(metadata, record.broker_id);
    for (int32_t i = 0; i < record.changes_count; i++) {
        struct wire_string value = record.changes[i].value;
        const struct topic_config_row *row = broker_config_row(record.changes[i].name, value);
        if (value.length < 0) {
            topic_config_unset(config, row);
        } else {
            topic_config_set(config, row, value.data, (size_t)value.length);
        }
    }
    change->kind = CLUSTER_CHANGE_BROKER_CONFIG;
    change->broker_id = record.broker_id;
    return true;
}

/* ---- Reassignments ---- */

static void reassigned(struct cluster_change *change, const struct topic_entry *entry,
                       uint32_t partition)
{
    change->kind = CLUSTER_CHANGE_REASSIGNMENT;
    change->topic_id = entry->topic.id;
    change->topic = &entry->topic;
    change->partition = partition;
}

static bool apply_partition_reassigned(struct cluster_metadata *metadata,
                                       struct wire_cursor *cursor, int16_t version,
                                       struct cluster_change *change)
{
    struct partition_reassigned_record record;
    struct cluster_partition target = {0};
    struct cluster_partition moving;
    if (!partition_reassigned_record_decode(&record, version, cursor) ||
        !partition_take_replicas(&target, record.replicas, record.replicas_count)) {
        return false;
    }
    struct topic_entry *entry = metadata_find_id(metadata, &record.topic_id);
    if (entry == NULL) {
        return refuse(change, WIRE_ERROR_UNKNOWN_TOPIC_ID);
    }
    if (record.partition >= entry->topic.partition_count) {
        return refuse(change, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    struct cluster_partition *partition = &entry->topic.partitions[record.partition];
    if (partition->epoch != record.epoch || partition->epoch == UINT32_MAX) {
        return refuse(change, WIRE_ERROR_REASSIGNMENT_IN_PROGRESS);
    }
    if (!metadata_may_hold(metadata, &target) || !partition_retarget(partition, &target, &moving)) {
        return refuse(change, WIRE_ERROR_INVALID_REPLICA_ASSIGNMENT);
    }
    *partition = moving;
    reassigned(change, entry, record.partition);
    return true;
}

static bool apply_reassignment_completed(struct cluster_metadata *metadata,
                                         struct wire_cursor *cursor, int16_t version,
                                         struct cluster_change *change)
{
    struct reassignment_completed_record record;
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    if (!reassignment_completed_record_decode(&record, version, cursor)) {
        return false;
    }
    if (!cluster_group_find(metadata, (uint64_t)record.group_id, &topic, &number)) {
        return refuse(change, WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION);
    }
    struct topic_entry *entry = metadata_find_id(metadata, &topic->id);
    struct cluster_partition *partition = &entry->topic.partitions[number];
    if (partition->epoch != record.epoch || !cluster_partition_is_moving(partition)) {
        return refuse(change, WIRE_ERROR_NO_REASSIGNMENT_IN_PROGRESS);
    }
    partition_settle(partition);
    reassigned(change, entry, number);
    return true;
}

/* ---- Producer ids ---- */

static bool apply_producer_ids_allocated(struct cluster_metadata *metadata,
                                         struct wire_cursor *cursor, int16_t version,
                                         struct cluster_change *change)
{
    struct producer_ids_allocated_record record;
    if (!producer_ids_allocated_record_decode(&record, version, cursor) || record.count < 1 ||
        record.count > CLUSTER_PRODUCER_IDS_PER_BLOCK_MAX) {
        return false;
    }
    if (metadata->next_producer_id > INT64_MAX - record.count) {
        return refuse(change, WIRE_ERROR_POLICY_VIOLATION);
    }
    change->kind = CLUSTER_CHANGE_PRODUCER_IDS;
    change->broker_id = record.broker_id;
    change->producer_id_first = metadata->next_producer_id;
    change->producer_id_count = record.count;
    metadata->next_producer_id += record.count;
    return true;
}

/* ---- All of them ---- */

typedef bool (*apply_function)(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                               int16_t version, struct cluster_change *change);

static apply_function function_of_kind(uint16_t kind)
{
    switch (kind) {
    case CLUSTER_RECORD_BROKER_REGISTERED:
        return apply_broker_registered;
    case CLUSTER_RECORD_TOPIC_CREATED:
        return apply_topic_created;
    case CLUSTER_RECORD_TOPIC_DELETED:
        return apply_topic_deleted;
    case CLUSTER_RECORD_PARTITIONS_ADDED:
        return apply_partitions_added;
    case CLUSTER_RECORD_TOPIC_CONFIG_CHANGED:
        return apply_topic_config_changed;
    case CLUSTER_RECORD_PRODUCER_IDS_ALLOCATED:
        return apply_producer_ids_allocated;
    case CLUSTER_RECORD_PARTITION_REASSIGNED:
        return apply_partition_reassigned;
    case CLUSTER_RECORD_REASSIGNMENT_COMPLETED:
        return apply_reassignment_completed;
    case CLUSTER_RECORD_BROKER_LEAVING:
        return apply_broker_leaving;
    case CLUSTER_RECORD_BROKER_UNREGISTERED:
        return apply_broker_unregistered;
    case CLUSTER_RECORD_BROKER_CONFIG_CHANGED:
        return apply_broker_config_changed;
    default:
        return NULL; /* kinds of a newer version, and those that stand in snapshots only */
    }
}

bool cluster_apply(struct cluster_metadata *metadata, const uint8_t *record, size_t length,
                   struct cluster_change *change)
{
    struct arena arena;
    struct wire_cursor cursor;
    topic_entry_free(metadata->departed);
    metadata->departed = NULL;
    *change = (struct cluster_change){.kind = CLUSTER_CHANGE_NONE};
    arena_init(&arena, CLUSTER_RECORD_DECODED_BYTES(length));
    wire_cursor_init(&cursor, record, length, &arena);
    uint16_t kind = wire_read_uint16(&cursor);
    uint16_t version = wire_read_uint16(&cursor);
    apply_function apply = cursor.error == NULL ? function_of_kind(kind) : NULL;
    bool applied =
        apply != NULL && version <= INT16_MAX && apply(metadata, &cursor, (int16_t)version, change);
    arena_free(&arena);
    ensure(applied || change->kind == CLUSTER_CHANGE_NONE);
    return applied;
}

bool cluster_record_names_broker(const uint8_t *record, size_t length,
                                 struct cluster_broker *broker)
{
    struct arena arena;
    struct wire_cursor cursor;
    arena_init(&arena, CLUSTER_RECORD_DECODED_BYTES(length));
    wire_cursor_init(&cursor, record, length, &arena);
    uint16_t kind = wire_read_uint16(&cursor);
    uint16_t version = wire_read_uint16(&cursor);
    bool names = cursor.error == NULL && kind == CLUSTER_RECORD_BROKER_REGISTERED &&
                 version <= INT16_MAX && read_broker(broker, &cursor, (int16_t)version);
    arena_free(&arena);
    return names;
}
