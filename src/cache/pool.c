/* pool.c - the instances of large values, and which of them have a value's chunks. */
#include <assert.h>
#include <stdlib.h>

#include "base/list.h"
#include "cache/large.h"
#include "cache/resident_provider.h"
#include "cache/ring.h"

enum {
    SPARE_INSTANCES = 4, /* more than a value has chunks: what one lost is repaired elsewhere */
    ROOM_FACTOR = 2,     /* address space of the instances over what the cache may take: none is full before it is */
    SLACK_SHARE = 32,    /* of the cache's bound: freed blocks that stay in memory */
};

#define INSTANCE_BYTES_MIN (UINT64_C(16) << 20)
#define INSTANCE_BYTES_MAX ((UINT64_C(4) << 30) - (64 << 10))

struct cairn_pool {
    struct cairn_cache *cache;
    struct cairn_clock *clock;
    struct cairn_redundancy redundancy;
    struct cairn_erasure *erasure;
    struct cairn_residents *residents;
    struct cairn_gone gone;
    void (*wake)(void *context);
    void *wake_context;
    uint64_t instance_bytes;
    struct cairn_pool_stats stats;
    _Atomic uint64_t next_id;
    pthread_mutex_t collecting;
    pthread_mutex_t lock; /* of all below */
    struct cairn_ring *ring;
    struct cairn_instance **instances; /* as the ring has them */
    uint32_t count;
};

/* --- the instances; locked --- */

static void make_ring(struct cairn_pool *pool)
{
    struct cairn_ring_instance *of = cairn_alloc_zeroed(pool->count + 1, sizeof *of);

    for (uint32_t i = 0; i < pool->count; i++)
        of[i] = (struct cairn_ring_instance){
            .id = pool->instances[i]->id, .agent = pool->instances[i]->agent, .strength = pool->instances[i]->strength};
    cairn_ring_free(pool->ring);
    pool->ring = cairn_ring_new(of, pool->count, CAIRN_RING_PLACES);
    free(of);
}

static enum cairn_code open_resident(struct cairn_pool *pool, struct cairn_instance **ret, struct cairn_err *err)
{
    return cairn_residents_open(pool->residents, cairn_pool_next_id(pool), pool->instance_bytes, ret, err);
}

static enum cairn_code open_all(struct cairn_pool *pool, uint64_t bytes_max, struct cairn_err *err)
{
    uint32_t want = cairn_redundancy_chunks(&pool->redundancy) + SPARE_INSTANCES;
    uint64_t bytes = bytes_max / want * ROOM_FACTOR / (64 << 10) * (64 << 10);
    enum cairn_code code = CAIRN_OK;

    if (bytes > INSTANCE_BYTES_MAX)
        want = (uint32_t)(bytes_max * ROOM_FACTOR / INSTANCE_BYTES_MAX + 1);
    want = want > CAIRN_RING_INSTANCES_MAX ? CAIRN_RING_INSTANCES_MAX : want;
    pool->instance_bytes = bytes > INSTANCE_BYTES_MAX   ? INSTANCE_BYTES_MAX
                           : bytes < INSTANCE_BYTES_MIN ? INSTANCE_BYTES_MIN
                                                        : bytes;
    pool->instances = cairn_alloc_zeroed(CAIRN_RING_INSTANCES_MAX, sizeof(struct cairn_instance *));
    while (code == CAIRN_OK && pool->count < want) {
        code = open_resident(pool, &pool->instances[pool->count], err);
        pool->count += code == CAIRN_OK;
    }
    return code;
}

/* A lost resident is replaced by an empty one; any other leaves. */
static bool replace_lost(struct cairn_pool *pool)
{
    bool any = false;
    struct cairn_err err;

    for (uint32_t i = 0; i < pool->count; i++) {
        struct cairn_instance *lost = pool->instances[i], *fresh = NULL;

        if (!cairn_instance_lost(lost))
            continue;
        any = true;
        if (lost->agent == 0 && open_resident(pool, &fresh, &err) == CAIRN_OK)
            pool->instances[i] = fresh;
        else
            pool->instances[i--] = pool->instances[--pool->count];
        cairn_instance_unref(lost);
    }
    if (any)
        make_ring(pool);
    return any;
}

