/* lsm.h - the log-structured merge-tree (O'Neil et al. 1996), tiered: writes gather in a memtable; a full one becomes a
 * run of level 0; max_runs_per_level runs of a level are merged into one of the next.
 *
 * State is durable as of the last snapshot: what came after it is lost with the process, unless the caller has a log
 * of its own.  A snapshot writes the memtable and names the runs, so it costs what changed.  Runs are written and
 * merged in the background; a merge never stops a read or a snapshot, and a write only when it falls far behind.
 * Tombstones are dropped where no older run is left that could hold the key.
 * Threads: one owner.  Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_LSM_H
#define CAIRN_ENGINE_LSM_H

#include "engine/version.h"
#include "io/task.h"

struct lsm_options {
    size_t memtable_bytes_limit; /* of memory; 0: 4 MiB */
    unsigned max_runs_per_level; /* from 2; 0: 8 */
    unsigned density_factor;     /* records between fences; 0: blocks of RUN_BLOCK_BYTES */
    unsigned filter_bits;        /* a key; 0: 10 */
};

struct lsm_stats {
    uint64_t memtable_bytes, run_count, run_bytes, run_memory_bytes, records; /* of the runs; records: old ones, too */
    uint64_t flushes, merges, merged_bytes;                                   /* since it was opened */
};

struct lsm;

/* At `number`, or 0: at the current version (versions_open).  The disk, and `tasks`, must outlive it. */
enum cairn_code lsm_open(struct cairn_disk *disk, struct cairn_tasks *tasks, const struct lsm_options *options,
                         uint64_t number, struct lsm **ret_lsm, struct cairn_err *err);
/* Waits for background work; writes nothing.  Returns NULL; accepts NULL. */
struct lsm *lsm_close(struct lsm *lsm);

/* *ret_value is valid until the next call.  May read the disk. */
enum cairn_code lsm_get(struct lsm *lsm, struct cairn_bytes key, bool *ret_found, struct cairn_bytes *ret_value,
                        struct cairn_err *err);
/* The value may be run_tombstone().  Blocks while the memtable is full and the one before is still being written;
 * fails, and changes nothing, only if that could not be written: CAIRN_EFULL heals when there is room. */
enum cairn_code lsm_put(struct lsm *lsm, struct cairn_bytes key, struct cairn_bytes value, struct cairn_err *err);
/* Every key that is there, in order, until `each` returns false.  It must not call the lsm. */
enum cairn_code lsm_visit(struct lsm *lsm,
                          bool (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context,
                          struct cairn_err *err);

/* Everything that was put is in the version, durably.  After a failure nothing is lost, and it can be tried again. */
enum cairn_code lsm_snapshot(struct lsm *lsm, uint64_t time_ms, struct cairn_bytes metadata, uint64_t *ret_number,
                             struct cairn_err *err);
/* What was not in a snapshot is dropped.  After a failure nothing has changed. */
enum cairn_code lsm_restore(struct lsm *lsm, uint64_t number, struct cairn_err *err);
/* Removes the files of forgotten versions and of merges. */
enum cairn_code lsm_collect(struct lsm *lsm, uint64_t *ret_bytes, struct cairn_err *err);
/* For listing, pinning and forgetting; not for adding and restoring. */
struct versions *lsm_versions(struct lsm *lsm);
void lsm_stats(struct lsm *lsm, struct lsm_stats *ret_stats);

#endif
