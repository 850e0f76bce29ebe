/* SPDX-License-Identifier: Apache-2.0
 *
 * broker_sim.c -- whole brokers, their clients and every kind of fault in one process, from a seed.
 *
 *   broker_sim [--seed N] [--seeds COUNT] [--seconds REAL] [--seed-file FILE] [--with FAULTS]
 *              [--keep-going] [--verbose]
 *
 * Runs COUNT seeds from N on, or as many as begin within REAL seconds, or those that the lines of
 * FILE begin with ("seed [with=FAULTS] why").  FAULTS, names of swarm.h with commas between, exist
 * in every one of these worlds, beside those that the seed draws.  Exit status 0: nothing was
 * found; 1: a seed failed, and how to see it again was printed; 2: wrong arguments.  A signal that
 * ends the program is preceded by that, too.
 */
#include "drill/drill.h"
#include "last_words.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEED_LINE_SIZE 512
#define OPTIONS_SIZE 512
#define WITH_PREFIX "with="
#define HEAP_KEPT_BYTES (1 << 30)
#define HEAP_GROWN_BYTES (16 << 20)

struct arguments {
    uint64_t seed;
    uint64_t seeds; /* 0: until the seconds are over */
    uint64_t seconds;
    const char *seed_file;
    const char *with;
    bool keep_going;
    bool is_verbose;
};

struct run {
    const char *program;
    const struct arguments *arguments;
    struct drill_totals totals;
    uint64_t done;
    uint64_t failed;
    double begin_s;
};

