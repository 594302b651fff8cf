/* kept.c - counting what a namespace keeps.
 *
 * A 38 value: varint objects, varint bytes, varint messages, varint bytes of these.  The names of the namespaces that
 * have one are a tree under 39. */
#include "object/kept.h"

#include <stdlib.h>

#include "object/commit.h"
#include "object/layout.h"
#include "object/posted.h"
#include "object/quota.h"
#include "object/table.h"
#include "object/timer.h"
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

static bool read_kept(struct overlay *overlay, struct cairn_bytes key, struct space_kept *ret_kept)
{
    struct cairn_bytes value;
    struct cairn_reader r;

    *ret_kept = (struct space_kept){0};
    if (!overlay_get(overlay, key, &value))
        return false;
    r = cairn_reader(value);
    ret_kept->objects = (int64_t)cairn_read_varint(&r);
    ret_kept->bytes = (int64_t)cairn_read_varint(&r);
    ret_kept->messages = (int64_t)cairn_read_varint(&r);
    ret_kept->message_bytes = (int64_t)cairn_read_varint(&r);
    return true;
}

static int64_t at_least_none(int64_t n)
{
    return n > 0 ? n : 0;
}

void kept_change(struct overlay *overlay, struct cairn_bytes space, struct space_kept more)
{
    uint8_t key_bytes[KEPT_KEY_BYTES_MAX], value[4 * CAIRN_VARINT_BYTES_MAX];
    struct cairn_bytes key = key_of(key_bytes, space);
    struct tree names = names_of(overlay);
    struct space_kept kept;
    bool there = read_kept(overlay, key, &kept);
    size_t n = 0;

    kept.objects = at_least_none(kept.objects + more.objects);
    kept.bytes = at_least_none(kept.bytes + more.bytes);
    kept.messages = at_least_none(kept.messages + more.messages);
    kept.message_bytes = at_least_none(kept.message_bytes + more.message_bytes);
    if (!kept.objects && !kept.bytes && !kept.messages) {
        if (there) {
            overlay_remove(overlay, key);
            tree_remove(&names, space);
        }
        return;
    }
    n += cairn_put_varint(value + n, (uint64_t)kept.objects);
    n += cairn_put_varint(value + n, (uint64_t)kept.bytes);
    n += cairn_put_varint(value + n, (uint64_t)kept.messages);
    n += cairn_put_varint(value + n, (uint64_t)kept.message_bytes);
    overlay_put(overlay, key, cairn_bytes(value, n));
    if (!there)
        tree_add(&names, space);
}

static bool is_message(uint8_t kind)
{
    return kind == KEY_LINE || kind == KEY_LATER || kind == KEY_SIDE_ENTRY || kind == KEY_OUTBOX || kind == KEY_DEAD;
}

static bool is_letter(uint8_t kind)
{
    return is_message(kind) || kind == KEY_TIMER;
}

static void add_one(struct space_kept *to, uint8_t kind, int64_t bytes, int sign)
{
    to->bytes += sign * bytes;
    to->objects += kind == KEY_HEADER ? sign : 0;
    to->messages += is_message(kind) ? sign : 0;
    to->message_bytes += is_message(kind) ? sign * bytes : 0;
}

static void end_walk(struct overlay *overlay)
{
    if (overlay->engine->failed)
        overlay->code = cairn_engine_take_failure(overlay->engine, &overlay->err);
}

struct space_kept kept_of(struct overlay *overlay, uint32_t first, uint32_t end)
{
    struct cairn_view *engine = overlay->engine;
    struct space_kept more = {0};

    for (uint32_t i = first; i < end; i++) {
        const struct cairn_write *w = &overlay->writes[i];
        uint8_t kind = w->key.data[0];
        struct cairn_bytes old = {0};

        if (kind != KEY_FIELD && kind != KEY_HEADER && !is_letter(kind))
            continue;
        if (engine->ops->get(engine, w->key, w->hash, &old))
            add_one(&more, kind, (int64_t)(w->key.size + old.size), -1);
        if (!w->deleted)
            add_one(&more, kind, (int64_t)(w->key.size + w->value.size), 1);
    }
    end_walk(overlay);
    return more;
}

static bool kept_is_none(struct space_kept kept)
{
    return !kept.objects && !kept.bytes && !kept.messages && !kept.message_bytes;
}

/* --- messages and timers, of any namespaces --- */

/* NULL: it is not counted, as what cannot be read, which has no namespace. */
static struct space_kept *part_of(struct kept_parts *parts, struct spaces *spaces, uint8_t kind,
                                  struct cairn_bytes value)
{
    struct cairn_bytes name;
    struct posted posted;
    struct timer timer;
    struct space *space;

