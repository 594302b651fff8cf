/* Would catch: a generation that is given twice, over stops, crashes and disks that fail at any moment; a damaged file
 * that is taken for good. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cache/generation.h"

static void test_never_twice(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(5);
    uint64_t first, bound, end = 0;
    struct cairn_err err;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(cairn_generation_open(disk, &first, &bound, &err), CAIRN_OK);
        assert_true(first >= end && bound > first && first > 0);
        end = bound;
        cairn_sim_disk_crash(disk, i % 2 ? CAIRN_SIM_DROP : CAIRN_SIM_KEEP);
    }
    cairn_disk_close(disk);
}

static void test_raised_in_time(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(5);
    struct cairn_cache_options options = {.bytes_max = 1 << 24, .users = 1};
    struct cairn_cache *cache;
    uint64_t first, bound;
    struct cairn_err err;

    (void)state;
    assert_int_equal(cairn_generation_open(disk, &options.generation_first, &options.generation_bound, &err), CAIRN_OK);
    bound = options.generation_bound;
    options.generation_first = bound - (1 << 24) + 1; /* nearly all have been given */
    cache = cairn_cache_create(&options);
    assert_false(cairn_cache_may_change(cache));
    assert_int_equal(cairn_generation_raise(disk, cache, &err), CAIRN_OK);
    assert_true(cairn_cache_may_change(cache));
    assert_true(cairn_cache_generation_bound(cache) > bound);
    bound = cairn_cache_generation_bound(cache);
    assert_int_equal(cairn_generation_raise(disk, cache, &err), CAIRN_OK); /* there is no need to */
    assert_true(cairn_cache_generation_bound(cache) == bound);
    cairn_cache_destroy(cache);
    cairn_sim_disk_crash(disk, CAIRN_SIM_DROP);
    assert_int_equal(cairn_generation_open(disk, &first, &bound, &err), CAIRN_OK);
    assert_true(first >= options.generation_bound);
    cairn_disk_close(disk);
}

static void test_damaged(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(5);
    uint64_t first, bound;
    struct cairn_err err;
    size_t size;

    (void)state;
    assert_int_equal(cairn_generation_open(disk, &first, &bound, &err), CAIRN_OK);
    for (size_t i = 0; i < CAIRN_GENERATION_BYTES; i++) {
        uint8_t *bytes = cairn_sim_disk_bytes(disk, "cache-generation", &size);

        assert_int_equal(size, CAIRN_GENERATION_BYTES);
        bytes[i] ^= 1;
        assert_int_equal(cairn_generation_open(disk, &first, &bound, &err), CAIRN_ECORRUPT);
        cairn_sim_disk_bytes(disk, "cache-generation", &size)[i] ^= 1;
    }
    assert_int_equal(cairn_generation_open(disk, &first, &bound, &err), CAIRN_OK);
    cairn_disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_twice),
        cmocka_unit_test(test_raised_in_time),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
