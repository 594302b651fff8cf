/* store.c - a data folder: its lock, opening and closing (docs/formats/folder.md). */
#include "shard/shard_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LOG_BYTES_MAX_DEFAULT (256ull << 20)

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
    free(store->streams);
    budget_done(&store->budget);
    if (store->tap)
        store->tap->ops->free(store->tap);
    manifest_done(&store->manifest);
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
    store->stepped = options->log->stepped;
    pthread_mutex_init(&store->lock, NULL);
    budget_init(&store->budget, 0);
    cairn_cond_init(&store->changed);
    if (options->tap)
        store->tap = options->tap(store);
    return store;
}

static enum cairn_code check_options(const struct cairn_store_options *options, size_t *ret_choice,
                                     struct cairn_err *err)
{
    if (options->shards > SHARDS_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "at most %d shards are possible", SHARDS_MAX);
    return choice_find(options->engine, ret_choice, err);
}

static void make_shards(struct cairn_store *store)
{
    store->stream_count = store->options.log->per_shard ? store->count : 1;
    store->streams = cairn_alloc_zeroed(store->stream_count, sizeof *store->streams);
    for (uint32_t i = 0; i < store->stream_count; i++)
        store->streams[i] = (struct stream){.store = store, .shard = i};
    store->shards = cairn_alloc_zeroed(store->count, sizeof *store->shards);
    for (uint32_t i = 0; i < store->count; i++)
        store->shards[i] = (struct cairn_shard){.store = store,
                                                .stream = &store->streams[store->stream_count > 1 ? i : 0],
                                                .index = i,
                                                .from = store->manifest.shards[i].position,
                                                .dirt = {CLEAN, CLEAN}};
}

static void abandon_logs(struct cairn_store *store)
{
    for (uint32_t i = 0; i < store->stream_count; i++)
        if (store->streams[i].log)
            store->streams[i].log->ops->abandon(store->streams[i].log);
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
    code = folder_open(store, &err);
    if (code == CAIRN_OK)
        code = folder_read_manifest(store, &err);
    if (code != CAIRN_OK)
        goto fail;
    make_shards(store);
    if (strcmp(store->engine, "memory") != 0) {
        code = store->options.disk->ops->make_dir(store->options.disk, SHARDS_DIR, &err);
        if (code == CAIRN_OK)
            code = store->options.disk->ops->sync_dir(store->options.disk, "", &err);
    }
    if (code == CAIRN_OK && store->tap)
        code = store->tap->ops->attach(store->tap, &err);
    for (uint32_t i = 0; code == CAIRN_OK && i < store->count; i++)
        code = shard_engine_open(&store->shards[i], &err);
    if (code == CAIRN_OK)
        code = recover_checkpoints(store, &err);
    if (code == CAIRN_OK)
        code = recover_log(store, &err);
    if (code != CAIRN_OK)
        goto fail;
    store_read_restores(store);
    checkpoint_init(store);
    store_sweep(store);
    store->options.log = NULL; /* was borrowed */
    *ret_store = store;
    return CAIRN_OK;
fail:
    abandon_logs(store);
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
    enum cairn_code code = CAIRN_OK;

    for (uint32_t i = 0; code == CAIRN_OK && i < store->stream_count; i++)
        code = store->streams[i].log->ops->start(store->streams[i].log, err);
    if (code != CAIRN_OK)
        return code;
    store->started = true;
    /* The last process may have stopped between its manifest and its trimming. */
    store_trim_logs(store);
    checkpoint_choose_turn(store);
    return CAIRN_OK;
}

/* --- closing --------------------------------------------------------------------------------- */

/* Another node has taken over what the tap writes to. */
static bool tap_is_lost(struct cairn_store *store)
{
    struct cairn_store_stats stats = {0};

    if (store->tap)
        store->tap->ops->stats(store->tap, &stats);
    return stats.archive_lost;
}

enum cairn_code cairn_store_close(struct cairn_store *store, bool checkpoint, struct cairn_err *err)
{
    bool ignored;

    return cairn_store_close_told(store, checkpoint, &ignored, err);
}

