/* SPDX-License-Identifier: Apache-2.0
 *
 * check_raft.c -- the safety of every group, looked at between events, on whole brokers.
 *
 *   election-safety       a term of a group has one leader
 *   leader-append-only    a leader's log never gets shorter in its term
 *   log-matching          a term's entries begin at one index, behind an entry of one term, in
 * every log leader-completeness   a leader has everything that was committed in earlier terms
 *   committed-differs     all replicas have an entry of the same term at a committed index (with
 * log matching: the same entry; the bytes are compared by check_replicas.c) commit-without-majority
 * what a leader counts as committed is durable on a majority of the voters went-back term, commit
 * index and high watermark never fall while a process lives durable-lost          what was durable
 * and committed is there after any restart, unless the atlas took the disk
 *
 * Entries are told apart by their terms, kept in runs.  After every event the groups of the shards
 * that it stirred are looked at; one in which nothing moved costs a few comparisons.  Every rule is
 * about what one replica has come to, next to what is known of all: it can only be broken by a step
 * that moves a replica.  Replicas are moved by the turns of their own shard, which no other shard
 * and no job beside a shard touches (make tsan looks for one that does), and by the beginning and
 * the end of a process, behind which all shards of the host are looked at.  What other replicas
 * have, for commit-without-majority, is asked of them at the moment at which the leader counts it.
 *
 * Sources: Raft thesis, figure 3.2 (the five properties).
 */
#include "drill/check.h"

#include "base/assert.h"
#include "base/map.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "drill/drill.h"
#include "drill/rest.h"
#include "raft/raft.h"
#include "replica/group.h"

#include <string.h>

/* Committed entries from first on, up to the next run, are of this term. */
struct run {
    uint64_t first;
    uint64_t term;
};

/* A group as all replicas must agree on it. */
struct truth {
    uint64_t id;
    uint64_t committed;
    uint64_t last_most; /* the largest index any replica ever had */
    struct run *runs;   /* ascending */
    size_t run_count;
    size_t run_capacity;
    struct map leaders; /* term -> node id */
    struct map begins;  /* term -> struct term_begin */
};

/* Where the entries of a term begin, in whichever log that was seen. */
struct term_begin {
    uint64_t index;
    uint64_t previous_term;
};

/* A replica as it was seen last; first what every look compares. */
struct seen {
    uint64_t group_id;
    uint64_t look;  /* the latest at which it ran */
    uint32_t start; /* of the process */
    bool is_leader;
    uint64_t term;
    uint64_t last;
    uint64_t saved; /* or may have, once it does not run */
    uint64_t commit;
    uint64_t high_watermark;
    uint32_t incarnation;
    uint64_t last_term; /* of the entry at last; 0: not known */
    uint64_t durable;   /* committed and durable here: must be there for ever */
};

/* The replicas of a shard as they were seen last.  Where they were met then, in the order of its
 * table, is kept: nearly always each is met there again, and need not be looked for. */
struct shard_seen {
    struct map seen;      /* by group */
    struct seen **places; /* NULL in it: unknown */
    size_t place_count;
    uint64_t looks;
    size_t met;   /* replicas that ran at the latest look */
    size_t still; /* those of them that ran at the look before, too */
};

struct check_raft {
    struct drill *drill;
    struct map truths;
    struct shard_seen shards[SWARM_BROKERS_MAX + 1][SWARM_SHARDS_MAX];
    uint32_t looked_at[SWARM_BROKERS_MAX + 1]; /* bit per shard: those that are looked at now */
    bool is_looking_on; /* nothing happened since the last look but a fault of the atlas */
    uint64_t commits;
};

/* ---- What is known of a group ---- */

static struct truth *truth_of(struct check_raft *check, uint64_t group_id)
{
    struct truth *truth = map_get(&check->truths, group_id);
    if (truth == NULL) {
        truth = memory_allocate_zeroed(sizeof *truth);
        truth->id = group_id;
        map_init(&truth->leaders);
        map_init(&truth->begins);
        (void)map_put(&check->truths, group_id, truth);
    }
    return truth;
}

/* On every broker the same, as all have the same number of shards. */
static uint32_t shard_of(const struct check_raft *check, uint64_t group_id)
{
    return replica_shard_of_group(group_id, check->drill->swarm.shards);
}

static struct seen *seen_in(struct shard_seen *shard, uint64_t group_id)
{
    struct seen *seen = map_get(&shard->seen, group_id);
    if (seen == NULL) {
        seen = memory_allocate_zeroed(sizeof *seen);
        seen->group_id = group_id;
        (void)map_put(&shard->seen, group_id, seen);
    }
    return seen;
}

