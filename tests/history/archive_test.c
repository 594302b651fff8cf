/* Catches: a moment that does not come back, or one behind a gap or a restore that is gone to all the same; an archive
 * that fails, or whose power goes, in any call; one of another data folder that is written to, or an old copy of a
 * folder that goes on; a new machine that does not come to a state which the lost one was in, with all that the archive
 * had acknowledged, at any call at which that is cut short; what the lost one puts after that and counts; versions that
 * a new machine cannot go back to; what was forgotten and stays, or is needed and goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "history/vault.h"

struct copying {
    struct cairn_disk *from, *to;
    const char *folder;
};

static void copy_one(void *context, const char *name)
{
    struct copying *copying = context;
    struct cairn_buf bytes = {0};
    struct cairn_err err;
    char path[300];

    snprintf(path, sizeof path, "%s/%s", copying->folder, name);
    if (cairn_disk_read_file(copying->to, path, 1 << 30, &bytes, &err) == CAIRN_ENOTFOUND) {
        assert_int_equal(cairn_disk_read_file(copying->from, path, 1 << 30, &bytes, &err), CAIRN_OK);
        assert_int_equal(cairn_disk_replace_file(copying->to, path, cairn_buf_bytes(&bytes), &err), CAIRN_OK);
    }
    cairn_buf_done(&bytes);
}

static void copy_missing(struct cairn_disk *from, struct cairn_disk *to, const char *folder)
{
    struct copying copying = {from, to, folder};
    struct cairn_err err;

    assert_int_equal(from->ops->list(from, folder, copy_one, &copying, &err), CAIRN_OK);
}

static void moments_come_back(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig;
        struct cairn_err err;
        uint64_t undo;
        uint32_t first;

        vault_init_archive(&vault, seed);
        vault_load_timed(&vault, 40);
        assert_int_equal(vault_take(&vault, &err), CAIRN_OK);
        first = rig->commits;
        for (int life = 0; life < 4; life++) {
            vault_load_timed(&vault, 80);
            rig_settle(rig);
            if (life == 1 && seed % 3 == 0)
                assert_int_equal(vault_take(&vault, &err), CAIRN_OK);
            if (seed % 2) {
                uint32_t commits = rig->commits;

                rig_crash(rig, CAIRN_SIM_TEAR);
                vault_must_open(rig, "after a crash");
                rig_verify(rig, commits, "after a crash");
            }
        }
        assert_true(vault.times[first] > 0);
        vault_check_moments(&vault, first);
        vault_close(rig);
        assert_int_equal(cairn_store_restore_at(&rig->options, 1000, &undo, &err), CAIRN_ENOTFOUND);
        vault_done(&vault);
    }
}

/* The archive fails, or the power goes, in call n of its disk. */
static void archive_is_cut_short(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 4; seed++) {
        bool fired = true;

        for (int64_t n = (int64_t)seed; fired; n += 4 + n / 10) {
            static struct vault vault;
            struct rig *rig = &vault.rig;
            struct cairn_err err;
            uint32_t commits, first;

            vault_init_archive(&vault, seed);
            vault_load_timed(&vault, 20);
            assert_int_equal(vault_take(&vault, &err), CAIRN_OK);
            first = rig->commits;
            if (seed % 2)
                cairn_sim_disk_halt_at(vault.archive_disk, n);
            else
                cairn_sim_disk_fail_call(vault.archive_disk, n, CAIRN_EIO);
            vault_load_timed(&vault, 60);
            fired = cairn_sim_disk_fired(vault.archive_disk);
            rig_settle(rig);
            commits = rig->commits;
            rig_crash(rig, CAIRN_SIM_TEAR);
            cairn_sim_disk_crash(vault.archive_disk, n % 2 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            vault_must_open(rig, "after that");
            rig_verify(rig, commits, "after that");
            vault_load_timed(&vault, 20);
            rig_settle(rig);
            vault_check_moments(&vault, first);
            vault_done(&vault);
        }
    }
}

/* What a node without the archive has committed is missing in it, and that is said. */
static void gaps_are_told(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_err err;
    struct cairn_blob *archive;
    uint64_t undo;

    (void)unused;
    vault_init_archive(&vault, 1);
    archive = rig->options.archive;
    assert_int_equal(vault_take(&vault, &err), CAIRN_OK);
    vault_load_timed(&vault, 30);
    vault_close(rig);
    rig->options.archive = NULL;
    vault_must_open(rig, "without");
    vault_load_timed(&vault, 100);
    rig_settle(rig);
    vault_close(rig);
    rig->options.archive = archive;
    vault_must_open(rig, "with it again");
    vault_load_timed(&vault, 30);
    rig_settle(rig);
    vault_close(rig);
    assert_int_equal(cairn_store_restore_at(&rig->options, vault.times[rig->commits], &undo, &err), CAIRN_ENOTFOUND);
    assert_non_null(strstr(err.text, "gap"));
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
    vault_must_open(rig, "unchanged");
    rig_verify(rig, rig->commits, "unchanged");
    vault_done(&vault);
}

