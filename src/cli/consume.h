/* SPDX-License-Identifier: Apache-2.0
 *
 * consume.h -- what consuming with and without a group share.
 *
 * Locality: main thread.
 */
#ifndef CLI_CONSUME_H
#define CLI_CONSUME_H

#include "cli/tool.h"

/* One line for a message: its value, or JSON. */
void consume_print(const struct tool_options *options, const rd_kafka_message_t *message);

/* From now on SIGINT and SIGTERM only set what the second function tells. */
void consume_catch_interrupts(void);
bool consume_is_interrupted(void);

struct consume_group_wish {
    const char *topic;
    const char *group;
    const char *offset;    /* "earliest" or "latest": where nothing was committed */
    int64_t message_count; /* -1: no limit */
    bool exits;            /* when the end of every partition it was given is reached */
};

/* As a member of the group; what was printed is committed.  A tool status. */
int consume_as_member(const struct tool_options *options, const struct consume_group_wish *wish);

#endif
