/* Catches: a batch that is acknowledged and lost, or there in part, after a crash at any call of the disk; one that
 * comes back after a restore; changes that are made twice because a version has them, too; a log that is trimmed too
 * early, or never; a snapshot that has what was put after it was begun.
 *
 * Every batch sets the key "batch" to its number, which is never used again, so that a state tells which it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/random.h"
#include "state/state_internal.h"

static const char *const engines[] = {"hybridlog", "lsm", "appendlog", "memory"};

enum {
    ENGINES = sizeof engines / sizeof *engines,
    KEYS = 60,
    BATCHES_MAX = 4096,
    VERSIONS_MAX = 256,
};

struct content {
    uint32_t values[KEYS]; /* 0: not there; else it was set by this batch */
};

struct lab {
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct cairn_state_options options;
    struct cairn_state *state;
    struct cairn_random random;
    struct content contents[BATCHES_MAX]; /* after each batch */
    uint32_t batch_count, now;            /* now: the batch that the state is at */
    uint32_t certain;                     /* at this or a later attempt a crash leaves it */
    bool allowed[BATCHES_MAX];            /* where a crash may leave it */
    uint32_t versions[VERSIONS_MAX];      /* each one's batch + 1; 0: there is none */
    uint32_t begun, automatic;            /* begun: the batch + 1 of a snapshot in progress */
    unsigned failures;
};

static void only(struct lab *lab, uint32_t batch)
{
    memset(lab->allowed, 0, sizeof lab->allowed);
    lab->allowed[batch] = true;
}

static struct lab *create_lab(uint64_t seed)
{
    struct lab *lab = cairn_alloc_zeroed(1, sizeof *lab);

    lab->disk = cairn_sim_disk_create(seed);
    lab->tasks = cairn_tasks_create(0);
    cairn_random_init(&lab->random, seed);
    lab->options = (struct cairn_state_options){
        .engine = engines[seed % ENGINES],
        .log = seed / ENGINES % 2 ? CAIRN_STATE_LOG_NONE : CAIRN_STATE_LOG_ALWAYS,
        .log_bytes_max = 5000 + cairn_random_below(&lab->random, 40000),
        .log_file_bytes = 64 << 10,
        .memtable_bytes_limit = 2000,
        .threshold = 2000,
        .mem_segment_len = 12000,
        .max_runs_per_level = 3,
    };
    lab->batch_count = 1; /* 0: empty */
    only(lab, 0);
    return lab;
}

static void destroy_lab(struct lab *lab)
{
    cairn_state_close(lab->state);
    cairn_tasks_destroy(lab->tasks);
    cairn_disk_close(lab->disk);
    free(lab);
}

static uint32_t get(struct lab *lab, uint32_t key, bool may_fail)
{
    struct cairn_err err;
    const void *value;
    uint32_t number = 0;
    size_t size;
    bool found;

    if (cairn_state_get(lab->state, &key, sizeof key, &found, &value, &size, &err) != CAIRN_OK) {
        if (!may_fail)
            fail_msg("%s", err.text);
        return UINT32_MAX;
    }
    if (found) {
        assert_true(size >= sizeof number);
        memcpy(&number, value, sizeof number);
        for (size_t i = sizeof number; i < size; i++)
            assert_int_equal(((const uint8_t *)value)[i], (uint8_t)(number + i));
    }
    return number;
}

static void check_at(struct lab *lab, uint32_t batch)
{
    for (uint32_t key = 0; key < KEYS; key++)
        if (get(lab, key, false) != lab->contents[batch].values[key])
            fail_msg("key %u has %u, not %u, at batch %u", key, get(lab, key, false), lab->contents[batch].values[key],
                     batch);
}

/* --- operations --- */

static enum cairn_code write(struct lab *lab, struct cairn_err *err)
{
    enum { CHANGES_MAX = 12 };
    static uint8_t values[CHANGES_MAX][30000];
    struct cairn_state_change changes[CHANGES_MAX];
    uint32_t keys[CHANGES_MAX], batch = lab->batch_count++;
    size_t count = 1 + cairn_random_below(&lab->random, CHANGES_MAX - 1);
    bool waits = cairn_random_below(&lab->random, 2);
    uint64_t ticket;
    enum cairn_code code;

