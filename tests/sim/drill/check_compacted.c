/* SPDX-License-Identifier: Apache-2.0
 *
 * check_compacted.c -- at rest the replicas of a partition that may be compacted agree on what
 * docs/design/compaction.md promises, whatever each of them has compacted.
 *
 *   compacted-term      an offset has another term here than there
 *   compacted-record    a record that both have is not the same, byte for byte
 *   compacted-key       the newest record of a key is another one here than there, or not there;
 *                       but a tombstone may be gone where they are not kept
 *
 * Compared is what lies above the beginnings of both.
 */
#include "drill/check.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "drill/drill.h"
#include "drill/replica_files.h"

#include <string.h>

#define RECORD_BYTES_MAX (16u * 1024 * 1024)

struct held_record {
    int64_t offset;
    uint32_t key;
    uint32_t crc;
    bool is_tombstone;
};

/* Offsets from first on, up to the next span, are of this term. */
struct span {
    int64_t first;
    int32_t term;
};

/* What a replica holds; both arrays ascend. */
struct content {
    uint32_t host; /* 0: nothing */
    int64_t start_offset;
    struct held_record *records;
    size_t record_count;
    size_t record_capacity;
    struct span *spans;
    size_t span_count;
    size_t span_capacity;
};

/* ---- Reading ---- */

static void add_span(struct content *content, const struct wire_batch *batch)
{
    if (content->span_count > 0 &&
        content->spans[content->span_count - 1].term == batch->leader_epoch) {
        return;
    }
    if (content->span_count == content->span_capacity) {
        content->span_capacity = content->span_capacity * 2 + 8;
        content->spans =
            memory_reallocate(content->spans, content->span_capacity * sizeof content->spans[0]);
    }
    content->spans[content->span_count++] = (struct span){batch->base_offset, batch->leader_epoch};
}

static void add_record(struct content *content, const struct wire_batch *batch,
                       const struct wire_record *record)
{
    struct held_record held = {
        .offset = batch->base_offset + record->offset_delta,
        .key = HISTORY_NO_KEY,
        .crc = crc32c(0, record->encoded.data, (size_t)record->encoded.length),
        .is_tombstone = record->value.length < 0,
    };
    if (record->key.length >= HISTORY_KEY_BYTES_LEAST) {
        memcpy(&held.key, record->key.data, sizeof held.key);
    }
    if (content->record_count == content->record_capacity) {
        content->record_capacity = content->record_capacity * 2 + 64;
        content->records = memory_reallocate(content->records,
                                             content->record_capacity * sizeof content->records[0]);
    }
    content->records[content->record_count++] = held;
}

static void take(const struct replica_files *files, const struct wire_batch *batch)
{
    struct content *content = files->context;
    struct wire_record record;
    content->host = files->host;
    content->start_offset = files->start_offset;
    add_span(content, batch);
    struct wire_record_reader *reader = wire_record_reader_open(batch, RECORD_BYTES_MAX);
    while (wire_record_reader_next(reader, &record)) {
        add_record(content, batch, &record);
    }
    if (wire_record_reader_error(reader) != NULL) {
        sim_world_fail(files->drill->world, "compacted-record: group %lu at %ld on broker %u: %s",
                       (unsigned long)files->group_id, (long)batch->base_offset, files->host,
                       wire_record_reader_error(reader));
    }
    wire_record_reader_close(reader);
}

static void content_free(struct content *content)
{
    memory_free(content->records);
    memory_free(content->spans);
}

/* ---- Comparing ---- */

struct comparison {
    struct drill *drill;
    uint64_t group_id;
    int64_t start_offset;
    bool keeps_tombstones;
};

/* The term at or after offset, from position on, which only grows. */
static const struct span *span_at(const struct content *content, size_t *position, int64_t offset)
{
    while (*position + 1 < content->span_count && content->spans[*position + 1].first <= offset) {
        ++*position;
    }
    return *position < content->span_count ? &content->spans[*position] : NULL;
}

