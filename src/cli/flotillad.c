/* SPDX-License-Identifier: Apache-2.0
 *
 * flotillad.c -- the broker's main: flags and config file in, a running broker until a signal.
 *
 * Exit status: 0 after a clean end, 1 when the broker gave up (the log says why), 2 when it refused
 * to start (wrong flag, wrong config, busy port, foreign data).
 */
#include "admin/admin.h"
#include "base/trace.h"
#include "broker/broker.h"
#include "broker/config_table.h"
#include "cli/config_file.h"
#include "cli/kafka_config_page.h"
#include "cli/log_sink.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define EXIT_REFUSED 2
#define VERSION_TEXT "flotillad 0.1.0"

static void print_help(FILE *out)
{
    fprintf(out, "Usage: flotillad --config FILE [--KEY VALUE ...]\n"
                 "       flotillad --dev [--KEY VALUE ...]\n\n"
                 "  --config FILE   read keys from a YAML file\n"
                 "  --dev           one broker on 127.0.0.1:9092, data in ./flotilla-data\n"
                 "  --version       print the version\n"
                 "  --help          print this\n\n"
                 "Every key of the file may also be given as a flag, which wins over the file\n"
                 "(--broker-id is the same as --broker_id):\n\n");
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        char allowed[96];
        fprintf(out, "  --%s (%s; default: %s)\n      %s\n", row->name,
                config_row_allowed(row, allowed, sizeof allowed),
                *row->default_text != 0 ? row->default_text : "empty", row->text);
    }
}

/* docs/CONFIG.md is this output; a test compares them. */
static void print_markdown(void)
{
    printf("# Configuration\n\n"
           "Made by `build/flotillad --help-markdown` from the table of config keys.\n\n"
           "A config file is one YAML mapping of these keys; each may also be given as a flag,\n"
           "`--key value`, which wins over the file. Relative paths start at the working "
           "directory.\n\n"
           "| key | takes | default | Kafka's name | |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        char allowed[96];
        printf("| `%s` | %s | %s%s%s | %s | %s |\n", row->name,
               config_row_allowed(row, allowed, sizeof allowed), *row->default_text != 0 ? "`" : "",
               row->default_text, *row->default_text != 0 ? "`" : "", row->kafka_name, row->text);
    }
}

#define FLAG_BYTES_MAX 64

/* "--broker-id" is "--broker_id"; NULL when no key has that name. */
static const struct config_row *find_flag(const char *flag)
{
    char name[FLAG_BYTES_MAX];
    if (strncmp(flag, "--", 2) != 0 || strlen(flag + 2) >= sizeof name) {
        return NULL;
    }
    size_t i = 0;
    for (; flag[i + 2] != 0; i++) {
        name[i] = flag[i + 2] == '-' ? '_' : flag[i + 2];
    }
    name[i] = 0;
    return config_row_find(name);
}

static bool set_flag(struct broker_config *config, const char *flag, const char *value, char *error,
                     size_t error_size)
{
    const struct config_row *row = find_flag(flag);
    if (row == NULL) {
        snprintf(error, error_size, "unknown flag '%s'; flotillad --help lists what is allowed",
                 flag);
        return false;
    }
    if (value == NULL) {
        snprintf(error, error_size, "%s needs a value", flag);
        return false;
    }
    return broker_config_set(config, row, value, error, error_size);
}

/* The file first, flags on top of it, whatever their order. */
static bool read_arguments(int count, char **arguments, struct broker_config *config, char *error,
                           size_t error_size)
{
    bool is_dev = false;
    const char *path = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--dev") == 0) {
            is_dev = true;
        } else if (strcmp(arguments[i], "--config") == 0 && i + 1 < count) {
            path = arguments[++i];
        } else {
            i++;
        }
    }
    if (is_dev == (path != NULL)) {
        snprintf(error, error_size,
                 "either --config FILE or --dev is needed; see flotillad --help");
        return false;
    }
    if (path != NULL && !config_file_read(config, path, error, error_size)) {
        return false;
    }
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--dev") == 0) {
            continue;
        }
        const char *value = i + 1 < count ? arguments[i + 1] : NULL;
        if (strcmp(arguments[i], "--config") != 0 &&
            !set_flag(config, arguments[i], value, error, error_size)) {
            return false;
        }
        i++;
    }
    return broker_config_finish(config, error, error_size);
}

/* A partition keeps two files open, and many systems start programs with 1,024 descriptors but
 * permit far more. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit); /* refused: what was there before still holds */
    }
}

/* Signals reach this thread alone: every other one is started with them blocked. */
static void block_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void *wait_for_signal(void *context)
{
    struct broker *broker = context;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    int received = 0;
    if (sigwait(&signals, &received) == 0) {
        trace_info("%s received: stopping", received == SIGINT ? "SIGINT" : "SIGTERM");
        broker_request_stop(broker);
    }
    return NULL;
}

static int run(const struct broker_config *config)
{
    char error[512];
    struct broker *broker = broker_start(config, error, sizeof error);
    if (broker == NULL) {
        fprintf(stderr, "flotillad: %s\n", error);
        return EXIT_REFUSED;
    }
    struct admin *admin = NULL;
    if (config->admin_port != 0) {
        admin = admin_start(broker, config, error, sizeof error);
        if (admin == NULL) {
            fprintf(stderr, "flotillad: %s\n", error);
            broker_request_stop(broker);
            broker_wait(broker);
            broker_free(broker);
            return EXIT_REFUSED;
        }
    }
    pthread_t signal_thread;
    int status = 1;
    if (pthread_create(&signal_thread, NULL, wait_for_signal, broker) == 0) {
        status = broker_wait(broker);
        pthread_cancel(signal_thread);
        pthread_join(signal_thread, NULL);
    }
    admin_stop(admin);
    broker_free(broker);
    trace_info("stopped");
    return status;
}

int main(int count, char **arguments)
{
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0) {
            print_help(stdout);
            return 0;
        }
        if (strcmp(arguments[i], "--help-markdown") == 0) {
            print_markdown();
            return 0;
        }
        if (strcmp(arguments[i], "--help-kafka-markdown") == 0) {
            kafka_config_page_print(stdout);
            return 0;
        }
        if (strcmp(arguments[i], "--version") == 0) {
            puts(VERSION_TEXT);
            return 0;
        }
    }
    block_signals();
    raise_descriptor_limit();
    struct broker_config config;
    char error[2048];
    broker_config_init(&config);
    if (!read_arguments(count, arguments, &config, error, sizeof error)) {
        fprintf(stderr, "flotillad: %s\n", error);
        broker_config_free(&config);
        return EXIT_REFUSED;
    }
    log_sink_install(config.log_level);
    int status = run(&config);
    broker_config_free(&config);
    return status;
}
