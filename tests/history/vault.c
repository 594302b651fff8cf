#include "history/vault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static const char *const engines[] = {"hybridlog", "lsm", "appendlog"};

void vault_load(struct rig *rig, int commits)
{
    for (int i = 0; i < commits && rig_commit(rig, -1); i++)
        if (cairn_random_below(&rig->random, 3))
            rig_pump(rig);
}

void vault_must_open(struct rig *rig, const char *label)
{
    struct cairn_err err;

    if (rig_open(rig, &err) != CAIRN_OK)
        fail_msg("%s: %s", label, err.text);
}

enum cairn_code vault_take(struct vault *vault, struct cairn_err *err)
{
    struct rig *rig = &vault->rig;
    struct taken taken = {.low = rig->commits};
    enum cairn_code code = cairn_store_version_begin(rig->store, false, err);

    if (code != CAIRN_OK)
        return code;
    for (int i = 0; !cairn_store_version_poll(rig->store, &taken.number, &code, err); i++) {
        if (cairn_random_below(&rig->random, 8) == 0 && rig_commit(rig, -1))
            vault->times[rig->commits] = rig->clock.clock.wall_ms(&rig->clock.clock);
        rig_pump(rig);
        if (i > 20000 || rig->log_failed)
            return cairn_fail(err, CAIRN_EUNAVAILABLE, rig->log_failed ? "the log has failed" : "it does not end");
    }
    taken.high = rig->commits;
    if (code == CAIRN_OK && vault->count < VAULT_VERSIONS_MAX)
        vault->taken[vault->count++] = taken;
    return code;
}

