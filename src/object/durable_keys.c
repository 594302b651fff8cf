/* durable_keys.c - where open durable invocations lie in a shard. */
#include "object/durable_internal.h"
#include "object/layout.h"

struct tree durable_tree(struct overlay *overlay)
{
    static const uint8_t prefix[] = {KEY_DURABLE_OPEN};

    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(prefix, sizeof prefix)};
}

size_t durable_chunk_key(uint8_t *to, uint64_t number, uint64_t n)
{
    return key_list_entry(to, number, 0, n);
}

bool durable_any(struct overlay *overlay)
{
    struct tree tree = durable_tree(overlay);

    return !tree_empty(&tree);
}

uint64_t durable_next(struct overlay *overlay, uint64_t after)
{
    struct tree tree = durable_tree(overlay);
    struct tree_cursor cursor;
    uint8_t key[8];

    cairn_put_be64(key, after);
    if (!tree_seek(&cursor, &tree, TREE_AFTER, cairn_bytes(key, sizeof key)) || tree_key(&cursor).size != sizeof key)
        return 0;
    return cairn_get_be64(tree_key(&cursor).data);
}

bool durable_head_get(struct cairn_view *engine, uint64_t number, struct cairn_bytes *ret_head)
{
    uint8_t key[9];
    struct cairn_bytes k = cairn_bytes(key, key_numbered(key, KEY_DURABLE, number));

    return engine->ops->get(engine, k, cairn_hash(k), ret_head);
}

bool durable_is_open(struct shard *shard, uint64_t number)
{
    struct cairn_bytes head;

    return durable_head_get(shard->engine, number, &head);
}
