/* Catches: an interface for embedders that does not keep what its header says: limits of keys and values, the lock of
 * the folder, versions with their parents and metadata, a walk that can be ended, background threads that lose work
 * or race with their owner. */
#include <setjmp.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cairn/engine.h"

static const char *engine;
static char folder[64];
static struct cairn_err err;

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/cairn-state-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static struct cairn_state *open_state(uint64_t version)
{
    /* So small that everything happens often. */
    struct cairn_state_options options = {
        .engine = engine,
        .version = version,
        .memtable_bytes_limit = 20000,
        .threshold = 20000,
        .mem_segment_len = 100000,
        .flush_interval = 20000,
        .ro_lag_interval = 40000,
        .max_runs_per_level = 3,
    };
    struct cairn_state *opened;

    if (cairn_state_open(folder, &options, &opened, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    return opened;
}

static void check_number(struct cairn_state *state, uint32_t key, uint64_t want)
{
    const void *value;
    size_t size;
    uint64_t got = 0;
    bool found;

    assert_int_equal(cairn_state_get(state, &key, sizeof key, &found, &value, &size, &err), CAIRN_OK);
    if (found) {
        assert_int_equal(size, sizeof got);
        memcpy(&got, value, sizeof got);
    }
    if (got != want)
        fail_msg("key %u has %llu, not %llu", key, (unsigned long long)got, (unsigned long long)want);
}

enum { KEYS = 5000, ROUNDS = 40 };

/* The value of a key after some rounds; 0: not there. */
static uint64_t number_after(uint32_t key, uint64_t round)
{
    return (key + round) % 7 == 0 ? 0 : round * KEYS + key + 1;
}

static bool count_one(void *context, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
    (void)key;
    (void)key_bytes;
    (void)value;
    (void)value_bytes;
    return ++*(unsigned *)context != 100000;
}

static bool stop_at_ten(void *context, const void *key, size_t key_bytes, const void *value, size_t value_bytes)
{
    count_one(context, key, key_bytes, value, value_bytes);
    return *(unsigned *)context < 10;
}

static bool check_version(void *context, const struct cairn_state_version *version)
{
    uint64_t *next = context;

    assert_int_equal(version->number, *next);
    assert_int_equal(version->parent, *next - 1);
    assert_int_equal(version->metadata_bytes, sizeof *next);
    assert_memory_equal(version->metadata, next, sizeof *next);
    assert_int_equal(version->current, *next == ROUNDS);
    assert_true(version->bytes > 0 && version->time_ms > 0);
    ++*next;
    return true;
}

static void versions_of_a_busy_state(void **unused)
{
    struct cairn_state *state = open_state(0);
    struct cairn_state_stats stats;
    uint64_t version, next = 1, bytes;
    unsigned count = 0;

    (void)unused;
    for (uint64_t round = 1; round <= ROUNDS; round++) {
        for (uint32_t key = 0; key < KEYS; key++) {
            uint64_t number = number_after(key, round);

            assert_int_equal(number ? cairn_state_put(state, &key, sizeof key, &number, sizeof number, &err)
                                    : cairn_state_remove(state, &key, sizeof key, &err),
                             CAIRN_OK);
            if (key % 16 == 0)
                check_number(state, key, number);
        }
        assert_int_equal(cairn_state_snapshot(state, &round, sizeof round, &version, &err), CAIRN_OK);
        assert_int_equal(version, round);
    }
    cairn_state_get_stats(state, &stats);
    if (strcmp(engine, "memory") == 0)
        assert_true(stats.flushes == ROUNDS && stats.merges == 0 && stats.files == 1);
    else
        assert_true(stats.flushes > ROUNDS && stats.merges > 10 && stats.files > 0);
    assert_true(stats.disk_bytes > KEYS * 12);
    cairn_state_versions(state, check_version, &next);
    assert_int_equal(next, ROUNDS + 1);
    for (uint64_t round = ROUNDS; round >= 1; round -= 13) { /* back, without closing */
        assert_int_equal(cairn_state_restore(state, round, &err), CAIRN_OK);
        for (uint32_t key = 0; key < KEYS; key++)
            check_number(state, key, number_after(key, round));
        if (round < 13)
            break;
    }
    assert_int_equal(cairn_state_restore(state, 99, &err), CAIRN_ENOTFOUND);
    assert_int_equal(cairn_state_visit(state, stop_at_ten, &count, &err), CAIRN_OK);
    assert_int_equal(count, 10);
    state = cairn_state_close(state);
    state = open_state(7);
    for (uint64_t round = 1; round <= ROUNDS; round++)
        if (round != 7 && round != 8)
            assert_int_equal(cairn_state_forget(state, round, &err), CAIRN_OK);
    assert_int_equal(cairn_state_forget(state, 7, &err), CAIRN_ECONFLICT);
    assert_int_equal(cairn_state_pin(state, 8, true, &err), CAIRN_OK);
    assert_int_equal(cairn_state_forget(state, 8, &err), CAIRN_ECONFLICT);
    assert_int_equal(cairn_state_collect(state, &bytes, &err), CAIRN_OK);
    assert_true(bytes > 0);
    for (uint64_t round = 7; round <= 8; round++) {
        assert_int_equal(cairn_state_restore(state, round, &err), CAIRN_OK);
        for (uint32_t key = 0; key < KEYS; key++)
            check_number(state, key, number_after(key, round));
    }
    cairn_state_close(state);
}

static void limits_and_locks(void **unused)
{
    struct cairn_state *state = open_state(0), *other;
    struct cairn_state_options options = {.engine = "nosuch"};
    static char big[(1 << 20) + 1];
    const void *value;
    size_t size;
    bool found;
    uint64_t version;

    (void)unused;
    assert_int_equal(cairn_state_open(folder, NULL, &other, &err), CAIRN_ELOCKED);
    assert_int_equal(cairn_state_open(folder, &options, &other, &err), CAIRN_EINVAL);
    assert_int_equal(cairn_state_restore(state, 0, &err), CAIRN_ENOTFOUND);
    assert_int_equal(cairn_state_put(state, "", 0, "x", 1, &err), CAIRN_EINVAL);
    assert_int_equal(cairn_state_put(state, big, (1 << 20) + 1, "x", 1, &err), CAIRN_EINVAL);
    assert_int_equal(cairn_state_put(state, big, 1 << 20, "x", 1, &err), CAIRN_OK);
    assert_int_equal(cairn_state_put(state, "k", 1, big, (size_t)64 * 1024 * 1024 + 1, &err), CAIRN_ELIMIT);
    assert_int_equal(cairn_state_put(state, "empty", 5, NULL, 0, &err), CAIRN_OK);
    assert_int_equal(cairn_state_snapshot(state, big, 65537, &version, &err), CAIRN_ELIMIT);
    assert_int_equal(cairn_state_snapshot(state, big, 65536, &version, &err), CAIRN_OK);
    cairn_state_close(state);
    state = open_state(0);
    assert_int_equal(cairn_state_get(state, "empty", 5, &found, &value, &size, &err), CAIRN_OK);
    assert_true(found && size == 0);
    assert_int_equal(cairn_state_get(state, big, 1 << 20, &found, &value, &size, &err), CAIRN_OK);
    assert_true(found && size == 1);
    cairn_state_close(state);
}

static bool take_number(void *context, const struct cairn_state_version *version)
{
    uint64_t *seen = context;

    *seen = *seen * 100 + version->number;
    return true;
}

static void rules_of_retention(void **unused)
{
    struct cairn_state *state = open_state(0);
    struct cairn_state_retention rule = {.last = 3};
    uint64_t version, forgotten, seen = 0;

    (void)unused;
    for (uint64_t i = 0; i < 9; i++) {
        assert_int_equal(cairn_state_put(state, &i, sizeof i, "x", 1, &err), CAIRN_OK);
        assert_int_equal(cairn_state_snapshot(state, NULL, 0, &version, &err), CAIRN_OK);
        if (i == 6)
            usleep(1100000); /* two stretches of a second at least */
    }
    assert_int_equal(cairn_state_pin(state, 2, true, &err), CAIRN_OK);
    assert_int_equal(cairn_state_restore(state, 4, &err), CAIRN_OK);
    assert_int_equal(cairn_state_retain(state, &rule, &forgotten, &err), CAIRN_OK);
    cairn_state_versions(state, take_number, &seen);
    assert_int_equal(seen, 204070809);
    assert_int_equal(forgotten, 4);
    rule = (struct cairn_state_retention){.interval_ms = 1000, .intervals = 1};
    assert_int_equal(cairn_state_retain(state, &rule, &forgotten, &err), CAIRN_OK);
    seen = 0;
    cairn_state_versions(state, take_number, &seen);
    assert_int_equal(seen, 20409);
    cairn_state_close(state);
}

/* The current and the pinned version are among those that the rule has, not beside them. */
static void retention_counts_what_it_keeps(void **unused)
{
    static const struct {
        struct cairn_state_retention rule;
        uint64_t pinned, seen;
    } cases[] = {
        {{.last = 1}, 0, 6},
        {{.last = 5}, 0, 203040506},
        {{.last = 5}, 4, 203040506},
        {{.last = 2}, 6, 506},
        {{.last = 2}, 1, 10506},
        {{.interval_ms = 1, .intervals = 2}, 6, 506}, /* each is of another millisecond */
        {{.interval_ms = 1, .intervals = 2}, 2, 20506},
        {{.last = 2, .interval_ms = 1, .intervals = 3}, 0, 40506},
    };

    (void)unused;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cairn_state *state = open_state(0);
        uint64_t version, forgotten, seen = 0;

        for (uint64_t k = 0; k < 6; k++) {
            usleep(2000);
            assert_int_equal(cairn_state_put(state, &k, sizeof k, "x", 1, &err), CAIRN_OK);
            assert_int_equal(cairn_state_snapshot(state, NULL, 0, &version, &err), CAIRN_OK);
        }
        if (cases[i].pinned)
            assert_int_equal(cairn_state_pin(state, cases[i].pinned, true, &err), CAIRN_OK);
        assert_int_equal(cairn_state_retain(state, &cases[i].rule, &forgotten, &err), CAIRN_OK);
        cairn_state_versions(state, take_number, &seen);
        if (seen != cases[i].seen)
            fail_msg("case %zu: %llu", i, (unsigned long long)seen);
        cairn_state_close(state);
        assert_int_equal(remove_folder(NULL), 0);
        assert_int_equal(make_folder(NULL), 0);
    }
}

static unsigned open_runs(void)
{
    struct dirent *entry;
    DIR *dir = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir))) {
        char path[300], target[300];
        ssize_t size;

        snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
        size = readlink(path, target, sizeof target - 1);
        target[size < 0 ? 0 : size] = 0;
        count += strstr(target, ".run") != NULL;
    }
    closedir(dir);
    return count;
}

