/* SPDX-License-Identifier: Apache-2.0
 *
 * shard_report.c -- asking a shard, and what it answers in its turn.
 *
 * Invariant: an ask is freed by whoever comes last, the asker that gave up or the shard that
 * answered.
 */
#include "admin/shard_report.h"

#include "base/assert.h"
#include "base/memory.h"
#include "broker/controller.h"
#include "broker/leader_table.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

struct report_ask {
    struct shard_message message;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    bool is_answered;
    bool is_abandoned;
    bool with_groups;
    struct shard_report *report;
};

static void free_ask(struct report_ask *ask)
{
    pthread_cond_destroy(&ask->answered);
    pthread_mutex_destroy(&ask->mutex);
    memory_free(ask);
}

void shard_report_free(struct shard_report *report)
{
    if (report != NULL) {
        memory_free(report->groups);
        memory_free(report->brokers);
        memory_free(report);
    }
}

static void copy_group(const struct broker_shard *shard, const struct replica_group *group,
                       struct group_report *entry)
{
    const struct cluster_topic *topic;
    replica_group_view(group, &entry->view);
    if (cluster_group_find(shard->metadata, entry->view.group_id, &topic, &entry->partition)) {
        memcpy(entry->topic, topic->name, topic->name_length);
    }
}

static void copy_groups(struct broker_shard *shard, struct shard_report *report)
{
    struct replica_group *(*const nexts[])(struct replica_manager *, size_t *) = {
        replica_group_next, replica_group_next_failed};
    size_t count = 0;
    for (size_t i = 0; i < sizeof nexts / sizeof nexts[0]; i++) {
        size_t position = 0;
        while (nexts[i](shard->replicas, &position) != NULL) {
            count++;
        }
    }
    report->groups = memory_allocate_zeroed(count * sizeof *report->groups);
    for (size_t i = 0; i < sizeof nexts / sizeof nexts[0]; i++) {
        size_t position = 0;
        struct replica_group *group;
        while ((group = nexts[i](shard->replicas, &position)) != NULL) {
            ensure(report->group_count < count);
            copy_group(shard, group, &report->groups[report->group_count++]);
        }
    }
}

static bool votes_for_controllers(struct broker_shard *shard, uint32_t broker_id)
{
    struct replica_group_view view;
    const struct replica_group *group =
        replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    if (group == NULL) {
        return false;
    }
    replica_group_view(group, &view);
    for (uint32_t i = 0; i < view.member_count; i++) {
        if (view.members[i].node_id == broker_id) {
            return view.members[i].is_voter;
        }
    }
    return false;
}

static void copy_brokers(struct broker_shard *shard, struct shard_report *report)
{
    size_t count = cluster_broker_count(shard->metadata);
    report->brokers = memory_allocate_zeroed(count * sizeof *report->brokers);
    size_t position = 0;
    const struct cluster_broker *broker;
    while ((broker = cluster_broker_next(shard->metadata, &position)) != NULL) {
        ensure(report->broker_count < count);
        struct broker_report *entry = &report->brokers[report->broker_count++];
        entry->broker = *broker;
        entry->is_live = broker_is_live(shard, broker->id);
        entry->replica_count = cluster_broker_replica_count(shard->metadata, broker->id);
        entry->is_voter = votes_for_controllers(shard, broker->id);
    }
}

static void count_leader(struct shard_report *report, uint32_t leader)
{
    for (size_t i = 0; i < report->broker_count; i++) {
        report->brokers[i].leader_count += report->brokers[i].broker.id == leader ? 1 : 0;
    }
}

static void count_partitions(struct broker_shard *shard, struct shard_report *report)
{
    size_t position = 0;
    const struct cluster_topic *topic;
    while ((topic = cluster_topic_next(shard->metadata, &position)) != NULL) {
        report->topic_count++;
        report->partition_count += topic->partition_count;
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            uint32_t leader = 0;
            uint64_t term;
            bool known =
                leader_table_get(shard->leaders, topic->partitions[i].group_id, &leader, &term);
            report->leaderless_partition_count += !known || leader == 0;
            count_leader(report, leader);
        }
    }
}

static void answer(struct shard *thread_shard, struct shard_message *message)
{
    struct report_ask *ask = container_of(message, struct report_ask, message);
    struct broker_shard *shard = shard_owner(thread_shard);
    struct shard_report *report = memory_allocate_zeroed(sizeof *report);
    if (ask->with_groups) {
        copy_groups(shard, report);
    }
    if (shard_id(thread_shard) == 0) {
        report->metadata_is_loaded = shard->metadata_is_loaded;
        report->controller_leader = controller_leader(shard);
        copy_brokers(shard, report);
        count_partitions(shard, report);
    }
    pthread_mutex_lock(&ask->mutex);
    ask->report = report;
    ask->is_answered = true;
    bool is_abandoned = ask->is_abandoned;
    pthread_cond_signal(&ask->answered);
    pthread_mutex_unlock(&ask->mutex);
    if (is_abandoned) {
        shard_report_free(report);
        free_ask(ask);
    }
}

struct shard_report *shard_report_ask(struct broker_shard *shard, bool with_groups,
                                      uint32_t wait_ms)
{
    struct report_ask *ask = memory_allocate_zeroed(sizeof *ask);
    pthread_mutex_init(&ask->mutex, NULL);
    pthread_cond_init(&ask->answered, NULL);
    ask->with_groups = with_groups;
    ask->message.deliver = answer;
    list_node_init(&ask->message.node);
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += wait_ms / 1000;
    deadline.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    shard_post_from_outside(shard->shard, &ask->message);
    pthread_mutex_lock(&ask->mutex);
    int result = 0;
    while (!ask->is_answered && result != ETIMEDOUT) {
        result = pthread_cond_timedwait(&ask->answered, &ask->mutex, &deadline);
    }
    struct shard_report *report = ask->report;
    ask->is_abandoned = !ask->is_answered;
    bool is_answered = ask->is_answered;
    pthread_mutex_unlock(&ask->mutex);
    if (is_answered) {
        free_ask(ask);
    }
    return report;
}
