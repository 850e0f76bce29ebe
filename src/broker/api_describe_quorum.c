/* SPDX-License-Identifier: Apache-2.0
 *
 * api_describe_quorum.c -- DescribeQuorum (KIP-595, KIP-836), on the controller leader: who votes
 * in the controller group, who listens, and how far each is.
 *
 * Kafka's tools know that group as the partition __cluster_metadata-0, whose offsets count every
 * entry of its log; so they are ours of the Raft log, less one: the group's index i is offset
 * i - 1, and the end of a log that reaches index i is offset i.
 *
 * Locality: shard 0.
 */
#include "broker/api.h"
#include "broker/broker.h"
#include "broker/controller.h"
#include "broker/topic_place.h"
#include "io/loop.h"
#include "wire/describe_quorum.h"

#include <string.h>

#define METADATA_TOPIC "__cluster_metadata"
#define LISTENER_NAME "PEER"

typedef struct describe_quorum_response_partition_data described_partition;
typedef struct describe_quorum_response_topic_data described_topic;
typedef struct describe_quorum_response_replica_state replica_state;

struct quorum {
    struct request *request;
    struct replica_group_view view;
    replica_state states[RAFT_MEMBERS_MAX]; /* voters, then learners */
    int32_t voter_count;
    int32_t learner_count;
};

static int64_t time_of(const struct quorum *quorum, uint64_t ns_ago)
{
    if (ns_ago == UINT64_MAX) {
        return -1;
    }
    return io_wall_ms(quorum->request->shard->loop) - (int64_t)(ns_ago / 1000000u);
}

static void add_states(struct quorum *quorum, bool voters)
{
    for (uint32_t i = 0; i < quorum->view.member_count; i++) {
        const struct replica_member_view *member = &quorum->view.members[i];
        if (member->is_voter != voters) {
            continue;
        }
        replica_state *state = &quorum->states[quorum->voter_count + quorum->learner_count];
        bool is_leader = member->node_id == quorum->view.leader;
        describe_quorum_response_replica_state_init(state);
        state->replica_id = (int32_t)member->node_id;
        state->log_end_offset =
            (int64_t)(is_leader ? quorum->view.last_index : member->match_index);
        state->last_fetch_timestamp = time_of(quorum, member->heard_ns_ago);
        state->last_caught_up_timestamp = time_of(quorum, member->caught_up_ns_ago);
        quorum->voter_count += voters ? 1 : 0;
        quorum->learner_count += voters ? 0 : 1;
    }
}

static void describe_partition(struct quorum *quorum, bool is_ours, described_partition *answer)
{
    if (!is_ours) {
        answer->error_code = WIRE_ERROR_UNKNOWN_TOPIC_OR_PARTITION;
        answer->error_message =
            topic_place_string("The quorum is that of " METADATA_TOPIC "-0, and no other.");
        return;
    }
    answer->leader_id = (int32_t)quorum->view.leader;
    answer->leader_epoch = (int32_t)quorum->view.term;
    answer->high_watermark = (int64_t)quorum->view.commit_index;
    answer->current_voters = quorum->states;
    answer->current_voters_count = quorum->voter_count;
    answer->observers = &quorum->states[quorum->voter_count];
    answer->observers_count = quorum->learner_count;
}

static bool describe_topics(struct quorum *quorum, const struct describe_quorum_request *body,
                            struct describe_quorum_response *response)
{
    struct arena *arena = &quorum->request->arena;
    response->topics =
        arena_allocate_array(arena, (size_t)body->topics_count, sizeof(*response->topics));
    if (response->topics == NULL) {
        return false;
    }
    for (int32_t i = 0; i < body->topics_count; i++) {
        const struct describe_quorum_request_topic_data *asked = &body->topics[i];
        described_topic *answer = &response->topics[response->topics_count++];
        bool is_ours = asked->topic_name.length == (int32_t)strlen(METADATA_TOPIC) &&
                       memcmp(asked->topic_name.data, METADATA_TOPIC, strlen(METADATA_TOPIC)) == 0;
        describe_quorum_response_topic_data_init(answer);
        answer->topic_name = asked->topic_name;
        answer->partitions = arena_allocate_array(arena, (size_t)asked->partitions_count,
                                                  sizeof(*answer->partitions));
        if (answer->partitions == NULL) {
            return false;
        }
        for (int32_t j = 0; j < asked->partitions_count; j++) {
            described_partition *partition = &answer->partitions[answer->partitions_count++];
            describe_quorum_response_partition_data_init(partition);
            partition->partition_index = asked->partitions[j].partition_index;
            partition->error_message = topic_place_string(NULL);
            describe_partition(quorum, is_ours && partition->partition_index == 0, partition);
        }
    }
    return true;
}

/* Where the members speak to each other.  One that is not registered yet is left out. */
static bool describe_nodes(const struct quorum *quorum, struct describe_quorum_response *response)
{
    struct arena *arena = &quorum->request->arena;
    uint32_t count = quorum->view.member_count;
    response->nodes = arena_allocate_array(arena, count, sizeof(*response->nodes));
    struct describe_quorum_response_listener *listeners =
        arena_allocate_array(arena, count, sizeof(*listeners));
    if (response->nodes == NULL || listeners == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct cluster_broker *broker =
            cluster_broker_find(quorum->request->shard->metadata, quorum->view.members[i].node_id);
        if (broker == NULL) {
            continue;
        }
        struct describe_quorum_response_node *node = &response->nodes[response->nodes_count++];
        describe_quorum_response_node_init(node);
        describe_quorum_response_listener_init(&listeners[i]);
        listeners[i].name = topic_place_string(LISTENER_NAME);
        listeners[i].host = topic_place_string(broker->peer_host);
        listeners[i].port = broker->peer_port;
        node->node_id = (int32_t)broker->id;
        node->listeners = &listeners[i];
        node->listeners_count = 1;
    }
    return true;
}

static bool describe(struct quorum *quorum, const struct describe_quorum_request *body,
                     struct describe_quorum_response *response)
{
    size_t partitions = 0;
    for (int32_t i = 0; i < body->topics_count; i++) {
        partitions += (size_t)body->topics[i].partitions_count;
    }
    quorum->request->arena.limit_bytes +=
        (size_t)body->topics_count * (sizeof(described_topic) + 32) +
        partitions * sizeof(described_partition) +
        RAFT_MEMBERS_MAX * (sizeof(struct describe_quorum_response_node) +
                            sizeof(struct describe_quorum_response_listener)) +
        256;
    add_states(quorum, true);
    add_states(quorum, false);
    return describe_topics(quorum, body, response) && describe_nodes(quorum, response);
}

void api_describe_quorum(struct request *request)
{
    struct wire_cursor cursor = request_cursor(request);
    struct describe_quorum_request body;
    struct describe_quorum_response response;
    struct quorum quorum = {.request = request};
    if (!describe_quorum_request_decode(&body, request->version, &cursor) ||
        !request_body_ends(request, &cursor)) {
        request_malformed(request, &cursor);
        return;
    }
    describe_quorum_response_init(&response);
    response.error_message = topic_place_string(NULL);
    if (!controller_view(request->shard, &quorum.view)) {
        response.error_code = WIRE_ERROR_NOT_LEADER_OR_FOLLOWER;
        response.error_message = topic_place_string("No leader of the controllers can be reached.");
    } else if (!describe(&quorum, &body, &response)) {
        request_drop(request, "the answer needs more memory than a request may have");
        return;
    }
    struct wire_writer writer;
    wire_writer_init(&writer, 512);
    describe_quorum_response_encode(&response, request->version, &writer);
    request_respond(request, &writer);
}
