/* SPDX-License-Identifier: Apache-2.0
 *
 * checked.h -- which bytes of a segment's file were lately seen to be good, so that consumers can
 * be sent them without a look at every one.
 *
 * Good is what was appended (its checksum had been checked before) or read and checked.  Either is
 * forgotten after LOG_CHECKED_NS: pages may have left memory by then and be read again from a
 * medium that has lost them.
 *
 * Locality: plain data; the shard of the log.
 */
#ifndef LOG_CHECKED_H
#define LOG_CHECKED_H

#include <stddef.h>
#include <stdint.h>

#define LOG_CHECKED_NS 60000000000ull
#define LOG_CHECKED_RANGES_MAX 8

struct log_checked_range {
    uint64_t from; /* from == to: unused */
    uint64_t to;
    uint64_t since_ns; /* when the oldest part of it was checked */
};

/* Zeroed: nothing is known. */
struct log_checked {
    uint64_t appended_from;
    uint64_t appended_ns;             /* when what stands there was appended; 0: none */
    struct log_checked_range *ranges; /* LOG_CHECKED_RANGES_MAX; NULL: none */
};

/* A batch that begins at position is appended now. */
void log_checked_append(struct log_checked *checked, uint64_t position, uint64_t now_ns);
/* [from, to) was read and is good. */
void log_checked_add(struct log_checked *checked, uint64_t from, uint64_t to, uint64_t now_ns);
/* All from position up to the answer is known to be good; at most size_bytes, the segment's. */
uint64_t log_checked_end(const struct log_checked *checked, uint64_t position, uint64_t size_bytes,
                         uint64_t now_ns);
/* Back to knowing nothing. */
void log_checked_forget(struct log_checked *checked);

#endif
