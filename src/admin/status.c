/* SPDX-License-Identifier: Apache-2.0
 *
 * status.c -- shard reports put into JSON.
 */
#include "admin/status.h"

#include "admin/shard_report.h"
#include "broker/config.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWER_WAIT_MS 1000

static json_t *format_broker(const struct broker_report *report)
{
    char kafka[CLUSTER_HOST_BYTES_MAX + 16];
    char peer[CLUSTER_HOST_BYTES_MAX + 16];
    snprintf(kafka, sizeof kafka, "%s:%u", report->broker.kafka_host, report->broker.kafka_port);
    snprintf(peer, sizeof peer, "%s:%u", report->broker.peer_host, report->broker.peer_port);
    return json_pack("{sI ss ss ss sb sb sb sI sI}", "id", (json_int_t)report->broker.id, "kafka",
                     kafka, "peer", peer, "rack", report->broker.rack, "live", report->is_live,
                     "leaving", report->broker.is_leaving, "controller_voter", report->is_voter,
                     "replicas", (json_int_t)report->replica_count, "leaders",
                     (json_int_t)report->leader_count);
}

char *status_cluster(struct broker *broker)
{
    struct broker_shard *shard = broker_shard_at(broker, 0);
    struct shard_report *report = shard_report_ask(shard, false, ANSWER_WAIT_MS);
    if (report == NULL) {
        return NULL;
    }
    json_t *brokers = json_array();
    for (size_t i = 0; i < report->broker_count; i++) {
        json_array_append_new(brokers, format_broker(&report->brokers[i]));
    }
    char cluster_id[UUID_TEXT_LENGTH + 1];
    json_t *document = json_pack(
        "{ss ss sI sI so sI sI sI}", "cluster", shard->config->cluster_name, "cluster_id",
        uuid_format(&shard->cluster_id, cluster_id), "broker", (json_int_t)shard->broker_id,
        "controller", (json_int_t)report->controller_leader, "brokers", brokers, "topics",
        (json_int_t)report->topic_count, "partitions", (json_int_t)report->partition_count,
        "leaderless_partitions", (json_int_t)report->leaderless_partition_count);
    shard_report_free(report);
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    return text;
}

static json_t *format_member(const struct replica_member_view *member)
{
    return json_pack("{sI sb sb sI sI}", "broker", (json_int_t)member->node_id, "voter",
                     member->is_voter, "active", member->is_active, "match_index",
                     (json_int_t)member->match_index, "lag", (json_int_t)member->lag_indexes);
}

static json_t *format_group(const struct group_report *report)
{
    const struct replica_group_view *view = &report->view;
    json_t *members = json_array();
    for (uint32_t i = 0; i < view->member_count; i++) {
        json_array_append_new(members, format_member(&view->members[i]));
    }
    json_t *group = json_pack(
        "{sI ss ss sI sI sI sI sI sI sI}", "group", (json_int_t)view->group_id, "kind",
        view->applier_name, "role", view->role, "leader", (json_int_t)view->leader, "term",
        (json_int_t)view->term, "first_index", (json_int_t)view->first_index, "last_index",
        (json_int_t)view->last_index, "saved_index", (json_int_t)view->saved_index, "commit_index",
        (json_int_t)view->commit_index, "applied_index", (json_int_t)view->applied_index);
    json_object_set_new(group, "start_offset", json_integer((json_int_t)view->log_start_offset));
    json_object_set_new(group, "high_watermark", json_integer((json_int_t)view->high_watermark));
    json_object_set_new(group, "end_offset", json_integer((json_int_t)view->log_end_offset));
    json_object_set_new(group, "bytes", json_integer((json_int_t)view->size_bytes));
    json_object_set_new(group, "members", members);
    if (report->topic[0] != 0) {
        json_object_set_new(group, "topic", json_string(report->topic));
        json_object_set_new(group, "partition", json_integer(report->partition));
    }
    return group;
}

char *status_raft(struct broker *broker)
{
    json_t *groups = json_array();
    bool answered = true;
    for (uint32_t i = 0; i < broker_shard_count(broker) && answered; i++) {
        struct shard_report *report =
            shard_report_ask(broker_shard_at(broker, i), true, ANSWER_WAIT_MS);
        answered = report != NULL;
        for (size_t j = 0; answered && j < report->group_count; j++) {
            json_array_append_new(groups, format_group(&report->groups[j]));
        }
        shard_report_free(report);
    }
    json_t *document = json_pack(
        "{sI so}", "broker", (json_int_t)broker_shard_at(broker, 0)->broker_id, "groups", groups);
    char *text = answered ? json_dumps(document, JSON_COMPACT) : NULL;
    json_decref(document);
    return text;
}

bool status_is_healthy(struct broker *broker)
{
    bool answered = true;
    for (uint32_t i = 0; i < broker_shard_count(broker) && answered; i++) {
        struct shard_report *report =
            shard_report_ask(broker_shard_at(broker, i), false, ANSWER_WAIT_MS);
        answered = report != NULL;
        shard_report_free(report);
    }
    return answered;
}

bool status_is_ready(struct broker *broker)
{
    struct shard_report *report =
        shard_report_ask(broker_shard_at(broker, 0), false, ANSWER_WAIT_MS);
    bool is_ready = report != NULL && report->metadata_is_loaded && report->controller_leader != 0;
    shard_report_free(report);
    return is_ready && status_is_healthy(broker);
}
