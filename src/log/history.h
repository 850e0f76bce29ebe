/* SPDX-License-Identifier: Apache-2.0
 *
 * history.h -- the control entries of a log (term starts, memberships) in memory, and the
 * arithmetic between Raft indexes and Kafka offsets that follows from them.
 *
 *     raft index = kafka offset + number of control entries before it + 1
 *
 * Control entries are few (one for each change of leader or members), so they stand in a sorted
 * array. Those before the log's start are gone; how many they were follows from the recorded start
 * itself (first_index - 1 - first_offset), so the count is never one from elsewhere.  The newest
 * membership before the start is kept.
 *
 * Not here: the file they stand in (log/epochs.h), batches.
 *
 * Locality: plain data.
 */
#ifndef LOG_HISTORY_H
#define LOG_HISTORY_H

#include "log/entry.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_MEMBERSHIP_BYTES_MAX 512

struct log_control {
    uint64_t index;
    uint64_t term;
    uint64_t offset; /* the next Kafka offset at that point */
    enum log_entry_kind kind;
    uint32_t payload_length;
    uint8_t *payload; /* owned; MEMBERSHIP and START_MOVE */
};

struct log_history {
    uint64_t first_index;         /* of the log */
    uint64_t prefix_term;         /* of the entry at first_index - 1 */
    uint64_t first_offset;        /* Kafka offset at first_index.  Invariant: < first_index */
    uint64_t start_offset;        /* the first one shown.  Invariant: >= first_offset */
    struct log_control *controls; /* ascending; all at or behind first_index */
    size_t control_count;
    size_t control_capacity;
    struct log_control prefix_membership; /* index 0 and no payload: none */
};

void log_history_init(struct log_history *history);
void log_history_free(struct log_history *history);

/* The payload is copied.  False, and nothing happens, when its place does not follow what is known.
 */
bool log_history_add(struct log_history *history, const struct log_control *control);
/* Forgets control entries at or behind an index; true when there were any. */
bool log_history_truncate(struct log_history *history, uint64_t from_index);
/* Moves the start up: control entries before first_index go, the newest membership among them
 * stays. */
void log_history_trim(struct log_history *history, uint64_t first_index, uint64_t first_offset);
/* Everything goes; the log begins anew behind index. */
void log_history_reset(struct log_history *history, uint64_t index, uint64_t term, uint64_t offset);
/* The moved starts among the control entries behind after_index, up to last_index, count now. */
void log_history_move_start(struct log_history *history, uint64_t after_index, uint64_t last_index);
void log_history_set_prefix_membership(struct log_history *history,
                                       const struct log_control *control);

/* How many control entries of the whole log have an index <= index (at least first_index - 1). */
uint64_t log_history_controls_through(const struct log_history *history, uint64_t index);
/* How many have a next offset <= offset, i.e. stand before the record at that offset. */
uint64_t log_history_controls_before_offset(const struct log_history *history, uint64_t offset);
uint64_t log_history_index_of_offset(const struct log_history *history, uint64_t offset);
uint64_t log_history_offset_after(const struct log_history *history, uint64_t index);
/* The control entry at or first behind an index; NULL when none. */
const struct log_control *log_history_at_or_after(const struct log_history *history,
                                                  uint64_t index);
/* The term a record at an offset must have: that of the newest term start at or before it. */
uint64_t log_history_term_at_offset(const struct log_history *history, uint64_t offset);
uint64_t log_history_last_term(const struct log_history *history);
/* The spans of terms that cover [first_index, last_index]; at most control_count + 1 of them. */
size_t log_history_term_starts(const struct log_history *history, uint64_t last_index,
                               struct log_term_start *starts);
/* The newest two memberships, newest first. */
size_t log_history_memberships(const struct log_history *history,
                               struct log_membership_entry memberships[2]);

#endif
