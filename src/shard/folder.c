/* folder.c - a data folder's files but for its log, engines and versions: begun, recognized, swept
 * (docs/formats/folder.md). */
#include "shard/shard_internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "shard/previous.h"

static const char engine_memory[] = "memory";

/* --- a new folder ----------------------------------------------------------------------------- */

static void count_name(void *context, const char *name)
{
    size_t *count = context;

    (void)name;
    ++*count;
}

static void count_checkpoint(void *context, const char *name)
{
    size_t *count = context;
    uint64_t number;
    uint32_t shard;

    *count += checkpoint_name_parse(name, &shard, &number);
}

static enum cairn_code count_files(struct cairn_disk *disk, const char *dir,
                                   void (*each)(void *context, const char *name), size_t *ret_count,
                                   struct cairn_err *err)
{
    enum cairn_code code;

    *ret_count = 0;
    code = disk->ops->list(disk, dir, each, ret_count, err);
    return code == CAIRN_ENOTFOUND ? CAIRN_OK : code;
}

enum cairn_code store_make_folder(struct cairn_store *store, uint64_t position, uint64_t wall_ms, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    struct manifest manifest;
    enum cairn_code code = disk->ops->make_dir(disk, CHECKPOINT_DIR, err);

    if (code == CAIRN_OK)
        code = disk->ops->make_dir(disk, LOG_DIR, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    if (code != CAIRN_OK)
        return code;
    manifest_init(&manifest, store->count);
    for (uint32_t i = 0; position && i < manifest.count; i++)
        manifest.shards[i].position = position;
    manifest.wall_ms = wall_ms;
    code = manifest_write(disk, &manifest, err);
    manifest_done(&manifest);
    return code;
}

enum cairn_code store_write_format(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_buf text = {0};
    enum cairn_code code;

    format_encode(&text, store->count - 1, store->engine);
    code = cairn_disk_replace_file(store->options.disk, FORMAT_PATH, cairn_buf_bytes(&text), err);
    cairn_buf_done(&text);
    return code;
}

/* The format file goes last: a folder that was made only in part has none, and no state either. */
static enum cairn_code begin_folder(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    size_t log_files, checkpoint_files;
    enum cairn_code code;

    code = count_files(disk, LOG_DIR, count_name, &log_files, err);
    if (code == CAIRN_OK)
        code = count_files(disk, CHECKPOINT_DIR, count_checkpoint, &checkpoint_files, err);
    if (code == CAIRN_OK && log_files + checkpoint_files)
        code = cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' is missing although the folder has a log or checkpoints; restore it from a backup",
                          FORMAT_PATH);
    if (code != CAIRN_OK)
        return code;
    code = store_make_folder(store, 0, 0, err);
    return code == CAIRN_OK ? store_write_format(store, err) : code;
}

static void set_shards(struct cairn_store *store, uint32_t shards)
{
    store->count = shards + 1;
    cairn_slots_share(store->slots, shards);
}

enum cairn_code store_choose(struct cairn_store *store, const char *engine, uint32_t shards, struct cairn_err *err)
{
    size_t choice;
    enum cairn_code code = choice_find(engine, &choice, err);

    if (code != CAIRN_OK)
        return code;
    store->engine = choice < CHOICE_ENGINES ? choice_name(choice) : engine_memory;
    set_shards(store, shards);
    return CAIRN_OK;
}

/* A new one; or goes on filling it. */
static enum cairn_code new_folder(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_tap *tap = store->tap;
    bool filled = false;
    enum cairn_code code = tap ? tap->ops->fill(tap, &filled, err) : CAIRN_OK;

    if (code != CAIRN_OK || filled)
        return code;
    code = store_choose(store, store->options.engine ? store->options.engine : engine_memory,
                        store->options.shards ? store->options.shards : SHARDS_DEFAULT, err);
    if (code == CAIRN_OK && tap)
        code = tap->ops->check_engine(tap, err); /* before the folder has one for good */
    return code == CAIRN_OK ? begin_folder(store, err) : code;
}

