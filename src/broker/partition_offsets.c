/* SPDX-License-Identifier: Apache-2.0
 *
 * partition_offsets.c -- finding offsets: ends of the log, and the first record at or after a time.
 *
 * The log finds the batch; the record inside it is found by walking the batch, on the worker thread
 * when it has to be decompressed.
 *
 * Locality: the shard of the group; search_run() on its worker thread.
 */
#include "broker/partition_state.h"

#include "base/assert.h"
#include "broker/broker.h"

/* Output of one batch's decompression; larger ones are answered with their first offset. */
#define DECOMPRESSED_BYTES_MAX (256u * 1024 * 1024)

static void answer(struct offset_item *item, enum wire_error error)
{
    struct offset_ask *ask = item->ask;
    item->head.error = error;
    if (error != WIRE_ERROR_NONE) {
        item->found_offset = -1;
        item->found_timestamp_ms = -1;
        item->found_epoch = -1;
    }
    ensure(ask->ask.unanswered > 0);
    ask->ask.unanswered--;
    if (ask->ask.unanswered == 0) {
        ask_return(ask->shard, &ask->ask);
    }
}

/* The term an offset was written in: the first one that ends beyond it.  -1: the log does not know.
 */
static int32_t epoch_of_offset(const struct partition *partition, uint64_t offset)
{
    const struct log *log = replica_group_log(partition->group);
    uint64_t low = 0;
    uint64_t high = partition->standing.term;
    uint64_t found_term = 0;
    bool is_known = false;
    while (low <= high) {
        uint64_t middle = low + (high - low) / 2;
        uint64_t term = 0;
        uint64_t end_offset = 0;
        if (log_term_end_offset(log, middle, &term, &end_offset) && end_offset > offset) {
            is_known = true;
            found_term = term;
            if (middle == 0) {
                break;
            }
            high = middle - 1;
        } else {
            low = middle + 1;
        }
    }
    return is_known ? (int32_t)found_term : -1;
}

bool partition_epoch_end(const struct partition *partition, int32_t epoch, int32_t *epoch_found,
                         int64_t *end_offset)
{
    const struct log *log = replica_group_log(partition->group);
    uint64_t term = 0;
    uint64_t end = 0;
    if (epoch < 0 || (uint64_t)epoch > partition->standing.term) {
        return false;
    }
    if (log_term_end_offset(log, (uint64_t)epoch, &term, &end)) {
        *epoch_found = (int32_t)term;
        *end_offset = (int64_t)end;
    } else {
        *epoch_found = epoch;
        *end_offset = (int64_t)log_start_offset(log);
    }
    return true;
}

/* ---- Inside a batch ---- */

/* The first record at or after the time, not before the log's start.  A batch whose head promises a
 * later timestamp than its records hold is answered with its own first offset: to read a little
 * more is better than to miss something. */
static void search_batch(struct offset_item *item, const struct wire_batch *batch)
{
    int64_t start = (int64_t)item->log_start_offset;
    item->found_epoch = batch->leader_epoch;
    item->found_offset = batch->base_offset > start ? batch->base_offset : start;
    item->found_timestamp_ms = batch->max_timestamp;

    struct wire_record record;
    struct wire_record_reader *reader = wire_record_reader_open(batch, DECOMPRESSED_BYTES_MAX);
    while (wire_record_reader_next(reader, &record)) {
        int64_t offset = batch->base_offset + record.offset_delta;
        int64_t timestamp_ms =
            wire_batch_is_log_append_time(batch) ? batch->max_timestamp : record.timestamp_ms;
        if (timestamp_ms >= item->find.timestamp_ms && offset >= start) {
            item->found_offset = offset;
            item->found_timestamp_ms = timestamp_ms;
            break;
        }
    }
    wire_record_reader_close(reader);
}

static void search(struct offset_item *item)
{
    struct wire_batch batch;
    if (wire_batch_read(&batch, item->batch.data, item->batch.length_bytes)) {
        search_batch(item, &batch);
    }
}

static void search_run(struct io_work *work)
{
    search(container_of(work, struct offset_item, work));
}

static void search_done(struct io_work *work)
{
    struct offset_item *item = container_of(work, struct offset_item, work);
    buf_release(item->batch.buf);
    item->batch.buf = NULL;
    answer(item, WIRE_ERROR_NONE);
}

static void batch_found(struct log_find_time *find, int result, struct buf_slice slice)
{
    struct offset_item *item = container_of(find, struct offset_item, find);
    struct partition *partition = partition_find(item->ask->shard, item->head.group_id);
    if (replica_read_met_damage(result) && partition != NULL) {
        replica_group_report_damage(partition->group, "what a search by time reads is damaged");
    }
    if (result < 0) {
        answer(item, WIRE_ERROR_KAFKA_STORAGE_ERROR);
        return;
    }
    struct wire_batch batch;
    if (slice.length_bytes == 0 || !wire_batch_read(&batch, slice.data, slice.length_bytes)) {
        answer(item, WIRE_ERROR_NONE);
        return;
    }
    if (wire_batch_compression(&batch) == WIRE_COMPRESSION_NONE) {
        search_batch(item, &batch);
        answer(item, WIRE_ERROR_NONE);
        return;
    }
    item->batch = slice;
    buf_reference(slice.buf);
    item->work.run = search_run;
    item->work.done = search_done;
    io_work_submit(item->ask->shard->loop, &item->work);
}

