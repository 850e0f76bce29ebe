/* SPDX-License-Identifier: Apache-2.0
 *
 * fake_group.c -- see fake_group.h.
 */
#include "fake_group.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/leader_table.h"
#include "log/compaction.h"
#include "log/log.h"
#include "replica/replica.h"
#include "wire/batch.h"

#include <errno.h>
#include <string.h>

struct fake_batch {
    struct wire_batch head;
    uint64_t last_offset;
    struct buf *buf;
};

struct log {
    struct fake_batch batches[FAKE_BATCHES_MAX];
    uint32_t count;
    uint64_t start_offset;
    uint64_t next_offset;
    struct {
        uint64_t term, start;
    } terms[16];
    uint32_t term_count;
    uint32_t unloaded_reads;
    struct list loading;
};

struct replica_group {
    uint64_t id;
    struct applier *applier;
    struct log log;
    struct applier_standing standing;
    uint64_t high_watermark;
    uint64_t start_proposed; /* 0: none */
    uint32_t starts_proposed;
    bool is_full;
    bool is_deposed;
    uint32_t active;
    bool is_matched;
    bool is_joining;
    bool is_used;
};

static struct replica_group groups[8];
static int references;

static struct {
    void (*started)(void *, enum replica_result, struct replica_group *);
    void (*stopped)(void *, enum replica_result);
    void *context;
    struct replica_group *group;
} pending[16];
static uint32_t pending_count;

/* ---- What the test does ---- */

struct replica_group *fake_group(uint64_t group_id)
{
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        if (groups[i].is_used && groups[i].id == group_id) {
            return &groups[i];
        }
    }
    return NULL;
}

void fake_groups_turn(void)
{
    for (uint32_t i = 0; i < pending_count; i++) {
        if (pending[i].started != NULL) {
            pending[i].started(pending[i].context, REPLICA_OK, pending[i].group);
        } else {
            pending[i].stopped(pending[i].context, REPLICA_OK);
        }
    }
    pending_count = 0;
}

void fake_group_lead(struct replica_group *group, uint64_t term)
{
    group->log.terms[group->log.term_count].term = term;
    group->log.terms[group->log.term_count++].start = group->log.next_offset;
    group->standing = (struct applier_standing){.is_leader = true, .leader = 1, .term = term};
    group->applier->type->standing_changed(group->applier, &group->standing);
}

void fake_group_elect(struct replica_group *group, uint64_t term)
{
    group->standing = (struct applier_standing){.is_leader = false, .leader = 1, .term = term};
    group->applier->type->standing_changed(group->applier, &group->standing);
}

void fake_group_follow(struct replica_group *group, uint32_t leader, uint64_t term)
{
    struct log *log = &group->log;
    while (log->count > 0 && log->batches[log->count - 1].last_offset >= group->high_watermark) {
        buf_release(log->batches[--log->count].buf);
    }
    log->next_offset = group->high_watermark;
    group->start_proposed = 0;
    group->standing = (struct applier_standing){.is_leader = false, .leader = leader, .term = term};
    group->applier->type->standing_changed(group->applier, &group->standing);
}

void fake_group_commit(struct replica_group *group, uint64_t offset)
{
    uint64_t before = group->high_watermark;
    group->high_watermark = offset;
    for (uint32_t i = 0; i < group->log.count; i++) {
        struct fake_batch *batch = &group->log.batches[i];
        uint64_t base = (uint64_t)batch->head.base_offset;
        if (base >= before && batch->last_offset < offset) {
            struct log_entry entry = {
                .kind = LOG_ENTRY_BATCH,
                .payload = {batch->buf, batch->head.data, batch->head.total_bytes}};
            group->applier->type->apply(group->applier, &entry, base);
        }
    }
    if (group->start_proposed != 0) {
        group->log.start_offset = group->start_proposed;
        group->start_proposed = 0;
        group->applier->type->start_moved(group->applier);
    }
    group->applier->type->committed(group->applier, offset);
}

void fake_group_commit_all(struct replica_group *group)
{
    fake_group_commit(group, group->log.next_offset);
}

void fake_group_save(struct replica_group *group)
{
    group->applier->type->saved(group->applier, group->log.next_offset);
}

void fake_group_set_full(struct replica_group *group, bool is_full)
{
    group->is_full = is_full;
}

void fake_group_depose_unknowingly(struct replica_group *group)
{
    group->is_deposed = true;
}

