/* Would catch: a process that is never trimmed though it holds far more than the cache has; one that is trimmed again
 * and again for nothing, or for memory that is not the cache's. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "cache/trim.h"

#define MIB (UINT64_C(1) << 20)

static void test_when(void **state)
{
    struct cairn_cache_trim trim = {0};
    uint64_t now_ms = 1000, last_ms = 0;
    int trims = 0;

    (void)state;
    assert_false(cairn_cache_trim_wanted(&trim, 20 * MIB, 0, 64 * MIB, now_ms));
    assert_false(cairn_cache_trim_wanted(&trim, 84 * MIB, 64 * MIB, 64 * MIB, now_ms)); /* all of it is in use */
    assert_false(cairn_cache_trim_wanted(&trim, 86 * MIB, 64 * MIB, 64 * MIB, now_ms)); /* a little is not */
    assert_true(cairn_cache_trim_wanted(&trim, 100 * MIB, 64 * MIB, 64 * MIB, now_ms));
    cairn_cache_trim_done(&trim, 100 * MIB, 85 * MIB, 64 * MIB, now_ms);
    assert_false(cairn_cache_trim_wanted(&trim, 85 * MIB, 64 * MIB, 64 * MIB, now_ms + 100000));
    assert_false(cairn_cache_trim_wanted(&trim, 100 * MIB, 64 * MIB, 64 * MIB, now_ms + 1000));
    assert_true(cairn_cache_trim_wanted(&trim, 100 * MIB, 64 * MIB, 64 * MIB, now_ms + 5000));

    /* What the node has beside the cache cannot be given back: the tries become few. */
    for (now_ms += 5000; now_ms < 3600000; now_ms += 1000)
        if (cairn_cache_trim_wanted(&trim, 500 * MIB, 64 * MIB, 64 * MIB, now_ms)) {
            cairn_cache_trim_done(&trim, 500 * MIB, 500 * MIB, 64 * MIB, now_ms);
            trims++;
            last_ms = now_ms;
        }
    assert_true(trims > 5 && trims < 30);
    assert_true(last_ms > 3000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_when)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
