/* Catches: a flipped bit in the format file, the manifest or a checkpoint that is served or not named;
 * another program's format taken for damage, or damage for another format; a folder opened twice
 * or with another number of shards; idle shards that pin the log; a checkpoint named before the
 * log is durable, or after it failed; writers that are never or always told to wait; leftovers
 * that stay; commits that do not come back as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "shard/rig.h"

static void must_open(struct rig *rig)
{
    struct cairn_err err;

    if (rig_open(rig, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
}

static void must_close(struct rig *rig, bool checkpoint)
{
    struct cairn_err err;

    if (cairn_store_close(rig->store, checkpoint, &err) != CAIRN_OK)
        fail_msg("%s", err.text);
    rig->store = NULL;
    rig->durable = rig->commits;
    cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP); /* gives the lock back */
}

static void load(struct rig *rig, int commits, int shard)
{
    for (int i = 0; i < commits; i++) {
        assert_true(rig_commit(rig, shard));
        rig_pump(rig);
    }
}

/* A closed folder with a checkpoint of every shard. */
static void make_folder(struct rig *rig)
{
    rig_init(rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    must_open(rig);
    load(rig, 60, -1);
    must_close(rig, true);
}

static void state_comes_back(void **state)
{
    static struct rig rig;

    (void)state;
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 2);
        for (int life = 0; life < 4; life++) {
            must_open(&rig);
            rig_verify(&rig, rig.commits, "state comes back");
            load(&rig, 50 + 200 * (life % 2), -1);
            must_close(&rig, checkpoint);
        }
        rig_done(&rig);
    }
}

static void large_and_empty_commits(void **state)
{
    static struct rig rig;
    struct cairn_write writes[3] = {0};
    struct cairn_log *log;
    struct cairn_view *view;
    struct cairn_err err;
    struct cairn_bytes value;
    uint8_t *bytes = cairn_alloc(3 << 20);
    uint64_t end;

    (void)state;
    memset(bytes, 'v', 3 << 20);
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 2);
    rig.wal.options.segment_bytes = 16 << 20;
    rig.options.log_bytes_max = 64 << 20;
    must_open(&rig);
    log = cairn_shard_log(cairn_store_shard(rig.store, 0));
    writes[0].key = cairn_str("long");
    writes[0].value = cairn_bytes(bytes, 3 << 20);
    writes[1].key = cairn_str("empty");
    writes[2].key = cairn_str("long, too");
    writes[2].value = cairn_bytes(bytes, 1 << 20);
    for (int i = 0; i < 3; i++)
        writes[i].hash = cairn_hash(writes[i].key);
    assert_int_equal(log->ops->claim(log, cairn_shard_record_bytes(cairn_str("n"), writes, 3), 1, &err), CAIRN_OK);
    assert_int_equal(cairn_shard_commit(cairn_store_shard(rig.store, 0), 5, cairn_str("n"), writes, 3, &end, &err),
                     CAIRN_OK);
    assert_int_equal(log->ops->claim(log, cairn_shard_record_bytes(cairn_str(""), NULL, 0), 1, &err), CAIRN_OK);
    assert_int_equal(
        cairn_shard_commit(cairn_store_shard(rig.store, 1), 1234567890123456, cairn_str(""), NULL, 0, &end, &err),
        CAIRN_OK);
    free(bytes);
    for (int life = 0; life < 2; life++) { /* from the log, then from the checkpoint */
        must_close(&rig, life == 1);
        must_open(&rig);
        view = cairn_shard_view(cairn_store_shard(rig.store, 0));
        assert_true(view->ops->get(view, writes[0].key, writes[0].hash, &value));
        assert_int_equal(value.size, 3 << 20);
        assert_int_equal(value.data[value.size - 1], 'v');
        assert_true(view->ops->get(view, writes[1].key, writes[1].hash, &value));
        assert_int_equal(value.size, 0);
        assert_true(view->ops->get(view, writes[2].key, writes[2].hash, &value));
        assert_int_equal(value.size, 1 << 20);
        assert_true(cairn_store_wall_ms(rig.store) >= 1234567890123456);
    }
    rig_done(&rig);
}

