/* shelf.c - a database's keys in one stripe: chained buckets that are split and joined one at a time, and a binary
 * heap of those that expire. */
#include <assert.h>
#include <malloc.h>
#include <stdlib.h>

#include "cache/table_internal.h"

enum { HEAP_FIRST = 4, SHRINK = 4 /* fewer keys than buckets by this factor: buckets are joined */ };

/* --- buckets --- */

/* The greatest power of two that is not above n. */
static uint32_t power(uint32_t n)
{
    return UINT32_C(1) << (31 - (uint32_t)__builtin_clz(n));
}

/* The bucket that was split to make this one, which is not the first. */
static uint32_t elder(uint32_t bucket)
{
    return bucket - power(bucket);
}

static uint32_t place(const struct shelf *shelf, uint32_t hash)
{
    uint32_t p = power(shelf->size), i = hash & (2 * p - 1);

    return i < shelf->size ? i : i & (p - 1);
}

static void set_capacity(struct shelf *shelf, uint32_t capacity)
{
    size_t before = shelf->buckets ? malloc_usable_size(shelf->buckets) : 0;

    shelf->buckets = cairn_realloc(shelf->buckets, capacity * sizeof *shelf->buckets);
    shelf->capacity = capacity;
    shelf->bytes += (int64_t)malloc_usable_size(shelf->buckets) - (int64_t)before;
}

/* The new bucket takes from its elder what belongs to it now. */
static void split(struct shelf *shelf)
{
    uint32_t young = shelf->size;
    struct cairn_cache_entry **from, **to;

    if (shelf->size == shelf->capacity)
        set_capacity(shelf, shelf->capacity + shelf->capacity / 8 + 1);
    to = &shelf->buckets[young];
    *to = NULL;
    shelf->size++;
    if (young == 0)
        return;
    from = &shelf->buckets[elder(young)];
    while (*from) {
        struct cairn_cache_entry *entry = *from;

        if (place(shelf, entry->hash) == young) {
            *from = entry->next;
            entry->next = NULL;
            *to = entry;
            to = &entry->next;
        } else {
            from = &entry->next;
        }
    }
}

static void join(struct shelf *shelf)
{
    uint32_t last = shelf->size - 1;
    struct cairn_cache_entry **at = &shelf->buckets[elder(last)];

    shelf->size--;
    while (*at)
        at = &(*at)->next;
    *at = shelf->buckets[last];
    if (shelf->capacity > 2 * shelf->size + 16)
        set_capacity(shelf, shelf->size + shelf->size / 8);
}

struct cairn_cache_entry **shelf_find(const struct shelf *shelf, uint32_t hash, struct cairn_bytes name)
{
    struct cairn_cache_entry **at;

    if (!shelf->size)
        return NULL;
    for (at = &shelf->buckets[place(shelf, hash)]; *at; at = &(*at)->next)
        if ((*at)->hash == hash && (*at)->key_size == name.size &&
            (name.size == 0 || memcmp(entry_key(*at), name.data, name.size) == 0))
            break;
    return at;
}

struct cairn_cache_entry **shelf_find_generation(const struct shelf *shelf, uint32_t hash, uint64_t generation)
{
    struct cairn_cache_entry **at;

    if (!shelf->size)
        return NULL;
    for (at = &shelf->buckets[place(shelf, hash)]; *at && (*at)->generation != generation;)
        at = &(*at)->next;
    return at;
}

void shelf_add(struct shelf *shelf, struct cairn_cache_entry *entry)
{
    struct cairn_cache_entry **at;

    shelf->count++;
    if (shelf->count > shelf->size)
        split(shelf);
    at = &shelf->buckets[place(shelf, entry->hash)];
    entry->next = *at;
    *at = entry;
    if (entry->expires)
        heap_add(shelf, entry);
}

void shelf_unlink(struct shelf *shelf, struct cairn_cache_entry **at)
{
    struct cairn_cache_entry *entry = *at;

    if (entry->expires)
        heap_remove(shelf, entry);
    *at = entry->next;
    shelf->count--;
    for (int i = 0; i < SHRINK && shelf->size > 1 && shelf->count < shelf->size / SHRINK; i++)
        join(shelf);
}

void shelf_replace(struct shelf *shelf, struct cairn_cache_entry **at, struct cairn_cache_entry *entry)
{
    struct cairn_cache_entry *old = *at;

    if (old->expires)
        heap_remove(shelf, old);
    entry->next = old->next;
    *at = entry;
    if (entry->expires)
        heap_add(shelf, entry);
}

