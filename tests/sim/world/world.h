/* SPDX-License-Identifier: Apache-2.0
 *
 * world.h -- a cluster of whole brokers in one thread: another implementation of the headers of
 * src/io and of base/memory.h, on which the code of every other room is linked unchanged.
 *
 * A world has hosts.  A host has a disk, a clock, an address (127.0.0.<number>) and at most one
 * process: a broker with all its shards, or a client, which is a bare loop for the test's own code.
 * Everything that happens is an event in one heap; sim_world_step() takes the next one and the time
 * jumps to it, so waiting costs nothing.  Every choice (how long a packet travels, which sectors
 * survive a power cut) is drawn from the seed: the same seed and the same calls give the same
 * events, and sim_world_digest() proves it.
 *
 * What is true to life: turns of a shard as io/loop.h says; a worker's blocking calls take time
 * while the shards go on; flushes run step by step beside the loop; streams keep order, have
 * bounded windows and end as TCP ends them; files are written first and durable only when synced.
 * What is left out: TLS, name servers, descriptors running out, two threads inside one function.
 *
 * A process that meets broker_abandon() or is killed ends alone: its memory goes, its disk stays.
 * A failed assertion, memory left over after a clean end, or memory freed twice is a found bug:
 * sim_world_failure() holds its text from then on and sim_world_step() refuses.
 *
 * One world at a time: the code under test calls io without saying which world it is in.
 *
 * Locality: one thread.  None of these functions is called from inside a broker; all but
 * sim_world_step(), sim_world_run_until() and sim_world_free() may be called by client code and by
 * scheduled acts.
 */
#ifndef TESTS_SIM_WORLD_WORLD_H
#define TESTS_SIM_WORLD_WORLD_H

#include "base/buf.h"
#include "base/prng.h"
#include "broker/config.h"
#include "io/loop.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct broker;
struct sim_host;
struct sim_world;

#define SIM_HOSTS_MAX 40

/* ---- The world ---- */

/* Chances are in millionths of the thing they belong to, durations in nanoseconds. */
#define SIM_CERTAIN 1000000u

struct sim_network_options {
    uint64_t delay_least_ns; /* of one packet, one way; drawn anew for each, order kept */
    uint64_t delay_most_ns;
    uint32_t slow_ppm; /* a packet is late by up to slow_most_ns, and all behind it */
    uint64_t slow_most_ns;
    uint32_t reset_ppm;          /* a packet meets a reset of its connection instead */
    uint32_t window_least_bytes; /* what a connection holds between two processes, drawn for each */
    uint32_t window_most_bytes;
    uint32_t cut_one_in; /* so many packets, one ends anywhere in what is to be sent */
    /* What happens to whole RaftFrame requests between brokers.  A byte stream never loses, repeats
     * or reorders them; the consensus core is built for messages that do, so it must meet them. */
    uint32_t frame_drop_ppm;
    uint32_t frame_repeat_ppm;
    uint32_t frame_late_ppm; /* overtaken by up to frame_late_most later frames */
    uint32_t frame_late_most;
};

struct sim_disk_options {
    uint64_t capacity_bytes; /* 0: a terabyte */
    uint64_t write_least_ns; /* of a read, write or change of names */
    uint64_t write_most_ns;
    uint64_t sync_least_ns;
    uint64_t sync_most_ns;
    uint32_t slow_ppm; /* an operation takes up to slow_most_ns */
    uint64_t slow_most_ns;
    uint32_t cached_ppm;      /* a read takes no time: all of it is in the page cache */
    uint32_t uncached_ppm;    /* io_file_read_cached finds nothing in the page cache */
    uint32_t write_fails_ppm; /* EIO */
    uint32_t sync_fails_ppm;  /* EIO; what was dirty is clean now, and lost or not by chance */
    uint32_t read_fails_ppm;  /* EIO */
};

