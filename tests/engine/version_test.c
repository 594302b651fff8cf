/* Catches: a snapshot that was acknowledged and is gone after a crash, or one that is half there; a version that lost a
 * run to the collector; a number given out twice; a restore that changes something before it knows that it can; a
 * damaged manifest or head that is believed, or that keeps the other versions from being used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/random.h"
#include "engine/version.h"

enum { VERSIONS_MAX = 64 };

/* What was acknowledged, and what may have happened beside it. */
struct model {
    uint64_t current, doubtful; /* doubtful: a commit whose outcome is not known; or 0 */
    bool there[VERSIONS_MAX], maybe_gone[VERSIONS_MAX];
    bool maybe_at[VERSIONS_MAX]; /* restores whose outcome is not known */
    uint64_t newest;
};

static void is_known(struct model *model)
{
    model->doubtful = 0;
    memset(model->maybe_at, 0, sizeof model->maybe_at);
}

/* A run with one record whose value is `id`. */
static enum cairn_code make_run(struct cairn_disk *disk, struct versions *versions, struct run_about *ret_about,
                                struct cairn_err *err)
{
    struct run_options options = {.records_max = 1, .filter_bits = 10};
    struct run_writer *writer;
    uint64_t id = versions_take_run_id(versions);
    enum cairn_code code = run_writer_create(disk, id, 0, &options, &writer, err);

    if (code != CAIRN_OK)
        return code;
    code = run_writer_add(
        writer, &(struct run_record){cairn_hash(cairn_str("key")), cairn_str("key"), cairn_bytes(&id, sizeof id)}, err);
    if (code == CAIRN_OK)
        code = run_writer_finish(writer, ret_about, err);
    run_writer_destroy(writer);
    return code;
}

/* A version with the current one's runs behind a new one, but at most three. */
static enum cairn_code snapshot(struct cairn_disk *disk, struct versions *versions, struct model *model,
                                struct cairn_err *err)
{
    const struct version *current = versions_current(versions);
    struct run_about runs[3];
    struct version version = {.engine = "test", .runs = runs, .run_count = 1};
    uint64_t number;
    enum cairn_code code = make_run(disk, versions, &runs[0], err);

    if (code != CAIRN_OK)
        return code;
    for (size_t i = 0; current && i < current->run_count && version.run_count < 3; i++)
        runs[version.run_count++] = current->runs[i];
    version.metadata = cairn_bytes(&runs[0].id, sizeof runs[0].id);
    version.sequence = current ? current->sequence + 1 : 1;
    model->doubtful = model->newest + 1;
    code = versions_add(versions, &version, &number, err);
    if (code != CAIRN_OK)
        return code;
    assert_true(number > model->newest && number < VERSIONS_MAX);
    model->newest = model->current = number;
    model->there[number] = true;
    is_known(model);
    return CAIRN_OK;
}

static void check_version(struct cairn_disk *disk, const struct version *version)
{
    struct cairn_err err;

    assert_string_equal(version->engine, "test");
    assert_int_equal(version->metadata.size, 8);
    assert_int_equal(cairn_get_u64(version->metadata.data), version->runs[0].id);
    for (size_t i = 0; i < version->run_count; i++) {
        struct cairn_buf scratch = {0};
        struct cairn_bytes value;
        struct run *run;
        bool found;

        if (run_open(disk, &version->runs[i], &run, &err) != CAIRN_OK)
            fail_msg("version %llu: %s", (unsigned long long)version->number, err.text);
        assert_int_equal(run_verify(run, &err), CAIRN_OK);
        assert_int_equal(run_get(run, cairn_str("key"), cairn_hash(cairn_str("key")), &scratch, &found, &value, &err),
                         CAIRN_OK);
        assert_true(found && cairn_get_u64(value.data) == version->runs[i].id);
        cairn_buf_done(&scratch);
        run_close(run);
    }
}

/* Everything that was acknowledged is there, whole; the model takes over what turned out to have happened. */
static void check_all(struct cairn_disk *disk, struct versions *versions, struct model *model, bool calls_may_fail)
{
    const struct version *current = versions_current(versions), *version;
    uint64_t at = current ? current->number : 0;

    if (at != model->current && !(at < VERSIONS_MAX && model->maybe_at[at]) &&
        !(model->doubtful && at >= model->doubtful))
        fail_msg("at version %llu, not at %llu", (unsigned long long)at, (unsigned long long)model->current);
    for (uint64_t number = 1; number < VERSIONS_MAX; number++)
        if (model->there[number] && !model->maybe_gone[number])
            assert_non_null(versions_find(versions, number));
    memset(model->there, 0, sizeof model->there);
    memset(model->maybe_gone, 0, sizeof model->maybe_gone);
    for (size_t i = 0; (version = versions_at(versions, i)); i++) {
        if (!calls_may_fail)
            check_version(disk, version);
        model->there[version->number] = true;
        if (version->number > model->newest)
            model->newest = version->number;
    }
    model->current = at;
    is_known(model);
}

