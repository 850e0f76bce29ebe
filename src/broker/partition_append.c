/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_append.c -- appending produced batches, and the produce requests that wait for them.
 *
 * What an error code promises matters here.  Codes given before the append are definite: the batch
 * is not in the log.  Once it is appended, a loss of leadership or a timeout leaves its fate open
 * (another leader may still commit it), and the only code that says so is REQUEST_TIMED_OUT:
 * clients then count the batch as possibly written, and an idempotent producer's retry is
 * recognised.  NOT_LEADER_OR_FOLLOWER would be a promise we cannot keep.
 *
 * Order: a batch that finds the log full waits in line, and so does everything after it, so the
 * batches of a connection are appended in the order they came.
 *
 * Elections: clients send several batches ahead.  If a new leader refuses the first as it is not
 * ready and judges the second a moment later, that one leaves a gap in its producer's sequence;
 * told so, some clients believe that data was lost and stop, others begin a new epoch in which they
 * send again what was appended already.  So what comes to a leader that is elected and not ready
 * yet waits in the line, too, and for a while after an election or a start a gap is answered like a
 * wrong leader: the client sends everything again, in order.
 *
 * Locality: the shard of the group.
 */
#include "broker/partition_state.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/replica_error.h"

/* What waits for room in one partition's log; beyond it batches are refused, to be sent again
 * later. */
#define ROOM_BYTES_MAX (64u * 1024 * 1024)

/* What the records of a batch may take while they are compressed anew. */
#define RECOMPRESS_BYTES_MAX (64u * 1024 * 1024)

/* How long after an election, and after a start, a gap in a producer's sequence is taken for a
 * batch that was refused on the way and comes again. */
#define GAPS_EXPLAINED_NS 10000000000ull

/* ---- Lists ---- */

static void hold(struct partition *partition, struct produce_item *item)
{
    require(item->holder == NULL);
    item->holder = partition;
    partition->room_bytes += item->batch.total_bytes;
    list_append(&partition->room, &item->node);
}

static void leave_list(struct produce_item *item)
{
    list_remove(&item->node);
    if (item->holder != NULL) {
        ensure(item->holder->room_bytes >= item->batch.total_bytes);
        item->holder->room_bytes -= item->batch.total_bytes;
        item->holder = NULL;
    }
}

/* ---- Answers ---- */

static void answer(struct produce_item *item, enum wire_error error, const char *message)
{
    require(!item->is_answered);
    struct produce_ask *ask = item->ask;
    leave_list(item);
    buf_release(item->recompressed);
    item->recompressed = NULL;
    item->is_answered = true;
    item->head.error = error;
    item->message = message;
    if (error != WIRE_ERROR_NONE) {
        item->base_offset = -1;
        item->append_time_ms = -1;
        counter_add(&ask->shard->stats.produce_errors, 1);
    }
    ensure(ask->ask.unanswered > 0);
    ask->ask.unanswered--;
    if (ask->ask.unanswered == 0) {
        io_timer_stop(ask->shard->loop, &ask->timer);
        ask_return(ask->shard, &ask->ask);
    }
}

static void answer_not_leader(const struct partition *partition, struct produce_item *item)
{
    item->head.leader = partition->standing.leader;
    item->head.term = partition->standing.term;
    answer(item, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, NULL);
}

static void answer_appended(const struct partition *partition, struct produce_item *item)
{
    item->log_start_offset = (int64_t)log_start_offset(replica_group_log(partition->group));
    answer(item, WIRE_ERROR_NONE, NULL);
}

/* ---- Checks before the append ---- */

/* The head's timestamps: those inside a compressed batch are not looked at one by one. */
static bool timestamps_are_in_bounds(const struct partition_rules *rules,
                                     const struct wire_batch *batch, int64_t now_ms)
{
    if (batch->base_timestamp < -1 || batch->max_timestamp < -1) {
        return false;
    }
    if (batch->max_timestamp >= 0 && batch->max_timestamp > now_ms &&
        batch->max_timestamp - now_ms > rules->timestamp_after_max_ms) {
        return false;
    }
    return batch->base_timestamp < 0 || batch->base_timestamp >= now_ms ||
           now_ms - batch->base_timestamp <= rules->timestamp_before_max_ms;
}

