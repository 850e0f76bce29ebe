/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_creation.h -- creating topics because a client asked for their metadata
 * (auto.create.topics.enable).
 *
 * Locality: the shard of the request.
 */
#ifndef BROKER_TOPIC_CREATION_H
#define BROKER_TOPIC_CREATION_H

#include "base/arena.h"
#include "broker/upkeep.h"
#include "wire/cursor.h"
#include "wire/error.h"

#include <stdint.h>

struct broker_shard;

/* Filled in by the caller up to done; lives until done is called. */
struct topic_creation {
    struct broker_shard *shard;
    struct arena *arena;
    struct wire_string *names; /* good names of topics that are not known here */
    enum wire_error *errors;   /* NONE, or why there will be no such topic */
    int32_t count;
    /* The topics are known here with their leaders, or it took too long. */
    void (*done)(struct topic_creation *creation);
    void *context;

    struct upkeep_condition condition; /* its own */
    uint64_t deadline_ns;
};

void topic_creation_start(struct topic_creation *creation);

#endif
