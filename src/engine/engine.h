/* engine.h - the key-value store that holds one shard's state, behind a vtable: in memory (cairn_memory_create), or
 * in runs on disk behind a part in memory (cairn_levels_engine_create).
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

struct cairn_engine_ops {
    /* True and *ret_value (valid until the next put or remove, and for CAIRN_VALUES_VALID - 1 more gets) if the key is
     * there.  One that reads the disk says false also when it cannot, and notes that in `failed`. */
    bool (*get)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value);
    /* Never fail (memory is claimed or the process ends).  Keys and values are copied; a value
     * may be one that get returned.  Removing what is not there does nothing. */
    void (*put)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value);
    void (*remove)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash);
    /* A hint for many operations in a row: a key with this hash is about to be used.  Depth 0 starts to
     * fetch the place of the key, depth 1, asked some work later, the entry that is found there. */
    void (*prefetch)(struct cairn_engine *engine, uint64_t hash, int depth);
    /* Visits everything, in any order; the engine must not be changed meanwhile. */
    void (*visit)(struct cairn_engine *engine,
                  void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context);
    void (*stats)(struct cairn_engine *engine, struct cairn_engine_stats *ret_stats);

    /* --- snapshots: begun, stepped, finished.  One at a time per engine.  Of the engine in memory alone: all of
     * these are NULL in others. ---
     * What it contains is exactly what was there at begin; a key changed or removed before the
     * walk reaches it gives up its old image first.  The engine may be used between the steps. */
    struct cairn_snapshot *(*snapshot_begin)(struct cairn_engine *engine);
    /* Walks for at most about `budget_ns` (estimated by the work, so that runs replay) and appends
     * encoded entries to chunks that take_chunk hands over.  True when the walk is complete.
     * Does nothing while more than CAIRN_SNAPSHOT_PENDING_MAX bytes of chunks are untaken. */
    bool (*snapshot_step)(struct cairn_snapshot *snapshot, uint64_t budget_ns);
    /* Moves a finished chunk of at most CAIRN_SNAPSHOT_CHUNK_BYTES to `to` (replacing it); false
     * when there is none yet.  The last one comes after step returned true.  An empty engine
     * gives none at all. */
    bool (*snapshot_take_chunk)(struct cairn_snapshot *snapshot, struct cairn_buf *to);
    /* Bytes waiting to be taken, and long values that only the snapshot still keeps: writers are
     * slowed when it exceeds CAIRN_SNAPSHOT_PENDING_MAX. */
    size_t (*snapshot_pending)(struct cairn_snapshot *snapshot);
    /* Finished or given up; returns NULL. */
    struct cairn_snapshot *(*snapshot_end)(struct cairn_snapshot *snapshot);
    /* A snapshot's chunks, in their order, go back into an engine that was empty.  CAIRN_ECORRUPT
     * if malformed.  A long value may span chunks: after the last one the count of keys shows
     * whether all came. */
    enum cairn_code (*load_chunk)(struct cairn_engine *engine, struct cairn_bytes chunk, struct cairn_err *err);

    struct cairn_engine *(*close)(struct cairn_engine *engine); /* returns NULL; accepts NULL */
};

struct cairn_engine {
    const struct cairn_engine_ops *ops;
    /* A read has failed, and why: who asked must not rely on what he saw. */
    bool failed;
    struct cairn_err failure;
};

/* CAIRN_OK, or the failure of a read since it was last asked for. */
static inline enum cairn_code cairn_engine_take_failure(struct cairn_engine *engine, struct cairn_err *err)
{
    if (!engine->failed)
        return CAIRN_OK;
    engine->failed = false;
    if (err)
        *err = engine->failure;
    return engine->failure.code;
}

enum {
    CAIRN_SNAPSHOT_CHUNK_BYTES = 256 << 10,
    CAIRN_SNAPSHOT_PENDING_MAX = 8 << 20,
};

/* MemOnly: a hash table that grows a bucket at a time (linear hashing, Litwin 1980).  A key costs
 * about 40 bytes over its own and its value's; the table itself (14 of them) does not shrink. */
struct cairn_engine *cairn_memory_create(void);
/* Closes one without a snapshot bit by bit, some five keys a call, for owners who must not stop for all; true once
 * that is done.  After the first call nothing else may be called for it but close. */
bool cairn_memory_close_some(struct cairn_engine *engine);

struct levels;
/* Over a store of levels.h, which it closes.  It has no snapshots: levels_snapshot_begin is for that, and levels_work
 * for what goes on in the background. */
struct cairn_engine *cairn_levels_engine_create(struct levels *levels);

#endif
