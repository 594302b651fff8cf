/* Would catch: a value that is not the one put; a key that outlives its time, or dies before; a count of bytes that
 * drifts; a shelf that loses keys as it grows and shrinks; a SCAN that misses a key that stays; an eviction that takes
 * what its policy spares, or lets the bound be passed; a WATCH that sees no change, or one that was none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "cache/glob.h"
#include "cache/table.h"

enum { NOW = 1000000000 };

static struct cairn_cache *open_cache(uint64_t bytes_max, enum cairn_cache_policy policy)
{
    return cairn_cache_create(&(struct cairn_cache_options){.bytes_max = bytes_max,
                                                            .policy = policy,
                                                            .users = 1,
                                                            .seed = 7,
                                                            .generation_first = UINT64_C(1) << 32,
                                                            .generation_bound = UINT64_C(1) << 40});
}

static struct cairn_cache_key key_of(struct cairn_cache *cache, uint32_t database, const char *format, unsigned number,
                                     char name[40])
{
    snprintf(name, 40, format, number);
    return cairn_cache_key(cache, database, cairn_str(name));
}

static void put(struct cairn_cache *cache, const struct cairn_cache_key *key, struct cairn_bytes value,
                uint64_t expiry_ms, uint64_t now_ms)
{
    cairn_cache_lock_one(cache, key->stripe);
    cairn_cache_put(cache, key, value, expiry_ms, CAIRN_CACHE_PLAIN, now_ms);
    cairn_cache_unlock_one(cache, key->stripe);
}

static bool is_there(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t now_ms)
{
    bool there;

    cairn_cache_lock_one(cache, key->stripe);
    there = cairn_cache_find(cache, key, now_ms, CAIRN_CACHE_PEEK);
    cairn_cache_unlock_one(cache, key->stripe);
    return there;
}

static bool take_away(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t now_ms)
{
    bool there;

    cairn_cache_lock_one(cache, key->stripe);
    there = cairn_cache_remove(cache, key, now_ms);
    cairn_cache_unlock_one(cache, key->stripe);
    return there;
}

static struct cairn_cache_state state_of(struct cairn_cache *cache, const struct cairn_cache_key *key, uint64_t now_ms)
{
    struct cairn_cache_state state;

    cairn_cache_lock_one(cache, key->stripe);
    state = cairn_cache_state(cache, key, now_ms);
    cairn_cache_unlock_one(cache, key->stripe);
    return state;
}

/* --- beside a model --- */

enum { MODEL_KEYS = 60, MODEL_BYTES = 9000 };

struct model {
    bool there;
    size_t size;
    uint64_t expiry_ms;
    uint8_t value[MODEL_BYTES];
};

static size_t random_size(struct cairn_random *random)
{
    static const size_t sizes[] = {0, 1, 20, 100, 4095, 4096, 4097, MODEL_BYTES};

    return cairn_random_below(random, 2) ? sizes[cairn_random_below(random, 8)] : cairn_random_below(random, 300);
}

static void check_model(struct cairn_cache *cache, const struct cairn_cache_key *key, const struct model *m,
                        uint64_t now_ms)
{
    struct cairn_cache_entry *entry;
    struct cairn_bytes value;

    cairn_cache_lock_one(cache, key->stripe);
    entry = cairn_cache_find(cache, key, now_ms, CAIRN_CACHE_READ);
    assert_int_equal(entry != NULL, m->there && (!m->expiry_ms || m->expiry_ms > now_ms));
    if (entry) {
        value = cairn_cache_value(entry);
        assert_int_equal(value.size, m->size);
        assert_memory_equal(value.data, m->value, m->size);
        assert_int_equal(cairn_cache_expiry(entry), m->expiry_ms);
        assert_true(cairn_bytes_equal(cairn_cache_name(entry), key->name));
    }
    cairn_cache_unlock_one(cache, key->stripe);
}