/* The record is never longer than what is claimed for it. */
static void record_bytes_is_a_bound(void **state)
{
    static struct rig rig;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 2);
    must_open(&rig);
    for (size_t size = 0; size < 3000; size += 97) {
        struct cairn_log *log = cairn_shard_log(cairn_store_shard(rig.store, 0));
        struct cairn_write write = {.key = cairn_str("key"), .hash = cairn_hash(cairn_str("key"))};
        uint8_t value[3000] = {0};
        struct cairn_log_stats before, after;
        struct cairn_err err;
        uint64_t end;
        size_t bound;

        write.value = cairn_bytes(value, size);
        bound = cairn_shard_record_bytes(cairn_str("note"), &write, 1);
        log->ops->stats(log, &before);
        while (log->ops->claim(log, bound, 1, &err) != CAIRN_OK)
            log->ops->step(log);
        assert_int_equal(
            cairn_shard_commit(cairn_store_shard(rig.store, 3), UINT64_MAX, cairn_str("note"), &write, 1, &end, &err),
            CAIRN_OK);
        log->ops->stats(log, &after);
        assert_in_range(after.bytes - before.bytes, size + 4, bound + 64);
        log->ops->step(log);
    }
    rig_done(&rig);
}

/* --- damage ---------------------------------------------------------------------------------- */

enum { PATHS_MAX = 64 };

struct paths {
    const char *dir, *suffix;
    size_t count;
    char paths[PATHS_MAX][CAIRN_PATH_BYTES];
};

static void add_path(void *context, const char *name)
{
    struct paths *paths = context;
    size_t size = strlen(name), suffix = strlen(paths->suffix);

    if (size < suffix || strcmp(name + size - suffix, paths->suffix) != 0)
        return;
    assert_true(paths->count < PATHS_MAX);
    assert_true(snprintf(paths->paths[paths->count++], CAIRN_PATH_BYTES, "%s/%s", paths->dir, name) > 0);
}

/* The files of a folder whose names end so; static memory. */
static struct paths *find(struct rig *rig, const char *dir, const char *suffix)
{
    static struct paths paths;
    struct cairn_err err;

    paths.dir = dir;
    paths.suffix = suffix;
    paths.count = 0;
    assert_int_equal(rig->disk->ops->list(rig->disk, dir, add_path, &paths, &err), CAIRN_OK);
    return &paths;
}

static void rm(struct rig *rig, const char *path)
{
    struct cairn_err err;

    assert_int_equal(rig->disk->ops->remove(rig->disk, path, &err), CAIRN_OK);
}

static void append(struct rig *rig, const char *path, const char *text)
{
    struct cairn_buf bytes = {0};
    struct cairn_err err;

    assert_int_equal(cairn_disk_read_file(rig->disk, path, 1 << 20, &bytes, &err), CAIRN_OK);
    cairn_buf_str(&bytes, text);
    assert_int_equal(cairn_disk_replace_file(rig->disk, path, cairn_buf_bytes(&bytes), &err), CAIRN_OK);
    cairn_buf_done(&bytes);
}

static void cut(struct rig *rig, const char *path, size_t bytes)
{
    struct cairn_buf copy = {0};
    struct cairn_err err;

    assert_int_equal(cairn_disk_read_file(rig->disk, path, 1 << 20, &copy, &err), CAIRN_OK);
    assert_int_equal(cairn_disk_replace_file(rig->disk, path, cairn_bytes(copy.data, copy.size - bytes), &err),
                     CAIRN_OK);
    cairn_buf_done(&copy);
}

/* Another rig on a copy of the disk. */
static void copy_rig(struct rig *copy, const struct rig *rig)
{
    *copy = *rig;
    copy->disk = copy->options.disk = cairn_sim_disk_clone(rig->disk);
    copy->tasks = copy->options.tasks = cairn_tasks_create(0);
    copy->options.clock = &copy->clock.clock;
    copy->options.context = copy;
}

static void flip_every_byte(struct rig *rig, const char *path)
{
    size_t size;
    uint8_t *bytes = cairn_sim_disk_bytes(rig->disk, path, &size);

    assert_non_null(bytes);
    for (size_t at = 0; at < size; at++) {
        uint8_t bit = (uint8_t)(1u << (at % 8));
        struct cairn_err err;
        enum cairn_code code;

        bytes[at] ^= bit;
        code = rig_open(rig, &err);
        if (code != CAIRN_ECORRUPT)
            fail_msg("byte %zu of '%s' flipped: %s", at, path, code == CAIRN_OK ? "not found" : err.text);
        if (!strstr(err.text, path) || !strstr(err.text, "byte ") || !strstr(err.text, "backup"))
            fail_msg("byte %zu of '%s' flipped: the text is '%s'", at, path, err.text);
        bytes[at] ^= bit;
        cairn_sim_disk_crash(rig->disk, CAIRN_SIM_KEEP); /* gives the lock back */
    }
}

