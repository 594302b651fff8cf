/* table.c - stripes, entries and what is counted. */
#include "cache/table.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <strings.h>

#include "base/hash.h"
#include "cache/table_internal.h"

enum {
    PAGE_BYTES = 4096,
    PAGES_FROM = 64 << 10,       /* bytes of a value that may have pages of its own ... */
    MAPPED_MAX = 16384,          /* ... of which there are not more: the operating system has a bound of mappings */
    MALLOC_BYTES = 8,            /* that malloc keeps beside what it gives */
    REAPED_BY_WRITER = 4,        /* due keys that a write of another one takes away */
    GENERATION_BLOCK = 1024,     /* that a stripe takes at a time */
    GENERATIONS_SPARE = 1 << 24, /* so that a command that has begun can end */
};

static struct stripe *stripe_of(struct cairn_cache *cache, const struct cairn_cache_key *key)
{
    return &cache->stripes[key->stripe];
}

/* --- memory --- */

static void count(struct cairn_cache *cache, struct shelf *shelf, int64_t more)
{
    shelf->bytes += more;
    if (more)
        atomic_fetch_add_explicit(&cache->bytes, more, memory_order_relaxed);
}

/* What the shelf's own functions have allocated and freed since `before`. */
static void count_shelf(struct cairn_cache *cache, const struct shelf *shelf, int64_t before)
{
    if (shelf->bytes != before)
        atomic_fetch_add_explicit(&cache->bytes, shelf->bytes - before, memory_order_relaxed);
}

static size_t bytes_of(const void *memory)
{
    return malloc_usable_size((void *)(uintptr_t)memory) + MALLOC_BYTES;
}

static size_t bytes_of_apart(const struct cairn_cache_apart *apart)
{
    return apart->pages ? apart->pages : bytes_of(apart);
}

/* What large values take elsewhere is counted by themselves. */
static size_t counted(const struct cairn_cache_entry *entry)
{
    return bytes_of(entry) + (entry->apart   ? bytes_of_apart(entry_apart(entry))
                              : entry->large ? table_large_bytes(entry)
                                             : 0);
}

size_t cairn_cache_entry_bytes(const struct cairn_cache_entry *entry)
{
    return counted(entry) + (entry->large ? entry_large(entry)->value->ops->bytes(entry_large(entry)->value) : 0);
}

static struct cairn_cache_apart *make_apart(const struct cairn_cache *cache, size_t size)
{
    size_t bytes = sizeof(struct cairn_cache_apart) + size, pages = 0;
    struct cairn_cache_apart *apart;

