/* SPDX-License-Identifier: Apache-2.0
 *
 * world_crash.c -- a broker that crashes at its n-th file operation, for every n of its first start
 * and of its clean end, comes back and joins the others.
 *
 *     world_crash [--every N]    only each N-th operation
 */
#include "broker/broker.h"
#include "broker/config_table.h"
#include "broker/controller.h"
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BROKERS 3
#define SHARDS 2
#define NS_PER_S 1000000000ull
#define PATIENCE_NS (60 * NS_PER_S)

static bool broker_is_ready(struct sim_world *world, uint32_t number)
{
    struct broker *broker = sim_host_broker(sim_host_at(world, number));
    if (broker == NULL) {
        return false;
    }
    struct broker_shard *shard = broker_shard_at(broker, 0);
    size_t position = 0;
    uint32_t registered = 0;
    while (cluster_broker_next(shard->metadata, &position) != NULL) {
        registered++;
    }
    return controller_leader(shard) != 0 && registered == BROKERS;
}

static bool has_ended(struct sim_world *world, uint32_t number)
{
    enum sim_host_state state = sim_host_state(sim_host_at(world, number));
    return state == SIM_HOST_IDLE || state == SIM_HOST_OFF;
}

static bool is_ready_or_ended(struct sim_world *world, uint32_t number)
{
    return has_ended(world, number) || broker_is_ready(world, number);
}

static bool wait_for(struct sim_world *world,
                     bool (*is_true)(struct sim_world *world, uint32_t number), uint32_t number,
                     const char *what)
{
    uint64_t end_ns = sim_world_now_ns(world) + PATIENCE_NS;
    while (!is_true(world, number)) {
        if (!sim_world_step(world) || sim_world_now_ns(world) > end_ns) {
            sim_world_fail(world, "broker %" PRIu32 ": %s", number, what);
            return false;
        }
    }
    return true;
}

/* False when the broker had fewer file operations than that in its life. */
static bool crash_once(struct sim_world *world, struct broker_config *configs, uint64_t operation,
                       enum sim_crash crash)
{
    struct sim_host *host = sim_host_at(world, 1);
    for (uint32_t i = 1; i <= BROKERS; i++) {
        sim_host_start_broker(sim_host_at(world, i), &configs[i - 1]);
    }
    sim_host_crash_at_operation(host, operation, crash);
    if (wait_for(world, is_ready_or_ended, 1, "neither ready nor crashed") &&
        !has_ended(world, 1)) {
        sim_host_terminate(host);
        wait_for(world, has_ended, 1, "does not end");
    }
    if (sim_host_end(host) == SIM_END_CLEAN) {
        return false;
    }
    if (sim_world_failure(world) == NULL) {
        sim_host_start_broker(host, &configs[0]);
        for (uint32_t i = 1; i <= BROKERS; i++) {
            wait_for(world, broker_is_ready, i, "not ready after the crash");
        }
    }
    return true;
}

/* True when there are operations behind this one. */
static bool run(uint64_t operation, enum sim_crash crash, bool *has_failed)
{
    struct sim_world_options options = sim_world_options_calm(operation);
    struct sim_world *world = sim_world_new(&options);
    struct broker_config configs[BROKERS];
    for (uint32_t i = 0; i < BROKERS; i++) {
        sim_broker_config(&configs[i], sim_host_new(world, i + 1), BROKERS, SHARDS);
    }
    bool goes_on = crash_once(world, configs, operation, crash);
    if (sim_world_failure(world) != NULL) {
        sim_world_print_log(world, stderr);
        fprintf(stderr, "%s at operation %" PRIu64 ": %s\n",
                crash == SIM_CRASH_POWER ? "power cut" : "kill", operation,
                sim_world_failure(world));
        *has_failed = true;
    }
    for (uint32_t i = 0; i < BROKERS; i++) {
        sim_host_kill(sim_host_at(world, i + 1));
        broker_config_free(&configs[i]);
    }
    sim_world_free(world);
    return goes_on;
}

int main(int count, char **words)
{
    bool has_failed = false;
    uint64_t every =
        count == 3 && strcmp(words[1], "--every") == 0 ? strtoull(words[2], NULL, 10) : 1;
    if (every == 0 || (count != 1 && count != 3)) {
        fprintf(stderr, "usage: world_crash [--every N]\n");
        return 2;
    }
    static const enum sim_crash crashes[] = {SIM_CRASH_KILL, SIM_CRASH_POWER};
    for (size_t i = 0; i < sizeof crashes / sizeof crashes[0] && !has_failed; i++) {
        uint64_t operation = 1;
        while (run(operation, crashes[i], &has_failed) && !has_failed) {
            operation += every;
        }
        printf("%s: %" PRIu64 " operations\n", crashes[i] == SIM_CRASH_POWER ? "power" : "kill",
               operation);
    }
    return has_failed ? 1 : 0;
}
