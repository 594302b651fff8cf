/* Catches: a version of the node that is not a cut through all shards, or whose cut does not lie between the request
 * and its end; one that cannot be restored later, after others were taken and dropped, checkpoints made and power
 * cut; a restore that is half done when the power goes; one that cannot be undone; what was dropped and stays on the
 * disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "history/vault.h"

static void versions_come_back(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct vault vault;
        struct cairn_store_version versions[VAULT_VERSIONS_MAX];
        struct cairn_err err;

        vault_init(&vault, seed);
        for (int i = 0; i < 5; i++) {
            vault_load(&vault.rig, (int)cairn_random_below(&vault.rig.random, 200));
            if (vault_take(&vault, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
            if (seed % 2) { /* without a proper end */
                uint32_t commits = vault.rig.commits;

                rig_settle(&vault.rig);
                rig_crash(&vault.rig, CAIRN_SIM_TEAR);
                vault_must_open(&vault.rig, "after a crash");
                rig_verify(&vault.rig, commits, "after a crash");
            }
        }
        assert_int_equal(cairn_store_versions(vault.rig.store, versions, VAULT_VERSIONS_MAX), 5);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(versions[i].number, vault.taken[i].number);
            assert_int_equal(versions[i].parent, i ? vault.taken[i - 1].number : 0);
        }
        vault_check_all(&vault);
        rig_done(&vault.rig);
    }
}

