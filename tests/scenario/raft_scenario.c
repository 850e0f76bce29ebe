/* SPDX-License-Identifier: Apache-2.0
 *
 * raft_scenario.c -- plays a scenario file against a simulated Raft group and compares what
 * happened.
 *
 *     a scenario:   # free text, ended by an empty line
 *                   command
 *                   ...
 *                   ----
 *                   expected output, ended by an empty line
 *
 * REWRITE=1 in the environment writes what happened into the file instead; the difference is then
 * read by a person.  Commands (N, M: nodes):
 *
 * - cluster nodes=3 voters=3 [election= heartbeat= rest= inflight= inflight_bytes= uncommitted=
 * hold=1]
 * - disk N term=2 vote=1 log=1-3:1,4..6:2  (a batch of three, three entries)
 * - start [N], crash N [saved=1], wipe N
 * - timeout N: time passes until N has something to do, and it alone does it
 * - run 10: ticks; every one: all nodes tick, all disks save, all messages arrive
 * - wait 10: ticks; all nodes tick, but nothing is saved and nothing arrives
 * - settle: disks save and messages arrive until nothing is left; no time passes
 * - save N [1], deliver|drop|duplicate [N->M] [KIND], network
 * - cut N->M, isolate N, heal, disconnect N M, connect N M, miss N M since=TICK
 * - propose N [span=1 bytes=10], change N voters=1,2 [learners=3], barrier N, transfer N [M]
 * - compact N 5, carry N, damage N first=5 last=7: it can read none of these entries of its own
 * - inject KIND from= to= term= [index= index_term= commit= entries=5-6:1]
 * - status, time, quiet COMMAND  (the same without a word)
 *
 * Locality: one thread; no clock: the same on every machine.
 */
#include "base/assert.h"
#include "base/memory.h"
#include "cluster.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 16
#define LINE_BYTES_MAX 512

struct play {
    struct cluster *cluster;
    FILE *output;
    bool is_cut[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    char *words[WORDS_MAX];
    size_t word_count;
};

/* ---- Words ---- */

static _Noreturn void misuse(const char *what)
{
    fprintf(stderr, "scenario: %s\n", what);
    exit(2);
}

/* The value of "name=value"; NULL when not given. */
static const char *option(const struct play *play, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 1; i < play->word_count; ++i)
        if (strncmp(play->words[i], name, length) == 0 && play->words[i][length] == '=')
            return play->words[i] + length + 1;
    return NULL;
}

