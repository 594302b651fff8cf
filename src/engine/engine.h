/* engine.h - the key-value store that holds one shard's state, behind vtables: in memory (cairn_memory_create), or in
 * runs on disk behind a part in memory (cairn_levels_engine_create).
 *
 * What reads has a *view*: an engine's own, or one of the past.  What owns an engine has its operations, none of which
 * is NULL in any engine.  How a checkpoint of it is made is one of two: an engine in memory has *snapshots*, which give
 * its state in chunks that the owner writes; one on disk has *versions*, which it writes by itself.
 *
 * Point operations on byte keys (1 byte to 1 MiB) and values (0 bytes to 64 MiB); an empty
 * value is a value.  `hash` is always cairn_hash(key); it decides where a key lies and is not
 * verified.  No operation works longer than its own key and value are: growth is spread
 * over the puts that cause it.
 * Threads: one owner calls everything (it may hand the engine on to another thread).
 * Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_ENGINE_H
#define CAIRN_ENGINE_ENGINE_H

#include "base/bytes.h"
#include "base/err.h"
#include "io/disk.h"

struct cairn_engine;
struct cairn_snapshot;

enum {
    CAIRN_KEY_BYTES_MAX = 1 << 20,
    CAIRN_SNAPSHOT_KEY_BYTES_MAX = 64 << 10, /* of an engine that is snapshotted, and of what the node logs */
    CAIRN_VALUE_BYTES_MAX = 64 << 20,
};

struct cairn_engine_stats {
    uint64_t keys, key_bytes, value_bytes;
    uint64_t
        memory_bytes; /* all that the engine keeps, estimated from its own counts, the allocator's share included */
};

enum { CAIRN_VALUES_VALID = 8 };

/* --- reading --- */

struct cairn_view;

struct cairn_view_ops {
    /* True and *ret_value (valid until the next put or remove, and for CAIRN_VALUES_VALID - 1 more gets) if the key is
     * there.  One that reads the disk says false also when it cannot, and notes that in `failed`. */
    bool (*get)(struct cairn_view *view, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value);
    /* A hint for many operations in a row: a key with this hash is about to be used.  Depth 0 starts to
     * fetch the place of the key, depth 1, asked some work later, the entry that is found there. */
    void (*prefetch)(struct cairn_view *view, uint64_t hash, int depth);
    /* Visits everything, in any order; nothing must be changed meanwhile. */
    void (*visit)(struct cairn_view *view,
                  void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context);
};

struct cairn_view {
    const struct cairn_view_ops *ops;
    /* A read has failed, and why: what asked must not rely on what it was told. */
    bool failed;
    struct cairn_err failure;
};

/* CAIRN_OK, or the failure of a read since it was last asked for. */
static inline enum cairn_code cairn_engine_take_failure(struct cairn_view *view, struct cairn_err *err)
{
    if (!view->failed)
        return CAIRN_OK;
    view->failed = false;
    if (err)
        *err = view->failure;
    return view->failure.code;
}

/* --- owning --- */

struct cairn_engine_ops {
    /* Never fail (memory is claimed or the process ends).  Keys and values are copied; a value
     * may be one that get returned.  Removing what is not there does nothing. */
    void (*put)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value);
    void (*remove)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash);
    /* Before changes of `bytes`, by an owner that may wait: blocks while too much is still to be written.  Fails only
     * if that could not be done. */
    enum cairn_code (*ready)(struct cairn_engine *engine, size_t bytes, struct cairn_err *err);
    /* For owners that must not wait.  CAIRN_EOVERLOAD while too much is still to be written; why, once that fails.
     * What is put all the same is taken. */
    enum cairn_code (*check_writers)(const struct cairn_engine *engine, struct cairn_err *err);
    /* After changes: what they make due begins in the background. */
    void (*settle)(struct cairn_engine *engine);
    /* Takes over what was done in the background, which has told that there is something.  With `retry` what has
     * failed is tried again.  CAIRN_OK, or why the last attempt of something failed. */
    enum cairn_code (*work)(struct cairn_engine *engine, bool retry, struct cairn_err *err);
    void (*stats)(struct cairn_engine *engine, struct cairn_engine_stats *ret_stats);
    struct cairn_engine *(*close)(struct cairn_engine *engine); /* returns NULL; accepts NULL */
};

/* --- checkpoints of an engine in memory: begun, stepped, finished.  One at a time per engine ---
 * What a snapshot contains is exactly what was there at begin; a key changed or removed before the
 * walk reaches it gives up its old image first.  The engine may be used between the steps. */
