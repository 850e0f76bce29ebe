/* SPDX-License-Identifier: Apache-2.0
 *
 * drill.c -- runs one seed through its phases.
 *
 * Rules checked here:
 *   stuck           a phase that must end does not within its bound of simulated time, though
 * nothing is injured any more: topics are not made, a partition takes no write, readers do not
 *                   reach the end, replicas do not agree, a broker does not end
 *   gave-up         a process ended by itself, or refused to start, and no fault of a disk explains
 * it unclean-end     a broker that was asked to end did so with another status
 */
#include "drill/drill.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "broker/config_table.h"
#include "drill/rest.h"
#include "wire/fetch.h"

#include <stdio.h>
#include <string.h>

#define MS 1000000ull
#define SETUP_NS (120000 * MS)
#define SETTLE_NS (120000 * MS)
#define WRITE_NS (10000 * MS)
#define READ_NS (30000 * MS)
#define END_NS (120000 * MS)
#define WATCH_NS (50 * MS)
#define COMPACTION_MEMORY_BYTES 65536 /* the least: with long keys it is full at once */
#define LEADER_BALANCE_DELAY_MS 1000  /* where things move; elsewhere it is the default */

const char *drill_phase_name(enum drill_phase phase)
{
    static const char *const names[] = {"setup", "safety", "heal", "progress", "end"};
    require(phase <= DRILL_END);
    return names[phase];
}

static void enter(struct drill *drill, enum drill_phase phase)
{
    drill->phase = phase;
    sim_world_trace(drill->world, "phase %s", drill_phase_name(phase));
}

/* ---- Brokers ---- */

static void start(struct drill *drill, uint32_t host)
{
    drill->start_due_ns[host] = 0;
    sim_host_start_broker(drill->hosts[host], &drill->configs[host]);
}

/* A process that ended by itself needs an excuse. */
static void judge_end(struct drill *drill, uint32_t host)
{
    enum sim_end end = sim_host_end(drill->hosts[host]);
    bool by_itself = end == SIM_END_ABANDONED || end == SIM_END_REFUSED;
    drill->ends_judged[host] = sim_host_starts(drill->hosts[host]);
    bool leaves = drill->crew != NULL && drill_crew_excuses(drill->crew, host);
    if (by_itself && !leaves && !atlas_excuses(drill->atlas, host)) {
        sim_world_fail(drill->world, "gave-up: broker %u %s: %s", host,
                       end == SIM_END_REFUSED ? "refused to start" : "ended by itself",
                       sim_host_end_reason(drill->hosts[host]));
    }
}

/* What an operator does once the disks are well again. */
static void tend(struct drill *drill, uint32_t host)
{
    bool is_calm = drill->phase == DRILL_HEAL || drill->phase == DRILL_PROGRESS;
    if (is_calm && sim_host_state(drill->hosts[host]) == SIM_HOST_RUNNING &&
        rest_host_awaits_restart(drill, host)) {
        sim_host_terminate(drill->hosts[host]);
    }
}

static void watch_host(struct drill *drill, uint32_t host)
{
    enum sim_host_state state = sim_host_state(drill->hosts[host]);
    uint64_t now_ns = sim_world_now_ns(drill->world);
    tend(drill, host);
    if (state != SIM_HOST_OFF && state != SIM_HOST_IDLE) {
        return;
    }
    if (drill->ends_judged[host] != sim_host_starts(drill->hosts[host])) {
        judge_end(drill, host);
    }
    if (drill->stays_down[host] || drill->is_out[host] || drill->phase == DRILL_END ||
        (drill->crew != NULL && drill_crew_keeps_down(drill->crew, host))) {
        return;
    }
    if (drill->start_due_ns[host] == 0) {
        uint64_t most_ms = drill->phase == DRILL_SAFETY ? 4000 : 200;
        drill->start_due_ns[host] = now_ns + (1 + prng_below(&drill->prng, most_ms)) * MS;
    }
    if (now_ns >= drill->start_due_ns[host]) {
        start(drill, host);
    }
}

