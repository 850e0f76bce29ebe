/* SPDX-License-Identifier: Apache-2.0
 *
 * replica_files.c -- see replica_files.h.
 */
#include "drill/replica_files.h"

#include "base/buf.h"
#include "broker/broker.h"
#include "drill/drill.h"
#include "drill/rest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
    struct replica_files files;
    void (*take)(const struct replica_files *files, const struct wire_batch *batch);
    int64_t next_offset; /* -1: nothing read yet */
    bool is_compacted;
    char prefix[64];
};

static bool is_segment(const struct reading *reading, const char *path)
{
    const char *place = strstr(path, reading->prefix);
    size_t length = strlen(path);
    return place != NULL && strchr(place + strlen(reading->prefix), '/') == NULL && length > 4 &&
           strcmp(path + length - 4, ".log") == 0;
}

static bool is_left_over(const struct reading *reading, const char *path)
{
    int64_t base_offset = strtoll(strrchr(path, '/') + 1, NULL, 10);
    return reading->is_compacted && base_offset < reading->next_offset;
}

static void take_batch(struct reading *reading, const struct wire_batch *batch)
{
    const struct replica_files *files = &reading->files;
    bool follows =
        reading->next_offset <= files->start_offset || batch->base_offset == reading->next_offset;
    if (!follows) {
        sim_world_fail(files->drill->world,
                       "replica-divergence: group %lu, broker %u: %ld follows on %ld",
                       (unsigned long)files->group_id, files->host, (long)batch->base_offset,
                       (long)reading->next_offset);
    }
    reading->take(files, batch);
    reading->next_offset = batch->base_offset + batch->last_offset_delta + 1;
}

static bool read_segment(const char *path, uint64_t size_bytes, void *context)
{
    struct reading *reading = context;
    const struct replica_files *files = &reading->files;
    (void)size_bytes;
    if (!is_segment(reading, path) || is_left_over(reading, path)) {
        return true;
    }
    struct buf *file = sim_disk_read(files->drill->hosts[files->host], path);
    size_t done = 0;
    struct wire_batch batch;
    while (file != NULL && reading->next_offset < files->end_offset &&
           wire_batch_read(&batch, file->data + done, file->length_bytes - done) &&
           batch.data != NULL && batch.base_offset < files->end_offset) {
        take_batch(reading, &batch);
        done += batch.total_bytes;
    }
    buf_release(file);
    return true;
}

bool replica_files_read(struct drill *drill, uint32_t host, uint64_t group_id, bool is_compacted,
                        void (*take)(const struct replica_files *files,
                                     const struct wire_batch *batch),
                        void *context)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    if (group == NULL) {
        return false;
    }
    struct reading reading = {
        .files = {.drill = drill,
                  .host = host,
                  .group_id = group_id,
                  .start_offset = (int64_t)log_start_offset(replica_group_log(group)),
                  .end_offset = (int64_t)replica_high_watermark(group),
                  .context = context},
        .take = take,
        .next_offset = -1,
        .is_compacted = is_compacted,
    };
    const struct replica_files *files = &reading.files;
    (void)snprintf(reading.prefix, sizeof reading.prefix, "groups/%lu/", (unsigned long)group_id);
    sim_disk_list(drill->hosts[host], read_segment, &reading);
    if (files->end_offset > files->start_offset && reading.next_offset < files->end_offset) {
        sim_world_fail(drill->world,
                       "replica-divergence: group %lu, broker %u: its files end at %ld, below %ld",
                       (unsigned long)group_id, host, (long)reading.next_offset,
                       (long)files->end_offset);
    }
    return true;
}
