/* tap.c - what may be asked of a store by what stands behind its tap. */
#include "shard/shard_internal.h"

struct cairn_tap *store_tap(const struct cairn_store *store)
{
    return store->tap;
}

const struct cairn_store_options *store_options(const struct cairn_store *store)
{
    return &store->options;
}

uint32_t store_count(const struct cairn_store *store)
{
    return store->count;
}

struct cairn_log *store_log(const struct cairn_store *store)
{
    return store->streams ? store->streams[0].log : NULL;
}

uint64_t store_log_end(const struct cairn_store *store)
{
    return store->streams[0].log->ops->end(store->streams[0].log);
}

uint64_t store_checkpoints(struct cairn_store *store)
{
    uint64_t checkpoints;

    pthread_mutex_lock(&store->lock);
    checkpoints = store->checkpoints;
    pthread_mutex_unlock(&store->lock);
    return checkpoints;
}

struct cairn_store *shard_store(const struct cairn_shard *shard)
{
    return shard->store;
}

struct cairn_engine *shard_engine(const struct cairn_shard *shard)
{
    return shard->engine;
}

struct cairn_disk *shard_disk(const struct cairn_shard *shard)
{
    return shard->disk;
}

uint64_t shard_position(const struct cairn_shard *shard)
{
    return shard->applied_end > shard->from ? shard->applied_end : shard->from;
}

uint64_t shard_wall_ms(const struct cairn_shard *shard)
{
    return atomic_load_explicit(&shard->wall_ms, memory_order_relaxed);
}

bool shard_has_versions(const struct cairn_shard *shard)
{
    return shard->engine->versions != NULL;
}

bool store_has_versions(const struct cairn_store *store)
{
    return shard_has_versions(&store->shards[0]);
}

void store_raise_wall_ms(struct cairn_store *store, uint64_t wall_ms)
{
    if (wall_ms > store->wall_ms)
        store->wall_ms = wall_ms;
}
