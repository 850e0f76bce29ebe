/* SPDX-License-Identifier: Apache-2.0
 *
 * manager.h -- the manager's state, shared by the files of this room.
 *
 * Locality: one shard.
 */
#ifndef REPLICA_MANAGER_H
#define REPLICA_MANAGER_H

#include "base/list.h"
#include "base/map.h"
#include "io/loop.h"
#include "replica/beats.h"
#include "replica/due.h"
#include "replica/frame.h"
#include "replica/group.h"
#include "replica/peer.h"
#include "replica/replica.h"
#include "replica/scrubber.h"
#include "replica/tombstones.h"

#define REPLICA_TICK_NS 10000000ull

/* Starts and stops that are opened or closed by one work on the worker thread. */
#define REPLICA_LIFE_BATCH 32

/* An answer that is given at the end of the turn, because its caller is still inside the call. */
struct replica_answer {
    struct list_node node;
    void (*start_done)(void *context, enum replica_result result, struct replica_group *group);
    void (*stop_done)(void *context, enum replica_result result);
    void *context;
    enum replica_result result;
    struct replica_group *group;
};

/* The work that opens and closes groups off the loop; one runs at a time. */
struct replica_life_work {
    struct io_work work;
    struct list opens;  /* struct replica_open */
    struct list closes; /* struct replica_close */
    bool is_running;
};

struct replica_manager {
    struct replica_manager_options options;
    struct io_loop *loop;
    uint32_t shard;
    uint32_t shard_count;
    struct io_turn_hook hook;
    struct io_timer tick_timer;
    uint64_t hook_ns; /* turn in which the hook last ran */
    struct map groups;
    struct replica_tombstones tombstones;
    struct map peers;
    struct replica_peer **peers_all; /* those in peers, side by side: a turn looks at each often */
    uint32_t peer_count;
    struct replica_due due;
    uint64_t beat_due_ticks;    /* beats.c */
    uint64_t silence_due_ticks; /* likewise */
    struct replica_stats stats;

    /* Work of the turn. */
    struct list dirty;
    struct list applying;
    struct list retiring;   /* left RUNNING in this turn */
    struct list installing; /* struct replica_install */
    struct list answers;
    struct list decided_barriers; /* failed ones, answered at the end of the turn */
    struct log_stream *stream;
    struct log_write *writes;
    uint32_t write_count;
    uint32_t write_capacity;
    bool is_in_apply;
    bool is_in_hook;
    struct replica_frame_reader reader;
    struct list spare_sends; /* struct replica_send */

    /* What goes to learners is spread over time (append_sender.c). */
    struct list learner_sends; /* struct replica_send that wait for their time */
    uint64_t learner_due_ns;   /* when the next may go */
    struct io_timer learner_timer;

    /* Life. */
    struct list opens_waiting;      /* struct replica_open */
    struct list closes_waiting;     /* groups */
    struct list tombstones_waiting; /* groups whose tombstone is in the next flush */
    struct list tombstones_writing; /* groups whose tombstone is in the running one */
    struct replica_life_work life;
    struct list created; /* groups whose directory is to be synced with the next save */
    uint32_t works;      /* flushes and works that point to the manager */

    /* Stopping all. */
    bool is_stopping;
    bool is_handing_over;
    struct io_timer stop_timer;
    void (*stop_done)(void *context);
    void *stop_context;

    struct replica_scrubber scrubber;
    struct map given_up; /* ids of groups whose quarantine went wrong */
    bool refuses_data;   /* see replica_manager_refuse_data() */
    bool has_disk_failed;
    uint64_t next_transfer_id;
};

uint64_t replica_now_ticks(const struct replica_manager *manager);
/* There is something for the turn hook: makes sure that it runs soon. */
void replica_manager_wake(struct replica_manager *manager);
/* The disk failed for good: told once to the owner. */
void replica_manager_disk_failed(struct replica_manager *manager, int result);
/* A group went or lost leadership while the manager stops. */
void replica_manager_stop_progress(struct replica_manager *manager);

/* ---- answers.c ---- */

void replica_answer_start(struct replica_manager *manager,
                          void (*done)(void *context, enum replica_result result,
                                       struct replica_group *group),
                          void *context, enum replica_result result, struct replica_group *group);
void replica_answer_stop(struct replica_manager *manager,
                         void (*done)(void *context, enum replica_result result), void *context,
                         enum replica_result result);
void replica_answers_give(struct replica_manager *manager);

/* ---- barriers.c ---- */

/* Answers the barriers that were decided; at the end of the turn. */
void replica_barriers_answer(struct replica_manager *manager);

/* ---- life_work.c ---- */

/* One group to be opened: the request, and what the worker found. */
struct replica_open {
    struct list_node node;
    struct replica_manager *manager;
    struct replica_group *group;
    void (*done)(void *context, enum replica_result result, struct replica_group *group);
    void *context;
    struct log_options log_options;
    struct replica_group_record record; /* as asked for; the worker puts what is on disk */
    uint32_t floor;                     /* a replica below it is dead */
    uint32_t first_candidate;           /* broker id; see struct replica_group_spec */

    enum replica_result result;
    bool is_new;
    struct log *log;
    struct log_found found;
    struct io_file *record_file;
    struct replica_snapshot snapshot; /* envelope NULL: none */
    char error[256];
};

/* One group to be closed, and removed if so asked. */
struct replica_close {
    struct list_node node;
    struct replica_manager *manager;
    struct replica_group *group;
    struct log *log;                        /* NULL: not open */
    struct io_file *record_file;            /* not NULL: just created and not synced yet */
    struct replica_snapshot snapshot;       /* envelope NULL: none to write */
    struct replica_group_record *successor; /* what takes its place, or NULL; the group's */
    bool is_delete;
    enum replica_result result;
    int error;
    int quarantine_error; /* of the disk, while the successor took its place */
};

/* Starts the work when something waits and none runs. */
void replica_life_submit(struct replica_manager *manager);
/* On the worker: opens one group (group_open.c), closes one (group_close.c). */
void replica_open_run(struct replica_open *open);
void replica_close_run(struct replica_close *close);
/* On the loop again (group_start.c, group_stop.c). */
void replica_open_done(struct replica_open *open);
void replica_close_done(struct replica_close *close);
/* Makes the close of a group that nothing holds any more. */
struct replica_close *replica_close_new(struct replica_group *group);

/* ---- group_stop.c ---- */

/* The tombstones of the last flush are durable, or never will be. */
void replica_stop_tombstones_saved(struct replica_manager *manager, int result);

/* ---- creation_sync.c ---- */

/* A group's directory was made and is not synced. */
void replica_creation_note(struct replica_group *group, struct io_file *record_file);
/* Syncs the directories of all new groups, ahead of the save that is submitted next. */
void replica_creation_sync(struct replica_manager *manager);

#endif
