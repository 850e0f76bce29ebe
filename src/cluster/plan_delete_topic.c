/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_delete_topic.c -- writes the record that deletes a topic.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/plan.h"
#include "cluster/record.h"

#include "wire/topic_deleted.h"

void cluster_plan_delete_topic(const struct cluster_metadata *metadata, const struct uuid *id,
                               struct wire_writer *record, struct cluster_problem *problem)
{
    if (cluster_topic_find_id(metadata, id) == NULL) {
        plan_refuse(problem, WIRE_ERROR_UNKNOWN_TOPIC_ID, "there is no topic with this id");
        return;
    }
    struct topic_deleted_record deleted = {.topic_id = *id};
    cluster_record_begin(record, CLUSTER_RECORD_TOPIC_DELETED);
    topic_deleted_record_encode(&deleted, CLUSTER_RECORD_VERSION, record);
    plan_accept(problem);
}
