/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.h -- the broker's log lines: level, time, shard and key=value fields, one line an event.
 *
 *     time=2026-01-02T03:04:05.678Z level=info shard=0 msg="Successfully started ..." group=1001
 *
 * The message texts of the group life cycle are part of the product: operators search for them.
 * Control characters and quotes in values are escaped, so no input can forge a line.
 * Reads neither clock nor file itself: the process installs a sink that stamps and writes.
 *
 * Locality: any thread; the sink writes each line with one call.
 */
#ifndef BASE_TRACE_H
#define BASE_TRACE_H

enum trace_level { TRACE_DEBUG, TRACE_INFO, TRACE_WARN, TRACE_ERROR };

/* line: without time and newline ("level=info shard=0 msg=..."); borrowed for the call. */
typedef void (*trace_sink)(enum trace_level level, const char *line, void *context);

/* Called once at start, before any other thread runs.  Without a sink lines go to standard error
 * unstamped. */
void trace_install(trace_sink sink, void *context, enum trace_level least);

/* Names the calling thread's shard in its lines from now on; -1 for none. */
void trace_set_shard(int shard);

/* Message by printf format.  It is quoted and escaped as a whole. */
void trace_write(enum trace_level level, const char *message_format, ...)
    __attribute__((format(printf, 2, 3)));

/* As trace_write, followed by fields ("group=%lu topic=%s"), whose values the caller keeps free of
 * blanks or passes through trace_quote(). */
void trace_write_fields(enum trace_level level, const char *message, const char *fields_format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes value escaped and quoted into text (at most size bytes with the final 0); returns text. */
char *trace_quote(char *text, unsigned long size, const char *value, unsigned long length);

#define trace_debug(...) trace_write(TRACE_DEBUG, __VA_ARGS__)
#define trace_info(...) trace_write(TRACE_INFO, __VA_ARGS__)
#define trace_warn(...) trace_write(TRACE_WARN, __VA_ARGS__)
#define trace_error(...) trace_write(TRACE_ERROR, __VA_ARGS__)

#endif