/* A majority is always waited for and flushed, so min.insync.replicas only says more where it is
 * larger than the majority: then that many replicas have to be there when the batch is taken. */
static bool has_insync_replicas(const struct partition *partition)
{
    struct replica_group_view view;
    uint32_t least = partition->rules.insync_replicas_least;
    if (least <= 1) {
        return true;
    }
    replica_group_view(partition->group, &view);
    uint32_t voters = 0;
    uint32_t active = 0;
    for (uint32_t i = 0; i < view.member_count; i++) {
        voters += view.members[i].is_voter;
        active += view.members[i].is_voter && view.members[i].is_active;
    }
    return least <= voters / 2 + 1 || active >= least;
}

static enum wire_error check(const struct partition *partition, struct produce_item *item,
                             const char **message)
{
    const struct partition_rules *rules = &partition->rules;
    enum wire_error error = partition_leads(partition, &item->head);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    if (partition->shard->is_short_of_room) {
        *message = "The leader's disk is nearly full.";
        return WIRE_ERROR_KAFKA_STORAGE_ERROR;
    }
    if (item->batch.total_bytes > rules->message_bytes_max) {
        *message = "The batch is larger than max.message.bytes of the topic.";
        return WIRE_ERROR_MESSAGE_TOO_LARGE;
    }
    if (!rules->log_append_time &&
        !timestamps_are_in_bounds(rules, &item->batch, io_wall_ms(partition->shard->loop))) {
        *message = "A timestamp is outside what message.timestamp.before.max.ms and "
                   "message.timestamp.after.max.ms allow.";
        return WIRE_ERROR_INVALID_TIMESTAMP;
    }
    if (item->ask->acks == -1 && !has_insync_replicas(partition)) {
        *message = "Fewer replicas are in touch than min.insync.replicas asks for.";
        return WIRE_ERROR_NOT_ENOUGH_REPLICAS;
    }
    return WIRE_ERROR_NONE;
}

/* ---- Compression ---- */

/* The topic wants another compression than the producer's.  What would be refused anyway stays. */
static bool must_recompress(const struct partition *partition, struct produce_item *item)
{
    const struct partition_rules *rules = &partition->rules;
    return rules->compression >= 0 && wire_batch_compression(&item->batch) != rules->compression &&
           item->batch.total_bytes <= rules->message_bytes_max &&
           (partition_takes_over(partition) ||
            partition_leads(partition, &item->head) == WIRE_ERROR_NONE);
}

/* False: the item is answered. */
static bool recompress(const struct partition *partition, struct produce_item *item)
{
    const struct partition_rules *rules = &partition->rules;
    const char *reason = NULL;
    require(item->recompressed == NULL && item->holder == NULL);
    item->recompressed =
        wire_batch_recompress(&item->batch, (enum wire_compression)rules->compression,
                              rules->compression_level, RECOMPRESS_BYTES_MAX, &reason);
    if (reason != NULL) {
        answer(item, WIRE_ERROR_INVALID_RECORD, reason);
        return false;
    }
    if (item->recompressed == NULL) {
        return true; /* it stays as the producer compressed it */
    }
    item->data = item->recompressed->data;
    bool is_batch = wire_batch_read(&item->batch, item->data, item->recompressed->length_bytes);
    ensure(is_batch && item->batch.data != NULL);
    return true;
}

/* ---- The append ---- */

/* Keeps the list ascending: a duplicate may belong before items that wait already. */
static void insert_by_offset(struct list *list, struct produce_item *item)
{
    struct list_node *before = list->head.previous;
    while (before != &list->head &&
           container_of(before, struct produce_item, node)->last_offset > item->last_offset) {
        before = before->previous;
    }
    item->node.previous = before;
    item->node.next = before->next;
    before->next->previous = &item->node;
    before->next = &item->node;
}

