/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_applier.c -- the controller log becomes metadata: on shard 0 by applying committed
 * records, on the other shards by the same records, posted in the same order.
 *
 * Locality: shard 0; deliver_metadata() on the shard that is brought up to date.
 */
#include "broker/controller_applier.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "broker/leader_table.h"
#include "wire/batch.h"

#include <inttypes.h>
#include <string.h>

#define RECORD_BYTES_MAX (64u << 20)

enum metadata_news { METADATA_RECORD, METADATA_SNAPSHOT, METADATA_RESET };

struct metadata_message {
    struct shard_message message;
    enum metadata_news news;
    struct buf *buf; /* holds data */
    const uint8_t *data;
    size_t length;
};

static struct controller *of(struct applier *applier)
{
    return container_of(applier, struct controller, applier);
}

/* ---- One copy ---- */

static void take_news(struct broker_shard *shard, enum metadata_news news, const uint8_t *data,
                      size_t length, struct cluster_change *change)
{
    switch (news) {
    case METADATA_RECORD:
        if (!cluster_apply(shard->metadata, data, length, change)) {
            broker_abandon("a committed controller record makes no sense to this version");
        }
        broker_shard_metadata_changed(shard, change);
        break;
    case METADATA_SNAPSHOT:
        if (!cluster_snapshot_restore(shard->metadata, data, length)) {
            broker_abandon("the controller snapshot makes no sense to this version");
        }
        broker_shard_metadata_changed(shard, NULL);
        break;
    case METADATA_RESET:
        cluster_reset(shard->metadata);
        shard->metadata_is_loaded = false; /* also when the group's replica here was replaced */
        broker_shard_metadata_changed(shard, NULL);
        break;
    }
}

static void deliver_metadata(struct shard *shard, struct shard_message *message)
{
    struct metadata_message *letter = container_of(message, struct metadata_message, message);
    struct cluster_change change;
    take_news(shard_owner(shard), letter->news, letter->data, letter->length, &change);
    buf_release(letter->buf);
    memory_free(letter);
}

/* To the other shards; the bytes stand in buf and travel by reference. */
static void post_metadata(struct broker_shard *shard, enum metadata_news news, struct buf *buf,
                          const uint8_t *data, size_t length)
{
    for (uint32_t to = 1; to < shard->broker->shard_count; to++) {
        struct metadata_message *letter = memory_allocate_zeroed(sizeof *letter);
        list_node_init(&letter->message.node);
        letter->message.deliver = deliver_metadata;
        letter->news = news;
        letter->buf = buf_reference(buf);
        letter->data = data;
        letter->length = length;
        shard_post(shard->shard, to, &letter->message);
    }
}

static struct buf *copy_of(const uint8_t *data, size_t length)
{
    struct buf *buf = buf_new(length);
    memcpy(buf->data, data, length);
    buf->length_bytes = length;
    return buf;
}

/* ---- The applier ---- */

static struct controller_proposal *take_proposal(struct controller *controller,
                                                 uint64_t base_offset)
{
    struct list_node *node = list_first(&controller->proposals);
    if (node == NULL) {
        return NULL;
    }
    struct controller_proposal *proposal = container_of(node, struct controller_proposal, node);
    ensure(proposal->base_offset >= base_offset);
    if (proposal->base_offset != base_offset) {
        return NULL;
    }
    list_remove(node);
    return proposal;
}

static void apply_record(struct controller *controller, const struct wire_record *record,
                         struct buf *buf, uint64_t base_offset)
{
    struct broker_shard *shard = controller->shard;
    struct cluster_change change;
    const uint8_t *data = record->value.data;
    size_t length = (size_t)record->value.length;
    take_news(shard, METADATA_RECORD, data, length, &change);
    post_metadata(shard, METADATA_RECORD, buf, data, length);

    struct controller_proposal *proposal = take_proposal(controller, base_offset);
    if (proposal != NULL) {
        proposal->done(proposal->context, change.error, &change);
        memory_free(proposal);
    }
}

