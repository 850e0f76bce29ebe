/* SPDX-License-Identifier: Apache-2.0
 *
 * tombstone_rounds.c -- see tombstone_rounds.h.
 *
 * A round that is not answered by all when the next one begins proves nothing and is forgotten; so
 * is a message that cannot be sent.
 */
#include "broker/tombstone_rounds.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/partition_state.h"
#include "broker/peer_link.h"
#include "broker/peer_request_frame.h"
#include "broker/tombstone_floor.h"
#include "log/compaction.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NS_A_MS 1000000ull
/* Answers have time to come, however often compaction is looked for. */
#define ROUND_MS_LEAST 1000u
#define GROUPS_AT_ONCE_MAX 4096 /* of one message */

/* An ask on its way to a broker. */
struct addressed_ask {
    uint32_t to;
    struct tell_compacted_request_ask ask;
};

struct tombstone_rounds {
    struct broker_shard *shard;
    struct io_timer timer;
    struct addressed_ask *asks; /* of the round that begins */
    uint32_t count;
    uint32_t capacity;
};

/* ---- A partition ---- */

static bool is_running(const struct partition *partition)
{
    return partition->life == PARTITION_RUNNING &&
           replica_group_is_running(partition->shard->replicas, partition->spec.group_id);
}

/* As the metadata has it; NULL when that is not known as it was at the start, or not at all. */
static const struct cluster_partition *assignment_of(const struct partition *partition)
{
    const struct cluster_topic *topic = NULL;
    uint32_t number = 0;
    if (!partition->shard->metadata_is_loaded ||
        !cluster_group_find(partition->shard->metadata, partition->spec.group_id, &topic,
                            &number)) {
        return NULL;
    }
    return &topic->partitions[number];
}

/* What this broker says of its copy; false: nothing. */
static bool answer_of(const struct partition *partition, struct tombstone_answer *answer)
{
    const struct cluster_partition *assignment = assignment_of(partition);
    if (!is_running(partition) || assignment == NULL ||
        replica_group_is_damaged(partition->shard->replicas, partition->spec.group_id)) {
        return false;
    }
    struct replica_group_view view;
    replica_group_view(partition->group, &view);
    *answer = (struct tombstone_answer){
        .term = view.term,
        .epoch = assignment->epoch,
        .copy_id = partition->copy_id,
        .offset = log_compacted_offset(replica_group_log(partition->group)),
    };
    return true;
}

/* False: they cannot be told for certain now.  What the metadata says must be at least as new as
 * the decision that the members follow: then every copy that may ever be a member again is listed,
 * or is a member. */
static bool find_holders(const struct partition *partition, struct tombstone_holders *holders)
{
    const struct cluster_partition *assignment = assignment_of(partition);
    struct replica_group_view view;
    replica_group_view(partition->group, &view);
    if (assignment == NULL || !view.is_membership_committed ||
        view.membership_epoch > assignment->epoch) {
        return false;
    }
    *holders = (struct tombstone_holders){.term = view.term, .epoch = assignment->epoch};
    bool has_room = tombstone_holders_add(holders, partition->shard->broker_id);
    for (uint32_t i = 0; i < view.member_count; i++) {
        has_room = tombstone_holders_add(holders, view.members[i].node_id) && has_room;
    }
    for (uint32_t i = 0; i < assignment->replica_count; i++) {
        has_room = tombstone_holders_add(holders, assignment->replicas[i]) && has_room;
    }
    return has_room;
}

static void take_floor(struct partition *partition, uint64_t floor)
{
    if (floor > partition->tombstone_floor) {
        trace_debug("group %" PRIu64 ": every copy was compacted up to offset %" PRIu64,
                    partition->spec.group_id, floor);
        partition->tombstone_floor = floor;
    }
}

/* ---- The leader begins a round ---- */

static void put_ask(struct tombstone_rounds *rounds, uint32_t to, const struct partition *partition)
{
    if (rounds->count == rounds->capacity) {
        rounds->capacity = rounds->capacity > 0 ? rounds->capacity * 2 : 16;
        rounds->asks = memory_reallocate(rounds->asks, rounds->capacity * sizeof rounds->asks[0]);
    }
    rounds->asks[rounds->count++] = (struct addressed_ask){
        .to = to,
        .ask = {.group_id = (int64_t)partition->spec.group_id,
                .floor = (int64_t)partition->tombstone_floor},
    };
}

