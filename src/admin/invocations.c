/* invocations.c - open durable invocations: tours (tour.h), of all shards for a list, to one for all else.
 *
 * The place of a list's cursor is be64 of the last number that was looked at; that of a journal's is varint chunk |
 * varint bytes of it | varint host calls | varint calls before it (object/durable_list.h). */
#include "admin/invocations.h"

#include <inttypes.h>
#include <stdio.h>

#include "admin/tour.h"
#include "object/durable_ask.h"
#include "object/durable_cancel.h"
#include "object/durable_list.h"
#include "object/hold.h"
#include "object/worker.h"

enum {
    PREVIEW_BYTES = 256,
    JOURNAL_BYTES_MAX = 16 << 10, /* of one that is read to tell which call is waited for */
    ID_TEXT_BYTES = 32,
};

struct invocations_tour {
    struct tour tour; /* first */
    uint64_t number;
};

/* --- ids: "SHARD-HEX" --- */

static struct cairn_bytes id_text(uint32_t shard, uint64_t number, char to[ID_TEXT_BYTES])
{
    snprintf(to, ID_TEXT_BYTES, "%" PRIu32 "-%" PRIx64, shard, number);
    return cairn_str(to);
}

static bool read_id(struct cairn_bytes text, uint32_t *ret_shard, uint64_t *ret_number)
{
    uint64_t shard = 0, number = 0;
    size_t at = 0, digits = 0;

    for (; at < text.size && at < 9 && text.data[at] >= '0' && text.data[at] <= '9'; at++)
        shard = shard * 10 + (uint64_t)(text.data[at] - '0');
    if (at == 0 || at >= text.size || text.data[at++] != '-')
        return false;
    for (; at < text.size; at++, digits++) {
        uint8_t c = text.data[at];

        if (digits >= 16 || !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        number = number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret_shard = (uint32_t)shard;
    *ret_number = number;
    return digits && number;
}

/* --- what of one is told --- */

/* "TYPE/ID METHOD" */
static void add_called(struct cairn_buf *to, struct cairn_bytes type, struct cairn_bytes id, struct cairn_bytes method)
{
    struct cairn_buf text = {0};

    cairn_buf_add(&text, type.data, type.size);
    cairn_buf_u8(&text, '/');
    cairn_buf_add(&text, id.data, id.size);
    cairn_buf_u8(&text, ' ');
    cairn_buf_add(&text, method.data, method.size);
    cairn_value_add_bytes(to, cairn_buf_bytes(&text));
    cairn_buf_done(&text);
}

/* The call that has this number, if it stands near enough to the beginning of the journal. */
static void add_awaited(struct cairn_buf *to, struct shard *shard, const struct durable_item *item)
{
    struct durable_walk walk = {.engine = shard->engine, .number = item->number};
    struct cairn_bytes type, id, method;
    struct journal_entry entry;
    bool found = false;

    for (size_t bytes = 0; !found && bytes < JOURNAL_BYTES_MAX && durable_walk_next(&walk, &entry);
         bytes += entry.result.size + 16)
        found = journal_is_call(entry.op) && walk.call == item->call + 1;
    if (found && durable_called_of(&entry, &type, &id, &method))
        add_called(to, type, id, method);
    else
        cairn_value_add_bytes(to, cairn_str(""));
    durable_walk_done(&walk);
}

static void add_what(struct cairn_buf *to, struct shard *shard, const struct durable_item *item)
{
    uint8_t promise[PROMISE_ID_BYTES];

    if (item->doing == DURABLE_WAITS_CALL) {
        add_awaited(to, shard, item);
    } else if (item->doing == DURABLE_WAITS_PROMISE) {
        promise_id_text(&item->promise, promise);
        cairn_value_add_bytes(to, cairn_bytes(promise, sizeof promise));
    } else {
        cairn_value_add_bytes(to, cairn_str(""));
    }
}

static uint64_t number_of(const struct durable_item *item)
{
    return item->doing == DURABLE_RUNS ? item->step : item->doing == DURABLE_WAITS_CALL ? item->call : item->count;
}

static void add_item(struct cairn_buf *to, struct shard *shard, const struct durable_item *item)
{
    static const char *const doings[] = {
        [DURABLE_STARTS] = "starts",
        [DURABLE_QUEUED] = "queued",
        [DURABLE_RUNS] = "runs",
        [DURABLE_WAITS_CALL] = "waits_call",
        [DURABLE_WAITS_CALLS] = "waits_calls",
        [DURABLE_SLEEPS] = "sleeps",
        [DURABLE_WAITS_PROMISE] = "waits_promise",
        [DURABLE_WAITS_ALL] = "waits_all",
        [DURABLE_PUT_OFF] = "put_off",
    };
    const struct durable_head *head = &item->head;
    struct cairn_buf rest = {0}; /* the head is borrowed: what reads the engine comes last */
    char text[ID_TEXT_BYTES];

    cairn_value_add_list(to, 16);
    cairn_value_add_bytes(to, id_text(shard->index, item->number, text));
    cairn_value_add_bytes(to, head->type);
    cairn_value_add_bytes(to, head->id);
    cairn_value_add_bytes(to, head->method);
    cairn_value_add_bytes(to, head->caller_type);
    cairn_value_add_bytes(to, head->caller_id);
    cairn_value_add_bytes(to, head->key);
    cairn_value_add_bytes(to, cairn_str(head->type.data ? doings[item->doing] : "damaged"));
    cairn_value_add_int(&rest, (int64_t)number_of(item));
    cairn_value_add_int(&rest, (int64_t)item->since_ms);
    cairn_value_add_int(&rest, item->until_ms == UINT64_MAX ? 0 : (int64_t)item->until_ms);
    cairn_value_add_int(&rest, (int64_t)head->began_ms);
    cairn_value_add_int(&rest, head->version);
    cairn_value_add_int(&rest, (int64_t)head->args.size);
    cairn_value_add_int(&rest, (int64_t)head->cancel_ms);
    add_what(to, shard, item);
    cairn_buf_add(to, rest.data, rest.size);
    cairn_buf_done(&rest);
}

/* One whose head cannot be read is in every namespace's list. */
static bool is_meant(const struct invocation *inv, const struct durable_item *item)
{
    const struct cairn_request *request = inv->request;

    return !item->head.type.data || (cairn_bytes_equal(item->head.space, inv->space->name) &&
                                     (!request->type.size || cairn_bytes_equal(request->type, item->head.type)) &&
                                     (!request->id.size || cairn_bytes_equal(request->id, item->head.id)));
}

static bool list(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    do {
        uint64_t number = durable_next(overlay, tour->at.size == 8 ? cairn_get_be64(tour->at.data) : 0);
        struct durable_item item;
        struct cairn_err err;
        uint8_t place[8];

        if (!number)
            return true;
        cairn_put_be64(place, number);
        tour_put_at(tour, cairn_bytes(place, sizeof place));
        (void)cairn_engine_take_failure(shard->engine, NULL);
        if (durable_item_get(worker, shard, number, &item)) {
            if (is_meant(tour->inv, &item)) {
                add_item(&tour->items, shard, &item);
                tour_added(tour);
            }
        } else if (cairn_engine_take_failure(shard->engine, &err) != CAIRN_OK) {
            set_error(tour->inv, err.code, err.text);
            return true;
        }
    } while (tour_goes_on(tour));
    return false;
}

/* --- one --- */

static void missing(struct invocation *inv)
{
    char text[200];

    snprintf(text, sizeof text,
             "no durable invocation %.*s is open, or it is over; `cairn invocations ls` lists those that are",
             (int)(inv->request->name.size < 40 ? inv->request->name.size : 40), (const char *)inv->request->name.data);
    set_error(inv, CAIRN_ENOTFOUND, text);
}

static bool find(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct durable_item *ret_item)
{
    struct cairn_err err;

    (void)cairn_engine_take_failure(shard->engine, NULL);
    if (durable_item_get(worker, shard, ((struct invocations_tour *)tour)->number, ret_item) &&
        is_meant(tour->inv, ret_item))
        return true;
    if (cairn_engine_take_failure(shard->engine, &err) != CAIRN_OK)
        set_error(tour->inv, err.code, err.text);
    else
        missing(tour->inv);
    return false;
}

static bool show(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    struct durable_item item;

    (void)overlay;
    if (find(worker, tour, shard, &item))
        add_item(&tour->inv->result, shard, &item);
    return true;
}

static bool cancel(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    struct durable_item item;
    struct dependency record;
    struct cairn_err err;
    enum cairn_code code;

    (void)overlay;
    if (!find(worker, tour, shard, &item))
        return true;
    if (tour->inv->request->at_once)
        code = durable_cancel_now(worker, shard, item.number, &record, &err);
    else
        code = durable_ask(worker, shard, item.number, &record, &err);
    if (code == CAIRN_ENOTFOUND)
        missing(tour->inv);
    else if (code != CAIRN_OK)
        set_error(tour->inv, code, err.text);
    else
        cairn_value_add_nil(&tour->inv->result);
    return true;
}

/* --- a journal --- */

static void add_text_of_value(struct cairn_buf *to, struct cairn_bytes encoded)
{
    struct cairn_reader r = cairn_reader(encoded);
    struct cairn_value value = cairn_value_read(&r);
    char text[48];

    switch (value.kind) {
    case CAIRN_VALUE_ERROR:
    case CAIRN_VALUE_BYTES:
        if (value.bytes.size > PREVIEW_BYTES)
            value.bytes.size = PREVIEW_BYTES;
        break;
    case CAIRN_VALUE_INT:
        snprintf(text, sizeof text, "%" PRId64, value.integer);
        value.bytes = cairn_str(text);
        break;
    case CAIRN_VALUE_LIST:
        snprintf(text, sizeof text, "a list of %" PRIu64, value.count);
        value.bytes = cairn_str(text);
        break;
    case CAIRN_VALUE_NIL:
        break;
    }
    cairn_value_add_bytes(to, value.error);
    cairn_value_add_bytes(to, value.bytes);
}

static bool gives_number(enum journal_op op)
{
    return op == JOURNAL_LIST_COUNT || op == JOURNAL_LIST_SET || op == JOURNAL_LIST_DROP || op == JOURNAL_MAP_COUNT ||
           op == JOURNAL_MAP_REMOVE || op == JOURNAL_READY || op == JOURNAL_ORDERED_COUNT ||
           op == JOURNAL_ORDERED_REMOVE || op == JOURNAL_ORDERED_RANK || op == JOURNAL_TIMER_CANCEL ||
           op == JOURNAL_PROMISE_SETTLE;
}

static bool gives_value(enum journal_op op)
{
    return op == JOURNAL_VALUE_GET || op == JOURNAL_LIST_GET || op == JOURNAL_MAP_GET || op == JOURNAL_ORDERED_GET;
}

/* The text of what a host call gave. */
static void add_text_of_result(struct cairn_buf *to, const struct journal_entry *entry)
{
    struct cairn_bytes result = entry->result, text = {0};
    char number[24];

    if (gives_number(entry->op) && result.size == 8) {
        snprintf(number, sizeof number, "%" PRIu64, cairn_get_u64(result.data));
        text = cairn_str(number);
    } else if (gives_value(entry->op) && result.size > 1) {
        text = cairn_bytes(result.data + 1, result.size - 1 < PREVIEW_BYTES ? result.size - 1 : PREVIEW_BYTES);
    }
    cairn_value_add_bytes(to, cairn_str(""));
    cairn_value_add_bytes(to, text);
}

static void add_step(struct cairn_buf *to, const struct tour *tour, const struct durable_walk *walk,
                     const struct journal_entry *entry)
{
    struct promise_id promise = {.shard = tour->shard, .number = walk->number, .call = walk->call - 1};
    bool outcome = entry->op == JOURNAL_OUTCOME;
    struct cairn_bytes type, id, method;
    uint8_t text[PROMISE_ID_BYTES];
    uint64_t ms = 0;

    cairn_value_add_list(to, 8);
    cairn_value_add_int(to, outcome ? 0 : (int64_t)walk->step);
    cairn_value_add_bytes(to, cairn_str(outcome ? "outcome" : journal_op_name(entry->op)));
    cairn_value_add_int(to, outcome ? (int64_t)entry->call : journal_is_call(entry->op) ? (int64_t)walk->call - 1 : -1);
    if ((entry->op == JOURNAL_SLEEP || entry->op == JOURNAL_NOW) && entry->result.size == 8)
        ms = cairn_get_u64(entry->result.data);
    if (entry->op == JOURNAL_PROMISE && entry->result.size == sizeof promise.secret + 8) {
        memcpy(promise.secret, entry->result.data, sizeof promise.secret);
        promise_id_text(&promise, text);
        cairn_value_add_bytes(to, cairn_bytes(text, sizeof text));
        ms = cairn_get_u64(entry->result.data + sizeof promise.secret);
    } else if (durable_called_of(entry, &type, &id, &method)) {
        add_called(to, type, id, method);
    } else {
        cairn_value_add_bytes(to, cairn_str(""));
    }
    cairn_value_add_int(to, ms == UINT64_MAX ? 0 : (int64_t)ms);
    if (outcome)
        add_text_of_value(to, entry->result);
    else
        add_text_of_result(to, entry);
    cairn_value_add_int(to, (int64_t)entry->result.size);
}

static void put_place(struct tour *tour, const struct durable_walk *walk)
{
    uint64_t chunk, skip;

    durable_walk_place(walk, &chunk, &skip);
    tour->at.size = 0;
    cairn_buf_varint(&tour->at, chunk);
    cairn_buf_varint(&tour->at, skip);
    cairn_buf_varint(&tour->at, walk->step);
    cairn_buf_varint(&tour->at, walk->call);
}

static bool journal(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    struct cairn_reader r = cairn_reader(cairn_buf_bytes(&tour->at));
    struct journal_entry entry;
    struct durable_item item;
    struct durable_walk walk;
    bool over = false;

    (void)overlay;
    if (!find(worker, tour, shard, &item))
        return true;
    walk = (struct durable_walk){.engine = shard->engine, .number = item.number};
    if (cairn_reader_left(&r)) {
        walk.chunk = cairn_read_varint(&r);
        walk.skip = cairn_read_varint(&r);
        walk.step = cairn_read_varint(&r);
        walk.call = (uint32_t)cairn_read_varint(&r);
    }
    do {
        over = !durable_walk_next(&walk, &entry);
        if (!over) {
            add_step(&tour->items, tour, &walk, &entry);
            tour_added(tour);
        }
    } while (!over && tour_goes_on(tour));
    put_place(tour, &walk);
    durable_walk_done(&walk);
    return over;
}

/* --- coming in --- */

#define KIND(answers, visits)                                                                                      \
    {                                                                                                              \
        .of = "invocations", .bytes = sizeof(struct invocations_tour), .place_bytes_max = 40, .answer = (answers), \
        .visit = (visits)                                                                                          \
    }

static const struct tour_kind list_kind = KIND(TOUR_PAGE, list);
static const struct tour_kind show_kind = KIND(TOUR_OWN, show);
static const struct tour_kind journal_kind = KIND(TOUR_PAGE, journal);
static const struct tour_kind cancel_kind = KIND(TOUR_OWN, cancel);

static void submit_list(struct cairn_worker *worker, struct invocation *inv)
{
    struct tour *tour = tour_begin(worker, inv, &list_kind);

    if (!tour)
        return;
    if (inv->request->id.size) {
        tour->one_shard = true;
        tour->shard = node_shard_of(worker->node, inv->space, inv->request->id);
    }
    tour_leave(worker, tour);
}

static void submit_named(struct cairn_worker *worker, struct invocation *inv, const struct tour_kind *kind)
{
    struct invocations_tour *named = (struct invocations_tour *)tour_begin(worker, inv, kind);

    if (!named)
        return;
    named->tour.one_shard = true;
    if (!read_id(inv->request->name, &named->tour.shard, &named->number) ||
        named->tour.shard >= worker->node->shard_count) {
        missing(inv);
        invocation_end(worker, inv);
        return;
    }
    tour_leave(worker, &named->tour);
}

static void submit_show(struct cairn_worker *worker, struct invocation *inv)
{
    submit_named(worker, inv, &show_kind);
}

static void submit_journal(struct cairn_worker *worker, struct invocation *inv)
{
    submit_named(worker, inv, &journal_kind);
}

static void submit_cancel(struct cairn_worker *worker, struct invocation *inv)
{
    submit_named(worker, inv, &cancel_kind);
}

static enum cairn_code check_named(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->name.size)
        return CAIRN_OK;
    return cairn_fail(err, CAIRN_EINVAL, "say which invocation: its id is the first column of `cairn invocations ls`");
}

static enum cairn_code check_list(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->id.size > CAIRN_ID_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "an id has at most %d bytes", CAIRN_ID_BYTES_MAX);
    return CAIRN_OK;
}

const struct operation invocations_operation = TOUR_OPERATION("invocations", check_list, submit_list);
const struct operation invocation_operation = TOUR_OPERATION("invocation", check_named, submit_show);
const struct operation journal_operation = TOUR_OPERATION("journal", check_named, submit_journal);
const struct operation cancel_operation = TOUR_OPERATION("cancelled", check_named, submit_cancel);
