/* table_internal.h - what the table is made of; seen inside cache/ only.
 *
 *   cairn_cache -> stripe (lock) -> shelf, one for each database -> bucket -> entry -> entry ..
 *                                        \-> heap of the entries that expire
 *
 * A shelf grows and shrinks by one bucket at a time (linear hashing): of n buckets, with p the greatest power of two
 * that is not above n, bucket i < n - p has been split into i and i + p. */
#ifndef CAIRN_CACHE_TABLE_INTERNAL_H
#define CAIRN_CACHE_TABLE_INTERNAL_H

#include <assert.h>
#include <pthread.h>

#include "base/list.h"
#include "base/random.h"
#include "cache/table.h"

enum {
    ENTRY_DATABASES = CAIRN_CACHE_SPACES_MAX * CAIRN_CACHE_DATABASES,
    SHELF_PLACES = 16, /* of generations of removals */
    POOL_ENTRIES = 16,
    SAMPLES = 5,
    CLOCK_MAX = 0xffffff,
    LFU_FIRST = 5, /* uses that a new key is given, so that it is not evicted at once */
};

struct cairn_cache_apart {
    _Atomic uint32_t refs;
    uint32_t size;
    size_t pages; /* bytes of the pages that it is alone on; 0: malloc's */
    uint8_t bytes[];
};

/* Of `text`: the expiry, if it has one; the key; the value, or the pointer to it. */
struct cairn_cache_entry {
    struct cairn_cache_entry *next;
    uint32_t hash;
    uint32_t clock : 24; /* seconds when it was used; where uses are counted 16 bits of minutes and 8 of uses */
    uint32_t form : 2;
    uint32_t expires : 1;
    uint32_t apart : 1;
    uint32_t large : 1; /* instead of the pointer to an apart value there is one to its place */
    uint64_t generation;
    uint32_t key_size : 20;
    uint32_t database : 12;
    uint32_t value_size;
    uint8_t text[];
};

static_assert(ENTRY_DATABASES <= 1 << 12, "an entry's database has 12 bits");
static_assert(CAIRN_CACHE_KEY_BYTES_MAX < 1 << 20, "the size of an entry's key has 20 bits");

struct entry_expiry {
    uint64_t ms;
    uint32_t heap; /* its place there */
    uint32_t unused;
};

static inline struct entry_expiry *entry_expiry(const struct cairn_cache_entry *entry)
{
    return (struct entry_expiry *)(void *)(uintptr_t)entry->text;
}

static inline uint8_t *entry_key(const struct cairn_cache_entry *entry)
{
    return (uint8_t *)(uintptr_t)entry->text + (entry->expires ? sizeof(struct entry_expiry) : 0);
}

static inline struct cairn_cache_apart *entry_apart(const struct cairn_cache_entry *entry)
{
    struct cairn_cache_apart *apart;

    memcpy(&apart, entry_key(entry) + entry->key_size, sizeof apart);
    return apart;
}

/* What an entry with a large value has of it; alone in its allocation, so that it is in a list. */
struct large_place {
    struct cairn_link link; /* of the stripe's large values: the next that CLOCK looks at is the first */
    struct cairn_cache_entry *entry;
    struct cairn_cache_far *value; /* a reference */
    bool used;                     /* since CLOCK has looked */
};

static inline struct large_place *entry_large(const struct cairn_cache_entry *entry)
{
    struct large_place *place;

    memcpy(&place, entry_key(entry) + entry->key_size, sizeof place);
    return place;
}

static inline bool entry_expired(const struct cairn_cache_entry *entry, uint64_t now_ms)
{
    return entry->expires && entry_expiry(entry)->ms <= now_ms;
}

/* A database's keys in one stripe. */
struct shelf {
    struct cairn_cache_entry **buckets;
    uint32_t count, size, capacity; /* keys; buckets; buckets that there is room for */
    uint32_t heap_count, heap_capacity;
    struct cairn_cache_entry **heap; /* the first to expire is the first */
    int64_t bytes;                   /* of its entries, buckets and heap */
    uint64_t removed[SHELF_PLACES];  /* generations, by the key's hash */
};

struct stripe {
    pthread_mutex_t lock;
    struct shelf first, **others;          /* of database 0; of the others, NULL where there are no keys */
    uint32_t other_count;                  /* in others */
    _Atomic uint32_t keys, expires;        /* of all shelves; written under the lock, read by what looks for a stripe */
    uint64_t generation, generation_bound; /* given here: generation .. bound - 1 */
    uint64_t hits, misses, expired, evicted, lost;
    struct cairn_link large; /* places */
} __attribute__((aligned(CAIRN_LINE_BYTES)));

/* What was flushed. */
struct flushed {
    struct flushed *next;
    struct shelf shelf;
};

/* A key that may be evicted.  It is found again by its hash and generation, and may be gone. */
struct candidate {
    uint64_t score; /* the greatest goes first */
    uint64_t generation;
    uint32_t stripe, database, hash;
};

/* Of one user; sorted, the best is the last. */
struct pool {
    struct candidate candidates[POOL_ENTRIES];
    uint32_t count;
    enum cairn_cache_policy policy; /* that the scores are of */
    struct cairn_random random;
} __attribute__((aligned(CAIRN_LINE_BYTES)));