static uint64_t number_option(const struct play *play, const char *name, uint64_t otherwise)
{
    const char *value = option(play, name);
    return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

/* A plain number at a place; otherwise when there is none. */
static uint64_t number_word(const struct play *play, size_t place, uint64_t otherwise)
{
    return place < play->word_count ? strtoull(play->words[place], NULL, 10) : otherwise;
}

static uint32_t node_word(const struct play *play, size_t place)
{
    uint64_t id = number_word(play, place, 0);
    if (play->cluster == NULL || id == 0 || id > cluster_node_count(play->cluster))
        misuse("a node is missing or unknown");
    return (uint32_t)id;
}

static uint32_t parse_list(const char *text, uint32_t *nodes)
{
    uint32_t count = 0;
    while (text != NULL && *text != 0) {
        char *end = NULL;
        nodes[count++] = (uint32_t)strtoul(text, &end, 10);
        text = *end == ',' ? end + 1 : NULL;
    }
    return count;
}

/* "1-3:2" or "4:2", then a comma or the end; NULL behind the last. */
static const char *parse_span(const char *text, uint64_t *first, uint64_t *last, uint64_t *term)
{
    char *end = NULL;
    *first = strtoull(text, &end, 10);
    *last = *first;
    if (*end == '-' || strncmp(end, "..", 2) == 0)
        *last = strtoull(end + (*end == '-' ? 1 : 2), &end, 10);
    if (*end != ':')
        misuse("entries are written first-last:term");
    *term = strtoull(end + 1, &end, 10);
    return *end == ',' ? end + 1 : NULL;
}

/* ---- Network ---- */

static void lose_cut(struct play *play)
{
    for (size_t i = cluster_flight_count(play->cluster); i > 0; --i) {
        const struct raft_message *message = &cluster_flight(play->cluster, i - 1)->message;
        if (play->is_cut[message->from][message->to])
            cluster_drop(play->cluster, i - 1);
    }
}

/* Whether a message fits the words "N->M" and KIND of the command, each of which may be missing. */
static bool is_meant(const struct play *play, const struct cluster_flight *flight)
{
    const char *kind = flight->is_snapshot ? "SNAPSHOT" : cluster_kind_name(flight->message.kind);
    for (size_t i = 1; i < play->word_count; ++i) {
        const char *arrow = strstr(play->words[i], "->");
        if (arrow == NULL) {
            if (strcmp(play->words[i], kind) != 0)
                return false;
        } else if (strtoul(play->words[i], NULL, 10) != flight->message.from ||
                   strtoul(arrow + 2, NULL, 10) != flight->message.to) {
            return false;
        }
    }
    return true;
}

enum handling { DELIVER, DROP, DUPLICATE };

/* Handles what is under way now, not what comes of it. */
static void handle_flights(struct play *play, enum handling handling)
{
    lose_cut(play);
    size_t count = cluster_flight_count(play->cluster);
    uint64_t last = 0;
    for (size_t i = 0; i < count; ++i)
        if (cluster_flight(play->cluster, i)->sequence > last)
            last = cluster_flight(play->cluster, i)->sequence;
    size_t position = 0;
    while (position < cluster_flight_count(play->cluster)) {
        const struct cluster_flight *flight = cluster_flight(play->cluster, position);
        if (flight->sequence > last || !is_meant(play, flight)) {
            position += 1;
        } else if (handling == DELIVER) {
            cluster_deliver(play->cluster, position);
        } else if (handling == DROP) {
            cluster_drop(play->cluster, position);
        } else {
            cluster_duplicate(play->cluster, position);
            position += 1;
        }
    }
}

static void save_all(struct play *play)
{
    for (uint32_t id = 1; id <= cluster_node_count(play->cluster); ++id)
        cluster_save(play->cluster, id, CLUSTER_WRITES_MAX);
}

static bool is_quiet(struct play *play)
{
    lose_cut(play);
    if (cluster_flight_count(play->cluster) > 0)
        return false;
    for (uint32_t id = 1; id <= cluster_node_count(play->cluster); ++id)
        if (cluster_node(play->cluster, id)->write_count > 0)
            return false;
    return true;
}

static void settle(struct play *play)
{
    for (int round = 0; round < 1000 && !is_quiet(play); ++round) {
        save_all(play);
        lose_cut(play);
        size_t count = cluster_flight_count(play->cluster);
        for (; count > 0 && cluster_flight_count(play->cluster) > 0; --count)
            cluster_deliver(play->cluster, 0);
    }
    if (!is_quiet(play))
        misuse("it does not settle");
}

/* ---- Commands ---- */

static void do_cluster(struct play *play)
{
    struct cluster_options options = {
        .node_count = (uint32_t)number_option(play, "nodes", 3),
        .seed = number_option(play, "seed", 1),
        .heartbeat_ticks = (uint32_t)number_option(play, "heartbeat", 10),
        .election_ticks = (uint32_t)number_option(play, "election", 50),
        .rest_ticks = (uint32_t)number_option(play, "rest", 0),
        .inflight_messages_max = (uint32_t)number_option(play, "inflight", 8),
        .inflight_bytes_max = number_option(play, "inflight_bytes", 1000000),
        .uncommitted_bytes_max = number_option(play, "uncommitted", 1000000),
        .entries_per_message_max = (uint32_t)number_option(play, "entries", 8),
        .hold_sends = number_option(play, "hold", 0) != 0,
        .trace = play->output};
    options.voter_count = (uint32_t)number_option(play, "voters", options.node_count);
    play->cluster = cluster_new(&options);
}

static void do_disk(struct play *play)
{
    uint32_t id = node_word(play, 1);
    cluster_set_disk(play->cluster, id, number_option(play, "term", 0),
                     (uint32_t)number_option(play, "vote", 0));
    const char *text = option(play, "log");
    while (text != NULL) {
        uint64_t first, last, term;
        bool is_one_batch = text[strspn(text, "0123456789")] != '.';
        text = parse_span(text, &first, &last, &term);
        for (uint64_t index = is_one_batch ? last : first; index <= last; ++index)
            cluster_add_to_disk(play->cluster, id, index, term);
    }
}

static void do_start(struct play *play)
{
    uint32_t only = play->word_count > 1 ? node_word(play, 1) : 0;
    for (uint32_t id = 1; id <= cluster_node_count(play->cluster); ++id)
        if ((only == 0 || only == id) && cluster_node(play->cluster, id)->raft == NULL)
            cluster_start(play->cluster, id);
}

static void do_crash(struct play *play)
{
    cluster_crash(play->cluster, node_word(play, 1), (size_t)number_option(play, "saved", 0));
}

static void do_wipe(struct play *play)
{
    cluster_wipe(play->cluster, node_word(play, 1), 0);
}

static void do_timeout(struct play *play)
{
    uint32_t id = node_word(play, 1);
    uint64_t due_ticks = raft_due_ticks(cluster_node(play->cluster, id)->raft);
    if (due_ticks == UINT64_MAX) {
        fprintf(play->output, "%u waits for nothing\n", (unsigned)id);
        return;
    }
    if (due_ticks > cluster_now(play->cluster))
        cluster_set_now(play->cluster, due_ticks);
    cluster_tick(play->cluster, id);
}

static void pass_tick(struct play *play)
{
    cluster_set_now(play->cluster, cluster_now(play->cluster) + 1);
    for (uint32_t id = 1; id <= cluster_node_count(play->cluster); ++id)
        cluster_tick(play->cluster, id);
}

static void do_run(struct play *play)
{
    for (uint64_t ticks = number_word(play, 1, 1); ticks > 0; --ticks) {
        pass_tick(play);
        settle(play);
    }
}

static void do_wait(struct play *play)
{
    for (uint64_t ticks = number_word(play, 1, 1); ticks > 0; --ticks)
        pass_tick(play);
}

static void do_save(struct play *play)
{
    cluster_save(play->cluster, node_word(play, 1),
                 (size_t)number_word(play, 2, CLUSTER_WRITES_MAX));
}

static void do_deliver(struct play *play)
{
    handle_flights(play, DELIVER);
}

static void do_drop(struct play *play)
{
    handle_flights(play, DROP);
}

static void do_duplicate(struct play *play)
{
    handle_flights(play, DUPLICATE);
}

static void do_network(struct play *play)
{
    lose_cut(play);
    for (size_t i = 0; i < cluster_flight_count(play->cluster); ++i)
        cluster_print_flight(play->output, cluster_flight(play->cluster, i));
}

static void do_cut(struct play *play)
{
    uint32_t from = node_word(play, 1);
    const char *arrow = strstr(play->words[1], "->");
    if (arrow == NULL)
        misuse("cut N->M");
    play->is_cut[from][strtoul(arrow + 2, NULL, 10) % (CLUSTER_NODES_MAX + 1)] = true;
}

static void do_isolate(struct play *play)
{
    uint32_t id = node_word(play, 1);
    for (uint32_t peer = 1; peer <= cluster_node_count(play->cluster); ++peer) {
        play->is_cut[id][peer] = true;
        play->is_cut[peer][id] = true;
    }
}

static void do_heal(struct play *play)
{
    memset(play->is_cut, 0, sizeof(play->is_cut));
}

static void do_miss(struct play *play)
{
    cluster_miss(play->cluster, node_word(play, 1), node_word(play, 2),
                 number_option(play, "since", 0));
}

static void do_disconnect(struct play *play)
{
    cluster_disconnect(play->cluster, node_word(play, 1), node_word(play, 2));
}

static void do_connect(struct play *play)
{
    cluster_connect(play->cluster, node_word(play, 1), node_word(play, 2));
}

static void print_result(struct play *play, enum raft_result result)
{
    static const char *const names[] = {[RAFT_OK] = NULL,
                                        [RAFT_NOT_LEADER] = "NOT_LEADER",
                                        [RAFT_NOT_READY] = "NOT_READY",
                                        [RAFT_FULL] = "FULL",
                                        [RAFT_BUSY] = "BUSY",
                                        [RAFT_BAD_REQUEST] = "BAD_REQUEST"};
    if (names[result] != NULL)
        fprintf(play->output, "%s\n", names[result]);
}

static void do_propose(struct play *play)
{
    print_result(play,
                 cluster_propose(play->cluster, node_word(play, 1), number_option(play, "span", 1),
                                 number_option(play, "bytes", 10)));
}

static void do_change(struct play *play)
{
    struct raft_membership membership = {0};
    membership.voter_count = parse_list(option(play, "voters"), membership.voters);
    membership.learner_count = parse_list(option(play, "learners"), membership.learners);
    print_result(play, cluster_change(play->cluster, node_word(play, 1), &membership));
}

static void do_barrier(struct play *play)
{
    print_result(play, cluster_barrier(play->cluster, node_word(play, 1)));
}

static void do_transfer(struct play *play)
{
    print_result(play, cluster_transfer(play->cluster, node_word(play, 1),
                                        (uint32_t)number_word(play, 2, 0)));
}

static void do_compact(struct play *play)
{
    cluster_compact(play->cluster, node_word(play, 1), number_word(play, 2, 0));
}

static void do_damage(struct play *play)
{
    cluster_damage(play->cluster, node_word(play, 1), number_option(play, "first", 0),
                   number_option(play, "last", 0));
}

static void do_carry(struct play *play)
{
    cluster_carry_out(play->cluster, node_word(play, 1));
}

static enum raft_message_kind parse_kind(const char *text)
{
    for (int kind = 0; kind < RAFT_MESSAGE_KINDS; ++kind)
        if (strcmp(text, cluster_kind_name((enum raft_message_kind)kind)) == 0)
            return (enum raft_message_kind)kind;
    misuse("no such kind of message");
}

static void do_inject(struct play *play)
{
    struct raft_entry entries[WORDS_MAX];
    uint64_t values[WORDS_MAX];
    uint32_t count = 0;
    const char *text = option(play, "entries");
    while (text != NULL && count < WORDS_MAX) {
        struct raft_entry *entry = &entries[count];
        *entry = (struct raft_entry){.kind = RAFT_ENTRY_DATA};
        text = parse_span(text, &entry->first_index, &entry->last_index, &entry->term);
        entry->bytes = 10 * (entry->last_index - entry->first_index + 1);
        values[count++] = entry->term * 1000 + entry->last_index;
    }
    struct raft_message message = {.kind = parse_kind(play->words[1]),
                                   .from = (uint32_t)number_option(play, "from", 1),
                                   .to = (uint32_t)number_option(play, "to", 2),
                                   .term = number_option(play, "term", 1),
                                   .index = number_option(play, "index", 0),
                                   .index_term = number_option(play, "index_term", 0),
                                   .commit = number_option(play, "commit", 0),
                                   .barrier = number_option(play, "round", 0),
                                   .hint_index = number_option(play, "hint", 0),
                                   .hint_term = number_option(play, "hint_term", 0),
                                   .granted = (uint8_t)number_option(play, "granted", 0),
                                   .forced = (uint8_t)number_option(play, "forced", 0),
                                   .entries = entries,
                                   .entry_count = count};
    cluster_inject(play->cluster, &message, values);
}

static void print_log(FILE *file, const struct cluster_log *log)
{
    for (size_t i = 0; i < log->count; ++i) {
        const struct raft_entry *entry = &log->records[i].entry;
        fprintf(file, "%s%" PRIu64, i == 0 ? "" : ",", entry->first_index);
        if (entry->first_index != entry->last_index)
            fprintf(file, "-%" PRIu64, entry->last_index);
        fprintf(file, ":%" PRIu64, entry->term);
    }
}

static void do_time(struct play *play)
{
    fprintf(play->output, "tick %" PRIu64 "\n", cluster_now(play->cluster));
}

static void do_status(struct play *play)
{
    for (uint32_t id = 1; id <= cluster_node_count(play->cluster); ++id) {
        const struct cluster_node *node = cluster_node(play->cluster, id);
        fprintf(play->output, "%u ", (unsigned)id);
        if (node->raft == NULL) {
            fprintf(play->output, "down\n");
            continue;
        }
        fprintf(play->output, "%s term=%" PRIu64 " leader=%u commit=%" PRIu64 " saved=%" PRIu64 " ",
                raft_role_name(raft_role(node->raft)), raft_term(node->raft),
                (unsigned)raft_leader(node->raft), raft_commit_index(node->raft),
                raft_saved_index(node->raft));
        cluster_print_membership(play->output, raft_membership(node->raft));
        fprintf(play->output, " log=");
        if (node->log.snapshot_index > 0)
            fprintf(play->output, "(%" PRIu64 ":%" PRIu64 ")", node->log.snapshot_index,
                    node->log.snapshot_term);
        print_log(play->output, &node->log);
        fprintf(play->output, "\n");
    }
}

static const struct command {
    const char *name;
    void (*run)(struct play *play);
} commands[] = {
    {"cluster", do_cluster},
    {"disk", do_disk},
    {"start", do_start},
    {"crash", do_crash},
    {"wipe", do_wipe},
    {"timeout", do_timeout},
    {"run", do_run},
    {"wait", do_wait},
    {"settle", settle},
    {"save", do_save},
    {"deliver", do_deliver},
    {"drop", do_drop},
    {"duplicate", do_duplicate},
    {"network", do_network},
    {"cut", do_cut},
    {"isolate", do_isolate},
    {"heal", do_heal},
    {"disconnect", do_disconnect},
    {"miss", do_miss},
    {"connect", do_connect},
    {"propose", do_propose},
    {"change", do_change},
    {"barrier", do_barrier},
    {"transfer", do_transfer},
    {"compact", do_compact},
    {"carry", do_carry},
    {"damage", do_damage},
    {"inject", do_inject},
    {"status", do_status},
    {"time", do_time},
};

static void run_command(struct play *play, char *line)
{
    play->word_count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " ", &rest); word != NULL && play->word_count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        play->words[play->word_count++] = word;
    bool is_silent = play->word_count > 0 && strcmp(play->words[0], "quiet") == 0;
    if (is_silent)
        memmove(play->words, play->words + 1, --play->word_count * sizeof(play->words[0]));
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); ++i) {
        if (play->word_count == 0 || strcmp(commands[i].name, play->words[0]) != 0)
            continue;
        if (is_silent && play->cluster != NULL)
            cluster_set_trace(play->cluster, NULL);
        commands[i].run(play);
        cluster_set_trace(play->cluster, play->output);
        return;
    }
    misuse("unknown command");
}

