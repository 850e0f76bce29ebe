/* SPDX-License-Identifier: Apache-2.0
 *
 * test_cost.c -- what an idle group costs: bytes held, ticks due, allocations per heartbeat.
 *
 * The heap is counted by wrapping base/memory at link time.
 */
#include "raft_fixture.h"

#include <malloc.h>

void *__wrap_memory_allocate(size_t size);
void *__real_memory_allocate(size_t size);
void *__wrap_memory_allocate_zeroed(size_t size);
void *__real_memory_allocate_zeroed(size_t size);
void *__wrap_memory_reallocate(void *memory, size_t size);
void *__real_memory_reallocate(void *memory, size_t size);
void __wrap_memory_free(void *memory);
void __real_memory_free(void *memory);

static size_t allocations;
static size_t bytes_held;

void *__wrap_memory_allocate(size_t size)
{
    void *memory = __real_memory_allocate(size);
    allocations += 1;
    bytes_held += malloc_usable_size(memory);
    return memory;
}

void *__wrap_memory_allocate_zeroed(size_t size)
{
    void *memory = __real_memory_allocate_zeroed(size);
    allocations += 1;
    bytes_held += malloc_usable_size(memory);
    return memory;
}

void *__wrap_memory_reallocate(void *memory, size_t size)
{
    bytes_held -= memory == NULL ? 0 : malloc_usable_size(memory);
    void *moved = __real_memory_reallocate(memory, size);
    allocations += 1;
    bytes_held += malloc_usable_size(moved);
    return moved;
}

void __wrap_memory_free(void *memory)
{
    bytes_held -= memory == NULL ? 0 : malloc_usable_size(memory);
    __real_memory_free(memory);
}

static void an_idle_leader_is_small_and_allocates_nothing(void **state)
{
    (void)state;
    bytes_held = 0;
    struct raft_options options = fixture_options(1);
    struct raft_state new_group = fixture_state(3);
    struct raft *raft = raft_new(&options, &new_group, 0);
    fixture_lead(raft);
    assert_in_range(bytes_held, 1, 2048);

    uint64_t now = raft_due_ticks(raft);
    raft_tick(raft, now);
    fixture_drain(raft);
    size_t allocations_before = allocations;
    for (uint64_t round = 2; round < 102; ++round) {
        now = raft_due_ticks(raft);
        assert_int_equal(now % options.heartbeat_ticks, 0);
        raft_tick(raft, now);
        fixture_drain(raft);
        for (uint32_t peer = 2; peer <= 3; ++peer)
            fixture_receive(raft,
                            (struct raft_message){.kind = RAFT_MESSAGE_HEARTBEAT_REPLY,
                                                  .from = peer,
                                                  .to = 1,
                                                  .term = 1,
                                                  .index = 1,
                                                  .hint_index = 1,
                                                  .barrier = round},
                            now);
        /* Nothing came of the answers: the host need not even look. */
        assert_true(round < 3 || !raft_is_dirty(raft));
        fixture_drain(raft);
    }
    assert_int_equal(raft_role(raft), RAFT_LEADER);
    assert_int_equal(allocations, allocations_before);
    assert_in_range(bytes_held, 1, 2048);
    raft_free(raft);
    assert_int_equal(bytes_held, 0);
}

static void an_idle_follower_is_small_and_allocates_nothing(void **state)
{
    (void)state;
    bytes_held = 0;
    struct raft_options options = fixture_options(2);
    struct raft_state new_group = fixture_state(3);
    struct raft *raft = raft_new(&options, &new_group, 0);
    size_t allocations_before = 0;
    for (uint64_t round = 1; round < 100; ++round) {
        fixture_receive(
            raft,
            (struct raft_message){
                .kind = RAFT_MESSAGE_HEARTBEAT, .from = 1, .to = 2, .term = 1, .barrier = round},
            10 * round);
        assert_in_range(raft_due_ticks(raft), 10 * round + 50, 10 * round + 99);
        fixture_drain(raft);
        if (round == 1)
            allocations_before = allocations;
    }
    assert_int_equal(allocations, allocations_before);
    assert_in_range(bytes_held, 1, 2048);
    raft_free(raft);
    assert_int_equal(bytes_held, 0);
}

static void a_burst_gives_its_memory_back(void **state)
{
    (void)state;
    bytes_held = 0;
    struct raft_options options = fixture_options(1);
    options.inflight_messages_max = 1000;
    struct raft_state new_group = fixture_state(3);
    struct raft *raft = raft_new(&options, &new_group, 0);
    fixture_lead(raft);
    struct raft_entry entry;
    for (int i = 0; i < 500; ++i) {
        assert_int_equal(raft_propose(raft, 3, 10, &entry), RAFT_OK);
        fixture_drain(raft);
    }
    assert_true(bytes_held > 4096);
    uint64_t now = raft_due_ticks(raft);
    for (uint32_t peer = 2; peer <= 3; ++peer)
        fixture_receive(raft,
                        (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                              .from = peer,
                                              .to = 1,
                                              .term = 1,
                                              .index = entry.last_index,
                                              .granted = 1},
                        now);
    fixture_drain(raft);
    raft_tick(raft, now);
    fixture_drain(raft);
    assert_in_range(bytes_held, 1, 2048);
    raft_free(raft);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_leader_is_small_and_allocates_nothing),
        cmocka_unit_test(an_idle_follower_is_small_and_allocates_nothing),
        cmocka_unit_test(a_burst_gives_its_memory_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
