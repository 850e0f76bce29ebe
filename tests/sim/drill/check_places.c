/* SPDX-License-Identifier: Apache-2.0
 *
 * check_places.c -- at rest replicas are where the metadata says, and it says what was promised.
 *
 *   promised-place    a partition's replicas are not those of the last reassignment that was
 *                     acknowledged, in their order, though nothing could overtake it
 *   misplaced         a group's members are not its partition's replicas, each with a vote; or a
 *                     broker keeps the files of a replica that the metadata has nowhere or
 * elsewhere
 */
#include "drill/check.h"

#include "base/assert.h"
#include "cluster/cluster.h"
#include "drill/drill.h"
#include "drill/rest.h"
#include "replica/group.h"

static void check_promise(struct drill *drill, uint32_t number, const struct cluster_topic *topic,
                          uint32_t partition)
{
    uint32_t promised[MOVER_REPLICAS_MAX];
    const struct cluster_partition *place = &topic->partitions[partition];
    uint32_t count = drill_mover_promised(drill->mover, number, partition, promised);
    bool is_kept = count == 0 || count == place->replica_count;
    for (uint32_t i = 0; is_kept && i < count; i++) {
        is_kept = promised[i] == place->replicas[i];
    }
    if (!is_kept) {
        sim_world_fail(drill->world,
                       "promised-place: %s-%u: %u replicas were promised, the first on broker %u; "
                       "there are %u, the first on broker %u",
                       topic->name, partition, count, promised[0], place->replica_count,
                       place->replicas[0]);
    }
}

static void check_members(struct drill *drill, const struct cluster_topic *topic,
                          uint32_t partition)
{
    const struct cluster_partition *place = &topic->partitions[partition];
    struct replica_group_view view;
    if (rest_find_leader(drill, place->group_id, &view) == 0) {
        return; /* that is another rule's */
    }
    uint32_t voters = 0;
    for (uint32_t i = 0; i < view.member_count; i++) {
        uint32_t position;
        bool is_in_place =
            cluster_partition_find_replica(place, view.members[i].node_id, &position);
        voters += view.members[i].is_voter && is_in_place ? 1 : 0;
    }
    if (voters != place->replica_count || voters != view.member_count) {
        sim_world_fail(drill->world,
                       "misplaced: %s-%u, group %lu, has %u members, %u of them voters that the "
                       "metadata has, which are %u",
                       topic->name, partition, (unsigned long)place->group_id, view.member_count,
                       voters, place->replica_count);
    }
}

void check_places_at_rest(struct drill *drill)
{
    const struct cluster_metadata *metadata = rest_metadata(drill);
    require(metadata != NULL);
    for (uint32_t i = 0; i < drill->history.topic_count; i++) {
        const struct history_topic *known = &drill->history.topics[i];
        const struct cluster_topic *topic =
            known->state == HISTORY_TOPIC_LIVE ? cluster_topic_find_id(metadata, &known->id) : NULL;
        for (uint32_t j = 0; topic != NULL && j < topic->partition_count; j++) {
            check_members(drill, topic, j);
            if (drill->mover != NULL && drill->crew == NULL) { /* who leaves moves replicas, too */
                check_promise(drill, i, topic, j);
            }
        }
    }
}