struct cairn_snapshot_ops {
    struct cairn_snapshot *(*begin)(struct cairn_engine *engine);
    /* Walks for at most about `budget_ns` (estimated by the work, so that runs replay) and appends
     * encoded entries to chunks that take_chunk hands over.  True when the walk is complete.
     * Does nothing while more than CAIRN_SNAPSHOT_PENDING_MAX bytes of chunks are untaken. */
    bool (*step)(struct cairn_snapshot *snapshot, uint64_t budget_ns);
    /* Moves a finished chunk of at most CAIRN_SNAPSHOT_CHUNK_BYTES to `to` (replacing it); false
     * when there is none yet.  The last one comes after step returned true.  An empty engine
     * gives none at all. */
    bool (*take_chunk)(struct cairn_snapshot *snapshot, struct cairn_buf *to);
    /* Bytes waiting to be taken, and long values that only the snapshot still keeps: writers are
     * slowed when it exceeds CAIRN_SNAPSHOT_PENDING_MAX. */
    size_t (*pending)(struct cairn_snapshot *snapshot);
    /* Finished or given up; returns NULL. */
    struct cairn_snapshot *(*end)(struct cairn_snapshot *snapshot);
    /* A snapshot's chunks, in their order, go back into an engine that was empty.  CAIRN_ECORRUPT
     * if malformed.  A long value may span chunks: after the last one the count of keys shows
     * whether all came. */
    enum cairn_code (*load_chunk)(struct cairn_engine *engine, struct cairn_bytes chunk, struct cairn_err *err);
};

/* --- checkpoints of an engine on disk: versions, which stay until they are dropped --- */

struct versions; /* engine/version.h */

struct cairn_version_options {
    uint64_t time_ms;
    struct cairn_bytes metadata;
    bool automatic; /* as struct version's */
    bool hold;      /* it is committed only once commit was called; begin waits for nothing, and fails while several
                     * batches cannot be written */
};

enum cairn_version_state {
    CAIRN_VERSION_WRITING, /* or none was begun */
    CAIRN_VERSION_HELD,    /* all is written; it waits for commit */
    CAIRN_VERSION_ENDED,   /* committed, or it has failed: end tells */
};

struct cairn_version_ops {
    /* Of what was put until now, and of nothing that is put later; it is made while the engine is used.
     * CAIRN_ECONFLICT while there is one that was not ended. */
    enum cairn_code (*begin)(struct cairn_engine *engine, const struct cairn_version_options *options,
                             struct cairn_err *err);
    enum cairn_version_state (*state)(struct cairn_engine *engine);
    void (*commit)(struct cairn_engine *engine);
    /* Waits for it; it is durable then.  Of one that is held nothing stays.  After a failure nothing is lost, and it
     * can be tried again. */
    enum cairn_code (*end)(struct cairn_engine *engine, uint64_t *ret_number, struct cairn_err *err);
    /* What is in no version is dropped.  After a failure nothing has changed. */
    enum cairn_code (*restore)(struct cairn_engine *engine, uint64_t number, struct cairn_err *err);
    /* Its files go in the background; of the current one once there is another. */
    void (*drop)(struct cairn_engine *engine, uint64_t number);
    /* For listing and verifying. */
    struct versions *(*list)(struct cairn_engine *engine);
};

struct cairn_engine {
    struct cairn_view view; /* first */
    const struct cairn_engine_ops *ops;
    /* One of these two is not NULL. */
    const struct cairn_snapshot_ops *snapshots;
    const struct cairn_version_ops *versions;
};

enum {
    CAIRN_SNAPSHOT_CHUNK_BYTES = 256 << 10,
    CAIRN_SNAPSHOT_PENDING_MAX = 8 << 20,
};

/* MemOnly: a hash table that grows a bucket at a time (linear hashing, Litwin 1980).  A key costs
 * about 40 bytes over its own and its value's; the table itself (14 of them) does not shrink. */
struct cairn_engine *cairn_memory_create(void);
/* Closes one without a snapshot bit by bit, some five keys a call, for owners that must not stop for the whole of it;
 * true once that is done.  After the first call nothing else may be called for it but close. */
bool cairn_memory_close_some(struct cairn_engine *engine);

struct levels;
/* Over a store of levels.h, which it closes. */
struct cairn_engine *cairn_levels_engine_create(struct levels *levels);

#endif
