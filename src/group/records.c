/* SPDX-License-Identifier: Apache-2.0
 *
 * records.c -- groups as records of __consumer_offsets, in Kafka's own formats, so that tools which
 * read the topic understand them: a key and a value begin with their version; a null value is a
 * tombstone.
 *
 * Written are metadata and offsets in version 3, which every reader of the last years knows; read
 * are all versions.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"
#include "wire/batch.h"
#include "wire/group_metadata_key.h"
#include "wire/group_metadata_value.h"
#include "wire/offset_commit_key.h"
#include "wire/offset_commit_value.h"

#include <string.h>

#define METADATA_KEY_VERSION 2
#define METADATA_VALUE_VERSION 3
#define OFFSET_KEY_VERSION 1
#define OFFSET_VALUE_VERSION 3
/* What the members of one metadata record may take when it is decoded. */
#define DECODED_BYTES_MAX (256u << 20)

/* ---- Writing ---- */

static void add(struct wire_batch_writer *batch, struct wire_writer *key, struct wire_writer *value)
{
    wire_batch_writer_add(batch, key->buf->data, (int32_t)wire_writer_length(key),
                          value != NULL ? value->buf->data : NULL,
                          value != NULL ? (int32_t)wire_writer_length(value) : -1);
    wire_writer_free(key);
    if (value != NULL) {
        wire_writer_free(value);
    }
}

static void write_metadata_key(const struct group *group, struct wire_writer *key)
{
    struct group_metadata_key_record record;
    group_metadata_key_record_init(&record);
    record.group = group_text_view(&group->id);
    wire_writer_init(key, 64);
    wire_write_int16(key, METADATA_KEY_VERSION);
    group_metadata_key_record_encode(&record, METADATA_KEY_VERSION, key);
}

static struct wire_bytes at_least_empty(const struct group_text *text)
{
    return (struct wire_bytes){(const uint8_t *)text->data, text->length > 0 ? text->length : 0};
}

static struct wire_string never_null(const struct group_text *text)
{
    return (struct wire_string){text->length > 0 ? text->data : "",
                                text->length > 0 ? text->length : 0};
}

static void describe_member(const struct group *group, const struct group_member *member,
                            struct group_metadata_value_record_member_metadata *described)
{
    group_metadata_value_record_member_metadata_init(described);
    described->member_id = group_text_view(&member->id);
    described->group_instance_id = group_text_view(&member->instance_id);
    described->client_id = never_null(&member->client_id);
    described->client_host = never_null(&member->client_host);
    described->rebalance_timeout = member->rebalance_timeout_ms;
    described->session_timeout = member->session_timeout_ms;
    described->subscription = at_least_empty(group_member_metadata(member, &group->protocol));
    described->assignment = at_least_empty(&member->assignment);
}

void group_write_metadata(const struct group *group, struct wire_batch_writer *batch)
{
    struct group_metadata_value_record record;
    group_metadata_value_record_init(&record);
    record.protocol_type = never_null(&group->protocol_type);
    record.generation = group->generation;
    record.protocol = group_text_view(&group->protocol);
    record.leader = group->leader != NULL ? group_text_view(&group->leader->id)
                                          : (struct wire_string){NULL, -1};
    record.current_state_timestamp = group->state_since_ms;
    record.members = memory_allocate((size_t)group->member_count * sizeof(record.members[0]));
    list_for_each(&group->members, node)
    {
        describe_member(group, container_of(node, struct group_member, node),
                        &record.members[record.members_count++]);
    }
    struct wire_writer key;
    struct wire_writer value;
    write_metadata_key(group, &key);
    wire_writer_init(&value, 256);
    wire_write_int16(&value, METADATA_VALUE_VERSION);
    group_metadata_value_record_encode(&record, METADATA_VALUE_VERSION, &value);
    memory_free(record.members);
    add(batch, &key, &value);
}

void group_write_kept_metadata(const struct group *group, struct wire_batch_writer *batch)
{
    struct wire_writer key;
    write_metadata_key(group, &key);
    wire_batch_writer_add(batch, key.buf->data, (int32_t)wire_writer_length(&key),
                          group->kept_value.data, group->kept_value.length);
    wire_writer_free(&key);
}

void group_write_metadata_tombstone(const struct group *group, struct wire_batch_writer *batch)
{
    struct wire_writer key;
    write_metadata_key(group, &key);
    add(batch, &key, NULL);
}

