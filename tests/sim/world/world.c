/* SPDX-License-Identifier: Apache-2.0
 *
 * world.c -- the world as a whole: its steps, its digest, what was found in it.
 */
#include "base/assert.h"
#include "fiber.h"
#include "network.h"
#include "own_memory.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)

/* Wall clocks jump on hosts up to this number; another bound would be another run for every seed.
 */
#define WALL_JUMP_HOSTS 32

struct sim_world *the_world;

struct act {
    struct list_node node;
    struct sim_event event;
    void (*run)(void *context);
    void *context;
};

/* ---- Options ---- */

struct sim_world_options sim_world_options_calm(uint64_t seed)
{
    return (struct sim_world_options){
        .seed = seed,
        .network = {.delay_least_ns = 50 * NS_PER_US,
                    .delay_most_ns = 200 * NS_PER_US,
                    .window_least_bytes = 1024 * 1024,
                    .window_most_bytes = 1024 * 1024,
                    .cut_one_in = 8},
        .disk = {.write_least_ns = 5 * NS_PER_US,
                 .write_most_ns = 50 * NS_PER_US,
                 .sync_least_ns = 100 * NS_PER_US,
                 .sync_most_ns = 2 * NS_PER_MS},
        .turn_late_most_ns = 50 * NS_PER_US,
        .turn_cost_least_ns = 5 * NS_PER_US,
        .turn_cost_most_ns = 20 * NS_PER_US,
    };
}

/* One of a few, so that some worlds are quite free of a trouble and some are full of it. */
static uint32_t one_of(struct prng *prng, const uint32_t choices[4])
{
    return choices[prng_below(prng, 4)];
}

struct sim_world_options sim_world_options_rough(uint64_t seed)
{
    static const uint32_t delays_us[4] = {200, 2000, 10000, 50000};
    static const uint32_t windows[4] = {2048, 16384, 131072, 1048576};
    static const uint32_t frames_ppm[4] = {0, 100, 5000, 30000};
    static const uint32_t rare_ppm[4] = {0, 10, 100, 1000};
    static const uint32_t syncs_us[4] = {200, 2000, 10000, 40000};
    struct sim_world_options options = sim_world_options_calm(seed);
    struct prng prng;
    prng_init(&prng, seed ^ 0x726f756768ull);
    options.network.delay_most_ns = one_of(&prng, delays_us) * NS_PER_US;
    options.network.slow_ppm = one_of(&prng, rare_ppm);
    options.network.slow_most_ns = 500 * NS_PER_MS;
    options.network.reset_ppm = one_of(&prng, rare_ppm) / 10;
    options.network.window_least_bytes = one_of(&prng, windows);
    options.network.frame_drop_ppm = one_of(&prng, frames_ppm);
    options.network.frame_repeat_ppm = one_of(&prng, frames_ppm);
    options.network.frame_late_ppm = one_of(&prng, frames_ppm);
    options.network.frame_late_most = 1 + (uint32_t)prng_below(&prng, 8);
    options.disk.sync_most_ns = one_of(&prng, syncs_us) * NS_PER_US;
    options.disk.slow_ppm = one_of(&prng, rare_ppm);
    options.disk.slow_most_ns = 2 * NS_PER_S;
    options.disk.uncached_ppm = one_of(&prng, frames_ppm) * 10;
    options.clock.drift_most_ppm = one_of(&prng, rare_ppm);
    options.clock.wall_off_most_ms = (int64_t)one_of(&prng, delays_us);
    options.clock.wall_jump_mean_ns = prng_below(&prng, 2) * 60 * NS_PER_S;
    options.turn_late_most_ns = one_of(&prng, delays_us) * NS_PER_US / 50;
    return options;
}

/* ---- Digest ---- */

static void world_digest_bytes(struct sim_world *world, const char *bytes, size_t length)
{
    uint64_t hash = 1469598103934665603ull;
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ (uint8_t)bytes[i]) * 1099511628211ull;
    }
    world_digest(world, hash);
}

void world_digest(struct sim_world *world, uint64_t value)
{
    uint64_t mixed = (world->digest ^ value) * 0x9e3779b97f4a7c15ull;
    world->digest = mixed ^ (mixed >> 29);
}

uint64_t sim_world_digest(const struct sim_world *world)
{
    return world->digest;
}

void sim_world_note(struct sim_world *world, uint64_t value)
{
    world_digest(world, value);
}

/* ---- Log lines ---- */

struct sim_log_line {
    struct list_node node;
    uint64_t number;
    uint64_t at_ns;
    size_t size;
    char text[];
};

void lines_init(struct sim_log *log)
{
    list_init(&log->lines);
    log->bytes = 0;
}

