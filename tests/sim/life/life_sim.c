/* SPDX-License-Identifier: Apache-2.0
 *
 * life_sim.c -- the life of groups against a model: real replica managers on simulated processes
 * get starts, stops, removals and deletions, late, doubled, lost and out of order, while they
 * elect, write, are killed at any file operation, lose power and come back.
 *
 *     life_sim [--seed N] [--seeds N] [--steps N]     (steps of each seed)
 *
 * The model is a controller that decides which incarnation of a replica of which group lives where;
 * it sends orders, and now and then has a broker reconcile with what was decided.  Checked at every
 * step:
 *   - what was answered as removed never runs again, whatever arrives later and after any crash
 *   - a new incarnation begins with an empty log
 *   - every request is answered once, and all of them before a manager has stopped
 *   - all replicas of a group apply the same batches in the same order
 * and whenever the controller lets everything settle:
 *   - exactly the replicas that it decided on run, and only they have directories ("no zombies")
 * A manager that has stopped in good order has given back all its memory.
 *
 * Locality: one thread; the same on every machine.
 */
#include "host.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/prng.h"
#include "base/trace.h"
#include "io/file.h"
#include "replica/replica.h"
#include "wire/batch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 5       /* groups that live at a time */
#define RETIRED_MAX 8 /* and deleted ones that late orders may still name */
#define GROUPS_MAX (SLOTS + RETIRED_MAX)
#define ORDERS_MAX 64
#define REQUESTS_MAX 256
#define GRAVES_MAX 32    /* frames that come back much later */
#define BATCHES_MAX 4096 /* of one group */
#define SETTLE_ROUNDS_MAX 4000
#define TICK_NS 10000000ull

enum order_kind { ORDER_START, ORDER_STOP, ORDER_REMOVE, ORDER_DELETE, ORDER_KINDS };

struct order {
    enum order_kind kind;
    uint32_t host;
    uint64_t group_id;
    uint32_t incarnation;
    bool join;
    struct raft_membership founders;
};

/* What the controller decided for one broker. */
struct decision {
    bool is_assigned;
    uint32_t incarnation; /* of the present or last replica */
    bool may_go;          /* not assigned, and the group does without it */
};

struct group;

struct life_applier {
    struct applier applier;
    struct group *group;
    uint64_t next_offset;
};

struct group {
    uint64_t id; /* 0: none */
    bool is_deleted;
    struct raft_membership founders;
    struct decision decisions[HOSTS + 1];
    uint32_t admitted[HOSTS + 1]; /* incarnation that was made a member */
    uint32_t crcs[BATCHES_MAX];   /* of committed batches, in order */
    uint64_t batches;
    struct life_applier appliers[HOSTS + 1];
    uint32_t attempted[HOSTS + 1]; /* highest incarnation + 1 that was ever asked for there */
    uint32_t floor[HOSTS + 1];     /* no incarnation below it may run: promised by an answer */
};

struct request {
    bool is_open;
    uint32_t host;
    struct order order;
    bool is_first_attempt; /* of this incarnation at this host */
};

struct process {
    struct replica_manager *manager; /* NULL: not running */
    bool is_stopping;
    bool has_stopped;
    uint32_t open_requests;
};

static struct {
    struct prng prng;
    uint64_t seed;
    uint64_t step;
    uint64_t next_group_id;
    struct group groups[GROUPS_MAX];
    struct process processes[HOSTS + 1];
    struct order orders[ORDERS_MAX];
    uint32_t order_count;
    struct request requests[REQUESTS_MAX];
    struct host_frame graves[GRAVES_MAX];
    bool is_settling;
    uint64_t counts[16];
} life;

enum {
    COUNT_STARTS,
    COUNT_REMOVALS,
    COUNT_REFUSALS,
    COUNT_CRASHES,
    COUNT_STOPS,
    COUNT_COMMITS,
    COUNT_REJOINS,
    COUNT_SETTLED
};

