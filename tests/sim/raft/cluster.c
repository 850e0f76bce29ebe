/* SPDX-License-Identifier: Apache-2.0
 *
 * cluster.c -- see cluster.h: the hosts, their disks and the network between them.
 *
 * Invariant: disk + writes under way = the log in memory, once all of them are done.
 * Locality: one thread.
 */
#include "cluster.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/prng.h"
#include "oracle.h"
#include "promise.h"

#include <inttypes.h>
#include <string.h>

struct cluster {
    struct cluster_options options;
    struct cluster_node nodes[CLUSTER_NODES_MAX + 1]; /* by id */
    struct cluster_flight **flights;                  /* in the order they left */
    size_t flight_count;
    size_t flight_capacity;
    uint64_t next_sequence;
    uint64_t next_value;
    uint64_t now_ticks;
    uint64_t steps;
    struct prng of_damage; /* apart: what happens without damage does not change with it */
    struct oracle *oracle;
    struct raft_effects effects; /* of the turn under way; here, so that no turn has to clear it */
};

#define trace(cluster, ...)                                                                        \
    do {                                                                                           \
        if ((cluster)->options.trace != NULL)                                                      \
            fprintf((cluster)->options.trace, __VA_ARGS__);                                        \
    } while (0)

/* ---- Logs ---- */

static void log_add(struct cluster_log *log, const struct cluster_record *record)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity == 0 ? 16 : log->capacity * 2;
        log->records = memory_reallocate(log->records, log->capacity * sizeof(log->records[0]));
    }
    log->records[log->count++] = *record;
}

static uint64_t log_last(const struct cluster_log *log)
{
    return log->count == 0 ? log->snapshot_index : log->records[log->count - 1].entry.last_index;
}

static void log_cut(struct cluster_log *log, uint64_t keep_to)
{
    while (log->count > 0 && log->records[log->count - 1].entry.last_index > keep_to)
        log->count -= 1;
}

/* Position of the first record that begins behind index. */
static size_t log_position_after(const struct cluster_log *log, uint64_t index)
{
    size_t position = log->count;
    while (position > 0 && log->records[position - 1].entry.first_index > index)
        position -= 1;
    return position;
}

static void log_copy(struct cluster_log *to, const struct cluster_log *from)
{
    struct cluster_record *records = to->records;
    size_t capacity = to->capacity;
    *to = *from;
    to->records = records;
    to->capacity = capacity;
    if (capacity < from->count) {
        to->capacity = from->capacity;
        to->records = memory_reallocate(records, to->capacity * sizeof(records[0]));
    }
    if (from->count > 0)
        memcpy(to->records, from->records, from->count * sizeof(records[0]));
}

static void log_reset(struct cluster_log *log, uint64_t index, uint64_t term,
                      const struct raft_membership *membership, uint64_t membership_index)
{
    log->count = 0;
    log->snapshot_index = index;
    log->snapshot_term = term;
    log->snapshot_membership = *membership;
    log->snapshot_membership_index = membership_index;
}

/* Drops whole records up to index. */
static void log_compact(struct cluster_log *log, uint64_t index)
{
    size_t dropped = 0;
    while (dropped < log->count && log->records[dropped].entry.last_index <= index) {
        const struct raft_entry *entry = &log->records[dropped].entry;
        log->snapshot_index = entry->last_index;
        log->snapshot_term = entry->term;
        if (entry->kind == RAFT_ENTRY_MEMBERSHIP) {
            log->snapshot_membership = entry->membership;
            log->snapshot_membership_index = entry->last_index;
        }
        dropped += 1;
    }
    log->count -= dropped;
    if (log->count > 0)
        memmove(log->records, log->records + dropped, log->count * sizeof(log->records[0]));
}

/* ---- Making and ending ---- */

struct cluster *cluster_new(const struct cluster_options *options)
{
    require(options->node_count <= CLUSTER_NODES_MAX);
    struct cluster *cluster = memory_allocate_zeroed(sizeof(*cluster));
    cluster->options = *options;
    cluster->oracle = oracle_new();
    prng_init(&cluster->of_damage, options->seed);
    struct raft_membership founders = {.voter_count = options->voter_count};
    for (uint32_t i = 0; i < options->voter_count; ++i)
        founders.voters[i] = i + 1;
    for (uint32_t id = 1; id <= options->node_count; ++id) {
        struct cluster_node *node = &cluster->nodes[id];
        node->id = id;
        node->may_vote = true;
        if (id <= options->voter_count)
            node->disk.snapshot_membership = founders;
    }
    return cluster;
}

static void forget_writes(struct cluster_node *node)
{
    for (size_t i = 0; i < node->write_count; ++i)
        memory_free(node->writes[i].records);
    node->write_count = 0;
}