/* Another archive is not taken for the right one, and one of another folder is left alone. */
static void foreign_archives_are_told(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_disk *other_disk = cairn_sim_disk_create(5), *folder;
    struct cairn_blob *archive, *other = cairn_blob_on_disk(other_disk);
    struct cairn_err err;
    uint64_t undo;
    size_t claims;

    (void)unused;
    vault_init_archive(&vault, 1);
    archive = rig->options.archive;
    other->url[0] = 'x'; /* the one has another address */
    vault_must_take(&vault);
    vault_load_timed(&vault, 60);
    rig_settle(rig);
    vault_close(rig); /* with checkpoints: the log has nothing that an archive could be given now */
    rig->options.archive = other;
    assert_int_equal(cairn_store_restore_at(&rig->options, vault.times[rig->commits], &undo, &err), CAIRN_ENOTFOUND);
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
    vault_must_open(rig, "unchanged");
    rig_verify(rig, rig->commits, "unchanged");
    rig_done(rig);
    folder = vault.archive_disk;
    claims = vault_blobs(&vault, "claims");
    rig_init(rig, cairn_sim_disk_create(2), CAIRN_SYNC_ALWAYS, 2); /* a new folder */
    rig->options.archive = archive;
    assert_int_equal(rig_open(rig, &err), CAIRN_ECONFLICT);
    assert_non_null(strstr(err.text, "--recover"));
    assert_int_equal(vault_blobs(&vault, "claims"), claims);
    cairn_tasks_destroy(rig->tasks);
    cairn_disk_close(rig->disk);
    cairn_blob_close(archive);
    cairn_blob_close(other);
    cairn_disk_close(folder);
    cairn_disk_close(other_disk);
}

/* A folder that is copied, and goes on from the copy when the other has gone on. */
static void copies_are_told(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_disk *copy, *disk;
    struct cairn_err err;

    (void)unused;
    vault_init_archive(&vault, 2);
    vault_must_take(&vault);
    vault_close(rig);
    copy = cairn_sim_disk_clone(rig->disk);
    vault_must_open(rig, "the one");
    vault_load_timed(&vault, 40);
    rig_settle(rig);
    vault_close(rig);
    disk = rig->disk;
    rig->disk = rig->options.disk = copy;
    assert_int_equal(rig_open(rig, &err), CAIRN_ECONFLICT);
    assert_non_null(strstr(err.text, "old copy"));
    rig->disk = rig->options.disk = disk;
    vault_must_open(rig, "the one again");
    rig_verify(rig, rig->commits, "the one again");
    cairn_disk_close(copy);
    vault_done(&vault);
}

static void what_cannot_be_recovered(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_err err;

    (void)unused;
    vault_init_archive(&vault, 1);
    vault_close(rig);
    cairn_disk_close(rig->disk);
    rig->disk = rig->options.disk = cairn_sim_disk_create(7);
    rig->options.recover = true;
    assert_int_equal(rig_open(rig, &err), CAIRN_ENOTFOUND);
    assert_non_null(strstr(err.text, "nothing to recover"));
    rig->options.recover = false;
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP);
    vault_done(&vault);
    rig_engine = NULL; /* in memory */
    vault.archive_disk = cairn_sim_disk_create(8);
    rig_init(rig, cairn_sim_disk_create(9), CAIRN_SYNC_ALWAYS, 9);
    rig->options.archive = cairn_blob_on_disk(vault.archive_disk);
    assert_int_equal(rig_open(rig, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "--engine"));
    vault_done(&vault);
}

/* --- another machine --- */

static void a_new_machine_goes_on(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, old;
        uint32_t first;

        vault_init_archive(&vault, seed);
        vault_must_take(&vault);
        first = rig->commits;
        for (uint64_t machine = 1; machine <= 3; machine++) {
            uint32_t archived;

            vault_load_timed(&vault, (int)cairn_random_below(&rig->random, 80));
            if (cairn_random_below(&rig->random, 2))
                vault_must_take(&vault);
            vault_load_timed(&vault, (int)cairn_random_below(&rig->random, 80));
            if (seed % 4 == 0)
                vault_close(rig); /* in order: nothing is lost */
            archived = seed % 4 ? vault_commits_archived(rig) : rig->commits;
            if (seed % 4 == 0)
                rig->store = NULL;
            vault_must_move(&vault, 100 * seed + machine, &old);
            vault_lose(&old);
            rig_verify(rig, archived, "on a new machine");
            if (seed % 3 == 0) { /* before anything is put from there */
                vault_must_move(&vault, 1000 * seed + machine, &old);
                vault_lose(&old);
                rig_verify(rig, rig->commits, "on the next one");
            }
        }
        vault_load_timed(&vault, 30);
        rig_settle(rig);
        vault_check_all(&vault);
        vault_check_moments(&vault, first);
        vault_done(&vault);
    }
}

