/* SPDX-License-Identifier: Apache-2.0
 *
 * atlas.c -- draws and carries out faults; every one is a line in the world's log.
 *
 * What lasts is taken back by an act that was scheduled with it, or by atlas_calm(), whichever
 * comes first.  A host that lies down (killed, without power) is started again by the drill.
 */
#include "drill/atlas.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "base/memory.h"
#include "broker/broker_process.h"
#include "drill/drill.h"
#include "drill/rest.h"
#include "log/compaction.h"
#include "replica/group.h"
#include "wire/batch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MS 1000000ull
#define EXCUSE_NS (60000 * MS)
#define ROT_PATH_SIZE 128
#define BATCH_OFFSET_BYTES 8
#define SECTOR_BYTES 512u
#define GROUPS_PREFIX "data/groups/"

struct atlas {
    struct drill *drill;
    bool is_on;
    bool is_scheduled;
    uint64_t faults;
    struct list reliefs;
    uint32_t injured;             /* the host that lost its disk or some of it; 0: none */
    bool is_wiped;                /* the injured one lost all */
    char rot_path[ROT_PATH_SIZE]; /* where a bit of the injured one's flipped; "": nowhere */
    uint64_t rot_position;
    size_t rot_bytes;           /* of the file: compaction may put another in its place */
    uint32_t rot_length;        /* from the position on */
    uint32_t rot_crc;           /* of them */
    uint32_t swapped[2];        /* hosts that have each other's disk; 0: none */
    struct sim_disk_copy *copy; /* of a host's disk; NULL: none */
    uint32_t copied;            /* that host */
    struct cluster_directory copied_directory;
    bool is_old; /* the injured one has its copy back, and has not been found out */
    uint64_t excused_until_ns[SWARM_BROKERS_MAX + 1]; /* its disk fails by our hand */
};

/* An act that takes a fault back later. */
struct relief {
    struct list_node node; /* in the atlas, until it is due */
    struct atlas *atlas;
    uint32_t from;
    uint32_t to;
    void (*act)(struct atlas *atlas, uint32_t from, uint32_t to);
};

static uint32_t draw(struct atlas *atlas, uint32_t bound)
{
    return (uint32_t)prng_below(&atlas->drill->prng, bound);
}

static uint32_t draw_host(struct atlas *atlas)
{
    return 1 + draw(atlas, atlas->drill->swarm.brokers);
}

static uint32_t draw_client_host(struct atlas *atlas)
{
    return DRILL_FIRST_CLIENT_HOST + draw(atlas, atlas->drill->client_count);
}

static struct sim_host *host_at(struct atlas *atlas, uint32_t number)
{
    require(number > 0 && number <= atlas->drill->swarm.brokers);
    return atlas->drill->hosts[number];
}

static void relieve(void *context)
{
    struct relief *relief = context;
    list_remove(&relief->node);
    if (relief->atlas->is_on) {
        relief->act(relief->atlas, relief->from, relief->to);
    }
    memory_free(relief);
}

static void relieve_later(struct atlas *atlas, uint32_t from, uint32_t to, uint64_t delay_ns,
                          void (*act)(struct atlas *atlas, uint32_t from, uint32_t to))
{
    struct relief *relief = memory_allocate(sizeof *relief);
    *relief = (struct relief){.atlas = atlas, .from = from, .to = to, .act = act};
    list_node_init(&relief->node);
    list_append(&atlas->reliefs, &relief->node);
    sim_world_schedule(atlas->drill->world, sim_world_now_ns(atlas->drill->world) + delay_ns,
                       relieve, relief);
}

/* How long something lasts: mostly short, sometimes beyond every timeout. */
static uint64_t draw_span_ns(struct atlas *atlas)
{
    uint32_t most_ms = draw(atlas, 5) == 0 ? 8000 : 1200;
    return (20 + draw(atlas, most_ms)) * MS;
}

/* ---- Processes and power ---- */

static void fault_kill(struct atlas *atlas)
{
    sim_host_kill(host_at(atlas, draw_host(atlas)));
}

