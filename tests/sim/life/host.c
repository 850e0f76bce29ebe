/* SPDX-License-Identifier: Apache-2.0
 *
 * host.c -- the processes: who runs, their loops, flushers and workers, their end, and the frames
 * between them.
 *
 * Locality: one thread.
 */
#include "host.h"

#include "../world/disk.h"
#include "../world/own_memory.h"
#include "base/assert.h"
#include "base/prng.h"
#include "host_parts.h"
#include "io/timers.h"

#include <setjmp.h>
#include <string.h>

#define FRAME_HEADER_BYTES 15 /* size and request header, as peers write them */

struct io_loop {
    struct io_timers timers;
    struct list hooks;
    struct list flushes;
    uint32_t flush_step;
    bool is_flushed; /* the first flush: its answer is due */
    struct list works;
    struct list worked; /* their answers are due */
    struct prng prng;
};

struct shard {
    struct io_loop *loop;
};

struct io_stream {
    uint32_t from;
    uint32_t to;
    uint8_t *bytes; /* of this turn */
    size_t length;
    size_t capacity;
};

struct host {
    struct io_loop loop;
    struct shard shard;
    struct io_stream streams[HOSTS + 1];
    struct host_memory memory;
    struct list files;
    struct sim_disk *disk;
    uint32_t dies_at;
};

static struct {
    struct host hosts[HOSTS + 1];
    uint32_t running; /* 0: none */
    jmp_buf end;
    uint64_t now_ns;
    uint64_t operations;
    struct prng prng;
    struct host_frame frames[FRAMES_MAX];
    uint32_t frame_count;
} sim;

/* ---- Who runs ---- */

static struct host *running(void)
{
    require(sim.running != 0);
    return &sim.hosts[sim.running];
}

struct host_memory *host_memory_in_use(void)
{
    return sim.running == 0 ? NULL : &running()->memory;
}

struct sim_disk *host_disk_in_use(void)
{
    return running()->disk;
}

struct list *host_open_files(void)
{
    return &running()->files;
}

void host_operation(void)
{
    struct host *host = running();
    sim.operations++;
    if (host->dies_at > 0 && --host->dies_at == 0) {
        longjmp(sim.end, 1);
    }
}

static void reset_loop(struct host *host)
{
    host->loop = (struct io_loop){0};
    list_init(&host->loop.hooks);
    list_init(&host->loop.flushes);
    list_init(&host->loop.works);
    list_init(&host->loop.worked);
    prng_init(&host->loop.prng, prng_next(&sim.prng));
    host->dies_at = 0;
    for (uint32_t i = 0; i <= HOSTS; i++) {
        host->streams[i].length = 0;
    }
}

void hosts_begin(uint64_t seed)
{
    memset(&sim, 0, sizeof sim);
    prng_init(&sim.prng, seed);
    sim.now_ns = 1000000000;
    for (uint32_t i = 1; i <= HOSTS; i++) {
        struct host *host = &sim.hosts[i];
        host->disk = disk_new();
        host->shard.loop = &host->loop;
        list_init(&host->memory.blocks);
        list_init(&host->files);
        reset_loop(host);
        for (uint32_t peer = 1; peer <= HOSTS; peer++) {
            host->streams[peer] = (struct io_stream){.from = i, .to = peer};
        }
    }
}

void hosts_end(void)
{
    for (uint32_t i = 1; i <= HOSTS; i++) {
        host_kill(i);
        for (uint32_t peer = 1; peer <= HOSTS; peer++) {
            own_free(sim.hosts[i].streams[peer].bytes);
        }
        disk_free(sim.hosts[i].disk);
    }
    while (sim.frame_count > 0) {
        struct host_frame frame = frame_take(0);
        frame_free(&frame);
    }
}

uint64_t hosts_now_ns(void)
{
    return sim.now_ns;
}

void hosts_advance(uint64_t ns)
{
    sim.now_ns += ns;
}

uint64_t host_operations(void)
{
    return sim.operations;
}

/* ---- Frames ---- */

