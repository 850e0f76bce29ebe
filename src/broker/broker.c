/* SPDX-License-Identifier: Apache-2.0
 *
 * broker.c -- the broker process: everything that can refuse to start does so here, before a thread
 * runs.
 *
 * Locality: the main thread, except broker_request_stop() and broker_abandon().
 */
#include "broker/broker.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/trace.h"
#include "broker/broker_process.h"
#include "io/process.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EXIT_ABANDONED 1

static bool load_tls(struct broker *broker, char *error, size_t error_size)
{
    const struct broker_config *config = broker->config;
    if (config->peer_tls_ca[0] == '\0') {
        return true;
    }
    struct io_tls_options options = {
        .ca_path = config->peer_tls_ca,
        .certificate_path = config->peer_tls_certificate,
        .key_path = config->peer_tls_key,
        .verify_peer = true,
    };
    broker->peer_tls = io_tls_new(&options, error, error_size);
    return broker->peer_tls != NULL;
}

static void deliver_stop(struct shard *shard, struct shard_message *message)
{
    (void)message;
    broker_shard_stop_all(shard_owner(shard));
}

static struct uuid random_uuid(struct io_loop *loop)
{
    uint64_t bits[2];
    io_random_secure(loop, bits, sizeof bits);
    return uuid_from_random(bits[0], bits[1]);
}

static bool prepare_shards(struct broker *broker, char *error, size_t error_size)
{
    broker->shard_states =
        memory_allocate_zeroed(broker->shard_count * sizeof broker->shard_states[0]);
    for (uint32_t i = 0; i < broker->shard_count; i++) {
        struct broker_shard *state = &broker->shard_states[i];
        state->broker = broker;
        state->config = broker->config;
        state->shard = shards_get(broker->shards, i);
        state->cluster_id = broker->directory.cluster_id;
        state->broker_id = broker->config->broker_id;
        if (!broker_shard_prepare(state, error, error_size)) {
            return false;
        }
    }
    return true;
}

static bool prepare(struct broker *broker, char *error, size_t error_size)
{
    const struct broker_config *config = broker->config;
    if (config->broker_id == 0 || config->broker_id > INT32_MAX) {
        snprintf(error, error_size, "broker_id must be 1 to %d", INT32_MAX);
        return false;
    }
    broker->shards = shards_new(config->shards, 0);
    broker->shard_count = shards_count(broker->shards);
    struct io_loop *loop = shard_loop(shards_get(broker->shards, 0));
    broker->incarnation = random_uuid(loop);
    struct uuid fresh_directory_id = random_uuid(loop);
    if (!data_directory_open(&broker->directory, config, &fresh_directory_id, &broker->incarnation,
                             error, error_size)) {
        return false;
    }
    bool is_told = cluster_directory_take(
        &broker->own_directory, &broker->directory.id, (int64_t)broker->directory.first_start,
        broker->directory.starts, (int32_t)broker->directory.start_count);
    ensure(is_told);
    atomic_init(&broker->first_founded_group_id, broker->directory.first_founded_group_id);
    return peer_guard_policy_init(&broker->guard, config, &broker->directory.cluster_id, error,
                                  error_size) &&
           load_tls(broker, error, error_size) && prepare_shards(broker, error, error_size);
}

struct broker *broker_start(const struct broker_config *config, char *error, size_t error_size)
{
    struct broker *broker = memory_allocate_zeroed(sizeof *broker);
    broker->config = config;
    broker->kafka_port = config->kafka_port;
    broker->peer_port = config->peer_port;
    broker->stop.deliver = deliver_stop;
    if (!prepare(broker, error, error_size)) {
        broker_free(broker);
        return NULL;
    }
    char cluster[UUID_TEXT_LENGTH + 1];
    trace_info("Broker %" PRIu32 " of cluster %s (%s) starts: clients at %s:%u, brokers at %s:%u, "
               "%" PRIu32 " shards",
               config->broker_id, config->cluster_name,
               uuid_format(&broker->directory.cluster_id, cluster), config->kafka_host,
               broker->kafka_port, config->peer_host, broker->peer_port, broker->shard_count);
    shards_start(broker->shards, broker_shard_run);
    return broker;
}

void broker_request_stop(struct broker *broker)
{
    shard_post_from_outside(shards_get(broker->shards, 0), &broker->stop);
}

int broker_wait(struct broker *broker)
{
    shards_join(broker->shards);
    return 0;
}

void broker_free(struct broker *broker)
{
    for (uint32_t i = 0; broker->shard_states != NULL && i < broker->shard_count; i++) {
        broker_shard_free(&broker->shard_states[i]);
    }
    if (broker->shards != NULL) {
        shards_free(broker->shards);
    }
    memory_free(broker->shard_states);
    if (broker->peer_tls != NULL) {
        io_tls_free(broker->peer_tls);
    }
    peer_guard_policy_free(&broker->guard);
    memory_free(broker);
}

uint16_t broker_kafka_port(const struct broker *broker)
{
    return broker->kafka_port;
}

uint16_t broker_peer_port(const struct broker *broker)
{
    return broker->peer_port;
}

uint32_t broker_shard_count(const struct broker *broker)
{
    return broker->shard_count;
}

struct broker_shard *broker_shard_at(struct broker *broker, uint32_t position)
{
    require(position < broker->shard_count);
    return &broker->shard_states[position];
}

_Noreturn void broker_abandon(const char *reason)
{
    trace_error("the broker gives up: %s", reason);
    /* At once: nothing may be acknowledged any more. */
    io_process_end(EXIT_ABANDONED);
}

_Noreturn void broker_abandon_outdated(struct wire_string message)
{
    char reason[512];
    snprintf(reason, sizeof reason, "%.*s", message.length, message.data);
    broker_abandon(reason);
}
