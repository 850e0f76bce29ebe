/* SPDX-License-Identifier: Apache-2.0
 *
 * entry.h -- a log entry as it stands in memory: position, kind, and where its payload is.
 *
 * Locality: plain data.
 */
#ifndef LOG_ENTRY_H
#define LOG_ENTRY_H

#include "base/buf.h"

#include <stdint.h>

enum log_entry_kind { LOG_ENTRY_BATCH, LOG_ENTRY_TERM_START, LOG_ENTRY_MEMBERSHIP };

struct log_entry {
    uint64_t first_index;
    uint64_t last_index; /* BATCH: first_index + number of offsets - 1; else first_index */
    uint64_t term;
    enum log_entry_kind kind;
    /* BATCH: the record batch.  MEMBERSHIP: its encoded form (opaque here, at most 512 bytes).
     * TERM_START: empty. */
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

#endif
