/* SPDX-License-Identifier: Apache-2.0
 *
 * rest.c -- looks at what is assigned, what runs, and how far it is.
 */
#include "drill/rest.h"

#include "base/assert.h"
#include "broker/broker.h"
#include "broker/leader_table.h"
#include "cluster/cluster.h"
#include "drill/drill.h"
#include "replica/group.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEFTOVER_PATH_SIZE 128

static bool no(char *why, size_t why_size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static bool no(char *why, size_t why_size, const char *format, ...)
{
    if (why != NULL) {
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(why, why_size, format, arguments);
        va_end(arguments);
    }
    return false;
}

struct replica_group *rest_find_group(struct broker *broker, uint64_t group_id)
{
    uint32_t shard = replica_shard_of_group(group_id, broker_shard_count(broker));
    struct replica_manager *replicas = broker_shard_at(broker, shard)->replicas;
    bool runs = replicas != NULL && replica_group_is_running(replicas, group_id);
    return runs ? replica_group_find(replicas, group_id) : NULL;
}

uint32_t rest_find_leader(struct drill *drill, uint64_t group_id, struct replica_group_view *view)
{
    uint32_t leader = 0;
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        struct broker *broker = sim_host_broker(drill->hosts[i]);
        struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
        struct replica_group_view here;
        if (group == NULL) {
            continue;
        }
        replica_group_view(group, &here);
        if (strcmp(here.role, "leader") == 0 && (leader == 0 || here.term > view->term)) {
            leader = i;
            *view = here;
        }
    }
    return leader;
}

/* Has all that its leader has, and knows that all of it is committed. */
static bool is_level(uint32_t host, struct replica_group *group,
                     const struct replica_group_view *leader, char *why, size_t why_size)
{
    struct replica_group_view here;
    replica_group_view(group, &here);
    bool is = here.term == leader->term && here.commit_index == leader->commit_index &&
              here.applied_index == here.commit_index && here.saved_index == leader->last_index &&
              leader->commit_index == leader->last_index;
    return is || no(why, why_size,
                    "group %lu: broker %u has term %lu saved %lu commit %lu applied %lu, the "
                    "leader term %lu last %lu commit %lu",
                    (unsigned long)replica_group_id(group), host, (unsigned long)here.term,
                    (unsigned long)here.saved_index, (unsigned long)here.commit_index,
                    (unsigned long)here.applied_index, (unsigned long)leader->term,
                    (unsigned long)leader->last_index, (unsigned long)leader->commit_index);
}

static bool is_caught_up(struct drill *drill, uint32_t host, uint64_t group_id, char *why,
                         size_t why_size)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *group = broker == NULL ? NULL : rest_find_group(broker, group_id);
    struct replica_group_view leader;
    bool votes = false;
    if (group == NULL) {
        return no(why, why_size, "group %lu does not run on broker %u", (unsigned long)group_id,
                  host);
    }
    if (rest_find_leader(drill, group_id, &leader) == 0) {
        return no(why, why_size, "group %lu has no leader", (unsigned long)group_id);
    }
    /* One that serves what is whole of it until its group goes on without it. */
    if (group->is_damaged) {
        return no(why, why_size, "group %lu: broker %u is damaged", (unsigned long)group_id, host);
    }
    for (uint32_t i = 0; i < leader.member_count; i++) {
        votes = votes || (leader.members[i].node_id == host && leader.members[i].is_voter);
    }
    if (!votes || replica_group_is_joining(group)) {
        return no(why, why_size, "group %lu: broker %u does not vote", (unsigned long)group_id,
                  host);
    }
    return is_level(host, group, &leader, why, why_size);
}

/* One that was just elected after a
 * start has yet to apply what it holds: by its copy nobody would have to be anywhere. */
const struct cluster_metadata *rest_metadata(struct drill *drill)
{
    struct replica_group_view view;
    uint32_t leader = rest_find_leader(drill, CLUSTER_CONTROLLER_GROUP_ID, &view);
    if (leader == 0 || view.applied_index != view.last_index) {
        return NULL;
    }
    return broker_shard_at(sim_host_broker(drill->hosts[leader]), 0)->metadata;
}

static bool partition_is_on(const struct cluster_partition *partition, uint32_t host)
{
    uint32_t position;
    return cluster_partition_find_replica(partition, host, &position);
}

