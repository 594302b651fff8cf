/* shard_internal.h - what the files of shard/ share.
 *
 * Locks: store->lock guards what says so below.  Under it nothing of the log is called and no
 * file is touched, so the log's callbacks and the tasks may take it.
 * Layer: shard. */
#ifndef CAIRN_SHARD_SHARD_INTERNAL_H
#define CAIRN_SHARD_SHARD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/slot.h"
#include "engine/choice.h"
#include "io/wait.h"
#include "shard/archive.h"

#define FORMAT_PATH    "FORMAT"
#define LOG_DIR        "log"
#define CHECKPOINT_DIR "checkpoints"
#define MANIFEST_PATH  CHECKPOINT_DIR "/MANIFEST"
#define SHARDS_DIR     "shards"
#define RECOVER_PATH   "RECOVER" /* while a new folder is being filled from an archive */
#define IMPORT_PATH    "IMPORT"  /* while one is being filled from a stream (fill.h) */

enum {
    SHARDS_DEFAULT = 16,
    SHARDS_MAX = 4096,
    FORMAT_BYTES_MAX = 4096,
    NO_TURN = -1,
};

#define CLEAN UINT64_MAX /* the dirt of a shard without changes */

/* --- the format file (format.c; docs/formats/folder.md) --------------------------------------- */

void format_encode(struct cairn_buf *to, uint32_t shards, const char *engine);
/* At most FORMAT_BYTES_MAX bytes.  CAIRN_EVERSION, CAIRN_ECORRUPT. */
enum cairn_code format_decode(struct cairn_bytes text, uint32_t *ret_shards, const char **ret_engine,
                              struct cairn_err *err);
/* CAIRN_EVERSION for `what`, of any file here: what it is, and what to do. */
enum cairn_code format_fail_version(const char *what, unsigned version, unsigned known, struct cairn_err *err);

/* --- the manifest (manifest.c; docs/formats/checkpoint.md) ------------------------------------ */

struct manifest_shard {
    uint64_t position;   /* the log from here on, over the checkpoint, is the shard's state */
    uint64_t number;     /* the checkpoint's, or the version's of an engine that has such; 0: none yet */
    uint64_t file_bytes; /* of its file; 0 of a version */
    uint32_t seal;       /* the checksum of its footer; 0 of a version */
};

struct manifest {
    uint64_t sequence;    /* ascending */
    uint64_t next_number; /* above every number used */
    uint64_t wall_ms;     /* not below the time of any commit below the positions */
    uint32_t count;       /* shards + 1 */
    struct manifest_shard *shards;
};

void manifest_init(struct manifest *manifest, uint32_t count);
void manifest_done(struct manifest *manifest);
void manifest_copy(struct manifest *to, const struct manifest *from); /* `to` is uninitialized */
enum cairn_code manifest_read(struct cairn_disk *disk, struct manifest *ret_manifest, struct cairn_err *err);
enum cairn_code manifest_write(struct cairn_disk *disk, const struct manifest *manifest, struct cairn_err *err);
uint64_t manifest_first_position(const struct manifest *manifest);
/* Parses a manifest's bytes.  Exposed for the fuzz target. */
enum cairn_code manifest_decode(struct cairn_bytes bytes, struct manifest *ret_manifest, struct cairn_err *err);
void manifest_encode(const struct manifest *manifest, struct cairn_buf *to);

/* --- checkpoint files (checkpoint_file.c; docs/formats/checkpoint.md) ------------------------- */

void checkpoint_path(uint32_t shard, uint64_t number, char path[CAIRN_PATH_BYTES]);
/* True and the numbers if it is the name (without folder) of a checkpoint file. */
bool checkpoint_name_parse(const char *name, uint32_t *ret_shard, uint64_t *ret_number);

/* Zero-initialized is closed. */
struct checkpoint_writer {
    struct cairn_disk *disk;
    struct cairn_file *file;
    char path[CAIRN_PATH_BYTES];
    uint64_t number, offset, synced, chunks, data_bytes, keys;
    uint32_t chain; /* checksum over the chunks' checksums */
};

enum cairn_code checkpoint_writer_open(struct checkpoint_writer *writer, struct cairn_disk *disk, uint32_t shard,
                                       uint64_t number, uint64_t keys, struct cairn_err *err);