static void flight_free(struct cluster_flight *flight)
{
    memory_free(flight->entries);
    memory_free(flight->values);
    memory_free(flight);
}

void cluster_free(struct cluster *cluster)
{
    for (uint32_t id = 1; id <= cluster->options.node_count; ++id) {
        struct cluster_node *node = &cluster->nodes[id];
        raft_free(node->raft);
        forget_writes(node);
        memory_free(node->log.records);
        memory_free(node->disk.records);
        memory_free(node->lost_disk.records);
    }
    for (size_t i = 0; i < cluster->flight_count; ++i)
        flight_free(cluster->flights[i]);
    memory_free(cluster->flights);
    oracle_free(cluster->oracle);
    memory_free(cluster);
}

struct cluster_node *cluster_node(struct cluster *cluster, uint32_t id)
{
    require(id >= 1 && id <= cluster->options.node_count);
    return &cluster->nodes[id];
}

uint32_t cluster_node_count(const struct cluster *cluster)
{
    return cluster->options.node_count;
}

uint64_t cluster_steps(const struct cluster *cluster)
{
    return cluster->steps;
}

uint64_t cluster_now(const struct cluster *cluster)
{
    return cluster->now_ticks;
}

void cluster_set_now(struct cluster *cluster, uint64_t now_ticks)
{
    require(now_ticks >= cluster->now_ticks);
    cluster->now_ticks = now_ticks;
}

void cluster_set_hold_sends(struct cluster *cluster, bool hold_sends)
{
    cluster->options.hold_sends = hold_sends;
}

void cluster_set_trace(struct cluster *cluster, FILE *trace)
{
    cluster->options.trace = trace;
}

void cluster_set_unreadable(struct cluster *cluster, uint32_t unreadable)
{
    cluster->options.unreadable = unreadable;
}

void cluster_damage(struct cluster *cluster, uint32_t id, uint64_t first_index, uint64_t last_index)
{
    struct cluster_node *node = cluster_node(cluster, id);
    node->damaged_from = first_index;
    node->damaged_to = last_index;
}

/* Its log ends at keep_to now: what comes behind is written anew. */
static void cut_damage(struct cluster_node *node, uint64_t keep_to)
{
    if (node->damaged_to > keep_to)
        node->damaged_to = keep_to;
    if (node->damaged_from > node->damaged_to)
        node->damaged_from = node->damaged_to = 0;
}

uint64_t cluster_ledger_end(const struct cluster *cluster)
{
    return oracle_ledger_end(cluster->oracle);
}

/* ---- Network ---- */

/* Field by field: what belongs to a snapshot is large, and of no meaning to anything else. */
static struct cluster_flight *flight_add(struct cluster *cluster,
                                         const struct raft_message *message)
{
    if (cluster->flight_count == cluster->flight_capacity) {
        cluster->flight_capacity =
            cluster->flight_capacity == 0 ? 64 : cluster->flight_capacity * 2;
        cluster->flights = memory_reallocate(cluster->flights, cluster->flight_capacity *
                                                                   sizeof(cluster->flights[0]));
    }
    struct cluster_flight *flight = memory_allocate(sizeof(*flight));
    flight->deliver_ticks = cluster->now_ticks;
    flight->sequence = ++cluster->next_sequence;
    flight->message = *message;
    flight->entries = NULL;
    flight->values = NULL;
    flight->is_snapshot = false;
    cluster->flights[cluster->flight_count++] = flight;
    return flight;
}

/* Room for so many entries, to be filled in. */
static void flight_make_room(struct cluster_flight *flight, uint32_t count)
{
    flight->entries = NULL;
    flight->values = NULL;
    if (count > 0) {
        flight->entries = memory_allocate(count * sizeof(flight->entries[0]));
        flight->values = memory_allocate(count * sizeof(flight->values[0]));
    }
    flight->message.entries = flight->entries;
    flight->message.entry_count = count;
}

static void flight_set_entries(struct cluster_flight *flight, const struct raft_entry *entries,
                               const uint64_t *values, uint32_t count)
{
    flight_make_room(flight, count);
    if (count > 0) {
        memcpy(flight->entries, entries, count * sizeof(entries[0]));
        memcpy(flight->values, values, count * sizeof(values[0]));
    }
}

size_t cluster_flight_count(const struct cluster *cluster)
{
    return cluster->flight_count;
}

struct cluster_flight *cluster_flight(struct cluster *cluster, size_t position)
{
    require(position < cluster->flight_count);
    return cluster->flights[position];
}

struct cluster_flight *cluster_take(struct cluster *cluster, size_t position)
{
    struct cluster_flight *flight = cluster_flight(cluster, position);
    cluster->flight_count -= 1;
    memmove(cluster->flights + position, cluster->flights + position + 1,
            (cluster->flight_count - position) * sizeof(cluster->flights[0]));
    return flight;
}

