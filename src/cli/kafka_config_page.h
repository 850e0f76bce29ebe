/* SPDX-License-Identifier: Apache-2.0
 *
 * kafka_config_page.h -- the page that tells which of Kafka's configs Flotilla honours.
 *
 * Locality: main thread.
 */
#ifndef CLI_KAFKA_CONFIG_PAGE_H
#define CLI_KAFKA_CONFIG_PAGE_H

#include <stdio.h>

/* Markdown, worked out from the tables of configs; docs/KAFKA_CONFIGS.md is this output. */
void kafka_config_page_print(FILE *out);

#endif
