/* show.c - showing an object, a page at a time, and deleting it: invocations that run no guest. */
#include "admin/show.h"

#include "admin/page.h"
#include "admin/past.h"
#include "admin/timers.h"
#include "object/header.h"
#include "object/hold.h"
#include "object/host.h"
#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/segment.h"
#include "object/timers.h"
#include "object/type.h"

/* Where a page begins: in the field of that number (the module's), at an entry, up to another; `to` 0: at its begin.
 * A list's entries are counted from the first that it ever had, so that a place stays where it is while others go; an
 * ordered map's place is a key. */
struct place {
    uint64_t field, from, to;
    /* Of an ordered map instead: behind that key, `left` entries more; 0: at its begin. */
    struct cairn_bytes after;
    uint64_t left;
};

enum { TIMERS_SHOWN = 20 };

struct showing {
    struct invocation *inv;
    struct page page;
    uint64_t entries, limit;
    struct cairn_buf fields;
    uint64_t field_count;
    bool cut; /* the next page begins at `next` */
    struct place next;
    struct cairn_buf after; /* next.after lies there */
};

static void begin_field(struct showing *showing, const struct cairn_field_decl *decl, uint64_t count)
{
    showing->field_count++;
    cairn_value_add_list(&showing->fields, 4);
    cairn_value_add_bytes(&showing->fields, cairn_str(decl->name));
    cairn_value_add_bytes(&showing->fields, cairn_str(cairn_field_kind_name(decl->kind)));
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
        showing->next = (struct place){.field = decl->number, .from = n, .to = to};
    }
}

struct ordered_page {
    struct cairn_taker taker; /* first */
    struct showing *showing;
    struct cairn_buf entries;
    uint64_t count;
    bool full; /* there is another entry, which did not fit */
};

static bool take_ordered(struct cairn_taker *taker, struct cairn_bytes key, struct cairn_bytes value)
{
    struct ordered_page *page = (struct ordered_page *)taker;
    struct showing *showing = page->showing;

    page->full = page->count && page_full(&showing->page, showing->entries, showing->fields.size + page->entries.size);
    if (page->full)
        return false;
    cairn_value_add_list(&page->entries, 2);
    cairn_value_add_bytes(&page->entries, key);
    cairn_value_add_bytes(&page->entries, value);
    showing->after.size = 0;
    cairn_buf_add(&showing->after, key.data, key.size);
    showing->entries++;
    page->count++;
    return true;
}

/* The entries of an ordered map that the request asks for, as far as there is room. */
static void show_ordered(struct showing *showing, const struct cairn_field_decl *decl, const struct place *at)
{
    struct invocation *inv = showing->inv;
    const struct cairn_request *request = inv->request;
    uint64_t left = at->left ? at->left : showing->limit, count = 0;
    struct cairn_range range = {
        .low = request->from, .high = request->to, .no_high = !request->has_to, .backward = request->reverse};
    struct ordered_page page = {
        .taker = {.take = take_ordered, .want = left > UINT32_MAX ? UINT32_MAX : (uint32_t)left}, .showing = showing};

    if (at->left && range.backward) {
        range.high = at->after;
        range.no_high = false;
    } else if (at->left) {
        range.low = at->after;
        range.above_low = true;
    }
    object_host_ops.ordered_count(inv, decl->number, &count, NULL);
    object_host_ops.ordered_read(inv, decl->number, &range, &page.taker, NULL);
    begin_field(showing, decl, count);
    cairn_value_add_list(&showing->fields, page.count);
    cairn_buf_add(&showing->fields, page.entries.data, page.entries.size);
    cairn_buf_done(&page.entries);
    if (page.full) {
        showing->cut = true;
        showing->next =
            (struct place){.field = decl->number, .after = cairn_buf_bytes(&showing->after), .left = left - page.count};
    }
}

static bool is_wanted(const struct cairn_request *request, const struct cairn_field_decl *field)
{
    return !request->name.size || cairn_bytes_equal(request->name, cairn_str(field->name));
}