static void every_flipped_bit_is_found(void **state)
{
    static struct rig rig;
    struct paths *files;

    (void)state;
    make_folder(&rig);
    flip_every_byte(&rig, "FORMAT");
    flip_every_byte(&rig, "checkpoints/MANIFEST");
    files = find(&rig, "checkpoints", ".ckpt");
    assert_int_equal(files->count, RIG_SHARDS + 1);
    for (size_t i = 0; i < files->count; i++)
        flip_every_byte(&rig, files->paths[i]);
    must_open(&rig); /* nothing was changed by the attempts */
    rig_verify(&rig, rig.commits, "after all flips");
    rig_done(&rig);
}

static void missing_and_foreign_files_are_found(void **state)
{
    static struct rig base, rig;
    char first[CAIRN_PATH_BYTES], second[CAIRN_PATH_BYTES];
    struct paths *files;

    (void)state;
    make_folder(&base);
    files = find(&base, "checkpoints", ".ckpt");
    strcpy(first, files->paths[0]);
    strcpy(second, files->paths[1]);
    for (int what = 0; what < 11; what++) {
        const char *named = first;
        struct cairn_err err;

        copy_rig(&rig, &base);
        switch (what) {
        case 0:
            rm(&rig, first);
            break;
        case 1:
            append(&rig, first, "x");
            break;
        case 2:
            cut(&rig, first, 1);
            break;
        case 3:
            append(&rig, named = "checkpoints/MANIFEST", "x");
            break;
        case 4:
            cut(&rig, named = "checkpoints/MANIFEST", 1);
            break;
        case 5:
            rm(&rig, named = "checkpoints/MANIFEST");
            break;
        case 6:
            append(&rig, named = "FORMAT", "x");
            break;
        case 7:
            cut(&rig, named = "FORMAT", 1);
            break;
        case 8:
            rm(&rig, named = "FORMAT");
            break;
        case 9: /* whole, but another shard's */
            rm(&rig, first);
            assert_int_equal(rig.disk->ops->rename(rig.disk, second, first, &err), CAIRN_OK);
            break;
        case 10:
            named = "log";
            files = find(&rig, "log", "");
            for (size_t i = 0; i < files->count; i++)
                rm(&rig, files->paths[i]);
            break;
        }
        if (rig_open(&rig, &err) != CAIRN_ECORRUPT || !strstr(err.text, named))
            fail_msg("case %d: %s", what, rig.store ? "opened" : err.text);
        rig_done(&rig);
    }
    rig_done(&base);
}

/* --- formats --------------------------------------------------------------------------------- */

/* Changes a byte and makes the checksum at `sum` over what is before it right again. */
static void rewrite(struct rig *rig, const char *path, size_t at, uint8_t byte, size_t sum)
{
    size_t size;
    uint8_t *bytes = cairn_sim_disk_bytes(rig->disk, path, &size);

    assert_non_null(bytes);
    bytes[at] = byte;
    cairn_put_u32(bytes + sum, cairn_crc32c(0, bytes, sum));
}

static void other_versions_are_refused(void **state)
{
    static struct rig base, rig;
    struct cairn_buf format = {0};
    struct cairn_err err;
    size_t size;

    (void)state;
    make_folder(&base);
    copy_rig(&rig, &base);
    cairn_sim_disk_bytes(rig.disk, "checkpoints/MANIFEST", &size);
    rewrite(&rig, "checkpoints/MANIFEST", 8, 2, size - 4);
    assert_int_equal(rig_open(&rig, &err), CAIRN_EVERSION);
    rig_done(&rig);

    copy_rig(&rig, &base);
    rewrite(&rig, find(&rig, "checkpoints", ".ckpt")->paths[2], 8, 2, 36);
    assert_int_equal(rig_open(&rig, &err), CAIRN_EVERSION);
    assert_non_null(strstr(err.text, "version 2"));
    rig_done(&rig);

    copy_rig(&rig, &base);
    cairn_buf_str(&format, "cairn data folder\nversion 7\nsomething new\n");
    cairn_buf_printf(&format, "crc32c %08x\n", cairn_crc32c(0, format.data, format.size));
    assert_int_equal(cairn_disk_replace_file(rig.disk, "FORMAT", cairn_buf_bytes(&format), &err), CAIRN_OK);
    assert_int_equal(rig_open(&rig, &err), CAIRN_EVERSION);
    assert_non_null(strstr(err.text, "version 7"));
    cairn_buf_done(&format);
    rig_done(&rig);
    rig_done(&base);
}