static void lines_drop_first(struct sim_log *log)
{
    struct list_node *node = list_take_first(&log->lines);
    struct sim_log_line *line = container_of(node, struct sim_log_line, node);
    log->bytes -= line->size;
    own_free(line);
}

void lines_free(struct sim_log *log)
{
    while (!list_is_empty(&log->lines)) {
        lines_drop_first(log);
    }
}

static void print_line(FILE *file, const struct sim_host *host, uint64_t at_ns, const char *text)
{
    fprintf(file, "%6" PRIu64 ".%06" PRIu64 " ", at_ns / NS_PER_S, at_ns / NS_PER_US % 1000000);
    if (host != NULL) {
        fprintf(file, "host=%u ", host->number);
    }
    fprintf(file, "%s\n", text);
}

static void lines_add(struct sim_world *world, struct sim_host *host, const char *text)
{
    struct sim_log *log = host != NULL ? &host->log : &world->log;
    size_t length = strlen(text);
    struct sim_log_line *line = own_allocate(sizeof *line + length + 1);
    line->number = world->next_line++;
    line->at_ns = world->now_ns;
    line->size = sizeof *line + length + 1;
    memcpy(line->text, text, length + 1);
    list_append(&log->lines, &line->node);
    log->bytes += line->size;
    while (log->bytes > world->options.log_bytes) {
        lines_drop_first(log);
    }
    world_digest_bytes(world, text, length);
    if (world->options.is_verbose) {
        print_line(stderr, host, line->at_ns, text);
    }
}

static void sink(enum trace_level level, const char *text, void *context)
{
    struct sim_world *world = context;
    if (level == TRACE_ERROR && world->process != NULL) {
        snprintf(world->process->last_error, sizeof world->process->last_error, "%s", text);
    }
    lines_add(world, world->host, text);
}

void sim_world_trace(struct sim_world *world, const char *format, ...)
{
    char text[1024] = "world: ";
    size_t at = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + at, sizeof text - at, format, arguments);
    va_end(arguments);
    lines_add(world, NULL, text);
}

static const struct sim_log_line *line_after(const struct sim_log *log, uint64_t number)
{
    list_for_each(&log->lines, node)
    {
        const struct sim_log_line *line = container_of(node, struct sim_log_line, node);
        if (line->number >= number) {
            return line;
        }
    }
    return NULL;
}

struct log_place {
    const struct sim_log *log;
    const struct sim_host *host;
    const struct sim_log_line *next; /* NULL: at the end */
};

static void place_advance(struct log_place *place)
{
    const struct list_node *node = place->next->node.next;
    place->next = node != &place->log->lines.head
                      ? container_of(node, const struct sim_log_line, node)
                      : NULL;
}

void sim_world_print_log(const struct sim_world *world, FILE *file)
{
    struct log_place places[SIM_HOSTS_MAX + 1] = {{&world->log, NULL, line_after(&world->log, 0)}};
    uint32_t count = 1;
    for (uint32_t i = 1; i <= SIM_HOSTS_MAX; i++) {
        if (world->hosts[i] != NULL) {
            const struct sim_log *log = &world->hosts[i]->log;
            places[count++] = (struct log_place){log, world->hosts[i], line_after(log, 0)};
        }
    }
    for (;;) {
        struct log_place *first = NULL;
        for (uint32_t i = 0; i < count; i++) {
            if (places[i].next != NULL &&
                (first == NULL || places[i].next->number < first->next->number)) {
                first = &places[i];
            }
        }
        if (first == NULL) {
            return;
        }
        print_line(file, first->host, first->next->at_ns, first->next->text);
        place_advance(first);
    }
}

/* ---- What was found ---- */

