/* SPDX-License-Identifier: Apache-2.0
 *
 * subscription.c -- the topics that the members of a group of consumers read, out of the metadata
 * they joined with (ConsumerProtocolSubscription: version, then the topics' names).
 *
 * Locality: the shard of the partition.
 */
#include "group/group_state.h"

#include <string.h>

/* True, too, when the metadata cannot be read: on doubt a topic is in use. */
static bool reads(const struct group_text *metadata, struct wire_string topic)
{
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, (const uint8_t *)metadata->data, (size_t)metadata->length, NULL);
    (void)wire_read_int16(&cursor);
    int32_t count = wire_read_int32(&cursor);
    for (int32_t i = 0; i < count && cursor.error == NULL; i++) {
        int16_t length = wire_read_int16(&cursor);
        const uint8_t *name = length >= 0 ? wire_read_raw(&cursor, (size_t)length) : NULL;
        if (name != NULL && length == topic.length &&
            memcmp(name, topic.data, (size_t)length) == 0) {
            return true;
        }
    }
    return cursor.error != NULL;
}

bool group_subscribes(const struct group *group, struct wire_string topic)
{
    list_for_each(&group->members, node)
    {
        const struct group_member *member = container_of(node, struct group_member, node);
        for (int32_t i = 0; i < member->protocol_count; i++) {
            if (reads(&member->protocols[i].metadata, topic)) {
                return true;
            }
        }
    }
    return false;
}
