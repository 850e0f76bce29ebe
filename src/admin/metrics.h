/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.h -- the broker's metrics in Prometheus' text format: one table of names, kinds and
 * texts.
 *
 * Locality: any thread; reads counters only.
 */
#ifndef ADMIN_METRICS_H
#define ADMIN_METRICS_H

#include "broker/broker.h"

#include <stddef.h>

/* All metrics as text in memory of the C heap (for libmicrohttpd, which frees it); *length without
 * the final 0. */
char *metrics_format(struct broker *broker, size_t *length);

#endif
