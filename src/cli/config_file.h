/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file.h -- a broker config file (YAML: one mapping of the keys in broker/config_table.h).
 *
 * Locality: main thread.
 */
#ifndef CLI_CONFIG_FILE_H
#define CLI_CONFIG_FILE_H

#include "broker/config.h"

#include <stdbool.h>
#include <stddef.h>

/* Sets what the file says on top of what config holds.  False with "file:line: what is wrong, what
 * is allowed" in error. */
bool config_file_read(struct broker_config *config, const char *path, char *error,
                      size_t error_size);

#endif
