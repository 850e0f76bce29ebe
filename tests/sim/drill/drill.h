/* SPDX-License-Identifier: Apache-2.0
 *
 * drill.h -- one seed's run: the brokers, their clients, the rules, and the phases.
 *
 *     SETUP    the cluster forms and the topics are made; nothing is injured
 *     SAFETY   load and faults; promises are checked all the time, progress is not asked for
 *     HEAL     every fault is taken away; at random one broker stays down where its groups bear
 * that PROGRESS every partition takes a write within a bound, everything is read again from the
 *              beginning, the replicas agree
 *     END      every broker is asked to end, and ends cleanly
 *
 * A finding is in sim_world_failure().
 */
#ifndef TESTS_SIM_DRILL_DRILL_H
#define TESTS_SIM_DRILL_DRILL_H

#include "broker/config.h"
#include "drill/admin.h"
#include "drill/atlas.h"
#include "drill/check.h"
#include "drill/consumer.h"
#include "drill/crew.h"
#include "drill/curator.h"
#include "drill/history.h"
#include "drill/member.h"
#include "drill/mover.h"
#include "drill/producer.h"
#include "drill/swarm.h"
#include "world/world.h"

#include <stdbool.h>
#include <stdint.h>

#define DRILL_CLIENTS_MAX 15
#define DRILL_FIRST_CLIENT_HOST 20

enum drill_phase {
    DRILL_SETUP,
    DRILL_SAFETY,
    DRILL_HEAL,
    DRILL_PROGRESS,
    DRILL_END,
};

struct drill {
    struct swarm swarm;
    struct sim_world *world;
    struct prng prng;
    enum drill_phase phase;

    struct sim_host *hosts[SWARM_BROKERS_MAX + 1]; /* by broker id; 0 is nobody */
    struct broker_config configs[SWARM_BROKERS_MAX + 1];
    bool stays_down[SWARM_BROKERS_MAX + 1];
    bool is_out[SWARM_BROKERS_MAX + 1]; /* no broker of the cluster: not yet, or not any more */
    uint64_t start_due_ns[SWARM_BROKERS_MAX + 1]; /* 0: none is due */
    uint32_t ends_judged[SWARM_BROKERS_MAX + 1];  /* starts whose end was looked at */
    uint64_t next_watch_ns;

    struct history history;
    struct check_leaders *leaders;
    struct check_groups *groups;
    struct check_raft *raft;
    struct atlas *atlas;

    struct client *clients[DRILL_CLIENTS_MAX];
    uint32_t client_count;
    struct drill_admin *admin;
    struct drill_mover *mover;     /* NULL: nothing is moved in this world */
    struct drill_curator *curator; /* NULL: no configs change, and no records are deleted */
    struct drill_crew *crew;       /* NULL: no brokers come and go */
    struct drill_producer *producers[DRILL_CLIENTS_MAX];
    uint32_t producer_count;
    struct drill_consumer *consumers[DRILL_CLIENTS_MAX];
    uint32_t consumer_count;
    struct drill_member *members[DRILL_CLIENTS_MAX];
    uint32_t member_count;
    uint64_t compacted;            /* records that compaction removed */
    struct drill_producer *prober; /* the writer of the last phase */
    struct drill_consumer *reader; /* and its reader */
};

struct drill_totals {
    uint64_t steps;
    uint64_t simulated_ns;
    uint64_t acked;
    uint64_t read;
    uint64_t faults;
    uint64_t commits;
    uint64_t group_commits; /* acknowledged to members of consumer groups */
    uint64_t generations;   /* of those groups, that came to an assignment */
    uint64_t compacted; /* records that compaction removed, as brokers tell that run at the end */
    uint64_t altered;   /* configs, acknowledged */
    uint64_t trimmed;   /* deletions of records, acknowledged */
    uint64_t joined;    /* brokers */
    uint64_t left;      /* likewise */
    uint64_t digest;    /* of every event of every seed: what was simulated, in one number */
};

/* Runs a seed to its end, with these faults (swarm_draw()) beside those it draws.  True:
 * nothing was found.  Otherwise the finding is printed to standard error, with what is needed to
 * see it again. */
bool drill_run(uint64_t seed, const char *with, bool is_verbose, const char *program,
               struct drill_totals *totals);

const char *drill_phase_name(enum drill_phase phase);

#endif
