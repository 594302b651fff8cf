#include "object/host_fields.h"

#include <inttypes.h>
#include <stdlib.h>

#include "object/fields.h"
#include "object/layout.h"
#include "object/segment.h"
#include "object/type.h"

enum { LIST_DROP_MAX = 4096 };

enum cairn_code writes_too_much(const struct invocation *inv, struct cairn_err *err)
{
    cairn_fail(err, CAIRN_ELIMIT,
               "the segment writes more than %" PRIu64 " bytes or %d keys; split the work with a call",
               inv->method->limits.most[CAIRN_LIMIT_WRITE_SET], WRITES_PER_SEGMENT_MAX);
    method_limit_tell(inv, CAIRN_LIMIT_WRITE_SET, err);
    return CAIRN_ELIMIT;
}

/* --- values ---------------------------------------------------------------------------------- */

enum cairn_code host_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                               struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_VALUE, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = incarnation_of(inv) &&
                 overlay_get(overlay_of(inv), cairn_bytes(key, key_field(key, incarnation_of(inv), number)), ret_value);
    return CAIRN_OK;
}

enum cairn_code host_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_VALUE, &number, err);

    if (code == CAIRN_OK)
        code = writable(inv, value.size + sizeof key, err);
    if (code == CAIRN_OK)
        overlay_put(overlay_of(inv), cairn_bytes(key, key_field(key, incarnation_of(inv), number)), value);
    return code;
}

enum cairn_code host_value_clear(void *run, uint32_t field, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes old;
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_VALUE, &number, err);

    if (code == CAIRN_OK && !inv->read_only && incarnation_of(inv) == 0)
        return CAIRN_OK; /* clearing what is not there does not make the object exist */
    if (code == CAIRN_OK)
        code = writable(inv, sizeof key, err);
    if (code == CAIRN_OK) {
        struct cairn_bytes k = cairn_bytes(key, key_field(key, incarnation_of(inv), number));
        if (overlay_get(overlay_of(inv), k, &old))
            overlay_remove(overlay_of(inv), k);
    }
    return code;
}

/* --- lists ----------------------------------------------------------------------------------- */

enum cairn_code host_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    return count_of(run, field, CAIRN_FIELD_LIST, ret_count, err);
}

enum cairn_code host_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c;

    if (code == CAIRN_OK)
        code = writable(inv, value.size + sizeof key, err);
    if (code != CAIRN_OK)
        return code;
    c = container_of(inv, number, true);
    overlay_put(overlay_of(inv),
                cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, c->first + c->count)), value);
    c->count++;
    return CAIRN_OK;
}

enum cairn_code host_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value, bool *ret_found,
                              struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c;

    if (code != CAIRN_OK)
        return code;
    c = container_of(inv, number, false);
    *ret_found =
        c && index < c->count &&
        overlay_get(overlay_of(inv),
                    cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, c->first + index)), ret_value);
    return CAIRN_OK;
}

enum cairn_code host_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                              struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t key[FIELD_KEY_FIXED_MAX];
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c = NULL;

    if (code != CAIRN_OK)
        return code;
    if (!inv->read_only)
        c = container_of(inv, number, false);
    *ret_found = c && index < c->count;
    if (!inv->read_only && !*ret_found)
        return CAIRN_OK;
    code = writable(inv, value.size + sizeof key, err);
    if (code != CAIRN_OK)
        return code;
    overlay_put(overlay_of(inv), cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, c->first + index)),
                value);
    return CAIRN_OK;
}

enum cairn_code host_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                               struct cairn_err *err)
{
    struct invocation *inv = run;
    uint32_t number = 0;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_LIST, &number, err);
    struct container *c = NULL;

    if (code != CAIRN_OK)
        return code;
    *ret_dropped = 0;
    if (!inv->read_only) {
        c = container_of(inv, number, false);
        if (!c || !c->count || !count)
            return CAIRN_OK;
    }
    if (c && count > c->count)
        count = c->count;
    if (count > LIST_DROP_MAX)
        count = LIST_DROP_MAX;
    code = writable(inv, (size_t)count * (FIELD_KEY_FIXED_MAX + 16), err);
    if (code != CAIRN_OK)
        return code;
    c = container_of(inv, number, true);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t key[FIELD_KEY_FIXED_MAX];
        uint64_t n = from_back ? c->first + c->count - 1 : c->first;
        overlay_remove(overlay_of(inv), cairn_bytes(key, key_list_entry(key, incarnation_of(inv), number, n)));
        c->first += !from_back;
        c->count--;
    }
    *ret_dropped = count;
    return CAIRN_OK;
}