/* The batch stands at item->base_offset: answers when that is as safe as acks asks. */
static void wait_until_safe(struct partition *partition, struct produce_item *item)
{
    leave_list(item);
    uint64_t last = (uint64_t)item->last_offset;
    uint64_t high_watermark = replica_high_watermark(partition->group);
    bool is_safe = item->ask->acks == 0 || last < high_watermark ||
                   (item->ask->acks == 1 && last < partition->saved_offset);
    if (is_safe) {
        answer_appended(partition, item);
    } else {
        insert_by_offset(item->ask->acks == 1 ? &partition->saves : &partition->commits, item);
    }
}

static void set_place(struct produce_item *item, int64_t base_offset)
{
    item->base_offset = base_offset;
    item->last_offset = base_offset + item->batch.last_offset_delta;
}

/* False: not now; the item stays where it is. */
static bool propose(struct partition *partition, struct produce_item *item)
{
    struct broker_shard *shard = partition->shard;
    struct wire_batch *batch = &item->batch;
    if (partition->rules.log_append_time) {
        item->append_time_ms = io_wall_ms(shard->loop);
        wire_batch_set_append_time(item->data, batch->total_bytes, item->append_time_ms);
        (void)wire_batch_read(batch, item->data, batch->total_bytes);
    }
    uint64_t base_offset = 0;
    enum replica_result result = replica_propose(
        partition->group, item->recompressed != NULL ? item->recompressed : item->ask->frame,
        item->data, batch->total_bytes, (uint32_t)batch->last_offset_delta + 1, &base_offset);
    switch (result) {
    case REPLICA_OK:
        break;
    case REPLICA_FULL:      /* again when something has been committed */
    case REPLICA_NOT_READY: /* again with the next standing */
    case REPLICA_BUSY:      /* this broker stops and is handing the leadership over */
        return false;
    case REPLICA_NOT_LEADER:
        answer_not_leader(partition, item);
        return true;
    case REPLICA_INVALID_GROUP_ID:
    case REPLICA_ALREADY_RUNNING:
    case REPLICA_NOT_RUNNING:
    case REPLICA_DELETED:
    case REPLICA_SUPERSEDED:
    case REPLICA_FOREIGN:
    case REPLICA_DAMAGED:
    case REPLICA_DISK_FAILED:
    case REPLICA_BAD_REQUEST:
        answer(item, replica_error(result), replica_result_text(result));
        return true;
    }
    producer_appended(partition->producers, batch, (int64_t)base_offset);
    set_place(item, (int64_t)base_offset);
    counter_add(&shard->stats.produce_records, (uint64_t)batch->record_count);
    counter_add(&shard->stats.produce_bytes, batch->total_bytes);
    wait_until_safe(partition, item);
    return true;
}

/* Before, batches were refused. */
static bool has_just_begun_to_serve(const struct partition *partition)
{
    const struct broker_shard *shard = partition->shard;
    uint64_t begin_ns = partition->leads_since_ns;
    begin_ns = begin_ns > shard->metadata_loaded_ns ? begin_ns : shard->metadata_loaded_ns;
    return io_now_ns(shard->loop) - begin_ns < GAPS_EXPLAINED_NS;
}

/* False: not now (the log is full, or the leader not ready); the item stays where it is. */
static bool try_append(struct partition *partition, struct produce_item *item)
{
    int64_t known_offset = -1;
    const char *message = NULL;
    if (partition_takes_over(partition)) {
        return false;
    }
    enum wire_error error = check(partition, item, &message);
    if (error != WIRE_ERROR_NONE) {
        answer(item, error, message);
        return true;
    }
    if (has_just_begun_to_serve(partition) &&
        producer_misses_batches(partition->producers, &item->batch)) {
        answer_not_leader(partition, item);
        return true;
    }
    item->append_time_ms = -1;
    switch (producer_check(partition->producers, &item->batch, &known_offset, &item->append_time_ms,
                           &error)) {
    case PRODUCER_REFUSED:
        answer(item, error, "The batch does not follow the producer's last one.");
        return true;
    case PRODUCER_DUPLICATE:
        set_place(item, known_offset);
        wait_until_safe(partition, item);
        return true;
    case PRODUCER_APPEND:
        return propose(partition, item);
    }
    unreachable_code();
}

