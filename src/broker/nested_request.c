/* SPDX-License-Identifier: Apache-2.0
 *
 * nested_request.c -- see nested_request.h.
 */
#include "broker/nested_request.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker.h"

/* What one request may take to be decoded, beyond a multiple of its size. */
#define ARENA_BASE_BYTES (64u * 1024)
#define ARENA_BODY_FACTOR 8u

struct nested_run {
    struct request request;
    void (*done)(void *context, struct wire_writer *body, const char *reason);
    void *context;
};

static void finish(struct request *request, struct wire_writer *body, bool close_connection)
{
    struct nested_run *run = container_of(request, struct nested_run, request);
    ensure(body != NULL || !close_connection || request->drop_reason != NULL);
    run->done(run->context, body, close_connection ? request->drop_reason : "");
    if (body != NULL) {
        wire_writer_free(body);
    }
    arena_free(&request->arena);
    buf_release(request->frame);
    memory_free(run);
}

void nested_request_run(struct broker_shard *shard, const struct nested_request *nested)
{
    require(nested->configuration != NULL && nested->done != NULL);
    struct nested_run *run = memory_allocate_zeroed(sizeof *run);
    run->done = nested->done;
    run->context = nested->context;

    struct request *request = &run->request;
    list_node_init(&request->node);
    request->shard = shard;
    request->configuration = nested->configuration;
    request->version = nested->version;
    request->client_id = nested->client_id;
    request->frame = buf_reference(nested->frame);
    request->body = (uint8_t *)nested->body;
    request->body_length = nested->body_length;
    request->peer_broker_id = nested->peer_broker_id;
    request->received_ns = io_now_ns(shard->loop);
    request->finish = finish;
    arena_init(&request->arena, ARENA_BASE_BYTES + ARENA_BODY_FACTOR * nested->body_length);
    nested->configuration->handler(request);
}
