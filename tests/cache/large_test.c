/* Would catch: bytes of a large value that are not those that were written, after any mix of flipped bytes, instances
 * that are taken away (in the middle of a read, too), repairs and replacements; a value that is missed though no more
 * was lost than its parity; a repair that repairs nothing; two chunks of a value at one instance; what a value takes
 * not being counted, or not being given back; a value that changes for who reads it when its key gets another one. */
#include "large_faults.h"

static void holds_under_faults(void **state)
{
    static const char *const codes[] = {"10+2", "1+2", "raid5:5", "raid6:8", "3+0"};

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct faults f;

        faults_open(&f, codes[i], 256 << 20, 7 + i);
        faults_run(&f, 60);
        assert_true(f.read > 5 && (f.decoded > 0));
        faults_close(&f);
    }
}

static uint64_t ids[64];
static uint32_t id_count;

static void remember(void *context, struct cairn_instance *instance)
{
    (void)context;
    ids[id_count++] = instance->id;
}

/* Each pattern of at most `parity` lost instances: the value is read, repaired, and has its chunks apart. */
static void survives_each_loss(void **state)
{
    struct faults f;

    (void)state;
    faults_open(&f, "4+2", 64 << 20, 3);
    for (uint32_t a = 0; a < 6; a++)
        for (uint32_t b = a; b < 6; b++) {
            uint64_t first, second;

            faults_replace(&f, 0);
            first = f.values[0]->chunks[a]->instance->id;
            second = f.values[0]->chunks[b]->instance->id;
            assert_true(a == b || first != second);
            assert_true(cairn_pool_reclaim(f.pool, first));
            if (a != b)
                assert_true(cairn_pool_reclaim(f.pool, second));
            assert_int_equal(cairn_large_lost(f.values[0]), a == b ? 1 : 2);
            assert_true(faults_read(&f, 0, false));
            faults_repair(f.values[0]);
            assert_int_equal(cairn_large_lost(f.values[0]), 0);
            for (uint32_t i = 0; i < 6; i++)
                for (uint32_t k = 0; k < i; k++)
                    assert_true(f.values[0]->chunks[i]->instance != f.values[0]->chunks[k]->instance);
            assert_true(faults_read(&f, 0, false));
        }
    cairn_pool_each(f.pool, remember, NULL);
    for (uint32_t i = 0; i < id_count; i++)
        assert_true(cairn_pool_reclaim(f.pool, ids[i]));
    assert_false(cairn_large_readable(f.values[0]));
    assert_false(faults_read(&f, 0, false));
    faults_close(&f);
}

/* The key has another value by now, and the reader still sees the old one whole; its memory comes back when it is
 * through, and the table's entry goes with more lost than the parity. */
static void keeps_what_is_read(void **state)
{
    struct cairn_cache_key key;
    struct cairn_reading reading;
    struct iovec pieces[256];
    struct cairn_large *old;
    struct faults f;
    size_t count;

    (void)state;
    faults_open(&f, "4+2", 64 << 20, 5);
    key = cairn_cache_key(f.cache, 0, cairn_str("k"));
    f.seeds[0] = 1;
    old = faults_write(&f, 1, 1 << 20);
    cairn_cache_put_large(f.cache, &key, &old->far, 0, 1000);
    cairn_reading_begin(&reading, old, 0, 1 << 20, &f.scratch);
    cairn_large_unref(old);
    assert_true(cairn_cache_large_bytes(f.cache) > (1 << 20) * 3 / 2);
    cairn_cache_put(f.cache, &key, cairn_str("small"), 0, CAIRN_CACHE_PLAIN, 1000);
    for (uint64_t i = 0; i < 40; i++) /* what would be written over what is read */
        cairn_large_unref(faults_write(&f, 100 + i, 1 << 20));
    while (cairn_reading_next(&reading, pieces, 256, &count) == CAIRN_TRANSFER_READY && count > 0) {
        faults_fill(f.buffer, 1, reading.at, pieces[0].iov_len);
        assert_memory_equal(pieces[0].iov_base, f.buffer, pieces[0].iov_len);
        cairn_reading_took(&reading, pieces[0].iov_len);
    }
    assert_int_equal(reading.at, 1 << 20);
    cairn_reading_end(&reading);
    assert_int_equal(cairn_cache_large_bytes(f.cache), 0);
    old = faults_write(&f, 2, 1 << 20);
    cairn_cache_put_large(f.cache, &key, &old->far, 0, 1000);
    assert_non_null(cairn_cache_find(f.cache, &key, 1000, CAIRN_CACHE_PEEK));
    for (uint32_t i = 0; i < 3; i++)
        assert_true(cairn_pool_reclaim(f.pool, old->chunks[i]->instance->id));
    assert_null(cairn_cache_find(f.cache, &key, 1000, CAIRN_CACHE_PEEK));
    cairn_large_unref(old);
    faults_close(&f);
}

/* More is written than fits, by far: the oldest go as wholes, by CLOCK, and the bound holds. */
static void evicts_as_wholes(void **state)
{
    struct cairn_cache_key first, key;
    struct faults f;
    char name[16];

    (void)state;
    faults_open(&f, "4+2", 64 << 20, 9);
    first = cairn_cache_key(f.cache, 0, cairn_str("kept"));
    for (int i = 0; i < 200; i++) {
        struct cairn_large *large;

        assert_true(cairn_cache_make_room(f.cache, 0, cairn_large_bytes(f.pool, 1 << 20), 1000));
        large = faults_write(&f, (uint64_t)i, 1 << 20);
        snprintf(name, sizeof name, "%d", i);
        key = i ? cairn_cache_key(f.cache, 0, cairn_str(name)) : first;
        cairn_cache_put_large(f.cache, &key, &large->far, 0, 1000);
        cairn_large_unref(large);
        assert_true(cairn_cache_bytes(f.cache) <= 64 << 20);
        assert_non_null(cairn_cache_find(f.cache, &first, 1000, CAIRN_CACHE_READ)); /* it is used all the time */
    }
    assert_true(cairn_cache_keys(f.cache, 0, false) > 25 && cairn_cache_keys(f.cache, 0, false) < 45);
    {
        struct cairn_cache_locks all;

        cairn_cache_locks_add_all(&all);
        cairn_cache_lock(f.cache, &all);
        cairn_cache_flush(f.cache, 0, 1);
        cairn_cache_unlock(f.cache, &all);
        cairn_cache_sweep(f.cache, UINT64_MAX);
    }
    assert_int_equal(cairn_cache_large_bytes(f.cache), 0);
    faults_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_each_loss),
        cmocka_unit_test(keeps_what_is_read),
        cmocka_unit_test(evicts_as_wholes),
        cmocka_unit_test(holds_under_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