/* A host that is no broker's keeps its power: clients ask all hosts they know of, and one that is
 * silent for good would cost them more than the bounds of what follows the faults allow. */
static void cut_power(struct atlas *atlas, uint32_t host)
{
    if (!atlas->drill->is_out[host]) {
        sim_host_cut_power(host_at(atlas, host));
    }
}

static void fault_power(struct atlas *atlas)
{
    cut_power(atlas, draw_host(atlas));
}

static void fault_blackout(struct atlas *atlas)
{
    bool all = draw(atlas, 2) == 0;
    for (uint32_t i = 1; i <= atlas->drill->swarm.brokers; i++) {
        if (all || draw(atlas, 2) == 0) {
            cut_power(atlas, i);
        }
    }
}

static void fault_crash_point(struct atlas *atlas)
{
    enum sim_crash crash = draw(atlas, 2) == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER;
    sim_host_crash_at_operation(host_at(atlas, draw_host(atlas)), 1 + draw(atlas, 60), crash);
}

static void resume(struct atlas *atlas, uint32_t host, uint32_t unused)
{
    (void)unused;
    sim_host_resume(host_at(atlas, host));
}

static void fault_pause(struct atlas *atlas)
{
    uint32_t host = draw_host(atlas);
    sim_host_pause(host_at(atlas, host));
    relieve_later(atlas, host, 0, draw_span_ns(atlas), resume);
}

static void fault_restart(struct atlas *atlas)
{
    uint32_t host = draw_host(atlas);
    if (sim_host_state(host_at(atlas, host)) == SIM_HOST_RUNNING) {
        sim_host_terminate(host_at(atlas, host));
    }
}

/* ---- Network ---- */

static void heal(struct atlas *atlas, uint32_t from, uint32_t to)
{
    sim_network_heal(atlas->drill->world, from, to);
}

static void cut(struct atlas *atlas, uint32_t from, uint32_t to, uint64_t span_ns)
{
    if (from != to) {
        sim_network_cut(atlas->drill->world, from, to);
        relieve_later(atlas, from, to, span_ns, heal);
    }
}

static void fault_partition(struct atlas *atlas)
{
    uint32_t side =
        1 + draw(atlas, (1u << atlas->drill->swarm.brokers) - 2); /* neither none nor all */
    uint64_t span_ns = draw_span_ns(atlas);
    for (uint32_t i = 1; i <= atlas->drill->swarm.brokers; i++) {
        for (uint32_t j = 1; j <= atlas->drill->swarm.brokers; j++) {
            bool is_across = ((side >> (i - 1)) & 1) != ((side >> (j - 1)) & 1);
            if (is_across) {
                cut(atlas, i, j, span_ns);
            }
        }
    }
}

static void fault_one_way(struct atlas *atlas)
{
    cut(atlas, draw_host(atlas), draw_host(atlas), draw_span_ns(atlas));
}

static void fault_client_cut(struct atlas *atlas)
{
    uint32_t client = draw_client_host(atlas);
    uint32_t host = draw_host(atlas);
    uint64_t span_ns = draw_span_ns(atlas);
    uint32_t ways = 1 + draw(atlas, 3);
    if ((ways & 1) != 0) {
        cut(atlas, client, host, span_ns);
    }
    if ((ways & 2) != 0) {
        cut(atlas, host, client, span_ns);
    }
}

static void fault_reset(struct atlas *atlas)
{
    uint32_t other = draw(atlas, 2) == 0 ? draw_host(atlas) : draw_client_host(atlas);
    uint32_t host = draw_host(atlas);
    if (host != other) {
        (void)sim_network_reset(atlas->drill->world, host, other);
    }
}

static void fault_clog(struct atlas *atlas)
{
    uint32_t from = draw(atlas, 3) == 0 ? draw_client_host(atlas) : draw_host(atlas);
    uint32_t to = draw_host(atlas);
    if (from != to) {
        sim_network_clog(atlas->drill->world, from, to,
                         sim_world_now_ns(atlas->drill->world) + draw_span_ns(atlas));
    }
}