void cluster_drop(struct cluster *cluster, size_t position)
{
    flight_free(cluster_take(cluster, position));
}

void cluster_duplicate(struct cluster *cluster, size_t position)
{
    const struct cluster_flight *original = cluster_flight(cluster, position);
    struct cluster_flight *copy = flight_add(cluster, &original->message);
    uint64_t sequence = copy->sequence;
    *copy = *original;
    copy->sequence = sequence;
    flight_set_entries(copy, original->entries, original->values, original->message.entry_count);
}

/* ---- Carrying out effects ---- */

static void send_snapshot(struct cluster *cluster, struct cluster_node *node, uint32_t to)
{
    node->snapshot_deadline_ticks[to] = cluster->now_ticks + CLUSTER_SNAPSHOT_TICKS;
    struct raft_message message = {.kind = RAFT_MESSAGE_APPEND,
                                   .from = node->id,
                                   .to = to,
                                   .group_id = CLUSTER_GROUP_ID,
                                   .term = raft_term(node->raft),
                                   .index = node->log.snapshot_index,
                                   .index_term = node->log.snapshot_term};
    struct cluster_flight *flight = flight_add(cluster, &message);
    flight->is_snapshot = true;
    flight->membership = node->log.snapshot_membership;
    flight->membership_index = node->log.snapshot_membership_index;
    flight->membership_term = node->log.snapshot_term;
}

static bool is_damaged(const struct cluster_node *node, const struct raft_entry *entry)
{
    return node->damaged_from != 0 && entry->first_index <= node->damaged_to &&
           entry->last_index >= node->damaged_from;
}

/* The records from position on, behind send->index, that go with one message: their number. */
static uint32_t count_fitting(const struct cluster *cluster, const struct cluster_node *node,
                              const struct raft_send *send, size_t position)
{
    uint32_t count = 0;
    uint64_t bytes = 0;
    uint64_t last_index = send->index;
    for (; position < node->log.count && count < cluster->options.entries_per_message_max;
         ++position) {
        const struct raft_entry *entry = &node->log.records[position].entry;
        bool is_too_much = bytes + entry->bytes > send->bytes_max;
        if (entry->last_index > send->last_index_max || (count > 0 && is_too_much) ||
            is_damaged(node, entry))
            break;
        ensure(entry->first_index == last_index + 1); /* whole entries, from a boundary */
        bytes += entry->bytes;
        last_index = entry->last_index;
        count += 1;
    }
    return count;
}

/* What is at position, behind send->index, cannot be read: for good, or this time. */
static bool meets_damage(struct cluster *cluster, const struct cluster_node *node, size_t position)
{
    uint32_t unreadable = cluster->options.unreadable;
    return position < node->log.count &&
           (is_damaged(node, &node->log.records[position].entry) ||
            (unreadable > 0 && prng_below(&cluster->of_damage, 1000) < unreadable));
}

static void carry_out_send(struct cluster *cluster, struct cluster_node *node,
                           const struct raft_send *send)
{
    bool is_current = raft_role(node->raft) == RAFT_LEADER && raft_term(node->raft) == send->term &&
                      send->index >= node->log.snapshot_index;
    size_t position = is_current ? log_position_after(&node->log, send->index) : node->log.count;
    if (meets_damage(cluster, node, position)) {
        node->has_met_damage |= is_damaged(node, &node->log.records[position].entry);
        raft_append_unreadable(node->raft, send->to);
        return;
    }
    uint32_t count = count_fitting(cluster, node, send, position);
    uint64_t bytes = 0;
    uint64_t last_index = send->index;
    if (count > 0) {
        const struct cluster_record *records = &node->log.records[position];
        last_index = records[count - 1].entry.last_index;
        struct raft_message message = {.kind = RAFT_MESSAGE_APPEND,
                                       .from = node->id,
                                       .to = send->to,
                                       .group_id = CLUSTER_GROUP_ID,
                                       .term = send->term,
                                       .index = send->index,
                                       .index_term = send->index_term,
                                       .commit =
                                           send->commit < last_index ? send->commit : last_index};
        struct cluster_flight *flight = flight_add(cluster, &message);
        flight_make_room(flight, count);
        for (uint32_t i = 0; i < count; ++i) {
            flight->entries[i] = records[i].entry;
            flight->values[i] = records[i].value;
            bytes += records[i].entry.bytes;
        }
        promise_check_message(node, &flight->message);
    }
    raft_append_sent(node->raft, send->to, last_index, bytes);
}

