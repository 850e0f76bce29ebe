/* SPDX-License-Identifier: Apache-2.0
 *
 * table.c -- the groups of one partition: finding, making and forgetting them, the states of their
 * life, and the begin and end of leading.
 *
 * Locality: the shard of the partition.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "group/group_state.h"

struct group_table *group_table_new(const struct group_host *host,
                                    const struct group_limits *limits)
{
    require(host->append != NULL && host->unique_id != NULL && host->partition_exists != NULL);
    struct group_table *table = memory_allocate_zeroed(sizeof *table);
    table->host = *host;
    table->limits = *limits;
    map_init(&table->groups);
    return table;
}

/* ---- A group ---- */

static const struct {
    const char *name;
    uint32_t successors; /* a bit for each life that may follow */
} lives[GROUP_LIVES] = {
    [GROUP_EMPTY] = {"Empty", 1u << GROUP_PREPARING_REBALANCE | 1u << GROUP_DEAD},
    [GROUP_PREPARING_REBALANCE] = {"PreparingRebalance",
                                   1u << GROUP_COMPLETING_REBALANCE | 1u << GROUP_EMPTY},
    [GROUP_COMPLETING_REBALANCE] = {"CompletingRebalance",
                                    1u << GROUP_STABLE | 1u << GROUP_PREPARING_REBALANCE},
    [GROUP_STABLE] = {"Stable", 1u << GROUP_PREPARING_REBALANCE},
    [GROUP_DEAD] = {"Dead", 1u << GROUP_EMPTY},
};

const char *group_life_name(enum group_life life)
{
    require(life < GROUP_LIVES);
    return lives[life].name;
}

void group_enter(struct group *group, enum group_life life)
{
    require((lives[group->life].successors & 1u << life) != 0);
    group->life = life;
    group->state_since_ms = group->table->wall_ms;
}

void group_wake_at(struct group *group, int64_t ms)
{
    group->due_ms = ms < group->due_ms ? ms : group->due_ms;
}

struct group *group_find(const struct group_table *table, struct wire_string id)
{
    return id.length > 0 ? map_get_bytes(&table->groups, id.data, (size_t)id.length) : NULL;
}

struct group *group_make(struct group_table *table, struct wire_string id)
{
    require(id.length > 0 && group_find(table, id) == NULL);
    struct group *group = memory_allocate_zeroed(sizeof *group);
    group->table = table;
    group->id = group_text_of(id);
    group->kept_value.length = -1;
    group->protocol_type.length = -1;
    group->protocol.length = -1;
    group->life = GROUP_EMPTY;
    group->state_since_ms = table->wall_ms;
    group->due_ms = GROUP_NEVER_MS;
    list_init(&group->members);
    list_init(&group->promised);
    map_init(&group->offsets);
    map_init(&group->by_id);
    map_init(&group->by_instance);
    map_put_bytes(&table->groups, group->id.data, (size_t)group->id.length, group);
    return group;
}

/* Nobody waits in it. */
static void end_life(struct group *group)
{
    list_for_each(&group->members, node)
    {
        group_member_remove(group, container_of(node, struct group_member, node));
    }
    list_for_each(&group->promised, node)
    {
        group_promised_remove(group, container_of(node, struct promised_member, node));
    }
    ensure(group->member_count == 0 && group->promised_count == 0 && group->leader == NULL);
    group->life = GROUP_EMPTY;
    group->generation = 0;
    group_text_free(&group->protocol_type);
    group_text_free(&group->protocol);
    group->writing = NULL; /* it finds itself forgotten when it is done */
    group->is_first_delay = false;
    group->due_ms = GROUP_NEVER_MS;
}

static void group_free(struct group *group)
{
    end_life(group);
    group_offsets_clear(group);
    map_take_bytes(&group->table->groups, group->id.data, (size_t)group->id.length);
    map_free(&group->offsets);
    map_free(&group->by_id);
    map_free(&group->by_instance);
    group_text_free(&group->kept_value);
    group_text_free(&group->id);
    memory_free(group);
}

bool group_drop_if_idle(struct group *group)
{
    bool is_idle = group->kept_value.length < 0 && group->offsets.count == 0 &&
                   group->member_count == 0 && group->promised_count == 0 && group->writing == NULL;
    if (is_idle) {
        group_free(group);
    }
    return is_idle;
}

/* ---- The table ---- */

/* Calls visit for every group; it may free the one it is given. */
static void each_group(struct group_table *table, void (*visit)(struct group *group))
{
    size_t count = table->groups.count;
    struct group **groups = memory_allocate(count * sizeof(groups[0]));
    size_t position = 0;
    for (size_t i = 0; i < count; i++) {
        groups[i] = map_next(&table->groups, &position);
    }
    for (size_t i = 0; i < count; i++) {
        visit(groups[i]);
    }
    memory_free(groups);
}

void group_table_reset(struct group_table *table)
{
    require(!table->leads);
    each_group(table, group_free);
    ensure(table->groups.count == 0 && table->offset_count == 0);
}

void group_table_free(struct group_table *table)
{
    group_table_reset(table);
    map_free(&table->groups);
    memory_free(table);
}

void group_table_set_time(struct group_table *table, int64_t now_ms, int64_t wall_ms)
{
    require(now_ms >= table->now_ms);
    table->now_ms = now_ms;
    table->wall_ms = wall_ms;
}

bool group_table_leads(const struct group_table *table)
{
    return table->leads;
}

static void begin_life(struct group *group)
{
    ensure(group->member_count == 0);
    if (!group_revive(group)) {
        group->table->records_unknown++;
    }
}

void group_table_lead(struct group_table *table)
{
    require(!table->leads);
    table->leads = true;
    each_group(table, begin_life);
}

static void fail_waiting(struct group *group)
{
    list_for_each(&group->members, node)
    {
        struct group_member *member = container_of(node, struct group_member, node);
        if (member->join != NULL) {
            group_answer_join(member, WIRE_ERROR_NOT_COORDINATOR);
        }
    }
    group_answer_syncs(group, WIRE_ERROR_NOT_COORDINATOR);
    end_life(group);
    (void)group_drop_if_idle(group);
}

void group_table_follow(struct group_table *table)
{
    require(table->leads);
    table->leads = false;
    each_group(table, fail_waiting);
}

static void tick(struct group *group)
{
    if (group->due_ms <= group->table->now_ms) {
        group_look_at_deadlines(group);
    }
}

void group_table_tick(struct group_table *table)
{
    if (table->leads) {
        each_group(table, tick);
    }
}

void group_table_stats(const struct group_table *table, struct group_stats *stats)
{
    *stats = (struct group_stats){.groups = table->groups.count,
                                  .offsets = table->offset_count,
                                  .rebalances = table->rebalances,
                                  .records_unknown = table->records_unknown};
    size_t position = 0;
    const struct group *group;
    while ((group = map_next(&table->groups, &position)) != NULL) {
        stats->members += (uint64_t)group->member_count;
    }
}