static void step(struct cairn_cache *cache, struct cairn_random *random, const struct cairn_cache_key *key,
                 struct model *m, uint64_t now_ms)
{
    uint64_t expiry_ms = cairn_random_below(random, 2) ? 0 : now_ms + 1 + cairn_random_below(random, 50);
    bool there = m->there && (!m->expiry_ms || m->expiry_ms > now_ms);

    cairn_cache_lock_one(cache, key->stripe);
    switch (cairn_random_below(random, 5)) {
    case 0:
    case 1:
        m->there = true;
        m->expiry_ms = expiry_ms;
        m->size = random_size(random);
        cairn_random_fill(random, m->value, m->size);
        cairn_cache_put(cache, key, cairn_bytes(m->value, m->size), expiry_ms, CAIRN_CACHE_PLAIN, now_ms);
        break;
    case 2:
        assert_int_equal(cairn_cache_remove(cache, key, now_ms), there);
        m->there = false;
        break;
    case 3:
        assert_int_equal(cairn_cache_set_expiry(cache, key, expiry_ms, now_ms), there);
        if (there)
            m->expiry_ms = expiry_ms;
        break;
    case 4:
        if (there) {
            size_t size = m->size + random_size(random);
            uint8_t *value;

            if (size > MODEL_BYTES)
                break;
            value = cairn_cache_extend(cache, key, size, now_ms);
            memset(m->value + m->size, 0, size - m->size);
            m->size = size;
            assert_memory_equal(value, m->value, size);
        }
        break;
    }
    cairn_cache_unlock_one(cache, key->stripe);
}

static void test_as_a_model(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    struct model *models = calloc(3 * MODEL_KEYS, sizeof *models);
    uint64_t empty = cairn_cache_bytes(cache), now_ms = NOW;
    struct cairn_random random;
    char name[40];

    (void)state;
    cairn_random_init(&random, 11);
    for (int i = 0; i < 60000; i++) {
        unsigned number = (unsigned)cairn_random_below(&random, 3 * MODEL_KEYS);
        struct cairn_cache_key key = key_of(cache, number / MODEL_KEYS * 7, "k%u", number % MODEL_KEYS, name);

        step(cache, &random, &key, &models[number], now_ms);
        check_model(cache, &key, &models[number], now_ms);
        if (i % 50 == 0)
            cairn_cache_tend(cache, now_ms);
        now_ms += cairn_random_below(&random, 3);
    }
    for (unsigned number = 0; number < 3 * MODEL_KEYS; number++) {
        struct cairn_cache_key key = key_of(cache, number / MODEL_KEYS * 7, "k%u", number % MODEL_KEYS, name);

        check_model(cache, &key, &models[number], now_ms);
        take_away(cache, &key, now_ms);
    }
    /* What is left is shelves and their smallest arrays. */
    assert_true(cairn_cache_bytes(cache) - empty < 3 * MODEL_KEYS * 1024);
    free(models);
    cairn_cache_destroy(cache);
}

/* --- many keys --- */

struct seen {
    uint32_t *times;
    uint64_t count;
};

static void see(void *context, const struct cairn_cache_entry *entry)
{
    struct seen *seen = context;
    unsigned long number = strtoul((const char *)cairn_cache_name(entry).data + 1, NULL, 10);

    if (cairn_cache_name(entry).data[0] == 'k')
        seen->times[number]++;
    seen->count++;
}

static void test_growing_and_shrinking(void **state)
{
    enum { KEYS = 200000 };
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    uint64_t empty = cairn_cache_bytes(cache);
    char name[40];

    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        struct cairn_cache_key key = key_of(cache, 0, "k%06u", i, name);

        put(cache, &key, key.name, i % 3 ? 0 : NOW + 1 + i, NOW);
    }
    assert_int_equal(cairn_cache_keys(cache, 0, false), KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        struct cairn_cache_key key = key_of(cache, 0, "k%06u", i, name);

        assert_true(is_there(cache, &key, NOW - 1));
        if (i % 16)
            assert_true(take_away(cache, &key, NOW - 1));
    }
    for (unsigned i = 0; i < KEYS; i += 16) {
        struct cairn_cache_key key = key_of(cache, 0, "k%06u", i, name);

        assert_true(take_away(cache, &key, NOW - 1));
    }
    assert_int_equal(cairn_cache_keys(cache, 0, false), 0);
    assert_true(cairn_cache_bytes(cache) - empty < CAIRN_CACHE_STRIPES * 1024);
    cairn_cache_destroy(cache);
}