static void submit_write(struct cluster *cluster, struct cluster_node *node,
                         const struct raft_write *write)
{
    require(node->write_count < CLUSTER_WRITES_MAX);
    struct cluster_write *pending = &node->writes[node->write_count++];
    *pending = (struct cluster_write){.write = *write, .keep_to = node->submitted_to};
    size_t position = log_position_after(&node->log, node->submitted_to);
    pending->record_count = node->log.count - position;
    pending->records = memory_allocate(pending->record_count * sizeof(pending->records[0]));
    if (pending->record_count > 0)
        memcpy(pending->records, node->log.records + position,
               pending->record_count * sizeof(pending->records[0]));
    node->submitted_to = log_last(&node->log);
    trace(cluster, "%u writes #%" PRIu64, (unsigned)node->id, write->id);
    if (write->hard_state_changed)
        trace(cluster, " term=%" PRIu64 " vote=%u", write->term, (unsigned)write->vote);
    if (pending->record_count > 0)
        trace(cluster, " log=%" PRIu64 "..%" PRIu64, pending->records[0].entry.first_index,
              node->submitted_to);
    trace(cluster, "\n");
}

static void apply_committed(struct cluster *cluster, struct cluster_node *node)
{
    uint64_t commit = raft_commit_index(node->raft);
    for (size_t i = log_position_after(&node->log, node->applied);
         i < node->log.count && node->log.records[i].entry.last_index <= commit; ++i) {
        if (oracle_saw_commit(cluster->oracle, &node->log.records[i], raft_term(node->raft)))
            promise_check_commit(cluster, node, &node->log.records[i]);
        node->applied = node->log.records[i].entry.last_index;
    }
    ensure(node->applied == commit); /* a commit always ends an entry */
    uint64_t term = 0;
    if (raft_role(node->raft) == RAFT_LEADER) /* only its own entries are counted */
        ensure(raft_term_at(node->raft, commit, &term) && term == raft_term(node->raft));
    trace(cluster, "%u commits %" PRIu64 "\n", (unsigned)node->id, commit);
}

static void settle_barriers(struct cluster *cluster, struct cluster_node *node,
                            const struct raft_effects *effects)
{
    for (uint32_t i = 0; i < effects->barrier_count + effects->barrier_failed_count; ++i) {
        bool is_passed = i < effects->barrier_count;
        uint64_t id =
            is_passed ? effects->barriers[i] : effects->barriers_failed[i - effects->barrier_count];
        size_t kept = 0;
        for (size_t j = 0; j < node->barrier_count; ++j) {
            if (node->barriers[j].id != id) {
                node->barriers[kept++] = node->barriers[j];
            } else if (is_passed) {
                /* A linearizable read: it shows all that was committed when it was asked for. */
                ensure(raft_commit_index(node->raft) >= node->barriers[j].ledger_end);
                promise_check_barrier(node, &node->barriers[j]);
                node->barriers_passed += 1;
            }
        }
        node->barrier_count = kept;
        trace(cluster, "%u barrier %s\n", (unsigned)node->id, is_passed ? "passed" : "failed");
    }
}

static void carry_out_sends(struct cluster *cluster, struct cluster_node *node,
                            const struct raft_effects *effects)
{
    for (uint32_t i = 0; i < effects->send_count; ++i) {
        if (cluster->options.hold_sends) {
            require(node->held_send_count < CLUSTER_SENDS_MAX);
            node->held_sends[node->held_send_count++] = effects->sends[i];
        } else {
            carry_out_send(cluster, node, &effects->sends[i]);
        }
    }
}

static void note_role(struct cluster *cluster, struct cluster_node *node)
{
    trace(cluster, "%u is %s term=%" PRIu64 " leader=%u\n", (unsigned)node->id,
          raft_role_name(raft_role(node->raft)), raft_term(node->raft),
          (unsigned)raft_leader(node->raft));
}

static void note_leader(struct cluster *cluster, struct cluster_node *node)
{
    if (raft_role(node->raft) != RAFT_LEADER || node->led_term == raft_term(node->raft))
        return;
    node->led_term = raft_term(node->raft);
    oracle_saw_leader(cluster->oracle, node->id, node->raft);
}

static void append_record(struct cluster *cluster, struct cluster_node *node,
                          const struct raft_entry *entry, uint64_t value)
{
    uint64_t previous_term = node->log.count == 0
                                 ? node->log.snapshot_term
                                 : node->log.records[node->log.count - 1].entry.term;
    ensure(entry->first_index == log_last(&node->log) + 1);
    struct cluster_record record = {.entry = *entry, .value = value};
    log_add(&node->log, &record);
    if (entry->kind == RAFT_ENTRY_MEMBERSHIP)
        node->is_membership_doubtful = true;
    oracle_saw_entry(cluster->oracle, &record, previous_term);
}

static void take_noop(struct cluster *cluster, struct cluster_node *node)
{
    struct raft_entry entry;
    note_leader(cluster, node);
    if (raft_take_noop(node->raft, &entry))
        append_record(cluster, node, &entry, 0);
}

