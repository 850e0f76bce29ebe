/* SPDX-License-Identifier: Apache-2.0
 *
 * api_tell_compacted.c -- TellCompacted (1016): how far copies of partitions have been compacted,
 * and who wants to know, see tombstone_rounds.h.  Has no answer.
 *
 * Locality: shard 0; acted upon on the shards of the groups.
 */
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/tombstone_rounds.h"

/* Numbers that are counts or ids here, and travel with a sign. */
static bool is_sound(const struct tell_compacted_request *told)
{
    bool is_sound = told->round > 0;
    for (int32_t i = 0; i < told->asks_count; i++) {
        is_sound = is_sound && told->asks[i].group_id > 0 && told->asks[i].floor >= 0;
    }
    for (int32_t i = 0; i < told->answers_count; i++) {
        const struct tell_compacted_request_answer *answer = &told->answers[i];
        is_sound = is_sound && answer->group_id > 0 && answer->term >= 0 && answer->copy_id > 0 &&
                   answer->offset >= 0;
    }
    return is_sound;
}

void api_tell_compacted(struct request *request)
{
    struct tell_compacted_request told;
    struct wire_cursor cursor = request_cursor(request);
    if (!tell_compacted_request_decode(&told, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    if (!is_sound(&told)) {
        request_drop(request, "a number out of range");
        return;
    }
    tombstone_rounds_spread(request->shard, request->peer_broker_id, &told);
    request_end(request);
}
