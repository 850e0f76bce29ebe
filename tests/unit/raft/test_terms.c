/* SPDX-License-Identifier: Apache-2.0
 *
 * test_terms.c -- the span table against a plain array of terms, under random edits.
 */
#include "raft_fixture.h"

#include "base/memory.h"
#include "base/prng.h"
#include "raft/raft_private.h"

#define INDEX_MAX 4096

struct model {
    uint64_t terms[INDEX_MAX + 1];
    uint64_t first;
    uint64_t last;
};

static void compare(const struct raft *raft, const struct model *model)
{
    uint64_t term = 0;
    assert_int_equal(raft->first_index, model->first);
    assert_int_equal(raft->last_index, model->last);
    if (model->first >= 2)
        assert_false(raft_term_at(raft, model->first - 2, &term));
    assert_false(raft_term_at(raft, model->last + 1, &term));
    for (uint64_t index = model->first - 1; index <= model->last; ++index) {
        assert_true(raft_term_at(raft, index, &term));
        assert_int_equal(term, model->terms[index]);
    }
}

static void compare_searches(const struct raft *raft, const struct model *model, struct prng *prng)
{
    uint64_t index_max = model->first - 1 + prng_below(prng, model->last - model->first + 2);
    uint64_t term = prng_below(prng, model->terms[model->last] + 2);
    uint64_t expected = index_max;
    while (expected >= model->first && model->terms[expected] > term)
        expected -= 1;
    bool is_there = model->terms[expected] <= term;
    uint64_t found = 0;
    assert_int_equal(raft_terms_find_last(raft, index_max, term, &found), is_there);
    if (is_there)
        assert_int_equal(found, expected);
    uint64_t end = index_max;
    while (end < model->last && model->terms[end + 1] == model->terms[index_max])
        end += 1;
    assert_int_equal(raft_terms_span_end(raft, index_max), end);
}

static void edit(struct raft *raft, struct model *model, struct prng *prng)
{
    uint64_t choice = prng_below(prng, 10);
    if (choice < 6 && model->last + 10 < INDEX_MAX) {
        uint64_t last = model->last + 1 + prng_below(prng, 5);
        uint64_t term = model->terms[model->last] + (prng_below(prng, 3) == 0);
        raft_terms_append(raft, last, term);
        while (model->last < last)
            model->terms[++model->last] = term;
    } else if (choice < 8 && model->last >= model->first) {
        uint64_t from = model->first + prng_below(prng, model->last - model->first + 1);
        raft_terms_truncate(raft, from);
        model->last = from - 1;
    } else if (choice < 9 && model->last >= model->first) {
        uint64_t first = model->first + 1 + prng_below(prng, model->last - model->first + 1);
        raft_terms_drop_prefix(raft, first);
        model->first = first;
    }
}

static void spans_equal_an_array_under_random_edits(void **state)
{
    (void)state;
    struct prng prng;
    prng_init(&prng, 42);
    for (int round = 0; round < 20; ++round) {
        struct raft *raft = memory_allocate_zeroed(sizeof(*raft));
        raft->first_index = 1;
        static struct model model;
        model = (struct model){.first = 1};
        for (int step = 0; step < 200; ++step) {
            edit(raft, &model, &prng);
            compare(raft, &model);
            compare_searches(raft, &model, &prng);
        }
        raft_free(raft);
    }
}

static void a_log_without_entries_knows_its_prefix_term(void **state)
{
    (void)state;
    struct raft *raft = memory_allocate_zeroed(sizeof(*raft));
    raft_terms_reset(raft, 100, 7);
    uint64_t term = 0;
    assert_true(raft_term_at(raft, 100, &term));
    assert_int_equal(term, 7);
    assert_int_equal(raft_last_term(raft), 7);
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_equal_an_array_under_random_edits),
        cmocka_unit_test(a_log_without_entries_knows_its_prefix_term),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