static void turn(struct cluster *cluster, struct cluster_node *node)
{
    cluster->steps += 1;
    take_noop(cluster, node);
    raft_check(node->raft);
    ensure(raft_last_index(node->raft) == log_last(&node->log));
    struct raft_effects *effects = &cluster->effects;
    while (raft_is_dirty(node->raft) && raft_collect(node->raft, effects)) {
        if (effects->role_changed)
            note_role(cluster, node);
        bool is_log_changed = node->submitted_to != log_last(&node->log);
        ensure(!is_log_changed || effects->write.id != 0);
        if (effects->write.id != 0)
            submit_write(cluster, node, &effects->write);
        for (uint32_t i = 0; i < effects->message_count; ++i) {
            promise_check_message(node, &effects->messages[i]);
            if (effects->messages[i].kind == RAFT_MESSAGE_HEARTBEAT &&
                effects->messages[i].barrier > node->round)
                node->round = effects->messages[i].barrier;
            flight_add(cluster, &effects->messages[i]);
        }
        carry_out_sends(cluster, node, effects);
        for (uint32_t i = 0; i < effects->snapshot_count; ++i)
            send_snapshot(cluster, node, effects->snapshots[i]);
        if (effects->commit_changed)
            apply_committed(cluster, node);
        settle_barriers(cluster, node, effects);
        raft_release(node->raft, effects);
        raft_check(node->raft);
    }
    promise_check_node(node);
    node->is_membership_doubtful = false;
}

void cluster_carry_out(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    size_t count = node->held_send_count;
    node->held_send_count = 0;
    if (count == 0 || node->raft == NULL)
        return; /* nothing was put into the core since its last turn */
    for (size_t i = 0; i < count; ++i)
        carry_out_send(cluster, node, &node->held_sends[i]);
    turn(cluster, node);
}

/* ---- Disk ---- */

void cluster_set_disk(struct cluster *cluster, uint32_t id, uint64_t term, uint32_t vote)
{
    struct cluster_node *node = cluster_node(cluster, id);
    require(node->raft == NULL);
    node->disk_term = term;
    node->disk_vote = vote;
}

void cluster_add_to_disk(struct cluster *cluster, uint32_t id, uint64_t last_index, uint64_t term)
{
    struct cluster_node *node = cluster_node(cluster, id);
    require(node->raft == NULL);
    uint64_t first_index = log_last(&node->disk) + 1;
    struct cluster_record record = {.entry = {.first_index = first_index,
                                              .last_index = last_index,
                                              .term = term,
                                              .bytes = 10 * (last_index - first_index + 1),
                                              .kind = RAFT_ENTRY_DATA},
                                    .value = term * 1000 + last_index};
    log_add(&node->disk, &record);
}

static void reach_disk(struct cluster_node *node, struct cluster_write *write)
{
    if (write->write.hard_state_changed) {
        node->disk_term = write->write.term;
        node->disk_vote = write->write.vote;
    }
    if (!write->is_log_void) {
        log_cut(&node->disk, write->keep_to);
        for (size_t i = 0; i < write->record_count; ++i)
            if (write->records[i].entry.first_index > log_last(&node->disk))
                log_add(&node->disk, &write->records[i]);
    }
    memory_free(write->records);
}

static void pop_write(struct cluster_node *node)
{
    node->write_count -= 1;
    memmove(node->writes, node->writes + 1, node->write_count * sizeof(node->writes[0]));
}

void cluster_save(struct cluster *cluster, uint32_t id, size_t count)
{
    struct cluster_node *node = cluster_node(cluster, id);
    uint64_t last_id = 0;
    for (; count > 0 && node->write_count > 0; --count) {
        last_id = node->writes[0].write.id;
        reach_disk(node, &node->writes[0]);
        pop_write(node);
    }
    if (last_id == 0 || node->raft == NULL)
        return;
    raft_saved(node->raft, last_id, cluster->now_ticks);
    turn(cluster, node);
}

/* ---- Life of nodes ---- */

/* The memberships the log tells of: the newest and the one before. */
static void find_memberships(const struct cluster_log *log, struct raft_state *state)
{
    state->membership = log->snapshot_membership;
    state->membership_index = log->snapshot_membership_index;
    state->membership_committed = state->membership;
    state->membership_committed_index = state->membership_index;
    for (size_t i = 0; i < log->count; ++i) {
        const struct raft_entry *entry = &log->records[i].entry;
        if (entry->kind != RAFT_ENTRY_MEMBERSHIP)
            continue;
        state->membership_committed = state->membership;
        state->membership_committed_index = state->membership_index;
        state->membership = entry->membership;
        state->membership_index = entry->last_index;
    }
}

