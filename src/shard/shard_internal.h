/* shard_internal.h - what the files of shard/ share.
 *
 * Locks: store->lock guards what says so below.  Under it nothing of the log is called and no
 * file is touched, so the log's callbacks and the tasks may take it.
 * Layer: shard. */
#ifndef CAIRN_SHARD_SHARD_INTERNAL_H
#define CAIRN_SHARD_SHARD_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/slot.h"
#include "engine/choice.h"
#include "io/wait.h"
#include "shard/tap.h"

#define LOG_DIR        "log"
#define CHECKPOINT_DIR "checkpoints"
#define MANIFEST_PATH  CHECKPOINT_DIR "/MANIFEST"
#define IMPORT_PATH    "IMPORT" /* while a new folder is being filled from a stream (fill.h) */

enum {
    NO_TURN = -1,
};

#define CLEAN UINT64_MAX /* the dirt of a shard without changes */

/* --- the format file (format.c; docs/formats/folder.md) --------------------------------------- */

void format_encode(struct cairn_buf *to, uint32_t shards, const char *engine);
/* At most FORMAT_BYTES_MAX bytes.  CAIRN_EVERSION, CAIRN_ECORRUPT. */
enum cairn_code format_decode(struct cairn_bytes text, uint32_t *ret_shards, const char **ret_engine,
                              struct cairn_err *err);

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

/* A log, with what the shards have in common that write to it: all of them, or one. */
struct stream {
    struct cairn_store *store;
    struct cairn_log *log;
    uint32_t shard;          /* the first that writes to it */
    _Atomic uint64_t oldest; /* least age of their dirt, the one under way included; written under lock, else a hint */
    _Atomic uint64_t end;    /* as it was looked at last: see checkpoint.c */
    uint64_t durable;        /* the same, the checkpoint's task's */
};

struct cairn_shard {
    struct cairn_store *store;
    struct stream *stream;
    struct cairn_log *log; /* stream->log */
    uint32_t index;
    struct cairn_engine *engine;
    const struct saver *saver; /* of its checkpoints */
    struct choice choice;      /* what the engine was opened with, if it lies on disk */
    struct version_source source;
    struct cairn_disk *disk; /* where it lies */
    uint64_t from;           /* recovery: the engine has all of the log before this position */
    _Atomic bool has_work;   /* set by any thread, see shard_engine.c */
    /* The owner's. */
    uint64_t retry_ns;    /* when what has failed in the background is tried again */
    uint64_t applied_end; /* of its last record */
    struct cairn_buf scratch;
    struct cairn_bytes *parts;
    size_t part_capacity;
    uint32_t joint_count; /* records over several shards that it has entered (joint.h) */
    bool joint_closed;    /* none is to enter: a checkpoint or version is about to begin */
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
 *            begin          written         log durable          committed
 *   IDLE ---------> WRITE ---------> AWAIT -------------> COMMIT -----------> NAME ------> IDLE, next turn
 *    ^                |                |                    |                  |
 *    +--- DISCARD <---+----------------+--------------------+                  | failed: the manifest may
 *    ^   (retried)                                                             | name the file, it is kept
 *    +-------------------------------------------------------------------------+ if that cannot be ruled out
 *
 * What is written, and how it is committed, is the saver's.  An engine's version is committed by the engine, so that
 * NAME only tells it on; a file is committed by being named. */
enum checkpoint_state { CKPT_IDLE, CKPT_WRITE, CKPT_AWAIT, CKPT_COMMIT, CKPT_NAME, CKPT_DISCARD };

enum saving {
    SAVING_MORE,  /* there is more to do now */
    SAVING_WAITS, /* until the task or the engine tells */
    SAVING_DONE,
    SAVING_FAILED, /* the task knows why, or stop tells */
};

/* How a shard's state gets into its checkpoint (checkpoint_save.c); the owner's thread. */
struct saver {
    /* After a failure nothing is under way. */
    enum cairn_code (*begin)(struct cairn_shard *shard, struct cairn_err *err);
    enum saving (*write)(struct cairn_shard *shard, uint64_t budget_ns);
    /* The log is durable past it; called until it is done.  When it fails *err says why. */
    enum saving (*commit)(struct cairn_shard *shard, struct cairn_err *err);
    /* Gives up what is under way, if anything is; why it has failed, if it has. */
    enum cairn_code (*stop)(struct cairn_shard *shard, struct cairn_err *err);
    /* Writers are to wait for it. */
    bool (*is_pressed)(const struct cairn_shard *shard);
};
/* The only place that asks which of the two an engine has. */
const struct saver *saver_for(const struct cairn_engine *engine);

enum checkpoint_job { JOB_NONE, JOB_FINISH, JOB_NAME, JOB_DISCARD };

struct checkpoint_task {
    struct cairn_task task;
    struct cairn_store *store; /* NULL: abandoned while queued (simulation), free yourself */
};

struct checkpoint {
    /* The owner's of the shard whose turn it is; handed on with store->turn. */
    enum checkpoint_state state;
    struct cairn_snapshot *snapshot;
    bool walked;                    /* a file: all of it was handed on */
    bool version_begun, committing; /* a version */
    uint64_t applied_end;           /* where the log must be durable before the file may be named */
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
    struct stream *streams;
    uint32_t stream_count; /* 1, or count */
    bool stepped;          /* simulation: logs and tasks get on only inside step */
    uint32_t count;        /* shards + 1 */
    uint16_t slots[CAIRN_SLOTS];
    struct cairn_shard *shards;
    uint64_t wall_ms;     /* at open */
    uint64_t due_bytes;   /* log_bytes_max / 2 */
    const char *engine;   /* the shards', as in choice.h */
    struct budget budget; /* of the engines' memory */
    bool started;
    uint64_t restores;     /* as cairn_store_restores */
    struct cairn_tap *tap; /* may be NULL */

