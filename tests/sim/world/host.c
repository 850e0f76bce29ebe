/* SPDX-License-Identifier: Apache-2.0
 *
 * host.c -- hosts: power, clocks, the processes on them as a test starts and ends them.
 */
#include "base/assert.h"
#include "broker/config_table.h"
#include "disk.h"
#include "fiber.h"
#include "kernel.h"
#include "loop_parts.h"
#include "network.h"
#include "own_memory.h"

#include <stdio.h>
#include <string.h>

#define WALL_BEGIN_MS 1767225600000 /* 2026-01-01 */
#define CLOCK_BEGIN_MOST_NS 1000000000000000ull
#define NS_PER_MS 1000000u
#define PPM 1000000

struct sim_host *sim_host_new(struct sim_world *world, uint32_t number)
{
    require(number >= 1 && number <= SIM_HOSTS_MAX && world->hosts[number] == NULL);
    struct sim_host *host = own_allocate(sizeof *host);
    const struct sim_clock_options *clock = &world->options.clock;
    struct prng *prng = &world->turn_prng;
    host->world = world;
    host->number = number;
    host->state = SIM_HOST_IDLE;
    snprintf(host->address, sizeof host->address, "127.0.0.%u", number);
    host->clock_base_ns = 1 + prng_below(prng, CLOCK_BEGIN_MOST_NS);
    host->drift_ppm =
        (int64_t)sim_between(prng, 0, 2 * clock->drift_most_ppm) - clock->drift_most_ppm;
    host->wall_off_ms = (int64_t)sim_between(prng, 0, 2 * (uint64_t)clock->wall_off_most_ms) -
                        clock->wall_off_most_ms;
    host->disk = disk_new();
    list_init(&host->faults);
    list_init(&host->listeners);
    list_init(&host->ends);
    lines_init(&host->log);
    sim_disk_set_options(host, &world->options.disk);
    world->hosts[number] = host;
    return host;
}

void host_free(struct sim_host *host)
{
    if (host->process != NULL) {
        process_kill(host->process, SIM_END_KILLED);
    }
    if (host->client_loop != NULL) {
        loop_free_client(host->client_loop);
    }
    sim_disk_drop_faults(host);
    list_for_each(&host->ends, node)
    {
        list_remove(node); /* the connections go after all hosts */
    }
    lines_free(&host->log);
    disk_free(host->disk);
    host->world->hosts[host->number] = NULL;
    own_free(host);
}

struct sim_host *sim_host_at(struct sim_world *world, uint32_t number)
{
    return number <= SIM_HOSTS_MAX ? world->hosts[number] : NULL;
}

uint32_t sim_host_number(const struct sim_host *host)
{
    return host->number;
}

const char *sim_host_address(const struct sim_host *host)
{
    return host->address;
}

bool host_has_power(const struct sim_host *host)
{
    return host->state != SIM_HOST_OFF;
}

/* ---- Clocks ---- */

static int64_t drift_ns(const struct sim_host *host, uint64_t now_ns)
{
    return (int64_t)(now_ns / PPM) * host->drift_ppm;
}

static uint64_t clock_at(const struct sim_host *host, uint64_t now_ns)
{
    return host->clock_base_ns + now_ns + (uint64_t)drift_ns(host, now_ns);
}

uint64_t host_clock_ns(const struct sim_host *host)
{
    return clock_at(host, host->world->now_ns);
}

uint64_t sim_host_clock_ns(const struct sim_host *host)
{
    return host_clock_ns(host);
}

/* The drift is small, so a guess is soon right. */
uint64_t host_when_ns(const struct sim_host *host, uint64_t clock_ns)
{
    uint64_t now_ns = host->world->now_ns;
    uint64_t clock_now_ns = clock_at(host, now_ns);
    if (clock_ns - clock_now_ns > SIM_NEVER_NS) { /* in the past */
        return now_ns;
    }
    uint64_t at_ns = now_ns + (clock_ns - clock_now_ns);
    if (host->drift_ppm != 0) {
        at_ns -= (uint64_t)(drift_ns(host, at_ns) - drift_ns(host, now_ns));
        while (clock_at(host, at_ns) < clock_ns) {
            at_ns += clock_ns - clock_at(host, at_ns);
        }
    }
    return at_ns > now_ns ? at_ns : now_ns;
}

int64_t sim_host_wall_ms(const struct sim_host *host)
{
    return WALL_BEGIN_MS + (int64_t)(host->world->now_ns / NS_PER_MS) + host->wall_off_ms;
}