/* ---- Disks ---- */

static void excuse(struct atlas *atlas, uint32_t host)
{
    atlas->excused_until_ns[host] = sim_world_now_ns(atlas->drill->world) + EXCUSE_NS;
}

static void speed_up(struct atlas *atlas, uint32_t host, uint32_t unused)
{
    (void)unused;
    sim_disk_slow(host_at(atlas, host), 0);
}

static void fault_slow_disk(struct atlas *atlas)
{
    uint32_t host = draw_host(atlas);
    sim_disk_slow(host_at(atlas, host), (1 + draw(atlas, 300)) * MS);
    relieve_later(atlas, host, 0, draw_span_ns(atlas), speed_up);
}

static void make_room(struct atlas *atlas, uint32_t host, uint32_t unused)
{
    (void)unused;
    sim_disk_set_capacity(host_at(atlas, host), UINT64_C(1) << 40);
}

static void fault_full_disk(struct atlas *atlas)
{
    uint32_t host = draw_host(atlas);
    excuse(atlas, host);
    sim_disk_set_capacity(host_at(atlas, host),
                          sim_disk_used(host_at(atlas, host)) + draw(atlas, 65536));
    relieve_later(atlas, host, 0, draw_span_ns(atlas), make_room);
}

/* Whether some of that host's durable state may go now.  One that leaves takes what it holds to
 * others first, and cannot if it is gone. */
static bool may_injure(const struct atlas *atlas, uint32_t host)
{
    const struct drill *drill = atlas->drill;
    bool leaves = drill->crew != NULL && !drill_crew_is_idle(drill->crew);
    return atlas->injured == 0 && atlas->swapped[0] == 0 && swarm_bears_a_loss(&drill->swarm) &&
           !drill->is_out[host] && !leaves;
}

static void fault_disk_error(struct atlas *atlas)
{
    bool is_read = draw(atlas, 2) == 0;
    uint32_t host = draw_host(atlas);
    if (is_read) {
        if (!may_injure(atlas, host)) {
            return;
        }
        atlas->injured = host;
    }
    excuse(atlas, host);
    sim_disk_fault(host_at(atlas, host), is_read ? SIM_DISK_READ_FAILS : SIM_DISK_WRITE_FAILS, "");
}

/* ---- Somebody else's ---- */

static void exchange_disks(struct atlas *atlas, uint32_t one, uint32_t other)
{
    sim_host_kill(host_at(atlas, one));
    sim_host_kill(host_at(atlas, other));
    sim_host_swap_disks(host_at(atlas, one), host_at(atlas, other));
}

static void swap_back(struct atlas *atlas, uint32_t one, uint32_t other)
{
    if (one != 0 && atlas->swapped[0] == one && atlas->swapped[1] == other) {
        exchange_disks(atlas, one, other);
        atlas->swapped[0] = 0;
    }
}

/* Both are refused when they start, for as long as it lasts.  Nothing is lost by it. */
static void fault_swap(struct atlas *atlas)
{
    uint32_t one = draw_host(atlas);
    uint32_t other = draw_host(atlas);
    uint64_t span_ns = draw_span_ns(atlas);
    if (one == other || atlas->injured != 0 || atlas->swapped[0] != 0) {
        return;
    }
    excuse(atlas, one);
    excuse(atlas, other);
    exchange_disks(atlas, one, other);
    atlas->swapped[0] = one;
    atlas->swapped[1] = other;
    relieve_later(atlas, one, other, span_ns, swap_back);
}

static void check_swapped(struct atlas *atlas)
{
    for (uint32_t i = 0; atlas->swapped[0] != 0 && i < 2; i++) {
        if (sim_host_state(host_at(atlas, atlas->swapped[i])) == SIM_HOST_RUNNING) {
            sim_world_fail(atlas->drill->world,
                           "foreign-directory: broker %u runs with the data directory of broker %u",
                           atlas->swapped[i], atlas->swapped[1 - i]);
        }
    }
}

/* ---- Rot ---- */

