/* SPDX-License-Identifier: Apache-2.0
 *
 * member.c -- what a member of a group does next.
 *
 *     FIND -> JOIN -> SYNC -> RESUME -> WORK -> LEAVE -> FIND (as another one)
 *
 * An answer leads on, or back: a coordinator that is none (any more) to FIND, another generation to
 * JOIN, an id that is not known (any more) to JOIN as another one.
 *
 * A commit without an answer may take effect later, in this member's generation and with its id.
 * So it takes another id, and thereby a later generation, before it commits again; the coordinator
 * has to refuse the old one then.  Real clients that repeat a commit in their generation may see
 * the first attempt overtake the second.
 */
#include "drill/member_internal.h"

#include "base/assert.h"
#include "base/memory.h"
#include "drill/check.h"

#include <string.h>

#define MS 1000000ull
#define PAUSE_NS (100 * MS)
#define WORK_PAUSE_MOST_MS 150

/* ---- Steps ---- */

static void again(struct drill_member *member, uint64_t delay_ns)
{
    struct io_loop *loop = client_loop(member->client);
    member->is_waiting = false;
    member->call = MEMBER_CALL_OTHER;
    io_timer_start(loop, &member->timer, io_now_ns(loop) + delay_ns);
}

static void enter(struct drill_member *member, enum member_step step, uint64_t delay_ns)
{
    member->step = step;
    again(member, delay_ns);
}

static void go_to_work(struct drill_member *member)
{
    enter(member, MEMBER_WORK,
          (1 + prng_below(client_prng(member->client), WORK_PAUSE_MOST_MS)) * MS);
}

static void become_another(struct drill_member *member)
{
    member->id[0] = 0;
    member->generation = -1;
    member->synced_generation = -1;
    member->late_generation = -1;
}

static void draw_whim(struct drill_member *member)
{
    member->whim_ns =
        io_now_ns(client_loop(member->client)) +
        (1 + prng_below(client_prng(member->client), 2ull * member->options.whim_mean_ms)) * MS;
}

/* ---- Where an error leads ---- */

enum way { WAY_ON, WAY_FIND, WAY_JOIN, WAY_JOIN_ANEW };

struct way_row {
    enum wire_error code;
    enum way way;
    enum history_fate commit; /* what it says of a commit */
};

static const struct way_row way_rows[] = {
    {WIRE_ERROR_NONE, WAY_ON, HISTORY_ACKED},
    {WIRE_ERROR_COORDINATOR_LOAD_IN_PROGRESS, WAY_FIND, HISTORY_FAILED},
    {WIRE_ERROR_COORDINATOR_NOT_AVAILABLE, WAY_FIND, HISTORY_UNKNOWN},
    {WIRE_ERROR_NOT_COORDINATOR, WAY_FIND, HISTORY_UNKNOWN},
    {WIRE_ERROR_REQUEST_TIMED_OUT, WAY_FIND, HISTORY_UNKNOWN},
    {WIRE_ERROR_REBALANCE_IN_PROGRESS, WAY_JOIN, HISTORY_FAILED},
    {WIRE_ERROR_ILLEGAL_GENERATION, WAY_JOIN, HISTORY_FAILED},
    {WIRE_ERROR_MEMBER_ID_REQUIRED, WAY_JOIN, HISTORY_FAILED},
    {WIRE_ERROR_UNKNOWN_MEMBER_ID, WAY_JOIN_ANEW, HISTORY_FAILED},
};

static const struct way_row *way_of(struct drill_member *member, int16_t code)
{
    for (size_t i = 0; i < sizeof way_rows / sizeof way_rows[0]; i++) {
        if ((int16_t)way_rows[i].code == code) {
            return &way_rows[i];
        }
    }
    sim_world_fail(client_world(member->client), "protocol: a member is answered with %s",
                   wire_error_name((enum wire_error)code));
    return &way_rows[2];
}

