/* SPDX-License-Identifier: Apache-2.0
 *
 * command_group.c -- flotilla group list, describe, delete, reset-offsets.
 */
#include "cli/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What an operation works with: a client, a queue for its result, and the time it has. */
struct operation {
    const struct tool_options *options;
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *admin;
};

static bool begin(struct operation *operation, const struct tool_options *options,
                  rd_kafka_admin_op_t kind)
{
    operation->options = options;
    operation->client = tool_client(options, RD_KAFKA_PRODUCER, NULL, NULL);
    if (operation->client == NULL) {
        return false;
    }
    operation->queue = rd_kafka_queue_new(operation->client);
    operation->admin = tool_admin_options(operation->client, kind, options);
    return true;
}

static void end(struct operation *operation)
{
    rd_kafka_AdminOptions_destroy(operation->admin);
    rd_kafka_queue_destroy(operation->queue);
    rd_kafka_destroy(operation->client);
}

/* The result, or NULL after a message. */
static rd_kafka_event_t *result_of(struct operation *operation)
{
    rd_kafka_event_t *event = tool_wait_for_result(operation->queue, operation->options);
    if (event == NULL) {
        tool_fail("no answer from the cluster (%s)", operation->options->brokers);
        return NULL;
    }
    if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tool_fail("%s", rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

/* The one result of an operation on one group; NULL after a message. */
static const rd_kafka_group_result_t *only(const rd_kafka_group_result_t **results, size_t count,
                                           const char *name)
{
    const rd_kafka_error_t *error = count == 1 ? rd_kafka_group_result_error(results[0]) : NULL;
    if (count != 1 || error != NULL) {
        tool_fail("%s: %s", name, error != NULL ? rd_kafka_error_string(error) : "no answer");
        return NULL;
    }
    return results[0];
}

/* ---- list ---- */

static int print_list(const struct operation *operation, rd_kafka_event_t *event)
{
    size_t count = 0;
    const rd_kafka_ListConsumerGroups_result_t *result =
        rd_kafka_event_ListConsumerGroups_result(event);
    const rd_kafka_ConsumerGroupListing_t **groups =
        rd_kafka_ListConsumerGroups_result_valid(result, &count);
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++) {
        const char *name = rd_kafka_ConsumerGroupListing_group_id(groups[i]);
        const char *state =
            rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(groups[i]));
        if (operation->options->json) {
            json_array_append_new(rows, json_pack("{ss ss}", "group", name, "state", state));
        } else {
            printf("%-20s %s\n", state, name);
        }
    }
    if (operation->options->json) {
        tool_print_json(rows);
    } else {
        json_decref(rows);
    }
    const rd_kafka_error_t **errors = rd_kafka_ListConsumerGroups_result_errors(result, &count);
    for (size_t i = 0; i < count; i++) {
        tool_fail("the list lacks a broker's groups: %s", rd_kafka_error_string(errors[i]));
    }
    return count > 0 ? TOOL_FAILED : TOOL_DONE;
}

int command_group_list(const struct tool_options *options)
{
    struct operation operation;
    if (!tool_check_options(options, "", "", 0)) {
        return TOOL_USAGE;
    }
    if (!begin(&operation, options, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS)) {
        return TOOL_FAILED;
    }
    rd_kafka_ListConsumerGroups(operation.client, operation.admin, operation.queue);
    rd_kafka_event_t *event = result_of(&operation);
    int status = TOOL_FAILED;
    if (event != NULL) {
        status = print_list(&operation, event);
        rd_kafka_event_destroy(event);
    }
    end(&operation);
    return status;
}

/* ---- describe ---- */

static json_t *describe_partition(struct operation *operation,
                                  const rd_kafka_topic_partition_t *committed)
{
    int64_t first = 0;
    int64_t last = 0;
    bool knows_end = rd_kafka_query_watermark_offsets(
                         operation->client, committed->topic, committed->partition, &first, &last,
                         operation->options->timeout_ms) == RD_KAFKA_RESP_ERR_NO_ERROR;
    json_t *row = json_pack("{ss si sI}", "topic", committed->topic, "partition",
                            committed->partition, "offset", (json_int_t)committed->offset);
    json_object_set_new(row, "end", knows_end ? json_integer(last) : json_null());
    /* What was deleted is not read any more, so it is not behind. */
    int64_t next = committed->offset > first ? committed->offset : first;
    json_object_set_new(row, "lag",
                        knows_end && committed->offset >= 0
                            ? json_integer(last > next ? last - next : 0)
                            : json_null());
    return row;
}

