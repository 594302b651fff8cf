/* fields.c - what a function's reads and writes of fields cost when the fields are elsewhere.
 *
 * Without batching every host call on a field is one request, and every entry of a range is one too: a client of a
 * key-value store in a function does just that.
 * With batching a segment keeps what it has read, ranges are fetched at once (RANGE_LIST or RANGE_MAP entries), and
 * all writes leave in one request at the segment's end, which the storage applies as one record.  What cannot be
 * told locally (a map's order after changes to it, and operations that ReTwis does not use) first writes what there
 * is and then asks. */
#include <stdio.h>
#include <stdlib.h>

#include "disagg.h"

enum { RANGE_LIST = 16, RANGE_MAP = 1024 };

struct entry { /* of a map */
    struct cairn_bytes key, value;
    bool found, dirty;
};

struct push {
    struct push *next;
    struct cairn_bytes value;
};

/* All memory is the segment's arena. */
struct field {
    struct field *next;
    uint32_t number;
    bool dirty;

    bool known, found; /* value */
    struct cairn_bytes value;

    bool counted; /* list: how many there were, how many of them are dropped, what is pushed behind them */
    uint64_t count, dropped, pushed;
    struct push *first, *last;

    struct entry *entries; /* map */
    uint32_t entry_count, entry_room;

    uint64_t from, to, last_read; /* entries at hand of a list or map, and the last one asked for */
    bool whole;                   /* a map: nothing lies beyond `to` */
    struct cairn_bytes *range;
};

static struct cairn_bytes none(void)
{
    return cairn_bytes(NULL, 0);
}

/* --- one request per operation --------------------------------------------------------------------- */

static struct field_reply keep(struct invocation *inv, struct field_reply reply)
{
    struct cairn_bytes strings = {reply.strings.at, cairn_reader_left(&reply.strings)};

    reply.strings = cairn_reader(cairn_arena_copy(&inv->segment, strings));
    return reply;
}

/* Asks the storage; the reply lasts as long as the segment. */
static struct field_reply ask(struct invocation *inv, enum field_op op, uint32_t field, uint64_t number,
                              struct cairn_bytes key, struct cairn_bytes value)
{
    struct remote *remote = inv->thread->remote;
    struct field_reply reply;

    if (inv->journal_at < inv->journal_count)
        return inv->journal[inv->journal_at++];
    remote_begin(remote, inv->name);
    remote_add(remote, op, field, number, key, value);
    remote_send(remote);
    reply = keep(inv, remote_take(remote));
    if (inv->thread->platform->batch)
        return reply;
    if (inv->journal_count == inv->journal_room) {
        inv->journal_room = inv->journal_room ? 2 * inv->journal_room : 32;
        inv->journal = cairn_realloc(inv->journal, inv->journal_room * sizeof *inv->journal);
    }
    inv->journal[inv->journal_count++] = reply;
    inv->journal_at = inv->journal_count;
    return reply;
}

static struct field_reply ask_range(struct invocation *inv, enum field_op op, uint32_t field, uint64_t from, unsigned n)
{
    char digits[16];

    snprintf(digits, sizeof digits, "%u", n);
    return ask(inv, op, field, from, cairn_str(digits), none());
}

/* --- what the segment knows --------------------------------------------------------------------------- */

static bool batching(const struct invocation *inv)
{
    return inv->thread->platform->batch;
}

static struct field *field_of(struct invocation *inv, uint32_t number)
{
    struct field *f = inv->fields;

    while (f && f->number != number)
        f = f->next;
    if (!f) {
        f = cairn_arena_alloc(&inv->segment, sizeof *f);
        *f = (struct field){.next = inv->fields, .number = number};
        inv->fields = f;
    }
    return f;
}

static void add_writes(struct invocation *inv, const struct field *f, size_t *count)
{
    struct remote *remote = inv->thread->remote;

    if (f->known && f->dirty) {
        remote_add(remote, f->found ? FIELD_VALUE_SET : FIELD_VALUE_CLEAR, f->number, 0, none(), f->value);
        ++*count;
    }
    for (const struct push *p = f->first; p; p = p->next, ++*count)
        remote_add(remote, FIELD_LIST_PUSH, f->number, 0, none(), p->value);
    if (f->dropped) {
        remote_add(remote, FIELD_LIST_DROP, f->number, f->dropped, none(), none());
        ++*count;
    }
    for (uint32_t i = 0; i < f->entry_count; i++) {
        const struct entry *e = &f->entries[i];

        if (!e->dirty)
            continue;
        remote_add(remote, e->found ? FIELD_MAP_SET : FIELD_MAP_REMOVE, f->number, 0, e->key, e->value);
        ++*count;
    }
}

