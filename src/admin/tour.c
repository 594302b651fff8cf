#include "admin/tour.h"

#include <stdio.h>
#include <stdlib.h>

#include "object/message.h"
#include "object/worker.h"

enum { CURSOR_HEAD_BYTES = 12 };

void tour_drop(struct invocation *inv)
{
    struct tour *tour = inv->own;

    cairn_buf_done(&tour->at);
    cairn_buf_done(&tour->items);
    free(tour);
    inv->own = NULL;
}

void tour_over(struct cairn_worker *worker, struct invocation *inv)
{
    (void)worker;
    tour_drop(inv);
}

void tour_refuse(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *text)
{
    set_error(inv, code, text);
    invocation_end(worker, inv);
}

/* --- at a shard --- */

void tour_added(struct tour *tour)
{
    tour->count++;
    tour->left--;
}

bool tour_goes_on(struct tour *tour)
{
    return tour->left && !page_full(&tour->page, ++tour->looks, tour->items.size);
}

void tour_put_at(struct tour *tour, struct cairn_bytes place)
{
    tour->at.size = 0;
    cairn_buf_add(&tour->at, place.data, place.size);
}

static void go(struct cairn_worker *worker, struct tour *tour)
{
    worker_send(worker, node_owner(worker->node, tour->shard), &tour->inv->message);
}

static void answer_page(struct tour *tour, bool more)
{
    struct invocation *inv = tour->inv;
    struct cairn_buf cursor = {0};
    uint8_t head[CURSOR_HEAD_BYTES];

    cairn_value_add_list(&inv->result, 2);
    cairn_value_add_list(&inv->result, tour->count);
    cairn_buf_add(&inv->result, tour->items.data, tour->items.size);
    if (!more) {
        cairn_value_add_nil(&inv->result);
        return;
    }
    cairn_put_be64(head, tour->left);
    cairn_put_u32(head + 8, tour->shard);
    cairn_buf_add(&cursor, head, sizeof head);
    cairn_buf_add(&cursor, tour->at.data, tour->at.size);
    cairn_value_add_bytes(&inv->result, cairn_buf_bytes(&cursor));
    cairn_buf_done(&cursor);
}

static void answer(struct cairn_worker *worker, struct tour *tour, bool more)
{
    if (tour->kind->answer == TOUR_PAGE)
        answer_page(tour, more);
    else if (tour->kind->answer == TOUR_COUNT)
        cairn_value_add_int(&tour->inv->result, (int64_t)tour->count);
    invocation_end(worker, tour->inv);
}

static void visit(struct cairn_worker *worker, struct message *message)
{
    struct invocation *inv = (struct invocation *)message;
    struct tour *tour = inv->own;
    struct shard *shard = worker_shard(worker, tour->shard);
    struct overlay overlay = {0};
    bool over;

    inv->message.receive = inv->operation->receive;
    overlay_reset(&overlay, shard->engine);
    tour->looks = 0;
    page_begin(&tour->page, worker);
    over = tour->kind->visit(worker, tour, shard, &overlay);
    /* What it has been told must not be lost. */
    dependency_join(&inv->depends, (struct dependency){.shard = shard->index, .end = shard->log->ops->end(shard->log)});
    if (!inv->failed && overlay.code != CAIRN_OK)
        set_error(inv, overlay.code, overlay.err.text);
    overlay_done(&overlay);
    if (inv->failed) {
        invocation_end(worker, inv);
    } else if (!over && tour->kind->answer == TOUR_PAGE) {
        answer(worker, tour, tour->left > 0);
    } else if (!over) {
        go(worker, tour);
    } else if (tour->one_shard || ++tour->shard == worker->node->shard_count) {
        answer(worker, tour, false);
    } else {
        tour->at.size = 0;
        go(worker, tour);
    }
}

void tour_receive(struct cairn_worker *worker, struct message *message)
{
    message->receive = visit;
    worker_await_turn(worker, message);
}

/* --- coming in --- */

static bool read_cursor(struct cairn_worker *worker, struct tour *tour, struct cairn_bytes cursor)
{
    if (cursor.size < CURSOR_HEAD_BYTES || cursor.size > CURSOR_HEAD_BYTES + tour->kind->place_bytes_max)
        return false;
    tour->left = cairn_get_be64(cursor.data);
    tour->shard = cairn_get_u32(cursor.data + 8);
    cairn_buf_add(&tour->at, cursor.data + CURSOR_HEAD_BYTES, cursor.size - CURSOR_HEAD_BYTES);
    return tour->left && tour->shard < worker->node->shard_count;
}

struct tour *tour_begin(struct cairn_worker *worker, struct invocation *inv, const struct tour_kind *kind)
{
    const struct cairn_request *request = inv->request;
    struct tour *tour;
    char text[64];

    if (request->peek && kind->answer == TOUR_PAGE) {
        cairn_value_add_nil(&inv->result);
        invocation_end(worker, inv);
        return NULL;
    }
    inv->own = tour = cairn_alloc_zeroed(1, kind->bytes);
    tour->inv = inv;
    tour->kind = kind;
    tour->left = request->limit ? request->limit : UINT64_MAX;
    if (!request->cursor.size || read_cursor(worker, tour, request->cursor))
        return tour;
    snprintf(text, sizeof text, "that cursor is of no page of %s", kind->of);
    tour_refuse(worker, inv, CAIRN_EINVAL, text);
    return NULL;
}

void tour_leave(struct cairn_worker *worker, struct tour *tour)
{
    go(worker, tour);
}