/* What the group committed; NULL after a message. */
static json_t *describe_offsets(struct operation *operation, const char *name)
{
    rd_kafka_AdminOptions_t *admin = tool_admin_options(
        operation->client, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, operation->options);
    rd_kafka_ListConsumerGroupOffsets_t *request =
        rd_kafka_ListConsumerGroupOffsets_new(name, NULL);
    rd_kafka_ListConsumerGroupOffsets(operation->client, &request, 1, admin, operation->queue);
    rd_kafka_event_t *event = result_of(operation);
    json_t *rows = NULL;
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_group_result_t **results = rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
        const rd_kafka_group_result_t *result = only(results, count, name);
        const rd_kafka_topic_partition_list_t *offsets =
            result != NULL ? rd_kafka_group_result_partitions(result) : NULL;
        rows = result != NULL ? json_array() : NULL;
        for (int i = 0; offsets != NULL && i < offsets->cnt; i++) {
            json_array_append_new(rows, describe_partition(operation, &offsets->elems[i]));
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_AdminOptions_destroy(admin);
    return rows;
}

static json_t *describe_member(const rd_kafka_MemberDescription_t *member)
{
    const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(member);
    const rd_kafka_topic_partition_list_t *partitions =
        assignment != NULL ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
    json_t *assigned = json_array();
    for (int i = 0; partitions != NULL && i < partitions->cnt; i++) {
        json_array_append_new(assigned, json_pack("{ss si}", "topic", partitions->elems[i].topic,
                                                  "partition", partitions->elems[i].partition));
    }
    return json_pack("{ss ss ss so}", "member", rd_kafka_MemberDescription_consumer_id(member),
                     "client", rd_kafka_MemberDescription_client_id(member), "host",
                     rd_kafka_MemberDescription_host(member), "assigned", assigned);
}

static json_t *describe_group(const rd_kafka_ConsumerGroupDescription_t *group, const char *name)
{
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(group);
    if (error != NULL) {
        tool_fail("%s: %s", name, rd_kafka_error_string(error));
        return NULL;
    }
    json_t *members = json_array();
    for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(group); i++) {
        json_array_append_new(members,
                              describe_member(rd_kafka_ConsumerGroupDescription_member(group, i)));
    }
    const rd_kafka_Node_t *node = rd_kafka_ConsumerGroupDescription_coordinator(group);
    return json_pack(
        "{ss ss si so}", "group", name, "state",
        rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(group)),
        "coordinator", node != NULL ? rd_kafka_Node_id(node) : -1, "members", members);
}

static void print_number(const json_t *row, const char *name)
{
    const json_t *number = json_object_get(row, name);
    if (json_is_integer(number) && json_integer_value(number) >= 0) {
        printf(" %12lld", (long long)json_integer_value(number));
    } else {
        printf(" %12s", "-");
    }
}

static void print_description(const json_t *document)
{
    size_t position;
    size_t inner;
    const json_t *row;
    const json_t *assigned;
    printf("%s: %s, coordinated by broker %lld\n",
           json_string_value(json_object_get(document, "group")),
           json_string_value(json_object_get(document, "state")),
           (long long)json_integer_value(json_object_get(document, "coordinator")));
    json_array_foreach(json_object_get(document, "members"), position, row)
    {
        printf("  member %s at %s:", json_string_value(json_object_get(row, "member")),
               json_string_value(json_object_get(row, "host")));
        json_array_foreach(json_object_get(row, "assigned"), inner, assigned)
        {
            printf(" %s-%lld", json_string_value(json_object_get(assigned, "topic")),
                   (long long)json_integer_value(json_object_get(assigned, "partition")));
        }
        printf("\n");
    }
    printf("  %-30s %9s %12s %12s %12s\n", "topic", "partition", "offset", "end", "lag");
    json_array_foreach(json_object_get(document, "offsets"), position, row)
    {
        printf("  %-30s %9lld", json_string_value(json_object_get(row, "topic")),
               (long long)json_integer_value(json_object_get(row, "partition")));
        print_number(row, "offset");
        print_number(row, "end");
        print_number(row, "lag");
        printf("\n");
    }
}

