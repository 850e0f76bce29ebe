/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_name.h -- the room's own view of topic names; the rule for good names is in the door
 * (cluster_topic_name_error).
 *
 * Locality: any.
 */
#ifndef CLUSTER_TOPIC_NAME_H
#define CLUSTER_TOPIC_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Writes the form that is equal for names which collide ('.' and '_' made one), terminated.
 * likeness: at least length + 1 bytes. */
void topic_name_likeness(const char *name, size_t length, char *likeness);

/* The topics the broker writes itself and clients only read. */
bool topic_name_is_internal(const char *name, size_t length);

#endif