    assert_true(batch < BATCHES_MAX);
    lab->contents[batch] = lab->contents[lab->now];
    for (size_t i = 0; i < count; i++) {
        size_t size = sizeof batch + cairn_random_below(&lab->random, 100);

        if (cairn_random_below(&lab->random, 60) == 0)
            size = 30000; /* several parts in the log */
        keys[i] = i ? 1 + (uint32_t)cairn_random_below(&lab->random, KEYS - 1) : 0;
        memcpy(values[i], &batch, sizeof batch);
        for (size_t j = sizeof batch; j < size; j++)
            values[i][j] = (uint8_t)(batch + j);
        changes[i] = (struct cairn_state_change){&keys[i], sizeof keys[i], values[i], size,
                                                 i && cairn_random_below(&lab->random, 3) == 0};
        lab->contents[batch].values[keys[i]] = changes[i].removes ? 0 : batch;
    }
    lab->allowed[batch] = true;
    code = cairn_state_write(lab->state, changes, count, waits ? NULL : &ticket, err);
    if (code == CAIRN_OK || (code == CAIRN_EUNAVAILABLE && get(lab, 0, true) == batch)) /* made, but not durable */
        lab->now = batch;
    if (code == CAIRN_OK && !waits && cairn_random_below(&lab->random, 2)) {
        waits = true;
        code = cairn_state_await(lab->state, ticket, err);
    }
    if (code == CAIRN_OK && waits && lab->options.log == CAIRN_STATE_LOG_ALWAYS)
        only(lab, batch);
    return code;
}

static void note_version(struct lab *lab, uint64_t number, uint32_t batch)
{
    assert_true(number < VERSIONS_MAX && !lab->versions[number]);
    lab->versions[number] = batch + 1;
    for (uint32_t i = 0; i < batch; i++)
        lab->allowed[i] = false;
    lab->allowed[batch] = true;
}

static enum cairn_code snapshot(struct lab *lab, struct cairn_err *err)
{
    uint64_t number;
    enum cairn_code code;

    if (!lab->begun) {
        code = cairn_state_snapshot_begin(lab->state, &lab->now, sizeof lab->now, err);
        if (code == CAIRN_OK)
            lab->begun = lab->now + 1;
        return code;
    }
    code = cairn_state_snapshot_end(lab->state, &number, err);
    if (code == CAIRN_OK)
        note_version(lab, number, lab->begun - 1);
    lab->begun = 0;
    return code;
}

static enum cairn_code restore(struct lab *lab, struct cairn_err *err)
{
    uint64_t number = cairn_random_below(&lab->random, VERSIONS_MAX);
    enum cairn_code code;

    while (number && !lab->versions[number])
        number--;
    if (!number || lab->begun)
        return CAIRN_OK;
    lab->allowed[lab->versions[number] - 1] = true;
    code = cairn_state_restore(lab->state, number, err);
    if (code == CAIRN_OK) {
        lab->now = lab->versions[number] - 1;
        only(lab, lab->now);
    }
    return code;
}

static bool take_version(void *context, const struct cairn_state_version *version)
{
    struct lab *lab = context;
    uint32_t batch;

    if (version->metadata_bytes == sizeof batch) {
        memcpy(&batch, version->metadata, sizeof batch);
        assert_true(version->number < VERSIONS_MAX);
        assert_true(!lab->versions[version->number] || lab->versions[version->number] == batch + 1);
        lab->versions[version->number] = batch + 1;
    }
    return true;
}

static void check_opened(struct lab *lab)
{
    uint32_t batch = get(lab, 0, false);

    assert_true(batch < lab->batch_count);
    if (!lab->allowed[batch])
        fail_msg("opened at batch %u of %u, where %u was certain", batch, lab->batch_count, lab->now);
    check_at(lab, batch);
    lab->now = batch;
    lab->begun = 0;
    /* It may be what a version has, or only what the log has: that was read, so a crash does not undo it. */
    only(lab, batch);
    cairn_state_versions(lab->state, take_version, lab);
}

