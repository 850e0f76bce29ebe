/* SPDX-License-Identifier: Apache-2.0
 *
 * log_sink.h -- where trace lines go: standard error, stamped with the time, one write a line.
 *
 * Locality: installed by the main thread; used by all.
 */
#ifndef CLI_LOG_SINK_H
#define CLI_LOG_SINK_H

/* level: "debug", "info", "warn" or "error". */
void log_sink_install(const char *level);

#endif