/* A call of the archive fails, or of the new disk, or the power goes. */
static void a_new_machine_is_cut_short(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 8; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 20) {
            static struct vault vault;
            struct rig *rig = &vault.rig, old;
            struct cairn_disk *broken;
            struct cairn_err err;
            uint32_t archived;
            enum cairn_code code;

            vault_init_archive(&vault, seed);
            vault_must_take(&vault);
            vault_load_timed(&vault, 40);
            rig_settle(rig);
            archived = vault_commits_archived(rig);
            cairn_store_abandon(rig->store);
            rig->store = NULL;
            old = *rig;
            rig->disk = rig->options.disk = cairn_sim_disk_create(seed + 50);
            rig->options.recover = true;
            broken = seed % 2 ? vault.archive_disk : rig->disk;
            if (seed / 2 % 2)
                cairn_sim_disk_halt_at(broken, n);
            else
                cairn_sim_disk_fail_call(broken, n, CAIRN_EIO);
            code = rig_open(rig, &err);
            fired = cairn_sim_disk_fired(broken);
            cairn_sim_disk_fail_call(broken, -1, CAIRN_EIO);
            if (!fired)
                cairn_sim_disk_halt_at(broken, -1);
            if (code == CAIRN_OK && !fired)
                rig_verify(rig, archived, "whole");
            rig_crash(rig, n % 3 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            cairn_sim_disk_crash(vault.archive_disk, n % 3 ? CAIRN_SIM_DROP : CAIRN_SIM_TEAR);
            vault_must_open(rig, "after that");
            rig_verify(rig, archived, "after that");
            vault_load_timed(&vault, 20);
            vault_must_take(&vault);
            cairn_disk_close(old.disk);
            vault_done(&vault);
        }
    }
}

/* One that was thought lost and goes on may not write any more, and what it puts does not count. */
static void the_lost_one_is_told(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, lost, second;
        uint32_t archived, commits;
        struct cairn_err err;

        vault_init_archive(&vault, seed);
        vault_must_take(&vault);
        vault_load_timed(&vault, 50);
        archived = vault_commits_archived(rig);
        vault_must_move(&vault, seed + 50, &lost);
        rig_verify(rig, archived, "on the new one");
        if (seed % 2) {
            vault_load_timed(&vault, 20);
            vault_must_take(&vault);
        }
        for (int i = 0; i < 200; i++) {
            cairn_sim_clock_advance(&rig->clock, 10000000);
            if (i % 5 == 0)
                rig_commit(&lost, -1);
            rig_pump(&lost);
        }
        assert_int_equal(cairn_shard_check_writers(cairn_store_shard(lost.store, 0), &err), CAIRN_EUNAVAILABLE);
        assert_non_null(strstr(err.text, "another node"));
        vault_load_timed(&vault, 40);
        rig_settle(rig);
        archived = vault_commits_archived(rig);
        vault_must_move(&vault, seed + 60, &second);
        rig_verify(rig, archived, "on the third one");
        vault_lose(&second);
        commits = rig->commits;
        rig_crash(&lost, CAIRN_SIM_KEEP);
        lost.options.recover = false;
        assert_int_equal(rig_open(&lost, &err), CAIRN_ECONFLICT);
        assert_non_null(strstr(err.text, "--recover"));
        cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP);
        rig_crash(rig, CAIRN_SIM_TEAR);
        vault_must_open(rig, "again");
        rig_verify(rig, commits, "again");
        cairn_tasks_destroy(lost.tasks);
        cairn_disk_close(lost.disk);
        vault_done(&vault);
    }
}

/* The one thing that a check before and after cannot stop: what was on its way when the store was claimed. */
static void what_comes_late_does_not_count(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, lost, second;
        struct cairn_disk *first_disk;
        struct cairn_blob *first_blob;
        uint32_t archived;
        size_t before;

        vault_init_archive(&vault, seed);
        vault_must_take(&vault);
        vault_load_timed(&vault, 50);
        archived = vault_commits_archived(rig);
        first_disk = vault.archive_disk;
        first_blob = rig->options.archive;
        vault.archive_disk = cairn_sim_disk_clone(first_disk); /* the lost one sees no claim in its own */
        rig->options.archive = cairn_blob_on_disk(vault.archive_disk);
        vault_must_move(&vault, seed + 50, &lost);
        rig_verify(rig, archived, "on the new one");
        if (seed % 2)
            vault_load_timed(&vault, 40);
        if (seed % 4 > 1)
            vault_must_take(&vault);
        for (int i = 0; i < 300; i++) {
            cairn_sim_clock_advance(&rig->clock, 3000000);
            if (i % 5 == 0)
                rig_commit(&lost, -1);
            rig_pump(&lost);
        }
        before = vault_blobs(&vault, "log");
        copy_missing(first_disk, vault.archive_disk, "log");
        assert_true(vault_blobs(&vault, "log") > before);
        archived = vault_commits_archived(rig);
        vault_must_move(&vault, seed + 60, &second);
        rig_verify(rig, archived, "on the third one");
        vault_lose(&second);
        vault_lose(&lost);
        cairn_blob_close(first_blob);
        cairn_disk_close(first_disk);
        vault_done(&vault);
    }
}

