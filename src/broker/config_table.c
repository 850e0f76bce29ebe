/* SPDX-License-Identifier: Apache-2.0
 *
 * config_table.c -- the rows, and turning texts into values and back.
 *
 * Not here: YAML and flags (src/cli), rules between keys (config_rules.c).
 */
#include "broker/config_table.h"

#include "base/assert.h"
#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(member) offsetof(struct broker_config, member)
#define WIDTH(member) sizeof(((struct broker_config *)NULL)->member)
#define UINT(name, member, default_text, least, most, kafka, text)                                 \
    {                                                                                              \
        name, CONFIG_UINT, default_text, least, most, kafka, text, FIELD(member), 0, WIDTH(member) \
    }
#define TEXT(name, member, default_text, kafka, text)                                              \
    {                                                                                              \
        name, CONFIG_TEXT, default_text, 0, 0, kafka, text, FIELD(member), 0, 0                    \
    }
#define BOOLEAN(name, member, default_text, kafka, text)                                           \
    {                                                                                              \
        name, CONFIG_BOOLEAN, default_text, 0, 0, kafka, text, FIELD(member), 0, 0                 \
    }
#define ADDRESS(name, host, port, default_text, kafka, text)                                       \
    {                                                                                              \
        name, CONFIG_ADDRESS, default_text, 0, 0, kafka, text, FIELD(host), FIELD(port), 0         \
    }