/* --- maps: an entry holds its place, a place its key; the last entry fills a hole ------------- */

static enum cairn_code map_key_of(struct invocation *inv, uint32_t field, struct cairn_bytes key, uint8_t *to,
                                  struct cairn_bytes *ret_key, uint32_t *ret_number, struct cairn_err *err)
{
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_MAP, ret_number, err);

    if (code != CAIRN_OK)
        return code;
    if (key.size > MAP_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_ELIMIT, "a map's key has %zu bytes; at most %d are allowed", key.size,
                          MAP_KEY_BYTES_MAX);
    *ret_key = cairn_bytes(to, key_map_entry(to, incarnation_of(inv), *ret_number, key));
    return CAIRN_OK;
}

static struct cairn_bytes entry_value(struct cairn_bytes entry, uint64_t *ret_place)
{
    struct cairn_reader r = cairn_reader(entry);

    *ret_place = cairn_read_varint(&r);
    return cairn_read_bytes(&r, cairn_reader_left(&r));
}

static void entry_put(struct invocation *inv, struct cairn_bytes key, uint64_t place, struct cairn_bytes value)
{
    size_t most = CAIRN_VARINT_BYTES_MAX + value.size, n;
    uint8_t small[512], *entry = most <= sizeof small ? small : cairn_alloc(most);

    n = cairn_put_varint(entry, place);
    if (value.size)
        memcpy(entry + n, value.data, value.size);
    overlay_put(overlay_of(inv), key, cairn_bytes(entry, n + value.size));
    if (entry != small)
        free(entry);
}

enum cairn_code host_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    return count_of(run, field, CAIRN_FIELD_MAP, ret_count, err);
}

enum cairn_code host_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                             bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_bytes k, entry;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = map_key_of(inv, field, key, bytes, &k, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = incarnation_of(inv) && overlay_get(overlay_of(inv), k, &entry);
    if (*ret_found)
        *ret_value = entry_value(entry, &place);
    return CAIRN_OK;
}

enum cairn_code host_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                             struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_bytes k, entry;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = writable(inv, 2 * (key.size + FIELD_KEY_FIXED_MAX) + value.size, err);

    if (code == CAIRN_OK)
        code = map_key_of(inv, field, key, bytes, &k, &number, err);
    if (code != CAIRN_OK)
        return code;
    if (overlay_get(overlay_of(inv), k, &entry)) {
        entry_value(entry, &place);
    } else {
        uint8_t place_key[FIELD_KEY_FIXED_MAX];
        struct container *c = container_of(inv, number, true);
        place = c->count++;
        overlay_put(overlay_of(inv),
                    cairn_bytes(place_key, key_map_place(place_key, incarnation_of(inv), number, place)), key);
    }
    entry_put(inv, k, place, value);
    return CAIRN_OK;
}