void sim_host_jump_wall(struct sim_host *host, int64_t by_ms)
{
    host->wall_off_ms += by_ms;
    sim_world_trace(host->world, "wall clock of host %u jumps by %lld ms", host->number,
                    (long long)by_ms);
}

/* ---- Processes ---- */

static void set(struct broker_config *config, const char *key, const char *value)
{
    char error[256];
    const struct config_row *row = config_row_find(key);
    require(row != NULL);
    bool is_set = broker_config_set(config, row, value, error, sizeof error);
    require(is_set);
}

void sim_broker_config(struct broker_config *config, const struct sim_host *host,
                       uint32_t controller_count, uint32_t shards)
{
    char text[SIM_HOSTS_MAX * 32] = "";
    char error[256];
    broker_config_init(config);
    snprintf(text, sizeof text, "%u", host->number);
    set(config, "broker_id", text);
    set(config, "data_directory", "data");
    snprintf(text, sizeof text, "%u", shards);
    set(config, "shards", text);
    snprintf(text, sizeof text, "%s:9092", host->address);
    set(config, "kafka_listener", text);
    snprintf(text, sizeof text, "%s:9192", host->address);
    set(config, "peer_listener", text);
    set(config, "admin_listener", "127.0.0.1:0");
    size_t at = 0;
    for (uint32_t i = 1; i <= controller_count; i++) {
        int printed =
            snprintf(text + at, sizeof text - at, "%s%u@127.0.0.%u:9192", i > 1 ? "," : "", i, i);
        at += (size_t)printed;
    }
    set(config, "controllers", text);
    bool is_finished = broker_config_finish(config, error, sizeof error);
    require(is_finished);
}

void sim_host_start_broker(struct sim_host *host, const struct broker_config *config)
{
    bool had_power = host_has_power(host);
    require(host->process == NULL);
    sim_world_trace(host->world, "broker %u starts", host->number);
    process_start(host, config);
    if (!had_power) {
        network_restart_ways(host->world);
    }
}

void sim_host_terminate(struct sim_host *host)
{
    if (host->process != NULL) {
        sim_world_trace(host->world, "broker %u is asked to stop", host->number);
        process_ask_to_stop(host->process);
    }
}

void sim_host_kill(struct sim_host *host)
{
    if (host->process != NULL) {
        process_kill(host->process, SIM_END_KILLED);
    }
}

void sim_host_cut_power(struct sim_host *host)
{
    require(host->client_loop == NULL);
    network_watch_silence(host->world);
    if (host->process != NULL) {
        process_kill(host->process, SIM_END_POWER_CUT);
    } else if (host_has_power(host)) {
        host->state = SIM_HOST_OFF;
        kernel_lose_power(host);
        sim_world_trace(host->world, "host %u lost power", host->number);
    }
}

void sim_host_pause(struct sim_host *host)
{
    if (host->process != NULL && !host->is_paused) {
        host->is_paused = true;
        sim_world_trace(host->world, "broker %u is paused", host->number);
    }
}

void sim_host_resume(struct sim_host *host)
{
    if (!host->is_paused) {
        return;
    }
    host->is_paused = false;
    sim_world_trace(host->world, "broker %u goes on", host->number);
    list_for_each(&host->process->loops, node)
    {
        loop_resume(loop_of_process_node(node));
    }
    fiber_resume_all(host->process);
}

bool sim_host_is_paused(const struct sim_host *host)
{
    return host->is_paused;
}

void sim_host_crash_at_operation(struct sim_host *host, uint64_t count, enum sim_crash crash)
{
    host->crash_in = count;
    host->crash = crash;
}

uint64_t sim_host_operations(const struct sim_host *host)
{
    return host->operations;
}

enum sim_host_state sim_host_state(const struct sim_host *host)
{
    return host->state;
}

struct broker *sim_host_broker(const struct sim_host *host)
{
    return host->process != NULL ? host->process->broker : NULL;
}

enum sim_end sim_host_end(const struct sim_host *host)
{
    return host->end;
}

const char *sim_host_end_reason(const struct sim_host *host)
{
    return host->end_reason;
}

uint32_t sim_host_starts(const struct sim_host *host)
{
    return host->starts;
}

void sim_host_memory(const struct sim_host *host, uint64_t *allocations, uint64_t *bytes)
{
    *allocations = host->process != NULL ? host->process->memory.block_count : 0;
    *bytes = host->process != NULL ? host->process->memory.block_bytes : 0;
}

struct io_loop *sim_host_loop(struct sim_host *host)
{
    require(host->process == NULL && host->world->process == NULL);
    if (host->client_loop == NULL) {
        host->client_loop = loop_new_for_client(host, prng_next(&host->world->identity_prng) | 1);
    }
    return host->client_loop;
}
