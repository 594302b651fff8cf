/* show.c - showing an object, a page at a time, and deleting it: invocations that run no guest. */
#include "admin/show.h"

#include "admin/page.h"
#include "admin/past.h"
#include "object/header.h"
#include "object/hold.h"
#include "object/host.h"
#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/segment.h"
#include "object/type.h"

/* Where a page begins: in the field of that number (the module's), at an entry, up to another; `to` 0: at its begin.
 * A list's entries are counted from the first that it ever had, so that a place stays where it is while others go. */
struct place {
    uint64_t field, from, to;
};

struct showing {
    struct invocation *inv;
    struct page page;
    uint64_t entries, limit;
    struct cairn_buf fields;
    uint64_t field_count;
    bool cut; /* the next page begins at `next` */
    struct place next;
};

static const char *kind_name(enum cairn_field_kind kind)
{
    return kind == CAIRN_FIELD_VALUE ? "value" : kind == CAIRN_FIELD_LIST ? "list" : "map";
}

static void begin_field(struct showing *showing, const struct cairn_field_decl *decl, uint64_t count)
{
    showing->field_count++;
    cairn_value_add_list(&showing->fields, 4);
    cairn_value_add_bytes(&showing->fields, cairn_str(decl->name));
    cairn_value_add_bytes(&showing->fields, cairn_str(kind_name(decl->kind)));
    cairn_value_add_int(&showing->fields, (int64_t)count);
}

static void show_value(struct showing *showing, const struct cairn_field_decl *decl)
{
    struct cairn_bytes value = {0};
    bool found = false;

    object_host_ops.value_get(showing->inv, decl->number, &value, &found, NULL);
    begin_field(showing, decl, found);
    if (found)
        cairn_value_add_bytes(&showing->fields, value);
    else
        cairn_value_add_nil(&showing->fields);
    showing->entries++;
}

static void add_entry(struct showing *showing, const struct cairn_field_decl *decl, uint64_t index,
                      struct cairn_buf *to)
{
    struct cairn_bytes key = {0}, value = {0};
    bool found = false;

    if (decl->kind == CAIRN_FIELD_LIST) {
        object_host_ops.list_get(showing->inv, decl->number, index, &value, &found, NULL);
    } else {
        object_host_ops.map_at(showing->inv, decl->number, index, &key, &value, &found, NULL);
        cairn_value_add_list(to, 2);
        cairn_value_add_bytes(to, found ? key : cairn_bytes(NULL, 0));
    }
    cairn_value_add_bytes(to, found ? value : cairn_bytes(NULL, 0));
}

/* A list's or a map's entries, as far as there is room, from where the page begins. */
static void show_entries(struct showing *showing, const struct cairn_field_decl *decl, const struct place *at)
{
    struct invocation *inv = showing->inv;
    const struct container *c = header_container(&inv->segment->overlay.arena, &inv->segment->header,
                                                 inv->type->fields[decl->number].number, false);
    bool list = decl->kind == CAIRN_FIELD_LIST;
    uint64_t first = c && list ? c->first : 0, count = c ? c->count : 0, end = first + count;
    uint64_t shown = count < showing->limit ? count : showing->limit;
    uint64_t from = list ? end - shown : first, to = from + shown, n;
    struct cairn_buf entries = {0};

    if (at->to) {
        from = at->from > first ? at->from : first;
        to = at->to < end ? at->to : end;
    }
    for (n = from;
         n < to && (n == from || !page_full(&showing->page, showing->entries, showing->fields.size + entries.size));
         n++, showing->entries++)
        add_entry(showing, decl, n - first, &entries);
    begin_field(showing, decl, count);
    cairn_value_add_list(&showing->fields, n > from ? n - from : 0);
    cairn_buf_add(&showing->fields, entries.data, entries.size);
    cairn_buf_done(&entries);
    if (n < to) {
        showing->cut = true;
        showing->next = (struct place){decl->number, n, to};
    }
}

/* All of the object's fields from that place on. */
static void show_fields(struct showing *showing, const struct cairn_type_decl *decl, size_t i, struct place at)
{
    for (; i < decl->field_count && !showing->cut; i++, at = (struct place){0}) {
        const struct cairn_field_decl *field = &decl->fields[i];

        if (showing->field_count && page_full(&showing->page, showing->entries, showing->fields.size)) {
            showing->cut = true;
            showing->next = (struct place){.field = field->number};
        } else if (field->kind == CAIRN_FIELD_VALUE) {
            show_value(showing, field);
        } else {
            show_entries(showing, field, &at);
        }
    }
}

/* The index of the field with which the page begins; false: no page of this object begins so. */
static bool find_place(struct cairn_bytes cursor, const struct cairn_type_decl *decl, struct place *ret_at,
                       size_t *ret_index)
{
    struct cairn_reader r = cairn_reader(cursor);

    *ret_index = 0;
    *ret_at = (struct place){0};
    if (!cursor.size)
        return true;
    ret_at->field = cairn_read_varint(&r);
    ret_at->from = cairn_read_varint(&r);
    ret_at->to = cairn_read_varint(&r);
    while (*ret_index < decl->field_count && decl->fields[*ret_index].number != ret_at->field)
        (*ret_index)++;
    return !r.bad && !cairn_reader_left(&r) && *ret_index < decl->field_count;
}

static void add_cursor(struct cairn_buf *to, const struct place *next)
{
    struct cairn_buf cursor = {0};

    cairn_buf_varint(&cursor, next->field);
    cairn_buf_varint(&cursor, next->from);
    cairn_buf_varint(&cursor, next->to);
    cairn_value_add_bytes(to, cairn_buf_bytes(&cursor));
    cairn_buf_done(&cursor);
}

static void show_object(struct invocation *inv)
{
    const struct cairn_request *request = inv->request;
    const struct cairn_type_decl *decl = inv->type->decl;
    struct showing showing = {.inv = inv, .limit = request->limit ? request->limit : PAGE_LIMIT_DEFAULT};
    struct place at;
    size_t first;

    if (inv->own)
        past_enter(inv);
    if (inv->segment->header.incarnation == 0) {
        set_error(inv, CAIRN_ENOTFOUND, "there is no such object: nothing was ever written to it, or it was deleted");
        return;
    }
    if (!find_place(request->cursor, decl, &at, &first)) {
        set_error(inv, CAIRN_EINVAL, "that cursor is of no page of this object");
        return;
    }
    inv->result.size = 0;
    if (request->peek)
        return;
    page_begin(&showing.page, inv->worker);
    show_fields(&showing, decl, first, at);
    cairn_value_add_list(&inv->result, 2);
    cairn_value_add_list(&inv->result, showing.field_count);
    cairn_buf_add(&inv->result, showing.fields.data, showing.fields.size);
    if (showing.cut)
        add_cursor(&inv->result, &showing.next);
    else
        cairn_value_add_nil(&inv->result);
    cairn_buf_done(&showing.fields);
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
                                         .heavy = true,
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
