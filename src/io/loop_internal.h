/* SPDX-License-Identifier: Apache-2.0
 *
 * loop_internal.h -- what the files of this room share about the loop.  Not for other rooms.
 *
 * A watch is a file descriptor the loop waits for.  A source is a place other threads put finished
 * things into (flusher, worker, mailbox): the loop looks at all of them before it sleeps and every
 * turn.
 *
 * Sleeping is agreed by two words in sequentially consistent order: the loop stores sleeping, then
 * looks at its sources; the other thread fills the source, then looks at sleeping.  One of them
 * sees the other, so no wake-up is lost and none is sent to a loop that is awake.
 */
#ifndef IO_LOOP_INTERNAL_H
#define IO_LOOP_INTERNAL_H

#include "base/list.h"
#include "base/prng.h"
#include "io/loop.h"
#include "io/timers.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#define IO_EVENTS_PER_TURN 128
#define IO_CACHE_LINE_BYTES 64

/* One record of TLS is 16 KiB, so a gathered write of this size makes four. */
#define IO_SCRATCH_BYTES 65536
#define IO_GATHER_MAX 1024 /* IOV_MAX of Linux */

struct buf;

struct io_watch {
    int fd;          /* -1: not watched */
    uint32_t events; /* waited for, in epoll's bits */
    void (*ready)(struct io_watch *watch, uint32_t events);
};

/* 0 or a negative errno. */
int io_watch_add(struct io_loop *loop, struct io_watch *watch, int fd, uint32_t events);
void io_watch_change(struct io_loop *loop, struct io_watch *watch, uint32_t events);
/* Events already fetched in this turn are forgotten too, so the watch may be freed. */
void io_watch_remove(struct io_loop *loop, struct io_watch *watch);

struct io_source {
    struct list_node node;
    /* Whether deliver has something to do; reads what other threads write in sequentially
     * consistent order. */
    bool (*is_pending)(struct io_source *source);
    void (*deliver)(struct io_source *source);
    /* Hands over what this turn has produced for other threads; may be NULL. */
    void (*publish)(struct io_source *source);
};

/* Sources deliver in the order they were added. */
void io_source_add(struct io_loop *loop, struct io_source *source);
void io_source_remove(struct io_source *source);

/* Any thread and signal handlers: ends the loop's wait when it waits.  Called after the source was
 * filled. */
void io_loop_wake(struct io_loop *loop);

struct io_loop {
    int epoll_fd;
    struct io_watch wake; /* an eventfd */
    uint64_t now_ns;
    int64_t wall_ms;
    bool is_stopped;
    bool is_again_wanted;
    struct prng prng;
    struct io_timers timers;
    struct list hooks;
    struct list_node *next_hook; /* while hooks run */
    struct list sources;

    struct epoll_event events[IO_EVENTS_PER_TURN];
    int event_count;

    struct io_flusher *flusher;
    struct io_job_thread *worker;
    struct io_job_thread *resolver; /* apart, so that a slow name server delays no file */

    struct list streams;         /* all of them */
    struct list streams_due;     /* a handler is to be called */
    struct list streams_to_send; /* something to send or to close at the end of the turn */
    struct buf *receive_spare;   /* one empty receive buffer, or NULL */
    uint8_t *scratch;            /* IO_SCRATCH_BYTES, made at first use */
    struct iovec *gather;        /* IO_GATHER_MAX, made at first use */

    char padding[IO_CACHE_LINE_BYTES];
    _Atomic bool is_sleeping; /* written by other threads as well: on a line of its own */
    char padding_after[IO_CACHE_LINE_BYTES];
};

/* The three parts of a turn that belong to streams. */
void io_streams_attend(struct io_loop *loop);
void io_streams_send(struct io_loop *loop);
void io_streams_free(struct io_loop *loop);

#endif
