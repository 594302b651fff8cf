/* Would catch: a count that is wrong because two threads changed a key at the same time; a pair of keys that is seen in
 * between; locks that wait for each other; a bound that threads pass together; memory that one frees while another
 * reads it; counts that have drifted once all is gone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "cache/table.h"

enum { THREADS = 4, ROUNDS = 20000, KEYS = 400, NOW = 1000000000, BYTES_MAX = 2 << 20, LARGEST = 8000 };

static struct cairn_cache *cache;
static atomic_int running;

static struct cairn_cache_key numbered(const char *prefix, unsigned number, char name[40])
{
    snprintf(name, 40, "%s%u", prefix, number);
    return cairn_cache_key(cache, 0, cairn_str(name));
}

/* Numbers that all threads add to; they do not expire, and the policy spares what does not. */
static void add_one(unsigned number)
{
    char name[40], text[24] = "1";
    struct cairn_cache_key key = numbered("n", number, name);
    struct cairn_cache_entry *entry;

    cairn_cache_lock_one(cache, key.stripe);
    entry = cairn_cache_find(cache, &key, NOW, CAIRN_CACHE_WRITE);
    if (entry) {
        struct cairn_bytes value = cairn_cache_value(entry);
        char *old = cairn_bytes_dup(value);

        snprintf(text, sizeof text, "%d", atoi(old) + 1);
        free(old);
    }
    cairn_cache_put(cache, &key, cairn_str(text), 0, CAIRN_CACHE_PLAIN, NOW);
    cairn_cache_unlock_one(cache, key.stripe);
}

/* Two keys that are always the same. */
static void both(struct cairn_random *random, unsigned number, bool write)
{
    char first[40], second[40];
    struct cairn_cache_key a = numbered("a", number, first), b = numbered("b", number, second);
    struct cairn_cache_locks locks = {0};
    struct cairn_cache_entry *x, *y;
    uint64_t value = cairn_random_u64(random);

    cairn_cache_locks_add(&locks, a.stripe);
    cairn_cache_locks_add(&locks, b.stripe);
    cairn_cache_lock(cache, &locks);
    if (write) {
        cairn_cache_put(cache, &a, cairn_bytes(&value, sizeof value), 0, CAIRN_CACHE_PLAIN, NOW);
        cairn_cache_put(cache, &b, cairn_bytes(&value, sizeof value), 0, CAIRN_CACHE_PLAIN, NOW);
    }
    x = cairn_cache_find(cache, &a, NOW, CAIRN_CACHE_READ);
    y = cairn_cache_find(cache, &b, NOW, CAIRN_CACHE_READ);
    assert_int_equal(x != NULL, y != NULL);
    if (x)
        assert_true(cairn_bytes_equal(cairn_cache_value(x), cairn_cache_value(y)));
    cairn_cache_unlock(cache, &locks);
}

static void fill(struct cairn_random *random, uint32_t user)
{
    static const uint8_t bytes[LARGEST];
    size_t size = cairn_random_below(random, LARGEST);
    char name[40];
    struct cairn_cache_key key = numbered("f", (unsigned)cairn_random_below(random, 10 * KEYS), name);

    if (!cairn_cache_make_room(cache, user, size + 200, NOW))
        return;
    cairn_cache_lock_one(cache, key.stripe);
    cairn_cache_put(cache, &key, cairn_bytes(bytes, size), NOW + 1 + cairn_random_below(random, 100), CAIRN_CACHE_PLAIN,
                    NOW);
    cairn_cache_unlock_one(cache, key.stripe);
    /* each thread may have made room for its own before any of them has put it */
    assert_true(cairn_cache_bytes(cache) <= BYTES_MAX + THREADS * (LARGEST + 4096));
}

/* A value that is read while it is replaced. */
static void share(struct cairn_random *random)
{
    char name[40];
    struct cairn_cache_key key = numbered("s", (unsigned)cairn_random_below(random, 4), name);
    struct cairn_cache_apart *apart = NULL;
    struct cairn_cache_entry *entry;
    uint8_t value[5000];

    memset(value, (int)cairn_random_below(random, 256), sizeof value);
    cairn_cache_lock_one(cache, key.stripe);
    if (cairn_random_below(random, 2)) {
        cairn_cache_put(cache, &key, cairn_bytes(value, sizeof value), 0, CAIRN_CACHE_PLAIN, NOW);
    } else {
        entry = cairn_cache_find(cache, &key, NOW, CAIRN_CACHE_READ);
        apart = entry ? cairn_cache_ref(entry) : NULL;
    }
    cairn_cache_unlock_one(cache, key.stripe);
    if (apart) {
        struct cairn_bytes bytes = cairn_cache_apart_bytes(apart);

        for (size_t i = 1; i < bytes.size; i++)
            assert_int_equal(bytes.data[i], bytes.data[0]);
        cairn_cache_unref(cache, apart);
    }
}

static void ignore(void *context, const struct cairn_cache_entry *entry)
{
    *(size_t *)context += cairn_cache_value(entry).size;
}

static void *worker(void *context)
{
    uint32_t user = (uint32_t)(uintptr_t)context;
    struct cairn_random random;
    uint64_t cursor = 0;
    size_t sum = 0;

    cairn_random_init(&random, user);
    for (unsigned i = 0; i < ROUNDS; i++) {
        add_one(i % 16);
        both(&random, (unsigned)cairn_random_below(&random, 8), cairn_random_below(&random, 2));
        fill(&random, user);
        share(&random);
        cursor = cairn_cache_scan(cache, 0, cursor, false, ignore, &sum);
        if (i % 1000 == 0)
            cairn_cache_random(cache, 0, false, NOW, ignore, &sum);
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static void test_threads(void **state)
{
    struct cairn_cache_options options = {.bytes_max = BYTES_MAX,
                                          .policy = CAIRN_CACHE_VOLATILE_LRU,
                                          .users = THREADS,
                                          .generation_first = UINT64_C(1) << 32,
                                          .generation_bound = UINT64_C(1) << 40};
    pthread_t threads[THREADS];
    uint64_t empty, now_ms = NOW;
    char name[40];

    (void)state;
    cache = cairn_cache_create(&options);
    empty = cairn_cache_bytes(cache);
    atomic_store(&running, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, worker, (void *)i), 0);
    while (atomic_load(&running) > 0) {
        struct cairn_cache_counts counts;

        cairn_cache_tend(cache, now_ms);
        cairn_cache_count(cache, 0, false, &counts);
        now_ms = now_ms < NOW + 100 ? now_ms + 1 : NOW;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < 16; i++) {
        struct cairn_cache_key key = numbered("n", i, name);
        struct cairn_cache_entry *entry = cairn_cache_find(cache, &key, NOW, CAIRN_CACHE_PEEK);
        char want[24];

        assert_non_null(entry);
        snprintf(want, sizeof want, "%d", THREADS * ROUNDS / 16);
        assert_true(cairn_bytes_equal(cairn_cache_value(entry), cairn_str(want)));
    }
    cairn_cache_flush(cache, 0, 1); /* alone by now, so nothing is locked: ThreadSanitizer bears 64 locks at a time */
    cairn_cache_tend(cache, NOW);
    assert_int_equal(cairn_cache_bytes(cache), empty);
    cairn_cache_destroy(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
