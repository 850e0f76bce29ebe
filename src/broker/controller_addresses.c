/* SPDX-License-Identifier: Apache-2.0
 *
 * controller_addresses.c -- see controller_addresses.h.
 */
#include "broker/controller_addresses.h"

#include "base/assert.h"
#include "broker/broker_process.h"
#include "broker/peer_link.h"
#include "wire/batch.h"

#include <string.h>

#define READ_BYTES (1u << 20)
#define RECORD_BYTES_MAX (64u << 20)

static void read_on(struct controller_addresses *addresses, struct replica_group *group,
                    uint64_t after_index);

static void take_record(struct broker_shard *shard, const struct wire_record *record)
{
    struct cluster_broker broker;
    if (record->value.length > 0 &&
        cluster_record_names_broker(record->value.data, (size_t)record->value.length, &broker)) {
        struct wire_string host = wire_string_from(broker.peer_host);
        peer_links_introduce(shard->links, broker.id, host, broker.peer_port);
    }
}

static void take_batch(struct broker_shard *shard, const struct buf_slice *payload)
{
    struct wire_batch batch;
    if (!wire_batch_read(&batch, payload->data, payload->length_bytes)) {
        return;
    }
    struct wire_record_reader *reader = wire_record_reader_open(&batch, RECORD_BYTES_MAX);
    struct wire_record record;
    while (wire_record_reader_next(reader, &record)) {
        take_record(shard, &record);
    }
    wire_record_reader_close(reader);
}

static void read_done(struct log_read *read, int result, const struct log_entry *entries,
                      size_t count)
{
    struct controller_addresses *addresses = container_of(read, struct controller_addresses, read);
    struct broker_shard *shard = addresses->shard;
    require(addresses->is_reading);
    addresses->is_reading = false;
    bool is_of_use = result == 0 && count > 0 && !shard->metadata_is_loaded &&
                     replica_group_is_running(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    if (!is_of_use) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (entries[i].kind == LOG_ENTRY_BATCH) {
            take_batch(shard, &entries[i].payload);
        }
    }
    struct replica_group *group = replica_group_find(shard->replicas, CLUSTER_CONTROLLER_GROUP_ID);
    read_on(addresses, group, entries[count - 1].last_index);
}

static void read_on(struct controller_addresses *addresses, struct replica_group *group,
                    uint64_t after_index)
{
    if (after_index >= addresses->last_index) {
        return;
    }
    memset(&addresses->read, 0, sizeof addresses->read);
    addresses->read.after_index = after_index;
    addresses->read.last_index = addresses->last_index;
    addresses->read.bytes_max = READ_BYTES;
    addresses->read.done = read_done;
    addresses->is_reading = true;
    log_read(replica_group_log(group), &addresses->read);
}

void controller_addresses_look_up(struct controller_addresses *addresses,
                                  struct broker_shard *shard, struct replica_group *group)
{
    if (addresses->is_reading) {
        return; /* of the replica before this one, which is not quite gone */
    }
    const struct log *log = replica_group_log(group);
    addresses->shard = shard;
    addresses->last_index = log_last_index(log);
    read_on(addresses, group, log_first_index(log) - 1);
}
