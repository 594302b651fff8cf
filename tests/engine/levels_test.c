/* Catches: a key that comes back after it was removed, or is lost, by merging, a snapshot, a restore or a crash; a
 * version that is not exactly what was there at its snapshot; a restore that fails and has changed something; a failed
 * write of a run that loses what was put, or that does not heal.
 *
 * One list of random operations, drawn from a seed, against a model that keeps every version as a whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/random.h"
#include "state/state_internal.h"

static const char *const engines[] = {"lsm", "hybridlog", "appendlog", "memory"};

enum { ENGINES = sizeof engines / sizeof *engines };

enum { KEYS = 300, VERSIONS_MAX = 256, ATTEMPTS_MAX = 512 };

/* The value's number of every key; 0: not there. */
struct state {
    uint32_t values[KEYS];
};

struct model {
    struct state now, versions[VERSIONS_MAX];
    struct state attempts[ATTEMPTS_MAX]; /* what was there at each call of snapshot; its number is the metadata */
    uint64_t attempt;
    bool there[VERSIONS_MAX], maybe_gone[VERSIONS_MAX];
    uint64_t current, newest, doubtful, restored; /* as in version_test.c */
    uint32_t next_value;
};

struct lab {
    struct cairn_disk *disk;
    struct cairn_tasks *tasks;
    struct cairn_state_options options;
    struct cairn_state *store;
    struct cairn_random random;
    struct model *model;
    unsigned failures;
};

static struct cairn_bytes key_of(uint32_t number, char memory[400])
{
    int size = snprintf(memory, 400, "%uk", number * 7919u);

    if (number % 40 == 0) {
        memset(memory + size, 'k', 300);
        size += 300;
    }
    return cairn_bytes(memory, (size_t)size);
}

static struct cairn_bytes value_of(uint32_t value, uint8_t memory[6000])
{
    struct cairn_random random;
    uint64_t kind;
    size_t size;

    cairn_random_init(&random, value);
    kind = cairn_random_below(&random, 100);
    size = kind < 10 ? 0 : kind < 97 ? kind : 6000 - kind;
    cairn_random_fill(&random, memory, size);
    if (value % 3 && size > 4)
        memset(memory + 4, (int)value, size - 4); /* gets smaller */
    return cairn_bytes(memory, size);
}

static void lab_init(struct lab *lab, uint64_t seed)
{
    *lab = (struct lab){.disk = cairn_sim_disk_create(seed), .tasks = cairn_tasks_create(0)};
    lab->model = cairn_alloc_zeroed(1, sizeof *lab->model);
    cairn_random_init(&lab->random, seed);
    lab->options = (struct cairn_state_options){
        .engine = engines[seed % ENGINES],
        .memory_bytes = seed % 7 ? 0 : 256 << 10,
        .memtable_bytes_limit = 500 + cairn_random_below(&lab->random, 8000),
        .threshold = 1024 + cairn_random_below(&lab->random, 8000),
        .mem_segment_len = 8000 + cairn_random_below(&lab->random, 40000),
        .max_runs_per_level = 2 + (unsigned)cairn_random_below(&lab->random, 4),
        .density_factor = (unsigned)cairn_random_below(&lab->random, 3) * 5,
        .filter_bits = seed % 3 ? 10 : 1,
        .compression = seed % 5 == 0   ? "none,lz4,zstd"
                       : seed % 5 == 1 ? "zstd"
                                       : NULL,
    };
    if (seed % 2) {
        lab->options.ro_lag_interval = cairn_random_below(&lab->random, lab->options.mem_segment_len / 2);
        lab->options.flush_interval = cairn_random_below(&lab->random, lab->options.mem_segment_len / 2);
    }
}

static void lab_done(struct lab *lab)
{
    cairn_state_close(lab->store);
    cairn_tasks_destroy(lab->tasks);
    cairn_disk_close(lab->disk);
    free(lab->model);
}

/* --- checking --- */

struct seen {
    const struct state *state;
    uint32_t count;
    bool already[KEYS];
};

static bool see(void *context, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
    struct seen *seen = context;
    uint32_t number = (uint32_t)strtoul(key, NULL, 10) / 7919u; /* what follows is no digit */

    (void)key_bytes;
    (void)value; /* gets compare them */
    (void)value_bytes;
    assert_true(number < KEYS && seen->state->values[number] != 0 && !seen->already[number]);
    seen->already[number] = true;
    seen->count++;
    return true;
}