    if (size >= cache->pages_from)
        pages = (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    apart = pages ? cairn_alloc_pages(pages) : cairn_alloc(bytes);
    atomic_init(&apart->refs, 1);
    apart->size = (uint32_t)size;
    apart->pages = pages;
    return apart;
}

/* What readers still refer to is no longer counted: their session's account is next. */
static void unref(struct cairn_cache_apart *apart)
{
    if (atomic_fetch_sub_explicit(&apart->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (apart->pages)
        cairn_free_pages(apart, apart->pages);
    else
        free(apart);
}

void cairn_cache_unref(struct cairn_cache *cache, struct cairn_cache_apart *apart)
{
    (void)cache;
    unref(apart);
}

struct cairn_cache_apart *cairn_cache_ref(struct cairn_cache_entry *entry)
{
    struct cairn_cache_apart *apart;

    if (!entry->apart)
        return NULL;
    apart = entry_apart(entry);
    atomic_fetch_add_explicit(&apart->refs, 1, memory_order_relaxed);
    return apart;
}

struct cairn_bytes cairn_cache_apart_bytes(const struct cairn_cache_apart *apart)
{
    return cairn_bytes(apart->bytes, apart->size);
}

size_t table_free_entry(struct cairn_cache_entry *entry)
{
    size_t bytes = counted(entry);

    if (entry->apart)
        unref(entry_apart(entry));
    else if (entry->large)
        table_drop_large(entry);
    free(entry);
    return bytes;
}

/* --- making one --- */

struct cairn_cache *cairn_cache_create(const struct cairn_cache_options *options)
{
    struct cairn_cache *cache = aligned_alloc(CAIRN_LINE_BYTES, sizeof *cache);
    size_t pool_bytes = options->users * sizeof *cache->pools;
    struct cairn_random random;

    cairn_random_init(&random, options->seed);
    assert(cache && options->users > 0 && options->generation_bound > options->generation_first);
    memset(cache, 0, sizeof *cache);
    cache->pools = aligned_alloc(CAIRN_LINE_BYTES, pool_bytes);
    assert(cache->pools);
    memset(cache->pools, 0, pool_bytes);
    cache->seed = cairn_random_u64(&random);
    cache->users = options->users;
    cache->pages_from = options->bytes_max / MAPPED_MAX > PAGES_FROM ? options->bytes_max / MAPPED_MAX : PAGES_FROM;
    cache->bytes_max = options->bytes_max;
    cache->policy = options->policy;
    cache->generation = options->generation_first;
    cache->generation_bound = options->generation_bound;
    for (uint32_t i = 0; i < options->users; i++)
        cairn_random_init(&cache->pools[i].random, cairn_random_u64(&random));
    pthread_mutex_init(&cache->spaces_lock, NULL);
    pthread_mutex_init(&cache->flushed_lock, NULL);
    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        pthread_mutex_init(&cache->stripes[i].lock, NULL);
        cairn_list_init(&cache->stripes[i].large);
    }
    cache->bytes = (int64_t)(sizeof *cache + pool_bytes);
    return cache;
}

void cairn_cache_destroy(struct cairn_cache *cache)
{
    if (!cache)
        return;
    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        struct stripe *stripe = &cache->stripes[i];

        table_free_shelf(&stripe->first);
        for (uint32_t k = 0; k < stripe->other_count; k++)
            if (stripe->others[k]) {
                table_free_shelf(stripe->others[k]);
                free(stripe->others[k]);
            }
        free(stripe->others);
        pthread_mutex_destroy(&stripe->lock);
    }
    cairn_cache_sweep(cache, UINT64_MAX);
    for (uint32_t i = 0; i < CAIRN_CACHE_SPACES_MAX; i++)
        free(cache->spaces[i]);
    pthread_mutex_destroy(&cache->flushed_lock);
    pthread_mutex_destroy(&cache->spaces_lock);
    free(cache->pools);
    free(cache);
}

/* --- databases --- */

static bool find_space(struct cairn_cache *cache, struct cairn_bytes name, uint32_t *ret_index)
{
    uint32_t i;

    for (i = 0; i < CAIRN_CACHE_SPACES_MAX; i++) {
        const char *known = atomic_load_explicit(&cache->spaces[i], memory_order_acquire);

        if (!known || cairn_bytes_equal(cairn_str(known), name))
            break;
    }
    *ret_index = i;
    return i < CAIRN_CACHE_SPACES_MAX && cache->spaces[i];
}

bool cairn_cache_space(struct cairn_cache *cache, struct cairn_bytes name, uint32_t *ret_database)
{
    uint32_t index;
    bool there = find_space(cache, name, &index);

    assert(name.size <= CAIRN_CACHE_SPACE_NAME_BYTES);
    if (!there) {
        pthread_mutex_lock(&cache->spaces_lock);
        there = find_space(cache, name, &index);
        if (!there && index < CAIRN_CACHE_SPACES_MAX) {
            atomic_store_explicit(&cache->spaces[index], cairn_bytes_dup(name), memory_order_release);
            there = true;
        }
        pthread_mutex_unlock(&cache->spaces_lock);
    }
    *ret_database = index * CAIRN_CACHE_DATABASES;
    return there;
}

void cairn_cache_spaces(struct cairn_cache *cache,
                        void (*each)(void *context, struct cairn_bytes name, uint32_t first_database), void *context)
{
    const char *name;

    for (uint32_t i = 0; i < CAIRN_CACHE_SPACES_MAX; i++) {
        name = atomic_load_explicit(&cache->spaces[i], memory_order_acquire);
        if (!name)
            return;
        each(context, cairn_str(name), i * CAIRN_CACHE_DATABASES);
    }
}

struct shelf *table_make_shelf(struct cairn_cache *cache, struct stripe *stripe, uint32_t database)
{
    struct shelf *shelf = stripe_shelf(stripe, database);

