/* Catches, of an archive (archive_test.c has what is usual): a start that is cut short and leaves a claim which locks
 * the data folder out; a copy of a running folder that goes on; records that are archived twice, at two positions;
 * versions forgotten that a new machine needs; a version that cannot be put and holds up all others; who waits for one
 * and waits for ever; a mistaken recovery that disowns a healthy node; damage that takes more with it than itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "history/vault.h"

/* One call of the archive fails in a start, or the power goes: the next start goes on, the first one ever, too. */
static void starts_are_cut_short(void **unused)
{
    (void)unused;
    for (int how = 0; how < 4; how++) {
        for (int64_t n = 0; n < 60; n++) {
            static struct vault vault;
            struct rig *rig = &vault.rig;
            struct cairn_err err;
            struct cairn_blob *archive;
            enum cairn_code code;

            vault_init_archive(&vault, (uint64_t)n + 1);
            archive = rig->options.archive;
            if (how % 2) { /* not the first */
                vault_must_take(&vault);
                vault_load_timed(&vault, 10);
            }
            vault_close(rig);
            if (how % 2 == 0) { /* another, that has never seen the folder */
                archive->url[0] = 'x';
                cairn_disk_close(rig->disk);
                rig->disk = rig->options.disk = cairn_sim_disk_create(7);
                rig->options.archive = NULL;
                vault_must_open(rig, "without");
                vault_load(rig, 10);
                vault_close(rig);
                cairn_blob_close(archive);
                cairn_disk_close(vault.archive_disk);
                vault.archive_disk = cairn_sim_disk_create(8);
                rig->options.archive = cairn_blob_on_disk(vault.archive_disk);
            }
            if (how < 2)
                cairn_sim_disk_fail_call(vault.archive_disk, n, CAIRN_EIO);
            else
                cairn_sim_disk_halt_at(vault.archive_disk, n);
            code = rig_open(rig, &err);
            if (code == CAIRN_OK)
                rig_crash(rig, CAIRN_SIM_KEEP);
            rig->store = NULL;
            cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP);
            cairn_sim_disk_crash(vault.archive_disk, n % 2 ? CAIRN_SIM_TEAR : CAIRN_SIM_KEEP);
            vault_must_open(rig, "the next start");
            vault_done(&vault);
        }
    }
}

/* As of a machine's disk, while it goes on in files that the copy has as well. */
static void running_copies_are_told(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_disk *copy, *disk;
    struct cairn_err err;

    (void)unused;
    vault_init_archive(&vault, 2);
    vault_must_take(&vault);
    vault_load_timed(&vault, 10);
    rig_settle(rig);
    copy = cairn_sim_disk_clone(rig->disk);
    vault_load_timed(&vault, 10);
    vault_must_take(&vault);
    vault_load_timed(&vault, 10);
    rig_settle(rig);
    cairn_store_abandon(rig->store);
    rig->store = NULL;
    disk = rig->disk;
    rig->disk = rig->options.disk = copy;
    cairn_sim_disk_crash(copy, CAIRN_SIM_KEEP);
    assert_int_equal(rig_open(rig, &err), CAIRN_ECONFLICT);
    assert_int_equal(vault_blobs(&vault, "versions"), 2);
    cairn_disk_close(disk);
    vault_done(&vault);
}

static uint32_t newest(struct rig *rig)
{
    uint32_t found = 0;

    for (uint32_t shard = 0; shard <= RIG_SHARDS; shard++) {
        struct cairn_view *view = cairn_shard_view(cairn_store_shard(rig->store, shard));
        struct cairn_bytes value, key = cairn_str("last");

        if (view->ops->get(view, key, cairn_hash(key), &value) && cairn_get_u32(value.data) > found)
            found = cairn_get_u32(value.data);
    }
    return found;
}

