/* table.h - the keys of the cache, with their values, in the node's memory: strings with an expiry, and the order in
 * which they are evicted.  docs/design/0036-cache.md says why it is made like this.
 *
 * One table is for all workers.  It is cut into CAIRN_CACHE_STRIPES stripes by the key's hash, each with a lock of its
 * own; a key has the same stripe in every database.  A command finds out which stripes its keys have, locks them in
 * order, does all of its work, and unlocks them.  Between the two it never waits.
 *
 * Databases are numbered: CAIRN_CACHE_DATABASES for each namespace that has used the cache (cairn_cache_space).
 *
 * What has expired is not there: find tells so exactly to 1 ms.  Its memory comes back when the key is touched, when
 * its stripe is written to, or when the table is tended.
 *
 * Each change of a key gives it a generation that no key ever had, also before a restart, as long as generations
 * begin where the last start's ended (generation.h).  A key that is not there has the generation of the last removal
 * among those keys that share its place of 16 in its stripe's database, so it may change though the key did not come
 * and go.
 *
 * Memory is counted as malloc gives it, with its overhead, and with the table's own.
 *
 * Threads: any; functions that say "locked" want the key's stripe locked by the caller.  Layer: cache; uses base. */
#ifndef CAIRN_CACHE_TABLE_H
#define CAIRN_CACHE_TABLE_H

#include <stdatomic.h>

#include "base/bytes.h"

enum {
    CAIRN_CACHE_STRIPES = 1024,
    CAIRN_CACHE_DATABASES = 16,        /* of a namespace */
    CAIRN_CACHE_SPACES_MAX = 256,      /* namespaces that have databases */
    CAIRN_CACHE_SPACE_NAME_BYTES = 64, /* at most */
    CAIRN_CACHE_KEY_BYTES_MAX = 65536, /* of a key */
    CAIRN_CACHE_VALUE_BYTES_MAX = 1 << 30,
    CAIRN_CACHE_APART_BYTES = 4096, /* a value above it has memory of its own, which readers share */
};

/* The order is that of cairn_cache_policy_name. */
enum cairn_cache_policy {
    CAIRN_CACHE_NOEVICTION,
    CAIRN_CACHE_ALLKEYS_LRU,
    CAIRN_CACHE_ALLKEYS_LFU,
    CAIRN_CACHE_ALLKEYS_RANDOM,
    CAIRN_CACHE_VOLATILE_LRU,
    CAIRN_CACHE_VOLATILE_LFU,
    CAIRN_CACHE_VOLATILE_RANDOM,
    CAIRN_CACHE_VOLATILE_TTL,
    CAIRN_CACHE_POLICIES
};

struct cairn_cache;
struct cairn_cache_entry;

struct cairn_cache_options {
    uint64_t bytes_max; /* of all that it keeps */
    enum cairn_cache_policy policy;
    uint32_t users; /* threads that make room at the same time, each with a number below it */
    uint64_t seed;
    uint64_t generation_first, generation_bound; /* given: first .. bound - 1 */
};

struct cairn_cache *cairn_cache_create(const struct cairn_cache_options *options);
/* No thread uses it any more.  Accepts NULL. */
void cairn_cache_destroy(struct cairn_cache *cache);

/* --- databases --- */

/* The first database of the namespace's; they are made if there are none yet.  False: as many namespaces as may be
 * have some. */
bool cairn_cache_space(struct cairn_cache *cache, struct cairn_bytes name, uint32_t *ret_database);
/* The namespace's life (it is another once the namespace was removed): keys of an earlier one are gone.  Nothing is
 * locked. */
void cairn_cache_space_life(struct cairn_cache *cache, uint32_t first_database, uint32_t life);
/* Tells of each namespace that has databases. */
void cairn_cache_spaces(struct cairn_cache *cache,
                        void (*each)(void *context, struct cairn_bytes name, uint32_t first_database), void *context);

/* --- keys and locks --- */

struct cairn_cache_key {
    struct cairn_bytes name;
    uint32_t database, hash, stripe;
};

/* The name is borrowed. */
struct cairn_cache_key cairn_cache_key(const struct cairn_cache *cache, uint32_t database, struct cairn_bytes name);

/* A set of stripes; zeroed is empty. */
struct cairn_cache_locks {
    uint64_t bits[CAIRN_CACHE_STRIPES / 64];
};

static inline void cairn_cache_locks_add(struct cairn_cache_locks *locks, uint32_t stripe)
{
    locks->bits[stripe / 64] |= UINT64_C(1) << stripe % 64;
}