enum cairn_code checkpoint_writer_add(struct checkpoint_writer *writer, struct cairn_bytes chunk,
                                      struct cairn_err *err);
/* Footer, sync, name synced: the file is whole, and closed. */
enum cairn_code checkpoint_writer_finish(struct checkpoint_writer *writer, uint64_t *ret_file_bytes, uint32_t *ret_seal,
                                         struct cairn_err *err);
/* Closes and removes it, if it was opened. */
void checkpoint_writer_discard(struct checkpoint_writer *writer);

/* Loads a checkpoint into an empty engine.  `progress` is called with the bytes read since its last call. */
enum cairn_code checkpoint_load(struct cairn_disk *disk, uint32_t shard, const struct manifest_shard *named,
                                struct cairn_engine *engine, void (*progress)(void *context, uint64_t bytes),
                                void *context, struct cairn_err *err);

/* --- the store -------------------------------------------------------------------------------- */

/* What of a shard is in no checkpoint. */
struct dirt {
    uint64_t from; /* a position at or below its first record; CLEAN when there is none */
    uint64_t age;  /* the same, moved up by the gaps that openings have left above it: the log's end
                    * less this is how many bytes of log that is; CLEAN when from is */
};

struct cairn_shard {
    struct cairn_store *store;
    uint32_t index;
    struct cairn_engine *engine;
    struct levels *levels; /* what the engine is over; NULL: it is the one in memory */
    struct choice choice;  /* what levels was opened with */
    struct version_source source;
    struct cairn_disk *disk; /* where it lies */
    uint64_t from;           /* recovery: the engine has all of the log before this position */
    _Atomic bool has_work;   /* set by any thread, see shard_engine.c */
    _Atomic enum taking_part part;
    /* The owner's. */
    uint64_t retry_ns;    /* when what has failed in the background is tried again */
    uint64_t applied_end; /* of its last record */
    struct cairn_buf scratch;
    struct cairn_bytes *parts;
    size_t part_capacity;
    /* Written by the owner, under store->lock; the owner reads it without. */
    struct dirt dirt;
    _Atomic uint64_t wall_ms; /* of its newest commit; relaxed, read long after */
};

struct handed_chunk {
    struct handed_chunk *next;
    struct cairn_buf bytes;
};

/* The states of the checkpoint that is under way, and what its turn's owner waits for:
 *
 *            begin          walked          written, synced     log durable
 *   IDLE ---------> WALK ---------> FINISH ---------> AWAIT ---------> NAME ------> IDLE, next turn
 *    ^               |                |                 |               |
 *    +-- DISCARD <---+----------------+-----------------+               | failed: the manifest may
 *    ^   (retried)                                                      | name the file, it is kept
 *    +------------------------------------------------------------------+ if that cannot be ruled out
 *
 * and of an engine that has versions, whose checkpoint is the version's commit, so that NAME only tells it on:
 *
 *            begin          all in runs          log durable           committed
 *   IDLE ---------> WRITE ---------------> AWAIT ------------> COMMIT -----------> NAME ---> IDLE, next turn */
enum checkpoint_state {
    CKPT_IDLE,
    CKPT_WALK,
    CKPT_FINISH,
    CKPT_WRITE,
    CKPT_AWAIT,
    CKPT_COMMIT,
    CKPT_NAME,
    CKPT_DISCARD
};

enum checkpoint_job { JOB_NONE, JOB_FINISH, JOB_NAME, JOB_DISCARD };

struct checkpoint_task {
    struct cairn_task task;
    struct cairn_store *store; /* NULL: abandoned while queued (simulation), free yourself */
};

struct checkpoint {
    /* The owner's of the shard whose turn it is; handed on with store->turn. */
    enum checkpoint_state state;
    struct cairn_snapshot *snapshot;
    bool walked;
    bool version_begun;
    uint64_t applied_end; /* where the log must be durable before the file may be named */
    uint64_t retry_at_ns, retry_delay_ns;
    /* Guarded by store->lock. */
    enum checkpoint_job job; /* to be done once all handed chunks are written */
    bool busy;               /* the task is queued or running */
    struct handed_chunk *first, **last;
    uint32_t shard;
    uint64_t number, keys;
    struct dirt dirt_before; /* the shard's at begin, CLEAN when none is under way */
    enum cairn_code code;    /* the task's first failure */
    struct cairn_err err;
    /* The task's while busy, the owner's otherwise. */
    struct checkpoint_writer writer;
    struct manifest_shard made; /* what is to be named, but for the position */
    struct checkpoint_task *task;
    /* Any thread: bytes in handed chunks; relaxed, for a bound. */
    _Atomic uint64_t handed_bytes;
    /* Any thread: the owner waits for the log; relaxed, a hint. */
    _Atomic bool awaiting;
};

