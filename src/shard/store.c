/* store.c - a data folder: its lock, opening and closing (docs/formats/folder.md). */
#include "shard/previous.h"
#include "shard/shard_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char engine_memory[] = "memory";

#define LOG_BYTES_MAX_DEFAULT (256ull << 20)

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

enum cairn_code store_make_folder(struct cairn_store *store, const struct manifest *manifest, struct cairn_err *err)
{
    struct cairn_disk *disk = store->options.disk;
    enum cairn_code code = disk->ops->make_dir(disk, CHECKPOINT_DIR, err);

    if (code == CAIRN_OK)
        code = disk->ops->make_dir(disk, LOG_DIR, err);
    if (code == CAIRN_OK)
        code = disk->ops->sync_dir(disk, "", err);
    return code == CAIRN_OK ? manifest_write(disk, manifest, err) : code;
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
    struct manifest manifest;
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
    manifest_init(&manifest, store->count);
    code = store_make_folder(store, &manifest, err);
    manifest_done(&manifest);
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
    struct cairn_disk *disk = store->options.disk;
    struct cairn_buf ignored = {0};
    enum cairn_code code;

    if (store->options.recover)
        return archive_take_over(store, err);
    code = cairn_disk_read_file(disk, RECOVER_PATH, FORMAT_BYTES_MAX, &ignored, err);
    cairn_buf_done(&ignored);
    if (code != CAIRN_ENOTFOUND)
        return code == CAIRN_OK ? cairn_fail(err, CAIRN_EINVAL,
                                             "recovering this data folder was cut short: go on with --recover and "
                                             "the same --blob")
                                : code;
    code = store_choose(store, store->options.engine ? store->options.engine : engine_memory,
                        store->options.shards ? store->options.shards : SHARDS_DEFAULT, err);
    if (code == CAIRN_OK && store->options.archive)
        code = archive_check_engine(store, err); /* before the folder has one for good */
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

static enum cairn_code open_folder(struct cairn_store *store, struct cairn_err *err)
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
                                     (store->viewed && store->viewed->shards[shard].number == number));
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

uint64_t store_trim_position(const struct cairn_store *store)
{
    uint64_t first = manifest_first_position(&store->manifest), archived = atomic_load(&store->archive.archived);

    if (store->viewed && manifest_first_position(store->viewed) < first)
        first = manifest_first_position(store->viewed);
    return store->archive.blob && archived < first ? archived : first;
}

void store_sweep(struct cairn_store *store)
{
    struct cairn_disk *disk = store->options.disk;

    disk->ops->list(disk, CHECKPOINT_DIR, sweep_file, store, NULL);
}

/* --- the log's events ------------------------------------------------------------------------ */

void store_report(struct cairn_store *store, const char *stage, uint64_t done, uint64_t total)
{
    if (store->options.on_recovery)
        store->options.on_recovery(store->options.context, stage, done, total);
}

void store_warn(struct cairn_store *store, const char *text)
{
    if (store->options.on_warning)
        store->options.on_warning(store->options.context, text);
}

void store_notify(struct cairn_store *store, uint32_t shard)
{
    if (store->options.on_checkpoint_work)
        store->options.on_checkpoint_work(store->options.context, shard);
}

static void notify_turn(struct cairn_store *store)
{
    int32_t turn = atomic_load_explicit(&store->turn, memory_order_relaxed);

    if (turn != NO_TURN)
        store_notify(store, (uint32_t)turn);
}

void store_wake_close(struct cairn_store *store)
{
    if (!atomic_load(&store->closing))
        return;
    pthread_mutex_lock(&store->lock);
    store->wakes++;
    pthread_cond_broadcast(&store->changed);
    pthread_mutex_unlock(&store->lock);
}

static void on_progress(void *context, uint64_t acknowledged)
{
    struct cairn_store *store = context;

    if (store->log_events.on_progress)
        store->log_events.on_progress(store->log_events.context, acknowledged);
    if (atomic_load_explicit(&store->checkpoint.awaiting, memory_order_relaxed))
        notify_turn(store);
    store_wake_close(store);
}

static void on_failed(void *context, const struct cairn_err *why)
{
    struct cairn_store *store = context;

    atomic_store_explicit(&store->log_failed, true, memory_order_release);
    if (store->log_events.on_failed)
        store->log_events.on_failed(store->log_events.context, why);
    notify_turn(store);
    store_wake_close(store);
}

static void on_warning(void *context, const char *text)
{
    struct cairn_store *store = context;

    if (store->log_events.on_warning)
        store->log_events.on_warning(store->log_events.context, text);
    else if (store->options.on_warning)
        store->options.on_warning(store->options.context, text);
}

