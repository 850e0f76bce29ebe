/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_name.c -- what a topic may be called, and which names are too much alike.
 *
 * Names go into metrics where '.' and '_' become the same character, so two topics whose names
 * differ in nothing else may not stand side by side.
 *
 * Locality: any.
 */
#include "cluster/topic_name.h"
#include "cluster/cluster.h"

#include "base/assert.h"

#include <string.h>

static bool is_name_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

const char *cluster_topic_name_error(const char *name, size_t length)
{
    if (length == 0) {
        return "the topic name is empty";
    }
    if (length > CLUSTER_TOPIC_NAME_BYTES_MAX) {
        return "the topic name is longer than 249 characters";
    }
    if ((length == 1 && name[0] == '.') || (length == 2 && memcmp(name, "..", 2) == 0)) {
        return "'.' and '..' are no topic names";
    }
    for (size_t i = 0; i < length; i++) {
        if (!is_name_byte(name[i])) {
            return "a topic name has only letters, digits, '.', '_' and '-'";
        }
    }
    return NULL;
}

void topic_name_likeness(const char *name, size_t length, char *likeness)
{
    require(length <= CLUSTER_TOPIC_NAME_BYTES_MAX);
    for (size_t i = 0; i < length; i++) {
        likeness[i] = name[i] == '.' ? '_' : name[i];
    }
    likeness[length] = '\0';
}

bool topic_name_is_internal(const char *name, size_t length)
{
    static const char *const internal[] = {"__consumer_offsets", "__transaction_state"};
    for (size_t i = 0; i < sizeof internal / sizeof internal[0]; i++) {
        if (strlen(internal[i]) == length && memcmp(name, internal[i], length) == 0) {
            return true;
        }
    }
    return false;
}
