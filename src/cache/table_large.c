/* table_large.c - entries whose values are large, and lie elsewhere: how the table has them, and CLOCK, by which they
 * go. */
#include <stdlib.h>

#include "cache/table_internal.h"

struct cairn_cache_far *cairn_cache_far(const struct cairn_cache_entry *entry)
{
    return entry->large ? entry_large(entry)->value : NULL;
}

uint32_t cairn_cache_entry_database(const struct cairn_cache_entry *entry)
{
    return entry->database;
}

void cairn_cache_count_large(struct cairn_cache *cache, int64_t more)
{
    atomic_fetch_add_explicit(&cache->bytes, more, memory_order_relaxed);
    atomic_fetch_add_explicit(&cache->large_bytes, more, memory_order_relaxed);
}

uint64_t cairn_cache_large_bytes(const struct cairn_cache *cache)
{
    int64_t bytes = atomic_load_explicit(&cache->large_bytes, memory_order_relaxed);

    return bytes > 0 ? (uint64_t)bytes : 0;
}

uint64_t cairn_cache_take_generation(struct cairn_cache *cache)
{
    return atomic_fetch_add_explicit(&cache->generation, 1, memory_order_relaxed);
}

/* --- places; locked --- */

void table_hang_large(struct stripe *stripe, struct cairn_cache_entry *entry, struct cairn_cache_far *value)
{
    struct large_place *place = cairn_alloc(sizeof *place);

    place->entry = entry;
    place->value = value;
    place->used = true;
    cairn_list_push_back(&stripe->large, &place->link);
    entry->large = true;
    memcpy(entry_key(entry) + entry->key_size, &place, sizeof place);
}

void table_drop_large(struct cairn_cache_entry *entry)
{
    struct large_place *place = entry_large(entry);

    cairn_list_remove(&place->link);
    place->value->ops->unref(place->value);
    free(place);
}

void table_unlist_large(struct stripe *stripe, uint32_t database)
{
    struct cairn_link *link, *next;

    for (link = stripe->large.next; link != &stripe->large; link = next) {
        next = link->next;
        if (cairn_container(link, struct large_place, link)->entry->database == database)
            cairn_list_remove(link);
    }
}

bool table_large_lost(const struct cairn_cache_entry *entry)
{
    return entry_large(entry)->value->ops->lost(entry_large(entry)->value);
}

size_t table_large_bytes(const struct cairn_cache_entry *entry)
{
    (void)entry;
    return sizeof(struct large_place) + 16;
}

void cairn_cache_put_large(struct cairn_cache *cache, const struct cairn_cache_key *key, struct cairn_cache_far *value,
                           uint64_t expiry_ms, uint64_t now_ms)
{
    struct stripe *stripe = &cache->stripes[key->stripe];
    struct shelf *shelf = table_make_shelf(cache, stripe, key->database);
    struct cairn_cache_entry **at = table_find(cache, stripe, shelf, key, now_ms), *entry;

    entry = table_make_pointing(key, value->size, expiry_ms);
    entry->clock = table_first_clock(cache, at ? *at : NULL, now_ms) & CLOCK_MAX;
    entry->form = CAIRN_CACHE_PLAIN;
    entry->generation = table_next_generation(cache, stripe);
    value->ops->ref(value);
    table_hang_large(stripe, entry, value);
    table_settle(cache, stripe, shelf, at, entry);
}

void cairn_cache_each_large(struct cairn_cache *cache, uint32_t stripe_index, cairn_cache_each *each, void *context)
{
    struct stripe *stripe = &cache->stripes[stripe_index];

    pthread_mutex_lock(&stripe->lock);
    for (struct cairn_link *link = stripe->large.next; link != &stripe->large; link = link->next)
        each(context, cairn_container(link, struct large_place, link)->entry);
    pthread_mutex_unlock(&stripe->lock);
}

/* --- CLOCK: the hand goes through the stripes, and through the values of each --- */

/* A value that was not used since the hand was here, or NULL; those that were have their second chance. */
static struct large_place *turn(struct stripe *stripe)
{
    struct cairn_link *last = stripe->large.prev, *link;

    if (cairn_list_empty(&stripe->large))
        return NULL;
    do {
        struct large_place *place;

        link = cairn_list_pop_front(&stripe->large);
        place = cairn_container(link, struct large_place, link);
        cairn_list_push_back(&stripe->large, link);
        if (!place->used)
            return place;
        place->used = false;
    } while (link != last);
    return NULL;
}

bool table_evict_large(struct cairn_cache *cache)
{
    for (uint32_t i = 0; i < 2 * CAIRN_CACHE_STRIPES; i++) {
        uint32_t at = atomic_fetch_add_explicit(&cache->hand, 1, memory_order_relaxed) % CAIRN_CACHE_STRIPES;
        struct stripe *stripe = &cache->stripes[at];
        struct cairn_cache_entry *entry;
        struct large_place *place;
        struct shelf *shelf;

        pthread_mutex_lock(&stripe->lock);
        place = turn(stripe);
        if (place) {
            entry = place->entry;
            shelf = stripe_shelf(stripe, entry->database);
            table_drop(cache, stripe, shelf, shelf_find_generation(shelf, entry->hash, entry->generation), EVICTED);
        }
        pthread_mutex_unlock(&stripe->lock);
        if (place)
            return true;
    }
    return false;
}
