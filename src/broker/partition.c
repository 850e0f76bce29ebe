/* SPDX-License-Identifier: Apache-2.0
 *
 * partition.c -- the life of a partition, and the applier by which its Raft group feeds it.
 *
 * The state that is applied is the table of idempotent producers, and for __consumer_offsets that
 * of its consumer groups: the records themselves stand in the group's log, which is the Kafka log.
 *
 * Locality: the shard of the group.
 */
#include "broker/partition.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/broker.h"
#include "broker/coordinator.h"
#include "broker/leader_table.h"
#include "broker/offsets_topic.h"
#include "broker/partition_state.h"
#include "wire/batch.h"

#include <stdlib.h>
#include <string.h>

/* An applier snapshot (the producer table) every so many bytes of log, so that a restart replays
 * little. */
#define SNAPSHOT_BYTES (64u * 1024 * 1024)

static struct partition *of(struct applier *applier)
{
    return container_of(applier, struct partition, applier);
}

/* ---- The applier ---- */

static void partition_apply(struct applier *applier, const struct log_entry *entry,
                            uint64_t base_offset)
{
    struct wire_batch batch;
    bool is_batch = wire_batch_read(&batch, entry->payload.data, entry->payload.length_bytes);
    ensure(is_batch);
    struct partition *partition = of(applier);
    producer_committed(partition->producers, &batch, (int64_t)base_offset);
    if (partition->coordinator != NULL) {
        coordinator_apply(partition->coordinator, entry->payload.data, entry->payload.length_bytes);
    }
}

static void partition_committed(struct applier *applier, uint64_t high_watermark)
{
    struct partition *partition = of(applier);
    partition_answer_committed(partition, high_watermark);
    partition_wake_fetches(partition);
    if (partition->coordinator != NULL) {
        coordinator_committed(partition->coordinator, high_watermark);
    }
}

static void partition_start_moved(struct applier *applier)
{
    struct partition *partition = of(applier);
    partition_answer_deletes(partition);
    partition_wake_fetches(partition); /* some ask for what is gone now */
}

static void partition_proposable(struct applier *applier)
{
    partition_append_held(of(applier));
}

static void partition_saved(struct applier *applier, uint64_t saved_offset)
{
    struct partition *partition = of(applier);
    partition->saved_offset = saved_offset;
    partition_answer_saved(partition);
}

static void partition_standing_changed(struct applier *applier,
                                       const struct applier_standing *standing)
{
    struct partition *partition = of(applier);
    struct applier_standing before = partition->standing;
    partition->standing = *standing;
    if (standing->is_leader && (!before.is_leader || standing->term != before.term)) {
        partition->leads_since_ns = io_now_ns(partition->shard->loop);
    }
    /* A leader that lost one term and won a later one within a turn has lost what it had appended,
     * too. */
    bool has_lost = before.is_leader && (!standing->is_leader || standing->term != before.term);
    if (has_lost) {
        producer_drop_pending(partition->producers);
        partition_fail_produces(partition);
        partition_fail_deletes(partition);
    }
    if (partition->coordinator != NULL) {
        coordinator_standing_changed(partition->coordinator, has_lost, standing->is_leader);
    }
    /* A replica that stopped or failed knows of no leader, which says nothing about the others:
     * what they announced stands. */
    if (standing->leader != 0 ||
        replica_group_is_running(partition->shard->replicas, partition->spec.group_id)) {
        leader_table_publish(partition->shard, partition->spec.group_id, standing->leader,
                             standing->term);
    } else {
        leader_table_withdraw(partition->shard, partition->spec.group_id);
    }
    partition_append_held(partition);
    partition_wake_fetches(partition);
    partition_find_offsets(partition);
}

static void begin_copy(struct partition *partition)
{
    partition->copy_id = (io_random(partition->shard->loop) >> 1) | 1;
}

