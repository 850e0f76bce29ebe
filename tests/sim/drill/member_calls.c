/* SPDX-License-Identifier: Apache-2.0
 *
 * member_calls.c -- what a member of a group asks its coordinator, and what the answers hold.
 *
 * An assignment is this client's own affair: pairs of bytes, topic and partition.  A commit's
 * metadata is its number, in decimal.
 */
#include "drill/member_internal.h"

#include "base/assert.h"
#include "drill/check.h"
#include "wire/field.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/sync_group.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROTOCOL_TYPE "consumer"
#define PROTOCOL "drill"
#define KEY_TYPE_GROUP 0
#define FIND_KEYS_LEAST_VERSION 4
#define LEAVE_MEMBERS_LEAST_VERSION 3
#define FETCH_GROUPS_LEAST_VERSION 8
#define SUBSCRIPTION_BYTES_MAX 256
#define COMMIT_NUMBER_SIZE 12
#define ASSIGNMENT_BYTES_MAX (2 * MEMBER_PARTITIONS_MAX)

static struct history_topic *topic_at(const struct drill_member *member, uint32_t topic)
{
    return &client_history(member->client)->topics[topic];
}

static void send(struct drill_member *member, enum client_api api, struct wire_writer *writer,
                 uint32_t timeout_ms, client_done done)
{
    client_send(member->client, member->coordinator, api, writer, timeout_ms, done, member);
}

/* False, and it was told, when there is no answer, or one that makes no sense. */
static bool makes_sense(struct drill_member *member, enum client_result result, bool is_decoded,
                        const char *api)
{
    if (result != CLIENT_ANSWERED) {
        member_lost(member, result);
        return false;
    }
    if (!is_decoded) {
        sim_world_fail(client_world(member->client), "protocol: a %s answer makes no sense", api);
        member_lost(member, CLIENT_LOST);
        return false;
    }
    return true;
}

/* ---- FindCoordinator ---- */

static void found(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct find_coordinator_response response;
    int16_t version = client_version(member->client, CLIENT_FIND_COORDINATOR);
    bool has_keys = version >= FIND_KEYS_LEAST_VERSION;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      find_coordinator_response_decode(&response, version, body) &&
                      (!has_keys || response.coordinators_count == 1);
    if (makes_sense(member, result, is_decoded, "FindCoordinator")) {
        int32_t broker = has_keys ? response.coordinators[0].node_id : response.node_id;
        member_found(member, has_keys ? response.coordinators[0].error_code : response.error_code,
                     broker);
    }
}

void member_call_find(struct drill_member *member)
{
    struct find_coordinator_request body;
    struct wire_writer writer;
    struct wire_string key = wire_string_from(MEMBER_GROUP);
    find_coordinator_request_init(&body);
    body.key = key;
    body.key_type = KEY_TYPE_GROUP;
    body.coordinator_keys = &key;
    body.coordinator_keys_count = 1;
    client_begin(member->client, CLIENT_FIND_COORDINATOR, &writer);
    find_coordinator_request_encode(&body, client_version(member->client, CLIENT_FIND_COORDINATOR),
                                    &writer);
    client_send(member->client, client_any_broker(member->client), CLIENT_FIND_COORDINATOR, &writer,
                MEMBER_REQUEST_MS, found, member);
}

/* ---- JoinGroup ---- */

static void take_id(char id[MEMBER_ID_SIZE], struct wire_string told)
{
    int32_t length = told.length > 0 ? told.length : 0;
    require(length < MEMBER_ID_SIZE);
    memcpy(id, told.data, (size_t)length);
    id[length] = 0;
}

static void take_others(struct drill_member *member, const struct join_group_response *response)
{
    member->other_count = 0;
    if (!wire_string_equal(response->leader, member->id)) {
        return;
    }
    for (int32_t i = 0; i < response->members_count && i < MEMBER_OTHERS_MAX; i++) {
        take_id(member->others[member->other_count++], response->members[i].member_id);
    }
}

