/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_transactions.c -- DescribeTransactions (KIP-664): no transactional id is known,
 * since they are refused.
 *
 * Locality: the shard of the request.
 */
#include "broker/api.h"
#include "wire/describe_transactions.h"
#include "wire/error.h"

void api_describe_transactions(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct describe_transactions_request body;
    if (!describe_transactions_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    struct describe_transactions_response response;
    describe_transactions_response_init(&response);
    size_t count = (size_t)body.transactional_ids_count;
    request->arena.limit_bytes += count * sizeof(response.transaction_states[0]) + 16;
    response.transaction_states =
        arena_allocate_array(&request->arena, count, sizeof(response.transaction_states[0]));
    if (response.transaction_states == NULL) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct describe_transactions_response_transaction_state *state =
            &response.transaction_states[response.transaction_states_count++];
        describe_transactions_response_transaction_state_init(state);
        state->transactional_id = body.transactional_ids[i];
        state->error_code = WIRE_ERROR_TRANSACTIONAL_ID_NOT_FOUND;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 64);
    describe_transactions_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
