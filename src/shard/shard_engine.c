/* shard_engine.c - a shard's engine: which, where it lies, and how what it does in the background comes back.
 *
 * The engine's background tasks set has_work and wake the owner, which takes over what they did in its next step.
 * An engine with versions has one store for each shard, in a folder of its own.  A version that is a checkpoint says in
 * its metadata what it is a checkpoint of (docs/formats/checkpoint.md): u64 position from which the log continues it,
 * u64 time of the last commit in it. */
#include "shard/shard_internal.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    METADATA_BYTES = 16,
    SHARD_BYTES_LEAST = 256 << 10, /* of memory, what an engine asks for */
    OPEN_FILES = 1024,             /* of runs, all shards together; more are opened when they are asked */
    OPEN_FILES_LEAST = 4,
    RETRY_NS = 1000000000,
};

#define ENGINE_BYTES ((size_t)256 << 20)

static size_t at_least(size_t value, size_t least)
{
    return value > least ? value : least;
}

static void set_work(struct cairn_shard *shard)
{
    if (!atomic_exchange(&shard->has_work, true))
        atomic_fetch_add(&shard->store->working, 1);
}

static void on_work(void *context)
{
    struct cairn_shard *shard = context;

    set_work(shard);
    store_notify(shard->store, shard->index);
    store_wake_close(shard->store);
}

static enum cairn_code fetch_run(void *context, const struct run_about *about, struct cairn_err *err)
{
    struct cairn_shard *shard = context;
    struct cairn_tap *tap = shard->store->tap;

    return tap->ops->fetch_run(tap, shard, about, err);
}

/* The newest version is what the engine is at: it tells more than the manifest, or as much. */
static enum cairn_code read_position(struct cairn_shard *shard, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    const struct version *version = versions_current(shard->engine->versions->list(shard->engine));
    uint64_t position, wall_ms, named = store->manifest.shards[shard->index].number;

    if ((store->tap && store->tap->replaces) || (!version && !named)) /* the first: it goes to another one */
        return CAIRN_OK;
    if (!version || version->number < named || version->metadata.size != METADATA_BYTES)
        return cairn_fail(err, CAIRN_ECORRUPT,
                          "'%s' in '%s' is not at version %" PRIu64
                          " of it, which '%s' tells of; restore the data folder "
                          "from a backup",
                          shard->disk->root, store->options.disk->root, named, MANIFEST_PATH);
    position = cairn_get_u64(version->metadata.data);
    wall_ms = cairn_get_u64(version->metadata.data + 8);
    if (position > shard->from)
        shard->from = position;
    if (wall_ms > store->wall_ms)
        store->wall_ms = wall_ms;
    return CAIRN_OK;
}

enum cairn_code shard_engine_open(struct cairn_shard *shard, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    size_t bytes = store->options.engine_memory_bytes ? store->options.engine_memory_bytes : ENGINE_BYTES, engine;
    struct cairn_state_options options = {.memory_bytes = at_least(bytes / (store->count - 1), SHARD_BYTES_LEAST),
                                          .open_files_max =
                                              (unsigned)at_least(OPEN_FILES / (store->count - 1), OPEN_FILES_LEAST)};
    char path[CAIRN_PATH_BYTES];
    struct levels *levels;
    enum cairn_code code = choice_find(store->engine, &engine, err);

    if (code != CAIRN_OK)
        return code;
    if (strcmp(store->engine, "memory") == 0 || shard->index == store->count - 1) {
        shard->engine = cairn_memory_create();
        shard->saver = saver_for(shard->engine);
        return CAIRN_OK;
    }
    snprintf(path, sizeof path, SHARDS_DIR "/%04" PRIu32, shard->index);
    code = choice_make(engine, &options, false, &shard->choice, err);
    if (code == CAIRN_OK)
        code = cairn_disk_folder(store->options.disk, path, &shard->disk, err);
    if (code != CAIRN_OK)
        return code;
    shard->choice.hybridlog.keeps = true; /* objects read what they wrote long ago, again and again */
    choice_share(&shard->choice, &store->budget, on_work, shard);
    shard->choice.levels.on_work = on_work;
    shard->choice.levels.context = shard;
    if (store->tap) {
        shard->source = (struct version_source){fetch_run, shard};
        shard->choice.levels.source = &shard->source;
    }
    code = levels_open(shard->disk, store->options.tasks, &shard->choice.levels, 0, &levels, err);
    if (code != CAIRN_OK)
        return code;
    shard->engine = cairn_levels_engine_create(levels);
    shard->saver = saver_for(shard->engine);
    code = read_position(shard, err);
    if (code == CAIRN_OK && store->tap)
        store->tap->ops->shard_opened(store->tap, shard);
    return code;
}

void shard_engine_close(struct cairn_shard *shard)
{
    if (shard->engine)
        shard->engine->ops->close(shard->engine);
    if (shard->disk)
        cairn_disk_close(shard->disk);
}

void shard_engine_work(struct cairn_shard *shard)
{
    struct cairn_store *store = shard->store;
    bool retry;

    if (!atomic_load_explicit(&shard->has_work, memory_order_relaxed) || !atomic_exchange(&shard->has_work, false))
        return;
    atomic_fetch_sub(&store->working, 1);
    retry = shard->retry_ns && store->options.clock->monotonic_ns(store->options.clock) >= shard->retry_ns;
    if (shard->engine->ops->work(shard->engine, retry, NULL) == CAIRN_OK) {
        shard->retry_ns = 0;
        return;
    }
    if (!shard->retry_ns || retry)
        shard->retry_ns = store->options.clock->monotonic_ns(store->options.clock) + RETRY_NS;
    set_work(shard); /* until it is well */
}

enum cairn_code shard_version_begin(struct cairn_shard *shard, bool automatic, bool hold, struct cairn_err *err)
{
    uint8_t metadata[METADATA_BYTES];
    struct cairn_version_options options = {
        .time_ms = shard->store->options.clock->wall_ms(shard->store->options.clock),
        .metadata = cairn_bytes(metadata, sizeof metadata),
        .automatic = automatic,
        .hold = hold,
    };

    cairn_put_u64(metadata, shard_position(shard));
    cairn_put_u64(metadata + 8, atomic_load_explicit(&shard->wall_ms, memory_order_relaxed));
    return shard->engine->versions->begin(shard->engine, &options, err);
}