static void joined(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct join_group_response response;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      join_group_response_decode(
                          &response, client_version(member->client, CLIENT_JOIN_GROUP), body) &&
                      response.member_id.length < MEMBER_ID_SIZE;
    if (!makes_sense(member, result, is_decoded, "JoinGroup")) {
        return;
    }
    bool has_id = response.error_code == WIRE_ERROR_NONE ||
                  response.error_code == WIRE_ERROR_MEMBER_ID_REQUIRED;
    if (has_id && !wire_string_equal(response.member_id, member->id)) {
        take_id(member->id, response.member_id);
        member->incarnation = check_incarnation(member->groups);
    }
    if (response.error_code == WIRE_ERROR_NONE) {
        check_generation_joined(member->groups, member->generation_before, response.generation_id);
        member->generation = response.generation_id;
        take_others(member, &response);
    }
    member_joined(member, response.error_code);
}

/* A ConsumerProtocolSubscription of the topics that the group reads. */
static void write_subscription(const struct drill_member *member, struct wire_writer *writer)
{
    uint32_t count = 0;
    uint32_t position = 0;
    uint32_t topic;
    uint32_t partition;
    while (member_next_place(member, &position, &topic, &partition)) {
        count += partition == 0;
    }
    wire_writer_init(writer, SUBSCRIPTION_BYTES_MAX);
    wire_write_int16(writer, 0);
    wire_write_int32(writer, (int32_t)count);
    position = 0;
    while (member_next_place(member, &position, &topic, &partition)) {
        if (partition == 0) {
            wire_write_string(writer, false, false,
                              wire_string_from(topic_at(member, topic)->name));
        }
    }
    wire_write_int32(writer, -1); /* no user data */
}

void member_call_join(struct drill_member *member)
{
    struct join_group_request body;
    struct join_group_request_join_group_request_protocol protocol;
    struct wire_writer subscription;
    struct wire_writer writer;
    write_subscription(member, &subscription);
    join_group_request_init(&body);
    join_group_request_join_group_request_protocol_init(&protocol);
    protocol.name = wire_string_from(PROTOCOL);
    protocol.metadata =
        (struct wire_bytes){subscription.buf->data, (int32_t)wire_writer_length(&subscription)};
    body.group_id = wire_string_from(MEMBER_GROUP);
    body.session_timeout_ms = (int32_t)member->options.session_ms;
    body.rebalance_timeout_ms = (int32_t)member->options.rebalance_ms;
    body.member_id = wire_string_from(member->id);
    body.protocol_type = wire_string_from(PROTOCOL_TYPE);
    body.protocols = &protocol;
    body.protocols_count = 1;
    member->generation_before = check_generation(member->groups);
    client_begin(member->client, CLIENT_JOIN_GROUP, &writer);
    join_group_request_encode(&body, client_version(member->client, CLIENT_JOIN_GROUP), &writer);
    wire_writer_free(&subscription);
    send(member, CLIENT_JOIN_GROUP, &writer,
         2 * (member->options.rebalance_ms + member->options.session_ms) + MEMBER_REQUEST_MS,
         joined);
}

/* ---- SyncGroup ---- */

static bool take_assignment(struct drill_member *member, struct wire_bytes assignment)
{
    int32_t length = assignment.length > 0 ? assignment.length : 0;
    memset(member->is_mine, 0, sizeof member->is_mine);
    for (int32_t i = 0; i + 1 < length; i += 2) {
        uint32_t topic = assignment.data[i];
        uint32_t partition = assignment.data[i + 1];
        if (topic >= SWARM_TOPICS_MAX || partition >= HISTORY_PARTITIONS_MAX) {
            return false;
        }
        check_assigned(member->groups, member->generation, topic, partition, member->incarnation);
        member->is_mine[topic][partition] = true;
    }
    return length % 2 == 0;
}

static void synced(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct sync_group_response response;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      sync_group_response_decode(
                          &response, client_version(member->client, CLIENT_SYNC_GROUP), body);
    if (is_decoded && response.error_code == WIRE_ERROR_NONE) {
        check_generation_synced(member->groups, member->generation);
        is_decoded = take_assignment(member, response.assignment);
    }
    if (makes_sense(member, result, is_decoded, "SyncGroup")) {
        member_synced(member, response.error_code);
    }
}

