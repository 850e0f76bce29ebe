/* SPDX-License-Identifier: Apache-2.0
 *
 * index.c -- the sparse index in memory and its file form.
 *
 * File: a head {magic, version, checksum of the rest of the head, checksum of the entries, count,
 * summary} and the entries relative to the base offset.  Big-endian.
 */
#include "log/index.h"

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/memory.h"
#include "log/bytes.h"
#include "wire/cursor.h"

#define INDEX_MAGIC 0x464c4958u /* "FLIX" */
#define INDEX_VERSION 1u
#define CHECKED_FROM 12 /* what the head's checksum covers begins here */

void log_index_init(struct log_index *index, uint64_t interval_bytes, uint64_t covered_from)
{
    *index = (struct log_index){
        .interval_bytes = interval_bytes > 0 ? interval_bytes : 1,
        .covered_from = covered_from,
    };
}

void log_index_free(struct log_index *index)
{
    memory_free(index->entries);
    index->entries = NULL;
    index->count = 0;
    index->capacity = 0;
}

/* Halves the index; the first entry stays, so what is covered does not change. */
static void thin(struct log_index *index)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < index->count; i += 2) {
        index->entries[kept++] = index->entries[i];
    }
    index->count = kept;
    index->interval_bytes *= 2;
}

static void append(struct log_index *index, const struct log_index_entry *entry)
{
    if (index->count == LOG_INDEX_ENTRIES_MAX) {
        thin(index);
    }
    if (index->count == index->capacity) {
        index->capacity = index->capacity == 0 ? 8 : index->capacity * 2;
        index->entries =
            memory_reallocate(index->entries, index->capacity * sizeof(index->entries[0]));
    }
    index->entries[index->count++] = *entry;
}

void log_index_add(struct log_index *index, const struct log_index_entry *entry)
{
    if (index->count > 0) {
        const struct log_index_entry *last = &index->entries[index->count - 1];
        require(entry->position > last->position && entry->offset > last->offset);
        if (entry->position - last->position < index->interval_bytes) {
            return;
        }
    }
    append(index, entry);
}

const struct log_index_entry *log_index_floor(const struct log_index *index, uint64_t offset)
{
    uint32_t low = 0;
    uint32_t high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->entries[middle].offset <= offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &index->entries[low - 1];
}

const struct log_index_entry *log_index_floor_position(const struct log_index *index,
                                                       uint64_t position)
{
    uint32_t low = 0;
    uint32_t high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->entries[middle].position <= position) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &index->entries[low - 1];
}

