/* SPDX-License-Identifier: Apache-2.0
 *
 * fetch_session.c -- see fetch_session.h.
 */
#include "broker/fetch_session.h"

#include "base/assert.h"
#include "base/memory.h"
#include "base/prng.h"
#include "io/shard.h"

#include <string.h>

/* What a place in a map costs: a slot of two words, and tables are half empty. */
#define MAP_SLOT_BYTES 32

struct fetch_session_table {
    struct fetch_session_limits limits;
    struct prng ids;
    struct map sessions; /* by id */
    struct list used;    /* the one not used for longest first */
    size_t bytes;
    uint64_t partitions;
    uint64_t evicted;
    uint64_t refused;
};

static void grow(struct fetch_session_table *table, struct fetch_session *session, size_t bytes)
{
    session->bytes += bytes;
    table->bytes += bytes;
}

static void shrink(struct fetch_session_table *table, struct fetch_session *session, size_t bytes)
{
    ensure(session->bytes >= bytes && table->bytes >= bytes);
    session->bytes -= bytes;
    table->bytes -= bytes;
}

/* ---- Topics and partitions of a session ---- */

static size_t topic_bytes(const struct fetch_session_topic *topic)
{
    return sizeof *topic + (size_t)topic->name.length + MAP_SLOT_BYTES;
}

static const size_t partition_bytes = sizeof(struct fetch_session_partition) + MAP_SLOT_BYTES;

/* The part of (id, name) that topics of the session go by. */
static const void *key_of(const struct fetch_session *session, const struct uuid *id,
                          struct wire_string name, size_t *length)
{
    *length = session->has_topic_ids ? sizeof id->bytes : (size_t)name.length;
    return session->has_topic_ids ? (const void *)id->bytes : (const void *)name.data;
}

static struct fetch_session_topic *find_topic(const struct fetch_session *session,
                                              const struct uuid *id, struct wire_string name)
{
    size_t length = 0;
    const void *key = key_of(session, id, name, &length);
    return map_get_bytes(&session->topics, key, length);
}

static struct fetch_session_topic *add_topic(struct fetch_session_table *table,
                                             struct fetch_session *session, const struct uuid *id,
                                             struct wire_string name)
{
    size_t name_length = session->has_topic_ids ? 0 : (size_t)name.length;
    struct fetch_session_topic *topic = memory_allocate_zeroed(sizeof *topic + name_length);
    char *copy = (char *)(topic + 1);
    if (session->has_topic_ids) {
        topic->id = *id;
    } else {
        memcpy(copy, name.data, name_length);
    }
    topic->name = (struct wire_string){copy, (int32_t)name_length};
    topic->number = session->topic_numbers++;
    size_t length = 0;
    const void *key = key_of(session, &topic->id, topic->name, &length);
    map_put_bytes(&session->topics, key, length, topic);
    grow(table, session, topic_bytes(topic));
    return topic;
}

static uint64_t place_of(const struct fetch_session_topic *topic, int32_t partition)
{
    return (uint64_t)topic->number << 32 | (uint32_t)partition;
}

static void remove_partition(struct fetch_session_table *table, struct fetch_session *session,
                             struct fetch_session_partition *partition)
{
    struct fetch_session_topic *topic = partition->topic;
    map_take(&session->places, place_of(topic, partition->partition));
    list_remove(&partition->node);
    memory_free(partition);
    shrink(table, session, partition_bytes);
    session->partition_count--;
    table->partitions--;
    topic->partition_count--;
    if (topic->partition_count == 0) {
        size_t length = 0;
        const void *key = key_of(session, &topic->id, topic->name, &length);
        map_take_bytes(&session->topics, key, length);
        shrink(table, session, topic_bytes(topic));
        memory_free(topic);
    }
}

/* ---- Life of a session ---- */

