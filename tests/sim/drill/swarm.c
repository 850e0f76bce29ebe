/* SPDX-License-Identifier: Apache-2.0
 *
 * swarm.c -- draws a seed's world.
 *
 * Its generator is apart from the world's, so a new kind of draw here changes nothing there but
 * what was drawn.
 */
#include "drill/swarm.h"

#include "base/assert.h"

#include <string.h>

/* So that scrubbing meets everything else. */
#define SCRUB_MS_IN_HASTE 2000

struct fault_row {
    const char *name;
    uint32_t percent;
};

static const struct fault_row fault_rows[SWARM_FAULT_KINDS] = {
#define SWARM_ROW(name, text, percent) [name] = {text, percent},
    SWARM_FAULTS(SWARM_ROW)
#undef SWARM_ROW
};

const char *swarm_fault_name(enum swarm_fault fault)
{
    require(fault < SWARM_FAULT_KINDS);
    return fault_rows[fault].name;
}

/* The fault that names begins with, and where the next name is (NULL: nowhere).
 * SWARM_FAULT_KINDS: there is none of that name. */
static enum swarm_fault first_of(const char *names, const char **next)
{
    size_t length = strcspn(names, ",");
    *next = names[length] == 0 ? NULL : names + length + 1;
    uint32_t fault = 0;
    while (fault < SWARM_FAULT_KINDS && (strlen(fault_rows[fault].name) != length ||
                                         strncmp(fault_rows[fault].name, names, length) != 0)) {
        fault++;
    }
    return (enum swarm_fault)fault;
}

bool swarm_names_are_known(const char *names)
{
    const char *next = names[0] == 0 ? NULL : names;
    bool are_known = true;
    while (next != NULL && are_known) {
        are_known = first_of(next, &next) != SWARM_FAULT_KINDS;
    }
    return are_known;
}

static uint32_t between(struct prng *prng, uint32_t least, uint32_t most)
{
    require(least <= most);
    return least + (uint32_t)prng_below(prng, (uint64_t)most - least + 1);
}

static bool chance(struct prng *prng, uint32_t percent)
{
    return prng_below(prng, 100) < percent;
}

static void draw_size(struct swarm *swarm, struct prng *prng)
{
    static const uint32_t brokers[] = {3, 3, 3, 3, 4, 5, 5, 7};
    swarm->brokers = brokers[prng_below(prng, sizeof brokers / sizeof brokers[0])];
    swarm->controllers = swarm->brokers >= 5 && chance(prng, 50) ? 5 : 3;
    swarm->shards = between(prng, 1, SWARM_SHARDS_MAX);
    swarm->heartbeat_ms = between(prng, 20, 150);
    swarm->election_ms = swarm->heartbeat_ms * between(prng, 4, 8);
    swarm->election_ms = swarm->election_ms < 150 ? 150 : swarm->election_ms;
    swarm->retention_check_ms = between(prng, 100, 3000);
}

static void draw_topics(struct swarm *swarm, struct prng *prng)
{
    swarm->topic_count = between(prng, 1, SWARM_TOPICS_MAX - 1);
    bool has_few_replicas = chance(prng, 12);
    for (uint32_t i = 0; i < swarm->topic_count; i++) {
        struct swarm_topic *topic = &swarm->topics[i];
        topic->partitions = between(prng, 1, 3);
        topic->replicas = swarm->brokers >= 5 && chance(prng, 30) ? 5 : 3;
        if (has_few_replicas && chance(prng, 60)) {
            topic->replicas = between(prng, 1, 2);
        }
        topic->segment_bytes = chance(prng, 70) ? between(prng, 4096, 65536) : 1u << 20;
        topic->retention_bytes = chance(prng, 30) ? (int64_t)topic->segment_bytes * 3 : -1;
    }
}

static void draw_load(struct swarm *swarm, struct prng *prng)
{
    swarm->producers = between(prng, 1, 3);
    swarm->consumers = between(prng, 1, 2);
    swarm->produce_mean_ms = chance(prng, 25) ? between(prng, 5, 20) : between(prng, 30, 300);
    swarm->records_most = between(prng, 1, 6);
    swarm->record_bytes_most = chance(prng, 20) ? 4000 : between(prng, 20, 400);
    swarm->window = between(prng, 1, 5);
}