/* True: on, as nothing was wrong. */
static bool goes_on(struct drill_member *member, int16_t code)
{
    switch (way_of(member, code)->way) {
    case WAY_ON:
        return true;
    case WAY_FIND:
        enter(member, MEMBER_FIND, PAUSE_NS);
        return false;
    case WAY_JOIN_ANEW:
        become_another(member);
        enter(member, MEMBER_JOIN, 0);
        return false;
    case WAY_JOIN:
        enter(member, MEMBER_JOIN, 0);
        return false;
    }
    unreachable_code();
}

/* ---- Answers ---- */

void member_found(struct drill_member *member, int16_t error, int32_t broker)
{
    if (!goes_on(member, error)) {
        return;
    }
    bool is_broker = broker > 0 && sim_host_at(client_world(member->client), (uint32_t)broker);
    if (!is_broker) {
        sim_world_fail(client_world(member->client), "protocol: broker %d coordinates", broker);
        enter(member, MEMBER_FIND, PAUSE_NS);
        return;
    }
    member->coordinator = (uint32_t)broker;
    enter(member, MEMBER_JOIN, 0);
}

void member_joined(struct drill_member *member, int16_t error)
{
    if (goes_on(member, error)) {
        enter(member, MEMBER_SYNC, 0);
    }
}

void member_synced(struct drill_member *member, int16_t error)
{
    if (goes_on(member, error)) {
        if (member->generation != member->synced_generation) {
            member->late_generation = member->synced_generation;
            member->synced_generation = member->generation;
        }
        enter(member, MEMBER_RESUME, 0);
    }
}

void member_resumed(struct drill_member *member, int16_t error)
{
    if (goes_on(member, error)) {
        go_to_work(member);
    }
}

void member_beaten(struct drill_member *member, int16_t error)
{
    if (goes_on(member, error)) {
        go_to_work(member);
    }
}

static void end_commits(struct drill_member *member, enum history_fate fate)
{
    for (uint32_t i = 0; i < member->place_count; i++) {
        const struct member_place *place = &member->places[i];
        check_commit_end(member->groups, place->commit, fate);
        if (fate == HISTORY_ACKED) {
            member->done[place->topic][place->partition] =
                check_committed(member->groups, place->topic, place->partition);
        }
    }
    member->place_count = 0;
}

/* Whatever was said of it: it was an earlier generation's. */
static void end_late_commit(struct drill_member *member, int16_t error)
{
    if (error == WIRE_ERROR_NONE) {
        sim_world_fail(client_world(member->client),
                       "fenced-commit: a commit of generation %d was taken in generation %d",
                       member->late_generation, member->generation);
    }
    end_commits(member, HISTORY_FAILED);
    enter(member, MEMBER_WORK, 0);
}

void member_committed(struct drill_member *member, int16_t error)
{
    if (member->call == MEMBER_CALL_LATE_COMMIT) {
        end_late_commit(member, error);
        return;
    }
    enum history_fate fate = way_of(member, error)->commit;
    end_commits(member, fate);
    if (fate == HISTORY_UNKNOWN) {
        become_another(member);
    }
    if (goes_on(member, error)) {
        go_to_work(member);
    }
}

void member_left(struct drill_member *member)
{
    become_another(member);
    enter(member, MEMBER_FIND,
          prng_below(client_prng(member->client), member->options.whim_mean_ms) * MS);
}

void member_lost(struct drill_member *member, enum client_result result)
{
    if (member->call == MEMBER_CALL_LATE_COMMIT) {
        end_commits(member, HISTORY_FAILED);
    }
    if (member->call == MEMBER_CALL_COMMIT) {
        end_commits(member, result == CLIENT_UNSENT ? HISTORY_FAILED : HISTORY_UNKNOWN);
        become_another(member);
    }
    if (member->step == MEMBER_LEAVE) {
        become_another(member);
    }
    enter(member, MEMBER_FIND, PAUSE_NS);
}

/* ---- Work ---- */