/* What was made before objects were placed by slots, with the engine `memory` and with another; and what is none. */
static void earlier_versions_are_refused(void **state)
{
    static const struct {
        const char *text, *says;
        enum cairn_code code;
    } files[] = {
        {"version 1\nshards 3\n", "an earlier version of cairn made the data folder", CAIRN_EVERSION},
        {"version 2\nshards 3\nengine lsm\n", "an earlier version of cairn made the data folder", CAIRN_EVERSION},
        {"version 3\nshards 3\nslots odd\nengine memory\n", "make no sense", CAIRN_ECORRUPT},
        {"version 3\nshards 3\nengine memory\n", "make no sense", CAIRN_ECORRUPT},
        {"version 3\nshards 3\nslots even\n", "make no sense", CAIRN_ECORRUPT},
        {"version 3\nshards 0\nslots even\nengine memory\n", "make no sense", CAIRN_ECORRUPT},
    };
    static struct rig base, rig;

    (void)state;
    make_folder(&base);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct cairn_buf format = {0};
        struct cairn_err err;

        copy_rig(&rig, &base);
        cairn_buf_printf(&format, "cairn data folder\n%s", files[i].text);
        cairn_buf_printf(&format, "crc32c %08x\n", cairn_crc32c(0, format.data, format.size));
        assert_int_equal(cairn_disk_replace_file(rig.disk, "FORMAT", cairn_buf_bytes(&format), &err), CAIRN_OK);
        if (rig_open(&rig, &err) != files[i].code || !strstr(err.text, files[i].says))
            fail_msg("%s: %s", files[i].text, rig.store ? "opened" : err.text);
        assert_true(files[i].code != CAIRN_EVERSION || strstr(err.text, "cairn import --data NEW FILE"));
        cairn_buf_done(&format);
        rig_done(&rig);
    }
    rig_done(&base);
}

static void another_number_of_shards_is_refused(void **state)
{
    static struct rig rig;
    struct cairn_err err;

    (void)state;
    make_folder(&rig);
    rig.options.shards = 4;
    assert_int_equal(rig_open(&rig, &err), CAIRN_EINVAL);
    assert_non_null(strstr(err.text, "3 shards, not 4"));
    cairn_sim_disk_crash(rig.disk, CAIRN_SIM_KEEP);
    rig.options.shards = 5000;
    assert_int_equal(rig_open(&rig, &err), CAIRN_EINVAL);
    rig.options.shards = 0; /* the folder's own */
    must_open(&rig);
    assert_int_equal(cairn_store_shards(rig.store), RIG_SHARDS);
    rig_done(&rig);
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    rig.options.shards = 0; /* the default */
    must_open(&rig);
    assert_int_equal(cairn_store_shards(rig.store), 16);
    rig_done(&rig);
}

static void a_second_node_is_refused(void **state)
{
    static struct rig rig;
    struct cairn_store *second = NULL;
    struct cairn_err err;

    (void)state;
    make_folder(&rig);
    must_open(&rig);
    assert_int_equal(cairn_store_open(&rig.options, &second, &err), CAIRN_ELOCKED);
    assert_null(second);
    load(&rig, 10, -1); /* the first is unharmed */
    rig_done(&rig);
}

/* --- checkpoints ----------------------------------------------------------------------------- */

static uint64_t log_bytes(struct rig *rig)
{
    struct cairn_store_stats stats;

    cairn_store_stats(rig->store, &stats);
    return stats.log.retained_bytes;
}

static void idle_shards_do_not_pin_the_log(void **state)
{
    static struct rig rig;
    struct cairn_store_stats stats;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    must_open(&rig);
    load(&rig, 30, -1); /* every shard has something */
    for (int i = 0; i < 12; i++) {
        load(&rig, 100, 1);
        rig_settle(&rig);
        assert_in_range(log_bytes(&rig), 0, 3 * rig.options.log_bytes_max);
    }
    cairn_store_stats(rig.store, &stats);
    assert_true(stats.checkpoints > 8);
    assert_true(stats.log.end > 8 * rig.options.log_bytes_max); /* there was much more log than that */
    assert_true(rig.notified > 0);
    must_close(&rig, false);
    must_open(&rig);
    rig_verify(&rig, rig.commits, "idle shards");
    rig_done(&rig);
}

