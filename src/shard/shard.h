/* shard.h - log + engines + checkpoints = recoverable partitions.
 *
 * A struct cairn_store is a node's data folder: the lock, the format version, `shards` + 1 engines, of which the last
 * one (index `shards`) is the system shard, and the log that they write to: one for all, or one for each, as the
 * opener has it.  State = newest valid checkpoint + log from its position.  The way of a commit: claim room, encode
 * one record, append (position reserved), apply to the engine, and let the caller hold back what depends on it.
 *
 * What is in a record (docs/formats/commit.md):
 *   u8 kind (1 commit) | varint shard | varint wall_ms | varint note bytes, note | writes
 *   writes: varint count, then per write: varint key bytes, key, varint (value bytes + 1 | 0: delete), value
 * The note is the caller's: `object` puts namespace, type, id, module version, invocation and
 * segment there for people and later tools; replay does not need it.
 *
 * An engine that keeps versions on disk (engine/engine.h) has the newest of them for a checkpoint: the version itself
 * tells the position, and is committed only once the log is durable to there.
 *
 * Checkpoints take turns: one shard at a time, the one whose first change not yet in a checkpoint
 * lies furthest back, once that is more than half of log_bytes_max ago.  Its owner walks the
 * engine in cairn_shard_step, `tasks` writes the file.  The scheme for owners: while
 * cairn_store_checkpoint_due, call cairn_shard_step for every shard you own, after each batch
 * of work and at least every 10 ms; on_checkpoint_work tells when an idle one is to be woken.
 *
 * Threads: every shard has one owner thread (its worker) which alone calls the functions that
 * take a shard; open, start and close belong to the main thread; stats may be asked by any.
 * Layer: shard; uses base, io, log, engine. */
#ifndef CAIRN_SHARD_SHARD_H
#define CAIRN_SHARD_SHARD_H

#include "blob/blob.h"
#include "engine/engine.h"
#include "io/task.h"
#include "log/log.h"

struct cairn_store;
struct cairn_shard;
struct cairn_tap; /* shard/tap.h */

/* Of the data folder: files HASH.wasm, which records may name and which do not change; there before any such record. */
#define CAIRN_STORE_MODULES_DIR "modules"

struct cairn_store_options {
    struct cairn_disk *disk; /* borrowed until close; its lock is taken here */
    struct cairn_clock *clock;
    struct cairn_tasks *tasks; /* where checkpoint files and runs are written, and runs merged */
    /* 0: 16 for a new folder, the folder's own otherwise.  Another number than the folder's is CAIRN_EINVAL. */
    uint32_t shards;
    /* Of the shards, by its name in cairn/engine.h; "memory" keeps all state in memory and checkpoints it, the others
     * keep versions on disk.  NULL: "memory" for a new folder, the folder's own otherwise; another one than that is
     * CAIRN_EINVAL.  The system shard's is always "memory". */
    const char *engine;
    size_t engine_memory_bytes; /* of all shards together, in engines on disk, drawn as it is used; 0: 256 MiB */
    /* What stands behind the store (shard/tap.h), made for it: cairn_history_tap.  NULL: nothing, for what never opens
     * a folder that has versions (benchmarks). */
    struct cairn_tap *(*tap)(struct cairn_store *store);
    /* Of history/history.h, up to accept_loss: */
    struct cairn_blob *archive; /* where versions and the log's records go, too; NULL: nowhere.  Borrowed until close */
    uint64_t archive_every_ns;  /* 0: 10 s; what the loss of the machine can cost, but for what is under way */
    uint64_t archive_grace_ms;  /* 0: an hour; what has been there for less is not garbage */
    bool recover;               /* a folder that there is not yet begins with what the archive has, and takes it over */
    bool accept_loss;           /* also if some of that is missing there: what is lost is told in warnings */
    bool filling;               /* cairn_fill_begin's (fill.h) */
    /* A folder or archive of the format before this one is opened, too (previous.h): to be read, over a disk and a blob
     * store that leave it as it is. */
    bool previous;
    uint64_t log_bytes_max;             /* 0: 256 MiB of log beyond the oldest checkpoint, then writers wait */
    const struct cairn_log_opener *log; /* what opens the log, or each shard's; borrowed for the call */
    void (*on_warning)(void *context, const char *text); /* e.g. a damaged mark slot; may be NULL */
    /* cairn_log_events', of all logs; `shard`: whose it is, or 0 if all have the same.  May be NULL. */
    void (*on_log_progress)(void *context, uint32_t shard, uint64_t acknowledged);
    void (*on_log_failed)(void *context, const struct cairn_err *why);
    void (*on_recovery)(void *context, const char *stage, uint64_t done,
                        uint64_t total); /* bytes, or shards where the stage says so; may be NULL */
    /* Any thread, from within calls on the store and the log: shard `index` has something to step.
     * Must only pass a message on; may come without need.  May be NULL. */
    void (*on_checkpoint_work)(void *context, uint32_t index);
    void *context;
};

/* Opens, locks, recovers.  CAIRN_ELOCKED, CAIRN_EVERSION, CAIRN_EACCES, CAIRN_ECORRUPT (file and offset in the text):
 * nothing was changed.  CAIRN_ECONFLICT: the archive is another data folder's.  After it all shards hold their
 * state. */