enum cairn_code cairn_store_close_told(struct cairn_store *store, bool checkpoint, bool *ret_lost,
                                       struct cairn_err *err)
{
    enum cairn_code code = CAIRN_OK, log_code = CAIRN_OK;
    struct cairn_err log_err = {0};

    *ret_lost = false;
    if (!store)
        return CAIRN_OK;
    if (store->tap)
        store->tap->ops->stop(store->tap);
    if (checkpoint && store->started)
        code = checkpoint_all(store, err);
    if (code == CAIRN_OK && checkpoint && store->started && store->tap)
        code = store->tap->ops->finish(store->tap, err);
    checkpoint_stop(store, false);
    if (store->tap)
        store->tap->ops->halt(store->tap);
    *ret_lost = store_log_failed(store) || tap_is_lost(store);
    for (uint32_t i = 0; i < store->stream_count; i++) {
        struct cairn_log *log = store->streams[i].log;
        enum cairn_code closed = log->ops->close(log, log_code == CAIRN_OK ? &log_err : NULL);

        log_code = log_code == CAIRN_OK ? closed : log_code;
    }
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
    if (store->tap)
        store->tap->ops->stop(store->tap);
    checkpoint_stop(store, true);
    if (store->tap)
        store->tap->ops->halt(store->tap);
    abandon_logs(store);
    store_free(store);
}

/* --- asking ---------------------------------------------------------------------------------- */

uint32_t cairn_store_shards(const struct cairn_store *store)
{
    return store->count - 1;
}

const char *cairn_store_engine(const struct cairn_store *store)
{
    return store->engine;
}

const uint16_t *cairn_store_slots(const struct cairn_store *store)
{
    return store->slots;
}

struct cairn_shard *cairn_store_shard(struct cairn_store *store, uint32_t index)
{
    assert(index < store->count);
    return &store->shards[index];
}

bool cairn_store_has_one_log(const struct cairn_store *store)
{
    return store->stream_count == 1;
}

struct cairn_disk *cairn_store_disk(struct cairn_store *store)
{
    return store->options.disk;
}

uint64_t cairn_store_wall_ms(const struct cairn_store *store)
{
    return store->wall_ms;
}

static void add_log_stats(const struct stream *stream, struct cairn_store_stats *to)
{
    struct cairn_log_stats more, *sum = &to->log;
    uint64_t oldest = atomic_load_explicit(&stream->oldest, memory_order_relaxed), age;

    stream->log->ops->stats(stream->log, &more);
    age = oldest < more.end ? more.end - oldest : 0;
    if (age > to->checkpoint_age_log_bytes)
        to->checkpoint_age_log_bytes = age;
    if (stream->shard == 0) {
        *sum = more;
        return;
    }
    sum->records += more.records;
    sum->bytes += more.bytes;
    sum->syncs += more.syncs;
    sum->sync_ns_total += more.sync_ns_total;
    if (more.sync_ns_max > sum->sync_ns_max)
        sum->sync_ns_max = more.sync_ns_max;
    sum->retained_bytes += more.retained_bytes;
    sum->pending_bytes += more.pending_bytes;
    sum->room_bytes += more.room_bytes;
    sum->full |= more.full;
    sum->failed |= more.failed;
}

void cairn_store_stats(struct cairn_store *store, struct cairn_store_stats *ret_stats)
{
    *ret_stats = (struct cairn_store_stats){0};
    for (uint32_t i = 0; i < store->stream_count; i++)
        add_log_stats(&store->streams[i], ret_stats);
    pthread_mutex_lock(&store->lock);
    ret_stats->checkpoints = store->checkpoints;
    ret_stats->checkpoint_bytes = store->checkpoint_bytes;
    ret_stats->checkpoint_failures = store->checkpoint_failures;
    ret_stats->checkpoint_running = store->checkpoint.dirt_before.from != CLEAN;
    memcpy(ret_stats->checkpoint_error, store->checkpoint_error, sizeof ret_stats->checkpoint_error);
    pthread_mutex_unlock(&store->lock);
    if (store->tap)
        store->tap->ops->stats(store->tap, ret_stats);
}