static size_t find_spans(const struct cluster_log *log, struct raft_term_span *spans)
{
    size_t count = 0;
    for (size_t i = 0; i < log->count; ++i) {
        const struct raft_entry *entry = &log->records[i].entry;
        if (count == 0 || spans[count - 1].term != entry->term)
            spans[count++] = (struct raft_term_span){entry->term, entry->first_index};
    }
    return count;
}

void cluster_start(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    require(node->raft == NULL);
    log_copy(&node->log, &node->disk);
    cut_damage(node, log_last(&node->log));
    node->submitted_to = log_last(&node->log);
    node->applied = node->log.snapshot_index;
    node->led_term = 0;
    node->vote_due_ticks = 0;
    node->round = 0;
    memset(node->round_answered, 0, sizeof(node->round_answered));
    uint64_t term = node->log.snapshot_term;
    for (size_t i = 0; i < node->log.count; ++i) {
        oracle_saw_entry(cluster->oracle, &node->log.records[i], term);
        term = node->log.records[i].entry.term;
    }
    struct raft_options options = {.group_id = CLUSTER_GROUP_ID,
                                   .seed = cluster->options.seed * 1000003 + id * 7919 +
                                           cluster->next_sequence,
                                   .node_id = id,
                                   .heartbeat_ticks = cluster->options.heartbeat_ticks,
                                   .election_ticks = cluster->options.election_ticks,
                                   .rest_ticks = cluster->options.rest_ticks,
                                   .inflight_messages_max = cluster->options.inflight_messages_max,
                                   .inflight_bytes_max = cluster->options.inflight_bytes_max,
                                   .uncommitted_bytes_max = cluster->options.uncommitted_bytes_max,
                                   .may_vote = node->may_vote};
    struct raft_term_span *spans =
        memory_allocate((node->log.count + 1) * sizeof(struct raft_term_span));
    struct raft_state state = {.term = node->disk_term,
                               .vote = node->disk_vote,
                               .first_index = node->log.snapshot_index + 1,
                               .last_index = log_last(&node->log),
                               .prefix_term = node->log.snapshot_term,
                               .commit = node->log.snapshot_index,
                               .spans = spans};
    state.span_count = find_spans(&node->log, spans);
    find_memberships(&node->log, &state);
    node->is_membership_doubtful = true;
    node->raft = raft_new(&options, &state, cluster->now_ticks);
    ensure(node->raft != NULL);
    memory_free(spans);
    turn(cluster, node);
}

void cluster_crash(struct cluster *cluster, uint32_t id, size_t saved_writes)
{
    struct cluster_node *node = cluster_node(cluster, id);
    require(node->raft != NULL);
    raft_free(node->raft);
    node->raft = NULL;
    for (; saved_writes > 0 && node->write_count > 0; --saved_writes) {
        reach_disk(node, &node->writes[0]);
        pop_write(node);
    }
    forget_writes(node);
    node->held_send_count = 0;
    node->barrier_count = 0;
    memset(node->snapshot_deadline_ticks, 0, sizeof(node->snapshot_deadline_ticks));
}

const struct raft_membership *cluster_committed_membership(const struct cluster_node *node,
                                                           uint64_t *index)
{
    const struct cluster_log *log = &node->log;
    for (size_t i = log->count; i > 0; --i) {
        if (log->records[i - 1].entry.kind == RAFT_ENTRY_MEMBERSHIP &&
            log->records[i - 1].entry.last_index <= raft_commit_index(node->raft)) {
            *index = log->records[i - 1].entry.last_index;
            return &log->records[i - 1].entry.membership;
        }
    }
    *index = log->snapshot_membership_index;
    return &log->snapshot_membership;
}

void cluster_wipe(struct cluster *cluster, uint32_t id, uint32_t leader)
{
    struct cluster_node *node = cluster_node(cluster, id);
    require(node->raft == NULL);
    struct raft_membership nobody = {0};
    log_copy(&node->lost_disk, &node->disk);
    log_reset(&node->disk, 0, 0, &nobody, 0);
    node->disk_term = 0;
    node->disk_vote = 0;
    node->may_vote = false;
    node->is_returning = true;
    node->is_amnesiac =
        leader != 0 &&
        raft_membership_has_voter(
            cluster_committed_membership(cluster_node(cluster, leader), &node->amnesia_index), id);
}

void cluster_returned(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    require(node->is_returning && node->may_vote);
    node->is_returning = false;
}

/* ---- Inputs ---- */

static void give_up_snapshots(struct cluster *cluster, struct cluster_node *node)
{
    for (uint32_t to = 1; to <= cluster->options.node_count; ++to) {
        uint64_t deadline_ticks = node->snapshot_deadline_ticks[to];
        if (deadline_ticks == 0 || deadline_ticks > cluster->now_ticks)
            continue;
        node->snapshot_deadline_ticks[to] = 0;
        raft_snapshot_sent(node->raft, to, 0, false);
        turn(cluster, node);
    }
}

