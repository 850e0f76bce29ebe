/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_read.c -- reading from partitions for consumers, and the fetches that wait for data.
 *
 * The leader answers, or where that is allowed a follower (read_replica.h), and only with what is
 * committed as far as the replica knows.  A look costs index look-ups in memory
 * and takes references on file ranges or slices; no payload is touched.  A fetch that has to wait
 * keeps nothing from its look: its items stand in their partitions' lists, and when one of those
 * moves the whole ask is looked at anew at the end of the turn.  Data that has to come from disk
 * first is waited for.
 *
 * Locality: the shard of the partitions.
 */
#include "broker/partition_state.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/read_replica.h"
#include "broker/upkeep.h"

#include <errno.h>
#include <string.h>

/* References and places of the batches found: far more than the partitions of one answer need. */
#define RESULTS_BYTES_MAX (16u * 1024 * 1024)

/* ---- One partition ---- */

/* Where the client's log parts from ours: at the end of the epoch it read last, if it read beyond
 * it. */
static bool diverges(const struct partition *partition, struct fetch_item *item)
{
    uint64_t term = 0;
    uint64_t end_offset = 0;
    if (item->last_fetched_epoch < 0) {
        return false;
    }
    const struct log *log = replica_group_log(partition->group);
    if (!log_term_end_offset(log, (uint64_t)item->last_fetched_epoch, &term, &end_offset)) {
        return false; /* older than what the log remembers; the offset alone decides */
    }
    if (term == (uint64_t)item->last_fetched_epoch && (int64_t)end_offset >= item->offset) {
        return false;
    }
    item->diverging_epoch = (int32_t)term;
    item->diverging_end_offset = (int64_t)end_offset;
    return true;
}

static void look_at_ends(const struct partition *partition, struct fetch_item *item)
{
    item->high_watermark = (int64_t)replica_high_watermark(partition->group);
    item->log_start_offset = (int64_t)log_start_offset(replica_group_log(partition->group));
}

static enum wire_error check_range(const struct partition *partition, const struct fetch_item *item)
{
    uint64_t end = log_next_offset(replica_group_log(partition->group));
    bool is_in_range = item->offset >= item->log_start_offset && (uint64_t)item->offset <= end;
    return is_in_range ? WIRE_ERROR_NONE : WIRE_ERROR_OFFSET_OUT_OF_RANGE;
}

/* Whether this replica may answer the client, by its standing and the client's idea of the term. */
static enum wire_error check_standing(const struct partition *partition, struct fetch_item *item)
{
    enum wire_error error = partition_leads(partition, &item->head);
    item->is_follower = error != WIRE_ERROR_NONE && item->ask->may_read_follower &&
                        read_replica_may_serve(partition);
    if (error == WIRE_ERROR_NONE || item->is_follower) {
        error = partition_check_epoch(partition, item->current_leader_epoch, &item->head);
    }
    return error;
}

/* A follower that is behind the client may be about to learn what the client has read: that is
 * waited for.  Whether the logs part can be told only of what is known to be committed. */
static enum wire_error check_follower(const struct partition *partition, struct fetch_item *item)
{
    enum wire_error error = check_range(partition, item);
    if (error == WIRE_ERROR_NONE && item->offset > item->high_watermark) {
        return item->ask->must_answer ? WIRE_ERROR_OFFSET_NOT_AVAILABLE : WIRE_ERROR_NONE;
    }
    item->diverges = error == WIRE_ERROR_NONE && diverges(partition, item);
    return error;
}

static enum wire_error check(const struct partition *partition, struct fetch_item *item)
{
    enum wire_error error = check_standing(partition, item);
    if (error != WIRE_ERROR_NONE) {
        return error;
    }
    look_at_ends(partition, item);
    if (item->is_follower) {
        return check_follower(partition, item);
    }
    item->diverges = diverges(partition, item);
    error = item->diverges ? WIRE_ERROR_NONE : check_range(partition, item);
    if (error == WIRE_ERROR_NONE && !item->diverges && item->ask->may_read_follower) {
        item->preferred_replica = read_replica_choose(partition, item->ask->rack, item->offset);
    }
    return error;
}

/* A copy in the ask's results, without the slices that are not used. */
static struct log_fetched *keep(struct fetch_ask *ask, struct log_fetched *fetched)
{
    size_t size =
        offsetof(struct log_fetched, slices) + fetched->slice_count * sizeof(struct buf_slice);
    struct log_fetched *kept = arena_allocate(&ask->results, size);
    if (kept == NULL) {
        log_fetched_release(fetched);
        return NULL;
    }
    memcpy(kept, fetched, size);
    return kept;
}