void fields_flush(struct invocation *inv)
{
    struct remote *remote = inv->thread->remote;
    size_t count = 0;

    remote_begin(remote, inv->name);
    for (const struct field *f = inv->fields; f; f = f->next)
        if (f->dirty)
            add_writes(inv, f, &count);
    if (!count)
        return;
    remote_send(remote);
    while (count-- > 0)
        remote_take(remote);
    inv->fields = NULL;
    inv->flushed = true;
}

/* Asks although something was written: what was written goes first. */
static struct field_reply ask_after_flush(struct invocation *inv, enum field_op op, uint32_t field, uint64_t number,
                                          struct cairn_bytes key, struct cairn_bytes value)
{
    fields_flush(inv);
    inv->fields = NULL;
    return ask(inv, op, field, number, key, value);
}

void fields_reset(struct invocation *inv, bool again)
{
    inv->fields = NULL;
    if (again) {
        if (inv->flushed)
            die("an invocation started over", "after it had written before its segment's end");
        inv->journal_at = 0;
        return;
    }
    inv->flushed = false;
    inv->journal_count = inv->journal_at = 0;
    cairn_arena_reset(&inv->segment);
}

/* --- values --------------------------------------------------------------------------------------------- */

enum cairn_code fields_value_get(void *run, uint32_t field, struct cairn_bytes *ret_value, bool *ret_found,
                                 struct cairn_err *err)
{
    struct invocation *inv = run;
    struct field *f = batching(inv) ? field_of(inv, field) : NULL;

    (void)err;
    if (!f || !f->known) {
        struct field_reply reply = ask(inv, FIELD_VALUE_GET, field, 0, none(), none());
        struct cairn_bytes value = reply.number ? cairn_read_sized(&reply.strings) : none();

        *ret_found = reply.number > 0;
        *ret_value = value;
        if (f) {
            f->known = true;
            f->found = *ret_found;
            f->value = value;
        }
        return CAIRN_OK;
    }
    *ret_found = f->found;
    *ret_value = f->value;
    return CAIRN_OK;
}

static void value_put(struct invocation *inv, uint32_t field, struct cairn_bytes value, bool found)
{
    struct field *f;

    if (!batching(inv)) {
        ask(inv, found ? FIELD_VALUE_SET : FIELD_VALUE_CLEAR, field, 0, none(), value);
        return;
    }
    f = field_of(inv, field);
    f->known = f->dirty = true;
    f->found = found;
    f->value = cairn_arena_copy(&inv->segment, value);
}

enum cairn_code fields_value_set(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    (void)err;
    value_put(run, field, value, true);
    return CAIRN_OK;
}

enum cairn_code fields_value_clear(void *run, uint32_t field, struct cairn_err *err)
{
    (void)err;
    value_put(run, field, none(), false);
    return CAIRN_OK;
}

/* --- lists ------------------------------------------------------------------------------------------------ */

static uint64_t list_there(struct invocation *inv, struct field *f)
{
    if (!f->counted)
        f->count = ask(inv, FIELD_LIST_COUNT, f->number, 0, none(), none()).number;
    f->counted = true;
    return f->count - f->dropped;
}

enum cairn_code fields_list_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    if (batching(inv)) {
        struct field *f = field_of(inv, field);

        *ret_count = list_there(inv, f) + f->pushed;
    } else {
        *ret_count = ask(inv, FIELD_LIST_COUNT, field, 0, none(), none()).number;
    }
    return CAIRN_OK;
}

enum cairn_code fields_list_push(void *run, uint32_t field, struct cairn_bytes value, struct cairn_err *err)
{
    struct invocation *inv = run;
    struct field *f;
    struct push *p;

