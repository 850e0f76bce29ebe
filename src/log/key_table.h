/* SPDX-License-Identifier: Apache-2.0
 *
 * key_table.h -- the newest offset of each key, in bounded memory.
 *
 * Keys are kept whole and compared whole: two keys are never taken for one, whatever they hash to.
 * When the table is full it says so; whoever fills it goes on later with another one.
 *
 * Locality: its owner.
 */
#ifndef LOG_KEY_TABLE_H
#define LOG_KEY_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct key_slot {
    uint32_t hash;
    uint32_t place; /* of the key in bytes, plus 1; 0: free */
    uint64_t offset;
};

struct key_table {
    size_t bytes_max; /* for slots and keys together */
    uint64_t seed;
    struct key_slot *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t key_count;
    uint8_t *bytes; /* the keys, each with its length before it */
    size_t bytes_used;
    size_t bytes_capacity;
};

/* seed: unknown to those who choose keys.  Takes memory as keys come. */
void key_table_init(struct key_table *table, size_t bytes_max, uint64_t seed);
void key_table_free(struct key_table *table);

/* Says that the key's newest offset is this one; offsets ascend from call to call.  False when
 * there is no room for one more key; the first key always finds some. */
bool key_table_put(struct key_table *table, const uint8_t *key, size_t length, uint64_t offset);
/* False when the key is not here. */
bool key_table_find(const struct key_table *table, const uint8_t *key, size_t length,
                    uint64_t *offset);

#endif