static const struct config_row rows[] = {
    UINT("broker_id", broker_id, "1", 1, INT32_MAX, "broker.id",
         "This broker's number, different on every broker of the cluster."),
    TEXT("cluster_name", cluster_name, "flotilla", "",
         "Names the cluster; brokers of another name are refused. Part of the brokers' "
         "certificates."),
    TEXT("rack", rack, "", "broker.rack",
         "Where the broker stands; replicas are spread over racks."),
    TEXT("data_directory", data_directory, "./flotilla-data", "log.dirs",
         "Where everything is kept. Locked by the running broker."),
    UINT("shards", shards, "0", 0, 16, "", "Threads that serve; 0: one a core, at most 16."),
    ADDRESS("kafka_listener", kafka_host, kafka_port, "127.0.0.1:9092", "listeners",
            "Where Kafka clients connect."),
    ADDRESS("kafka_advertised", advertised_host, advertised_port, "", "advertised.listeners",
            "What clients are told to connect to; empty: kafka_listener."),
    ADDRESS("peer_listener", peer_host, peer_port, "127.0.0.1:19092", "",
            "Where the other brokers connect."),
    ADDRESS("admin_listener", admin_host, admin_port, "127.0.0.1:9644", "",
            "HTTP with /metrics, /healthz and /readyz; port 0 turns it off."),
    {"controllers", CONFIG_MEMBER_LIST, "", 0, 0, "controller.quorum.voters",
     "The brokers that found the cluster as id@host:port of their peer_listener, the same list on "
     "each of them; a broker that is added names any that run; empty: this broker alone.",
     FIELD(controllers), FIELD(controller_count), 0},
    TEXT("peer_tls_ca", peer_tls_ca, "", "",
         "PEM file of the brokers' own certificate authority; empty: no TLS between brokers, which "
         "only works on the loopback address."),
    TEXT(
        "peer_tls_certificate", peer_tls_certificate, "", "",
        "PEM file of this broker's certificate; its URI is flotilla://<cluster_name>/broker/<id>."),
    TEXT("peer_tls_key", peer_tls_key, "", "",
         "PEM file of its private key, readable by its owner alone."),
    {"peer_allow", CONFIG_TEXT_LIST, "127.0.0.0/8,::1/128", 0, 0, "",
     "Address blocks (CIDR) from which brokers may connect.", FIELD(peer_allow),
     FIELD(peer_allow_count), 0},
    BOOLEAN("allow_insecure", allow_insecure, "false", "",
            "Permits listeners on other than loopback addresses without TLS."),
    BOOLEAN("auto_create_topics", auto_create_topics, "true", "auto.create.topics.enable",
            "Creates a topic when a client asks for one that does not exist."),
    UINT("default_partitions", default_partitions, "1", 1, 100000, "num.partitions",
         "Partitions of a topic whose creator did not say."),
    UINT("default_replication_factor", default_replication_factor, "1", 1, 15,
         "default.replication.factor", "Replicas of a topic whose creator did not say."),
    {"topic_defaults", CONFIG_TEXT_LIST, "", 0, 0, "",
     "Configs of topics that do not set them, as name=value: retention.ms=86400000, ... (see "
     "KAFKA_CONFIGS.md).",
     FIELD(topic_default_texts), FIELD(topic_default_text_count), 0},
    UINT("offsets_topic_partitions", offsets_topic_partitions, "50", 1, 10000,
         "offsets.topic.num.partitions",
         "Partitions of __consumer_offsets, when it is created with the first group."),
    UINT("offsets_topic_replication_factor", offsets_topic_replication_factor, "3", 1, 15,
         "offsets.topic.replication.factor",
         "Replicas of each of them; fewer in a cluster of fewer brokers."),
    UINT("offsets_retention_minutes", offsets_retention_minutes, "10080", 1, INT32_MAX,
         "offsets.retention.minutes",
         "How long committed offsets are kept after their group lost its last member."),
    UINT("offset_metadata_max_bytes", offset_metadata_max_bytes, "4096", 0, 65536,
         "offset.metadata.max.bytes", "What a client may store beside a committed offset."),
    UINT("group_initial_rebalance_delay_ms", group_initial_rebalance_delay_ms, "3000", 0, 300000,
         "group.initial.rebalance.delay.ms",
         "How long the first member of a group waits for others to join."),
    UINT("group_min_session_timeout_ms", group_min_session_timeout_ms, "6000", 1, INT32_MAX,
         "group.min.session.timeout.ms", "The shortest session a member may ask for."),
    UINT("group_max_session_timeout_ms", group_max_session_timeout_ms, "1800000", 1, INT32_MAX,
         "group.max.session.timeout.ms", "The longest session a member may ask for."),
    UINT("group_max_size", group_max_size, "10000", 1, 1000000, "group.max.size",
         "Members a group may have."),
    UINT("producer_id_expiration_ms", producer_id_expiration_ms, "86400000", 1, INT32_MAX,
         "producer.id.expiration.ms",
         "A partition forgets an idempotent producer whose newest batch is older than this."),
    UINT("heartbeat_ms", heartbeat_ms, "150", 20, 10000, "",
         "A leader tells its followers that it lives this often."),
    UINT("election_ms", election_ms, "1000", 100, 60000, "",
         "A follower that hears nothing for this long to twice as long asks for an election; a "
         "leader whose process ended is noticed at once, by its closed connections."),
    BOOLEAN("leader_balance", leader_balance, "true", "auto.leader.rebalance.enable",
            "Partitions are handed over to their preferred leaders when those are back."),
    UINT("leader_balance_delay_ms", leader_balance_delay_ms, "30000", 100, INT32_MAX, "",
         "How long a broker must have been back before it is given leaders, and how often that is "
         "looked at."),
    UINT("request_bytes_max", request_bytes_max, "104857600", 65536, 1073741824,
         "socket.request.max.bytes", "A larger request closes its connection."),
    UINT("connections_max", connections_max, "10000", 10, 1000000, "max.connections",
         "Client connections this broker holds at once."),
    UINT("connections_per_address_max", connections_per_address_max, "1000", 1, 1000000,
         "max.connections.per.ip", "And from one address."),
    UINT("connection_idle_ms", connection_idle_ms, "600000", 1000, INT32_MAX,
         "connections.max.idle.ms", "A connection without requests is closed after this time."),
    UINT("request_partial_ms", request_partial_ms, "30000", 100, INT32_MAX, "",
         "A request that has begun to arrive must be whole within this time."),
    UINT("requests_in_flight_max", requests_in_flight_max, "1000", 1, 100000, "",
         "Unanswered requests of one connection before it is no longer read."),
    BOOLEAN("enable_follower_read", enable_follower_read, "false", "",
            "Clients that say their rack read from a replica in it that is caught up; the same on "
            "every broker."),
    UINT(
        "fetch_sessions_max", fetch_sessions_max, "1000", 0, 1000000,
        "max.incremental.fetch.session.cache.slots",
        "Clients of which the broker remembers what they read, so that their fetches name and tell "
        "only what is new; the others are told everything each time."),
    UINT("retention_check_ms", retention_check_ms, "30000", 100, INT32_MAX,
         "log.retention.check.interval.ms", "How often old segments are looked for."),
    UINT("compaction_check_ms", compaction_check_ms, "15000", 10, INT32_MAX,
         "log.cleaner.backoff.ms", "How often partitions that are to be compacted are looked for."),
    UINT("compaction_memory_bytes", compaction_memory_bytes, "16777216", 65536, 4294967296,
         "log.cleaner.dedupe.buffer.size",
         "Memory for the keys of the one partition that a shard compacts at a time; with more keys "
         "it takes several turns."),
    UINT("compaction_bytes_per_second", compaction_bytes_per_second, "33554432", 0, INT64_MAX,
         "log.cleaner.io.max.bytes.per.second",
         "What a shard reads at most in order to compact; 0: no bound."),
    UINT("disk_reserve_bytes", disk_reserve_bytes, "268435456", 0, INT64_MAX, "",
         "With less disk space free no more data is taken, until there is room again; 0: the disk "
         "may fill up, which ends the broker."),
    UINT("catch_up_bytes_per_second", catch_up_bytes_per_second, "104857600", 0, INT64_MAX,
         "leader.replication.throttled.rate",
         "What this broker sends at most to replicas that are being filled; 0: no bound."),
    UINT("scrub_bytes_per_second", scrub_bytes_per_second, "4194304", 0, INT64_MAX, "",
         "What is read at most to find data that the disk no longer holds as it was written; 0: "
         "data is checked only when it is used."),
    UINT("scrub_interval_ms", scrub_interval_ms, "3600000", 1000, INT32_MAX, "",
         "Looking through all data for damage begins anew no sooner than this after the last "
         "beginning."),
    TEXT("log_level", log_level, "info", "", "debug, info, warn or error."),
};