#define EXPECT(condition)                                                                          \
    ((condition) ? (void)0                                                                         \
                 : (fprintf(stderr, "seed %" PRIu64 ", step %" PRIu64 ": ", life.seed, life.step), \
                    assert_failed("expect", #condition, __FILE__, __LINE__)))

static uint64_t below(uint64_t limit)
{
    return prng_below(&life.prng, limit);
}

static bool chance(uint32_t one_in)
{
    return below(one_in) == 0;
}

static struct group *group_of(uint64_t group_id)
{
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        if (life.groups[i].id == group_id) {
            return &life.groups[i];
        }
    }
    return NULL;
}

/* ---- The state machine of a group ---- */

static void life_apply(struct applier *applier, const struct log_entry *entry, uint64_t base_offset)
{
    struct life_applier *mine = container_of(applier, struct life_applier, applier);
    struct group *group = mine->group;
    uint32_t crc = crc32c(0, entry->payload.data + WIRE_BATCH_HEAD_BYTES,
                          entry->payload.length_bytes - WIRE_BATCH_HEAD_BYTES);
    EXPECT(base_offset == mine->next_offset && base_offset <= group->batches);
    if (base_offset == group->batches) {
        EXPECT(group->batches < BATCHES_MAX);
        group->crcs[group->batches++] = crc;
        life.counts[COUNT_COMMITS]++;
    }
    EXPECT(group->crcs[base_offset] == crc);
    mine->next_offset++;
}

static void life_committed(struct applier *applier, uint64_t high_watermark)
{
    const struct life_applier *mine = container_of(applier, struct life_applier, applier);
    EXPECT(high_watermark <= mine->next_offset);
}

static void life_standing_changed(struct applier *applier, const struct applier_standing *standing)
{
    (void)applier;
    (void)standing;
}

static void life_snapshot_write(struct applier *applier, struct buf **content)
{
    const struct life_applier *mine = container_of(applier, struct life_applier, applier);
    *content = buf_new(sizeof mine->next_offset);
    memcpy((*content)->data, &mine->next_offset, sizeof mine->next_offset);
    (*content)->length_bytes = sizeof mine->next_offset;
}

static bool life_snapshot_restore(struct applier *applier, const uint8_t *content, size_t length)
{
    struct life_applier *mine = container_of(applier, struct life_applier, applier);
    EXPECT(length == sizeof mine->next_offset);
    memcpy(&mine->next_offset, content, length);
    EXPECT(mine->next_offset <= mine->group->batches);
    return true;
}

static void life_reset(struct applier *applier)
{
    container_of(applier, struct life_applier, applier)->next_offset = 0;
}

static const struct applier_type life_type = {.name = "life",
                                              .apply = life_apply,
                                              .committed = life_committed,
                                              .standing_changed = life_standing_changed,
                                              .snapshot_write = life_snapshot_write,
                                              .snapshot_restore = life_snapshot_restore,
                                              .reset = life_reset};

/* ---- Requests and their answers ---- */

static struct request *request_new(uint32_t host, const struct order *order)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        if (!life.requests[i].is_open) {
            life.requests[i] = (struct request){.is_open = true, .host = host};
            if (order != NULL) {
                life.requests[i].order = *order;
            }
            life.processes[host].open_requests++;
            return &life.requests[i];
        }
    }
    return NULL;
}

static void request_close(struct request *request)
{
    EXPECT(request->is_open);
    request->is_open = false;
    life.processes[request->host].open_requests--;
}

/* The process is gone: nobody answers any more. */
static void requests_forget(uint32_t host)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        if (life.requests[i].is_open && life.requests[i].host == host) {
            request_close(&life.requests[i]);
        }
    }
}

static void start_answered(void *context, enum replica_result result, struct replica_group *started)
{
    struct request *request = context;
    const struct group *group = group_of(request->order.group_id);
    EXPECT((result == REPLICA_OK) == (started != NULL));
    if (result == REPLICA_OK) {
        EXPECT(replica_group_incarnation(started) >= group->floor[request->host]);
        /* An earlier incarnation that was not removed yet goes on living. */
        bool is_new = request->is_first_attempt &&
                      replica_group_incarnation(started) == request->order.incarnation;
        EXPECT(!is_new || log_last_index(replica_group_log(started)) == 0);
        life.counts[COUNT_STARTS]++;
    } else {
        /* NOT_RUNNING: a stop has overtaken it. */
        EXPECT(result == REPLICA_ALREADY_RUNNING || result == REPLICA_DELETED ||
               result == REPLICA_NOT_RUNNING || result == REPLICA_BUSY);
        life.counts[COUNT_REFUSALS]++;
    }
    request_close(request);
}

