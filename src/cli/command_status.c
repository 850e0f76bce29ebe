/* SPDX-License-Identifier: Apache-2.0
 *
 * command_status.c -- flotilla cluster status and flotilla raft status: what the brokers say of
 * themselves, put together.
 *
 * A broker that does not answer is shown as such; the answer of the others stands.
 */
#include "cli/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A status answers at once or not at all. */
#define STATUS_TIMEOUT_MS 5000

struct gathering {
    struct tool_options options;
    const char *path;
    json_t *answers;     /* array of documents */
    json_t *unreachable; /* array of sentences */
};

static void gather_one(const char *address, void *context)
{
    struct gathering *gathering = context;
    char error[256];
    json_t *document =
        tool_admin_get(&gathering->options, address, gathering->path, error, sizeof error);
    if (document != NULL) {
        json_array_append_new(gathering->answers, document);
    } else {
        json_array_append_new(gathering->unreachable, json_string(error));
    }
}

static struct gathering gather(const struct tool_options *options, const char *path)
{
    struct gathering gathering = {*options, path, json_array(), json_array()};
    if (gathering.options.timeout_ms > STATUS_TIMEOUT_MS) {
        gathering.options.timeout_ms = STATUS_TIMEOUT_MS;
    }
    tool_admin_each(options, gather_one, &gathering);
    return gathering;
}

static void release(struct gathering *gathering)
{
    json_decref(gathering->answers);
    json_decref(gathering->unreachable);
}

static long long number(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    const char *value = json_string_value(json_object_get(object, key));
    return value != NULL ? value : "";
}

static int report_unreachable(const struct gathering *gathering)
{
    size_t position;
    json_t *sentence;
    json_array_foreach(gathering->unreachable, position, sentence)
    {
        fprintf(stderr, "no answer from %s\n", json_string_value(sentence));
    }
    return json_array_size(gathering->answers) == 0
               ? tool_fail("no broker answered; is --admin right?")
               : TOOL_DONE;
}

static void print_cluster(const json_t *cluster)
{
    printf("cluster %s (%s)\ncontroller leader: ", text(cluster, "cluster"),
           text(cluster, "cluster_id"));
    if (number(cluster, "controller") == 0) {
        printf("none\n");
    } else {
        printf("broker %lld\n", number(cluster, "controller"));
    }
    printf("topics %lld, partitions %lld, without leader %lld\n", number(cluster, "topics"),
           number(cluster, "partitions"), number(cluster, "leaderless_partitions"));
    size_t position;
    json_t *broker;
    json_array_foreach(json_object_get(cluster, "brokers"), position, broker)
    {
        printf("  broker %lld  kafka %s  peers %s  %s%s  %s  replicas %lld  leaders %lld\n",
               number(broker, "id"), text(broker, "kafka"), text(broker, "peer"),
               json_is_true(json_object_get(broker, "live")) ? "live" : "DOWN",
               json_is_true(json_object_get(broker, "leaving")) ? " LEAVING" : "",
               json_is_true(json_object_get(broker, "controller_voter")) ? "controller"
                                                                         : "observer",
               number(broker, "replicas"), number(broker, "leaders"));
    }
}

/* The answer of the controller leader where it answered, else of whoever knows most. */
static const json_t *best_view(const json_t *answers)
{
    const json_t *best = NULL;
    size_t position;
    json_t *answer;
    json_array_foreach(answers, position, answer)
    {
        if (number(answer, "controller") != 0 &&
            number(answer, "controller") == number(answer, "broker")) {
            return answer;
        }
        if (best == NULL ||
            (number(best, "controller") == 0 && number(answer, "controller") != 0)) {
            best = answer;
        }
    }
    return best;
}

int command_cluster_status(const struct tool_options *options)
{
    if (!tool_check_options(options, "", "", 0)) {
        return TOOL_USAGE;
    }
    struct gathering gathering = gather(options, "/v1/cluster");
    int status = report_unreachable(&gathering);
    if (status == TOOL_DONE) {
        const json_t *view = best_view(gathering.answers);
        if (options->json) {
            tool_print_json(json_deep_copy(view));
        } else {
            print_cluster(view);
        }
    }
    release(&gathering);
    return status;
}

/* group id -> the replicas' own reports, in order of ids. */
static json_t *by_group(const json_t *answers)
{
    json_t *groups = json_object();
    size_t i;
    json_t *answer;
    json_array_foreach(answers, i, answer)
    {
        size_t j;
        json_t *report;
        json_array_foreach(json_object_get(answer, "groups"), j, report)
        {
            char key[24];
            snprintf(key, sizeof key, "%020lld", number(report, "group"));
            json_t *replicas = json_object_get(groups, key);
            if (replicas == NULL) {
                replicas = json_array();
                json_object_set_new(groups, key, replicas);
            }
            json_object_set_new(report, "broker", json_integer(number(answer, "broker")));
            json_array_append(replicas, report);
        }
    }
    return groups;
}

/* The leader's report of the highest term, or NULL. */
static const json_t *leader_report(const json_t *replicas)
{
    const json_t *leader = NULL;
    size_t position;
    json_t *report;
    json_array_foreach(replicas, position, report)
    {
        if (strcmp(text(report, "role"), "leader") == 0 &&
            (leader == NULL || number(report, "term") > number(leader, "term"))) {
            leader = report;
        }
    }
    return leader;
}