    if (shelf)
        return shelf;
    if (database >= stripe->other_count) {
        uint32_t more = (database / CAIRN_CACHE_DATABASES + 1) * CAIRN_CACHE_DATABASES;

        stripe->others = cairn_realloc(stripe->others, more * sizeof *stripe->others);
        memset(stripe->others + stripe->other_count, 0, (more - stripe->other_count) * sizeof *stripe->others);
        atomic_fetch_add_explicit(&cache->bytes, (int64_t)((more - stripe->other_count) * sizeof *stripe->others),
                                  memory_order_relaxed);
        stripe->other_count = more;
    }
    shelf = stripe->others[database] = cairn_alloc_zeroed(1, sizeof *shelf);
    atomic_fetch_add_explicit(&cache->bytes, (int64_t)bytes_of(shelf), memory_order_relaxed);
    return shelf;
}

/* --- keys and locks --- */

struct cairn_cache_key cairn_cache_key(const struct cairn_cache *cache, uint32_t database, struct cairn_bytes name)
{
    uint64_t hash = cairn_hash_seeded(name, cache->seed);

    return (struct cairn_cache_key){name, database, (uint32_t)hash, (uint32_t)(hash >> 32) % CAIRN_CACHE_STRIPES};
}

void cairn_cache_locks_add_all(struct cairn_cache_locks *locks)
{
    memset(locks, 0xff, sizeof *locks);
}

void cairn_cache_lock_one(struct cairn_cache *cache, uint32_t stripe)
{
    pthread_mutex_lock(&cache->stripes[stripe].lock);
}

void cairn_cache_unlock_one(struct cairn_cache *cache, uint32_t stripe)
{
    pthread_mutex_unlock(&cache->stripes[stripe].lock);
}

static void each_stripe(struct cairn_cache *cache, const struct cairn_cache_locks *locks,
                        int (*act)(pthread_mutex_t *lock))
{
    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES / 64; i++)
        for (uint64_t bits = locks->bits[i]; bits; bits &= bits - 1)
            act(&cache->stripes[64 * i + (uint32_t)__builtin_ctzll(bits)].lock);
}

void cairn_cache_lock(struct cairn_cache *cache, const struct cairn_cache_locks *locks)
{
    each_stripe(cache, locks, pthread_mutex_lock);
}

void cairn_cache_unlock(struct cairn_cache *cache, const struct cairn_cache_locks *locks)
{
    each_stripe(cache, locks, pthread_mutex_unlock);
}

/* --- generations --- */

/* Within a stripe each is above those before it: it takes blocks of one growing number. */
uint64_t table_next_generation(struct cairn_cache *cache, struct stripe *stripe)
{
    if (stripe->generation == stripe->generation_bound) {
        stripe->generation = atomic_fetch_add_explicit(&cache->generation, GENERATION_BLOCK, memory_order_relaxed);
        stripe->generation_bound = stripe->generation + GENERATION_BLOCK;
    }
    return stripe->generation++;
}

uint64_t cairn_cache_next_generation(const struct cairn_cache *cache)
{
    return atomic_load_explicit(&cache->generation, memory_order_relaxed);
}

uint64_t cairn_cache_generation_bound(const struct cairn_cache *cache)
{
    return atomic_load_explicit(&cache->generation_bound, memory_order_relaxed);
}

void cairn_cache_raise_bound(struct cairn_cache *cache, uint64_t bound)
{
    atomic_store_explicit(&cache->generation_bound, bound, memory_order_relaxed);
}