static void make_hosts(struct drill *drill)
{
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        struct broker_config *config = &drill->configs[i];
        drill->hosts[i] = sim_host_new(drill->world, i);
        sim_broker_config(config, drill->hosts[i], drill->swarm.controllers, drill->swarm.shards);
        config->heartbeat_ms = drill->swarm.heartbeat_ms;
        config->election_ms = drill->swarm.election_ms;
        config->retention_check_ms = drill->swarm.retention_check_ms;
        config->scrub_interval_ms = drill->swarm.scrub_ms;
        config->auto_create_topics = false;
        if (drill->swarm.has[SWARM_COMPACT]) {
            config->compaction_check_ms = drill->swarm.compaction_check_ms;
            config->compaction_memory_bytes = COMPACTION_MEMORY_BYTES;
        }
        config->offsets_topic_partitions = 1;
        config->group_initial_rebalance_delay_ms = drill->swarm.group_delay_ms;
        config->group_min_session_timeout_ms = 1;
        if (drill->swarm.has[SWARM_MOVE]) {
            config->leader_balance_delay_ms = LEADER_BALANCE_DELAY_MS;
        }
    }
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        drill->is_out[i] = drill->swarm.has[SWARM_JOIN] && i > drill->swarm.controllers;
        if (!drill->is_out[i]) {
            start(drill, i);
        }
    }
}

/* ---- Clients ---- */

_Static_assert(DRILL_FIRST_CLIENT_HOST + DRILL_CLIENTS_MAX <= SIM_HOSTS_MAX + 1,
               "every client has a host");

static struct client *add_client(struct drill *drill)
{
    require(drill->client_count < DRILL_CLIENTS_MAX);
    struct client *client = client_new(drill->world, DRILL_FIRST_CLIENT_HOST + drill->client_count,
                                       drill->swarm.brokers, &drill->history, drill->leaders);
    drill->clients[drill->client_count++] = client;
    return client;
}

static void add_producer(struct drill *drill)
{
    const struct swarm *swarm = &drill->swarm;
    uint64_t kind = prng_below(&drill->prng, 10);
    struct producer_options options = {
        .is_idempotent = kind < 6,
        .acks = kind == 9 ? 1 : -1,
        .mean_ms = swarm->produce_mean_ms,
        .burst_ms = swarm->burst_ms,
        .lull_ms = swarm->lull_ms,
        .records_most = swarm->records_most,
        .record_bytes_most = swarm->record_bytes_most,
        .window = swarm->window,
        .timeout_ms = (uint32_t)(500 + prng_below(&drill->prng, 5000)),
    };
    drill->producers[drill->producer_count++] = drill_producer_new(add_client(drill), &options);
}

static void add_consumer(struct drill *drill)
{
    struct consumer_options options = {
        .restart_mean_ms = (uint32_t)(2000 + prng_below(&drill->prng, 20000)),
        .ask_mean_ms = (uint32_t)(200 + prng_below(&drill->prng, 1000)),
    };
    drill->consumers[drill->consumer_count++] = drill_consumer_new(add_client(drill), &options);
}

static void add_member(struct drill *drill)
{
    struct member_options options = {
        .session_ms = (uint32_t)(500 + prng_below(&drill->prng, 4000)),
        .rebalance_ms = (uint32_t)(300 + prng_below(&drill->prng, 3000)),
        .whim_mean_ms = (uint32_t)(1000 + prng_below(&drill->prng, 8000)),
    };
    drill->members[drill->member_count++] =
        drill_member_new(add_client(drill), drill->groups, &options);
}

/* Reads every topic that lives, also under a name that another one had. */
static void make_reader(struct drill *drill)
{
    struct consumer_options options = {.is_last = true};
    struct client *client = add_client(drill);
    client_speak(client, CLIENT_FETCH, FETCH_VERSION_MAX);
    drill->reader = drill_consumer_new(client, &options);
}

static void make_prober(struct drill *drill)
{
    struct producer_options options = {
        .is_idempotent = true,
        .acks = -1,
        .mean_ms = 200,
        .records_most = 1,
        .record_bytes_most = 100,
        .window = 1,
        .timeout_ms = 3000,
    };
    struct client *client = add_client(drill);
    client_be_wary(client);
    drill->prober = drill_producer_new(client, &options);
}

/* ---- Running ---- */

static void watch(struct drill *drill)
{
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        watch_host(drill, i);
    }
    atlas_watch(drill->atlas);
    drill->next_watch_ns = sim_world_now_ns(drill->world) + WATCH_NS;
}

typedef bool (*drill_condition)(struct drill *drill);

static bool never(struct drill *drill)
{
    (void)drill;
    return false;
}