static void compare_terms(const struct comparison *comparison, const struct content *one,
                          const struct content *other)
{
    size_t position = 0;
    for (size_t i = 0; i < one->span_count; i++) {
        bool is_last = i + 1 == one->span_count;
        bool is_below = !is_last && one->spans[i + 1].first <= comparison->start_offset;
        int64_t first = one->spans[i].first > comparison->start_offset ? one->spans[i].first
                                                                       : comparison->start_offset;
        const struct span *there = is_below ? NULL : span_at(other, &position, first);
        if (there != NULL && there->term != one->spans[i].term) {
            sim_world_fail(comparison->drill->world,
                           "compacted-term: group %lu at %ld: term %d on broker %u, %d on broker "
                           "%u",
                           (unsigned long)comparison->group_id, (long)first, one->spans[i].term,
                           one->host, there->term, other->host);
        }
    }
}

static void compare_records(const struct comparison *comparison, const struct content *one,
                            const struct content *other)
{
    size_t j = 0;
    for (size_t i = 0; i < one->record_count; i++) {
        int64_t offset = one->records[i].offset;
        while (j < other->record_count && other->records[j].offset < offset) {
            j++;
        }
        if (j < other->record_count && other->records[j].offset == offset &&
            other->records[j].crc != one->records[i].crc) {
            sim_world_fail(comparison->drill->world,
                           "compacted-record: group %lu at %ld: brokers %u and %u differ",
                           (unsigned long)comparison->group_id, (long)offset, one->host,
                           other->host);
        }
    }
}

/* By key; offset -1: none. */
static void find_newest(const struct comparison *comparison, const struct content *content,
                        struct held_record newest[SWARM_KEYS_MAX])
{
    for (uint32_t i = 0; i < SWARM_KEYS_MAX; i++) {
        newest[i] = (struct held_record){.offset = -1};
    }
    for (size_t i = 0; i < content->record_count; i++) {
        const struct held_record *record = &content->records[i];
        if (record->key < SWARM_KEYS_MAX && record->offset >= comparison->start_offset) {
            newest[record->key] = *record;
        }
    }
}

static void compare_keys(const struct comparison *comparison, const struct content *one,
                         const struct content *other)
{
    struct held_record here[SWARM_KEYS_MAX];
    struct held_record there[SWARM_KEYS_MAX];
    find_newest(comparison, one, here);
    find_newest(comparison, other, there);
    for (uint32_t key = 0; key < SWARM_KEYS_MAX; key++) {
        bool is_one_gone = here[key].offset < 0 && there[key].is_tombstone;
        bool is_other_gone = there[key].offset < 0 && here[key].is_tombstone;
        bool may_differ = !comparison->keeps_tombstones && (is_one_gone || is_other_gone);
        if (here[key].offset != there[key].offset && !may_differ) {
            sim_world_fail(comparison->drill->world,
                           "compacted-key: group %lu: the newest record of key %u is at %ld on "
                           "broker %u, at %ld on broker %u (-1: none)",
                           (unsigned long)comparison->group_id, key, (long)here[key].offset,
                           one->host, (long)there[key].offset, other->host);
        }
    }
}

void check_compacted_equal(struct drill *drill, uint64_t group_id, bool keeps_tombstones)
{
    struct content contents[SWARM_BROKERS_MAX + 1];
    memset(contents, 0, sizeof contents);
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        (void)replica_files_read(drill, i, group_id, true, take, &contents[i]);
        for (uint32_t j = 1; contents[i].host != 0 && j < i; j++) {
            const struct content *one = &contents[j];
            const struct content *other = &contents[i];
            struct comparison comparison = {
                .drill = drill,
                .group_id = group_id,
                .start_offset = one->start_offset > other->start_offset ? one->start_offset
                                                                        : other->start_offset,
                .keeps_tombstones = keeps_tombstones,
            };
            if (one->host != 0) {
                compare_terms(&comparison, one, other);
                compare_records(&comparison, one, other);
                compare_keys(&comparison, one, other);
            }
        }
    }
    for (uint32_t i = 0; i <= SWARM_BROKERS_MAX; i++) {
        content_free(&contents[i]);
    }
}