static void append(struct partition *partition, struct produce_item *item)
{
    if (must_recompress(partition, item) && !recompress(partition, item)) {
        return;
    }
    if (list_is_empty(&partition->room) && try_append(partition, item)) {
        return;
    }
    if (partition->room_bytes > ROOM_BYTES_MAX) {
        answer(item, WIRE_ERROR_NOT_ENOUGH_REPLICAS, "Too much waits for the replicas already.");
    } else {
        hold(partition, item);
    }
}

/* ---- The ask ---- */

static void answer_late(struct produce_item *item)
{
    if (item->holder != NULL) {
        answer(item, WIRE_ERROR_NOT_ENOUGH_REPLICAS, "The replicas made no room in time.");
    } else {
        answer(item, WIRE_ERROR_REQUEST_TIMED_OUT,
               "The batch was not committed in time; it may be later.");
    }
}

static void deadline(struct io_timer *timer)
{
    struct produce_ask *ask = container_of(timer, struct produce_ask, timer);
    uint32_t unanswered = ask->ask.unanswered;
    for (uint32_t i = 0; unanswered > 0; i++) {
        ensure(i < ask->ask.count);
        struct produce_item *item = container_of(ask->ask.items[i], struct produce_item, head);
        if (!item->is_answered) {
            unanswered--; /* the ask may be gone with its last item */
            answer_late(item);
        }
    }
}

void produce_perform(struct broker_shard *shard, struct ask *base)
{
    struct produce_ask *ask = container_of(base, struct produce_ask, ask);
    require(base->count > 0);
    ask->shard = shard;
    io_timer_init(&ask->timer, deadline);
    io_timer_start(shard->loop, &ask->timer, ask->deadline_ns);

    base->unanswered = base->count;
    for (uint32_t i = 0, count = base->count; i < count; i++) {
        /* The ask goes home with its last item's answer and is not touched after it. */
        struct produce_item *item = container_of(base->items[i], struct produce_item, head);
        struct partition *partition = partition_find(shard, item->head.group_id);
        item->ask = ask;
        item->is_answered = false;
        item->holder = NULL;
        item->recompressed = NULL;
        list_node_init(&item->node);
        if (partition == NULL) {
            answer(item, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER, NULL);
        } else {
            append(partition, item);
        }
    }
}

/* ---- What the group tells ---- */

static struct produce_item *first_item(struct list *list)
{
    struct list_node *node = list_first(list);
    return node == NULL ? NULL : container_of(node, struct produce_item, node);
}

static void answer_below(struct partition *partition, struct list *list, uint64_t end_offset)
{
    /* An answer can start the connection's next request, which may add to the list: begin anew each
     * time. */
    struct produce_item *item;
    while ((item = first_item(list)) != NULL && (uint64_t)item->last_offset < end_offset) {
        answer_appended(partition, item);
    }
}

void partition_answer_committed(struct partition *partition, uint64_t high_watermark)
{
    answer_below(partition, &partition->commits, high_watermark);
    answer_below(partition, &partition->saves, high_watermark);
    partition_append_held(partition);
}

void partition_append_held(struct partition *partition)
{
    struct produce_item *item;
    while ((item = first_item(&partition->room)) != NULL && try_append(partition, item)) {
    }
}

void partition_answer_saved(struct partition *partition)
{
    answer_below(partition, &partition->saves, partition->saved_offset);
}

void partition_fail_produces(struct partition *partition)
{
    static const char fate_is_open[] = "Leadership was lost while the batch was being committed.";
    struct produce_item *item;
    while ((item = first_item(&partition->commits)) != NULL) {
        answer(item, WIRE_ERROR_REQUEST_TIMED_OUT, fate_is_open);
    }
    while ((item = first_item(&partition->saves)) != NULL) {
        answer(item, WIRE_ERROR_REQUEST_TIMED_OUT, fate_is_open);
    }
    while ((item = first_item(&partition->room)) != NULL) {
        answer_not_leader(partition, item);
    }
}