struct sim_clock_options {
    uint32_t drift_most_ppm;    /* each host's monotonic clock runs off by up to this */
    int64_t wall_off_most_ms;   /* each host's wall clock is off by up to this at first */
    uint64_t wall_jump_mean_ns; /* between jumps of up to wall_off_most_ms on some host; 0: none */
};

struct sim_world_options {
    uint64_t seed;
    struct sim_network_options network;
    struct sim_disk_options disk;
    struct sim_clock_options clock;
    /* A turn of a loop starts up to turn_late_most_ns after its cause and keeps the shard busy for
     * turn_cost_least_ns to turn_cost_most_ns; an io_loop_again() comes no sooner. */
    uint64_t turn_late_most_ns;
    uint64_t turn_cost_least_ns;
    uint64_t turn_cost_most_ns;
    uint32_t log_bytes; /* of each host's last log lines that are kept; 0: 256 KiB */
    bool is_verbose;    /* every log line to standard error at once */
    bool keeps_debug_lines;
};

/* A calm world: a fast network and disk, no faults, exact clocks. */
struct sim_world_options sim_world_options_calm(uint64_t seed);
/* Delays, drift, windows, rare mangled frames, slow disk operations: each drawn from the seed, all
 * within what a correct cluster must serve through without ending a process.  Disk errors are left
 * at zero: they end the process they meet. */
struct sim_world_options sim_world_options_rough(uint64_t seed);

/* One at a time. */
struct sim_world *sim_world_new(const struct sim_world_options *options);
/* Whatever still runs is killed. */
void sim_world_free(struct sim_world *world);

/* Runs exactly one event: a turn of one shard, an arrival, the end of a disk operation, an act.
 * False when nothing is left to happen, or sim_world_failure() holds a text. */
bool sim_world_step(struct sim_world *world);
/* For checkers, between events: a bit for the number of each host whose process turned, began or
 * ended since this was asked last; others are as they were.  And of such a host a bit for each
 * shard that turned: all of them when something else than a shard's turn ran, or a process began or
 * ended.  What belongs to the other shards is as it was, as no shard touches another one's. */
