/* SPDX-License-Identifier: Apache-2.0
 *
 * topic_config_table.c -- every topic config there is, one row each.
 *
 * Names, types, defaults and ranges are those clients and tools know; a range is never narrower
 * than theirs.  Rows stand in the order of their names: topic_config_find() searches by halving.
 * "honoured" says that the broker acts on the value; the others are checked, kept and reported, so
 * that tools which set them work, and their sentence says why nothing follows from them.
 *
 * Locality: constant data.
 */
#include "cluster/topic_config.h"

#define LEAST INT64_MIN
#define MOST INT64_MAX

#define BOOLEAN(name, broker_name, value, honoured, text)                                          \
    {                                                                                              \
        name, broker_name, TOPIC_CONFIG_BOOLEAN, value, 0, 0, "", honoured, text                   \
    }
#define INT(name, broker_name, value, least, most, honoured, text)                                 \
    {                                                                                              \
        name, broker_name, TOPIC_CONFIG_INT, value, least, most, "", honoured, text                \
    }
#define LONG(name, broker_name, value, least, most, honoured, text)                                \
    {                                                                                              \
        name, broker_name, TOPIC_CONFIG_LONG, value, least, most, "", honoured, text               \
    }
#define DOUBLE(name, broker_name, value, least, most, honoured, text)                              \
    {                                                                                              \
        name, broker_name, TOPIC_CONFIG_DOUBLE, value, least, most, "", honoured, text             \
    }
#define STRING(name, broker_name, value, allowed, honoured, text)                                  \
    {                                                                                              \
        name, broker_name, TOPIC_CONFIG_STRING, value, 0, 0, allowed, honoured, text               \
    }
#define LIST(name, broker_name, value, allowed, honoured, text)                                    \
    {                                                                                              \
        name, broker_name, TOPIC_CONFIG_LIST, value, 0, 0, allowed, honoured, text                 \
    }