static void ask_holders(struct tombstone_rounds *rounds, struct partition *partition,
                        uint64_t number)
{
    struct broker_shard *shard = rounds->shard;
    struct tombstone_holders holders;
    struct tombstone_answer own;
    if (!find_holders(partition, &holders) || !answer_of(partition, &own) || own.offset == 0) {
        return;
    }
    if (partition->tombstone_proof == NULL) {
        partition->tombstone_proof = memory_allocate_zeroed(sizeof *partition->tombstone_proof);
    }
    tombstone_proof_begin(partition->tombstone_proof, number, &holders);
    take_floor(partition,
               tombstone_proof_take(partition->tombstone_proof, number, shard->broker_id, &own));
    for (uint32_t i = 0; i < holders.count; i++) {
        if (holders.brokers[i] != shard->broker_id) {
            put_ask(rounds, holders.brokers[i], partition);
        }
    }
}

static int compare_addressees(const void *left, const void *right)
{
    uint32_t left_to = ((const struct addressed_ask *)left)->to;
    uint32_t right_to = ((const struct addressed_ask *)right)->to;
    return left_to < right_to ? -1 : left_to > right_to;
}

static void send(struct broker_shard *shard, uint32_t to,
                 const struct tell_compacted_request *message)
{
    struct wire_writer writer;
    peer_request_frame_begin(&writer, TELL_COMPACTED_TYPE, 0);
    tell_compacted_request_encode(message, 0, &writer);
    struct buf *frame = peer_request_frame_take(&writer);
    (void)peer_link_send(shard->links, to, frame); /* if not, the next round asks again */
    buf_release(frame);
}

static void send_asks(struct tombstone_rounds *rounds, uint64_t number)
{
    if (rounds->count == 0) {
        return;
    }
    struct tell_compacted_request message;
    tell_compacted_request_init(&message);
    message.round = (int64_t)number;
    message.asks = memory_allocate(GROUPS_AT_ONCE_MAX * sizeof message.asks[0]);
    qsort(rounds->asks, rounds->count, sizeof rounds->asks[0], compare_addressees);
    for (uint32_t i = 0; i < rounds->count; i++) {
        message.asks[message.asks_count++] = rounds->asks[i].ask;
        bool is_last = i + 1 == rounds->count || rounds->asks[i + 1].to != rounds->asks[i].to;
        if (is_last || message.asks_count == GROUPS_AT_ONCE_MAX) {
            send(rounds->shard, rounds->asks[i].to, &message);
            message.asks_count = 0;
        }
    }
    memory_free(message.asks);
    rounds->count = 0;
}

static void drop_proof(struct partition *partition)
{
    memory_free(partition->tombstone_proof);
    partition->tombstone_proof = NULL;
}

static void start_timer(struct tombstone_rounds *rounds)
{
    struct io_loop *loop = rounds->shard->loop;
    uint32_t pause_ms = rounds->shard->config->compaction_check_ms;
    pause_ms = pause_ms > ROUND_MS_LEAST ? pause_ms : ROUND_MS_LEAST;
    io_timer_start(loop, &rounds->timer, io_now_ns(loop) + pause_ms * NS_A_MS);
}

static void round_due(struct io_timer *timer)
{
    struct tombstone_rounds *rounds = container_of(timer, struct tombstone_rounds, timer);
    struct broker_shard *shard = rounds->shard;
    struct partition *partition = NULL;
    size_t position = 0;
    uint64_t number = (io_random(shard->loop) >> 1) | 1;
    while ((partition = map_next(&shard->partitions, &position)) != NULL) {
        if (is_running(partition) && partition->rules.compacts &&
            replica_standing(partition->group).is_leader) {
            ask_holders(rounds, partition, number);
        } else {
            drop_proof(partition);
        }
    }
    send_asks(rounds, number);
    start_timer(rounds);
}

/* ---- A message ---- */

struct told_message {
    struct shard_message message;
    uint32_t from;
    struct tell_compacted_request told; /* its arrays are this message's own */
};

