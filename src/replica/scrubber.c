/* SPDX-License-Identifier: Apache-2.0
 *
 * scrubber.c -- see scrubber.h.
 *
 * A group is held while a step reads it, so it is closed, reset or moved aside only between two.
 */
#include "replica/scrubber.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "replica/group_directory.h"
#include "replica/manager.h"
#include "replica/quarantine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STEP_BYTES (256u << 10)
#define FIRST_PASS_NS 10000000000ull /* a start has better things to do */
#define PAUSE_LEAST_NS 20000000ull   /* between steps, however few bytes they read */

static void due_in(struct replica_scrubber *scrubber, uint64_t delay_ns)
{
    struct replica_manager *manager = scrubber->manager;
    if (!manager->is_stopping) {
        io_timer_start(manager->loop, &scrubber->timer, io_now_ns(manager->loop) + delay_ns);
    }
}

/* ---- A pass ---- */

static int compare_ids(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;
    return a < b ? -1 : a > b;
}

static void begin_pass(struct replica_scrubber *scrubber)
{
    struct replica_manager *manager = scrubber->manager;
    const struct replica_group *group;
    size_t position = 0;
    memory_free(scrubber->ids);
    scrubber->ids = memory_allocate((manager->groups.count + 1) * sizeof scrubber->ids[0]);
    scrubber->id_count = 0;
    scrubber->at = 0;
    while ((group = replica_group_next(manager, &position)) != NULL) {
        scrubber->ids[scrubber->id_count++] = group->id;
    }
    qsort(scrubber->ids, scrubber->id_count, sizeof scrubber->ids[0], compare_ids);
    scrubber->pass_began_ns = io_now_ns(manager->loop);
}

static void end_pass(struct replica_scrubber *scrubber)
{
    struct replica_manager *manager = scrubber->manager;
    uint64_t interval_ns = manager->options.scrub_interval_ms * 1000000ull;
    uint64_t took_ns = io_now_ns(manager->loop) - scrubber->pass_began_ns;
    counter_add(&manager->stats.scrub_passes, 1);
    counter_set(&manager->stats.scrub_last_pass_ms, (uint64_t)io_wall_ms(manager->loop));
    memory_free(scrubber->ids);
    scrubber->ids = NULL;
    scrubber->id_count = 0;
    scrubber->at = 0;
    due_in(scrubber, interval_ns > took_ns ? interval_ns - took_ns : PAUSE_LEAST_NS);
}

static void next_group(struct replica_scrubber *scrubber)
{
    log_scrub_end(&scrubber->scrub);
    memset(&scrubber->scrub, 0, sizeof scrubber->scrub);
    scrubber->at++;
}

/* The group the pass is at, or the next one that can be read; NULL: none is left. */
static struct replica_group *find_group(struct replica_scrubber *scrubber)
{
    while (scrubber->at < scrubber->id_count) {
        struct replica_group *group =
            replica_group_find(scrubber->manager, scrubber->ids[scrubber->at]);
        if (group != NULL && !group->is_damaged && !group->is_installing) {
            return group;
        }
        next_group(scrubber);
    }
    return NULL;
}

/* ---- A step ---- */

static void step_ended(struct replica_scrubber *scrubber, uint64_t bytes_read)
{
    struct replica_manager *manager = scrubber->manager;
    struct replica_group *group = scrubber->group;
    counter_add(&manager->stats.scrubbed_bytes, bytes_read);
    scrubber->group = NULL;
    uint64_t pause_ns =
        (uint64_t)((double)bytes_read * 1e9 / (double)manager->options.scrub_bytes_per_second);
    due_in(scrubber, pause_ns > PAUSE_LEAST_NS ? pause_ns : PAUSE_LEAST_NS);
    replica_group_unhold(group);
}

static void found_damage(struct replica_group *group)
{
    counter_add(&group->manager->stats.scrub_damage_found, 1);
    replica_group_report_damage(group, "scrubbing found damage");
}

static void record_read(struct io_work *work)
{
    struct replica_scrubber *scrubber = container_of(work, struct replica_scrubber, record_work);
    scrubber->record_result =
        replica_record_verify(scrubber->manager->options.data_directory, scrubber->group->id);
}

static void record_done(struct io_work *work)
{
    struct replica_scrubber *scrubber = container_of(work, struct replica_scrubber, record_work);
    if (replica_read_met_damage(scrubber->record_result)) {
        found_damage(scrubber->group);
    }
    next_group(scrubber);
    step_ended(scrubber, 0);
}

static void log_step_done(struct log_scrub *scrub, int result)
{
    struct replica_scrubber *scrubber = container_of(scrub, struct replica_scrubber, scrub);
    struct replica_group *group = scrubber->group;
    uint64_t bytes_read = scrub->bytes_read;
    if (replica_read_met_damage(result)) {
        found_damage(group);
    }
    if (scrub->snapshot_is_damaged && group->state == GROUP_RUNNING) {
        counter_add(&scrubber->manager->stats.scrub_damage_found, 1);
        trace_warn("group %" PRIu64 ": its snapshot is damaged, and is written anew", group->id);
        replica_snapshot_renew(group);
    }
    if (result != 0) {
        next_group(scrubber); /* what cannot be read now is looked at in the next pass */
    }
    step_ended(scrubber, bytes_read);
}

static void step(struct replica_scrubber *scrubber, struct replica_group *group)
{
    scrubber->group = group;
    replica_group_hold(group);
    if (scrubber->scrub.stage < LOG_SCRUB_END) {
        scrubber->scrub.done = log_step_done;
        log_scrub_step(group->log, &scrubber->scrub, STEP_BYTES);
        return;
    }
    scrubber->record_work = (struct io_work){.run = record_read, .done = record_done};
    list_node_init(&scrubber->record_work.node);
    io_work_submit(scrubber->manager->loop, &scrubber->record_work);
}

static void step_due(struct io_timer *timer)
{
    struct replica_scrubber *scrubber = container_of(timer, struct replica_scrubber, timer);
    require(scrubber->group == NULL);
    if (scrubber->ids == NULL) {
        begin_pass(scrubber);
    }
    struct replica_group *group = find_group(scrubber);
    if (group == NULL) {
        end_pass(scrubber);
    } else {
        step(scrubber, group);
    }
}

/* ---- Life ---- */

void replica_scrubber_start(struct replica_scrubber *scrubber, struct replica_manager *manager)
{
    scrubber->manager = manager;
    io_timer_init(&scrubber->timer, step_due);
    uint64_t interval_ns = manager->options.scrub_interval_ms * 1000000ull;
    if (manager->options.scrub_bytes_per_second > 0) {
        due_in(scrubber, interval_ns < FIRST_PASS_NS ? interval_ns : FIRST_PASS_NS);
    }
}

void replica_scrubber_stop(struct replica_scrubber *scrubber)
{
    io_timer_stop(scrubber->manager->loop, &scrubber->timer);
}

void replica_scrubber_free(struct replica_scrubber *scrubber)
{
    require(scrubber->group == NULL);
    replica_scrubber_stop(scrubber);
    log_scrub_end(&scrubber->scrub);
    memory_free(scrubber->ids);
}
