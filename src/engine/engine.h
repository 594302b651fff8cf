/* engine.h - the key-value store that holds one shard's state, behind a vtable.
 *
 * Point operations on byte keys (1 byte to 64 KiB) and values (0 bytes to 64 MiB); an empty
 * value is a value.  Threads: one owner calls everything, except where said.
 * Layer: engine; uses base and io. */
#ifndef CAIRN_ENGINE_ENGINE_H
#define CAIRN_ENGINE_ENGINE_H

#include "base/bytes.h"
#include "base/err.h"
#include "io/disk.h"

struct cairn_engine;
struct cairn_snapshot;

struct cairn_engine_stats {
    uint64_t keys, key_bytes, value_bytes;
    uint64_t memory_bytes; /* all that the engine keeps, estimated from its own counts */
};

struct cairn_engine_ops {
    /* Does not block.  True and *ret_value (valid until the next put or delete) if the key is
     * there.  `hash` is cairn_hash(key). */
    bool (*get)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes *ret_value);
    /* Never fail (memory is claimed or the process ends).  Keys and values are copied. */
    void (*put)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value);
    void (*remove)(struct cairn_engine *engine, struct cairn_bytes key, uint64_t hash);
    /* Visits everything, in any order; the engine must not be changed meanwhile. */
    void (*visit)(struct cairn_engine *engine,
                  void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value), void *context);
    void (*stats)(struct cairn_engine *engine, struct cairn_engine_stats *ret_stats);

    /* --- snapshots: begun, stepped, finished.  One at a time per engine. ---
     * What it contains is exactly what was there at begin; a key changed or removed before the
     * walk reaches it gives up its old image first.  The engine may be used between the steps. */
    struct cairn_snapshot *(*snapshot_begin)(struct cairn_engine *engine);
    /* Walks for at most about `budget_ns` and appends encoded entries to chunks that take_chunk
     * hands over.  True when the walk is complete.  Does nothing while more than
     * CAIRN_SNAPSHOT_PENDING_MAX bytes of chunks are untaken. */
    bool (*snapshot_step)(struct cairn_snapshot *snapshot, uint64_t budget_ns);
    /* Moves finished bytes to `to` (replacing it); false when there are none yet.  The last
     * chunk comes after step returned true. */
    bool (*snapshot_take_chunk)(struct cairn_snapshot *snapshot, struct cairn_buf *to);
    /* Bytes waiting to be taken: writers are slowed when it exceeds CAIRN_SNAPSHOT_PENDING_MAX. */
    size_t (*snapshot_pending)(struct cairn_snapshot *snapshot);
    /* Finished or given up; returns NULL. */
    struct cairn_snapshot *(*snapshot_end)(struct cairn_snapshot *snapshot);
    /* Entries from a chunk (any split at chunk borders) go back in.  CAIRN_ECORRUPT if malformed. */
    enum cairn_code (*load_chunk)(struct cairn_engine *engine, struct cairn_bytes chunk, struct cairn_err *err);

    struct cairn_engine *(*close)(struct cairn_engine *engine); /* returns NULL; accepts NULL */
};

struct cairn_engine {
    const struct cairn_engine_ops *ops;
};

enum {
    CAIRN_SNAPSHOT_CHUNK_BYTES = 256 << 10,
    CAIRN_SNAPSHOT_PENDING_MAX = 8 << 20,
};

/* MemOnly: a hash table that grows a bucket at a time (linear hashing, Litwin 1980). */
struct cairn_engine *cairn_memory_create(void);

#endif
