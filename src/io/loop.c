/* SPDX-License-Identifier: Apache-2.0
 *
 * loop.c -- the turn, on epoll (level triggered): whom to wait for, for how long, and in which
 * order everybody is served.
 *
 * Level triggered, because a handler may leave bytes in a socket (pause, fairness bound) and must
 * hear of them again.
 *
 * Locality: the loop's own thread, but for io_loop_wake().
 */
#define _GNU_SOURCE
#include "io/loop.h"

#include "base/assert.h"
#include "base/buf.h"
#include "base/memory.h"
#include "base/trace.h"
#include "io/flusher.h"
#include "io/loop_internal.h"
#include "io/worker.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000u
#define WAIT_MAX_MS 60000

static uint64_t loop_read_clock_ns(clockid_t clock)
{
    struct timespec now;
    int result = clock_gettime(clock, &now);
    ensure(result == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void loop_take_time(struct io_loop *loop)
{
    loop->now_ns = loop_read_clock_ns(CLOCK_MONOTONIC);
    loop->wall_ms = (int64_t)(loop_read_clock_ns(CLOCK_REALTIME) / NS_PER_MS);
}

static void loop_wake_ready(struct io_watch *watch, uint32_t events)
{
    (void)events;
    uint64_t count = 0;
    ssize_t got = read(watch->fd, &count, sizeof count);
    (void)got; /* EAGAIN: somebody else's wake-up was merged into this one */
}

/* A loop without its descriptors cannot serve anyone, so this ends the process at start. */
static _Noreturn void loop_give_up(const char *what)
{
    trace_error("cannot make an event loop: %s: %s", what, strerror(errno));
    abort();
}

struct io_loop *io_loop_new(uint64_t seed)
{
    struct io_loop *loop = memory_allocate_zeroed(sizeof *loop);
    signal(SIGPIPE, SIG_IGN); /* sendfile() knows no MSG_NOSIGNAL */
    list_init(&loop->hooks);
    list_init(&loop->sources);
    list_init(&loop->streams);
    list_init(&loop->streams_due);
    list_init(&loop->streams_to_send);
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd < 0) {
        loop_give_up("epoll_create1");
    }
    int wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (wake_fd < 0) {
        loop_give_up("eventfd");
    }
    loop->wake.ready = loop_wake_ready;
    if (io_watch_add(loop, &loop->wake, wake_fd, EPOLLIN) != 0) {
        loop_give_up("epoll_ctl");
    }
    if (seed == 0) {
        io_random_secure(loop, &seed, sizeof seed);
    }
    prng_init(&loop->prng, seed);
    loop->flusher = io_flusher_new(loop);
    loop->worker = io_worker_new(loop, "worker");
    loop->resolver = io_worker_new(loop, "resolver");
    loop_take_time(loop);
    return loop;
}

void io_loop_free(struct io_loop *loop)
{
    io_job_thread_free(loop->resolver, IO_JOB_THREAD_ENDS_ALL);
    io_job_thread_free(loop->worker, IO_JOB_THREAD_RUNS_ALL);
    io_flusher_free(loop->flusher);
    io_streams_free(loop);
    int wake_fd = loop->wake.fd;
    io_watch_remove(loop, &loop->wake);
    close(wake_fd);
    close(loop->epoll_fd);
    buf_release(loop->receive_spare);
    memory_free(loop->scratch);
    memory_free(loop->gather);
    io_timers_free(&loop->timers);
    memory_free(loop);
}

int io_watch_add(struct io_loop *loop, struct io_watch *watch, int fd, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        watch->fd = -1;
        return -errno;
    }
    watch->fd = fd;
    watch->events = events;
    return 0;
}

void io_watch_change(struct io_loop *loop, struct io_watch *watch, uint32_t events)
{
    require(watch->fd >= 0);
    if (watch->events == events) {
        return;
    }
    struct epoll_event event = {.events = events, .data.ptr = watch};
    int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
    ensure(result == 0);
    watch->events = events;
}

void io_watch_remove(struct io_loop *loop, struct io_watch *watch)
{
    require(watch->fd >= 0);
    int result = epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
    ensure(result == 0);
    watch->fd = -1;
    for (int i = 0; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == watch) {
            loop->events[i].data.ptr = NULL;
        }
    }
}

void io_source_add(struct io_loop *loop, struct io_source *source)
{
    list_append(&loop->sources, &source->node);
}

void io_source_remove(struct io_source *source)
{
    list_remove(&source->node);
}

void io_loop_wake(struct io_loop *loop)
{
    if (atomic_load(&loop->is_sleeping) && atomic_exchange(&loop->is_sleeping, false)) {
        int saved_errno = errno;
        uint64_t one = 1;
        ssize_t written = write(loop->wake.fd, &one, sizeof one);
        (void)written; /* EAGAIN: the counter is full, so the loop wakes anyway */
        errno = saved_errno;
    }
}

