/* levels.h - a store: a front in memory over runs on disk, tiered in levels (O'Neil et al. 1996; Dayan et al. 2017).
 *
 * What the front seals becomes a run of level 0; max_runs_per_level runs of a level are merged into one of the next.
 * All engines are this, with different fronts: lsm, hybridlog, appendlog; and MemOnly, `whole`, whose front has
 * everything, whose snapshot writes everything, and which never asks a run.
 *
 * State is durable as of the last snapshot: what came after it is lost with the process, unless the caller has a log
 * of its own.  A snapshot writes what the front has that no run has, and names the runs, so it costs what changed.
 * Runs are written and merged in the background; a merge never stops a read or a snapshot.  When merging falls behind
 * puts are slowed, the more the further, and stopped when it falls far behind.
 * With a remote a version's runs and its manifest are put there before the snapshot ends.  What a merge has made is
 * named by a version only once it is there, and its inputs until then, so a merge never makes a snapshot wait.
 * Tombstones are dropped where no older run is left that could hold the key.
 * Threads: one owner.  Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_LEVELS_H
#define CAIRN_ENGINE_LEVELS_H

#include "engine/engine.h"
#include "engine/front.h"
#include "engine/remote.h"
#include "engine/version.h"
#include "io/task.h"

struct levels_options {
    const char *engine;                                       /* its name, kept in every version */
    struct front *(*create_front)(const void *front_options); /* for opening, and for each restore */
    const void *front_options;
    enum run_order order;
    bool whole;
    unsigned max_runs_per_level;                  /* from 2; 0: 8 */
    unsigned density_factor;                      /* records between fences; 0: blocks of RUN_BLOCK_BYTES */
    unsigned filter_bits;                         /* a key; 0: 10 */
    enum run_compression compression[RUN_LEVELS]; /* of each level; the last counts for deeper ones, too */
    struct remote *remote;                        /* where versions go, too; NULL: nowhere */
    const struct version_source *source;          /* without one: whence missing runs come; may be NULL */
    uint64_t remote_grace_ms;                     /* what is younger there is not collected */
    const struct cairn_blob_progress *progress;   /* of fetching; may be NULL */
    unsigned open_files_max;                      /* of runs, more or less; 0: no bound */
    void (*on_work)(void *context);               /* any thread: levels_work has something to do; may be NULL */
    void *context;
    size_t run_memory_bytes_max; /* for fences and filters; over it the oldest runs lose their filters.  0: no bound */
};

struct levels_stats {
    uint64_t front_bytes, run_memory_bytes;                              /* of memory */
    uint64_t run_count, run_bytes, records;                              /* of the runs; records: old ones, too */
    uint64_t flushes, flushed_bytes, merges, merged_bytes, throttled_ns; /* since it was opened */
};

struct levels;

/* At `number`, or 0: at the current version (versions_open).  The disk, `tasks` and what the options point to must
 * outlive it.  CAIRN_ECONFLICT: the version is of another engine. */
enum cairn_code levels_open(struct cairn_disk *disk, struct cairn_tasks *tasks, const struct levels_options *options,
                            uint64_t number, struct levels **ret_levels, struct cairn_err *err);
/* Waits for background work; writes nothing.  Returns NULL; accepts NULL. */
struct levels *levels_close(struct levels *levels);

/* `hash` is cairn_hash(key).  *ret_value is valid until the next call.  May read the disk. */
enum cairn_code levels_get(struct levels *levels, struct cairn_bytes key, uint64_t hash, bool *ret_found,
                           struct cairn_bytes *ret_value, struct cairn_err *err);
/* A hint, as struct cairn_engine_ops' prefetch. */
void levels_prefetch(const struct levels *levels, uint64_t hash, int depth);
/* Before changes of `bytes` in total.  Blocks for some milliseconds while memory is full and what was sealed is still
 * being written, or merging is far behind; fails only if that could not be done: CAIRN_EFULL heals when there is
 * room. */
enum cairn_code levels_ready(struct levels *levels, size_t bytes, struct cairn_err *err);
/* Never blocks or fails.  Neither key nor value may be one that get returned. */
void levels_apply(struct levels *levels, const struct run_record *record);
/* The same for owners that must not wait: before a put they ask whether it is too much, and they call levels_work
 * after a put, and when on_work says so.  A put that goes over the bounds meanwhile is taken all the same. What has
 * failed is tried again only with `retry`; levels_failure tells it. */
bool levels_is_pressed(const struct levels *levels);
bool levels_is_easy(const struct levels *levels); /* after what was brought there is nothing to do but for on_work */
void levels_work(struct levels *levels, bool retry);
/* CAIRN_OK, or why the last write of a run in the background failed. */
enum cairn_code levels_failure(const struct levels *levels, struct cairn_err *err);
/* Every key that is there, in the order of the runs, until `each` returns false.  It must not call the store. */
enum cairn_code levels_visit(struct levels *levels,
                             bool (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                             void *context, struct cairn_err *err);

/* Everything that was put until begin, and nothing that is put later, is in the version, durably once end returns.
 * It is made while the store is used; `whole` stores block in begin.  After a failure of either nothing is lost, and
 * it can be tried again.  begin: CAIRN_ECONFLICT while there is one that was not ended; restore, too. */
enum cairn_code levels_snapshot_begin(struct levels *levels, const struct cairn_version_options *options,
                                      struct cairn_err *err);
/* True once it waits for commit. */
bool levels_snapshot_is_held(struct levels *levels);
void levels_snapshot_commit(struct levels *levels);
bool levels_snapshot_is_done(struct levels *levels);
/* Waits for it; of one that is held nothing stays. */
enum cairn_code levels_snapshot_end(struct levels *levels, uint64_t *ret_number, struct cairn_err *err);
/* What was not in a snapshot is dropped.  After a failure nothing has changed. */
enum cairn_code levels_restore(struct levels *levels, uint64_t number, struct cairn_err *err);
/* In the remote, too.  CAIRN_ECONFLICT for the current version and a pinned one. */
enum cairn_code levels_forget(struct levels *levels, uint64_t number, struct cairn_err *err);
/* The same without waiting, and without a remote, of one that is older than the current one and not pinned; of the
 * current one once there is another; else nothing is done.  What of its files a crash leaves is found by the next
 * collecting. */
void levels_drop(struct levels *levels, uint64_t number);
/* Removes the files of forgotten versions and of merges; in the remote those that have been there for a while. */
enum cairn_code levels_collect(struct levels *levels, uint64_t *ret_bytes, struct cairn_err *err);
/* For listing; for pinning and forgetting while no snapshot is made; not for adding and restoring. */
struct versions *levels_versions(struct levels *levels);
/* How many changes its state has seen: a version has that of its moment. */
uint64_t levels_sequence(const struct levels *levels);
void levels_stats(const struct levels *levels, struct levels_stats *ret_stats);

#endif