/* A million keys of 16 bytes with 100 take Redis 7.0.15 of Debian 200 bytes each (used_memory). */
static void test_bytes_of_a_key(void **state)
{
    enum { KEYS = 1000000, REDIS = 200 };
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    uint64_t empty = cairn_cache_bytes(cache), each;
    uint8_t value[100] = {1};
    char name[40];

    (void)state;
    for (unsigned i = 0; i < KEYS; i++) {
        struct cairn_cache_key key = key_of(cache, 0, "key:%012u", i, name);

        put(cache, &key, cairn_bytes(value, sizeof value), 0, NOW);
    }
    each = (cairn_cache_bytes(cache) - empty) / KEYS;
    print_message("%llu bytes for each key\n", (unsigned long long)each);
    assert_true(each <= REDIS);
    assert_true(each >= 16 + 100);
    cairn_cache_destroy(cache);
}

/* Keys that stay are all given, whatever comes and goes between two calls. */
static void test_scanning_while_it_changes(void **state)
{
    enum { STAY = 3000, COME = 40000 };
    struct cairn_random random;
    char name[40];

    (void)state;
    cairn_random_init(&random, 3);
    for (int round = 0; round < 3; round++) {
        struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
        struct seen seen = {.times = calloc(STAY, sizeof *seen.times)};
        uint64_t cursor = 0, calls = 0;

        for (unsigned i = 0; i < STAY; i++) {
            struct cairn_cache_key key = key_of(cache, 5, "k%u", i, name);

            put(cache, &key, key.name, 0, NOW);
        }
        do {
            unsigned burst = (unsigned)cairn_random_below(&random, 100);

            cursor = cairn_cache_scan(cache, 5, cursor, false, see, &seen);
            calls++;
            for (unsigned i = 0; i < burst; i++) {
                struct cairn_cache_key key = key_of(cache, 5, "x%u", (unsigned)cairn_random_below(&random, COME), name);

                if (cairn_random_below(&random, 10) < (calls / 200 % 2 ? 9 : 2))
                    take_away(cache, &key, NOW);
                else
                    put(cache, &key, key.name, 0, NOW);
            }
            assert_true(calls < 1000000);
        } while (cursor);
        for (unsigned i = 0; i < STAY; i++)
            assert_true(seen.times[i] > 0);
        free(seen.times);
        cairn_cache_destroy(cache);
    }
}

static void test_flushing(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    uint64_t empty = cairn_cache_bytes(cache), full;
    struct cairn_cache_locks all;
    char name[40];

    (void)state;
    for (unsigned i = 0; i < 30000; i++) {
        struct cairn_cache_key key = key_of(cache, i % 3, "k%u", i, name);

        put(cache, &key, key.name, NOW + 50000, NOW);
    }
    full = cairn_cache_bytes(cache);
    cairn_cache_locks_add_all(&all);
    cairn_cache_lock(cache, &all);
    cairn_cache_flush(cache, 1, 1);
    assert_int_equal(cairn_cache_keys(cache, 1, true), 0);
    assert_int_equal(cairn_cache_keys(cache, 2, true), 10000);
    cairn_cache_flush(cache, 0, 16);
    cairn_cache_unlock(cache, &all);
    cairn_cache_sweep(cache, 1000);
    assert_true(cairn_cache_bytes(cache) < full);
    cairn_cache_tend(cache, NOW);
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(cairn_cache_keys(cache, i, false), 0);
    assert_true(cairn_cache_bytes(cache) - empty < CAIRN_CACHE_STRIPES * 1024);
    cairn_cache_destroy(cache);
}

/* --- time --- */