/* One that is on its way out has nothing to catch up with once its group has let it go and has the
 * voters that it is to have: one that was damaged goes before the next one votes. */
static bool is_let_go(struct drill *drill, const struct cluster_partition *partition, uint32_t host)
{
    struct replica_group_view leader;
    uint32_t position;
    if (!cluster_partition_find_replica(partition, host, &position) ||
        cluster_partition_wants(partition, position) ||
        rest_find_leader(drill, partition->group_id, &leader) == 0) {
        return false;
    }
    uint32_t voters = 0;
    for (uint32_t i = 0; i < leader.member_count; i++) {
        if (leader.members[i].node_id == host) {
            return false;
        }
        voters += leader.members[i].is_voter;
    }
    uint32_t wanted = 0;
    for (uint32_t i = 0; i < partition->replica_count; i++) {
        wanted += cluster_partition_wants(partition, i);
    }
    return voters >= wanted;
}

static bool votes_on_controllers(struct drill *drill, uint32_t host)
{
    struct replica_group_view view;
    bool votes = false;
    bool is_led = rest_find_leader(drill, CLUSTER_CONTROLLER_GROUP_ID, &view) != 0;
    for (uint32_t i = 0; is_led && i < view.member_count; i++) {
        votes = votes || (view.members[i].node_id == host && view.members[i].is_voter);
    }
    return votes;
}

/* docs/design/membership.md */
static uint32_t voters_of(uint32_t brokers)
{
    return brokers >= 5 ? 5 : brokers == 4 ? 3 : brokers;
}

bool rest_vote_is_missing(struct drill *drill, uint32_t host)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    const struct cluster_broker *broker = NULL;
    struct replica_group_view view;
    uint32_t brokers = 0;
    uint32_t voters = 0;
    size_t position = 0;
    if (metadata == NULL || votes_on_controllers(drill, host)) {
        return false;
    }
    while ((broker = cluster_broker_next(metadata, &position)) != NULL) {
        brokers += broker->is_leaving ? 0 : 1;
    }
    (void)rest_find_leader(drill, CLUSTER_CONTROLLER_GROUP_ID, &view);
    for (uint32_t i = 0; i < view.member_count; i++) {
        voters += view.members[i].is_voter ? 1 : 0;
    }
    return voters < voters_of(brokers);
}

static bool host_is_whole(struct drill *drill, uint32_t host, char *why, size_t why_size)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    const struct cluster_topic *topic;
    size_t position = 0;
    if (metadata == NULL) {
        return no(why, why_size, "the controller has no leader that has applied all");
    }
    if (votes_on_controllers(drill, host) &&
        !is_caught_up(drill, host, CLUSTER_CONTROLLER_GROUP_ID, why, why_size)) {
        return false;
    }
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            if (partition_is_on(&topic->partitions[i], host) &&
                !is_let_go(drill, &topic->partitions[i], host) &&
                !is_caught_up(drill, host, topic->partitions[i].group_id, why, why_size)) {
                return false;
            }
        }
    }
    return true;
}

bool rest_host_is_whole(struct drill *drill, uint32_t host)
{
    return sim_host_state(drill->hosts[host]) == SIM_HOST_RUNNING &&
           host_is_whole(drill, host, NULL, 0);
}

bool rest_host_awaits_restart(struct drill *drill, uint32_t host)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *controller =
        broker == NULL ? NULL : rest_find_group(broker, CLUSTER_CONTROLLER_GROUP_ID);
    if (controller != NULL && controller->is_damaged) {
        return true;
    }
    for (uint32_t i = 0; broker != NULL && i < broker_shard_count(broker); i++) {
        struct replica_manager *replicas = broker_shard_at(broker, i)->replicas;
        struct replica_group *group;
        size_t position = 0;
        while (replicas != NULL &&
               (group = replica_group_next_failed(replicas, &position)) != NULL) {
            if (group->failure == REPLICA_DISK_FAILED) {
                return true;
            }
        }
    }
    return false;
}