/* The closed segments of partitions' replicas: all but the last of each group. */
struct closed_segments {
    struct atlas *atlas;
    char last[ROT_PATH_SIZE]; /* the one before in order of names: closed if the next is its group's
                               */
    char chosen[ROT_PATH_SIZE];
    uint32_t seen;
};

static bool is_segment(const char *path)
{
    size_t length = strlen(path);
    return strncmp(path, "data/groups/", 12) == 0 && strncmp(path, "data/groups/1/", 14) != 0 &&
           strstr(path, "damaged") == NULL && length > 4 && length < ROT_PATH_SIZE &&
           strcmp(path + length - 4, ".log") == 0;
}

static bool consider_segment(const char *path, uint64_t size_bytes, void *context)
{
    struct closed_segments *segments = context;
    (void)size_bytes;
    if (!is_segment(path)) {
        return true;
    }
    size_t directory = (size_t)(strrchr(path, '/') - path) + 1;
    if (strncmp(segments->last, path, directory) == 0 &&
        draw(segments->atlas, ++segments->seen) == 0) {
        memcpy(segments->chosen, segments->last, sizeof segments->chosen);
    }
    (void)snprintf(segments->last, sizeof segments->last, "%s", path);
    return true;
}

/* What a broker has checked once it sends unchecked, and the consumer's checksum does not cover the
 * base offset at a batch's beginning. */
static bool is_base_offset(const struct buf *file, uint64_t position)
{
    struct wire_batch batch;
    uint64_t at = 0;
    while (at + BATCH_OFFSET_BYTES <= position &&
           wire_batch_read(&batch, file->data + at, file->length_bytes - (size_t)at) &&
           batch.data != NULL && at + batch.total_bytes <= position) {
        at += batch.total_bytes;
    }
    return position < at + BATCH_OFFSET_BYTES;
}

/* Whether the segment lies below its log's checkpoint: only there an end that was torn by a power
 * cut cannot look the same (design/log.md).  Who is down may have ended before it wrote that. */
static bool is_below_checkpoint(struct atlas *atlas, uint32_t number, const char *path)
{
    static const struct log_compaction_rules rules = {.max_lag_ms = INT64_MAX};
    struct log_compaction_extent extent;
    struct broker *broker = sim_host_broker(host_at(atlas, number));
    uint64_t group_id = strtoull(path + strlen(GROUPS_PREFIX), NULL, 10);
    uint64_t base_offset = strtoull(strrchr(path, '/') + 1, NULL, 10);
    struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    if (group == NULL) {
        return false;
    }
    log_compaction_measure(replica_group_log(group), &rules, group->applied_index, 0, &extent);
    return base_offset < extent.end_offset;
}

static void fault_rot(struct atlas *atlas)
{
    uint32_t number = draw_host(atlas);
    struct closed_segments segments = {.atlas = atlas};
    if (!may_injure(atlas, number)) {
        return;
    }
    sim_disk_list(host_at(atlas, number), consider_segment, &segments);
    if (segments.chosen[0] == 0 || !is_below_checkpoint(atlas, number, segments.chosen)) {
        return;
    }
    struct buf *file = sim_disk_read(host_at(atlas, number), segments.chosen);
    if (file->length_bytes <= BATCH_OFFSET_BYTES) {
        buf_release(
            file); /* nothing is in it, which a snapshot's installation may leave for a while */
        return;
    }
    do {
        atlas->rot_position = prng_below(&atlas->drill->prng, file->length_bytes);
    } while (is_base_offset(file, atlas->rot_position));
    uint8_t byte = file->data[atlas->rot_position] ^ (uint8_t)(1u << draw(atlas, 8));
    atlas->rot_length = 1;
    atlas->rot_crc = crc32c(0, &byte, 1);
    memcpy(atlas->rot_path, segments.chosen, sizeof atlas->rot_path);
    atlas->rot_bytes = file->length_bytes;
    buf_release(file);
    sim_disk_set_byte(host_at(atlas, number), atlas->rot_path, atlas->rot_position, byte);
    sim_world_trace(atlas->drill->world, "host %u: byte %lu of %s is rotten", number,
                    (unsigned long)atlas->rot_position, atlas->rot_path);
    atlas->injured = number;
    atlas->drill->history.has_rot = true;
}

