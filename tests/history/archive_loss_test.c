/* Catches: a recovery from a blob store that has lost or damaged something and takes what is left for all that there
 * was; one that is refused for nothing; one that goes on, as it was told to, and does not say what is lost; a store
 * that has lost something of a node which is well, and tells nobody, or does not heal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "history/vault.h"

static const char *const folders[] = {"claims", "epochs", "versions", "runs", "log", "modules"};

enum { NAMES_MAX = 400 };

struct names {
    const char *folder;
    char names[NAMES_MAX][160];
    size_t count;
};

static void take_name(void *context, const char *name)
{
    struct names *names = context;

    assert_true(names->count < NAMES_MAX);
    snprintf(names->names[names->count++], sizeof names->names[0], "%s/%s", names->folder, name);
}

static void list_all(struct cairn_disk *disk, struct names *names)
{
    struct cairn_err err;

    names->count = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        names->folder = folders[i];
        disk->ops->list(disk, folders[i], take_name, names, &err); /* it may not be there */
    }
}

static unsigned told; /* losses */
static char last_told[2000];

static void on_warning(void *context, const char *text)
{
    (void)context;
    told += strncmp(text, "lost: ", 6) == 0;
    snprintf(last_told, sizeof last_told, "%s", text);
}

/* --- what there is to lose --- */

static void add_module(struct rig *rig)
{
    static const char content[] = "a module";
    uint8_t hash[CAIRN_SHA256_BYTES];
    char path[128];
    size_t at = (size_t)snprintf(path, sizeof path, "modules/");
    struct cairn_err err;

    cairn_sha256(cairn_str(content), hash);
    for (size_t i = 0; i < sizeof hash; i++)
        at += (size_t)snprintf(path + at, sizeof path - at, "%02x", hash[i]);
    snprintf(path + at, sizeof path - at, ".wasm");
    assert_int_equal(rig->disk->ops->make_dir(rig->disk, "modules", &err), CAIRN_OK);
    assert_int_equal(cairn_disk_replace_file(rig->disk, path, cairn_str(content), &err), CAIRN_OK);
}

enum { PLAIN, RESTORED, RESTARTED, MOVED, WITHOUT, UNNAMED_CHUNK, SCENARIOS };

/* The power of the store goes between a chunk and the head: that is what it was before the chunk. */
static void cut_off_after_chunk(struct vault *vault)
{
    struct names heads = {.folder = "epochs"};
    struct cairn_buf head = {0};
    struct cairn_err err;
    size_t chunks = vault_blobs(vault, "log");

    vault->archive_disk->ops->list(vault->archive_disk, "epochs", take_name, &heads, &err);
    assert_int_equal(heads.count, 1);
    while (vault_blobs(vault, "log") == chunks) {
        head.size = 0;
        assert_int_equal(cairn_disk_read_file(vault->archive_disk, heads.names[0], 1 << 20, &head, &err), CAIRN_OK);
        cairn_sim_clock_advance(&vault->rig.clock, 20000000);
        rig_commit(&vault->rig, -1);
        for (int i = 0; i < 3 && vault_blobs(vault, "log") == chunks; i++)
            rig_pump(&vault->rig);
    }
    assert_int_equal(vault_blobs(vault, "log"), chunks + 1);
    assert_int_equal(cairn_disk_replace_file(vault->archive_disk, heads.names[0], cairn_buf_bytes(&head), &err),
                     CAIRN_OK);
    cairn_sim_disk_halt_at(vault->archive_disk, 0);
    cairn_buf_done(&head);
}

/* An archive that a node has left, which is no more. */
static void make_archive(struct vault *vault, int scenario, uint64_t seed)
{
    struct rig *rig = &vault->rig, old;
    struct cairn_blob *archive;
    uint64_t undo;

    vault_init_archive(vault, seed);
    archive = rig->options.archive;
    add_module(rig);
    vault_load_timed(vault, 20);
    vault_must_take(vault);
    vault_load_timed(vault, 40);
    vault_must_take(vault);
    vault_load_timed(vault, 40);
    rig_settle(rig);
    if (scenario == RESTORED) {
        vault_close(rig);
        vault_restore(rig, vault->taken[0].number, &undo);
        vault_must_open(rig, "restored");
        rig_verify(rig, vault->taken[0].low, "restored");
    } else if (scenario == RESTARTED) {
        vault_close(rig);
        vault_must_open(rig, "again");
    } else if (scenario == MOVED) {
        vault_must_move(vault, seed + 20, &old);
        vault_lose(&old);
        rig_verify(rig, 0, "moved");
        rig->options.recover = false;
    } else if (scenario == WITHOUT) {
        vault_close(rig);
        rig->options.archive = NULL;
        vault_must_open(rig, "without");
        vault_load_timed(vault, 10);
        vault_close(rig);
        rig->options.archive = archive;
        vault_must_open(rig, "with it again");
        vault_must_take(vault);
    }
    vault_load_timed(vault, 40);
    rig_settle(rig);
    if (scenario == UNNAMED_CHUNK)
        cut_off_after_chunk(vault);
    cairn_store_abandon(rig->store);
    rig->store = NULL;
    cairn_sim_disk_crash(vault->archive_disk, CAIRN_SIM_KEEP);
}