struct cairn_store {
    struct cairn_store_options options;
    struct cairn_log_events log_events; /* the caller's */
    struct cairn_log *log;
    uint32_t count; /* shards + 1 */
    uint16_t slots[CAIRN_SLOTS];
    struct cairn_shard *shards;
    uint64_t wall_ms;     /* at open */
    uint64_t due_bytes;   /* log_bytes_max / 2 */
    const char *engine;   /* the shards', as in choice.h */
    struct budget budget; /* of the engines' memory */
    bool started;
    struct restore_order order; /* opening: where it is to go to first */
    bool archive_leads;         /* from its newest version to archive_open_end, or there is none */
    uint64_t archive_open_end;  /* the log's end when it was opened */

    pthread_mutex_t lock;
    pthread_cond_t changed;        /* wakes has grown */
    uint64_t wakes;                /* guarded by lock: ends of tasks; while closing, events of the log too */
    struct manifest manifest;      /* guarded by lock; replaced by the task */
    uint64_t next_number;          /* guarded by lock */
    const struct manifest *viewed; /* guarded by lock: what it names stays, for a view (view.c); NULL: there is none */
    uint64_t checkpoints, checkpoint_bytes, checkpoint_failures; /* guarded by lock */
    char checkpoint_error[CAIRN_ERR_TEXT_BYTES];                 /* guarded by lock */
    _Atomic int checkpoint_code; /* enum cairn_code of the last attempt; relaxed: a hint for writers that wait for it */
    struct checkpoint checkpoint;
    struct taking taking;
    struct archive archive;

    /* Any thread. */
    _Atomic int32_t turn;     /* the shard that is to step; released with what it inherits, acquired by its owner */
    _Atomic uint64_t oldest;  /* least age of dirt, the one under way included; written under lock, else a hint */
    _Atomic uint32_t working; /* shards whose has_work is set */
    _Atomic bool log_failed;  /* set once */
    _Atomic bool closing;     /* set once: every changed shard is due, the log's events are to wake */
};

/* store.c */
enum cairn_code store_open_locked(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                  struct cairn_err *err);
void store_notify(struct cairn_store *store, uint32_t shard);
/* The caller's on_recovery and on_warning, where there are such. */
void store_report(struct cairn_store *store, const char *stage, uint64_t done, uint64_t total);
void store_warn(struct cairn_store *store, const char *text);
/* Removes checkpoint files that the manifest does not name.  Failures are ignored: the next sweep gets them. */
void store_sweep(struct cairn_store *store);
/* Which engine, and how many shards. */
enum cairn_code store_choose(struct cairn_store *store, const char *engine, uint32_t shards, struct cairn_err *err);
/* A new folder, with its manifest; what makes it one goes last. */
enum cairn_code store_make_folder(struct cairn_store *store, const struct manifest *manifest, struct cairn_err *err);
enum cairn_code store_write_format(struct cairn_store *store, struct cairn_err *err);
/* What is before it no checkpoint needs, and the archive has it; store->lock is held. */
uint64_t store_trim_position(const struct cairn_store *store);

/* A close that waits for others looks again. */
void store_wake_close(struct cairn_store *store);

/* shard_engine.c: creates the engine, in a folder of its own if it lies on disk, and with `from` as a version tells it;
 * closes it. */
enum cairn_code shard_engine_open(struct cairn_shard *shard, struct cairn_err *err);
void shard_engine_close(struct cairn_shard *shard);
/* Takes over what was done in the background. */
void shard_engine_work(struct cairn_shard *shard);
/* Of engines that have versions: begins one, which tells where the log continues it and the time of its last commit. */
enum cairn_code shard_version_begin(struct cairn_shard *shard, bool automatic, bool hold, struct cairn_err *err);

/* recover.c: fills the engines from checkpoints and log; opens the log. */
enum cairn_code recover_checkpoints(struct cairn_store *store, struct cairn_err *err);
enum cairn_code recover_log(struct cairn_store *store, struct cairn_err *err);
/* Puts or removes; waits while the engine has too much to write. */
enum cairn_code shard_apply(struct cairn_shard *shard, const struct cairn_write *write, uint64_t hash,
                            struct cairn_err *err);

