/* SPDX-License-Identifier: Apache-2.0
 *
 * check_sends.c -- what an answer to a producer promises.
 *
 *   inconsistent-offsets  an offset holds one value, for ever
 *   duplicate             a value stands at one offset.  Idempotent producers repeat until they are
 * told, plain ones send once, so none may be twice send-order            the values of one
 * producer's session stand in the order in which it sent them acked-order           what is sent
 * after an acknowledgement stands behind what was acknowledged definite-error-lie    a value whose
 * producer was told no, for sure, is never read
 *
 * Only acks=all fixes a place: acks=1 may be lost with its leader, and what stands there then is
 * another's.  A topic that is being deleted may be made again under its name, and a send on the way
 * may meet either; its answers prove nothing.
 */
#include "drill/check.h"
#include "drill/history.h"

#include "base/assert.h"

static void check_neighbours(struct history *history, uint32_t number, int64_t offset,
                             const char *how)
{
    const struct history_value *value = &history->values[number];
    const struct history_value *previous =
        value->previous == HISTORY_NO_VALUE ? NULL : &history->values[value->previous];
    const struct history_value *next =
        value->next == HISTORY_NO_VALUE ? NULL : &history->values[value->next];
    if (previous != NULL && previous->offset >= 0 && previous->topic == value->topic &&
        previous->offset >= offset) {
        sim_world_fail(
            history->world,
            "send-order: value %u (%s at %ld) was sent after value %u, which stands at %ld", number,
            how, (long)offset, value->previous, (long)previous->offset);
    }
    if (next != NULL && next->offset >= 0 && next->topic == value->topic &&
        next->offset <= offset) {
        sim_world_fail(
            history->world,
            "send-order: value %u (%s at %ld) was sent before value %u, which stands at %ld",
            number, how, (long)offset, value->next, (long)next->offset);
    }
}

void check_place(struct history *history, uint32_t number, int64_t offset, const char *how)
{
    struct history_value *value = &history->values[number];
    const char *topic = history->topics[value->topic].name;
    uint32_t known = history_at(history, value->topic, value->partition, offset);
    if (known != HISTORY_NO_VALUE && known != number) {
        sim_world_fail(history->world,
                       "inconsistent-offsets: %s-%u at %ld: value %u %s, but value %u stood there",
                       topic, value->partition, (long)offset, number, how, known);
        return;
    }
    if (value->offset >= 0 && value->offset != offset) {
        sim_world_fail(history->world, "duplicate: %s-%u: value %u %s at %ld, but it stands at %ld",
                       topic, value->partition, number, how, (long)offset, (long)value->offset);
        return;
    }
    if (offset <= value->acked_before) {
        sim_world_fail(
            history->world,
            "acked-order: %s-%u: value %u %s at %ld, but it was sent after offset %ld was acked",
            topic, value->partition, number, how, (long)offset, (long)value->acked_before);
        return;
    }
    check_neighbours(history, number, offset, how);
    value->offset = offset;
    history_put(history, value->topic, value->partition, offset, number);
}

void check_acked(struct history *history, uint32_t number, int64_t offset)
{
    struct history_value *value = &history->values[number];
    require(value->fate == HISTORY_ACKED);
    if (value->acks != -1 || offset < 0 || history->topics[value->topic].delete_ns != 0) {
        return;
    }
    check_place(history, number, offset, "acked");
    struct history_partition *partition =
        history_partition(history, value->topic, value->partition);
    if (offset > partition->acked_most) {
        partition->acked_most = offset;
    }
}

void check_failed(struct history *history, uint32_t number)
{
    const struct history_value *value = &history->values[number];
    require(value->fate == HISTORY_FAILED);
    if (value->is_read) {
        sim_world_fail(
            history->world, "definite-error-lie: %s-%u: value %u was refused, but was read at %ld",
            history->topics[value->topic].name, value->partition, number, (long)value->offset);
    }
}