const struct log_index_entry *log_index_before_time(const struct log_index *index,
                                                    int64_t timestamp_ms)
{
    uint32_t low = 0; /* the first entry before which the time has been reached */
    uint32_t high = index->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (index->entries[middle].max_timestamp_before < timestamp_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? NULL : &index->entries[low - 1];
}

void log_index_truncate(struct log_index *index, uint64_t position)
{
    while (index->count > 0 && index->entries[index->count - 1].position >= position) {
        index->count--;
    }
    if (index->covered_from > position) {
        index->covered_from = position;
    }
}

void log_index_prepend(struct log_index *index, struct log_index *lower)
{
    struct log_index merged;
    log_index_init(&merged, index->interval_bytes, lower->covered_from);
    for (uint32_t i = 0; i < lower->count; i++) {
        log_index_add(&merged, &lower->entries[i]);
    }
    for (uint32_t i = 0; i < index->count; i++) {
        log_index_add(&merged, &index->entries[i]);
    }
    log_index_free(index);
    log_index_free(lower);
    *index = merged;
}

struct buf *log_index_encode(const struct log_index *index, const struct log_summary *summary)
{
    size_t length = LOG_INDEX_HEAD_BYTES + (size_t)index->count * LOG_INDEX_ENTRY_BYTES;
    struct buf *content = buf_new(length);
    uint8_t *entries = content->data + LOG_INDEX_HEAD_BYTES;
    uint8_t *at = entries;
    for (uint32_t i = 0; i < index->count; i++) {
        const struct log_index_entry *entry = &index->entries[i];
        at = put_uint32(at, (uint32_t)(entry->offset - summary->base_offset));
        at = put_uint32(at, (uint32_t)entry->position);
        at = put_uint64(at, (uint64_t)entry->max_timestamp_before);
        at = put_uint32(at, (uint32_t)(entry->max_timestamp_offset_before - summary->base_offset));
    }
    uint8_t *head = content->data;
    put_uint32(put_uint32(head, INDEX_MAGIC), INDEX_VERSION);
    uint8_t *checked = head + CHECKED_FROM;
    at = put_uint32(checked, crc32c(0, entries, length - LOG_INDEX_HEAD_BYTES));
    at = put_uint32(at, index->count);
    at = put_uint32(at, 0);
    at = put_uint64(at, summary->base_offset);
    at = put_uint64(at, summary->end_offset);
    at = put_uint64(at, summary->size_bytes);
    at = put_uint64(at, (uint64_t)summary->max_timestamp);
    at = put_uint64(at, summary->max_timestamp_offset);
    at = put_uint64(at, index->interval_bytes);
    ensure(at == entries);
    put_uint32(head + 8, crc32c(0, checked, LOG_INDEX_HEAD_BYTES - CHECKED_FROM));
    content->length_bytes = length;
    return content;
}

struct index_head {
    struct log_summary summary;
    uint32_t entries_crc;
    uint32_t count;
    uint64_t interval_bytes;
};

static bool decode_head(const uint8_t *data, size_t length, struct index_head *head)
{
    if (length < LOG_INDEX_HEAD_BYTES) {
        return false;
    }
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data, LOG_INDEX_HEAD_BYTES, NULL);
    bool known = wire_read_uint32(&cursor) == INDEX_MAGIC;
    known = wire_read_uint32(&cursor) == INDEX_VERSION && known;
    uint32_t crc = crc32c(0, data + CHECKED_FROM, LOG_INDEX_HEAD_BYTES - CHECKED_FROM);
    if (!known || wire_read_uint32(&cursor) != crc) {
        return false;
    }
    head->entries_crc = wire_read_uint32(&cursor);
    head->count = wire_read_uint32(&cursor);
    wire_read_uint32(&cursor);
    head->summary.base_offset = (uint64_t)wire_read_int64(&cursor);
    head->summary.end_offset = (uint64_t)wire_read_int64(&cursor);
    head->summary.size_bytes = (uint64_t)wire_read_int64(&cursor);
    head->summary.max_timestamp = wire_read_int64(&cursor);
    head->summary.max_timestamp_offset = (uint64_t)wire_read_int64(&cursor);
    head->interval_bytes = (uint64_t)wire_read_int64(&cursor);
    return cursor.error == NULL && head->count <= LOG_INDEX_ENTRIES_MAX &&
           head->summary.end_offset >= head->summary.base_offset && head->interval_bytes > 0;
}

bool log_index_decode_summary(const uint8_t *data, size_t length, struct log_summary *summary)
{
    struct index_head head;
    if (!decode_head(data, length, &head)) {
        return false;
    }
    *summary = head.summary;
    return true;
}

bool log_index_decode(const uint8_t *data, size_t length, struct log_summary *summary,
                      struct log_index *index)
{
    struct index_head head;
    log_index_init(index, 1, 0);
    if (!decode_head(data, length, &head) ||
        length != LOG_INDEX_HEAD_BYTES + (size_t)head.count * LOG_INDEX_ENTRY_BYTES ||
        crc32c(0, data + LOG_INDEX_HEAD_BYTES, length - LOG_INDEX_HEAD_BYTES) != head.entries_crc) {
        return false;
    }
    index->interval_bytes = head.interval_bytes;
    struct wire_cursor cursor;
    wire_cursor_init(&cursor, data + LOG_INDEX_HEAD_BYTES, length - LOG_INDEX_HEAD_BYTES, NULL);
    uint64_t base = head.summary.base_offset;
    for (uint32_t i = 0; i < head.count; i++) {
        struct log_index_entry entry;
        entry.offset = base + wire_read_uint32(&cursor);
        entry.position = wire_read_uint32(&cursor);
        entry.max_timestamp_before = wire_read_int64(&cursor);
        entry.max_timestamp_offset_before = base + wire_read_uint32(&cursor);
        const struct log_index_entry *last = i > 0 ? &index->entries[i - 1] : NULL;
        bool ascends = last == NULL
                           ? entry.position == 0 && entry.offset == base
                           : entry.position > last->position && entry.offset > last->offset &&
                                 entry.max_timestamp_before >= last->max_timestamp_before;
        if (!ascends || entry.position >= head.summary.size_bytes ||
            entry.offset >= head.summary.end_offset) {
            log_index_free(index);
            return false;
        }
        append(index, &entry);
    }
    *summary = head.summary;
    return true;
}