/* Noted for the next start first, which takes a host some time; a crash meanwhile finds nothing. */
static void return_vote(struct cluster *cluster, struct cluster_node *node)
{
    if (!raft_is_vote_proven(node->raft))
        return;
    if (node->vote_due_ticks == 0)
        node->vote_due_ticks = cluster->now_ticks + cluster->now_ticks % CLUSTER_VOTE_NOTE_TICKS;
    if (cluster->now_ticks < node->vote_due_ticks)
        return;
    node->may_vote = true;
    raft_return_vote(node->raft, cluster->now_ticks);
    turn(cluster, node);
}

void cluster_tick(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    if (node->raft == NULL)
        return;
    give_up_snapshots(cluster, node);
    return_vote(cluster, node);
    if (raft_due_ticks(node->raft) > cluster->now_ticks)
        return;
    raft_tick(node->raft, cluster->now_ticks);
    ensure(raft_due_ticks(node->raft) > cluster->now_ticks);
    turn(cluster, node);
}

enum raft_result cluster_propose(struct cluster *cluster, uint32_t id, uint64_t span,
                                 uint64_t bytes)
{
    struct cluster_node *node = cluster_node(cluster, id);
    struct raft_entry entry;
    enum raft_result result = raft_propose(node->raft, span, bytes, &entry);
    if (result == RAFT_OK) {
        append_record(cluster, node, &entry, ++cluster->next_value);
        turn(cluster, node);
    }
    return result;
}

enum raft_result cluster_change(struct cluster *cluster, uint32_t id,
                                const struct raft_membership *membership)
{
    struct cluster_node *node = cluster_node(cluster, id);
    struct raft_entry entry;
    enum raft_result result = raft_propose_membership(node->raft, membership, &entry);
    if (result == RAFT_OK) {
        /* Not before an entry of its own term is committed. */
        ensure(oracle_ledger_term(cluster->oracle) >= raft_term(node->raft));
        append_record(cluster, node, &entry, ++cluster->next_value);
        turn(cluster, node);
    }
    return result;
}

enum raft_result cluster_barrier(struct cluster *cluster, uint32_t id)
{
    struct cluster_node *node = cluster_node(cluster, id);
    if (node->barrier_count == CLUSTER_BARRIERS_MAX)
        return RAFT_FULL;
    struct cluster_barrier *barrier = &node->barriers[node->barrier_count];
    enum raft_result result = raft_read_barrier(node->raft, &barrier->id);
    if (result != RAFT_OK)
        return result;
    barrier->ledger_end = oracle_ledger_end(cluster->oracle);
    barrier->round = node->round;
    node->barrier_count += 1;
    turn(cluster, node);
    return RAFT_OK;
}

enum raft_result cluster_transfer(struct cluster *cluster, uint32_t id, uint32_t target)
{
    struct cluster_node *node = cluster_node(cluster, id);
    enum raft_result result = raft_transfer_leadership(node->raft, target, cluster->now_ticks);
    turn(cluster, node);
    return result;
}

void cluster_disconnect(struct cluster *cluster, uint32_t id, uint32_t peer)
{
    struct cluster_node *node = cluster_node(cluster, id);
    if (node->raft == NULL)
        return;
    raft_peer_disconnected(node->raft, peer, cluster->now_ticks);
    turn(cluster, node);
}

void cluster_miss(struct cluster *cluster, uint32_t id, uint32_t peer, uint64_t heard_ticks)
{
    struct cluster_node *node = cluster_node(cluster, id);
    if (node->raft == NULL)
        return;
    trace(cluster, "%u misses %u since %" PRIu64 "\n", (unsigned)id, (unsigned)peer, heard_ticks);
    raft_peer_silent(node->raft, peer, heard_ticks, cluster->now_ticks);
    turn(cluster, node);
}

void cluster_connect(struct cluster *cluster, uint32_t id, uint32_t peer)
{
    struct cluster_node *node = cluster_node(cluster, id);
    if (node->raft == NULL)
        return;
    raft_peer_connected(node->raft, peer);
    turn(cluster, node);
}

void cluster_compact(struct cluster *cluster, uint32_t id, uint64_t index)
{
    struct cluster_node *node = cluster_node(cluster, id);
    uint64_t saved = raft_saved_index(node->raft);
    uint64_t limit = index;
    if (limit > node->applied)
        limit = node->applied;
    if (limit > saved)
        limit = saved;
    /* A replica that joined knows no membership from before its first membership entry, and a
     * snapshot without one is of no use. */
    const struct cluster_log *log = &node->log;
    bool is_known = log->snapshot_membership.voter_count > 0;
    for (size_t i = 0; i < log->count && log->records[i].entry.last_index <= limit; ++i)
        is_known = is_known || log->records[i].entry.kind == RAFT_ENTRY_MEMBERSHIP;
    if (!is_known)
        return;
    log_compact(&node->log, limit);
    log_compact(&node->disk, node->log.snapshot_index);
    raft_prefix_dropped(node->raft, node->log.snapshot_index + 1);
    turn(cluster, node);
}

