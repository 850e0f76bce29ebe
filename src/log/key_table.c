/* SPDX-License-Identifier: Apache-2.0
 *
 * key_table.c -- open addressing over keys that stand one after another in one piece of memory.
 */
#include "log/key_table.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

#define SLOTS_MIN 64u
#define BYTES_MIN 1024u
#define LENGTH_BYTES sizeof(uint32_t)

void key_table_init(struct key_table *table, size_t bytes_max, uint64_t seed)
{
    *table = (struct key_table){.bytes_max = bytes_max, .seed = seed};
}

void key_table_free(struct key_table *table)
{
    memory_free(table->slots);
    memory_free(table->bytes);
    *table = (struct key_table){.bytes_max = table->bytes_max, .seed = table->seed};
}

/* Both halves of the product count, so that no bit of the factors is lost. */
static uint64_t folded_product(uint64_t one, uint64_t other)
{
    unsigned __int128 product = (unsigned __int128)one * other;
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* Eight bytes at a time, from a start nobody outside knows. */
static uint32_t hash_of(const struct key_table *table, const uint8_t *key, size_t length)
{
    uint64_t factor = 0x9e3779b97f4a7c15u;
    uint64_t hash = folded_product(table->seed ^ length, factor) ^ table->seed;
    for (; length >= sizeof(uint64_t); key += sizeof(uint64_t), length -= sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, key, sizeof(word));
        hash = folded_product(hash ^ word, factor);
    }
    uint64_t rest = 0;
    for (size_t i = 0; i < length; i++) {
        rest = rest << 8 | key[i];
    }
    hash = folded_product(hash ^ rest, factor);
    return (uint32_t)(hash >> 32);
}

static bool slot_holds(const struct key_table *table, const struct key_slot *slot, uint32_t hash,
                       const uint8_t *key, size_t length)
{
    if (slot->hash != hash) {
        return false;
    }
    const uint8_t *at = table->bytes + slot->place - 1;
    uint32_t held;
    memcpy(&held, at, LENGTH_BYTES);
    return held == length && (length == 0 || memcmp(at + LENGTH_BYTES, key, length) == 0);
}

/* The key's slot, or the free one where it belongs.  There is one: the table is never full. */
static struct key_slot *find_slot(const struct key_table *table, uint32_t hash, const uint8_t *key,
                                  size_t length)
{
    size_t mask = table->slot_count - 1;
    size_t place = hash & mask;
    while (table->slots[place].place != 0 &&
           !slot_holds(table, &table->slots[place], hash, key, length)) {
        place = (place + 1) & mask;
    }
    return &table->slots[place];
}

static size_t bytes_taken(size_t slot_count, size_t bytes_capacity)
{
    return slot_count * sizeof(struct key_slot) + bytes_capacity;
}

static void move_slots(struct key_table *table, size_t slot_count)
{
    struct key_slot *old = table->slots;
    size_t old_count = table->slot_count;
    table->slots = memory_allocate_zeroed(slot_count * sizeof(struct key_slot));
    table->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].place != 0) {
            size_t place = old[i].hash & (slot_count - 1);
            while (table->slots[place].place != 0) {
                place = (place + 1) & (slot_count - 1);
            }
            table->slots[place] = old[i];
        }
    }
    memory_free(old);
}

/* Room for one more key of this length within the bounds. */
static bool make_room(struct key_table *table, size_t length)
{
    size_t slot_count = table->slot_count;
    if (slot_count == 0) {
        slot_count = SLOTS_MIN;
    } else if ((table->key_count + 1) * 4 > slot_count * 3) {
        slot_count *= 2;
    }
    size_t needed = table->bytes_used + LENGTH_BYTES + length;
    size_t capacity = table->bytes_capacity > 0 ? table->bytes_capacity : BYTES_MIN;
    while (capacity < needed) {
        capacity *= 2;
    }
    bool fits = bytes_taken(slot_count, capacity) <= table->bytes_max && capacity < UINT32_MAX;
    if (!fits && table->key_count > 0) {
        return false;
    }
    if (slot_count != table->slot_count) {
        move_slots(table, slot_count);
    }
    if (capacity != table->bytes_capacity) {
        table->bytes = memory_reallocate(table->bytes, capacity);
        table->bytes_capacity = capacity;
    }
    return true;
}

bool key_table_put(struct key_table *table, const uint8_t *key, size_t length, uint64_t offset)
{
    require(length <= INT32_MAX);
    uint32_t hash = hash_of(table, key, length);
    struct key_slot *slot = table->slot_count > 0 ? find_slot(table, hash, key, length) : NULL;
    if (slot != NULL && slot->place != 0) {
        require(offset >= slot->offset);
        slot->offset = offset;
        return true;
    }
    if (!make_room(table, length)) {
        return false;
    }
    slot = find_slot(table, hash, key, length);
    ensure(slot->place == 0);
    uint8_t *at = table->bytes + table->bytes_used;
    uint32_t held = (uint32_t)length;
    memcpy(at, &held, LENGTH_BYTES);
    if (length > 0) {
        memcpy(at + LENGTH_BYTES, key, length);
    }
    *slot = (struct key_slot){hash, (uint32_t)table->bytes_used + 1, offset};
    table->bytes_used += LENGTH_BYTES + length;
    table->key_count++;
    return true;
}

bool key_table_find(const struct key_table *table, const uint8_t *key, size_t length,
                    uint64_t *offset)
{
    if (table->slot_count == 0) {
        return false;
    }
    const struct key_slot *slot = find_slot(table, hash_of(table, key, length), key, length);
    if (slot->place == 0) {
        return false;
    }
    *offset = slot->offset;
    return true;
}
