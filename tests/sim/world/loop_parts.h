/* SPDX-License-Identifier: Apache-2.0
 *
 * loop_parts.h -- what the files that implement src/io share about a loop.  Not for tests.
 *
 * Locality: one thread.
 */
#ifndef TESTS_SIM_WORLD_LOOP_PARTS_H
#define TESTS_SIM_WORLD_LOOP_PARTS_H

#include "base/buf.h"
#include "internal.h"
#include "io/loop.h"
#include "io/timers.h"

struct io_flush;
struct shard;

/* Flushes in order; steps end one by one, each some time after the one before. */
struct sim_flusher {
    struct list queue; /* struct io_flush.node */
    struct sim_event step_end;
    uint32_t step; /* of the first flush: the one under way */
    uint64_t began_ns;
    int poison; /* negative errno of the first failure */
    struct list done;
};

/* Works in order, on a fiber. */
struct sim_worker {
    struct list queue; /* struct io_work.node */
    struct list done;
    struct sim_fiber *fiber; /* NULL before the first work */
    bool is_busy;
    struct sim_fiber *awaited_by; /* parked until the queue is empty, or NULL */
};

struct io_loop {
    struct sim_event turn;
    struct list_node process_node;
    struct sim_host *host;
    struct sim_process *process; /* NULL: a client's */
    struct shard *shard;         /* NULL: none */
    bool is_running;
    bool is_stopped;
    bool is_again_wanted;
    uint64_t busy_until_ns; /* true time */
    uint64_t blocked_ns;    /* what calls of this turn took */
    uint64_t now_ns;        /* the host's clock */
    int64_t wall_ms;
    struct prng prng;
    struct io_timers timers;
    struct list hooks;
    struct list_node *next_hook;
    struct sim_flusher flusher;
    struct sim_worker worker;

    struct list ready_listeners; /* connections wait */
    struct list streams;
    struct list streams_ready; /* the network has something for them */
    struct list streams_due;
    struct list streams_to_send;
    struct buf *receive_spare;
};

/* The parts of a turn. */
void listeners_accept(struct io_loop *loop);  /* listener.c */
void streams_receive(struct io_loop *loop);   /* stream.c */
void streams_attend(struct io_loop *loop);    /* stream.c */
void streams_send(struct io_loop *loop);      /* stream.c */
void streams_free(struct io_loop *loop);      /* stream.c */
void jobs_deliver(struct io_loop *loop);      /* jobs.c */
void shard_begin(struct shard *shard);        /* shard.c: the first turn */
void shard_deliver_mail(struct shard *shard); /* shard.c */
void shard_publish_mail(struct shard *shard); /* shard.c */

void jobs_init(struct io_loop *loop);
/* On a fiber: waits until all that was submitted has been executed; done is not called. */
void jobs_finish(struct io_loop *loop);
void jobs_abandon(struct io_loop *loop);
void jobs_resume(struct io_loop *loop);

#endif