static uint64_t manifest_sequence(struct rig *rig)
{
    struct cairn_buf bytes = {0};
    struct cairn_err err;
    uint64_t sequence;

    assert_int_equal(cairn_disk_read_file(rig->disk, "checkpoints/MANIFEST", 1 << 20, &bytes, &err), CAIRN_OK);
    sequence = cairn_get_u64(bytes.data + 16);
    cairn_buf_done(&bytes);
    return sequence;
}

/* Everything but the log's own steps. */
static void work_without_log(struct rig *rig)
{
    for (int i = 0; i < 1000; i++) {
        cairn_tasks_step(rig->tasks);
        for (uint32_t shard = 0; shard <= RIG_SHARDS; shard++)
            cairn_shard_step(cairn_store_shard(rig->store, shard), 1000000);
    }
}

static void nothing_is_named_before_the_log_is_durable(void **state)
{
    static struct rig rig;
    struct cairn_log *log;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_NONE, 1);
    must_open(&rig);
    log = cairn_shard_log(cairn_store_shard(rig.store, 0));
    while (!cairn_store_checkpoint_due(rig.store))
        assert_true(rig_commit(&rig, 0)); /* steps the log only when a claim needs it */
    assert_true(rig_commit(&rig, 0));
    assert_true(log->ops->durable(log) < log->ops->end(log));
    work_without_log(&rig);
    assert_int_equal(manifest_sequence(&rig), 0);
    assert_int_equal(find(&rig, "checkpoints", ".ckpt")->count, 1); /* written, and not named */
    rig_crash(&rig, CAIRN_SIM_DROP);
    must_open(&rig);
    rig_verify(&rig, 0, "the file was not named");
    assert_int_equal(find(&rig, "checkpoints", ".ckpt")->count, 0); /* and is swept away */

    log = cairn_shard_log(cairn_store_shard(rig.store, 0));
    while (!cairn_store_checkpoint_due(rig.store))
        assert_true(rig_commit(&rig, 0));
    work_without_log(&rig);
    while (log->ops->step(log)) /* the checkpoint has asked for durability, although no commit does */
        ;
    work_without_log(&rig);
    assert_int_equal(manifest_sequence(&rig), 1);
    rig_crash(&rig, CAIRN_SIM_DROP);
    must_open(&rig);
    rig_verify(&rig, 1, "the file was named");
    rig_done(&rig);
}

static void nothing_is_named_after_the_log_failed(void **state)
{
    static struct rig rig;
    struct cairn_store_stats stats;
    struct cairn_log *log;
    struct cairn_err err;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    must_open(&rig);
    log = cairn_shard_log(cairn_store_shard(rig.store, 0));
    while (!cairn_store_checkpoint_due(rig.store))
        assert_true(rig_commit(&rig, 0));
    assert_true(rig_commit(&rig, 0));
    work_without_log(&rig);
    cairn_sim_disk_fail_call(rig.disk, 0, CAIRN_EIO);
    while (!rig.log_failed)
        assert_true(log->ops->step(log));
    work_without_log(&rig);
    log->ops->step(log);
    assert_int_equal(manifest_sequence(&rig), 0);
    assert_false(cairn_store_checkpoint_due(rig.store));
    assert_false(rig_writers_wait(cairn_store_shard(rig.store, 0)));
    assert_false(rig_commit(&rig, 0));
    cairn_store_stats(rig.store, &stats);
    assert_int_equal(stats.checkpoint_failures, 1);
    assert_int_equal(find(&rig, "checkpoints", ".ckpt")->count, 0);
    assert_int_not_equal(cairn_store_close(rig.store, true, &err), CAIRN_OK);
    rig.store = NULL;
    assert_int_equal(manifest_sequence(&rig), 0);
    rig_crash(&rig, CAIRN_SIM_DROP);
    must_open(&rig);
    rig_verify(&rig, rig.durable, "after the log failed");
    rig_done(&rig);
}