static void find_time(const struct partition *partition, struct offset_item *item,
                      int64_t timestamp_ms)
{
    item->find.timestamp_ms = timestamp_ms;
    item->find.limit_offset = replica_high_watermark(partition->group);
    item->find.done = batch_found;
    log_find_time(replica_group_log(partition->group), &item->find);
}

/* ---- The ask ---- */

static void find(const struct partition *partition, struct offset_item *item)
{
    struct log *log = replica_group_log(partition->group);
    uint64_t high_watermark = replica_high_watermark(partition->group);
    int64_t timestamp_ms = 0;
    uint64_t base_offset = 0;
    item->log_start_offset = log_start_offset(log);
    switch (item->timestamp_ms) {
    case OFFSET_LATEST:
        item->found_offset = (int64_t)high_watermark;
        item->found_epoch = (int32_t)partition->standing.term;
        break;
    case OFFSET_EARLIEST:
    case OFFSET_EARLIEST_LOCAL:
        item->found_offset = (int64_t)item->log_start_offset;
        item->found_epoch = epoch_of_offset(partition, item->log_start_offset);
        break;
    case OFFSET_OF_EPOCH_END:
        (void)partition_epoch_end(partition, item->epoch, &item->found_epoch, &item->found_offset);
        break;
    case OFFSET_LATEST_TIERED:
        break; /* nothing is tiered */
    case OFFSET_MAX_TIMESTAMP:
        if (log_max_timestamp(log, high_watermark, &timestamp_ms, &base_offset)) {
            find_time(partition, item, timestamp_ms);
            return;
        }
        break;
    default:
        if (item->timestamp_ms < 0) {
            answer(item, WIRE_ERROR_UNSUPPORTED_VERSION);
        } else {
            find_time(partition, item, item->timestamp_ms);
        }
        return;
    }
    answer(item, WIRE_ERROR_NONE);
}

/* Where the log ends is answered only by who was still the leader when it was asked: another one
 * may have acknowledged more, and a leader that was cut off does not know it yet. */
static void lead_confirmed(void *context, bool confirmed)
{
    struct offset_item *item = context;
    struct partition *partition = partition_find(item->ask->shard, item->head.group_id);
    enum wire_error error = WIRE_ERROR_NOT_LEADER_OR_FOLLOWER;
    if (confirmed && partition != NULL) {
        error = partition_leads(partition, &item->head);
    }
    if (error == WIRE_ERROR_NONE) {
        find(partition, item);
    } else {
        answer(item, error);
    }
}

/* A leader that takes over is waited for, as with a produce or a fetch: clients ask for the ends of
 * a log once, and some take a refusal for the answer.  The wait ends with the election, one way or
 * the other. */
static void begin(struct partition *partition, struct offset_item *item)
{
    enum wire_error error = partition_leads(partition, &item->head);
    if (error != WIRE_ERROR_NONE && partition_takes_over(partition)) {
        list_append(&partition->offsets, &item->node);
        return;
    }
    if (error == WIRE_ERROR_NONE) {
        error = partition_check_epoch(partition, item->current_leader_epoch, &item->head);
    }
    if (error != WIRE_ERROR_NONE) {
        answer(item, error);
    } else if (item->timestamp_ms == OFFSET_LATEST || item->timestamp_ms == OFFSET_OF_EPOCH_END) {
        replica_read_barrier(partition->group, lead_confirmed, item);
    } else {
        find(partition, item);
    }
}

void partition_find_offsets(struct partition *partition)
{
    struct list waiting;
    struct list_node *node = NULL;
    list_init(&waiting);
    while ((node = list_take_first(&partition->offsets)) != NULL) {
        list_append(&waiting, node);
    }
    while ((node = list_take_first(&waiting)) != NULL) {
        begin(partition, container_of(node, struct offset_item, node));
    }
}

void offsets_perform(struct broker_shard *shard, struct ask *base)
{
    struct offset_ask *ask = container_of(base, struct offset_ask, ask);
    require(base->count > 0);
    ask->shard = shard;
    base->unanswered = base->count;
    for (uint32_t i = 0, count = base->count; i < count; i++) {
        /* The ask goes home with its last item's answer and is not touched after it. */
        struct offset_item *item = container_of(base->items[i], struct offset_item, head);
        struct partition *partition = partition_find(shard, item->head.group_id);
        item->ask = ask;
        list_node_init(&item->node);
        item->found_offset = -1;
        item->found_timestamp_ms = -1;
        item->found_epoch = -1;
        if (partition == NULL) {
            answer(item, WIRE_ERROR_NOT_LEADER_OR_FOLLOWER);
        } else {
            begin(partition, item);
        }
    }
}
