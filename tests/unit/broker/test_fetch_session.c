/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fetch_session.c -- the table of fetch sessions: its rules, its bounds, and, in a long random
 * history, that a client with a session has the same picture of its partitions as one that is told
 * everything with every fetch.
 */
#include "base/prng.h"
#include "broker/fetch_session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ull
#define SHARD 3

static const struct uuid no_id;

static struct fetch_session_table *make_table(uint32_t sessions_max, size_t bytes_max)
{
    return fetch_session_table_new(&(struct fetch_session_limits){
        .sessions_max = sessions_max, .bytes_max = bytes_max, .shard_id = SHARD, .seed = 42});
}

static struct wire_string text(const char *name)
{
    return (struct wire_string){name, (int32_t)strlen(name)};
}

static struct fetch_session_partition *put(struct fetch_session_table *table,
                                           struct fetch_session *session, const char *topic,
                                           int32_t partition, int64_t offset)
{
    const struct fetch_session_wish wish = {offset, 1000, -1, -1};
    return fetch_session_put(table, session, &no_id, text(topic), partition, &wish);
}

static enum wire_error advance(struct fetch_session_table *table, int32_t id, int32_t epoch)
{
    struct fetch_session *session = NULL;
    return fetch_session_advance(table, id, epoch, false, 0, &session);
}

/* ---- Epochs ---- */

