/* SPDX-License-Identifier: Apache-2.0
 *
 * trace.c -- builds log lines of bounded length and hands them to the sink.
 *
 * A line is built on the stack; what does not fit is cut, never wrapped.  The sink is set once
 * before other threads start and only read after that; the shard number is each thread's own.
 *
 * Locality: any thread.
 */
#include "base/trace.h"

#include "base/assert.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define TRACE_MESSAGE_SIZE 1024
#define TRACE_QUOTED_SIZE 2048
#define TRACE_LINE_SIZE 3200

static trace_sink installed_sink;
static void *installed_context;
static enum trace_level installed_least = TRACE_INFO;
static _Thread_local int thread_shard = -1;

static const char *const level_names[] = {
    [TRACE_DEBUG] = "debug",
    [TRACE_INFO] = "info",
    [TRACE_WARN] = "warn",
    [TRACE_ERROR] = "error",
};

void trace_install(trace_sink sink, void *context, enum trace_level least)
{
    installed_sink = sink;
    installed_context = context;
    installed_least = least;
}

void trace_set_shard(int shard)
{
    thread_shard = shard;
}

/* How a byte stands between quotes: itself, or up to four characters.  Bytes from 0x80 on pass, so
 * that UTF-8 stays readable. */
static size_t trace_escape(char escaped[5], unsigned char byte)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;
    if (byte == '"' || byte == '\\') {
        escaped[length++] = '\\';
        escaped[length++] = (char)byte;
    } else if (byte == '\n') {
        escaped[length++] = '\\';
        escaped[length++] = 'n';
    } else if (byte < 0x20 || byte == 0x7f) {
        escaped[length++] = '\\';
        escaped[length++] = 'x';
        escaped[length++] = digits[byte >> 4];
        escaped[length++] = digits[byte & 15];
    } else {
        escaped[length++] = (char)byte;
    }
    return length;
}

char *trace_quote(char *text, unsigned long size, const char *value, unsigned long length)
{
    require(size >= 3);
    size_t at = 0;
    text[at++] = '"';
    for (size_t i = 0; i < length; i++) {
        char escaped[5];
        size_t escaped_length = trace_escape(escaped, (unsigned char)value[i]);
        if (at + escaped_length + 2 > size) {
            break;
        }
        memcpy(text + at, escaped, escaped_length);
        at += escaped_length;
    }
    text[at++] = '"';
    text[at] = 0;
    return text;
}

static void trace_emit(enum trace_level level, const char *message, const char *fields)
{
    char quoted[TRACE_QUOTED_SIZE];
    char line[TRACE_LINE_SIZE];
    char shard[24] = "";
    trace_quote(quoted, sizeof quoted, message, strlen(message));
    if (thread_shard >= 0) {
        snprintf(shard, sizeof shard, " shard=%d", thread_shard);
    }
    snprintf(line, sizeof line, "level=%s%s msg=%s%s%s", level_names[level], shard, quoted,
             fields[0] != 0 ? " " : "", fields);
    if (installed_sink != NULL) {
        installed_sink(level, line, installed_context);
    } else {
        fprintf(stderr, "%s\n", line);
    }
}

void trace_write(enum trace_level level, const char *message_format, ...)
{
    if (level < installed_least) {
        return;
    }
    char message[TRACE_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, message_format);
    vsnprintf(message, sizeof message, message_format, arguments);
    va_end(arguments);
    trace_emit(level, message, "");
}

/* Control characters would break the line format even though the caller promised none. */
static void trace_flatten(char *text)
{
    for (; *text != 0; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7f) {
            *text = '?';
        }
    }
}

void trace_write_fields(enum trace_level level, const char *message, const char *fields_format, ...)
{
    if (level < installed_least) {
        return;
    }
    char fields[TRACE_MESSAGE_SIZE];
    va_list arguments;
    va_start(arguments, fields_format);
    vsnprintf(fields, sizeof fields, fields_format, arguments);
    va_end(arguments);
    trace_flatten(fields);
    trace_emit(level, message, fields);
}