/* ---- Files ---- */

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL)
        misuse("cannot open the file");
    size_t size = 0;
    char *text = memory_allocate(1);
    char chunk[4096];
    for (size_t got; (got = fread(chunk, 1, sizeof(chunk), file)) > 0; size += got) {
        text = memory_reallocate(text, size + got + 1);
        memcpy(text + size, chunk, got);
    }
    text[size] = 0;
    fclose(file);
    return text;
}

/* Copies the next line, without its end, and moves on; false at the end of the text. */
static bool next_line(const char **text, char line[LINE_BYTES_MAX])
{
    if (**text == 0)
        return false;
    size_t length = strcspn(*text, "\n");
    if (length >= LINE_BYTES_MAX)
        misuse("a line is too long");
    memcpy(line, *text, length);
    line[length] = 0;
    *text += length + ((*text)[length] == '\n');
    return true;
}

/* Plays the whole file; result gets the file as it should read. */
static void play_file(const char *text, FILE *result)
{
    struct play play = {.output = result};
    char line[LINE_BYTES_MAX];
    bool is_expected = false;
    while (next_line(&text, line)) {
        if (line[0] == 0)
            is_expected = false;
        if (is_expected)
            continue; /* written anew by the commands */
        fprintf(result, "%s\n", line);
        if (line[0] == 0 || line[0] == '#')
            continue;
        /* A block: its commands, which run when "----" is reached. */
        const char *block = text;
        char commands_text[64][LINE_BYTES_MAX];
        size_t count = 0;
        memcpy(commands_text[count++], line, sizeof(line));
        while (next_line(&text, line) && strcmp(line, "----") != 0) {
            if (count == 64 || line[0] == 0)
                misuse("a block without ----");
            fprintf(result, "%s\n", line);
            memcpy(commands_text[count++], line, sizeof(line));
        }
        require(text > block);
        fprintf(result, "----\n");
        for (size_t i = 0; i < count; ++i)
            run_command(&play, commands_text[i]);
        is_expected = true;
    }
    if (play.cluster != NULL)
        cluster_free(play.cluster);
}

