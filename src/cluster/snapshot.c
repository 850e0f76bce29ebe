/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.c -- the whole state as bytes: a head, then records that rebuild it.
 *
 *     int16 format version | uint32 checksum of all that follows | uint32 record count
 *     then for each record: uint32 length | record (record.h)
 *
 * First the counters, then the data directories that were given up, then the brokers by id, each
 * that leaves with the record that says so, then the configs of brokers that were set while they
 * ran, then the topics by name, so that equal states give equal bytes.  Bytes that come back are
 * checked like any input: they may have been damaged or made up.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"
#include "cluster/partition.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "wire/broker_config_changed.h"
#include "wire/broker_leaving.h"
#include "wire/cluster_counters.h"
#include "wire/directory_given_up.h"
#include "wire/topic_state.h"

#define FORMAT_VERSION 0
#define CHECKSUM_POSITION 2
#define CHECKED_POSITION 6 /* where the checksummed bytes begin */

/* ---- Writing ---- */

/* Leaves room for a record's length, which end_record() fills. */
static size_t begin_record(struct wire_writer *writer)
{
    size_t position = wire_writer_length(writer);
    wire_write_uint32(writer, 0);
    return position;
}

static void end_record(struct wire_writer *writer, size_t position)
{
    size_t length = wire_writer_length(writer) - position - sizeof(uint32_t);
    ensure(length <= INT32_MAX);
    wire_patch_int32(writer, position, (int32_t)length);
}

static void write_counters(struct wire_writer *writer, const struct cluster_metadata *metadata)
{
    struct cluster_counters_record record = {
        .next_group_id = (int64_t)metadata->next_group_id,
        .next_producer_id = metadata->next_producer_id,
    };
    size_t position = begin_record(writer);
    cluster_record_begin(writer, CLUSTER_RECORD_CLUSTER_COUNTERS);
    cluster_counters_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    end_record(writer, position);
}

static void describe_partition(struct cluster_partition *partition,
                               struct topic_state_record_partition *description)
{
    int32_t count = (int32_t)partition->replica_count;
    description->group_id = (int64_t)partition->group_id;
    description->epoch = partition->epoch;
    description->has_lost_founder = partition->has_lost_founder;
    description->replicas = partition->replicas;
    description->replicas_count = count;
    description->incarnations = partition->incarnations;
    description->incarnations_count = count;
    description->standings = (int8_t *)partition->standings;
    description->standings_count = count;
}

static void write_topic(struct wire_writer *writer, const struct cluster_topic *topic)
{
    struct topic_state_record record = {
        .topic_id = topic->id,
        .name = {.data = topic->name, .length = (int32_t)topic->name_length},
        .partitions = memory_allocate_zeroed(topic->partition_count * sizeof record.partitions[0]),
        .partitions_count = (int32_t)topic->partition_count,
        .configs = memory_allocate_zeroed(topic->config.count * sizeof record.configs[0]),
        .configs_count = (int32_t)topic->config.count,
    };
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        describe_partition(&topic->partitions[i], &record.partitions[i]);
    }
    for (size_t i = 0; i < topic->config.count; i++) {
        record.configs[i].name = cluster_record_string(topic->config.overrides[i].row->name);
        record.configs[i].value = cluster_record_string(topic->config.overrides[i].value);
    }
    size_t position = begin_record(writer);
    cluster_record_begin_version(writer, CLUSTER_RECORD_TOPIC_STATE,
                                 CLUSTER_RECORD_TOPIC_STATE_VERSION);
    topic_state_record_encode(&record, CLUSTER_RECORD_TOPIC_STATE_VERSION, writer);
    end_record(writer, position);
    memory_free(record.partitions);
    memory_free(record.configs);
}

static size_t leaving_count(const struct cluster_metadata *metadata)
{
    size_t count = 0;
    for (size_t i = 0; i < metadata->broker_count; i++) {
        count += metadata->brokers[i].is_leaving ? 1 : 0;
    }
    return count;
}

static void write_broker(struct wire_writer *writer, const struct cluster_broker *broker)
{
    size_t position = begin_record(writer);
    cluster_record_write_broker(writer, broker);
    end_record(writer, position);
    if (broker->is_leaving) {
        position = begin_record(writer);
        cluster_record_write_leaving(writer, broker->id, true);
        end_record(writer, position);
    }
}

static void write_given_up(struct wire_writer *writer, const struct given_up_directory *given_up)
{
    struct directory_given_up_record record = {
        .broker_id = given_up->broker_id,
        .directory_id = given_up->directory_id,
    };
    size_t position = begin_record(writer);
    cluster_record_begin(writer, CLUSTER_RECORD_DIRECTORY_GIVEN_UP);
    directory_given_up_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    end_record(writer, position);
}

