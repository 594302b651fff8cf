/* provider.h - where chunks of large values are: in instances, which providers have.
 *
 *   provider -> instance -> chunk
 *
 * An instance is memory of a bounded size that may be lost at any time, all of it at once.  A chunk is a number of
 * bytes there, reserved once, written, read, and dropped.  Who is above knows two kinds of provider by what they offer:
 *
 *  - one whose instances' memory is in this process (`resident`) lets it be held, and pieces of it be read and written
 *    without a copy;
 *  - any (an agent on another machine) takes and gives cells, asynchronously: `put` and `get` return at once, and the
 *    request's `done` is called once, on any thread, perhaps before they return.  At most `window` cells of one chunk
 *    are under way; a request can be canceled, and is then done with CAIRN_ECANCELLED if it was not before.
 *
 * A lost instance stays lost: what is asked of it fails with CAIRN_EUNAVAILABLE.  One that is back is another one.
 *
 * Threads: any, unless said.  Layer: cache; uses base. */
#ifndef CAIRN_CACHE_PROVIDER_H
#define CAIRN_CACHE_PROVIDER_H

#include <stdatomic.h>

#include "base/bytes.h"
#include "base/err.h"

struct cairn_provider_ops;
struct cairn_gone;

/* Begins every kind of instance. */
struct cairn_instance {
    const struct cairn_provider_ops *ops;
    uint64_t id;    /* hashed for its places on the ring; never given twice */
    uint64_t agent; /* what is lost together has the same one; 0: this node */
    uint64_t memory_bytes;
    double strength; /* as ring.h has it */
    uint32_t window; /* cells of one chunk that may be under way */
    struct cairn_gone *gone;
    _Atomic uint32_t refs;
    _Atomic bool lost;
    _Atomic uint32_t chunks;     /* that it has */
    _Atomic uint64_t held_bytes; /* that chunks take of its memory */
    _Atomic uint64_t used_ms;    /* when something was written or read last */
};

/* Begins every kind of chunk.  It has a reference to its instance. */
struct cairn_chunk {
    struct cairn_instance *instance;
    struct cairn_chunk *next_gone;
    uint64_t generation; /* of its value; with the index it names the chunk, and is never given twice */
    uint64_t bytes;
    uint64_t counted; /* what it takes, with what is kept of it here */
    uint32_t index;
    uint32_t sum; /* CRC32C of the checksums behind its cells, as they were written */
    _Atomic uint32_t refs;
    _Atomic bool bad; /* its bytes were not what had been written: as good as lost */
};

/* The memory of an instance, which stays as long as it is held, though the instance be lost meanwhile. */
struct cairn_held {
    uint8_t *memory;
    void *provider; /* the provider's own */
};

/* What nobody refers to any more, until a thread that may take its time drops it. */
struct cairn_gone {
    _Atomic(struct cairn_chunk *) first;
    void (*uncount)(void *context, uint64_t bytes); /* at once, by whatever thread gave the last reference back */
    void (*wake)(void *context);                    /* there is something; may be NULL */
    void *context;
};

/* Bytes of a chunk on their way. */
struct cairn_cells {
    struct cairn_chunk *chunk; /* a reference of the caller's stays until it is done */
    uint64_t offset;
    uint32_t bytes;
    uint8_t *memory;      /* stays until it is done */
    enum cairn_code code; /* when it is done */
    void (*done)(struct cairn_cells *cells);
    void *context;
    void *provider[2]; /* the provider's own */
};

struct cairn_provider_ops {
    const char *name;
    /* A new chunk with one reference, or NULL: CAIRN_ELIMIT: no room, CAIRN_EUNAVAILABLE: lost.  Does not wait; one
     * that is far away may take what it learns later does not fit, and fails the chunk's writes.  One thread at a
     * time for each instance. */
    struct cairn_chunk *(*reserve)(struct cairn_instance *instance, uint64_t generation, uint32_t index, uint64_t bytes,
                                   struct cairn_err *err);
    /* False: it is lost.  NULL, as the next two, where memory is not in this process. */
    bool (*hold)(struct cairn_chunk *chunk, struct cairn_held *ret);
    void (*release)(struct cairn_held *held);
    /* Of a held chunk: the piece of it that begins there; returns its bytes, at most `most`. */
    size_t (*piece)(const struct cairn_chunk *chunk, const struct cairn_held *held, uint64_t offset, size_t most,
                    uint8_t **ret);
    /* Cells as above; NULL where memory is held. */
    void (*put)(struct cairn_cells *cells);
    void (*get)(struct cairn_cells *cells);
    void (*cancel)(struct cairn_cells *cells);
    /* Nobody refers to it: it is forgotten at the instance, and freed.  May take its time, on one thread at a time. */
    void (*drop)(struct cairn_chunk *chunk);
    /* The instance is lost from now on; what it has is gone once nobody holds it.  Again does nothing. */
    void (*end)(struct cairn_instance *instance);
    void (*free)(struct cairn_instance *instance);
};

static inline bool cairn_instance_lost(const struct cairn_instance *instance)
{
    return atomic_load_explicit(&instance->lost, memory_order_acquire);
}

static inline void cairn_instance_ref(struct cairn_instance *instance)
{
    atomic_fetch_add_explicit(&instance->refs, 1, memory_order_relaxed);
}

static inline void cairn_instance_unref(struct cairn_instance *instance)
{
    if (atomic_fetch_sub_explicit(&instance->refs, 1, memory_order_acq_rel) == 1)
        instance->ops->free(instance);
}

/* It cannot be read. */
static inline bool cairn_chunk_lost(const struct cairn_chunk *chunk)
{
    return cairn_instance_lost(chunk->instance) || atomic_load_explicit(&chunk->bad, memory_order_relaxed);
}

static inline struct cairn_chunk *cairn_chunk_ref(struct cairn_chunk *chunk)
{
    atomic_fetch_add_explicit(&chunk->refs, 1, memory_order_relaxed);
    return chunk;
}

/* Accepts NULL.  Waits for nothing: the last one puts it among what is gone. */
void cairn_chunk_unref(struct cairn_chunk *chunk);
/* Drops what is gone; one thread at a time. */
void cairn_gone_drop(struct cairn_gone *gone);

#endif
