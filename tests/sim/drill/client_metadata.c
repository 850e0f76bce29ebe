/* SPDX-License-Identifier: Apache-2.0
 *
 * client_metadata.c -- what a simulated client believes about who leads which partition.
 *
 * It asks any broker, so it may be told old news, as real clients are.  A topic deleted and made
 * again under its name is told apart by its id where the answer carries one (version 10 on), else
 * the newest life of the name is meant.
 */
#include "drill/client_internal.h"

#include "base/assert.h"
#include "drill/check.h"
#include "wire/metadata.h"

#include <string.h>

#define REFRESH_PAUSE_NS 150000000ull
#define METADATA_TIMEOUT_MS 5000
#define FIRST_VERSION_WITH_ID 10

static bool is_of_interest(const struct history_topic *topic)
{
    return topic->state == HISTORY_TOPIC_LIVE;
}

static bool find_topic(const struct client *client,
                       const struct metadata_response_metadata_response_topic *told,
                       uint32_t *number)
{
    const struct history *history = client->history;
    bool has_id = client->versions[CLIENT_METADATA] >= FIRST_VERSION_WITH_ID;
    for (uint32_t i = history->topic_count; i > 0; i--) {
        const struct history_topic *topic = &history->topics[i - 1];
        if (is_of_interest(topic) && wire_string_equal(told->name, topic->name)) {
            *number = i - 1;
            return !has_id || uuid_equal(&topic->id, &told->topic_id);
        }
    }
    return false;
}

/* A broker that has not heard of a deletion yet tells of the deleted topic: Metadata promises what
 * that broker knows, not the newest.  An answer without an id gives this away only where the lives
 * of the name have different numbers of partitions; any other number is one that nobody made. */
static bool may_mean_earlier_life(const struct client *client, uint32_t number,
                                  const struct metadata_response_metadata_response_topic *told)
{
    require(number < client->history->topic_count);
    bool may = false;
    for (uint32_t i = 0; i < number; i++) {
        const struct history_topic *topic = &client->history->topics[i];
        may = may || (wire_string_equal(told->name, topic->name) &&
                      (uint32_t)told->partitions_count == topic->partition_count);
    }
    return may && client->versions[CLIENT_METADATA] < FIRST_VERSION_WITH_ID;
}

static void take_topic(struct client *client,
                       const struct metadata_response_metadata_response_topic *told)
{
    uint32_t number;
    if (told->error_code != 0 || !find_topic(client, told, &number)) {
        return;
    }
    bool has_id = client->versions[CLIENT_METADATA] >= FIRST_VERSION_WITH_ID;
    const struct history_topic *topic = &client->history->topics[number];
    if ((uint32_t)told->partitions_count != topic->partition_count) {
        if (!may_mean_earlier_life(client, number, told)) {
            sim_world_fail(client->world, "protocol: %s has %u partitions, %d are told of",
                           topic->name, topic->partition_count, told->partitions_count);
        }
        return;
    }
    for (int32_t i = 0; i < told->partitions_count; i++) {
        const struct metadata_response_metadata_response_partition *partition =
            &told->partitions[i];
        if (partition->partition_index < 0 ||
            (uint32_t)partition->partition_index >= topic->partition_count) {
            sim_world_fail(client->world, "protocol: %s has no partition %d", topic->name,
                           partition->partition_index);
            return;
        }
        bool is_known =
            partition->leader_id > 0 && (uint32_t)partition->leader_id <= client->broker_count;
        client->leader_of[number][partition->partition_index] =
            is_known ? (uint32_t)partition->leader_id : 0;
        if (is_known && client->leaders != NULL && (has_id || !topic->churns)) {
            check_leader_told(client->leaders, number, (uint32_t)partition->partition_index,
                              partition->leader_epoch, partition->leader_id);
        }
    }
}

static void refreshed(void *context, enum client_result result, struct wire_cursor *body)
{
    struct client *client = context;
    struct metadata_response response;
    client->is_refreshing = false;
    io_timer_start(client->loop, &client->refresh_timer,
                   io_now_ns(client->loop) + REFRESH_PAUSE_NS);
    if (result != CLIENT_ANSWERED) {
        return;
    }
    if (!metadata_response_decode(&response, client->versions[CLIENT_METADATA], body)) {
        sim_world_fail(client->world, "protocol: a Metadata answer makes no sense");
        return;
    }
    for (int32_t i = 0; i < response.topics_count; i++) {
        take_topic(client, &response.topics[i]);
    }
}

static void ask(struct client *client)
{
    struct metadata_request_metadata_request_topic topics[HISTORY_TOPICS_MAX];
    struct metadata_request body;
    struct wire_writer writer;
    metadata_request_init(&body);
    body.topics = topics;
    body.topics_count = 0;
    for (uint32_t i = 0; i < client->history->topic_count; i++) {
        if (is_of_interest(&client->history->topics[i])) {
            struct metadata_request_metadata_request_topic *topic = &topics[body.topics_count++];
            metadata_request_metadata_request_topic_init(topic);
            topic->name = wire_string_from(client->history->topics[i].name);
        }
    }
    body.allow_auto_topic_creation = false;
    client->is_refreshing = true;
    client->is_refresh_wanted = false;
    client_begin(client, CLIENT_METADATA, &writer);
    metadata_request_encode(&body, client->versions[CLIENT_METADATA], &writer);
    client_send(client, client_any_broker(client), CLIENT_METADATA, &writer, METADATA_TIMEOUT_MS,
                refreshed, client);
}

static void pause_over(struct io_timer *timer)
{
    struct client *client = container_of(timer, struct client, refresh_timer);
    if (client->is_refresh_wanted) {
        ask(client);
    }
}

void client_refresh(struct client *client)
{
    client->is_refresh_wanted = true;
    if (!client->is_refreshing && !io_timer_is_running(&client->refresh_timer)) {
        ask(client);
    }
}

uint32_t client_leader(const struct client *client, uint32_t topic, uint32_t partition)
{
    require(topic < HISTORY_TOPICS_MAX && partition < HISTORY_PARTITIONS_MAX);
    return client->leader_of[topic][partition];
}

void client_forget_leader(struct client *client, uint32_t topic, uint32_t partition)
{
    require(topic < HISTORY_TOPICS_MAX && partition < HISTORY_PARTITIONS_MAX);
    client->leader_of[topic][partition] = 0;
    client_refresh(client);
}

void client_metadata_init(struct client *client)
{
    io_timer_init(&client->refresh_timer, pause_over);
}

void client_metadata_end(struct client *client)
{
    io_timer_stop(client->loop, &client->refresh_timer);
}