/* --- opening --------------------------------------------------------------------------------- */

static void store_free(struct cairn_store *store)
{
    for (uint32_t i = 0; store->shards && i < store->count; i++) {
        struct cairn_shard *shard = &store->shards[i];
        shard_engine_close(shard);
        cairn_buf_done(&shard->scratch);
        free(shard->parts);
    }
    free(store->shards);
    budget_done(&store->budget);
    archive_free(store);
    node_version_done(&store->order.version);
    node_versions_free(store);
    manifest_done(&store->manifest);
    pthread_mutex_destroy(&store->archive.files);
    pthread_mutex_destroy(&store->archive.lock);
    pthread_cond_destroy(&store->changed);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

static struct cairn_store *store_create(const struct cairn_store_options *options)
{
    struct cairn_store *store = cairn_alloc_zeroed(1, sizeof *store);

    store->options = *options;
    if (!store->options.log_bytes_max)
        store->options.log_bytes_max = LOG_BYTES_MAX_DEFAULT;
    store->due_bytes = store->options.log_bytes_max / 2;
    store->log_events = options->log.events;
    store->options.log.disk = options->disk;
    store->options.log.clock = options->clock;
    store->options.log.dir = LOG_DIR;
    store->options.log.events = (struct cairn_log_events){
        .on_progress = on_progress,
        .on_failed = on_failed,
        .on_warning = on_warning,
        .context = store,
    };
    pthread_mutex_init(&store->lock, NULL);
    budget_init(&store->budget, 0);
    pthread_mutex_init(&store->archive.lock, NULL);
    pthread_mutex_init(&store->archive.files, NULL);
    store->archive.store = store;
    store->archive.last = &store->archive.closed;
    cairn_cond_init(&store->changed);
    node_versions_init(store);
    return store;
}

static enum cairn_code read_manifest(struct cairn_store *store, struct cairn_err *err)
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

static enum cairn_code check_options(const struct cairn_store_options *options, size_t *ret_choice,
                                     struct cairn_err *err)
{
    if (options->shards > SHARDS_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "at most %d shards are possible", SHARDS_MAX);
    return choice_find(options->engine, ret_choice, err);
}

enum cairn_code store_open_locked(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                  struct cairn_err *ret_err)
{
    struct cairn_store *store;
    struct cairn_err err = {0};
    size_t choice;
    enum cairn_code code;

    code = check_options(options, &choice, ret_err);
    if (code != CAIRN_OK)
        return code;
    store = store_create(options);
    store->options.engine = choice < CHOICE_ENGINES ? choice_name(choice) : NULL;
    code = open_folder(store, &err);
    if (code == CAIRN_OK)
        code = read_manifest(store, &err);
    if (code != CAIRN_OK)
        goto fail;
    store->shards = cairn_alloc_zeroed(store->count, sizeof *store->shards);
    for (uint32_t i = 0; i < store->count; i++)
        store->shards[i] = (struct cairn_shard){
            .store = store, .index = i, .from = store->manifest.shards[i].position, .dirt = {CLEAN, CLEAN}};
    if (strcmp(store->engine, engine_memory) != 0) {
        code = store->options.disk->ops->make_dir(store->options.disk, SHARDS_DIR, &err);
        if (code == CAIRN_OK)
            code = store->options.disk->ops->sync_dir(store->options.disk, "", &err);
        if (code == CAIRN_OK)
            code = node_versions_load(store, &err);
        if (code == CAIRN_OK)
            code = restore_read_order(store, &err);
    }
    if (code == CAIRN_OK)
        code = archive_claim(store, &err);
    for (uint32_t i = 0; code == CAIRN_OK && i < store->count; i++)
        code = shard_engine_open(&store->shards[i], &err);
    if (code == CAIRN_OK)
        code = recover_checkpoints(store, &err);
    if (code == CAIRN_OK)
        code = recover_log(store, &err);
    if (code != CAIRN_OK)
        goto fail;
    checkpoint_init(store);
    checkpoint_update_oldest(store);
    store_sweep(store);
    *ret_store = store;
    return CAIRN_OK;
fail:
    if (store->log)
        store->log->ops->abandon(store->log);
    store_free(store);
    if (ret_err)
        *ret_err = err;
    return code;
}

enum cairn_code cairn_store_open(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                 struct cairn_err *err)
{
    size_t choice;
    enum cairn_code code = check_options(options, &choice, err);

    if (code == CAIRN_OK)
        code = options->disk->ops->lock(options->disk, err);
    return code == CAIRN_OK ? store_open_locked(options, ret_store, err) : code;
}

enum cairn_code cairn_store_start(struct cairn_store *store, struct cairn_err *err)
{
    enum cairn_code code = store->log->ops->start(store->log, err);

    if (code != CAIRN_OK)
        return code;
    store->started = true;
    /* The last process may have stopped between its manifest and its trimming. */
    store->log->ops->trim(store->log, store_trim_position(store));
    checkpoint_choose_turn(store, store->log->ops->end(store->log));
    return CAIRN_OK;
}

/* --- closing --------------------------------------------------------------------------------- */

enum cairn_code cairn_store_close(struct cairn_store *store, bool checkpoint, struct cairn_err *err)
{
    bool ignored;

    return cairn_store_close_told(store, checkpoint, &ignored, err);
}

enum cairn_code cairn_store_close_told(struct cairn_store *store, bool checkpoint, bool *ret_lost,
                                       struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK, log_code;
    struct cairn_err log_err = {0};

    *ret_lost = false;
    if (!store)
        return CAIRN_OK;
    node_versions_stop(store);
    if (checkpoint && store->started)
        code = checkpoint_all(store, err);
    if (code == CAIRN_OK && checkpoint && store->started)
        code = archive_finish(store, err);
    checkpoint_stop(store, false);
    archive_stop(store);
    *ret_lost = atomic_load_explicit(&store->log_failed, memory_order_acquire) || atomic_load(&store->archive.lost);
    log_code = store->log->ops->close(store->log, &log_err);
    *ret_lost |= log_code != CAIRN_OK;
    store_free(store);
    if (log_code == CAIRN_OK)
        return code;
    if (err)
        *err = log_err; /* the graver of the two */
    return log_code;
}

void cairn_store_abandon(struct cairn_store *store)
{
    if (!store)
        return;
    node_versions_stop(store);
    checkpoint_stop(store, true);
    archive_stop(store);
    store->log->ops->abandon(store->log);
    store_free(store);
}

/* --- asking ---------------------------------------------------------------------------------- */

uint32_t cairn_store_shards(const struct cairn_store *store)
{
    return store->count - 1;
}

const uint16_t *cairn_store_slots(const struct cairn_store *store)
{
    return store->slots;
}

const char *cairn_store_engine(const struct cairn_store *store)
{
    return store->engine;
}

struct cairn_shard *cairn_store_shard(struct cairn_store *store, uint32_t index)
{
    assert(index < store->count);
    return &store->shards[index];
}

struct cairn_log *cairn_store_log(struct cairn_store *store)
{
    return store->log;
}

struct cairn_disk *cairn_store_disk(struct cairn_store *store)
{
    return store->options.disk;
}

uint64_t cairn_store_wall_ms(const struct cairn_store *store)
{
    return store->wall_ms;
}

void cairn_store_stats(struct cairn_store *store, struct cairn_store_stats *ret_stats)
{
    uint64_t oldest;

    store->log->ops->stats(store->log, &ret_stats->log);
    pthread_mutex_lock(&store->lock);
    ret_stats->checkpoints = store->checkpoints;
    ret_stats->checkpoint_bytes = store->checkpoint_bytes;
    ret_stats->checkpoint_failures = store->checkpoint_failures;
    ret_stats->checkpoint_running = store->checkpoint.dirt_before.from != CLEAN;
    memcpy(ret_stats->checkpoint_error, store->checkpoint_error, sizeof ret_stats->checkpoint_error);
    oldest = atomic_load_explicit(&store->oldest, memory_order_relaxed);
    pthread_mutex_unlock(&store->lock);
    ret_stats->archive_pending_bytes = atomic_load(&store->archive.pending_bytes);
    ret_stats->archive_position = atomic_load(&store->archive.archived);
    ret_stats->archive_pending_versions = node_versions_pending(store);
    ret_stats->archive_lost = atomic_load(&store->archive.lost);
    pthread_mutex_lock(&store->archive.lock);
    ret_stats->archive_failures = store->archive.failures;
    snprintf(ret_stats->archive_error, sizeof ret_stats->archive_error, "%s",
             store->archive.log.pause_ns        ? store->archive.log.err.text
             : store->archive.versions.pause_ns ? store->archive.versions.err.text
                                                : "");
    pthread_mutex_unlock(&store->archive.lock);
    ret_stats->checkpoint_age_log_bytes = oldest < ret_stats->log.end ? ret_stats->log.end - oldest : 0;
}
