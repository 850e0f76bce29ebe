/* SPDX-License-Identifier: Apache-2.0
 *
 * flotilla.c -- the command-line tool's main: finds the command's row and runs it.
 *
 * Exit status: 0 done, 1 the cluster refused or could not be reached, 2 the command line makes no
 * sense.
 */
#include "cli/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_BROKERS "127.0.0.1:9092,127.0.0.1:9093,127.0.0.1:9094"
#define DEFAULT_ADMIN "127.0.0.1:9644,127.0.0.1:9645,127.0.0.1:9646"
#define DEFAULT_TIMEOUT_MS 30000
#define DEFAULT_REACH_MS 5000
#define VERSION_TEXT "flotilla 0.1.0"

static const struct tool_command commands[] = {
    {"topic", "create",
     "NAME [--partitions N] [--replication-factor N] [--config KEY=VALUE[,KEY=VALUE...]]",
     "Creates a topic and waits until its partitions have leaders.", command_topic_create},
    {"topic", "list", "", "Lists the topics.", command_topic_list},
    {"topic", "describe", "NAME", "Shows partitions, leaders, replicas, offsets and configs.",
     command_topic_describe},
    {"topic", "configure", "NAME [KEY=VALUE ...] [--delete KEY[,KEY...]] [--dry-run]",
     "Sets configs, or takes them back; those that are not named stay.", command_topic_configure},
    {"topic", "delete", "NAME", "Deletes a topic and its data.", command_topic_delete},
    {"topic", "reassign",
     "NAME --replicas 1,2,3 [--partition N] [--replication-factor N] [--wait]\n"
     "      | NAME --cancel [--partition N] [--wait] | [NAME] --list",
     "Moves partitions to other brokers; without --partition all, led in turn by the brokers "
     "named.",
     command_topic_reassign},
    {"topic", "elect", "[NAME [--partition N]]",
     "Gives partitions, or all there are, back to the leaders they are preferred to have.",
     command_topic_elect},
    {"group", "list", "", "Lists the consumer groups and their states.", command_group_list},
    {"group", "describe", "GROUP", "Shows members, what they read, and how far behind they are.",
     command_group_describe},
    {"group", "delete", "GROUP", "Deletes a group without members and what it committed.",
     command_group_delete},
    {"group", "reset-offsets", "GROUP --topic NAME [--partition N] --to beginning|end|OFFSET",
     "Sets from where a group without members reads on.", command_group_reset_offsets},
    {"produce", "",
     "TOPIC [--partition N] [--key-separator TEXT] [--acks all|1|0] [--compression CODEC]",
     "Sends every line of standard input as a message.", command_produce},
    {"consume", "",
     "TOPIC [--partition N | --group NAME] [--offset beginning|end|N] [--count N] [--exit]",
     "Prints messages; with --group goes on where the group was; with --exit stops at the end.",
     command_consume},
    {"cluster", "add", "BROKER [--no-move] [--patience-ms N]",
     "Waits until a broker that was started is in the cluster, and moves a fair share to it.",
     command_cluster_add},
    {"cluster", "decommission", "BROKER [--cancel] [--no-wait]",
     "Moves a broker's replicas away and takes it out of the cluster.",
     command_cluster_decommission},
    {"cluster", "status", "", "Shows the brokers, the controller and the health of the partitions.",
     command_cluster_status},
    {"raft", "status", "[--group ID]", "Shows every Raft group: leader, term, indexes, lag.",
     command_raft_status},
    {"cert", "", "--directory DIR [--cluster NAME] [--for 1,2,3] [--hosts NAME,...] [--days N]",
     "Makes a certificate authority and broker certificates for a test cluster.", command_cert},
};

/* Those of a group, or all; returns how many. */
static int print_commands(FILE *out, const char *group)
{
    int count = 0;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct tool_command *command = &commands[i];
        if (group != NULL && strcmp(command->group, group) != 0) {
            continue;
        }
        count++;
        fprintf(out, "  %s%s%s%s%s\n      %s\n", command->group, *command->name != 0 ? " " : "",
                command->name, *command->usage != 0 ? " " : "", command->usage, command->text);
    }
    return count;
}

