/* SPDX-License-Identifier: Apache-2.0
 *
 * due.c -- the wheel of due groups.
 */
#include "replica/due.h"

#include "base/assert.h"

_Static_assert((REPLICA_DUE_SLOTS & (REPLICA_DUE_SLOTS - 1)) == 0, "slots are found by masking");

static uint32_t slot_of(uint64_t ticks)
{
    return (uint32_t)(ticks & (REPLICA_DUE_SLOTS - 1));
}

void replica_due_init(struct replica_due *due, uint64_t now_ticks)
{
    *due = (struct replica_due){.now_ticks = now_ticks};
    for (uint32_t i = 0; i < REPLICA_DUE_SLOTS; i++) {
        list_init(&due->slots[i]);
    }
}

void replica_due_set(struct replica_due *due, struct list_node *node, uint64_t *ticks,
                     uint64_t due_ticks)
{
    if (due_ticks == REPLICA_DUE_NEVER) {
        list_remove(node);
        return;
    }
    uint64_t first = due->now_ticks + 1;
    uint64_t last = due->now_ticks + REPLICA_DUE_SLOTS - 1;
    uint64_t at = due_ticks < first ? first : due_ticks > last ? last : due_ticks;
    if (list_is_linked(node) && *ticks <= at) {
        return;
    }
    list_remove(node);
    uint32_t slot = slot_of(at);
    list_append(&due->slots[slot], node);
    due->occupied[slot / 64] |= 1ull << (slot % 64);
    *ticks = at;
}

void replica_due_advance(struct replica_due *due, uint64_t now_ticks, struct list *ready)
{
    require(now_ticks >= due->now_ticks);
    uint64_t slots = now_ticks - due->now_ticks;
    if (slots > REPLICA_DUE_SLOTS) {
        slots = REPLICA_DUE_SLOTS; /* after a long stall every slot has come up once */
    }
    for (uint64_t i = 0; i < slots; i++) {
        uint32_t slot = slot_of(now_ticks - i);
        if ((due->occupied[slot / 64] & (1ull << (slot % 64))) == 0) {
            continue;
        }
        due->occupied[slot / 64] &= ~(1ull << (slot % 64));
        struct list_node *node;
        while ((node = list_take_first(&due->slots[slot])) != NULL) {
            list_append(ready, node);
        }
    }
    due->now_ticks = now_ticks;
}

/* Word by word from the slot behind now_ticks on; that slot's word is looked at twice, its lower
 * part at last: those are the slots of the wheel's next round. */
uint64_t replica_due_next(const struct replica_due *due)
{
    uint64_t first = due->now_ticks + 1;
    uint32_t bit = slot_of(first) % 64;
    uint64_t word_ticks = first - bit;
    uint64_t mask = UINT64_MAX << bit;
    for (uint32_t i = 0; i <= REPLICA_DUE_SLOTS / 64; i++) {
        uint64_t marked = due->occupied[slot_of(word_ticks) / 64] & mask;
        if (marked != 0) {
            return word_ticks + (uint64_t)__builtin_ctzll(marked);
        }
        word_ticks += 64;
        mask = i + 1 < REPLICA_DUE_SLOTS / 64 ? UINT64_MAX : ~(UINT64_MAX << bit);
    }
    return REPLICA_DUE_NEVER;
}
