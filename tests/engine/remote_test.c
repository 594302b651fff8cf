/* Catches: a version in a blob store that cannot be had back, all of it, by a new machine, after any failure or power
 * cut on either side; a version whose files were collected; an owner that goes on after another has claimed the
 * store, or whose late manifest counts; a folder that is behind, or another's, and is opened all the same; a file
 * that is damaged or missing here and is not fetched; files that are removed in the background while garbage is
 * collected.
 *
 * Every change sets the key "change" to its number and every version has that as metadata, so a version tells what must
 * be in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/random.h"
#include "engine/levels_internal.h"
#include "state/state_internal.h"

static const char *const engines[] = {"hybridlog", "lsm", "appendlog", "memory"};

enum {
    ENGINES = sizeof engines / sizeof *engines,
    KEYS = 60,
    CHANGES_MAX = 8192,
    VERSIONS_MAX = 256,
};

struct lab {
    struct cairn_disk *disk, *store;
    struct cairn_blob *blob;
    struct cairn_tasks *tasks;
    struct cairn_state_options options;
    struct cairn_state *state;
    struct cairn_random random;
    uint32_t contents[CHANGES_MAX][KEYS]; /* after each change; 0: not there */
    uint32_t count, now;
    uint32_t versions[VERSIONS_MAX]; /* each one's change + 1; 0: there is none, or it is not sure */
    uint64_t newest;                 /* that is sure to be in the store */
    unsigned failures;
};

static struct lab *create_lab(uint64_t seed)
{
    struct lab *lab = cairn_alloc_zeroed(1, sizeof *lab);

    lab->disk = cairn_sim_disk_create(seed);
    lab->store = cairn_sim_disk_create(seed + 1000);
    lab->blob = cairn_blob_on_disk(lab->store);
    lab->tasks = cairn_tasks_create(0);
    cairn_random_init(&lab->random, seed);
    lab->options = (struct cairn_state_options){
        .engine = engines[seed % ENGINES],
        .memtable_bytes_limit = 2000,
        .threshold = 2000,
        .mem_segment_len = 12000,
        .max_runs_per_level = 2 + (unsigned)cairn_random_below(&lab->random, 3),
        .blob_grace_s = 1,
    };
    lab->count = 1;
    return lab;
}

static void destroy_lab(struct lab *lab)
{
    cairn_state_close(lab->state);
    cairn_blob_close(lab->blob);
    cairn_tasks_destroy(lab->tasks);
    cairn_disk_close(lab->disk);
    cairn_disk_close(lab->store);
    free(lab);
}

