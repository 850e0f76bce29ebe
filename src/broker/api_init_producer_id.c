/* SPDX-License-Identifier: Apache-2.0
 *
 * api_init_producer_id.c -- InitProducerId: an id for an idempotent producer, unique in the cluster
 * for ever.
 *
 * Ids are handed out of a block that the controller's log gave this shard; requests that find it
 * empty wait together for the next one.  What is left of a block when the broker ends is never
 * used.  A producer that comes with an id gets a new one: its sequences then begin anew everywhere.
 *
 * Transactional producers are refused: there is no transaction coordinator.
 *
 * Locality: the shard of the request.
 */
#include "base/assert.h"
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/forward.h"
#include "broker/upkeep.h"
#include "wire/allocate_producer_ids.h"
#include "wire/init_producer_id.h"

#define BLOCK_IDS 1000
#define ALLOCATE_TIMEOUT_MS 5000
#define ALLOCATE_VERSION 0

/* A request that waits for a block; stands in the request's arena. */
struct id_wait {
    struct list_node node;
    struct request *request;
};

static void respond(struct request *request, enum wire_error error, int64_t producer_id)
{
    struct init_producer_id_response response;
    init_producer_id_response_init(&response);
    response.error_code = (int16_t)error;
    response.producer_id = producer_id;
    response.producer_epoch = error == WIRE_ERROR_NONE ? 0 : -1;
    struct wire_writer writer;
    wire_writer_init(&writer, 32);
    init_producer_id_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}

/* ---- The block ---- */

static void fetch_block(struct broker_shard *shard);

static bool read_block(const uint8_t *data, size_t length,
                       struct allocate_producer_ids_response *block)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, length, NULL);
    return allocate_producer_ids_response_decode(block, ALLOCATE_VERSION, &cursor) &&
           block->error_code == WIRE_ERROR_NONE && block->first_id >= 0 && block->count > 0 &&
           block->first_id <= INT64_MAX - block->count;
}

static void fetched(void *context, enum wire_error error, struct buf *buf, const uint8_t *data,
                    size_t length)
{
    (void)buf;
    struct broker_shard *shard = context;
    struct upkeep_producer_ids *ids = &shard->upkeep->producer_ids;
    struct allocate_producer_ids_response block;
    bool is_good = error == WIRE_ERROR_NONE && read_block(data, length, &block);
    ids->is_fetching = false;
    if (is_good) {
        ids->next = block.first_id;
        ids->end = block.first_id + block.count;
    }
    while (!list_is_empty(&ids->waiting) && (!is_good || ids->next < ids->end)) {
        struct list_node *node = list_take_first(&ids->waiting);
        struct request *request = container_of(node, struct id_wait, node)->request;
        if (is_good) {
            respond(request, WIRE_ERROR_NONE, ids->next++);
        } else {
            respond(request, WIRE_ERROR_COORDINATOR_NOT_AVAILABLE, -1); /* clients try again */
        }
    }
    if (!list_is_empty(&ids->waiting)) {
        fetch_block(shard);
    }
}

static void fetch_block(struct broker_shard *shard)
{
    struct upkeep_producer_ids *ids = &shard->upkeep->producer_ids;
    if (ids->is_fetching) {
        return;
    }
    ids->is_fetching = true;
    struct allocate_producer_ids_request body;
    allocate_producer_ids_request_init(&body);
    body.broker_id = shard->broker_id;
    body.count = BLOCK_IDS;
    struct wire_writer writer;
    wire_writer_init(&writer, 16);
    allocate_producer_ids_request_encode(&body, ALLOCATE_VERSION, &writer);
    forward_to_controller(shard, REQUEST_ALLOCATE_PRODUCER_IDS, ALLOCATE_VERSION, &writer,
                          ALLOCATE_TIMEOUT_MS, fetched, shard);
}

/* ---- The request ---- */

void api_init_producer_id(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct init_producer_id_request body;
    if (!init_producer_id_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (body.transactional_id.length >= 0) {
        respond(request, WIRE_ERROR_NOT_COORDINATOR, -1);
        return;
    }
    struct upkeep_producer_ids *ids = &request->shard->upkeep->producer_ids;
    if (ids->next < ids->end) {
        respond(request, WIRE_ERROR_NONE, ids->next++);
        return;
    }
    struct id_wait *wait = arena_allocate(&request->arena, sizeof(*wait));
    if (wait == NULL) {
        request_drop(request, "no memory to wait in");
        return;
    }
    list_node_init(&wait->node);
    wait->request = request;
    list_append(&ids->waiting, &wait->node);
    fetch_block(request->shard);
}
