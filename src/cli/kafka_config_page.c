/* SPDX-License-Identifier: Apache-2.0
 *
 * kafka_config_page.c -- see kafka_config_page.h.
 *
 * Locality: main thread.
 */
#include "cli/kafka_config_page.h"

#include "broker/config_table.h"
#include "broker/kafka_config_table.h"
#include "cluster/dynamic_config.h"

#include <string.h>

static void print_topic_rows(FILE *out, bool honoured)
{
    fprintf(out, "| topic config | broker config | default | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < topic_config_row_count(); i++) {
        const struct topic_config_row *row = topic_config_row(i);
        if (row->honoured == honoured) {
            fprintf(out, "| `%s` | %s | `%s` | %s |\n", row->name, row->broker_name,
                    row->default_text, row->text);
        }
    }
}

static void print_keys(FILE *out)
{
    fprintf(out, "| broker config | key of the config file | | |\n|---|---|---|---|\n");
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = config_row_at(i);
        if (row->kafka_name[0] != '\0') {
            bool is_dynamic = dynamic_config_find(row->kafka_name, strlen(row->kafka_name)) != NULL;
            fprintf(out, "| `%s` | `%s` | %s | %s |\n", row->kafka_name, row->name,
                    is_dynamic ? "while it runs" : "at the start", row->text);
        }
    }
}

static void print_ignored(FILE *out)
{
    fprintf(out,
            "| broker config | is told to be | why nothing follows from it |\n|---|---|---|\n");
    for (size_t i = 0; i < kafka_config_row_count(); i++) {
        const struct kafka_config_row *row = kafka_config_row(i);
        if (row->key[0] != '\0') {
            fprintf(out, "| `%s` | as `%s` | %s |\n", row->name, row->key, kafka_config_text(row));
        } else {
            fprintf(out, "| `%s` | `%s` | %s |\n", row->name,
                    row->default_text != NULL ? row->default_text : "null", kafka_config_text(row));
        }
    }
}

void kafka_config_page_print(FILE *out)
{
    fprintf(
        out,
        "# Kafka's configs\n\n"
        "Made by `build/flotillad --help-kafka-markdown` from the tables of configs. All of these "
        "are\nanswered by DescribeConfigs; what Flotilla acts on stands apart from what it takes "
        "for compatibility.\n\n"
        "## Topic configs that are honoured\n\n"
        "Set for a topic by CreateTopics, AlterConfigs and IncrementalAlterConfigs. What topics "
        "have that do\nnot set one is, in this order: the broker config beside it as it was set "
        "for one broker while it runs,\nor for all brokers; `topic_defaults` in the config file; "
        "the default.\n\n");
    print_topic_rows(out, true);
    fprintf(out, "\n## Topic configs that are checked and kept, and nothing follows from\n\n");
    print_topic_rows(out, false);
    fprintf(out, "\n## Broker configs that are honoured\n\n"
                 "And the broker configs in the first table, all of which can be changed while "
                 "brokers run.\n\n");
    print_keys(out);
    fprintf(out, "\n## Broker configs that are told for compatibility\n\n"
                 "They cannot be changed.\n\n");
    print_ignored(out);
}
