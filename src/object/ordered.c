#include "object/ordered.h"

enum { BATCH = 64 }; /* values that are fetched together: those of a leaf, mostly */

struct value_key {
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
};

void ordered_init(struct ordered *map, struct overlay *overlay, uint64_t incarnation, uint32_t field)
{
    map->incarnation = incarnation;
    map->field = field;
    map->tree = (struct tree){.overlay = overlay,
                              .prefix = cairn_bytes(map->prefix, key_ordered_pages(map->prefix, incarnation, field)),
                              .counted = true};
}

static struct cairn_bytes value_key(const struct ordered *map, struct cairn_bytes key, struct value_key *to)
{
    return cairn_bytes(to->bytes, key_ordered_value(to->bytes, map->incarnation, map->field, key));
}

bool ordered_get(const struct ordered *map, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    struct value_key to;

    return overlay_get(map->tree.overlay, value_key(map, key, &to), ret_value);
}

bool ordered_put(const struct ordered *map, struct cairn_bytes key, struct cairn_bytes value)
{
    struct value_key to;
    struct cairn_bytes k = value_key(map, key, &to), old;
    bool there = overlay_get(map->tree.overlay, k, &old);

    if (!there)
        tree_add(&map->tree, key);
    overlay_put(map->tree.overlay, k, value);
    return !there;
}

bool ordered_remove(const struct ordered *map, struct cairn_bytes key)
{
    struct value_key to;
    struct cairn_bytes k = value_key(map, key, &to), old;

    if (!overlay_get(map->tree.overlay, k, &old))
        return false;
    tree_remove(&map->tree, key);
    overlay_remove(map->tree.overlay, k);
    return true;
}

uint32_t ordered_remove_some(const struct ordered *map, uint32_t most)
{
    struct tree_cursor cursor;
    uint32_t removed = 0;

    for (; removed < most && tree_seek(&cursor, &map->tree, TREE_LAST, cairn_bytes(NULL, 0)); removed++)
        ordered_remove(map, cairn_arena_copy(&map->tree.overlay->arena, tree_key(&cursor)));
    return removed;
}

/* --- reading -------------------------------------------------------------------------------- */

/* The engine's lines for a row of values are fetched together, not one after the other. */
static void fetch(const struct ordered *map, const struct cairn_bytes *keys, uint64_t *hashes, uint32_t count)
{
    struct cairn_view *engine = map->tree.overlay->engine;
    struct value_key to;

    for (uint32_t i = 0; i < count; i++) {
        hashes[i] = cairn_hash(value_key(map, keys[i], &to));
        engine->ops->prefetch(engine, hashes[i], 0);
    }
    for (uint32_t i = 0; i < count; i++)
        engine->ops->prefetch(engine, hashes[i], 1);
}

static bool step(struct tree_cursor *cursor, bool backward)
{
    return backward ? tree_previous(cursor) : tree_next(cursor);
}

static bool inside(const struct cairn_range *range, struct cairn_bytes key)
{
    int order;

    if (range->backward) {
        order = cairn_bytes_compare(key, range->low);
        return range->above_low ? order > 0 : order >= 0;
    }
    if (range->no_high)
        return true;
    order = cairn_bytes_compare(key, range->high);
    return range->with_high ? order <= 0 : order < 0;
}

/* Up to BATCH keys of the cursor's leaf, with which the last of them is left; *ret_over: the range ends with them. */
static uint32_t gather(struct tree_cursor *cursor, const struct cairn_range *range, uint32_t want,
                       struct cairn_bytes *keys, bool *ret_over)
{
    uint32_t left = tree_left_in_leaf(cursor, range->backward), count = 0;

    left = left < BATCH ? left : BATCH;
    left = left < want ? left : want;
    for (*ret_over = false; count < left; count++) {
        if (count)
            step(cursor, range->backward);
        keys[count] = tree_key(cursor);
        if (!inside(range, keys[count])) {
            *ret_over = true;
            break;
        }
    }
    return count;
}

static void read_on(const struct ordered *map, struct tree_cursor *cursor, const struct cairn_range *range,
                    struct cairn_taker *to)
{
    bool there = true, over = false;

    for (uint32_t left = to->want; there && !over && left;) {
        struct cairn_bytes keys[BATCH];
        uint64_t hashes[BATCH];
        uint32_t count = gather(cursor, range, left, keys, &over);

        if (!to->keys_only)
            fetch(map, keys, hashes, count);
        for (uint32_t i = 0; i < count; i++, left--) {
            struct cairn_bytes value = {0};
            struct value_key k;
            if (!to->keys_only &&
                !overlay_get_hashed(map->tree.overlay, value_key(map, keys[i], &k), hashes[i], &value))
                return; /* it could not be read */
            if (!to->take(to, keys[i], value))
                return;
        }
        if (!over && left)
            there = step(cursor, range->backward);
    }
}

void ordered_read(const struct ordered *map, const struct cairn_range *range, struct cairn_taker *to)
{
    struct tree_cursor cursor;
    enum tree_seek how = !range->backward   ? range->above_low ? TREE_AFTER : TREE_AT_OR_AFTER
                         : range->no_high   ? TREE_LAST
                         : range->with_high ? TREE_AT_OR_BEFORE
                                            : TREE_BEFORE;

    if (to->want && tree_seek(&cursor, &map->tree, how, range->backward ? range->high : range->low))
        read_on(map, &cursor, range, to);
}

void ordered_read_at(const struct ordered *map, uint64_t place, bool backward, struct cairn_taker *to)
{
    struct cairn_range all = {.no_high = true, .backward = backward};
    struct tree_cursor cursor;

    if (to->want && tree_seek_at(&cursor, &map->tree, place))
        read_on(map, &cursor, &all, to);
}
