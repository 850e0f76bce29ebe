/* SPDX-License-Identifier: Apache-2.0
 *
 * config_file.c -- reads the YAML mapping with libyaml and hands every value to the config table.
 *
 * libyaml keeps the line of every node, so each refusal can name it.
 */
#include "cli/config_file.h"

#include "broker/config_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#define LIST_TEXT_BYTES_MAX 4096

struct reader {
    struct broker_config *config;
    const char *path;
    yaml_document_t *document;
    char *error;
    size_t error_size;
};

static bool refuse(struct reader *reader, const yaml_node_t *node, const char *what)
{
    snprintf(reader->error, reader->error_size, "%s:%zu: %s", reader->path,
             node->start_mark.line + 1, what);
    return false;
}

static bool refuse_unknown_key(struct reader *reader, const yaml_node_t *node, const char *key)
{
    int used =
        snprintf(reader->error, reader->error_size, "%s:%zu: unknown key '%.60s'; allowed are",
                 reader->path, node->start_mark.line + 1, key);
    for (size_t i = 0; i < config_row_count() && used > 0 && (size_t)used < reader->error_size;
         i++) {
        used += snprintf(reader->error + used, reader->error_size - (size_t)used, "%s %s",
                         i == 0 ? "" : ",", config_row_at(i)->name);
    }
    return false;
}

/* The items of a sequence as one text with commas between. */
static bool join_sequence(struct reader *reader, const yaml_node_t *node, char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    for (yaml_node_item_t *item = node->data.sequence.items.start;
         item < node->data.sequence.items.top; item++) {
        const yaml_node_t *value = yaml_document_get_node(reader->document, *item);
        if (value->type != YAML_SCALAR_NODE ||
            strchr((const char *)value->data.scalar.value, ',') != NULL) {
            return refuse(reader, value, "a list takes plain values without commas");
        }
        int written = snprintf(text + used, size - used, "%s%s", used == 0 ? "" : ",",
                               (const char *)value->data.scalar.value);
        used += (size_t)written;
        if (used >= size) {
            return refuse(reader, value, "the list is too long");
        }
    }
    return true;
}

static bool read_pair(struct reader *reader, const yaml_node_t *key, const yaml_node_t *value)
{
    if (key->type != YAML_SCALAR_NODE) {
        return refuse(reader, key, "a key must be a plain word");
    }
    const struct config_row *row = config_row_find((const char *)key->data.scalar.value);
    if (row == NULL) {
        return refuse_unknown_key(reader, key, (const char *)key->data.scalar.value);
    }
    char text[LIST_TEXT_BYTES_MAX];
    char message[512];
    bool is_list = row->type == CONFIG_TEXT_LIST || row->type == CONFIG_MEMBER_LIST;
    if (value->type == YAML_SEQUENCE_NODE && is_list) {
        if (!join_sequence(reader, value, text, sizeof text)) {
            return false;
        }
    } else if (value->type == YAML_SCALAR_NODE) {
        if (strlen((const char *)value->data.scalar.value) != value->data.scalar.length ||
            value->data.scalar.length >= sizeof text) {
            return refuse(reader, value, "the value is too long or holds a zero byte");
        }
        memcpy(text, value->data.scalar.value, value->data.scalar.length + 1);
    } else {
        char allowed[96];
        snprintf(message, sizeof message, "%s takes %s", row->name,
                 config_row_allowed(row, allowed, sizeof allowed));
        return refuse(reader, value, message);
    }
    if (!broker_config_set(reader->config, row, text, message, sizeof message)) {
        return refuse(reader, value, message);
    }
    return true;
}

static bool read_mapping(struct reader *reader, const yaml_node_t *root)
{
    if (root->type != YAML_MAPPING_NODE) {
        return refuse(reader, root, "the file must be one mapping of 'key: value' lines");
    }
    for (yaml_node_pair_t *pair = root->data.mapping.pairs.start;
         pair < root->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(reader->document, pair->key);
        for (yaml_node_pair_t *other = root->data.mapping.pairs.start; other < pair; other++) {
            const yaml_node_t *other_key = yaml_document_get_node(reader->document, other->key);
            if (key->type == YAML_SCALAR_NODE && other_key->type == YAML_SCALAR_NODE &&
                strcmp((const char *)key->data.scalar.value,
                       (const char *)other_key->data.scalar.value) == 0) {
                return refuse(reader, key, "the key stands twice");
            }
        }
        if (!read_pair(reader, key, yaml_document_get_node(reader->document, pair->value))) {
            return false;
        }
    }
    return true;
}

static bool read_document(struct reader *reader, FILE *file)
{
    yaml_parser_t parser;
    yaml_document_t document;
    if (yaml_parser_initialize(&parser) == 0) {
        snprintf(reader->error, reader->error_size, "%s: out of memory", reader->path);
        return false;
    }
    yaml_parser_set_input_file(&parser, file);
    bool good = false;
    if (yaml_parser_load(&parser, &document) == 0) {
        snprintf(reader->error, reader->error_size, "%s:%zu: %s", reader->path,
                 parser.problem_mark.line + 1,
                 parser.problem != NULL ? parser.problem : "not YAML");
    } else {
        reader->document = &document;
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        good = root == NULL || read_mapping(reader, root); /* an empty file sets nothing */
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return good;
}

bool config_file_read(struct broker_config *config, const char *path, char *error,
                      size_t error_size)
{
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        snprintf(error, error_size, "%s: %s", path, strerror(errno));
        return false;
    }
    struct reader reader = {config, path, NULL, error, error_size};
    bool good = read_document(&reader, file);
    fclose(file);
    return good;
}
