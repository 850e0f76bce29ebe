/* SPDX-License-Identifier: Apache-2.0
 *
 * client.c -- connections and requests of a simulated client; its knowledge is in
 * client_metadata.c.
 *
 * Invariants: a request is in exactly one list, of its connection; answers come in the order of the
 * requests, as Kafka's brokers promise, so the first one in flight is always the next one answered.
 */
#include "drill/client_internal.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/alter_partition_reassignments.h"
#include "wire/api_versions.h"
#include "wire/create_topics.h"
#include "wire/delete_records.h"
#include "wire/delete_topics.h"
#include "wire/elect_leaders.h"
#include "wire/fetch.h"
#include "wire/find_coordinator.h"
#include "wire/heartbeat.h"
#include "wire/incremental_alter_configs.h"
#include "wire/init_producer_id.h"
#include "wire/join_group.h"
#include "wire/leave_group.h"
#include "wire/list_offsets.h"
#include "wire/metadata.h"
#include "wire/offset_commit.h"
#include "wire/offset_fetch.h"
#include "wire/produce.h"
#include "wire/request_header.h"
#include "wire/response_header.h"
#include "wire/sync_group.h"
#include "wire/unregister_broker.h"

#include <string.h>

#define KAFKA_PORT 9092
#define CONNECT_MS 3000
#define ANSWER_BYTES_MAX (64u * 1024 * 1024)
#define ARENA_BYTES_MAX (64u * 1024 * 1024)
#define CORRELATION_POSITION 8 /* behind length, API and version */

struct api_row {
    int16_t type;
    int16_t version_least;
    int16_t version_most;
    int16_t flexible_from;
};

#define CLIENT_FIRST_OPERATOR_API CLIENT_ALTER_REASSIGNMENTS

