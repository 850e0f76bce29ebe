/* SPDX-License-Identifier: Apache-2.0
 *
 * admin_operation.c -- what all commands that go through the client's admin requests share: the
 * time they have, and waiting for the result.
 */
#include "cli/tool.h"

#include <stdio.h>

#define PROGRESS_MS 500

rd_kafka_AdminOptions_t *tool_admin_options(rd_kafka_t *client, rd_kafka_admin_op_t operation,
                                            const struct tool_options *options)
{
    char error[256];
    rd_kafka_AdminOptions_t *admin = rd_kafka_AdminOptions_new(client, operation);
    rd_kafka_AdminOptions_set_request_timeout(admin, options->timeout_ms, error, sizeof error);
    /* Not every operation has one; those that have not refuse it, which changes nothing. */
    rd_kafka_AdminOptions_set_operation_timeout(admin, options->timeout_ms, error, sizeof error);
    return admin;
}

rd_kafka_event_t *tool_wait_for_result(rd_kafka_queue_t *queue, const struct tool_options *options)
{
    rd_kafka_event_t *event = NULL;
    int waited_ms = 0;
    bool shows_progress = tool_shows_progress(options);
    while (event == NULL && waited_ms < options->timeout_ms + 1000) {
        event = rd_kafka_queue_poll(queue, PROGRESS_MS);
        waited_ms += PROGRESS_MS;
        if (event == NULL && shows_progress) {
            fprintf(stderr, "\rwaiting for the cluster, %d s", waited_ms / 1000);
        }
    }
    if (shows_progress) {
        fprintf(stderr, "\r\033[K");
    }
    return event;
}