/* The term of a committed index; 0: not known. */
static uint64_t truth_term(const struct truth *truth, uint64_t index)
{
    size_t low = 0;
    size_t high = truth->run_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (truth->runs[middle].first <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 || index > truth->committed ? 0 : truth->runs[low - 1].term;
}

static void truth_extend(struct truth *truth, uint64_t index, uint64_t term)
{
    require(index == truth->committed + 1);
    truth->committed = index;
    if (truth->run_count > 0 && truth->runs[truth->run_count - 1].term == term) {
        return;
    }
    if (truth->run_count == truth->run_capacity) {
        truth->run_capacity = truth->run_capacity * 2 + 8;
        truth->runs = memory_reallocate(truth->runs, truth->run_capacity * sizeof *truth->runs);
    }
    truth->runs[truth->run_count++] = (struct run){index, term};
}

/* The last index committed in a term before this one. */
static uint64_t truth_before_term(const struct truth *truth, uint64_t term)
{
    for (size_t i = 0; i < truth->run_count; i++) {
        if (truth->runs[i].term >= term) {
            return truth->runs[i].first - 1;
        }
    }
    return truth->committed;
}

/* ---- The rules ---- */

static void check_leader(struct check_raft *check, struct truth *truth, uint32_t host,
                         const struct raft *raft, const struct seen *seen)
{
    struct sim_world *world = check->drill->world;
    uint64_t term = raft_term(raft);
    if (seen->is_leader && seen->term == term) {
        if (raft_last_index(raft) < seen->last) {
            sim_world_fail(world,
                           "leader-append-only: group %lu, broker %u, term %lu: last %lu -> %lu",
                           (unsigned long)truth->id, host, (unsigned long)term,
                           (unsigned long)seen->last, (unsigned long)raft_last_index(raft));
        }
        return;
    }
    uintptr_t known = (uintptr_t)map_put(&truth->leaders, term, (void *)(uintptr_t)host);
    if (known != 0 && known != host) {
        sim_world_fail(world, "election-safety: group %lu, term %lu: brokers %lu and %u lead",
                       (unsigned long)truth->id, (unsigned long)term, (unsigned long)known, host);
    }
    uint64_t must_have = truth_before_term(truth, term);
    uint64_t here = 0;
    bool has_it = raft_last_index(raft) >= must_have &&
                  (!raft_term_at(raft, must_have, &here) || must_have == 0 ||
                   here == truth_term(truth, must_have));
    if (!has_it) {
        sim_world_fail(world,
                       "leader-completeness: group %lu: broker %u leads in term %lu with last %lu, "
                       "but %lu was committed",
                       (unsigned long)truth->id, host, (unsigned long)term,
                       (unsigned long)raft_last_index(raft), (unsigned long)must_have);
    }
}

/* The group on a host that runs it now, or NULL. */
static const struct raft *running_raft(struct check_raft *check, uint32_t host, uint64_t group_id)
{
    struct broker *broker = sim_host_broker(check->drill->hosts[host]);
    if (broker == NULL) {
        return NULL;
    }
    const struct replica_group *group = rest_find_group(broker, group_id);
    return group == NULL ? NULL : group->raft;
}

/* Whether a replica that does not run now has saved the index, or may have without being seen: it
 * ended since the last look, and not by a fault that was looked at; or its process is a new one in
 * which it was not seen yet. */
static bool may_have_saved(const struct check_raft *check, uint32_t host, const struct seen *seen,
                           uint64_t index)
{
    uint32_t shard = shard_of(check, seen->group_id);
    bool is_looked_at = (check->looked_at[host] >> shard & 1) != 0;
    bool ended_unseen =
        is_looked_at && seen->look + 1 == check->shards[host][shard].looks && !check->is_looking_on;
    bool is_new = seen->start != sim_host_starts(check->drill->hosts[host]);
    return seen->saved >= index || ended_unseen || is_new;
}

/* While a membership is not committed, what stands before it may have been committed by the one
 * before. */
static bool membership_is_settled(struct check_raft *check, uint32_t host, uint64_t group_id)
{
    struct broker *broker = sim_host_broker(check->drill->hosts[host]);
    const struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    return group != NULL && raft_membership_equal(raft_membership(group->raft), &group->membership);
}

static void check_majority(struct check_raft *check, const struct truth *truth, uint32_t host,
                           const struct raft *raft, uint64_t index, uint64_t term)
{
    const struct raft_membership *members = raft_membership(raft);
    uint32_t durable = 0;
    if (atlas_has_wiped(check->drill->atlas) || !membership_is_settled(check, host, truth->id)) {
        return;
    }
    for (uint32_t i = 0; i < members->voter_count; i++) {
        uint32_t voter = members->voters[i];
        struct shard_seen *shard = &check->shards[voter][shard_of(check, truth->id)];
        const struct seen *seen = seen_in(shard, truth->id);
        if (seen->start == 0) {
            return; /* what its earlier life saved is not known here any more */
        }
        const struct raft *other = running_raft(check, voter, truth->id);
        uint64_t there = 0;
        if (other != NULL) {
            durable += raft_saved_index(other) >= index &&
                       (!raft_term_at(other, index, &there) || there == term);
        } else {
            durable += may_have_saved(check, voter, seen, index);
        }
    }
    if (durable < members->voter_count / 2 + 1) {
        sim_world_fail(
            check->drill->world,
            "commit-without-majority: group %lu: broker %u counts %lu as committed, which "
            "%u of %u voters hold durably",
            (unsigned long)truth->id, host, (unsigned long)index, durable, members->voter_count);
    }
}

static void check_commits(struct check_raft *check, struct truth *truth, uint32_t host,
                          const struct raft *raft, uint64_t from)
{
    uint64_t commit = raft_commit_index(raft);
    for (uint64_t index = from + 1; index <= commit; index++) {
        uint64_t term = 0;
        if (index < raft_first_index(raft) || !raft_term_at(raft, index, &term)) {
            term = 0; /* in the snapshot */
        }
        if (index > truth->committed) {
            truth_extend(truth, index, term);
            check->commits++;
            if (index == commit && raft_role(raft) == RAFT_LEADER) {
                check_majority(check, truth, host, raft, index, term);
            }
            continue;
        }
        uint64_t known = truth_term(truth, index);
        if (known != 0 && term != 0 && known != term) {
            sim_world_fail(check->drill->world,
                           "committed-differs: group %lu at %lu: broker %u has term %lu, committed "
                           "was term %lu",
                           (unsigned long)truth->id, (unsigned long)index, host,
                           (unsigned long)term, (unsigned long)known);
            return;
        }
    }
}

static void check_begin(struct check_raft *check, struct truth *truth, uint32_t host,
                        uint64_t index, uint64_t term, uint64_t previous_term)
{
    struct term_begin *known = map_get(&truth->begins, term);
    if (known == NULL) {
        known = memory_allocate(sizeof *known);
        *known = (struct term_begin){index, previous_term};
        (void)map_put(&truth->begins, term, known);
    } else if (known->index != index || known->previous_term != previous_term) {
        sim_world_fail(
            check->drill->world,
            "log-matching: group %lu: on broker %u term %lu begins at %lu behind term %lu, "
            "elsewhere at %lu behind term %lu",
            (unsigned long)truth->id, host, (unsigned long)term, (unsigned long)index,
            (unsigned long)previous_term, (unsigned long)known->index,
            (unsigned long)known->previous_term);
    }
}

/* What was appended since the last look: from the last entry on if that is still the same, else
 * from the commit index, below which nothing changes. */
static void check_matching(struct check_raft *check, struct truth *truth, uint32_t host,
                           const struct raft *raft, struct seen *seen)
{
    uint64_t term = 0;
    bool goes_on = seen->last_term != 0 && seen->last <= raft_last_index(raft) &&
                   raft_term_at(raft, seen->last, &term) && term == seen->last_term;
    uint64_t committed = raft_commit_index(raft);
    committed = seen->commit < committed ? seen->commit : committed;
    uint64_t from = goes_on ? seen->last : committed;
    from = from < raft_first_index(raft) ? raft_first_index(raft) : from;
    bool is_known = raft_term_at(raft, from, &term);
    for (uint64_t index = from + 1; is_known && index <= raft_last_index(raft); index++) {
        uint64_t previous_term = term;
        is_known = raft_term_at(raft, index, &term);
        if (is_known && term != previous_term) {
            check_begin(check, truth, host, index, term, previous_term);
        }
    }
    seen->last_term = is_known ? term : 0;
}

static void check_restart(struct check_raft *check, const struct truth *truth, uint32_t host,
                          const struct raft *raft, const struct seen *seen)
{
    uint64_t term = 0;
    uint64_t known = truth_term(truth, seen->durable);
    bool is_there = raft_last_index(raft) >= seen->durable &&
                    (known == 0 || !raft_term_at(raft, seen->durable, &term) || term == known);
    if (!is_there) {
        sim_world_fail(
            check->drill->world,
            "durable-lost: group %lu: broker %u had %lu committed and durable, and starts "
            "with last %lu",
            (unsigned long)truth->id, host, (unsigned long)seen->durable,
            (unsigned long)raft_last_index(raft));
    }
}

static void check_forward(struct check_raft *check, uint64_t group_id, uint32_t host,
                          const struct replica_group *group, const struct seen *seen)
{
    if (raft_term(group->raft) < seen->term || raft_commit_index(group->raft) < seen->commit ||
        group->high_watermark < seen->high_watermark) {
        sim_world_fail(check->drill->world,
                       "went-back: group %lu, broker %u: term %lu -> %lu, commit %lu -> %lu, "
                       "watermark %lu -> %lu",
                       (unsigned long)group_id, host, (unsigned long)seen->term,
                       (unsigned long)raft_term(group->raft), (unsigned long)seen->commit,
                       (unsigned long)raft_commit_index(group->raft),
                       (unsigned long)seen->high_watermark, (unsigned long)group->high_watermark);
    }
}

static bool is_unchanged(const struct replica_group *group, const struct seen *seen, uint32_t start)
{
    const struct raft *raft = group->raft;
    return seen->start == start && seen->term == raft_term(raft) &&
           seen->last == raft_last_index(raft) && seen->saved == raft_saved_index(raft) &&
           seen->commit == raft_commit_index(raft) &&
           seen->is_leader == (raft_role(raft) == RAFT_LEADER) &&
           seen->high_watermark == group->high_watermark;
}

static void look(struct check_raft *check, uint32_t host, uint32_t start,
                 const struct replica_group *group, struct seen *seen)
{
    const struct raft *raft = group->raft;
    struct truth *truth = truth_of(check, group->id);
    if (seen->incarnation != group->incarnation ||
        (replica_group_is_joining(group) && raft_last_index(raft) < seen->last)) {
        /* Another life of the replica: its broker gave it up and got it back, or found it damaged.
         */
        *seen = (struct seen){.group_id = group->id, .look = seen->look};
    }
    bool is_new = seen->start != start;
    if (is_new) {
        check_restart(check, truth, host, raft, seen);
        seen->is_leader = false;
    } else {
        check_forward(check, group->id, host, group, seen);
    }
    if (raft_last_index(raft) > truth->last_most) {
        truth->last_most = raft_last_index(raft);
    }
    uint64_t saved = raft_saved_index(raft);
    uint64_t commit = raft_commit_index(raft);
    uint64_t from = is_new ? 0 : seen->commit;
    seen->saved = saved; /* first, for the majority's sake */
    check_matching(check, truth, host, raft, seen);
    check_commits(check, truth, host, raft, from);
    if (raft_role(raft) == RAFT_LEADER) {
        check_leader(check, truth, host, raft, seen);
    }
    uint64_t durable = saved < commit ? saved : commit;
    seen->durable = durable > seen->durable ? durable : seen->durable;
    seen->start = start;
    seen->incarnation = group->incarnation;
    seen->is_leader = raft_role(raft) == RAFT_LEADER;
    seen->term = raft_term(raft);
    seen->last = raft_last_index(raft);
    seen->commit = commit;
    seen->high_watermark = group->high_watermark;
}

/* Replicas that ended unseen since the last look have saved at most what there is by now.  None did
 * when all that met_before ran at that look still do. */
static void note_ends(struct check_raft *check, struct shard_seen *shard, size_t met_before)
{
    if (shard->still == met_before) {
        return;
    }
    size_t position = 0;
    struct seen *seen;
    while ((seen = map_next(&shard->seen, &position)) != NULL) {
        if (seen->look + 1 == shard->looks && !check->is_looking_on) {
            seen->saved = truth_of(check, seen->group_id)->last_most;
        }
    }
}

static struct seen *seen_at(struct shard_seen *shard, size_t position, uint64_t group_id)
{
    if (position >= shard->place_count) {
        size_t count = position * 2 + 16;
        shard->places = memory_reallocate(shard->places, count * sizeof(struct seen *));
        memset(shard->places + shard->place_count, 0,
               (count - shard->place_count) * sizeof(struct seen *));
        shard->place_count = count;
    }
    struct seen *seen = shard->places[position];
    if (seen == NULL || seen->group_id != group_id) {
        seen = seen_in(shard, group_id);
        shard->places[position] = seen;
    }
    return seen;
}

static void look_at_shard(struct check_raft *check, uint32_t host, uint32_t number)
{
    struct broker *broker = sim_host_broker(check->drill->hosts[host]);
    uint32_t start = sim_host_starts(check->drill->hosts[host]);
    struct shard_seen *shard = &check->shards[host][number];
    struct replica_manager *replicas =
        broker == NULL ? NULL : broker_shard_at(broker, number)->replicas;
    const struct replica_group *group;
    size_t position = 0;
    shard->met = 0;
    shard->still = 0;
    while (replicas != NULL && (group = replica_group_next(replicas, &position)) != NULL) {
        struct seen *seen = seen_at(shard, position, group->id);
        shard->met++;
        shard->still += seen->look + 1 == shard->looks ? 1 : 0;
        seen->look = shard->looks;
        if (!is_unchanged(group, seen, start)) {
            look(check, host, start, group, seen);
        }
    }
}

/* Those shards of a host are looked at in which something may have happened. */
static void begin_looking(struct check_raft *check, uint32_t host)
{
    struct drill *drill = check->drill;
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    require(host <= drill->swarm.brokers);
    require(broker == NULL || broker_shard_count(broker) == drill->swarm.shards);
    uint32_t stirred = sim_host_take_stirred(drill->hosts[host]);
    stirred &= (UINT32_C(1) << drill->swarm.shards) - 1;
    for (uint32_t left = stirred; left != 0; left &= left - 1) {
        check->shards[host][__builtin_ctz(left)].looks++;
    }
    check->looked_at[host] = stirred;
}

static void look_at_hosts(struct check_raft *check, uint64_t hosts)
{
    size_t met_before[SWARM_BROKERS_MAX + 1][SWARM_SHARDS_MAX];
    for (uint64_t left = hosts; left != 0; left &= left - 1) {
        begin_looking(check, (uint32_t)__builtin_ctzll(left));
    }
    for (uint64_t left = hosts; left != 0; left &= left - 1) {
        uint32_t host = (uint32_t)__builtin_ctzll(left);
        for (uint32_t shards = check->looked_at[host]; shards != 0; shards &= shards - 1) {
            uint32_t number = (uint32_t)__builtin_ctz(shards);
            met_before[host][number] = check->shards[host][number].met;
            look_at_shard(check, host, number);
        }
    }
    for (uint64_t left = hosts; left != 0; left &= left - 1) {
        uint32_t host = (uint32_t)__builtin_ctzll(left);
        for (uint32_t shards = check->looked_at[host]; shards != 0; shards &= shards - 1) {
            uint32_t number = (uint32_t)__builtin_ctz(shards);
            note_ends(check, &check->shards[host][number], met_before[host][number]);
        }
        check->looked_at[host] = 0;
    }
}

void check_raft_run(struct check_raft *check)
{
    uint64_t hosts = sim_world_take_stirred(check->drill->world);
    if (hosts != 0) { /* only brokers' hosts have processes, and half of all events stir none */
        look_at_hosts(check, hosts);
    }
}

void check_raft_fault(struct check_raft *check, void (*act)(struct atlas *atlas),
                      struct atlas *atlas)
{
    check_raft_run(check);
    act(atlas);
    check->is_looking_on = true;
    check_raft_run(check);
    check->is_looking_on = false;
}

/* ---- The checker ---- */

struct check_raft *check_raft_new(struct drill *drill)
{
    struct check_raft *check = memory_allocate_zeroed(sizeof *check);
    check->drill = drill;
    map_init(&check->truths);
    return check;
}

static void forget_host(struct check_raft *check, uint32_t host)
{
    for (uint32_t i = 0; i < SWARM_SHARDS_MAX; i++) {
        struct shard_seen *shard = &check->shards[host][i];
        size_t position = 0;
        struct seen *seen;
        while ((seen = map_next(&shard->seen, &position)) != NULL) {
            memory_free(seen);
        }
        map_free(&shard->seen);
        memory_free(shard->places);
        *shard = (struct shard_seen){.looks = shard->looks};
    }
}

void check_raft_injured(struct check_raft *check, uint32_t host)
{
    require(host > 0 && host <= SWARM_BROKERS_MAX);
    forget_host(check, host);
}

void check_raft_free(struct check_raft *check)
{
    size_t position = 0;
    struct truth *truth;
    while ((truth = map_next(&check->truths, &position)) != NULL) {
        size_t place = 0;
        struct term_begin *begin;
        while ((begin = map_next(&truth->begins, &place)) != NULL) {
            memory_free(begin);
        }
        map_free(&truth->begins);
        map_free(&truth->leaders);
        memory_free(truth->runs);
        memory_free(truth);
    }
    map_free(&check->truths);
    for (uint32_t i = 0; i <= SWARM_BROKERS_MAX; i++) {
        forget_host(check, i);
    }
    memory_free(check);
}

uint64_t check_raft_commits(const struct check_raft *check)
{
    return check->commits;
}