static uint64_t pick(const struct model *model, struct cairn_random *random)
{
    uint64_t number = 1 + cairn_random_below(random, VERSIONS_MAX - 1);

    for (int i = 0; i < VERSIONS_MAX && !model->there[number]; i++)
        number = 1 + number % (VERSIONS_MAX - 1);
    return number;
}

/* Some random steps; those that fail change nothing that was acknowledged. */
static void run_steps(struct cairn_disk *disk, uint64_t seed, struct model *model)
{
    struct cairn_random random;
    struct versions *versions = NULL;
    struct cairn_err err;
    enum cairn_code code;

    cairn_random_init(&random, seed);
    code = versions_open(disk, 0, NULL, &versions, &err);
    for (int step = 0; versions && step < 20; step++) {
        uint64_t number = pick(model, &random), bytes;
        bool before;

        switch (cairn_random_below(&random, 8)) {
        case 0:
            if (!model->there[number])
                break;
            before = model->maybe_at[number];
            model->maybe_at[number] = true;
            code = versions_restore(versions, number, &err);
            if (code == CAIRN_EUNAVAILABLE) /* refused, as one before may have happened */
                model->maybe_at[number] = before;
            if (code == CAIRN_OK) {
                model->current = number;
                memset(model->maybe_at, 0, sizeof model->maybe_at);
            }
            break;
        case 1:
            if (!model->there[number] || number == model->current)
                break;
            model->maybe_gone[number] = true;
            code = versions_forget(versions, number, &err);
            if (code == CAIRN_OK)
                model->there[number] = model->maybe_gone[number] = false;
            break;
        case 2:
            code = versions_collect(versions, NULL, NULL, &bytes, &err);
            break;
        case 3:
            versions_close(versions);
            versions = NULL;
            code = versions_open(disk, 0, NULL, &versions, &err);
            if (code == CAIRN_OK)
                check_all(disk, versions, model, true);
            break;
        default:
            code = snapshot(disk, versions, model, &err);
        }
    }
    versions_close(versions);
}

static void check_alive(struct cairn_disk *disk, struct model *model)
{
    struct versions *versions;
    struct cairn_err err;

    if (versions_open(disk, 0, NULL, &versions, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    check_all(disk, versions, model, false);
    assert_int_equal(snapshot(disk, versions, model, &err), CAIRN_OK);
    versions_close(versions);
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    check_all(disk, versions, model, false);
    versions_close(versions);
}

static void call_n_fails(void **state)
{
    unsigned runs = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        bool fired = true;

        for (int64_t n = 0; fired; n++, runs++) {
            struct cairn_disk *disk = cairn_sim_disk_create(seed);
            struct model model = {0};

            cairn_sim_disk_fail_call(disk, n, n % 2 ? CAIRN_EIO : CAIRN_EFULL);
            run_steps(disk, seed, &model);
            fired = cairn_sim_disk_fired(disk);
            cairn_sim_disk_fail_call(disk, -1, CAIRN_OK);
            if (n / 2 % 2)
                cairn_sim_disk_crash(disk, (enum cairn_sim_crash)(n / 4 % 3));
            check_alive(disk, &model);
            cairn_disk_close(disk);
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 500);
}

static void crash_at_call_n(void **state)
{
    unsigned runs = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        for (int64_t n = 0;; n++, runs++) {
            struct cairn_disk *disk = cairn_sim_disk_create(seed);
            struct model model = {0};
            bool reached;

            cairn_sim_disk_halt_at(disk, n);
            run_steps(disk, seed, &model);
            reached = cairn_sim_disk_fired(disk);
            cairn_sim_disk_crash(disk, (enum cairn_sim_crash)(n % 3));
            check_alive(disk, &model);
            cairn_disk_close(disk);
            if (!reached)
                break;
        }
    }
    print_message("%u runs\n", runs);
    assert_true(runs > 500);
}

static void flip(struct cairn_disk *disk, const char *path, size_t at)
{
    size_t size;
    uint8_t *bytes = cairn_sim_disk_bytes(disk, path, &size);

    assert_true(at < size);
    bytes[at] ^= (uint8_t)(1u << at % 8);
}

static void damage_is_found(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct model model = {0};
    struct versions *versions;
    struct cairn_err err;
    uint64_t bytes;
    size_t size;

    (void)state;
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(snapshot(disk, versions, &model, &err), CAIRN_OK);
    versions_close(versions);
    cairn_sim_disk_bytes(disk, "HEAD", &size);
    for (size_t at = 0; at < size; at++) {
        flip(disk, "HEAD", at);
        assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_ECORRUPT);
        assert_non_null(strstr(err.text, "HEAD"));
        flip(disk, "HEAD", at);
    }
    cairn_sim_disk_bytes(disk, VERSION_DIR "/3.version", &size);
    for (size_t at = 0; at < size; at++) {
        flip(disk, VERSION_DIR "/3.version", at);
        assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_ECORRUPT);
        assert_non_null(strstr(err.text, "3.version"));
        assert_non_null(strstr(err.text, "the newest that is whole is 2"));
        flip(disk, VERSION_DIR "/3.version", at);
    }
    /* Another version is damaged: this one works, and nothing is collected until the other is forgotten. */
    flip(disk, VERSION_DIR "/1.version", 30);
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    assert_int_equal(versions_restore(versions, 1, &err), CAIRN_ECORRUPT);
    assert_int_equal(versions_current(versions)->number, 3);
    assert_int_equal(versions_collect(versions, NULL, NULL, &bytes, &err), CAIRN_ECORRUPT);
    assert_int_equal(versions_forget(versions, 1, &err), CAIRN_OK);
    assert_int_equal(versions_collect(versions, NULL, NULL, &bytes, &err), CAIRN_OK);
    /* A run is damaged: restore says so and changes nothing. */
    flip(disk, RUN_DIR "/2.run", 50);
    assert_int_equal(versions_restore(versions, 2, &err), CAIRN_ECORRUPT);
    assert_non_null(strstr(err.text, "2.run"));
    assert_int_equal(versions_current(versions)->number, 3);
    flip(disk, RUN_DIR "/2.run", 50);
    assert_int_equal(versions_restore(versions, 2, &err), CAIRN_OK);
    versions_close(versions);
    /* Opened at a version while the current one is damaged. */
    flip(disk, VERSION_DIR "/2.version", 30);
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_ECORRUPT);
    assert_int_equal(versions_open(disk, 3, NULL, &versions, &err), CAIRN_OK);
    assert_int_equal(versions_current(versions)->number, 3);
    assert_int_equal(versions_restore(versions, 9, &err), CAIRN_ENOTFOUND);
    versions_close(versions);
    cairn_disk_close(disk);
}