static void remove_session(struct fetch_session_table *table, struct fetch_session *session)
{
    struct list_node *node;
    while ((node = list_first(&session->partitions)) != NULL) {
        remove_partition(table, session, container_of(node, struct fetch_session_partition, node));
    }
    ensure(session->topics.count == 0 && session->places.count == 0);
    map_free(&session->topics);
    map_free(&session->places);
    map_take(&table->sessions, (uint64_t)session->id);
    list_remove(&session->node);
    shrink(table, session, sizeof *session);
    ensure(session->bytes == 0);
    memory_free(session);
}

static bool has_room(const struct fetch_session_table *table, size_t bytes)
{
    return table->sessions.count < table->limits.sessions_max &&
           table->bytes + bytes <= table->limits.bytes_max;
}

static bool make_room(struct fetch_session_table *table, size_t bytes, uint64_t now_ns)
{
    while (!has_room(table, bytes)) {
        struct list_node *node = list_first(&table->used);
        if (node == NULL) {
            return false;
        }
        struct fetch_session *oldest = container_of(node, struct fetch_session, node);
        if (now_ns - oldest->used_ns < FETCH_SESSION_IDLE_NS) {
            return false;
        }
        remove_session(table, oldest);
        table->evicted++;
    }
    return true;
}

/* Never 0, and of no other session of the broker. */
static int32_t new_id(struct fetch_session_table *table)
{
    uint64_t id = 0;
    do {
        uint64_t chance = prng_below(&table->ids, INT32_MAX / SHARDS_MAX);
        id = chance * SHARDS_MAX + table->limits.shard_id;
    } while (id == 0 || map_get(&table->sessions, id) != NULL);
    ensure(id <= INT32_MAX);
    return (int32_t)id;
}

struct fetch_session *fetch_session_create(struct fetch_session_table *table, bool has_topic_ids,
                                           uint32_t partition_count, uint64_t now_ns)
{
    size_t bytes = sizeof(struct fetch_session) + partition_count * partition_bytes;
    bool fits = partition_count <= FETCH_SESSION_PARTITIONS_MAX;
    if (!fits || !make_room(table, bytes, now_ns)) {
        table->refused++;
        return NULL;
    }
    struct fetch_session *session = memory_allocate_zeroed(sizeof *session);
    session->id = new_id(table);
    session->epoch = 1;
    session->has_topic_ids = has_topic_ids;
    session->used_ns = now_ns;
    list_init(&session->partitions);
    map_init(&session->topics);
    map_init(&session->places);
    list_node_init(&session->node);
    list_append(&table->used, &session->node);
    map_put(&table->sessions, (uint64_t)session->id, session);
    grow(table, session, sizeof *session);
    return session;
}

void fetch_session_close(struct fetch_session_table *table, int32_t id)
{
    struct fetch_session *session = id > 0 ? map_get(&table->sessions, (uint64_t)id) : NULL;
    if (session != NULL) {
        remove_session(table, session);
    }
}

/* ---- A fetch of a session ---- */

/* 0 and -1 are no epochs of a session: they begin and end it. */
static int32_t epoch_after(int32_t epoch)
{
    require(epoch > 0);
    return epoch == INT32_MAX ? 1 : epoch + 1;
}

enum wire_error fetch_session_advance(struct fetch_session_table *table, int32_t id, int32_t epoch,
                                      bool has_topic_ids, uint64_t now_ns,
                                      struct fetch_session **found)
{
    struct fetch_session *session = id > 0 ? map_get(&table->sessions, (uint64_t)id) : NULL;
    *found = NULL;
    if (session == NULL) {
        return WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    }
    if (session->epoch != epoch) {
        return WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH;
    }
    if (session->has_topic_ids != has_topic_ids) {
        return WIRE_ERROR_FETCH_SESSION_TOPIC_ID_ERROR;
    }
    session->epoch = epoch_after(epoch);
    session->used_ns = now_ns;
    list_remove(&session->node);
    list_append(&table->used, &session->node);
    *found = session;
    return WIRE_ERROR_NONE;
}