static size_t configured_count(const struct cluster_metadata *metadata)
{
    size_t count = 0;
    for (size_t i = 0; i < metadata->broker_config_count; i++) {
        count += metadata->broker_configs[i].config.count > 0 ? 1 : 0;
    }
    return count;
}

static void write_broker_config(struct wire_writer *writer, const struct broker_config_entry *entry)
{
    size_t count = entry->config.count;
    if (count == 0) {
        return;
    }
    struct broker_config_changed_record record = {
        .broker_id = entry->broker_id,
        .changes = memory_allocate_zeroed(count * sizeof record.changes[0]),
        .changes_count = (int32_t)count,
    };
    for (size_t i = 0; i < count; i++) {
        record.changes[i].name = cluster_record_string(entry->config.overrides[i].row->broker_name);
        record.changes[i].value = cluster_record_string(entry->config.overrides[i].value);
    }
    size_t position = begin_record(writer);
    cluster_record_begin(writer, CLUSTER_RECORD_BROKER_CONFIG_CHANGED);
    broker_config_changed_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    end_record(writer, position);
    memory_free(record.changes);
}

void cluster_snapshot_write(const struct cluster_metadata *metadata, struct buf **content)
{
    struct wire_writer writer;
    wire_writer_init(&writer, 4096);
    wire_write_int16(&writer, FORMAT_VERSION);
    wire_write_uint32(&writer, 0);
    wire_write_uint32(&writer, (uint32_t)(1 + metadata->given_up_count + metadata->broker_count +
                                          leaving_count(metadata) + configured_count(metadata) +
                                          metadata->topic_count));
    write_counters(&writer, metadata);
    for (size_t i = 0; i < metadata->given_up_count; i++) {
        write_given_up(&writer, &metadata->given_up[i]);
    }
    for (size_t i = 0; i < metadata->broker_count; i++) {
        write_broker(&writer, &metadata->brokers[i]);
    }
    for (size_t i = 0; i < metadata->broker_config_count; i++) {
        write_broker_config(&writer, &metadata->broker_configs[i]);
    }
    for (size_t i = 0; i < metadata->topic_count; i++) {
        write_topic(&writer, &metadata->topics[i]->topic);
    }
    uint32_t checksum = crc32c(0, writer.buf->data + CHECKED_POSITION,
                               wire_writer_length(&writer) - CHECKED_POSITION);
    wire_patch_int32(&writer, CHECKSUM_POSITION, (int32_t)checksum);
    *content = wire_writer_take(&writer);
}

/* ---- Reading back ---- */

static bool restore_counters(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                             int16_t version)
{
    struct cluster_counters_record record;
    if (!cluster_counters_record_decode(&record, version, cursor) ||
        record.next_group_id < CLUSTER_FIRST_PARTITION_GROUP_ID || record.next_producer_id < 0) {
        return false;
    }
    metadata->next_group_id = (uint64_t)record.next_group_id;
    metadata->next_producer_id = record.next_producer_id;
    return true;
}

/* What a record of version 0 does not say is as it was then: no replica was ever moved.  Where one
 * of version 1 was moved, a founder may have left. */
static bool take_partition(struct cluster_partition *partition,
                           const struct topic_state_record_partition *description, int16_t version)
{
    partition->group_id = (uint64_t)description->group_id;
    partition->has_lost_founder =
        version == 1 ? description->epoch > 0 : description->has_lost_founder;
    return partition_take_replicas(partition, description->replicas, description->replicas_count) &&
           (version == 0 ||
            partition_take_reassignment(partition, description->epoch, description->incarnations,
                                        description->incarnations_count, description->standings,
                                        description->standings_count));
}

/* Group ids ascend, are below the next one and nobody else's. */
static bool take_partitions(const struct cluster_metadata *metadata, struct topic_entry *entry,
                            const struct topic_state_record *record, int16_t version)
{
    uint64_t least = CLUSTER_FIRST_PARTITION_GROUP_ID;
    struct cluster_partition *partitions =
        topic_entry_extend(entry, (uint32_t)record->partitions_count);
    for (int32_t i = 0; i < record->partitions_count; i++) {
        uint64_t group_id = (uint64_t)record->partitions[i].group_id;
        if (group_id < least || group_id >= metadata->next_group_id ||
            map_get(&metadata->groups, group_id) != NULL ||
            !take_partition(&partitions[i], &record->partitions[i], version)) {
            return false;
        }
        least = group_id + 1;
    }
    return true;
}