/* Not damage: the folder of a later program, whole by its checksum. */
static void other_formats_are_refused(void **state)
{
    static const char *const paths[] = {"HEAD", VERSION_DIR "/1.version"};
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct model model = {0};
    struct versions *versions;
    struct cairn_err err;

    (void)state;
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    assert_int_equal(snapshot(disk, versions, &model, &err), CAIRN_OK);
    versions_close(versions);
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        uint8_t *bytes = cairn_sim_disk_bytes(disk, paths[i], &size);

        for (uint32_t format = 3; format > 1; format--) { /* 2 puts it right again */
            cairn_put_u32(bytes + 8, format);
            cairn_put_u32(bytes + size - 4, cairn_crc32c(0, bytes, size - 4));
            if (format == 2)
                continue;
            assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_EVERSION);
            assert_non_null(strstr(err.text, "use the program that wrote it"));
        }
    }
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    versions_close(versions);
    cairn_disk_close(disk);
}

static void pins_and_branches(void **state)
{
    struct cairn_disk *disk = cairn_sim_disk_create(1);
    struct model model = {0};
    struct versions *versions;
    struct cairn_err err;

    (void)state;
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    assert_null(versions_current(versions));
    for (int i = 0; i < 3; i++)
        assert_int_equal(snapshot(disk, versions, &model, &err), CAIRN_OK);
    assert_int_equal(versions_pin(versions, 1, true, &err), CAIRN_OK);
    assert_int_equal(versions_forget(versions, 1, &err), CAIRN_ECONFLICT);
    assert_int_equal(versions_restore(versions, 2, &err), CAIRN_OK);
    model.current = 2;
    assert_int_equal(versions_forget(versions, 2, &err), CAIRN_ECONFLICT);
    assert_int_equal(versions_forget(versions, 3, &err), CAIRN_OK);
    versions_close(versions);
    assert_int_equal(versions_open(disk, 0, NULL, &versions, &err), CAIRN_OK);
    assert_int_equal(versions_current(versions)->number, 2);
    assert_true(versions_find(versions, 1)->pinned);
    assert_int_equal(snapshot(disk, versions, &model, &err), CAIRN_OK);
    assert_int_equal(versions_current(versions)->number, 4); /* 3 was given out */
    assert_int_equal(versions_current(versions)->parent, 2);
    assert_int_equal(versions_pin(versions, 1, false, &err), CAIRN_OK);
    assert_int_equal(versions_forget(versions, 1, &err), CAIRN_OK);
    versions_close(versions);
    cairn_disk_close(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pins_and_branches),         cmocka_unit_test(damage_is_found),
        cmocka_unit_test(other_formats_are_refused), cmocka_unit_test(call_n_fails),
        cmocka_unit_test(crash_at_call_n),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
