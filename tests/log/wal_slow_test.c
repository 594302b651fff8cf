/* Catches what the sweeps of wal_fault_test meet only by chance: combinations of failing calls, lost
 * power, full disks, segment sizes and sync modes over many openings of one log.  A failing seed is
 * printed; WAL_SEED=n runs that one alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "log_lab.h"

enum { SEEDS = 4000, OPENINGS = 10 };

static void plan_fault(struct lab *lab)
{
    int64_t at = (int64_t)cairn_random_below(&lab->random, 150);

    switch (cairn_random_below(&lab->random, 5)) {
    case 0:
        cairn_sim_disk_fail_call(lab->disk, at, CAIRN_EIO);
        break;
    case 1:
        cairn_sim_disk_fail_call(lab->disk, at, CAIRN_EFULL);
        break;
    case 2:
        cairn_sim_disk_halt_at(lab->disk, at);
        break;
    case 3:
        cairn_sim_disk_set_room(lab->disk, (size_t)cairn_random_below(&lab->random, 8000));
        break;
    default:
        break;
    }
}

static void end_opening(struct lab *lab, bool alive)
{
    switch (cairn_random_below(&lab->random, 4)) {
    case 0:
        if (!lab->log)
            break;
        if (lab_close(lab) == CAIRN_OK)
            assert_true(alive);
        break;
    case 1:
        lab_kill(lab);
        break;
    default:
        lab_crash(lab, (enum cairn_sim_crash)cairn_random_below(&lab->random, 3));
        return;
    }
    /* Without power nothing can be opened again. */
    if (cairn_sim_disk_fired(lab->disk))
        lab_crash(lab, (enum cairn_sim_crash)cairn_random_below(&lab->random, 3));
    cairn_sim_disk_fail_call(lab->disk, -1, CAIRN_OK);
    cairn_sim_disk_halt_at(lab->disk, -1);
}

static void run_seed(uint64_t seed)
{
    struct lab lab;

    lab_init(&lab, seed, (enum cairn_sync_mode)(seed % 3));
    lab.options.segment_bytes = UINT64_C(2048) << cairn_random_below(&lab.random, 4);
    lab.options.segments_ahead = 1 + (uint32_t)cairn_random_below(&lab.random, 3);
    lab.options.pending_bytes_max = 2000 << cairn_random_below(&lab.random, 6);
    for (int i = 0; i < OPENINGS; i++) {
        int acts = (int)cairn_random_below(&lab.random, 120);
        enum cairn_code code;
        bool alive;

        if (i + 1 < OPENINGS)
            plan_fault(&lab);
        code = lab_start(&lab);
        alive = code == CAIRN_OK;
        assert_true(alive || cairn_sim_disk_fired(lab.disk) || code == CAIRN_EFULL);
        for (int j = 0; j < acts && alive; j++)
            alive = lab_act(&lab);
        end_opening(&lab, alive);
        cairn_sim_disk_set_room(lab.disk, SIZE_MAX);
    }
    assert_int_equal(lab_start(&lab), CAIRN_OK);
    assert_int_equal(lab_close(&lab), CAIRN_OK);
    lab_done(&lab);
}

static uint64_t running;

static void print_seed(void)
{
    if (running)
        fprintf(stderr, "failed: WAL_SEED=%llu\n", (unsigned long long)running);
}

static void test_seeds(void **state)
{
    const char *one = getenv("WAL_SEED");

    (void)state;
    atexit(print_seed);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (one)
            seed = strtoull(one, NULL, 10);
        running = seed;
        run_seed(seed);
        running = 0;
        if (one)
            break;
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
