/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_alter_config.c -- checks alterations of a topic's or a broker's configs and writes the
 * record with the values they come to.
 *
 * Alterations are carried out on a copy of the configs; the record holds what differs.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/dynamic_config.h"
#include "cluster/plan.h"
#include "cluster/record.h"

#include "base/assert.h"
#include "base/memory.h"
#include "wire/broker_config_changed.h"
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

/* Topics and brokers know a config under different names: the row of one, or NULL when refused. */
typedef const struct topic_config_row *(*find_row)(const struct topic_config_entry *entry,
                                                   struct cluster_problem *problem);

static const struct topic_config_row *find_broker_config(const struct topic_config_entry *entry,
                                                         struct cluster_problem *problem)
{
    char name[PLAN_QUOTE_BYTES];
    const struct topic_config_row *row =
        dynamic_config_find(entry->name, (size_t)entry->name_length);
    if (row == NULL) {
        plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG,
                    "there is no broker config %s that can be changed while brokers run",
                    plan_quote(name, entry->name, (size_t)entry->name_length));
    }
    return row;
}

/* Sets the row to what it has with the operand's elements added or taken away. */
static bool set_combined(struct topic_config *config, const struct topic_config_row *row,
                         const struct cluster_config_alteration *alteration,
                         struct cluster_problem *problem)
{
    if (row->type != TOPIC_CONFIG_LIST) {
        plan_refuse(problem, WIRE_ERROR_INVALID_CONFIG,
                    "config %.*s is no list to append to or subtract from",
                    alteration->entry.name_length, alteration->entry.name);
        return false;
    }
    const char *present = topic_config_override_of(config, row);
    char *combined = combine_lists(present != NULL ? present : row->default_text,
                                   &alteration->entry, alteration->operation);
    struct topic_config_entry entry = {
        .name = alteration->entry.name,
        .name_length = alteration->entry.name_length,
        .value = combined,
        .value_length = (int32_t)strlen(combined),
    };
    bool good = plan_check_value(row, &entry, problem);
    if (good) {
        topic_config_set(config, row, combined, (size_t)entry.value_length);
    }
    memory_free(combined);
    return good;
}

static bool alter(struct topic_config *config, const struct topic_config_row *row,
                  const struct cluster_config_alteration *alteration,
                  struct cluster_problem *problem)
{
    const struct topic_config_entry *entry = &alteration->entry;
    if (alteration->operation == CLUSTER_CONFIG_DELETE) {
        topic_config_unset(config, row);
        return true;
    }
    if (entry->value_length < 0) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "config %.*s has no value",
                    entry->name_length, entry->name);
        return false;
    }
    switch (alteration->operation) {
    case CLUSTER_CONFIG_SET:
        if (!plan_check_value(row, entry, problem)) {
            return false;
        }
        topic_config_set(config, row, entry->value, (size_t)entry->value_length);
        return true;
    case CLUSTER_CONFIG_APPEND:
    case CLUSTER_CONFIG_SUBTRACT:
        return plan_check_value(row, entry, problem) &&
               set_combined(config, row, alteration, problem);
    case CLUSTER_CONFIG_DELETE:
        break;
    }
    plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "there is no config operation %d",
                (int)alteration->operation);
    return false;
}

/* All of them, on configs that are dropped when one is refused. */
static bool alter_all(struct topic_config *config, find_row find,
                      const struct cluster_config_alteration *alterations, size_t count,
                      struct cluster_problem *problem)
{
    const struct topic_config_row *seen[TOPIC_CONFIG_ROWS_MAX]; /* none twice, so they fit */
    for (size_t i = 0; i < count; i++) {
        const struct topic_config_row *row = find(&alterations[i].entry, problem);
        if (row == NULL) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (seen[j] == row) {
                plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "config %.*s is given twice",
                            alterations[i].entry.name_length, alterations[i].entry.name);
                return false;
            }
        }
        ensure(i < TOPIC_CONFIG_ROWS_MAX);
        seen[i] = row;
        if (!alter(config, row, &alterations[i], problem)) {
            return false;
        }
    }
    return true;
}

/* ---- The records ---- */

static bool differs(const char *before, const char *after)
{
    return before == NULL || after == NULL ? before != after : strcmp(before, after) != 0;
}

static void write_topic_record(const struct cluster_topic *topic,
                               const struct topic_config *altered, struct wire_writer *writer)
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

/* What is not overridden any more, then what is. */
static void write_broker_record(uint32_t broker_id, const struct topic_config *before,
                                const struct topic_config *altered, struct wire_writer *writer)
{
    struct broker_config_changed_record record = {
        .broker_id = broker_id,
        .changes =
            memory_allocate_zeroed((before->count + altered->count) * sizeof record.changes[0]),
    };
    for (size_t i = 0; i < before->count; i++) {
        const struct topic_config_row *row = before->overrides[i].row;
        if (topic_config_override_of(altered, row) == NULL) {
            record.changes[record.changes_count].name = cluster_record_string(row->broker_name);
            record.changes[record.changes_count].value = cluster_record_string(NULL);
            record.changes_count++;
        }
    }
    for (size_t i = 0; i < altered->count; i++) {
        const struct topic_config_row *row = altered->overrides[i].row;
        record.changes[record.changes_count].name = cluster_record_string(row->broker_name);
        record.changes[record.changes_count].value =
            cluster_record_string(altered->overrides[i].value);
        record.changes_count++;
    }
    cluster_record_begin(writer, CLUSTER_RECORD_BROKER_CONFIG_CHANGED);
    broker_config_changed_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
    memory_free(record.changes);
}

/* ---- The plans ---- */

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
    if (alter_all(&altered, plan_find_config, alterations, alteration_count, problem)) {
        write_topic_record(topic, &altered, record);
        plan_accept(problem);
    }
    topic_config_clear(&altered);
}

void cluster_plan_alter_broker_config(const struct cluster_metadata *metadata, uint32_t broker_id,
                                      const struct cluster_config_alteration *alterations,
                                      size_t alteration_count, bool replace,
                                      struct wire_writer *record, struct cluster_problem *problem)
{
    if (broker_id != 0 && cluster_broker_find(metadata, broker_id) == NULL) {
        plan_refuse(problem, WIRE_ERROR_BROKER_ID_NOT_REGISTERED, "no broker %u is registered",
                    broker_id);
        return;
    }
    const struct topic_config *before = cluster_broker_config(metadata, broker_id);
    struct topic_config altered = {0};
    if (!replace) {
        topic_config_copy(&altered, before);
    }
    if (alter_all(&altered, find_broker_config, alterations, alteration_count, problem)) {
        write_broker_record(broker_id, before, &altered, record);
        plan_accept(problem);
    }
    topic_config_clear(&altered);
}
