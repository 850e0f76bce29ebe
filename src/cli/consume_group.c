/* SPDX-License-Identifier: Apache-2.0
 *
 * consume_group.c -- prints the messages of a topic as a member of a consumer group, which goes on
 * where the group was.
 *
 * A message is committed after it was printed, so one that was not is printed by whoever comes
 * next; the last ones before a kill may be printed twice.
 */
#include "cli/consume.h"

#include <stdio.h>

struct membership {
    const struct tool_options *options;
    const struct consume_group_wish *wish;
    rd_kafka_t *client;
    rd_kafka_topic_partition_list_t *ended; /* partitions whose end was reached */
    int64_t count_left;
};

static bool join(struct membership *membership)
{
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, membership->wish->topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_poll_set_consumer(membership->client);
    rd_kafka_resp_err_t error = rd_kafka_subscribe(membership->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tool_fail("group %s: %s", membership->wish->group, rd_kafka_err2str(error));
    }
    return error == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Every partition it has was read to the end. */
static bool is_at_end(const struct membership *membership)
{
    rd_kafka_topic_partition_list_t *assigned = NULL;
    if (rd_kafka_assignment(membership->client, &assigned) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return false;
    }
    bool at_end = assigned->cnt > 0;
    for (int i = 0; i < assigned->cnt && at_end; i++) {
        at_end = rd_kafka_topic_partition_list_find(membership->ended, assigned->elems[i].topic,
                                                    assigned->elems[i].partition) != NULL;
    }
    rd_kafka_topic_partition_list_destroy(assigned);
    return at_end;
}

static void note_end(struct membership *membership, const rd_kafka_message_t *message, bool is_end)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    rd_kafka_topic_partition_list_del(membership->ended, topic, message->partition);
    if (is_end) {
        rd_kafka_topic_partition_list_add(membership->ended, topic, message->partition);
    }
}

/* Printed, and then it may be committed; false after a message. */
static bool take(struct membership *membership, const rd_kafka_message_t *message)
{
    consume_print(membership->options, message);
    membership->count_left -= membership->count_left > 0;
    if (fflush(stdout) != 0) {
        tool_fail("the output cannot be written");
        return false;
    }
    rd_kafka_resp_err_t error =
        rd_kafka_offset_store(message->rkt, message->partition, message->offset);
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR__STATE) {
        tool_fail("partition %d: %s", message->partition, rd_kafka_err2str(error));
        return false;
    }
    return true; /* __STATE: another member has the partition now, and prints this again */
}

/* False to stop; *status says with what. */
static bool handle(struct membership *membership, const rd_kafka_message_t *message, int *status)
{
    bool goes_on = true;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        note_end(membership, message, false);
        goes_on = take(membership, message);
        *status = goes_on ? TOOL_DONE : TOOL_FAILED;
    } else if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        note_end(membership, message, true);
        goes_on = !membership->wish->exits || !is_at_end(membership);
    } else {
        *status = tool_fail("%s", rd_kafka_message_errstr(message));
        goes_on = false;
    }
    return goes_on;
}

static int take_messages(struct membership *membership)
{
    int status = TOOL_DONE;
    bool goes_on = true;
    while (goes_on && !consume_is_interrupted() && membership->count_left != 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(membership->client, 200);
        if (message != NULL) {
            goes_on = handle(membership, message, &status);
            rd_kafka_message_destroy(message);
        }
    }
    return status;
}

static int leave(struct membership *membership)
{
    rd_kafka_resp_err_t error = rd_kafka_commit(membership->client, NULL, 0);
    int status = TOOL_DONE;
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && error != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        status = tool_fail("group %s: what was read is not committed: %s", membership->wish->group,
                           rd_kafka_err2str(error));
    }
    rd_kafka_consumer_close(membership->client);
    return status;
}

int consume_as_member(const struct tool_options *options, const struct consume_group_wish *wish)
{
    const char *const set[] = {"group.id",
                               wish->group,
                               "auto.offset.reset",
                               wish->offset,
                               "enable.auto.offset.store",
                               "false",
                               "enable.partition.eof",
                               "true",
                               "allow.auto.create.topics",
                               "false",
                               NULL};
    struct membership membership = {
        .options = options,
        .wish = wish,
        .client = tool_client(options, RD_KAFKA_CONSUMER, set, NULL),
        .count_left = wish->message_count,
    };
    if (membership.client == NULL) {
        return TOOL_FAILED;
    }
    consume_catch_interrupts();
    membership.ended = rd_kafka_topic_partition_list_new(1);
    int status = TOOL_FAILED;
    if (join(&membership)) {
        status = take_messages(&membership);
        int left = leave(&membership);
        status = status == TOOL_DONE ? left : status;
    }
    rd_kafka_topic_partition_list_destroy(membership.ended);
    rd_kafka_destroy(membership.client);
    return status;
}