/* The producers; where groups are coordinated their length (4) and they, then the groups. */
static void partition_snapshot_write(struct applier *applier, struct buf **content)
{
    struct partition *partition = of(applier);
    producer_snapshot_write(partition->producers, content);
    if (partition->coordinator == NULL) {
        return;
    }
    struct buf *groups = NULL;
    struct wire_writer writer;
    group_table_snapshot_write(coordinator_table(partition->coordinator), &groups);
    wire_writer_init(&writer, 4 + (*content)->length_bytes + groups->length_bytes);
    wire_write_int32(&writer, (int32_t)(*content)->length_bytes);
    wire_write_raw(&writer, (*content)->data, (*content)->length_bytes);
    wire_write_raw(&writer, groups->data, groups->length_bytes);
    buf_release(*content);
    buf_release(groups);
    *content = wire_writer_take(&writer);
}

static void partition_reset(struct applier *applier)
{
    struct partition *partition = of(applier);
    begin_copy(partition);
    producer_table_reset(partition->producers);
    if (partition->coordinator != NULL) {
        group_table_reset(coordinator_table(partition->coordinator));
    }
}

static bool partition_snapshot_restore(struct applier *applier, const uint8_t *content,
                                       size_t length)
{
    struct partition *partition = of(applier);
    begin_copy(partition);
    if (partition->coordinator == NULL) {
        return producer_snapshot_restore(partition->producers, content, length);
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, content, length, NULL);
    int32_t producers_length = wire_read_int32(&cursor);
    const uint8_t *producers =
        producers_length >= 0 ? wire_read_raw(&cursor, (size_t)producers_length) : NULL;
    bool is_good =
        producers != NULL &&
        producer_snapshot_restore(partition->producers, producers, (size_t)producers_length) &&
        group_table_snapshot_restore(coordinator_table(partition->coordinator), cursor.position,
                                     wire_remaining(&cursor));
    if (!is_good) {
        partition_reset(applier);
    }
    return is_good;
}

static const struct applier_type partition_applier = {
    .name = "partition",
    .apply = partition_apply,
    .committed = partition_committed,
    .saved = partition_saved,
    .start_moved = partition_start_moved,
    .proposable = partition_proposable,
    .standing_changed = partition_standing_changed,
    .snapshot_write = partition_snapshot_write,
    .snapshot_restore = partition_snapshot_restore,
    .reset = partition_reset,
};

/* ---- Configs ---- */

static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length) {
        bool begins = at == list || at[-1] == ',' || at[-1] == ' ';
        bool ends = at[length] == '\0' || at[length] == ',' || at[length] == ' ';
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

/* What compression.type says, and the level of it. */
static void set_compression(struct partition_rules *rules, const struct topic_config *config)
{
    static const struct {
        const char *type;
        int compression;
        const char *level_name;
    } rows[] = {
        {"uncompressed", WIRE_COMPRESSION_NONE, NULL},
        {"gzip", WIRE_COMPRESSION_GZIP, "compression.gzip.level"},
        {"snappy", WIRE_COMPRESSION_SNAPPY, NULL},
        {"lz4", WIRE_COMPRESSION_LZ4, "compression.lz4.level"},
        {"zstd", WIRE_COMPRESSION_ZSTD, "compression.zstd.level"},
    };
    const char *type = topic_config_text(config, "compression.type");
    rules->compression = -1;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(type, rows[i].type) == 0) {
            rules->compression = rows[i].compression;
            rules->compression_level = rows[i].level_name != NULL
                                           ? (int)topic_config_number(config, rows[i].level_name)
                                           : 0;
        }
    }
}

