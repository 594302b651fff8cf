/* large.h - large values: each is cut into stripes of cells, coded into chunks, which lie in instances (provider.h).
 *
 *   pool: the instances, and the ring that says which of them have a value's chunks
 *   large value: what is kept of one here: how it is cut, and its chunks
 *
 * A value does not change once it was written, but for where its chunks are: one that was lost is replaced by a repair.
 * It stays whole for whoever refers to it, though its key has another value by then.  Each chunk's checksums are behind
 * its cells, and what they must be is kept here: bytes that are not those that were written are a lost chunk.
 *
 * What a value takes is counted with the cache's bytes from when its chunks are reserved until its last reference is
 * given back.
 *
 * Threads: any, unless said.  Layer: cache; uses fn by its providers. */
#ifndef CAIRN_CACHE_LARGE_H
#define CAIRN_CACHE_LARGE_H

#include <pthread.h>

#include "cache/erasure.h"
#include "cache/provider.h"
#include "cache/table.h"
#include "io/clock.h"

enum { CAIRN_LARGE_BYTES_MAX = 512 << 20 };

/* --- the pool --- */

struct cairn_pool;

struct cairn_pool_options {
    struct cairn_cache *cache; /* that counts, and whose generations the chunks have */
    struct cairn_redundancy redundancy;
    uint64_t bytes_max; /* that the cache is bounded by: the instances are made for it */
    struct cairn_clock *clock;
};

/* Has instances in this process.  CAIRN_ENOTFOUND: the binary has no guest for them. */
enum cairn_code cairn_pool_create(const struct cairn_pool_options *options, struct cairn_pool **ret_pool,
                                  struct cairn_err *err);
/* Nothing refers to a value any more.  NULL; accepts NULL. */
struct cairn_pool *cairn_pool_destroy(struct cairn_pool *pool);
/* Who is called when something is gone, which is dropped by cairn_pool_collect; before any value is made. */
void cairn_pool_on_gone(struct cairn_pool *pool, void (*wake)(void *context), void *context);
/* Drops the chunks that nobody refers to; waits for no thread: what another one drops may be left. */
void cairn_pool_collect(struct cairn_pool *pool);

/* An instance that another provider has, whose reference is taken over; it has the pool's `gone`. */
void cairn_pool_join(struct cairn_pool *pool, struct cairn_instance *instance);
struct cairn_gone *cairn_pool_gone(struct cairn_pool *pool);
uint64_t cairn_pool_next_id(struct cairn_pool *pool);

/* The policy's hook: an instance is taken away, with all that it has.  One of this process is replaced by an empty one.
 * False: there is none of that id. */
bool cairn_pool_reclaim(struct cairn_pool *pool, uint64_t id);

const struct cairn_redundancy *cairn_pool_redundancy(const struct cairn_pool *pool);
const struct cairn_erasure *cairn_pool_erasure(const struct cairn_pool *pool);
struct cairn_cache *cairn_pool_cache(const struct cairn_pool *pool);
uint64_t cairn_pool_now_ns(struct cairn_pool *pool);
uint64_t cairn_pool_slack_bytes(const struct cairn_pool *pool);

/* Tells of each instance, a moment's. */
void cairn_pool_each(struct cairn_pool *pool, void (*each)(void *context, struct cairn_instance *instance),
                     void *context);

struct cairn_pool_stats {
    _Atomic uint64_t reclaimed;     /* instances */
    _Atomic uint64_t rotten_chunks; /* with a cell whose checksum is wrong */
    _Atomic uint64_t mended;        /* stripes that were decoded for a reader */
    _Atomic uint64_t repaired;      /* chunks that were made again */
    _Atomic uint64_t coding_ns;     /* spent in coding and decoding */
    _Atomic uint64_t sets, gets, bytes_in, bytes_out;
};
struct cairn_pool_stats *cairn_pool_stats(struct cairn_pool *pool);

/* --- values --- */

struct cairn_large {
    struct cairn_cache_far far; /* first */
    struct cairn_pool *pool;
    struct cairn_cut cut;
    uint64_t generation; /* of its chunks */
    uint64_t hash;       /* of its key, when it was written: where its chunks are */
    _Atomic uint32_t refs;
    _Atomic bool repairing;
    pthread_mutex_t lock;         /* of the chunks' places */
    struct cairn_chunk *chunks[]; /* NULL: it is missing */
};

/* The entry's value; NULL: it is not large. */
static inline struct cairn_large *cairn_large_of(const struct cairn_cache_entry *entry)
{
    return (struct cairn_large *)(void *)cairn_cache_far(entry);
}

/* Reserves the chunks of a value of `bytes` > 0; one reference.  CAIRN_ELIMIT: fewer instances than data chunks have
 * room.  There may be fewer chunks than the redundancy says.  May take its time. */
enum cairn_code cairn_large_reserve(struct cairn_pool *pool, uint64_t hash, uint64_t bytes, struct cairn_large **ret,
                                    struct cairn_err *err);
/* What reserving will count, about. */
uint64_t cairn_large_bytes(const struct cairn_pool *pool, uint64_t bytes);
struct cairn_large *cairn_large_ref(struct cairn_large *large);
void cairn_large_unref(struct cairn_large *large); /* accepts NULL; waits for nothing */
/* Bytes that it takes now. */
uint64_t cairn_large_counted(struct cairn_large *large);
/* Chunks that cannot be read; more than the parity: the value is lost. */
uint32_t cairn_large_lost(struct cairn_large *large);
static inline bool cairn_large_readable(struct cairn_large *large)
{
    return cairn_large_lost(large) <= large->cut.redundancy.parity;
}
/* References to those that can be read, NULL in place of others. */
void cairn_large_chunks(struct cairn_large *large, struct cairn_chunk *ret[CAIRN_CHUNKS_MAX]);
/* A new chunk for that place, at an instance that has none of the value's, nor of `others`, which has a place for each
 * index; one reference.  NULL: there is none with room. */
struct cairn_chunk *cairn_large_reserve_again(struct cairn_large *large, uint32_t index,
                                              struct cairn_chunk *const *others);
/* It stands in that place from now on; its reference is taken over. */
void cairn_large_replace(struct cairn_large *large, uint32_t index, struct cairn_chunk *chunk);

#endif