static void a_full_disk_fails_checkpoints_only(void **state)
{
    static struct rig rig;
    struct cairn_store_stats stats;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    rig.wal.options.segments_ahead = 8;
    rig.options.log_bytes_max = 16 << 10;
    must_open(&rig);
    rig_settle(&rig);
    cairn_sim_disk_set_room(rig.disk, 100);
    while (!cairn_store_checkpoint_due(rig.store))
        assert_true(rig_commit(&rig, 0));
    rig_settle(&rig);
    cairn_store_stats(rig.store, &stats);
    assert_int_equal(stats.checkpoints, 0);
    assert_int_equal(stats.checkpoint_failures, 1);
    assert_non_null(strstr(stats.checkpoint_error, "checkpoints/"));
    assert_int_equal(find(&rig, "checkpoints", ".ckpt")->count, 0); /* what it took is given back */
    assert_false(rig.log_failed);
    assert_true(rig_commit(&rig, 1));
    for (int i = 2; i <= 4; i++) { /* tried again, less and less often, and failing */
        cairn_sim_clock_advance(&rig.clock, 33000000000);
        rig_settle(&rig);
        rig_settle(&rig);
        cairn_store_stats(rig.store, &stats);
        assert_int_equal(stats.checkpoint_failures, i);
    }
    cairn_sim_disk_set_room(rig.disk, SIZE_MAX);
    cairn_sim_clock_advance(&rig.clock, 33000000000);
    rig_settle(&rig);
    cairn_store_stats(rig.store, &stats);
    assert_true(stats.checkpoints > 0);
    assert_string_equal(stats.checkpoint_error, "");
    rig_crash(&rig, CAIRN_SIM_DROP);
    must_open(&rig);
    rig_verify(&rig, rig.durable, "after the disk was full");
    rig_done(&rig);
}

/* Leftovers of a crash go; what others put there does not. */
static void leftovers_are_swept(void **state)
{
    static struct rig rig;
    struct cairn_err err;

    (void)state;
    make_folder(&rig);
    assert_int_equal(cairn_disk_replace_file(rig.disk, "checkpoints/00-99.ckpt", cairn_str("left"), &err), CAIRN_OK);
    assert_int_equal(cairn_disk_replace_file(rig.disk, "checkpoints/77-1.ckpt", cairn_str("left"), &err), CAIRN_OK);
    assert_int_equal(cairn_disk_replace_file(rig.disk, "checkpoints/0-1.ckpt.txt", cairn_str("mine"), &err), CAIRN_OK);
    assert_int_equal(cairn_disk_replace_file(rig.disk, "checkpoints/000-1.ckpt", cairn_str("mine"), &err), CAIRN_OK);
    must_open(&rig);
    assert_int_equal(find(&rig, "checkpoints", ".ckpt")->count, RIG_SHARDS + 1 + 1);
    assert_int_equal(find(&rig, "checkpoints", ".txt")->count, 1);
    rig_verify(&rig, rig.commits, "swept");
    rig_done(&rig);
}

/* While the file is written slowly, old images of what changes pile up: then writers wait. */
static void writers_wait_for_snapshot_memory(void **state)
{
    enum { KEYS = 400, BYTES = 60000 };
    static struct rig rig;
    static uint8_t value[BYTES];
    struct cairn_shard *shard;
    struct cairn_log *log;
    bool waited = false;
    uint64_t end = 0;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    rig.wal.options.segment_bytes = 1 << 20;
    rig.options.log_bytes_max = 40 << 20;
    must_open(&rig);
    shard = cairn_store_shard(rig.store, 0);
    log = cairn_shard_log(cairn_store_shard(rig.store, 0));
    for (uint32_t i = 0; i < 2 * KEYS && !waited; i++) {
        uint32_t number = i % KEYS;
        struct cairn_bytes key = cairn_bytes(&number, sizeof number);
        struct cairn_write write = {.key = key, .hash = cairn_hash(key), .value = cairn_bytes(value, BYTES)};
        struct cairn_err err;

        while (log->ops->claim(log, cairn_shard_record_bytes(cairn_str(""), &write, 1), 1, &err) != CAIRN_OK)
            log->ops->step(log);
        assert_int_equal(cairn_shard_commit(shard, 1, cairn_str(""), &write, 1, &end, &err), CAIRN_OK);
        log->ops->want(log, end);
        log->ops->step(log);
        cairn_shard_step(shard, 100000); /* and the task never runs */
        waited = rig_writers_wait(shard);
        assert_false(rig_writers_wait(cairn_store_shard(rig.store, 1))); /* others need not */
    }
    assert_true(waited);
    assert_true(end < 41 << 20); /* it was memory, not the log's bound */
    for (int i = 0; i < 1000 && rig_writers_wait(shard); i++) {
        cairn_tasks_step(rig.tasks);
        cairn_shard_step(shard, 100000);
        log->ops->step(log);
    }
    assert_false(rig_writers_wait(shard));
    rig_done(&rig);
}