void vault_close(struct rig *rig)
{
    struct cairn_err err;

    if (cairn_store_close(rig->store, true, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    rig->store = NULL;
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP); /* the lock is free */
}

void vault_restore(struct rig *rig, uint64_t number, uint64_t *ret_undo)
{
    struct cairn_err err;

    if (cairn_store_restore(&rig->options, number, ret_undo, &err) != CAIRN_OK)
        fail_msg("version %llu: %s", (unsigned long long)number, err.text);
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
}

void vault_check_taken(struct rig *rig, const struct taken *taken)
{
    char label[64];

    snprintf(label, sizeof label, "version %llu", (unsigned long long)taken->number);
    vault_must_open(rig, label);
    rig_verify(rig, taken->low, label); /* the model's commits are the version's then */
    if (rig->commits > taken->high)
        fail_msg("%s has commit %u, which came after its end at %u", label, rig->commits, taken->high);
}

void vault_check_all(struct vault *vault)
{
    struct rig *rig = &vault->rig;

    for (size_t i = 0; i < vault->count; i++) {
        uint64_t before = cairn_store_restores(rig->store), number;
        uint32_t commits = rig->commits;
        uint64_t undo, again;

        vault_close(rig);
        vault_restore(rig, vault->taken[i].number, &undo);
        rig->commits = commits;
        vault_check_taken(rig, &vault->taken[i]);
        number = cairn_store_restores(rig->store);
        assert_true(number != before && number != 0);
        vault_close(rig);
        vault_restore(rig, undo, &again);
        rig->commits = rig->durable = commits;
        vault_must_open(rig, "back");
        assert_true(cairn_store_restores(rig->store) != before && cairn_store_restores(rig->store) != number);
        number = cairn_store_restores(rig->store);
        vault_close(rig);
        vault_must_open(rig, "again");
        assert_true(cairn_store_restores(rig->store) == number);
        rig_verify(rig, commits, "back");
    }
}

void vault_init(struct vault *vault, uint64_t seed)
{
    vault->count = 0;
    vault->archive_disk = NULL;
    rig_engine = engines[seed % 3];
    rig_init(&vault->rig, cairn_sim_disk_create(seed), CAIRN_SYNC_ALWAYS, seed);
    vault_must_open(&vault->rig, "first");
}

void vault_init_archive(struct vault *vault, uint64_t seed)
{
    vault->count = 0;
    rig_engine = engines[seed % 3];
    rig_init(&vault->rig, cairn_sim_disk_create(seed), CAIRN_SYNC_ALWAYS, seed);
    vault->archive_disk = cairn_sim_disk_create(seed + 1000);
    vault->rig.options.archive = cairn_blob_on_disk(vault->archive_disk);
    vault->rig.options.archive_every_ns = 30000000;
    vault_must_open(&vault->rig, "first");
}

void vault_done(struct vault *vault)
{
    struct cairn_blob *blob = vault->rig.options.archive;

    rig_done(&vault->rig);
    cairn_blob_close(blob);
    if (vault->archive_disk)
        cairn_disk_close(vault->archive_disk);
}

enum cairn_code vault_move(struct vault *vault, uint64_t seed, struct rig *old, struct cairn_err *err)
{
    struct rig *rig = &vault->rig;

    *old = *rig;
    rig->store = NULL;
    rig->disk = rig->options.disk = cairn_sim_disk_create(seed);
    rig->tasks = rig->options.tasks = cairn_tasks_create(0);
    rig->options.recover = true;
    return rig_open(rig, err);
}

void vault_load_timed(struct vault *vault, int commits)
{
    struct rig *rig = &vault->rig;

    for (int i = 0; i < commits; i++) {
        cairn_sim_clock_advance(&rig->clock, 1000000 * (1 + cairn_random_below(&rig->random, 40)));
        if (!rig_commit(rig, -1))
            return;
        vault->times[rig->commits] = rig->clock.clock.wall_ms(&rig->clock.clock);
        while (cairn_random_below(&rig->random, 3))
            rig_pump(rig);
    }
}

uint32_t vault_last_at(const struct vault *vault, uint64_t wall_ms)
{
    uint32_t commit = vault->rig.commits;

    while (commit && vault->times[commit] > wall_ms)
        commit--;
    return commit;
}

void vault_check_moments(struct vault *vault, uint32_t first)
{
    struct rig *rig = &vault->rig;
    struct cairn_err err;

    for (int i = 0; i < 4; i++) {
        uint32_t commits = rig->commits;
        uint32_t target = first + (uint32_t)cairn_random_below(&rig->random, commits - first + 1);
        uint64_t at = vault->times[target] + cairn_random_below(&rig->random, 2), undo, again;
        uint32_t want = vault_last_at(vault, at);

        vault_close(rig);
        if (cairn_store_restore_at(&rig->options, at, &undo, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        cairn_sim_disk_crash(rig->disk, CAIRN_SIM_DROP);
        vault_must_open(rig, "at a moment");
        rig_verify(rig, 0, "at a moment");
        assert_int_equal(rig->commits, want);
        vault_close(rig);
        vault_restore(rig, undo, &again);
        rig->commits = rig->durable = commits;
        vault_must_open(rig, "back");
        rig_verify(rig, commits, "back");
    }
}

void vault_must_take(struct vault *vault)
{
    struct cairn_err err;

    if (vault_take(vault, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    ++*(size_t *)context;
}

size_t vault_blobs(struct vault *vault, const char *folder)
{
    struct cairn_err err;
    size_t count = 0;

    vault->archive_disk->ops->list(vault->archive_disk, folder, count_name, &count, &err);
    return count;
}

uint32_t vault_commits_archived(const struct rig *rig)
{
    struct cairn_store_stats stats;
    uint32_t commits = 0;

    cairn_store_stats(rig->store, &stats);
    while (commits < rig->commits && rig->ends[commits + 1] <= stats.archive_position)
        commits++;
    return commits;
}

void vault_lose(struct rig *rig)
{
    cairn_store_abandon(rig->store);
    cairn_tasks_destroy(rig->tasks);
    cairn_disk_close(rig->disk);
}

void vault_must_move(struct vault *vault, uint64_t seed, struct rig *old)
{
    struct cairn_err err;

    if (vault_move(vault, seed, old, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    assert_true(cairn_store_restores(vault->rig.store) != 0);
}