static void draw_group(struct swarm *swarm, struct prng *prng)
{
    swarm->members = chance(prng, 50) ? between(prng, 1, 3) : 0;
    swarm->group_delay_ms = chance(prng, 50) ? between(prng, 1, 1000) : 0;
}

static void draw_faults(struct swarm *swarm, struct prng *prng)
{
    swarm->safety_ms = between(prng, 8000, 40000);
    swarm->fault_mean_ms = between(prng, 400, 4000);
    for (uint32_t i = 0; i < SWARM_LATER_FAULTS; i++) {
        swarm->has[i] = chance(prng, fault_rows[i].percent);
    }
    swarm->has[SWARM_WIPE] = swarm->has[SWARM_WIPE] && swarm_bears_a_loss(swarm);
}

static void draw_compaction(struct swarm *swarm, struct prng *prng)
{
    swarm->compaction_check_ms =
        chance(prng, 70) ? between(prng, 10, 300) : between(prng, 300, 3000);
    for (uint32_t i = 0; i < swarm->topic_count; i++) {
        struct swarm_topic *topic = &swarm->topics[i];
        topic->key_count = chance(prng, 75) ? between(prng, 1, SWARM_KEYS_MAX) : 0;
        topic->key_bytes = chance(prng, 80) ? between(prng, 4, 40) : between(prng, 2000, 6000);
        topic->compacted_segment_bytes = between(prng, 2048, 16384);
        topic->dirty_percent = chance(prng, 50) ? 0 : between(prng, 1, 60);
        topic->min_lag_ms = chance(prng, 80) ? 0 : between(prng, 1, 2000);
        topic->deletes_too = chance(prng, 30);
        topic->keeps_tombstones = chance(prng, 50);
        topic->tombstone_ms = chance(prng, 50) ? 0 : between(prng, 1, 3000);
    }
}

static void draw_latest_faults(struct swarm *swarm, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed ^ 0x6c6174657374ull);
    draw_compaction(swarm, &prng);
    if (chance(&prng, 50)) {
        return;
    }
    for (uint32_t i = SWARM_LATEST_FAULTS; i < SWARM_LAST_FAULTS; i++) {
        swarm->has[i] = chance(&prng, fault_rows[i].percent);
    }
}

uint32_t swarm_key_bytes(const struct swarm *swarm, uint32_t number)
{
    bool has_keys = swarm_key_count(swarm, number) > 0;
    return has_keys ? swarm->topics[number % swarm->topic_count].key_bytes : 0;
}

static void draw_later_faults(struct swarm *swarm, uint64_t seed)
{
    struct prng prng;
    prng_init(&prng, seed ^ 0x6c61746572666cull);
    if (chance(&prng, 50)) {
        return;
    }
    for (uint32_t i = SWARM_LATER_FAULTS; i < SWARM_LATEST_FAULTS; i++) {
        swarm->has[i] = chance(&prng, fault_rows[i].percent);
    }
}

uint32_t swarm_key_count(const struct swarm *swarm, uint32_t number)
{
    require(swarm->topic_count > 0);
    return swarm->has[SWARM_COMPACT] ? swarm->topics[number % swarm->topic_count].key_count : 0;
}

bool swarm_bears_a_loss(const struct swarm *swarm)
{
    for (uint32_t i = 0; i < swarm->topic_count; i++) {
        if (swarm->topics[i].replicas < 3) {
            return false;
        }
    }
    return true;
}

/* Brokers come and go: three found the cluster, and one of these at least is always there; no topic
 * needs more.  Whose disk is whose, and who has lost one, would be told apart by nobody. */
static void settle_joins(struct swarm *swarm)
{
    if (!swarm->has[SWARM_JOIN]) {
        return;
    }
    swarm->controllers = 3;
    swarm->brokers = swarm->brokers == 3 ? 5 : swarm->brokers;
    for (uint32_t i = 0; i < swarm->topic_count; i++) {
        swarm->topics[i].replicas = swarm->topics[i].replicas > 3 ? 3 : swarm->topics[i].replicas;
    }
    swarm->has[SWARM_WIPE] = false;
    swarm->has[SWARM_SWAP] = false;
    swarm->has[SWARM_OLD_COPY] = false;
}

/* Only scrubbing finds it where nobody reads, and the world waits for that. */
static bool has_damage(const struct swarm *swarm)
{
    return swarm->has[SWARM_ROT] || swarm->has[SWARM_LOST_WRITE] || swarm->has[SWARM_STRAY_WRITE];
}

