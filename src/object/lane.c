#include "object/lane.h"

#include <stdlib.h>

#include "base/bytes.h"
#include "object/space.h"
#include "object/worker.h"

enum {
    SWEEP_LEAST = 256,
};

#define MS_SPENT (UINT64_C(1000000) * SPACE_WEIGHT_MAX / SPACE_WEIGHT_DEFAULT)

/* Of what a lane has run beyond the others it owes so much, and of what it has not run it has so much: a slice, so that
 * it need not wait for all others for a little that it has run before. */
static const uint64_t debt_max = 10 * MS_SPENT, credit_max = MS_SPENT;

/* --- an order ------------------------------------------------------------------------------------ */

static struct turn *turn_of(const struct order *order, const struct lane *lane)
{
    return (struct turn *)(void *)((char *)(uintptr_t)lane + order->turn_offset);
}

static void place(struct order *order, struct lane *lane, uint32_t at)
{
    order->lanes[at] = lane;
    turn_of(order, lane)->at = at + 1;
}

/* Of equals the one that comes goes first: it has waited for what ran. */
static void rise(struct order *order, struct lane *lane)
{
    uint32_t at = turn_of(order, lane)->at - 1;
    uint64_t spent = turn_of(order, lane)->spent;

    for (; at > 0; at = (at - 1) / 2) {
        struct lane *above = order->lanes[(at - 1) / 2];

        if (turn_of(order, above)->spent < spent)
            break;
        place(order, above, at);
    }
    place(order, lane, at);
}

static void sink(struct order *order, struct lane *lane)
{
    uint32_t at = turn_of(order, lane)->at - 1;
    uint64_t spent = turn_of(order, lane)->spent;

    for (uint32_t below; (below = 2 * at + 1) < order->count; at = below) {
        if (below + 1 < order->count &&
            turn_of(order, order->lanes[below + 1])->spent < turn_of(order, order->lanes[below])->spent)
            below++;
        if (turn_of(order, order->lanes[below])->spent >= spent)
            break;
        place(order, order->lanes[below], at);
    }
    place(order, lane, at);
}

static void start(const struct order *order, struct turn *turn)
{
    uint64_t least = order->floor > credit_max ? order->floor - credit_max : 0;

    if (turn->spent < least)
        turn->spent = least;
    else if (turn->spent > order->floor + debt_max)
        turn->spent = order->floor + debt_max;
}

void order_add(struct order *order, struct lane *lane, bool had)
{
    struct turn *turn = turn_of(order, lane);

    if (turn->at) { /* it was not noticed that it had nothing meanwhile */
        if (!had && order->count > 1) {
            start(order, turn);
            sink(order, lane);
            rise(order, lane);
        }
        return;
    }
    start(order, turn);
    if (order->count == order->room) {
        order->room = order->room ? 2 * order->room : 4;
        order->lanes = cairn_realloc(order->lanes, order->room * sizeof *order->lanes);
    }
    place(order, lane, order->count++);
    rise(order, lane);
}

void order_remove(struct order *order, struct lane *lane)
{
    struct turn *turn = turn_of(order, lane);
    struct lane *last;

    if (!turn->at)
        return;
    last = order->lanes[--order->count];
    if (last != lane) {
        place(order, last, turn->at - 1);
        sink(order, last);
        rise(order, last);
    }
    turn->at = 0;
}

static uint64_t weigh(const struct lane *lane, uint64_t ns)
{
    uint64_t weight = atomic_load_explicit(&lane->space->limits[SPACE_WEIGHT], memory_order_relaxed);

    return ns * SPACE_WEIGHT_MAX / (weight ? weight : SPACE_WEIGHT_DEFAULT);
}

void order_charge(struct order *order, struct lane *lane, uint64_t ns)
{
    struct turn *turn = turn_of(order, lane);

    turn->spent += weigh(lane, ns + 1); /* also where the clock has not moved, its turn is over */
    if (turn->at)
        sink(order, lane);
}

/* --- lanes --------------------------------------------------------------------------------------- */

void lanes_init(struct lanes *lanes)
{
    *lanes = (struct lanes){.sweep_at = SWEEP_LEAST};
    lanes->fresh.turn_offset = offsetof(struct lane, fresh);
    lanes->slices.turn_offset = offsetof(struct lane, slices);
    cairn_list_init(&lanes->all);
    cairn_list_init(&lanes->admits);
}

bool lane_is_idle(const struct lane *lane)
{
    for (int i = 0; i < READY_LINES; i++)
        if (!cairn_list_empty(&lane->lines[i]))
            return false;
    return cairn_list_empty(&lane->aside) && cairn_list_empty(&lane->admission) && !lane->outside_fibers;
}

void lane_drop(struct cairn_worker *worker, struct lane *lane)
{
    order_remove(&worker->lanes.fresh, lane);
    order_remove(&worker->lanes.slices, lane);
    if (worker->ready.lane == lane)
        worker->ready.lane = NULL;
    cairn_list_remove(&lane->all);
    cairn_list_remove(&lane->admits);
    worker->lanes.count--;
    lane->space->meters[worker->index].lane = NULL;
    free(lane);
}

/* Those of namespaces that had something once. */
static void sweep(struct cairn_worker *worker)
{
    struct lanes *lanes = &worker->lanes;

    for (struct cairn_link *l = lanes->all.next, *next; l != &lanes->all; l = next) {
        struct lane *lane = cairn_container(l, struct lane, all);

        next = l->next;
        if (lane_is_idle(lane))
            lane_drop(worker, lane);
    }
    lanes->sweep_at = 2 * lanes->count > SWEEP_LEAST ? 2 * lanes->count : SWEEP_LEAST;
}

struct lane *lane_make(struct cairn_worker *worker, struct space *space)
{
    struct lane *lane;

    if (worker->lanes.count >= worker->lanes.sweep_at)
        sweep(worker);
    lane = cairn_alloc_zeroed(1, sizeof *lane);
    lane->space = space = space_payer(space);
    for (int i = 0; i < READY_LINES; i++)
        cairn_list_init(&lane->lines[i]);
    cairn_list_init(&lane->aside);
    cairn_list_init(&lane->admission);
    cairn_list_init(&lane->admits);
    cairn_list_push_back(&worker->lanes.all, &lane->all);
    worker->lanes.count++;
    space->meters[worker->index].lane = lane;
    return lane;
}

void lanes_done(struct cairn_worker *worker)
{
    struct cairn_link *l;

    if (!worker->lanes.all.next)
        return;
    while ((l = cairn_list_pop_front(&worker->lanes.all))) {
        struct lane *lane = cairn_container(l, struct lane, all);

        lane->space->meters[worker->index].lane = NULL;
        free(lane);
    }
    free(worker->lanes.fresh.lanes);
    free(worker->lanes.slices.lanes);
}
