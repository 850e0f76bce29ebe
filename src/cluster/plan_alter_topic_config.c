/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_alter_topic_config.c -- checks alterations of a topic's configs and writes the record with
 * the values they come to.
 *
 * Alterations are carried out on a copy of the configs; the record holds what differs.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/plan.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/topic_config_changed.h"

#include <string.h>

/* ---- Lists: texts with commas ---- */

static bool next_element(const char **rest, size_t *element_length, const char **element)
{
    if (*rest == NULL) {
        return false;
    }
    const char *comma = strchr(*rest, ',');
    *element = *rest;
    *element_length = comma == NULL ? strlen(*rest) : (size_t)(comma - *rest);
    *rest = comma == NULL ? NULL : comma + 1;
    return true;
}

static bool has_element(const char *list, const char *wanted, size_t wanted_length)
{
    const char *element;
    size_t length;
    while (next_element(&list, &length, &element)) {
        if (length == wanted_length && memcmp(element, wanted, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Appends the elements of from that are not in except.  list has room for both texts and a comma.
 */
static void add_elements(char *list, const char *from, const char *except)
{
    const char *element;
    size_t length;
    size_t end = strlen(list);
    while (next_element(&from, &length, &element)) {
        if (length > 0 && !has_element(except, element, length)) {
            if (end > 0) {
                list[end++] = ',';
            }
            memcpy(&list[end], element, length);
            end += length;
            list[end] = '\0';
        }
    }
}

/* present with operand's elements added or taken away, in new memory. */
static char *combine_lists(const char *present, const struct topic_config_entry *operand,
                           enum cluster_config_operation operation)
{
    size_t operand_length = (size_t)operand->value_length;
    char *operand_text = memory_allocate(operand_length + 1);
    if (operand_length > 0) {
        memcpy(operand_text, operand->value, operand_length);
    }
    operand_text[operand_length] = '\0';
    char *combined = memory_allocate_zeroed(strlen(present) + operand_length + 2);
    if (operation == CLUSTER_CONFIG_APPEND) {
        add_elements(combined, present, "");
        add_elements(combined, operand_text, present);
    } else {
        add_elements(combined, present, operand_text);
    }
    memory_free(operand_text);
    return combined;
}

/* ---- Alterations ---- */

static bool set_combined(struct topic_config *config,
                         const struct cluster_config_alteration *alteration,
                         struct cluster_problem *problem)
{
    const struct topic_config_row *row = plan_check_config(&alteration->entry, problem);
    if (row == NULL) {
        return false;
    }
    if (row->type != TOPIC_CONFIG_LIST) {
        plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG,
                    "config %s is no list to append to or subtract from", row->name);
        return false;
    }
    char *combined = combine_lists(topic_config_text(config, row->name), &alteration->entry,
                                   alteration->operation);
    struct topic_config_entry entry = {
        .name = row->name,
        .name_length = (int32_t)strlen(row->name),
        .value = combined,
        .value_length = (int32_t)strlen(combined),
    };
    bool good = plan_check_config(&entry, problem) != NULL;
    if (good) {
        topic_config_set(config, row, combined, (size_t)entry.value_length);
    }
    memory_free(combined);
    return good;
}

static bool alter(struct topic_config *config, const struct cluster_config_alteration *alteration,
                  struct cluster_problem *problem)
{
    const struct topic_config_row *row = NULL;
    switch (alteration->operation) {
    case CLUSTER_CONFIG_SET:
        row = plan_check_config(&alteration->entry, problem);
        if (row != NULL) {
            topic_config_set(config, row, alteration->entry.value,
                             (size_t)alteration->entry.value_length);
        }
        return row != NULL;
    case CLUSTER_CONFIG_DELETE:
        row = plan_find_config(&alteration->entry, problem);
        if (row != NULL) {
            topic_config_unset(config, row);
        }
        return row != NULL;
    case CLUSTER_CONFIG_APPEND:
    case CLUSTER_CONFIG_SUBTRACT:
        return set_combined(config, alteration, problem);
    }
    plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "there is no config operation %d",
                (int)alteration->operation);
    return false;
}

/* No config twice, and values where the operation takes one. */
static bool check_alterations(const struct cluster_config_alteration *alterations, size_t count,
                              struct cluster_problem *problem)
{
    uint64_t seen = 0;
    for (size_t i = 0; i < count; i++) {
        const struct topic_config_entry *entry = &alterations[i].entry;
        const struct topic_config_row *row = plan_find_config(entry, problem);
        if (row == NULL) {
            return false;
        }
        uint64_t bit = 1ull << (size_t)(row - topic_config_row(0));
        if ((seen & bit) != 0) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "config %s is given twice", row->name);
            return false;
        }
        seen |= bit;
        if (entry->value_length < 0 && alterations[i].operation != CLUSTER_CONFIG_DELETE) {
            plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "config %s has no value", row->name);
            return false;
        }
    }
    return true;
}

/* ---- The record ---- */

static bool differs(const char *before, const char *after)
{
    return before == NULL || after == NULL ? before != after : strcmp(before, after) != 0;
}

static void write_record(const struct cluster_topic *topic, const struct topic_config *altered,
                         struct wire_writer *writer)
{
    size_t rows = topic_config_row_count();
    struct topic_config_changed_record record = {
        .topic_id = topic->id,
        .changes = memory_allocate_zeroed(rows * sizeof record.changes[0]),
    };
    for (size_t i = 0; i < rows; i++) {
        const char *name = topic_config_row(i)->name;
        const char *after = topic_config_override(altered, name);
        if (differs(topic_config_override(&topic->config, name), after)) {
            record.changes[record.changes_count].name = cluster_record_string(name);
            record.changes[record.changes_count].value = cluster_record_string(after);
            record.changes_count++;
        }
    }
    cluster_record_begin(writer, CLUSTER_RECORD_TOPIC_CONFIG_CHANGED);
    topic_config_changed_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    memory_free(record.changes);
}

void cluster_plan_alter_topic_config(const struct cluster_metadata *metadata, const struct uuid *id,
                                     const struct cluster_config_alteration *alterations,
                                     size_t alteration_count, bool replace,
                                     struct wire_writer *record, struct cluster_problem *problem)
{
    const struct cluster_topic *topic = cluster_topic_find_id(metadata, id);
    if (topic == NULL) {
        plan_refuse(problem, WIRE_ERROR_UNKNOWN_TOPIC_ID, "there is no topic with this id");
        return;
    }
    struct topic_config altered = {0};
    if (!replace) {
        topic_config_copy(&altered, &topic->config);
    }
    bool good = check_alterations(alterations, alteration_count, problem);
    for (size_t i = 0; i < alteration_count && good; i++) {
        good = alter(&altered, &alterations[i], problem);
    }
    if (good) {
        write_record(topic, &altered, record);
        plan_accept(problem);
    }
    topic_config_clear(&altered);
}