static bool loop_has_pending_source(const struct io_loop *loop)
{
    list_for_each(&loop->sources, node)
    {
        struct io_source *source = container_of(node, struct io_source, node);
        if (source->is_pending(source)) {
            return true;
        }
    }
    return false;
}

/* Rounded up: a timer never fires early. */
static int loop_wait_ms(const struct io_loop *loop)
{
    if (loop->is_again_wanted) {
        return 0;
    }
    uint64_t deadline_ns = io_timers_next_ns(&loop->timers);
    if (deadline_ns == UINT64_MAX) {
        return WAIT_MAX_MS;
    }
    uint64_t clock_ns = io_clock_ns(loop);
    if (deadline_ns <= clock_ns) {
        return 0;
    }
    uint64_t wait_ms = (deadline_ns - clock_ns + NS_PER_MS - 1) / NS_PER_MS;
    return wait_ms < WAIT_MAX_MS ? (int)wait_ms : WAIT_MAX_MS;
}

static void loop_wait(struct io_loop *loop)
{
    int wait_ms = loop_wait_ms(loop);
    if (wait_ms > 0) {
        atomic_store(&loop->is_sleeping, true);
        if (loop_has_pending_source(loop)) {
            wait_ms = 0;
        }
    }
    int count = epoll_wait(loop->epoll_fd, loop->events, IO_EVENTS_PER_TURN, wait_ms);
    ensure(count >= 0 || errno == EINTR);
    atomic_store_explicit(&loop->is_sleeping, false, memory_order_relaxed);
    loop->event_count = count > 0 ? count : 0;
    loop->is_again_wanted = false;
}

static void loop_serve_watches(struct io_loop *loop)
{
    for (int i = 0; i < loop->event_count; i++) {
        struct io_watch *watch = loop->events[i].data.ptr;
        if (watch != NULL) {
            watch->ready(watch, loop->events[i].events);
        }
    }
    loop->event_count = 0;
}

static void loop_serve_sources(struct io_loop *loop)
{
    list_for_each(&loop->sources, node)
    {
        struct io_source *source = container_of(node, struct io_source, node);
        if (source->is_pending(source)) {
            source->deliver(source);
        }
    }
}

static void loop_publish_sources(struct io_loop *loop)
{
    list_for_each(&loop->sources, node)
    {
        struct io_source *source = container_of(node, struct io_source, node);
        if (source->publish != NULL) {
            source->publish(source);
        }
    }
}

/* The hook after the running one is kept in the loop, so that a hook may remove any hook. */
static void loop_run_hooks(struct io_loop *loop)
{
    struct list_node *node = loop->hooks.head.next;
    while (node != &loop->hooks.head) {
        struct io_turn_hook *hook = container_of(node, struct io_turn_hook, node);
        loop->next_hook = node->next;
        hook->run(hook);
        node = loop->next_hook;
    }
    loop->next_hook = NULL;
}

static void loop_turn(struct io_loop *loop)
{
    loop_wait(loop);
    loop_take_time(loop);
    loop_serve_watches(loop);
    io_streams_attend(loop);
    loop_serve_sources(loop);
    loop_publish_sources(loop);
    io_timers_fire(&loop->timers, loop->now_ns);
    loop_run_hooks(loop);
    loop_publish_sources(loop);
    io_streams_send(loop);
}

void io_loop_run(struct io_loop *loop)
{
    loop->is_stopped = false;
    loop->is_again_wanted = true; /* hooks and streams may have been given work already */
    while (!loop->is_stopped) {
        loop_turn(loop);
    }
}

void io_loop_stop(struct io_loop *loop)
{
    loop->is_stopped = true;
}

uint64_t io_now_ns(const struct io_loop *loop)
{
    return loop->now_ns;
}

uint64_t io_clock_ns(const struct io_loop *loop)
{
    (void)loop;
    return loop_read_clock_ns(CLOCK_MONOTONIC);
}

int64_t io_wall_ms(const struct io_loop *loop)
{
    return loop->wall_ms;
}

void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns)
{
    io_timers_start(&loop->timers, timer, deadline_ns, loop->now_ns);
}

void io_timer_stop(struct io_loop *loop, struct io_timer *timer)
{
    io_timers_stop(&loop->timers, timer);
}

uint64_t io_random(struct io_loop *loop)
{
    return prng_next(&loop->prng);
}

void io_random_secure(struct io_loop *loop, void *bytes, uint32_t length)
{
    (void)loop;
    uint8_t *at = bytes;
    while (length > 0) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0) {
            ensure(errno == EINTR);
            continue;
        }
        at += got;
        length -= (uint32_t)got;
    }
}

void io_turn_hook_add(struct io_loop *loop, struct io_turn_hook *hook)
{
    list_append(&loop->hooks, &hook->node);
    io_loop_again(loop);
}

void io_turn_hook_remove(struct io_loop *loop, struct io_turn_hook *hook)
{
    if (loop->next_hook == &hook->node) {
        loop->next_hook = hook->node.next;
    }
    list_remove(&hook->node);
}

void io_loop_again(struct io_loop *loop)
{
    loop->is_again_wanted = true;
}
