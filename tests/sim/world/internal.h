/* SPDX-License-Identifier: Apache-2.0
 *
 * internal.h -- the parts of a world as its files share them.  Not for tests.
 *
 * Two kinds of memory: what a simulated process allocates through base/memory.h, the objects of io
 * included, goes with the process; what its kernel and the world know of it (hosts, disks,
 * connections, fibers) is the world's own (own_memory.h) and never points into a process that is
 * gone.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_INTERNAL_H
#define TESTS_SIM_WORLD_INTERNAL_H

#include "base/list.h"
#include "base/prng.h"
#include "base/trace.h"
#include "events.h"
#include "world.h"

#include <setjmp.h>

struct block;
struct slab;
struct sim_disk;
struct sim_fiber;
struct sim_inode;
struct sim_log_line;

/* Kinds of events, for the digest. */
enum {
    SIM_EVENT_TURN = 1,
    SIM_EVENT_FIBER,
    SIM_EVENT_FLUSH,
    SIM_EVENT_ARRIVAL,
    SIM_EVENT_ACT,
    SIM_EVENT_KEEPALIVE,
    SIM_EVENT_WALL_JUMP,
};

/* Small blocks of memory have one of so many sizes. */
#define SIM_SMALL_SIZES 16

/* Blocks of memory as memory.c gives them out. */
struct sim_memory {
    uint64_t block_count; /* that somebody has */
    uint64_t block_bytes;
    struct block *spare[SIM_SMALL_SIZES]; /* small ones that nobody has */
    uint8_t *slab_rest;                   /* of the latest slab */
    size_t slab_left;
    struct slab *slabs;
    struct block **large; /* all that somebody has */
    size_t large_count;
    size_t large_capacity;
};

struct sim_process {
    struct sim_host *host;
    const struct broker_config *config;
    struct broker *broker; /* NULL until it has started */
    struct sim_fiber *main;
    struct list fibers;
    struct list loops; /* struct io_loop.process_node */
    struct list files; /* struct io_file.node: open ones */
    struct sim_memory memory;
    uint32_t loops_running;
    bool is_joining; /* main waits for the loops to end */
    bool is_stop_wanted;
    bool is_ending; /* nothing of it runs any more; to be taken apart by the scheduler */
    enum sim_end end;
    char reason[512];
    char last_error[512]; /* its last log line of level error */
    struct prng prng;     /* its unpredictable bytes */
};

/* The last lines, as many as fit. */
struct sim_log {
    struct list lines; /* struct sim_log_line.node */
    size_t bytes;
};

struct sim_fault {
    struct list_node node;
    enum sim_disk_fault kind;
    char *part;
};

struct sim_host {
    struct sim_world *world;
    uint32_t number;
    char address[16];
    enum sim_host_state state;
    bool is_paused;
    struct sim_process *process;
    struct io_loop *client_loop;
    enum sim_end end;
    char end_reason[512];
    uint32_t starts;
    uint32_t stirred_shards; /* sim_host_take_stirred() */

    uint64_t clock_base_ns;
    int64_t drift_ppm;
    int64_t wall_off_ms;

    struct sim_disk *disk;
    struct sim_disk_options disk_options;
    struct list faults; /* struct sim_fault, waiting for their operation */
    uint64_t slow_ns;
    uint64_t operations;
    uint64_t crash_in; /* operations; 0: not armed */
    enum sim_crash crash;

    struct list listeners; /* struct io_listener.host_node */
    struct list ends;      /* struct net_end.node */
    uint16_t next_port;

    struct sim_log log;
};

/* One way from host to host. */
struct sim_link {
    bool is_cut;
    uint64_t clogged_until_ns;
};

struct sim_world {
    struct sim_world_options options;
    struct sim_events events;
    uint64_t now_ns;
    uint64_t steps;
    uint64_t stirred; /* sim_world_take_stirred() */
    uint64_t digest;
    uint64_t next_line;
    struct sim_log log; /* the test's own lines */
    struct sim_host *hosts[SIM_HOSTS_MAX + 1];
    struct sim_link links[SIM_HOSTS_MAX + 1][SIM_HOSTS_MAX + 1];
    struct list connections;
    struct sim_network_stats stats;
    struct list acts;
    struct sim_event wall_jump;

    /* Apart, so that a change in one does not shift the others. */
    struct prng network_prng;
    struct prng disk_prng;
    struct prng turn_prng;
    struct prng identity_prng;
    struct prng test_prng;

    /* Who runs now: all NULL between events. */
    struct sim_host *host;
    struct sim_process *process; /* NULL in client code */
    struct io_loop *loop;        /* whose turn it is */
    struct sim_fiber *fiber;
    jmp_buf turn_exit; /* where a process that ends within a turn goes */

    char failure[2048];
};

/* The one world. */
extern struct sim_world *the_world;

/* least to most, both included. */
static inline uint64_t sim_between(struct prng *prng, uint64_t least, uint64_t most)
{
    return most > least ? least + prng_below(prng, most - least + 1) : least;
}

static inline bool sim_happens(struct prng *prng, uint32_t ppm)
{
    return ppm > 0 && prng_below(prng, SIM_CERTAIN) < ppm;
}

/* ---- world.c ---- */
void world_digest(struct sim_world *world, uint64_t value);
void world_stir(struct sim_host *host); /* all its shards */
void world_stir_shard(struct sim_host *host, uint32_t shard);
void lines_init(struct sim_log *log);
void lines_free(struct sim_log *log);

/* ---- host.c ---- */
uint64_t host_clock_ns(const struct sim_host *host);
/* The first moment at which the host's clock shows it. */
uint64_t host_when_ns(const struct sim_host *host, uint64_t clock_ns);
void host_free(struct sim_host *host);
bool host_has_power(const struct sim_host *host);

/* ---- process.c ---- */
void process_start(struct sim_host *host, const struct broker_config *config);
void process_ask_to_stop(struct sim_process *process);
/* Ends it from outside, between events. */
void process_kill(struct sim_process *process, enum sim_end end);
/* Ends the process that runs now. */
_Noreturn void process_end_here(enum sim_end end, const char *reason);
/* Everything of a process that has ended goes. */
void process_destroy(struct sim_process *process);
/* The loop of a process has stopped. */
void process_loop_ended(struct sim_process *process);

/* ---- memory.c ---- */
void memory_release_all(struct sim_process *process);

/* ---- loop.c ---- */
/* The loop has something to do: its turn comes soon. */
void loop_wake(struct io_loop *loop);
void loop_block(struct io_loop *loop, uint64_t duration_ns); /* a call on its thread took so long */
struct io_loop *loop_new_for_client(struct sim_host *host, uint64_t seed);
void loop_free_client(struct io_loop *loop);
/* A process ended: the loop's events go; its memory does later. */
void loop_abandon(struct io_loop *loop);
/* After a pause. */
void loop_resume(struct io_loop *loop);

#endif
