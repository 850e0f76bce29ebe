/* SPDX-License-Identifier: Apache-2.0
 *
 * map.c -- open addressing with linear probing; removal shifts back, so there are no tombstones and
 * a table that shrinks again is as fast as before.
 *
 * A slot keeps the hash (for byte keys) or the number itself, so a probe compares one word before
 * it looks at a key, and growing needs no rehashing of keys. Invariant: slot_count is 0 or at least
 * 8 and count <= slot_count * 3 / 4; an empty slot has no value.
 *
 * Locality: the owner of the table.
 */
#include "base/map.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

#define MAP_SLOTS_MIN 8

struct map_slot {
    uint64_t number;   /* the key itself, or the hash of the byte key */
    const void *bytes; /* NULL for number keys */
    size_t length;
    void *value; /* NULL: empty */
};

/* What is looked for; the same three fields as in a slot. */
struct map_key {
    uint64_t number;
    const void *bytes;
    size_t length;
};

/* The finaliser spreads every input bit over the whole word. */
static uint64_t map_mix(uint64_t value)
{
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93ull;
    value ^= value >> 32;
    value *= 0xd6e8feb86659fd93ull;
    value ^= value >> 32;
    return value;
}

static uint64_t map_hash_bytes(const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t hash = map_mix(length + 1);
    while (length >= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = map_mix(hash ^ word);
        at += 8;
        length -= 8;
    }
    uint64_t tail = 0;
    memcpy(&tail, at, length);
    return map_mix(hash ^ tail);
}

static struct map_key map_key_of_bytes(const void *bytes, size_t length)
{
    static const char empty_key[1];
    const void *key = length > 0 ? bytes : empty_key;
    require(key != NULL);
    return (struct map_key){map_hash_bytes(key, length), key, length};
}

static bool map_slot_matches(const struct map_slot *slot, const struct map_key *key)
{
    if (slot->number != key->number || (slot->bytes == NULL) != (key->bytes == NULL)) {
        return false;
    }
    return key->bytes == NULL ||
           (slot->length == key->length && memcmp(slot->bytes, key->bytes, key->length) == 0);
}

static size_t map_home(uint64_t number, size_t slot_count)
{
    return (size_t)map_mix(number) & (slot_count - 1);
}

/* The slot that holds the key, or the empty one where it would go. */
static struct map_slot *map_find(const struct map *map, const struct map_key *key)
{
    size_t at = map_home(key->number, map->slot_count);
    while (map->slots[at].value != NULL && !map_slot_matches(&map->slots[at], key)) {
        at = (at + 1) & (map->slot_count - 1);
    }
    return &map->slots[at];
}

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_free(struct map *map)
{
    memory_free(map->slots);
    map_init(map);
}

static void map_grow(struct map *map)
{
    struct map old = *map;
    map->slot_count = old.slot_count > 0 ? old.slot_count * 2 : MAP_SLOTS_MIN;
    map->slots = memory_allocate_zeroed(map->slot_count * sizeof *map->slots);
    for (size_t i = 0; i < old.slot_count; i++) {
        const struct map_slot *slot = &old.slots[i];
        if (slot->value != NULL) {
            struct map_key key = {slot->number, slot->bytes, slot->length};
            *map_find(map, &key) = *slot;
        }
    }
    memory_free(old.slots);
}

static void *map_get_key(const struct map *map, const struct map_key *key)
{
    return map->count > 0 ? map_find(map, key)->value : NULL;
}

static void *map_put_key(struct map *map, const struct map_key *key, void *value)
{
    require(value != NULL);
    if (map->count + 1 > map->slot_count / 4 * 3) {
        map_grow(map);
    }
    struct map_slot *slot = map_find(map, key);
    void *replaced = slot->value;
    *slot = (struct map_slot){key->number, key->bytes, key->length, value};
    map->count += replaced == NULL ? 1 : 0;
    return replaced;
}

/* Moves back every later entry of the run whose home does not lie between the hole and itself. */
static void map_close_hole(struct map *map, size_t hole)
{
    size_t mask = map->slot_count - 1;
    for (size_t at = (hole + 1) & mask; map->slots[at].value != NULL; at = (at + 1) & mask) {
        size_t home = map_home(map->slots[at].number, map->slot_count);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_slot){0};
}

static void *map_take_key(struct map *map, const struct map_key *key)
{
    if (map->count == 0) {
        return NULL;
    }
    struct map_slot *slot = map_find(map, key);
    void *value = slot->value;
    if (value != NULL) {
        map_close_hole(map, (size_t)(slot - map->slots));
        map->count--;
    }
    return value;
}

void *map_get(const struct map *map, uint64_t key)
{
    return map_get_key(map, &(struct map_key){.number = key});
}

void *map_put(struct map *map, uint64_t key, void *value)
{
    return map_put_key(map, &(struct map_key){.number = key}, value);
}

void *map_take(struct map *map, uint64_t key)
{
    return map_take_key(map, &(struct map_key){.number = key});
}

void *map_get_bytes(const struct map *map, const void *key, size_t length)
{
    struct map_key wanted = map_key_of_bytes(key, length);
    return map_get_key(map, &wanted);
}

void *map_put_bytes(struct map *map, const void *key, size_t length, void *value)
{
    struct map_key wanted = map_key_of_bytes(key, length);
    return map_put_key(map, &wanted, value);
}

void *map_take_bytes(struct map *map, const void *key, size_t length)
{
    struct map_key wanted = map_key_of_bytes(key, length);
    return map_take_key(map, &wanted);
}

void *map_next(const struct map *map, size_t *position)
{
    while (*position < map->slot_count) {
        void *value = map->slots[(*position)++].value;
        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