    (void)err;
    if (!batching(inv)) {
        ask(inv, FIELD_LIST_PUSH, field, 0, none(), value);
        return CAIRN_OK;
    }
    f = field_of(inv, field);
    p = cairn_arena_alloc(&inv->segment, sizeof *p);
    *p = (struct push){.value = cairn_arena_copy(&inv->segment, value)};
    if (f->last)
        f->last->next = p;
    else
        f->first = p;
    f->last = p;
    f->pushed++;
    f->dirty = true;
    return CAIRN_OK;
}

enum cairn_code fields_list_set(void *run, uint32_t field, uint64_t index, struct cairn_bytes value, bool *ret_found,
                                struct cairn_err *err)
{
    (void)err;
    *ret_found = ask_after_flush(run, FIELD_LIST_SET, field, index, none(), value).number > 0;
    return CAIRN_OK;
}

/* Fetches around `index`, on in the direction in which the reader goes. */
static void list_fetch(struct invocation *inv, struct field *f, uint64_t index)
{
    bool onward = index == 0 || index == f->last_read + 1;
    struct field_reply reply;

    f->from = onward || index < RANGE_LIST ? index : index - RANGE_LIST + 1;
    if (!onward && index < RANGE_LIST)
        f->from = 0;
    reply = ask_range(inv, FIELD_LIST_RANGE, f->number, f->from, RANGE_LIST);
    f->to = f->from + reply.number;
    f->range = cairn_arena_alloc(&inv->segment, (size_t)reply.number * sizeof *f->range);
    for (uint64_t i = 0; i < reply.number; i++)
        f->range[i] = cairn_read_sized(&reply.strings);
}

enum cairn_code fields_list_get(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_value,
                                bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    uint64_t there, at;
    struct field *f;

    (void)err;
    if (!batching(inv)) {
        struct field_reply reply = ask_range(inv, FIELD_LIST_RANGE, field, index, 1);

        *ret_found = reply.number > 0;
        if (*ret_found)
            *ret_value = cairn_read_sized(&reply.strings);
        return CAIRN_OK;
    }
    f = field_of(inv, field);
    there = list_there(inv, f);
    *ret_found = index < there + f->pushed;
    if (!*ret_found)
        return CAIRN_OK;
    if (index >= there) {
        struct push *p = f->first;

        for (uint64_t i = index - there; i > 0; i--)
            p = p->next;
        *ret_value = p->value;
        return CAIRN_OK;
    }
    at = index + f->dropped;
    if (at < f->from || at >= f->to)
        list_fetch(inv, f, at);
    f->last_read = at;
    *ret_found = at >= f->from && at < f->to;
    if (*ret_found)
        *ret_value = f->range[at - f->from];
    return CAIRN_OK;
}

enum cairn_code fields_list_drop(void *run, uint32_t field, uint64_t count, bool from_back, uint64_t *ret_dropped,
                                 struct cairn_err *err)
{
    struct invocation *inv = run;
    struct field *f = batching(inv) ? field_of(inv, field) : NULL;

    (void)err;
    if (f && !from_back && count <= list_there(inv, f)) {
        f->dropped += count;
        f->dirty = true;
        *ret_dropped = count;
        return CAIRN_OK;
    }
    *ret_dropped =
        ask_after_flush(inv, from_back ? FIELD_LIST_DROP_NEW : FIELD_LIST_DROP, field, count, none(), none()).number;
    return CAIRN_OK;
}

/* --- maps --------------------------------------------------------------------------------------------------- */

static struct entry *entry_of(struct field *f, struct cairn_bytes key)
{
    for (uint32_t i = 0; i < f->entry_count; i++)
        if (cairn_bytes_equal(f->entries[i].key, key))
            return &f->entries[i];
    return NULL;
}

static struct entry *entry_add(struct invocation *inv, struct field *f, struct cairn_bytes key)
{
    if (f->entry_count == f->entry_room) {
        uint32_t room = f->entry_room ? 2 * f->entry_room : 8;
        struct entry *entries = cairn_arena_alloc(&inv->segment, room * sizeof *entries);

        if (f->entry_count)
            memcpy(entries, f->entries, f->entry_count * sizeof *entries);
        f->entries = entries;
        f->entry_room = room;
    }
    f->entries[f->entry_count] = (struct entry){.key = cairn_arena_copy(&inv->segment, key)};
    return &f->entries[f->entry_count++];
}