struct partition_rules partition_rules_of(const struct topic_config *config)
{
    const char *timestamp_type = topic_config_text(config, "message.timestamp.type");
    bool compacts = list_has(topic_config_text(config, "cleanup.policy"), "compact");
    int64_t segment_ms = topic_config_number(config, "segment.ms");
    int64_t max_lag_ms = topic_config_number(config, "max.compaction.lag.ms");
    struct partition_rules rules = {
        .log_append_time = strcmp(timestamp_type, "LogAppendTime") == 0,
        .deletes_old = list_has(topic_config_text(config, "cleanup.policy"), "delete"),
        .compacts = compacts,
        .compaction = {.min_lag_ms = topic_config_number(config, "min.compaction.lag.ms"),
                       .max_lag_ms = max_lag_ms,
                       .delete_retention_ms = topic_config_number(config, "delete.retention.ms"),
                       .dirty_ratio_least =
                           strtod(topic_config_text(config, "min.cleanable.dirty.ratio"), NULL)},
        .message_bytes_max = topic_config_number(config, "max.message.bytes"),
        .timestamp_before_max_ms = topic_config_number(config, "message.timestamp.before.max.ms"),
        .timestamp_after_max_ms = topic_config_number(config, "message.timestamp.after.max.ms"),
        .insync_replicas_least = (uint32_t)topic_config_number(config, "min.insync.replicas"),
        .retention = {.retention_ms = topic_config_number(config, "retention.ms"),
                      .retention_bytes = topic_config_number(config, "retention.bytes")},
        .log = {.segment_bytes = (uint64_t)topic_config_number(config, "segment.bytes"),
                /* Compaction reaches closed segments only. */
                .segment_ms =
                    (uint64_t)(compacts && max_lag_ms < segment_ms ? max_lag_ms : segment_ms),
                .index_interval_bytes =
                    (uint64_t)topic_config_number(config, "index.interval.bytes")},
    };
    set_compression(&rules, config);
    return rules;
}

void partition_configure(struct broker_shard *shard, uint64_t group_id,
                         const struct topic_config *config)
{
    struct partition *partition = partition_find(shard, group_id);
    if (partition == NULL) {
        return;
    }
    partition->rules = partition_rules_of(config);
    /* When the broker stops, the groups go before the partitions. */
    if (partition->life == PARTITION_RUNNING &&
        replica_group_is_running(shard->replicas, group_id)) {
        log_set_options(replica_group_log(partition->group), &partition->rules.log);
    }
}

/* ---- Life ---- */

struct partition_starting {
    struct partition *partition;
    void (*done)(void *context, enum replica_result result);
    void *context;
};

enum partition_stop_kind {
    PARTITION_KEEP_DATA,
    PARTITION_DELETE_GROUP,
    PARTITION_REMOVE_REPLICA,
    PARTITION_QUARANTINE
};

struct partition_stopping {
    struct broker_shard *shard;
    uint64_t group_id;
    enum partition_stop_kind kind;
    uint32_t incarnation; /* REMOVE_REPLICA */
    const struct partition_spec
        *spec; /* QUARANTINE: of what takes its place; borrowed until done */
    void (*done)(void *context, enum replica_result result);
    void *context;
    struct list joined; /* of struct stop_joined: who wants the same */
};

struct stop_joined {
    struct list_node node;
    void (*done)(void *context, enum replica_result result);
    void *context;
};

static struct partition *partition_new(struct broker_shard *shard,
                                       const struct partition_spec *spec)
{
    struct partition *partition = memory_allocate_zeroed(sizeof(*partition));
    partition->applier.type = &partition_applier;
    partition->shard = shard;
    partition->spec = *spec;
    partition->life = PARTITION_STARTING;
    begin_copy(partition);
    partition->producers = producer_table_new();
    if (offsets_topic_is(spec->topic, strlen(spec->topic))) {
        partition->coordinator = coordinator_new(shard);
    }
    partition->snapshot_asked_ms = io_wall_ms(shard->loop);
    list_init(&partition->commits);
    list_init(&partition->saves);
    list_init(&partition->room);
    list_init(&partition->fetches);
    list_init(&partition->offsets);
    list_init(&partition->deletes);

    const struct cluster_topic *topic = cluster_topic_find_id(shard->metadata, &spec->topic_id);
    struct topic_config config;
    effective_config_merge(shard, topic != NULL ? &topic->config : NULL, &config);
    partition->rules = partition_rules_of(&config);
    topic_config_clear(&config);
    return partition;
}

