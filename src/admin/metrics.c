/* SPDX-License-Identifier: Apache-2.0
 *
 * metrics.c -- the table of metrics and its Prometheus text.
 *
 * Every row names where its number stands; rows of one name follow each other and differ in labels.
 */
#include "admin/metrics.h"

#include "base/assert.h"
#include "broker/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum metric_source { FROM_BROKER, FROM_REPLICAS, FROM_LOG };

struct metric_row {
    const char *name;
    const char *labels; /* "" or "role=\"leader\"" */
    const char *kind;   /* "counter", "gauge" */
    const char *text;
    enum metric_source source;
    size_t offset; /* of a struct counter in the source's stats */
};

#define BROKER(name, labels, kind, member, text)                                                   \
    {                                                                                              \
        name, labels, kind, text, FROM_BROKER, offsetof(struct broker_stats, member)               \
    }
#define REPLICAS(name, labels, kind, member, text)                                                 \
    {                                                                                              \
        name, labels, kind, text, FROM_REPLICAS, offsetof(struct replica_stats, member)            \
    }
#define LOG(name, labels, kind, member, text)                                                      \
    {                                                                                              \
        name, labels, kind, text, FROM_LOG, offsetof(struct log_stream_stats, member)              \
    }

static const struct metric_row rows[] = {
    BROKER("flotilla_connections_open", "", "gauge", connections_open,
           "Client connections held now."),
    BROKER("flotilla_connections_total", "result=\"accepted\"", "counter", connections_accepted,
           "Client connections since start, by what became of them."),
    BROKER("flotilla_connections_total", "result=\"refused\"", "counter", connections_refused, ""),
    BROKER("flotilla_connections_total", "result=\"bad_input\"", "counter",
           connections_closed_bad_input, ""),
    BROKER("flotilla_produce_requests_total", "", "counter", produce_requests, "Produce requests."),
    BROKER("flotilla_produce_records_total", "", "counter", produce_records, "Records appended."),
    BROKER("flotilla_produce_bytes_total", "", "counter", produce_bytes,
           "Bytes of batches appended."),
    BROKER("flotilla_produce_errors_total", "", "counter", produce_errors,
           "Partitions of produce requests answered with an error."),
    BROKER("flotilla_fetch_requests_total", "", "counter", fetch_requests, "Fetch requests."),
    BROKER("flotilla_fetch_bytes_total", "", "counter", fetch_bytes,
           "Bytes of batches sent to consumers."),
    BROKER("flotilla_fetch_errors_total", "", "counter", fetch_errors,
           "Partitions of fetch requests answered with an error."),
    BROKER("flotilla_fetch_sessions", "", "gauge", fetch_sessions,
           "Clients of which it is remembered what they read."),
    BROKER("flotilla_fetch_session_partitions", "", "gauge", fetch_session_partitions,
           "Partitions in their sessions."),
    BROKER("flotilla_fetch_sessions_evicted_total", "", "counter", fetch_sessions_evicted,
           "Unused sessions that made room for others."),
    BROKER("flotilla_fetch_sessions_refused_total", "", "counter", fetch_sessions_refused,
           "Fetches that asked for a session and got none, for want of room."),
    BROKER("flotilla_leaders_handed_over_total", "", "counter", leaders_handed_over,
           "Partitions handed over to the replicas that are preferred to lead them."),
    BROKER("flotilla_inter_broker_unauthorized_total", "", "counter", inter_broker_unauthorized,
           "Peers refused by one of the three checks."),
    REPLICAS("flotilla_raft_groups", "role=\"leader\"", "gauge", groups_leading,
             "Raft groups of this broker by role."),
    REPLICAS("flotilla_raft_groups", "role=\"any\"", "gauge", groups_running, ""),
    REPLICAS("flotilla_raft_groups", "role=\"failed\"", "gauge", groups_failed, ""),
    REPLICAS("flotilla_raft_groups_leaderless", "", "gauge", groups_leaderless,
             "Groups of this broker that know no leader."),
    REPLICAS("flotilla_raft_elections_won_total", "", "counter", elections_won,
             "Elections this broker's replicas won."),
    REPLICAS("flotilla_raft_peers_missed_total", "", "counter", peers_missed,
             "Times that nothing came for an election timeout from a broker that shares groups."),
    REPLICAS("flotilla_raft_frames_total", "direction=\"sent\"", "counter", frames_sent,
             "Frames between brokers; each carries messages of many groups."),
    REPLICAS("flotilla_raft_frames_total", "direction=\"received\"", "counter", frames_received,
             ""),
    REPLICAS("flotilla_raft_messages_total", "direction=\"sent\"", "counter", messages_sent,
             "Raft messages in those frames."),
    REPLICAS("flotilla_raft_messages_total", "direction=\"received\"", "counter", messages_received,
             ""),
    REPLICAS("flotilla_raft_messages_total", "direction=\"dropped\"", "counter", messages_dropped,
             ""),
    REPLICAS("flotilla_corrupt_reads_total", "", "counter", corrupt_reads,
             "Reads of a group's log that met damage."),
    REPLICAS("flotilla_replicas_quarantined_total", "", "counter", replicas_quarantined,
             "Damaged replicas that were moved aside for an empty one."),
    REPLICAS("flotilla_replicas_rejoined_total", "", "counter", replicas_rejoined,
             "Replicas that came empty and may vote again."),
    REPLICAS("flotilla_scrubbed_bytes_total", "", "counter", scrubbed_bytes,
             "Bytes read from the disk to look for damage."),
    REPLICAS("flotilla_scrub_damage_found_total", "", "counter", scrub_damage_found,
             "Damaged logs, snapshots and group records that this found."),
    REPLICAS("flotilla_scrub_passes_total", "", "counter", scrub_passes,
             "Passes over all data of a shard."),
    BROKER("flotilla_shards_short_of_disk", "", "gauge", shards_short_of_room,
           "Shards that take no data, because the disk is nearly full."),
    BROKER("flotilla_shards_with_hung_disk", "", "gauge", shards_with_hung_disk,
           "Shards whose flush has been under way for long: the broker does not count as live."),
    BROKER("flotilla_compactions_total", "result=\"ok\"", "counter", compactions,
           "Compactions of partitions."),
    BROKER("flotilla_compactions_total", "result=\"error\"", "counter", compactions_failed, ""),
    BROKER("flotilla_compaction_read_bytes_total", "", "counter", compaction_read_bytes,
           "Bytes of log read in order to compact."),
    BROKER("flotilla_compaction_saved_bytes_total", "", "counter", compaction_saved_bytes,
           "Bytes by which compaction made logs smaller."),
    BROKER("flotilla_compaction_removed_records_total", "", "counter", compaction_records_removed,
           "Records that compaction took out of logs."),
    BROKER("flotilla_compaction_removed_tombstones_total", "", "counter",
           compaction_tombstones_removed,
           "Tombstones among them: every replica had been compacted beyond them."),
    BROKER("flotilla_compacted_topics_bytes", "part=\"dirty\"", "gauge", compaction_dirty_bytes,
           "Closed segments of compacted topics; the dirty ratio is dirty / (dirty + clean)."),
    BROKER("flotilla_compacted_topics_bytes", "part=\"clean\"", "gauge", compaction_clean_bytes,
           ""),
    LOG("flotilla_log_flushes_total", "", "counter", flushes,
        "Flushes; each makes many groups durable."),
    LOG("flotilla_log_written_bytes_total", "", "counter", bytes_written,
        "Bytes given to those flushes."),
};

