/* SPDX-License-Identifier: Apache-2.0
 *
 * command_cluster_add.c -- flotilla cluster add: waits until a broker that was started is in the
 * cluster, and moves a fair share of the replicas to it.
 *
 * It keeps no state: what was begun goes on in the cluster when the command ends, and started again
 * it plans anew from what the cluster has come to.
 */
#include "base/memory.h"
#include "cli/cluster_view.h"
#include "cli/fair_share.h"
#include "cli/reassignment.h"
#include "wire/error.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define LOOK_MS 500
#define UNDER_WAY_MAX 16 /* as many as a broker that leaves has */
#define PATIENCE_MS 600000

struct addition {
    const struct tool_options *options;
    int32_t broker_id;
    struct fair_share_broker *brokers;
    size_t broker_count;
    const rd_kafka_metadata_t *metadata;
    struct fair_share_partition *partitions; /* all of them, in the metadata's order */
    size_t partition_count;
    size_t planned;
    size_t asked;
    int64_t room;        /* how many more may be under way */
    int64_t under_way;   /* when it was last looked at */
    int64_t patience_ms; /* how long nothing may begin or end */
    int64_t change_ms;   /* when something did */
    bool is_stalled;     /* for longer */
    size_t moved;
    size_t cancelled; /* taken back before they came to their end */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void pause_look(void)
{
    const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
    nanosleep(&pause, NULL);
}

/* ---- Until it is there ---- */

/* The controller leader's view in which the broker is live, or NULL after a message. */
static json_t *wait_until_live(const struct tool_options *options, long long broker_id)
{
    bool is_told = false;
    bool is_reached = false;
    int64_t begin_ms = now_ms();
    for (bool is_over = false; !is_over;) {
        is_over = now_ms() - begin_ms > options->timeout_ms;
        json_t *view = cluster_view(options);
        json_t *broker = cluster_view_broker(view, broker_id);
        if (json_is_true(json_object_get(broker, "leaving"))) {
            json_decref(view);
            tool_fail("broker %lld is leaving; flotilla cluster decommission %lld --cancel lets it "
                      "stay",
                      broker_id, broker_id);
            return NULL;
        }
        if (json_is_true(json_object_get(broker, "live"))) {
            return view;
        }
        is_reached = is_reached || view != NULL;
        json_decref(view);
        if (!is_told && tool_shows_progress(options)) {
            fprintf(stderr, "waiting for broker %lld\n", broker_id);
            is_told = true;
        }
        pause_look();
    }
    if (!is_reached) {
        tool_fail("no controller leader at %s", options->admin);
        return NULL;
    }
    tool_fail(
        "broker %lld is not in the cluster, or down: start flotillad with the cluster's name, "
        "broker_id: %lld, an empty data_directory, a certificate, and controllers naming a "
        "broker that runs",
        broker_id, broker_id);
    return NULL;
}

/* ---- The plan ---- */

/* The racks stay the view's. */
static void gather_brokers(struct addition *addition, const json_t *view)
{
    const json_t *rows = json_object_get(view, "brokers");
    size_t position;
    json_t *row;
    addition->brokers = memory_allocate(json_array_size(rows) * sizeof *addition->brokers);
    json_array_foreach(rows, position, row)
    {
        addition->brokers[addition->broker_count++] = (struct fair_share_broker){
            .id = (int32_t)json_integer_value(json_object_get(row, "id")),
            .rack = json_string_value(json_object_get(row, "rack")),
            .takes_part = json_is_true(json_object_get(row, "live")) &&
                          !json_is_true(json_object_get(row, "leaving"))};
    }
}

/* The partition's row of what is being moved, or NULL. */
static json_t *find_moving(const json_t *moving, const char *topic, int32_t partition)
{
    size_t position;
    json_t *row;
    json_array_foreach(moving, position, row)
    {
        if (json_integer_value(json_object_get(row, "partition")) == partition &&
            strcmp(json_string_value(json_object_get(row, "topic")), topic) == 0) {
            return row;
        }
    }
    return NULL;
}

static bool is_removed(const json_t *row, int32_t broker_id)
{
    size_t position;
    json_t *id;
    json_array_foreach(json_object_get(row, "removing"), position, id)
    {
        if (json_integer_value(id) == broker_id) {
            return true;
        }
    }
    return false;
}

/* The metadata names those that are added and those that are removed alike. */
static void gather_partition(struct fair_share_partition *to,
                             const rd_kafka_metadata_partition_t *from, const json_t *row)
{
    to->is_moving = row != NULL || from->replica_cnt > FAIR_SHARE_REPLICAS_MAX;
    for (int i = 0; i < from->replica_cnt && to->replica_count < FAIR_SHARE_REPLICAS_MAX; i++) {
        if (!is_removed(row, from->replicas[i])) {
            to->replicas[to->replica_count++] = from->replicas[i];
        }
    }
}

static void gather_partitions(struct addition *addition, const json_t *moving)
{
    const rd_kafka_metadata_t *metadata = addition->metadata;
    size_t count = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        count += (size_t)metadata->topics[i].partition_cnt;
    }
    addition->partitions = memory_allocate((count + 1) * sizeof *addition->partitions);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        for (int j = 0; j < topic->partition_cnt; j++) {
            const rd_kafka_metadata_partition_t *from = &topic->partitions[j];
            struct fair_share_partition *to = &addition->partitions[addition->partition_count++];
            *to = (struct fair_share_partition){.topic = (uint32_t)i};
            gather_partition(to, from, find_moving(moving, topic->topic, from->id));
        }
    }
}