enum cairn_code host_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                struct cairn_err *err)
{
    struct invocation *inv = run;
    struct overlay *overlay = overlay_of(inv);
    uint8_t bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX], last_place[FIELD_KEY_FIXED_MAX], hole[FIELD_KEY_FIXED_MAX];
    struct cairn_bytes k, entry, last_key, last;
    struct container *c;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = map_key_of(inv, field, key, bytes, &k, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = incarnation_of(inv) && overlay_get(overlay, k, &entry);
    if (!*ret_found && !inv->read_only)
        return CAIRN_OK;
    code = writable(inv, 4 * (MAP_KEY_BYTES_MAX + FIELD_KEY_FIXED_MAX), err);
    if (code != CAIRN_OK)
        return code;
    entry_value(entry, &place);
    c = container_of(inv, number, true);
    c->count--;
    last = cairn_bytes(last_place, key_map_place(last_place, incarnation_of(inv), number, c->count));
    if (place != c->count && overlay_get(overlay, last, &last_key)) {
        uint8_t moved[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
        struct cairn_bytes moved_key = cairn_bytes(moved, key_map_entry(moved, incarnation_of(inv), number, last_key));
        uint64_t old_place;

        overlay_put(overlay, cairn_bytes(hole, key_map_place(hole, incarnation_of(inv), number, place)),
                    cairn_arena_copy(&overlay->arena, last_key));
        if (overlay_get(overlay, moved_key, &entry)) {
            struct cairn_bytes value = entry_value(entry, &old_place);
            entry_put(inv, moved_key, place, cairn_arena_copy(&overlay->arena, value));
        }
    }
    overlay_remove(overlay, last);
    overlay_remove(overlay, k);
    return CAIRN_OK;
}

enum cairn_code host_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                            struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint8_t place_key[FIELD_KEY_FIXED_MAX], bytes[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    struct cairn_bytes entry;
    struct container *c;
    uint32_t number = 0;
    uint64_t place;
    enum cairn_code code = field_of(inv, field, CAIRN_FIELD_MAP, &number, err);

    if (code != CAIRN_OK)
        return code;
    *ret_found = false;
    c = container_of(inv, number, false);
    if (!c || index >= c->count)
        return CAIRN_OK;
    if (!overlay_get(overlay_of(inv),
                     cairn_bytes(place_key, key_map_place(place_key, incarnation_of(inv), number, index)), ret_key))
        return CAIRN_OK;
    if (!overlay_get(overlay_of(inv), cairn_bytes(bytes, key_map_entry(bytes, incarnation_of(inv), number, *ret_key)),
                     &entry))
        return CAIRN_OK;
    *ret_value = entry_value(entry, &place);
    *ret_found = true;
    return CAIRN_OK;
}

/* --- reading ahead ---------------------------------------------------------------------------- */

/* The engine's lines for a row of entries are fetched together, not one after the other. */
static void fetch(struct cairn_view *engine, const uint64_t *hashes, uint64_t count)
{
    for (int depth = 0; depth < 2; depth++)
        for (uint64_t i = 0; i < count; i++)
            engine->ops->prefetch(engine, hashes[i], depth);
}

void host_ahead(void *run, uint32_t field, uint64_t index, bool down, uint64_t count)
{
    struct invocation *inv = run;
    struct cairn_view *engine = overlay_of(inv)->engine;
    uint8_t keys[CAIRN_AHEAD_MAX][FIELD_KEY_FIXED_MAX], key[FIELD_KEY_FIXED_MAX + MAP_KEY_BYTES_MAX];
    uint64_t hashes[CAIRN_AHEAD_MAX], left;
    size_t sizes[CAIRN_AHEAD_MAX];
    struct container *c;
    const struct type_field *f;
    bool list;

    if (field >= inv->type->field_end)
        return;
    f = &inv->type->fields[field];
    list = f->kind == CAIRN_FIELD_LIST;
    c = list || f->kind == CAIRN_FIELD_MAP ? container_of(inv, f->number, false) : NULL;
    if (!c || index >= c->count)
        return;
    left = down ? index + 1 : c->count - index;
    count = count < left ? count : left;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t n = down ? index - i : index + i;
        sizes[i] = list ? key_list_entry(keys[i], incarnation_of(inv), f->number, c->first + n)
                        : key_map_place(keys[i], incarnation_of(inv), f->number, n);
        hashes[i] = cairn_hash(cairn_bytes(keys[i], sizes[i]));
    }
    fetch(engine, hashes, count);
    if (list)
        return;
    for (uint64_t i = 0; i < count; i++) { /* the places tell the keys */
        struct cairn_bytes name;
        if (engine->ops->get(engine, cairn_bytes(keys[i], sizes[i]), hashes[i], &name) &&
            name.size <= MAP_KEY_BYTES_MAX)
            hashes[i] = cairn_hash(cairn_bytes(key, key_map_entry(key, incarnation_of(inv), f->number, name)));
    }
    (void)cairn_engine_take_failure(engine, NULL); /* a read in earnest finds it again */
    fetch(engine, hashes, count);
}

enum cairn_code host_delete_self(void *run, struct cairn_err *err)
{
    struct invocation *inv = run;

    return inv->read_only ? writable(inv, 0, err) : (segment_delete(inv), CAIRN_OK);
}