static void answer_asks(struct broker_shard *shard, uint32_t from,
                        const struct tell_compacted_request *told)
{
    struct tell_compacted_request message;
    tell_compacted_request_init(&message);
    message.round = told->round;
    message.answers = memory_allocate((size_t)told->asks_count * sizeof message.answers[0]);
    for (int32_t i = 0; i < told->asks_count; i++) {
        const struct tell_compacted_request_ask *ask = &told->asks[i];
        struct partition *partition = partition_find(shard, (uint64_t)ask->group_id);
        struct tombstone_answer answer;
        if (partition == NULL) {
            continue;
        }
        take_floor(partition, (uint64_t)ask->floor);
        if (answer_of(partition, &answer)) {
            message.answers[message.answers_count++] = (struct tell_compacted_request_answer){
                .group_id = ask->group_id,
                .term = (int64_t)answer.term,
                .epoch = answer.epoch,
                .copy_id = (int64_t)answer.copy_id,
                .offset = (int64_t)answer.offset,
            };
        }
    }
    if (message.answers_count > 0) {
        send(shard, from, &message);
    }
    memory_free(message.answers);
}

static void take_answers(struct broker_shard *shard, uint32_t from,
                         const struct tell_compacted_request *told)
{
    for (int32_t i = 0; i < told->answers_count; i++) {
        const struct tell_compacted_request_answer *told_answer = &told->answers[i];
        struct partition *partition = partition_find(shard, (uint64_t)told_answer->group_id);
        if (partition == NULL || partition->tombstone_proof == NULL) {
            continue; /* it does not lead any more */
        }
        struct tombstone_answer answer = {
            .term = (uint64_t)told_answer->term,
            .epoch = told_answer->epoch,
            .copy_id = (uint64_t)told_answer->copy_id,
            .offset = (uint64_t)told_answer->offset,
        };
        take_floor(partition, tombstone_proof_take(partition->tombstone_proof,
                                                   (uint64_t)told->round, from, &answer));
    }
}

static void deliver_told(struct shard *shard, struct shard_message *message)
{
    struct told_message *letter = container_of(message, struct told_message, message);
    struct broker_shard *state = shard_owner(shard);
    if (letter->told.asks_count > 0) {
        answer_asks(state, letter->from, &letter->told);
    }
    take_answers(state, letter->from, &letter->told);
    memory_free(letter->told.asks);
    memory_free(letter->told.answers);
    memory_free(letter);
}

/* What of it concerns the groups of one shard; NULL: nothing. */
static struct told_message *letter_to(uint32_t to, uint32_t shard_count,
                                      const struct tell_compacted_request *told)
{
    struct told_message *letter = memory_allocate_zeroed(sizeof *letter);
    struct tell_compacted_request *part = &letter->told;
    part->round = told->round;
    part->asks = memory_allocate((size_t)told->asks_count * sizeof part->asks[0]);
    part->answers = memory_allocate((size_t)told->answers_count * sizeof part->answers[0]);
    for (int32_t i = 0; i < told->asks_count; i++) {
        if (replica_shard_of_group((uint64_t)told->asks[i].group_id, shard_count) == to) {
            part->asks[part->asks_count++] = told->asks[i];
        }
    }
    for (int32_t i = 0; i < told->answers_count; i++) {
        if (replica_shard_of_group((uint64_t)told->answers[i].group_id, shard_count) == to) {
            part->answers[part->answers_count++] = told->answers[i];
        }
    }
    if (part->asks_count + part->answers_count > 0) {
        return letter;
    }
    memory_free(part->asks);
    memory_free(part->answers);
    memory_free(letter);
    return NULL;
}

void tombstone_rounds_spread(struct broker_shard *shard, uint32_t from,
                             const struct tell_compacted_request *told)
{
    uint32_t shard_count = shard->broker->shard_count;
    for (uint32_t to = 0; to < shard_count; to++) {
        struct told_message *letter = letter_to(to, shard_count, told);
        if (letter != NULL) {
            list_node_init(&letter->message.node);
            letter->message.deliver = deliver_told;
            letter->from = from;
            shard_post(shard->shard, to, &letter->message);
        }
    }
}

/* ---- Life ---- */

struct tombstone_rounds *tombstone_rounds_new(struct broker_shard *shard)
{
    struct tombstone_rounds *rounds = memory_allocate_zeroed(sizeof *rounds);
    rounds->shard = shard;
    io_timer_init(&rounds->timer, round_due);
    return rounds;
}

void tombstone_rounds_start(struct tombstone_rounds *rounds)
{
    start_timer(rounds);
}

void tombstone_rounds_stop(struct tombstone_rounds *rounds)
{
    io_timer_stop(rounds->shard->loop, &rounds->timer);
}

void tombstone_rounds_free(struct tombstone_rounds *rounds)
{
    memory_free(rounds->asks);
    memory_free(rounds);
}