/* When checkpoints do not keep up, the log is bounded by writers that wait. */
static void writers_wait_for_the_log(void **state)
{
    static struct rig rig;
    uint64_t used;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    must_open(&rig);
    while (!rig_writers_wait(cairn_store_shard(rig.store, 0))) {
        assert_true(rig_commit(&rig, 0));
        cairn_shard_log(cairn_store_shard(rig.store, 0))->ops->step(cairn_shard_log(cairn_store_shard(rig.store, 0)));
    }
    used = cairn_shard_log(cairn_store_shard(rig.store, 0))->ops->end(cairn_shard_log(cairn_store_shard(rig.store, 0)));
    assert_in_range(used, rig.options.log_bytes_max, rig.options.log_bytes_max + 20000);
    rig_settle(&rig);
    assert_false(rig_writers_wait(cairn_store_shard(rig.store, 0)));
    rig_done(&rig);
}

/* Every opening leaves a gap in the positions; gaps are not log. */
static void gaps_do_not_make_checkpoints_due(void **state)
{
    static struct rig rig;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    for (int life = 0; life < 30; life++) {
        struct cairn_store_stats stats;
        must_open(&rig);
        assert_true(rig_commit(&rig, life % 4));
        assert_false(cairn_store_checkpoint_due(rig.store));
        assert_false(rig_writers_wait(cairn_store_shard(rig.store, (uint32_t)life % 4)));
        rig_settle(&rig);
        cairn_store_stats(rig.store, &stats);
        assert_int_equal(stats.checkpoints, 0);
        assert_in_range(stats.checkpoint_age_log_bytes, (uint64_t)(life + 1) * 150, (uint64_t)(life + 1) * 550);
        if (life == 29)
            assert_true(stats.log.end > 4 * rig.options.log_bytes_max);
        rig_crash(&rig, CAIRN_SIM_DROP);
    }
    must_open(&rig);
    rig_verify(&rig, rig.durable, "gaps");
    load(&rig, 50, -1); /* but what is written is */
    assert_true(cairn_store_checkpoint_due(rig.store));
    rig_done(&rig);
}

static void time_never_goes_back(void **state)
{
    static struct rig rig;
    uint64_t last = 0;

    (void)state;
    rig_init(&rig, cairn_sim_disk_create(1), CAIRN_SYNC_ALWAYS, 1);
    for (int life = 0; life < 6; life++) {
        must_open(&rig);
        assert_true(cairn_store_wall_ms(rig.store) >= last);
        load(&rig, 5, -1);
        last = rig.clock.clock.wall_ms(&rig.clock.clock);
        load(&rig, 300, 2); /* trims what those have said */
        last = rig.clock.clock.wall_ms(&rig.clock.clock) - 1;
        must_close(&rig, life % 2);
        rig.clock.now_ns -= 200000000; /* the machine's clock is set back */
    }
    rig_done(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(state_comes_back),
        cmocka_unit_test(large_and_empty_commits),
        cmocka_unit_test(record_bytes_is_a_bound),
        cmocka_unit_test(every_flipped_bit_is_found),
        cmocka_unit_test(missing_and_foreign_files_are_found),
        cmocka_unit_test(other_versions_are_refused),
        cmocka_unit_test(earlier_versions_are_refused),
        cmocka_unit_test(another_number_of_shards_is_refused),
        cmocka_unit_test(a_second_node_is_refused),
        cmocka_unit_test(idle_shards_do_not_pin_the_log),
        cmocka_unit_test(nothing_is_named_before_the_log_is_durable),
        cmocka_unit_test(nothing_is_named_after_the_log_failed),
        cmocka_unit_test(a_full_disk_fails_checkpoints_only),
        cmocka_unit_test(leftovers_are_swept),
        cmocka_unit_test(writers_wait_for_snapshot_memory),
        cmocka_unit_test(writers_wait_for_the_log),
        cmocka_unit_test(gaps_do_not_make_checkpoints_due),
        cmocka_unit_test(time_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