static struct entry *entry_read(struct invocation *inv, struct field *f, struct cairn_bytes key)
{
    struct entry *e = entry_of(f, key);
    struct field_reply reply;

    if (e)
        return e;
    reply = ask(inv, FIELD_MAP_GET, f->number, 0, key, none());
    e = entry_add(inv, f, key);
    e->found = reply.number > 0;
    if (e->found)
        e->value = cairn_read_sized(&reply.strings);
    return e;
}

enum cairn_code fields_map_count(void *run, uint32_t field, uint64_t *ret_count, struct cairn_err *err)
{
    (void)err;
    *ret_count = ask_after_flush(run, FIELD_MAP_COUNT, field, 0, none(), none()).number;
    return CAIRN_OK;
}

enum cairn_code fields_map_get(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes *ret_value,
                               bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;

    (void)err;
    if (batching(inv)) {
        const struct entry *e = entry_read(inv, field_of(inv, field), key);

        *ret_found = e->found;
        *ret_value = e->value;
    } else {
        struct field_reply reply = ask(inv, FIELD_MAP_GET, field, 0, key, none());

        *ret_found = reply.number > 0;
        if (*ret_found)
            *ret_value = cairn_read_sized(&reply.strings);
    }
    return CAIRN_OK;
}

enum cairn_code fields_map_set(void *run, uint32_t field, struct cairn_bytes key, struct cairn_bytes value,
                               struct cairn_err *err)
{
    struct invocation *inv = run;
    struct field *f;
    struct entry *e;

    (void)err;
    if (!batching(inv)) {
        ask(inv, FIELD_MAP_SET, field, 0, key, value);
        return CAIRN_OK;
    }
    f = field_of(inv, field);
    e = entry_of(f, key);
    if (!e)
        e = entry_add(inv, f, key);
    e->found = e->dirty = f->dirty = true;
    e->value = cairn_arena_copy(&inv->segment, value);
    return CAIRN_OK;
}

enum cairn_code fields_map_remove(void *run, uint32_t field, struct cairn_bytes key, bool *ret_found,
                                  struct cairn_err *err)
{
    struct invocation *inv = run;
    struct field *f;
    struct entry *e;

    (void)err;
    if (!batching(inv)) {
        *ret_found = ask(inv, FIELD_MAP_REMOVE, field, 0, key, none()).number > 0;
        return CAIRN_OK;
    }
    f = field_of(inv, field);
    e = entry_read(inv, f, key);
    *ret_found = e->found;
    if (e->found) {
        e->found = false;
        e->dirty = f->dirty = true;
        e->value = none();
    }
    return CAIRN_OK;
}

static void map_fetch(struct invocation *inv, struct field *f, uint64_t place)
{
    struct field_reply reply = ask_range(inv, FIELD_MAP_RANGE, f->number, place, RANGE_MAP);

    f->from = place;
    f->to = place + reply.number;
    f->whole = inv->thread->platform->redis || reply.number < RANGE_MAP;
    f->range = cairn_arena_alloc(&inv->segment, (size_t)reply.number * 2 * sizeof *f->range);
    for (uint64_t i = 0; i < 2 * reply.number; i++)
        f->range[i] = cairn_read_sized(&reply.strings);
}

enum cairn_code fields_map_at(void *run, uint32_t field, uint64_t index, struct cairn_bytes *ret_key,
                              struct cairn_bytes *ret_value, bool *ret_found, struct cairn_err *err)
{
    struct invocation *inv = run;
    struct field *f;

    (void)err;
    if (!batching(inv)) {
        struct field_reply reply = ask_range(inv, FIELD_MAP_RANGE, field, index, 1);

        *ret_found = reply.number > 0;
        if (*ret_found) {
            *ret_key = cairn_read_sized(&reply.strings);
            *ret_value = cairn_read_sized(&reply.strings);
        }
        return CAIRN_OK;
    }
    f = field_of(inv, field);
    if (f->dirty) {
        fields_flush(inv);
        f = field_of(inv, field);
    }
    if (!f->range || index < f->from || (index >= f->to && !f->whole))
        map_fetch(inv, f, index);
    *ret_found = index >= f->from && index < f->to;
    if (*ret_found) {
        *ret_key = f->range[2 * (index - f->from)];
        *ret_value = f->range[2 * (index - f->from) + 1];
    }
    return CAIRN_OK;
}
