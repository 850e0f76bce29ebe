/* SPDX-License-Identifier: Apache-2.0
 *
 * check_replicas.c -- at rest the replicas of a partition hold the same bytes.
 *
 *   replica-divergence    two replicas differ in a batch that both hold below the high watermark,
 * or one has a hole there
 *
 * Read from the hosts' files, past all code under test but the batch head's: segments in order of
 * their names, whose base offsets ascend with them.
 */
#include "drill/check.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/map.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "drill/drill.h"
#include "drill/rest.h"
#include "wire/batch.h"

#include <stdio.h>
#include <string.h>

/* What the first host that was read holds. */
struct held_batch {
    uint32_t crc;
    uint32_t host;
};

struct reading {
    struct drill *drill;
    uint32_t host;
    uint64_t group_id;
    int64_t end_offset;   /* the high watermark: what is compared lies below */
    int64_t start_offset; /* the log's: what stands below it is on its way out */
    int64_t next_offset;  /* -1: nothing read yet */
    char prefix[64];
    struct map *batches; /* base offset + 1 -> struct held_batch */
};

static bool is_segment(const struct reading *reading, const char *path)
{
    const char *place = strstr(path, reading->prefix);
    size_t length = strlen(path);
    return place != NULL && strchr(place + strlen(reading->prefix), '/') == NULL && length > 4 &&
           strcmp(path + length - 4, ".log") == 0;
}

static void compare(struct reading *reading, const struct wire_batch *batch)
{
    uint32_t crc = crc32c(0, batch->data, batch->total_bytes);
    uint64_t key = (uint64_t)batch->base_offset + 1;
    struct held_batch *held = map_get(reading->batches, key);
    bool follows =
        reading->next_offset <= reading->start_offset || batch->base_offset == reading->next_offset;
    if (!follows) {
        sim_world_fail(reading->drill->world,
                       "replica-divergence: group %lu, broker %u: %ld follows on %ld",
                       (unsigned long)reading->group_id, reading->host, (long)batch->base_offset,
                       (long)reading->next_offset);
    }
    if (held == NULL) {
        held = memory_allocate(sizeof *held);
        *held = (struct held_batch){crc, reading->host};
        (void)map_put(reading->batches, key, held);
    } else if (held->crc != crc) {
        sim_world_fail(reading->drill->world,
                       "replica-divergence: group %lu at offset %ld: brokers %u and %u differ",
                       (unsigned long)reading->group_id, (long)batch->base_offset, held->host,
                       reading->host);
    }
    reading->next_offset = batch->base_offset + batch->last_offset_delta + 1;
}

static bool read_segment(const char *path, uint64_t size_bytes, void *context)
{
    struct reading *reading = context;
    (void)size_bytes;
    if (!is_segment(reading, path)) {
        return true;
    }
    struct buf *file = sim_disk_read(reading->drill->hosts[reading->host], path);
    size_t done = 0;
    struct wire_batch batch;
    while (file != NULL && reading->next_offset < reading->end_offset &&
           wire_batch_read(&batch, file->data + done, file->length_bytes - done) &&
           batch.data != NULL && batch.base_offset < reading->end_offset) {
        compare(reading, &batch);
        done += batch.total_bytes;
    }
    buf_release(file);
    return true;
}

static void read_replica(struct drill *drill, uint32_t host, uint64_t group_id, struct map *batches)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    if (group == NULL) {
        return;
    }
    struct reading reading = {
        .drill = drill,
        .host = host,
        .group_id = group_id,
        .end_offset = (int64_t)replica_high_watermark(group),
        .start_offset = (int64_t)log_start_offset(replica_group_log(group)),
        .next_offset = -1,
        .batches = batches,
    };
    (void)snprintf(reading.prefix, sizeof reading.prefix, "groups/%lu/", (unsigned long)group_id);
    sim_disk_list(drill->hosts[host], read_segment, &reading);
    if (reading.end_offset > reading.start_offset && reading.next_offset < reading.end_offset) {
        sim_world_fail(drill->world,
                       "replica-divergence: group %lu, broker %u: its files end at %ld, below %ld",
                       (unsigned long)group_id, host, (long)reading.next_offset,
                       (long)reading.end_offset);
    }
}

static void check_group(struct drill *drill, uint64_t group_id)
{
    struct map batches;
    struct held_batch *held;
    size_t position = 0;
    map_init(&batches);
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        read_replica(drill, i, group_id, &batches);
    }
    while ((held = map_next(&batches, &position)) != NULL) {
        memory_free(held);
    }
    map_free(&batches);
}

void check_replicas_equal(struct drill *drill)
{
    const struct cluster_metadata *metadata = NULL;
    for (uint32_t i = 1; i <= drill->swarm.brokers && metadata == NULL; i++) {
        struct broker *broker = sim_host_broker(drill->hosts[i]);
        metadata = broker == NULL ? NULL : broker_shard_at(broker, 0)->metadata;
    }
    require(metadata != NULL);
    const struct cluster_topic *topic;
    size_t position = 0;
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            check_group(drill, topic->partitions[i].group_id);
        }
    }
}