size_t config_row_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct config_row *config_row_at(size_t position)
{
    require(position < config_row_count());
    return &rows[position];
}

const struct config_row *config_row_find(const char *name)
{
    for (size_t i = 0; i < config_row_count(); i++) {
        if (strcmp(rows[i].name, name) == 0) {
            return &rows[i];
        }
    }
    return NULL;
}

static void *field(struct broker_config *config, size_t offset)
{
    return (uint8_t *)config + offset;
}

static const void *field_const(const struct broker_config *config, size_t offset)
{
    return (const uint8_t *)config + offset;
}

static void set_text(char **target, const char *text)
{
    char *copy = memory_duplicate_string(text);
    memory_free(*target);
    *target = copy;
}

char *config_row_allowed(const struct config_row *row, char *text, size_t size)
{
    switch (row->type) {
    case CONFIG_BOOLEAN:
        snprintf(text, size, "true or false");
        break;
    case CONFIG_UINT:
        snprintf(text, size, "a number from %" PRIu64 " to %" PRIu64, row->least, row->most);
        break;
    case CONFIG_TEXT:
        snprintf(text, size, "a text");
        break;
    case CONFIG_ADDRESS:
        snprintf(text, size, "host:port or [ipv6]:port");
        break;
    case CONFIG_TEXT_LIST:
        snprintf(text, size, "a list of texts");
        break;
    case CONFIG_MEMBER_LIST:
        snprintf(text, size, "a list of id@host:port, each id once");
        break;
    }
    return text;
}

/* Digits only, so that "-1", "0x10", "1k" and " 1" are refused. */
static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *number)
{
    size_t length = strlen(text);
    if (length == 0 || length > 19 || strspn(text, "0123456789") != length) {
        return false;
    }
    *number = strtoull(text, NULL, 10);
    return *number >= least && *number <= most;
}

