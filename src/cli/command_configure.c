/* SPDX-License-Identifier: Apache-2.0
 *
 * command_configure.c -- flotilla topic configure: sets configs of a topic and takes them back,
 * leaving the others as they are.
 */
#include "cli/kafka_request.h"
#include "wire/error.h"
#include "wire/incremental_alter_configs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define VERSION 1
#define RESOURCE_TOPIC 2
#define OPERATION_SET 0
#define OPERATION_DELETE 1
#define FLAGS "--dry-run"

typedef struct incremental_alter_configs_request_alterable_config asked_config;
typedef struct incremental_alter_configs_response_alter_configs_resource_response told_resource;

struct configuration {
    const char *topic;
    asked_config *configs; /* point into texts and the command line */
    int32_t count;
    char *deletions; /* a copy of --delete, cut at its commas */
    bool is_dry_run;
};

static asked_config *add_config(struct configuration *configuration, const char *name,
                                size_t length, int8_t operation)
{
    configuration->configs = realloc(configuration->configs, (size_t)(configuration->count + 1) *
                                                                 sizeof(*configuration->configs));
    if (configuration->configs == NULL) {
        abort();
    }
    asked_config *config = &configuration->configs[configuration->count++];
    incremental_alter_configs_request_alterable_config_init(config);
    config->name = (struct wire_string){name, (int32_t)length};
    config->config_operation = operation;
    config->value = (struct wire_string){NULL, -1};
    return config;
}

/* What the command line says; false after a message. */
static bool read_wish(const struct tool_options *options, struct configuration *configuration)
{
    const char *pair;
    const char *deletions = tool_take_option(options, "--delete");
    configuration->topic = tool_positional(options, 0, FLAGS);
    configuration->is_dry_run = tool_has_flag(options, "--dry-run");
    if (configuration->topic == NULL) {
        tool_usage("topic configure needs a name");
        return false;
    }
    for (int i = 1; (pair = tool_positional(options, i, FLAGS)) != NULL; i++) {
        const char *equals = strchr(pair, '=');
        if (equals == NULL || equals == pair) {
            tool_usage("'%s' is not KEY=VALUE", pair);
            return false;
        }
        asked_config *config =
            add_config(configuration, pair, (size_t)(equals - pair), OPERATION_SET);
        config->value = wire_string_from(equals + 1);
    }
    if (deletions != NULL) {
        char *rest = NULL;
        configuration->deletions = strdup(deletions);
        for (char *name = strtok_r(configuration->deletions, ",", &rest); name != NULL;
             name = strtok_r(NULL, ",", &rest)) {
            add_config(configuration, name, strlen(name), OPERATION_DELETE);
        }
    }
    if (configuration->count == 0) {
        tool_usage("topic configure needs KEY=VALUE or --delete KEY");
        return false;
    }
    return true;
}

static int report(const struct tool_options *options, const struct configuration *configuration,
                  const told_resource *told)
{
    const char *done = configuration->is_dry_run ? "would configure" : "configured";
    if (told->error_code != WIRE_ERROR_NONE) {
        return told->error_message.length > 0
                   ? tool_fail("%s: %.*s", configuration->topic, (int)told->error_message.length,
                               told->error_message.data)
                   : tool_fail("%s: %s", configuration->topic,
                               wire_error_text((enum wire_error)told->error_code));
    }
    if (options->json) {
        tool_print_json(json_pack("{ss ss}", "topic", configuration->topic, "result", done));
    } else {
        printf("%s %s\n", done, configuration->topic);
    }
    return TOOL_DONE;
}

static int ask(const struct tool_options *options, const struct configuration *configuration)
{
    struct incremental_alter_configs_request request;
    struct incremental_alter_configs_request_alter_configs_resource resource;
    struct incremental_alter_configs_response response;
    struct kafka_answer answer;
    struct wire_writer body;
    char error[512];
    incremental_alter_configs_request_init(&request);
    incremental_alter_configs_request_alter_configs_resource_init(&resource);
    request.resources = &resource;
    request.resources_count = 1;
    request.validate_only = configuration->is_dry_run;
    resource.resource_type = RESOURCE_TOPIC;
    resource.resource_name = wire_string_from(configuration->topic);
    resource.configs = configuration->configs;
    resource.configs_count = configuration->count;
    wire_writer_init(&body, 256);
    incremental_alter_configs_request_encode(&request, VERSION, &body);
    if (!kafka_request_ask(options, INCREMENTAL_ALTER_CONFIGS_TYPE, VERSION, &body, &answer, error,
                           sizeof error)) {
        return tool_fail("%s", error);
    }
    bool is_good = incremental_alter_configs_response_decode(&response, VERSION, &answer.cursor) &&
                   response.responses_count == 1;
    int status = is_good ? report(options, configuration, &response.responses[0])
                         : tool_fail("an answer that makes no sense");
    kafka_answer_free(&answer);
    return status;
}

int command_topic_configure(const struct tool_options *options)
{
    struct configuration configuration = {0};
    if (!tool_check_options(options, "--delete", FLAGS, INT32_MAX)) {
        return TOOL_USAGE;
    }
    int status = read_wish(options, &configuration) ? ask(options, &configuration) : TOOL_USAGE;
    free(configuration.deletions);
    free(configuration.configs);
    return status;
}
