/* SPDX-License-Identifier: Apache-2.0
 *
 * world_smoke.c -- three whole brokers come up, elect a controller and register; and the same seed
 * does the same twice.
 *
 *     world_smoke [--seed N] [--seeds N] [--seconds N] [--calm] [--verbose]
 */
#include "broker/broker.h"
#include "broker/config_table.h"
#include "broker/controller.h"
#include "world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BROKERS 3
#define SHARDS 2
#define NS_PER_S 1000000000ull
#define READY_SECONDS 30

struct arguments {
    uint64_t seed;
    uint64_t seeds;
    uint64_t seconds;
    bool is_calm;
    bool is_verbose;
};

/* Every broker knows a controller and sees all brokers registered. */
static bool cluster_is_ready(struct sim_world *world)
{
    for (uint32_t i = 1; i <= BROKERS; i++) {
        struct broker *broker = sim_host_broker(sim_host_at(world, i));
        if (broker == NULL) {
            return false;
        }
        struct broker_shard *shard = broker_shard_at(broker, 0);
        size_t position = 0;
        uint32_t registered = 0;
        while (cluster_broker_next(shard->metadata, &position) != NULL) {
            registered++;
        }
        if (controller_leader(shard) == 0 || registered != BROKERS) {
            return false;
        }
    }
    return true;
}

static void stop_all(struct sim_world *world)
{
    for (uint32_t i = 1; i <= BROKERS; i++) {
        sim_host_terminate(sim_host_at(world, i));
    }
}

static bool all_ended(struct sim_world *world)
{
    for (uint32_t i = 1; i <= BROKERS; i++) {
        if (sim_host_state(sim_host_at(world, i)) != SIM_HOST_IDLE) {
            return false;
        }
    }
    return true;
}

static bool wait_for(struct sim_world *world, bool (*is_true)(struct sim_world *world),
                     const char *what)
{
    uint64_t end_ns = sim_world_now_ns(world) + READY_SECONDS * NS_PER_S;
    while (!is_true(world)) {
        if (!sim_world_step(world) || sim_world_now_ns(world) > end_ns) {
            sim_world_fail(world, "not in %d s: %s", READY_SECONDS, what);
            return false;
        }
    }
    return true;
}

static void live(struct sim_world *world, const struct arguments *arguments)
{
    if (wait_for(world, cluster_is_ready, "a controller and three brokers") &&
        sim_world_run_until(world, sim_world_now_ns(world) + arguments->seconds * NS_PER_S)) {
        stop_all(world);
        wait_for(world, all_ended, "a clean end");
    }
    for (uint32_t i = 1; i <= BROKERS; i++) {
        struct sim_host *host = sim_host_at(world, i);
        if (sim_host_end(host) != SIM_END_CLEAN) {
            sim_world_fail(world, "broker %u did not end clean: %s", i, sim_host_end_reason(host));
        }
    }
}

/* The digest, or 0 when something was found. */
static uint64_t run(const struct arguments *arguments, uint64_t seed)
{
    struct sim_world_options options =
        arguments->is_calm ? sim_world_options_calm(seed) : sim_world_options_rough(seed);
    options.is_verbose = arguments->is_verbose;
    struct sim_world *world = sim_world_new(&options);
    struct broker_config configs[BROKERS];
    for (uint32_t i = 0; i < BROKERS; i++) {
        struct sim_host *host = sim_host_new(world, i + 1);
        sim_broker_config(&configs[i], host, BROKERS, SHARDS);
        sim_host_start_broker(host, &configs[i]);
    }
    clock_t begin = clock();
    live(world, arguments);
    double spent_s = (double)(clock() - begin) / CLOCKS_PER_SEC;
    double simulated_s = (double)sim_world_now_ns(world) / (double)NS_PER_S;
    uint64_t digest = sim_world_digest(world);
    printf("seed %" PRIu64 ": %.1f s simulated, %" PRIu64 " steps, %.0f times real time, digest "
           "%016" PRIx64 "\n",
           seed, simulated_s, sim_world_steps(world), simulated_s / spent_s, digest);
    if (sim_world_failure(world) != NULL) {
        sim_world_print_log(world, stderr);
        fprintf(stderr, "seed %" PRIu64 ": %s\n", seed, sim_world_failure(world));
        digest = 0;
    }
    for (uint32_t i = 0; i < BROKERS; i++) {
        sim_host_kill(sim_host_at(world, i + 1));
        broker_config_free(&configs[i]);
    }
    sim_world_free(world);
    return digest;
}

static bool read_arguments(int count, char **words, struct arguments *arguments)
{
    *arguments = (struct arguments){.seed = 1, .seeds = 1, .seconds = 20};
    for (int i = 1; i < count; i++) {
        if (strcmp(words[i], "--calm") == 0) {
            arguments->is_calm = true;
        } else if (strcmp(words[i], "--verbose") == 0) {
            arguments->is_verbose = true;
        } else if (i + 1 == count) {
            return false;
        } else if (strcmp(words[i], "--seed") == 0) {
            arguments->seed = strtoull(words[++i], NULL, 10);
        } else if (strcmp(words[i], "--seeds") == 0) {
            arguments->seeds = strtoull(words[++i], NULL, 10);
        } else if (strcmp(words[i], "--seconds") == 0) {
            arguments->seconds = strtoull(words[++i], NULL, 10);
        } else {
            return false;
        }
    }
    return true;
}

int main(int count, char **words)
{
    struct arguments arguments;
    if (!read_arguments(count, words, &arguments)) {
        fprintf(stderr,
                "usage: world_smoke [--seed N] [--seeds N] [--seconds N] [--calm] [--verbose]\n");
        return 2;
    }
    for (uint64_t i = 0; i < arguments.seeds; i++) {
        uint64_t seed = arguments.seed + i;
        uint64_t digest = run(&arguments, seed);
        if (digest == 0) {
            return 1;
        }
        if (run(&arguments, seed) != digest) {
            fprintf(stderr, "seed %" PRIu64 " did not do the same twice\n", seed);
            return 1;
        }
    }
    return 0;
}