static void partition_free(struct partition *partition)
{
    ensure(list_is_empty(&partition->commits) && list_is_empty(&partition->saves));
    ensure(list_is_empty(&partition->room) && list_is_empty(&partition->fetches));
    ensure(list_is_empty(&partition->offsets));
    producer_table_free(partition->producers);
    if (partition->coordinator != NULL) {
        coordinator_free(partition->coordinator);
    }
    memory_free(partition->tombstone_proof);
    memory_free(partition);
}

static void stop_group(struct partition_stopping *stopping);

static void started(void *context, enum replica_result result, struct replica_group *group)
{
    struct partition_starting *starting = context;
    struct partition *partition = starting->partition;
    struct partition_stopping *stopping = partition->stopping;

    if (result == REPLICA_OK) {
        partition->group = group;
        partition->life = PARTITION_RUNNING;
        if (partition->coordinator != NULL) {
            coordinator_attach(partition->coordinator, group);
        }
        log_set_options(replica_group_log(group), &partition->rules.log);
    } else {
        map_take(&partition->shard->partitions, partition->spec.group_id);
        partition_free(partition);
    }
    starting->done(starting->context, result);
    memory_free(starting);
    if (stopping != NULL) {
        stop_group(stopping);
    }
}

void partition_start(struct broker_shard *shard, const struct partition_spec *spec,
                     void (*done)(void *context, enum replica_result result), void *context)
{
    if (partition_find(shard, spec->group_id) != NULL) {
        done(context, REPLICA_ALREADY_RUNNING);
        return;
    }
    struct partition *partition = partition_new(shard, spec);
    map_put(&shard->partitions, spec->group_id, partition);

    struct partition_starting *starting = memory_allocate(sizeof(*starting));
    *starting = (struct partition_starting){partition, done, context};

    uint8_t description[REPLICA_DESCRIPTION_BYTES_MAX];
    struct replica_group_spec group = {
        .group_id = spec->group_id,
        .incarnation = spec->incarnation,
        .members = spec->members,
        .join = spec->join,
        .first_candidate = spec->preferred,
        .applier = &partition->applier,
        .log = partition->rules.log,
        .description = description,
        .description_length = partition_spec_encode(spec, description),
        .snapshot_bytes = SNAPSHOT_BYTES,
    };
    replica_group_start(shard->replicas, &group, started, starting);
}

static void stopped(void *context, enum replica_result result)
{
    struct partition_stopping *stopping = context;
    struct partition *partition = partition_find(stopping->shard, stopping->group_id);
    if (partition != NULL) {
        if (replica_group_find(stopping->shard->replicas, stopping->group_id) == NULL) {
            partition_fail_produces(partition);
            partition_fail_deletes(partition);
            partition_wake_fetches(partition);
            partition_find_offsets(partition);
            map_take(&stopping->shard->partitions, stopping->group_id);
            partition_free(partition);
            leader_table_withdraw(stopping->shard, stopping->group_id);
        } else {
            partition->life = PARTITION_RUNNING;
            partition->stopping = NULL;
        }
    }
    struct list_node *node = NULL;
    stopping->done(stopping->context, result);
    while ((node = list_take_first(&stopping->joined)) != NULL) {
        struct stop_joined *joined = container_of(node, struct stop_joined, node);
        joined->done(joined->context, result);
        memory_free(joined);
    }
    memory_free(stopping);
}

static void stop_group(struct partition_stopping *stopping)
{
    struct partition *partition = partition_find(stopping->shard, stopping->group_id);
    if (partition != NULL) {
        partition->life = PARTITION_STOPPING;
        partition->stopping = stopping;
        partition_fail_produces(partition);
        partition_fail_deletes(partition);
        partition_wake_fetches(partition);
        partition_find_offsets(partition);
    }
    struct replica_manager *replicas = stopping->shard->replicas;
    if (stopping->kind == PARTITION_QUARANTINE) {
        uint8_t description[REPLICA_DESCRIPTION_BYTES_MAX];
        size_t length = partition_spec_encode(stopping->spec, description);
        replica_group_quarantine(replicas, stopping->group_id, description, length, stopped,
                                 stopping);
    } else if (stopping->kind == PARTITION_REMOVE_REPLICA) {
        replica_group_remove(replicas, stopping->group_id, stopping->incarnation, stopped,
                             stopping);
    } else {
        replica_group_stop(replicas, stopping->group_id, stopping->kind == PARTITION_DELETE_GROUP,
                           stopped, stopping);
    }
}