static void print_help(FILE *out)
{
    fprintf(out, "Usage: flotilla COMMAND [ARGUMENTS] [OPTIONS]\n\nCommands:\n");
    print_commands(out, NULL);
    fprintf(out,
            "\nOptions of every command:\n"
            "  --brokers LIST   Kafka addresses (default " DEFAULT_BROKERS ",\n"
            "                   or FLOTILLA_BROKERS)\n"
            "  --admin LIST     admin addresses (default " DEFAULT_ADMIN ",\n"
            "                   or FLOTILLA_ADMIN)\n"
            "  --timeout-ms N   how long to wait for an answer (default 30000, and 5000 until\n"
            "                   the first broker answers at all)\n"
            "  -o json          print JSON\n\n"
            "flotilla COMMAND --help prints one command's arguments, --version the version.\n");
}

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value != NULL && *value != 0 ? value : otherwise;
}

/* Takes the options of every command out of the arguments; false after a message. */
static bool take_shared_options(struct tool_options *options, int count, char **arguments)
{
    options->arguments = arguments;
    for (int i = 0; i < count; i++) {
        const char *name = arguments[i];
        const char *value = i + 1 < count ? arguments[i + 1] : NULL;
        bool is_shared = strcmp(name, "--brokers") == 0 || strcmp(name, "--admin") == 0 ||
                         strcmp(name, "--timeout-ms") == 0 || strcmp(name, "-o") == 0;
        if (!is_shared) {
            arguments[options->argument_count++] = arguments[i];
            continue;
        }
        if (value == NULL) {
            tool_usage("%s needs a value", name);
            return false;
        }
        i++;
        int64_t number;
        if (strcmp(name, "--brokers") == 0) {
            options->brokers = value;
        } else if (strcmp(name, "--admin") == 0) {
            options->admin = value;
        } else if (strcmp(name, "-o") == 0) {
            if (strcmp(value, "json") != 0) {
                tool_usage("-o takes json, not '%s'", value);
                return false;
            }
            options->json = true;
        } else {
            if (!tool_parse_number(name, value, 1, 3600000, &number)) {
                return false;
            }
            options->timeout_ms = (int)number;
            options->reach_ms = (int)number;
        }
    }
    return true;
}

static const struct tool_command *find_command(int count, char **arguments, int *words)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        bool has_name = *commands[i].name != 0;
        *words = has_name ? 2 : 1;
        if (count >= *words && strcmp(arguments[0], commands[i].group) == 0 &&
            (!has_name || strcmp(arguments[1], commands[i].name) == 0)) {
            return &commands[i];
        }
    }
    return NULL;
}

/* No command has these words. */
static int refuse_words(const struct tool_options *options)
{
    const char *first = options->arguments[0];
    const char *second = options->argument_count > 1 ? options->arguments[1] : NULL;
    bool asks_help = second == NULL || strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0;
    if (asks_help && print_commands(second == NULL ? stderr : stdout, first) > 0) {
        return second == NULL ? TOOL_USAGE : TOOL_DONE;
    }
    return tool_usage("unknown command '%s%s%s'; flotilla --help lists them", first,
                      second != NULL ? " " : "", second != NULL ? second : "");
}

static int run(struct tool_options *options)
{
    if (options->argument_count == 0) {
        print_help(stderr);
        return TOOL_USAGE;
    }
    const char *first = options->arguments[0];
    if (strcmp(first, "--help") == 0 || strcmp(first, "-h") == 0 || strcmp(first, "help") == 0) {
        print_help(stdout);
        return TOOL_DONE;
    }
    if (strcmp(first, "--version") == 0) {
        puts(VERSION_TEXT);
        return TOOL_DONE;
    }
    int words;
    const struct tool_command *command =
        find_command(options->argument_count, options->arguments, &words);
    if (command == NULL) {
        return refuse_words(options);
    }
    options->arguments += words;
    options->argument_count -= words;
    if (tool_has_flag(options, "--help") || tool_has_flag(options, "-h")) {
        printf("Usage: flotilla %s%s%s%s%s\n%s\n", command->group, *command->name != 0 ? " " : "",
               command->name, *command->usage != 0 ? " " : "", command->usage, command->text);
        return TOOL_DONE;
    }
    return command->run(options);
}

int main(int count, char **arguments)
{
    struct tool_problem problem = {""};
    struct tool_options options = {.brokers = from_environment("FLOTILLA_BROKERS", DEFAULT_BROKERS),
                                   .admin = from_environment("FLOTILLA_ADMIN", DEFAULT_ADMIN),
                                   .timeout_ms = DEFAULT_TIMEOUT_MS,
                                   .reach_ms = DEFAULT_REACH_MS,
                                   .problem = &problem};
    if (!take_shared_options(&options, count - 1, arguments + 1)) {
        return TOOL_USAGE;
    }
    return run(&options);
}
