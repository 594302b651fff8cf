/* hold.c - the checkpoints of one moment stay, with the logs from there on, while the store goes on; see tap.h. */
#include <stdlib.h>

#include "shard/shard_internal.h"

struct store_hold {
    struct cairn_store *store;
    struct manifest manifest;
};

enum cairn_code store_hold_begin(struct cairn_store *store, struct store_hold **ret_hold, struct cairn_err *err)
{
    struct store_hold *hold = cairn_alloc_zeroed(1, sizeof *hold);
    bool taken;

    hold->store = store;
    pthread_mutex_lock(&store->lock);
    taken = store->held != NULL;
    if (!taken) {
        manifest_copy(&hold->manifest, &store->manifest);
        store->held = &hold->manifest;
    }
    pthread_mutex_unlock(&store->lock);
    if (taken) {
        free(hold);
        return cairn_fail(err, CAIRN_ECONFLICT, "another export is under way; wait for its end");
    }
    *ret_hold = hold;
    return CAIRN_OK;
}

struct store_hold *store_hold_end(struct store_hold *hold)
{
    if (!hold)
        return NULL;
    pthread_mutex_lock(&hold->store->lock);
    hold->store->held = NULL;
    pthread_mutex_unlock(&hold->store->lock);
    manifest_done(&hold->manifest);
    free(hold);
    return NULL;
}

uint64_t store_hold_wall_ms(const struct store_hold *hold)
{
    return hold->manifest.wall_ms;
}

uint64_t store_hold_position(const struct store_hold *hold, uint32_t shard)
{
    return hold->manifest.shards[shard].position;
}

uint64_t store_hold_file_bytes(const struct store_hold *hold, uint32_t shard)
{
    return hold->manifest.shards[shard].file_bytes;
}

static void ignore_bytes(void *context, uint64_t bytes)
{
    (void)context;
    (void)bytes;
}

enum cairn_code store_hold_load(const struct store_hold *hold, uint32_t shard, struct cairn_engine *engine,
                                struct cairn_err *err)
{
    const struct manifest_shard *named = &hold->manifest.shards[shard];

    if (!named->number)
        return CAIRN_OK;
    return checkpoint_load(hold->store->options.disk, shard, named, engine, ignore_bytes, NULL, err);
}