static const struct topic_config_row rows[] = {
    LIST("cleanup.policy", "log.cleanup.policy", "delete", "compact,delete", true,
         "What happens to old data: delete drops whole segments by age and size; compact keeps the "
         "newest record of each key."),
    INT("compression.gzip.level", "compression.gzip.level", "-1", -1, 9, true,
        "How hard to compress, where compression.type is gzip; -1 for the library's choice."),
    INT("compression.lz4.level", "compression.lz4.level", "9", 1, 17, true,
        "How hard to compress, where compression.type is lz4."),
    STRING("compression.type", "compression.type", "producer",
           "uncompressed,zstd,lz4,snappy,gzip,producer", true,
           "How batches are compressed in the log: as the producer chose, or the leader does it "
           "anew."),
    INT("compression.zstd.level", "compression.zstd.level", "3", -131072, 22, true,
        "How hard to compress, where compression.type is zstd."),
    LONG("delete.retention.ms", "log.cleaner.delete.retention.ms", "86400000", 0, MOST, true,
         "How long compaction keeps a deletion mark for readers that are behind, at least."),
    LONG("file.delete.delay.ms", "log.segment.delete.delay.ms", "60000", 0, MOST, false,
         "Wait before the file of a dropped segment is unlinked; here readers hold the file open "
         "instead."),
    LONG("flush.messages", "log.flush.interval.messages", "9223372036854775807", 1, MOST, false,
         "Records between two flushes; every write is flushed before it is acknowledged, so this "
         "has "
         "nothing to add."),
    LONG("flush.ms", "log.flush.interval.ms", "9223372036854775807", 0, MOST, false,
         "Time between two flushes; every write is flushed before it is acknowledged, so this has "
         "nothing to add."),
    LIST("follower.replication.throttled.replicas", "", "", "", false,
         "Replicas (partition:broker, or * for all) whose catching up is slowed down on the "
         "follower."),
    INT("index.interval.bytes", "log.index.interval.bytes", "4096", 0, INT32_MAX, true,
        "Bytes of log between two entries of the offset and time indexes."),
    LIST("leader.replication.throttled.replicas", "", "", "", false,
         "Replicas (partition:broker, or * for all) whose catching up is slowed down on the "
         "leader."),
    LONG("local.retention.bytes", "log.local.retention.bytes", "-2", -2, MOST, false,
         "Size kept on local disks before tiered storage takes over; -2 stands for "
         "retention.bytes."),
    LONG("local.retention.ms", "log.local.retention.ms", "-2", -2, MOST, false,
         "Age kept on local disks before tiered storage takes over; -2 stands for retention.ms."),
    LONG("max.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms", "9223372036854775807", 1,
         MOST, true, "Longest time a record may stay out of reach of compaction."),
    INT("max.message.bytes", "message.max.bytes", "1048588", 0, INT32_MAX, true,
        "Largest record batch, as compressed, that is taken from a producer."),
    LONG("message.timestamp.after.max.ms", "log.message.timestamp.after.max.ms", "3600000", 0, MOST,
         true, "How far a producer's timestamp may lie ahead of the broker's clock."),
    LONG("message.timestamp.before.max.ms", "log.message.timestamp.before.max.ms",
         "9223372036854775807", 0, MOST, true,
         "How far a producer's timestamp may lie behind the broker's clock."),
    STRING("message.timestamp.type", "log.message.timestamp.type", "CreateTime",
           "CreateTime,LogAppendTime", true,
           "Whose time stands in the records: the producer's, or the broker's at the append."),
    DOUBLE("min.cleanable.dirty.ratio", "log.cleaner.min.cleanable.ratio", "0.5", 0, 1, true,
           "Share of not yet compacted log from which compaction starts."),
    LONG("min.compaction.lag.ms", "log.cleaner.min.compaction.lag.ms", "0", 0, MOST, true,
         "Shortest time a record stays out of reach of compaction."),
    INT("min.insync.replicas", "min.insync.replicas", "1", 1, INT32_MAX, true,
        "Replicas that must take part for acks=all: a flushed majority always does, so values up "
        "to "
        "the majority are always met; above it a write is refused while fewer replicas are "
        "active."),
    BOOLEAN("preallocate", "log.preallocate", "false", false,
            "Reserve the disk space of a segment when it is begun; the log decides this itself."),
    LONG("remote.copy.lag.bytes", "remote.copy.lag.bytes", "0", -1, MOST, false,
         "Bytes of closed segments that tiered storage leaves uncopied; there is no tiered "
         "storage."),
    LONG("remote.copy.lag.ms", "remote.copy.lag.ms", "0", -1, MOST, false,
         "Time for which tiered storage leaves a closed segment uncopied; there is no tiered "
         "storage."),
    BOOLEAN("remote.log.copy.disable", "", "false", false,
            "Stop copying segments to tiered storage; there is no tiered storage."),
    BOOLEAN(
        "remote.log.delete.on.disable", "", "false", false,
        "Delete what tiered storage holds when it is switched off; there is no tiered storage."),
    BOOLEAN("remote.storage.enable", "", "false", false,
            "Move old segments to tiered storage; there is no tiered storage, data stays local."),
    LONG("retention.bytes", "log.retention.bytes", "-1", LEAST, MOST, true,
         "Size of a partition above which the oldest segments are deleted; negative for no limit."),
    LONG("retention.ms", "log.retention.ms", "604800000", -1, MOST, true,
         "Age of its newest record at which a segment is deleted; -1 for no limit."),
    INT("segment.bytes", "log.segment.bytes", "1073741824", 14, INT32_MAX, true,
        "Size at which a segment is closed and a new one begun."),
    INT("segment.index.bytes", "log.index.size.max.bytes", "10485760", 4, INT32_MAX, false,
        "Largest index file of a segment; here an index grows as its segment needs."),
    LONG("segment.jitter.ms", "log.roll.jitter.ms", "0", 0, MOST, false,
         "Random part taken off segment.ms, to spread the closing of segments; group commit makes "
         "it "
         "needless."),
    LONG("segment.ms", "log.roll.ms", "604800000", 1, MOST, true,
         "Age at which a segment is closed although it is not full, so that retention can reach "
         "it."),
    BOOLEAN(
        "unclean.leader.election.enable", "unclean.leader.election.enable", "false", false,
        "Let a replica lead that may lack acknowledged records; a Raft leader never does, so this "
        "cannot be switched on in effect."),
};

_Static_assert(sizeof rows / sizeof rows[0] <= TOPIC_CONFIG_ROWS_MAX, "a word holds a set");

size_t topic_config_row_count(void)
{
    return sizeof rows / sizeof rows[0];
}

const struct topic_config_row *topic_config_row(size_t position)
{
    return position < topic_config_row_count() ? &rows[position] : NULL;
}
