/* SPDX-License-Identifier: Apache-2.0
 *
 * admin.h -- the broker's HTTP door for people and machines that watch it: /metrics (Prometheus
 * text), /healthz, /readyz, and /v1/... (JSON) which the command-line tool reads.
 *
 * Served by libmicrohttpd on a thread of its own.  Numbers are read from counters; what only a
 * shard may look at (its groups) is asked of it by a message and waited for, at most a second.
 *
 * Locality: started and stopped by the main thread.
 */
#ifndef ADMIN_ADMIN_H
#define ADMIN_ADMIN_H

#include "broker/broker.h"

#include <stddef.h>

struct admin;

/* NULL with a message that names address and cause in error. */
struct admin *admin_start(struct broker *broker, const struct broker_config *config, char *error,
                          size_t error_size);
/* Accepts NULL. */
void admin_stop(struct admin *admin);

#endif
