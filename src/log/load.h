/* SPDX-License-Identifier: Apache-2.0
 *
 * load.h -- opening a segment's file and loading its index when somebody looks there.
 *
 * The index comes from its file if that proves itself, else from walking the segment.
 *
 * Locality: the shard, but log_segment_load_blocking where blocking is allowed too.
 */
#ifndef LOG_LOAD_H
#define LOG_LOAD_H

#include "log/state.h"

/* Starts loading unless that is under way, and lets wait be resumed when it has ended; wait->result
 * says how. */
void log_segment_load(struct log *log, struct log_segment *segment, struct log_wait *wait);
int log_segment_load_blocking(struct log *log, struct log_segment *segment);
/* Reads a range of a file so that its pages are in memory, then resumes wait. */
void log_prefetch(struct log *log, struct io_file *file, uint64_t position, uint64_t length_bytes,
                  struct log_wait *wait);

#endif
