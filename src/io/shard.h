/* SPDX-License-Identifier: Apache-2.0
 *
 * shard.h -- a core's worth of the broker: one thread, one loop, mailboxes to every other shard.
 *
 * A shard owns every object made on it.  Another shard is reached only by a message; there are no
 * locks. A message is a struct that begins with struct shard_message; posting it hands it over: the
 * receiver's deliver function owns it.  Payload in it travels by reference (a buf's count is
 * atomic). Messages from one shard to another arrive in the order they were posted.  They leave
 * together when the sender has delivered its own mail and again at the end of its turn; one to the
 * own shard comes back in the next turn, which does not wait, so a handler is never entered twice.
 * A stopped shard delivers nothing more.
 *
 * Locality: shard_post() on the thread of "from"; shards_start()/shards_stop() on the main thread.
 */
#ifndef IO_SHARD_H
#define IO_SHARD_H

#include "base/list.h"
#include "io/loop.h"

#include <stdint.h>

#define SHARDS_MAX 16

struct shard;

struct shard_message {
    struct list_node node;
    void (*deliver)(struct shard *shard, struct shard_message *message);
};

struct shards;

/* Makes count shards (0: one for each core the process may use, at most SHARDS_MAX) with their
 * loops; nothing runs yet. */
struct shards *shards_new(uint32_t count, uint64_t seed);
uint32_t shards_count(const struct shards *shards);
struct shard *shards_get(struct shards *shards, uint32_t id);
/* Starts one thread a shard (pinned when the process has exactly as many cores as shards);
 * start(shard) is the first thing each runs. */
void shards_start(struct shards *shards, void (*start)(struct shard *shard));
/* Waits until every loop was stopped (each by its own thread) and its thread has ended. */
void shards_join(struct shards *shards);
void shards_free(struct shards *shards);

uint32_t shard_id(const struct shard *shard);
uint32_t shard_count(const struct shard *shard);
struct io_loop *shard_loop(struct shard *shard);
/* What the room above keeps for this shard. */
void *shard_owner(const struct shard *shard);
void shard_set_owner(struct shard *shard, void *owner);

void shard_post(struct shard *from, uint32_t to, struct shard_message *message);

/* Callable from a signal handler or any thread: the shard runs deliver(shard, message) soon.  One
 * message object per call site, zeroed but for deliver; posting it again before delivery is lost.
 */
void shard_post_from_outside(struct shard *shard, struct shard_message *message);

#endif
