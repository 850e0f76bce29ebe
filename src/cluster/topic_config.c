/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_config.c -- looking configs up, checking values, and keeping one topic's overrides.
 *
 * What configs there are stands in topic_config_table.c.
 *
 * Locality: the owner of the struct.
 */
#include "cluster/topic_config.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The longest number text that is looked at; longer ones are no number. */
#define NUMBER_BYTES_MAX 32

static int compare_name(const char *name, size_t length, const struct topic_config_row *row)
{
    size_t row_length = strlen(row->name);
    size_t common_length = length < row_length ? length : row_length;
    int order = common_length == 0 ? 0 : memcmp(name, row->name, common_length);
    if (order != 0) {
        return order;
    }
    return length < row_length ? -1 : length > row_length ? 1 : 0;
}

const struct topic_config_row *topic_config_find(const char *name, size_t length)
{
    size_t low = 0;
    size_t high = topic_config_row_count();
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct topic_config_row *row = topic_config_row(middle);
        int order = compare_name(name, length, row);
        if (order == 0) {
            return row;
        }
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

/* ---- Checks ---- */

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

/* Numbers, booleans and list elements may have blanks around them. */
static void trim(const char **value, size_t *length)
{
    while (*length > 0 && is_blank((*value)[0])) {
        (*value)++;
        (*length)--;
    }
    while (*length > 0 && is_blank((*value)[*length - 1])) {
        (*length)--;
    }
}

/* As the C library wants it, which would take more than the characters given here. */
static bool copy_number(const char *value, size_t length, const char *characters,
                        char text[NUMBER_BYTES_MAX])
{
    trim(&value, &length);
    if (length == 0 || length >= NUMBER_BYTES_MAX) {
        return false;
    }
    memcpy(text, value, length);
    text[length] = '\0';
    return strspn(text, characters) == length;
}

static bool parse_whole_number(const char *value, size_t length, int64_t *number)
{
    char text[NUMBER_BYTES_MAX];
    if (!copy_number(value, length, "+-0123456789", text)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    long long parsed = strtoll(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return false;
    }
    *number = parsed;
    return true;
}

static bool parse_decimal(const char *value, size_t length, double *number)
{
    char text[NUMBER_BYTES_MAX];
    if (!copy_number(value, length, "+-.eE0123456789", text)) {
        return false;
    }
    char *end = NULL;
    errno = 0;
    *number = strtod(text, &end);
    return errno == 0 && *end == '\0';
}

static bool word_is(const char *word, size_t length, const char *text)
{
    return strlen(text) == length && strncasecmp(word, text, length) == 0;
}

static bool parse_boolean(const char *value, size_t length, bool *truth)
{
    trim(&value, &length);
    *truth = word_is(value, length, "true");
    return *truth || word_is(value, length, "false");
}

/* Takes the first element of a comma-separated text; false at the end. */
static bool next_element(const char **rest, size_t *rest_length, const char **element,
                         size_t *element_length)
{
    if (*rest == NULL) {
        return false;
    }
    const char *comma = memchr(*rest, ',', *rest_length);
    *element = *rest;
    *element_length = comma == NULL ? *rest_length : (size_t)(comma - *rest);
    if (comma == NULL) {
        *rest = NULL;
        *rest_length = 0;
    } else {
        *rest_length -= *element_length + 1;
        *rest = comma + 1;
    }
    return true;
}

static bool is_allowed(const char *allowed, const char *word, size_t word_length)
{
    const char *element;
    size_t element_length;
    size_t allowed_length = strlen(allowed);
    while (next_element(&allowed, &allowed_length, &element, &element_length)) {
        if (element_length == word_length && memcmp(element, word, word_length) == 0) {
            return true;
        }
    }
    return false;
}

static const char *check_whole_number(const struct topic_config_row *row, const char *value,
                                      size_t length, char *message, size_t message_size)
{
    int64_t number = 0;
    if (!parse_whole_number(value, length, &number)) {
        snprintf(message, message_size, "is not a whole number");
        return message;
    }
    /* A LONG's bounds are its type's unless the row is narrower; an INT row always is. */
    if (number < row->least || number > row->most ||
        (row->type == TOPIC_CONFIG_INT && (number < INT32_MIN || number > INT32_MAX))) {
        snprintf(message, message_size, "is outside of %lld to %lld", (long long)row->least,
                 (long long)row->most);
        return message;
    }
    return NULL;
}

static const char *check_decimal(const struct topic_config_row *row, const char *value,
                                 size_t length, char *message, size_t message_size)
{
    double number = 0;
    if (!parse_decimal(value, length, &number)) {
        snprintf(message, message_size, "is not a number");
        return message;
    }
    if (!(number >= (double)row->least && number <= (double)row->most)) {
        snprintf(message, message_size, "is outside of %lld to %lld", (long long)row->least,
                 (long long)row->most);
        return message;
    }
    return NULL;
}

static const char *check_list(const struct topic_config_row *row, const char *value, size_t length,
                              char *message, size_t message_size)
{
    if (row->allowed[0] == '\0') {
        return NULL;
    }
    const char *element;
    size_t element_length;
    while (next_element(&value, &length, &element, &element_length)) {
        trim(&element, &element_length);
        if (!is_allowed(row->allowed, element, element_length)) {
            snprintf(message, message_size, "has an element that is none of %s", row->allowed);
            return message;
        }
    }
    return NULL;
}

const char *topic_config_check(const struct topic_config_row *row, const char *value, size_t length,
                               char *message, size_t message_size)
{
    require(row != NULL && message_size > 0);
    if (length == 0) {
        value = ""; /* an empty string from outside may have no data */
    }
    if (length > TOPIC_CONFIG_VALUE_BYTES_MAX || memchr(value, '\0', length) != NULL) {
        snprintf(message, message_size, "is longer than %d bytes or holds a zero byte",
                 TOPIC_CONFIG_VALUE_BYTES_MAX);
        return message;
    }
    bool truth;
    switch (row->type) {
    case TOPIC_CONFIG_BOOLEAN:
        if (!parse_boolean(value, length, &truth)) {
            snprintf(message, message_size, "is neither true nor false");
            return message;
        }
        return NULL;
    case TOPIC_CONFIG_INT:
    case TOPIC_CONFIG_LONG:
        return check_whole_number(row, value, length, message, message_size);
    case TOPIC_CONFIG_DOUBLE:
        return check_decimal(row, value, length, message, message_size);
    case TOPIC_CONFIG_STRING:
        if (row->allowed[0] != '\0' && !is_allowed(row->allowed, value, length)) {
            snprintf(message, message_size, "is none of %s", row->allowed);
            return message;
        }
        return NULL;
    case TOPIC_CONFIG_LIST:
        return check_list(row, value, length, message, message_size);
    }
    unreachable_code();
    return NULL;
}

/* ---- One topic's overrides ---- */

/* Where the row's override stands, or would. */
static size_t override_position(const struct topic_config *config,
                                const struct topic_config_row *row)
{
    size_t position = 0;
    while (position < config->count && config->overrides[position].row != row &&
           strcmp(config->overrides[position].row->name, row->name) < 0) {
        position++;
    }
    return position;
}

static bool has_override(const struct topic_config *config, size_t position,
                         const struct topic_config_row *row)
{
    return position < config->count && config->overrides[position].row == row;
}

void topic_config_set(struct topic_config *config, const struct topic_config_row *row,
                      const char *value, size_t length)
{
    require(row != NULL && length <= TOPIC_CONFIG_VALUE_BYTES_MAX);
    char *copy = memory_allocate(length + 1);
    if (length > 0) {
        memcpy(copy, value, length);
    }
    copy[length] = '\0';
    size_t position = override_position(config, row);
    if (has_override(config, position, row)) {
        memory_free(config->overrides[position].value);
        config->overrides[position].value = copy;
        return;
    }
    config->overrides =
        memory_reallocate(config->overrides, (config->count + 1) * sizeof config->overrides[0]);
    memmove(&config->overrides[position + 1], &config->overrides[position],
            (config->count - position) * sizeof config->overrides[0]);
    config->overrides[position] = (struct topic_config_override){.row = row, .value = copy};
    config->count++;
}

void topic_config_unset(struct topic_config *config, const struct topic_config_row *row)
{
    size_t position = override_position(config, row);
    if (!has_override(config, position, row)) {
        return;
    }
    memory_free(config->overrides[position].value);
    config->count--;
    memmove(&config->overrides[position], &config->overrides[position + 1],
            (config->count - position) * sizeof config->overrides[0]);
}

void topic_config_add(struct topic_config *to, const struct topic_config *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct topic_config_override *override = &from->overrides[i];
        topic_config_set(to, override->row, override->value, strlen(override->value));
    }
}

void topic_config_copy(struct topic_config *to, const struct topic_config *from)
{
    *to = (struct topic_config){0};
    topic_config_add(to, from);
}

void topic_config_clear(struct topic_config *config)
{
    for (size_t i = 0; i < config->count; i++) {
        memory_free(config->overrides[i].value);
    }
    memory_free(config->overrides);
    *config = (struct topic_config){0};
}

/* ---- Values ---- */

static const struct topic_config_row *known_row(const char *name)
{
    const struct topic_config_row *row = topic_config_find(name, strlen(name));
    require(row != NULL);
    return row;
}

static const char *effective(const struct topic_config *config, const struct topic_config_row *row)
{
    size_t position = override_position(config, row);
    return has_override(config, position, row) ? config->overrides[position].value
                                               : row->default_text;
}

const char *topic_config_override_of(const struct topic_config *config,
                                     const struct topic_config_row *row)
{
    size_t position = override_position(config, row);
    return has_override(config, position, row) ? config->overrides[position].value : NULL;
}

const char *topic_config_override(const struct topic_config *config, const char *name)
{
    return topic_config_override_of(config, known_row(name));
}

int64_t topic_config_number(const struct topic_config *config, const char *name)
{
    const struct topic_config_row *row = known_row(name);
    require(row->type == TOPIC_CONFIG_INT || row->type == TOPIC_CONFIG_LONG);
    const char *text = effective(config, row);
    int64_t number = 0;
    bool parsed = parse_whole_number(text, strlen(text), &number);
    ensure(parsed);
    return number;
}

bool topic_config_boolean(const struct topic_config *config, const char *name)
{
    const struct topic_config_row *row = known_row(name);
    require(row->type == TOPIC_CONFIG_BOOLEAN);
    const char *text = effective(config, row);
    bool truth = false;
    bool parsed = parse_boolean(text, strlen(text), &truth);
    ensure(parsed);
    return truth;
}

const char *topic_config_text(const struct topic_config *config, const char *name)
{
    return effective(config, known_row(name));
}
