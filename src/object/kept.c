/* kept.c - counting what a namespace keeps.
 *
 * A 38 value: varint objects, varint bytes.  The names of the namespaces that have one are a tree under 39. */
#include "object/kept.h"

#include "object/commit.h"
#include "object/layout.h"
#include "object/quota.h"
#include "object/table.h"
#include "object/tree.h"
#include "object/type.h"
#include "object/worker.h"

enum { KEPT_KEY_BYTES_MAX = 1 + SPACE_NAME_BYTES_MAX };

static struct tree names_of(struct overlay *overlay)
{
    static const uint8_t prefix = KEY_KEPT_NAMES;

    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(&prefix, 1)};
}

static struct cairn_bytes key_of(uint8_t to[KEPT_KEY_BYTES_MAX], struct cairn_bytes space)
{
    to[0] = KEY_KEPT;
    memcpy(to + 1, space.data, space.size);
    return cairn_bytes(to, 1 + space.size);
}

static bool read_kept(struct overlay *overlay, struct cairn_bytes key, struct kept *ret_kept)
{
    struct cairn_bytes value;
    struct cairn_reader r;

    *ret_kept = (struct kept){0};
    if (!overlay_get(overlay, key, &value))
        return false;
    r = cairn_reader(value);
    ret_kept->objects = (int64_t)cairn_read_varint(&r);
    ret_kept->bytes = (int64_t)cairn_read_varint(&r);
    return true;
}

void kept_change(struct overlay *overlay, struct cairn_bytes space, struct kept more)
{
    uint8_t key_bytes[KEPT_KEY_BYTES_MAX], value[2 * CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes key = key_of(key_bytes, space);
    struct tree names = names_of(overlay);
    struct kept kept;
    bool there = read_kept(overlay, key, &kept);
    size_t n = 0;

    kept.objects = kept.objects + more.objects > 0 ? kept.objects + more.objects : 0;
    kept.bytes = kept.bytes + more.bytes > 0 ? kept.bytes + more.bytes : 0;
    if (!kept.objects && !kept.bytes) {
        if (there) {
            overlay_remove(overlay, key);
            tree_remove(&names, space);
        }
        return;
    }
    n += cairn_put_varint(value + n, (uint64_t)kept.objects);
    n += cairn_put_varint(value + n, (uint64_t)kept.bytes);
    overlay_put(overlay, key, cairn_bytes(value, n));
    if (!there)
        tree_add(&names, space);
}

struct kept kept_of(struct overlay *overlay, uint32_t first, uint32_t end)
{
    struct cairn_view *engine = overlay->engine;
    struct kept more = {0};

    for (uint32_t i = first; i < end; i++) {
        const struct cairn_write *w = &overlay->writes[i];
        struct cairn_bytes old = {0};
        bool had;

        if (w->key.data[0] != KEY_FIELD && w->key.data[0] != KEY_HEADER)
            continue;
        had = engine->ops->get(engine, w->key, w->hash, &old);
        if (w->key.data[0] == KEY_HEADER)
            more.objects += (int)!w->deleted - (int)had;
        more.bytes +=
            (w->deleted ? 0 : (int64_t)(w->key.size + w->value.size)) - (had ? (int64_t)(w->key.size + old.size) : 0);
    }
    if (engine->failed)
        overlay->code = cairn_engine_take_failure(engine, &overlay->err);
    return more;
}

enum cairn_code kept_count(struct space *space, struct overlay *overlay, struct kept *ret_more, struct cairn_err *err)
{
    enum cairn_code code;

    *ret_more = (struct kept){0};
    if (!space || !space->counts)
        return CAIRN_OK;
    *ret_more = kept_of(overlay, 0, overlay->count);
    code = quota_keep(space, ret_more->objects, ret_more->bytes, err);
    if (code != CAIRN_OK)
        *ret_more = (struct kept){0};
    else
        kept_change(overlay, space_payer(space)->name, *ret_more);
    return code;
}

void kept_undo(struct space *space, struct kept more)
{
    if (more.objects || more.bytes)
        quota_keep_undo(space, more.objects, more.bytes);
}

/* --- of a segment's record ----------------------------------------------------------------------- */

/* Behind the header's participant and those before it. */
static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct space *space = inv->type->space;
    struct overlay *own = &inv->segment->overlay;
    struct kept fields, header;
    enum cairn_code code;

    if (!space->counts)
        return CAIRN_OK;
    /* The overlay of a transaction's record has what other objects change, too. */
    fields = kept_of(own, 0, own == commit->overlay ? commit->own_writes : own->count);
    header = kept_of(commit->overlay, commit->own_writes, commit->overlay->count);
    fields.objects += header.objects;
    fields.bytes += header.bytes;
    if (own->code != CAIRN_OK && commit->overlay->code == CAIRN_OK) {
        commit->overlay->code = own->code;
        commit->overlay->err = own->err;
    }
    if (!fields.objects && !fields.bytes)
        return CAIRN_OK;
    code = quota_keep(space, fields.objects, fields.bytes, err);
    if (code != CAIRN_OK)
        return code;
    commit->kept_objects = fields.objects;
    commit->kept_bytes = fields.bytes;
    kept_change(commit->overlay, space_payer(space)->name, fields);
    return CAIRN_OK;
}

static void undo(struct commit *commit)
{
    kept_undo(commit->inv->type->space, (struct kept){commit->kept_objects, commit->kept_bytes});
    commit->kept_objects = commit->kept_bytes = 0;
}

const struct participant kept_participant = {.concern = CONCERNS_KEPT, .prepare = prepare, .undo = undo};

/* --- opening ------------------------------------------------------------------------------------- */

enum cairn_code kept_open(struct cairn_worker *worker, struct shard *shard, struct cairn_err *err)
{
    struct overlay overlay = {0};
    struct tree names = names_of(&overlay);
    struct tree_cursor cursor;
    enum cairn_code code;
    bool there;

    overlay_reset(&overlay, shard->engine);
    for (there = tree_seek(&cursor, &names, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)); there;
         there = tree_next(&cursor)) {
        uint8_t key[KEPT_KEY_BYTES_MAX];
        struct cairn_bytes name = tree_key(&cursor);
        struct kept kept;

        if (name.size <= SPACE_NAME_BYTES_MAX && read_kept(&overlay, key_of(key, name), &kept))
            quota_keep_undo(spaces_intern(&worker->node->spaces, name), -kept.objects, -kept.bytes);
    }
    code = overlay.code;
    if (code != CAIRN_OK)
        *err = overlay.err;
    overlay_done(&overlay);
    return code;
}