static void test_due_keys_give_their_memory_back(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    struct cairn_cache_stats stats;
    char name[40];

    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        struct cairn_cache_key key = key_of(cache, i % 2, "k%u", i, name);

        put(cache, &key, key.name, NOW + 1 + i % 1000, NOW);
    }
    cairn_cache_tend(cache, NOW);
    assert_int_equal(cairn_cache_keys(cache, 0, false) + cairn_cache_keys(cache, 1, false), 5000);
    cairn_cache_tend(cache, NOW + 500);
    assert_int_equal(cairn_cache_keys(cache, 0, false) + cairn_cache_keys(cache, 1, false), 2500);
    cairn_cache_tend(cache, NOW + 1000);
    assert_int_equal(cairn_cache_keys(cache, 0, false) + cairn_cache_keys(cache, 1, false), 0);
    cairn_cache_stats(cache, &stats);
    assert_int_equal(stats.expired, 5000);
    cairn_cache_destroy(cache);
}

static void test_exact_to_a_millisecond(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    char name[40];
    struct cairn_cache_key key = key_of(cache, 0, "k%u", 1, name);

    (void)state;
    put(cache, &key, cairn_str("v"), NOW + 10, NOW);
    assert_true(is_there(cache, &key, NOW + 9));
    assert_false(is_there(cache, &key, NOW + 10));
    assert_int_equal(cairn_cache_keys(cache, 0, false), 0);
    cairn_cache_destroy(cache);
}

/* --- watching --- */

static bool same(struct cairn_cache_state a, struct cairn_cache_state b)
{
    return a.there == b.there && a.generation == b.generation;
}

static void test_watching(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    struct cairn_cache_state before;
    char name[40];
    struct cairn_cache_key key = key_of(cache, 0, "k%u", 1, name);

    (void)state;
    before = state_of(cache, &key, NOW);
    assert_true(same(before, state_of(cache, &key, NOW)));
    put(cache, &key, cairn_str("v"), 0, NOW);
    take_away(cache, &key, NOW);
    assert_false(same(before, state_of(cache, &key, NOW))); /* it came and went */

    put(cache, &key, cairn_str("v"), NOW + 10, NOW);
    before = state_of(cache, &key, NOW);
    assert_true(same(before, state_of(cache, &key, NOW + 9)));
    assert_false(same(before, state_of(cache, &key, NOW + 10))); /* it has expired */

    put(cache, &key, cairn_str("v"), NOW + 10, NOW);
    before = state_of(cache, &key, NOW + 10); /* it is there no more, though nobody has looked */
    assert_false(before.there);
    cairn_cache_tend(cache, NOW + 20);
    assert_true(same(before, state_of(cache, &key, NOW + 20)));

    put(cache, &key, cairn_str("v"), 0, NOW);
    before = state_of(cache, &key, NOW);
    put(cache, &key, cairn_str("v"), 0, NOW); /* the same, and yet a change */
    assert_false(same(before, state_of(cache, &key, NOW)));
    cairn_cache_destroy(cache);
}

/* --- values that lie apart --- */

static void test_a_reader_keeps_its_value(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    uint8_t old[5000], new[6000];
    struct cairn_cache_apart *apart;
    char name[40];
    struct cairn_cache_key key = key_of(cache, 0, "k%u", 1, name);

    (void)state;
    memset(old, 'o', sizeof old);
    memset(new, 'n', sizeof new);
    put(cache, &key, cairn_bytes(old, sizeof old), 0, NOW);
    cairn_cache_lock_one(cache, key.stripe);
    apart = cairn_cache_ref(cairn_cache_find(cache, &key, NOW, CAIRN_CACHE_READ));
    cairn_cache_extend(cache, &key, 7000, NOW)[0] = 'x';
    cairn_cache_put(cache, &key, cairn_bytes(new, sizeof new), 0, CAIRN_CACHE_PLAIN, NOW);
    cairn_cache_remove(cache, &key, NOW);
    cairn_cache_unlock_one(cache, key.stripe);
    assert_int_equal(cairn_cache_apart_bytes(apart).size, sizeof old);
    assert_memory_equal(cairn_cache_apart_bytes(apart).data, old, sizeof old);
    cairn_cache_unref(cache, apart);
    cairn_cache_destroy(cache);
}