static bool set_uint(struct broker_config *config, const struct config_row *row, const char *text)
{
    uint64_t number;
    if (!parse_number(text, row->least, row->most, &number)) {
        return false;
    }
    void *target = field(config, row->offset);
    if (row->width_bytes == sizeof(uint32_t)) {
        *(uint32_t *)target = (uint32_t)number;
    } else {
        ensure(row->width_bytes == sizeof(uint64_t));
        *(uint64_t *)target = number;
    }
    return true;
}

static bool set_boolean(struct broker_config *config, const struct config_row *row,
                        const char *text)
{
    bool *target = field(config, row->offset);
    if (strcmp(text, "true") == 0) {
        *target = true;
        return true;
    }
    *target = false;
    return strcmp(text, "false") == 0;
}

/* "host:port" or "[ipv6]:port" into a new string and a number. */
static bool parse_address(const char *text, char **host, uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    uint64_t number;
    if (colon == NULL || colon == text || !parse_number(colon + 1, 0, UINT16_MAX, &number)) {
        return false;
    }
    const char *begin = text;
    const char *end = colon;
    if (*begin == '[') {
        begin++;
        end--;
        if (end <= begin || *end != ']') {
            return false;
        }
    } else if (memchr(begin, ':', (size_t)(end - begin)) != NULL) {
        return false;
    }
    size_t length = (size_t)(end - begin);
    if (length == 0 || length > 255) {
        return false;
    }
    char *copy = memory_allocate(length + 1);
    memcpy(copy, begin, length);
    copy[length] = 0;
    memory_free(*host);
    *host = copy;
    *port = (uint16_t)number;
    return true;
}

static bool set_address(struct broker_config *config, const struct config_row *row,
                        const char *text)
{
    char **host = field(config, row->offset);
    uint16_t *port = field(config, row->second_offset);
    if (*text == 0) {
        if (*row->default_text != 0) {
            return false;
        }
        set_text(host, "");
        *port = 0;
        return true;
    }
    return parse_address(text, host, port);
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memory_free(texts[i]);
    }
    memory_free(texts);
}

/* The parts between commas, without surrounding blanks; empty parts are left out. */
static char **split(const char *text, size_t *count)
{
    char **parts = memory_allocate(0);
    *count = 0;
    while (*text != 0) {
        size_t length = strcspn(text, ",");
        const char *begin = text + strspn(text, " ");
        const char *end = text + length;
        while (end > begin && end[-1] == ' ') {
            end--;
        }
        if (begin < end) {
            char *part = memory_allocate((size_t)(end - begin) + 1);
            memcpy(part, begin, (size_t)(end - begin));
            part[end - begin] = 0;
            parts = memory_reallocate(parts, (*count + 1) * sizeof *parts);
            parts[(*count)++] = part;
        }
        text += length;
        text += *text == ',';
    }
    return parts;
}

static bool set_text_list(struct broker_config *config, const struct config_row *row,
                          const char *text)
{
    char ***list = field(config, row->offset);
    size_t *count = field(config, row->second_offset);
    free_texts(*list, *count);
    *list = split(text, count);
    return true;
}

static void free_members(struct broker_config_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memory_free(members[i].host);
    }
    memory_free(members);
}

/* "id@host:port" */
static bool parse_member(char *text, struct broker_config_member *member)
{
    char *at = strchr(text, '@');
    if (at == NULL) {
        return false;
    }
    *at = 0;
    uint64_t id;
    if (!parse_number(text, 1, INT32_MAX, &id)) {
        return false;
    }
    member->id = (uint32_t)id;
    return parse_address(at + 1, &member->host, &member->port) && member->port != 0;
}

static bool set_member_list(struct broker_config *config, const struct config_row *row,
                            const char *text)
{
    size_t count;
    char **parts = split(text, &count);
    struct broker_config_member *members = memory_allocate_zeroed(count * sizeof *members);
    bool good = true;
    for (size_t i = 0; i < count && good; i++) {
        good = parse_member(parts[i], &members[i]);
        for (size_t j = 0; j < i; j++) {
            good = good && members[j].id != members[i].id;
        }
    }
    free_texts(parts, count);
    if (!good) {
        free_members(members, count);
        return false;
    }
    struct broker_config_member **target = field(config, row->offset);
    size_t *target_count = field(config, row->second_offset);
    free_members(*target, *target_count);
    *target = members;
    *target_count = count;
    return true;
}

