/* SPDX-License-Identifier: Apache-2.0
 *
 * api_announce_leaders.c -- AnnounceLeaders (1005): groups that the sender leads.  Has no answer.
 *
 * A broker speaks for itself only: what it says of other leaders is not believed.
 *
 * Locality: shard 0.
 */
#include "base/arena.h"
#include "broker/api.h"
#include "broker/broker_process.h"
#include "broker/leader_feed.h"
#include "wire/announce_leaders.h"

void api_announce_leaders(struct request *request)
{
    struct announce_leaders_request message;
    struct wire_cursor cursor = request_cursor(request);
    if (!announce_leaders_request_decode(&message, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    size_t capacity = (size_t)message.groups_count;
    struct leader_news *news =
        arena_allocate_array(&request->arena, capacity, sizeof(struct leader_news));
    if (news == NULL) {
        request_drop(request, "too many groups announced at once");
        return;
    }
    uint32_t count = 0;
    for (int32_t i = 0; i < message.groups_count; i++) {
        const struct announce_leaders_request_group *group = &message.groups[i];
        if (group->group_id > 0 && group->term > 0 && group->leader_id == request->peer_broker_id) {
            news[count++] = (struct leader_news){.group_id = (uint64_t)group->group_id,
                                                 .term = (uint64_t)group->term,
                                                 .leader = group->leader_id};
        }
    }
    leader_feed_spread(request->shard, news, count);
    request_end(request);
}
