/* SPDX-License-Identifier: Apache-2.0
 *
 * config_table.h -- the broker's config keys: one row each with name, type, unit, default, range
 * and text.
 *
 * The parser of config files and flags (src/cli), --help, docs/CONFIG.md and DescribeConfigs derive
 * from this table; the struct it fills is broker/config.h.
 *
 * Locality: main thread while filling; the table itself is constant.
 */
#ifndef BROKER_CONFIG_TABLE_H
#define BROKER_CONFIG_TABLE_H

#include "broker/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_BOOLEAN, /* true, false */
    CONFIG_UINT,    /* a number in [least, most]; the unit stands in the name */
    CONFIG_TEXT,
    CONFIG_ADDRESS,     /* host:port, [ipv6]:port */
    CONFIG_TEXT_LIST,   /* a sequence, or texts separated by commas */
    CONFIG_MEMBER_LIST, /* id@host:port, likewise */
};

struct config_row {
    const char *name;
    enum config_type type;
    const char *default_text; /* what --help shows; lists: "" is the empty list */
    uint64_t least;           /* UINT */
    uint64_t most;
    const char
        *kafka_name;  /* the Kafka broker config that says the same, "" none: for DescribeConfigs */
    const char *text; /* one sentence */
    size_t offset;    /* in struct broker_config */
    size_t second_offset; /* ADDRESS: the port; lists: the count */
    size_t width_bytes;   /* UINT: of the field */
};

size_t config_row_count(void);
const struct config_row *config_row_at(size_t position);
/* NULL: no such key. */
const struct config_row *config_row_find(const char *name);

/* All defaults.  The texts in config are owned by it, freed by broker_config_free(). */
void broker_config_init(struct broker_config *config);
void broker_config_free(struct broker_config *config);

/* Sets one value from text; false with what is wrong and what is allowed in error. */
bool broker_config_set(struct broker_config *config, const struct config_row *row, const char *text,
                       char *error, size_t error_size);
/* What holds between keys (a non-loopback listener needs TLS, this broker is known, ...); fills
 * what is derived (advertised addresses).  False with a sentence in error. */
bool broker_config_finish(struct broker_config *config, char *error, size_t error_size);
/* The value in force as text, cut to size; returns text. */
char *broker_config_format(const struct broker_config *config, const struct config_row *row,
                           char *text, size_t size);
/* "a number from 1 to 16", "true or false", ...: returns text. */
char *config_row_allowed(const struct config_row *row, char *text, size_t size);

#endif