void fake_group_set_active(struct replica_group *group, uint32_t count)
{
    group->active = count;
}

void fake_group_set_matched(struct replica_group *group, bool is_matched)
{
    group->is_matched = is_matched;
}

void fake_group_set_joining(struct replica_group *group, bool is_joining)
{
    group->is_joining = is_joining;
}

void fake_group_unload(struct replica_group *group, uint32_t reads)
{
    group->log.unloaded_reads = reads;
}

void fake_group_load(struct replica_group *group)
{
    struct list ready;
    list_init(&ready);
    struct list_node *node;
    while ((node = list_take_first(&group->log.loading)) != NULL) {
        list_append(&ready, node);
    }
    while ((node = list_take_first(&ready)) != NULL) {
        struct log_wait *wait = container_of(node, struct log_wait, node);
        wait->resume(wait);
    }
}

void fake_group_drop_before(struct replica_group *group, uint64_t offset)
{
    group->log.start_offset = offset;
}

uint32_t fake_group_starts_proposed(const struct replica_group *group)
{
    return group->starts_proposed;
}

uint64_t fake_group_end(const struct replica_group *group)
{
    return group->log.next_offset;
}

int fake_group_references(void)
{
    return references;
}

/* ---- replica ---- */

uint32_t replica_shard_of_group(uint64_t group_id, uint32_t shard_count)
{
    return (uint32_t)(group_id % shard_count);
}

const char *replica_result_text(enum replica_result result)
{
    (void)result;
    return "refused";
}

void replica_group_start(struct replica_manager *manager, const struct replica_group_spec *spec,
                         void (*done)(void *context, enum replica_result result,
                                      struct replica_group *group),
                         void *context)
{
    (void)manager;
    struct replica_group *group = NULL;
    for (size_t i = 0; group == NULL; i++) {
        group = groups[i].is_used ? NULL : &groups[i];
    }
    memset(group, 0, sizeof(*group));
    group->is_used = true;
    group->id = spec->group_id;
    group->applier = spec->applier;
    group->active = 3;
    list_init(&group->log.loading);
    pending[pending_count].started = done;
    pending[pending_count].context = context;
    pending[pending_count++].group = group;
}

void replica_group_stop(struct replica_manager *manager, uint64_t group_id, bool delete_data,
                        void (*done)(void *context, enum replica_result result), void *context)
{
    (void)manager;
    (void)delete_data;
    struct replica_group *group = fake_group(group_id);
    if (group != NULL) {
        if (group->standing.leader != 0) {
            group->standing = (struct applier_standing){.term = group->standing.term};
            group->applier->type->standing_changed(group->applier, &group->standing);
        }
        for (uint32_t i = 0; i < group->log.count; i++) {
            buf_release(group->log.batches[i].buf);
        }
        group->is_used = false;
    }
    pending[pending_count].started = NULL;
    pending[pending_count].stopped = done;
    pending[pending_count++].context = context;
}

void replica_group_remove(struct replica_manager *manager, uint64_t group_id, uint32_t incarnation,
                          void (*done)(void *context, enum replica_result result), void *context)
{
    (void)incarnation;
    replica_group_stop(manager, group_id, true, done, context);
}

void replica_group_quarantine(struct replica_manager *manager, uint64_t group_id,
                              const void *description, size_t description_length,
                              void (*done)(void *context, enum replica_result result),
                              void *context)
{
    (void)description;
    (void)description_length;
    replica_group_stop(manager, group_id, false, done, context);
}

void replica_manager_refuse_data(struct replica_manager *manager, bool refuses)
{
    (void)manager;
    (void)refuses;
}

struct replica_group *replica_group_next(struct replica_manager *manager, size_t *position)
{
    (void)manager;
    (void)position;
    return NULL;
}

uint64_t replica_group_id(const struct replica_group *group)
{
    (void)group;
    unreachable_code(); /* there is never a next one */
}

void replica_read_barrier(struct replica_group *group, void (*done)(void *context, bool confirmed),
                          void *context)
{
    done(context, group->standing.is_leader && !group->is_deposed);
}

enum replica_result replica_transfer_leadership(struct replica_group *group, uint32_t node_id)
{
    (void)group;
    (void)node_id;
    return REPLICA_NOT_LEADER;
}

struct replica_group *replica_group_find(struct replica_manager *manager, uint64_t group_id)
{
    (void)manager;
    return fake_group(group_id);
}

