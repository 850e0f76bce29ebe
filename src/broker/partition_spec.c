/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_spec.c -- the form in which a partition's group directory says what it is for, so that
 * it can be started again before any metadata is known.
 *
 * The members in it are the founding ones; those in the group's own log win over them.
 *
 * Locality: any.
 */
#include "broker/partition.h"

#include "base/assert.h"
#include "base/trace.h"
#include "cluster/cluster.h"
#include "wire/cursor.h"
#include "wire/writer.h"

#include <inttypes.h>
#include <string.h>

/* Version 1 had no incarnation: it is 0. */
#define SPEC_VERSION 2

static void write_ids(struct wire_writer *writer, const uint32_t *ids, uint32_t count)
{
    require(count <= RAFT_MEMBERS_MAX);
    wire_write_uint32(writer, count);
    for (uint32_t i = 0; i < count; i++) {
        wire_write_uint32(writer, ids[i]);
    }
}

static uint32_t read_ids(struct wire_cursor *cursor, uint32_t *ids)
{
    uint32_t count = wire_read_uint32(cursor);
    if (count > RAFT_MEMBERS_MAX) {
        wire_fail(cursor, "too many members");
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        ids[i] = wire_read_uint32(cursor);
    }
    return count;
}

size_t partition_spec_encode(const struct partition_spec *spec,
                             uint8_t description[REPLICA_DESCRIPTION_BYTES_MAX])
{
    size_t name_length = strlen(spec->topic);
    require(name_length >= 1 && name_length <= CLUSTER_TOPIC_NAME_BYTES_MAX);

    struct wire_writer writer;
    wire_writer_init(&writer, REPLICA_DESCRIPTION_BYTES_MAX);
    wire_write_int8(&writer, SPEC_VERSION);
    wire_write_int64(&writer, (int64_t)spec->group_id);
    wire_write_uint16(&writer, (uint16_t)name_length);
    wire_write_raw(&writer, spec->topic, name_length);
    wire_write_uuid(&writer, &spec->topic_id);
    wire_write_uint32(&writer, spec->partition);
    wire_write_uint32(&writer, spec->incarnation);
    wire_write_bool(&writer, spec->join);
    write_ids(&writer, spec->members.voters, spec->members.voter_count);
    write_ids(&writer, spec->members.learners, spec->members.learner_count);

    size_t length = wire_writer_length(&writer);
    ensure(length <= REPLICA_DESCRIPTION_BYTES_MAX);
    memcpy(description, writer.buf->data, length);
    wire_writer_free(&writer);
    return length;
}

bool partition_spec_decode(struct partition_spec *spec, const uint8_t *description, size_t length)
{
    memset(spec, 0, sizeof(*spec));
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, description, length, NULL);
    int8_t version = wire_read_int8(&cursor);
    if (version < 1 || version > SPEC_VERSION) {
        wire_fail(&cursor, "unknown version");
    }
    spec->group_id = (uint64_t)wire_read_int64(&cursor);
    uint16_t name_length = wire_read_uint16(&cursor);
    if (name_length == 0 || name_length > CLUSTER_TOPIC_NAME_BYTES_MAX) {
        wire_fail(&cursor, "topic name length");
    }
    const uint8_t *name = wire_read_raw(&cursor, name_length);
    if (name != NULL && cursor.error == NULL) {
        memcpy(spec->topic, name, name_length);
    }
    spec->topic_id = wire_read_uuid(&cursor);
    spec->partition = wire_read_uint32(&cursor);
    spec->incarnation = version >= 2 ? wire_read_uint32(&cursor) : 0;
    spec->join = wire_read_bool(&cursor);
    spec->members.voter_count = read_ids(&cursor, spec->members.voters);
    spec->members.learner_count = read_ids(&cursor, spec->members.learners);
    return cursor.error == NULL && wire_remaining(&cursor) == 0 && spec->group_id != 0 &&
           cluster_topic_name_error(spec->topic, name_length) == NULL &&
           (spec->join || raft_membership_is_valid(&spec->members));
}

void partition_spec_trace_started(const struct partition_spec *spec)
{
    trace_info("Successfully started Raft group %" PRIu64 " for partition %s-%" PRIu32 " (join=%s)",
               spec->group_id, spec->topic, spec->partition, spec->join ? "true" : "false");
}