static double clock_s(clockid_t clock)
{
    struct timespec now;
    (void)clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool parse_number(const char *text, uint64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == 0;
}

static bool parse(int count, char **texts, struct arguments *arguments)
{
    *arguments = (struct arguments){.seed = 1, .with = ""};
    for (int i = 1; i < count; i++) {
        const char *value = i + 1 < count ? texts[i + 1] : "";
        uint64_t *number = strcmp(texts[i], "--seed") == 0      ? &arguments->seed
                           : strcmp(texts[i], "--seeds") == 0   ? &arguments->seeds
                           : strcmp(texts[i], "--seconds") == 0 ? &arguments->seconds
                                                                : NULL;
        if (number != NULL) {
            if (!parse_number(value, number)) {
                return false;
            }
            i++;
        } else if (strcmp(texts[i], "--seed-file") == 0 && value[0] != 0) {
            arguments->seed_file = value;
            i++;
        } else if (strcmp(texts[i], "--with") == 0 && swarm_names_are_known(value)) {
            arguments->with = value;
            i++;
        } else if (strcmp(texts[i], "--keep-going") == 0) {
            arguments->keep_going = true;
        } else if (strcmp(texts[i], "--verbose") == 0) {
            arguments->is_verbose = true;
        } else {
            return false;
        }
    }
    if (arguments->seeds == 0 && arguments->seconds == 0) {
        arguments->seeds = 1;
    }
    return true;
}

/* False: no further seed is to be run. */
static bool run_seed(struct run *run, uint64_t seed, const char *with)
{
    char options[OPTIONS_SIZE];
    (void)snprintf(options, sizeof options, "%s%s", with[0] == 0 ? "" : "--with ", with);
    last_words_prepare(&(struct last_words){.program = run->program,
                                            .options = options,
                                            .seed = seed,
                                            .steps = run->totals.steps,
                                            .simulated_s = (double)run->totals.simulated_ns / 1e9});
    bool good = drill_run(seed, with, run->arguments->is_verbose, run->program, &run->totals);
    run->done++;
    run->failed += !good;
    return good || run->arguments->keep_going;
}

static bool time_is_over(const struct run *run)
{
    return run->arguments->seconds != 0 &&
           clock_s(CLOCK_MONOTONIC) - run->begin_s >= (double)run->arguments->seconds;
}

static void run_range(struct run *run)
{
    const struct arguments *arguments = run->arguments;
    for (uint64_t i = 0; arguments->seeds == 0 || i < arguments->seeds; i++) {
        if (time_is_over(run) || !run_seed(run, arguments->seed + i, arguments->with)) {
            return;
        }
    }
}

/* Cuts the line behind its seed; the faults that follow it, or "". */
static const char *split_line(char *line)
{
    size_t length = strcspn(line, " \t\n");
    char *rest = line[length] == 0 ? line + length : line + length + 1;
    line[length] = 0;
    if (strncmp(rest, WITH_PREFIX, strlen(WITH_PREFIX)) != 0) {
        return "";
    }
    rest += strlen(WITH_PREFIX);
    rest[strcspn(rest, " \t\n")] = 0;
    return rest;
}

/* False when the file cannot be read, or a line makes no sense. */
static bool run_file(struct run *run)
{
    char line[SEED_LINE_SIZE];
    FILE *file = fopen(run->arguments->seed_file, "r");
    if (file == NULL) {
        fprintf(stderr, "broker_sim: %s: %s\n", run->arguments->seed_file, strerror(errno));
        return false;
    }
    bool goes_on = true;
    bool is_good = true;
    while (goes_on && is_good && fgets(line, sizeof line, file) != NULL) {
        uint64_t seed;
        const char *with = line[0] == '#' ? "" : split_line(line);
        if (line[0] != '#') {
            is_good = parse_number(line, &seed) && swarm_names_are_known(with);
            goes_on = is_good && run_seed(run, seed, with);
        }
    }
    (void)fclose(file);
    if (!is_good) {
        fprintf(stderr, "broker_sim: %s: no seed, or no faults: %s\n", run->arguments->seed_file,
                line);
    }
    return is_good;
}

/* Measured in the time of one core, which a busy machine does not change. */
static void print_totals(const struct run *run)
{
    double real_s = clock_s(CLOCK_MONOTONIC) - run->begin_s;
    double core_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    double simulated_s = (double)run->totals.simulated_ns / 1e9;
    printf("seeds %" PRIu64 " failed %" PRIu64 " steps %" PRIu64 " simulated %.1f s in %.1f s, "
           "%.1f s of a core, %.0f times as fast; faults %" PRIu64 " acked %" PRIu64
           " read %" PRIu64 " committed %" PRIu64 " generations %" PRIu64
           " offsets committed %" PRIu64 " compacted %" PRIu64 " configs %" PRIu64 " trims %" PRIu64
           " joined %" PRIu64 " left %" PRIu64 " digest %016" PRIx64 "\n",
           run->done, run->failed, run->totals.steps, simulated_s, real_s, core_s,
           simulated_s / core_s, run->totals.faults, run->totals.acked, run->totals.read,
           run->totals.commits, run->totals.generations, run->totals.group_commits,
           run->totals.compacted, run->totals.altered, run->totals.trimmed, run->totals.joined,
           run->totals.left, run->totals.digest);
}

/* The next seed wants as much again: a heap that is given back to the kernel in between comes back
 * page by page. */
static void keep_freed_memory(void)
{
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
    (void)mallopt(M_TOP_PAD, HEAP_GROWN_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_KEPT_BYTES);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    if (!parse(argc, argv, &arguments)) {
        fprintf(stderr, "usage: broker_sim [--seed N] [--seeds COUNT] [--seconds REAL] "
                        "[--seed-file FILE] [--with FAULTS] [--keep-going] [--verbose]\n");
        return 2;
    }
    last_words_install();
    keep_freed_memory();
    struct run run = {
        .program = argv[0], .arguments = &arguments, .begin_s = clock_s(CLOCK_MONOTONIC)};
    if (arguments.seed_file == NULL) {
        run_range(&run);
    } else if (!run_file(&run)) {
        return 2;
    }
    print_totals(&run);
    return run.failed == 0 ? 0 : 1;
}