/* bytes_left: of the ask's share.  The first data of an answer may pass it, so that a batch larger
 * than every limit can still be read. */
static void read_item(const struct partition *partition, struct fetch_item *item,
                      uint64_t bytes_left, bool is_first)
{
    bool is_elsewhere = item->diverges || item->preferred_replica != 0;
    if (item->is_loading || is_elsewhere || item->offset >= item->high_watermark) {
        return;
    }
    uint64_t limit = item->bytes_max > 0 ? (uint64_t)item->bytes_max : 0;
    limit = limit < bytes_left ? limit : bytes_left;

    struct log_fetched fetched;
    memset(&fetched, 0, offsetof(struct log_fetched, slices));
    int result = log_fetch_records(replica_group_log(partition->group), (uint64_t)item->offset,
                                   (uint64_t)item->high_watermark, limit, &fetched, &item->wait);
    if (result == -EAGAIN) {
        item->is_loading = true;
        item->ask->loading++;
        return;
    }
    if (replica_read_met_damage(result)) {
        replica_group_report_damage(partition->group, "what a consumer asks for is damaged");
    }
    if (result != 0) {
        item->head.error =
            result == -ERANGE ? WIRE_ERROR_OFFSET_OUT_OF_RANGE : WIRE_ERROR_KAFKA_STORAGE_ERROR;
        return;
    }
    if (fetched.length_bytes > limit && !is_first) {
        log_fetched_release(&fetched);
        return;
    }
    if (fetched.length_bytes > 0) {
        /* Whole batches only: where less than the limit came, less than half of it means there was
         * no more. */
        item->is_full = fetched.length_bytes >= limit / 2;
        item->fetched = keep(item->ask, &fetched);
    }
}

/* ---- The ask ---- */

static struct fetch_item *item_at(const struct fetch_ask *ask, uint32_t position)
{
    return container_of(ask->ask.items[position], struct fetch_item, head);
}

/* What one look over all items found. */
struct look {
    uint64_t bytes;
    bool is_final; /* something that is told at once: an error, a parting, a better replica, a full
                    * partition */
};

static void look_at_item(struct fetch_ask *ask, struct fetch_item *item, struct look *look)
{
    item->diverges = false;
    item->preferred_replica = 0;
    item->is_full = false;
    item->fetched = NULL;
    item->put_off = WIRE_ERROR_NONE;
    struct partition *partition = partition_find(ask->shard, item->head.group_id);
    item->head.error =
        partition == NULL ? WIRE_ERROR_NOT_LEADER_OR_FOLLOWER : check(partition, item);
    if (partition != NULL && !ask->must_answer && partition_takes_over(partition)) {
        item->put_off = item->head.error; /* it leads in a moment: that is waited for */
        item->head.error = WIRE_ERROR_NONE;
    } else if (item->head.error == WIRE_ERROR_NONE) {
        uint64_t bytes_left = look->bytes < ask->bytes_max ? ask->bytes_max - look->bytes : 0;
        if (bytes_left > 0 || look->bytes == 0) {
            read_item(partition, item, bytes_left, look->bytes == 0);
        }
    }
    look->bytes += item->fetched == NULL ? 0 : item->fetched->length_bytes;
    look->is_final = look->is_final || item->head.error != WIRE_ERROR_NONE || item->diverges ||
                     item->is_full || item->preferred_replica != 0;
}

static void release_results(struct fetch_ask *ask)
{
    for (uint32_t i = 0; i < ask->ask.count; i++) {
        struct fetch_item *item = item_at(ask, i);
        if (item->fetched != NULL) {
            log_fetched_release(item->fetched);
            item->fetched = NULL;
        }
    }
    arena_reset(&ask->results);
}

static void stop_watching(struct fetch_ask *ask)
{
    list_remove(&ask->node);
    for (uint32_t i = 0; i < ask->ask.count; i++) {
        list_remove(&item_at(ask, i)->watch);
    }
}

static void watch(struct fetch_ask *ask)
{
    for (uint32_t i = 0; i < ask->ask.count; i++) {
        struct fetch_item *item = item_at(ask, i);
        struct partition *partition = partition_find(ask->shard, item->head.group_id);
        if (partition != NULL) {
            list_append(&partition->fetches, &item->watch);
        }
    }
}

