#include "admin/preview.h"

#include <stdio.h>

#include "engine/ids.h"
#include "object/layout.h"

struct preview {
    void (*each)(void *context, enum cairn_preview what, const char *type, struct cairn_bytes id);
    void *context;
    /* of the shard that is looked at */
    struct cairn_view *now, *then;
    struct cairn_view *system;
    struct cairn_buf changed; /* incarnations whose fields differ */
};

static bool same(struct cairn_view *other, struct cairn_bytes key, struct cairn_bytes value, bool *ret_there)
{
    struct cairn_bytes found;

    *ret_there = other->ops->get(other, key, cairn_hash(key), &found);
    return *ret_there && cairn_bytes_equal(found, value);
}

/* --- fields --- */

static void note_field(struct preview *preview, struct cairn_view *other, struct cairn_bytes key,
                       struct cairn_bytes value)
{
    bool there;

    if (key.size > 9 && key.data[0] == KEY_FIELD && !same(other, key, value, &there))
        ids_add(&preview->changed, cairn_get_be64(key.data + 1));
}

static void field_now(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct preview *preview = context;

    note_field(preview, preview->then, key, value);
}

static void field_then(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct preview *preview = context;

    note_field(preview, preview->now, key, value);
}

/* --- objects --- */

struct naming {
    uint32_t number;
    char name[80];
};

static void find_type(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct naming *naming = context;
    struct cairn_reader k = cairn_reader(key), v = cairn_reader(value);

    if (cairn_read_u8(&k) != KEY_TYPE || cairn_read_varint(&v) != naming->number)
        return;
    cairn_read_sized(&k);
    snprintf(naming->name, sizeof naming->name, "%.*s", (int)cairn_reader_left(&k), (const char *)k.at);
}

static void tell(struct preview *preview, enum cairn_preview what, struct cairn_bytes key)
{
    struct cairn_reader r = cairn_reader(key);
    struct naming naming = {0};

    cairn_read_u8(&r);
    naming.number = (uint32_t)cairn_read_varint(&r);
    snprintf(naming.name, sizeof naming.name, "type %u", naming.number); /* one that is no more */
    preview->system->ops->visit(preview->system, find_type, &naming);
    preview->each(preview->context, what, naming.name, cairn_bytes(r.at, cairn_reader_left(&r)));
}

static void object_now(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct preview *preview = context;
    bool there;

    if (key.size < 2 || key.data[0] != KEY_HEADER || value.size < 8)
        return;
    if (!same(preview->then, key, value, &there))
        tell(preview, there ? CAIRN_PREVIEW_CHANGES : CAIRN_PREVIEW_GOES, key);
    else if (ids_have(&preview->changed, cairn_get_u64(value.data)))
        tell(preview, CAIRN_PREVIEW_CHANGES, key);
}

static void object_then(void *context, struct cairn_bytes key, struct cairn_bytes value)
{
    struct preview *preview = context;
    bool there;

    if (key.size >= 2 && key.data[0] == KEY_HEADER && !same(preview->now, key, value, &there) && !there)
        tell(preview, CAIRN_PREVIEW_COMES, key);
}

static enum cairn_code compare(void *context, struct cairn_store *store, uint32_t shard, struct cairn_past *past,
                               struct cairn_err *err)
{
    struct preview *preview = context;
    enum cairn_code code;

    preview->now = cairn_shard_view(cairn_store_shard(store, shard));
    preview->then = cairn_past_view(past);
    preview->system = cairn_shard_view(cairn_store_shard(store, cairn_store_shards(store)));
    preview->changed.size = 0;
    preview->now->ops->visit(preview->now, field_now, preview);
    code = cairn_past_visit(past, field_then, preview, err);
    ids_sort(&preview->changed);
    if (code == CAIRN_OK)
        preview->now->ops->visit(preview->now, object_now, preview);
    if (code == CAIRN_OK)
        code = cairn_past_visit(past, object_then, preview, err);
    if (code == CAIRN_OK)
        code = cairn_engine_take_failure(preview->now, err);
    return code == CAIRN_OK ? cairn_engine_take_failure(preview->then, err) : code;
}

enum cairn_code cairn_preview(const struct cairn_store_options *options, uint64_t number, uint64_t wall_ms,
                              void (*each)(void *context, enum cairn_preview what, const char *type,
                                           struct cairn_bytes id),
                              void *context, struct cairn_err *err)
{
    struct preview preview = {.each = each, .context = context};
    enum cairn_code code = cairn_store_compare(options, number, wall_ms, compare, &preview, err);

    cairn_buf_done(&preview.changed);
    return code;
}