uint32_t frames_count(void)
{
    return sim.frame_count;
}

const struct host_frame *frame_at(uint32_t position)
{
    require(position < sim.frame_count);
    return &sim.frames[position];
}

struct host_frame frame_take(uint32_t position)
{
    require(position < sim.frame_count);
    struct host_frame frame = sim.frames[position];
    sim.frames[position] = sim.frames[--sim.frame_count];
    return frame;
}

/* Too many: one that is under way is lost. */
void frame_put(const struct host_frame *frame)
{
    if (sim.frame_count == FRAMES_MAX) {
        struct host_frame lost = frame_take((uint32_t)prng_below(&sim.prng, FRAMES_MAX));
        frame_free(&lost);
    }
    struct host_frame copy = *frame;
    copy.bytes = own_allocate(frame->length);
    memcpy(copy.bytes, frame->bytes, frame->length);
    sim.frames[sim.frame_count++] = copy;
}

void frame_free(struct host_frame *frame)
{
    own_free(frame->bytes);
    frame->bytes = NULL;
}

/* What the turn has queued leaves frame by frame; whether it arrives is for the simulation. */
static void send_frames(struct host *host)
{
    for (uint32_t peer = 1; peer <= HOSTS; peer++) {
        struct io_stream *stream = &host->streams[peer];
        size_t at = 0;
        while (at < stream->length) {
            const uint8_t *bytes = stream->bytes + at;
            size_t size =
                (size_t)bytes[0] << 24 | (size_t)bytes[1] << 16 | (size_t)bytes[2] << 8 | bytes[3];
            ensure(size + 4 > FRAME_HEADER_BYTES && at + size + 4 <= stream->length);
            frame_put(&(struct host_frame){.from = stream->from,
                                           .to = stream->to,
                                           .bytes = stream->bytes + at + FRAME_HEADER_BYTES,
                                           .length = size + 4 - FRAME_HEADER_BYTES});
            at += size + 4;
        }
        stream->length = 0;
    }
}

void io_stream_send(struct io_stream *stream, struct buf_slice slice)
{
    if (stream->length + slice.length_bytes > stream->capacity) {
        stream->capacity = 2 * (stream->length + slice.length_bytes);
        stream->bytes = own_reallocate(stream->bytes, stream->capacity);
    }
    memcpy(stream->bytes + stream->length, slice.data, slice.length_bytes);
    stream->length += slice.length_bytes;
}

size_t io_stream_queued_bytes(const struct io_stream *stream)
{
    return stream->length;
}

/* ---- Turns ---- */

bool host_run(uint32_t number, void (*function)(uint32_t host, void *context), void *context)
{
    require(sim.running == 0);
    struct host *host = &sim.hosts[number];
    sim.running = number;
    bool lives = setjmp(sim.end) == 0;
    if (lives) {
        function(number, context);
        list_for_each(&host->loop.hooks, node)
        {
            struct io_turn_hook *hook = container_of(node, struct io_turn_hook, node);
            hook->run(hook);
        }
        sim.running = 0;
        send_frames(host);
    }
    sim.running = 0;
    return lives;
}

static void nothing(uint32_t number, void *context)
{
    (void)context;
    io_timers_fire(&sim.hosts[number].loop.timers, sim.now_ns);
}

void host_turn(uint32_t number)
{
    if (!host_run(number, nothing, NULL)) {
        host_kill(number);
    }
}

bool host_has_work(uint32_t number)
{
    const struct io_loop *loop = &sim.hosts[number].loop;
    return !list_is_empty(&loop->flushes) || !list_is_empty(&loop->works) ||
           !list_is_empty(&loop->worked);
}

static void flush_on(uint32_t number, void *context)
{
    (void)context;
    struct io_loop *loop = &sim.hosts[number].loop;
    struct io_flush *flush = container_of(list_first(&loop->flushes), struct io_flush, node);
    if (loop->flush_step < flush->step_count) {
        flush->result = host_flush_step(&flush->steps[loop->flush_step++]);
        ensure(flush->result == 0); /* these disks are large and do not fail */
    } else {
        loop->flush_step = 0;
        list_remove(&flush->node);
        flush->result = 0;
        flush->done(flush);
    }
}

