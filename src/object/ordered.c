#include "object/ordered.h"

enum { BATCH = 64 }; /* values that are fetched together: those of a leaf, mostly */

struct value_key {
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
};

static const struct ordered *map_of(const struct tree *tree)
{
    return (const struct ordered *)(const void *)tree; /* its first member */
}

static struct cairn_bytes value_key(const struct ordered *map, struct cairn_bytes key, struct value_key *to)
{
    return cairn_bytes(to->bytes, key_ordered_value(to->bytes, map->incarnation, map->field, key));
}

static bool take_apart(const struct tree *tree, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    struct value_key to;
    struct cairn_bytes k = value_key(map_of(tree), key, &to);

    if (!overlay_get(tree->overlay, k, ret_value))
        return false;
    if (ret_value->size <= TREE_VALUE_BYTES_MAX) {
        *ret_value = cairn_arena_copy(&tree->overlay->arena, *ret_value);
        overlay_remove(tree->overlay, k);
    }
    return true;
}

void ordered_init(struct ordered *map, struct overlay *overlay, uint64_t incarnation, uint32_t field)
{
    map->incarnation = incarnation;
    map->field = field;
    map->tree = (struct tree){.overlay = overlay,
                              .prefix = cairn_bytes(map->prefix, key_ordered_pages(map->prefix, incarnation, field)),
                              .is_map = true,
                              .take_apart = take_apart};
}

bool ordered_has(const struct ordered *map, struct cairn_bytes key)
{
    return tree_has(&map->tree, key);
}

bool ordered_get(const struct ordered *map, struct cairn_bytes key, struct cairn_bytes *ret_value)
{
    struct overlay *overlay = map->tree.overlay;
    struct value_key to;

    return overlay_get(overlay, value_key(map, key, &to), ret_value) ||
           (overlay->code == CAIRN_OK && tree_get(&map->tree, key, ret_value));
}

bool ordered_put(const struct ordered *map, struct cairn_bytes key, struct cairn_bytes value)
{
    struct overlay *overlay = map->tree.overlay;
    struct value_key to;
    struct cairn_bytes k = value_key(map, key, &to), old;
    bool apart, is_new;

    if (overlay_get(overlay, k, &old)) {
        overlay_put(overlay, k, value);
        return false;
    }
    is_new = tree_put(&map->tree, key, value, &apart);
    if (apart)
        overlay_put(overlay, k, value);
    return is_new;
}

bool ordered_remove(const struct ordered *map, struct cairn_bytes key)
{
    struct overlay *overlay = map->tree.overlay;
    struct value_key to;
    struct cairn_bytes k, old;
    bool apart;

    if (!tree_take(&map->tree, key, &apart))
        return false;
    k = value_key(map, key, &to);
    if (apart && overlay_get(overlay, k, &old))
        overlay_remove(overlay, k);
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

/* Some entries of one leaf, in the order of the walk. */
struct row {
    const struct tree_leaf_entry *first;
    uint32_t count;
    bool backward;
    bool marked;            /* what is apart precedes what is in the leaf */
    bool in_leaf;           /* all that is wanted is in the leaf */
    uint64_t hashes[BATCH]; /* of those that may be apart */
};

static const struct tree_leaf_entry *entry_of(const struct row *row, uint32_t i)
{
    return row->backward ? row->first - i : row->first + i;
}

static bool may_be_apart(const struct row *row, const struct tree_leaf_entry *entry)
{
    return row->marked || !entry->value.data;
}

/* Up to BATCH entries from the cursor's on; it is left at the last of them.  *ret_over: the range ends with them. */
static struct row gather(struct tree_cursor *cursor, const struct cairn_range *range, uint32_t want, bool *ret_over)
{
    struct row row = {.first = tree_entry(cursor), .backward = range->backward};
    uint32_t left = tree_left_in_leaf(cursor, range->backward);

    left = left < BATCH ? left : BATCH;
    left = left < want ? left : want;
    *ret_over = false;
    if (inside(range, entry_of(&row, left - 1)->key)) { /* and so are those before it */
        row.count = left;
    } else {
        while (inside(range, entry_of(&row, row.count)->key))
            row.count++;
        *ret_over = true;
    }
    if (row.count)
        tree_skip(cursor, range->backward, row.count);
    return row;
}

/* The engine's lines for a row of values are fetched together, not one after the other. */
static void fetch(const struct ordered *map, struct row *row, int step)
{
    struct cairn_view *engine = map->tree.overlay->engine;
    struct value_key to;

    for (uint32_t i = 0; i < row->count; i++) {
        const struct tree_leaf_entry *entry = entry_of(row, i);

        if (!may_be_apart(row, entry))
            continue;
        if (step == 0)
            row->hashes[i] = cairn_hash(value_key(map, entry->key, &to));
        engine->ops->prefetch(engine, row->hashes[i], step);
    }
}

/* False: it could not be read. */
static bool value_of(const struct ordered *map, const struct row *row, uint32_t i, struct cairn_bytes *ret_value)
{
    const struct tree_leaf_entry *entry = entry_of(row, i);
    struct value_key to;

    *ret_value = entry->value;
    return !may_be_apart(row, entry) ||
           overlay_get_hashed(map->tree.overlay, value_key(map, entry->key, &to), row->hashes[i], ret_value) ||
           (entry->value.data && map->tree.overlay->code == CAIRN_OK);
}

/* False: that is all. */
static bool hand_out(const struct ordered *map, const struct row *row, struct cairn_taker *to)
{
    for (uint32_t i = 0; i < row->count; i++) {
        const struct tree_leaf_entry *entry = entry_of(row, i);
        struct cairn_bytes value = to->keys_only ? cairn_bytes(NULL, 0) : entry->value;

        if (!row->in_leaf && !value_of(map, row, i, &value))
            return false;
        if (!to->take(to, entry->key, value))
            return false;
    }
    return true;
}

static void read_on(const struct ordered *map, struct tree_cursor *cursor, const struct cairn_range *range,
                    struct cairn_taker *to)
{
    bool there = true, over = false;

    for (uint32_t left = to->want; there && !over && left;) {
        struct row row = gather(cursor, range, left, &over);
        bool goes_on = !over && row.count < left;

        if (goes_on)
            tree_prefetch(cursor, range->backward, 0);
        row.in_leaf = true;
        if (!to->keys_only) {
            row.marked = tree_leaf_is_marked(cursor);
            row.in_leaf = !row.marked && !cursor->has_apart;
        }
        if (!row.in_leaf) {
            fetch(map, &row, 0);
            fetch(map, &row, 1);
        }
        if (goes_on)
            tree_prefetch(cursor, range->backward, 1);
        if (!hand_out(map, &row, to))
            return;
        left -= row.count;
        if (!over && left)
            there = range->backward ? tree_previous(cursor) : tree_next(cursor);
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
