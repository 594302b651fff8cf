/* durable_keys.c - where open durable invocations lie in a shard. */
#include "object/durable_head.h"
#include "object/durable_internal.h"
#include "object/layout.h"
#include "object/purge.h"

enum { CHUNKS_AT_ONCE = 16 }; /* removed in the last record; more are purged behind it */

struct tree durable_tree(struct overlay *overlay)
{
    static const uint8_t prefix[] = {KEY_DURABLE_OPEN};

    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(prefix, sizeof prefix)};
}

size_t durable_chunk_key(uint8_t *to, uint64_t number, uint64_t n)
{
    return key_list_entry(to, number, 0, n);
}

uint64_t durable_read_chunks(struct cairn_view *engine, uint64_t number, struct cairn_buf *to)
{
    uint64_t n = 0;

    for (;; n++) {
        uint8_t key[FIELD_KEY_FIXED_MAX];
        struct cairn_bytes k = cairn_bytes(key, durable_chunk_key(key, number, n)), chunk;

        if (!engine->ops->get(engine, k, cairn_hash(k), &chunk))
            return n;
        cairn_buf_add(to, chunk.data, chunk.size);
    }
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

void durable_head_put(struct overlay *overlay, uint64_t number, const struct durable_head *head)
{
    uint8_t key[9];
    struct cairn_buf value = {0};

    durable_head_encode(&value, head);
    overlay_put(overlay, cairn_bytes(key, key_numbered(key, KEY_DURABLE, number)), cairn_buf_bytes(&value));
    cairn_buf_done(&value);
}

bool durable_is_open(struct shard *shard, uint64_t number)
{
    struct cairn_bytes head;

    return durable_head_get(shard->engine, number, &head);
}

void durable_remove(struct shard *shard, struct overlay *overlay, const struct space *space, uint64_t number,
                    uint64_t chunks)
{
    struct tree tree = durable_tree(overlay);
    uint8_t key[FIELD_KEY_FIXED_MAX], entry[8];

    overlay_remove(overlay, cairn_bytes(key, key_numbered(key, KEY_DURABLE, number)));
    cairn_put_be64(entry, number);
    tree_remove(&tree, cairn_bytes(entry, sizeof entry));
    if (chunks > CHUNKS_AT_ONCE) {
        struct container journal = {.count = chunks};
        struct header header = {.incarnation = number, .containers = &journal, .count = 1};
        uint32_t no_values = 0;

        purge_queue(shard, overlay, &header, &no_values, 0,
                    space && space->counts ? space_payer(space)->name : cairn_bytes(NULL, 0));
        return;
    }
    for (uint64_t n = 0; n < chunks; n++)
        overlay_remove(overlay, cairn_bytes(key, durable_chunk_key(key, number, n)));
}

/* --- what one that sleeps waits for --------------------------------------------------------------------- */

void durable_sleeper_put(struct overlay *overlay, uint64_t number, const struct durable_sleeper *sleeper)
{
    uint8_t key[9];
    struct cairn_buf value = {0};

    cairn_buf_u8(&value, (uint8_t)sleeper->what);
    cairn_buf_varint(&value, sleeper->since_ms);
    cairn_buf_varint(&value, sleeper->wake_ms == UINT64_MAX ? 0 : sleeper->wake_ms);
    cairn_buf_varint(&value, sleeper->what == DURABLE_FOR_ALL ? sleeper->count : sleeper->call);
    if (sleeper->what == DURABLE_FOR_PROMISE)
        cairn_buf_add(&value, sleeper->secret, sizeof sleeper->secret);
    overlay_put(overlay, cairn_bytes(key, key_numbered(key, KEY_DURABLE_SLEEPER, number)), cairn_buf_bytes(&value));
    cairn_buf_done(&value);
}

void durable_sleeper_remove(struct overlay *overlay, uint64_t number)
{
    uint8_t key[9];

    overlay_remove(overlay, cairn_bytes(key, key_numbered(key, KEY_DURABLE_SLEEPER, number)));
}

bool durable_sleeper_get(struct cairn_view *engine, uint64_t number, struct durable_sleeper *ret_sleeper)
{
    uint8_t bytes[9];
    struct cairn_bytes key = cairn_bytes(bytes, key_numbered(bytes, KEY_DURABLE_SLEEPER, number)), value, secret;
    struct cairn_reader r;
    uint64_t n;

    if (!engine->ops->get(engine, key, cairn_hash(key), &value))
        return false;
    r = cairn_reader(value);
    *ret_sleeper = (struct durable_sleeper){.what = (enum durable_waits_for)cairn_read_u8(&r)};
    ret_sleeper->since_ms = cairn_read_varint(&r);
    n = cairn_read_varint(&r);
    ret_sleeper->wake_ms = n ? n : UINT64_MAX;
    n = cairn_read_varint(&r);
    if (ret_sleeper->what == DURABLE_FOR_ALL)
        ret_sleeper->count = (uint32_t)n;
    else
        ret_sleeper->call = (uint32_t)n;
    if (ret_sleeper->what == DURABLE_FOR_PROMISE) {
        secret = cairn_read_bytes(&r, sizeof ret_sleeper->secret);
        if (!r.bad)
            memcpy(ret_sleeper->secret, secret.data, secret.size);
    }
    return !r.bad;
}