/* Writes to the medium what a fault made of a file's sectors. */
static void damage(struct atlas *atlas, uint32_t number, const char *path, const struct buf *file,
                   const uint8_t *image, const char *what)
{
    size_t first = file->length_bytes;
    size_t end = 0;
    for (size_t i = 0; i < file->length_bytes; i++) {
        if (file->data[i] != image[i]) {
            first = i < first ? i : first;
            end = i + 1;
            sim_disk_set_byte(host_at(atlas, number), path, i, image[i]);
        }
    }
    ensure(first < end);
    (void)snprintf(atlas->rot_path, sizeof atlas->rot_path, "%s", path);
    atlas->rot_bytes = file->length_bytes;
    atlas->rot_position = first;
    atlas->rot_length = (uint32_t)(end - first);
    atlas->rot_crc = crc32c(0, image + first, atlas->rot_length);
    atlas->injured = number;
    atlas->drill->history.has_rot = true;
    sim_world_trace(atlas->drill->world,
                    "host %u: bytes [%lu, %lu) of %s are not what was written: %s", number,
                    (unsigned long)first, (unsigned long)end, path, what);
}

/* Something differs, and where it does in a batch, also behind its base offset: see above. */
static bool can_be_told(const struct buf *file, const uint8_t *image)
{
    struct wire_batch batch;
    size_t at = 0;
    bool differs = false;
    while (wire_batch_read(&batch, file->data + at, file->length_bytes - at) &&
           batch.data != NULL) {
        bool is_moved = memcmp(file->data + at, image + at, BATCH_OFFSET_BYTES) != 0;
        bool is_altered =
            memcmp(file->data + at + BATCH_OFFSET_BYTES, image + at + BATCH_OFFSET_BYTES,
                   batch.total_bytes - BATCH_OFFSET_BYTES) != 0;
        if (is_moved && !is_altered) {
            return false;
        }
        differs = differs || is_altered;
        at += batch.total_bytes;
    }
    return differs && at == file->length_bytes;
}

/* Of one sector, the medium has what was there before: nothing.  Of a stray one another place of
 * the file has it too. */
static void lose_sector(struct atlas *atlas, bool is_stray)
{
    uint32_t number = draw_host(atlas);
    struct closed_segments segments = {.atlas = atlas};
    if (!may_injure(atlas, number)) {
        return;
    }
    sim_disk_list(host_at(atlas, number), consider_segment, &segments);
    if (segments.chosen[0] == 0 || !is_below_checkpoint(atlas, number, segments.chosen)) {
        return;
    }
    struct buf *file = sim_disk_read(host_at(atlas, number), segments.chosen);
    uint32_t sectors = (uint32_t)(file->length_bytes / SECTOR_BYTES); /* the last part is left */
    if (sectors >= 2) {
        uint8_t *image = memory_allocate(file->length_bytes);
        memcpy(image, file->data, file->length_bytes);
        size_t meant = (size_t)draw(atlas, sectors) * SECTOR_BYTES;
        size_t there = (size_t)draw(atlas, sectors) * SECTOR_BYTES;
        memset(image + meant, 0, SECTOR_BYTES);
        if (is_stray) {
            memcpy(image + there, file->data + meant, SECTOR_BYTES);
        }
        if (can_be_told(file, image)) {
            damage(atlas, number, segments.chosen, file, image,
                   is_stray ? "a write went astray" : "a write was lost");
        }
        memory_free(image);
    }
    buf_release(file);
}

static void fault_lost_write(struct atlas *atlas)
{
    lose_sector(atlas, false);
}

static void fault_stray_write(struct atlas *atlas)
{
    lose_sector(atlas, true);
}

