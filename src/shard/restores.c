/* restores.c - which state the folder's is: the one that has grown here, or one that another has been replaced by. */
#include "shard/shard_internal.h"

struct cairn_bytes store_restore_key(void)
{
    static const uint8_t key = 0x3f; /* docs/formats/state.md */

    return cairn_bytes(&key, 1);
}

/* The moment, and the log's epoch, as a clock may stand still. */
struct cairn_bytes store_restore_mark(const struct cairn_store *store, uint8_t to[8])
{
    cairn_put_u64(to, store->wall_ms << 16 | (store->shards[0].log->epoch & 0xffff));
    return cairn_bytes(to, 8);
}

void store_note_restore(struct cairn_store *store)
{
    struct cairn_engine *system = store->shards[store->count - 1].engine;
    uint8_t value[8];

    system->ops->put(system, store_restore_key(), cairn_hash(store_restore_key()), store_restore_mark(store, value));
}

uint64_t cairn_store_restores(const struct cairn_store *store)
{
    return store->restores;
}

void store_read_restores(struct cairn_store *store)
{
    struct cairn_view *view = cairn_shard_view(&store->shards[store->count - 1]);
    struct cairn_bytes value;

    store->restores = 0;
    if (view->ops->get(view, store_restore_key(), cairn_hash(store_restore_key()), &value) && value.size == 8)
        store->restores = cairn_get_u64(value.data);
}