/* ---- Receiving ---- */

/* Whether the host of a follower takes a snapshot in (see raft_restored). */
static bool is_snapshot_wanted(const struct cluster_node *node, const struct raft_message *message)
{
    uint64_t term = 0;
    if (raft_role(node->raft) == RAFT_LEADER || message->term < raft_term(node->raft) ||
        message->index <= raft_commit_index(node->raft))
        return false;
    return !raft_term_at(node->raft, message->index, &term) || term != message->index_term;
}

static void receive_snapshot(struct cluster *cluster, struct cluster_node *node,
                             const struct cluster_flight *flight)
{
    const struct raft_message *message = &flight->message;
    bool is_wanted = is_snapshot_wanted(node, message);
    if (is_wanted) {
        log_reset(&node->log, message->index, message->index_term, &flight->membership,
                  flight->membership_index);
        log_copy(&node->disk, &node->log);
        cut_damage(node, message->index);
        for (size_t i = 0; i < node->write_count; ++i)
            node->writes[i].is_log_void = true;
        node->submitted_to = message->index;
        node->applied = message->index;
        node->is_membership_doubtful = true;
        raft_restored(node->raft, message->index, message->index_term, message->term, message->from,
                      &flight->membership, flight->membership_index, cluster->now_ticks);
        trace(cluster, "%u restored %" PRIu64 "/%" PRIu64 "\n", (unsigned)node->id, message->index,
              message->index_term);
    }
    uint64_t term = 0;
    bool has_it = raft_commit_index(node->raft) >= message->index ||
                  (raft_term_at(node->raft, message->index, &term) && term == message->index_term);
    has_it = has_it && raft_saved_index(node->raft) >= message->index;
    if (raft_term(node->raft) == message->term)
        flight_add(cluster, &(struct raft_message){.kind = RAFT_MESSAGE_SNAPSHOT_REPLY,
                                                   .from = node->id,
                                                   .to = message->from,
                                                   .group_id = CLUSTER_GROUP_ID,
                                                   .term = message->term,
                                                   .index = message->index,
                                                   .granted = is_wanted || has_it});
}

static void receive_message(struct cluster *cluster, struct cluster_node *node,
                            const struct cluster_flight *flight)
{
    struct raft_accepted accepted = {0};
    uint64_t *answered = &node->round_answered[flight->message.from];
    if (flight->message.kind == RAFT_MESSAGE_HEARTBEAT_REPLY && flight->message.barrier > *answered)
        *answered = flight->message.barrier;
    raft_receive(node->raft, &flight->message, cluster->now_ticks, &accepted);
    if (flight->message.kind != RAFT_MESSAGE_APPEND)
        return;
    if (accepted.truncate_from != 0) {
        ensure(accepted.truncate_from > node->applied); /* committed is never removed */
        trace(cluster, "%u truncates from %" PRIu64 "\n", (unsigned)node->id,
              accepted.truncate_from);
        log_cut(&node->log, accepted.truncate_from - 1);
        cut_damage(node, log_last(&node->log));
        node->is_membership_doubtful = true;
        if (node->submitted_to >= accepted.truncate_from)
            node->submitted_to = log_last(&node->log);
    }
    for (uint32_t i = accepted.first_entry; i < flight->message.entry_count; ++i)
        append_record(cluster, node, &flight->entries[i], flight->values[i]);
}

void cluster_hand_over(struct cluster *cluster, struct cluster_flight *flight)
{
    struct cluster_node *node = cluster_node(cluster, flight->message.to);
    if (node->raft != NULL) {
        if (cluster->options.trace != NULL)
            cluster_print_flight(cluster->options.trace, flight);
        if (flight->is_snapshot)
            receive_snapshot(cluster, node, flight);
        else
            receive_message(cluster, node, flight);
        turn(cluster, node);
    }
    flight_free(flight);
}

void cluster_deliver(struct cluster *cluster, size_t position)
{
    cluster_hand_over(cluster, cluster_take(cluster, position));
}

void cluster_inject(struct cluster *cluster, const struct raft_message *message,
                    const uint64_t *values)
{
    struct cluster_flight *flight = flight_add(cluster, message);
    flight->message.group_id = CLUSTER_GROUP_ID;
    flight_set_entries(flight, message->entries, values, message->entry_count);
}