/* A state that was gone back to is what a new machine comes to. */
static void restores_go_along(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, old;
        uint64_t undo;

        vault_init_archive(&vault, seed);
        vault_load_timed(&vault, 20);
        vault_must_take(&vault);
        vault_load_timed(&vault, 40);
        rig_settle(rig);
        vault_close(rig);
        vault_restore(rig, vault.taken[0].number, &undo);
        vault_must_move(&vault, seed + 50, &old);
        cairn_tasks_destroy(old.tasks);
        cairn_disk_close(old.disk);
        rig_verify(rig, vault.taken[0].low, "at once");
        assert_true(rig->commits <= vault.taken[0].high);
        vault_done(&vault);
    }
}

/* Also when the archive could not be told at once, and fails again later. */
static void restores_are_told_later(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + (int64_t)seed % 4) {
            static struct vault vault;
            struct rig *rig = &vault.rig, old;
            struct cairn_err err;
            uint32_t restored, archived;
            uint64_t undo;

            vault_init_archive(&vault, seed);
            vault_load_timed(&vault, 20);
            vault_must_take(&vault);
            vault_load_timed(&vault, 40);
            rig_settle(rig);
            vault_close(rig);
            cairn_sim_disk_halt_at(vault.archive_disk, n);
            cairn_store_restore(&rig->options, vault.taken[0].number, &undo, &err); /* may fail */
            fired = cairn_sim_disk_fired(vault.archive_disk);
            cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
            cairn_sim_disk_crash(vault.archive_disk, CAIRN_SIM_DROP);
            vault_must_open(rig, "restored, or not");
            rig_verify(rig, vault.taken[0].low, "restored, or not");
            restored = rig->commits;
            cairn_sim_disk_fail_call(vault.archive_disk, (int64_t)cairn_random_below(&rig->random, 20), CAIRN_EIO);
            vault_load_timed(&vault, 30);
            archived = vault_commits_archived(rig);
            vault_must_move(&vault, seed + 50, &old);
            vault_lose(&old);
            if (archived > restored)
                rig_verify(rig, archived, "on a new machine");
            vault_done(&vault);
        }
    }
}

static void forgotten_ones_go(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, old;
        struct cairn_err err;
        size_t runs, chunks;

        vault_init_archive(&vault, seed);

        for (int i = 0; i < 12; i++) {
            vault_load_timed(&vault, 30);
            vault_must_take(&vault);
        }
        rig_settle(rig);
        assert_int_equal(vault_blobs(&vault, "versions"), 12);
        runs = vault_blobs(&vault, "runs");
        chunks = vault_blobs(&vault, "log");
        for (size_t i = 0; i < 10; i++)
            if (i != 4 && cairn_store_version_forget(rig->store, vault.taken[i].number, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
        rig_settle(rig);
        assert_int_equal(vault_blobs(&vault, "versions"), 3);
        assert_true(vault_blobs(&vault, "runs") < runs);
        assert_true(vault_blobs(&vault, "log") < chunks);
        vault.taken[0] = vault.taken[4];
        vault.taken[1] = vault.taken[10];
        vault.taken[2] = vault.taken[11];
        vault.count = 3;
        vault_must_move(&vault, seed + 10, &old);
        vault_lose(&old);
        rig_verify(rig, vault.taken[2].low, "on a new machine");
        vault_check_all(&vault);
        vault_done(&vault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moments_come_back),     cmocka_unit_test(foreign_archives_are_told),
        cmocka_unit_test(copies_are_told),       cmocka_unit_test(what_cannot_be_recovered),
        cmocka_unit_test(archive_is_cut_short),  cmocka_unit_test(gaps_are_told),
        cmocka_unit_test(a_new_machine_goes_on), cmocka_unit_test(a_new_machine_is_cut_short),
        cmocka_unit_test(the_lost_one_is_told),  cmocka_unit_test(what_comes_late_does_not_count),
        cmocka_unit_test(restores_go_along),     cmocka_unit_test(restores_are_told_later),
        cmocka_unit_test(forgotten_ones_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