bool broker_config_set(struct broker_config *config, const struct config_row *row, const char *text,
                       char *error, size_t error_size)
{
    bool good = false;
    switch (row->type) {
    case CONFIG_BOOLEAN:
        good = set_boolean(config, row, text);
        break;
    case CONFIG_UINT:
        good = set_uint(config, row, text);
        break;
    case CONFIG_TEXT:
        set_text(field(config, row->offset), text);
        good = true;
        break;
    case CONFIG_ADDRESS:
        good = set_address(config, row, text);
        break;
    case CONFIG_TEXT_LIST:
        good = set_text_list(config, row, text);
        break;
    case CONFIG_MEMBER_LIST:
        good = set_member_list(config, row, text);
        break;
    }
    if (!good) {
        char allowed[96];
        snprintf(error, error_size, "%s: '%.100s' is not allowed; it takes %s", row->name, text,
                 config_row_allowed(row, allowed, sizeof allowed));
    }
    return good;
}

void broker_config_init(struct broker_config *config)
{
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < config_row_count(); i++) {
        char error[256];
        bool good = broker_config_set(config, &rows[i], rows[i].default_text, error, sizeof error);
        ensure(good);
    }
}

void broker_config_free(struct broker_config *config)
{
    for (size_t i = 0; i < config_row_count(); i++) {
        const struct config_row *row = &rows[i];
        if (row->type == CONFIG_TEXT || row->type == CONFIG_ADDRESS) {
            char **text = field(config, row->offset);
            memory_free(*text);
            *text = NULL;
        }
    }
    memory_free(config->peer_advertised_host);
    free_texts(config->peer_allow, config->peer_allow_count);
    free_texts(config->topic_default_texts, config->topic_default_text_count);
    topic_config_clear(&config->topic_defaults);
    free_members(config->controllers, config->controller_count);
    memset(config, 0, sizeof *config);
}

static void format_list(const struct broker_config *config, const struct config_row *row,
                        char *text, size_t size)
{
    size_t used = 0;
    text[0] = 0;
    size_t count = *(const size_t *)field_const(config, row->second_offset);
    for (size_t i = 0; i < count && used < size; i++) {
        const char *comma = i == 0 ? "" : ",";
        int written;
        if (row->type == CONFIG_MEMBER_LIST) {
            const struct broker_config_member *member = &config->controllers[i];
            written = snprintf(text + used, size - used, "%s%u@%s:%u", comma, member->id,
                               member->host, member->port);
        } else {
            char *const *const *list = field_const(config, row->offset);
            written = snprintf(text + used, size - used, "%s%s", comma, (*list)[i]);
        }
        used += written > 0 ? (size_t)written : 0;
    }
}

char *broker_config_format(const struct broker_config *config, const struct config_row *row,
                           char *text, size_t size)
{
    const void *value = field_const(config, row->offset);
    switch (row->type) {
    case CONFIG_BOOLEAN:
        snprintf(text, size, "%s", *(const bool *)value ? "true" : "false");
        break;
    case CONFIG_UINT:
        snprintf(text, size, "%" PRIu64,
                 row->width_bytes == sizeof(uint32_t) ? (uint64_t) * (const uint32_t *)value
                                                      : *(const uint64_t *)value);
        break;
    case CONFIG_TEXT:
        snprintf(text, size, "%s", *(char *const *)value);
        break;
    case CONFIG_ADDRESS: {
        const char *host = *(char *const *)value;
        const uint16_t *port = field_const(config, row->second_offset);
        snprintf(text, size, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, *port);
        break;
    }
    case CONFIG_TEXT_LIST:
    case CONFIG_MEMBER_LIST:
        format_list(config, row, text, size);
        break;
    }
    return text;
}