/* --- making one --- */

static void uncount(void *context, uint64_t bytes)
{
    struct cairn_pool *pool = context;

    cairn_cache_count_large(pool->cache, -(int64_t)bytes);
}

static void wake(void *context)
{
    struct cairn_pool *pool = context;

    if (pool->wake)
        pool->wake(pool->wake_context);
}

enum cairn_code cairn_pool_create(const struct cairn_pool_options *options, struct cairn_pool **ret_pool,
                                  struct cairn_err *err)
{
    struct cairn_pool *pool;
    enum cairn_code code;

    if (!cairn_residents_there())
        return cairn_fail(err, CAIRN_ENOTFOUND, "this binary was built without clang, and has no guest for instances");
    pool = cairn_alloc_zeroed(1, sizeof *pool);
    pool->cache = options->cache;
    pool->clock = options->clock;
    pool->redundancy = options->redundancy;
    pool->erasure = cairn_erasure_new(&options->redundancy);
    pool->next_id = 1;
    pool->gone.uncount = uncount;
    pool->gone.wake = wake;
    pool->gone.context = pool;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_mutex_init(&pool->collecting, NULL);
    code = cairn_residents_create(&pool->gone, options->bytes_max / SLACK_SHARE, &pool->residents, err);
    if (code == CAIRN_OK)
        code = open_all(pool, options->bytes_max, err);
    if (code != CAIRN_OK) {
        cairn_pool_destroy(pool);
        return code;
    }
    make_ring(pool);
    *ret_pool = pool;
    return CAIRN_OK;
}

struct cairn_pool *cairn_pool_destroy(struct cairn_pool *pool)
{
    if (!pool)
        return NULL;
    cairn_pool_collect(pool);
    for (uint32_t i = 0; i < pool->count; i++)
        cairn_instance_unref(pool->instances[i]);
    free(pool->instances);
    cairn_ring_free(pool->ring);
    cairn_residents_destroy(pool->residents);
    cairn_erasure_free(pool->erasure);
    pthread_mutex_destroy(&pool->collecting);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    return NULL;
}

void cairn_pool_on_gone(struct cairn_pool *pool, void (*on_gone)(void *context), void *context)
{
    pool->wake = on_gone;
    pool->wake_context = context;
}

void cairn_pool_collect(struct cairn_pool *pool)
{
    if (pthread_mutex_trylock(&pool->collecting) != 0)
        return;
    cairn_gone_drop(&pool->gone);
    pthread_mutex_unlock(&pool->collecting);
}