static void print_first_difference(const char *path, const char *expected, const char *got)
{
    char expected_line[LINE_BYTES_MAX];
    char got_line[LINE_BYTES_MAX];
    for (int number = 1;; ++number) {
        bool has_expected = next_line(&expected, expected_line);
        bool has_got = next_line(&got, got_line);
        if (!has_expected && !has_got)
            return;
        if (has_expected && has_got && strcmp(expected_line, got_line) == 0)
            continue;
        printf("%s:%d\n  expected: %s\n  happened: %s\n", path, number,
               has_expected ? expected_line : "(end)", has_got ? got_line : "(end)");
        return;
    }
}

static bool check_file(const char *path)
{
    char *expected = read_file(path);
    char *got = NULL;
    size_t size = 0;
    FILE *result = open_memstream(&got, &size);
    play_file(expected, result);
    fclose(result);
    bool is_same = strcmp(expected, got) == 0;
    const char *rewrite = getenv("REWRITE");
    if (!is_same && rewrite != NULL && strcmp(rewrite, "1") == 0) {
        FILE *file = fopen(path, "w");
        is_same = file != NULL && fputs(got, file) >= 0;
        is_same = file != NULL && fclose(file) == 0 && is_same;
    } else if (!is_same) {
        print_first_difference(path, expected, got);
    }
    memory_free(expected);
    free(got);
    return is_same;
}

int main(int argc, char **argv)
{
    int failed = 0;
    for (int i = 1; i < argc; ++i)
        if (!check_file(argv[i]))
            failed += 1;
    printf("%d scenarios, %d failed\n", argc - 1, failed);
    return failed == 0 ? 0 : 1;
}
