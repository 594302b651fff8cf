/* Catches: a durable commit lost, half a commit present, a lost commit that comes back, or a folder
 * that does not open any more, when the power goes or a call fails at any moment of commits,
 * checkpoints, manifests, trimming, opening or closing; a checkpoint named before the log is
 * durable past what is in it; a failed checkpoint that harms the one before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shard/rig.h"

enum { LOAD = 260 };

/* Which calls are tried: all with the engine in memory; of the others every third, each engine other ones. */
static uint64_t first, stride = 1;

static void load(struct rig *rig, int commits)
{
    for (int i = 0; i < commits && rig_commit(rig, -1); i++)
        if (cairn_random_below(&rig->random, 3))
            rig_pump(rig);
}

static const char *const names[] = {[CAIRN_SIM_DROP] = "drop", [CAIRN_SIM_KEEP] = "keep", [CAIRN_SIM_TEAR] = "tear"};

static void open_again(struct rig *rig, const char *label)
{
    struct cairn_err err;

    if (rig_open(rig, &err) != CAIRN_OK)
        fail_msg("%s: %s", label, err.text);
}

/* A whole life: open, load with checkpoints, close with one; the power goes at call n. */
static void crash_at_every_call(enum cairn_sync_mode sync, enum cairn_sim_crash how, uint64_t step)
{
    bool halted = true;

    for (uint64_t n = first; halted; n += step * stride) {
        struct cairn_err err;
        static struct rig rig;
        char label[64];

        snprintf(label, sizeof label, "sync %d, %s at call %llu", (int)sync, names[how], (unsigned long long)n);
        rig_init(&rig, cairn_sim_disk_create(n), sync, 5);
        cairn_sim_disk_halt_at(rig.disk, (int64_t)n);
        if (rig_open(&rig, &err) == CAIRN_OK) {
            load(&rig, LOAD);
            if (n % 2 == 0) {
                rig_settle(&rig);
                if (cairn_store_close(rig.store, true, &err) == CAIRN_OK)
                    rig.durable = rig.commits;
                rig.store = NULL;
            }
        }
        halted = cairn_sim_disk_fired(rig.disk);
        rig_crash(&rig, how);
        open_again(&rig, label);
        rig_verify(&rig, rig.durable, label);
        /* And it goes on from there. */
        load(&rig, 20);
        rig_settle(&rig);
        if (sync == CAIRN_SYNC_ALWAYS)
            assert_int_equal(rig.durable, rig.commits);
        rig_crash(&rig, how);
        open_again(&rig, label);
        rig_verify(&rig, rig.durable, label);
        rig_done(&rig);
    }
}

static void crash_drops(void **state)
{
    (void)state;
    crash_at_every_call(CAIRN_SYNC_ALWAYS, CAIRN_SIM_DROP, 1);
}

static void crash_keeps(void **state)
{
    (void)state;
    crash_at_every_call(CAIRN_SYNC_ALWAYS, CAIRN_SIM_KEEP, 1);
}

static void crash_tears(void **state)
{
    (void)state;
    crash_at_every_call(CAIRN_SYNC_ALWAYS, CAIRN_SIM_TEAR, 1);
}

/* Without syncs of commits, only what checkpoints and marks make durable is. */
static void crash_without_sync(void **state)
{
    (void)state;
    crash_at_every_call(CAIRN_SYNC_NONE, CAIRN_SIM_DROP, 1);
    crash_at_every_call(CAIRN_SYNC_INTERVAL, CAIRN_SIM_TEAR, 1);
}

/* Opening a folder with checkpoints and a torn tail, with the power going at each of its calls. */
static void crash_while_opening(void **state)
{
    static struct rig base;
    bool halted = true;

    (void)state;
    rig_init(&base, cairn_sim_disk_create(3), CAIRN_SYNC_ALWAYS, 6);
    open_again(&base, "first");
    load(&base, LOAD);
    cairn_sim_disk_halt_at(base.disk, 2);
    load(&base, 20);
    rig_crash(&base, CAIRN_SIM_TEAR);
    for (uint64_t n = first; halted; n += stride) {
        static struct rig rig;
        struct cairn_err err;
        char label[64];

        snprintf(label, sizeof label, "opening, call %llu", (unsigned long long)n);
        rig = base;
        rig.disk = rig.options.disk = cairn_sim_disk_clone(base.disk);
        rig.tasks = rig.options.tasks = cairn_tasks_create(0);
        rig.options.context = &rig;
        rig.options.clock = &rig.clock.clock;
        cairn_sim_disk_halt_at(rig.disk, (int64_t)n);
        if (rig_open(&rig, &err) != CAIRN_OK)
            assert_int_equal(err.code, CAIRN_EIO);
        halted = cairn_sim_disk_fired(rig.disk);
        rig_crash(&rig, CAIRN_SIM_TEAR);
        open_again(&rig, label);
        rig_verify(&rig, base.durable, label);
        rig_done(&rig);
    }
    rig_done(&base);
}

