/* SPDX-License-Identifier: Apache-2.0
 *
 * disk_pulse.c -- see disk_pulse.h.
 */
#include "broker/disk_pulse.h"

#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"

#include <inttypes.h>

#define LOOK_NS 1000000000ull

struct disk_pulse {
    struct broker_shard *shard;
    struct io_timer timer;
    bool is_hung;
};

static void hand_over(struct broker_shard *shard)
{
    struct replica_group *group = NULL;
    size_t position = 0;
    while ((group = replica_group_next(shard->replicas, &position)) != NULL) {
        (void)replica_transfer_leadership(group, 0); /* refused where it does not lead */
    }
}

static void set_hung(struct disk_pulse *pulse, bool is_hung, uint64_t waits_ns)
{
    struct broker_shard *shard = pulse->shard;
    pulse->is_hung = is_hung;
    counter_set(&shard->stats.shards_with_hung_disk, is_hung);
    if (is_hung) {
        atomic_fetch_add(&shard->broker->shards_with_hung_disk, 1);
        trace_error("the disk under %s does not answer: a flush has been under way for %" PRIu64
                    " ms; what this shard leads is handed over",
                    shard->config->data_directory, waits_ns / 1000000);
    } else {
        atomic_fetch_sub(&shard->broker->shards_with_hung_disk, 1);
        trace_info("the disk under %s answers again", shard->config->data_directory);
    }
}

static void look_due(struct io_timer *timer)
{
    struct disk_pulse *pulse = container_of(timer, struct disk_pulse, timer);
    struct broker_shard *shard = pulse->shard;
    uint64_t waits_ns = replica_flush_waits_ns(shard->replicas);
    bool is_hung = waits_ns > DISK_PULSE_HUNG_NS;
    if (is_hung != pulse->is_hung) {
        set_hung(pulse, is_hung, waits_ns);
    }
    if (is_hung) {
        hand_over(shard);
    }
    io_timer_start(shard->loop, timer, io_now_ns(shard->loop) + LOOK_NS);
}

struct disk_pulse *disk_pulse_new(struct broker_shard *shard)
{
    struct disk_pulse *pulse = memory_allocate_zeroed(sizeof *pulse);
    pulse->shard = shard;
    io_timer_init(&pulse->timer, look_due);
    return pulse;
}

void disk_pulse_start(struct disk_pulse *pulse)
{
    io_timer_start(pulse->shard->loop, &pulse->timer, io_now_ns(pulse->shard->loop) + LOOK_NS);
}

void disk_pulse_stop(struct disk_pulse *pulse)
{
    io_timer_stop(pulse->shard->loop, &pulse->timer);
}

void disk_pulse_free(struct disk_pulse *pulse)
{
    memory_free(pulse);
}