/* Deals the partitions out, one to each in turn. */
static uint32_t assign(struct drill_member *member,
                       struct sync_group_request_sync_group_request_assignment *assignments,
                       uint8_t bytes[MEMBER_OTHERS_MAX][ASSIGNMENT_BYTES_MAX])
{
    uint32_t position = 0;
    uint32_t topic;
    uint32_t partition;
    for (uint32_t i = 0; i < member->other_count; i++) {
        sync_group_request_sync_group_request_assignment_init(&assignments[i]);
        assignments[i].member_id = wire_string_from(member->others[i]);
        assignments[i].assignment = (struct wire_bytes){bytes[i], 0};
    }
    for (uint32_t turn = 0;
         member->other_count > 0 && member_next_place(member, &position, &topic, &partition);
         turn++) {
        uint32_t to = turn % member->other_count;
        int32_t *length = &assignments[to].assignment.length;
        bytes[to][(*length)++] = (uint8_t)topic;
        bytes[to][(*length)++] = (uint8_t)partition;
    }
    return member->other_count;
}

void member_call_sync(struct drill_member *member)
{
    struct sync_group_request body;
    struct sync_group_request_sync_group_request_assignment assignments[MEMBER_OTHERS_MAX];
    uint8_t bytes[MEMBER_OTHERS_MAX][ASSIGNMENT_BYTES_MAX];
    struct wire_writer writer;
    sync_group_request_init(&body);
    body.group_id = wire_string_from(MEMBER_GROUP);
    body.generation_id = member->generation;
    body.member_id = wire_string_from(member->id);
    body.protocol_type = wire_string_from(PROTOCOL_TYPE);
    body.protocol_name = wire_string_from(PROTOCOL);
    body.assignments = assignments;
    body.assignments_count = (int32_t)assign(member, assignments, bytes);
    client_begin(member->client, CLIENT_SYNC_GROUP, &writer);
    sync_group_request_encode(&body, client_version(member->client, CLIENT_SYNC_GROUP), &writer);
    send(member, CLIENT_SYNC_GROUP, &writer, member->options.rebalance_ms + MEMBER_REQUEST_MS,
         synced);
}

/* ---- OffsetFetch ---- */

struct told_offset {
    int32_t partition;
    int64_t offset;
    struct wire_string metadata;
    int16_t error;
};

static uint32_t commit_number(struct wire_string metadata)
{
    char text[COMMIT_NUMBER_SIZE];
    if (metadata.length <= 0 || metadata.length >= COMMIT_NUMBER_SIZE) {
        return UINT32_MAX;
    }
    memcpy(text, metadata.data, (size_t)metadata.length);
    text[metadata.length] = 0;
    return (uint32_t)strtoul(text, NULL, 10);
}

/* The error of one of its partitions, if any has one. */
static int16_t take_told(struct drill_member *member, struct wire_string topic_name,
                         const struct told_offset *told)
{
    if (told->error != WIRE_ERROR_NONE) {
        return told->error;
    }
    for (uint32_t i = 0; i < member->place_count; i++) {
        struct member_place *place = &member->places[i];
        if ((int32_t)place->partition == told->partition &&
            wire_string_equal(topic_name, topic_at(member, place->topic)->name)) {
            check_committed_told(member->groups, place->topic, place->partition,
                                 place->committed_before, told->offset,
                                 commit_number(told->metadata));
            member->done[place->topic][place->partition] = told->offset;
        }
    }
    return WIRE_ERROR_NONE;
}

static int16_t take_one_group(struct drill_member *member,
                              const struct offset_fetch_response *response)
{
    int16_t error = response->error_code;
    for (int32_t i = 0; i < response->topics_count && error == WIRE_ERROR_NONE; i++) {
        const struct offset_fetch_response_offset_fetch_response_topic *topic =
            &response->topics[i];
        for (int32_t j = 0; j < topic->partitions_count && error == WIRE_ERROR_NONE; j++) {
            const struct offset_fetch_response_offset_fetch_response_partition *each =
                &topic->partitions[j];
            struct told_offset told = {each->partition_index, each->committed_offset,
                                       each->metadata, each->error_code};
            error = take_told(member, topic->name, &told);
        }
    }
    return error;
}

static int16_t take_groups(struct drill_member *member,
                           const struct offset_fetch_response_offset_fetch_response_group *group)
{
    int16_t error = group->error_code;
    for (int32_t i = 0; i < group->topics_count && error == WIRE_ERROR_NONE; i++) {
        const struct offset_fetch_response_offset_fetch_response_topics *topic = &group->topics[i];
        for (int32_t j = 0; j < topic->partitions_count && error == WIRE_ERROR_NONE; j++) {
            const struct offset_fetch_response_offset_fetch_response_partitions *each =
                &topic->partitions[j];
            struct told_offset told = {each->partition_index, each->committed_offset,
                                       each->metadata, each->error_code};
            error = take_told(member, topic->name, &told);
        }
    }
    return error;
}