void cairn_pool_join(struct cairn_pool *pool, struct cairn_instance *instance)
{
    pthread_mutex_lock(&pool->lock);
    if (pool->count < CAIRN_RING_INSTANCES_MAX) {
        pool->instances[pool->count++] = instance;
        make_ring(pool);
        instance = NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    if (instance) {
        instance->ops->end(instance);
        cairn_instance_unref(instance);
    }
}

struct cairn_gone *cairn_pool_gone(struct cairn_pool *pool)
{
    return &pool->gone;
}

uint64_t cairn_pool_next_id(struct cairn_pool *pool)
{
    return atomic_fetch_add_explicit(&pool->next_id, 1, memory_order_relaxed);
}

bool cairn_pool_reclaim(struct cairn_pool *pool, uint64_t id)
{
    bool found = false;

    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->count && !found; i++)
        if (pool->instances[i]->id == id) {
            pool->instances[i]->ops->end(pool->instances[i]);
            found = true;
        }
    if (found) {
        atomic_fetch_add_explicit(&pool->stats.reclaimed, 1, memory_order_relaxed);
        replace_lost(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

void cairn_pool_each(struct cairn_pool *pool, void (*each)(void *context, struct cairn_instance *instance),
                     void *context)
{
    pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->count; i++)
        each(context, pool->instances[i]);
    pthread_mutex_unlock(&pool->lock);
}

const struct cairn_redundancy *cairn_pool_redundancy(const struct cairn_pool *pool)
{
    return &pool->redundancy;
}

const struct cairn_erasure *cairn_pool_erasure(const struct cairn_pool *pool)
{
    return pool->erasure;
}

struct cairn_cache *cairn_pool_cache(const struct cairn_pool *pool)
{
    return pool->cache;
}

uint64_t cairn_pool_now_ns(struct cairn_pool *pool)
{
    return pool->clock->monotonic_ns(pool->clock);
}

uint64_t cairn_pool_slack_bytes(const struct cairn_pool *pool)
{
    return cairn_residents_slack_bytes(pool->residents);
}

struct cairn_pool_stats *cairn_pool_stats(struct cairn_pool *pool)
{
    return &pool->stats;
}

/* --- chunks --- */

static struct cairn_chunk *reserve_at(struct cairn_pool *pool, uint32_t at, struct cairn_large *large, uint32_t index)
{
    struct cairn_instance *instance = pool->instances[at];
    struct cairn_err err;
    struct cairn_chunk *chunk =
        instance->ops->reserve(instance, large->generation, index, cairn_cut_chunk_bytes(&large->cut), &err);

    if (!chunk)
        return NULL;
    cairn_cache_count_large(pool->cache, (int64_t)chunk->counted);
    atomic_store_explicit(&instance->used_ms, pool->clock->wall_ms(pool->clock), memory_order_relaxed);
    return chunk;
}

/* In the order of the ring; an instance that has no room is passed over. */
static uint32_t reserve_all(struct cairn_pool *pool, struct cairn_large *large)
{
    uint32_t chunks = cairn_redundancy_chunks(&pool->redundancy), reserved = 0;
    uint32_t *places;
    size_t count;

    pthread_mutex_lock(&pool->lock);
    replace_lost(pool);
    places = cairn_alloc((pool->count + 1) * sizeof *places);
    count = cairn_ring_place(pool->ring, large->hash, pool->count, places, NULL, NULL);
    for (size_t i = 0; i < count && reserved < chunks; i++) {
        large->chunks[reserved] = reserve_at(pool, places[i], large, reserved);
        reserved += large->chunks[reserved] != NULL;
    }
    pthread_mutex_unlock(&pool->lock);
    free(places);
    return reserved;
}

static size_t struct_bytes(const struct cairn_pool *pool)
{
    return sizeof(struct cairn_large) + cairn_redundancy_chunks(&pool->redundancy) * sizeof(struct cairn_chunk *);
}

uint64_t cairn_large_bytes(const struct cairn_pool *pool, uint64_t bytes)
{
    struct cairn_cut cut = cairn_cut(&pool->redundancy, bytes);

    return (cairn_cut_chunk_bytes(&cut) + 8192 + 1024) * cairn_redundancy_chunks(&pool->redundancy) +
           struct_bytes(pool);
}

static void far_ref(struct cairn_cache_far *far)
{
    cairn_large_ref(cairn_container(far, struct cairn_large, far));
}

static void far_unref(struct cairn_cache_far *far)
{
    cairn_large_unref(cairn_container(far, struct cairn_large, far));
}

static bool far_lost(struct cairn_cache_far *far)
{
    return !cairn_large_readable(cairn_container(far, struct cairn_large, far));
}

static uint64_t far_bytes(struct cairn_cache_far *far)
{
    return cairn_large_counted(cairn_container(far, struct cairn_large, far));
}

static const struct cairn_cache_far_ops far_ops = {far_ref, far_unref, far_lost, far_bytes};

enum cairn_code cairn_large_reserve(struct cairn_pool *pool, uint64_t hash, uint64_t bytes, struct cairn_large **ret,
                                    struct cairn_err *err)
{
    struct cairn_large *large = cairn_alloc_zeroed(1, struct_bytes(pool));
    uint32_t reserved;

    assert(bytes > 0 && bytes <= CAIRN_LARGE_BYTES_MAX);
    large->far = (struct cairn_cache_far){&far_ops, (uint32_t)bytes};
    large->pool = pool;
    large->cut = cairn_cut(&pool->redundancy, bytes);
    large->generation = cairn_cache_take_generation(pool->cache);
    large->hash = hash;
    large->refs = 1;
    pthread_mutex_init(&large->lock, NULL);
    cairn_cache_count_large(pool->cache, (int64_t)struct_bytes(pool));
    reserved = reserve_all(pool, large);
    if (reserved < pool->redundancy.data) {
        cairn_large_unref(large);
        return cairn_fail(err, CAIRN_ELIMIT, "too few instances have room: %u of %u", reserved,
                          cairn_redundancy_chunks(&pool->redundancy));
    }
    *ret = large;
    return CAIRN_OK;
}

struct cairn_large *cairn_large_ref(struct cairn_large *large)
{
    atomic_fetch_add_explicit(&large->refs, 1, memory_order_relaxed);
    return large;
}

void cairn_large_unref(struct cairn_large *large)
{
    struct cairn_pool *pool;

    if (!large || atomic_fetch_sub_explicit(&large->refs, 1, memory_order_acq_rel) > 1)
        return;
    pool = large->pool;
    for (uint32_t i = 0; i < cairn_redundancy_chunks(&large->cut.redundancy); i++)
        cairn_chunk_unref(large->chunks[i]);
    cairn_cache_count_large(pool->cache, -(int64_t)struct_bytes(pool));
    pthread_mutex_destroy(&large->lock);
    free(large);
}

uint64_t cairn_large_counted(struct cairn_large *large)
{
    uint64_t bytes = struct_bytes(large->pool);

    pthread_mutex_lock(&large->lock);
    for (uint32_t i = 0; i < cairn_redundancy_chunks(&large->cut.redundancy); i++)
        bytes += large->chunks[i] ? large->chunks[i]->counted : 0;
    pthread_mutex_unlock(&large->lock);
    return bytes;
}

uint32_t cairn_large_lost(struct cairn_large *large)
{
    uint32_t lost = 0;

    pthread_mutex_lock(&large->lock);
    for (uint32_t i = 0; i < cairn_redundancy_chunks(&large->cut.redundancy); i++)
        lost += !large->chunks[i] || cairn_chunk_lost(large->chunks[i]);
    pthread_mutex_unlock(&large->lock);
    return lost;
}

void cairn_large_chunks(struct cairn_large *large, struct cairn_chunk *ret[CAIRN_CHUNKS_MAX])
{
    pthread_mutex_lock(&large->lock);
    for (uint32_t i = 0; i < cairn_redundancy_chunks(&large->cut.redundancy); i++) {
        struct cairn_chunk *chunk = large->chunks[i];

        ret[i] = chunk && !cairn_chunk_lost(chunk) ? cairn_chunk_ref(chunk) : NULL;
    }
    pthread_mutex_unlock(&large->lock);
}

/* --- repair --- */

static bool has_chunk_at(struct cairn_large *large, struct cairn_chunk *const *others,
                         const struct cairn_instance *instance)
{
    for (uint32_t i = 0; i < cairn_redundancy_chunks(&large->cut.redundancy); i++)
        if ((large->chunks[i] && large->chunks[i]->instance == instance) ||
            (others[i] && others[i]->instance == instance))
            return true;
    return false;
}

struct cairn_chunk *cairn_large_reserve_again(struct cairn_large *large, uint32_t index,
                                              struct cairn_chunk *const *others)
{
    struct cairn_pool *pool = large->pool;
    struct cairn_chunk *chunk = NULL;
    uint32_t *places;
    size_t count;

    pthread_mutex_lock(&pool->lock);
    replace_lost(pool);
    places = cairn_alloc((pool->count + 1) * sizeof *places);
    count = cairn_ring_place(pool->ring, large->hash, pool->count, places, NULL, NULL);
    pthread_mutex_lock(&large->lock);
    for (size_t i = 0; i < count && !chunk; i++)
        if (!has_chunk_at(large, others, pool->instances[places[i]]))
            chunk = reserve_at(pool, places[i], large, index);
    pthread_mutex_unlock(&large->lock);
    pthread_mutex_unlock(&pool->lock);
    free(places);
    return chunk;
}

void cairn_large_replace(struct cairn_large *large, uint32_t index, struct cairn_chunk *chunk)
{
    struct cairn_chunk *old;

    pthread_mutex_lock(&large->lock);
    old = large->chunks[index];
    large->chunks[index] = chunk;
    pthread_mutex_unlock(&large->lock);
    cairn_chunk_unref(old);
}
