/* history_internal.h - what stands behind a store's tap: versions that are taken, the archive, an order to restore.
 *
 *   history.c   the tap              taking.c, versions.c, version_file.c   versions of the node (node_version.h)
 *   restore.c   going back to one    past.c                                 a shard as it was
 *   moment.c    all shards at one moment (moment.h)
 *   archive*.c  the archive (archive.h)              previous_blob.c  one of the format before (previous.h)
 *
 * Locks: taking.lock is taken before the engines' and the store's; archive.lock is the innermost.
 * Layer: history (private). */
#ifndef CAIRN_HISTORY_HISTORY_INTERNAL_H
#define CAIRN_HISTORY_HISTORY_INTERNAL_H

#include <assert.h>

#include "history/archive.h"
#include "history/history.h"
#include "shard/tap.h"

#define RECOVER_PATH "RECOVER" /* while a new folder is being filled */

struct history {
    struct cairn_tap tap; /* first */
    struct cairn_store *store;
    struct restore_order order; /* opening: where it is to go to first */
    bool archive_leads;         /* from its newest version to archive_open_end, or there is none */
    uint64_t archive_open_end;  /* the log's end when it was opened */
    struct taking taking;
    _Atomic enum taking_part *parts; /* of each shard */
    struct archive archive;
};

static inline struct history *history_of(const struct cairn_store *store)
{
    struct cairn_tap *tap = store_tap(store);

    assert(tap);
    return (struct history *)(void *)tap;
}

/* taking.c */
_Atomic enum taking_part *taking_part_of(const struct cairn_shard *shard);
/* Whether commits are copied into the version. */
void taking_capture(struct cairn_store *store, bool on);
/* Every owner is to step. */
void taking_notify_all(struct cairn_store *store);
/* These are called under the lock: the only writers of the state; taking_end has a checkpoint that was due meanwhile
 * begin. */
void taking_enter(struct cairn_store *store, enum taking_state state);
void taking_fail(struct cairn_store *store, enum cairn_code code, const struct cairn_err *why);
void taking_end(struct cairn_store *store);
struct node_version *taking_find(struct taking *taking, uint64_t number); /* NULL: there is none */

/* A new one, which is taken over, into the list; under the lock, or while no other thread uses the store. */
void node_versions_enter(struct cairn_store *store, struct node_version *version);
/* The number of the version to go to, or to go on from: `number` itself, or the newest that has nothing after a moment.
 * CAIRN_ENOTFOUND: there is none.  Under the lock, or while no other thread uses the store. */
enum cairn_code node_versions_find(const struct cairn_store *store, uint64_t number, uint64_t wall_ms,
                                   uint64_t *ret_number, struct cairn_err *err);
/* How many the archive does not have. */
uint64_t node_versions_pending(struct cairn_store *store);
/* Something of the archive's has been done, or has failed: a wait for a version may go on.  `number`: of
 * the version that it was about, or 0.  CAIRN_EUNAVAILABLE: the archive is lost. */
void node_versions_archived(struct cairn_store *store, uint64_t number, enum cairn_code code,
                            const struct cairn_err *err);
void node_versions_free(struct cairn_store *store);

/* versions.c, but for what history.h tells */
/* Reads what there is; before the engines are opened. */
enum cairn_code node_versions_load(struct cairn_store *store, struct cairn_err *err);
/* The system shard's part of a version. */
void node_version_add_system(struct node_version *version, struct cairn_shard *system);
/* What is being taken is given up; all other threads have stopped. */
void node_versions_stop(struct cairn_store *store);
void node_versions_drop_unnamed(struct cairn_shard *shard);
/* While tap.active. */
void node_versions_step(struct cairn_shard *shard);
/* The log's append, while taking.capturing, or with an archive. */
enum cairn_code node_versions_append(struct cairn_shard *shard, const struct cairn_bytes *parts, size_t count,
                                     uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err);

/* restore.c: the system shard as a version has it, into an empty engine. */
enum cairn_code node_version_load_system(const struct node_version *version, struct cairn_engine *engine,
                                         struct cairn_err *err);
/* restore.c: into history->order, and back. */
enum cairn_code restore_write_order(struct cairn_disk *disk, const struct restore_order *order, struct cairn_err *err);
/* Parses it.  Exposed for the fuzz target. */
enum cairn_code restore_decode_order(struct cairn_bytes bytes, struct restore_order *order, struct cairn_err *err);
enum cairn_code restore_read_order(struct cairn_store *store, struct cairn_err *err);
/* Goes there; `end` is the log's.  Nothing was replayed yet. */
enum cairn_code restore_perform(struct cairn_store *store, uint64_t end, struct cairn_err *err);

#endif
