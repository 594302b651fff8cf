/* Catches: a version of the node that is not a cut through all shards, or whose cut does not lie between the request
 * and its end; one that cannot be restored later, after others were taken and dropped, checkpoints made and power
 * cut; a restore that is half done when the power goes; one that cannot be undone; what was dropped and stays on the
 * disk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "shard/rig.h"

enum { VERSIONS_MAX = 64 };

static const char *const engines[] = {"hybridlog", "lsm", "appendlog"};

struct taken {
    uint64_t number;
    uint32_t low, high; /* commits before the request, and at the end */
};

struct lab {
    struct rig rig;
    struct cairn_disk *archive_disk; /* of the tests that have an archive */
    uint64_t times[RIG_COMMITS_MAX + 1];
    struct taken taken[VERSIONS_MAX];
    size_t count;
};

static void load(struct rig *rig, int commits)
{
    for (int i = 0; i < commits && rig_commit(rig, -1); i++)
        if (cairn_random_below(&rig->random, 3))
            rig_pump(rig);
}

static void must_open(struct rig *rig, const char *label)
{
    struct cairn_err err;

    if (rig_open(rig, &err) != CAIRN_OK)
        fail_msg("%s: %s", label, err.text);
}

/* While commits go on. */
static enum cairn_code take(struct lab *lab, struct cairn_err *err)
{
    struct rig *rig = &lab->rig;
    struct taken taken = {.low = rig->commits};
    enum cairn_code code = cairn_store_version_begin(rig->store, false, err);

    if (code != CAIRN_OK)
        return code;
    for (int i = 0; !cairn_store_version_poll(rig->store, &taken.number, &code, err); i++) {
        if (cairn_random_below(&rig->random, 8) == 0 && rig_commit(rig, -1))
            lab->times[rig->commits] = rig->clock.clock.wall_ms(&rig->clock.clock);
        rig_pump(rig);
        if (i > 20000 || rig->log_failed)
            return CAIRN_EUNAVAILABLE;
    }
    taken.high = rig->commits;
    if (code == CAIRN_OK && lab->count < VERSIONS_MAX)
        lab->taken[lab->count++] = taken;
    return code;
}