/* NULL after a message. */
static json_t *describe(struct operation *operation, const char *name)
{
    rd_kafka_DescribeConsumerGroups(operation->client, &name, 1, operation->admin,
                                    operation->queue);
    rd_kafka_event_t *event = result_of(operation);
    if (event == NULL) {
        return NULL;
    }
    size_t count = 0;
    const rd_kafka_ConsumerGroupDescription_t **groups =
        rd_kafka_DescribeConsumerGroups_result_groups(
            rd_kafka_event_DescribeConsumerGroups_result(event), &count);
    json_t *document = count == 1 ? describe_group(groups[0], name) : NULL;
    json_t *offsets = document != NULL ? describe_offsets(operation, name) : NULL;
    if (offsets != NULL) {
        json_object_set_new(document, "offsets", offsets);
    } else {
        json_decref(document);
        document = NULL;
    }
    rd_kafka_event_destroy(event);
    return document;
}

int command_group_describe(const struct tool_options *options)
{
    struct operation operation;
    if (!tool_check_options(options, "", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    if (name == NULL) {
        return tool_usage("group describe needs a group");
    }
    if (!begin(&operation, options, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS)) {
        return TOOL_FAILED;
    }
    json_t *document = describe(&operation, name);
    int status = document != NULL ? TOOL_DONE : TOOL_FAILED;
    if (document != NULL && options->json) {
        tool_print_json(document);
    } else if (document != NULL) {
        print_description(document);
        json_decref(document);
    }
    end(&operation);
    return status;
}

/* ---- delete ---- */

int command_group_delete(const struct tool_options *options)
{
    struct operation operation;
    if (!tool_check_options(options, "", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    if (name == NULL) {
        return tool_usage("group delete needs a group");
    }
    if (!begin(&operation, options, RD_KAFKA_ADMIN_OP_DELETEGROUPS)) {
        return TOOL_FAILED;
    }
    rd_kafka_DeleteGroup_t *deletion = rd_kafka_DeleteGroup_new(name);
    rd_kafka_DeleteGroups(operation.client, &deletion, 1, operation.admin, operation.queue);
    rd_kafka_event_t *event = result_of(&operation);
    int status = TOOL_FAILED;
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_group_result_t **results =
            rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event), &count);
        if (only(results, count, name) != NULL) {
            status = TOOL_DONE;
            if (options->json) {
                tool_print_json(json_pack("{ss ss}", "group", name, "result", "deleted"));
            } else {
                printf("deleted %s\n", name);
            }
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_DeleteGroup_destroy(deletion);
    end(&operation);
    return status;
}

/* ---- reset-offsets ---- */

/* Adds what the partition is set to; false after a message. */
static bool add_target(struct operation *operation, const char *topic, int32_t partition,
                       const char *to, rd_kafka_topic_partition_list_t *targets)
{
    int64_t first = 0;
    int64_t last = 0;
    int64_t offset = 0;
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(
        operation->client, topic, partition, &first, &last, operation->options->timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tool_fail("%s-%d: %s", topic, partition, rd_kafka_err2str(error));
        return false;
    }
    if (strcmp(to, "beginning") == 0) {
        offset = first;
    } else if (strcmp(to, "end") == 0) {
        offset = last;
    } else if (!tool_parse_number("--to", to, first, last, &offset)) {
        return false;
    }
    rd_kafka_topic_partition_list_add(targets, topic, partition)->offset = offset;
    return true;
}

/* All partitions of the topic, or one; false after a message. */
static bool add_targets(struct operation *operation, const char *topic, int64_t only_partition,
                        const char *to, rd_kafka_topic_partition_list_t *targets)
{
    rd_kafka_topic_t *handle = rd_kafka_topic_new(operation->client, topic, NULL);
    const rd_kafka_metadata_t *metadata = NULL;
    rd_kafka_resp_err_t error =
        rd_kafka_metadata(operation->client, 0, handle, &metadata, operation->options->timeout_ms);
    rd_kafka_topic_destroy(handle);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        error = metadata->topics[0].err;
    }
    bool is_good = error == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!is_good) {
        tool_fail("%s: %s", topic, rd_kafka_err2str(error));
    } else if (only_partition >= metadata->topics[0].partition_cnt) {
        tool_fail("there is no partition %lld; the topic has %d", (long long)only_partition,
                  metadata->topics[0].partition_cnt);
        is_good = false;
    }
    for (int i = 0; is_good && i < metadata->topics[0].partition_cnt; i++) {
        int32_t partition = metadata->topics[0].partitions[i].id;
        if (only_partition < 0 || only_partition == partition) {
            is_good = add_target(operation, topic, partition, to, targets);
        }
    }
    if (metadata != NULL) {
        rd_kafka_metadata_destroy(metadata);
    }
    return is_good;
}

static int print_reset(const struct tool_options *options, const char *name,
                       const rd_kafka_group_result_t *result)
{
    const rd_kafka_topic_partition_list_t *partitions = rd_kafka_group_result_partitions(result);
    int status = TOOL_DONE;
    for (int i = 0; i < partitions->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &partitions->elems[i];
        if (each->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            status =
                tool_fail("%s-%d: %s", each->topic, each->partition, rd_kafka_err2str(each->err));
        } else if (options->json) {
            tool_print_json(json_pack("{ss ss si sI}", "group", name, "topic", each->topic,
                                      "partition", each->partition, "offset",
                                      (json_int_t)each->offset));
        } else {
            printf("%s reads %s-%d from %lld\n", name, each->topic, each->partition,
                   (long long)each->offset);
        }
    }
    return status;
}

static int reset(struct operation *operation, const char *name,
                 const rd_kafka_topic_partition_list_t *targets)
{
    rd_kafka_AlterConsumerGroupOffsets_t *request =
        rd_kafka_AlterConsumerGroupOffsets_new(name, targets);
    rd_kafka_AlterConsumerGroupOffsets(operation->client, &request, 1, operation->admin,
                                       operation->queue);
    rd_kafka_event_t *event = result_of(operation);
    int status = TOOL_FAILED;
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_group_result_t **results = rd_kafka_AlterConsumerGroupOffsets_result_groups(
            rd_kafka_event_AlterConsumerGroupOffsets_result(event), &count);
        const rd_kafka_group_result_t *result = only(results, count, name);
        status = result != NULL ? print_reset(operation->options, name, result) : TOOL_FAILED;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AlterConsumerGroupOffsets_destroy(request);
    return status;
}

int command_group_reset_offsets(const struct tool_options *options)
{
    struct operation operation;
    if (!tool_check_options(options, "--topic --partition --to", "", 1)) {
        return TOOL_USAGE;
    }
    const char *name = tool_positional(options, 0, "");
    const char *topic = tool_take_option(options, "--topic");
    const char *to = tool_take_option(options, "--to");
    const char *partition_text = tool_take_option(options, "--partition");
    int64_t partition = -1;
    int64_t number = 0;
    if (name == NULL || topic == NULL || to == NULL) {
        return tool_usage("group reset-offsets needs a group, --topic and --to");
    }
    bool is_word = strcmp(to, "beginning") == 0 || strcmp(to, "end") == 0;
    if ((partition_text != NULL &&
         !tool_parse_number("--partition", partition_text, 0, INT32_MAX, &partition)) ||
        (!is_word && !tool_parse_number("--to", to, 0, INT64_MAX, &number))) {
        return TOOL_USAGE;
    }
    if (!begin(&operation, options, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS)) {
        return TOOL_FAILED;
    }
    rd_kafka_topic_partition_list_t *targets = rd_kafka_topic_partition_list_new(1);
    int status = TOOL_FAILED;
    if (add_targets(&operation, topic, partition, to, targets)) {
        status = reset(&operation, name, targets);
    }
    rd_kafka_topic_partition_list_destroy(targets);
    end(&operation);
    return status;
}
