/* SPDX-License-Identifier: Apache-2.0
 *
 * plan_register_broker.c -- checks what a broker says of itself and writes the record that
 * registers it.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/plan.h"
#include "cluster/record.h"

void cluster_plan_register_broker(const struct cluster_metadata *metadata,
                                  const struct cluster_broker *broker, struct wire_writer *record,
                                  struct cluster_problem *problem)
{
    if (broker->id < 1 || broker->id > INT32_MAX) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST, "%u is no broker id; 1 to %d are",
                    broker->id, INT32_MAX);
        return;
    }
    if (broker->kafka_host[0] == '\0' || broker->kafka_port == 0 || broker->peer_host[0] == '\0' ||
        broker->peer_port == 0) {
        plan_refuse(problem, WIRE_ERROR_INVALID_REQUEST,
                    "broker %u does not say where clients and brokers reach it", broker->id);
        return;
    }
    if (cluster_broker_count(metadata) == CLUSTER_BROKERS_MAX &&
        cluster_broker_find(metadata, broker->id) == NULL) {
        plan_refuse(problem, WIRE_ERROR_POLICY_VIOLATION, "the cluster has %d brokers, the most",
                    CLUSTER_BROKERS_MAX);
        return;
    }
    enum cluster_directory_verdict verdict =
        cluster_directory_judge(metadata, broker->id, &broker->directory);
    if (verdict != CLUSTER_DIRECTORY_CURRENT) {
        plan_refuse(problem, cluster_directory_error(verdict), "%s",
                    cluster_directory_text(verdict));
        return;
    }
    cluster_record_write_broker(record, broker);
    plan_accept(problem);
}