/* What an opening copies to other positions is not archived at both. */
static void copied_records_count_once(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig;
        struct cairn_err err;
        uint32_t first, commits, archived;

        vault_init_archive(&vault, seed);
        rig->options.archive_every_ns = 1;
        vault_load_timed(&vault, 10);
        vault_must_take(&vault);
        vault_load_timed(&vault, 10);
        first = rig->commits;
        rig_settle(rig);
        for (int i = 0; i < 6; i++) { /* a batch that is synced, and would be archived, at once */
            cairn_sim_clock_advance(&rig->clock, 3000000);
            rig_commit(rig, -1);
            vault.times[rig->commits] = rig->clock.clock.wall_ms(&rig->clock.clock);
        }
        for (int i = 0; i < 12; i++) {
            cairn_shard_log(cairn_store_shard(rig->store, 0))
                ->ops->step(cairn_shard_log(cairn_store_shard(rig->store, 0)));
            cairn_tasks_step(rig->tasks);
            for (uint32_t k = 0; k <= RIG_SHARDS; k++)
                cairn_shard_step(cairn_store_shard(rig->store, k), 1000);
            cairn_sim_clock_advance(&rig->clock, 1000);
        }
        archived = vault_commits_archived(rig);
        rig_crash(rig, CAIRN_SIM_KEEP);
        vault_must_open(rig, "after a crash");
        rig_verify(rig, archived, "after a crash");
        vault_load_timed(&vault, 10);
        rig_settle(rig);
        commits = rig->commits;
        for (uint32_t t = first; t < first + 8 && t <= commits; t++) {
            uint64_t undo, again;

            vault_close(rig);
            if (cairn_store_restore_at(&rig->options, vault.times[t], &undo, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
            cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
            vault_must_open(rig, "at a moment");
            assert_int_equal(newest(rig), vault_last_at(&vault, vault.times[t]));
            vault_close(rig);
            vault_restore(rig, undo, &again);
            rig->commits = rig->durable = commits;
            vault_must_open(rig, "back");
        }
        vault_done(&vault);
    }
}

/* --- forgetting --- */

static uint64_t last_number(struct rig *rig)
{
    struct cairn_store_version versions[VAULT_VERSIONS_MAX];
    size_t count = cairn_store_versions(rig->store, versions, VAULT_VERSIONS_MAX);

    return count ? versions[count - 1].number : 0;
}

/* The newest one there is what a new machine begins with; what the node was restored to, too. */
static void what_is_needed_stays(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, old;
        struct cairn_err err;
        uint64_t undo;
        uint32_t archived;

        vault_init_archive(&vault, seed);
        vault_load_timed(&vault, 20);
        vault_must_take(&vault);
        vault_load_timed(&vault, 40);
        rig_settle(rig);
        vault_close(rig);
        vault_restore(rig, vault.taken[0].number, &undo);
        vault_must_open(rig, "restored");
        rig_verify(rig, vault.taken[0].low, "restored");
        vault_load_timed(&vault, 30);
        assert_int_equal(cairn_store_version_forget(rig->store, last_number(rig), &err), CAIRN_ECONFLICT);
        assert_non_null(strstr(err.text, "newest"));
        assert_int_equal(cairn_store_version_forget(rig->store, undo, &err), CAIRN_OK);
        assert_int_equal(cairn_store_version_forget(rig->store, vault.taken[0].number, &err), CAIRN_OK);
        vault_load_timed(&vault, 10);
        rig_settle(rig);
        archived = vault_commits_archived(rig);
        vault_must_move(&vault, seed + 50, &old);
        vault_lose(&old);
        rig_verify(rig, archived, "on a new machine");
        vault_done(&vault);
    }
}

/* --- what waits --- */

/* In so many seconds, or for ever. */
static bool ends(struct rig *rig, int seconds, enum cairn_code *ret_code, struct cairn_err *err)
{
    uint64_t number;

    for (int i = 0; i < 10 * seconds; i++) {
        cairn_sim_clock_advance(&rig->clock, 100000000);
        rig_pump(rig);
        rig_pump(rig);
        if (cairn_store_version_poll(rig->store, &number, ret_code, err))
            return true;
    }
    return false;
}