static void stop_answered(void *context, enum replica_result result)
{
    struct request *request = context;
    const struct order *order = &request->order;
    struct group *group = group_of(order->group_id);
    uint32_t floor = 0;
    EXPECT(result == REPLICA_OK || result == REPLICA_NOT_RUNNING || result == REPLICA_DELETED ||
           result == REPLICA_SUPERSEDED || result == REPLICA_BUSY);
    if (result == REPLICA_OK && order->kind == ORDER_DELETE) {
        floor = REPLICA_INCARNATION_NONE;
    } else if (result == REPLICA_OK && order->kind == ORDER_REMOVE) {
        floor = order->incarnation + 1;
    }
    if (floor > group->floor[request->host]) {
        group->floor[request->host] = floor;
        life.counts[COUNT_REMOVALS]++;
    }
    request_close(request);
}

static void barrier_answered(void *context, bool confirmed)
{
    (void)confirmed;
    request_close(context);
}

/* ---- Orders carried out by a broker ---- */

static struct replica_group_spec spec_of(struct group *group, uint32_t host,
                                         const struct order *order)
{
    return (struct replica_group_spec){
        .group_id = group->id,
        .incarnation = order->incarnation,
        .members = order->founders,
        .join = order->join,
        .applier = &group->appliers[host].applier,
        .log = {.segment_bytes = 4000, .segment_ms = 60000, .index_interval_bytes = 500},
        .snapshot_bytes = 3000,
        .drop_prefix_after_snapshot = group->id % 2 == 0,
    };
}

static void carry_out(uint32_t host, void *context)
{
    const struct order *order = context;
    struct replica_manager *manager = life.processes[host].manager;
    struct group *group = group_of(order->group_id);
    struct request *request = group == NULL ? NULL : request_new(host, order);
    if (request == NULL) {
        return;
    }
    if (order->kind == ORDER_START) {
        request->is_first_attempt = order->incarnation >= group->attempted[host];
        if (order->incarnation >= group->attempted[host]) {
            group->attempted[host] = order->incarnation + 1;
        }
        struct replica_group_spec spec = spec_of(group, host, order);
        replica_group_start(manager, &spec, start_answered, request);
    } else if (order->kind == ORDER_REMOVE) {
        replica_group_remove(manager, group->id, order->incarnation, stop_answered, request);
    } else {
        replica_group_stop(manager, group->id, order->kind == ORDER_DELETE, stop_answered, request);
    }
}

static void killed(uint32_t host)
{
    host_kill(host);
    life.processes[host] = (struct process){.open_requests = life.processes[host].open_requests};
    requests_forget(host);
    life.counts[COUNT_CRASHES]++;
}

static void on_host(uint32_t host, void (*function)(uint32_t host, void *context), void *context)
{
    if (life.processes[host].manager != NULL && !host_run(host, function, context)) {
        killed(host);
    }
}

/* ---- The controller ---- */

static void send_order(const struct order *order)
{
    if (life.order_count == ORDERS_MAX) {
        life.orders[below(ORDERS_MAX)] = *order;
    } else {
        life.orders[life.order_count++] = *order;
    }
}

static struct order start_order(const struct group *group, uint32_t host)
{
    const struct decision *decision = &group->decisions[host];
    bool is_founder =
        decision->incarnation == 0 && raft_membership_has_voter(&group->founders, host);
    return (struct order){.kind = ORDER_START,
                          .host = host,
                          .group_id = group->id,
                          .incarnation = decision->incarnation,
                          .join = !is_founder,
                          .founders = group->founders};
}