/* That no import (fill.c) has begun the folder and did not come to its end. */
static enum cairn_code check_import(const struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    struct cairn_buf ignored = {0};
    enum cairn_code code = cairn_disk_read_file(disk, IMPORT_PATH, FORMAT_BYTES_MAX, &ignored, err);

    cairn_buf_done(&ignored);
    if (code == CAIRN_ENOTFOUND || (code == CAIRN_OK && store->options.filling))
        return CAIRN_OK;
    return code != CAIRN_OK ? code
                            : cairn_fail(err, CAIRN_EINVAL,
                                         "an import into '%s' did not come to its end, so that it is not whole: remove "
                                         "the folder and import again",
                                         disk->root);
}

static enum cairn_code fail_previous(const struct cairn_store *store, struct cairn_err *err)
{
    const char *root = store->options.disk->root;

    return cairn_fail(err, CAIRN_EVERSION,
                      "an earlier version of cairn made the data folder '%s': convert it with 'cairn export --data %s "
                      "FILE' and then 'cairn import --data NEW FILE'",
                      root, root);
}

enum cairn_code folder_open(struct cairn_store *store, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    struct cairn_buf text = {0};
    uint32_t shards = 0;
    enum cairn_code code = check_import(store, err);

    if (code != CAIRN_OK)
        return code;
    code = cairn_disk_read_file(disk, FORMAT_PATH, FORMAT_BYTES_MAX, &text, err);
    if (code == CAIRN_ENOTFOUND) {
        cairn_buf_done(&text);
        return new_folder(store, err);
    }
    if (code == CAIRN_ELIMIT)
        code =
            cairn_fail(err, CAIRN_ECORRUPT, "'%s' is damaged: it is too long; restore it from a backup", FORMAT_PATH);
    if (code == CAIRN_OK)
        code = format_decode(cairn_buf_bytes(&text), &shards, &store->engine, err);
    if (code == CAIRN_EVERSION && previous_format_decode(cairn_buf_bytes(&text), &shards, &store->engine))
        code = store->options.previous ? CAIRN_OK : fail_previous(store, err);
    cairn_buf_done(&text);
    if (code != CAIRN_OK)
        return code;
    if (store->options.shards && store->options.shards != shards)
        return cairn_fail(err, CAIRN_EINVAL,
                          "the data folder was made with %" PRIu32 " shards, not %" PRIu32
                          "; only an export and an import into a new folder change that",
                          shards, store->options.shards);
    if (store->options.engine && strcmp(store->options.engine, store->engine) != 0)
        return cairn_fail(err, CAIRN_EINVAL,
                          "the data folder was made with the engine '%s', not '%s'; only an export and an import into "
                          "a new folder change that",
                          store->engine, store->options.engine);
    set_shards(store, shards);
    return CAIRN_OK;
}

/* --- leftovers ------------------------------------------------------------------------------- */

static bool is_named(struct cairn_store *store, uint32_t shard, uint64_t number)
{
    bool named;

    pthread_mutex_lock(&store->lock);
    named = shard < store->count && (store->manifest.shards[shard].number == number ||
                                     (store->held && store->held->shards[shard].number == number));
    pthread_mutex_unlock(&store->lock);
    return named;
}

static void sweep_file(void *context, const char *name)
{
    struct cairn_store *store = context;
    char path[CAIRN_PATH_BYTES];
    uint64_t number;
    uint32_t shard;

    if (!checkpoint_name_parse(name, &shard, &number) || is_named(store, shard, number))
        return;
    checkpoint_path(shard, number, path);
    store->options.disk->ops->remove(store->options.disk, path, NULL);
}

void store_sweep(struct cairn_store *store)
{
    struct cairn_disk *disk = store->options.disk;

    disk->ops->list(disk, CHECKPOINT_DIR, sweep_file, store, NULL);
}

enum cairn_code folder_read_manifest(struct cairn_store *store, struct cairn_err *err)
{
    enum cairn_code code = manifest_read(store->options.disk, &store->manifest, err);

    if (code == CAIRN_ENOTFOUND)
        return cairn_fail(err, CAIRN_ECORRUPT, "'%s' is missing; restore the data folder from a backup", MANIFEST_PATH);
    if (code == CAIRN_OK && store->manifest.count != store->count)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' tells of %" PRIu32 " shards and '%s' of %" PRIu32
                          "; restore the data folder from a backup",
                          MANIFEST_PATH, store->manifest.count - 1, FORMAT_PATH, store->count - 1);
    if (code == CAIRN_OK)
        store->next_number = store->manifest.next_number;
    return code;
}