/* ---- The moves ---- */

static int judge(const struct alter_partition_reassignments_response *response, void *context)
{
    const char *place = context;
    if (response->error_code != WIRE_ERROR_NONE) {
        return reassignment_refused(place, response->error_code, response->error_message);
    }
    for (int32_t i = 0; i < response->responses_count; i++) {
        for (int32_t j = 0; j < response->responses[i].partitions_count; j++) {
            const struct alter_partition_reassignments_response_reassignable_partition_response
                *row = &response->responses[i].partitions[j];
            if (row->error_code != WIRE_ERROR_NONE) {
                return reassignment_refused(place, row->error_code, row->error_message);
            }
        }
    }
    return TOOL_DONE;
}

static int ask_for(const struct addition *addition, const char *topic, int32_t number,
                   struct fair_share_partition *planned)
{
    char place[300];
    struct reassignment_partition partition = {.partition_index = number,
                                               .replicas = planned->replicas,
                                               .replicas_count = planned->replica_count};
    snprintf(place, sizeof place, "%s-%d", topic, number);
    return reassignment_ask(addition->options, topic, &partition, 1, judge, place);
}

/* How many partitions are being moved to the broker; -1 after a message. */
static int64_t count_under_way(const struct addition *addition)
{
    json_t *moving = reassignment_list(addition->options, NULL);
    if (moving == NULL) {
        return -1;
    }
    int64_t count = 0;
    size_t position;
    json_t *row;
    json_array_foreach(moving, position, row)
    {
        size_t place;
        json_t *id;
        json_array_foreach(json_object_get(row, "adding"), place, id)
        {
            count += json_integer_value(id) == addition->broker_id;
        }
    }
    json_decref(moving);
    return count;
}

static void show_progress(const struct addition *addition)
{
    size_t ended = addition->asked > (size_t)addition->under_way
                       ? addition->asked - (size_t)addition->under_way
                       : 0;
    if (tool_shows_progress(addition->options)) {
        fprintf(stderr, "\r\033[Kbroker %d: %zu of %zu replicas to move", addition->broker_id,
                addition->planned - ended, addition->planned);
    }
}

static int give_up(struct addition *addition)
{
    addition->is_stalled = true;
    if (tool_shows_progress(addition->options)) {
        fprintf(stderr, "\r\033[K");
    }
    return tool_fail("broker %d: %lld replicas are being moved, and none has come for %lld s; "
                     "flotilla topic reassign --list shows which. They go on; "
                     "flotilla cluster add %d sees to them and to the rest",
                     addition->broker_id, (long long)addition->under_way,
                     (long long)addition->patience_ms / 1000, addition->broker_id);
}

/* Until fewer than bound partitions are under way. */
static int wait_for_room(struct addition *addition, int64_t bound)
{
    addition->change_ms = now_ms(); /* something was asked for, or nothing yet */
    for (;;) {
        int64_t count = count_under_way(addition);
        if (count < 0) {
            return TOOL_FAILED;
        }
        if (count != addition->under_way) {
            addition->under_way = count;
            addition->change_ms = now_ms();
        }
        show_progress(addition);
        if (count < bound) {
            addition->room = UNDER_WAY_MAX - count;
            return TOOL_DONE;
        }
        if (now_ms() - addition->change_ms > addition->patience_ms) {
            return give_up(addition);
        }
        pause_look();
    }
}

static int carry_out(struct addition *addition)
{
    int status = TOOL_DONE;
    size_t position = 0;
    for (int i = 0; i < addition->metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &addition->metadata->topics[i];
        for (int j = 0; j < topic->partition_cnt; j++) {
            struct fair_share_partition *planned = &addition->partitions[position++];
            if (!planned->is_planned || status != TOOL_DONE) {
                continue;
            }
            if (addition->room == 0) { /* at first, too: there may be some of an earlier run */
                status = wait_for_room(addition, UNDER_WAY_MAX);
            }
            if (status == TOOL_DONE) {
                status = ask_for(addition, topic->topic, topic->partitions[j].id, planned);
                addition->asked += status == TOOL_DONE;
                addition->room--;
            }
        }
    }
    if (addition->is_stalled) {
        return status;
    }
    int ended = wait_for_room(addition, 1); /* what is under way, also after a refusal */
    if (!addition->is_stalled && tool_shows_progress(addition->options)) {
        fprintf(stderr, "\r\033[K");
    }
    return status != TOOL_DONE ? status : ended;
}

/* ---- What has come of it ---- */

static const rd_kafka_metadata_partition_t *find_partition(const rd_kafka_metadata_t *metadata,
                                                           const char *topic, int32_t number)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *row = &metadata->topics[i];
        if (strcmp(row->topic, topic) != 0) {
            continue;
        }
        for (int j = 0; j < row->partition_cnt; j++) {
            if (row->partitions[j].id == number) {
                return &row->partitions[j];
            }
        }
    }
    return NULL;
}