uint64_t sim_world_take_stirred(struct sim_world *world);
uint32_t sim_host_take_stirred(struct sim_host *host);
/* Steps until the time has come (true) or the world has failed or come to rest (false). */
bool sim_world_run_until(struct sim_world *world, uint64_t now_ns);
/* True time since the world began; hosts see it through their clocks. */
uint64_t sim_world_now_ns(const struct sim_world *world);
uint64_t sim_world_steps(const struct sim_world *world);
/* A running hash over all events and log lines: equal seeds and calls, equal digests. */
uint64_t sim_world_digest(const struct sim_world *world);
/* Takes something of the test's own into the digest. */
void sim_world_note(struct sim_world *world, uint64_t value);
/* NULL, or what was found, with the host and the simulated time. */
const char *sim_world_failure(const struct sim_world *world);
/* A checker's finding; the first one stays. */
void sim_world_fail(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The test's own chance, apart from the world's, so that asking for it changes nothing else. */
struct prng *sim_world_prng(struct sim_world *world);

/* Calls run once, at the time or as soon as possible, between events, outside all processes. */
void sim_world_schedule(struct sim_world *world, uint64_t now_ns, void (*run)(void *context),
                        void *context);

/* The kept log lines of all hosts in order of simulated time. */
void sim_world_print_log(const struct sim_world *world, FILE *file);
/* A line of the test's own among them: what was done to the world. */
void sim_world_trace(struct sim_world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ---- Hosts and their processes ---- */

enum sim_host_state {
    SIM_HOST_OFF,      /* no power: silence */
    SIM_HOST_IDLE,     /* power, no process: connections are refused */
    SIM_HOST_STARTING, /* broker_start() has not returned */
    SIM_HOST_RUNNING,
    SIM_HOST_STOPPING, /* asked to end, not ended */
};

enum sim_end {
    SIM_END_NONE,      /* no process has ended here yet */
    SIM_END_CLEAN,     /* after sim_host_terminate(), exit status 0 */
    SIM_END_REFUSED,   /* broker_start() returned NULL; the reason is its error */
    SIM_END_ABANDONED, /* broker_abandon(); the reason is its line */
    SIM_END_KILLED,
    SIM_END_POWER_CUT,
};

/* number: 1 to SIM_HOSTS_MAX, also the last byte of its address; not taken yet.  Idle. */
struct sim_host *sim_host_new(struct sim_world *world, uint32_t number);
struct sim_host *sim_host_at(struct sim_world *world, uint32_t number); /* NULL: none */
uint32_t sim_host_number(const struct sim_host *host);
const char *sim_host_address(const struct sim_host *host); /* "127.0.0.3" */

/* A config for broker <number> on a host of its own: ports 9092 (clients) and 9192 (brokers),
 * data in "data", hosts 1 to controller_count as the controllers.  The caller may change it and
 * ends it with broker_config_free(). */
void sim_broker_config(struct broker_config *config, const struct sim_host *host,
                       uint32_t controller_count, uint32_t shards);
/* Starts a process that does what flotillad does: broker_start(), wait, broker_free().  The config
 * outlives it.  The host is IDLE, or OFF, which turns the power on. */
void sim_host_start_broker(struct sim_host *host, const struct broker_config *config);
/* SIGTERM: ends some events later, clean (or not at all, when it cannot). While STARTING it waits
 * until the start is over, as flotillad does. */
void sim_host_terminate(struct sim_host *host);
/* kill -9: memory is gone; what was written to files stays in the host's page cache; the kernel
 * closes the streams.  Harmless without a process. */
void sim_host_kill(struct sim_host *host);
/* As kill, but in silence, and of everything not synced some is lost, sector by sector (files) and
 * operation by operation (names).  The host is OFF until a broker is started. */
void sim_host_cut_power(struct sim_host *host);
/* SIGSTOP and SIGCONT: the kernel still accepts connections and bytes, the process sees nothing. */
void sim_host_pause(struct sim_host *host);
void sim_host_resume(struct sim_host *host);
bool sim_host_is_paused(const struct sim_host *host);

enum sim_crash { SIM_CRASH_KILL, SIM_CRASH_POWER };
/* The host's process crashes in or right before its count-th file operation from now (1: the next),
 * wherever that is: in a start, in a worker's job, between two steps of a flush.  0 disarms. */
void sim_host_crash_at_operation(struct sim_host *host, uint64_t count, enum sim_crash crash);
uint64_t sim_host_operations(const struct sim_host *host); /* file operations so far */

enum sim_host_state sim_host_state(const struct sim_host *host);
/* For checkers, between events; NULL unless RUNNING or STOPPING. */
struct broker *sim_host_broker(const struct sim_host *host);
/* How the last process ended, and its words ("" when there are none). */
enum sim_end sim_host_end(const struct sim_host *host);
const char *sim_host_end_reason(const struct sim_host *host);
uint32_t sim_host_starts(const struct sim_host *host); /* processes started so far */
/* The memory the process holds, in allocations and bytes. */
void sim_host_memory(const struct sim_host *host, uint64_t *allocations, uint64_t *bytes);

/* The loop of a client host, made at the first call: the test's own code lives on it by
 * io/loop.h and io/stream.h, with the same faults between it and the brokers.  Its memory belongs
 * to the test.  A client host has no broker and is not killed. */
struct io_loop *sim_host_loop(struct sim_host *host);

/* ---- Clocks ---- */
void sim_host_jump_wall(struct sim_host *host, int64_t by_ms);
int64_t sim_host_wall_ms(const struct sim_host *host);
uint64_t sim_host_clock_ns(const struct sim_host *host);

/* ---- Network ---- */

/* One way: packets from one to the other wait until it is healed (TCP repeats them), new
 * connections get no answer. */
void sim_network_cut(struct sim_world *world, uint32_t from, uint32_t to);
void sim_network_heal(struct sim_world *world, uint32_t from, uint32_t to);
void sim_network_heal_all(struct sim_world *world);
bool sim_network_is_cut(const struct sim_world *world, uint32_t from, uint32_t to);
/* Nothing arrives on that way before the time; then everything in order. */
void sim_network_clog(struct sim_world *world, uint32_t from, uint32_t to, uint64_t until_ns);
/* Resets every connection between two hosts; how many those were. */
uint32_t sim_network_reset(struct sim_world *world, uint32_t one, uint32_t other);
/* Changes the mangler's and delay's settings from now on. */
void sim_network_set_options(struct sim_world *world, const struct sim_network_options *options);

struct sim_network_stats {
    uint64_t connections;
    uint64_t packets;
    uint64_t bytes;
    uint64_t resets;
    uint64_t frames; /* RaftFrame requests seen by the mangler */
    uint64_t frames_dropped;
    uint64_t frames_repeated;
    uint64_t frames_late;
};
void sim_network_stats(const struct sim_world *world, struct sim_network_stats *stats);

/* ---- Disks ---- */

/* Faults on demand meet the host's next operation of that kind whose path contains part ("" any).
 */
enum sim_disk_fault {
    SIM_DISK_READ_FAILS,  /* EIO */
    SIM_DISK_WRITE_FAILS, /* EIO; some of the bytes may have been written */
    SIM_DISK_SYNC_FAILS,  /* EIO; the dirty pages are dropped, by chance written or lost */
    SIM_DISK_WRITE_LOST,  /* said to be written and synced, but the medium keeps the old bytes */
    SIM_DISK_WRITE_MISDIRECTED, /* the medium gets it at another sector of the same file */
};
void sim_disk_fault(struct sim_host *host, enum sim_disk_fault fault, const char *part);
/* Some fault on demand has not met its operation yet; takes these back. */
bool sim_disk_has_fault(const struct sim_host *host);
void sim_disk_drop_faults(struct sim_host *host);
void sim_disk_set_options(struct sim_host *host, const struct sim_disk_options *options);
/* Free space comes and goes: a smaller capacity makes writes fail with ENOSPC. */
void sim_disk_set_capacity(struct sim_host *host, uint64_t capacity_bytes);
uint64_t sim_disk_used(const struct sim_host *host);
/* Operations take ns longer until told otherwise; 0: as before. */
void sim_disk_slow(struct sim_host *host, uint64_t ns);
/* Flips a bit in a durable byte of a file whose path contains part, as drawn from prng; false when
 * there is none.  path (may be NULL) receives its name, position its byte. */
bool sim_disk_rot(struct sim_host *host, const char *part, struct prng *prng, char *path,
                  size_t path_size, uint64_t *position);
/* Rot at a place of one's choice: what is seen and what is durable of a byte become this.  The file
 * is there, and longer. */
void sim_disk_set_byte(struct sim_host *host, const char *path, uint64_t position, uint8_t byte);
/* The process, if any, has been ended before the next four are called. */
void sim_host_wipe(struct sim_host *host); /* a new, empty disk */
void sim_host_swap_disks(struct sim_host *one, struct sim_host *other);
/* A copy of a whole disk as it is, to come back to later: a restored backup. */
struct sim_disk_copy;
struct sim_disk_copy *sim_disk_copy(const struct sim_host *host);
void sim_disk_restore(struct sim_host *host, const struct sim_disk_copy *copy);
void sim_disk_copy_free(struct sim_disk_copy *copy);

/* For checkers: what a process would see.  A new buf the caller releases, or NULL. */
struct buf *sim_disk_read(const struct sim_host *host, const char *path);
/* For checkers who make damage of their own: durable at once.  The file is made when missing, its
 * directory is there. */
void sim_disk_write(struct sim_host *host, const char *path, const void *data, size_t length);
/* Every file's path, in order of name; stops when visit returns false. */
void sim_disk_list(const struct sim_host *host,
                   bool (*visit)(const char *path, uint64_t size_bytes, void *context),
                   void *context);

#endif