static void nobody_waits_for_ever(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    struct cairn_err err;
    struct cairn_store_stats stats;
    struct cairn_archive_report report;
    enum cairn_code code;

    (void)unused;
    vault_init_archive(&vault, 1);
    vault_must_take(&vault);
    cairn_sim_disk_halt_at(vault.archive_disk, 0); /* it is down */
    for (int i = 0; i < 3; i++) {
        vault_load_timed(&vault, 3);
        assert_int_equal(cairn_store_version_begin(rig->store, false, &err), CAIRN_OK);
        assert_true(ends(rig, 100, &code, &err));
        assert_int_not_equal(code, CAIRN_OK);
        assert_non_null(strstr(err.text, "is taken, but"));
    }
    cairn_store_archive(rig->store, &report);
    assert_int_equal(report.state, CAIRN_ARCHIVE_AWAY);
    assert_true(report.away_ns > 1000000000 && report.why[0]);
    vault_load_timed(&vault, 3);
    assert_int_equal(cairn_store_version_begin(rig->store, false, &err), CAIRN_OK);
    for (int i = 0; i < 60; i++)
        rig_pump(rig);
    assert_int_equal(cairn_store_version_forget(rig->store, last_number(rig), &err), CAIRN_OK);
    assert_true(ends(rig, 100, &code, &err));
    cairn_sim_disk_crash(vault.archive_disk, CAIRN_SIM_KEEP); /* it is well */
    for (int i = 0; i < 2000; i++) {
        cairn_sim_clock_advance(&rig->clock, 100000000);
        rig_pump(rig);
    }
    cairn_store_stats(rig->store, &stats);
    assert_int_equal(stats.archive_pending_versions, 0);
    cairn_store_archive(rig->store, &report);
    assert_int_equal(report.state, CAIRN_ARCHIVE_OK);
    vault_done(&vault);
}

static void a_lost_one_ends_its_snapshots(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig, lost;
    struct cairn_archive_report report;
    struct cairn_err err;
    enum cairn_code code;

    (void)unused;
    vault_init_archive(&vault, 1);
    vault_must_take(&vault);
    vault_load_timed(&vault, 20);
    rig_settle(rig);
    vault_must_move(&vault, 61, &lost);
    lost.clock = rig->clock;
    for (int i = 0; i < 100; i++) { /* it has nothing to put, and finds out all the same */
        cairn_sim_clock_advance(&rig->clock, 1000000000);
        cairn_store_version_due(lost.store, 0);
        rig_pump(&lost);
    }
    assert_int_equal(cairn_shard_check_writers(cairn_store_shard(lost.store, 0), &err), CAIRN_EUNAVAILABLE);
    assert_int_equal(cairn_store_version_begin(lost.store, false, &err), CAIRN_OK);
    assert_true(ends(&lost, 100, &code, &err));
    assert_int_equal(code, CAIRN_EUNAVAILABLE);
    cairn_store_archive(rig->store, &report);
    assert_int_equal(report.state, CAIRN_ARCHIVE_OK);
    cairn_store_archive(lost.store, &report);
    assert_int_equal(report.state, CAIRN_ARCHIVE_FENCED);
    assert_true(report.fenced_by > report.epoch);
    assert_non_null(strstr(report.why, "another node"));
    /* It does not say that the next start will try again, which it will not. */
    assert_int_equal(cairn_store_close(lost.store, true, &err), CAIRN_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "refused from now on"));
    assert_null(strstr(err.text, "tries again"));
    cairn_tasks_destroy(lost.tasks);
    cairn_disk_close(lost.disk);
    vault_done(&vault);
}

