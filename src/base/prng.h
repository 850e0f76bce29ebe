/* SPDX-License-Identifier: Apache-2.0
 *
 * prng.h -- a seeded generator of pseudo-random numbers (xoshiro256** seeded by splitmix64).
 * The same seed gives the same sequence everywhere.  Not for secrets.
 *
 * Locality: the owner of the state.
 */
#ifndef BASE_PRNG_H
#define BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_init(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);

/* Uniform in [0, bound); bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);

#endif