/* All of the object's fields from that place on. */
static void show_fields(struct showing *showing, const struct cairn_type_decl *decl, size_t i, struct place at)
{
    for (; i < decl->field_count && !showing->cut; i++, at = (struct place){0}) {
        const struct cairn_field_decl *field = &decl->fields[i];

        if (!is_wanted(showing->inv->request, field))
            continue;
        if (showing->field_count && page_full(&showing->page, showing->entries, showing->fields.size)) {
            showing->cut = true;
            showing->next = (struct place){.field = field->number};
        } else if (field->kind == CAIRN_FIELD_VALUE) {
            show_value(showing, field);
        } else if (field->kind == CAIRN_FIELD_ORDERED) {
            show_ordered(showing, field, &at);
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
    ret_at->left = cairn_read_varint(&r);
    ret_at->after = cairn_read_sized(&r);
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
    cairn_buf_varint(&cursor, next->left);
    cairn_buf_varint(&cursor, next->after.size);
    cairn_buf_add(&cursor, next->after.data, next->after.size);
    cairn_value_add_bytes(to, cairn_buf_bytes(&cursor));
    cairn_buf_done(&cursor);
}

/* [the first TIMERS_SHOWN of the object's timers, 1 if there are more]; false: it has none. */
static bool add_timers(struct invocation *inv, struct cairn_buf *to)
{
    struct overlay *overlay = &inv->segment->overlay;
    uint64_t incarnation = inv->segment->header.incarnation, count = 0;
    uint8_t bytes[TIMER_NAME_BYTES_MAX];
    struct cairn_bytes name = cairn_bytes(bytes, 0);
    struct cairn_buf items = {0};
    bool more;

    while ((more = timers_next(overlay, incarnation, name, bytes, &name)) && count < TIMERS_SHOWN) {
        struct timer timer;

        if (!timers_get(overlay, incarnation, name, &timer))
            continue;
        timers_add_item(&items, name, &timer);
        count++;
    }
    if (count) {
        cairn_value_add_list(to, 2);
        cairn_value_add_list(to, count);
        cairn_buf_add(to, items.data, items.size);
        cairn_value_add_int(to, more);
    }
    cairn_buf_done(&items);
    return count > 0;
}

static bool has_field(const struct cairn_type_decl *decl, struct cairn_bytes name)
{
    for (size_t i = 0; i < decl->field_count; i++)
        if (cairn_bytes_equal(name, cairn_str(decl->fields[i].name)))
            return true;
    return false;
}

static void show_object(struct invocation *inv)
{
    const struct cairn_request *request = inv->request;
    const struct cairn_type_decl *decl = inv->type->decl;
    struct showing showing = {.inv = inv, .limit = request->limit ? request->limit : PAGE_LIMIT_DEFAULT};
    struct cairn_buf timers = {0};
    bool has_timers = false;
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
    if (request->name.size && !has_field(decl, request->name)) {
        set_error(inv, CAIRN_EINVAL, "the type has no such field; see `cairn types`");
        return;
    }
    inv->result.size = 0;
    if (request->peek)
        return;
    page_begin(&showing.page, inv->worker);
    show_fields(&showing, decl, first, at);
    if (!showing.cut && !inv->own && !request->name.size) /* with all of it, as it is now */
        has_timers = add_timers(inv, &timers);
    cairn_value_add_list(&inv->result, has_timers ? 3 : 2);
    cairn_value_add_list(&inv->result, showing.field_count);
    cairn_buf_add(&inv->result, showing.fields.data, showing.fields.size);
    if (showing.cut)
        add_cursor(&inv->result, &showing.next);
    else
        cairn_value_add_nil(&inv->result);
    cairn_buf_add(&inv->result, timers.data, timers.size);
    cairn_buf_done(&timers);
    cairn_buf_done(&showing.fields);
    cairn_buf_done(&showing.after);
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
