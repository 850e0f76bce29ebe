/* SPDX-License-Identifier: Apache-2.0
 *
 * log_sink.c -- stamps trace lines with the time and writes each with one call.
 */
#include "cli/log_sink.h"

#include "base/trace.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES_MAX 4096

static void write_line(enum trace_level level, const char *line, void *context)
{
    (void)level;
    (void)context;
    char text[LINE_BYTES_MAX];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t used = strftime(text, sizeof text, "time=%Y-%m-%dT%H:%M:%S", &parts);
    int written =
        snprintf(text + used, sizeof text - used, ".%03ldZ %s", now.tv_nsec / 1000000, line);
    used += written > 0 ? (size_t)written : 0;
    if (used > sizeof text - 2) {
        used = sizeof text - 2;
    }
    text[used++] = '\n';
    /* Nobody is left to tell when standard error is gone. */
    ssize_t ignored = write(STDERR_FILENO, text, used);
    (void)ignored;
}

void log_sink_install(const char *level)
{
    enum trace_level least = TRACE_INFO;
    if (strcmp(level, "debug") == 0) {
        least = TRACE_DEBUG;
    } else if (strcmp(level, "warn") == 0) {
        least = TRACE_WARN;
    } else if (strcmp(level, "error") == 0) {
        least = TRACE_ERROR;
    }
    trace_install(write_line, NULL, least);
}
