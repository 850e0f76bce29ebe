/* SPDX-License-Identifier: Apache-2.0
 *
 * check_reads.c -- what an answer to a consumer promises.
 *
 *   phantom         every record is a value that was sent to this partition, byte for byte
 *   aborted-read    no value is read whose producer was told no
 *   (and of check_sends.c: inconsistent-offsets, duplicate, send-order, acked-order)
 *   stale-latest    the end of a partition, asked for after an acknowledgement, lies behind it
 *   start-moved     a topic that keeps everything begins at 0
 *   lost-write      after the last fault every value acknowledged with acks=all, and every value
 * that was read before, is read at its offset; what retention took is below the start
 *
 * That reading skips nothing and never goes back is checked where it happens (drill_consumer.c),
 * since offsets are dense here: each batch begins where the last one ended.
 */
#include "drill/check.h"
#include "drill/history.h"

#include "base/assert.h"

#include <string.h>

/* A value sent to an earlier topic of this name may have arrived late; but not one whose answer
 * came before this topic was asked for. */
static bool may_have_strayed(const struct history *history, const struct history_value *value,
                             uint32_t topic)
{
    const struct history_topic *here = &history->topics[topic];
    const struct history_topic *meant = &history->topics[value->topic];
    bool is_settled = value->fate == HISTORY_ACKED || value->fate == HISTORY_FAILED;
    return strcmp(here->name, meant->name) == 0 && value->topic < topic &&
           !(is_settled && value->done_ns < here->create_ns);
}

void check_record_read(struct history *history, uint32_t topic, uint32_t partition, int64_t offset,
                       uint32_t number)
{
    const char *name = history->topics[topic].name;
    if (number == HISTORY_NO_VALUE) {
        sim_world_fail(history->world, "phantom: %s-%u: the record at %ld is no value ever sent",
                       name, partition, (long)offset);
        return;
    }
    struct history_value *value = &history->values[number];
    if (value->topic != topic && may_have_strayed(history, value, topic)) {
        value->topic = topic;
        value->offset = -1;
        value->acked_before = -1;
    }
    if (value->topic != topic || value->partition != partition) {
        sim_world_fail(history->world,
                       "phantom: %s-%u: value %u at %ld was sent to %s-%u (topic %u, not %u)", name,
                       partition, number, (long)offset, history->topics[value->topic].name,
                       value->partition, value->topic, topic);
        return;
    }
    if (value->fate == HISTORY_FAILED) {
        sim_world_fail(
            history->world,
            "aborted-read: %s-%u: value %u at %ld was refused, for sure, to its producer", name,
            partition, number, (long)offset);
        return;
    }
    check_place(history, number, offset, "read");
    value->is_read = true;
    value->is_read_at_end = history->is_at_end;
}

void check_latest(struct history *history, uint32_t topic, uint32_t partition, int64_t acked_before,
                  int64_t end_offset)
{
    if (end_offset <= acked_before) {
        sim_world_fail(
            history->world,
            "stale-latest: %s-%u ends at %ld, but %ld had been acked before that was asked",
            history->topics[topic].name, partition, (long)end_offset, (long)acked_before);
    }
}

void check_start(struct history *history, uint32_t topic, uint32_t partition, int64_t start_offset)
{
    if (history->topics[topic].keeps_everything && start_offset > 0) {
        sim_world_fail(history->world, "start-moved: %s-%u keeps everything, but begins at %ld",
                       history->topics[topic].name, partition, (long)start_offset);
    }
}

static bool must_be_there(const struct history *history, const struct history_value *value)
{
    const struct history_topic *topic = &history->topics[value->topic];
    bool is_committed = value->is_read || (value->fate == HISTORY_ACKED && value->acks == -1);
    return is_committed && value->offset >= 0 && topic->state == HISTORY_TOPIC_LIVE &&
           value->offset >= topic->partitions[value->partition].start;
}

void check_nothing_lost(struct history *history)
{
    for (uint32_t i = 0; i < history->value_count; i++) {
        const struct history_value *value = &history->values[i];
        if (must_be_there(history, value) && !value->is_read_at_end) {
            sim_world_fail(history->world, "lost-write: %s-%u: value %u, %s at %ld, is not there",
                           history->topics[value->topic].name, value->partition, i,
                           value->is_read ? "read" : "acked", (long)value->offset);
            return;
        }
    }
}