static bool has_rot(const struct atlas *atlas)
{
    if (atlas->rot_path[0] == 0) {
        return false;
    }
    struct buf *file = sim_disk_read(atlas->drill->hosts[atlas->injured], atlas->rot_path);
    bool is_there =
        file != NULL && atlas->rot_bytes == file->length_bytes &&
        crc32c(0, file->data + atlas->rot_position, atlas->rot_length) == atlas->rot_crc;
    buf_release(file);
    return is_there;
}

static void fault_sync_error(struct atlas *atlas)
{
    uint32_t host = draw_host(atlas);
    excuse(atlas, host);
    sim_disk_fault(host_at(atlas, host), SIM_DISK_SYNC_FAILS, "");
}

static void fault_wipe(struct atlas *atlas)
{
    uint32_t voters = atlas->drill->swarm.controllers;
    if (atlas->injured != 0 || atlas->swapped[0] != 0 || voters == atlas->drill->swarm.brokers) {
        return;
    }
    uint32_t host = voters + 1 + draw(atlas, atlas->drill->swarm.brokers - voters);
    sim_host_kill(host_at(atlas, host));
    sim_host_wipe(host_at(atlas, host));
    atlas->injured = host;
    atlas->is_wiped = true;
    check_raft_injured(atlas->drill->raft, host);
}

/* ---- An older copy ---- */

static bool is_judged_old(struct atlas *atlas, uint32_t judge)
{
    struct broker *broker = sim_host_broker(host_at(atlas, judge));
    bool is_old = broker != NULL;
    for (uint32_t i = 0; is_old && i < broker_shard_count(broker); i++) {
        is_old = cluster_directory_judge(broker_shard_at(broker, i)->metadata, atlas->copied,
                                         &atlas->copied_directory) == CLUSTER_DIRECTORY_OLD_COPY;
    }
    return is_old;
}

static void take_copy(struct atlas *atlas, uint32_t host)
{
    struct broker *broker = sim_host_broker(host_at(atlas, host));
    if (broker == NULL || !broker->has_joined) {
        return;
    }
    atlas->copy = sim_disk_copy(host_at(atlas, host));
    atlas->copied = host;
    atlas->copied_directory = broker->own_directory;
    sim_world_trace(atlas->drill->world, "host %u: its disk is copied", host);
}

/* One that does not vote in the controller group gets a copy of its disk back, made before its last
 * start, of which everybody else knows: those who do not are not promised anything
 * (design/membership.md).  No other fault comes until it is found out. */
static void fault_old_copy(struct atlas *atlas)
{
    uint32_t voters = atlas->drill->swarm.controllers;
    if (voters == atlas->drill->swarm.brokers) {
        return;
    }
    if (atlas->copy == NULL) {
        take_copy(atlas, voters + 1 + draw(atlas, atlas->drill->swarm.brokers - voters));
        return;
    }
    for (uint32_t i = 1; i <= atlas->drill->swarm.brokers; i++) {
        if (i != atlas->copied && !is_judged_old(atlas, i)) {
            return;
        }
    }
    if (!may_injure(atlas, atlas->copied)) {
        return;
    }
    sim_host_kill(host_at(atlas, atlas->copied));
    sim_disk_restore(host_at(atlas, atlas->copied), atlas->copy);
    sim_disk_copy_free(atlas->copy);
    atlas->copy = NULL;
    atlas->is_old = true;
    atlas->injured = atlas->copied;
    check_raft_injured(atlas->drill->raft, atlas->copied);
    sim_world_trace(atlas->drill->world, "host %u: it has the copy of its disk", atlas->copied);
}

/* It ends with words, and is given an empty disk.  One that holds nothing is whole from its start:
 * it runs for good when it has heard of everything. */