static void write_offset_key(const struct group *group, struct wire_string topic, int32_t partition,
                             struct wire_writer *key)
{
    struct offset_commit_key_record record;
    offset_commit_key_record_init(&record);
    record.group = group_text_view(&group->id);
    record.topic = topic;
    record.partition = partition;
    wire_writer_init(key, 64);
    wire_write_int16(key, OFFSET_KEY_VERSION);
    offset_commit_key_record_encode(&record, OFFSET_KEY_VERSION, key);
}

static void add_offset(struct wire_writer *key, const struct offset_commit_value_record *record,
                       int16_t version, struct wire_batch_writer *batch)
{
    struct wire_writer value;
    wire_writer_init(&value, 64);
    wire_write_int16(&value, version);
    offset_commit_value_record_encode(record, version, &value);
    add(batch, key, &value);
}

void group_write_offset(const struct group *group, const struct group_offset *offset,
                        int64_t commit_ms, struct wire_batch_writer *batch)
{
    struct offset_commit_value_record record;
    offset_commit_value_record_init(&record);
    record.offset = offset->offset;
    record.leader_epoch = offset->leader_epoch;
    record.metadata = offset->metadata.length >= 0 ? offset->metadata : (struct wire_string){"", 0};
    record.commit_timestamp = commit_ms;
    struct wire_writer key;
    write_offset_key(group, offset->topic, offset->partition, &key);
    add_offset(&key, &record, OFFSET_VALUE_VERSION, batch);
}

void group_write_kept_offset(const struct group *group, const struct kept_offset *kept,
                             struct wire_batch_writer *batch)
{
    struct offset_commit_value_record record;
    offset_commit_value_record_init(&record);
    record.offset = kept->offset;
    record.leader_epoch = kept->leader_epoch;
    record.metadata = kept_offset_metadata(kept);
    record.commit_timestamp = kept->commit_ms;
    record.expire_timestamp = kept->expire_ms;
    struct wire_writer key;
    write_offset_key(group, kept_offset_topic(kept), kept->partition, &key);
    /* Only version 1 carries a time to expire; it has no leader epoch to lose. */
    add_offset(&key, &record, kept->expire_ms >= 0 ? 1 : OFFSET_VALUE_VERSION, batch);
}

void group_write_offset_tombstone(const struct group *group, const struct kept_offset *offset,
                                  struct wire_batch_writer *batch)
{
    struct wire_writer key;
    write_offset_key(group, kept_offset_topic(offset), offset->partition, &key);
    add(batch, &key, NULL);
}

/* ---- Applying ---- */

static struct group *find_or_make(struct group_table *table, struct wire_string id)
{
    struct group *group = group_find(table, id);
    return group != NULL ? group : group_make(table, id);
}

static bool apply_metadata(struct group_table *table, struct wire_cursor *key,
                           const struct wire_record *record)
{
    struct group_metadata_key_record named;
    if (!group_metadata_key_record_decode(&named, METADATA_KEY_VERSION, key) ||
        named.group.length <= 0) {
        return false;
    }
    if (record->value.length >= 0) {
        struct group *group = find_or_make(table, named.group);
        group_text_set(&group->kept_value, record->value.data, record->value.length);
        return true;
    }
    struct group *group = group_find(table, named.group);
    if (group != NULL) {
        group_text_free(&group->kept_value);
        (void)group_drop_if_idle(group);
    }
    return true;
}

static bool read_offset(const struct wire_record *record, struct kept_offset *fields,
                        struct wire_string *metadata)
{
    struct offset_commit_value_record value;
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, record->value.data, (size_t)record->value.length, NULL);
    int16_t version = wire_read_int16(&cursor);
    if (version < OFFSET_COMMIT_VALUE_VERSION_MIN || version > OFFSET_COMMIT_VALUE_VERSION_MAX ||
        !offset_commit_value_record_decode(&value, version, &cursor)) {
        return false;
    }
    fields->offset = value.offset;
    fields->leader_epoch = value.leader_epoch;
    fields->commit_ms = value.commit_timestamp;
    fields->expire_ms = value.expire_timestamp;
    *metadata = value.metadata;
    return true;
}

static bool apply_offset(struct group_table *table, int16_t version, struct wire_cursor *key,
                         const struct wire_record *record)
{
    struct offset_commit_key_record named;
    if (!offset_commit_key_record_decode(&named, version, key) || named.group.length <= 0) {
        return false;
    }
    if (record->value.length >= 0) {
        struct kept_offset fields;
        struct wire_string metadata;
        if (!read_offset(record, &fields, &metadata)) {
            return false;
        }
        group_offset_keep(find_or_make(table, named.group), named.topic, named.partition, &fields,
                          metadata);
        return true;
    }
    struct group *group = group_find(table, named.group);
    if (group != NULL) {
        group_offset_forget(group, named.topic, named.partition);
        (void)group_drop_if_idle(group);
    }
    return true;
}

