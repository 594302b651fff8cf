/* timers.c - a page of timers: a tour (tour.h).  One for an object's timers goes to that one's shard.
 *
 * The place of a cursor is the last timer that was looked at: be64 incarnation, name. */
#include "admin/timers.h"

#include "admin/tour.h"
#include "object/hold.h"
#include "object/layout.h"
#include "object/timers.h"
#include "object/type.h"
#include "object/worker.h"

void timers_add_item(struct cairn_buf *to, struct cairn_bytes name, const struct timer *timer)
{
    static const char *const kinds[] = {"once", "every", "cron"};

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
}

static bool is_meant(const struct tour *tour, const struct timer *timer)
{
    const struct cairn_request *request = tour->inv->request;

    return cairn_bytes_equal(timer->space, tour->inv->space->name) &&
           (!request->type.size || cairn_bytes_equal(request->type, timer->type_name)) &&
           (!request->id.size || cairn_bytes_equal(request->id, timer->id));
}

/* The next timer of the shard.  False: there is none, of those that are asked for. */
static bool look(struct tour *tour, struct overlay *overlay, uint64_t only)
{
    uint8_t place[TIMER_PLACE_BYTES_MAX];
    struct cairn_bytes at;
    struct timer timer;
    uint64_t incarnation;

    if (!timers_after(overlay, cairn_buf_bytes(&tour->at), place, &at))
        return false;
    tour_put_at(tour, at);
    incarnation = cairn_get_be64(at.data);
    if (only && incarnation != only)
        return false;
    if (timers_get(overlay, incarnation, cairn_bytes(at.data + 8, at.size - 8), &timer) && is_meant(tour, &timer)) {
        if (timers_current(overlay, &timer, incarnation)) { /* else it is deleted, and being purged */
            timers_add_item(&tour->items, cairn_bytes(at.data + 8, at.size - 8), &timer);
            tour_added(tour);
        }
    }
    return true;
}

/* The incarnation of the object whose timers alone are asked for, where the tour is then; 0: there is none. */
static uint64_t aim(struct cairn_worker *worker, struct tour *tour, struct overlay *overlay)
{
    const struct cairn_request *request = tour->inv->request;
    const struct type *type = type_find(worker, tour->inv->space, request->type);
    uint8_t key[1 + CAIRN_VARINT_BYTES_MAX + CAIRN_ID_BYTES_MAX], place[8];
    struct cairn_bytes header;
    uint64_t incarnation;

    if (!type || !overlay_get(overlay, cairn_bytes(key, key_header(key, type->number, request->id)), &header) ||
        header.size < 8)
        return 0;
    incarnation = cairn_get_u64(header.data);
    if (tour->at.size)
        return cairn_get_be64(tour->at.data) == incarnation ? incarnation : 0;
    cairn_put_be64(place, incarnation);
    tour_put_at(tour, cairn_bytes(place, sizeof place));
    return incarnation;
}

static bool visit(struct cairn_worker *worker, struct tour *tour, struct shard *shard, struct overlay *overlay)
{
    uint64_t only = 0;

    (void)shard;
    if (tour->one_shard) {
        only = aim(worker, tour, overlay);
        if (!only)
            return true;
    }
    do {
        if (!look(tour, overlay, only))
            return true;
    } while (tour_goes_on(tour));
    return false;
}

static const struct tour_kind kind = {.of = "timers",
                                      .bytes = sizeof(struct tour),
                                      .place_bytes_max = TIMER_PLACE_BYTES_MAX,
                                      .answer = TOUR_PAGE,
                                      .visit = visit};

static void submit(struct cairn_worker *worker, struct invocation *inv)
{
    const struct cairn_request *request = inv->request;
    struct tour *tour = tour_begin(worker, inv, &kind);
    uint32_t shard;

    if (!tour)
        return;
    tour->one_shard = request->id.size > 0;
    shard = tour->one_shard ? node_shard_of(worker->node, inv->space, request->id) : tour->shard;
    if (request->cursor.size && (shard != tour->shard || (tour->at.size && tour->at.size < 8))) {
        tour_refuse(worker, inv, CAIRN_EINVAL, "that cursor is of no page of timers");
        return;
    }
    tour->shard = shard;
    tour_leave(worker, tour);
}

static enum cairn_code check(const struct cairn_request *request, struct cairn_err *err)
{
    if (request->id.size > CAIRN_ID_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "an id has at most %d bytes", CAIRN_ID_BYTES_MAX);
    return CAIRN_OK;
}

const struct operation timers_operation = TOUR_OPERATION("timers", check, submit);
