/* SPDX-License-Identifier: Apache-2.0
 *
 * entry.h -- a log entry as it stands in memory: position, kind, and where its payload is.
 *
 * Locality: plain data.
 */
#ifndef LOG_ENTRY_H
#define LOG_ENTRY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Numbers are in peer frames: append only. */
enum log_entry_kind {
    LOG_ENTRY_BATCH,
    LOG_ENTRY_TERM_START,
    LOG_ENTRY_MEMBERSHIP,
    LOG_ENTRY_START_MOVE, /* what is before an offset is deleted (DeleteRecords) */
};

#define LOG_START_MOVE_BYTES 8

struct log_entry {
    uint64_t first_index;
    uint64_t last_index; /* BATCH: first_index + number of offsets - 1; else first_index */
    uint64_t term;
    enum log_entry_kind kind;
    /* BATCH: the record batch.  MEMBERSHIP: its encoded form (opaque here, at most 512 bytes).
     * TERM_START: empty.  START_MOVE: the offset (log_start_move_encode). */
    struct buf_slice payload;
};

struct log_term_start {
    uint64_t term;
    uint64_t first_index;  /* of the term-start entry */
    uint64_t start_offset; /* next Kafka offset at that point: the leader epoch's start offset */
};

struct log_membership_entry {
    uint64_t index;
    uint64_t term;
    const uint8_t *payload;
    uint32_t payload_length;
};

/* The payload of a START_MOVE entry: what is before the offset is deleted.  The start moves when
 * the entry is known to be committed (log_set_commit), on every replica, and stays so because the
 * entry does, or a later first index. */
void log_start_move_encode(uint64_t offset, uint8_t payload[LOG_START_MOVE_BYTES]);
/* False when it makes no sense. */
bool log_start_move_decode(const uint8_t *payload, size_t length, uint64_t *offset);

#endif