static void count_file(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

static size_t files_in(struct rig *rig, const char *folder)
{
    size_t count = 0;

    for (int shard = 0; shard < RIG_SHARDS; shard++) {
        char path[64];
        struct cairn_err err;

        snprintf(path, sizeof path, "shards/%04d/%s", shard, folder);
        assert_int_equal(rig->disk->ops->list(rig->disk, path, count_file, &count, &err), CAIRN_OK);
    }
    return count;
}

/* What is forgotten while the engines are at it goes with the next. */
static void check_newest_goes(struct vault *vault)
{
    struct rig *rig = &vault->rig;
    struct cairn_store_version versions[VAULT_VERSIONS_MAX];
    struct cairn_err err;
    size_t count, before = 0;

    for (int i = 0; i < 10; i++) {
        vault_load(rig, 20);
        vault_must_take(vault);
        rig_settle(rig);
        before = i == 0 ? files_in(rig, "versions") : before;
        count = cairn_store_versions(rig->store, versions, VAULT_VERSIONS_MAX);
        assert_int_equal(cairn_store_version_forget(rig->store, versions[count - 1].number, &err), CAIRN_OK);
        rig_settle(rig);
    }
    assert_true(files_in(rig, "versions") <= before);
}

static void forgotten_ones_go(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static struct vault vault;
        struct cairn_err err;
        size_t most;

        vault_init(&vault, seed);
        for (int i = 0; i < 20; i++) {
            vault_load(&vault.rig, 20);
            if (vault_take(&vault, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
        }
        most = files_in(&vault.rig, "versions");
        for (size_t i = 0; i < vault.count; i++)
            if (i % 5 != 3 && cairn_store_version_forget(vault.rig.store, vault.taken[i].number, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
        assert_int_equal(cairn_store_version_forget(vault.rig.store, vault.taken[0].number, &err), CAIRN_ENOTFOUND);
        vault_load(&vault.rig, 20);
        rig_settle(&vault.rig);
        assert_true(files_in(&vault.rig, "versions") <= most - 3 * 14);
        for (size_t i = 0; i < 4; i++)
            vault.taken[i] = vault.taken[i * 5 + 3];
        vault.count = 4;
        vault_check_all(&vault);
        check_newest_goes(&vault);
        rig_done(&vault.rig);
    }
}

/* Taking one, with a call that fails or the power going at each call. */
static void taking_is_cut_short(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 6; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 30) {
            static struct vault vault;
            struct cairn_err err;
            uint32_t durable;

            vault_init(&vault, seed);
            vault_load(&vault.rig, 60);
            assert_int_equal(vault_take(&vault, &err), CAIRN_OK);
            vault_load(&vault.rig, 60);
            if (seed % 2)
                cairn_sim_disk_halt_at(vault.rig.disk, n);
            else
                cairn_sim_disk_fail_call(vault.rig.disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            vault_take(&vault, &err); /* may fail */
            fired = cairn_sim_disk_fired(vault.rig.disk);
            durable = vault.rig.durable;
            rig_crash(&vault.rig, n % 3 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            vault_must_open(&vault.rig, "after that");
            rig_verify(&vault.rig, durable, "after that");
            vault_load(&vault.rig, 10);
            if (vault_take(&vault, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
            vault_check_all(&vault);
            rig_done(&vault.rig);
        }
    }
}

/* Restoring, the same. */
static void restoring_is_cut_short(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 6; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 30) {
            static struct vault vault;
            struct rig *rig = &vault.rig;
            struct cairn_err err;
            uint64_t undo;
            uint32_t commits;

            vault_init(&vault, seed);
            vault_load(rig, 60);
            assert_int_equal(vault_take(&vault, &err), CAIRN_OK);
            vault_load(rig, 60);
            rig_settle(rig);
            commits = rig->commits;
            vault_close(rig);
            if (seed % 2)
                cairn_sim_disk_halt_at(rig->disk, n);
            else
                cairn_sim_disk_fail_call(rig->disk, n, CAIRN_EIO);
            cairn_store_restore(&rig->options, vault.taken[0].number, &undo, &err); /* may fail */
            fired = cairn_sim_disk_fired(rig->disk);
            rig_crash(rig, n % 3 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            vault_must_open(rig, "after that");
            rig_verify(rig, 0, "after that");
            if (rig->commits != commits && (rig->commits < vault.taken[0].low || rig->commits > vault.taken[0].high))
                fail_msg("call %lld: commits up to %u are there, neither %u nor %u to %u", (long long)n, rig->commits,
                         commits, vault.taken[0].low, vault.taken[0].high);
            vault_load(rig, 10);
            rig_settle(rig);
            assert_int_equal(rig->durable, rig->commits);
            rig_done(rig);
        }
    }
}

static void what_cannot_be(void **unused)
{
    static struct vault vault;
    struct cairn_err err;
    uint64_t undo;

    (void)unused;
    vault_init(&vault, 1);
    assert_int_equal(cairn_store_version_begin(vault.rig.store, false, &err), CAIRN_OK);
    assert_int_equal(cairn_store_version_begin(vault.rig.store, false, &err), CAIRN_ECONFLICT);
    vault_close(&vault.rig); /* while it is taken */
    assert_int_equal(cairn_store_restore(&vault.rig.options, 77, &undo, &err), CAIRN_ENOTFOUND);
    rig_done(&vault.rig);
    rig_engine = NULL;
    rig_init(&vault.rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    vault_must_open(&vault.rig, "memory");
    assert_int_equal(cairn_store_version_begin(vault.rig.store, false, &err), CAIRN_EINVAL);
    rig_done(&vault.rig);
}

/* Begins one and looks how it goes until it has ended. */
static enum cairn_code take_alone(struct rig *rig, struct cairn_err *err)
{
    enum cairn_code code = cairn_store_version_begin(rig->store, false, err);
    uint64_t number;

    assert_int_equal(code, CAIRN_OK);
    for (int i = 0; !cairn_store_version_poll(rig->store, &number, &code, err); i++) {
        rig_pump(rig);
        assert_true(i < 1000);
    }
    return code;
}

/* There is room again: engines try each second, and then checkpoints, at last each 32. */
static void heal(struct rig *rig)
{
    cairn_sim_disk_set_room(rig->disk, SIZE_MAX);
    for (uint64_t seconds = 2; seconds < 40; seconds += 31) {
        cairn_sim_clock_advance(&rig->clock, seconds * 1000000000);
        rig_settle(rig);
    }
}

/* An engine whose runs cannot be written is asked again and again, with something new each time. */
static void a_full_disk_for_long(void **unused)
{
    static const char *const names[] = {"lsm", "hybridlog", "appendlog"};
    struct cairn_err err;

    (void)unused;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        static struct rig rig;
        enum cairn_code code;

        rig_engine = names[i];
        rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
        rig.wal.options.segments_ahead = 8;
        vault_must_open(&rig, names[i]);
        rig_settle(&rig);
        cairn_sim_disk_set_room(rig.disk, 100);
        for (int attempts = 0; attempts < 40; attempts++) {
            assert_true(rig_commit(&rig, -1));
            code = take_alone(&rig, &err);
            assert_true(code == CAIRN_EFULL || code == CAIRN_EUNAVAILABLE); /* or a checkpoint is due before it */
            cairn_sim_clock_advance(&rig.clock, 500000000);
        }
        heal(&rig);
        assert_int_equal(take_alone(&rig, &err), CAIRN_OK);
        rig_crash(&rig, CAIRN_SIM_DROP);
        vault_must_open(&rig, names[i]);
        rig_verify(&rig, rig.durable, "after the disk was full");
        rig_done(&rig);
    }
}

/* Who asks for one hears of it, rather than wait for a disk or a log that may never be well again. */
static void nobody_waits_in_vain(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_err err;

    (void)unused;
    vault_init(&vault, 1);
    vault_close(rig);
    rig->wal.options.segments_ahead = 8;
    rig->options.log_bytes_max = 16 << 10;
    vault_must_open(rig, "again");
    rig_settle(rig);
    cairn_sim_disk_set_room(rig->disk, 100);
    while (!cairn_store_checkpoint_due(rig->store))
        assert_true(rig_commit(rig, 0));
    rig_settle(rig);
    assert_int_equal(take_alone(rig, &err), CAIRN_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "a checkpoint goes first, and fails"));
    heal(rig);
    assert_int_equal(take_alone(rig, &err), CAIRN_OK);
    rig_commit(rig, 1);
    cairn_sim_disk_fail_call(rig->disk, 0, CAIRN_EIO); /* of the log: nothing else writes */
    while (!rig->log_failed)
        rig_pump(rig);
    assert_int_equal(take_alone(rig, &err), CAIRN_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "the log has failed"));
    rig_crash(rig, CAIRN_SIM_DROP);
    vault_must_open(rig, "after all");
    rig_done(rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_come_back),   cmocka_unit_test(forgotten_ones_go),
        cmocka_unit_test(taking_is_cut_short),  cmocka_unit_test(restoring_is_cut_short),
        cmocka_unit_test(what_cannot_be),       cmocka_unit_test(nobody_waits_in_vain),
        cmocka_unit_test(a_full_disk_for_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