/* --- going through all of it --- */

static uint32_t reversed(uint32_t v)
{
    v = (v >> 1 & 0x55555555) | (v & 0x55555555) << 1;
    v = (v >> 2 & 0x33333333) | (v & 0x33333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f) | (v & 0x0f0f0f0f) << 4;
    return __builtin_bswap32(v);
}

/* Hashes are gone through in the order of their reversed bits: a bucket's are neighbours in it, whatever the number
 * of buckets, so that all before the cursor has been given. */
uint32_t shelf_scan(const struct shelf *shelf, uint32_t cursor, cairn_cache_each *each, void *context)
{
    uint32_t p, low, mask;

    if (!shelf->size)
        return 0;
    p = power(shelf->size);
    low = cursor & (p - 1);
    mask = low + p < shelf->size ? 2 * p - 1 : p - 1; /* of the bits that the bucket's hashes share */
    for (const struct cairn_cache_entry *entry = shelf->buckets[cursor & mask]; entry; entry = entry->next)
        each(context, entry);
    return reversed(reversed(cursor | ~mask) + 1);
}

struct cairn_cache_entry *shelf_random(const struct shelf *shelf, struct cairn_random *random)
{
    struct cairn_cache_entry *entry = NULL, *at;
    uint32_t length = 0;

    if (!shelf->count)
        return NULL;
    while (!entry)
        entry = shelf->buckets[cairn_random_below(random, shelf->size)];
    for (at = entry; at; at = at->next)
        length++;
    for (uint64_t i = length > 1 ? cairn_random_below(random, length) : 0; i > 0; i--)
        entry = entry->next;
    return entry;
}

/* --- the heap --- */

static void heap_put(struct shelf *shelf, uint32_t at, struct cairn_cache_entry *entry)
{
    shelf->heap[at] = entry;
    entry_expiry(entry)->heap = at;
}

static void heap_up(struct shelf *shelf, uint32_t at)
{
    struct cairn_cache_entry *entry = shelf->heap[at];

    while (at > 0 && entry_expiry(shelf->heap[(at - 1) / 2])->ms > entry_expiry(entry)->ms) {
        heap_put(shelf, at, shelf->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(shelf, at, entry);
}

static void heap_down(struct shelf *shelf, uint32_t at)
{
    struct cairn_cache_entry *entry = shelf->heap[at];

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= shelf->heap_count)
            break;
        if (child + 1 < shelf->heap_count &&
            entry_expiry(shelf->heap[child + 1])->ms < entry_expiry(shelf->heap[child])->ms)
            child++;
        if (entry_expiry(shelf->heap[child])->ms >= entry_expiry(entry)->ms)
            break;
        heap_put(shelf, at, shelf->heap[child]);
        at = child;
    }
    heap_put(shelf, at, entry);
}

static void set_heap_capacity(struct shelf *shelf, uint32_t capacity)
{
    size_t before = shelf->heap ? malloc_usable_size(shelf->heap) : 0;

    shelf->heap = cairn_realloc(shelf->heap, capacity * sizeof *shelf->heap);
    shelf->heap_capacity = capacity;
    shelf->bytes += (int64_t)malloc_usable_size(shelf->heap) - (int64_t)before;
}

void heap_add(struct shelf *shelf, struct cairn_cache_entry *entry)
{
    if (shelf->heap_count == shelf->heap_capacity)
        set_heap_capacity(shelf, shelf->heap_capacity + shelf->heap_capacity / 4 + HEAP_FIRST);
    shelf->heap[shelf->heap_count++] = entry;
    heap_up(shelf, shelf->heap_count - 1);
}

void heap_remove(struct shelf *shelf, struct cairn_cache_entry *entry)
{
    uint32_t at = entry_expiry(entry)->heap;
    struct cairn_cache_entry *last = shelf->heap[--shelf->heap_count];

    assert(at <= shelf->heap_count);
    if (last != entry) {
        heap_put(shelf, at, last);
        heap_moved(shelf, last);
    }
    if (shelf->heap_capacity > 4 * shelf->heap_count + 4 * HEAP_FIRST)
        set_heap_capacity(shelf, shelf->heap_count + HEAP_FIRST);
}

void heap_moved(struct shelf *shelf, struct cairn_cache_entry *entry)
{
    heap_up(shelf, entry_expiry(entry)->heap);
    heap_down(shelf, entry_expiry(entry)->heap);
}

void shelf_done(struct shelf *shelf)
{
    free(shelf->buckets);
    free(shelf->heap);
    *shelf = (struct shelf){0};
}