/* Nothing runs here that the metadata does not place here. */
static bool runs_nothing_else(struct drill *drill, uint32_t host, char *why, size_t why_size)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    const struct cluster_metadata *metadata = rest_metadata(drill);
    require(broker != NULL && metadata != NULL);
    for (uint32_t i = 0; i < broker_shard_count(broker); i++) {
        struct replica_manager *replicas = broker_shard_at(broker, i)->replicas;
        struct replica_group *group;
        size_t position = 0;
        while ((group = replica_group_next(replicas, &position)) != NULL) {
            const struct cluster_topic *topic;
            uint32_t partition;
            uint64_t id = replica_group_id(group);
            if (id != CLUSTER_CONTROLLER_GROUP_ID &&
                (!cluster_group_find(metadata, id, &topic, &partition) ||
                 !partition_is_on(&topic->partitions[partition], host))) {
                return no(why, why_size, "group %lu runs on broker %u and is not assigned to it",
                          (unsigned long)id, host);
            }
        }
        position = 0;
        group = replica_group_next_failed(replicas, &position);
        if (group != NULL) {
            return no(why, why_size, "group %lu has failed on broker %u",
                      (unsigned long)replica_group_id(group), host);
        }
    }
    return true;
}

/* What the broker keeps on disk of replicas that have no place there. */
struct leftover {
    const struct cluster_metadata *metadata;
    uint32_t host;
    const char *prefix;
    char path[LEFTOVER_PATH_SIZE]; /* "": nothing */
};

/* "data/groups/<id>/..."; what was moved aside as damaged has another name. */
static bool consider_file(const char *path, uint64_t size_bytes, void *context)
{
    struct leftover *leftover = context;
    const struct cluster_topic *topic;
    uint32_t partition;
    char *end = NULL;
    (void)size_bytes;
    if (strncmp(path, leftover->prefix, strlen(leftover->prefix)) != 0) {
        return true;
    }
    uint64_t id = strtoull(path + strlen(leftover->prefix), &end, 10);
    bool has_place = *end != '/' || id == CLUSTER_CONTROLLER_GROUP_ID ||
                     (cluster_group_find(leftover->metadata, id, &topic, &partition) &&
                      partition_is_on(&topic->partitions[partition], leftover->host));
    if (!has_place) {
        (void)snprintf(leftover->path, sizeof leftover->path, "%s", path);
    }
    return has_place;
}

static bool keeps_nothing_else(struct drill *drill, uint32_t host, char *why, size_t why_size)
{
    struct leftover leftover = {rest_metadata(drill), host, "data/groups/", ""};
    require(leftover.metadata != NULL);
    sim_disk_list(drill->hosts[host], consider_file, &leftover);
    return leftover.path[0] == 0 ||
           no(why, why_size, "broker %u keeps %s, which has no place there", host, leftover.path);
}

static bool nothing_moves(struct drill *drill, char *why, size_t why_size)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    const struct cluster_topic *topic;
    size_t position = 0;
    if (metadata == NULL) {
        return no(why, why_size, "the controller has no leader that has applied all");
    }
    while ((topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count; i++) {
            if (cluster_partition_is_moving(&topic->partitions[i])) {
                return no(why, why_size, "%s-%u, group %lu, is still being moved", topic->name, i,
                          (unsigned long)topic->partitions[i].group_id);
            }
        }
    }
    return true;
}

static bool tells_the_leader(struct drill *drill, uint32_t host, uint64_t group_id, char *why,
                             size_t why_size)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group_view view;
    uint32_t leader = rest_find_leader(drill, group_id, &view);
    require(broker != NULL);
    for (uint32_t i = 0; i < broker_shard_count(broker); i++) {
        uint32_t told;
        uint64_t term;
        (void)leader_table_get(broker_shard_at(broker, i)->leaders, group_id, &told, &term);
        if (told != leader) {
            return no(why, why_size,
                      "broker %u tells that broker %u leads group %lu, broker %u does", host, told,
                      (unsigned long)group_id, leader);
        }
    }
    return true;
}

static bool is_copied(struct broker *broker, uint32_t shard)
{
    struct buf *first = NULL;
    struct buf *here = NULL;
    cluster_snapshot_write(broker_shard_at(broker, 0)->metadata, &first);
    cluster_snapshot_write(broker_shard_at(broker, shard)->metadata, &here);
    bool is = first->length_bytes == here->length_bytes &&
              memcmp(first->data, here->data, first->length_bytes) == 0;
    buf_release(first);
    buf_release(here);
    return is;
}

