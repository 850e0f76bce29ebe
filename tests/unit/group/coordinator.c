/* SPDX-License-Identifier: Apache-2.0
 *
 * coordinator.c -- see coordinator.h.
 */
#include "coordinator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GROUP "readers"
#define TICK_MS 100

static struct wire_string text_of(const char *text)
{
    return text != NULL ? (struct wire_string){text, (int32_t)strlen(text)}
                        : (struct wire_string){NULL, -1};
}

/* ---- The host ---- */

static void append(void *owner, struct buf *batch, struct group_write *write)
{
    struct coordinator *coordinator = owner;
    assert_true(coordinator->append_count < APPENDS_MAX);
    coordinator->appends[coordinator->append_count++] = (struct pending_append){batch, write};
}

static void unique_id(void *owner, char text[37])
{
    struct coordinator *coordinator = owner;
    snprintf(text, 37, "00000000-0000-0000-0000-%012d", ++coordinator->next_unique_id);
}

static bool partition_exists(void *owner, struct wire_string topic, int32_t partition)
{
    const struct coordinator *coordinator = owner;
    return !coordinator->is_topic_gone && topic.length > 0 && topic.data[0] != '?' && partition < 8;
}

void coordinator_init(struct coordinator *coordinator, int32_t initial_delay_ms)
{
    *coordinator = (struct coordinator){.now_ms = 1000};
    struct group_host host = {append, unique_id, partition_exists, coordinator};
    struct group_limits limits = {.session_timeout_min_ms = 6000,
                                  .session_timeout_max_ms = 1800000,
                                  .initial_rebalance_delay_ms = initial_delay_ms,
                                  .members_max = 8,
                                  .offset_metadata_bytes_max = 4096,
                                  .offsets_retention_ms = 7 * 86400000ll,
                                  .record_bytes_max = 1 << 20};
    coordinator->leader = group_table_new(&host, &limits);
    coordinator->follower = group_table_new(&host, &limits);
    group_table_set_time(coordinator->leader, coordinator->now_ms, coordinator->now_ms);
    group_table_set_time(coordinator->follower, coordinator->now_ms, coordinator->now_ms);
    group_table_lead(coordinator->leader);
}

void coordinator_fail(struct coordinator *coordinator, enum wire_error error)
{
    for (int i = 0; i < coordinator->append_count; i++) {
        struct pending_append append = coordinator->appends[i];
        buf_release(append.batch);
        append.write->done(append.write, error);
    }
    coordinator->append_count = 0;
}

void coordinator_commit(struct coordinator *coordinator)
{
    for (int i = 0; i < coordinator->append_count; i++) {
        struct pending_append append = coordinator->appends[i];
        group_table_apply(coordinator->leader, append.batch->data, append.batch->length_bytes);
        group_table_apply(coordinator->follower, append.batch->data, append.batch->length_bytes);
        buf_release(append.batch);
        append.write->done(append.write, WIRE_ERROR_NONE);
    }
    coordinator->append_count = 0;
}

void coordinator_free(struct coordinator *coordinator)
{
    coordinator_fail(coordinator, WIRE_ERROR_NOT_COORDINATOR);
    group_table_follow(coordinator->leader);
    group_table_free(coordinator->leader);
    group_table_free(coordinator->follower);
}

void coordinator_pass(struct coordinator *coordinator, int64_t ms)
{
    for (int64_t until = coordinator->now_ms + ms; coordinator->now_ms < until;) {
        coordinator->now_ms += TICK_MS;
        group_table_set_time(coordinator->leader, coordinator->now_ms, coordinator->now_ms);
        group_table_set_time(coordinator->follower, coordinator->now_ms, coordinator->now_ms);
        group_table_tick(coordinator->leader);
    }
}

void coordinator_fail_over(struct coordinator *coordinator)
{
    coordinator_fail(coordinator, WIRE_ERROR_NOT_COORDINATOR);
    group_table_follow(coordinator->leader);
    struct group_table *leader = coordinator->follower;
    coordinator->follower = coordinator->leader;
    coordinator->leader = leader;
    group_table_lead(leader);
}

/* ---- A client ---- */

void client_init(struct client *client, const char *name)
{
    *client = (struct client){.protocols = {"range"},
                              .topic = "payments",
                              .session_timeout_ms = 10000,
                              .rebalance_timeout_ms = 60000,
                              .generation = -1};
    snprintf(client->name, sizeof client->name, "%s", name);
    arena_init(&client->arena, 1 << 20);
}

void client_free(struct client *client)
{
    assert_int_equal(client->joins_open, 0);
    assert_int_equal(client->syncs_open, 0);
    arena_free(&client->arena);
}

static void joined(struct group_join *join)
{
    struct client *client = join->context;
    client->joins_open--;
    if (join->error == WIRE_ERROR_NONE || join->error == WIRE_ERROR_MEMBER_ID_REQUIRED) {
        snprintf(client->member_id, sizeof client->member_id, "%.*s",
                 (int)join->answer_member_id.length, join->answer_member_id.data);
    }
    if (join->error == WIRE_ERROR_NONE) {
        client->generation = join->generation;
    }
}

