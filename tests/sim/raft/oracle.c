/* SPDX-License-Identifier: Apache-2.0
 *
 * oracle.c -- see oracle.h.  Entries are keyed by (last index, term); commits form one list.
 *
 * Locality: one thread.
 */
#include "oracle.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

struct sighting {
    struct sighting *next;
    struct cluster_record record;
    uint64_t previous_term;
};

struct oracle {
    struct sighting **buckets;
    size_t bucket_count;
    size_t sighting_count;
    struct cluster_record *ledger;
    uint64_t *commit_terms; /* of who committed it first, one for each of the ledger */
    size_t ledger_count;
    size_t ledger_capacity;
    uint32_t *leaders; /* by term; 0: none seen */
    size_t leader_capacity;
};

struct oracle *oracle_new(void)
{
    struct oracle *oracle = memory_allocate_zeroed(sizeof(*oracle));
    oracle->bucket_count = 1024;
    oracle->buckets = memory_allocate_zeroed(oracle->bucket_count * sizeof(oracle->buckets[0]));
    return oracle;
}

void oracle_free(struct oracle *oracle)
{
    for (size_t i = 0; i < oracle->bucket_count; ++i) {
        while (oracle->buckets[i] != NULL) {
            struct sighting *sighting = oracle->buckets[i];
            oracle->buckets[i] = sighting->next;
            memory_free(sighting);
        }
    }
    memory_free(oracle->buckets);
    memory_free(oracle->ledger);
    memory_free(oracle->commit_terms);
    memory_free(oracle->leaders);
    memory_free(oracle);
}

static bool is_same(const struct cluster_record *left, const struct cluster_record *right)
{
    return left->value == right->value && left->entry.first_index == right->entry.first_index &&
           left->entry.last_index == right->entry.last_index &&
           left->entry.term == right->entry.term && left->entry.kind == right->entry.kind &&
           (left->entry.kind != RAFT_ENTRY_MEMBERSHIP ||
            raft_membership_equal(&left->entry.membership, &right->entry.membership));
}

void oracle_saw_entry(struct oracle *oracle, const struct cluster_record *record,
                      uint64_t previous_term)
{
    uint64_t hash = record->entry.last_index * 0x9e3779b97f4a7c15u + record->entry.term * 31;
    struct sighting **place = &oracle->buckets[(hash >> 20) % oracle->bucket_count];
    for (struct sighting *sighting = *place; sighting != NULL; sighting = sighting->next) {
        if (sighting->record.entry.last_index != record->entry.last_index ||
            sighting->record.entry.term != record->entry.term)
            continue;
        ensure(is_same(&sighting->record, record));       /* log matching: the entry */
        ensure(sighting->previous_term == previous_term); /* and what comes before it */
        return;
    }
    struct sighting *sighting = memory_allocate(sizeof(*sighting));
    *sighting = (struct sighting){*place, *record, previous_term};
    *place = sighting;
}

bool oracle_saw_commit(struct oracle *oracle, const struct cluster_record *record, uint64_t term)
{
    size_t position =
        cluster_record_find(oracle->ledger, oracle->ledger_count, record->entry.last_index);
    if (position < oracle->ledger_count) {
        ensure(is_same(&oracle->ledger[position], record)); /* state-machine safety */
        return false;
    }
    ensure(record->entry.first_index == oracle_ledger_end(oracle) + 1);
    if (oracle->ledger_count == oracle->ledger_capacity) {
        oracle->ledger_capacity = oracle->ledger_capacity == 0 ? 64 : oracle->ledger_capacity * 2;
        oracle->ledger =
            memory_reallocate(oracle->ledger, oracle->ledger_capacity * sizeof(oracle->ledger[0]));
        oracle->commit_terms = memory_reallocate(
            oracle->commit_terms, oracle->ledger_capacity * sizeof(oracle->commit_terms[0]));
    }
    oracle->commit_terms[oracle->ledger_count] = term;
    oracle->ledger[oracle->ledger_count++] = *record;
    return true;
}

/* What was committed in earlier terms.  The last votes of a term may come when a later one has its
 * leader and commits already: that says nothing of it. */
static bool has_all_committed_before(const struct oracle *oracle, const struct raft *raft)
{
    size_t count = oracle->ledger_count;
    while (count > 0 && oracle->commit_terms[count - 1] > raft_term(raft))
        count -= 1;
    uint64_t term = 0;
    return count == 0 || (raft_term_at(raft, oracle->ledger[count - 1].entry.last_index, &term) &&
                          term == oracle->ledger[count - 1].entry.term);
}

void oracle_saw_leader(struct oracle *oracle, uint32_t node_id, const struct raft *raft)
{
    uint64_t term = raft_term(raft);
    if (term >= oracle->leader_capacity) {
        size_t capacity = (size_t)term * 2 + 16;
        oracle->leaders = memory_reallocate(oracle->leaders, capacity * sizeof(oracle->leaders[0]));
        memset(oracle->leaders + oracle->leader_capacity, 0,
               (capacity - oracle->leader_capacity) * sizeof(oracle->leaders[0]));
        oracle->leader_capacity = capacity;
    }
    ensure(oracle->leaders[term] == 0 || oracle->leaders[term] == node_id); /* election safety */
    if (oracle->leaders[term] != 0)
        return;
    oracle->leaders[term] = node_id;
    ensure(has_all_committed_before(oracle, raft)); /* leader completeness */
}

uint64_t oracle_ledger_end(const struct oracle *oracle)
{
    return oracle->ledger_count == 0 ? 0
                                     : oracle->ledger[oracle->ledger_count - 1].entry.last_index;
}

uint64_t oracle_ledger_term(const struct oracle *oracle)
{
    return oracle->ledger_count == 0 ? 0 : oracle->ledger[oracle->ledger_count - 1].entry.term;
}