/* --- eviction --- */

/* Fills it far beyond its bound; half of the keys expire, and of those that are used often are the first. */
static struct cairn_cache *overfill(enum cairn_cache_policy policy, unsigned keys, unsigned *ret_refused)
{
    struct cairn_cache *cache = open_cache(3 << 20, policy);
    uint8_t value[200] = {0};
    uint64_t now_ms = NOW;
    char name[40];

    *ret_refused = 0;
    for (unsigned i = 0; i < keys; i++) {
        struct cairn_cache_key key = key_of(cache, i % 2, "k%u", i, name), old;

        now_ms += 20;
        if (!cairn_cache_make_room(cache, 0, 400, now_ms)) {
            ++*ret_refused;
            continue;
        }
        put(cache, &key, cairn_bytes(value, sizeof value), i % 4 < 2 ? now_ms + 100000000 - i : 0, now_ms);
        assert_true(cairn_cache_bytes(cache) <= cairn_cache_bytes_max(cache) + 4096); /* an array may have grown */
        for (unsigned k = 0; i % 8 == 0 && k < 200 && k < i; k += 2) { /* the first keys are used again and again */
            old = key_of(cache, k % 2, "k%u", k, name);
            cairn_cache_lock_one(cache, old.stripe);
            cairn_cache_find(cache, &old, now_ms, CAIRN_CACHE_READ);
            cairn_cache_unlock_one(cache, old.stripe);
        }
    }
    return cache;
}

static unsigned count_there(struct cairn_cache *cache, unsigned from, unsigned to, unsigned step_by)
{
    unsigned there = 0;
    char name[40];

    for (unsigned i = from; i < to; i += step_by) {
        struct cairn_cache_key key = key_of(cache, i % 2, "k%u", i, name);

        there += is_there(cache, &key, NOW + 1);
    }
    return there;
}

static void test_policies(void **state)
{
    enum { KEYS = 20000 };

    (void)state;
    for (unsigned policy = 0; policy < CAIRN_CACHE_POLICIES; policy++) {
        unsigned refused, used, unused, lasting, late;
        struct cairn_cache *cache = overfill((enum cairn_cache_policy)policy, KEYS, &refused);
        struct cairn_cache_stats stats;

        cairn_cache_stats(cache, &stats);
        used = count_there(cache, 0, 200, 2);                                      /* of 100 */
        unused = count_there(cache, 1, 200, 2);                                    /* of 100 */
        lasting = count_there(cache, 2, KEYS, 4) + count_there(cache, 3, KEYS, 4); /* that do not expire */
        late = count_there(cache, KEYS - 400, KEYS, 4) + count_there(cache, KEYS - 399, KEYS, 4); /* that expire */
        print_message("%s: %u refused, %llu evicted, %u used, %u unused, %u lasting, %u late\n",
                      cairn_cache_policy_name((enum cairn_cache_policy)policy), refused,
                      (unsigned long long)stats.evicted, used, unused, lasting, late);
        switch ((enum cairn_cache_policy)policy) {
        case CAIRN_CACHE_NOEVICTION:
            assert_true(refused > 0 && stats.evicted == 0 && used == 100 && unused == 100);
            break;
        case CAIRN_CACHE_ALLKEYS_LRU:
        case CAIRN_CACHE_ALLKEYS_LFU:
            assert_true(refused == 0 && stats.evicted > 0 && used >= 95 && unused < 60);
            break;
        case CAIRN_CACHE_ALLKEYS_RANDOM:
            assert_true(refused == 0 && stats.evicted > 0);
            break;
        case CAIRN_CACHE_VOLATILE_TTL:
            /* those that expire last are the first ones, but the newest are nearer than all before */
            assert_true(refused > 0 && late < 200);
            /* fall through */
        default: /* nothing that lasts is evicted, so at last all that is there lasts */
            assert_true(refused > 0 && stats.evicted > 0);
            assert_int_equal(lasting + count_there(cache, 0, KEYS, 4) + count_there(cache, 1, KEYS, 4),
                             KEYS - refused - stats.evicted);
            break;
        }
        cairn_cache_destroy(cache);
    }
}

