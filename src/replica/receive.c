/* SPDX-License-Identifier: Apache-2.0
 *
 * receive.c -- handing the items of a peer's frame to their groups.
 *
 * A message for a group that does not run here is dropped and counted: it never starts anything,
 * whether the group is unknown, not started yet or deleted.
 */
#include "base/assert.h"
#include "base/trace.h"
#include "replica/manager.h"

/* Its data is small, and everything else needs it. */
#define CONTROLLER_GROUP_ID 1

bool replica_frame_sender(const uint8_t *frame, size_t length, uint32_t *shard,
                          uint32_t *shard_count)
{
    struct replica_frame_reader reader;
    struct replica_frame_head head;
    replica_frame_reader_init(&reader);
    bool is_good = replica_frame_reader_begin(&reader, NULL, frame, length, &head);
    *shard = head.shard;
    *shard_count = head.shard_count;
    replica_frame_reader_free(&reader);
    return is_good;
}

/* A broker without room takes no data: to the leader it lags, and it is sent the same again. */
static bool refuses(const struct replica_manager *manager, const struct raft_message *message)
{
    if (!manager->refuses_data || message->kind != RAFT_MESSAGE_APPEND ||
        message->group_id == CONTROLLER_GROUP_ID) {
        return false;
    }
    for (uint32_t i = 0; i < message->entry_count; i++) {
        if (message->entries[i].kind == RAFT_ENTRY_DATA) {
            return true;
        }
    }
    return false;
}

static void deliver(struct replica_manager *manager, uint32_t from, bool is_watched,
                    struct replica_frame_item *item)
{
    struct replica_group *group = replica_group_find(manager, item->group_id);
    if (group == NULL) {
        counter_add(&manager->stats.messages_dropped, 1);
        return;
    }
    if (item->kind == REPLICA_FRAME_MESSAGE) {
        item->message.from = from;
        item->message.to = manager->options.broker_id;
        if (item->message.kind != RAFT_MESSAGE_APPEND &&
            !replica_group_listens_to(group, from, item->incarnation)) {
            counter_add(&manager->stats.messages_dropped, 1);
            return;
        }
        if (refuses(manager, &item->message)) {
            counter_add(&manager->stats.messages_dropped, 1);
            return;
        }
        if (!is_watched) {
            item->message.rest_ticks = 0; /* nobody would notice if the sender fell silent */
        }
        replica_group_receive(group, &item->message, manager->reader.payloads);
    } else if (item->kind == REPLICA_FRAME_CHUNK && manager->refuses_data &&
               item->group_id != CONTROLLER_GROUP_ID) {
        counter_add(&manager->stats.messages_dropped, 1);
    } else if (item->kind == REPLICA_FRAME_CHUNK) {
        replica_install_chunk(group, from, &item->chunk);
    } else {
        replica_transfer_ack(group, from, &item->ack);
    }
}

/* False when the rest of the frame cannot be read. */
static bool take_item(struct replica_manager *manager, uint32_t from, bool is_watched,
                      struct replica_frame_item *item)
{
    if (item->kind == REPLICA_FRAME_BAD) {
        trace_warn("broker %u: %s", from, manager->reader.cursor.error);
        return false;
    }
    if (replica_shard_of_group(item->group_id, manager->shard_count) != manager->shard) {
        return true;
    }
    counter_add(&manager->stats.messages_received, 1);
    if (item->kind == REPLICA_FRAME_SKIPPED) {
        trace_warn("group %llu: an append from broker %u was dropped: %s",
                   (unsigned long long)item->group_id, from, manager->reader.damage);
        counter_add(&manager->stats.messages_dropped, 1);
    } else {
        deliver(manager, from, is_watched, item);
    }
    return true;
}

bool replica_receive_frame(struct replica_manager *manager, uint32_t from_broker, struct buf *buf,
                           const uint8_t *frame, size_t length)
{
    require(!manager->is_in_apply);
    struct replica_frame_head head;
    if (!replica_frame_reader_begin(&manager->reader, buf, frame, length, &head) ||
        head.broker_id != from_broker || from_broker == manager->options.broker_id) {
        trace_warn("broker %u: a peer frame that is not its own", from_broker);
        return false;
    }
    counter_add(&manager->stats.frames_received, 1);
    bool is_watched = head.shard_count == manager->shard_count && head.shard == manager->shard;
    if (is_watched) {
        replica_beats_heard(manager, replica_peer_of(manager, from_broker));
    }
    for (;;) {
        struct replica_frame_item item;
        replica_frame_reader_next(&manager->reader, &item);
        if (item.kind == REPLICA_FRAME_END) {
            return true;
        }
        if (!take_item(manager, from_broker, is_watched, &item)) {
            return false;
        }
    }
}
