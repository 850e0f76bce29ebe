/* SPDX-License-Identifier: Apache-2.0
 *
 * tool.c -- arguments, output and the client handle of the command-line tool.
 */
#include "cli/tool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether word stands in a list separated by blanks. */
static bool is_in_list(const char *word, const char *list)
{
    size_t length = strlen(word);
    for (const char *at = strstr(list, word); at != NULL; at = strstr(at + 1, word)) {
        bool begins = at == list || at[-1] == ' ';
        bool ends = at[length] == 0 || at[length] == ' ';
        if (begins && ends) {
            return true;
        }
    }
    return false;
}

const char *tool_take_option(const struct tool_options *options, const char *name)
{
    for (int i = 0; i + 1 < options->argument_count; i++) {
        if (strcmp(options->arguments[i], name) == 0) {
            return options->arguments[i + 1];
        }
    }
    return NULL;
}

bool tool_has_flag(const struct tool_options *options, const char *name)
{
    for (int i = 0; i < options->argument_count; i++) {
        if (strcmp(options->arguments[i], name) == 0) {
            return true;
        }
    }
    return false;
}

const char *tool_positional(const struct tool_options *options, int position, const char *flags)
{
    for (int i = 0; i < options->argument_count; i++) {
        const char *argument = options->arguments[i];
        if (strncmp(argument, "--", 2) == 0) {
            i += is_in_list(argument, flags) ? 0 : 1;
        } else if (position-- == 0) {
            return argument;
        }
    }
    return NULL;
}

bool tool_check_options(const struct tool_options *options, const char *with_value,
                        const char *flags, int positionals_max)
{
    int positionals = 0;
    for (int i = 0; i < options->argument_count; i++) {
        const char *argument = options->arguments[i];
        if (strncmp(argument, "--", 2) != 0) {
            if (++positionals > positionals_max) {
                tool_usage("'%s' is one argument too many", argument);
                return false;
            }
        } else if (is_in_list(argument, with_value)) {
            if (++i == options->argument_count) {
                tool_usage("%s needs a value", argument);
                return false;
            }
        } else if (!is_in_list(argument, flags)) {
            tool_usage("unknown option %s; this command takes: %s %s", argument, with_value, flags);
            return false;
        }
    }
    return true;
}

bool tool_parse_number(const char *name, const char *text, int64_t least, int64_t most,
                       int64_t *number)
{
    char *end;
    errno = 0;
    *number = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || *number < least || *number > most) {
        tool_usage("%s: '%s' is not a number from %lld to %lld", name, text, (long long)least,
                   (long long)most);
        return false;
    }
    return true;
}

__attribute__((format(printf, 1, 0))) static void print_error(const char *format, va_list arguments)
{
    fflush(stdout);
    fputs("flotilla: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

int tool_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(format, arguments);
    va_end(arguments);
    return TOOL_FAILED;
}

int tool_usage(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_error(format, arguments);
    va_end(arguments);
    return TOOL_USAGE;
}

void tool_print_json(json_t *document)
{
    json_dumpf(document, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(document);
}

/* Connection noise is not news: what matters comes back as the result of an operation. */
static void ignore_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    (void)client;
    (void)level;
    (void)facility;
    (void)text;
}

/* Called by rd_kafka_poll().  That all brokers are down says less than why the last one is. */
static void keep_problem(rd_kafka_t *client, int error, const char *reason, void *context)
{
    (void)client;
    struct tool_problem *problem = context;
    if (error != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        snprintf(problem->text, sizeof problem->text, "%s", reason);
    }
}

/* A cluster that is not there is told soon, and as that. */
static bool reach(const struct tool_options *options, rd_kafka_t *client)
{
    const rd_kafka_metadata_t *metadata;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 0, NULL, &metadata, options->reach_ms);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        return true;
    }
    while (rd_kafka_poll(client, 0) > 0) {
    }
    tool_fail("no broker answered within %d ms; is --brokers right? (%s)", options->reach_ms,
              *options->problem->text != 0 ? options->problem->text : rd_kafka_err2str(error));
    return false;
}

rd_kafka_t *tool_client(const struct tool_options *options, rd_kafka_type_t type,
                        const char *const *set,
                        void (*on_delivery)(rd_kafka_t *client, const rd_kafka_message_t *message,
                                            void *context))
{
    char error[512];
    rd_kafka_conf_t *config = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(config, ignore_log);
    rd_kafka_conf_set_error_cb(config, keep_problem);
    rd_kafka_conf_set_opaque(config, options->problem);
    if (on_delivery != NULL) {
        rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
    }
    bool good = rd_kafka_conf_set(config, "bootstrap.servers", options->brokers, error,
                                  sizeof error) == RD_KAFKA_CONF_OK;
    for (; good && set != NULL && *set != NULL; set += 2) {
        good = rd_kafka_conf_set(config, set[0], set[1], error, sizeof error) == RD_KAFKA_CONF_OK;
    }
    rd_kafka_t *client = good ? rd_kafka_new(type, config, error, sizeof error) : NULL;
    if (client == NULL) {
        rd_kafka_conf_destroy(config);
        tool_fail("%s", error);
    } else if (!reach(options, client)) {
        rd_kafka_destroy(client);
        client = NULL;
    }
    return client;
}

bool tool_shows_progress(const struct tool_options *options)
{
    return !options->json && isatty(STDERR_FILENO) == 1;
}

int tool_count_partitions(const struct tool_options *options, const char *topic)
{
    static const char *const set[] = {"allow.auto.create.topics", "false", NULL};
    const rd_kafka_metadata_t *metadata = NULL;
    int count = -1;
    rd_kafka_t *client = tool_client(options, RD_KAFKA_CONSUMER, set, NULL);
    if (client == NULL) {
        return -1;
    }
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, options->timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tool_fail("no metadata from %s: %s", options->brokers, rd_kafka_err2str(error));
    } else {
        for (int i = 0; i < metadata->topic_cnt; i++) {
            if (strcmp(metadata->topics[i].topic, topic) == 0) {
                count = metadata->topics[i].partition_cnt;
            }
        }
        if (count < 0) {
            tool_fail("%s: there is no such topic", topic);
        }
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_destroy(client);
    return count;
}