bool cairn_cache_may_change(const struct cairn_cache *cache)
{
    return cairn_cache_next_generation(cache) + GENERATIONS_SPARE <= cairn_cache_generation_bound(cache);
}

static uint64_t *place_of_removal(struct shelf *shelf, uint32_t hash)
{
    return &shelf->removed[hash >> 28]; /* SHELF_PLACES */
}

static void note_removal(struct shelf *shelf, uint32_t hash, uint64_t generation)
{
    uint64_t *place = place_of_removal(shelf, hash);

    if (*place < generation)
        *place = generation;
}

/* --- how much an entry is used --- */

static uint32_t minutes(uint64_t now_ms)
{
    return (uint32_t)(now_ms / 60000) & 0xffff;
}

/* The count loses one each minute. */
uint32_t lfu_now(const struct cairn_cache_entry *entry, uint64_t now_ms)
{
    uint32_t uses = entry->clock & 0xff, idle = (minutes(now_ms) - (entry->clock >> 8)) & 0xffff;

    return idle < uses ? uses - idle : 0;
}

uint32_t cairn_cache_frequency(const struct cairn_cache_entry *entry, uint64_t now_ms)
{
    return lfu_now(entry, now_ms);
}

uint32_t cairn_cache_idle_seconds(const struct cairn_cache_entry *entry, uint64_t now_ms)
{
    return ((uint32_t)(now_ms / 1000) - entry->clock) & CLOCK_MAX;
}

/* A cheap random number: what is random about it is which generations and clocks meet. */
static uint64_t mixed(const struct cairn_cache_entry *entry, uint64_t salt)
{
    uint64_t v = (entry->generation ^ salt) * UINT64_C(0x9e3779b97f4a7c15);

    return v ^ v >> 29;
}

/* The count grows with the logarithm of uses, as Redis' with lfu-log-factor 10: a million uses are 255. */
static void use(struct cairn_cache *cache, struct stripe *stripe, struct cairn_cache_entry *entry, uint64_t now_ms)
{
    uint32_t uses;

    if (entry->large)
        entry_large(entry)->used = true;
    if (!policy_counts_uses(atomic_load_explicit(&cache->policy, memory_order_relaxed))) {
        entry->clock = (uint32_t)(now_ms / 1000) & CLOCK_MAX;
        return;
    }
    uses = lfu_now(entry, now_ms);
    if (uses < 255 &&
        (uses <= LFU_FIRST || mixed(entry, stripe->hits + now_ms * 31) % ((uses - LFU_FIRST) * UINT64_C(10) + 1) == 0))
        uses++;
    entry->clock = minutes(now_ms) << 8 | uses;
}

/* --- what an entry tells --- */

struct cairn_bytes cairn_cache_name(const struct cairn_cache_entry *entry)
{
    return cairn_bytes(entry_key(entry), entry->key_size);
}

struct cairn_bytes cairn_cache_value(const struct cairn_cache_entry *entry)
{
    if (entry->large)
        return cairn_bytes(NULL, entry->value_size);
    return cairn_bytes(entry->apart ? entry_apart(entry)->bytes : entry_key(entry) + entry->key_size,
                       entry->value_size);
}

enum cairn_cache_form cairn_cache_form(const struct cairn_cache_entry *entry)
{
    return (enum cairn_cache_form)entry->form;
}

uint64_t cairn_cache_expiry(const struct cairn_cache_entry *entry)
{
    return entry->expires ? entry_expiry(entry)->ms : 0;
}

uint64_t cairn_cache_generation(const struct cairn_cache_entry *entry)
{
    return entry->generation;
}

/* --- removing --- */

static void count_keys(struct stripe *stripe, int32_t keys, int32_t expires)
{
    if (keys)
        atomic_store_explicit(&stripe->keys, atomic_load_explicit(&stripe->keys, memory_order_relaxed) + (uint32_t)keys,
                              memory_order_relaxed);
    if (expires)
        atomic_store_explicit(&stripe->expires,
                              atomic_load_explicit(&stripe->expires, memory_order_relaxed) + (uint32_t)expires,
                              memory_order_relaxed);
}