enum cairn_code cairn_store_open(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                 struct cairn_err *err);
/* Writes may begin. */
enum cairn_code cairn_store_start(struct cairn_store *store, struct cairn_err *err);
/* With checkpoint: every shard with changes gets one first (blocks; uses `tasks`); when that fails
 * nothing is lost, the log is closed properly and the failure is returned.  All other threads
 * have stopped.  Frees in any case; NULL is CAIRN_OK. */
enum cairn_code cairn_store_close(struct cairn_store *store, bool checkpoint, struct cairn_err *err);
/* The same.  *ret_lost: something that was acknowledged may be gone: a log could not be closed or had failed, or
 * another node has taken over the blob store.  A failure without that costs the next start some time, or the blob
 * store what came last. */
enum cairn_code cairn_store_close_told(struct cairn_store *store, bool checkpoint, bool *ret_lost,
                                       struct cairn_err *err);
/* Stops as SIGKILL would (simulation). */
void cairn_store_abandon(struct cairn_store *store);

uint32_t cairn_store_shards(const struct cairn_store *store);
const char *cairn_store_engine(const struct cairn_store *store); /* the shards', by its name */
/* CAIRN_SLOTS entries, the shard of each (base/slot.h); they do not change until close. */
const uint16_t *cairn_store_slots(const struct cairn_store *store);
struct cairn_shard *cairn_store_shard(struct cairn_store *store,
                                      uint32_t index); /* index == shards: the system shard */
/* Whether all shards write to the same log: then a position says what was before and what after in all of them. */
bool cairn_store_has_one_log(const struct cairn_store *store);
/* Simulation: one round of each log; false when there was nothing to do. */
bool cairn_store_step_logs(struct cairn_store *store);
struct cairn_disk *cairn_store_disk(struct cairn_store *store);

/* --- owner thread --- */

struct cairn_view *cairn_shard_view(struct cairn_shard *shard);
void cairn_shard_engine_stats(struct cairn_shard *shard, struct cairn_engine_stats *ret_stats);
uint32_t cairn_shard_index(const struct cairn_shard *shard);
/* What it writes its commits to; any thread.  A position in it is told with the shard. */
struct cairn_log *cairn_shard_log(struct cairn_shard *shard);

/* One after-image; a NULL value.data with deleted set is a delete. */
struct cairn_write {
    struct cairn_bytes key, value;
    uint64_t hash; /* cairn_hash(key) */
    bool deleted;
};

/* Upper bound of the record's body bytes, for log claims. */
size_t cairn_shard_record_bytes(struct cairn_bytes note, const struct cairn_write *writes, size_t count);

/* Appends and applies; the caller has claimed cairn_shard_record_bytes() in one record, which is
 * used up whole: what the record did not need goes back to the log.
 * wall_ms must not be below any given before on this node.  *ret_end is what `durable` must
 * reach.  Fails only with CAIRN_EUNAVAILABLE, then nothing was applied. */
enum cairn_code cairn_shard_commit(struct cairn_shard *shard, uint64_t wall_ms, struct cairn_bytes note,
                                   const struct cairn_write *writes, size_t count, uint64_t *ret_end,
                                   struct cairn_err *err);

/* Takes over what the engine did in the background, and does up to about budget_ns of checkpoint walking, if it is
 * this shard's turn.  True when there is more to do now; false also while a file is written (on_checkpoint_work
 * follows) or a failed checkpoint waits to be tried again. */
bool cairn_shard_step(struct cairn_shard *shard, uint64_t budget_ns);

/* CAIRN_EOVERLOAD while writers of this shard must wait (snapshot memory, log or what is to be written to runs beyond
 * its bound); something else when they would wait in vain, as runs cannot be written: CAIRN_EFULL.  CAIRN_OK after the
 * log has failed: then commits fail instead. */
enum cairn_code cairn_shard_check_writers(struct cairn_shard *shard, struct cairn_err *err);

/* --- any thread --- */

struct cairn_store_stats {
    struct cairn_log_stats log; /* sums over all logs, and the positions of the first shard's */
    uint64_t checkpoints, checkpoint_bytes, checkpoint_age_log_bytes; /* log bytes beyond the oldest */
    bool checkpoint_running;
    uint64_t checkpoint_failures;
    uint64_t archive_pending_bytes, archive_pending_versions; /* what is not in the archive yet */
    uint64_t archive_failures, archive_position;              /* what is below it is there */
    bool archive_lost;                                        /* another node has taken it over */
    char archive_error[CAIRN_ERR_TEXT_BYTES];                 /* why it is tried again; "" if all goes well */
    char checkpoint_error[CAIRN_ERR_TEXT_BYTES];              /* of the last attempt, "" if it went well */
};
/* A checkpoint is under way, due or to be tried again, or an engine has something to take over: cheap, for every turn
 * of a loop. */
bool cairn_store_checkpoint_due(const struct cairn_store *store);
void cairn_store_stats(struct cairn_store *store, struct cairn_store_stats *ret_stats);

/* Any thread: which state the folder has: another number once it was restored to a version or a moment, taken over from
 * an archive, or filled by an import; the same for as long as it goes on.  0: none of that has ever happened to it. */
uint64_t cairn_store_restores(const struct cairn_store *store);

/* Highest wall_ms found in checkpoint, log and mark at open: `now` starts above it. */
uint64_t cairn_store_wall_ms(const struct cairn_store *store);

#endif
