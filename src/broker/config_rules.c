/* SPDX-License-Identifier: Apache-2.0
 *
 * config_rules.c -- what must hold between config keys, and what is derived from others.
 */
#include "broker/config_table.h"

#include "base/memory.h"
#include "io/stream.h"

#include <stdio.h>
#include <string.h>

static bool is_loopback(const char *host)
{
    struct io_address address;
    if (io_address_parse(&address, host, 0)) {
        return io_address_is_loopback(&address);
    }
    return strcmp(host, "localhost") == 0;
}

static void derive(struct broker_config *config)
{
    if (*config->advertised_host == 0) {
        memory_free(config->advertised_host);
        config->advertised_host = memory_duplicate_string(config->kafka_host);
        config->advertised_port = config->kafka_port;
    }
    if (config->controller_count == 0) {
        memory_free(config->controllers);
        config->controllers = memory_allocate_zeroed(sizeof *config->controllers);
        config->controllers[0].id = config->broker_id;
        config->controllers[0].host = memory_duplicate_string(config->peer_host);
        config->controllers[0].port = config->peer_port;
        config->controller_count = 1;
    }
    /* Others reach this broker under the name the controllers list gives it. */
    const char *host = config->peer_host;
    for (size_t i = 0; i < config->controller_count; i++) {
        if (config->controllers[i].id == config->broker_id) {
            host = config->controllers[i].host;
        }
    }
    memory_free(config->peer_advertised_host);
    config->peer_advertised_host = memory_duplicate_string(host);
}

static bool check_tls(const struct broker_config *config, char *error, size_t error_size)
{
    int given = (*config->peer_tls_ca != 0) + (*config->peer_tls_certificate != 0) +
                (*config->peer_tls_key != 0);
    if (given != 0 && given != 3) {
        snprintf(error, error_size,
                 "peer_tls_ca, peer_tls_certificate and peer_tls_key go together: all or none");
        return false;
    }
    if (given == 0 && !is_loopback(config->peer_host) && !config->allow_insecure) {
        snprintf(
            error, error_size,
            "peer_listener %s is not a loopback address and no TLS is configured between brokers: "
            "set peer_tls_ca, peer_tls_certificate and peer_tls_key, or write allow_insecure: true",
            config->peer_host);
        return false;
    }
    return true;
}

static bool check_levels(const struct broker_config *config, char *error, size_t error_size)
{
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(config->log_level, levels[i]) == 0) {
            return true;
        }
    }
    snprintf(error, error_size,
             "log_level: '%s' is not allowed; it takes debug, info, warn or error",
             config->log_level);
    return false;
}

/* An address that means "every address of this machine" leads nowhere from another one. */
static bool is_wildcard(const char *host)
{
    return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool check_addresses_told(const struct broker_config *config, char *error, size_t error_size)
{
    if (is_wildcard(config->advertised_host)) {
        snprintf(error, error_size,
                 "kafka_advertised: clients cannot connect to %s; set it to an address or a name "
                 "that they reach this broker under",
                 config->advertised_host);
        return false;
    }
    for (size_t i = 0; i < config->controller_count; i++) {
        const struct broker_config_member *member = &config->controllers[i];
        if (is_wildcard(member->host)) {
            snprintf(error, error_size,
                     "controllers: broker %u cannot be reached at %s; name an address", member->id,
                     member->host);
            return false;
        }
        if (member->id != config->broker_id && member->port == config->peer_port &&
            strcmp(member->host, config->peer_host) == 0) {
            snprintf(error, error_size,
                     "controllers: broker %u has the address of this broker's own peer_listener, "
                     "%s:%u, but this is broker %u: set broker_id or peer_listener right",
                     member->id, member->host, member->port, config->broker_id);
            return false;
        }
    }
    return true;
}

static bool check_listeners(const struct broker_config *config, char *error, size_t error_size)
{
    if (!is_loopback(config->kafka_host) && !config->allow_insecure) {
        snprintf(error, error_size,
                 "kafka_listener %s is not a loopback address and clients are not authenticated: "
                 "listen on a loopback address, or write allow_insecure: true",
                 config->kafka_host);
        return false;
    }
    if (config->admin_port != 0 && !is_loopback(config->admin_host) && !config->allow_insecure) {
        snprintf(
            error, error_size,
            "admin_listener %s is not a loopback address: use one, or write allow_insecure: true",
            config->admin_host);
        return false;
    }
    if (config->controller_count > 7) {
        snprintf(error, error_size, "controllers: %zu are too many; 1 to 7 are allowed",
                 config->controller_count);
        return false;
    }
    if (config->election_ms < 3 * config->heartbeat_ms) {
        snprintf(error, error_size,
                 "election_ms (%u) must be at least three times heartbeat_ms (%u)",
                 config->election_ms, config->heartbeat_ms);
        return false;
    }
    return true;
}

/* One "name=value" and, as a list is cut at its commas, what belongs to the value after it; returns
 * how many texts that are, 0 with a sentence in error. */
static size_t take_topic_default(struct broker_config *config, size_t position, char *error,
                                 size_t error_size)
{
    char value[1024];
    char reason[128];
    char *const *texts = &config->topic_default_texts[position];
    size_t rest = config->topic_default_text_count - position;
    const char *equals = strchr(texts[0], '=');
    const struct topic_config_row *row =
        equals != NULL ? topic_config_find(texts[0], (size_t)(equals - texts[0])) : NULL;
    if (row == NULL) {
        snprintf(error, error_size, "topic_defaults: '%.100s' is not name=value of a topic config",
                 texts[0]);
        return 0;
    }
    size_t count = 1;
    size_t length = (size_t)snprintf(value, sizeof value, "%s", equals + 1);
    for (; count < rest && strchr(texts[count], '=') == NULL && length < sizeof value; count++) {
        length += (size_t)snprintf(value + length, sizeof value - length, ",%s", texts[count]);
    }
    if (length >= sizeof value) {
        snprintf(error, error_size, "topic_defaults: the value of %s is too long", row->name);
        return 0;
    }
    if (topic_config_check(row, value, length, reason, sizeof reason) != NULL) {
        snprintf(error, error_size, "topic_defaults: %s: the value '%.100s' %s", row->name, value,
                 reason);
        return 0;
    }
    topic_config_set(&config->topic_defaults, row, value, length);
    return count;
}

static bool take_topic_defaults(struct broker_config *config, char *error, size_t error_size)
{
    topic_config_clear(&config->topic_defaults);
    for (size_t i = 0; i < config->topic_default_text_count;) {
        size_t taken = take_topic_default(config, i, error, error_size);
        if (taken == 0) {
            return false;
        }
        i += taken;
    }
    return true;
}

bool broker_config_finish(struct broker_config *config, char *error, size_t error_size)
{
    if (*config->data_directory == 0 || *config->cluster_name == 0) {
        snprintf(error, error_size, "%s must not be empty",
                 *config->data_directory == 0 ? "data_directory" : "cluster_name");
        return false;
    }
    if (strspn(config->cluster_name,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
               "._-") != strlen(config->cluster_name) ||
        strlen(config->cluster_name) > 64) {
        snprintf(error, error_size,
                 "cluster_name: '%.80s' is not allowed; it takes up to 64 letters, digits, '.', "
                 "'_', '-'",
                 config->cluster_name);
        return false;
    }
    derive(config);
    return take_topic_defaults(config, error, error_size) &&
           check_levels(config, error, error_size) && check_tls(config, error, error_size) &&
           check_listeners(config, error, error_size) &&
           check_addresses_told(config, error, error_size);
}