void table_drop(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf, struct cairn_cache_entry **at,
                enum removal why)
{
    struct cairn_cache_entry *entry = *at;
    int64_t before = shelf->bytes;

    /* A session that watches a key that has expired, or is not there, must not see a change when it is taken away. */
    note_removal(shelf, entry->hash, why == EXPIRED ? entry->generation : table_next_generation(cache, stripe));
    if (why == EXPIRED)
        stripe->expired++;
    else if (why == EVICTED)
        stripe->evicted++;
    else if (why == LOST)
        stripe->lost++;
    count_keys(stripe, -1, entry->expires ? -1 : 0);
    shelf_unlink(shelf, at);
    count_shelf(cache, shelf, before);
    count(cache, shelf, -(int64_t)table_free_entry(entry));
}

uint32_t table_reap(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf, uint64_t now_ms,
                    uint32_t most)
{
    uint32_t reaped = 0;

    while (reaped < most && shelf->heap_count > 0 && entry_expiry(shelf->heap[0])->ms <= now_ms) {
        struct cairn_cache_entry *entry = shelf->heap[0];

        table_drop(cache, stripe, shelf, shelf_find(shelf, entry->hash, cairn_cache_name(entry)), EXPIRED);
        reaped++;
    }
    return reaped;
}

/* --- finding --- */

/* NULL: not there; what has expired is taken away. */
struct cairn_cache_entry **table_find(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf,
                                      const struct cairn_cache_key *key, uint64_t now_ms)
{
    struct cairn_cache_entry **at = shelf ? shelf_find(shelf, key->hash, key->name) : NULL;

    if (!at || !*at)
        return NULL;
    if (entry_expired(*at, now_ms)) {
        table_drop(cache, stripe, shelf, at, EXPIRED);
        return NULL;
    }
    if ((*at)->large && table_large_lost(*at)) {
        table_drop(cache, stripe, shelf, at, LOST);
        return NULL;
    }
    return at;
}

struct cairn_cache_entry *cairn_cache_find(struct cairn_cache *cache, const struct cairn_cache_key *key,
                                           uint64_t now_ms, enum cairn_cache_use how)
{
    struct stripe *stripe = stripe_of(cache, key);
    struct cairn_cache_entry **at = table_find(cache, stripe, stripe_shelf(stripe, key->database), key, now_ms);

    if (how == CAIRN_CACHE_LOOK || how == CAIRN_CACHE_READ)
        (*(at ? &stripe->hits : &stripe->misses))++;
    if (!at)
        return NULL;
    if (how == CAIRN_CACHE_READ || how == CAIRN_CACHE_WRITE)
        use(cache, stripe, *at, now_ms);
    return *at;
}

struct cairn_cache_state cairn_cache_state(struct cairn_cache *cache, const struct cairn_cache_key *key,
                                           uint64_t now_ms)
{
    struct stripe *stripe = stripe_of(cache, key);
    struct shelf *shelf = stripe_shelf(stripe, key->database);
    struct cairn_cache_entry **at = table_find(cache, stripe, shelf, key, now_ms);

    if (at)
        return (struct cairn_cache_state){(*at)->generation, true};
    return (struct cairn_cache_state){shelf ? *place_of_removal(shelf, key->hash) : 0, false};
}

/* --- changing --- */

static size_t size_of(size_t key_size, size_t value_size, bool expires, bool points)
{
    return sizeof(struct cairn_cache_entry) + (expires ? sizeof(struct entry_expiry) : 0) + key_size +
           (points ? sizeof(void *) : value_size);
}