/* Runs of old versions are not on a machine that has recovered: in another archive these are left out. */
static void what_is_not_here_holds_up_nothing(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig, old;
    struct cairn_disk *other_disk = cairn_sim_disk_create(4000), *first_disk;
    struct cairn_blob *other = cairn_blob_on_disk(other_disk), *first;
    struct cairn_store_stats stats;
    uint64_t undo;

    (void)unused;
    vault_init_archive(&vault, 1);
    for (int i = 0; i < 6; i++) {
        vault_load_timed(&vault, 100);
        vault_must_take(&vault);
    }
    rig_settle(rig);
    vault_must_move(&vault, 51, &old);
    vault_lose(&old);
    rig_verify(rig, vault.taken[5].low, "on a new machine");
    rig_settle(rig);
    vault_close(rig);
    rig->options.recover = false;
    first = rig->options.archive;
    first_disk = vault.archive_disk;
    other->url[0] = 'y';
    rig->options.archive = other;
    vault.archive_disk = other_disk;
    vault_must_open(rig, "with another archive");
    vault_must_take(&vault);
    for (int i = 0; i < 2000; i++) {
        cairn_sim_clock_advance(&rig->clock, 100000000);
        rig_pump(rig);
    }
    cairn_store_stats(rig->store, &stats);
    assert_int_equal(stats.archive_pending_versions, 0);
    assert_true(vault_blobs(&vault, "versions") >= 2);
    vault_load_timed(&vault, 10);
    rig_settle(rig);
    vault_close(rig);
    vault_restore(rig, vault.taken[5].number, &undo);
    vault_must_open(rig, "restored");
    cairn_blob_close(first);
    cairn_disk_close(first_disk);
    vault_done(&vault);
}

/* --- recovering by mistake, and from damage --- */

static void a_mistake_disowns_nobody(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig, healthy;
    struct cairn_err err;

    (void)unused;
    vault_init_archive(&vault, 1);
    vault_must_take(&vault);
    vault_load_timed(&vault, 20);
    rig_settle(rig);
    rig->options.shards = RIG_SHARDS + 2;
    assert_int_equal(vault_move(&vault, 9, &healthy, &err), CAIRN_EINVAL);
    for (int i = 0; i < 100; i++) {
        cairn_sim_clock_advance(&rig->clock, 10000000);
        if (i % 5 == 0)
            assert_true(rig_commit(&healthy, -1));
        rig_pump(&healthy);
    }
    assert_int_equal(cairn_shard_check_writers(cairn_store_shard(healthy.store, 0), &err), CAIRN_OK);
    cairn_tasks_destroy(rig->tasks);
    cairn_disk_close(rig->disk);
    healthy.options.recover = false;
    healthy.options.shards = RIG_SHARDS;
    rig_crash(&healthy, CAIRN_SIM_KEEP);
    vault_must_open(&healthy, "and again");
    *rig = healthy;
    vault_done(&vault);
}

struct name {
    char name[100];
    bool last;
};

static void take_name(void *context, const char *name)
{
    struct name *found = context;

    if (!found->name[0] || (strcmp(name, found->name) > 0) == found->last)
        snprintf(found->name, sizeof found->name, "%s", name);
}

/* The first, or the last, in a folder has a wrong bit. */
static void rot(struct cairn_disk *disk, const char *folder, bool last)
{
    struct name found = {.last = last};
    struct cairn_err err;
    char path[200];
    uint8_t *bytes;
    size_t size;

    assert_int_equal(disk->ops->list(disk, folder, take_name, &found, &err), CAIRN_OK);
    snprintf(path, sizeof path, "%s/%s", folder, found.name);
    bytes = cairn_sim_disk_bytes(disk, path, &size);
    assert_non_null(bytes);
    bytes[size / 2] ^= 1;
}

