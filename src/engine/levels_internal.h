/* levels_internal.h - a store's state, shared by levels.c, which reads, writes and takes snapshots, levels_open.c,
 * which opens and restores, levels_work.c, which writes runs and merges them in the background, levels_snapshot.c,
 * which commits snapshots, levels_store.c, which puts runs into the remote, levels_garbage.c, which removes files,
 * and below these levels_runs.c, the list of runs, and levels_job.c, which has background work done and taken over.
 *
 * Background work is jobs, one of a kind at a time.  A job gets what it needs when it is submitted, and until it is
 * done the owner looks at nothing of it but `done`: so there is nothing to lock but that. */
#ifndef CAIRN_ENGINE_LEVELS_INTERNAL_H
#define CAIRN_ENGINE_LEVELS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "engine/levels.h"
#include "io/wait.h"

enum {
    /* Puts are slowed when there are SLOW times max_runs_per_level runs, and stopped, for a moment each, at STOP
     * times. */
    BACKLOG_SLOW = 4,
    BACKLOG_STOP = 12,
};

enum { MERGES = 2 };

struct job {
    struct cairn_task task;
    struct levels *levels;
    void (*work)(struct job *job);
    void (*finished)(struct levels *levels, struct job *job); /* the owner's, once it is done and not active */
    bool active;                                              /* the owner's: submitted, and not yet taken over */
    enum cairn_code code;
    struct cairn_err err;
    bool done; /* under the lock */
};

/* Flush and merge: makes a run. */
struct making {
    struct job job;
    bool is_flush;
    const struct front_batch *batch; /* flush: what to write; NULL: all that the front has, while the owner waits */
    struct run **inputs;             /* merge: newest first, also in the list of runs */
    size_t input_count;
    bool drop_tombstones;
    uint32_t level; /* of the output */
    uint64_t run_id;
    atomic_bool given_up; /* the owner does not want it any more */
    struct run *output;   /* NULL: there was nothing to write */
};

struct committing {
    struct job job;
    struct version_draft draft;
    struct remote *remote; /* NULL: it stays here */
    enum cairn_code remote_code;
    struct cairn_err remote_err;
};

/* Puts runs into the remote. */
struct storing {
    struct job job;
    struct run_about *runs;
    size_t run_count;
};

/* Of a merged run that is not in the remote yet: what it was made of, which versions name instead. */
struct origin {
    uint64_t run_id;
    struct run_about *inputs;
    size_t input_count;
};

struct removing {
    struct job job;
    struct cairn_buf paths; /* each with its NUL */
};

/*   NONE --begin--> FLUSHING --the last of its batches is a run--> STORING --> HELD --> COMMITTING --> ENDED --> NONE
 *                      |                                              |         |                       ^    end
 *                      +------------------ a write failed ------------+---------+--- end was not held --+         */
enum snapshot_state {
    SNAPSHOT_NONE,
    SNAPSHOT_FLUSHING,
    SNAPSHOT_STORING, /* its runs go to the remote */
    SNAPSHOT_HELD,    /* only if it was asked for */
    SNAPSHOT_COMMITTING,
    SNAPSHOT_ENDED, /* and its result has not been asked for */
};

struct snapshot {
    enum snapshot_state state;
    struct version version; /* without runs until it is committing */
    struct cairn_buf metadata;
    size_t batches_left; /* to be written before all of it is in runs */
    bool hold;
    uint64_t number; /* ended: 0, or what it became */
    enum cairn_code code;
    struct cairn_err err;
};