static void decide_creation(struct group *group)
{
    *group = (struct group){.id = life.next_group_id++};
    for (uint32_t host = 1; host <= HOSTS; host++) {
        group->appliers[host] = (struct life_applier){.applier.type = &life_type, .group = group};
        if (host == 1 + group->id % HOSTS || !chance(4)) {
            group->founders.voters[group->founders.voter_count++] = host;
            group->decisions[host] = (struct decision){.is_assigned = true};
        }
    }
    for (uint32_t host = 1; host <= HOSTS; host++) {
        struct order order = start_order(group, host);
        if (group->decisions[host].is_assigned) {
            send_order(&order);
        } else {
            group->decisions[host].may_go = true;
        }
    }
}

static void decide_deletion(struct group *group)
{
    group->is_deleted = true;
    for (uint32_t host = 1; host <= HOSTS; host++) {
        group->decisions[host].is_assigned = false;
        send_order(&(struct order){.kind = ORDER_DELETE, .host = host, .group_id = group->id});
    }
}

/* From now on the replica is to be removed. */
static void decide_removal(struct group *group, uint32_t host)
{
    group->decisions[host].may_go = true;
    send_order(&(struct order){.kind = ORDER_REMOVE,
                               .host = host,
                               .group_id = group->id,
                               .incarnation = group->decisions[host].incarnation});
}

/* One replica is to go, or comes (back) as a later incarnation. */
static void decide_move(struct group *group)
{
    uint32_t host = 1 + (uint32_t)below(HOSTS);
    struct decision *decision = &group->decisions[host];
    uint32_t assigned = 0;
    for (uint32_t i = 1; i <= HOSTS; i++) {
        assigned += group->decisions[i].is_assigned;
    }
    if (decision->is_assigned && assigned > 1) {
        decision->is_assigned = false;
        if (chance(8)) { /* without asking the group, as when a disk is lost */
            decide_removal(group, host);
        }
    } else if (!decision->is_assigned) {
        decision->incarnation += decision->may_go ? 1 : 0;
        decision->is_assigned = true;
        decision->may_go = false;
        struct order order = start_order(group, host);
        send_order(&order);
    }
}

static uint32_t living_groups(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        count += life.groups[i].id != 0 && !life.groups[i].is_deleted;
    }
    return count;
}

static void forget_orders_of(uint64_t group_id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < life.order_count; i++) {
        if (life.orders[i].group_id != group_id) {
            life.orders[kept++] = life.orders[i];
        }
    }
    life.order_count = kept;
}

static bool has_open_request(uint64_t group_id)
{
    for (size_t i = 0; i < REQUESTS_MAX; i++) {
        if (life.requests[i].is_open && life.requests[i].order.group_id == group_id) {
            return true;
        }
    }
    return false;
}

/* Deleted everywhere and answered: nobody speaks of it but late frames. */
static bool may_be_forgotten(const struct group *group)
{
    bool is_over = group->is_deleted && !has_open_request(group->id);
    for (uint32_t host = 1; host <= HOSTS; host++) {
        is_over = is_over && group->floor[host] == REPLICA_INCARNATION_NONE;
    }
    return is_over;
}

static void decide(void)
{
    struct group *group = &life.groups[below(GROUPS_MAX)];
    if (group->id != 0 && may_be_forgotten(group)) {
        forget_orders_of(group->id);
        group->id = 0;
    }
    if (group->id == 0) {
        if (living_groups() < SLOTS) {
            decide_creation(group);
        }
    } else if (!group->is_deleted) {
        bool is_old = group->batches > BATCHES_MAX / 2;
        if (is_old || chance(12)) {
            decide_deletion(group);
        } else {
            decide_move(group);
        }
    }
}

/* What a broker does that compares what runs with what was decided. */
static void reconcile(uint32_t host)
{
    for (size_t i = 0; i < GROUPS_MAX && life.processes[host].manager != NULL; i++) {
        struct group *group = &life.groups[i];
        const struct decision *decision = &group->decisions[host];
        if (group->id == 0) {
            continue;
        }
        struct order order = {.host = host, .group_id = group->id};
        if (group->is_deleted) {
            order.kind = ORDER_DELETE;
        } else if (decision->is_assigned) {
            order = start_order(group, host);
            if (order.incarnation > group->floor[host] && order.incarnation > 0) {
                struct order removal = {.kind = ORDER_REMOVE,
                                        .host = host,
                                        .group_id = group->id,
                                        .incarnation = order.incarnation - 1};
                on_host(host, carry_out, &removal);
            }
        } else if (decision->may_go) {
            order.kind = ORDER_REMOVE;
            order.incarnation = decision->incarnation;
        } else {
            continue;
        }
        on_host(host, carry_out, &order);
    }
}