struct cairn_cache {
    uint64_t seed;
    uint32_t users;
    size_t pages_from; /* values of so many bytes have pages of their own, which are given back at once */
    _Atomic enum cairn_cache_policy policy;
    _Atomic uint64_t bytes_max;
    _Atomic uint64_t generation, generation_bound; /* the next that no stripe has */
    pthread_mutex_t spaces_lock;                   /* of making one */
    char *_Atomic spaces[CAIRN_CACHE_SPACES_MAX];
    _Atomic uint32_t lives[CAIRN_CACHE_SPACES_MAX]; /* written with all stripes locked */
    pthread_mutex_t flushed_lock;
    struct flushed *flushed;
    struct pool *pools;
    _Atomic int64_t large_bytes; /* of `bytes`: of large values, in instances and here */
    _Atomic uint32_t hand;       /* CLOCK's: the stripe that it looks at next */
    _Atomic int64_t bytes __attribute__((aligned(CAIRN_LINE_BYTES)));
    struct stripe stripes[CAIRN_CACHE_STRIPES];
};

/* --- shelf.c: buckets and heap; what they are counted with is in shelf->bytes --- */

/* Where the link to it is, which is NULL if it is not there.  NULL: there are no buckets. */
struct cairn_cache_entry **shelf_find(const struct shelf *shelf, uint32_t hash, struct cairn_bytes name);
/* The same by its generation. */
struct cairn_cache_entry **shelf_find_generation(const struct shelf *shelf, uint32_t hash, uint64_t generation);
void shelf_add(struct shelf *shelf, struct cairn_cache_entry *entry);
void shelf_unlink(struct shelf *shelf, struct cairn_cache_entry **at);
/* `at` points to old, which is freed by the caller. */
void shelf_replace(struct shelf *shelf, struct cairn_cache_entry **at, struct cairn_cache_entry *entry);
/* One bucket, as cairn_cache_scan; 0: that was the last. */
uint32_t shelf_scan(const struct shelf *shelf, uint32_t cursor, cairn_cache_each *each, void *context);
/* NULL: it is empty. */
struct cairn_cache_entry *shelf_random(const struct shelf *shelf, struct cairn_random *random);
void heap_add(struct shelf *shelf, struct cairn_cache_entry *entry);
void heap_remove(struct shelf *shelf, struct cairn_cache_entry *entry);
/* Its time is another. */
void heap_moved(struct shelf *shelf, struct cairn_cache_entry *entry);
void shelf_done(struct shelf *shelf);

/* --- table.c and walk.c, for each other and evict.c --- */

static inline struct shelf *stripe_shelf(struct stripe *stripe, uint32_t database)
{
    if (database == 0)
        return &stripe->first;
    return database < stripe->other_count ? stripe->others[database] : NULL;
}

enum removal { REMOVED, EXPIRED, EVICTED, LOST };

/* `at` is where the link to it is; locked. */
void table_drop(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf, struct cairn_cache_entry **at,
                enum removal why);
/* Takes what is due: at most so many. */
uint32_t table_reap(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf, uint64_t now_ms,
                    uint32_t most);
/* Returns the bytes that were counted with it. */
size_t table_free_entry(struct cairn_cache_entry *entry);
/* With its entries; returns how many. */
uint64_t table_free_shelf(struct shelf *shelf);
uint64_t table_next_generation(struct cairn_cache *cache, struct stripe *stripe);
/* Its value is this one from now on, whose reference is taken over. */
void table_hang_large(struct stripe *stripe, struct cairn_cache_entry *entry, struct cairn_cache_far *value);
void table_drop_large(struct cairn_cache_entry *entry);
/* Those of a database, whose entries are freed later without the stripe's lock. */
void table_unlist_large(struct stripe *stripe, uint32_t database);
bool table_large_lost(const struct cairn_cache_entry *entry);
size_t table_large_bytes(const struct cairn_cache_entry *entry); /* of the place */
/* A large value that was not used since it was looked at last.  False: there is none at all. */
bool table_evict_large(struct cairn_cache *cache);
/* table.c: an entry that has memory for a pointer instead of its value. */
struct cairn_cache_entry *table_make_pointing(const struct cairn_cache_key *key, size_t value_size, uint64_t expiry_ms);
void table_settle(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf, struct cairn_cache_entry **at,
                  struct cairn_cache_entry *entry);
struct cairn_cache_entry **table_find(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf,
                                      const struct cairn_cache_key *key, uint64_t now_ms);
struct shelf *table_make_shelf(struct cairn_cache *cache, struct stripe *stripe, uint32_t database);
uint32_t table_first_clock(const struct cairn_cache *cache, const struct cairn_cache_entry *old, uint64_t now_ms);
uint32_t lfu_now(const struct cairn_cache_entry *entry, uint64_t now_ms);

static inline bool policy_counts_uses(enum cairn_cache_policy policy)
{
    return policy == CAIRN_CACHE_ALLKEYS_LFU || policy == CAIRN_CACHE_VOLATILE_LFU;
}

#endif