/* --- recovering --- */

/* A new folder, from a copy of the archive.  *ret_newest: the last commit that it has. */
static enum cairn_code recover(const struct vault *vault, struct cairn_disk *archive, bool accept, uint32_t *ret_newest,
                               struct cairn_err *err)
{
    struct rig rig = vault->rig;
    enum cairn_code code;

    rig.disk = rig.options.disk = cairn_sim_disk_create(99);
    rig.tasks = rig.options.tasks = cairn_tasks_create(0);
    rig.options.archive = cairn_blob_on_disk(archive);
    rig.options.recover = true;
    rig.options.accept_loss = accept;
    rig.options.on_warning = on_warning;
    told = 0;
    code = rig_open(&rig, err);
    if (code == CAIRN_OK) {
        if (!accept) /* else it may be of before a restore */
            rig_verify(&rig, 0, "recovered");
        *ret_newest = rig.commits;
        cairn_store_abandon(rig.store);
    }
    cairn_tasks_destroy(rig.tasks);
    cairn_disk_close(rig.disk);
    cairn_blob_close(rig.options.archive);
    return code;
}

static void damage(struct cairn_disk *disk, const char *name, int how)
{
    struct cairn_err err;
    size_t size;
    uint8_t *bytes = cairn_sim_disk_bytes(disk, name, &size);

    assert_true(bytes && size);
    if (how == 0)
        assert_int_equal(disk->ops->remove(disk, name, &err), CAIRN_OK);
    else if (how == 1)
        bytes[size / 2] ^= 1;
    else
        bytes[size - 1] ^= 128;
}

static bool is_newest_chunk(const struct names *names, size_t index)
{
    return strncmp(names->names[index], "log/", 4) == 0 &&
           (index + 1 == names->count || strncmp(names->names[index + 1], "log/", 4) != 0);
}

/* Each object of an archive is missing, or has a wrong bit, once. */
static void every_loss_is_told(void **unused)
{
    static struct names names;
    unsigned refused = 0, identical = 0, unnamed = 0;

    (void)unused;
    for (int scenario = 0; scenario < SCENARIOS; scenario++) {
        static struct vault vault;
        uint32_t whole = 0, newest;
        struct cairn_disk *copy;
        struct cairn_err err;

        make_archive(&vault, scenario, (uint64_t)scenario + 1);
        list_all(vault.archive_disk, &names);
        copy = cairn_sim_disk_clone(vault.archive_disk);
        if (recover(&vault, copy, false, &whole, &err) != CAIRN_OK)
            fail_msg("scenario %d, whole: %s (%s)", scenario, err.text, last_told);
        assert_int_equal(told, 0);
        cairn_disk_close(copy);
        for (size_t i = 0; i < names.count; i++) {
            for (int how = 0; how < 3; how++) {
                enum cairn_code code;

                copy = cairn_sim_disk_clone(vault.archive_disk);
                damage(copy, names.names[i], how);
                code = recover(&vault, copy, false, &newest, &err);
                if (code == CAIRN_OK && scenario == UNNAMED_CHUNK && is_newest_chunk(&names, i))
                    unnamed += newest < whole; /* it was never acknowledged */
                else if (code == CAIRN_OK && (newest != whole || told))
                    fail_msg("scenario %d, %s, %d: commit %u, not %u", scenario, names.names[i], how, newest, whole);
                if (code != CAIRN_OK &&
                    ((code != CAIRN_ECORRUPT && code != CAIRN_ENOTFOUND) || (code == CAIRN_ECORRUPT && !told)))
                    fail_msg("scenario %d, %s, %d: %u told, %s", scenario, names.names[i], how, told, err.text);
                refused += code != CAIRN_OK;
                identical += code == CAIRN_OK;
                if (code == CAIRN_ECORRUPT) { /* nothing was claimed, and it may be told to go on */
                    if (recover(&vault, copy, true, &newest, &err) != CAIRN_OK)
                        fail_msg("scenario %d, %s, %d: %s", scenario, names.names[i], how, err.text);
                    assert_true(told > 0);
                }
                cairn_disk_close(copy);
            }
        }
        vault_done(&vault);
    }
    print_message("%u refused, %u identical\n", refused, identical);
    assert_true(refused > 100 && identical > 10 && unnamed == 1);
}

