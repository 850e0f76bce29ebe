/* SPDX-License-Identifier: Apache-2.0
 *
 * test_producer_model.c -- random histories against a model that keeps every batch for ever.
 *
 * A leader's table takes batches, commits them and now and then loses its leadership; a follower's
 * table only sees commits and is sometimes rebuilt from a snapshot.  The model is a plain list of
 * all batches and finds each verdict by walking it.
 */
#include "producer_fixture.h"

#include "base/prng.h"

#define HISTORY_MAX 4000
#define PRODUCERS 4

struct history {
    struct wire_batch batches[HISTORY_MAX]; /* by append order; base_offset is its position */
    int64_t count;
    int64_t committed; /* the first so many */
};

/* What the rules say, from the whole history. */
static enum producer_verdict expected_verdict(const struct history *history,
                                              const struct wire_batch *batch, int64_t *base_offset,
                                              enum wire_error *error)
{
    uint32_t looked_at = 0;
    const struct wire_batch *newest = NULL;
    for (int64_t i = history->count - 1; i >= 0; i--) {
        const struct wire_batch *old = &history->batches[i];
        if (old->producer_id != batch->producer_id) {
            continue;
        }
        newest = newest == NULL ? old : newest;
        if (old->producer_epoch != newest->producer_epoch ||
            looked_at++ == PRODUCER_BATCHES_REMEMBERED) {
            break;
        }
        if (old->producer_epoch == batch->producer_epoch &&
            old->base_sequence == batch->base_sequence &&
            old->record_count == batch->record_count) {
            *base_offset = old->base_offset;
            return PRODUCER_DUPLICATE;
        }
    }
    *error = WIRE_ERROR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    if (newest == NULL) {
        return PRODUCER_APPEND;
    }
    if (batch->producer_epoch != newest->producer_epoch) {
        if (batch->producer_epoch < newest->producer_epoch) {
            *error = WIRE_ERROR_INVALID_PRODUCER_EPOCH;
            return PRODUCER_REFUSED;
        }
        return batch->base_sequence == 0 ? PRODUCER_APPEND : PRODUCER_REFUSED;
    }
    int64_t next = ((int64_t)newest->base_sequence + newest->record_count) % (1ll << 31);
    return batch->base_sequence == next ? PRODUCER_APPEND : PRODUCER_REFUSED;
}

/* A batch near what its producer would send next: the right one, an old one, or a wrong one. */
static struct wire_batch draw_batch(struct prng *prng, const struct history *history)
{
    int64_t id = (int64_t)prng_below(prng, PRODUCERS);
    struct wire_batch newest = fixture_batch(id, 0, 0, 1);
    bool known = false;
    int64_t skip = (int64_t)prng_below(prng, 3) == 0 ? (int64_t)prng_below(prng, 8) : 0;
    for (int64_t i = history->count - 1; i >= 0 && !known; i--) {
        if (history->batches[i].producer_id == id && skip-- == 0) {
            newest = history->batches[i];
            known = true;
        }
    }
    if (!known) {
        /* Half of all producers begin just before the wrap. */
        int32_t first = prng_below(prng, 2) == 0 ? 0 : INT32_MAX - (int32_t)prng_below(prng, 20);
        return fixture_batch(id, 0, first, 1 + (int32_t)prng_below(prng, 3));
    }
    uint64_t dice = prng_below(prng, 20);
    if (dice == 0) {
        return fixture_batch(id, (int16_t)(newest.producer_epoch + 1), (int32_t)prng_below(prng, 2),
                             1);
    }
    if (dice == 1 && newest.producer_epoch > 0) {
        return fixture_batch(id, (int16_t)(newest.producer_epoch - 1), newest.base_sequence, 1);
    }
    if (dice < 8) {
        return fixture_batch(id, newest.producer_epoch, newest.base_sequence, newest.record_count);
    }
    int64_t next = (int64_t)newest.base_sequence + newest.record_count + (dice == 8 ? 1 : 0);
    return fixture_batch(id, newest.producer_epoch, (int32_t)(next % (1ll << 31)),
                         1 + (int32_t)prng_below(prng, 3));
}

static void produce(struct producer_table *leader, struct prng *prng, struct history *history)
{
    struct wire_batch batch = draw_batch(prng, history);
    int64_t expected_offset = -1;
    int64_t offset;
    enum wire_error expected_error = WIRE_ERROR_NONE;
    enum wire_error error;
    enum producer_verdict expected =
        expected_verdict(history, &batch, &expected_offset, &expected_error);
    enum producer_verdict verdict = fixture_check(leader, batch, &offset, &error);
    assert_int_equal(verdict, expected);
    if (verdict == PRODUCER_DUPLICATE) {
        assert_int_equal(offset, expected_offset);
    } else if (verdict == PRODUCER_REFUSED) {
        assert_int_equal(error, expected_error);
    } else {
        batch.base_offset = history->count;
        history->batches[history->count++] = batch;
        producer_appended(leader, &batch, batch.base_offset);
    }
}

static void commit_one(struct producer_table *leader, struct producer_table *follower,
                       struct history *history)
{
    if (history->committed < history->count) {
        const struct wire_batch *batch = &history->batches[history->committed++];
        producer_committed(leader, batch, batch->base_offset);
        producer_committed(follower, batch, batch->base_offset);
    }
}

static void rebuild(struct producer_table *table)
{
    struct buf *content = NULL;
    producer_snapshot_write(table, &content);
    assert_true(producer_snapshot_restore(table, content->data, content->length_bytes));
    buf_release(content);
}

static void run_history(uint64_t seed)
{
    static struct history history;
    struct producer_table *leader = producer_table_new();
    struct producer_table *follower = producer_table_new();
    struct prng prng;
    prng_init(&prng, seed);
    history.count = 0;
    history.committed = 0;
    while (history.count < HISTORY_MAX) {
        uint64_t dice = prng_below(&prng, 1000);
        if (dice < 600) {
            produce(leader, &prng, &history);
        } else if (dice < 990) {
            commit_one(leader, follower, &history);
        } else if (dice < 995) {
            producer_drop_pending(leader);
            history.count = history.committed;
        } else {
            rebuild(follower);
            fixture_assert_equal(leader, follower);
        }
    }
    producer_table_free(leader);
    producer_table_free(follower);
}

static void test_random_histories(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_history(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