/* versions.c, but for what shard.h tells */
void node_versions_init(struct cairn_store *store);
void node_versions_free(struct cairn_store *store);
/* Reads what there is; before the engines are opened. */
enum cairn_code node_versions_load(struct cairn_store *store, struct cairn_err *err);
/* The system shard's part of a version. */
void node_version_add_system(struct node_version *version, struct cairn_shard *system);
/* A new one, which is taken over, into the list; under the lock, or while nobody else is there. */
void node_versions_enter(struct cairn_store *store, struct node_version *version);
/* What is being taken is given up; all other threads have stopped. */
void node_versions_stop(struct cairn_store *store);
void node_versions_drop_unnamed(struct cairn_shard *shard);
/* While taking.active. */
void node_versions_step(struct cairn_shard *shard);
/* The log's append, while taking.capturing, or with an archive. */
enum cairn_code node_versions_append(struct cairn_shard *shard, const struct cairn_bytes *parts, size_t count,
                                     uint64_t *ret_position, uint64_t *ret_end, struct cairn_err *err);

/* The number of the version to go to, or to go on from: `number` itself, or the newest that has nothing after a moment.
 * CAIRN_ENOTFOUND: there is none.  Under the lock, or while nobody else is there. */
enum cairn_code node_versions_find(const struct cairn_store *store, uint64_t number, uint64_t wall_ms,
                                   uint64_t *ret_number, struct cairn_err *err);
/* How many the archive does not have. */
uint64_t node_versions_pending(struct cairn_store *store);
/* Something of the archive's has been done, or has failed: who waits for a version to be there may go on.  `number`: of
 * the version that it was about, or 0.  CAIRN_EUNAVAILABLE: the archive is lost. */
void node_versions_archived(struct cairn_store *store, uint64_t number, enum cairn_code code,
                            const struct cairn_err *err);

/* The system shard (its index) as a version has it, into an empty engine (restore.c). */
enum cairn_code node_version_load_system(const struct node_version *version, uint32_t index,
                                         struct cairn_engine *engine, struct cairn_err *err);

/* restore.c: into store->order, and back. */
enum cairn_code restore_write_order(struct cairn_disk *disk, const struct restore_order *order, struct cairn_err *err);
/* Parses it.  Exposed for the fuzz target. */
enum cairn_code restore_decode_order(struct cairn_bytes bytes, struct restore_order *order, struct cairn_err *err);
enum cairn_code restore_read_order(struct cairn_store *store, struct cairn_err *err);
/* Goes there; `end` is the log's.  Nothing was replayed yet. */
enum cairn_code restore_perform(struct cairn_store *store, uint64_t end, struct cairn_err *err);

/* shard.c: the record's body. */
struct commit_head {
    uint32_t shard;
    uint64_t wall_ms, writes;
    struct cairn_bytes note;
};
/* Reads up to the first write.  CAIRN_EVERSION for an unknown kind. */
enum cairn_code commit_read_head(struct cairn_reader *r, struct commit_head *ret_head, struct cairn_err *err);
/* One write (its hash is left 0). */
enum cairn_code commit_read_write(struct cairn_reader *r, struct cairn_write *ret_write, struct cairn_err *err);

/* checkpoint.c */
void checkpoint_init(struct cairn_store *store);
/* Takes store->lock. */
void checkpoint_choose_turn(struct cairn_store *store, uint64_t log_end);
/* Recomputes store->oldest; store->lock is held. */
void checkpoint_update_oldest(struct cairn_store *store);
/* Until something has happened, or a moment; in simulation lets it. */
void store_wait_a_little(struct cairn_store *store);
/* A checkpoint's file, of the number that `made` has; fills in the rest but for the position. */
enum cairn_code checkpoint_write(struct cairn_store *store, struct cairn_shard *shard, struct manifest_shard *made,
                                 struct cairn_err *err);
/* Checkpoints every changed shard; all other threads have stopped. */
enum cairn_code checkpoint_all(struct cairn_store *store, struct cairn_err *err);
/* Gives up what is under way and waits for the task.  `crash`: leaves the disk as it is. */
void checkpoint_stop(struct cairn_store *store, bool crash);

#endif