/* ---- The leader's engine: makes the members those that were decided on ---- */

static void list_remove_node(uint32_t *nodes, uint32_t *count, uint32_t node_id)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < *count; i++) {
        if (nodes[i] != node_id) {
            nodes[kept++] = nodes[i];
        }
    }
    *count = kept;
}

static void list_add_node(uint32_t *nodes, uint32_t *count, uint32_t node_id)
{
    uint32_t place = (*count)++;
    for (; place > 0 && nodes[place - 1] > node_id; place--) {
        nodes[place] = nodes[place - 1];
    }
    nodes[place] = node_id;
}

static const struct replica_member_view *member_of(const struct replica_group_view *view,
                                                   uint32_t host)
{
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (view->members[i].node_id == host) {
            return &view->members[i];
        }
    }
    return NULL;
}

/* The next single change towards what was decided for a broker; false when there is none. */
static bool next_membership(struct replica_group *replica, struct group *group, uint32_t host,
                            const struct replica_group_view *view, struct raft_membership *wanted)
{
    const struct decision *decision = &group->decisions[host];
    const struct replica_member_view *member = member_of(view, host);
    if (member == NULL) {
        if (!decision->is_assigned) {
            if (!decision->may_go && view->is_membership_committed) {
                decide_removal(group, host);
            }
            return false;
        }
        replica_group_expect(replica, host, decision->incarnation);
        list_add_node(wanted->learners, &wanted->learner_count, host);
        return true;
    }
    bool is_of_the_past = !decision->is_assigned || group->admitted[host] < decision->incarnation;
    if (is_of_the_past && !(member->is_voter && wanted->voter_count == 1)) {
        list_remove_node(wanted->voters, &wanted->voter_count, host);
        list_remove_node(wanted->learners, &wanted->learner_count, host);
        return true;
    }
    if (!is_of_the_past && !member->is_voter && member->lag_indexes < 5) {
        list_remove_node(wanted->learners, &wanted->learner_count, host);
        list_add_node(wanted->voters, &wanted->voter_count, host);
        return true;
    }
    return false;
}

static void change_members(uint32_t leader, void *context)
{
    struct group *group = context;
    struct replica_group *replica = replica_group_find(life.processes[leader].manager, group->id);
    if (replica == NULL || !replica_group_is_running(life.processes[leader].manager, group->id) ||
        !replica_standing(replica).is_leader) {
        return;
    }
    struct replica_group_view view;
    replica_group_view(replica, &view);
    struct raft_membership members = {.epoch = view.membership_epoch};
    for (uint32_t i = 0; i < view.member_count; i++) {
        bool is_voter = view.members[i].is_voter;
        list_add_node(is_voter ? members.voters : members.learners,
                      is_voter ? &members.voter_count : &members.learner_count,
                      view.members[i].node_id);
    }
    uint32_t first = (uint32_t)below(HOSTS);
    for (uint32_t i = 0; i < HOSTS; i++) {
        uint32_t host = 1 + (first + i) % HOSTS;
        struct raft_membership wanted = members;
        if (next_membership(replica, group, host, &view, &wanted)) {
            bool is_new = member_of(&view, host) == NULL;
            if (replica_propose_membership(replica, &wanted) == REPLICA_OK && is_new) {
                group->admitted[host] = group->decisions[host].incarnation;
                life.counts[COUNT_REJOINS]++;
            }
            return;
        }
    }
}

/* ---- Processes ---- */

static void boot(uint32_t host, void *context)
{
    struct replica_manager_options options = {
        .shard = host_shard(host),
        .data_directory = "/data",
        .broker_id = host,
        .cluster_id = {.bytes = {7}},
        .heartbeat_ms = 50,
        .election_ms = 200,
    };
    struct process *process = &life.processes[host];
    char error[256];
    (void)context;
    EXPECT(io_directory_make("/data") == 0 && io_directory_sync("/") == 0);
    process->manager = replica_manager_new(&options, error, sizeof error);
    if (process->manager == NULL) {
        fprintf(stderr, "%s\n", error);
    }
    EXPECT(process->manager != NULL);
    for (uint32_t peer = 1; peer <= HOSTS; peer++) {
        if (peer != host) {
            replica_peer_attach(process->manager, peer, host_stream(host, peer));
        }
    }
}