static bool restore_topic(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                          int16_t version)
{
    struct topic_state_record record;
    if (!topic_state_record_decode(&record, version, cursor) ||
        cluster_topic_name_error(record.name.data, (size_t)record.name.length) != NULL ||
        uuid_is_zero(&record.topic_id) || record.partitions_count < 1 ||
        record.partitions_count > CLUSTER_PARTITIONS_PER_TOPIC_MAX) {
        return false;
    }
    struct topic_entry *entry =
        topic_entry_new(record.name.data, (size_t)record.name.length, &record.topic_id);
    bool good = take_partitions(metadata, entry, &record, version) &&
                metadata_addition_error(metadata, entry) == WIRE_ERROR_NONE;
    for (int32_t i = 0; i < record.configs_count && good; i++) {
        good = topic_entry_take_config(entry, record.configs[i].name, record.configs[i].value);
    }
    if (!good) {
        topic_entry_free(entry);
        return false;
    }
    metadata_add_topic(metadata, entry);
    return true;
}

/* Each stands once, and there are no more than are kept. */
static bool restore_given_up(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                             int16_t version)
{
    struct directory_given_up_record record;
    size_t before = metadata->given_up_count;
    if (!directory_given_up_record_decode(&record, version, cursor) || record.broker_id == 0 ||
        before == METADATA_GIVEN_UP_MAX) {
        return false;
    }
    metadata_give_up_directory(metadata, record.broker_id, &record.directory_id);
    return metadata->given_up_count == before + 1;
}

/* Whether it may leave was judged when it began to, among brokers that stand further behind here.
 */
static bool restore_leaving(struct cluster_metadata *metadata, struct wire_cursor *cursor,
                            int16_t version)
{
    struct broker_leaving_record record;
    if (!broker_leaving_record_decode(&record, version, cursor)) {
        return false;
    }
    const struct cluster_broker *known = cluster_broker_find(metadata, record.broker_id);
    if (known == NULL) {
        return false;
    }
    struct cluster_broker broker = *known;
    broker.is_leaving = record.is_leaving;
    metadata_put_broker(metadata, &broker);
    return true;
}

/* Of a kind that stands in logs, too. */
static bool restore_change(struct cluster_metadata *metadata, const uint8_t *record, size_t length)
{
    struct cluster_change change;
    return cluster_apply(metadata, record, length, &change) && change.error == WIRE_ERROR_NONE;
}

static bool restore_record(struct cluster_metadata *metadata, const uint8_t *record, size_t length)
{
    struct arena arena;
    struct wire_cursor cursor;
    arena_init(&arena, CLUSTER_RECORD_DECODED_BYTES(length));
    wire_cursor_init(&cursor, record, length, &arena);
    uint16_t kind = wire_read_uint16(&cursor);
    int16_t version = wire_read_int16(&cursor);
    bool good = cursor.error == NULL;
    if (good && kind == CLUSTER_RECORD_CLUSTER_COUNTERS) {
        good = restore_counters(metadata, &cursor, version);
    } else if (good && (kind == CLUSTER_RECORD_BROKER_REGISTERED ||
                        kind == CLUSTER_RECORD_BROKER_CONFIG_CHANGED)) {
        good = restore_change(metadata, record, length);
    } else if (good && kind == CLUSTER_RECORD_BROKER_LEAVING) {
        good = restore_leaving(metadata, &cursor, version);
    } else if (good && kind == CLUSTER_RECORD_DIRECTORY_GIVEN_UP) {
        good = restore_given_up(metadata, &cursor, version);
    } else if (good && kind == CLUSTER_RECORD_TOPIC_STATE) {
        good = restore_topic(metadata, &cursor, version);
    } else {
        good = false;
    }
    arena_free(&arena);
    return good;
}

static bool head_is_good(struct wire_cursor *cursor)
{
    int16_t version = wire_read_int16(cursor);
    uint32_t checksum = wire_read_uint32(cursor);
    return cursor->error == NULL && version == FORMAT_VERSION &&
           crc32c(0, cursor->position, wire_remaining(cursor)) == checksum;
}

bool cluster_snapshot_restore(struct cluster_metadata *metadata, const uint8_t *content,
                              size_t length)
{
    struct wire_cursor cursor;
    cluster_reset(metadata);
    wire_cursor_init(&cursor, content, length, NULL);
    bool good = head_is_good(&cursor);
    uint32_t record_count = good ? wire_read_uint32(&cursor) : 0;
    for (uint32_t i = 0; i < record_count && good; i++) {
        uint32_t record_length = wire_read_uint32(&cursor);
        const uint8_t *record = wire_read_raw(&cursor, record_length);
        good = cursor.error == NULL && restore_record(metadata, record, record_length);
    }
    if (!good || cursor.error != NULL || wire_remaining(&cursor) > 0 || record_count == 0) {
        cluster_reset(metadata);
        return false;
    }
    return true;
}
