#include "object/host_ordered.h"

#include "object/fields.h"
#include "object/ordered.h"

/* The field's map as the segment sees it.  Without an incarnation there is nothing in it: *ret_there. */
static enum cairn_code map_of(struct invocation *inv, uint32_t field, struct ordered *map, bool *ret_there,
                              struct cairn_err *err)
{
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_ORDERED, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_there = incarnation_of(inv) != 0;
    ordered_init(map, overlay_of(inv), incarnation_of(inv), number);
    return CAIRN_OK;
}

static enum cairn_code check_key(struct cairn_bytes key, struct cairn_err *err)
{
    if (key.size > MAP_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "an ordered map's key has %zu bytes; at most %d are allowed", key.size,
                          MAP_KEY_BYTES_MAX);
    return CAIRN_OK;
}

enum cairn_code host_ordered_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    return count_of(run, field, CAIRN_FIELD_ORDERED, ret_count, err);
}

enum cairn_code host_ordered_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                                 bool *ret_found, struct cairn_err *err)
{
    struct ordered map;
    bool there = false;
    enum cairn_code code = map_of(run, field, &map, &there, err);

    if (code == CAIRN_OK)
        code = check_key(key, err);
    if (code == CAIRN_OK)
        *ret_found = there && ordered_get(&map, key, ret_value);
    return code;
}

enum cairn_code host_ordered_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                                 struct cairn_err *err)
{
    struct invocation *inv = run;
    struct ordered map;
    bool there;
    enum cairn_code code = writable(inv, key.size + value.size + TREE_LEAF_BYTES, err);

    if (code == CAIRN_OK)
        code = map_of(inv, field, &map, &there, err);
    if (code == CAIRN_OK)
        code = check_key(key, err);
    if (code == CAIRN_OK && ordered_put(&map, key, value))
        container_of(inv, map.field, true)->count++;
    return code;
}

enum cairn_code host_ordered_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                    struct cairn_err *err)
{
    struct invocation *inv = run;
    struct ordered map;
    bool there = false;
    enum cairn_code code = map_of(inv, field, &map, &there, err);

    if (code == CAIRN_OK)
        code = check_key(key, err);
    if (code != CAIRN_OK)
        return code;
    *ret_found = there && ordered_has(&map, key);
    if (!*ret_found && !inv->read_only)
        return CAIRN_OK; /* removing what is not there does not make the object exist */
    code = writable(inv, key.size + TREE_LEAF_BYTES, err);
    if (code == CAIRN_OK && ordered_remove(&map, key))
        container_of(inv, map.field, true)->count--;
    return code;
}

/* A key that is too long has its place as any other: no key is looked up. */
enum cairn_code host_ordered_rank(void *run, uint32_t field, struct cairn_bytes key, bool with_it, uint64_t *ret_rank,
                                  struct cairn_err *err)
{
    struct ordered map;
    bool there = false;
    enum cairn_code code = map_of(run, field, &map, &there, err);

    if (code == CAIRN_OK)
        *ret_rank = there ? tree_rank(&map.tree, key, with_it) : 0;
    return code;
}

enum cairn_code host_ordered_read(void *run, uint32_t field, const struct cairn_range *range, struct cairn_taker *to,
                                  struct cairn_err *err)
{
    struct ordered map;
    bool there = false;
    enum cairn_code code = map_of(run, field, &map, &there, err);

    if (code == CAIRN_OK && there)
        ordered_read(&map, range, to);
    return code;
}

enum cairn_code host_ordered_read_at(void *run, uint32_t field, uint64_t place, bool backward, struct cairn_taker *to,
                                     struct cairn_err *err)
{
    struct ordered map;
    bool there = false;
    enum cairn_code code = map_of(run, field, &map, &there, err);

    if (code == CAIRN_OK && there)
        ordered_read_at(&map, place, backward, to);
    return code;
}
