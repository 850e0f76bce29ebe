/* SPDX-License-Identifier: Apache-2.0
 *
 * tool.h -- what the commands of the command-line tool share: options, output, ways to fail.
 *
 * The tool is a client like any other: it reaches brokers through librdkafka, and their status
 * through the admin HTTP door.
 *
 * Locality: main thread.
 */
#ifndef CLI_TOOL_H
#define CLI_TOOL_H

#include <jansson.h>
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit statuses. */
enum tool_status {
    TOOL_DONE = 0,
    TOOL_FAILED = 1, /* the cluster refused or could not be reached */
    TOOL_USAGE = 2,  /* the command line makes no sense */
};

/* What the client last said about a connection that failed; "" when nothing did. */
struct tool_problem {
    char text[256];
};

struct tool_options {
    const char *brokers; /* bootstrap list */
    const char *admin;   /* admin addresses, separated by commas */
    bool json;
    int timeout_ms; /* for an answer */
    int reach_ms;   /* until the first broker answers at all */
    struct tool_problem *problem;
    /* What is left after the command's two words and the options above. */
    int argument_count;
    char **arguments;
};

struct tool_command {
    const char *group; /* "topic" */
    const char *name;  /* "create"; "" when the group word is the whole command */
    const char *usage; /* arguments, for the help */
    const char *text;  /* one sentence */
    int (*run)(const struct tool_options *options);
};

int command_topic_create(const struct tool_options *options);
int command_topic_list(const struct tool_options *options);
int command_topic_describe(const struct tool_options *options);
int command_topic_configure(const struct tool_options *options);
int command_topic_delete(const struct tool_options *options);
int command_topic_elect(const struct tool_options *options);
int command_topic_reassign(const struct tool_options *options);
int command_group_list(const struct tool_options *options);
int command_group_describe(const struct tool_options *options);
int command_group_delete(const struct tool_options *options);
int command_group_reset_offsets(const struct tool_options *options);
int command_produce(const struct tool_options *options);
int command_consume(const struct tool_options *options);
int command_cluster_add(const struct tool_options *options);
int command_cluster_decommission(const struct tool_options *options);
int command_cluster_status(const struct tool_options *options);
int command_raft_status(const struct tool_options *options);
int command_cert(const struct tool_options *options);

/* Walks the arguments: takes "--name value" out; NULL when it is not there. */
const char *tool_take_option(const struct tool_options *options, const char *name);
bool tool_has_flag(const struct tool_options *options, const char *name);
/* The position-th argument that is neither an option nor its value; flags lists the options without
 * value, separated by blanks.  NULL when there are fewer. */
const char *tool_positional(const struct tool_options *options, int position, const char *flags);
/* False when an argument is none of the names given (separated by blanks), after a message. */
bool tool_check_options(const struct tool_options *options, const char *with_value,
                        const char *flags, int positionals_max);
/* Digits in [least, most]; false after a message that names option and range. */
bool tool_parse_number(const char *name, const char *text, int64_t least, int64_t most,
                       int64_t *number);

/* A message on standard error, "flotilla: ..."; returns TOOL_FAILED or TOOL_USAGE. */
int tool_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int tool_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints and releases the document. */
void tool_print_json(json_t *document);

/* A client that has reached the cluster; NULL after a message.  set: pairs of config names and
 * values, closed by NULL, or NULL.  on_delivery: of a producer's messages, or NULL; its context is
 * the options' problem. */
rd_kafka_t *tool_client(const struct tool_options *options, rd_kafka_type_t type,
                        const char *const *set,
                        void (*on_delivery)(rd_kafka_t *client, const rd_kafka_message_t *message,
                                            void *context));

/* How many partitions the topic has; -1 after a message. */
int tool_count_partitions(const struct tool_options *options, const char *topic);

/* Options of an admin request, with the time the tool's options give; the caller destroys them. */
rd_kafka_AdminOptions_t *tool_admin_options(rd_kafka_t *client, rd_kafka_admin_op_t operation,
                                            const struct tool_options *options);
/* The result, which the caller destroys, or NULL after the timeout; on a terminal it says that, and
 * how long, it waits. */
rd_kafka_event_t *tool_wait_for_result(rd_kafka_queue_t *queue, const struct tool_options *options);

/* GET from an admin address; NULL after a message in error.  The caller releases the document. */
json_t *tool_admin_get(const struct tool_options *options, const char *address, const char *path,
                       char *error, size_t error_size);
/* Calls visit for every admin address of the options. */
void tool_admin_each(const struct tool_options *options,
                     void (*visit)(const char *address, void *context), void *context);

/* Whether to show progress: standard error is a terminal and output is not JSON. */
bool tool_shows_progress(const struct tool_options *options);

#endif