    if (kind == KEY_TIMER ? !timer_decode(value, &timer) : !posted_decode(value, &posted))
        return NULL;
    name = kind == KEY_TIMER ? timer.space : posted.space;
    if (!name.size || cairn_bytes_equal(name, cairn_str(SPACE_DEFAULT)))
        return NULL;
    space = space_payer(spaces_intern(spaces, name));
    for (uint32_t i = 0; i < parts->count; i++)
        if (parts->parts[i].space == space)
            return &parts->parts[i].more;
    if (parts->count == parts->room) {
        parts->room = parts->room ? 2 * parts->room : 4;
        parts->parts = cairn_realloc(parts->parts, parts->room * sizeof *parts->parts);
    }
    parts->parts[parts->count] = (struct kept_part){.space = space};
    return &parts->parts[parts->count++].more;
}

void kept_count_letters(struct spaces *spaces, struct overlay *overlay, struct kept_parts *parts)
{
    struct cairn_view *engine = overlay->engine;

    for (uint32_t i = 0; i < overlay->count; i++) {
        const struct cairn_write *w = &overlay->writes[i];
        uint8_t kind = w->key.data[0];
        struct cairn_bytes old;
        struct space_kept *more;

        if (!is_letter(kind))
            continue;
        if (engine->ops->get(engine, w->key, w->hash, &old) && (more = part_of(parts, spaces, kind, old)) != NULL)
            add_one(more, kind, (int64_t)(w->key.size + old.size), -1);
        if (!w->deleted && (more = part_of(parts, spaces, kind, w->value)) != NULL)
            add_one(more, kind, (int64_t)(w->key.size + w->value.size), 1);
    }
    end_walk(overlay);
    for (uint32_t i = 0; i < parts->count; i++) {
        quota_keep_anyway(parts->parts[i].space, parts->parts[i].more);
        kept_change(overlay, parts->parts[i].space->name, parts->parts[i].more);
    }
}

void kept_parts_undo(const struct kept_parts *parts)
{
    for (uint32_t i = 0; i < parts->count; i++)
        quota_keep_undo(parts->parts[i].space, parts->parts[i].more);
}

void kept_parts_done(struct kept_parts *parts)
{
    free(parts->parts);
    *parts = (struct kept_parts){0};
}

/* --- of a record that is one namespace's --- */

enum cairn_code kept_count(struct space *space, struct overlay *overlay, struct space_kept *ret_more,
                           struct cairn_err *err)
{
    enum cairn_code code;

    *ret_more = (struct space_kept){0};
    if (!space || !space->counts)
        return CAIRN_OK;
    *ret_more = kept_of(overlay, 0, overlay->count);
    code = quota_keep(space, *ret_more, err);
    if (code != CAIRN_OK)
        *ret_more = (struct space_kept){0};
    else
        kept_change(overlay, space_payer(space)->name, *ret_more);
    return code;
}

void kept_undo(struct space *space, struct space_kept more)
{
    if (!kept_is_none(more))
        quota_keep_undo(space, more);
}

/* --- of a segment's record ----------------------------------------------------------------------- */

/* Behind all others: the namespace has what they add, too. */
static enum cairn_code prepare(struct commit *commit, struct cairn_err *err)
{
    struct invocation *inv = commit->inv;
    struct space *space = inv->type->space;
    struct overlay *own = &inv->segment->overlay;
    struct space_kept more, added;
    enum cairn_code code;

    if (!space->counts)
        return CAIRN_OK;
    /* The overlay of a transaction's record has what other objects change, too. */
    more = kept_of(own, 0, own == commit->overlay ? commit->own_writes : own->count);
    added = kept_of(commit->overlay, commit->own_writes, commit->overlay->count);
    more.objects += added.objects;
    more.bytes += added.bytes;
    more.messages += added.messages;
    more.message_bytes += added.message_bytes;
    if (own->code != CAIRN_OK && commit->overlay->code == CAIRN_OK) {
        commit->overlay->code = own->code;
        commit->overlay->err = own->err;
    }
    if (kept_is_none(more))
        return CAIRN_OK;
    code = quota_keep(space, more, err);
    if (code != CAIRN_OK)
        return code;
    commit->kept = more;
    kept_change(commit->overlay, space_payer(space)->name, more);
    return CAIRN_OK;
}

static void undo(struct commit *commit)
{
    kept_undo(commit->inv->type->space, commit->kept);
    commit->kept = (struct space_kept){0};
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
        struct space_kept kept;

        if (name.size <= SPACE_NAME_BYTES_MAX && read_kept(&overlay, key_of(key, name), &kept))
            quota_keep_anyway(spaces_intern(&worker->node->spaces, name), kept);
    }
    code = overlay.code;
    if (code != CAIRN_OK)
        *err = overlay.err;
    overlay_done(&overlay);
    return code;
}
