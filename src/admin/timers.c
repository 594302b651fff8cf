/* timers.c - a page of timers.
 *
 * A request goes from shard to shard, to the worker of each, until its page is full or all shards have been visited;
 * one for an object's timers goes to that one's shard.  It waits for a turn at each (worker_await_turn), and stays no
 * longer than a page's time: however many timers there are, others run meanwhile.
 *
 * A cursor: be64 entries still wanted | u32 shard | the last timer there that was looked at: be64 incarnation, name. */
#include "admin/timers.h"

#include <stdlib.h>

#include "admin/page.h"
#include "object/hold.h"
#include "object/invocation.h"
#include "object/layout.h"
#include "object/timers.h"
#include "object/type.h"
#include "object/worker.h"

enum { CURSOR_HEAD_BYTES = 12 };

/* Of a request, on its way. */
struct tour {
    struct invocation *inv;
    uint32_t shard;
    uint64_t left;                     /* entries wanted */
    uint8_t at[TIMER_PLACE_BYTES_MAX]; /* in the shard: the last that was looked at */
    size_t at_size;                    /* 0: none yet */
    uint64_t only;                     /* that incarnation; 0: any */
    struct page page;
    uint64_t looks;
    struct cairn_buf items;
    uint64_t count;
};

static void leave(struct cairn_worker *worker, struct invocation *inv)
{
    struct tour *tour = inv->own;

    (void)worker;
    cairn_buf_done(&tour->items);
    free(tour);
    inv->own = NULL;
}

static void drop(struct invocation *inv)
{
    leave(NULL, inv);
}

static void go_to_shard(struct cairn_worker *worker, struct tour *tour)
{
    worker_send(worker, node_owner(worker->node, tour->shard), &tour->inv->message);
}

/* As CAIRN_OP_TIMERS has it (object/object.h). */
static void add_timer(struct tour *tour, struct cairn_bytes name, const struct timer *timer)
{
    static const char *const kinds[] = {"once", "every", "cron"};
    struct cairn_buf *to = &tour->items;

    cairn_value_add_list(to, 11);
    cairn_value_add_bytes(to, timer->type_name);
    cairn_value_add_bytes(to, timer->id);
    cairn_value_add_bytes(to, name);
    cairn_value_add_bytes(to, cairn_str(timer->state == TIMER_FIRED ? "fired" : "pending"));
    cairn_value_add_int(to, (int64_t)timer->due_ms);
    cairn_value_add_bytes(to, cairn_str(kinds[timer->kind]));
    cairn_value_add_int(to, (int64_t)timer->period_ms);
    cairn_value_add_bytes(to, timer->cron);
    cairn_value_add_bytes(to, timer->zone);
    cairn_value_add_bytes(to, timer->method);
    cairn_value_add_int(to, (int64_t)timer->args.size);
    tour->count++;
    tour->left--;
}

static bool is_meant(const struct tour *tour, const struct timer *timer)
{
    const struct cairn_request *request = tour->inv->request;

    return cairn_bytes_equal(timer->space, tour->inv->space->name) &&
           (!request->type.size || cairn_bytes_equal(request->type, timer->type_name)) &&
           (!request->id.size || cairn_bytes_equal(request->id, timer->id));
}

/* The next timer of the shard.  False: there is none, of those that are asked for. */
static bool look(struct tour *tour, struct overlay *overlay)
{
    struct cairn_bytes at;
    struct timer timer;
    uint64_t incarnation;

    if (!timers_after(overlay, cairn_bytes(tour->at, tour->at_size), tour->at, &at))
        return false;
    tour->at_size = at.size;
    incarnation = cairn_get_be64(at.data);
    if (tour->only && incarnation != tour->only)
        return false;
    tour->looks++;
    if (timers_get(overlay, incarnation, cairn_bytes(at.data + 8, at.size - 8), &timer) && is_meant(tour, &timer)) {
        if (timers_current(overlay, &timer, incarnation)) /* else it is deleted, and being purged */
            add_timer(tour, cairn_bytes(at.data + 8, at.size - 8), &timer);
    }
    return true;
}