static void watch_old_copy(struct atlas *atlas)
{
    struct sim_host *host = host_at(atlas, atlas->injured);
    enum sim_host_state state = sim_host_state(host);
    excuse(atlas, atlas->injured);
    if (rest_host_is_whole(atlas->drill, atlas->injured) &&
        rest_host_knows_the_metadata(atlas->drill, atlas->injured)) {
        sim_world_fail(atlas->drill->world, "old-copy: broker %u runs with an old copy of its disk",
                       atlas->injured);
        return;
    }
    if ((state == SIM_HOST_OFF || state == SIM_HOST_IDLE) &&
        sim_host_end(host) == SIM_END_ABANDONED &&
        strstr(sim_host_end_reason(host), "older copy") != NULL) {
        sim_host_wipe(host);
        atlas->is_old = false;
        atlas->is_wiped = true;
        check_raft_injured(atlas->drill->raft, atlas->injured);
        sim_world_trace(atlas->drill->world, "host %u: its old copy was found out", atlas->injured);
    }
}

/* ---- Clocks ---- */

static void fault_wall_jump(struct atlas *atlas)
{
    int64_t by_ms = (int64_t)draw(atlas, 120000) - 60000;
    sim_host_jump_wall(host_at(atlas, draw_host(atlas)), by_ms);
}

/* ---- The atlas ---- */

static void fault_topic_churn(struct atlas *atlas)
{
    drill_admin_churn(atlas->drill->admin, draw(atlas, 4) != 0);
}

static void fault_move(struct atlas *atlas)
{
    drill_mover_move(atlas->drill->mover, draw(atlas, 4) != 0);
}

static void fault_configs(struct atlas *atlas)
{
    drill_curator_alter(atlas->drill->curator, draw(atlas, 4) != 0);
}

static void fault_join(struct atlas *atlas)
{
    drill_crew_work(atlas->drill->crew, draw(atlas, 5) != 0);
}

static void fault_trim(struct atlas *atlas)
{
    drill_curator_trim(atlas->drill->curator, draw(atlas, 4) != 0);
}

typedef void (*fault_act)(struct atlas *atlas);

/* NULL: it is in the world from its beginning to its end. */
static const fault_act fault_acts[SWARM_FAULT_KINDS] = {
    [SWARM_KILL] = fault_kill,
    [SWARM_POWER] = fault_power,
    [SWARM_BLACKOUT] = fault_blackout,
    [SWARM_CRASH_POINT] = fault_crash_point,
    [SWARM_PAUSE] = fault_pause,
    [SWARM_PARTITION] = fault_partition,
    [SWARM_ONE_WAY] = fault_one_way,
    [SWARM_CLIENT_CUT] = fault_client_cut,
    [SWARM_RESET] = fault_reset,
    [SWARM_CLOG] = fault_clog,
    [SWARM_SLOW_DISK] = fault_slow_disk,
    [SWARM_FULL_DISK] = fault_full_disk,
    [SWARM_DISK_ERROR] = fault_disk_error,
    [SWARM_WALL_JUMP] = fault_wall_jump,
    [SWARM_RESTART] = fault_restart,
    [SWARM_WIPE] = fault_wipe,
    [SWARM_TOPIC_CHURN] = fault_topic_churn,
    [SWARM_SYNC_ERROR] = fault_sync_error,
    [SWARM_MOVE] = fault_move,
    [SWARM_ROT] = fault_rot,
    [SWARM_SWAP] = fault_swap,
    [SWARM_CONFIGS] = fault_configs,
    [SWARM_TRIM] = fault_trim,
    [SWARM_JOIN] = fault_join,
    [SWARM_LOST_WRITE] = fault_lost_write,
    [SWARM_STRAY_WRITE] = fault_stray_write,
    [SWARM_OLD_COPY] = fault_old_copy,
};

static void strike(void *context);

static void strike_later(struct atlas *atlas)
{
    uint64_t delay_ns = (1 + draw(atlas, 2 * atlas->drill->swarm.fault_mean_ms)) * MS;
    atlas->is_scheduled = true;
    sim_world_schedule(atlas->drill->world, sim_world_now_ns(atlas->drill->world) + delay_ns,
                       strike, atlas);
}