static void check_state(struct cairn_state *store, const struct state *state)
{
    struct seen seen = {.state = state};
    struct cairn_err err;
    uint32_t there = 0;

    for (uint32_t number = 0; number < KEYS; number++) {
        char memory[400];
        uint8_t value_memory[6000];
        struct cairn_bytes key = key_of(number, memory);
        const void *value;
        size_t size;
        bool found;

        if (cairn_state_get(store, key.data, key.size, &found, &value, &size, &err) != CAIRN_OK)
            fail_msg("key %u: %s", number, err.text);
        if (found != (state->values[number] != 0))
            fail_msg("key %u is %s", number, found ? "there" : "not there");
        if (found && !cairn_bytes_equal(cairn_bytes(value, size), value_of(state->values[number], value_memory)))
            fail_msg("key %u has another value", number);
        there += found;
    }
    assert_int_equal(cairn_state_visit(store, see, &seen, &err), CAIRN_OK);
    assert_int_equal(seen.count, there);
}

/* What is true of a folder that was opened anew; the model takes over what turned out to have happened. */
static void check_opened(struct lab *lab, bool calls_may_fail)
{
    struct model *model = lab->model;
    const struct version *current = versions_current(levels_versions(lab->store->levels)), *version;
    uint64_t at = current ? current->number : 0;

    if (at != model->current && !(model->restored && at == model->restored) &&
        !(model->doubtful && at >= model->doubtful))
        fail_msg("at version %llu, not at %llu", (unsigned long long)at, (unsigned long long)model->current);
    for (uint64_t number = 1; number < VERSIONS_MAX; number++)
        if (model->there[number] && !model->maybe_gone[number])
            assert_non_null(versions_find(levels_versions(lab->store->levels), number));
    memset(model->there, 0, sizeof model->there);
    memset(model->maybe_gone, 0, sizeof model->maybe_gone);
    for (size_t i = 0; (version = versions_at(levels_versions(lab->store->levels), i)); i++) {
        uint64_t attempt;

        model->there[version->number] = true;
        assert_int_equal(version->metadata.size, sizeof attempt);
        memcpy(&attempt, version->metadata.data, sizeof attempt);
        assert_true(attempt < model->attempt);
        model->versions[version->number] = model->attempts[attempt]; /* which one it is, the metadata tells */
        if (version->number > model->newest)
            model->newest = version->number;
    }
    model->current = at;
    model->doubtful = model->restored = 0;
    model->now = model->versions[at];
    if (!calls_may_fail)
        check_state(lab->store, &model->now);
}

static void check_every_version(struct lab *lab)
{
    struct model *model = lab->model;
    struct cairn_err err;

    for (uint64_t number = 1; number < VERSIONS_MAX; number++) {
        if (!model->there[number])
            continue;
        if (cairn_state_restore(lab->store, number, &err) != CAIRN_OK)
            fail_msg("version %llu: %s", (unsigned long long)number, err.text);
        model->current = number;
        model->now = model->versions[number];
        check_state(lab->store, &model->now);
    }
}

/* --- the operations --- */

static enum cairn_code snapshot(struct lab *lab, struct cairn_err *err)
{
    struct model *model = lab->model;
    uint64_t number;
    enum cairn_code code;

    if (!model->doubtful)
        model->doubtful = model->newest + 1;
    assert_true(model->attempt < ATTEMPTS_MAX);
    model->attempts[model->attempt] = model->now;
    code = cairn_state_snapshot(lab->store, &model->attempt, sizeof model->attempt, &number, err);
    model->attempt++;
    if (code != CAIRN_OK)
        return code;
    assert_true(number > model->newest && number < VERSIONS_MAX);
    model->versions[number] = model->now;
    model->newest = model->current = number;
    model->there[number] = true;
    model->doubtful = model->restored = 0;
    return CAIRN_OK;
}

static enum cairn_code restore(struct lab *lab, uint64_t number, struct cairn_err *err)
{
    struct model *model = lab->model;
    uint64_t before = model->restored;
    enum cairn_code code;

    model->restored = number;
    code = cairn_state_restore(lab->store, number, err);
    if (code == CAIRN_EUNAVAILABLE) /* refused, as one before may have happened */
        model->restored = before;
    if (code == CAIRN_OK) {
        model->current = number;
        model->now = model->versions[number];
        model->restored = 0;
    }
    return code;
}

static enum cairn_code change(struct lab *lab, struct cairn_err *err)
{
    /* A few keys are changed often, most rarely. */
    uint32_t number = (uint32_t)cairn_random_below(&lab->random, 1 + cairn_random_below(&lab->random, KEYS));
    uint32_t next = cairn_random_below(&lab->random, 3) ? ++lab->model->next_value : 0;
    char memory[400];
    uint8_t value_memory[6000];
    struct cairn_bytes key = key_of(number, memory), value = value_of(next, value_memory);
    enum cairn_code code = next ? cairn_state_put(lab->store, key.data, key.size, value.data, value.size, err)
                                : cairn_state_remove(lab->store, key.data, key.size, err);

    if (code == CAIRN_OK)
        lab->model->now.values[number] = next;
    return code;
}