bool member_next_place(const struct drill_member *member, uint32_t *position, uint32_t *topic,
                       uint32_t *partition)
{
    const struct history *history = client_history(member->client);
    for (; *position < MEMBER_PARTITIONS_MAX; (*position)++) {
        *topic = *position / HISTORY_PARTITIONS_MAX;
        *partition = *position % HISTORY_PARTITIONS_MAX;
        bool is_read = *topic < history->topic_count && !history->topics[*topic].churns &&
                       *partition < history->topics[*topic].partition_count;
        if (is_read) {
            (*position)++;
            return true;
        }
    }
    return false;
}

/* Those assigned to it: all, or those where there is something new to commit. */
static uint32_t choose_places(struct drill_member *member, bool only_new)
{
    const struct history *history = client_history(member->client);
    uint32_t position = 0;
    uint32_t topic;
    uint32_t partition;
    member->place_count = 0;
    while (member_next_place(member, &position, &topic, &partition)) {
        bool is_new = history->topics[topic].partitions[partition].acked_most >=
                      member->done[topic][partition];
        if (member->is_mine[topic][partition] && (is_new || !only_new)) {
            member->places[member->place_count++] = (struct member_place){topic, partition, -1, 0};
        }
    }
    return member->place_count;
}

/* Leaves, or says nothing for longer than it may and goes on as if nothing had been. */
static void act_on_whim(struct drill_member *member)
{
    draw_whim(member);
    if (prng_below(client_prng(member->client), 2) == 0) {
        enter(member, MEMBER_LEAVE, 0);
    } else {
        again(member, (member->options.session_ms + member->options.session_ms / 2) * MS);
    }
}

static void work(struct drill_member *member)
{
    struct io_loop *loop = client_loop(member->client);
    uint64_t mood = prng_below(client_prng(member->client), 10);
    if (!member->is_quiet && io_now_ns(loop) >= member->whim_ns) {
        act_on_whim(member);
        return;
    }
    member->is_waiting = true;
    if (mood == 0 && choose_places(member, false) > 0) {
        member_call_fetch(member);
    } else if (mood == 1 && member->late_generation >= 0 && choose_places(member, false) > 0) {
        member->call = MEMBER_CALL_LATE_COMMIT;
        member_call_commit(member, member->late_generation);
    } else if (mood < 8 && choose_places(member, true) > 0) {
        member->call = MEMBER_CALL_COMMIT;
        member_call_commit(member, member->generation);
    } else {
        member_call_heartbeat(member);
    }
}

static void resume(struct drill_member *member)
{
    if (choose_places(member, false) > 0) {
        member->is_waiting = true;
        member_call_fetch(member);
    } else {
        go_to_work(member);
    }
}

static void due(struct io_timer *timer)
{
    struct drill_member *member = container_of(timer, struct drill_member, timer);
    require(!member->is_waiting);
    if (member->step == MEMBER_WORK) {
        work(member);
        return;
    }
    if (member->step == MEMBER_RESUME) {
        resume(member);
        return;
    }
    member->is_waiting = true;
    switch (member->step) {
    case MEMBER_FIND:
        member_call_find(member);
        return;
    case MEMBER_JOIN:
        member_call_join(member);
        return;
    case MEMBER_SYNC:
        member_call_sync(member);
        return;
    case MEMBER_LEAVE:
        member_call_leave(member);
        return;
    case MEMBER_RESUME:
    case MEMBER_WORK:
        break;
    }
    unreachable_code();
}

/* ---- The member ---- */

struct drill_member *drill_member_new(struct client *client, struct check_groups *groups,
                                      const struct member_options *options)
{
    require(options->session_ms > 0 && options->rebalance_ms > 0 && options->whim_mean_ms > 0);
    struct drill_member *member = memory_allocate_zeroed(sizeof *member);
    member->client = client;
    member->groups = groups;
    member->options = *options;
    become_another(member);
    draw_whim(member);
    io_timer_init(&member->timer, due);
    enter(member, MEMBER_FIND, prng_below(client_prng(client), 2000) * MS);
    return member;
}

void drill_member_free(struct drill_member *member)
{
    io_timer_stop(client_loop(member->client), &member->timer);
    memory_free(member);
}

void drill_member_quiet(struct drill_member *member)
{
    member->is_quiet = true;
}
