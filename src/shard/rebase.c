/* rebase.c - while a store is opened, another state comes into the place of what its checkpoints and its log have. */
#include "shard/shard_internal.h"

void shard_empty(struct cairn_shard *shard)
{
    shard->engine->ops->close(shard->engine);
    shard->engine = cairn_memory_create();
}

void shard_rebase(struct cairn_shard *shard, uint64_t end)
{
    shard->applied_end = shard->from = end;
    atomic_store_explicit(&shard->wall_ms, shard->store->wall_ms, memory_order_relaxed);
}

static enum cairn_code rebase_system(struct cairn_shard *shard, uint64_t end, struct cairn_err *err)
{
    struct cairn_store *store = shard->store;
    struct manifest_shard made = {.position = end, .number = store->next_number++};
    enum cairn_code code;

    shard_rebase(shard, end);
    code = checkpoint_write(store, shard, &made, err);
    if (code == CAIRN_OK)
        store->manifest.shards[shard->index] = made;
    return code;
}

enum cairn_code store_rebase(struct cairn_store *store, const uint64_t *numbers, uint64_t end, struct cairn_err *err)
{
    struct manifest *manifest = &store->manifest;
    enum cairn_code code;

    for (uint32_t i = 0; i + 1 < store->count; i++) {
        manifest->shards[i] = (struct manifest_shard){.position = end, .number = numbers[i]};
        if (numbers[i] >= store->next_number)
            store->next_number = numbers[i] + 1;
    }
    code = rebase_system(&store->shards[store->count - 1], end, err);
    if (code != CAIRN_OK)
        return code;
    manifest->sequence++;
    manifest->next_number = store->next_number;
    if (store->wall_ms > manifest->wall_ms)
        manifest->wall_ms = store->wall_ms;
    return manifest_write(store->options.disk, manifest, err);
}
