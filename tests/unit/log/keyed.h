/* SPDX-License-Identifier: Apache-2.0
 *
 * keyed.h -- a log of records with keys, and a list of all that was ever appended to it: whatever
 * compaction does, what the log shows is held against the list.
 *
 * One at a time, on the disk in memory of fake_io.c.
 */
#ifndef TESTS_LOG_KEYED_H
#define TESTS_LOG_KEYED_H

#include "base/prng.h"
#include "log/compaction.h"

#define KEYED_DIRECTORY "/data/keyed"
#define KEYED_TOMBSTONE (-1)
#define KEYED_NO_KEY UINT32_MAX

struct keyed_record {
    uint32_t key;  /* KEYED_NO_KEY: null */
    int32_t value; /* KEYED_TOMBSTONE */
};

/* Forgets the list; the disk is empty. */
void keyed_reset(void);
/* 0 or what log_open() said. */
int keyed_open(const struct log_options *options);
void keyed_close(void);
struct log *keyed_log(void);
struct log_stream *keyed_stream(void);

/* Appends one batch; producer_id -1: none.  timestamp_ms is that of all its records. */
void keyed_append(const struct keyed_record *records, uint32_t count, int compression,
                  int64_t producer_id, int64_t timestamp_ms);
void keyed_append_term(void);
void keyed_append_membership(void);
/* Makes all durable, and commits it.  False: the disk failed. */
bool keyed_submit(void);

/* Compacts as far as it is told; the result of done. */
int keyed_compact(struct log_compaction *compaction);
/* Tells the list that tombstones below the offset may be gone. */
void keyed_spend_tombstones(uint64_t offset);

/* The log shows what it must: positions without a gap, no record that was not appended, none
 * missing but for a later one with its key or as a spent tombstone; and below the compacted offset
 * no two of a key.  at_least: entries up to this index are there. */
void keyed_check(uint64_t at_least);
/* As the list, after a crash took the end away. */
void keyed_forget_after(uint64_t last_index);

#endif