static bool apply_record(struct group_table *table, const struct wire_record *record)
{
    if (record->key.length < 2) {
        return false;
    }
    struct wire_cursor key;
    wire_cursor_init(&key, record->key.data, (size_t)record->key.length, NULL);
    int16_t version = wire_read_int16(&key);
    if (version == METADATA_KEY_VERSION) {
        return apply_metadata(table, &key, record);
    }
    return version >= OFFSET_COMMIT_KEY_VERSION_MIN && version <= OFFSET_COMMIT_KEY_VERSION_MAX &&
           apply_offset(table, version, &key, record);
}

void group_table_apply(struct group_table *table, const uint8_t *data, size_t length)
{
    struct wire_batch batch;
    bool is_batch = wire_batch_read(&batch, data, length);
    require(is_batch && batch.data != NULL);
    if (wire_batch_is_control(&batch)) {
        return;
    }
    struct wire_record_reader *reader = wire_record_reader_open(&batch, SIZE_MAX);
    struct wire_record record;
    while (wire_record_reader_next(reader, &record)) {
        table->records_unknown += !apply_record(table, &record);
    }
    /* A client may have produced what cannot be decompressed; every replica meets the same. */
    table->records_unknown += wire_record_reader_error(reader) != NULL;
    wire_record_reader_close(reader);
}

/* ---- Back to life ---- */

static void revive_member(struct group *group,
                          const struct group_metadata_value_record_member_metadata *kept)
{
    struct group_protocol protocol = {group_text_view(&group->protocol), kept->subscription};
    struct group_join join = {.instance_id = kept->group_instance_id,
                              .client_id = kept->client_id,
                              .client_host = kept->client_host,
                              .protocols = &protocol,
                              .protocol_count = 1,
                              .session_timeout_ms = kept->session_timeout,
                              .rebalance_timeout_ms = kept->rebalance_timeout >= 0
                                                          ? kept->rebalance_timeout
                                                          : kept->session_timeout};
    struct group_member *member = group_member_new(group, &join, kept->member_id);
    group_text_set(&member->assignment, kept->assignment.data,
                   kept->assignment.length > 0 ? kept->assignment.length : 0);
    member->is_new = false;
    member->has_synced = true;
}

static bool makes_sense(const struct group *group,
                        const struct group_metadata_value_record_member_metadata *kept)
{
    bool is_static = kept->group_instance_id.length > 0;
    return kept->member_id.length > 0 && group_member_find(group, kept->member_id) == NULL &&
           kept->group_instance_id.length != 0 && kept->session_timeout >= 0 &&
           (!is_static || group_member_static(group, kept->group_instance_id) == NULL);
}

static bool revive(struct group *group, const struct group_metadata_value_record *record)
{
    group->generation = record->generation;
    group_text_set(&group->protocol_type, record->protocol_type.data, record->protocol_type.length);
    group_text_set(&group->protocol, record->protocol.data, record->protocol.length);
    bool is_whole = true;
    for (int32_t i = 0; i < record->members_count; i++) {
        if (record->protocol.length >= 0 && makes_sense(group, &record->members[i])) {
            revive_member(group, &record->members[i]);
        } else {
            is_whole = false;
        }
    }
    if (group->member_count > 0) {
        group->leader = group_member_find(group, record->leader);
        if (group->leader == NULL) {
            group->leader = container_of(list_first(&group->members), struct group_member, node);
        }
        group->life = GROUP_STABLE;
    }
    group->state_since_ms = record->current_state_timestamp >= 0 ? record->current_state_timestamp
                                                                 : group->table->wall_ms;
    return is_whole;
}

bool group_revive(struct group *group)
{
    require(group->life == GROUP_EMPTY && group->member_count == 0);
    if (group->kept_value.length < 0) {
        return true;
    }
    struct arena arena;
    arena_init(&arena, DECODED_BYTES_MAX);
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, (const uint8_t *)group->kept_value.data,
                     (size_t)group->kept_value.length, &arena);
    int16_t version = wire_read_int16(&cursor);
    struct group_metadata_value_record record;
    bool is_good = version >= GROUP_METADATA_VALUE_VERSION_MIN &&
                   version <= GROUP_METADATA_VALUE_VERSION_MAX &&
                   group_metadata_value_record_decode(&record, version, &cursor) &&
                   revive(group, &record);
    arena_free(&arena);
    return is_good;
}