/* Runs until the condition holds, looked at now and then; false when the time is over or the world
 * has failed. */
static bool run_until(struct drill *drill, uint64_t bound_ns, drill_condition holds)
{
    uint64_t end_ns = sim_world_now_ns(drill->world) + bound_ns;
    while (sim_world_failure(drill->world) == NULL && sim_world_step(drill->world)) {
        check_raft_run(drill->raft);
        if (sim_world_now_ns(drill->world) >= drill->next_watch_ns) {
            watch(drill);
            if (holds(drill)) {
                return sim_world_failure(drill->world) == NULL;
            }
        }
        if (sim_world_now_ns(drill->world) >= end_ns) {
            return false;
        }
    }
    return false;
}

static bool stuck(struct drill *drill, const char *what)
{
    char why[300] = "";
    (void)rest_cluster_is_at_rest(drill, why, sizeof why);
    if (sim_world_failure(drill->world) == NULL) {
        sim_world_fail(drill->world, "stuck: %s (phase %s; %s)", what,
                       drill_phase_name(drill->phase), why);
    }
    return false;
}

/* ---- Phases ---- */

static bool topics_are_made(struct drill *drill)
{
    return drill_admin_is_ready(drill->admin);
}

static bool set_up(struct drill *drill)
{
    enter(drill, DRILL_SETUP);
    make_hosts(drill);
    drill->admin = drill_admin_new(add_client(drill), &drill->swarm);
    if (!run_until(drill, SETUP_NS, topics_are_made)) {
        return stuck(drill, "the topics are not made");
    }
    for (uint32_t i = 0; i < drill->swarm.producers; i++) {
        add_producer(drill);
    }
    for (uint32_t i = 0; i < drill->swarm.consumers; i++) {
        add_consumer(drill);
    }
    for (uint32_t i = 0; i < drill->swarm.members; i++) {
        add_member(drill);
    }
    if (drill->swarm.has[SWARM_MOVE]) {
        drill->mover = drill_mover_new(add_client(drill), drill->swarm.brokers);
    }
    if (drill->swarm.has[SWARM_CONFIGS] || drill->swarm.has[SWARM_TRIM]) {
        drill->curator = drill_curator_new(add_client(drill));
    }
    if (drill->swarm.has[SWARM_JOIN]) {
        drill->crew = drill_crew_new(add_client(drill), drill);
    }
    return true;
}

static void rage(struct drill *drill)
{
    enter(drill, DRILL_SAFETY);
    atlas_begin(drill->atlas);
    (void)run_until(drill, drill->swarm.safety_ms * MS, never);
}

static bool is_settled(struct drill *drill)
{
    if (!drill_admin_is_idle(drill->admin) || atlas_has_injured(drill->atlas) ||
        (drill->mover != NULL && !drill_mover_is_idle(drill->mover)) ||
        (drill->curator != NULL && !drill_curator_is_idle(drill->curator)) ||
        (drill->crew != NULL && !drill_crew_is_idle(drill->crew)) ||
        !rest_cluster_is_at_rest(drill, NULL, 0)) {
        return false;
    }
    for (uint32_t i = 0; i < drill->producer_count; i++) {
        if (!drill_producer_is_done(drill->producers[i])) {
            return false;
        }
    }
    return true;
}

static bool probes_are_acked(struct drill *drill)
{
    return drill_producer_is_done(drill->prober);
}

static bool all_is_read(struct drill *drill)
{
    const struct history *history = &drill->history;
    for (uint32_t i = 0; i < history->topic_count; i++) {
        const struct history_topic *topic = &history->topics[i];
        for (uint32_t j = 0; topic->state == HISTORY_TOPIC_LIVE && j < topic->partition_count;
             j++) {
            if (drill_consumer_position(drill->reader, i, j) <= topic->partitions[j].acked_most) {
                return false;
            }
        }
    }
    return true;
}

static bool group_has_caught_up(struct drill *drill)
{
    return drill->member_count == 0 || check_group_has_caught_up(drill->groups);
}

static bool prober_is_ready(struct drill *drill)
{
    return drill_producer_is_ready(drill->prober);
}