/* Until none has ended for a second: whoever asks takes over what was merged, and begins the next. */
static void wait_for_merges(struct cairn_state *state)
{
    struct cairn_state_stats stats;
    uint64_t merges = UINT64_MAX;
    const void *value;
    size_t size;
    bool found;

    for (int quiet = 0, polls = 0; quiet < 20 && polls < 2000; quiet++, polls++) {
        usleep(50000);
        assert_int_equal(cairn_state_get(state, "nothing", 7, &found, &value, &size, &err), CAIRN_OK);
        cairn_state_get_stats(state, &stats);
        if (stats.merges != merges)
            quiet = 0;
        merges = stats.merges;
    }
}

/* 12 bytes a key alone would be many times the budget. */
static void memory_is_bounded(void **unused)
{
    enum { MEMORY = 512 << 10, MANY = 500000, FILES = 5 };
    struct cairn_state_options options = {.engine = engine, .memory_bytes = MEMORY, .open_files_max = FILES};
    struct cairn_state *state;
    struct cairn_state_stats stats;
    uint64_t most = 0;

    (void)unused;
    if (strcmp(engine, "memory") == 0)
        return;
    assert_int_equal(cairn_state_open(folder, &options, &state, &err), CAIRN_OK);
    for (uint64_t n = 0; n < MANY; n++) {
        uint64_t key[2] = {n * UINT64_C(0x9E3779B97F4A7C15), n};

        assert_int_equal(cairn_state_put(state, key, sizeof key, &n, sizeof n, &err), CAIRN_OK);
        if (n % 1000 == 0) {
            cairn_state_get_stats(state, &stats);
            if (stats.memory_bytes > most)
                most = stats.memory_bytes;
        }
    }
    print_message("at most %llu bytes, %llu files, %llu merges\n", (unsigned long long)most,
                  (unsigned long long)stats.files, (unsigned long long)stats.merges);
    assert_true(most <= MEMORY);
    assert_true(stats.files > FILES);
    wait_for_merges(state); /* they have their files open, too */
    for (uint64_t n = 0; n < MANY; n += 997) {
        uint64_t key[2] = {n * UINT64_C(0x9E3779B97F4A7C15), n}, got;
        const void *value;
        size_t size;
        bool found;

        assert_int_equal(cairn_state_get(state, key, sizeof key, &found, &value, &size, &err), CAIRN_OK);
        assert_true(found && size == sizeof got);
        memcpy(&got, value, sizeof got);
        assert_int_equal(got, n);
        assert_true(open_runs() <= FILES + 1);
        key[1]++;
        assert_int_equal(cairn_state_get(state, key, sizeof key, &found, &value, &size, &err), CAIRN_OK);
        assert_false(found);
    }
    cairn_state_close(state);
}

