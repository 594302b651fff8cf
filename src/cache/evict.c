/* evict.c - which keys go when there is no room: as Redis chooses them, by samples.
 *
 * A user keeps a pool of the best candidates that its samples have found.  They are found again by their generation,
 * so that nothing of the table is held between two commands; one that has been changed since is none any more. */
#include "cache/table_internal.h"

enum { LOOKS = 64 /* for a candidate that is still there, before it is given up */ };

static bool policy_is_volatile(enum cairn_cache_policy policy)
{
    return policy >= CAIRN_CACHE_VOLATILE_LRU;
}

static uint32_t eligible(const struct stripe *stripe, bool expiring)
{
    return atomic_load_explicit(expiring ? &stripe->expires : &stripe->keys, memory_order_relaxed);
}

/* A stripe that has keys of the kind, random, about; CAIRN_CACHE_STRIPES: there is none. */
static uint32_t choose_stripe(const struct cairn_cache *cache, struct pool *pool, bool expiring)
{
    uint32_t from = (uint32_t)cairn_random_below(&pool->random, CAIRN_CACHE_STRIPES);

    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++)
        if (eligible(&cache->stripes[(from + i) % CAIRN_CACHE_STRIPES], expiring) > 0)
            return (from + i) % CAIRN_CACHE_STRIPES;
    return CAIRN_CACHE_STRIPES;
}

/* The database of the stripe that a random one of its keys is in; locked. */
static struct shelf *choose_shelf(struct stripe *stripe, struct pool *pool, bool expiring, uint32_t *ret_database)
{
    uint64_t keys = eligible(stripe, expiring), nth = keys ? cairn_random_below(&pool->random, keys) : 0;

    for (uint32_t database = 0; keys && (database == 0 || database < stripe->other_count); database++) {
        struct shelf *shelf = stripe_shelf(stripe, database);
        uint32_t count = !shelf ? 0 : expiring ? shelf->heap_count : shelf->count;

        *ret_database = database;
        if (nth < count)
            return shelf;
        nth -= count;
    }
    return NULL;
}

static struct cairn_cache_entry *choose_entry(struct shelf *shelf, struct pool *pool, bool expiring)
{
    return expiring ? shelf->heap[cairn_random_below(&pool->random, shelf->heap_count)]
                    : shelf_random(shelf, &pool->random);
}

static uint64_t score(const struct cairn_cache_entry *entry, enum cairn_cache_policy policy, uint64_t now_ms)
{
    if (policy == CAIRN_CACHE_VOLATILE_TTL)
        return UINT64_MAX - entry_expiry(entry)->ms;
    return policy_counts_uses(policy) ? 255 - lfu_now(entry, now_ms) : cairn_cache_idle_seconds(entry, now_ms);
}

static void offer(struct pool *pool, const struct candidate *candidate)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < pool->count; i++)
        if (pool->candidates[i].generation == candidate->generation)
            return;
    while (at < pool->count && pool->candidates[at].score < candidate->score)
        at++;
    if (pool->count < POOL_ENTRIES) {
        memmove(&pool->candidates[at + 1], &pool->candidates[at], (pool->count - at) * sizeof *candidate);
        pool->count++;
    } else {
        if (at == 0)
            return; /* the others are all better */
        memmove(&pool->candidates[0], &pool->candidates[1], --at * sizeof *candidate);
    }
    pool->candidates[at] = *candidate;
}

/* False: there is nothing that may be evicted. */
static bool sample(struct cairn_cache *cache, struct pool *pool, enum cairn_cache_policy policy, uint64_t now_ms)
{
    bool expiring = policy_is_volatile(policy);
    uint32_t index = choose_stripe(cache, pool, expiring);
    struct stripe *stripe = &cache->stripes[index % CAIRN_CACHE_STRIPES];

    if (index == CAIRN_CACHE_STRIPES)
        return false;
    pthread_mutex_lock(&stripe->lock);
    for (int i = 0; i < SAMPLES; i++) {
        uint32_t database;
        struct shelf *shelf = choose_shelf(stripe, pool, expiring, &database);
        const struct cairn_cache_entry *entry = shelf ? choose_entry(shelf, pool, expiring) : NULL;

        if (entry)
            offer(pool, &(struct candidate){.score = score(entry, policy, now_ms),
                                            .generation = entry->generation,
                                            .stripe = index,
                                            .database = database,
                                            .hash = entry->hash});
    }
    pthread_mutex_unlock(&stripe->lock);
    return true;
}

/* False: it is not there any more. */
static bool evict_candidate(struct cairn_cache *cache, const struct candidate *candidate)
{
    struct stripe *stripe = &cache->stripes[candidate->stripe];
    struct cairn_cache_entry **at;
    struct shelf *shelf;
    bool found;

    pthread_mutex_lock(&stripe->lock);
    shelf = stripe_shelf(stripe, candidate->database);
    at = shelf ? shelf_find_generation(shelf, candidate->hash, candidate->generation) : NULL;
    found = at && *at;
    if (found)
        table_drop(cache, stripe, shelf, at, EVICTED);
    pthread_mutex_unlock(&stripe->lock);
    return found;
}

static bool evict_best(struct cairn_cache *cache, struct pool *pool, enum cairn_cache_policy policy, uint64_t now_ms)
{
    if (pool->policy != policy) {
        pool->count = 0;
        pool->policy = policy;
    }
    for (int looks = 0; looks < LOOKS; looks++) {
        if (!sample(cache, pool, policy, now_ms))
            return false;
        while (pool->count > 0)
            if (evict_candidate(cache, &pool->candidates[--pool->count]))
                return true;
    }
    return true; /* others evict, too */
}

static bool evict_random(struct cairn_cache *cache, struct pool *pool, bool expiring)
{
    uint32_t index = choose_stripe(cache, pool, expiring), database;
    struct cairn_cache_entry *entry;
    struct stripe *stripe;
    struct shelf *shelf;

    if (index == CAIRN_CACHE_STRIPES)
        return false;
    stripe = &cache->stripes[index];
    pthread_mutex_lock(&stripe->lock);
    shelf = choose_shelf(stripe, pool, expiring, &database);
    if (shelf) {
        entry = choose_entry(shelf, pool, expiring);
        table_drop(cache, stripe, shelf, shelf_find_generation(shelf, entry->hash, entry->generation), EVICTED);
    }
    pthread_mutex_unlock(&stripe->lock);
    return true;
}

bool cairn_cache_make_room(struct cairn_cache *cache, uint32_t user, uint64_t more, uint64_t now_ms)
{
    struct pool *pool = &cache->pools[user];
    enum cairn_cache_policy policy = cairn_cache_policy(cache);

    if (cairn_cache_has_room(cache, more))
        return true;
    if (policy == CAIRN_CACHE_NOEVICTION || more > cairn_cache_bytes_max(cache))
        return false;
    while (!cairn_cache_has_room(cache, more)) {
        bool any;

        /* Where large values have most of the bytes, small keys would go by the thousands for one of them. */
        if (policy == CAIRN_CACHE_ALLKEYS_LRU && cairn_cache_large_bytes(cache) > cairn_cache_bytes(cache) / 2 &&
            table_evict_large(cache))
            continue;
        any = policy == CAIRN_CACHE_ALLKEYS_RANDOM || policy == CAIRN_CACHE_VOLATILE_RANDOM
                  ? evict_random(cache, pool, policy_is_volatile(policy))
                  : evict_best(cache, pool, policy, now_ms);
        if (!any)
            return cairn_cache_has_room(cache, more);
    }
    return true;
}