/* A directory that the scan of a boot finds must be of a replica that may live. */
static void found(uint64_t group_id, const uint8_t *description, size_t description_length,
                  void *context)
{
    const uint32_t *host = context;
    const struct group *group = group_of(group_id);
    (void)description;
    (void)description_length;
    EXPECT(group != NULL && group->floor[*host] < REPLICA_INCARNATION_NONE);
}

static void scan(uint32_t host, void *context)
{
    (void)context;
    replica_manager_scan(life.processes[host].manager, found, &host);
}

static void start_process(uint32_t host)
{
    host_die_at(host, chance(4) ? 1 + (uint32_t)below(12) : 0);
    if (!host_run(host, boot, NULL)) {
        killed(host);
        return;
    }
    on_host(host, scan, NULL);
    host_die_at(host, 0);
}

static void stop_done(void *context)
{
    uint32_t host = *(const uint32_t *)context;
    EXPECT(life.processes[host].open_requests == 0);
    life.processes[host].has_stopped = true;
}

static void begin_stop(uint32_t host, void *context)
{
    static const uint32_t numbers[HOSTS + 1] = {0, 1, 2, 3};
    (void)context;
    life.processes[host].is_stopping = true;
    replica_manager_stop(life.processes[host].manager, stop_done,
                         (void *)(uintptr_t)&numbers[host]);
}

static void free_manager(uint32_t host, void *context)
{
    (void)context;
    replica_manager_free(life.processes[host].manager);
}

static void end_process(uint32_t host)
{
    if (host_has_work(host)) {
        return;
    }
    on_host(host, free_manager, NULL);
    EXPECT(host_blocks(host) <= 1); /* the loop's own */
    host_kill(host);
    life.processes[host] = (struct process){0};
    life.counts[COUNT_STOPS]++;
}

static void crash(uint32_t host)
{
    killed(host);
    if (chance(2)) {
        host_cut_power(host);
    }
}

/* ---- Frames ---- */

static void take_frame(uint32_t host, void *context)
{
    const struct host_frame *frame = context;
    struct buf *buf = buf_new(frame->length);
    memcpy(buf->data, frame->bytes, frame->length);
    buf->length_bytes = frame->length;
    EXPECT(replica_receive_frame(life.processes[host].manager, frame->from, buf, buf->data,
                                 frame->length));
    buf_release(buf);
}

/* The frame stays away for a long time. */
static void bury(const struct host_frame *frame)
{
    struct host_frame *grave = &life.graves[below(GRAVES_MAX)];
    if (grave->bytes != NULL) {
        frame_put(grave);
        frame_free(grave);
    }
    *grave = *frame;
}

static void deliver_frame(void)
{
    if (frames_count() == 0) {
        return;
    }
    struct host_frame frame = frame_take((uint32_t)below(frames_count()));
    if (!life.is_settling && chance(50)) {
        frame_put(&frame); /* doubled */
    }
    if (life.is_settling || !chance(30)) {
        on_host(frame.to, take_frame, &frame);
    }
    if (!life.is_settling && chance(200)) {
        bury(&frame);
    } else {
        frame_free(&frame);
    }
}

static void deliver_order(void)
{
    if (life.order_count == 0) {
        return;
    }
    uint32_t position = (uint32_t)below(life.order_count);
    struct order order = life.orders[position];
    if (!chance(4)) { /* else it comes again later */
        life.orders[position] = life.orders[--life.order_count];
    }
    if (!chance(8)) {
        on_host(order.host, carry_out, &order);
    }
}

/* ---- Use of groups ---- */

