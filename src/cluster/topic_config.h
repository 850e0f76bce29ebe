/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_config.h -- the topic configs: one table of name, type, default, range and text, from which
 * parser, DescribeConfigs and docs derive.
 *
 * Each row says whether Flotilla honours the config or takes it for compatibility only.
 *
 * Locality: plain data.
 */
#ifndef CLUSTER_TOPIC_CONFIG_H
#define CLUSTER_TOPIC_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOPIC_CONFIG_VALUE_BYTES_MAX 32767

/* name=value as a client sent it; borrowed, not terminated.  value_length -1: null. */
struct topic_config_entry {
    const char *name;
    int32_t name_length;
    const char *value;
    int32_t value_length;
};

enum topic_config_type {
    TOPIC_CONFIG_BOOLEAN,
    TOPIC_CONFIG_INT,
    TOPIC_CONFIG_LONG,
    TOPIC_CONFIG_DOUBLE,
    TOPIC_CONFIG_STRING,
    TOPIC_CONFIG_LIST,
};

struct topic_config_row {
    const char *name; /* "retention.ms" */
    const char
        *broker_name; /* the broker config that is its synonym: "log.retention.ms"; "" none */
    enum topic_config_type type;
    const char *default_text;
    int64_t least; /* INT, LONG, DOUBLE */
    int64_t most;
    const char *allowed; /* STRING, LIST: "delete,compact"; "" anything */
    bool honoured;       /* else checked, kept and reported, and nothing follows from it */
    const char *text;    /* one sentence */
};

#define TOPIC_CONFIG_ROWS_MAX 64 /* so that a set of configs fits a word */

size_t topic_config_row_count(void);
const struct topic_config_row *topic_config_row(size_t position);
/* NULL when there is no such config. */
const struct topic_config_row *topic_config_find(const char *name, size_t length);

/* The overrides of one topic, or of brokers (dynamic_config.h).  Values are texts that passed
 * topic_config_check(). */
struct topic_config {
    size_t count;
    struct topic_config_override {
        const struct topic_config_row *row;
        char *value;
    } * overrides; /* ascending by the name of the row */
};

/* NULL when value is good for the row; else what is wrong, written into message. */
const char *topic_config_check(const struct topic_config_row *row, const char *value, size_t length,
                               char *message, size_t message_size);

/* ---- One topic's overrides; all zero bytes is a config without any ---- */

/* value passed topic_config_check(); it is copied. */
void topic_config_set(struct topic_config *config, const struct topic_config_row *row,
                      const char *value, size_t length);
/* Back to the default; without effect when it is not overridden. */
void topic_config_unset(struct topic_config *config, const struct topic_config_row *row);
/* What from overrides is overridden in to as well; from wins. */
void topic_config_add(struct topic_config *to, const struct topic_config *from);
/* to: overwritten, not freed before. */
void topic_config_copy(struct topic_config *to, const struct topic_config *from);
/* Frees all overrides and leaves none. */
void topic_config_clear(struct topic_config *config);

/* ---- Values; name is one of the table ---- */

/* The override, or NULL. */
const char *topic_config_override_of(const struct topic_config *config,
                                     const struct topic_config_row *row);
const char *topic_config_override(const struct topic_config *config, const char *name);
/* Effective values: the override or the default. */
int64_t topic_config_number(const struct topic_config *config, const char *name);
bool topic_config_boolean(const struct topic_config *config, const char *name);
const char *topic_config_text(const struct topic_config *config, const char *name);

#endif