bool replica_group_is_running(struct replica_manager *manager, uint64_t group_id)
{
    return replica_group_find(manager, group_id) != NULL;
}

static void store(struct replica_group *group, struct buf *buf, uint8_t *batch, size_t batch_length,
                  uint32_t record_span)
{
    struct log *log = &group->log;
    require(log->count < FAKE_BATCHES_MAX);
    wire_batch_stamp(batch, (int64_t)log->next_offset, (int32_t)group->standing.term);
    struct fake_batch *stored = &log->batches[log->count++];
    stored->buf = buf_reference(buf);
    require(wire_batch_read(&stored->head, batch, batch_length));
    log->next_offset += record_span;
    stored->last_offset = log->next_offset - 1;
}

void fake_group_receive(struct replica_group *group, struct buf *batch)
{
    struct log *log = &group->log;
    require(!group->standing.is_leader && log->term_count > 0);
    if (log->terms[log->term_count - 1].term != group->standing.term) {
        log->terms[log->term_count].term = group->standing.term;
        log->terms[log->term_count++].start = log->next_offset;
    }
    store(group, batch, batch->data, batch->length_bytes, 1);
}

enum replica_result replica_propose(struct replica_group *group, struct buf *buf, uint8_t *batch,
                                    size_t batch_length, uint32_t record_span,
                                    uint64_t *base_offset)
{
    struct log *log = &group->log;
    if (!group->standing.is_leader) {
        return REPLICA_NOT_LEADER;
    }
    if (group->is_full) {
        return REPLICA_FULL;
    }
    *base_offset = log->next_offset;
    store(group, buf, batch, batch_length, record_span);
    return REPLICA_OK;
}

bool replica_read_met_damage(int result)
{
    return result == -EBADMSG || result == -EIO;
}

void replica_group_report_damage(struct replica_group *group, const char *reason)
{
    (void)group;
    (void)reason;
}

enum replica_result replica_propose_start(struct replica_group *group, uint64_t start_offset)
{
    if (!group->standing.is_leader) {
        return REPLICA_NOT_LEADER;
    }
    if (group->is_full) {
        return REPLICA_FULL;
    }
    require(start_offset <= group->high_watermark && start_offset > group->start_proposed);
    group->start_proposed = start_offset;
    group->starts_proposed++;
    return REPLICA_OK;
}

struct log *replica_group_log(struct replica_group *group)
{
    return &group->log;
}

uint64_t replica_high_watermark(const struct replica_group *group)
{
    return group->high_watermark;
}

struct applier_standing replica_standing(const struct replica_group *group)
{
    return group->standing;
}

void replica_group_view(const struct replica_group *group, struct replica_group_view *view)
{
    memset(view, 0, sizeof(*view));
    view->member_count = 3;
    for (uint32_t i = 0; i < 3; i++) {
        view->members[i] = (struct replica_member_view){
            .node_id = i + 1,
            .is_voter = true,
            .is_active = i < group->active,
            .match_index = i == 0 || group->is_matched ? group->log.next_offset : 0};
    }
}

bool replica_group_is_joining(const struct replica_group *group)
{
    return group->is_joining;
}

void replica_take_snapshot(struct replica_group *group)
{
    (void)group;
}

uint64_t replica_oldest_snapshot_offset(const struct replica_group *group)
{
    (void)group;
    return UINT64_MAX;
}

void replica_log_changed(struct replica_group *group)
{
    (void)group;
}

/* ---- log ---- */

/* Every index is an offset here, counted from 1. */
uint64_t log_index_before(const struct log *log, uint64_t offset)
{
    (void)log;
    return offset;
}

void log_set_options(struct log *log, const struct log_options *options)
{
    (void)log;
    (void)options;
}

uint64_t log_start_offset(const struct log *log)
{
    return log->start_offset;
}

uint64_t log_next_offset(const struct log *log)
{
    return log->next_offset;
}

bool log_term_end_offset(const struct log *log, uint64_t term, uint64_t *term_found,
                         uint64_t *end_offset)
{
    bool found = false;
    for (uint32_t i = 0; i < log->term_count && log->terms[i].term <= term; i++) {
        *term_found = log->terms[i].term;
        *end_offset = i + 1 < log->term_count ? log->terms[i + 1].start : log->next_offset;
        found = true;
    }
    return found;
}