static uint64_t pick(struct lab *lab)
{
    uint64_t number = 1 + cairn_random_below(&lab->random, lab->model->newest + 1);

    while (number > 0 && !lab->model->there[number])
        number--;
    return number; /* 0: none */
}

static enum cairn_code reopen(struct lab *lab, struct cairn_err *err)
{
    enum cairn_code code;

    lab->store = cairn_state_close(lab->store);
    code = state_open_on(lab->disk, lab->tasks, NULL, &lab->options, &lab->store, err);
    if (code == CAIRN_OK)
        check_opened(lab, true);
    return code;
}

/* Random operations; one that fails has changed nothing that counts. */
static void run(struct lab *lab, unsigned steps)
{
    struct model *model = lab->model;
    struct cairn_err err;
    enum cairn_code code = state_open_on(lab->disk, lab->tasks, NULL, &lab->options, &lab->store, &err);

    for (unsigned i = 0; lab->store && i < steps; i++) {
        uint64_t kind = cairn_random_below(&lab->random, 100), number = pick(lab), bytes;

        if (kind < 12)
            code = snapshot(lab, &err);
        else if (kind < 14)
            code = number ? restore(lab, number, &err) : CAIRN_OK;
        else if (kind < 18 && number && number != model->current) {
            model->maybe_gone[number] = true;
            code = versions_forget(levels_versions(lab->store->levels), number, &err);
            if (code == CAIRN_OK)
                model->there[number] = model->maybe_gone[number] = false;
        } else if (kind < 20)
            code = cairn_state_collect(lab->store, &bytes, &err);
        else if (kind < 22)
            code = reopen(lab, &err);
        else if (kind < 40)
            cairn_tasks_step(lab->tasks);
        else
            for (int j = 0; j < 20; j++)
                code = change(lab, &err);
        lab->failures += code != CAIRN_OK;
    }
}

