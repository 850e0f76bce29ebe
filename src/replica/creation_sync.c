/* SPDX-License-Identifier: Apache-2.0
 *
 * creation_sync.c -- making the directories of new groups durable, all of a turn in one flush,
 * ahead of the first save of any of them.  Flushes run in the order they were submitted, so no save
 * that reports itself done stands in a directory that a power cut could take.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"

#include <stdio.h>

struct creation_flush {
    struct io_flush flush;
    struct replica_manager *manager;
    uint32_t file_count;
    struct io_file **files;
    struct io_flush_step *steps; /* one for each file, and one for groups/ */
    char path[REPLICA_PATH_SIZE];
};

void replica_creation_note(struct replica_group *group, struct io_file *record_file)
{
    require(group->record_file == NULL && record_file != NULL);
    group->record_file = record_file;
    list_append(&group->manager->created, &group->created_node);
}

static void done(struct io_flush *flush)
{
    struct creation_flush *creation = container_of(flush, struct creation_flush, flush);
    struct replica_manager *manager = creation->manager;
    for (uint32_t i = 0; i < creation->file_count; i++) {
        io_file_release(creation->files[i]);
    }
    manager->works--;
    if (flush->result < 0) {
        replica_manager_disk_failed(manager, flush->result);
    }
    memory_free(creation->files);
    memory_free(creation->steps);
    memory_free(creation);
    replica_manager_wake(manager);
}

static uint32_t count_created(const struct replica_manager *manager)
{
    uint32_t count = 0;
    list_for_each(&manager->created, node)
    {
        count++;
    }
    return count;
}

void replica_creation_sync(struct replica_manager *manager)
{
    uint32_t count = count_created(manager);
    if (count == 0) {
        return;
    }
    struct creation_flush *creation = memory_allocate_zeroed(sizeof *creation);
    creation->manager = manager;
    creation->files = memory_allocate(count * sizeof(struct io_file *));
    creation->steps = memory_allocate_zeroed((count + 1) * sizeof *creation->steps);
    snprintf(creation->path, sizeof creation->path, "%s/groups", manager->options.data_directory);
    struct list_node *node;
    while ((node = list_take_first(&manager->created)) != NULL) {
        struct replica_group *group = container_of(node, struct replica_group, created_node);
        ensure(creation->file_count < count);
        creation->steps[creation->file_count] =
            (struct io_flush_step){.kind = IO_FLUSH_SYNC, .file = group->record_file};
        creation->files[creation->file_count++] = group->record_file;
        group->record_file = NULL;
    }
    creation->steps[count] =
        (struct io_flush_step){.kind = IO_FLUSH_SYNC_DIRECTORY, .path = creation->path};
    list_node_init(&creation->flush.node);
    creation->flush.steps = creation->steps;
    creation->flush.step_count = count + 1;
    creation->flush.done = done;
    manager->works++;
    io_flush_submit(manager->loop, &creation->flush);
}
