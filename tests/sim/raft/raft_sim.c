/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_sim.c -- the consensus core under random misfortune, many small worlds, one seed each.
 *
 *     raft_sim --seed 1 [--seeds 500] [--seconds 60] [--verbose]
 *
 * Runs --seeds worlds (default 1), or as many as --seconds of real time hold.  The last line tells
 * how much was simulated; tools/run_soak reads it.  A failing seed is named and ends the program,
 * which tells then how much was simulated before (last_words.h).
 *
 * Locality: one thread; a clock only to know when to stop.
 */
#include "course.h"
#include "last_words.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double real_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double simulated_seconds(const struct course_totals *totals)
{
    return (double)totals->ticks * COURSE_TICK_MS / 1000;
}

static void print_totals(uint64_t first_seed, const struct course_totals *totals, double seconds)
{
    double simulated = simulated_seconds(totals);
    printf("raft_sim: seeds %" PRIu64 " to %" PRIu64 ", %" PRIu64 " steps, %.0f simulated seconds, "
           "%.1f seconds, %.0f times real time: ok\n",
           first_seed, first_seed + totals->seeds - 1, totals->steps, simulated, seconds,
           simulated / seconds);
}

struct request {
    uint64_t seed;
    uint64_t seeds;
    double seconds; /* 0: no bound */
    FILE *trace;
};

static struct request read_arguments(int argc, char **argv)
{
    struct request request = {.seed = 1, .seeds = 1};
    for (int i = 1; i < argc; ++i) {
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            request.seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seeds") == 0 && i + 1 < argc) {
            request.seeds = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) {
            request.seconds = strtod(argv[++i], NULL);
            request.seeds = UINT64_MAX;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            request.trace = stdout;
            setvbuf(stdout, NULL, _IOLBF, 0); /* or a failing seed takes its last lines along */
        } else {
            fprintf(stderr, "usage: raft_sim [--seed N] [--seeds K] [--seconds S] [--verbose]\n");
            exit(2);
        }
    }
    return request;
}

int main(int argc, char **argv)
{
    struct request request = read_arguments(argc, argv);
    struct course_totals totals = {0};
    double begun = real_seconds();
    last_words_install();
    for (uint64_t i = 0; i < request.seeds; ++i) {
        if (request.seconds > 0 && real_seconds() - begun >= request.seconds)
            break;
        last_words_prepare(&(struct last_words){.program = argv[0],
                                                .options = "",
                                                .seed = request.seed + i,
                                                .steps = totals.steps,
                                                .simulated_s = simulated_seconds(&totals)});
        course_run(request.seed + i, request.trace, &totals);
    }
    print_totals(request.seed, &totals, real_seconds() - begun);
    return 0;
}
