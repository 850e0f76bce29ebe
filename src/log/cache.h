/* SPDX-License-Identifier: Apache-2.0
 *
 * cache.h -- what logs keep in memory without having to: durable batches at their tails, open files
 * and loaded indexes of closed segments.
 *
 * A stream has one budget for the tails of all its logs and takes from the log used longest ago; a
 * log that was not used for a while keeps nothing.
 *
 * Locality: the shard.
 */
#ifndef LOG_CACHE_H
#define LOG_CACHE_H

#include "log/state.h"

#define LOG_CACHE_BYTES_MAX (16u << 20)
#define LOG_CACHE_IDLE_MS 2000

void log_cache_init(struct log_stream *stream);
void log_cache_free(struct log_stream *stream);
/* The log is in use: it goes to the young end of the list. */
void log_cache_touch(struct log *log);
void log_cache_push(struct log *log, const struct log_tail_entry *entry);
void log_cache_drop_last(struct log *log);
/* Drops tail entries below an offset, which are durable. */
void log_cache_drop_below(struct log *log, uint64_t offset);
/* More of the log became durable: keeps the newest of it within the bound of a log. */
void log_cache_saved(struct log *log);
/* Keeps the whole stream within its budget. */
void log_cache_trim(struct log_stream *stream);
/* A closed segment got its file or index loaded: lets go of the oldest others. */
void log_cache_loaded(struct log *log, const struct log_segment *segment);
/* Takes the log out of the list; its unsaved entries stay. */
void log_cache_forget(struct log *log);

#endif
