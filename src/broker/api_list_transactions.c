/* SPDX-License-Identifier: Apache-2.0
 *
 * api_list_transactions.c -- ListTransactions (KIP-664): none, since transactional ids are refused.
 * What it is asked to filter by is still looked at: a state that does not exist is told.  A pattern
 * is not: whatever it says, no id matches it.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "wire/list_transactions.h"

/* The states of Kafka's transactions, as the protocol names them. */
static bool is_state(struct wire_string name)
{
    static const char *const states[] = {
        "Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
        "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence",
    };
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++) {
        if (wire_string_equal(name, states[i])) {
            return true;
        }
    }
    return false;
}

void api_list_transactions(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct list_transactions_request body;
    if (!list_transactions_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct list_transactions_response response;
    list_transactions_response_init(&response);
    size_t count = (size_t)body.state_filters_count;
    request->arena.limit_bytes += count * sizeof(response.unknown_state_filters[0]) + 16;
    response.unknown_state_filters =
        arena_allocate_array(&request->arena, count, sizeof(response.unknown_state_filters[0]));
    if (response.unknown_state_filters == NULL) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_state(body.state_filters[i])) {
            response.unknown_state_filters[response.unknown_state_filters_count++] =
                body.state_filters[i];
        }
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    list_transactions_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
