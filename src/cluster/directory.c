/* SPDX-License-Identifier: Apache-2.0
 *
 * directory.c -- which data directories of brokers are out of date.
 *
 * A broker registers with the id of its directory and with the starts that stand in it (cluster.h).
 * What is remembered of that only moves forward: of a registered broker its directory and its last
 * start, which whoever goes on with the directory has; of the directories that were given up, by
 * leaving or for another one, that they were.  Of these the newest are kept; who was forgotten is
 * taken for new, as before there was this memory.
 *
 * Invariant: no broker is registered with a directory that it gave up.
 *
 * Locality: the shard that owns the copy.
 */
#include "cluster/metadata.h"

#include "base/assert.h"
#include "base/memory.h"

#include <string.h>

static bool is_given_up(const struct cluster_metadata *metadata, uint32_t broker_id,
                        const struct uuid *directory_id)
{
    for (size_t i = 0; i < metadata->given_up_count; i++) {
        const struct given_up_directory *given_up = &metadata->given_up[i];
        if (given_up->broker_id == broker_id && uuid_equal(&given_up->directory_id, directory_id)) {
            return true;
        }
    }
    return false;
}

bool cluster_directory_take(struct cluster_directory *directory, const struct uuid *id,
                            int64_t first_start, const struct uuid *starts, int32_t start_count)
{
    if (first_start < 0 || start_count < 0 || start_count > CLUSTER_DIRECTORY_STARTS_MAX) {
        return false;
    }
    *directory = (struct cluster_directory){
        .id = *id, .first_start = (uint64_t)first_start, .start_count = (uint32_t)start_count};
    for (uint32_t i = 0; i < directory->start_count; i++) {
        directory->starts[i] = starts[i];
    }
    return true;
}

/* Whether the start that is known last stands in the directory, or is before those that do: who
 * judges may be behind, and know an earlier one. */
static bool goes_on(const struct cluster_directory *known,
                    const struct cluster_directory *directory)
{
    if (known->start_count == 0) {
        return true;
    }
    uint64_t number = known->first_start + known->start_count - 1;
    uint64_t position = number - directory->first_start;
    return number < directory->first_start ||
           (position < directory->start_count &&
            uuid_equal(&directory->starts[position], &known->starts[known->start_count - 1]));
}

enum cluster_directory_verdict cluster_directory_judge(const struct cluster_metadata *metadata,
                                                       uint32_t broker_id,
                                                       const struct cluster_directory *directory)
{
    const struct cluster_broker *known = cluster_broker_find(metadata, broker_id);
    if (uuid_is_zero(&directory->id)) {
        return CLUSTER_DIRECTORY_CURRENT; /* it does not say */
    }
    if (is_given_up(metadata, broker_id, &directory->id)) {
        return known == NULL ? CLUSTER_DIRECTORY_LEFT : CLUSTER_DIRECTORY_REPLACED;
    }
    bool is_known = known != NULL && uuid_equal(&known->directory.id, &directory->id);
    return !is_known || goes_on(&known->directory, directory) ? CLUSTER_DIRECTORY_CURRENT
                                                              : CLUSTER_DIRECTORY_OLD_COPY;
}

enum wire_error cluster_directory_error(enum cluster_directory_verdict verdict)
{
    switch (verdict) {
    case CLUSTER_DIRECTORY_CURRENT:
        return WIRE_ERROR_NONE;
    case CLUSTER_DIRECTORY_LEFT:
        return WIRE_ERROR_BROKER_ID_NOT_REGISTERED;
    case CLUSTER_DIRECTORY_REPLACED:
    case CLUSTER_DIRECTORY_OLD_COPY:
        return WIRE_ERROR_STALE_BROKER_EPOCH;
    }
    unreachable_code();
}

const char *cluster_directory_text(enum cluster_directory_verdict verdict)
{
    switch (verdict) {
    case CLUSTER_DIRECTORY_CURRENT:
        return "the data directory is the newest that is known";
    case CLUSTER_DIRECTORY_LEFT:
        return "this broker was removed from the cluster; to add it again, start it with an empty "
               "data directory";
    case CLUSTER_DIRECTORY_REPLACED:
        return "this broker has been started with another data directory since; start it with that "
               "one, or with an empty one, and it is filled again";
    case CLUSTER_DIRECTORY_OLD_COPY:
        return "the data directory is an older copy of itself, which has forgotten what the broker "
               "promised since; start the broker with an empty one, and it is filled again";
    }
    unreachable_code();
}

void metadata_give_up_directory(struct cluster_metadata *metadata, uint32_t broker_id,
                                const struct uuid *directory_id)
{
    if (uuid_is_zero(directory_id) || is_given_up(metadata, broker_id, directory_id)) {
        return;
    }
    if (metadata->given_up == NULL) {
        metadata->given_up = memory_allocate(METADATA_GIVEN_UP_MAX * sizeof metadata->given_up[0]);
    }
    if (metadata->given_up_count == METADATA_GIVEN_UP_MAX) {
        metadata->given_up_count--;
        memmove(&metadata->given_up[0], &metadata->given_up[1],
                metadata->given_up_count * sizeof metadata->given_up[0]);
    }
    metadata->given_up[metadata->given_up_count++] =
        (struct given_up_directory){.broker_id = broker_id, .directory_id = *directory_id};
}