static long long lag_of(const json_t *leader, long long broker)
{
    size_t position;
    json_t *member;
    json_array_foreach(json_object_get(leader, "members"), position, member)
    {
        if (number(member, "broker") == broker) {
            return number(member, "lag");
        }
    }
    return -1;
}

static json_t *describe_group(const json_t *replicas)
{
    const json_t *leader = leader_report(replicas);
    const json_t *any = leader != NULL ? leader : json_array_get(replicas, 0);
    json_t *group = json_pack(
        "{sI ss sI sI sI sI}", "group", (json_int_t)number(any, "group"), "kind", text(any, "kind"),
        "leader", (json_int_t)(leader != NULL ? number(leader, "broker") : 0), "term",
        (json_int_t)number(any, "term"), "commit_index", (json_int_t)number(any, "commit_index"),
        "last_index", (json_int_t)number(any, "last_index"));
    if (*text(any, "topic") != 0) {
        json_object_set_new(group, "topic", json_string(text(any, "topic")));
        json_object_set_new(group, "partition", json_integer(number(any, "partition")));
    }
    json_t *rows = json_array();
    size_t position;
    json_t *report;
    json_array_foreach(replicas, position, report)
    {
        long long lag = leader == NULL ? -1 : lag_of(leader, number(report, "broker"));
        json_t *row =
            json_pack("{sI ss sI sI sI sI}", "broker", (json_int_t)number(report, "broker"), "role",
                      text(report, "role"), "term", (json_int_t)number(report, "term"),
                      "commit_index", (json_int_t)number(report, "commit_index"), "last_index",
                      (json_int_t)number(report, "last_index"), "saved_index",
                      (json_int_t)number(report, "saved_index"));
        json_object_set_new(row, "lag", lag < 0 ? json_null() : json_integer(lag));
        json_array_append_new(rows, row);
    }
    json_object_set_new(group, "replicas", rows);
    return group;
}

static void print_group(const json_t *group)
{
    printf("group %lld", number(group, "group"));
    if (*text(group, "topic") != 0) {
        printf("  %s-%lld", text(group, "topic"), number(group, "partition"));
    } else {
        printf("  %s", text(group, "kind"));
    }
    if (number(group, "leader") == 0) {
        printf("  NO LEADER  term %lld\n", number(group, "term"));
    } else {
        printf("  leader %lld  term %lld  commit %lld  last %lld\n", number(group, "leader"),
               number(group, "term"), number(group, "commit_index"), number(group, "last_index"));
    }
    size_t position;
    json_t *row;
    json_array_foreach(json_object_get(group, "replicas"), position, row)
    {
        printf("    broker %lld  %-13s  last %lld  flushed %lld  commit %lld",
               number(row, "broker"), text(row, "role"), number(row, "last_index"),
               number(row, "saved_index"), number(row, "commit_index"));
        if (json_is_null(json_object_get(row, "lag"))) {
            printf("\n");
        } else {
            printf("  lag %lld\n", number(row, "lag"));
        }
    }
}

static int compare_keys(const void *left, const void *right)
{
    return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* All groups, or only the one, ascending by id. */
static json_t *describe_groups(json_t *groups, int64_t only)
{
    json_t *rows = json_array();
    size_t count = 0;
    const char **keys = calloc(json_object_size(groups) + 1, sizeof *keys);
    for (void *at = json_object_iter(groups); at != NULL; at = json_object_iter_next(groups, at)) {
        keys[count++] = json_object_iter_key(at);
    }
    qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t i = 0; i < count; i++) {
        const json_t *replicas = json_object_get(groups, keys[i]);
        if (only == 0 || number(json_array_get(replicas, 0), "group") == only) {
            json_array_append_new(rows, describe_group(replicas));
        }
    }
    free(keys);
    return rows;
}

int command_raft_status(const struct tool_options *options)
{
    if (!tool_check_options(options, "--group", "", 0)) {
        return TOOL_USAGE;
    }
    const char *only_text = tool_take_option(options, "--group");
    int64_t only = 0;
    if (only_text != NULL && !tool_parse_number("--group", only_text, 1, INT64_MAX, &only)) {
        return TOOL_USAGE;
    }
    struct gathering gathering = gather(options, "/v1/raft");
    int status = report_unreachable(&gathering);
    if (status == TOOL_DONE) {
        json_t *groups = by_group(gathering.answers);
        json_t *rows = describe_groups(groups, only);
        size_t position;
        json_t *group;
        json_array_foreach(rows, position, group)
        {
            if (!options->json) {
                print_group(group);
            }
        }
        if (only != 0 && json_array_size(rows) == 0) {
            status = tool_fail("no broker hosts group %lld", (long long)only);
        }
        if (options->json) {
            tool_print_json(json_pack("{so so}", "groups", rows, "unreachable",
                                      json_deep_copy(gathering.unreachable)));
        } else {
            json_decref(rows);
        }
        json_decref(groups);
    }
    release(&gathering);
    return status;
}
