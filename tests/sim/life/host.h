/* SPDX-License-Identifier: Apache-2.0
 *
 * host.h -- a few processes in one thread, each with a disk, a loop and memory of its own: as much
 * of src/io as the rooms log and replica use.
 *
 * Nothing happens by itself: the simulation chooses the next flush step, work, answer, turn or
 * frame, so that everything that can overtake something else does.  A process may die at any file
 * operation; its memory goes with it and its disk stays, with or without what was not synced.
 *
 * Not here: what the processes do (life_sim.c), sockets, more than one shard.
 *
 * Locality: one thread; the same on every machine.
 */
#ifndef TESTS_SIM_LIFE_HOST_H
#define TESTS_SIM_LIFE_HOST_H

#include "base/buf.h"
#include "io/shard.h"
#include "io/stream.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HOSTS 3 /* numbered from 1 */
#define FRAMES_MAX 256

/* Bytes that a host sent to another one; owned by the simulation. */
struct host_frame {
    uint32_t from;
    uint32_t to;
    uint8_t *bytes;
    size_t length;
};

void hosts_begin(uint64_t seed);
void hosts_end(void);
uint64_t hosts_now_ns(void);
void hosts_advance(uint64_t ns);

/* ---- Processes ---- */

/* Runs a function as the host's process, then its turn hooks; false when the process died in it. */
bool host_run(uint32_t host, void (*function)(uint32_t host, void *context), void *context);
struct shard *host_shard(uint32_t host);
struct io_stream *host_stream(uint32_t host, uint32_t peer);
/* The process dies at its operation-th file operation from now; 0: not. */
void host_die_at(uint32_t host, uint32_t operation);
/* The process is gone, its memory with it; the files stay as it saw them. */
void host_kill(uint32_t host);
/* Likewise, and what was not synced is kept or lost by chance. */
void host_cut_power(uint32_t host);
/* Blocks that the process holds: none after a clean end. */
uint64_t host_blocks(uint32_t host);
/* File operations so far. */
uint64_t host_operations(void);

/* One step of its flusher, one run of its worker, one answer of either; false when nothing waits.
 */
bool host_step(uint32_t host);
bool host_has_work(uint32_t host);
/* A turn in which nothing came: timers and hooks. */
void host_turn(uint32_t host);

/* ---- Frames under way, in no order ---- */

uint32_t frames_count(void);
const struct host_frame *frame_at(uint32_t position);
/* Out of those under way; the caller frees it with frame_free(). */
struct host_frame frame_take(uint32_t position);
void frame_put(const struct host_frame *frame); /* copies it */
void frame_free(struct host_frame *frame);

/* ---- Looking at disks from outside ---- */

bool host_path_exists(uint32_t host, const char *path);

#endif