/* The controller's request and this broker's own look at the metadata often ask for the same: a
 * deletion joins one that is under way.  Anything else has to come again. */
static void join_stop(struct partition_stopping *stopping, const struct partition_stopping *wish)
{
    if (wish->kind != PARTITION_DELETE_GROUP || stopping->kind != PARTITION_DELETE_GROUP) {
        wish->done(wish->context, REPLICA_BUSY);
        return;
    }
    struct stop_joined *joined = memory_allocate(sizeof(*joined));
    *joined = (struct stop_joined){.done = wish->done, .context = wish->context};
    list_node_init(&joined->node);
    list_append(&stopping->joined, &joined->node);
}

static void stop_partition(const struct partition_stopping *wish)
{
    struct partition *partition = partition_find(wish->shard, wish->group_id);
    if (partition != NULL && partition->stopping != NULL) {
        join_stop(partition->stopping, wish);
        return;
    }
    struct partition_stopping *stopping = memory_allocate(sizeof(*stopping));
    *stopping = *wish;
    list_init(&stopping->joined);
    if (partition != NULL && partition->life == PARTITION_STARTING) {
        partition->stopping = stopping;
        return;
    }
    stop_group(stopping);
}

void partition_stop(struct broker_shard *shard, uint64_t group_id, bool delete_data,
                    void (*done)(void *context, enum replica_result result), void *context)
{
    const struct partition_stopping wish = {
        .shard = shard,
        .group_id = group_id,
        .kind = delete_data ? PARTITION_DELETE_GROUP : PARTITION_KEEP_DATA,
        .done = done,
        .context = context,
    };
    stop_partition(&wish);
}

void partition_remove(struct broker_shard *shard, uint64_t group_id, uint32_t incarnation,
                      void (*done)(void *context, enum replica_result result), void *context)
{
    const struct partition_stopping wish = {
        .shard = shard,
        .group_id = group_id,
        .kind = PARTITION_REMOVE_REPLICA,
        .incarnation = incarnation,
        .done = done,
        .context = context,
    };
    stop_partition(&wish);
}

void partition_quarantine(struct broker_shard *shard, const struct partition_spec *spec,
                          void (*done)(void *context, enum replica_result result), void *context)
{
    const struct partition_stopping wish = {
        .shard = shard,
        .group_id = spec->group_id,
        .kind = PARTITION_QUARANTINE,
        .spec = spec,
        .done = done,
        .context = context,
    };
    stop_partition(&wish);
}

struct partition *partition_find(struct broker_shard *shard, uint64_t group_id)
{
    return map_get(&shard->partitions, group_id);
}

const struct partition_spec *partition_spec_of(const struct partition *partition)
{
    return &partition->spec;
}

/* ---- Standing ---- */

enum wire_error partition_leads(const struct partition *partition, struct ask_item *item)
{
    if (partition->life == PARTITION_RUNNING && partition->standing.is_leader) {
        return WIRE_ERROR_NONE;
    }
    item->leader = partition->standing.leader;
    item->term = partition->standing.term;
    return WIRE_ERROR_NOT_LEADER_OR_FOLLOWER;
}

bool partition_takes_over(const struct partition *partition)
{
    return partition->life == PARTITION_RUNNING && !partition->standing.is_leader &&
           partition->standing.leader == partition->shard->broker_id;
}

enum wire_error partition_check_epoch(const struct partition *partition, int32_t epoch,
                                      struct ask_item *item)
{
    if (epoch < 0 || (uint64_t)epoch == partition->standing.term) {
        return WIRE_ERROR_NONE;
    }
    item->leader = partition->standing.leader;
    item->term = partition->standing.term;
    return (uint64_t)epoch < partition->standing.term ? WIRE_ERROR_FENCED_LEADER_EPOCH
                                                      : WIRE_ERROR_UNKNOWN_LEADER_EPOCH;
}
