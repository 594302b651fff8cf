/* show.c - showing and deleting an object: invocations that run no guest. */
#include "object/object_internal.h"

enum { SHOW_LIMIT_DEFAULT = 100, SHOW_LIMIT_MAX = 10000, SHOW_BYTES_MAX = 8 << 20 };

static const char *kind_name(enum cairn_field_kind kind)
{
    return kind == CAIRN_FIELD_VALUE ? "value" : kind == CAIRN_FIELD_LIST ? "list" : "map";
}

/* A field: [name, kind, count, content]. */
static void show_field(struct invocation *inv, const struct cairn_field_decl *decl, uint64_t limit,
                       struct cairn_buf *to)
{
    const struct cairn_host_ops *host = &object_host_ops;
    struct cairn_bytes key, value = {0};
    uint64_t count = 0, shown;
    bool found = false;

    cairn_value_add_list(to, 4);
    cairn_value_add_bytes(to, cairn_str(decl->name));
    cairn_value_add_bytes(to, cairn_str(kind_name(decl->kind)));
    if (decl->kind == CAIRN_FIELD_VALUE) {
        host->value_get(inv, decl->number, &value, &found, NULL);
        cairn_value_add_int(to, found);
        if (found)
            cairn_value_add_bytes(to, value);
        else
            cairn_value_add_nil(to);
        return;
    }
    if (decl->kind == CAIRN_FIELD_LIST)
        host->list_count(inv, decl->number, &count, NULL);
    else
        host->map_count(inv, decl->number, &count, NULL);
    shown = to->size > SHOW_BYTES_MAX ? 0 : count < limit ? count : limit;
    cairn_value_add_int(to, (int64_t)count);
    cairn_value_add_list(to, shown);
    for (uint64_t i = 0; i < shown; i++) {
        found = false;
        if (decl->kind == CAIRN_FIELD_LIST) {
            host->list_get(inv, decl->number, count - shown + i, &value, &found, NULL);
            cairn_value_add_bytes(to, found ? value : cairn_bytes(NULL, 0));
        } else {
            host->map_at(inv, decl->number, i, &key, &value, &found, NULL);
            cairn_value_add_list(to, 2);
            cairn_value_add_bytes(to, found ? key : cairn_bytes(NULL, 0));
            cairn_value_add_bytes(to, found ? value : cairn_bytes(NULL, 0));
        }
    }
}

void show_object(struct invocation *inv)
{
    const struct cairn_type_decl *decl = inv->type->decl;
    uint64_t limit = inv->request->limit ? inv->request->limit : SHOW_LIMIT_DEFAULT;

    if (inv->segment->header.incarnation == 0) {
        set_error(inv, CAIRN_ENOTFOUND, "there is no such object: nothing was ever written to it, or it was deleted");
        return;
    }
    if (limit > SHOW_LIMIT_MAX)
        limit = SHOW_LIMIT_MAX;
    inv->result.size = 0;
    cairn_value_add_list(&inv->result, decl->field_count);
    for (size_t i = 0; i < decl->field_count; i++)
        show_field(inv, &decl->fields[i], limit, &inv->result);
}

/* The segment's own writes to the object go too: all of them are fields of it. */
void delete_object(struct invocation *inv)
{
    struct segment *segment = inv->segment;
    bool there = segment->header.incarnation != 0;

    overlay_reset(&segment->overlay, inv->object->shard->engine);
    segment->deleted = inv->object->header.incarnation != 0;
    segment->header = (struct header){0};
    segment->header_dirty = segment->deleted;
    if (inv->op == CAIRN_OP_DELETE) {
        inv->result.size = 0;
        cairn_value_add_int(&inv->result, there);
    }
}