static const void *stats_of(const struct broker_shard *shard, enum metric_source source)
{
    switch (source) {
    case FROM_BROKER:
        return &shard->stats;
    case FROM_REPLICAS:
        return replica_stats(shard->replicas);
    case FROM_LOG:
        return replica_log_stats(shard->replicas);
    }
    unreachable_code();
}

static uint64_t sum_row(struct broker *broker, const struct metric_row *row)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < broker_shard_count(broker); i++) {
        const uint8_t *stats = stats_of(broker_shard_at(broker, i), row->source);
        sum += counter_read((const struct counter *)(const void *)(stats + row->offset));
    }
    return sum;
}

static void print_rows(FILE *out, struct broker *broker)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct metric_row *row = &rows[i];
        if (i == 0 || strcmp(rows[i - 1].name, row->name) != 0) {
            fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->text, row->name,
                    row->kind);
        }
        bool has_labels = *row->labels != 0;
        fprintf(out, "%s%s%s%s %" PRIu64 "\n", row->name, has_labels ? "{" : "", row->labels,
                has_labels ? "}" : "", sum_row(broker, row));
    }
}

/* labels: "" or "request=\"...\"," with the comma. */
static void print_histogram(FILE *out, const char *name, const char *labels,
                            const struct histogram *const *parts, size_t part_count)
{
    uint64_t below = 0;
    uint64_t count = 0;
    uint64_t sum_us = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        for (size_t i = 0; i < part_count; i++) {
            below += counter_read(&parts[i]->buckets[bucket]);
        }
        if (bucket < HISTOGRAM_BUCKETS - 1) {
            fprintf(out, "%s_bucket{%sle=\"%g\"} %" PRIu64 "\n", name, labels,
                    (double)(1ull << bucket) / 1e6, below);
        }
    }
    for (size_t i = 0; i < part_count; i++) {
        count += counter_read(&parts[i]->count);
        sum_us += counter_read(&parts[i]->sum_us);
    }
    fprintf(out, "%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, below);
    char bare[128];
    snprintf(bare, sizeof bare, "%.*s", *labels != 0 ? (int)strlen(labels) - 1 : 0, labels);
    fprintf(out, "%s_sum%s%s%s %g\n%s_count%s%s%s %" PRIu64 "\n", name, *bare ? "{" : "", bare,
            *bare ? "}" : "", (double)sum_us / 1e6, name, *bare ? "{" : "", bare, *bare ? "}" : "",
            count);
}