/* Also a broker without a vote on it, of which host_is_whole() asks nothing.  One that lost its
 * power is kept out until its last process was silent for long enough, and knows nothing so long.
 */
static bool knows_the_metadata(struct drill *drill, uint32_t host, char *why, size_t why_size)
{
    struct broker *broker = sim_host_broker(drill->hosts[host]);
    struct replica_group *group = rest_find_group(broker, CLUSTER_CONTROLLER_GROUP_ID);
    struct replica_group_view leader;
    uint32_t leads = rest_find_leader(drill, CLUSTER_CONTROLLER_GROUP_ID, &leader);
    ensure(leads != 0); /* its metadata was looked at */
    if (group == NULL) {
        return no(why, why_size, "the controller group does not run on broker %u", host);
    }
    if (!is_level(host, group, &leader, why, why_size)) {
        return false;
    }
    for (uint32_t i = 1; i < broker_shard_count(broker); i++) {
        if (!is_copied(broker, i)) {
            return no(why, why_size, "broker %u: shard %u has other metadata than shard 0", host,
                      i);
        }
    }
    return true;
}

bool rest_host_knows_the_metadata(struct drill *drill, uint32_t host)
{
    return rest_metadata(drill) != NULL && sim_host_broker(drill->hosts[host]) != NULL &&
           knows_the_metadata(drill, host, NULL, 0);
}

/* What Metadata says, also where there is no replica of the partition. */
static bool tells_the_leaders(struct drill *drill, uint32_t host, char *why, size_t why_size)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    const struct cluster_topic *topic;
    size_t position = 0;
    bool does = tells_the_leader(drill, host, CLUSTER_CONTROLLER_GROUP_ID, why, why_size);
    require(metadata != NULL);
    while (does && (topic = cluster_topic_next(metadata, &position)) != NULL) {
        for (uint32_t i = 0; i < topic->partition_count && does; i++) {
            does = tells_the_leader(drill, host, topic->partitions[i].group_id, why, why_size);
        }
    }
    return does;
}

/* Registered are those that are in, none of them leaves, and as many vote as ought to. */
static bool brokers_are_right(struct drill *drill, char *why, size_t why_size)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    struct replica_group_view view;
    uint32_t brokers = 0;
    uint32_t voters = 0;
    require(metadata != NULL);
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        const struct cluster_broker *broker = cluster_broker_find(metadata, i);
        brokers += drill->is_out[i] ? 0 : 1;
        if ((broker == NULL) != drill->is_out[i] || (broker != NULL && broker->is_leaving)) {
            return no(why, why_size, "broker %u is%s registered%s", i, broker == NULL ? " not" : "",
                      broker != NULL && broker->is_leaving ? " and leaves" : "");
        }
    }
    (void)rest_find_leader(drill, CLUSTER_CONTROLLER_GROUP_ID, &view);
    for (uint32_t i = 0; i < view.member_count; i++) {
        voters += view.members[i].is_voter ? 1 : 0;
    }
    return (view.member_count == brokers && voters == voters_of(brokers)) ||
           no(why, why_size,
              "the controller group has %u members, %u of them voters, of %u brokers",
              view.member_count, voters, brokers);
}

bool rest_cluster_is_at_rest(struct drill *drill, char *why, size_t why_size)
{
    if (!nothing_moves(drill, why, why_size) || !brokers_are_right(drill, why, why_size)) {
        return false;
    }
    for (uint32_t i = 1; i <= drill->swarm.brokers; i++) {
        if (drill->stays_down[i] || drill->is_out[i]) {
            continue;
        }
        if (sim_host_state(drill->hosts[i]) != SIM_HOST_RUNNING) {
            return no(why, why_size, "broker %u does not run: %s", i,
                      sim_host_end_reason(drill->hosts[i]));
        }
        if (!host_is_whole(drill, i, why, why_size) ||
            !runs_nothing_else(drill, i, why, why_size) ||
            !keeps_nothing_else(drill, i, why, why_size) ||
            !tells_the_leaders(drill, i, why, why_size) ||
            !knows_the_metadata(drill, i, why, why_size)) {
            return false;
        }
    }
    return true;
}