static void fetched(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct offset_fetch_response response;
    int16_t version = client_version(member->client, CLIENT_OFFSET_FETCH);
    bool has_groups = version >= FETCH_GROUPS_LEAST_VERSION;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      offset_fetch_response_decode(&response, version, body) &&
                      (!has_groups || response.groups_count == 1);
    if (makes_sense(member, result, is_decoded, "OffsetFetch")) {
        member_resumed(member, has_groups ? take_groups(member, &response.groups[0])
                                          : take_one_group(member, &response));
    }
}

/* The topics of places, each with its partitions; partitions: a row for each topic. */
static int32_t list_topics(struct drill_member *member,
                           struct offset_fetch_request_offset_fetch_request_topic *topics,
                           int32_t partitions[SWARM_TOPICS_MAX][HISTORY_PARTITIONS_MAX])
{
    int32_t count = 0;
    for (uint32_t i = 0; i < member->place_count; i++) {
        struct member_place *place = &member->places[i];
        place->committed_before = check_committed(member->groups, place->topic, place->partition);
        if (i == 0 || place->topic != member->places[i - 1].topic) {
            offset_fetch_request_offset_fetch_request_topic_init(&topics[count]);
            topics[count].name = wire_string_from(topic_at(member, place->topic)->name);
            topics[count].partition_indexes = partitions[count];
            count++;
        }
        struct offset_fetch_request_offset_fetch_request_topic *topic = &topics[count - 1];
        topic->partition_indexes[topic->partition_indexes_count++] = (int32_t)place->partition;
    }
    return count;
}

void member_call_fetch(struct drill_member *member)
{
    struct offset_fetch_request body;
    struct offset_fetch_request_offset_fetch_request_topic topics[SWARM_TOPICS_MAX];
    struct offset_fetch_request_offset_fetch_request_topics grouped[SWARM_TOPICS_MAX];
    struct offset_fetch_request_offset_fetch_request_group group;
    int32_t partitions[SWARM_TOPICS_MAX][HISTORY_PARTITIONS_MAX];
    struct wire_writer writer;
    offset_fetch_request_init(&body);
    offset_fetch_request_offset_fetch_request_group_init(&group);
    body.group_id = wire_string_from(MEMBER_GROUP);
    body.topics = topics;
    body.topics_count = list_topics(member, topics, partitions);
    for (int32_t i = 0; i < body.topics_count; i++) {
        offset_fetch_request_offset_fetch_request_topics_init(&grouped[i]);
        grouped[i].name = topics[i].name;
        grouped[i].partition_indexes = topics[i].partition_indexes;
        grouped[i].partition_indexes_count = topics[i].partition_indexes_count;
    }
    group.group_id = body.group_id;
    group.topics = grouped;
    group.topics_count = body.topics_count;
    body.groups = &group;
    body.groups_count = 1;
    client_begin(member->client, CLIENT_OFFSET_FETCH, &writer);
    offset_fetch_request_encode(&body, client_version(member->client, CLIENT_OFFSET_FETCH),
                                &writer);
    send(member, CLIENT_OFFSET_FETCH, &writer, MEMBER_REQUEST_MS, fetched);
}

/* ---- Heartbeat ---- */

static void beaten(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct heartbeat_response response;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      heartbeat_response_decode(
                          &response, client_version(member->client, CLIENT_HEARTBEAT), body);
    if (makes_sense(member, result, is_decoded, "Heartbeat")) {
        member_beaten(member, response.error_code);
    }
}

void member_call_heartbeat(struct drill_member *member)
{
    struct heartbeat_request body;
    struct wire_writer writer;
    heartbeat_request_init(&body);
    body.group_id = wire_string_from(MEMBER_GROUP);
    body.generation_id = member->generation;
    body.member_id = wire_string_from(member->id);
    client_begin(member->client, CLIENT_HEARTBEAT, &writer);
    heartbeat_request_encode(&body, client_version(member->client, CLIENT_HEARTBEAT), &writer);
    send(member, CLIENT_HEARTBEAT, &writer, MEMBER_REQUEST_MS, beaten);
}

