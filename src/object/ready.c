/* ready.c - which object runs next.
 *
 * Objects whose mailbox's head may start stand in one of three lines of their namespace's lane, by what that head is: a
 * call or a resumption, a request from outside, or, in the third, a page of an object and anything of a job that has
 * already made many calls.  While more than one line of the lane has an object in it, each gets time in proportion to
 * its weight, as lanes do (lane.h).  So calls, which end work that has begun, come before new work but never stop it,
 * and a job that multiplies waits for the others and not they for it.
 * A line that was empty starts where the others are: it is served after what runs now, and saves nothing up. */
#include "object/ready.h"

#include "object/invocation.h"
#include "object/table.h"
#include "object/worker.h"

static const unsigned strides[READY_LINES] = {[READY_CALLS] = 1, [READY_OUTSIDE] = 4, [READY_HEAVY] = 8};

static enum ready_line line_of(const struct invocation *head)
{
    const struct job *job = head->job;

    if (head->operation->heavy || (job && atomic_load_explicit(&job->calls, memory_order_relaxed) > HEAVY_CALLS))
        return READY_HEAVY;
    return invocation_from_outside(head) && !head->resumes ? READY_OUTSIDE : READY_CALLS;
}

static bool has_ready(const struct lane *lane)
{
    for (int i = 0; i < READY_LINES; i++)
        if (!cairn_list_empty(&lane->lines[i]))
            return true;
    return false;
}

void ready_add(struct cairn_worker *worker, struct object *object, const struct invocation *head)
{
    struct lane *lane = worker_lane(worker, head->space);
    struct order *order = &worker->lanes.fresh;

    if (!lane->fresh.at || order->count > 1)
        order_add(order, lane, has_ready(lane));
    cairn_list_push_back(&lane->lines[line_of(head)], &object->ready);
}

bool ready_any(const struct cairn_worker *worker)
{
    return worker->lanes.fresh.count > 0;
}

/* What has run since it was chosen counts for its lane and line. */
void ready_pause(struct cairn_worker *worker)
{
    struct ready *ready = &worker->ready;
    struct lane *lane = ready->lane;
    uint64_t ns;

    if (!lane)
        return;
    ns = worker_clock_ns(worker) - ready->since_ns;
    lane->line_spent[ready->line] += ns * strides[ready->line];
    order_charge(&worker->lanes.fresh, lane, ns);
    ready->lane = NULL;
}

/* The lane whose turn it is; those that have nothing any more leave. */
static struct lane *next_lane(struct cairn_worker *worker)
{
    struct lane *lane;

    while ((lane = order_first(&worker->lanes.fresh)) && !has_ready(lane))
        order_remove(&worker->lanes.fresh, lane);
    return lane;
}

struct object *ready_next(struct cairn_worker *worker)
{
    struct ready *ready = &worker->ready;
    struct order *order = &worker->lanes.fresh;
    int waiting = 0, next = READY_LINES;
    struct lane *lane;

    ready_pause(worker);
    ready->heavy = false;
    lane = next_lane(worker);
    if (!lane)
        return NULL;
    for (int i = 0; i < READY_LINES; i++) {
        if (cairn_list_empty(&lane->lines[i])) {
            if (lane->line_spent[i] < lane->line_floor)
                lane->line_spent[i] = lane->line_floor;
            continue;
        }
        waiting++;
        if (next == READY_LINES || lane->line_spent[i] < lane->line_spent[next])
            next = i;
    }
    if (waiting > 1 || order->count > 1) { /* else nothing is kept waiting, and the clock need not be asked */
        lane->line_floor = lane->line_spent[next];
        order->floor = lane->fresh.spent;
        ready->lane = lane;
        ready->line = (enum ready_line)next;
        ready->since_ns = worker_recent_ns(worker); /* mostly just read, by ready_pause */
    }
    ready->heavy = next == READY_HEAVY;
    return cairn_container(cairn_list_pop_front(&lane->lines[next]), struct object, ready);
}

const struct object *ready_peek(const struct cairn_worker *worker)
{
    const struct lane *lane = order_first(&worker->lanes.fresh);

    for (int i = 0; lane && i < READY_LINES; i++)
        if (!cairn_list_empty(&lane->lines[i]))
            return cairn_container(lane->lines[i].next, struct object, ready);
    return NULL;
}

/* --- set aside ----------------------------------------------------------------------------------- */

void aside_add(struct cairn_worker *worker, struct invocation *inv, bool first)
{
    struct lane *lane = worker_lane(worker, inv->space);

    order_add(&worker->lanes.slices, lane, !cairn_list_empty(&lane->aside));
    if (first)
        cairn_list_push_front(&lane->aside, &inv->link);
    else
        cairn_list_push_back(&lane->aside, &inv->link);
}

bool aside_any(const struct cairn_worker *worker)
{
    return worker->lanes.slices.count > 0;
}

void aside_run(struct cairn_worker *worker, void (*resume)(struct cairn_worker *worker, struct invocation *inv))
{
    struct order *order = &worker->lanes.slices;
    struct lane *lane = order_first(order);
    struct invocation *inv = cairn_container(cairn_list_pop_front(&lane->aside), struct invocation, link);
    uint64_t since_ns = worker_clock_ns(worker), ns;

    order->floor = lane->slices.spent;
    if (cairn_list_empty(&lane->aside))
        order_remove(order, lane); /* it keeps its account, and comes back with it if it is set aside again */
    resume(worker, inv);
    ns = worker_clock_ns(worker) - since_ns;
    order_charge(order, lane, ns);
    order_charge(&worker->lanes.fresh, lane, ns);
}
