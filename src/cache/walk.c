/* walk.c - what is done with all keys of a database: counting, scanning, flushing; and what is done once a second. */
#include <stdlib.h>

#include "cache/table_internal.h"

enum {
    REAPED_AT_ONCE = 64,  /* under one hold of a lock */
    FLUSHED_EXACTLY = 64, /* keys of a shelf whose own places are told of a flush; of more all are */
};

static void lock(struct stripe *stripe, bool locked)
{
    if (!locked)
        pthread_mutex_lock(&stripe->lock);
}

static void unlock(struct stripe *stripe, bool locked)
{
    if (!locked)
        pthread_mutex_unlock(&stripe->lock);
}

/* --- counting --- */

void cairn_cache_count(struct cairn_cache *cache, uint32_t database, bool locked, struct cairn_cache_counts *ret_counts)
{
    struct cairn_cache_counts sums = {0};

    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        const struct shelf *shelf;

        lock(&cache->stripes[i], locked);
        shelf = stripe_shelf(&cache->stripes[i], database);
        if (shelf) {
            sums.keys += shelf->count;
            sums.expires += shelf->heap_count;
            sums.bytes += (uint64_t)shelf->bytes;
            for (uint32_t k = 0; k < shelf->heap_count; k++)
                sums.expiry_sum_ms += entry_expiry(shelf->heap[k])->ms;
        }
        unlock(&cache->stripes[i], locked);
    }
    *ret_counts = sums;
}

uint64_t cairn_cache_keys(struct cairn_cache *cache, uint32_t database, bool locked)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        const struct shelf *shelf;

        lock(&cache->stripes[i], locked);
        shelf = stripe_shelf(&cache->stripes[i], database);
        sum += shelf ? shelf->count : 0;
        unlock(&cache->stripes[i], locked);
    }
    return sum;
}

/* --- scanning --- */

uint64_t cairn_cache_scan(struct cairn_cache *cache, uint32_t database, uint64_t cursor, bool locked,
                          cairn_cache_each *each, void *context)
{
    uint32_t at = (uint32_t)(cursor / CAIRN_CACHE_STRIPES);

    for (uint64_t i = cursor % CAIRN_CACHE_STRIPES; i < CAIRN_CACHE_STRIPES; i++, at = 0) {
        struct stripe *stripe = &cache->stripes[i];
        const struct shelf *shelf;
        bool any;

        lock(stripe, locked);
        shelf = stripe_shelf(stripe, database);
        any = shelf && shelf->count > 0;
        if (any)
            at = shelf_scan(shelf, at, each, context);
        unlock(stripe, locked);
        if (any && at)
            return (uint64_t)at * CAIRN_CACHE_STRIPES + i;
        if (any)
            return (i + 1) % CAIRN_CACHE_STRIPES;
    }
    return 0;
}

/* The stripe that has the `nth` key, about: others may come and go. */
static struct stripe *stripe_of_nth(struct cairn_cache *cache, uint32_t database, uint64_t nth, bool locked)
{
    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        struct stripe *stripe = &cache->stripes[i];
        const struct shelf *shelf;
        uint32_t count;

        lock(stripe, locked);
        shelf = stripe_shelf(stripe, database);
        count = shelf ? shelf->count : 0;
        unlock(stripe, locked);
        if (nth < count)
            return stripe;
        nth -= count;
    }
    return NULL;
}

bool cairn_cache_random(struct cairn_cache *cache, uint32_t database, bool locked, uint64_t now_ms,
                        cairn_cache_each *each, void *context)
{
    struct cairn_random random;

    cairn_random_init(&random, now_ms ^ cairn_cache_next_generation(cache) ^ cache->stripes[0].hits);
    for (int tries = 0; tries < 100; tries++) {
        uint64_t keys = cairn_cache_keys(cache, database, locked);
        struct stripe *stripe = keys ? stripe_of_nth(cache, database, cairn_random_below(&random, keys), locked) : NULL;
        struct cairn_cache_entry *entry = NULL;
        struct shelf *shelf;

        if (!keys)
            return false;
        if (!stripe)
            continue;
        lock(stripe, locked);
        shelf = stripe_shelf(stripe, database);
        table_reap(cache, stripe, shelf, now_ms, UINT32_MAX);
        entry = shelf_random(shelf, &random);
        if (entry)
            each(context, entry);
        unlock(stripe, locked);
        if (entry)
            return true;
    }
    return false;
}

/* --- flushing --- */

uint64_t table_free_shelf(struct shelf *shelf)
{
    uint64_t freed = shelf->count;

    for (uint32_t i = 0; i < shelf->size; i++) {
        struct cairn_cache_entry *entry;

        while ((entry = shelf->buckets[i])) {
            shelf->buckets[i] = entry->next;
            table_free_entry(entry);
        }
    }
    shelf_done(shelf);
    return freed;
}