static enum cairn_code open_state(struct lab *lab, struct cairn_err *err)
{
    return state_open_on(lab->disk, lab->tasks, NULL, &lab->options, &lab->state, err);
}

static void run(struct lab *lab, unsigned steps)
{
    struct cairn_err err;
    enum cairn_code code = open_state(lab, &err);

    for (unsigned i = 0; lab->state && i < steps; i++) {
        uint64_t kind = cairn_random_below(&lab->random, 100), bytes;
        uint32_t at;

        if (kind < 8)
            code = snapshot(lab, &err);
        else if (kind < 10)
            code = restore(lab, &err);
        else if (kind < 11)
            code = lab->begun ? CAIRN_OK : cairn_state_collect(lab->state, &bytes, &err);
        else if (kind < 40)
            cairn_tasks_step(lab->tasks);
        else
            code = write(lab, &err);
        lab->failures += code != CAIRN_OK;
        code = CAIRN_OK;
        at = get(lab, 0, true);
        if (at != UINT32_MAX)
            assert_int_equal(at, lab->now);
    }
}

static void check_alive(struct lab *lab)
{
    struct cairn_err err;

    if (open_state(lab, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    check_opened(lab);
    for (int i = 0; i < 30; i++)
        if (write(lab, &err) != CAIRN_OK)
            fail_msg("%s", err.text);
    check_at(lab, lab->now);
    for (uint32_t number = 1; number < VERSIONS_MAX; number++)
        if (lab->versions[number]) {
            if (cairn_state_restore(lab->state, number, &err) != CAIRN_OK)
                fail_msg("%s", err.text);
            check_at(lab, lab->versions[number] - 1);
            lab->now = lab->versions[number] - 1;
        }
    lab->state = cairn_state_close(lab->state); /* syncs the log */
    assert_int_equal(open_state(lab, &err), CAIRN_OK);
    check_at(lab, lab->now);
}

/* What was acknowledged is there after closing, whatever the mode, and the log does not grow without end. */
static void closed_and_opened(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= 16; seed++) {
        struct lab *lab = create_lab(seed);
        struct cairn_err err;

        for (int round = 0; round < 4; round++) {
            run(lab, 200);
            assert_int_equal(lab->failures, 0);
            while (lab->begun)
                assert_int_equal(snapshot(lab, &err), CAIRN_OK);
            assert_true(state_log_retained(lab->state->log) < 1 << 20);
            lab->state = cairn_state_close(lab->state);
            only(lab, lab->now);
            assert_int_equal(open_state(lab, &err), CAIRN_OK);
            check_opened(lab);
            lab->state = cairn_state_close(lab->state);
        }
        check_alive(lab);
        destroy_lab(lab);
    }
}

static void call_n_fails(void **unused)
{
    unsigned runs = 0;

    (void)unused;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 40, runs++) {
            struct lab *lab = create_lab(seed);

            cairn_sim_disk_fail_call(lab->disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            run(lab, 60);
            fired = cairn_sim_disk_fired(lab->disk);
            assert_true(lab->failures == 0 || fired);
            cairn_sim_disk_fail_call(lab->disk, -1, CAIRN_OK);
            lab->state = cairn_state_close(lab->state);
            if (n % 3)
                cairn_sim_disk_crash(lab->disk, (enum cairn_sim_crash)(n / 3 % 3));
            check_alive(lab);
            destroy_lab(lab);
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 200);
}

static void crash_at_call_n(void **unused)
{
    unsigned runs = 0;

    (void)unused;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool reached = true;

        for (int64_t n = 0; reached; n += 1 + n / 40, runs++) {
            struct lab *lab = create_lab(seed);

            cairn_sim_disk_halt_at(lab->disk, n);
            run(lab, 60);
            reached = cairn_sim_disk_fired(lab->disk);
            lab->state = cairn_state_close(lab->state);
            cairn_sim_disk_crash(lab->disk, (enum cairn_sim_crash)(n % 3));
            check_alive(lab);
            destroy_lab(lab);
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_and_opened),
        cmocka_unit_test(call_n_fails),
        cmocka_unit_test(crash_at_call_n),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