static uint64_t number_of(struct cairn_state *state)
{
    const void *value;
    uint64_t number = 0;
    size_t size;
    bool found;

    assert_int_equal(cairn_state_get(state, "a", 1, &found, &value, &size, &err), CAIRN_OK);
    if (found)
        memcpy(&number, value, sizeof number);
    return number;
}

/* With a log, without, with one again: nothing that was acknowledged is hidden, and nothing old comes back. */
static void logs_come_and_go(void **unused)
{
    struct cairn_state_options logged = {.engine = engine, .log = CAIRN_STATE_LOG_NONE, .log_file_bytes = 64 << 10};
    struct cairn_state_options plain = {.options_bytes = sizeof plain, .engine = engine};
    struct cairn_state *state;
    uint64_t version, number;
    char *large = malloc(5 << 20);

    (void)unused;
    assert_int_equal(cairn_state_open(folder, &logged, &state, &err), CAIRN_OK);
    for (number = 1; number <= 3; number++)
        assert_int_equal(cairn_state_put(state, "a", 1, &number, sizeof number, &err), CAIRN_OK);
    memset(large, 'x', 5 << 20);
    if (cairn_state_put(state, "large", 5, large, 5 << 20, &err) != CAIRN_OK) /* many files of the log */
        fail_msg("%s", err.text);
    free(large);
    assert_int_equal(cairn_state_await(state, UINT64_MAX, &err), CAIRN_EINVAL);
    cairn_state_close(state);
    assert_int_equal(cairn_state_open(folder, &plain, &state, &err), CAIRN_OK);
    assert_int_equal(number_of(state), 3);
    number = 100;
    assert_int_equal(cairn_state_put(state, "a", 1, &number, sizeof number, &err), CAIRN_OK);
    assert_int_equal(cairn_state_snapshot(state, NULL, 0, &version, &err), CAIRN_OK);
    cairn_state_close(state);
    assert_int_equal(cairn_state_open(folder, &logged, &state, &err), CAIRN_OK);
    assert_int_equal(number_of(state), 100);
    number = 101;
    assert_int_equal(cairn_state_put(state, "a", 1, &number, sizeof number, &err), CAIRN_OK);
    cairn_state_close(state);
    assert_int_equal(cairn_state_open(folder, &logged, &state, &err), CAIRN_OK);
    assert_int_equal(number_of(state), 101);
    cairn_state_close(state);
}