/* Writes to every partition of the topics that live; each takes it within a bound. */
static bool probe(struct drill *drill)
{
    if (!run_until(drill, WRITE_NS, prober_is_ready)) {
        return stuck(drill, "no producer id is given out");
    }
    drill_producer_quiet(drill->prober);
    for (uint32_t i = 0; i < drill->history.topic_count; i++) {
        const struct history_topic *topic = &drill->history.topics[i];
        for (uint32_t j = 0; topic->state == HISTORY_TOPIC_LIVE && j < topic->partition_count;
             j++) {
            drill_producer_send_one(drill->prober, i, j);
        }
    }
    return run_until(drill, WRITE_NS, probes_are_acked) ||
           stuck(drill, "a partition takes no write");
}

static bool heal(struct drill *drill)
{
    enter(drill, DRILL_HEAL);
    atlas_calm(drill->atlas);
    /* What moves to a broker that is down waits for it. */
    bool bears_one_down = swarm_bears_a_loss(&drill->swarm) && !atlas_has_injured(drill->atlas) &&
                          drill->mover == NULL && drill->crew == NULL;
    if (bears_one_down && prng_below(&drill->prng, 4) == 0) {
        uint32_t host = 1 + (uint32_t)prng_below(&drill->prng, drill->swarm.brokers);
        if (!rest_vote_is_missing(drill, host)) { /* while it is down nobody makes it a voter */
            drill->stays_down[host] = true;
            sim_host_kill(drill->hosts[host]);
        }
    }
    for (uint32_t i = 0; i < drill->producer_count; i++) {
        drill_producer_quiet(drill->producers[i]);
    }
    for (uint32_t i = 0; i < drill->member_count; i++) {
        drill_member_quiet(drill->members[i]);
    }
    make_prober(drill);
    uint64_t begin_ns = sim_world_now_ns(drill->world);
    if (!probe(drill)) {
        return false;
    }
    sim_world_trace(drill->world, "every partition has taken a write after %lu ms",
                    (unsigned long)((sim_world_now_ns(drill->world) - begin_ns) / MS));
    return run_until(drill, SETTLE_NS, is_settled) || stuck(drill, "the cluster does not settle");
}

/* As the brokers that run count. */
static void count_compacted(struct drill *drill)
{
    for (uint32_t host = 1; host <= drill->swarm.brokers; host++) {
        struct broker *broker = sim_host_broker(drill->hosts[host]);
        for (uint32_t i = 0; broker != NULL && i < broker_shard_count(broker); i++) {
            struct counter *removed = &broker_shard_at(broker, i)->stats.compaction_records_removed;
            drill->compacted += counter_read(removed);
        }
    }
}

static bool make_progress(struct drill *drill)
{
    enter(drill, DRILL_PROGRESS);
    if (!probe(drill)) {
        return false;
    }
    drill->history.is_at_end = true;
    make_reader(drill);
    for (uint32_t i = 0; i < drill->client_count; i++) {
        client_be_wary(drill->clients[i]); /* all have to be done in time now */
    }
    if (!run_until(drill, READ_NS, all_is_read)) {
        return stuck(drill, "a reader does not reach the end");
    }
    check_nothing_lost(&drill->history);
    if (!run_until(drill, READ_NS, group_has_caught_up)) {
        return stuck(drill, "group-lag: the members of the group do not catch up");
    }
    if (!run_until(drill, SETTLE_NS, is_settled)) {
        return stuck(drill, "the replicas do not agree");
    }
    count_compacted(drill);
    check_replicas_equal(drill);
    check_states_equal(drill);
    check_topics_at_rest(drill);
    check_configs_at_rest(drill);
    check_places_at_rest(drill);
    return sim_world_failure(drill->world) == NULL;
}

static bool all_have_ended(struct drill *drill)
{
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        if (sim_host_state(drill->hosts[i]) != SIM_HOST_IDLE && !drill->stays_down[i] &&
            !drill->is_out[i]) {
            return false;
        }
    }
    return true;
}

static bool end(struct drill *drill)
{
    enter(drill, DRILL_END);
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        if (!drill->stays_down[i] && !drill->is_out[i]) {
            sim_host_terminate(drill->hosts[i]);
        }
    }
    if (!run_until(drill, END_NS, all_have_ended)) {
        return stuck(drill, "a broker does not end");
    }
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        if (!drill->stays_down[i] && !drill->is_out[i] &&
            sim_host_end(drill->hosts[i]) != SIM_END_CLEAN) {
            sim_world_fail(drill->world, "unclean-end: broker %u: %s", i,
                           sim_host_end_reason(drill->hosts[i]));
        }
    }
    return sim_world_failure(drill->world) == NULL;
}