static struct cairn_cache_entry *make(const struct cairn_cache_key *key, size_t value_size, uint64_t expiry_ms,
                                      bool points)
{
    struct cairn_cache_entry *entry = cairn_alloc(size_of(key->name.size, value_size, expiry_ms != 0, points));

    entry->next = NULL;
    entry->hash = key->hash;
    entry->expires = expiry_ms != 0;
    entry->apart = entry->large = false;
    entry->key_size = (uint32_t)key->name.size & 0xfffff;
    entry->database = key->database & 0xfff;
    entry->value_size = (uint32_t)value_size;
    if (expiry_ms)
        *entry_expiry(entry) = (struct entry_expiry){.ms = expiry_ms};
    if (key->name.size)
        memcpy(entry_key(entry), key->name.data, key->name.size);
    return entry;
}

struct cairn_cache_entry *table_make_pointing(const struct cairn_cache_key *key, size_t value_size, uint64_t expiry_ms)
{
    return make(key, value_size, expiry_ms, true);
}

/* An entry without its value: that lies apart, which is taken, or is to be put behind the key. */
static struct cairn_cache_entry *make_entry(const struct cairn_cache_key *key, size_t value_size, uint64_t expiry_ms,
                                            struct cairn_cache_apart *apart)
{
    struct cairn_cache_entry *entry = make(key, value_size, expiry_ms, apart != NULL);

    entry->apart = apart != NULL;
    if (apart)
        memcpy(entry_key(entry) + key->name.size, &apart, sizeof apart);
    return entry;
}

/* The entry that is in the place of the old one, or of none, from now on. */
void table_settle(struct cairn_cache *cache, struct stripe *stripe, struct shelf *shelf, struct cairn_cache_entry **at,
                  struct cairn_cache_entry *entry)
{
    int64_t before = shelf->bytes, freed = 0;

    if (at) {
        struct cairn_cache_entry *old = *at;

        count_keys(stripe, 0, (int32_t)entry->expires - (int32_t)old->expires);
        shelf_replace(shelf, at, entry);
        freed = (int64_t)table_free_entry(old);
    } else {
        count_keys(stripe, 1, entry->expires ? 1 : 0);
        shelf_add(shelf, entry);
    }
    count_shelf(cache, shelf, before);
    count(cache, shelf, (int64_t)counted(entry) - freed);
}

uint32_t table_first_clock(const struct cairn_cache *cache, const struct cairn_cache_entry *old, uint64_t now_ms)
{
    if (!policy_counts_uses(atomic_load_explicit(&cache->policy, memory_order_relaxed)))
        return (uint32_t)(now_ms / 1000) & CLOCK_MAX;
    return old ? old->clock : minutes(now_ms) << 8 | LFU_FIRST;
}

/* True if the old entry has room for the new value, and not far too much. */
static bool fits_in_place(const struct cairn_cache_entry *old, const struct cairn_cache_key *key, size_t value_size,
                          bool expires)
{
    size_t room, want;

    if (old->apart || old->large || value_size > CAIRN_CACHE_APART_BYTES || old->expires != expires)
        return false;
    room = malloc_usable_size((void *)(uintptr_t)old);
    want = size_of(key->name.size, value_size, expires, false);
    return want <= room && room - want <= room / 8 + 16;
}

