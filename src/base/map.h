/* SPDX-License-Identifier: Apache-2.0
 *
 * map.h -- hash tables from a number, or from a short byte string, to a pointer.
 *
 * The table owns neither keys' targets nor values; a byte key is borrowed and must live as long as
 * its entry (it usually stands inside the value).  Iteration order is the order of the slots:
 * stable while nothing is inserted or removed, and the same on every machine for the same history.
 *
 * Locality: the owner of the table.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot;

struct map {
    struct map_slot *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t count;
};

void map_init(struct map *map);
void map_free(struct map *map);

/* Number keys.  map_put returns the value it replaced, or NULL; map_take removes and returns. */
void *map_get(const struct map *map, uint64_t key);
void *map_put(struct map *map, uint64_t key, void *value);
void *map_take(struct map *map, uint64_t key);

/* Byte-string keys (topic names, uuids).  One map uses one kind of key only. */
void *map_get_bytes(const struct map *map, const void *key, size_t length);
void *map_put_bytes(struct map *map, const void *key, size_t length, void *value);
void *map_take_bytes(struct map *map, const void *key, size_t length);

/* Walks all values: start with position 0; returns NULL at the end. */
void *map_next(const struct map *map, size_t *position);

#endif