/* The broker holds a replica, and is not about to lose it. */
static bool is_held(const struct addition *addition, const rd_kafka_metadata_partition_t *partition,
                    const json_t *row)
{
    bool is_listed = false;
    for (int i = 0; i < partition->replica_cnt; i++) {
        is_listed = is_listed || partition->replicas[i] == addition->broker_id;
    }
    return is_listed && !is_removed(row, addition->broker_id);
}

/* What is over has come to its end, or was cancelled; or the topic was deleted, which is neither.
 */
static void count_ends(struct addition *addition, const rd_kafka_metadata_t *now,
                       const json_t *moving)
{
    size_t position = 0;
    for (int i = 0; i < addition->metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &addition->metadata->topics[i];
        for (int j = 0; j < topic->partition_cnt; j++) {
            int32_t number = topic->partitions[j].id;
            const rd_kafka_metadata_partition_t *partition =
                find_partition(now, topic->topic, number);
            if (!addition->partitions[position++].is_planned || partition == NULL) {
                continue;
            }
            if (is_held(addition, partition, find_moving(moving, topic->topic, number))) {
                addition->moved++;
            } else {
                addition->cancelled++;
            }
        }
    }
}

/* All that was planned was asked for, and is over. */
static int take_stock(struct addition *addition, rd_kafka_t *client)
{
    const struct tool_options *options = addition->options;
    const rd_kafka_metadata_t *now = NULL;
    if (addition->planned == 0) {
        return TOOL_DONE;
    }
    pause_look(); /* the broker that tells may hear of the last end a moment later */
    json_t *moving = reassignment_list(options, NULL);
    if (moving == NULL) {
        return TOOL_FAILED;
    }
    int status = TOOL_DONE;
    rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &now, options->timeout_ms);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        status = tool_fail("no metadata from %s: %s", options->brokers, rd_kafka_err2str(error));
    } else {
        count_ends(addition, now, moving);
        rd_kafka_metadata_destroy(now);
    }
    json_decref(moving);
    return status;
}

static int move_share(struct addition *addition, const json_t *view)
{
    const struct tool_options *options = addition->options;
    json_t *moving = reassignment_list(options, NULL);
    rd_kafka_t *client =
        moving == NULL ? NULL : tool_client(options, RD_KAFKA_PRODUCER, NULL, NULL);
    int status = TOOL_FAILED;
    if (client != NULL) {
        rd_kafka_resp_err_t error =
            rd_kafka_metadata(client, 1, NULL, &addition->metadata, options->timeout_ms);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
            tool_fail("no metadata from %s: %s", options->brokers, rd_kafka_err2str(error));
        } else {
            gather_brokers(addition, view);
            gather_partitions(addition, moving);
            addition->planned =
                fair_share_plan(addition->partitions, addition->partition_count, addition->brokers,
                                addition->broker_count, addition->broker_id);
            status = carry_out(addition);
            if (status == TOOL_DONE) {
                status = take_stock(addition, client);
            }
            rd_kafka_metadata_destroy(addition->metadata);
        }
        rd_kafka_destroy(client);
    }
    json_decref(moving);
    memory_free(addition->brokers);
    memory_free(addition->partitions);
    return status;
}

static void print_outcome(const struct addition *addition)
{
    if (addition->options->json) {
        tool_print_json(json_pack("{sI ss sI sI}", "broker", (json_int_t)addition->broker_id,
                                  "outcome", "added", "moved", (json_int_t)addition->moved,
                                  "cancelled", (json_int_t)addition->cancelled));
        return;
    }
    printf("broker %d: added, %zu replicas moved", addition->broker_id, addition->moved);
    if (addition->cancelled > 0) {
        printf(", %zu moves cancelled", addition->cancelled);
    }
    printf("\n");
}

int command_cluster_add(const struct tool_options *options)
{
    static const char flags[] = "--no-move";
    int64_t broker_id;
    struct addition addition = {.options = options, .patience_ms = PATIENCE_MS};
    const char *patience = tool_take_option(options, "--patience-ms");
    if (!tool_check_options(options, "--patience-ms", flags, 1)) {
        return TOOL_USAGE;
    }
    const char *text = tool_positional(options, 0, flags);
    if (text == NULL) {
        return tool_usage("cluster add needs a broker's id");
    }
    if (!tool_parse_number("the broker's id", text, 1, INT32_MAX, &broker_id) ||
        (patience != NULL &&
         !tool_parse_number("--patience-ms", patience, 1, INT32_MAX, &addition.patience_ms))) {
        return TOOL_USAGE;
    }
    json_t *view = wait_until_live(options, broker_id);
    if (view == NULL) {
        return TOOL_FAILED;
    }
    addition.broker_id = (int32_t)broker_id;
    int status = tool_has_flag(options, "--no-move") ? TOOL_DONE : move_share(&addition, view);
    json_decref(view);
    if (status == TOOL_DONE) {
        print_outcome(&addition);
    }
    return status;
}