static void check_at(struct cairn_state *state, const uint32_t content[KEYS])
{
    for (uint32_t key = 0; key < KEYS; key++) {
        struct cairn_err err;
        const void *value;
        uint32_t number = 0;
        size_t size;
        bool found;

        if (cairn_state_get(state, &key, sizeof key, &found, &value, &size, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        if (found)
            memcpy(&number, value, sizeof number);
        if (number != content[key])
            fail_msg("key %u has %u, not %u", key, number, content[key]);
    }
}

/* --- operations --- */

static enum cairn_code change(struct lab *lab, struct cairn_err *err)
{
    uint8_t value[100];
    uint32_t number = lab->count++, keys[2] = {0, 1 + (uint32_t)cairn_random_below(&lab->random, KEYS - 1)};
    size_t size = sizeof number + cairn_random_below(&lab->random, sizeof value - sizeof number);
    struct cairn_state_change changes[2] = {
        {&keys[0], sizeof keys[0], value, sizeof number, false},
        {&keys[1], sizeof keys[1], value, size, cairn_random_below(&lab->random, 3) == 0},
    };
    enum cairn_code code;

    assert_true(number < CHANGES_MAX);
    memset(value, 'v', sizeof value);
    memcpy(value, &number, sizeof number);
    code = cairn_state_write(lab->state, changes, 2, NULL, err);
    memcpy(lab->contents[number], lab->contents[lab->now], sizeof lab->contents[number]);
    lab->contents[number][0] = number;
    lab->contents[number][keys[1]] = changes[1].removes ? 0 : number;
    if (code == CAIRN_OK)
        lab->now = number;
    return code;
}

static enum cairn_code snapshot(struct lab *lab, struct cairn_err *err)
{
    uint64_t number;
    enum cairn_code code = cairn_state_snapshot_begin(lab->state, &lab->now, sizeof lab->now, err);
    uint32_t at = lab->now;

    for (int i = 0; code == CAIRN_OK && i < 5; i++) { /* what is put meanwhile is not in it */
        struct cairn_err ignored;

        change(lab, &ignored);
        cairn_tasks_step(lab->tasks);
    }
    if (code == CAIRN_OK)
        code = cairn_state_snapshot_end(lab->state, &number, err);
    if (code == CAIRN_OK) {
        assert_true(number < VERSIONS_MAX);
        lab->versions[number] = at + 1;
        lab->newest = number;
    }
    return code;
}

static uint64_t pick(struct lab *lab)
{
    uint64_t number = cairn_random_below(&lab->random, VERSIONS_MAX);

    while (number && !lab->versions[number])
        number--;
    return number;
}

static enum cairn_code restore(struct lab *lab, struct cairn_err *err)
{
    uint64_t number = pick(lab);
    enum cairn_code code = number ? cairn_state_restore(lab->state, number, err) : CAIRN_OK;

    if (number && code == CAIRN_OK)
        lab->now = lab->versions[number] - 1;
    return code;
}

static enum cairn_code forget(struct lab *lab, struct cairn_err *err)
{
    uint64_t number = pick(lab), bytes;
    enum cairn_code code;

    if (!number || number == lab->newest)
        return CAIRN_OK;
    code = cairn_state_forget(lab->state, number, err);
    if (code != CAIRN_ECONFLICT) /* it may be the current one */
        lab->versions[number] = 0;
    return code == CAIRN_OK ? cairn_state_collect(lab->state, &bytes, err) : CAIRN_OK;
}

static enum cairn_code open_state(struct lab *lab, struct cairn_err *err)
{
    return state_open_on(lab->disk, lab->tasks, lab->blob, &lab->options, &lab->state, err);
}

static void run(struct lab *lab, unsigned steps)
{
    struct cairn_err err;
    enum cairn_code code = open_state(lab, &err);

    if (lab->newest)
        lab->now = lab->versions[lab->newest] - 1; /* what came after it went when it was closed */
    for (unsigned i = 0; code == CAIRN_OK && i < steps; i++) {
        uint64_t kind = cairn_random_below(&lab->random, 100);

        if (kind < 10)
            code = snapshot(lab, &err);
        else if (kind < 12)
            code = restore(lab, &err);
        else if (kind < 15)
            code = forget(lab, &err);
        else if (kind < 40)
            cairn_tasks_step(lab->tasks);
        else
            code = change(lab, &err);
    }
    lab->failures += code != CAIRN_OK;
}

static bool learn(void *context, const struct cairn_state_version *version)
{
    struct lab *lab = context;
    uint32_t at;

    assert_int_equal(version->metadata_bytes, sizeof at);
    memcpy(&at, version->metadata, sizeof at);
    assert_true(version->number < VERSIONS_MAX);
    assert_true(!lab->versions[version->number] || lab->versions[version->number] == at + 1);
    lab->versions[version->number] = at + 1;
    return true;
}

/* This machine is gone; another one takes over from the store alone. */
static void recover(struct lab *lab)
{
    struct cairn_err err;

    lab->state = cairn_state_close(lab->state);
    cairn_disk_close(lab->disk);
    lab->disk = cairn_sim_disk_create(77);
    if (open_state(lab, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    cairn_state_versions(lab->state, learn, lab); /* also of snapshots that failed late */
    for (uint64_t number = 1; number < VERSIONS_MAX; number++) {
        if (!lab->versions[number])
            continue;
        if (cairn_state_restore(lab->state, number, &err) != CAIRN_OK)
            fail_msg("version %llu: %s", (unsigned long long)number, err.text);
        check_at(lab->state, lab->contents[lab->versions[number] - 1]);
        lab->now = lab->versions[number] - 1;
    }
    for (int i = 0; i < 20; i++)
        assert_int_equal(change(lab, &err), CAIRN_OK);
    if (snapshot(lab, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void machines_come_and_go(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct lab *lab = create_lab(seed);

        for (int machine = 0; machine < 3; machine++) {
            run(lab, 200);
            assert_int_equal(lab->failures, 0);
            recover(lab);
            lab->state = cairn_state_close(lab->state);
        }
        destroy_lab(lab);
    }
}

/* The end of a put ahead of time sets files free, which a thread removes.  It would take files from under a collection,
 * so none may be at work when that goes on. */
static void nothing_is_removed_while_collecting(void **unused)
{
    unsigned puts_ahead = 0;

    (void)unused;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct lab *lab = create_lab(seed);
        struct cairn_state_retention rule = {.last = 1};
        struct cairn_err err;
        uint64_t number;

        if (strcmp(lab->options.engine, "memory") == 0) {
            destroy_lab(lab);
            continue;
        }
        assert_int_equal(open_state(lab, &err), CAIRN_OK);
        for (int round = 0; round < 100; round++) {
            const struct levels *levels = lab->state->levels;

            for (uint64_t i = 20 + cairn_random_below(&lab->random, 60); i > 0; i--) {
                assert_int_equal(change(lab, &err), CAIRN_OK);
                if (cairn_random_below(&lab->random, 4) == 0)
                    cairn_tasks_step(lab->tasks);
            }
            if (round % 4 == 0)
                assert_int_equal(snapshot(lab, &err), CAIRN_OK);
            assert_int_equal(cairn_state_retain(lab->state, &rule, &number, &err), CAIRN_OK);
            puts_ahead += levels->ahead.job.active;
            assert_int_equal(cairn_state_collect(lab->state, &number, &err), CAIRN_OK);
            assert_false(levels->removal.job.active);
            lab->count = lab->now + 1;
        }
        destroy_lab(lab);
    }
    assert_true(puts_ahead > 20);
}

/* A new folder may begin at any version, but not at one that nobody has. */
static void new_folder_at_a_version(void **unused)
{
    struct lab *lab = create_lab(1);
    struct cairn_err err;

    (void)unused;
    assert_int_equal(open_state(lab, &err), CAIRN_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(change(lab, &err), CAIRN_OK);
        assert_int_equal(snapshot(lab, &err), CAIRN_OK);
    }
    lab->state = cairn_state_close(lab->state);
    for (uint64_t number = 1; number <= 4; number++) {
        cairn_disk_close(lab->disk);
        lab->disk = cairn_sim_disk_create(number);
        lab->options.version = number;
        if (number == 4) {
            assert_int_equal(open_state(lab, &err), CAIRN_ENOTFOUND);
            continue;
        }
        if (open_state(lab, &err) != CAIRN_OK)
            fail_msg("version %llu: %s", (unsigned long long)number, err.text);
        check_at(lab->state, lab->contents[lab->versions[number] - 1]);
        lab->state = cairn_state_close(lab->state);
        lab->options.version = 0; /* and stays there */
        assert_int_equal(open_state(lab, &err), CAIRN_OK);
        check_at(lab->state, lab->contents[lab->versions[number] - 1]);
        lab->state = cairn_state_close(lab->state);
    }
    destroy_lab(lab);
}

/* On the folder's disk, or the store's. */
static void faults(bool of_store, bool power_cut)
{
    unsigned runs = 0;

    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 40, runs++) {
            struct lab *lab = create_lab(seed);
            struct cairn_disk *disk = of_store ? lab->store : lab->disk;

            if (power_cut)
                cairn_sim_disk_halt_at(disk, n);
            else
                cairn_sim_disk_fail_call(disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            run(lab, 60);
            fired = cairn_sim_disk_fired(disk);
            assert_true(lab->failures == 0 || fired);
            cairn_sim_disk_fail_call(disk, -1, CAIRN_OK);
            lab->state = cairn_state_close(lab->state);
            if (power_cut)
                cairn_sim_disk_crash(disk, (enum cairn_sim_crash)(n % 3));
            recover(lab);
            destroy_lab(lab);
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 200);
}

static void call_n_fails(void **unused)
{
    (void)unused;
    faults(false, false);
    faults(true, false);
}

static void crash_at_call_n(void **unused)
{
    (void)unused;
    faults(false, true);
    faults(true, true);
}

static void one_owner_at_a_time(void **unused)
{
    struct lab *lab = create_lab(1);
    struct cairn_disk *other_disk = cairn_sim_disk_create(5), *third_disk = cairn_sim_disk_create(6);
    struct cairn_state *other, *third;
    struct cairn_err err;
    uint64_t number, bytes;

    (void)unused;
    assert_int_equal(open_state(lab, &err), CAIRN_OK);
    assert_int_equal(change(lab, &err), CAIRN_OK);
    assert_int_equal(snapshot(lab, &err), CAIRN_OK);
    assert_int_equal(state_open_on(other_disk, lab->tasks, lab->blob, &lab->options, &other, &err), CAIRN_OK);
    check_at(other, lab->contents[lab->versions[1] - 1]);
    /* The first one is told, what it makes does not count, and it removes nothing. */
    assert_int_equal(change(lab, &err), CAIRN_OK);
    assert_int_equal(cairn_state_snapshot(lab->state, NULL, 0, &number, &err), CAIRN_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "claimed"));
    assert_int_equal(cairn_state_collect(lab->state, &bytes, &err), CAIRN_EUNAVAILABLE);
    assert_int_equal(cairn_state_snapshot(other, &lab->now, sizeof lab->now, &number, &err), CAIRN_OK);
    assert_int_equal(number, 2);
    assert_int_equal(state_open_on(third_disk, lab->tasks, lab->blob, &lab->options, &third, &err), CAIRN_OK);
    check_at(third, lab->contents[lab->versions[1] - 1]);
    cairn_state_close(third);
    cairn_state_close(other);
    /* Its folder has another version 2 than the store. */
    lab->state = cairn_state_close(lab->state);
    assert_int_equal(open_state(lab, &err), CAIRN_ECONFLICT);
    cairn_disk_close(other_disk);
    cairn_disk_close(third_disk);
    destroy_lab(lab);
}

/* A manifest that an owner puts after the next one has looked. */
static void late_manifest(void **unused)
{
    struct lab *lab = create_lab(1);
    struct cairn_buf manifest = {0};
    struct remote *remote;
    struct cairn_err err;
    uint64_t number;

    (void)unused;
    assert_int_equal(open_state(lab, &err), CAIRN_OK);
    assert_int_equal(change(lab, &err), CAIRN_OK);
    assert_int_equal(snapshot(lab, &err), CAIRN_OK);
    assert_int_equal(remote_open(lab->blob, NULL, false, &remote, &err), CAIRN_OK);
    assert_int_equal(remote_get_manifest(remote, 1, &manifest, &err), CAIRN_OK);
    remote_close(remote);
    assert_int_equal(lab->blob->ops->put(lab->blob, "versions/0000000000000001-9", cairn_buf_bytes(&manifest), &err),
                     CAIRN_OK);
    assert_int_equal(remote_open(lab->blob, NULL, false, &remote, &err), CAIRN_OK);
    assert_true(remote_version(remote, 0, &number) && number == 1);
    assert_false(remote_version(remote, 1, &number));
    remote_close(remote);
    cairn_buf_done(&manifest);
    destroy_lab(lab);
}

static void take_first(void *context, const char *name)
{
    char *first = context;

    if (!first[0])
        snprintf(first, CAIRN_PATH_BYTES, RUN_DIR "/%s", name);
}

static void damage_is_mended(void **unused)
{
    (void)unused;
    for (int removed = 0; removed < 2; removed++) {
        struct lab *lab = create_lab(1);
        char path[CAIRN_PATH_BYTES] = "";
        struct cairn_err err;
        size_t size;

        assert_int_equal(open_state(lab, &err), CAIRN_OK);
        for (int i = 0; i < 50; i++)
            assert_int_equal(change(lab, &err), CAIRN_OK);
        assert_int_equal(snapshot(lab, &err), CAIRN_OK);
        lab->state = cairn_state_close(lab->state);
        assert_int_equal(lab->disk->ops->list(lab->disk, RUN_DIR, take_first, path, &err), CAIRN_OK);
        if (removed)
            assert_int_equal(lab->disk->ops->remove(lab->disk, path, &err), CAIRN_OK);
        else
            cairn_sim_disk_bytes(lab->disk, path, &size)[100] ^= 1;
        assert_int_equal(open_state(lab, &err), CAIRN_OK);
        if (cairn_state_restore(lab->state, 1, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
        check_at(lab->state, lab->contents[lab->versions[1] - 1]);
        /* And in the store: found, named, never taken for the run. */
        lab->state = cairn_state_close(lab->state);
        path[0] = 0;
        assert_int_equal(lab->store->ops->list(lab->store, "runs", take_first, path, &err), CAIRN_OK);
        cairn_sim_disk_bytes(lab->store, path, &size)[100] ^= 1;
        cairn_disk_close(lab->disk);
        lab->disk = cairn_sim_disk_create(3);
        assert_int_equal(open_state(lab, &err), CAIRN_ECORRUPT);
        assert_non_null(strstr(err.text, path));
        destroy_lab(lab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_come_and_go),
        cmocka_unit_test(one_owner_at_a_time),
        cmocka_unit_test(late_manifest),
        cmocka_unit_test(damage_is_mended),
        cmocka_unit_test(nothing_is_removed_while_collecting),
        cmocka_unit_test(new_folder_at_a_version),
        cmocka_unit_test(call_n_fails),
        cmocka_unit_test(crash_at_call_n),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