static void propose(uint32_t host, void *context)
{
    const struct group *group = context;
    struct replica_manager *manager = life.processes[host].manager;
    struct replica_group *replica = replica_group_find(manager, group->id);
    if (replica == NULL || !replica_group_is_running(manager, group->id) ||
        group->batches + 64 > BATCHES_MAX) {
        return;
    }
    uint64_t value = prng_next(&life.prng);
    struct buf *batch = wire_batch_build("k", 1, (const char *)&value, sizeof value, 1);
    uint64_t base_offset;
    (void)replica_propose(replica, batch, batch->data, batch->length_bytes, 1, &base_offset);
    buf_release(batch);
}

static void use(uint32_t host, void *context)
{
    struct group *group = context;
    struct replica_manager *manager = life.processes[host].manager;
    struct replica_group *replica = replica_group_find(manager, group->id);
    if (replica == NULL || !replica_group_is_running(manager, group->id)) {
        return;
    }
    struct order order = {.host = host, .group_id = group->id};
    struct request *request;
    switch (below(3)) {
    case 0:
        request = request_new(host, &order);
        if (request != NULL) {
            replica_read_barrier(replica, barrier_answered, request);
        }
        break;
    case 1:
        (void)replica_transfer_leadership(replica, 0);
        break;
    default:
        replica_take_snapshot(replica);
    }
}

/* ---- Checks ---- */

static void check_host(uint32_t host)
{
    const struct process *process = &life.processes[host];
    size_t position = 0;
    struct replica_group *replica;
    if (process->manager == NULL) {
        return;
    }
    while ((replica = replica_group_next(process->manager, &position)) != NULL) {
        const struct group *group = group_of(replica_group_id(replica));
        EXPECT(group != NULL);
        EXPECT(replica_group_incarnation(replica) >= group->floor[host]);
    }
    EXPECT(counter_read(&replica_stats(process->manager)->groups_failed) == 0);
}

/* Exactly what was decided runs, and nothing else has a directory. */
static bool is_settled(uint32_t host)
{
    struct replica_manager *manager = life.processes[host].manager;
    bool is_settled = manager != NULL && !host_has_work(host);
    for (size_t i = 0; is_settled && i < GROUPS_MAX; i++) {
        const struct group *group = &life.groups[i];
        if (group->id == 0) {
            continue;
        }
        const struct replica_group *replica = replica_group_find(manager, group->id);
        bool runs = replica_group_is_running(manager, group->id) &&
                    replica_group_incarnation(replica) == group->decisions[host].incarnation;
        char path[64];
        snprintf(path, sizeof path, "/data/groups/%" PRIu64, group->id);
        if (group->decisions[host].is_assigned) {
            is_settled = runs && host_path_exists(host, path);
        } else if (group->decisions[host].may_go || group->is_deleted) {
            is_settled = replica == NULL && !host_path_exists(host, path);
            is_settled = is_settled && group->floor[host] > group->decisions[host].incarnation;
        }
    }
    return is_settled;
}

/* No more trouble: after a while everything is as it was decided.  Then the old frames arrive. */
static void settle(void)
{
    life.is_settling = true;
    bool is_done = false;
    for (uint32_t round = 0; !is_done; round++) {
        EXPECT(round < SETTLE_ROUNDS_MAX);
        is_done = frames_count() < FRAMES_MAX;
        for (uint32_t host = 1; host <= HOSTS; host++) {
            host_die_at(host, 0);
            if (life.processes[host].has_stopped) {
                end_process(host);
            } else if (life.processes[host].manager == NULL) {
                EXPECT(host_run(host, boot, NULL));
                on_host(host, scan, NULL);
            }
            while (host_step(host)) {
            }
            host_turn(host);
            if (!life.processes[host].is_stopping && round % 8 == 0) {
                reconcile(host);
            }
            is_done = is_done && is_settled(host);
        }
        while (frames_count() > FRAMES_MAX / 2) {
            deliver_frame();
        }
        hosts_advance(TICK_NS);
    }
    for (size_t i = 0; i < GRAVES_MAX; i++) {
        if (life.graves[i].bytes != NULL) {
            on_host(life.graves[i].to, take_frame, &life.graves[i]);
        }
    }
    for (uint32_t host = 1; host <= HOSTS; host++) {
        while (host_step(host)) {
        }
        EXPECT(is_settled(host));
        check_host(host);
    }
    life.is_settling = false;
    life.counts[COUNT_SETTLED]++;
}