void cairn_cache_put(struct cairn_cache *cache, const struct cairn_cache_key *key, struct cairn_bytes value,
                     uint64_t expiry_ms, enum cairn_cache_form form, uint64_t now_ms)
{
    struct stripe *stripe = stripe_of(cache, key);
    struct shelf *shelf = table_make_shelf(cache, stripe, key->database);
    struct cairn_cache_entry **at = table_find(cache, stripe, shelf, key, now_ms), *entry;
    uint32_t clock = table_first_clock(cache, at ? *at : NULL, now_ms);
    bool in_place = at && fits_in_place(*at, key, value.size, expiry_ms != 0);

    assert(key->name.size <= CAIRN_CACHE_KEY_BYTES_MAX && value.size <= CAIRN_CACHE_VALUE_BYTES_MAX);
    if (in_place) {
        entry = *at;
        if (value.size)
            memmove(entry_key(entry) + entry->key_size, value.data, value.size);
        entry->value_size = (uint32_t)value.size;
        if (expiry_ms && expiry_ms != entry_expiry(entry)->ms) {
            entry_expiry(entry)->ms = expiry_ms;
            heap_moved(shelf, entry);
        }
    } else {
        struct cairn_cache_apart *apart = value.size > CAIRN_CACHE_APART_BYTES ? make_apart(cache, value.size) : NULL;

        entry = make_entry(key, value.size, expiry_ms, apart);
        if (value.size)
            memcpy(apart ? apart->bytes : entry_key(entry) + entry->key_size, value.data, value.size);
    }
    entry->clock = clock & CLOCK_MAX;
    entry->form = form & 3;
    entry->generation = table_next_generation(cache, stripe);
    if (!in_place)
        table_settle(cache, stripe, shelf, at, entry);
    table_reap(cache, stripe, shelf, now_ms, REAPED_BY_WRITER);
}

/* The apart value of an entry, with another size; nothing else refers to it afterwards. */
static void extend_apart(struct cairn_cache *cache, struct shelf *shelf, struct cairn_cache_entry *entry, size_t size)
{
    struct cairn_cache_apart *apart = entry_apart(entry);
    int64_t before = (int64_t)bytes_of_apart(apart);
    /* Only under the lock there may be more. */
    bool alone = atomic_load_explicit(&apart->refs, memory_order_acquire) == 1;

    if (alone && apart->pages && sizeof *apart + size <= apart->pages) {
        apart->size = (uint32_t)size;
    } else if (alone && !apart->pages && size < cache->pages_from) {
        apart = cairn_realloc(apart, sizeof *apart + size);
        apart->size = (uint32_t)size;
    } else {
        struct cairn_cache_apart *copy = make_apart(cache, size);

        memcpy(copy->bytes, apart->bytes, entry->value_size);
        unref(apart);
        apart = copy;
    }
    memcpy(entry_key(entry) + entry->key_size, &apart, sizeof apart);
    count(cache, shelf, (int64_t)bytes_of_apart(apart) - before);
}

uint8_t *cairn_cache_extend(struct cairn_cache *cache, const struct cairn_cache_key *key, size_t size, uint64_t now_ms)
{
    struct stripe *stripe = stripe_of(cache, key);
    struct shelf *shelf = stripe_shelf(stripe, key->database);
    struct cairn_cache_entry **at = table_find(cache, stripe, shelf, key, now_ms), *entry;
    size_t before;

    assert(at && !(*at)->large && size >= (*at)->value_size && size <= CAIRN_CACHE_VALUE_BYTES_MAX);
    entry = *at;
    before = entry->value_size;
    if (entry->apart) {
        extend_apart(cache, shelf, entry, size);
    } else if (!fits_in_place(entry, key, size, entry->expires)) {
        struct cairn_cache_apart *apart = size > CAIRN_CACHE_APART_BYTES ? make_apart(cache, size) : NULL;
        struct cairn_cache_entry *old = entry;

        entry = make_entry(key, size, cairn_cache_expiry(old), apart);
        memcpy(apart ? apart->bytes : entry_key(entry) + entry->key_size, entry_key(old) + old->key_size, before);
        entry->clock = old->clock;
        table_settle(cache, stripe, shelf, at, entry);
    }
    entry->value_size = (uint32_t)size;
    entry->form = CAIRN_CACHE_RAW;
    entry->generation = table_next_generation(cache, stripe);
    memset((uint8_t *)(uintptr_t)cairn_cache_value(entry).data + before, 0, size - before);
    return (uint8_t *)(uintptr_t)cairn_cache_value(entry).data;
}