void cairn_cache_locks_add_all(struct cairn_cache_locks *locks);
/* In the order of their numbers. */
void cairn_cache_lock(struct cairn_cache *cache, const struct cairn_cache_locks *locks);
void cairn_cache_unlock(struct cairn_cache *cache, const struct cairn_cache_locks *locks);
void cairn_cache_lock_one(struct cairn_cache *cache, uint32_t stripe);
void cairn_cache_unlock_one(struct cairn_cache *cache, uint32_t stripe);

/* Is told of entries. */
typedef void cairn_cache_each(void *context, const struct cairn_cache_entry *entry);

/* --- entries; locked, and valid until the next change of the key or until the stripe is unlocked --- */

enum cairn_cache_use {
    CAIRN_CACHE_PEEK,  /* nothing is counted */
    CAIRN_CACHE_LOOK,  /* a hit or a miss */
    CAIRN_CACHE_READ,  /* a hit or a miss, and the key is used: it is evicted later */
    CAIRN_CACHE_WRITE, /* the key is used */
};

/* NULL: it is not there. */
struct cairn_cache_entry *cairn_cache_find(struct cairn_cache *cache, const struct cairn_cache_key *key,
                                           uint64_t now_ms, enum cairn_cache_use use);

/* What OBJECT ENCODING tells; kept as it is by everything but a new value. */
enum cairn_cache_form {
    CAIRN_CACHE_PLAIN, /* as the value looks */
    CAIRN_CACHE_TEXT,  /* not a number, though it may look like one */
    CAIRN_CACHE_RAW,   /* it was edited */
};

struct cairn_bytes cairn_cache_name(const struct cairn_cache_entry *entry);
struct cairn_bytes cairn_cache_value(const struct cairn_cache_entry *entry);
enum cairn_cache_form cairn_cache_form(const struct cairn_cache_entry *entry);
uint64_t cairn_cache_expiry(const struct cairn_cache_entry *entry); /* Unix time in ms; 0: none */
uint64_t cairn_cache_generation(const struct cairn_cache_entry *entry);
size_t cairn_cache_entry_bytes(const struct cairn_cache_entry *entry); /* that it is counted with, but for its place */
/* Seconds since it was used; where the policy counts uses, how many, about.  The policy's other one means nothing. */
uint32_t cairn_cache_idle_seconds(const struct cairn_cache_entry *entry, uint64_t now_ms);
uint32_t cairn_cache_frequency(const struct cairn_cache_entry *entry, uint64_t now_ms);

/* The key has this value from now on, and this expiry (0: none).  The value may be another entry's, or its own. */
void cairn_cache_put(struct cairn_cache *cache, const struct cairn_cache_key *key, struct cairn_bytes value,
                     uint64_t expiry_ms, enum cairn_cache_form form, uint64_t now_ms);
/* The value of a key that is there gets this size: longer, by bytes of 0, or as it is.  It is CAIRN_CACHE_RAW from now
 * on.  Returns the value, to be written. */
uint8_t *cairn_cache_extend(struct cairn_cache *cache, const struct cairn_cache_key *key, size_t size, uint64_t now_ms);
/* --- large values (large.h): they lie elsewhere, and cairn_cache_value has their size and no bytes --- */

/* Begins what is kept of one. */
struct cairn_cache_far {
    const struct cairn_cache_far_ops {
        void (*ref)(struct cairn_cache_far *far);
        void (*unref)(struct cairn_cache_far *far);     /* waits for nothing */
        bool (*lost)(struct cairn_cache_far *far);      /* its key goes when it is met */
        uint64_t (*bytes)(struct cairn_cache_far *far); /* that it takes, elsewhere and here */
    } * ops;
    uint32_t size; /* of the value */
};
/* For as long as the entry is valid; NULL: its value is not large. */
struct cairn_cache_far *cairn_cache_far(const struct cairn_cache_entry *entry);
/* As cairn_cache_put; the key has a reference of its own. */
void cairn_cache_put_large(struct cairn_cache *cache, const struct cairn_cache_key *key, struct cairn_cache_far *value,
                           uint64_t expiry_ms, uint64_t now_ms);
/* Counts `more` bytes of large values; any thread, locked or not. */
void cairn_cache_count_large(struct cairn_cache *cache, int64_t more);
uint64_t cairn_cache_large_bytes(const struct cairn_cache *cache);
/* A generation that no key and no value ever had. */
uint64_t cairn_cache_take_generation(struct cairn_cache *cache);
/* Tells of the large values of a stripe, which it locks meanwhile. */
void cairn_cache_each_large(struct cairn_cache *cache, uint32_t stripe, cairn_cache_each *each, void *context);
uint32_t cairn_cache_entry_database(const struct cairn_cache_entry *entry);