/* As consumers say it: version 0, one topic, no user data. */
static struct wire_bytes subscription(struct client *client)
{
    size_t length = strlen(client->topic);
    uint8_t *at = client->metadata;
    memcpy(at, "\0\0\0\0\0\1\0", 7);
    at[7] = (uint8_t)length;
    memcpy(at + 8, client->topic, length);
    memcpy(at + 8 + length, "\xff\xff\xff\xff", 4);
    return (struct wire_bytes){at, (int32_t)length + 12};
}

void client_join(struct coordinator *coordinator, struct client *client)
{
    int32_t count = 0;
    for (; client->protocols[count] != NULL; count++) {
        client->offered[count].name = text_of(client->protocols[count]);
        client->offered[count].metadata = subscription(client);
    }
    client->join = (struct group_join){.group_id = text_of(GROUP),
                                       .member_id = text_of(client->member_id),
                                       .instance_id = text_of(client->instance_id),
                                       .client_id = text_of(client->name),
                                       .client_host = text_of("/127.0.0.1"),
                                       .protocol_type = text_of("consumer"),
                                       .protocols = client->offered,
                                       .protocol_count = count,
                                       .session_timeout_ms = client->session_timeout_ms,
                                       .rebalance_timeout_ms = client->rebalance_timeout_ms,
                                       .requires_member_id = client->requires_member_id,
                                       .can_skip_assignment = client->can_skip_assignment,
                                       .arena = &client->arena,
                                       .done = joined,
                                       .context = client};
    client->joins_open++;
    group_join(coordinator->leader, &client->join);
}

static void synced(struct group_sync *sync)
{
    ((struct client *)sync->context)->syncs_open--;
}

static void send_sync(struct coordinator *coordinator, struct client *client, int32_t count)
{
    client->sync = (struct group_sync){.group_id = text_of(GROUP),
                                       .member_id = text_of(client->member_id),
                                       .instance_id = text_of(client->instance_id),
                                       .protocol_type = text_of("consumer"),
                                       .protocol = {NULL, -1},
                                       .generation = client->generation,
                                       .assignments = client->given,
                                       .assignment_count = count,
                                       .arena = &client->arena,
                                       .done = synced,
                                       .context = client};
    client->syncs_open++;
    group_sync(coordinator->leader, &client->sync);
}

void client_sync(struct coordinator *coordinator, struct client *client)
{
    send_sync(coordinator, client, 0);
}

void client_assign(struct coordinator *coordinator, struct client *client,
                   struct client *const *members, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        client->given[i].member_id = text_of(members[i]->member_id);
        client->given[i].assignment = (struct wire_bytes){(const uint8_t *)members[i]->name,
                                                          (int32_t)strlen(members[i]->name)};
    }
    send_sync(coordinator, client, count);
}

enum wire_error client_heartbeat(struct coordinator *coordinator, const struct client *client)
{
    return group_heartbeat(coordinator->leader, text_of(GROUP), text_of(client->member_id),
                           text_of(client->instance_id), client->generation);
}

enum wire_error client_leave(struct coordinator *coordinator, const struct client *client)
{
    return group_leave(coordinator->leader, text_of(GROUP), text_of(client->member_id),
                       text_of(client->instance_id));
}

static void commit_done(struct group_commit *commit)
{
    struct client_commit *of = commit->context;
    of->error = of->offset.error;
}

void client_commit(struct coordinator *coordinator, const struct client *client,
                   struct client_commit *commit, int64_t offset)
{
    *commit = (struct client_commit){
        .commit = {.group_id = text_of(GROUP),
                   .member_id = text_of(client != NULL ? client->member_id : ""),
                   .instance_id = text_of(client != NULL ? client->instance_id : NULL),
                   .generation = client != NULL ? client->generation : -1,
                   .offsets = &commit->offset,
                   .offset_count = 1,
                   .done = commit_done,
                   .context = commit},
        .offset = {.topic = text_of("payments"),
                   .offset = offset,
                   .leader_epoch = 3,
                   .metadata = text_of("note")},
        .error = -1000};
    group_commit(coordinator->leader, &commit->commit);
}

int64_t committed(struct group_table *table, const char *topic, int32_t partition)
{
    struct group_offset offset = {.topic = text_of(topic), .partition = partition};
    assert_int_equal(group_fetch(table, text_of(GROUP), &offset, 1), WIRE_ERROR_NONE);
    assert_int_equal(offset.error, WIRE_ERROR_NONE);
    return offset.offset;
}

const char *group_state_text(const struct group_table *table)
{
    struct arena arena;
    struct group_view view;
    arena_init(&arena, 1 << 20);
    assert_true(group_describe(table, text_of(GROUP), &arena, &view));
    arena_free(&arena);
    return view.state;
}
