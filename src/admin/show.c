#include "admin/show.h"

#include "admin/past.h"
#include "object/hold.h"
#include "object/host.h"
#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/segment.h"
#include "object/type.h"

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

static void show_object(struct invocation *inv)
{
    const struct cairn_type_decl *decl = inv->type->decl;
    uint64_t limit = inv->request->limit ? inv->request->limit : SHOW_LIMIT_DEFAULT;

    if (inv->own)
        past_enter(inv);
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

static void delete_object(struct invocation *inv)
{
    bool there = inv->segment->header.incarnation != 0;

    segment_delete(inv);
    inv->result.size = 0;
    cairn_value_add_int(&inv->result, there);
}

static void show_submit(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->request->number || inv->request->at_ms)
        past_begin(worker, inv);
    else
        submit_to_object(worker, inv);
}

const struct operation show_operation = {.name = "show",
                                         .aim = AIM_OBJECT,
                                         .reads = true,
                                         .submit = show_submit,
                                         .receive = receive_invocation,
                                         .run = show_object,
                                         .leave = past_leave,
                                         .drop = past_drop,
                                         .answer = hold_answer};

const struct operation delete_operation = {.name = "delete",
                                           .aim = AIM_OBJECT,
                                           .submit = submit_to_object,
                                           .receive = receive_invocation,
                                           .run = delete_object,
                                           .answer = hold_answer};
