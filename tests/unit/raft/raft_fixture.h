/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_fixture.h -- one core by itself, with the usual options, for unit tests of this room.
 */
#ifndef TESTS_UNIT_RAFT_FIXTURE_H
#define TESTS_UNIT_RAFT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "raft/raft.h"

#include <string.h>

static inline struct raft_options fixture_options(uint32_t node_id)
{
    return (struct raft_options){.group_id = 1001,
                                 .seed = 1,
                                 .node_id = node_id,
                                 .heartbeat_ticks = 10,
                                 .election_ticks = 50,
                                 .inflight_messages_max = 16,
                                 .inflight_bytes_max = 1 << 20,
                                 .uncommitted_bytes_max = 1 << 20,
                                 .may_vote = true};
}

/* A new group of voters 1..voter_count. */
static inline struct raft_state fixture_state(uint32_t voter_count)
{
    struct raft_state state = {.first_index = 1};
    state.membership.voter_count = voter_count;
    for (uint32_t i = 0; i < voter_count; ++i)
        state.membership.voters[i] = i + 1;
    state.membership_committed = state.membership;
    return state;
}

/* Collects and forgets all effects, saving every write at once. */
static inline void fixture_drain(struct raft *raft)
{
    struct raft_effects effects;
    struct raft_entry entry;
    (void)raft_take_noop(raft, &entry);
    while (raft_is_dirty(raft) && raft_collect(raft, &effects)) {
        uint64_t write_id = effects.write.id;
        struct raft_send sends[RAFT_MEMBERS_MAX];
        uint32_t send_count = effects.send_count;
        for (uint32_t i = 0; i < send_count; ++i)
            sends[i] = effects.sends[i];
        raft_release(raft, &effects);
        for (uint32_t i = 0; i < send_count; ++i)
            raft_append_sent(raft, sends[i].to, sends[i].last_index_max, 10);
        if (write_id != 0)
            raft_saved(raft, write_id, 0);
        (void)raft_take_noop(raft, &entry);
        raft_check(raft);
    }
}

static inline void fixture_receive(struct raft *raft, struct raft_message message, uint64_t now)
{
    struct raft_accepted accepted;
    message.group_id = 1001;
    raft_receive(raft, &message, now, &accepted);
    raft_check(raft);
}

/* Makes node 1 of a group of three the leader of term 1, its no-op acknowledged by both others. */
static inline void fixture_lead(struct raft *raft)
{
    raft_tick(raft, raft_due_ticks(raft));
    fixture_drain(raft);
    uint64_t now = raft_due_ticks(raft) - 1;
    fixture_receive(
        raft,
        (struct raft_message){
            .kind = RAFT_MESSAGE_PRE_VOTE_REPLY, .from = 2, .to = 1, .term = 1, .granted = 1},
        now);
    fixture_drain(raft);
    fixture_receive(
        raft,
        (struct raft_message){
            .kind = RAFT_MESSAGE_VOTE_REPLY, .from = 2, .to = 1, .term = 1, .granted = 1},
        now);
    fixture_drain(raft);
    assert_int_equal(raft_role(raft), RAFT_LEADER);
    for (uint32_t peer = 2; peer <= 3; ++peer)
        fixture_receive(raft,
                        (struct raft_message){.kind = RAFT_MESSAGE_APPEND_REPLY,
                                              .from = peer,
                                              .to = 1,
                                              .term = 1,
                                              .index = 1,
                                              .granted = 1},
                        now);
    fixture_drain(raft);
    assert_true(raft_is_ready_leader(raft));
}

#endif