static void print_flush_times(FILE *out, struct broker *broker)
{
    const struct histogram *parts[SHARDS_MAX];
    uint32_t count = broker_shard_count(broker);
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = &replica_log_stats(broker_shard_at(broker, i)->replicas)->flush_us;
    }
    fprintf(out, "# HELP flotilla_log_flush_seconds Time from handing a flush over to its end.\n"
                 "# TYPE flotilla_log_flush_seconds histogram\n");
    print_histogram(out, "flotilla_log_flush_seconds", "", parts, count);
}

/* A time, so of all shards the one that is furthest back; 0: some has not been through yet. */
static void print_last_scrub(FILE *out, struct broker *broker)
{
    uint64_t oldest_ms = UINT64_MAX;
    for (uint32_t i = 0; i < broker_shard_count(broker); i++) {
        const struct replica_stats *stats = replica_stats(broker_shard_at(broker, i)->replicas);
        uint64_t last_ms = counter_read(&stats->scrub_last_pass_ms);
        oldest_ms = last_ms < oldest_ms ? last_ms : oldest_ms;
    }
    fprintf(out,
            "# HELP flotilla_scrub_last_pass_timestamp_seconds When all data had last been looked "
            "through for damage.\n"
            "# TYPE flotilla_scrub_last_pass_timestamp_seconds gauge\n"
            "flotilla_scrub_last_pass_timestamp_seconds %.3f\n",
            (double)oldest_ms / 1e3);
}

/* Requests to other brokers, counted where they are sent from: shard 0. */
static void print_peer_requests(FILE *out, struct broker *broker)
{
    const struct broker_stats *stats = &broker_shard_at(broker, 0)->stats;
    fprintf(out, "# HELP inter_broker_requests_total Requests sent to other brokers.\n"
                 "# TYPE inter_broker_requests_total counter\n");
    for (int16_t i = 0; i < BROKER_PEER_REQUEST_TYPES; i++) {
        const struct request_configuration *row = request_configuration_find((int16_t)(1000 + i));
        const struct broker_peer_request_stats *sent = &stats->inter_broker_requests[i];
        fprintf(out,
                "inter_broker_requests_total{request=\"%s\",result=\"ok\"} %" PRIu64 "\n"
                "inter_broker_requests_total{request=\"%s\",result=\"error\"} %" PRIu64 "\n",
                row->name, counter_read(&sent->succeeded), row->name, counter_read(&sent->failed));
    }
    fprintf(out, "# HELP inter_broker_request_duration_seconds Time from sending to the answer.\n"
                 "# TYPE inter_broker_request_duration_seconds histogram\n");
    for (int16_t i = 0; i < BROKER_PEER_REQUEST_TYPES; i++) {
        const struct histogram *duration = &stats->inter_broker_requests[i].duration_us;
        char labels[96];
        snprintf(labels, sizeof labels, "request=\"%s\",",
                 request_configuration_find((int16_t)(1000 + i))->name);
        print_histogram(out, "inter_broker_request_duration_seconds", labels, &duration, 1);
    }
}

static void print_process(FILE *out)
{
    struct rusage usage;
    long pages = 0;
    FILE *statm = fopen("/proc/self/statm", "re");
    if (statm != NULL) {
        if (fscanf(statm, "%*s %ld", &pages) != 1) {
            pages = 0;
        }
        fclose(statm);
    }
    getrusage(RUSAGE_SELF, &usage);
    double seconds = (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    fprintf(out,
            "# HELP process_resident_memory_bytes Resident memory.\n"
            "# TYPE process_resident_memory_bytes gauge\n"
            "process_resident_memory_bytes %ld\n",
            pages * sysconf(_SC_PAGESIZE));
    fprintf(out,
            "# HELP process_cpu_seconds_total Processor time used.\n"
            "# TYPE process_cpu_seconds_total counter\n"
            "process_cpu_seconds_total %.6f\n",
            seconds);
}

char *metrics_format(struct broker *broker, size_t *length)
{
    char *text = NULL;
    *length = 0;
    FILE *out = open_memstream(&text, length);
    ensure(out != NULL);
    print_rows(out, broker);
    print_flush_times(out, broker);
    print_last_scrub(out, broker);
    print_peer_requests(out, broker);
    print_process(out);
    fclose(out);
    return text;
}