    pthread_mutex_t lock;
    pthread_cond_t changed;      /* wakes has grown */
    uint64_t wakes;              /* guarded by lock: ends of tasks; while closing, events of the log too */
    struct manifest manifest;    /* guarded by lock; replaced by the task */
    uint64_t next_number;        /* guarded by lock */
    const struct manifest *held; /* guarded by lock: what it names stays, too (hold.c); NULL: there is none */
    uint64_t checkpoints, checkpoint_bytes, checkpoint_failures; /* guarded by lock */
    char checkpoint_error[CAIRN_ERR_TEXT_BYTES];                 /* guarded by lock */
    _Atomic int checkpoint_code; /* enum cairn_code of the last attempt; relaxed: a hint for writers that wait for it */
    struct checkpoint checkpoint;

    /* Any thread. */
    _Atomic int32_t turn;     /* the shard that is to step; released with what it inherits, acquired by its owner */
    _Atomic uint32_t working; /* shards whose has_work is set */
    _Atomic bool log_failed;  /* set once */
    _Atomic bool closing;     /* set once: every changed shard is due, the log's events are to wake */
};

/* folder.c: removes checkpoint files that the manifest does not name.  Failures are ignored: the next sweep gets
 * them. */
void store_sweep(struct cairn_store *store);
/* Recognizes it, or begins one. */
enum cairn_code folder_open(struct cairn_store *store, struct cairn_err *err);
enum cairn_code folder_read_manifest(struct cairn_store *store, struct cairn_err *err);
/* stream.c: what a log is needed from; under store->lock, or while no other thread uses the store. */
uint64_t store_first_position(const struct stream *stream);
/* What a log of the store's is to be told with. */
void store_log_events(struct stream *stream, struct cairn_log_events *ret_events);
/* shard_engine.c: creates the engine, in a folder of its own if it lies on disk, and with `from` as a version tells it;
 * closes it. */
enum cairn_code shard_engine_open(struct cairn_shard *shard, struct cairn_err *err);
void shard_engine_close(struct cairn_shard *shard);
/* Takes over what was done in the background. */
void shard_engine_work(struct cairn_shard *shard);
/* restores.c: the store is open. */
void store_read_restores(struct cairn_store *store);
/* The system shard's key, and its value from now on; of 8 bytes. */
struct cairn_bytes store_restore_key(void);
struct cairn_bytes store_restore_mark(const struct cairn_store *store, uint8_t to[8]);
/* recover.c: fills the engines from checkpoints and log; opens the log. */
enum cairn_code recover_checkpoints(struct cairn_store *store, struct cairn_err *err);
enum cairn_code recover_log(struct cairn_store *store, struct cairn_err *err);
/* commit.c: a record's body, as parts in shard->parts; their number. */
size_t commit_encode(struct cairn_shard *shard, uint64_t wall_ms, struct cairn_bytes note,
                     const struct cairn_write *writes, size_t count);

enum { JOINT_HEAD_BYTES_MAX = 1 + 2 * CAIRN_VARINT_BYTES_MAX };
/* The head of one of `count` parts; its bytes. */
size_t joint_encode_head(uint8_t to[JOINT_HEAD_BYTES_MAX], uint64_t wall_ms, size_t count);
/* shard.c: from here on the log is needed for it. */
void shard_mark_dirty(struct cairn_shard *shard);
/* The writes of a record that ends there. */
void shard_apply(struct cairn_shard *shard, uint64_t wall_ms, const struct cairn_write *writes, size_t count,
                 uint64_t end);
/* joint.c: whether what stands for all records below a position may begin; if not, it may soon. */
bool joint_lets_begin(struct cairn_shard *shard);

/* checkpoint_task.c: what the task is to do; the owner's thread. */
void checkpoint_submit(struct cairn_store *store, enum checkpoint_job job);
/* What the task has come to: true when it is at rest, with its first failure. */
bool checkpoint_at_rest(struct cairn_store *store, enum cairn_code *ret_code);
/* A chunk for it, which is taken; to be submitted after some. */
void checkpoint_hand(struct cairn_store *store, struct cairn_buf *bytes);
bool checkpoint_may_hand(const struct cairn_store *store);
void checkpoint_task_init(struct cairn_store *store);
void checkpoint_task_stop(struct cairn_store *store, bool crash);

/* checkpoint.c */
void checkpoint_init(struct cairn_store *store);
/* Recomputes stream->oldest; store->lock is held. */
void checkpoint_update_oldest(struct stream *stream);
/* checkpoint_save.c: a checkpoint's file of a shard in memory that no thread changes, of the number that `made` has;
 * fills in the rest but for the position. */
enum cairn_code checkpoint_write(struct cairn_store *store, struct cairn_shard *shard, struct manifest_shard *made,
                                 struct cairn_err *err);
/* Checkpoints every changed shard; all other threads have stopped. */
enum cairn_code checkpoint_all(struct cairn_store *store, struct cairn_err *err);
/* Gives up what is under way and waits for the task.  `crash`: leaves the disk as it is. */
void checkpoint_stop(struct cairn_store *store, bool crash);

#endif