static void close_store(struct rig *rig)
{
    struct cairn_err err;

    if (cairn_store_close(rig->store, true, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    rig->store = NULL;
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP); /* the lock is free */
}

/* The store is closed, and stays so. */
static void restore(struct rig *rig, uint64_t number, uint64_t *ret_undo)
{
    struct cairn_err err;

    if (cairn_store_restore(&rig->options, number, ret_undo, &err) != CAIRN_OK)
        fail_msg("version %llu: %s", (unsigned long long)number, err.text);
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
}

static void check_taken(struct rig *rig, const struct taken *taken)
{
    char label[64];

    snprintf(label, sizeof label, "version %llu", (unsigned long long)taken->number);
    must_open(rig, label);
    rig_verify(rig, taken->low, label); /* the model's commits are the version's then */
    if (rig->commits > taken->high)
        fail_msg("%s has commit %u, which came after its end at %u", label, rig->commits, taken->high);
}

/* Goes to each of the versions, and back. */
static void check_all(struct lab *lab)
{
    struct rig *rig = &lab->rig;

    for (size_t i = 0; i < lab->count; i++) {
        uint32_t commits = rig->commits;
        uint64_t undo, again;

        close_store(rig);
        restore(rig, lab->taken[i].number, &undo);
        rig->commits = commits;
        check_taken(rig, &lab->taken[i]);
        close_store(rig);
        restore(rig, undo, &again);
        rig->commits = rig->durable = commits;
        must_open(rig, "back");
        rig_verify(rig, commits, "back");
    }
}

static void lab_init(struct lab *lab, uint64_t seed)
{
    lab->count = 0;
    rig_engine = engines[seed % 3];
    rig_init(&lab->rig, cairn_sim_disk_create(seed), CAIRN_SYNC_ALWAYS, seed);
    must_open(&lab->rig, "first");
}

static void versions_come_back(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct lab lab;
        struct cairn_store_version versions[VERSIONS_MAX];
        struct cairn_err err;

        lab_init(&lab, seed);
        for (int i = 0; i < 5; i++) {
            load(&lab.rig, (int)cairn_random_below(&lab.rig.random, 200));
            if (take(&lab, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
            if (seed % 2) { /* without a proper end */
                uint32_t commits = lab.rig.commits;

                rig_settle(&lab.rig);
                rig_crash(&lab.rig, CAIRN_SIM_TEAR);
                must_open(&lab.rig, "after a crash");
                rig_verify(&lab.rig, commits, "after a crash");
            }
        }
        assert_int_equal(cairn_store_versions(lab.rig.store, versions, VERSIONS_MAX), 5);
        for (int i = 0; i < 5; i++) {
            assert_int_equal(versions[i].number, lab.taken[i].number);
            assert_int_equal(versions[i].parent, i ? lab.taken[i - 1].number : 0);
        }
        check_all(&lab);
        rig_done(&lab.rig);
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

static void forgotten_ones_go(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        static struct lab lab;
        struct cairn_err err;
        size_t most;

        lab_init(&lab, seed);
        for (int i = 0; i < 20; i++) {
            load(&lab.rig, 20);
            if (take(&lab, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
        }
        most = files_in(&lab.rig, "versions");
        for (size_t i = 0; i < lab.count; i++)
            if (i % 5 != 3 && cairn_store_version_forget(lab.rig.store, lab.taken[i].number, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
        assert_int_equal(cairn_store_version_forget(lab.rig.store, lab.taken[0].number, &err), CAIRN_ENOTFOUND);
        load(&lab.rig, 20);
        rig_settle(&lab.rig);
        assert_true(files_in(&lab.rig, "versions") <= most - 3 * 14);
        for (size_t i = 0; i < 4; i++)
            lab.taken[i] = lab.taken[i * 5 + 3];
        lab.count = 4;
        check_all(&lab);
        rig_done(&lab.rig);
    }
}

/* Taking one, with a call that fails or the power going at each call. */
static void taking_is_cut_short(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 6; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 30) {
            static struct lab lab;
            struct cairn_err err;
            uint32_t durable;

            lab_init(&lab, seed);
            load(&lab.rig, 60);
            assert_int_equal(take(&lab, &err), CAIRN_OK);
            load(&lab.rig, 60);
            if (seed % 2)
                cairn_sim_disk_halt_at(lab.rig.disk, n);
            else
                cairn_sim_disk_fail_call(lab.rig.disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            take(&lab, &err); /* may fail */
            fired = cairn_sim_disk_fired(lab.rig.disk);
            durable = lab.rig.durable;
            rig_crash(&lab.rig, n % 3 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            must_open(&lab.rig, "after that");
            rig_verify(&lab.rig, durable, "after that");
            load(&lab.rig, 10);
            if (take(&lab, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
            check_all(&lab);
            rig_done(&lab.rig);
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
            static struct lab lab;
            struct rig *rig = &lab.rig;
            struct cairn_err err;
            uint64_t undo;
            uint32_t commits;

            lab_init(&lab, seed);
            load(rig, 60);
            assert_int_equal(take(&lab, &err), CAIRN_OK);
            load(rig, 60);
            rig_settle(rig);
            commits = rig->commits;
            close_store(rig);
            if (seed % 2)
                cairn_sim_disk_halt_at(rig->disk, n);
            else
                cairn_sim_disk_fail_call(rig->disk, n, CAIRN_EIO);
            cairn_store_restore(&rig->options, lab.taken[0].number, &undo, &err); /* may fail */
            fired = cairn_sim_disk_fired(rig->disk);
            rig_crash(rig, n % 3 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            must_open(rig, "after that");
            rig_verify(rig, 0, "after that");
            if (rig->commits != commits && (rig->commits < lab.taken[0].low || rig->commits > lab.taken[0].high))
                fail_msg("call %lld: commits up to %u are there, neither %u nor %u to %u", (long long)n, rig->commits,
                         commits, lab.taken[0].low, lab.taken[0].high);
            load(rig, 10);
            rig_settle(rig);
            assert_int_equal(rig->durable, rig->commits);
            rig_done(rig);
        }
    }
}

/* --- to a moment --- */

static void lab_init_archive(struct lab *lab, uint64_t seed)
{
    lab->count = 0;
    rig_engine = engines[seed % 3];
    rig_init(&lab->rig, cairn_sim_disk_create(seed), CAIRN_SYNC_ALWAYS, seed);
    lab->archive_disk = cairn_sim_disk_create(seed + 1000);
    lab->rig.options.archive = cairn_blob_on_disk(lab->archive_disk);
    lab->rig.options.archive_every_ns = 30000000;
    must_open(&lab->rig, "first");
}

static void lab_done_archive(struct lab *lab)
{
    struct cairn_blob *blob = lab->rig.options.archive;

    rig_done(&lab->rig);
    cairn_blob_close(blob);
    cairn_disk_close(lab->archive_disk);
}

/* Each commit at a time of its own. */
static void load_timed(struct lab *lab, int commits)
{
    struct rig *rig = &lab->rig;

    for (int i = 0; i < commits; i++) {
        cairn_sim_clock_advance(&rig->clock, 1000000 * (1 + cairn_random_below(&rig->random, 40)));
        if (!rig_commit(rig, -1))
            return;
        lab->times[rig->commits] = rig->clock.clock.wall_ms(&rig->clock.clock);
        while (cairn_random_below(&rig->random, 3))
            rig_pump(rig);
    }
}

static uint32_t last_at(const struct lab *lab, uint64_t wall_ms)
{
    uint32_t commit = lab->rig.commits;

    while (commit && lab->times[commit] > wall_ms)
        commit--;
    return commit;
}

static void go_to_moments(struct lab *lab, uint32_t first)
{
    struct rig *rig = &lab->rig;
    struct cairn_err err;

    for (int i = 0; i < 4; i++) {
        uint32_t commits = rig->commits;
        uint32_t target = first + (uint32_t)cairn_random_below(&rig->random, commits - first + 1);
        uint64_t at = lab->times[target] + cairn_random_below(&rig->random, 2), undo, again;
        uint32_t want = last_at(lab, at);

        close_store(rig);
        if (cairn_store_restore_at(&rig->options, at, &undo, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
        must_open(rig, "at a moment");
        rig_verify(rig, 0, "at a moment");
        assert_int_equal(rig->commits, want);
        close_store(rig);
        restore(rig, undo, &again);
        rig->commits = rig->durable = commits;
        must_open(rig, "back");
        rig_verify(rig, commits, "back");
    }
}

static void moments_come_back(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        static struct lab lab;
        struct rig *rig = &lab.rig;
        struct cairn_err err;
        uint64_t undo;
        uint32_t first;

        lab_init_archive(&lab, seed);
        load_timed(&lab, 40);
        assert_int_equal(take(&lab, &err), CAIRN_OK);
        first = rig->commits;
        for (int life = 0; life < 4; life++) {
            load_timed(&lab, 80);
            rig_settle(rig);
            if (life == 1 && seed % 3 == 0)
                assert_int_equal(take(&lab, &err), CAIRN_OK);
            if (seed % 2) {
                uint32_t commits = rig->commits;

                rig_crash(rig, CAIRN_SIM_TEAR);
                must_open(rig, "after a crash");
                rig_verify(rig, commits, "after a crash");
            }
        }
        assert_true(lab.times[first] > 0);
        go_to_moments(&lab, first);
        close_store(rig);
        assert_int_equal(cairn_store_restore_at(&rig->options, 1000, &undo, &err), CAIRN_ENOTFOUND);
        lab_done_archive(&lab);
    }
}

/* The archive fails, or the power goes, in call n of its disk. */
static void archive_is_cut_short(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 4; seed++) {
        bool fired = true;

        for (int64_t n = (int64_t)seed; fired; n += 4 + n / 10) {
            static struct lab lab;
            struct rig *rig = &lab.rig;
            struct cairn_err err;
            uint32_t commits, first;

            lab_init_archive(&lab, seed);
            load_timed(&lab, 20);
            assert_int_equal(take(&lab, &err), CAIRN_OK);
            first = rig->commits;
            if (seed % 2)
                cairn_sim_disk_halt_at(lab.archive_disk, n);
            else
                cairn_sim_disk_fail_call(lab.archive_disk, n, CAIRN_EIO);
            load_timed(&lab, 60);
            fired = cairn_sim_disk_fired(lab.archive_disk);
            rig_settle(rig);
            commits = rig->commits;
            rig_crash(rig, CAIRN_SIM_TEAR);
            cairn_sim_disk_crash(lab.archive_disk, n % 2 ? CAIRN_SIM_TEAR : CAIRN_SIM_DROP);
            must_open(rig, "after that");
            rig_verify(rig, commits, "after that");
            load_timed(&lab, 20);
            rig_settle(rig);
            go_to_moments(&lab, first);
            lab_done_archive(&lab);
        }
    }
}

/* What a node without the archive has committed is missing in it, and that is said. */
static void gaps_are_told(void **unused)
{
    static struct lab lab;
    struct rig *rig = &lab.rig;
    struct cairn_err err;
    struct cairn_blob *archive;
    uint64_t undo;

    (void)unused;
    lab_init_archive(&lab, 1);
    archive = rig->options.archive;
    assert_int_equal(take(&lab, &err), CAIRN_OK);
    load_timed(&lab, 30);
    close_store(rig);
    rig->options.archive = NULL;
    must_open(rig, "without");
    load_timed(&lab, 100);
    rig_settle(rig);
    close_store(rig);
    rig->options.archive = archive;
    must_open(rig, "with it again");
    load_timed(&lab, 30);
    rig_settle(rig);
    close_store(rig);
    assert_int_equal(cairn_store_restore_at(&rig->options, lab.times[rig->commits], &undo, &err), CAIRN_ENOTFOUND);
    assert_non_null(strstr(err.text, "gap"));
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
    must_open(rig, "unchanged");
    rig_verify(rig, rig->commits, "unchanged");
    lab_done_archive(&lab);
}

/* Another archive, or one that another folder has written to, is not taken for the right one. */
static void foreign_archives_are_told(void **unused)
{
    static struct lab lab;
    struct rig *rig = &lab.rig;
    struct cairn_disk *other_disk = cairn_sim_disk_create(5), *folder;
    struct cairn_blob *archive, *other = cairn_blob_on_disk(other_disk);
    struct cairn_err err;
    uint64_t undo;

    (void)unused;
    lab_init_archive(&lab, 1);
    archive = rig->options.archive;
    other->url[0] = 'x'; /* the one has another address */
    assert_int_equal(take(&lab, &err), CAIRN_OK);
    load_timed(&lab, 60);
    rig_settle(rig);
    close_store(rig); /* with checkpoints: the log has nothing that an archive could be given now */
    rig->options.archive = other;
    assert_int_equal(cairn_store_restore_at(&rig->options, lab.times[rig->commits], &undo, &err), CAIRN_ENOTFOUND);
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
    must_open(rig, "unchanged");
    rig_verify(rig, rig->commits, "unchanged");
    rig_done(rig);
    folder = lab.archive_disk;
    /* A new folder begins anew in an archive whose positions are far ahead of its own. */
    rig_init(rig, cairn_sim_disk_create(2), CAIRN_SYNC_ALWAYS, 2);
    rig->options.archive = archive;
    rig->options.archive_every_ns = 30000000;
    must_open(rig, "new");
    lab.count = 0;
    assert_int_equal(take(&lab, &err), CAIRN_OK);
    for (int life = 0; life < 2; life++) {
        load_timed(&lab, 15);
        rig_settle(rig);
        close_store(rig);
        must_open(rig, "again");
    }
    go_to_moments(&lab, lab.taken[0].high);
    rig_done(rig);
    cairn_blob_close(archive);
    cairn_blob_close(other);
    cairn_disk_close(folder);
    cairn_disk_close(other_disk);
}

static void what_cannot_be(void **unused)
{
    static struct lab lab;
    struct cairn_err err;
    uint64_t undo;

    (void)unused;
    lab_init(&lab, 1);
    assert_int_equal(cairn_store_version_begin(lab.rig.store, false, &err), CAIRN_OK);
    assert_int_equal(cairn_store_version_begin(lab.rig.store, false, &err), CAIRN_ECONFLICT);
    close_store(&lab.rig); /* while it is taken */
    assert_int_equal(cairn_store_restore(&lab.rig.options, 77, &undo, &err), CAIRN_ENOTFOUND);
    rig_done(&lab.rig);
    rig_engine = NULL;
    rig_init(&lab.rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    must_open(&lab.rig, "memory");
    assert_int_equal(cairn_store_version_begin(lab.rig.store, false, &err), CAIRN_EINVAL);
    rig_done(&lab.rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_come_back),
        cmocka_unit_test(forgotten_ones_go),
        cmocka_unit_test(taking_is_cut_short),
        cmocka_unit_test(restoring_is_cut_short),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(moments_come_back),
        cmocka_unit_test(foreign_archives_are_told),
        cmocka_unit_test(archive_is_cut_short),
        cmocka_unit_test(gaps_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