void sim_world_fail(struct sim_world *world, const char *format, ...)
{
    if (world->failure[0] != 0) {
        return;
    }
    char text[1600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char where[32] = "";
    if (world->host != NULL) {
        snprintf(where, sizeof where, " on host %u", world->host->number);
    }
    snprintf(world->failure, sizeof world->failure, "at %" PRIu64 ".%06" PRIu64 " s%s: %s",
             world->now_ns / NS_PER_S, world->now_ns / NS_PER_US % 1000000, where, text);
    lines_add(world, NULL, world->failure);
}

const char *sim_world_failure(const struct sim_world *world)
{
    return world->failure[0] != 0 ? world->failure : NULL;
}

/* ---- Beginning and end ---- */

static void wall_jumps(struct sim_event *event)
{
    struct sim_world *world = the_world;
    const struct sim_clock_options *options = &world->options.clock;
    struct sim_host *host = world->hosts[1 + prng_below(&world->turn_prng, WALL_JUMP_HOSTS)];
    if (host != NULL) {
        uint64_t most = (uint64_t)options->wall_off_most_ms;
        sim_host_jump_wall(host, (int64_t)prng_below(&world->turn_prng, 2 * most + 1) -
                                     options->wall_off_most_ms);
    }
    /* Most numbers have no host: those draws are what makes the times between jumps random. */
    sim_event_schedule(&world->events, event,
                       world->now_ns + options->wall_jump_mean_ns / WALL_JUMP_HOSTS + 1);
}

struct sim_world *sim_world_new(const struct sim_world_options *options)
{
    require(the_world == NULL);
    struct sim_world *world = own_allocate(sizeof *world);
    world->options = *options;
    if (world->options.log_bytes == 0) {
        world->options.log_bytes = 256 * 1024;
    }
    lines_init(&world->log);
    list_init(&world->connections);
    list_init(&world->acts);
    prng_init(&world->network_prng, options->seed * 8 + 1);
    prng_init(&world->disk_prng, options->seed * 8 + 2);
    prng_init(&world->turn_prng, options->seed * 8 + 3);
    prng_init(&world->identity_prng, options->seed * 8 + 4);
    prng_init(&world->test_prng, options->seed * 8 + 5);
    world->wall_jump = (struct sim_event){.kind = SIM_EVENT_WALL_JUMP, .run = wall_jumps};
    the_world = world;
    trace_install(sink, world, options->keeps_debug_lines ? TRACE_DEBUG : TRACE_INFO);
    if (options->clock.wall_jump_mean_ns > 0) {
        sim_event_schedule(&world->events, &world->wall_jump, options->clock.wall_jump_mean_ns);
    }
    return world;
}

void sim_world_free(struct sim_world *world)
{
    require(world == the_world && world->host == NULL);
    for (uint32_t i = 1; i <= SIM_HOSTS_MAX; i++) {
        if (world->hosts[i] != NULL) {
            host_free(world->hosts[i]);
        }
    }
    network_free(world);
    list_for_each(&world->acts, node)
    {
        own_free(container_of(node, struct act, node));
    }
    sim_events_free(&world->events);
    lines_free(&world->log);
    trace_install(NULL, NULL, TRACE_INFO);
    own_free(world);
    the_world = NULL;
}

/* ---- Steps ---- */

bool sim_world_step(struct sim_world *world)
{
    require(world == the_world && world->host == NULL);
    if (world->failure[0] != 0) {
        return false;
    }
    struct sim_event *event = sim_events_take(&world->events);
    if (event == NULL) {
        return false;
    }
    if (event->process != NULL && event->process->host->is_paused) {
        sim_event_schedule(&world->events, event, SIM_NEVER_NS + 1);
        return true;
    }
    ensure(event->at_ns >= world->now_ns);
    world->now_ns = event->at_ns;
    world->steps++;
    world_digest(world, event->at_ns ^ (uint64_t)event->kind << 56);
    event->run(event);
    return true;
}

void world_stir(struct sim_host *host)
{
    host->world->stirred |= UINT64_C(1) << host->number;
    host->stirred_shards = UINT32_MAX;
}

void world_stir_shard(struct sim_host *host, uint32_t shard)
{
    host->world->stirred |= UINT64_C(1) << host->number;
    host->stirred_shards |= UINT32_C(1) << shard;
}

uint64_t sim_world_take_stirred(struct sim_world *world)
{
    uint64_t stirred = world->stirred;
    world->stirred = 0;
    return stirred;
}

uint32_t sim_host_take_stirred(struct sim_host *host)
{
    uint32_t stirred = host->stirred_shards;
    host->stirred_shards = 0;
    return stirred;
}

bool sim_world_run_until(struct sim_world *world, uint64_t now_ns)
{
    while (sim_events_next_ns(&world->events) <= now_ns) {
        if (!sim_world_step(world)) {
            return false;
        }
    }
    if (now_ns > world->now_ns) {
        world->now_ns = now_ns;
    }
    return world->failure[0] == 0;
}

uint64_t sim_world_now_ns(const struct sim_world *world)
{
    return world->now_ns;
}

uint64_t sim_world_steps(const struct sim_world *world)
{
    return world->steps;
}

struct prng *sim_world_prng(struct sim_world *world)
{
    return &world->test_prng;
}

static void act_due(struct sim_event *event)
{
    struct act *act = container_of(event, struct act, event);
    void (*run)(void *context) = act->run;
    void *context = act->context;
    list_remove(&act->node);
    own_free(act);
    run(context);
}

void sim_world_schedule(struct sim_world *world, uint64_t now_ns, void (*run)(void *context),
                        void *context)
{
    struct act *act = own_allocate(sizeof *act);
    act->event = (struct sim_event){.kind = SIM_EVENT_ACT, .run = act_due};
    act->run = run;
    act->context = context;
    list_append(&world->acts, &act->node);
    sim_event_schedule(&world->events, &act->event,
                       now_ns > world->now_ns ? now_ns : world->now_ns);
}