/* ---- Steps ---- */

static void trouble(uint32_t host)
{
    struct process *process = &life.processes[host];
    if (process->manager == NULL) {
        start_process(host);
    } else if (chance(3)) {
        host_die_at(host, 1 + (uint32_t)below(40));
    } else if (chance(2)) {
        crash(host);
    } else if (!process->is_stopping) {
        on_host(host, begin_stop, NULL);
    }
}

/* A process that died in the middle of host_step() or host_turn() is only seen here. */
static void notice_death(uint32_t host)
{
    if (life.processes[host].manager != NULL && host_blocks(host) == 0) {
        killed(host);
        if (chance(2)) {
            host_cut_power(host);
        }
    }
}

static void step(void)
{
    uint32_t host = 1 + (uint32_t)below(HOSTS);
    struct group *group = &life.groups[below(GROUPS_MAX)];
    bool lives = life.processes[host].manager != NULL;
    uint64_t choice = below(10000);
    if (choice < 8800) {
        bool is_done = choice < 4000 && host_step(host);
        if (!is_done && frames_count() > 0 && choice < 8000) {
            deliver_frame();
        } else if (!is_done) {
            host_turn(host);
            hosts_advance(below(TICK_NS / 2));
        }
    } else if (choice < 9500 && group->id != 0) {
        on_host(host, propose, group);
    } else if (choice < 9700 && group->id != 0 && !group->is_deleted) {
        on_host(host, change_members, group);
    } else if (choice < 9750 && group->id != 0) {
        on_host(host, use, group);
    } else if (choice < 9870) {
        deliver_order();
    } else if (choice < 9890) {
        decide();
    } else if (choice < 9930 && lives && !life.processes[host].is_stopping) {
        reconcile(host);
    } else if (choice >= 9996 || (!lives && choice >= 9900)) {
        trouble(host);
    }
    notice_death(host);
    if (life.processes[host].has_stopped) {
        end_process(host);
    }
    check_host(host);
}

static void swallow(enum trace_level level, const char *line, void *context)
{
    (void)level;
    (void)line;
    (void)context;
}

static void run(uint64_t seed, uint64_t steps)
{
    memset(&life, 0, sizeof life);
    life.seed = seed;
    prng_init(&life.prng, seed);
    life.next_group_id = 1001;
    hosts_begin(seed + 1);
    for (life.step = 1; life.step <= steps; life.step++) {
        step();
        if (life.step % 20000 == 0) {
            settle();
        }
    }
    for (size_t i = 0; i < GRAVES_MAX; i++) {
        frame_free(&life.graves[i]);
    }
    printf("seed %" PRIu64 ": %" PRIu64 " steps, %" PRIu64 " file operations, %" PRIu64
           " groups, %" PRIu64 " starts, %" PRIu64 " removals, %" PRIu64 " refusals, %" PRIu64
           " crashes, %" PRIu64 " clean stops, %" PRIu64 " commits, %" PRIu64
           " members added, %" PRIu64 " times settled\n",
           seed, steps, host_operations(), life.next_group_id - 1001, life.counts[COUNT_STARTS],
           life.counts[COUNT_REMOVALS], life.counts[COUNT_REFUSALS], life.counts[COUNT_CRASHES],
           life.counts[COUNT_STOPS], life.counts[COUNT_COMMITS], life.counts[COUNT_REJOINS],
           life.counts[COUNT_SETTLED]);
    hosts_end();
}

int main(int argc, char **argv)
{
    uint64_t seed = 1;
    uint64_t seeds = 1;
    uint64_t steps = 1000000;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--seeds") == 0) {
            seeds = strtoull(argv[i + 1], NULL, 10);
        } else if (strcmp(argv[i], "--steps") == 0) {
            steps = strtoull(argv[i + 1], NULL, 10);
        }
    }
    if (getenv("LIFE_VERBOSE") == NULL) {
        trace_install(swallow, NULL, TRACE_ERROR);
    }
    for (uint64_t i = 0; i < seeds; i++) {
        run(seed + i, steps);
    }
    return 0;
}