static void check_alive(struct lab *lab)
{
    struct cairn_err err;

    if (!lab->store && state_open_on(lab->disk, lab->tasks, NULL, &lab->options, &lab->store, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    check_opened(lab, false);
    for (int i = 0; i < 100; i++)
        assert_int_equal(change(lab, &err), CAIRN_OK);
    assert_int_equal(snapshot(lab, &err), CAIRN_OK);
    check_state(lab->store, &lab->model->now);
    check_every_version(lab);
}

static void agrees_with_the_model(void **state)
{
    struct levels_stats stats = {0}, all = {0};

    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct lab lab;

        lab_init(&lab, seed);
        run(&lab, 400);
        assert_int_equal(lab.failures, 0);
        check_state(lab.store, &lab.model->now);
        levels_stats(lab.store->levels, &stats);
        all.flushes += stats.flushes;
        all.merges += stats.merges;
        check_every_version(&lab);
        lab_done(&lab);
    }
    print_message("%llu flushes, %llu merges\n", (unsigned long long)all.flushes, (unsigned long long)all.merges);
    assert_true(all.flushes > 500 && all.merges > 100); /* of the last stretches alone */
}

/* Bytes of runs that are kept, and that merges have written, for each byte of a state of KEYS_OF_WEAR keys. */
struct wear {
    double kept, merged;
};

/* With overwrites the state is written ten times in random order, without them once. */
static struct wear wear(const char *engine_name, bool overwrites)
{
    enum { KEYS_OF_WEAR = 20000, VALUE_BYTES = 40, RECORD_BYTES = 8 + VALUE_BYTES };
    struct cairn_state_options options = {.engine = engine_name,
                                          .memory_bytes = 256 << 10,
                                          .memtable_bytes_limit = 16 << 10,
                                          .threshold = 16 << 10,
                                          .max_runs_per_level = 4};
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct cairn_tasks *tasks = cairn_tasks_create(0);
    struct cairn_state *store;
    struct cairn_random random;
    struct levels_stats stats;
    struct cairn_err err;
    uint8_t value[VALUE_BYTES];
    uint64_t number, most = 0;

    cairn_random_init(&random, 1);
    assert_int_equal(state_open_on(disk, tasks, NULL, &options, &store, &err), CAIRN_OK);
    for (uint64_t i = 0; i < (overwrites ? 10 : 1) * KEYS_OF_WEAR; i++) {
        uint64_t key = overwrites ? cairn_random_below(&random, KEYS_OF_WEAR) : i;

        cairn_random_fill(&random, value, sizeof value);
        assert_int_equal(cairn_state_put(store, &key, sizeof key, value, sizeof value, &err), CAIRN_OK);
        while (cairn_tasks_step(tasks))
            levels_work(store->levels, true);
        levels_stats(store->levels, &stats);
        if (stats.run_bytes > most)
            most = stats.run_bytes;
    }
    assert_int_equal(cairn_state_snapshot(store, "", 0, &number, &err), CAIRN_OK);
    cairn_state_close(store);
    cairn_tasks_destroy(tasks);
    cairn_disk_close(disk);
    return (struct wear){(double)most / (KEYS_OF_WEAR * RECORD_BYTES),
                         (double)stats.merged_bytes / (KEYS_OF_WEAR * RECORD_BYTES)};
}

/* How much of the new replaces the old is learned from merges: a state that is overwritten is merged before much is
 * kept in vain, and one that grows is not merged more often for that. */
static void merges_suit_the_writes(void **state)
{
    static const char *const logs[] = {"lsm", "appendlog", "hybridlog"};

    (void)state;
    for (size_t i = 0; i < sizeof logs / sizeof *logs; i++) {
        struct wear over = wear(logs[i], true), grows = wear(logs[i], false);

        print_message("%s: overwritten %.2f kept, %.2f merged; growing %.2f kept, %.2f merged\n", logs[i], over.kept,
                      over.merged, grows.kept, grows.merged);
        assert_true(over.kept < 2 && over.merged < 45); /* of 10 */
        assert_true(grows.kept < 1.1 && grows.merged < 3);
    }
}

static void nothing_new_is_one_file(void **state)
{
    struct lab lab;
    struct cairn_err err;
    uint64_t calls, number;

    (void)state;
    lab_init(&lab, 1);
    assert_int_equal(state_open_on(lab.disk, lab.tasks, NULL, &lab.options, &lab.store, &err), CAIRN_OK);
    for (int i = 0; i < 200; i++)
        assert_int_equal(change(&lab, &err), CAIRN_OK);
    assert_int_equal(snapshot(&lab, &err), CAIRN_OK);
    while (cairn_tasks_step(lab.tasks)) /* merges, which a get takes over */
        check_state(lab.store, &lab.model->now);
    calls = cairn_sim_disk_calls(lab.disk);
    assert_int_equal(cairn_state_snapshot(lab.store, "", 0, &number, &err), CAIRN_OK);
    assert_int_equal(number, 2);
    assert_true(cairn_sim_disk_calls(lab.disk) - calls <= 6); /* open, write, sync, rename, sync of the folder */
    lab_done(&lab);
}

static void call_n_fails(void **state)
{
    unsigned runs = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n += 1 + n / 60, runs++) {
            struct lab lab;

            lab_init(&lab, seed);
            cairn_sim_disk_fail_call(lab.disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            run(&lab, 60);
            fired = cairn_sim_disk_fired(lab.disk);
            assert_true(lab.failures == 0 || fired);
            cairn_sim_disk_fail_call(lab.disk, -1, CAIRN_OK);
            if (lab.store) { /* what was put before and after the failure is there */
                check_state(lab.store, &lab.model->now);
                lab.store = cairn_state_close(lab.store);
            }
            if (n % 3)
                cairn_sim_disk_crash(lab.disk, (enum cairn_sim_crash)(n / 3 % 3));
            check_alive(&lab);
            lab_done(&lab);
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 200);
}

static void crash_at_call_n(void **state)
{
    unsigned runs = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        bool reached = true;

        for (int64_t n = 0; reached; n += 1 + n / 60, runs++) {
            struct lab lab;

            lab_init(&lab, seed);
            cairn_sim_disk_halt_at(lab.disk, n);
            run(&lab, 60);
            reached = cairn_sim_disk_fired(lab.disk);
            lab.store = cairn_state_close(lab.store);
            cairn_sim_disk_crash(lab.disk, (enum cairn_sim_crash)(n % 3));
            check_alive(&lab);
            lab_done(&lab);
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 200);
}

static void other_engines_versions(void **state)
{
    struct lab lab;
    struct versions *versions;
    struct version version = {.engine = "other"};
    struct cairn_err err;
    uint64_t number;

    (void)state;
    lab_init(&lab, 1);
    assert_int_equal(versions_open(lab.disk, 0, NULL, &versions, &err), CAIRN_OK);
    assert_int_equal(versions_add(versions, &version, &number, &err), CAIRN_OK);
    versions_close(versions);
    assert_int_equal(state_open_on(lab.disk, lab.tasks, NULL, &lab.options, &lab.store, &err), CAIRN_ECONFLICT);
    assert_non_null(strstr(err.text, "other"));
    lab.options.max_runs_per_level = 1;
    assert_int_equal(state_open_on(lab.disk, lab.tasks, NULL, &lab.options, &lab.store, &err), CAIRN_EINVAL);
    lab_done(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_model),   cmocka_unit_test(merges_suit_the_writes),
        cmocka_unit_test(nothing_new_is_one_file), cmocka_unit_test(call_n_fails),
        cmocka_unit_test(crash_at_call_n),         cmocka_unit_test(other_engines_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