static void work_on(uint32_t number, void *context)
{
    (void)context;
    struct io_loop *loop = &sim.hosts[number].loop;
    struct list_node *node = list_take_first(&loop->works);
    struct io_work *work = container_of(node, struct io_work, node);
    work->run(work);
    list_append(&loop->worked, &work->node);
}

static void answer_work(uint32_t number, void *context)
{
    (void)context;
    struct list_node *node = list_take_first(&sim.hosts[number].loop.worked);
    struct io_work *work = container_of(node, struct io_work, node);
    work->done(work);
}

bool host_step(uint32_t number)
{
    const struct io_loop *loop = &sim.hosts[number].loop;
    void (*const steps[])(uint32_t number, void *context) = {flush_on, work_on, answer_work};
    const struct list *const queues[] = {&loop->flushes, &loop->works, &loop->worked};
    uint32_t first = (uint32_t)prng_below(&sim.prng, 3);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t kind = (first + i) % 3;
        if (!list_is_empty(queues[kind])) {
            if (!host_run(number, steps[kind], NULL)) {
                host_kill(number);
            }
            return true;
        }
    }
    return false;
}

/* ---- Ends ---- */

void host_die_at(uint32_t host, uint32_t operation)
{
    sim.hosts[host].dies_at = operation;
}

void host_kill(uint32_t number)
{
    struct host *host = &sim.hosts[number];
    host_files_close(&host->files);
    host_memory_release(&host->memory);
    reset_loop(host);
}

void host_cut_power(uint32_t number)
{
    host_kill(number);
    disk_lose_power(sim.hosts[number].disk, &sim.prng);
}

uint64_t host_blocks(uint32_t host)
{
    return sim.hosts[host].memory.count;
}

bool host_path_exists(uint32_t host, const char *path)
{
    struct sim_inode *inode;
    return disk_find(sim.hosts[host].disk, path, &inode) == 0;
}

struct shard *host_shard(uint32_t host)
{
    return &sim.hosts[host].shard;
}

struct io_stream *host_stream(uint32_t host, uint32_t peer)
{
    return &sim.hosts[host].streams[peer];
}

/* ---- io/loop.h, io/shard.h ---- */

uint64_t io_now_ns(const struct io_loop *loop)
{
    (void)loop;
    return sim.now_ns;
}

uint64_t io_clock_ns(const struct io_loop *loop)
{
    return io_now_ns(loop);
}

int64_t io_wall_ms(const struct io_loop *loop)
{
    return (int64_t)(io_now_ns(loop) / 1000000);
}

uint64_t io_random(struct io_loop *loop)
{
    return prng_next(&loop->prng);
}

void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns)
{
    io_timers_start(&loop->timers, timer, deadline_ns, sim.now_ns);
}

void io_timer_stop(struct io_loop *loop, struct io_timer *timer)
{
    io_timers_stop(&loop->timers, timer);
}

void io_turn_hook_add(struct io_loop *loop, struct io_turn_hook *hook)
{
    list_append(&loop->hooks, &hook->node);
}

void io_turn_hook_remove(struct io_loop *loop, struct io_turn_hook *hook)
{
    (void)loop;
    list_remove(&hook->node);
}

/* Turns come anyway. */
void io_loop_again(struct io_loop *loop)
{
    (void)loop;
}

void io_flush_submit(struct io_loop *loop, struct io_flush *flush)
{
    list_append(&loop->flushes, &flush->node);
}

void io_work_submit(struct io_loop *loop, struct io_work *work)
{
    list_append(&loop->works, &work->node);
}

uint32_t shard_id(const struct shard *shard)
{
    (void)shard;
    return 0;
}

uint32_t shard_count(const struct shard *shard)
{
    (void)shard;
    return 1;
}

struct io_loop *shard_loop(struct shard *shard)
{
    return shard->loop;
}
