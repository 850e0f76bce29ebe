/* SPDX-License-Identifier: Apache-2.0
 *
 * sync_pool.c -- four at a time: the caller and three threads that wait for it.
 *
 * A round is a run of steps; whoever is free takes the next step of it until none is left.  The
 * caller returns when every step taken is finished too.
 *
 * Locality: all fields under the mutex; the steps are only read.
 */
#include "io/sync_pool.h"

#include "base/assert.h"
#include "base/memory.h"
#include "io/thread.h"

#include <pthread.h>

#define SYNC_POOL_HELPERS 3
#define SYNC_POOL_STACK_BYTES (256 * 1024)

struct io_sync_pool {
    pthread_t threads[SYNC_POOL_HELPERS];
    pthread_mutex_t mutex;
    pthread_cond_t begun;
    pthread_cond_t finished;
    const struct io_flush_step *steps; /* of the running round */
    uint32_t count;
    uint32_t taken; /* Invariant: completed <= taken <= count */
    uint32_t completed;
    int result;
    bool is_ending;
};

/* Takes and executes steps until none is left; called and left with the mutex held. */
static void sync_pool_take_steps(struct io_sync_pool *pool)
{
    while (pool->taken < pool->count) {
        struct io_file *file = pool->steps[pool->taken].file;
        pool->taken++;
        pthread_mutex_unlock(&pool->mutex);
        int result = io_file_sync(file);
        pthread_mutex_lock(&pool->mutex);
        if (result != 0 && pool->result == 0) {
            pool->result = result;
        }
        pool->completed++;
        if (pool->completed == pool->count) {
            pthread_cond_signal(&pool->finished);
        }
    }
}

static void *sync_pool_main(void *argument)
{
    struct io_sync_pool *pool = argument;
    pthread_mutex_lock(&pool->mutex);
    while (!pool->is_ending) {
        sync_pool_take_steps(pool);
        if (!pool->is_ending) {
            pthread_cond_wait(&pool->begun, &pool->mutex);
        }
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

struct io_sync_pool *io_sync_pool_new(void)
{
    struct io_sync_pool *pool = memory_allocate_zeroed(sizeof *pool);
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->begun, NULL);
    pthread_cond_init(&pool->finished, NULL);
    for (int i = 0; i < SYNC_POOL_HELPERS; i++) {
        io_thread_start(&pool->threads[i], "flusher-sync", SYNC_POOL_STACK_BYTES, sync_pool_main,
                        pool);
    }
    return pool;
}

void io_sync_pool_free(struct io_sync_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->is_ending = true;
    pthread_cond_broadcast(&pool->begun);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < SYNC_POOL_HELPERS; i++) {
        pthread_join(pool->threads[i], NULL);
    }
    pthread_cond_destroy(&pool->finished);
    pthread_cond_destroy(&pool->begun);
    pthread_mutex_destroy(&pool->mutex);
    memory_free(pool);
}

int io_sync_pool_run(struct io_sync_pool *pool, const struct io_flush_step *steps, uint32_t count)
{
    require(count > 0);
    pthread_mutex_lock(&pool->mutex);
    ensure(pool->completed == pool->count);
    pool->steps = steps;
    pool->count = count;
    pool->taken = 0;
    pool->completed = 0;
    pool->result = 0;
    pthread_cond_broadcast(&pool->begun);
    sync_pool_take_steps(pool);
    while (pool->completed < pool->count) {
        pthread_cond_wait(&pool->finished, &pool->mutex);
    }
    int result = pool->result;
    pthread_mutex_unlock(&pool->mutex);
    return result;
}
