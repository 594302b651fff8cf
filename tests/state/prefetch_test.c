/* Catches: a hint that changes what is found, or reads where nothing is: of keys that are not there, or lie on the disk
 * only, of too many, of an empty state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "state/state_internal.h"

enum { KEYS = 400, HINTS = 100 };

/* Every second key is there. */
static void check(struct cairn_state *state, uint32_t from, bool hinted, bool filled)
{
    struct cairn_state_key keys[HINTS];
    uint32_t numbers[HINTS];
    struct cairn_err err;

    for (uint32_t i = 0; i < HINTS; i++) {
        numbers[i] = from + i;
        keys[i] = (struct cairn_state_key){&numbers[i], i % 7 ? sizeof numbers[i] : 0};
    }
    if (hinted)
        cairn_state_prefetch(state, keys, HINTS);
    for (uint32_t i = 0; i < HINTS; i++) {
        const void *value;
        size_t bytes;
        bool found;

        assert_int_equal(cairn_state_get(state, &numbers[i], sizeof numbers[i], &found, &value, &bytes, &err),
                         CAIRN_OK);
        assert_int_equal(found, filled && numbers[i] % 2 == 0);
        if (found) {
            assert_int_equal(bytes, sizeof numbers[i]);
            assert_memory_equal(value, &numbers[i], bytes);
        }
    }
}

static void run(const char *engine)
{
    struct cairn_state_options options = {
        .engine = engine, .memtable_bytes_limit = 2000, .threshold = 2000, .mem_segment_len = 12000};
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_tasks *tasks = cairn_tasks_create(0);
    struct cairn_state *state;
    struct cairn_err err;
    uint64_t version;

    assert_int_equal(state_open_on(disk, tasks, NULL, &options, &state, &err), CAIRN_OK);
    cairn_state_prefetch(state, NULL, 0);
    check(state, 0, true, false);
    for (uint32_t i = 0; i < KEYS; i += 2)
        assert_int_equal(cairn_state_put(state, &i, sizeof i, &i, sizeof i, &err), CAIRN_OK);
    for (int snapshots = 0; snapshots < 2; snapshots++) {
        for (uint32_t from = 0; from + HINTS <= KEYS; from += HINTS)
            for (int hinted = 0; hinted < 2; hinted++)
                check(state, from, hinted, true);
        assert_int_equal(cairn_state_snapshot(state, NULL, 0, &version, &err), CAIRN_OK);
    }
    cairn_state_close(state);
    cairn_tasks_destroy(tasks);
    cairn_disk_close(disk);
}

static void test_hints(void **unused)
{
    (void)unused;
    run("hybridlog");
    run("lsm");
    run("appendlog");
    run("memory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hints)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
