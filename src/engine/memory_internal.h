/* memory_internal.h - what memory.c (the table) and memory_snapshot.c (its walk, chunks, loading) share.
 *
 * The table is a linear hash table (Litwin 1980): `buckets` of them, of which those below
 * `buckets - round` and from `round` on use one more bit of the hash than the others.  When the
 * mean load passes its target one bucket, the next in turn, is split in two: no operation ever
 * moves more than that.  Buckets lie in fixed segments, so that growing moves none of them.
 *
 * A bucket is one cache line: seven slots and a link to an overflow bucket.  A slot holds an
 * entry's address in its lower 48 bits and a tag of 16 bits of the hash above it (never 0), so
 * that a get touches one line of the table and, nearly always, only the entry it wants.
 *
 * Bits of the 64-bit hash: 16..47 choose the bucket and are kept in the entry; 48..63 are the
 * tag.  The lowest are left alone: placement takes shards from those, so that all keys of one
 * shard may agree in them.
 *
 * Threads: the engine's owner.  Layer: engine. */
#ifndef CAIRN_ENGINE_MEMORY_INTERNAL_H
#define CAIRN_ENGINE_MEMORY_INTERNAL_H

#include "engine/engine.h"

enum {
    BUCKET_SLOTS = 7,
    SEGMENT_BUCKETS = 512,
    MEAN_LOAD = 5,                                /* entries per bucket that growth aims at */
    INLINE_BYTES_MAX = 64 << 10,                  /* longer values are shared blobs */
    STORED_BYTES_MAX = CAIRN_VALUE_BYTES_MAX + 1, /* a memtable puts a byte of its own in front of a value */
    MARK_BITS = 14,
    MARK_COUNT = 1 << MARK_BITS,
};

struct bucket {
    uint64_t slots[BUCKET_SLOTS]; /* 0: free; a chain has no free slot before a used one */
    struct bucket *more;
};

/* A long value: shared between its entry and a snapshot that has yet to copy it. */
struct blob {
    uint32_t refs;
    uint32_t bytes;
    bool orphan; /* its entry is gone: only a snapshot keeps it */
    uint8_t data[];
};

/* One allocation per key.  data: the key, then the value or the address of its blob. */
struct entry {
    uint32_t hash;
    uint32_t value_bytes : 17; /* of an inline value */
    uint32_t is_blob : 1;
    uint32_t mark : MARK_BITS; /* see memory_snapshot.c */
    uint32_t key_bytes;
    uint8_t data[];
};

/* A blob that the snapshot has a reference to, first in, first copied. */
struct held {
    struct held *next;
    struct blob *blob;
    uint32_t key_bytes;
    uint8_t key[];
};

struct chunk {
    struct chunk *next;
    struct cairn_buf bytes;
};

struct memory;

struct cairn_snapshot {
    struct memory *memory;
    uint64_t cursor;             /* the next bucket to walk */
    bool walked, complete;       /* the table has been; and everything held is copied */
    struct cairn_buf open;       /* the chunk being filled */
    struct chunk *first, **last; /* finished ones */
    size_t chunk_bytes;          /* in them */
    struct held *first_held, **last_held;
    uint32_t held_done;  /* bytes of the first that are copied */
    size_t orphan_bytes; /* in blobs that only the snapshot keeps */
};

struct memory {
    struct cairn_engine base;
    struct bucket **segments;
    size_t segment_capacity;
    uint64_t buckets, round; /* round: the power of two with round <= buckets < 2 * round */
    uint64_t overflow_buckets;
    uint64_t keys, key_bytes, value_bytes, entry_bytes; /* entry_bytes: with the allocator's share */
    uint32_t mark;                                      /* the generation that new entries get */
    uint32_t incomplete_walks;                          /* generations begun since all entries last agreed */
    struct cairn_snapshot *snapshot;
    /* A long value of which load_chunk has seen a part. */
    struct held *loading;
    uint32_t loading_done;
    uint64_t closed; /* buckets that closing has emptied */
};

static inline struct memory *memory_of(struct cairn_engine *engine)
{
    return (struct memory *)(void *)engine;
}

static inline struct memory *memory_of_view(struct cairn_view *view)
{
    return (struct memory *)(void *)view;
}

static inline struct bucket *bucket_at(const struct memory *memory, uint64_t index)
{
    return &memory->segments[index / SEGMENT_BUCKETS][index % SEGMENT_BUCKETS];
}

static inline struct entry *slot_entry(uint64_t slot)
{
    return (struct entry *)(uintptr_t)(slot & 0xffffffffffffu);
}

static inline size_t entry_key_bytes(const struct entry *entry)
{
    return entry->key_bytes;
}

static inline struct cairn_bytes entry_key(const struct entry *entry)
{
    return cairn_bytes(entry->data, entry_key_bytes(entry));
}

static inline struct blob *entry_blob(const struct entry *entry)
{
    struct blob *blob;

    memcpy(&blob, entry->data + entry_key_bytes(entry), sizeof blob);
    return blob;
}

static inline struct cairn_bytes entry_value(const struct entry *entry)
{
    if (entry->is_blob)
        return cairn_bytes(entry_blob(entry)->data, entry_blob(entry)->bytes);
    return cairn_bytes(entry->data + entry_key_bytes(entry), entry->value_bytes);
}

/* memory.c */
struct blob *memory_blob_create(uint32_t bytes);
/* Drops one reference. */
void memory_blob_unref(struct blob *blob);
/* Puts a key that is not there yet; a blob of its value is taken over if `blob` is given. */
void memory_insert(struct memory *memory, struct cairn_bytes key, uint64_t hash, struct cairn_bytes value,
                   struct blob *blob);

void memory_prefetch(struct cairn_view *view, uint64_t hash, int depth);

/* memory_snapshot.c */
/* The entry is about to change or go: if the walk has not reached it, its image goes out now. */
void memory_snapshot_save(struct cairn_snapshot *snapshot, struct entry *entry);
/* The entry lets go of its blob, which the snapshot may still hold. */
void memory_snapshot_orphan(struct cairn_snapshot *snapshot, struct blob *blob);
size_t memory_snapshot_pending(struct cairn_snapshot *snapshot);
struct cairn_snapshot *memory_snapshot_end(struct cairn_snapshot *snapshot);
extern const struct cairn_snapshot_ops memory_snapshot_ops;

#endif