struct levels {
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct levels_options options;
    struct versions *versions;
    struct front *front;
    struct run **runs; /* newest first; levels do not descend */
    size_t run_count, run_capacity;
    struct making flush, merges[MERGES]; /* of level 0; of deeper ones, or of all, which takes longer */
    struct committing commit;
    struct removing removal;
    struct storing store, ahead; /* what a snapshot waits for; what merges have made */
    struct origin *origins;
    size_t origin_count;
    struct cairn_buf stored; /* the ids of runs that are in the remote, u64 each, in order */
    struct version_source source;
    bool closing;                    /* nothing more is put into the remote ahead of time */
    struct cairn_buf garbage;        /* paths for the next removal */
    bool flush_failed, merge_failed; /* the last one; tried again with the next occasion */
    struct cairn_err flush_err;      /* if it failed: the job's own changes when it is tried again */
    struct snapshot snapshot;
    uint64_t sequence;         /* changes since the folder was made */
    uint64_t written_sequence; /* whole: what the one run has */
    uint64_t debt_bytes;       /* see throttle */
    double overlap;            /* of what came after the oldest run, the part that had replaced something when they were
                                * merged last, from OVERLAP_LEAST to 1 */
    struct cairn_buf scratch;
    struct levels_stats stats;

    pthread_mutex_t lock; /* guards done of all jobs, which background threads set */
    pthread_cond_t ended;
};

/* --- levels_runs.c --- */

/* Drops filters of the oldest runs until all fit the bound. */
void levels_bound_run_memory(struct levels *levels);
/* When there are too many open files all but one are closed: what is asked again is opened again. */
void levels_bound_open_files(struct levels *levels, const struct run *but);
void levels_insert_run(struct levels *levels, size_t at, struct run *run);
void levels_close_runs(struct levels *levels, size_t at, size_t count);

/* --- levels_job.c --- */

/* `work` is on a background thread; `finished` is called by what takes over. */
void levels_submit(struct levels *levels, struct job *job, void (*work)(struct job *job),
                   void (*finished)(struct levels *levels, struct job *job));
void levels_take_over(struct levels *levels);
void levels_wait_for(struct levels *levels, struct job *job);
/* For all of them, and those that they start. */
void levels_wait_for_all(struct levels *levels);
/* At most so long, for any; a simulated one is done instead. */
void levels_wait_a_little(struct levels *levels, uint64_t ns);

/* --- levels_work.c --- */

/* Of the oldest batch, if there is one and none is being written. */
void levels_start_flush(struct levels *levels);
/* Whole: of everything; the owner waits for it before the front is changed. */
void levels_start_whole_flush(struct levels *levels);
/* If a level has enough runs that are not being merged. */
void levels_start_merge(struct levels *levels);
/* Merges that are under way end soon, and fail. */
void levels_give_up_merges(struct levels *levels);

/* --- levels_snapshot.c --- */

/* All of the snapshot's runs are where they have to be: it is committed, or held. */
void levels_ready_to_commit(struct levels *levels);
void levels_start_commit(struct levels *levels);
void levels_end_snapshot(struct levels *levels, enum cairn_code code, const struct cairn_err *err);
/* Once no batch is left to be written, the snapshot begins to be committed. */
void levels_step_snapshot(struct levels *levels);

/* --- levels_garbage.c --- */

/* Of these runs the files go that no version names, nor will, and that are not used; leaves their ids in the list. */
void levels_discard_runs(struct levels *levels, struct cairn_buf *ids);
/* Automatic versions but the current one, and the files that they alone need, go. */
void levels_forget_automatic(struct levels *levels);

/* --- levels_store.c --- */

/* Runs that are in the remote. */
void levels_note_stored(struct levels *levels, const struct run_about *runs, size_t count);
/* How a version names what a run has, appended. */
void levels_name_run(const struct levels *levels, const struct run_about *about, bool remote, struct run_about **runs,
                     size_t *count);
/* What is merged now is named by what it was made of until it is in the remote. */
void levels_note_origin(struct levels *levels, const struct making *merge);
/* Puts what the snapshot's version names there; then it is committed. */
void levels_start_store(struct levels *levels);
/* Puts what merges have made there, if nothing is being put. */
void levels_start_ahead(struct levels *levels);

#endif
