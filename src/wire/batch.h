/* SPDX-License-Identifier: Apache-2.0
 *
 * batch.h -- the Kafka record batch, format v2: its head, its checks, and walking its records.
 *
 * A batch is looked at in place.  Base offset and leader epoch stand before the checksummed part,
 * so stamping them costs nothing.
 *
 * Locality: any.
 */
#ifndef WIRE_BATCH_H
#define WIRE_BATCH_H

#include "wire/cursor.h"
#include "wire/error.h"
#include "wire/writer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_BATCH_HEAD_BYTES 61   /* up to and with the record count */
#define WIRE_BATCH_PREFIX_BYTES 12 /* base offset and length: enough to know the whole length */

enum wire_compression {
    WIRE_COMPRESSION_NONE,
    WIRE_COMPRESSION_GZIP,
    WIRE_COMPRESSION_SNAPPY,
    WIRE_COMPRESSION_LZ4,
    WIRE_COMPRESSION_ZSTD,
};

struct wire_batch {
    int64_t base_offset;
    uint32_t total_bytes; /* of the whole batch, prefix included */
    int32_t leader_epoch;
    int8_t magic;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id; /* -1: none */
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
    const uint8_t *data; /* total_bytes of them; NULL when only a part was at hand */
};

static inline int wire_batch_compression(const struct wire_batch *batch)
{
    return batch->attributes & 7;
}

static inline bool wire_batch_is_log_append_time(const struct wire_batch *batch)
{
    return (batch->attributes & 8) != 0;
}

static inline bool wire_batch_is_transactional(const struct wire_batch *batch)
{
    return (batch->attributes & 16) != 0;
}

static inline bool wire_batch_is_control(const struct wire_batch *batch)
{
    return (batch->attributes & 32) != 0;
}

/* Reads the head of the batch that begins at data, which may be followed by other bytes or end
 * inside of the batch (batch->data is NULL then).  False when not even the head is there or its
 * length is impossible; checks neither magic nor checksum. */
bool wire_batch_read(struct wire_batch *batch, const uint8_t *data, size_t length);

/* False, too, for a batch of which only a part is at hand. */
bool wire_batch_crc_matches(const struct wire_batch *batch);

/* Everything a broker checks before it takes a batch from a client: exactly one whole batch, magic
 * 2, checksum, known compression, no control bit, counts that agree; uncompressed ones are walked
 * record by record.  WIRE_ERROR_NONE, CORRUPT_MESSAGE, INVALID_RECORD, UNSUPPORTED_COMPRESSION_TYPE
 * or UNSUPPORTED_FOR_MESSAGE_FORMAT; *reason (never NULL on error) says what is wrong. */
enum wire_error wire_batch_validate(struct wire_batch *batch, const uint8_t *data, size_t length,
                                    const char **reason);

/* Writes base offset and leader epoch into the batch at data. */
void wire_batch_stamp(uint8_t *data, int64_t base_offset, int32_t leader_epoch);
/* Sets timestamp type LogAppendTime and the max timestamp, and mends the checksum. */
void wire_batch_set_append_time(uint8_t *data, size_t length, int64_t timestamp_ms);

/* A batch with the same records in another compression: a new buf with one reference that holds
 * exactly the batch.  The records of a compressed one are checked like those of
 * wire_batch_validate() and expanded to at most output_bytes_max; they stay what they were.  NULL
 * with the reason when they are not good; NULL without one when the batch should stay as it is, as
 * it would become so small that readers refuse to expand it.  level: the codec's own. */
struct buf *wire_batch_recompress(const struct wire_batch *batch, enum wire_compression compression,
                                  int level, size_t output_bytes_max, const char **reason);

/* One record, in place. key and value length -1: null. */
struct wire_record {
    int32_t offset_delta;
    int64_t timestamp_ms;
    struct wire_bytes key;
    struct wire_bytes value;
    int32_t header_count;
    struct wire_bytes headers; /* encoded */
    struct wire_bytes encoded; /* the whole record, without the length in front */
};

/* Walks the records of a batch, decompressing a piece at a time as needed; the output never passes
 * output_bytes_max nor 128 times the input.  Open, next until false, close; error is NULL or says
 * what was wrong.  Records are borrowed until the next call. */
struct wire_record_reader;
struct wire_record_reader *wire_record_reader_open(const struct wire_batch *batch,
                                                   size_t output_bytes_max);
bool wire_record_reader_next(struct wire_record_reader *reader, struct wire_record *record);
const char *wire_record_reader_error(const struct wire_record_reader *reader);
void wire_record_reader_close(struct wire_record_reader *reader);

/* What keeps() leaves of a batch. */
enum wire_batch_rest {
    WIRE_BATCH_REST_ALL,     /* the batch as it is */
    WIRE_BATCH_REST_SOME,    /* *rest */
    WIRE_BATCH_REST_NOTHING, /* no record, which an empty batch has none of either */
    WIRE_BATCH_REST_UNKNOWN, /* its records cannot be read */
};
/* Asks keeps() for every record of a whole batch, which is not a control batch.  SOME: *rest is a
 * new buf with those that stay, at their offsets, compressed as they were (plain when they do not
 * compress); its head is the batch's own but for counts, and for the largest timestamp, which is
 * that of the records left.  keeps() may have been asked for some records before UNKNOWN. */
enum wire_batch_rest wire_batch_filter(const struct wire_batch *batch,
                                       bool (*keeps)(const struct wire_record *record,
                                                     void *context),
                                       void *context, struct buf **rest);
/* The head of a whole batch without its records: what its producer's sequence needs.  A new buf. */
struct buf *wire_batch_empty(const struct wire_batch *batch);
/* An empty batch without a producer, that says of a range of offsets that nothing is left there.
 * A new buf. */
struct buf *wire_batch_filler(int64_t base_offset, int32_t last_offset_delta, int32_t leader_epoch);
/* Whether it is such a one, which may be divided and joined at will. */
static inline bool wire_batch_is_filler(const struct wire_batch *batch)
{
    return batch->record_count == 0 && batch->producer_id < 0 && !wire_batch_is_control(batch);
}

/* Mends the checksum of the batch at data after what it covers was written. */
void wire_batch_write_crc(uint8_t *data, size_t length);

/* Builds an uncompressed batch record by record; all carry the one timestamp.  key and value may be
 * NULL with length -1 (null).  Between begin and finish the writer owns what it has written; finish
 * needs one record at least and returns a new buf with one reference that holds exactly the batch.
 */
struct wire_batch_writer {
    struct wire_writer writer;
    int32_t record_count;
};

void wire_batch_writer_begin(struct wire_batch_writer *batch, int64_t timestamp_ms);
void wire_batch_writer_add(struct wire_batch_writer *batch, const void *key, int32_t key_length,
                           const void *value, int32_t value_length);
struct buf *wire_batch_writer_finish(struct wire_batch_writer *batch);
/* Instead of finish. */
void wire_batch_writer_drop(struct wire_batch_writer *batch);

/* As the above for a single record (controller records, tests). */
struct buf *wire_batch_build(const void *key, int32_t key_length, const void *value,
                             int32_t value_length, int64_t timestamp_ms);

#endif
