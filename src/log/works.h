/* SPDX-License-Identifier: Apache-2.0
 *
 * works.h -- file chores off the loop that hold all they need and report to nobody: index files and
 * unlinking.
 *
 * Both concern caches and rubbish: a failure is harmless, the next open tidies up.
 *
 * Locality: log_work_* the shard; the others where blocking is allowed.
 */
#ifndef LOG_WORKS_H
#define LOG_WORKS_H

#include "log/state.h"

/* NULL when there is none with exactly this base offset. */
struct log_segment *log_find_segment(const struct log *log, uint64_t base_offset);

int log_write_index(const char *directory, const struct log_segment *segment);
/* The index file of a segment and, if with_data, the segment. */
int log_remove_files(const char *directory, uint64_t base_offset, bool with_data);

void log_work_write_index(struct log *log, const struct log_segment *segment);
void log_work_remove_files(struct log *log, uint64_t base_offset, bool with_data);

#endif