int log_fetch(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
              struct log_fetched *fetched, struct log_wait *wait)
{
    memset(fetched, 0, sizeof(*fetched));
    if (offset < log->start_offset || offset > limit_offset) {
        return -ERANGE;
    }
    if (log->unloaded_reads > 0) {
        log->unloaded_reads--;
        list_node_init(&wait->node);
        list_append(&log->loading, &wait->node);
        return -EAGAIN;
    }
    for (uint32_t i = 0; i < log->count; i++) {
        struct fake_batch *batch = &log->batches[i];
        if (batch->last_offset < offset || batch->last_offset >= limit_offset) {
            continue;
        }
        bool fits = fetched->length_bytes + batch->head.total_bytes <= bytes_max;
        if ((!fits && fetched->slice_count > 0) || fetched->slice_count == 64) {
            break;
        }
        references++;
        fetched->slices[fetched->slice_count++] = (struct buf_slice){
            buf_reference(batch->buf), batch->head.data, batch->head.total_bytes};
        fetched->length_bytes += batch->head.total_bytes;
    }
    return 0;
}

/* Nothing is compacted here. */
int log_fetch_records(struct log *log, uint64_t offset, uint64_t limit_offset, uint64_t bytes_max,
                      struct log_fetched *fetched, struct log_wait *wait)
{
    return log_fetch(log, offset, limit_offset, bytes_max, fetched, wait);
}

void log_fetched_release(struct log_fetched *fetched)
{
    for (uint32_t i = 0; i < fetched->slice_count; i++) {
        buf_release(fetched->slices[i].buf);
        references--;
    }
}

void log_find_time(struct log *log, struct log_find_time *find)
{
    struct buf_slice found = {0};
    for (uint32_t i = 0; i < log->count && found.buf == NULL; i++) {
        const struct fake_batch *batch = &log->batches[i];
        if (batch->head.max_timestamp >= find->timestamp_ms &&
            (uint64_t)batch->head.base_offset < find->limit_offset) {
            found = (struct buf_slice){batch->buf, batch->head.data, batch->head.total_bytes};
        }
    }
    find->done(find, 0, found);
}

bool log_max_timestamp(const struct log *log, uint64_t limit_offset, int64_t *timestamp_ms,
                       uint64_t *batch_base_offset)
{
    bool found = false;
    for (uint32_t i = 0; i < log->count; i++) {
        const struct fake_batch *batch = &log->batches[i];
        if (batch->last_offset < limit_offset &&
            (!found || batch->head.max_timestamp > *timestamp_ms)) {
            *timestamp_ms = batch->head.max_timestamp;
            *batch_base_offset = (uint64_t)batch->head.base_offset;
            found = true;
        }
    }
    return found;
}

uint64_t log_size_bytes(const struct log *log)
{
    return log->next_offset;
}

bool log_awaits_snapshot(const struct log *log)
{
    (void)log;
    return false;
}

/* Its log is in memory and never compacted. */
uint64_t log_compacted_offset(const struct log *log)
{
    (void)log;
    return 0;
}

void log_compaction_measure(const struct log *log, const struct log_compaction_rules *rules,
                            uint64_t applied_index, int64_t now_ms,
                            struct log_compaction_extent *extent)
{
    (void)log;
    (void)rules;
    (void)applied_index;
    (void)now_ms;
    *extent = (struct log_compaction_extent){.is_due = false};
}

void log_compact(struct log *log, struct log_compaction *compaction)
{
    (void)log;
    (void)compaction;
    unreachable_code();
}

bool log_apply_retention(struct log *log, const struct log_retention *retention, int64_t now_ms)
{
    (void)log;
    (void)retention;
    (void)now_ms;
    return false;
}

/* ---- What the broker's other half does ---- */

bool leader_table_get(const struct leader_table *table, uint64_t group_id, uint32_t *leader,
                      uint64_t *term)
{
    (void)table;
    struct replica_group *group = fake_group(group_id);
    if (group == NULL || group->standing.term == 0) {
        return false;
    }
    *leader = group->standing.leader;
    *term = group->standing.term;
    return true;
}

void leader_table_publish(struct broker_shard *shard, uint64_t group_id, uint32_t leader,
                          uint64_t term)
{
    (void)shard;
    (void)group_id;
    (void)leader;
    (void)term;
}

void leader_table_withdraw(struct broker_shard *shard, uint64_t group_id)
{
    (void)shard;
    (void)group_id;
}