/* Its keys are gone: a session that watches one sees it.  Of a large one all places change, which is more than was
 * removed. */
static void note_flush(struct shelf *shelf, uint64_t generation)
{
    if (shelf->count > FLUSHED_EXACTLY) {
        for (uint32_t i = 0; i < SHELF_PLACES; i++)
            shelf->removed[i] = generation;
        return;
    }
    for (uint32_t i = 0; i < shelf->size; i++)
        for (const struct cairn_cache_entry *entry = shelf->buckets[i]; entry; entry = entry->next)
            shelf->removed[entry->hash >> 28] = generation;
}

static struct flushed *flush(struct cairn_cache *cache, struct stripe *stripe, uint32_t database, struct flushed *list)
{
    struct shelf *shelf = stripe_shelf(stripe, database);
    struct flushed *flushed;

    if (!shelf || !shelf->bytes)
        return list;
    note_flush(shelf, table_next_generation(cache, stripe));
    table_unlist_large(stripe, database);
    atomic_store_explicit(&stripe->keys, atomic_load_explicit(&stripe->keys, memory_order_relaxed) - shelf->count,
                          memory_order_relaxed);
    atomic_store_explicit(&stripe->expires,
                          atomic_load_explicit(&stripe->expires, memory_order_relaxed) - shelf->heap_count,
                          memory_order_relaxed);
    flushed = cairn_alloc(sizeof *flushed);
    flushed->next = list;
    flushed->shelf = *shelf;
    *shelf = (struct shelf){0};
    memcpy(shelf->removed, flushed->shelf.removed, sizeof shelf->removed);
    return flushed;
}

void cairn_cache_flush(struct cairn_cache *cache, uint32_t database, uint32_t count)
{
    struct flushed *list = NULL, *last;

    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++)
        for (uint32_t k = database; k < database + count; k++)
            list = flush(cache, &cache->stripes[i], k, list);
    if (!list)
        return;
    for (last = list; last->next;)
        last = last->next;
    pthread_mutex_lock(&cache->flushed_lock);
    last->next = cache->flushed;
    cache->flushed = list;
    pthread_mutex_unlock(&cache->flushed_lock);
}

void cairn_cache_space_life(struct cairn_cache *cache, uint32_t first_database, uint32_t life)
{
    _Atomic uint32_t *known = &cache->lives[first_database / CAIRN_CACHE_DATABASES];
    struct cairn_cache_locks all;

    if (atomic_load_explicit(known, memory_order_relaxed) == life)
        return;
    cairn_cache_locks_add_all(&all);
    cairn_cache_lock(cache, &all);
    if (atomic_load_explicit(known, memory_order_relaxed) != life) {
        cairn_cache_flush(cache, first_database, CAIRN_CACHE_DATABASES);
        atomic_store_explicit(known, life, memory_order_relaxed);
    }
    cairn_cache_unlock(cache, &all);
}

void cairn_cache_sweep(struct cairn_cache *cache, uint64_t keys_max)
{
    uint64_t swept = 0;

    while (swept < keys_max) {
        struct flushed *flushed;

        pthread_mutex_lock(&cache->flushed_lock);
        flushed = cache->flushed;
        if (flushed)
            cache->flushed = flushed->next;
        pthread_mutex_unlock(&cache->flushed_lock);
        if (!flushed)
            return;
        atomic_fetch_sub_explicit(&cache->bytes, flushed->shelf.bytes, memory_order_relaxed);
        swept += table_free_shelf(&flushed->shelf);
        free(flushed);
    }
}

/* --- once a second --- */

static void tend_shelf(struct cairn_cache *cache, struct stripe *stripe, uint32_t database, uint64_t now_ms)
{
    uint32_t reaped;

    do {
        struct shelf *shelf;

        pthread_mutex_lock(&stripe->lock);
        shelf = stripe_shelf(stripe, database);
        reaped = shelf ? table_reap(cache, stripe, shelf, now_ms, REAPED_AT_ONCE) : 0;
        pthread_mutex_unlock(&stripe->lock);
    } while (reaped == REAPED_AT_ONCE);
}

void cairn_cache_tend(struct cairn_cache *cache, uint64_t now_ms)
{
    cairn_cache_sweep(cache, UINT64_MAX);
    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        struct stripe *stripe = &cache->stripes[i];
        uint32_t shelves;

        if (!atomic_load_explicit(&stripe->expires, memory_order_relaxed))
            continue;
        tend_shelf(cache, stripe, 0, now_ms);
        pthread_mutex_lock(&stripe->lock);
        shelves = stripe->other_count;
        pthread_mutex_unlock(&stripe->lock);
        for (uint32_t database = 1; database < shelves; database++)
            tend_shelf(cache, stripe, database, now_ms);
    }
}