/* Call n fails once; the node goes on as far as it can. */
static void fail_every_call(enum cairn_code code)
{
    bool fired = true;

    for (uint64_t n = first; fired; n += stride) {
        static struct rig rig;
        struct cairn_err err;
        char label[64];

        snprintf(label, sizeof label, "%s in call %llu", cairn_code_name(code), (unsigned long long)n);
        rig_init(&rig, cairn_sim_disk_create(n), CAIRN_SYNC_ALWAYS, 8);
        cairn_sim_disk_fail_call(rig.disk, (int64_t)n, code);
        if (rig_open(&rig, &err) == CAIRN_OK) {
            load(&rig, LOAD);
            for (int i = 0; i < 2 && !rig.log_failed; i++) {
                load(&rig, 60);
                rig_settle(&rig);
                cairn_sim_clock_advance(&rig.clock, 100000000000); /* past every retry */
                rig_settle(&rig);
            }
            if (!rig.log_failed) {
                struct cairn_store_stats stats;
                cairn_store_stats(rig.store, &stats);
                assert_int_equal(rig.durable, rig.commits);
                /* Tried again, and it went well; but where a name could not be synced, and so it is not known which
                 * version a crash would leave, a shard makes no other before the folder is opened again. */
                if (strcmp(rig_engine, "memory") == 0 || !strstr(stats.checkpoint_error, "sync")) {
                    assert_in_range(stats.checkpoint_failures, 0, 1);
                    assert_string_equal(stats.checkpoint_error, "");
                    assert_true(stats.checkpoints >= 3);
                    /* The whole log is bounded again. */
                    assert_in_range(stats.log.retained_bytes, 0, 3 * rig.options.log_bytes_max);
                }
            }
        } else {
            assert_int_equal(err.code, code);
        }
        fired = cairn_sim_disk_fired(rig.disk);
        if (n % 2 && rig.store) {
            if (cairn_store_close(rig.store, n % 4 == 1, &err) == CAIRN_OK)
                rig.durable = rig.commits;
            rig.store = NULL;
        }
        rig_crash(&rig, n % 3 ? CAIRN_SIM_DROP : CAIRN_SIM_TEAR);
        open_again(&rig, label);
        rig_verify(&rig, rig.durable, label);
        rig_done(&rig);
    }
}

static void failing_calls(void **state)
{
    (void)state;
    fail_every_call(CAIRN_EIO);
}

static void full_disk_at_every_call(void **state)
{
    (void)state;
    fail_every_call(CAIRN_EFULL);
}

/* Call n fails once and soon after, before anything is tried again, the power goes: what the failed
 * call left behind, a manifest that may or may not be there above all, must not harm. */
static void fail_then_crash(void **state)
{
    bool fired = true;

    (void)state;
    for (uint64_t n = first; fired; n += stride) {
        for (enum cairn_sim_crash how = CAIRN_SIM_DROP; how <= CAIRN_SIM_TEAR; how++) {
            static struct rig rig;
            struct cairn_err err;
            char label[64];

            snprintf(label, sizeof label, "call %llu fails, then %s", (unsigned long long)n, names[how]);
            rig_init(&rig, cairn_sim_disk_create(n), CAIRN_SYNC_ALWAYS, 9);
            cairn_sim_disk_fail_call(rig.disk, (int64_t)n, CAIRN_EIO);
            if (rig_open(&rig, &err) == CAIRN_OK) {
                for (int i = 0; i < LOAD && !cairn_sim_disk_fired(rig.disk) && rig_commit(&rig, -1); i++)
                    rig_pump(&rig);
                for (int i = 0; i < 30; i++)
                    rig_pump(&rig);
            }
            fired = cairn_sim_disk_fired(rig.disk);
            rig_crash(&rig, how);
            open_again(&rig, label);
            rig_verify(&rig, rig.durable, label);
            rig_done(&rig);
        }
    }
}

/* Many lives in a row, crashing anyhow at any time. */
static void many_lives(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        static struct rig rig;
        char label[64];

        rig_init(&rig, cairn_sim_disk_create(seed), (enum cairn_sync_mode)(seed % 3), seed);
        for (int life = 0; life < 8; life++) {
            snprintf(label, sizeof label, "seed %llu, life %d", (unsigned long long)seed, life);
            open_again(&rig, label);
            rig_verify(&rig, rig.durable, label);
            if (cairn_random_below(&rig.random, 2))
                cairn_sim_disk_halt_at(rig.disk, (int64_t)cairn_random_below(&rig.random, 600));
            load(&rig, (int)cairn_random_below(&rig.random, 400));
            rig_crash(&rig, (enum cairn_sim_crash)cairn_random_below(&rig.random, 3));
        }
        rig_done(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crash_drops),
        cmocka_unit_test(crash_keeps),
        cmocka_unit_test(crash_tears),
        cmocka_unit_test(crash_without_sync),
        cmocka_unit_test(crash_while_opening),
        cmocka_unit_test(failing_calls),
        cmocka_unit_test(full_disk_at_every_call),
        cmocka_unit_test(fail_then_crash),
        cmocka_unit_test(many_lives),
    };

    static const char *const engines[] = {"memory", "hybridlog", "lsm", "appendlog"};
    int failed = 0;

    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        rig_engine = engines[i];
        first = i ? i - 1 : 0;
        stride = i ? 3 : 1;
        failed += cmocka_run_group_tests_name(engines[i], tests, NULL, NULL);
    }
    return failed;
}