/* A version that is damaged there, the newest or another, and one whose run is damaged here before it is put. */
static void damage_is_left_out(void **unused)
{
    (void)unused;
    for (int which = 0; which < 3; which++) {
        static struct vault vault;
        struct rig *rig = &vault.rig, old;
        uint32_t archived;

        vault_init_archive(&vault, 1);
        for (int i = 0; i < 3; i++) {
            vault_load_timed(&vault, 20);
            vault_must_take(&vault);
        }
        vault_load_timed(&vault, 10);
        rig_settle(rig);
        if (which < 2) {
            rot(vault.archive_disk, "versions", which);
        } else {
            struct cairn_err err;

            cairn_sim_disk_halt_at(vault.archive_disk, 0);
            vault_take(&vault, &err);
            rot(rig->disk, "shards/0000/runs", true);
            cairn_sim_disk_crash(vault.archive_disk, CAIRN_SIM_KEEP);
            for (int i = 0; i < 500; i++) {
                cairn_sim_clock_advance(&rig->clock, 100000000);
                rig_pump(rig);
            }
        }
        archived = vault_commits_archived(rig);
        rig->options.accept_loss = which < 2; /* the damaged version, not the state */
        vault_must_move(&vault, 55, &old);
        vault_lose(&old);
        rig_verify(rig, archived, "on a new machine");
        rig->options.accept_loss = false;
        vault_done(&vault);
    }
}

/* A record that is damaged here comes back from there. */
static void records_come_back(void **unused)
{
    static struct vault vault;
    struct rig *rig = &vault.rig;
    char path[64];
    uint8_t *bytes;
    size_t size;

    (void)unused;
    vault_init_archive(&vault, 1);
    for (int i = 0; i < 3; i++) {
        vault_load_timed(&vault, 20);
        vault_must_take(&vault);
    }
    vault_close(rig);
    snprintf(path, sizeof path, "versions/%d.version", (int)vault.taken[1].number);
    bytes = cairn_sim_disk_bytes(rig->disk, path, &size);
    bytes[size / 2] ^= 1;
    vault_must_open(rig, "mended");
    vault_check_all(&vault);
    vault_done(&vault);
}

/* A recovery that is cut short, goes on with another archive: that is refused. */
static void two_archives_do_not_mix(void **unused)
{
    (void)unused;
    for (int64_t n = 20; n < 200; n += 9) {
        static struct vault a, b;
        struct rig *rig = &b.rig, old;
        struct cairn_blob *right;
        struct cairn_err err;
        enum cairn_code code;

        vault_init_archive(&a, 3);
        vault_load_timed(&a, 15);
        vault_must_take(&a);
        rig_settle(&a.rig);
        vault_close(&a.rig);
        vault_init_archive(&b, 6);
        vault_load_timed(&b, 25);
        vault_must_take(&b);
        rig_settle(rig);
        right = rig->options.archive;
        a.rig.options.archive->url[0] = 'x';
        rig->options.archive = a.rig.options.archive;
        old = *rig;
        rig->store = NULL;
        rig->disk = rig->options.disk = cairn_sim_disk_create((uint64_t)n);
        rig->tasks = rig->options.tasks = cairn_tasks_create(0);
        rig->options.recover = true;
        cairn_sim_disk_halt_at(rig->disk, n);
        code = rig_open(rig, &err);
        if (code == CAIRN_OK)
            cairn_store_abandon(rig->store);
        rig->store = NULL;
        cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP);
        rig->options.archive = right;
        assert_true(rig_open(rig, &err) == CAIRN_EINVAL || err.code == CAIRN_ECONFLICT);
        rig->store = NULL;
        vault_lose(&old);
        vault_done(&b);
        vault_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_are_cut_short),
        cmocka_unit_test(running_copies_are_told),
        cmocka_unit_test(copied_records_count_once),
        cmocka_unit_test(what_is_needed_stays),
        cmocka_unit_test(nobody_waits_for_ever),
        cmocka_unit_test(a_lost_one_ends_its_snapshots),
        cmocka_unit_test(what_is_not_here_holds_up_nothing),
        cmocka_unit_test(a_mistake_disowns_nobody),
        cmocka_unit_test(damage_is_left_out),
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(two_archives_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
