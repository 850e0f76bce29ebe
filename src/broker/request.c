/* SPDX-License-Identifier: Apache-2.0
 *
 * request.c -- the ends a request can take, and where it is run.
 *
 * Locality: the shard of the request.
 */
#include "broker/request.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/forward.h"

#define FORWARD_TIMEOUT_MS 30000

struct wire_cursor request_cursor(struct request *request)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, request->body, request->body_length, &request->arena);
    return cursor;
}

bool request_body_ends(const struct request *request, struct wire_cursor *cursor)
{
    if (request->configuration != NULL && request->configuration->type < REQUEST_FIRST_PEER_TYPE) {
        return cursor->error == NULL;
    }
    return wire_expect_end(cursor);
}

void request_malformed(struct request *request, const struct wire_cursor *cursor)
{
    request->is_malformed = true;
    request_drop(request, cursor->error != NULL ? cursor->error : "malformed body");
}

void request_respond(struct request *request, struct wire_writer *body)
{
    require(body != NULL);
    request->finish(request, body, false);
}

void request_end(struct request *request)
{
    request->finish(request, NULL, false);
}

void request_drop(struct request *request, const char *reason)
{
    require(reason != NULL);
    request->drop_reason = reason;
    request->finish(request, NULL, true);
}

static void forwarded(void *context, enum wire_error error, struct buf *response,
                      const uint8_t *data, size_t length)
{
    (void)response;
    struct request *request = context;
    if (error != WIRE_ERROR_NONE) {
        request_drop(request, "the controller leader gave no answer");
        return;
    }
    struct wire_writer body;
    wire_writer_init(&body, length);
    wire_write_raw(&body, data, length);
    request_respond(request, &body);
}

void request_dispatch(struct request *request)
{
    struct broker_shard *shard = request->shard;
    bool is_here = shard->controller != NULL && controller_is_leader(shard);
    if (request->configuration->class != REQUEST_METADATA_WRITE || is_here) {
        request->configuration->handler(request);
        return;
    }
    struct wire_writer body;
    wire_writer_init(&body, request->body_length);
    wire_write_raw(&body, request->body, request->body_length);
    forward_request(shard, request, &body, FORWARD_TIMEOUT_MS, forwarded, request);
}