static void strike(void *context)
{
    struct atlas *atlas = context;
    enum swarm_fault chosen = SWARM_FAULT_KINDS;
    uint32_t seen = 0;
    atlas->is_scheduled = false;
    if (!atlas->is_on) {
        return;
    }
    for (uint32_t i = 0; !atlas->is_old && i < SWARM_FAULT_KINDS; i++) {
        if (atlas->drill->swarm.has[i] && fault_acts[i] != NULL && draw(atlas, ++seen) == 0) {
            chosen = (enum swarm_fault)i;
        }
    }
    if (chosen != SWARM_FAULT_KINDS) {
        sim_world_trace(atlas->drill->world, "fault %s", swarm_fault_name(chosen));
        atlas->faults++;
        check_raft_fault(atlas->drill->raft, fault_acts[chosen], atlas);
    }
    strike_later(atlas);
}

struct atlas *atlas_new(struct drill *drill)
{
    struct atlas *atlas = memory_allocate_zeroed(sizeof *atlas);
    atlas->drill = drill;
    list_init(&atlas->reliefs);
    return atlas;
}

void atlas_free(struct atlas *atlas)
{
    struct list_node *node;
    while ((node = list_take_first(&atlas->reliefs)) != NULL) {
        memory_free(container_of(node, struct relief, node)); /* the seed ended before it was due */
    }
    if (atlas->copy != NULL) {
        sim_disk_copy_free(atlas->copy);
    }
    memory_free(atlas);
}

void atlas_begin(struct atlas *atlas)
{
    require(!atlas->is_on && !atlas->is_scheduled);
    atlas->is_on = true;
    strike_later(atlas);
}

void atlas_calm(struct atlas *atlas)
{
    struct sim_network_options network = sim_world_options_calm(0).network;
    struct sim_disk_options disk = sim_world_options_calm(0).disk;
    atlas->is_on = false;
    swap_back(atlas, atlas->swapped[0], atlas->swapped[1]);
    sim_network_heal_all(atlas->drill->world);
    sim_network_set_options(atlas->drill->world, &network);
    for (uint32_t i = 1; i <= atlas->drill->swarm.brokers; i++) {
        struct sim_host *host = host_at(atlas, i);
        sim_host_resume(host);
        sim_host_crash_at_operation(host, 0, SIM_CRASH_KILL);
        sim_disk_slow(host, 0);
        sim_disk_drop_faults(host);
        sim_disk_set_options(host, &disk);
        sim_disk_set_capacity(host, UINT64_C(1) << 40);
    }
    drill_admin_churn(atlas->drill->admin, false);
    if (atlas->drill->mover != NULL) {
        drill_mover_move(atlas->drill->mover, false);
    }
    if (atlas->drill->curator != NULL) {
        drill_curator_alter(atlas->drill->curator, false);
        drill_curator_trim(atlas->drill->curator, false);
    }
    if (atlas->drill->crew != NULL) {
        drill_crew_work(atlas->drill->crew, false);
    }
    atlas_watch(atlas);
}

bool atlas_excuses(const struct atlas *atlas, uint32_t host)
{
    return sim_world_now_ns(atlas->drill->world) < atlas->excused_until_ns[host];
}

bool atlas_has_injured(const struct atlas *atlas)
{
    return atlas->injured != 0;
}

bool atlas_has_wiped(const struct atlas *atlas)
{
    return atlas->injured != 0 && atlas->is_wiped;
}

void atlas_watch(struct atlas *atlas)
{
    check_swapped(atlas);
    if (atlas->is_old) {
        watch_old_copy(atlas);
        return;
    }
    if (atlas->injured != 0 && !sim_disk_has_fault(host_at(atlas, atlas->injured)) &&
        !has_rot(atlas) && rest_host_is_whole(atlas->drill, atlas->injured) &&
        !rest_vote_is_missing(atlas->drill, atlas->injured)) {
        sim_world_trace(atlas->drill->world, "host %u is whole again", atlas->injured);
        atlas->injured = 0;
        atlas->is_wiped = false;
        atlas->rot_path[0] = 0;
        atlas->drill->history.has_rot = false;
    }
}

uint64_t atlas_faults(const struct atlas *atlas)
{
    return atlas->faults;
}
