/* SPDX-License-Identifier: Apache-2.0
 *
 * tombstone_floor.c -- see tombstone_floor.h.
 */
#include "broker/tombstone_floor.h"

#include "base/assert.h"

#include <string.h>

bool tombstone_holders_add(struct tombstone_holders *holders, uint32_t broker_id)
{
    require(broker_id > 0);
    uint32_t at = 0;
    while (at < holders->count && holders->brokers[at] < broker_id) {
        at++;
    }
    if (at < holders->count && holders->brokers[at] == broker_id) {
        return true;
    }
    if (holders->count == TOMBSTONE_HOLDERS_MAX) {
        return false;
    }
    memmove(&holders->brokers[at + 1], &holders->brokers[at],
            (holders->count - at) * sizeof holders->brokers[0]);
    holders->brokers[at] = broker_id;
    holders->count++;
    return true;
}

static bool are_same(const struct tombstone_holders *left, const struct tombstone_holders *right)
{
    return left->term == right->term && left->epoch == right->epoch &&
           left->count == right->count &&
           memcmp(left->brokers, right->brokers, left->count * sizeof left->brokers[0]) == 0;
}

void tombstone_proof_begin(struct tombstone_proof *proof, uint64_t number,
                           const struct tombstone_holders *holders)
{
    require(number > 0 && number != proof->number && holders->count > 0);
    if (!are_same(&proof->holders, holders)) {
        memset(proof, 0, sizeof *proof);
        proof->holders = *holders;
    } else if (proof->latest.answered == holders->count) {
        proof->earlier = proof->latest;
        proof->has_earlier = true;
    }
    memset(&proof->latest, 0, sizeof proof->latest);
    proof->number = number;
}

/* The holder's place among them; their count when it is none. */
static uint32_t place_of(const struct tombstone_holders *holders, uint32_t broker_id)
{
    uint32_t place = 0;
    while (place < holders->count && holders->brokers[place] != broker_id) {
        place++;
    }
    return place;
}

/* All answered twice: what the earlier round says held when the later one began, of the copies that
 * are the same in both. */
static uint64_t proven(const struct tombstone_proof *proof)
{
    uint64_t floor = UINT64_MAX;
    for (uint32_t i = 0; i < proof->holders.count; i++) {
        const struct tombstone_answer *earlier = &proof->earlier.answers[i];
        const struct tombstone_answer *latest = &proof->latest.answers[i];
        ensure(earlier->copy_id != 0 && latest->copy_id != 0);
        if (earlier->copy_id != latest->copy_id) {
            return 0;
        }
        floor = earlier->offset < floor ? earlier->offset : floor;
    }
    return floor;
}

uint64_t tombstone_proof_take(struct tombstone_proof *proof, uint64_t number, uint32_t broker_id,
                              const struct tombstone_answer *answer)
{
    const struct tombstone_holders *holders = &proof->holders;
    uint32_t place = place_of(holders, broker_id);
    if (number == 0 || number != proof->number || place == holders->count ||
        answer->term != holders->term || answer->epoch != holders->epoch || answer->copy_id == 0 ||
        proof->latest.answers[place].copy_id != 0) {
        return 0;
    }
    proof->latest.answers[place] = *answer;
    proof->latest.answered++;
    ensure(proof->latest.answered <= holders->count);
    bool is_complete = proof->latest.answered == holders->count;
    return is_complete && proof->has_earlier ? proven(proof) : 0;
}
