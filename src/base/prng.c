/* SPDX-License-Identifier: Apache-2.0
 *
 * prng.c -- xoshiro256** with its state drawn from splitmix64, as its authors advise.
 *
 * Locality: the owner of the state.
 */
#include "base/prng.h"

#include "base/assert.h"

static uint64_t prng_rotate_left(uint64_t value, unsigned count)
{
    return value << count | value >> (64 - count);
}

static uint64_t prng_splitmix(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15ull;
    uint64_t mixed = *state;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9ull;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebull;
    return mixed ^ mixed >> 31;
}

void prng_init(struct prng *prng, uint64_t seed)
{
    for (unsigned i = 0; i < 4; i++) {
        prng->state[i] = prng_splitmix(&seed);
    }
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *state = prng->state;
    uint64_t result = prng_rotate_left(state[1] * 5, 7) * 9;
    uint64_t shifted = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= shifted;
    state[3] = prng_rotate_left(state[3], 45);
    return result;
}

/* Draws below 2^64 mod bound are refused, so that every residue is equally likely.  That is less
 * than bound: a draw above is good without a look at it, which would cost another division. */
uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    require(bound > 0);
    uint64_t drawn = prng_next(prng);
    while (drawn < bound && drawn < (0 - bound) % bound) {
        drawn = prng_next(prng);
    }
    return drawn % bound;
}