static void test_more_than_all(void **state)
{
    struct cairn_cache *cache = open_cache(2 << 20, CAIRN_CACHE_ALLKEYS_LRU);
    char name[40];
    struct cairn_cache_key key = key_of(cache, 0, "k%u", 1, name);

    (void)state;
    put(cache, &key, cairn_str("v"), 0, NOW);
    assert_false(cairn_cache_make_room(cache, 0, 3 << 20, NOW));
    assert_true(is_there(cache, &key, NOW)); /* nothing was evicted in vain */
    cairn_cache_destroy(cache);
}

/* --- namespaces --- */

static void test_spaces(void **state)
{
    struct cairn_cache *cache = open_cache(UINT64_C(1) << 40, CAIRN_CACHE_NOEVICTION);
    uint32_t a, b, again;
    char name[40];
    struct cairn_cache_key key;

    (void)state;
    assert_true(cairn_cache_space(cache, cairn_str("a"), &a));
    assert_true(cairn_cache_space(cache, cairn_str("b"), &b));
    assert_true(cairn_cache_space(cache, cairn_str("a"), &again));
    assert_true(a == again && a != b);
    for (unsigned i = 2; i < CAIRN_CACHE_SPACES_MAX; i++) {
        snprintf(name, sizeof name, "n%u", i);
        assert_true(cairn_cache_space(cache, cairn_str(name), &again));
    }
    assert_false(cairn_cache_space(cache, cairn_str("one more"), &again));
    key = key_of(cache, b + 15, "k%u", 1, name);
    put(cache, &key, cairn_str("v"), 0, NOW);
    cairn_cache_space_life(cache, a, 1);
    cairn_cache_space_life(cache, b, 0);
    assert_true(is_there(cache, &key, NOW));
    cairn_cache_space_life(cache, b, 1); /* the namespace was removed and made anew */
    assert_false(is_there(cache, &key, NOW));
    cairn_cache_destroy(cache);
}

/* --- patterns --- */

static void test_patterns(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool want;
    } table[] = {
        {"*", "", true},          {"**", "", false},           {"", "", true},         {"", "a", false},
        {"a*c", "abbc", true},    {"a*c", "abbcd", false},     {"a?c", "abc", true},   {"a?c", "ac", false},
        {"[a-c]x", "bx", true},   {"[c-a]x", "bx", true},      {"[^a]x", "ax", false}, {"[^a]x", "bx", true},
        {"[ab", "b", true},       {"\\*", "*", true},          {"\\*", "a", false},    {"[\\]]", "]", true},
        {"*a*b*", "xaybz", true}, {"*a*b*", "xbyaz", false},   {"a\\", "a\\", true},   {"*.txt", "a.txt.txt", true},
        {"[a-]", "-", false},     {"*[0-9]*x", "aa1bx", true}, {"a**", "a", true},     {"a**", "ab", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (cairn_glob_matches(cairn_str(table[i].pattern), cairn_str(table[i].text)) != table[i].want)
            fail_msg("%s against %s", table[i].pattern, table[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_a_model),
        cmocka_unit_test(test_growing_and_shrinking),
        cmocka_unit_test(test_bytes_of_a_key),
        cmocka_unit_test(test_scanning_while_it_changes),
        cmocka_unit_test(test_flushing),
        cmocka_unit_test(test_due_keys_give_their_memory_back),
        cmocka_unit_test(test_exact_to_a_millisecond),
        cmocka_unit_test(test_watching),
        cmocka_unit_test(test_a_reader_keeps_its_value),
        cmocka_unit_test(test_policies),
        cmocka_unit_test(test_more_than_all),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