static const struct api_row api_rows[CLIENT_API_COUNT] = {
#define CLIENT_API_ROW(name, prefix, least)                                                        \
    [name] = {prefix##_TYPE, least, prefix##_VERSION_MAX, prefix##_FLEXIBLE_MIN},
    CLIENT_APIS(CLIENT_API_ROW) CLIENT_OPERATOR_APIS(CLIENT_API_ROW)
#undef CLIENT_API_ROW
};

/* ---- Requests ---- */

static void finish(struct client_request *request, enum client_result result,
                   struct wire_cursor *body)
{
    struct client *client = request->connection->client;
    list_remove(&request->node);
    io_timer_stop(client->loop, &request->timer);
    buf_release(request->frame);
    client_done done = request->done;
    void *context = request->context;
    memory_free(request);
    done(context, result, body);
}

static void late(struct io_timer *timer)
{
    struct client_request *request = container_of(timer, struct client_request, timer);
    if (request->connection->stream != NULL) {
        io_stream_close(request->connection->stream);
    }
}

static void transmit(struct client_connection *connection, struct client_request *request)
{
    struct buf_slice slice = {request->frame, request->frame->data, request->frame->length_bytes};
    request->is_sent = true;
    list_remove(&request->node);
    list_append(&connection->in_flight, &request->node);
    io_stream_send(connection->stream, slice);
}

static struct client_request *request_new(struct client_connection *connection, enum client_api api,
                                          struct wire_writer *writer, client_done done,
                                          void *context)
{
    struct client_request *request = memory_allocate_zeroed(sizeof *request);
    request->connection = connection;
    request->api = api;
    request->version = connection->client->versions[api];
    request->correlation = ++connection->client->correlation;
    request->done = done;
    request->context = context;
    list_node_init(&request->node);
    io_timer_init(&request->timer, late);
    wire_patch_int32(writer, 0, (int32_t)wire_writer_length(writer) - 4);
    wire_patch_int32(writer, CORRELATION_POSITION, request->correlation);
    request->frame = wire_writer_take(writer);
    return request;
}

/* ---- The connection ---- */

static void versions_told(void *context, enum client_result result, struct wire_cursor *body)
{
    struct client_connection *connection = context;
    struct client *client = connection->client;
    struct api_versions_response response;
    if (result != CLIENT_ANSWERED) {
        return;
    }
    if (!api_versions_response_decode(&response, client->versions[CLIENT_API_VERSIONS], body) ||
        response.error_code != 0) {
        sim_world_fail(client->world, "protocol: an ApiVersions answer makes no sense");
        return;
    }
    for (uint32_t api = 0; api < CLIENT_API_COUNT; api++) {
        bool is_served = false;
        for (int32_t i = 0; i < response.api_keys_count; i++) {
            const struct api_versions_response_api_version *row = &response.api_keys[i];
            is_served = is_served || (row->api_key == api_rows[api].type &&
                                      row->min_version <= client->versions[api] &&
                                      row->max_version >= client->versions[api]);
        }
        if (!is_served) {
            sim_world_fail(client->world, "protocol: request type %d version %d is not served",
                           api_rows[api].type, client->versions[api]);
        }
    }
}

static void on_open(struct io_stream *stream)
{
    struct client_connection *connection = io_stream_owner(stream);
    struct client *client = connection->client;
    struct wire_writer writer;
    struct api_versions_request body;
    connection->is_open = true;
    client_begin(client, CLIENT_API_VERSIONS, &writer);
    api_versions_request_init(&body);
    body.client_software_name = wire_string_from("drill");
    body.client_software_version = wire_string_from("1");
    api_versions_request_encode(&body, client->versions[CLIENT_API_VERSIONS], &writer);
    transmit(connection,
             request_new(connection, CLIENT_API_VERSIONS, &writer, versions_told, connection));
    struct list_node *node;
    while ((node = list_first(&connection->waiting)) != NULL) {
        transmit(connection, container_of(node, struct client_request, node));
    }
}

/* False when the answer makes no sense. */
static bool answered(struct client_connection *connection, const uint8_t *data, size_t length)
{
    struct response_header header;
    struct wire_cursor cursor;
    struct arena arena;
    struct list_node *node = list_first(&connection->in_flight);
    if (node == NULL) {
        return false;
    }
    struct client_request *request = container_of(node, struct client_request, node);
    bool is_flexible = request->api != CLIENT_API_VERSIONS &&
                       request->version >= api_rows[request->api].flexible_from;
    arena_init(&arena, ARENA_BYTES_MAX);
    wire_cursor_init(&cursor, data, length, &arena);
    bool good = response_header_decode(&header, is_flexible ? 1 : 0, &cursor) &&
                header.correlation_id == request->correlation;
    if (good) {
        finish(request, CLIENT_ANSWERED, &cursor);
    }
    arena_free(&arena);
    return good;
}

static void on_data(struct io_stream *stream)
{
    struct client_connection *connection = io_stream_owner(stream);
    size_t available;
    const uint8_t *data;
    while ((data = io_stream_input(stream, &available, NULL)) != NULL && available >= 4) {
        struct wire_cursor cursor;
        wire_cursor_init(&cursor, data, 4, NULL);
        uint32_t length = wire_read_uint32(&cursor);
        if (length > ANSWER_BYTES_MAX) {
            sim_world_fail(connection->client->world, "protocol: an answer of %u bytes", length);
            return;
        }
        if (available < (size_t)length + 4) {
            io_stream_expect(stream, (size_t)length + 4);
            return;
        }
        if (!answered(connection, data + 4, length)) {
            sim_world_fail(connection->client->world,
                           "protocol: an answer that belongs to no request");
            return;
        }
        io_stream_consume(stream, (size_t)length + 4);
    }
}

static void on_close(struct io_stream *stream, const char *reason)
{
    struct client_connection *connection = io_stream_owner(stream);
    struct list failed;
    struct list_node *node;
    (void)reason;
    connection->client->silent_broker = connection->broker;
    connection->stream = NULL;
    connection->is_open = false;
    list_init(&failed);
    while ((node = list_take_first(&connection->in_flight)) != NULL) {
        list_append(&failed, node);
    }
    while ((node = list_take_first(&connection->waiting)) != NULL) {
        list_append(&failed, node);
    }
    while ((node = list_first(&failed)) != NULL) {
        struct client_request *request = container_of(node, struct client_request, node);
        finish(request, request->is_sent ? CLIENT_LOST : CLIENT_UNSENT, NULL);
    }
}

static const struct io_stream_handler stream_handler = {
    .on_open = on_open,
    .on_data = on_data,
    .on_close = on_close,
};

static void connect_to(struct client_connection *connection)
{
    const struct sim_host *host = sim_host_at(connection->client->world, connection->broker);
    struct io_connect_options options = {
        .host = sim_host_address(host),
        .port = KAFKA_PORT,
        .connect_ms = CONNECT_MS,
    };
    connection->stream =
        io_stream_connect(connection->client->loop, &options, &stream_handler, connection);
}

void client_begin(struct client *client, enum client_api api, struct wire_writer *writer)
{
    require(api < CLIENT_API_COUNT);
    struct request_header header;
    int16_t version = client->versions[api];
    wire_writer_init(writer, 256);
    wire_write_int32(writer, 0);
    request_header_init(&header);
    header.request_api_key = api_rows[api].type;
    header.request_api_version = version;
    header.client_id = wire_string_from("drill");
    request_header_encode(&header, version >= api_rows[api].flexible_from ? 2 : 1, writer);
}

void client_send(struct client *client, uint32_t broker, enum client_api api,
                 struct wire_writer *writer, uint32_t timeout_ms, client_done done, void *context)
{
    require(broker > 0 && broker <= client->broker_count);
    struct client_connection *connection = &client->connections[broker];
    struct client_request *request = request_new(connection, api, writer, done, context);
    list_append(&connection->waiting, &request->node);
    io_timer_start(client->loop, &request->timer,
                   io_now_ns(client->loop) + timeout_ms * 1000000ull);
    if (connection->stream == NULL) {
        connect_to(connection);
    } else if (connection->is_open) {
        transmit(connection, request);
    }
}

/* ---- The client ---- */

static void draw_versions(struct client *client)
{
    for (uint32_t api = 0; api < CLIENT_FIRST_OPERATOR_API; api++) {
        const struct api_row *row = &api_rows[api];
        uint64_t count = (uint64_t)(row->version_most - row->version_least + 1);
        client->versions[api] =
            (int16_t)(row->version_least + (int16_t)prng_below(&client->prng, count));
    }
    for (uint32_t api = CLIENT_FIRST_OPERATOR_API; api < CLIENT_API_COUNT; api++) {
        client->versions[api] = api_rows[api].version_most;
    }
}

struct client *client_new(struct sim_world *world, uint32_t host_number, uint32_t broker_count,
                          struct history *history, struct check_leaders *leaders)
{
    require(broker_count < CLIENT_BROKERS_MAX);
    struct client *client = memory_allocate_zeroed(sizeof *client);
    client->world = world;
    client->history = history;
    client->leaders = leaders;
    client->broker_count = broker_count;
    client->loop = sim_host_loop(sim_host_new(world, host_number));
    prng_init(&client->prng, prng_next(sim_world_prng(world)));
    draw_versions(client);
    for (uint32_t i = 1; i <= broker_count; i++) {
        client->connections[i] = (struct client_connection){.client = client, .broker = i};
        list_init(&client->connections[i].waiting);
        list_init(&client->connections[i].in_flight);
    }
    client_metadata_init(client);
    return client;
}

static void forget_requests(struct client *client, struct list *requests)
{
    struct list_node *node;
    while ((node = list_take_first(requests)) != NULL) {
        struct client_request *request = container_of(node, struct client_request, node);
        io_timer_stop(client->loop, &request->timer);
        buf_release(request->frame);
        memory_free(request);
    }
}

static void forget_stream(struct io_stream *stream, const char *reason)
{
    (void)stream;
    (void)reason;
}

static void ignore_stream(struct io_stream *stream)
{
    (void)stream;
}

static const struct io_stream_handler forgotten_handler = {
    .on_open = ignore_stream,
    .on_data = ignore_stream,
    .on_close = forget_stream,
};

void client_free(struct client *client)
{
    for (uint32_t i = 1; i <= client->broker_count; i++) {
        struct client_connection *connection = &client->connections[i];
        forget_requests(client, &connection->waiting);
        forget_requests(client, &connection->in_flight);
        if (connection->stream != NULL) {
            io_stream_adopt(connection->stream, &forgotten_handler, NULL);
            io_stream_close(connection->stream);
        }
    }
    client_metadata_end(client);
    memory_free(client);
}

struct io_loop *client_loop(struct client *client)
{
    return client->loop;
}

struct prng *client_prng(struct client *client)
{
    return &client->prng;
}

struct history *client_history(struct client *client)
{
    return client->history;
}

struct sim_world *client_world(struct client *client)
{
    return client->world;
}

int16_t client_version(const struct client *client, enum client_api api)
{
    return client->versions[api];
}

void client_speak(struct client *client, enum client_api api, int16_t version)
{
    require(version >= api_rows[api].version_least && version <= api_rows[api].version_most);
    client->versions[api] = version;
}

uint32_t client_any_broker(struct client *client)
{
    uint32_t drawn = 1 + (uint32_t)prng_below(&client->prng, client->broker_count);
    bool is_avoided = client->is_wary && drawn == client->silent_broker;
    return is_avoided ? 1 + drawn % client->broker_count : drawn;
}

void client_be_wary(struct client *client)
{
    client->is_wary = true;
}