static void answer(struct fetch_ask *ask, uint64_t bytes)
{
    for (uint32_t i = 0; i < ask->ask.count; i++) {
        struct fetch_item *item = item_at(ask, i);
        if (item->put_off != WIRE_ERROR_NONE) {
            item->head.error = item->put_off;
        }
    }
    io_timer_stop(ask->shard->loop, &ask->timer);
    ask->is_waiting = false;
    ask->ask.unanswered = 0;
    counter_add(&ask->shard->stats.fetch_bytes, bytes);
    ask_return(ask->shard, &ask->ask);
}

static void look(struct fetch_ask *ask)
{
    struct look found = {0};
    stop_watching(ask);
    for (uint32_t i = 0; i < ask->ask.count; i++) {
        look_at_item(ask, item_at(ask, i), &found);
    }
    bool is_enough = ask->must_answer || found.is_final || found.bytes >= ask->bytes_least;
    if (is_enough && ask->loading == 0) {
        answer(ask, found.bytes);
        return;
    }
    release_results(ask);
    if (ask->loading == 0) {
        watch(ask);
    }
}

/* The log has loaded what an item's read needed. */
static void loaded(struct log_wait *wait)
{
    struct fetch_item *item = container_of(wait, struct fetch_item, wait);
    struct fetch_ask *ask = item->ask;
    ensure(item->is_loading && ask->loading > 0);
    item->is_loading = false;
    ask->loading--;
    if (ask->loading == 0) {
        look(ask);
    }
}

static void deadline(struct io_timer *timer)
{
    struct fetch_ask *ask = container_of(timer, struct fetch_ask, timer);
    ask->must_answer = true;
    if (ask->loading == 0) {
        look(ask);
    }
}

void fetch_ask_look(struct fetch_ask *ask)
{
    require(ask->is_waiting && ask->loading == 0);
    look(ask);
}

void fetch_perform(struct broker_shard *shard, struct ask *base)
{
    struct fetch_ask *ask = container_of(base, struct fetch_ask, ask);
    require(base->count > 0);
    ask->shard = shard;
    base->unanswered = base->count;
    list_node_init(&ask->node);
    arena_init(&ask->results, RESULTS_BYTES_MAX);
    for (uint32_t i = 0; i < base->count; i++) {
        struct fetch_item *item = item_at(ask, i);
        item->ask = ask;
        item->wait = (struct log_wait){.resume = loaded};
        item->is_loading = false;
        list_node_init(&item->watch);
    }
    ask->loading = 0;
    ask->is_waiting = true;
    ask->must_answer = io_now_ns(shard->loop) >= ask->deadline_ns;
    io_timer_init(&ask->timer, deadline);
    io_timer_start(shard->loop, &ask->timer, ask->deadline_ns);
    look(ask);
}

/* ---- A stop from home, when another share of the request is complete ---- */

static void stop(struct fetch_ask *ask)
{
    if (ask->is_waiting) {
        ask->must_answer = true;
        if (ask->loading == 0) {
            look(ask);
        }
    }
}

static void deliver_stop_home(struct shard *shard, struct shard_message *message)
{
    struct fetch_ask *ask = container_of(message, struct fetch_ask, stop);
    require(shard_owner(shard) == ask->ask.home);
    ask->is_stop_away = false;
    ask->stopped(ask);
}

static void deliver_stop(struct shard *shard, struct shard_message *message)
{
    struct fetch_ask *ask = container_of(message, struct fetch_ask, stop);
    struct broker_shard *owner = shard_owner(shard);
    uint32_t home = shard_id(ask->ask.home->shard);
    stop(ask);
    /* The ask may be home by now, but home keeps its memory until the stop is back, too. */
    message->deliver = deliver_stop_home;
    list_node_init(&message->node);
    shard_post(owner->shard, home, message);
}

void fetch_ask_stop(struct fetch_ask *ask, uint32_t to)
{
    require(!ask->is_stop_away);
    if (to == shard_id(ask->ask.home->shard)) {
        stop(ask);
        return;
    }
    ask->is_stop_away = true;
    ask->stop.deliver = deliver_stop;
    list_node_init(&ask->stop.node);
    shard_post(ask->ask.home->shard, to, &ask->stop);
}

/* ---- What the group tells ---- */

void partition_wake_fetches(struct partition *partition)
{
    struct list_node *node;
    while ((node = list_take_first(&partition->fetches)) != NULL) {
        struct fetch_item *item = container_of(node, struct fetch_item, watch);
        upkeep_fetch_is_due(partition->shard->upkeep, item->ask);
    }
}