/* A world that is not in haste goes at about the pace of brokers as they are shipped, so that a
 * second of it is worth a second. */
static void settle_pace(struct swarm *swarm)
{
    struct prng prng;
    prng_init(&prng, swarm->seed ^ 0x6861737465ull);
    swarm->scrub_ms = SCRUB_MS_IN_HASTE;
    uint32_t heartbeat_ms = between(&prng, 100, 200);
    uint32_t election_ms = heartbeat_ms * between(&prng, 4, 8);
    bool is_in_haste = chance(&prng, fault_rows[SWARM_HASTE].percent);
    swarm->has[SWARM_HASTE] = swarm->has[SWARM_HASTE] || is_in_haste;
    if (swarm->has[SWARM_HASTE]) {
        return;
    }
    swarm->heartbeat_ms = heartbeat_ms;
    swarm->election_ms = election_ms;
    swarm->produce_mean_ms *= swarm->produce_mean_ms < 30 ? 10 : 1;
    swarm->compaction_check_ms = between(&prng, 300, 3000);
    swarm->retention_check_ms = between(&prng, 1000, 10000);
    swarm->scrub_ms = has_damage(swarm) ? between(&prng, 2000, 6000) : between(&prng, 5000, 30000);
    swarm->burst_ms = between(&prng, 2000, 8000);
    swarm->lull_ms = between(&prng, 2000, 8000);
    swarm->world.network.cut_one_in = 32;
    swarm->world.disk.cached_ppm = 900000;
}

static void add_faults(struct swarm *swarm, const char *names)
{
    const char *next = names[0] == 0 ? NULL : names;
    require(swarm_names_are_known(names));
    while (next != NULL) {
        swarm->has[first_of(next, &next)] = true;
    }
    swarm->has[SWARM_WIPE] = swarm->has[SWARM_WIPE] && swarm_bears_a_loss(swarm);
}

void swarm_draw(struct swarm *swarm, uint64_t seed, const char *names)
{
    struct prng prng;
    memset(swarm, 0, sizeof *swarm);
    swarm->seed = seed;
    prng_init(&prng, seed ^ 0x64726c6c73776172ull);
    draw_size(swarm, &prng);
    draw_topics(swarm, &prng);
    draw_load(swarm, &prng);
    draw_faults(swarm, &prng);
    swarm->world = chance(&prng, 20) ? sim_world_options_calm(seed) : sim_world_options_rough(seed);
    draw_later_faults(swarm, seed);
    draw_latest_faults(swarm, seed);
    draw_group(swarm, &prng);
    settle_joins(swarm);
    add_faults(swarm, names);
    settle_joins(swarm);
    settle_pace(swarm);
}

void swarm_print(const struct swarm *swarm, FILE *file)
{
    fprintf(file,
            "swarm: brokers=%u controllers=%u shards=%u heartbeat=%ums election=%ums producers=%u "
            "consumers=%u members=%u every=%ums burst=%ums lull=%ums records<=%u bytes<=%u "
            "window=%u safety=%ums "
            "fault-every=%ums "
            "topics=",
            swarm->brokers, swarm->controllers, swarm->shards, swarm->heartbeat_ms,
            swarm->election_ms, swarm->producers, swarm->consumers, swarm->members,
            swarm->produce_mean_ms, swarm->burst_ms, swarm->lull_ms, swarm->records_most,
            swarm->record_bytes_most, swarm->window, swarm->safety_ms, swarm->fault_mean_ms);
    for (uint32_t i = 0; i < swarm->topic_count; i++) {
        const struct swarm_topic *topic = &swarm->topics[i];
        fprintf(file, "%s%ux%u/%u%s", i == 0 ? "" : ",", topic->partitions, topic->replicas,
                swarm_key_count(swarm, i) > 0 ? topic->compacted_segment_bytes
                                              : topic->segment_bytes,
                topic->retention_bytes < 0 ? "" : "r");
        if (swarm_key_count(swarm, i) > 0) {
            fprintf(file, "c%u", topic->key_count);
        }
    }
    fprintf(file, " faults=");
    const char *separator = "";
    for (uint32_t i = 0; i < SWARM_FAULT_KINDS; i++) {
        if (swarm->has[i]) {
            fprintf(file, "%s%s", separator, fault_rows[i].name);
            separator = ",";
        }
    }
    fprintf(file, "\n");
}