static void each_fetch_is_one_epoch_further(void **state)
{
    (void)state;
    struct fetch_session_table *table = make_table(10, 1 << 20);
    struct fetch_session *session = fetch_session_create(table, false, 1, 0);
    int32_t id = session->id;
    put(table, session, "t", 0, 0);
    assert_true(id > 0);
    assert_int_equal(id % 16, SHARD);
    assert_int_equal(advance(table, id, 2), WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(advance(table, id, 1), WIRE_ERROR_NONE);
    assert_int_equal(advance(table, id, 1), WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(advance(table, id, 2), WIRE_ERROR_NONE);
    assert_int_equal(advance(table, id, -7), WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    assert_int_equal(advance(table, id + 16, 3), WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(advance(table, -id, 3), WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(advance(table, 0, 3), WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    session->epoch = INT32_MAX;
    assert_int_equal(advance(table, id, INT32_MAX), WIRE_ERROR_NONE);
    assert_int_equal(advance(table, id, 1), WIRE_ERROR_NONE);

    /* Only the newest fetch may answer. */
    enum wire_error error = WIRE_ERROR_NONE;
    assert_ptr_equal(fetch_session_find(table, id, 1, &error), session);
    assert_null(fetch_session_find(table, id, INT32_MAX, &error));
    assert_int_equal(error, WIRE_ERROR_INVALID_FETCH_SESSION_EPOCH);
    fetch_session_close(table, id);
    assert_null(fetch_session_find(table, id, 1, &error));
    assert_int_equal(error, WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    fetch_session_table_free(table);
}

static void names_and_ids_do_not_mix(void **state)
{
    (void)state;
    struct fetch_session_table *table = make_table(10, 1 << 20);
    struct fetch_session *session = fetch_session_create(table, true, 2, 0);
    struct fetch_session *found = NULL;
    const struct uuid first = {{1}};
    const struct uuid second = {{2}};
    const struct fetch_session_wish wish = {0, 1000, -1, -1};
    assert_int_equal(fetch_session_advance(table, session->id, 1, false, 0, &found),
                     WIRE_ERROR_FETCH_SESSION_TOPIC_ID_ERROR);
    assert_null(found);
    assert_int_equal(fetch_session_advance(table, session->id, 1, true, 0, &found),
                     WIRE_ERROR_NONE);
    /* A topic that was deleted and made again is another one. */
    fetch_session_put(table, session, &first, text(""), 0, &wish);
    fetch_session_put(table, session, &second, text(""), 0, &wish);
    assert_int_equal(session->partition_count, 2);
    fetch_session_forget(table, session, &first, text(""), 0);
    assert_int_equal(session->partition_count, 1);
    const struct fetch_session_partition *left =
        container_of(list_first(&session->partitions), struct fetch_session_partition, node);
    assert_true(uuid_equal(&left->topic->id, &second));
    fetch_session_table_free(table);
}

/* ---- Bounds ---- */

static void unused_sessions_make_room_and_used_ones_do_not(void **state)
{
    (void)state;
    struct fetch_session_table *table = make_table(2, 1 << 20);
    int32_t first = fetch_session_create(table, false, 1, 0)->id;
    int32_t second = fetch_session_create(table, false, 1, 0)->id;
    struct fetch_session *found = NULL;
    assert_int_not_equal(first, second);
    assert_null(fetch_session_create(table, false, 1, 119 * SECOND_NS));
    fetch_session_advance(table, first, 1, false, 119 * SECOND_NS, &found);
    struct fetch_session *third = fetch_session_create(table, false, 1, 120 * SECOND_NS);
    assert_non_null(third);
    assert_int_equal(advance(table, second, 1), WIRE_ERROR_FETCH_SESSION_ID_NOT_FOUND);
    assert_int_equal(advance(table, first, 2), WIRE_ERROR_NONE);
    struct fetch_session_stats stats = fetch_session_table_stats(table);
    assert_int_equal(stats.sessions, 2);
    assert_int_equal(stats.evicted, 1);
    assert_int_equal(stats.refused, 1);
    fetch_session_table_free(table);

    table = make_table(0, 1 << 20);
    assert_null(fetch_session_create(table, false, 1, 0));
    fetch_session_table_free(table);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    struct fetch_session_table *table = make_table(100, 20000);
    struct fetch_session *session = fetch_session_create(table, false, 100, 0);
    int32_t put_count = 0;
    while (put(table, session, put_count % 2 == 0 ? "even" : "odd", put_count, 0) != NULL) {
        put_count++;
    }
    assert_in_range(put_count, 50, 200);
    assert_in_range(fetch_session_table_stats(table).bytes, 19000, 20000 + 200);
    assert_int_equal(fetch_session_table_stats(table).partitions, put_count);
    assert_null(fetch_session_create(table, false, 10, 0));
    assert_non_null(put(table, session, "odd", 1, 77)); /* it is there */
    fetch_session_close(table, session->id);
    assert_int_equal(fetch_session_table_stats(table).bytes, 0);
    assert_int_equal(fetch_session_table_stats(table).partitions, 0);
    assert_non_null(fetch_session_create(table, false, 10, 0));
    assert_null(fetch_session_create(table, false, FETCH_SESSION_PARTITIONS_MAX + 1, 0));
    fetch_session_table_free(table);
}

static void a_session_is_bounded(void **state)
{
    (void)state;
    struct fetch_session_table *table = make_table(1, FETCH_SESSION_TABLE_BYTES_MAX);
    struct fetch_session *session = fetch_session_create(table, false, 1, 0);
    for (int32_t i = 0; i < FETCH_SESSION_PARTITIONS_MAX; i++) {
        assert_non_null(put(table, session, "t", i, i));
    }
    assert_null(put(table, session, "t", FETCH_SESSION_PARTITIONS_MAX, 0));
    fetch_session_forget(table, session, &no_id, text("t"), 5);
    fetch_session_forget(table, session, &no_id, text("t"), 5);
    fetch_session_forget(table, session, &no_id, text("u"), 5);
    assert_non_null(put(table, session, "u", -1, 0));
    assert_null(put(table, session, "t", 5, 0));
    fetch_session_table_free(table);
}

/* ---- What is told ---- */

static void a_partition_is_told_when_something_differs(void **state)
{
    (void)state;
    struct fetch_session_table *table = make_table(1, 1 << 20);
    struct fetch_session *session = fetch_session_create(table, false, 2, 0);
    struct fetch_session_partition *first = put(table, session, "t", 0, 0);
    struct fetch_session_partition *second = put(table, session, "t", 1, 0);
    struct fetch_session_news news = {.high_watermark = 0, .log_start_offset = 0};
    assert_true(fetch_session_note(session, first, &news)); /* though it is empty */
    assert_false(fetch_session_note(session, first, &news));
    news.high_watermark = 5;
    assert_true(fetch_session_note(session, first, &news));
    assert_false(fetch_session_note(session, first, &news));
    news.log_start_offset = 2;
    assert_true(fetch_session_note(session, first, &news));
    assert_false(fetch_session_note(session, first, &news));

    /* Errors and partings every time, and afterwards where it stands. */
    news.error = WIRE_ERROR_NOT_LEADER_OR_FOLLOWER;
    assert_true(fetch_session_note(session, first, &news));
    assert_true(fetch_session_note(session, first, &news));
    news.error = WIRE_ERROR_NONE;
    assert_true(fetch_session_note(session, first, &news));
    assert_false(fetch_session_note(session, first, &news));
    news.is_parting = true;
    assert_true(fetch_session_note(session, first, &news));
    assert_true(fetch_session_note(session, first, &news));
    news.is_parting = false;
    assert_true(fetch_session_note(session, first, &news));
    assert_false(fetch_session_note(session, first, &news));

    /* What gave records comes last from then on. */
    assert_ptr_equal(list_first(&session->partitions), &first->node);
    news.has_records = true;
    assert_true(fetch_session_note(session, first, &news));
    assert_true(fetch_session_note(session, first, &news));
    assert_ptr_equal(list_first(&session->partitions), &second->node);

    /* A partition that is asked for at another offset keeps its place and what was told of it. */
    news.has_records = false;
    assert_ptr_equal(put(table, session, "t", 0, 9), first);
    assert_int_equal(first->wish.offset, 9);
    assert_false(fetch_session_note(session, first, &news));
    fetch_session_table_free(table);
}

/* ---- The same picture ---- */

#define TOPICS 5
#define PARTITIONS 8
#define STEPS 200000

/* What a broker holds of a partition, and what a client believes of it. */
struct standing {
    int64_t log_end; /* the broker's: what a fetch reads up to, of at most BATCH records */
    int64_t log_start;
    bool has_error;
};

struct belief {
    bool is_wanted;
    bool was_announced; /* the session knows what is asked of it */
    int64_t position;
    int64_t high_watermark;
    int64_t log_start;
    bool has_error;
};

#define BATCH 10

struct world {
    struct prng prng;
    struct fetch_session_table *table;
    struct standing standings[TOPICS][PARTITIONS];
    struct belief beliefs[TOPICS][PARTITIONS];
    char names[TOPICS][8];
    int32_t session_id;
    int32_t epoch;
    uint64_t told; /* partitions in answers */
    uint64_t looked_at;
};

static void change_world(struct world *world)
{
    struct standing *standing =
        &world->standings[prng_below(&world->prng, TOPICS)][prng_below(&world->prng, PARTITIONS)];
    switch (prng_below(&world->prng, 6)) {
    case 0:
        standing->log_start += (int64_t)prng_below(
            &world->prng, (uint64_t)(standing->log_end - standing->log_start + 1));
        break;
    case 1:
        standing->has_error = prng_below(&world->prng, 10) == 0;
        break;
    default:
        standing->log_end += (int64_t)prng_below(&world->prng, 30);
        break;
    }
}

/* The broker's side: one partition read at the position, as an answer would tell it. */
static struct fetch_session_news read_partition(const struct standing *standing, int64_t position,
                                                int64_t *records)
{
    bool in_range = position >= standing->log_start && position <= standing->log_end;
    *records = 0;
    if (standing->has_error || !in_range) {
        return (struct fetch_session_news){
            .error = standing->has_error ? WIRE_ERROR_NOT_LEADER_OR_FOLLOWER
                                         : WIRE_ERROR_OFFSET_OUT_OF_RANGE,
            .high_watermark = standing->has_error ? -1 : standing->log_end,
            .log_start_offset = standing->has_error ? -1 : standing->log_start};
    }
    *records = standing->log_end - position < BATCH ? standing->log_end - position : BATCH;
    return (struct fetch_session_news){.high_watermark = standing->log_end,
                                       .log_start_offset = standing->log_start,
                                       .has_records = *records > 0};
}

/* The client's side. */
static void hear(struct belief *belief, const struct fetch_session_news *news, int64_t records)
{
    belief->high_watermark = news->high_watermark;
    belief->log_start = news->log_start_offset;
    belief->has_error = news->error != WIRE_ERROR_NONE;
    belief->position += records;
    belief->was_announced = records == 0; /* it asks from further on now */
}

static void fetch_all(struct world *world)
{
    fetch_session_close(world->table, world->session_id);
    struct fetch_session *session =
        fetch_session_create(world->table, false, TOPICS * PARTITIONS, 0);
    for (int t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct belief *belief = &world->beliefs[t][p];
            if (!belief->is_wanted) {
                continue;
            }
            int64_t records = 0;
            struct fetch_session_news news =
                read_partition(&world->standings[t][p], belief->position, &records);
            struct fetch_session_partition *kept =
                put(world->table, session, world->names[t], p, belief->position);
            fetch_session_note(session, kept, &news);
            hear(belief, &news, records);
        }
    }
    world->session_id = session->id;
    world->epoch = 1;
}

static void fetch_news(struct world *world)
{
    struct fetch_session *session = NULL;
    assert_int_equal(
        fetch_session_advance(world->table, world->session_id, world->epoch, false, 0, &session),
        WIRE_ERROR_NONE);
    world->epoch++;
    for (int t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct belief *belief = &world->beliefs[t][p];
            if (!belief->is_wanted) {
                fetch_session_forget(world->table, session, &no_id, text(world->names[t]), p);
            } else if (!belief->was_announced) {
                put(world->table, session, world->names[t], p, belief->position);
                belief->was_announced = true;
            }
        }
    }
    uint32_t count = session->partition_count;
    struct list_node *node = list_first(&session->partitions);
    for (uint32_t i = 0; i < count; i++) {
        struct list_node *next = node->next; /* it may go to the end */
        struct fetch_session_partition *kept =
            container_of(node, struct fetch_session_partition, node);
        int topic = kept->topic->name.data[1] - '0';
        int64_t records = 0;
        struct fetch_session_news news =
            read_partition(&world->standings[topic][kept->partition], kept->wish.offset, &records);
        if (fetch_session_note(session, kept, &news)) {
            hear(&world->beliefs[topic][kept->partition], &news, records);
            world->told++;
        }
        world->looked_at++;
        node = next;
    }
}

/* What a client with full fetches would be told now is what this one believes. */
static void check_picture(const struct world *world)
{
    for (int t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            const struct standing *standing = &world->standings[t][p];
            const struct belief *belief = &world->beliefs[t][p];
            if (!belief->is_wanted) {
                continue;
            }
            int64_t records = 0;
            struct fetch_session_news news = read_partition(standing, belief->position, &records);
            bool has_error = news.error != WIRE_ERROR_NONE;
            assert_int_equal(belief->has_error, has_error);
            assert_int_equal(belief->high_watermark, news.high_watermark);
            assert_int_equal(belief->log_start, news.log_start_offset);
        }
    }
}

/* As clients do that are told that what they want is gone. */
static void seek_where_out_of_range(struct world *world)
{
    for (int t = 0; t < TOPICS; t++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct belief *belief = &world->beliefs[t][p];
            if (belief->is_wanted && belief->has_error && belief->log_start > belief->position) {
                belief->position = belief->log_start;
                belief->was_announced = false;
            }
        }
    }
}

static void change_wishes(struct world *world)
{
    uint64_t topic = prng_below(&world->prng, TOPICS);
    uint64_t partition = prng_below(&world->prng, PARTITIONS);
    struct belief *belief = &world->beliefs[topic][partition];
    if (!belief->is_wanted) {
        *belief = (struct belief){.is_wanted = true};
    } else if (prng_below(&world->prng, 2) == 0) {
        belief->is_wanted = false;
    } else { /* a seek */
        belief->position = world->standings[topic][partition].log_start;
        belief->was_announced = false;
    }
}

static void a_session_gives_the_picture_that_full_fetches_give(void **state)
{
    (void)state;
    struct world world = {.table = make_table(1, 1 << 20)};
    prng_init(&world.prng, 20261128);
    for (int t = 0; t < TOPICS; t++) {
        snprintf(world.names[t], sizeof world.names[t], "t%d", t);
        for (int p = 0; p < PARTITIONS; p++) {
            world.beliefs[t][p].is_wanted = true;
        }
    }
    fetch_all(&world);
    for (int step = 0; step < STEPS; step++) {
        uint64_t chance = prng_below(&world.prng, 1000);
        if (chance < 400) {
            change_world(&world);
        } else if (chance < 430) {
            change_wishes(&world);
        } else {
            if (chance == 999) {
                fetch_all(&world);
            } else {
                fetch_news(&world);
            }
            check_picture(&world);
            seek_where_out_of_range(&world);
        }
    }
    assert_true(world.told * 2 < world.looked_at); /* else it were no gain */
    fetch_session_table_free(world.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fetch_is_one_epoch_further),
        cmocka_unit_test(names_and_ids_do_not_mix),
        cmocka_unit_test(unused_sessions_make_room_and_used_ones_do_not),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(a_session_is_bounded),
        cmocka_unit_test(a_partition_is_told_when_something_differs),
        cmocka_unit_test(a_session_gives_the_picture_that_full_fetches_give),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