/* ---- OffsetCommit ---- */

static void committed(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct offset_commit_response response;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      offset_commit_response_decode(
                          &response, client_version(member->client, CLIENT_OFFSET_COMMIT), body) &&
                      response.topics_count > 0 && response.topics[0].partitions_count > 0;
    if (!makes_sense(member, result, is_decoded, "OffsetCommit")) {
        return;
    }
    /* The partitions of one commit all exist, so they all share its fate. */
    int16_t error = response.topics[0].partitions[0].error_code;
    for (int32_t i = 0; i < response.topics_count; i++) {
        for (int32_t j = 0; j < response.topics[i].partitions_count; j++) {
            if (response.topics[i].partitions[j].error_code != error) {
                sim_world_fail(client_world(member->client),
                               "protocol: the partitions of a commit have several fates");
            }
        }
    }
    member_committed(member, error);
}

void member_call_commit(struct drill_member *member, int32_t generation)
{
    struct offset_commit_request body;
    struct offset_commit_request_offset_commit_request_topic topics[SWARM_TOPICS_MAX];
    struct offset_commit_request_offset_commit_request_partition partitions[MEMBER_PARTITIONS_MAX];
    char numbers[MEMBER_PARTITIONS_MAX][COMMIT_NUMBER_SIZE];
    struct wire_writer writer;
    offset_commit_request_init(&body);
    body.group_id = wire_string_from(MEMBER_GROUP);
    body.generation_id_or_member_epoch = generation;
    body.member_id = wire_string_from(member->id);
    body.topics = topics;
    body.topics_count = 0;
    for (uint32_t i = 0; i < member->place_count; i++) {
        struct member_place *place = &member->places[i];
        const struct history_topic *topic = topic_at(member, place->topic);
        if (i == 0 || place->topic != member->places[i - 1].topic) {
            struct offset_commit_request_offset_commit_request_topic *next =
                &topics[body.topics_count++];
            offset_commit_request_offset_commit_request_topic_init(next);
            next->name = wire_string_from(topic->name);
            next->partitions = &partitions[i];
        }
        int64_t offset = topic->partitions[place->partition].acked_most + 1;
        place->commit = check_commit_begin(member->groups, place->topic, place->partition, offset);
        (void)snprintf(numbers[i], sizeof numbers[i], "%" PRIu32, place->commit);
        offset_commit_request_offset_commit_request_partition_init(&partitions[i]);
        partitions[i].partition_index = (int32_t)place->partition;
        partitions[i].committed_offset = offset;
        partitions[i].committed_metadata = wire_string_from(numbers[i]);
        topics[body.topics_count - 1].partitions_count++;
    }
    client_begin(member->client, CLIENT_OFFSET_COMMIT, &writer);
    offset_commit_request_encode(&body, client_version(member->client, CLIENT_OFFSET_COMMIT),
                                 &writer);
    send(member, CLIENT_OFFSET_COMMIT, &writer, MEMBER_REQUEST_MS, committed);
}

/* ---- LeaveGroup ---- */

static void left(void *context, enum client_result result, struct wire_cursor *body)
{
    struct drill_member *member = context;
    struct leave_group_response response;
    bool is_decoded = result == CLIENT_ANSWERED &&
                      leave_group_response_decode(
                          &response, client_version(member->client, CLIENT_LEAVE_GROUP), body);
    if (makes_sense(member, result, is_decoded, "LeaveGroup")) {
        member_left(member);
    }
}

void member_call_leave(struct drill_member *member)
{
    struct leave_group_request body;
    struct leave_group_request_member_identity identity;
    struct wire_writer writer;
    leave_group_request_init(&body);
    leave_group_request_member_identity_init(&identity);
    identity.member_id = wire_string_from(member->id);
    body.group_id = wire_string_from(MEMBER_GROUP);
    body.member_id = identity.member_id;
    body.members = &identity;
    body.members_count = 1;
    client_begin(member->client, CLIENT_LEAVE_GROUP, &writer);
    leave_group_request_encode(&body, client_version(member->client, CLIENT_LEAVE_GROUP), &writer);
    send(member, CLIENT_LEAVE_GROUP, &writer, MEMBER_REQUEST_MS, left);
}