/* An archive that an earlier version made is whole: there is no loss to accept. */
static void an_earlier_archive_is_refused(void **unused)
{
    static struct names names;
    static struct vault vault;
    struct cairn_reader r;
    struct cairn_err err;
    uint32_t newest;
    uint8_t *bytes = NULL;
    size_t size = 0;

    (void)unused;
    make_archive(&vault, 0, 1);
    list_all(vault.archive_disk, &names);
    for (size_t i = 0; i < names.count; i++)
        if (strncmp(names.names[i], "epochs/", 7) == 0)
            bytes = cairn_sim_disk_bytes(vault.archive_disk, names.names[i], &size);
    assert_non_null(bytes);
    r = cairn_reader(cairn_bytes(bytes + 16, size - 20)); /* docs/formats/remote.md: the head */
    cairn_read_bytes(&r, 16 * (size_t)cairn_get_u32(bytes + 12));
    cairn_read_sized(&r);
    cairn_read_varint(&r);
    assert_false(r.bad);
    assert_int_equal(*r.at, 2); /* docs/formats/archive.md: the head's note */
    bytes[r.at - bytes] = 1;
    cairn_put_u32(bytes + size - 4, cairn_crc32c(0, bytes, size - 4));
    for (int accept = 0; accept < 2; accept++) {
        struct cairn_disk *copy = cairn_sim_disk_clone(vault.archive_disk);

        assert_int_equal(recover(&vault, copy, accept, &newest, &err), CAIRN_EVERSION);
        assert_non_null(strstr(err.text, "the archive has format version 1, which an earlier version of cairn made"));
        assert_int_equal(told, 0);
        cairn_disk_close(copy);
    }
    vault_done(&vault);
}

/* What is lost is named: the positions of the log and the times, or the version. */
static void losses_are_named(void **unused)
{
    static struct vault vault;
    static struct names names;
    struct cairn_err err;
    uint32_t newest;
    size_t chunk = 0;

    (void)unused;
    make_archive(&vault, PLAIN, 1);
    list_all(vault.archive_disk, &names);
    for (size_t i = 0; i < names.count; i++)
        if (strncmp(names.names[i], "log/", 4) == 0)
            chunk = i; /* the newest */
    assert_true(chunk > 0);
    damage(vault.archive_disk, names.names[chunk], 0);
    assert_int_equal(recover(&vault, vault.archive_disk, false, &newest, &err), CAIRN_ECORRUPT);
    assert_non_null(strstr(err.text, "--accept-loss"));
    assert_non_null(strstr(last_told, "position"));
    assert_non_null(strstr(last_told, "2023-11-14T"));
    vault_done(&vault);
}

/* Not one that begins and ends at the same position. */
static bool holds_records(const char *name)
{
    const char *end = strchr(name, '-');

    return strncmp(name, "log/", 4) == 0 && end && strncmp(end + 1, end + 22, 20) != 0;
}

/* A node that is well goes on when its archive has lost something, says so, and a new machine can go on from there. */
static void a_node_makes_up_for_it(void **unused)
{
    static struct names names;
    unsigned warned = 0;

    (void)unused;
    for (int scenario = 0; scenario < 3; scenario++) {
        for (size_t i = 0;; i++) {
            static struct vault vault;
            struct rig *rig = &vault.rig, old;
            uint32_t archived;

            make_archive(&vault, scenario, (uint64_t)scenario + 1);
            cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP);
            list_all(vault.archive_disk, &names);
            if (i >= names.count) {
                vault_done(&vault);
                break;
            }
            damage(vault.archive_disk, names.names[i], 0);
            rig->options.on_warning = on_warning;
            told = 0;
            vault_must_open(rig, names.names[i]);
            warned += told > 0;
            if (holds_records(names.names[i]) || strncmp(names.names[i], "epochs/", 7) == 0)
                if (!told)
                    fail_msg("scenario %d: '%s' was lost, and nobody was told", scenario, names.names[i]);
            vault_load_timed(&vault, 20);
            if (strncmp(names.names[i], "runs/", 5) != 0) { /* those of old versions are not looked for */
                if (cairn_store_version_due(rig->store, 0))
                    vault_must_take(&vault);
                vault_load_timed(&vault, 20);
                rig_settle(rig);
                archived = vault_commits_archived(rig);
                told = 0;
                vault_must_move(&vault, 77, &old);
                vault_lose(&old);
                rig_verify(rig, archived, names.names[i]);
                assert_int_equal(told, 0);
            }
            vault_done(&vault);
        }
    }
    assert_true(warned > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_loss_is_told),
        cmocka_unit_test(an_earlier_archive_is_refused),
        cmocka_unit_test(losses_are_named),
        cmocka_unit_test(a_node_makes_up_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