static void controller_apply(struct applier *applier, const struct log_entry *entry,
                             uint64_t base_offset)
{
    struct wire_batch batch;
    const struct buf_slice *payload = &entry->payload;
    /* The records outlive the call in the other shards' mailboxes, so they need a buf to stand in.
     */
    struct buf *buf = payload->buf != NULL ? buf_reference(payload->buf)
                                           : copy_of(payload->data, payload->length_bytes);
    const uint8_t *data = payload->buf != NULL ? payload->data : buf->data;
    of(applier)->is_applying = true;
    if (!wire_batch_read(&batch, data, payload->length_bytes)) {
        broker_abandon("a committed entry of the controller log is no record batch");
    }
    struct wire_record_reader *reader = wire_record_reader_open(&batch, RECORD_BYTES_MAX);
    struct wire_record record;
    while (wire_record_reader_next(reader, &record)) {
        ensure(wire_batch_compression(&batch) == WIRE_COMPRESSION_NONE);
        if (record.value.length > 0) {
            apply_record(of(applier), &record, buf, base_offset + (uint64_t)record.offset_delta);
        }
    }
    if (wire_record_reader_error(reader) != NULL) {
        broker_abandon("a committed batch of the controller log is damaged");
    }
    wire_record_reader_close(reader);
    of(applier)->is_applying = false;
    buf_release(buf);
}

static void controller_committed(struct applier *applier, uint64_t high_watermark)
{
    (void)applier; /* what was applied has been answered in controller_apply() */
    (void)high_watermark;
}

void controller_fail_proposals(struct list *proposals, enum wire_error error)
{
    struct list mine;
    struct list_node *node = NULL;
    list_init(&mine);
    while ((node = list_take_first(proposals)) != NULL) {
        list_append(&mine, node);
    }
    while ((node = list_take_first(&mine)) != NULL) {
        struct controller_proposal *proposal = container_of(node, struct controller_proposal, node);
        proposal->done(proposal->context, error != WIRE_ERROR_NONE ? error : proposal->error, NULL);
        memory_free(proposal);
    }
}

static void controller_standing_changed(struct applier *applier,
                                        const struct applier_standing *standing)
{
    struct controller *controller = of(applier);
    struct applier_standing before = controller->standing;
    controller->standing = *standing;
    if (before.is_leader != standing->is_leader) {
        trace_info(standing->is_leader ? "This broker leads the controller group in term %" PRIu64
                                       : "This broker no longer leads the controller group, term "
                                         "%" PRIu64,
                   standing->term);
    }
    if (before.is_leader && (!standing->is_leader || standing->term != before.term)) {
        controller_fail_proposals(&controller->proposals, WIRE_ERROR_REQUEST_TIMED_OUT);
    }
    leader_table_publish(controller->shard, CLUSTER_CONTROLLER_GROUP_ID, standing->leader,
                         standing->term);
    if (standing->is_leader) {
        broker_shard_leads_controller(controller->shard);
    }
}

static void controller_snapshot_write(struct applier *applier, struct buf **content)
{
    cluster_snapshot_write(of(applier)->shard->metadata, content);
}

static bool controller_snapshot_restore(struct applier *applier, const uint8_t *content,
                                        size_t length)
{
    struct broker_shard *shard = of(applier)->shard;
    if (!cluster_snapshot_restore(shard->metadata, content, length)) {
        return false;
    }
    struct buf *buf = copy_of(content, length);
    post_metadata(shard, METADATA_SNAPSHOT, buf, buf->data, length);
    buf_release(buf);
    broker_shard_metadata_changed(shard, NULL);
    return true;
}

static void controller_reset(struct applier *applier)
{
    struct broker_shard *shard = of(applier)->shard;
    struct cluster_change change;
    take_news(shard, METADATA_RESET, NULL, 0, &change);
    post_metadata(shard, METADATA_RESET, NULL, NULL, 0);
}

const struct applier_type controller_applier_type = {
    .name = "controller",
    .apply = controller_apply,
    .committed = controller_committed,
    .standing_changed = controller_standing_changed,
    .snapshot_write = controller_snapshot_write,
    .snapshot_restore = controller_snapshot_restore,
    .reset = controller_reset,
};
