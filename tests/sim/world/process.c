/* SPDX-License-Identifier: Apache-2.0
 *
 * process.c -- a broker's process from broker_start() to its end, whichever that is.
 *
 * A process ends in the middle of its own code by leaving its stack for good: a fiber gives way and
 * never comes back, a turn jumps out to the scheduler.  Its memory is then released as a whole, so
 * nothing has to be unwound.
 */
#include "io/process.h"
#include "base/assert.h"
#include "broker/broker.h"
#include "fiber.h"
#include "internal.h"
#include "kernel.h"
#include "own_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void process_main(void *context)
{
    struct sim_process *process = context;
    struct sim_host *host = process->host;
    char error[512] = "";
    struct broker *broker = broker_start(process->config, error, sizeof error);
    if (broker == NULL) {
        process_end_here(SIM_END_REFUSED, error);
    }
    process->broker = broker;
    host->state = SIM_HOST_RUNNING;
    if (process->is_stop_wanted) {
        process_ask_to_stop(process);
    }
    int status = broker_wait(broker);
    process->broker = NULL;
    broker_free(broker);
    if (status != 0) {
        process_end_here(SIM_END_ABANDONED, process->last_error);
    }
    process_end_here(SIM_END_CLEAN, "");
}

void process_start(struct sim_host *host, const struct broker_config *config)
{
    require(host->process == NULL && host->client_loop == NULL);
    struct sim_process *process = own_allocate(sizeof *process);
    process->host = host;
    process->config = config;
    list_init(&process->fibers);
    list_init(&process->loops);
    list_init(&process->files);
    prng_init(&process->prng, prng_next(&host->world->identity_prng));
    host->process = process;
    world_stir(host);
    host->state = SIM_HOST_STARTING;
    host->starts++;
    process->main = fiber_new(process, process_main, process);
}

void process_ask_to_stop(struct sim_process *process)
{
    process->is_stop_wanted = true;
    if (process->broker != NULL) {
        process->host->state = SIM_HOST_STOPPING;
        broker_request_stop(process->broker);
    }
}

void process_loop_ended(struct sim_process *process)
{
    ensure(process->loops_running > 0);
    process->loops_running--;
    if (process->loops_running == 0 && process->is_joining) {
        fiber_unpark(process->main);
    }
}

static void process_check_clean(struct sim_process *process)
{
    if (process->memory.block_count > 0) {
        sim_world_fail(process->host->world,
                       "broker %u left %llu blocks of memory (%llu bytes) after a clean end",
                       process->host->number, (unsigned long long)process->memory.block_count,
                       (unsigned long long)process->memory.block_bytes);
    }
}

void process_destroy(struct sim_process *process)
{
    struct sim_host *host = process->host;
    static const char *const words[] = {
        [SIM_END_NONE] = "",
        [SIM_END_CLEAN] = "ended",
        [SIM_END_REFUSED] = "refused to start",
        [SIM_END_ABANDONED] = "gave up",
        [SIM_END_KILLED] = "was killed",
        [SIM_END_POWER_CUT] = "lost power",
    };
    if (process->end == SIM_END_CLEAN) {
        process_check_clean(process);
    }
    bool in_silence = process->end == SIM_END_POWER_CUT;
    world_stir(host);
    fiber_release_all(process);
    list_for_each(&process->loops, node)
    {
        loop_abandon(loop_of_process_node(node));
    }
    kernel_close_listeners(host, in_silence);
    kernel_close_ends(host, in_silence);
    kernel_close_files(process);
    memory_release_all(process);
    host->process = NULL;
    host->is_paused = false;
    host->crash_in = 0;
    host->state = in_silence ? SIM_HOST_OFF : SIM_HOST_IDLE;
    host->end = process->end;
    snprintf(host->end_reason, sizeof host->end_reason, "%s", process->reason);
    if (in_silence) {
        kernel_lose_power(host);
    }
    sim_world_trace(host->world, "broker %u %s%s%s", host->number, words[process->end],
                    process->reason[0] != 0 ? ": " : "", process->reason);
    own_free(process);
}

void process_kill(struct sim_process *process, enum sim_end end)
{
    require(the_world->process == NULL);
    process->is_ending = true;
    process->end = end;
    process_destroy(process);
}

_Noreturn void process_end_here(enum sim_end end, const char *reason)
{
    struct sim_world *world = the_world;
    struct sim_process *process = world->process;
    require(process != NULL && !process->is_ending);
    process->is_ending = true;
    process->end = end;
    snprintf(process->reason, sizeof process->reason, "%s", reason);
    if (world->fiber != NULL) {
        fiber_leave();
    }
    longjmp(world->turn_exit, 1);
}

_Noreturn void io_process_end(int status)
{
    struct sim_process *process = the_world->process;
    require(process != NULL && status != 0);
    process_end_here(SIM_END_ABANDONED, process->last_error);
}

/* The process that is wrong ends here; the world goes no further. */
_Noreturn void assert_failed(const char *kind, const char *expression, const char *file, int line)
{
    struct sim_world *world = the_world;
    if (world == NULL || world->process == NULL || world->process->is_ending) {
        fprintf(stderr, "assertion failed: %s(%s) at %s:%d\n", kind, expression, file, line);
        if (world != NULL && world->failure[0] != 0) {
            fprintf(stderr, "before that: %s\n", world->failure);
        }
        fflush(stderr);
        abort();
    }
    sim_world_fail(world, "assertion failed: %s(%s) at %s:%d", kind, expression, file, line);
    process_end_here(SIM_END_KILLED, "assertion failed");
}
