/* SPDX-License-Identifier: Apache-2.0
 *
 * record.c -- writing the parts of controller records that more than one place needs.
 *
 * Locality: any.
 */
#include "cluster/record.h"

#include "wire/broker_leaving.h"
#include "wire/broker_registered.h"

#include <string.h>

void cluster_record_begin_version(struct wire_writer *writer, enum cluster_record_kind kind,
                                  int16_t version)
{
    wire_write_uint16(writer, (uint16_t)kind);
    wire_write_int16(writer, version);
}

void cluster_record_begin(struct wire_writer *writer, enum cluster_record_kind kind)
{
    cluster_record_begin_version(writer, kind, CLUSTER_RECORD_VERSION);
}

struct wire_string cluster_record_string(const char *text)
{
    return (struct wire_string){.data = text, .length = text == NULL ? -1 : (int32_t)strlen(text)};
}

void cluster_record_write_broker(struct wire_writer *writer, const struct cluster_broker *broker)
{
    struct cluster_directory directory = broker->directory;
    struct broker_registered_record record = {
        .broker_id = broker->id,
        .incarnation = broker->incarnation,
        .kafka_host = cluster_record_string(broker->kafka_host),
        .kafka_port = broker->kafka_port,
        .peer_host = cluster_record_string(broker->peer_host),
        .peer_port = broker->peer_port,
        .rack = cluster_record_string(broker->rack),
        .directory_id = directory.id,
        .first_start = (int64_t)directory.first_start,
        .directory_starts = directory.starts,
        .directory_starts_count = (int32_t)directory.start_count,
        .first_founded_group_id = (int64_t)broker->first_founded_group_id,
    };
    cluster_record_begin_version(writer, CLUSTER_RECORD_BROKER_REGISTERED,
                                 CLUSTER_RECORD_BROKER_REGISTERED_VERSION);
    broker_registered_record_encode(&record, CLUSTER_RECORD_BROKER_REGISTERED_VERSION, writer);
}

void cluster_record_write_leaving(struct wire_writer *writer, uint32_t broker_id, bool is_leaving)
{
    struct broker_leaving_record record = {.broker_id = broker_id, .is_leaving = is_leaving};
    cluster_record_begin(writer, CLUSTER_RECORD_BROKER_LEAVING);
    broker_leaving_record_encode(&record, CLUSTER_RECORD_VERSION, writer);
}