struct fetch_session *fetch_session_find(const struct fetch_session_table *table, int32_t id,
                                         int32_t epoch, enum wire_error *error)
{
    struct fetch_session *session = map_get(&table->sessions, (uint64_t)id);
    *error = WIRE_ERROR_NONE;
    if (session == NULL) {
        *error = WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND;
    } else if (session->epoch != epoch_after(epoch)) {
        *error = WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH;
    }
    return *error == WIRE_ERROR_NONE ? session : NULL;
}

struct fetch_session_partition *fetch_session_put(struct fetch_session_table *table,
                                                  struct fetch_session *session,
                                                  const struct uuid *topic_id,
                                                  struct wire_string name, int32_t number,
                                                  const struct fetch_session_wish *wish)
{
    struct fetch_session_topic *topic = find_topic(session, topic_id, name);
    struct fetch_session_partition *partition = NULL;
    if (topic != NULL) {
        partition = map_get(&session->places, place_of(topic, number));
    }
    if (partition != NULL) {
        partition->wish = *wish;
        return partition;
    }
    bool has_space = table->bytes + partition_bytes <= table->limits.bytes_max;
    if (session->partition_count == FETCH_SESSION_PARTITIONS_MAX || !has_space) {
        return NULL;
    }
    if (topic == NULL) {
        topic = add_topic(table, session, topic_id, name);
    }
    partition = memory_allocate(sizeof *partition);
    *partition = (struct fetch_session_partition){
        .topic = topic,
        .partition = number,
        .wish = *wish,
        .high_watermark = -1,
        .log_start_offset = -1,
    };
    list_node_init(&partition->node);
    list_append(&session->partitions, &partition->node);
    map_put(&session->places, place_of(topic, number), partition);
    grow(table, session, partition_bytes);
    topic->partition_count++;
    session->partition_count++;
    table->partitions++;
    return partition;
}

void fetch_session_forget(struct fetch_session_table *table, struct fetch_session *session,
                          const struct uuid *topic_id, struct wire_string name, int32_t number)
{
    struct fetch_session_topic *topic = find_topic(session, topic_id, name);
    struct fetch_session_partition *partition = NULL;
    if (topic != NULL) {
        partition = map_get(&session->places, place_of(topic, number));
    }
    if (partition != NULL) {
        remove_partition(table, session, partition);
    }
}

bool fetch_session_note(struct fetch_session *session, struct fetch_session_partition *partition,
                        const struct fetch_session_news *news)
{
    bool is_bad = news->error != WIRE_ERROR_NONE || news->is_parting;
    bool has_moved = partition->high_watermark != news->high_watermark ||
                     partition->log_start_offset != news->log_start_offset;
    /* After an error the client is told where the partition stands, even if that is where it stood
     * before. */
    partition->high_watermark = is_bad ? -1 : news->high_watermark;
    partition->log_start_offset = news->log_start_offset;
    if (news->has_records) {
        list_remove(&partition->node);
        list_append(&session->partitions, &partition->node);
    }
    return is_bad || has_moved || news->has_records;
}

/* ---- The table ---- */

struct fetch_session_table *fetch_session_table_new(const struct fetch_session_limits *limits)
{
    require(limits->shard_id < SHARDS_MAX);
    struct fetch_session_table *table = memory_allocate_zeroed(sizeof *table);
    table->limits = *limits;
    prng_init(&table->ids, limits->seed);
    map_init(&table->sessions);
    list_init(&table->used);
    return table;
}

void fetch_session_table_free(struct fetch_session_table *table)
{
    struct list_node *node;
    while ((node = list_first(&table->used)) != NULL) {
        remove_session(table, container_of(node, struct fetch_session, node));
    }
    ensure(table->bytes == 0 && table->partitions == 0);
    map_free(&table->sessions);
    memory_free(table);
}

struct fetch_session_stats fetch_session_table_stats(const struct fetch_session_table *table)
{
    return (struct fetch_session_stats){
        .sessions = table->sessions.count,
        .partitions = table->partitions,
        .bytes = table->bytes,
        .evicted = table->evicted,
        .refused = table->refused,
    };
}
