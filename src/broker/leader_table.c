/* SPDX-License-Identifier: Apache-2.0
 *
 * leader_table.c -- see leader_table.h; publishing stands in leader_feed.c.
 */
#include "broker/leader_table.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"

struct leader_table {
    struct map groups; /* group id -> struct leader_entry */
};

struct leader_entry {
    uint64_t term;
    uint32_t leader;
    uint32_t last; /* the last in this term that was not 0 */
};

struct leader_table *leader_table_new(void)
{
    struct leader_table *table = memory_allocate_zeroed(sizeof *table);
    map_init(&table->groups);
    return table;
}

void leader_table_free(struct leader_table *table)
{
    size_t position = 0;
    void *entry = NULL;
    while ((entry = map_next(&table->groups, &position)) != NULL) {
        memory_free(entry);
    }
    map_free(&table->groups);
    memory_free(table);
}

bool leader_table_get(const struct leader_table *table, uint64_t group_id, uint32_t *leader,
                      uint64_t *term)
{
    const struct leader_entry *entry = map_get(&table->groups, group_id);
    *leader = entry != NULL ? entry->leader : 0;
    *term = entry != NULL ? entry->term : 0;
    return entry != NULL;
}

uint32_t leader_table_last(const struct leader_table *table, uint64_t group_id, uint64_t *term)
{
    const struct leader_entry *entry = map_get(&table->groups, group_id);
    *term = entry != NULL ? entry->term : 0;
    return entry != NULL ? entry->last : 0;
}

bool leader_table_put(struct leader_table *table, uint64_t group_id, uint32_t leader, uint64_t term)
{
    require(group_id != 0);
    struct leader_entry *entry = map_get(&table->groups, group_id);
    if (entry == NULL) {
        entry = memory_allocate_zeroed(sizeof *entry);
        map_put(&table->groups, group_id, entry);
    } else if (term < entry->term || (term == entry->term && leader == entry->leader)) {
        return false;
    }
    /* Within a term the leader can only be lost from sight and seen again. */
    entry->last = leader != 0 || term != entry->term ? leader : entry->last;
    entry->leader = leader;
    entry->term = term;
    return true;
}

void leader_table_remove(struct leader_table *table, uint64_t group_id)
{
    memory_free(map_take(&table->groups, group_id));
}