/* ---- One seed ---- */

static void free_all(struct drill *drill)
{
    for (uint32_t i = 0; i < drill->producer_count; i++) {
        drill_producer_free(drill->producers[i]);
    }
    for (uint32_t i = 0; i < drill->consumer_count; i++) {
        drill_consumer_free(drill->consumers[i]);
    }
    for (uint32_t i = 0; i < drill->member_count; i++) {
        drill_member_free(drill->members[i]);
    }
    if (drill->reader != NULL) {
        drill_consumer_free(drill->reader);
    }
    if (drill->prober != NULL) {
        drill_producer_free(drill->prober);
    }
    if (drill->admin != NULL) {
        drill_admin_free(drill->admin);
    }
    if (drill->mover != NULL) {
        drill_mover_free(drill->mover);
    }
    if (drill->curator != NULL) {
        drill_curator_free(drill->curator);
    }
    if (drill->crew != NULL) {
        drill_crew_free(drill->crew);
    }
    for (uint32_t i = 0; i < drill->client_count; i++) {
        client_free(drill->clients[i]);
    }
    sim_world_free(drill->world);
    atlas_free(drill->atlas);
    check_raft_free(drill->raft);
    check_leaders_free(drill->leaders);
    check_groups_free(drill->groups);
    history_free(&drill->history);
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        broker_config_free(&drill->configs[i]);
    }
}

static void report(const struct drill *drill, const char *with, const char *program)
{
    fflush(stdout);
    sim_world_print_log(drill->world, stderr);
    fprintf(stderr, "\nseed %lu FAILED at %.3f s, step %lu, phase %s\n  %s\n",
            (unsigned long)drill->swarm.seed, (double)sim_world_now_ns(drill->world) / 1e9,
            (unsigned long)sim_world_steps(drill->world), drill_phase_name(drill->phase),
            sim_world_failure(drill->world));
    swarm_print(&drill->swarm, stderr);
    fprintf(stderr, "replay: %s --seed %lu%s%s\n", program, (unsigned long)drill->swarm.seed,
            with[0] == 0 ? "" : " --with ", with);
}

bool drill_run(uint64_t seed, const char *with, bool is_verbose, const char *program,
               struct drill_totals *totals)
{
    struct drill *drill = memory_allocate_zeroed(sizeof *drill);
    swarm_draw(&drill->swarm, seed, with);
    prng_init(&drill->prng, seed ^ 0x6472696c6cull);
    drill->swarm.world.is_verbose = is_verbose;
    if (is_verbose) {
        swarm_print(&drill->swarm, stderr);
    }
    drill->world = sim_world_new(&drill->swarm.world);
    history_init(&drill->history, drill->world);
    drill->leaders = check_leaders_new(&drill->history);
    drill->groups = check_groups_new(&drill->history);
    drill->raft = check_raft_new(drill);
    drill->atlas = atlas_new(drill);

    if (set_up(drill)) {
        rage(drill);
        (void)(sim_world_failure(drill->world) == NULL && heal(drill) && make_progress(drill) &&
               end(drill));
    }
    bool good = sim_world_failure(drill->world) == NULL;
    if (!good) {
        report(drill, with, program);
    }
    totals->digest =
        (totals->digest ^ sim_world_digest(drill->world)) * UINT64_C(0x9e3779b97f4a7c15);
    totals->steps += sim_world_steps(drill->world);
    totals->simulated_ns += sim_world_now_ns(drill->world);
    totals->acked += drill->history.acked;
    totals->read += drill->history.records_read;
    totals->faults += atlas_faults(drill->atlas);
    totals->commits += check_raft_commits(drill->raft);
    totals->group_commits += check_commits_acked(drill->groups);
    totals->compacted += drill->compacted;
    if (drill->curator != NULL) {
        totals->altered += drill_curator_altered(drill->curator);
        totals->trimmed += drill_curator_trimmed(drill->curator);
    }
    if (drill->crew != NULL) {
        totals->joined += drill_crew_joined(drill->crew);
        totals->left += drill_crew_left(drill->crew);
    }
    totals->generations += (uint64_t)(check_generation(drill->groups) + 1);
    free_all(drill);
    memory_free(drill);
    return good;
}
