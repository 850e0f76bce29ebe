/* SPDX-License-Identifier: Apache-2.0
 *
 * counter.h -- numbers that one thread writes and any thread may read: counters, gauges and a
 * histogram with fixed power-of-two bounds.  Relaxed: readers see each value whole, not all at
 * once.
 *
 * Locality: one writing thread for each object.
 */
#ifndef BASE_COUNTER_H
#define BASE_COUNTER_H

#include <stdatomic.h>
#include <stdint.h>

struct counter {
    _Atomic uint64_t value;
};

static inline void counter_add(struct counter *counter, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(&counter->value, memory_order_relaxed);
    atomic_store_explicit(&counter->value, value + amount, memory_order_relaxed);
}

static inline void counter_set(struct counter *counter, uint64_t value)
{
    atomic_store_explicit(&counter->value, value, memory_order_relaxed);
}

static inline uint64_t counter_read(const struct counter *counter)
{
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

/* Bucket i counts values below 2^i microseconds (the last one all others). */
#define HISTOGRAM_BUCKETS 28

struct histogram {
    struct counter buckets[HISTOGRAM_BUCKETS];
    struct counter count;
    struct counter sum_us;
};

static inline void histogram_record(struct histogram *histogram, uint64_t value_us)
{
    uint32_t bucket = 0;
    while (bucket < HISTOGRAM_BUCKETS - 1 && value_us >= (1ull << bucket)) {
        bucket++;
    }
    counter_add(&histogram->buckets[bucket], 1);
    counter_add(&histogram->count, 1);
    counter_add(&histogram->sum_us, value_us);
}

#endif