static void answer(struct cairn_worker *worker, struct tour *tour, bool more)
{
    struct invocation *inv = tour->inv;
    uint8_t cursor[CURSOR_HEAD_BYTES + TIMER_PLACE_BYTES_MAX];

    cairn_value_add_list(&inv->result, 2);
    cairn_value_add_list(&inv->result, tour->count);
    cairn_buf_add(&inv->result, tour->items.data, tour->items.size);
    if (more) {
        cairn_put_be64(cursor, tour->left);
        cairn_put_u32(cursor + 8, tour->shard);
        memcpy(cursor + CURSOR_HEAD_BYTES, tour->at, tour->at_size);
        cairn_value_add_bytes(&inv->result, cairn_bytes(cursor, CURSOR_HEAD_BYTES + tour->at_size));
    } else {
        cairn_value_add_nil(&inv->result);
    }
    invocation_end(worker, inv);
}

/* The object's timers alone. */
static bool aim(struct cairn_worker *worker, struct tour *tour, struct overlay *overlay)
{
    const struct cairn_request *request = tour->inv->request;
    const struct type *type = type_find(worker, tour->inv->space, request->type);
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX];
    struct cairn_bytes header;

    if (!type || !overlay_get(overlay, cairn_bytes(key, key_header(key, type->number, request->id)), &header) ||
        header.size < 8)
        return false;
    tour->only = cairn_get_u64(header.data);
    if (tour->at_size)
        return cairn_get_be64(tour->at) == tour->only;
    cairn_put_be64(tour->at, tour->only);
    tour->at_size = 8;
    return true;
}

static void list_shard(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct tour *tour = inv->own;
    struct shard *shard = worker_shard(worker, tour->shard);
    bool over = false, one = inv->request->id.size > 0;
    struct overlay overlay = {0};

    inv->message.receive = inv->operation->receive;
    overlay_reset(&overlay, shard->engine);
    tour->looks = 0;
    page_begin(&tour->page, worker);
    if (one)
        over = !aim(worker, tour, &overlay);
    while (!over && tour->left && !page_full(&tour->page, tour->looks, tour->items.size))
        over = !look(tour, &overlay);
    /* What it has been told must not be lost. */
    dependency_join(&inv->depends, (struct dependency){.shard = shard->index, .end = shard->log->ops->end(shard->log)});
    if (overlay.code != CAIRN_OK) {
        set_error(inv, overlay.code, overlay.err.text);
        invocation_end(worker, inv);
    } else if (!over) {
        answer(worker, tour, tour->left > 0);
    } else if (one || ++tour->shard == worker->node->shard_count) {
        answer(worker, tour, false);
    } else {
        tour->at_size = 0;
        go_to_shard(worker, tour);
    }
    overlay_done(&overlay);
}

static void receive(struct cairn_worker *worker, struct message *message)
{
    message->receive = list_shard;
    worker_await_turn(worker, message);
}

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    const struct cairn_request *request = inv->request;
    struct tour *tour;

    if (request->peek) {
        cairn_value_add_nil(&inv->result);
        invocation_end(worker, inv);
        return;
    }
    inv->own = tour = cairn_alloc_zeroed(1, sizeof *tour);
    tour->inv = inv;
    tour->left = request->limit ? request->limit : UINT64_MAX;
    if (request->id.size)
        tour->shard = node_shard_of(worker->node, inv->space, request->id);
    if (request->cursor.size) {
        struct cairn_bytes cursor = request->cursor;

        if (cursor.size < CURSOR_HEAD_BYTES || cursor.size > CURSOR_HEAD_BYTES + TIMER_PLACE_BYTES_MAX ||
            cairn_get_u32(cursor.data + 8) >= worker->node->shard_count || !cairn_get_be64(cursor.data) ||
            (cursor.size > CURSOR_HEAD_BYTES && cursor.size < CURSOR_HEAD_BYTES + 8) ||
            (request->id.size && cairn_get_u32(cursor.data + 8) != tour->shard)) {
            set_error(inv, CAIRN_EINVAL, "that cursor is of no page of timers");
            invocation_end(worker, inv);
            return;
        }
        tour->left = cairn_get_be64(cursor.data);
        tour->shard = cairn_get_u32(cursor.data + 8);
        tour->at_size = cursor.size - CURSOR_HEAD_BYTES;
        memcpy(tour->at, cursor.data + CURSOR_HEAD_BYTES, tour->at_size);
    }
    go_to_shard(worker, tour);
}

static enum cairn_code check(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->id.size > CAIRN_ID_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "an id has at most %d bytes", CAIRN_ID_BYTES_MAX);
    return CAIRN_OK;
}

const struct operation timers_operation = {.name = "timers",
                                           .check = check,
                                           .submit = submit,
                                           .receive = receive,
                                           .leave = leave,
                                           .drop = drop,
                                           .answer = hold_answer};