/* 0: none.  False: the key is not there. */
bool cairn_cache_set_expiry(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t expiry_ms,
                            uint64_t now_ms);
/* False: it was not there. */
bool cairn_cache_remove(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t now_ms);

/* A value that has memory of its own stays as it is for as long as it is referred to, also when the key gets another
 * one.  NULL: it has none.  unref may be called by any thread, locked or not. */
struct cairn_cache_apart;
struct cairn_cache_apart *cairn_cache_ref(struct cairn_cache_entry *entry);
struct cairn_bytes cairn_cache_apart_bytes(const struct cairn_cache_apart *apart);
void cairn_cache_unref(struct cairn_cache *cache, struct cairn_cache_apart *apart);

/* What WATCH compares; locked. */
struct cairn_cache_state {
    uint64_t generation;
    bool there;
};
struct cairn_cache_state cairn_cache_state(struct cairn_cache *cache, const struct cairn_cache_key *key,
                                           uint64_t now_ms);

/* --- all of a database --- */

struct cairn_cache_counts {
    uint64_t keys, expires, bytes;
    uint64_t expiry_sum_ms; /* of the keys that expire */
};

/* `locked`: all stripes are; otherwise each is locked for itself, and the sum is of no one moment.  The same below. */
void cairn_cache_count(struct cairn_cache *cache, uint32_t database, bool locked,
                       struct cairn_cache_counts *ret_counts);
uint64_t cairn_cache_keys(struct cairn_cache *cache, uint32_t database, bool locked);

/* Goes on from `cursor` (0: begins) by one bucket, and returns where the next begins; 0: it was the last.  What is
 * there from the first call to the last is given at least once, however the table grows and shrinks meanwhile. */
uint64_t cairn_cache_scan(struct cairn_cache *cache, uint32_t database, uint64_t cursor, bool locked,
                          cairn_cache_each *each, void *context);
/* Tells of a random key, for as long as the call; false: there is none. */
bool cairn_cache_random(struct cairn_cache *cache, uint32_t database, bool locked, uint64_t now_ms,
                        cairn_cache_each *each, void *context);
/* Removes all keys of `count` databases; all stripes are locked.  Their memory comes back by sweep and tend. */
void cairn_cache_flush(struct cairn_cache *cache, uint32_t database, uint32_t count);
/* Gives memory back of at most so many removed keys, about; nothing is locked. */
void cairn_cache_sweep(struct cairn_cache *cache, uint64_t keys_max);
/* Gives back what has expired or was flushed; about once a second, by one thread, nothing is locked. */
void cairn_cache_tend(struct cairn_cache *cache, uint64_t now_ms);

/* --- room; nothing is locked --- */

/* Evicts until `more` bytes fit.  False: they do not. */
bool cairn_cache_make_room(struct cairn_cache *cache, uint32_t user, uint64_t more, uint64_t now_ms);
/* Also in between, while a command makes a value larger than it said; locked, and nothing is evicted. */
bool cairn_cache_has_room(const struct cairn_cache *cache, uint64_t more);

const char *cairn_cache_policy_name(enum cairn_cache_policy policy);
/* CAIRN_CACHE_POLICIES: there is none of that name. */
enum cairn_cache_policy cairn_cache_policy_by_name(struct cairn_bytes name);

enum cairn_cache_policy cairn_cache_policy(const struct cairn_cache *cache);
void cairn_cache_set_policy(struct cairn_cache *cache, enum cairn_cache_policy policy);
uint64_t cairn_cache_bytes_max(const struct cairn_cache *cache);
void cairn_cache_set_bytes_max(struct cairn_cache *cache, uint64_t bytes_max);
uint64_t cairn_cache_bytes(const struct cairn_cache *cache); /* used */

struct cairn_cache_stats {
    uint64_t hits, misses, expired, evicted;
    uint64_t lost; /* large values that had lost more chunks than their parity */
};
void cairn_cache_stats(struct cairn_cache *cache, struct cairn_cache_stats *ret_stats);

/* --- generations --- */

/* False: too few are left for another command, and nothing may be changed until the bound is raised. */
bool cairn_cache_may_change(const struct cairn_cache *cache);
/* The next that was not given yet, and the bound. */
uint64_t cairn_cache_next_generation(const struct cairn_cache *cache);
uint64_t cairn_cache_generation_bound(const struct cairn_cache *cache);
void cairn_cache_raise_bound(struct cairn_cache *cache, uint64_t bound);

#endif