bool cairn_cache_set_expiry(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t expiry_ms,
                            uint64_t now_ms)
{
    struct stripe *stripe = stripe_of(cache, key);
    struct shelf *shelf = stripe_shelf(stripe, key->database);
    struct cairn_cache_entry **at = table_find(cache, stripe, shelf, key, now_ms), *entry, *old;

    if (!at)
        return false;
    entry = old = *at;
    if (old->expires != (expiry_ms != 0)) {
        struct cairn_cache_apart *apart = cairn_cache_ref(old);

        entry = old->large ? table_make_pointing(key, old->value_size, expiry_ms)
                           : make_entry(key, old->value_size, expiry_ms, apart);
        if (old->large) {
            entry_large(old)->value->ops->ref(entry_large(old)->value);
            table_hang_large(stripe, entry, entry_large(old)->value);
        } else if (!apart)
            memcpy(entry_key(entry) + entry->key_size, entry_key(old) + old->key_size, old->value_size);
        entry->clock = old->clock;
        entry->form = old->form;
        entry->generation = old->generation;
        table_settle(cache, stripe, shelf, at, entry);
    } else if (expiry_ms) {
        entry_expiry(entry)->ms = expiry_ms;
        heap_moved(shelf, entry);
    }
    entry->generation = table_next_generation(cache, stripe);
    return true;
}

bool cairn_cache_remove(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t now_ms)
{
    struct stripe *stripe = stripe_of(cache, key);
    struct shelf *shelf = stripe_shelf(stripe, key->database);
    struct cairn_cache_entry **at = table_find(cache, stripe, shelf, key, now_ms);

    if (!at)
        return false;
    table_drop(cache, stripe, shelf, at, REMOVED);
    return true;
}

bool cairn_cache_has_room(const struct cairn_cache *cache, uint64_t more)
{
    return cairn_cache_bytes(cache) + more <= cairn_cache_bytes_max(cache);
}

/* --- settings and counts --- */

static const char *const policies[CAIRN_CACHE_POLICIES] = {
    "noeviction",   "allkeys-lru",  "allkeys-lfu",     "allkeys-random",
    "volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl",
};

const char *cairn_cache_policy_name(enum cairn_cache_policy policy)
{
    return policies[policy];
}

enum cairn_cache_policy cairn_cache_policy_by_name(struct cairn_bytes name)
{
    unsigned i = 0;

    while (i < CAIRN_CACHE_POLICIES &&
           !(strlen(policies[i]) == name.size && strncasecmp(policies[i], (const char *)name.data, name.size) == 0))
        i++;
    return (enum cairn_cache_policy)i;
}

enum cairn_cache_policy cairn_cache_policy(const struct cairn_cache *cache)
{
    return atomic_load_explicit(&cache->policy, memory_order_relaxed);
}

void cairn_cache_set_policy(struct cairn_cache *cache, enum cairn_cache_policy policy)
{
    atomic_store_explicit(&cache->policy, policy, memory_order_relaxed);
}

uint64_t cairn_cache_bytes_max(const struct cairn_cache *cache)
{
    return atomic_load_explicit(&cache->bytes_max, memory_order_relaxed);
}

void cairn_cache_set_bytes_max(struct cairn_cache *cache, uint64_t bytes_max)
{
    atomic_store_explicit(&cache->bytes_max, bytes_max, memory_order_relaxed);
}

uint64_t cairn_cache_bytes(const struct cairn_cache *cache)
{
    int64_t bytes = atomic_load_explicit(&cache->bytes, memory_order_relaxed);

    return bytes > 0 ? (uint64_t)bytes : 0;
}

void cairn_cache_stats(struct cairn_cache *cache, struct cairn_cache_stats *ret_stats)
{
    struct cairn_cache_stats sums = {0};

    for (uint32_t i = 0; i < CAIRN_CACHE_STRIPES; i++) {
        struct stripe *stripe = &cache->stripes[i];

        pthread_mutex_lock(&stripe->lock);
        sums.hits += stripe->hits;
        sums.misses += stripe->misses;
        sums.expired += stripe->expired;
        sums.evicted += stripe->evicted;
        sums.lost += stripe->lost;
        pthread_mutex_unlock(&stripe->lock);
    }
    *ret_stats = sums;
}
