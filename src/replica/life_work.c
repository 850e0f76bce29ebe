/* SPDX-License-Identifier: Apache-2.0
 *
 * life_work.c -- opening and closing groups on the worker thread, several in one work.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "replica/manager.h"

static void run(struct io_work *work)
{
    struct replica_life_work *life = container_of(work, struct replica_life_work, work);
    list_for_each(&life->closes, node)
    {
        replica_close_run(container_of(node, struct replica_close, node));
    }
    list_for_each(&life->opens, node)
    {
        replica_open_run(container_of(node, struct replica_open, node));
    }
}

static void done(struct io_work *work)
{
    struct replica_life_work *life = container_of(work, struct replica_life_work, work);
    struct replica_manager *manager = container_of(life, struct replica_manager, life);
    life->is_running = false;
    manager->works--;
    struct list_node *node;
    while ((node = list_take_first(&life->closes)) != NULL) {
        replica_close_done(container_of(node, struct replica_close, node));
    }
    while ((node = list_take_first(&life->opens)) != NULL) {
        replica_open_done(container_of(node, struct replica_open, node));
    }
    replica_manager_wake(manager);
}

void replica_life_submit(struct replica_manager *manager)
{
    struct replica_life_work *life = &manager->life;
    if (life->is_running ||
        (list_is_empty(&manager->opens_waiting) && list_is_empty(&manager->closes_waiting))) {
        return;
    }
    ensure(list_is_empty(&life->opens) && list_is_empty(&life->closes));
    uint32_t closes = 0;
    list_for_each(&manager->closes_waiting, waiting)
    {
        struct replica_group *group = container_of(waiting, struct replica_group, close_node);
        if (closes < REPLICA_LIFE_BATCH && (group->log == NULL || log_is_idle(group->log))) {
            list_remove(waiting);
            list_append(&life->closes, &replica_close_new(group)->node);
            closes++;
        } /* else someone still reads the log; when that is done there is another turn */
    }
    struct list_node *node;
    for (uint32_t i = 0; i < REPLICA_LIFE_BATCH; i++) {
        if ((node = list_take_first(&manager->opens_waiting)) == NULL) {
            break;
        }
        list_append(&life->opens, node);
    }
    if (list_is_empty(&life->closes) && list_is_empty(&life->opens)) {
        return;
    }
    life->is_running = true;
    manager->works++;
    life->work.run = run;
    life->work.done = done;
    list_node_init(&life->work.node);
    io_work_submit(manager->loop, &life->work);
}
