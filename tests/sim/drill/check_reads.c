/* SPDX-License-Identifier: Apache-2.0
 *
 * check_reads.c -- what an answer to a consumer promises.
 *
 *   phantom         every record is a value that was sent to this partition, byte for byte
 *   aborted-read    no value is read whose producer was told no
 *   (and of check_sends.c: inconsistent-offsets, duplicate, send-order, acked-order)
 *   stale-latest    the end of a partition, asked for after an acknowledgement, lies behind it
 *   start-moved     a topic that keeps everything begins at 0, or where it was asked to
 *   start-back      what was deleted by request, as was told, is not there again
 *   lost-write      after the last fault every value acknowledged with acks=all, and every value
 * that was read before, is read at its offset; what retention took is below the start.  Of a topic
 * with keys that holds for the newest of each key; a tombstone may go where they are not kept
 *   undeleted       no value of a key is read of which a newer tombstone is gone
 *
 * That reading skips nothing and never goes back is checked where it happens (drill_consumer.c),
 * since offsets are dense here: each batch begins where the last one ended.
 */
#include "drill/check.h"
#include "drill/history.h"

#include "base/assert.h"
#include "base/memory.h"
#include "drill/swarm.h"

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
    int64_t asked = history->topics[topic].partitions[partition].trim_asked;
    bool has_keys = history->topics[topic].key_count > 0; /* what holds no record may go */
    if (history->topics[topic].keeps_everything && !has_keys && start_offset > asked) {
        sim_world_fail(history->world,
                       "start-moved: %s-%u keeps everything from %ld on, but begins at %ld",
                       history->topics[topic].name, partition, (long)asked, (long)start_offset);
    }
}

void check_trimmed(struct history *history, uint32_t topic, uint32_t partition,
                   int64_t trimmed_before, int64_t start_offset)
{
    if (start_offset < trimmed_before) {
        sim_world_fail(history->world,
                       "start-back: %s-%u begins at %ld, but was told to have lost all before %ld",
                       history->topics[topic].name, partition, (long)start_offset,
                       (long)trimmed_before);
    }
}

/* Where the partition begins; if it may be compacted, its beginning may have moved over what holds
 * no record, but not over one that nobody asked to delete. */
static int64_t beginning(const struct history_topic *topic, uint32_t partition)
{
    const struct history_partition *known = &topic->partitions[partition];
    bool is_behind =
        topic->key_count > 0 && topic->keeps_everything && known->trim_asked < known->start;
    return is_behind ? known->trim_asked : known->start;
}

static bool must_be_there(const struct history *history, const struct history_value *value)
{
    const struct history_topic *topic = &history->topics[value->topic];
    bool is_committed = value->is_read || (value->fate == HISTORY_ACKED && value->acks == -1);
    return is_committed && value->offset >= 0 && topic->state == HISTORY_TOPIC_LIVE &&
           value->offset >= beginning(topic, value->partition);
}

static void lost(struct history *history, uint32_t number)
{
    const struct history_value *value = &history->values[number];
    sim_world_fail(history->world, "lost-write: %s-%u: value %u, %s at %ld, is not there",
                   history->topics[value->topic].name, value->partition, number,
                   value->is_read ? "read" : "acked", (long)value->offset);
}

/* The newest value of each key, by topic, partition and key; HISTORY_NO_VALUE: none. */
static size_t newest_place(const struct history_value *value)
{
    require(value->key < SWARM_KEYS_MAX);
    return ((size_t)value->topic * HISTORY_PARTITIONS_MAX + value->partition) * SWARM_KEYS_MAX +
           value->key;
}

/* Whether a tombstone may stand behind the value though nobody was told: its answer was lost, or
 * promised no majority.  It goes itself, once it has deleted the value. */
static bool may_be_deleted(const struct history *history, const struct history_value *value)
{
    bool may = false;
    for (uint32_t i = 0; i < history->value_count && !may; i++) {
        const struct history_value *other = &history->values[i];
        bool is_before = other->fate == HISTORY_ACKED && other->done_ns < value->sent_ns;
        may = other->topic == value->topic && other->partition == value->partition &&
              other->key == value->key && other->bytes == 0 && other->fate != HISTORY_FAILED &&
              !must_be_there(history, other) && !is_before;
    }
    return may && !history->topics[value->topic].keeps_tombstones;
}

static void check_key(struct history *history, uint32_t number, uint32_t newest_number)
{
    const struct history_value *value = &history->values[number];
    const struct history_value *newest = &history->values[newest_number];
    bool may_be_gone = newest->bytes == 0 && !history->topics[newest->topic].keeps_tombstones;
    if (number == newest_number && !value->is_read_at_end && !may_be_gone &&
        !may_be_deleted(history, value)) {
        lost(history, number);
    } else if (number != newest_number && value->is_read_at_end && !newest->is_read_at_end) {
        sim_world_fail(history->world,
                       "undeleted: %s-%u: value %u of key %u is there at %ld, but not its "
                       "tombstone at %ld",
                       history->topics[value->topic].name, value->partition, number, value->key,
                       (long)value->offset, (long)newest->offset);
    }
}

static void check_keys(struct history *history)
{
    size_t count = (size_t)HISTORY_TOPICS_MAX * HISTORY_PARTITIONS_MAX * SWARM_KEYS_MAX;
    uint32_t *newest = memory_allocate(count * sizeof newest[0]);
    for (size_t i = 0; i < count; i++) {
        newest[i] = HISTORY_NO_VALUE;
    }
    for (uint32_t i = 0; i < history->value_count; i++) {
        const struct history_value *value = &history->values[i];
        if (value->key != HISTORY_NO_KEY && must_be_there(history, value)) {
            uint32_t *known = &newest[newest_place(value)];
            bool is_newer =
                *known == HISTORY_NO_VALUE || history->values[*known].offset < value->offset;
            *known = is_newer ? i : *known;
        }
    }
    for (uint32_t i = 0; i < history->value_count; i++) {
        const struct history_value *value = &history->values[i];
        if (value->key != HISTORY_NO_KEY && must_be_there(history, value)) {
            check_key(history, i, newest[newest_place(value)]);
        }
    }
    memory_free(newest);
}

void check_nothing_lost(struct history *history)
{
    for (uint32_t i = 0; i < history->value_count; i++) {
        const struct history_value *value = &history->values[i];
        if (value->key == HISTORY_NO_KEY && must_be_there(history, value) &&
            !value->is_read_at_end) {
            lost(history, i);
            return;
        }
    }
    check_keys(history);
}