/* Without a name the folder's own engine opens it; with another's it is refused. */
static void folders_know_their_engine(void **unused)
{
    struct cairn_state_options options = {.engine = strcmp(engine, "lsm") ? "lsm" : "memory"};
    struct cairn_state *state = open_state(0);
    uint64_t version;

    (void)unused;
    assert_int_equal(cairn_state_put(state, "key", 3, "value", 5, &err), CAIRN_OK);
    assert_int_equal(cairn_state_snapshot(state, NULL, 0, &version, &err), CAIRN_OK);
    cairn_state_close(state);
    assert_int_equal(cairn_state_open(folder, &options, &state, &err), CAIRN_ECONFLICT);
    assert_non_null(strstr(err.text, engine));
    assert_int_equal(cairn_state_open(folder, NULL, &state, &err), CAIRN_OK);
    assert_int_equal(cairn_state_remove(state, "key", 3, &err), CAIRN_OK);
    assert_int_equal(cairn_state_snapshot(state, NULL, 0, &version, &err), CAIRN_OK);
    cairn_state_close(state);
    state = open_state(0);
    cairn_state_close(state);
}

int main(void)
{
    static const char *const engines[] = {"hybridlog", "appendlog", "lsm", "memory"};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(versions_of_a_busy_state, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(limits_and_locks, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(folders_know_their_engine, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(memory_is_bounded, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(rules_of_retention, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(retention_counts_what_it_keeps, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(logs_come_and_go, make_folder, remove_folder),
    };
    int failed = 0;

    for (size_t i = 0; i < sizeof engines / sizeof *engines; i++) {
        engine = engines[i];
        print_message("%s:\n", engine);
        failed += cmocka_run_group_tests(tests, NULL, NULL);
    }
    return failed;
}
