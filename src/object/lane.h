/* lane.h - the lanes of a worker: what each namespace has to run there, and whose turn it is.
 *
 * A namespace has a lane on each worker that runs something of it.  While more than one lane has something to run, each
 * gets time in proportion to its namespace's weight (stride scheduling, Waldspurger and Weihl 1995): what has been run
 * of a lane counts against it, the more the less its namespace weighs, and the lane with the least to its account goes
 * on.  A lane that had nothing to run starts a slice before the others: it is served next, and saves no more up.
 * So what comes to a worker waits for what runs, at most a slice, and not for what others have in line.
 *
 * There are two such orders: of segments that begin or resume (ready.h), and of those that were set aside (slices).
 * What is run of the second counts in the first, too, up to a bound.
 * Threads: the worker's.  Layer: object (private). */
#ifndef CAIRN_OBJECT_LANE_H
#define CAIRN_OBJECT_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

struct cairn_worker;
struct space;

enum ready_line {
    READY_CALLS, /* the head is a call or a resumption */
    READY_OUTSIDE,
    READY_HEAVY, /* either, of a job that has made more than HEAVY_CALLS calls; a page of an object */
    READY_LINES
};

/* A lane's place in an order. */
struct turn {
    uint64_t spent; /* ns * SPACE_WEIGHT_MAX / weight */
    uint32_t at;    /* in the order's heap, and 1; 0: not in it */
};

struct lane {
    struct cairn_link all; /* in lanes->all */
    struct space *space;
    struct turn fresh, slices;
    struct cairn_link lines[READY_LINES]; /* objects (ready.h) */
    uint64_t line_spent[READY_LINES];     /* ns times the line's stride */
    uint64_t line_floor;                  /* of the line that was served last: where one that was empty starts */
    struct cairn_link aside;              /* invocations whose slice was over */
    struct cairn_link admission;          /* from outside, that need a fiber; in order */
    struct cairn_link admits;             /* in lanes->admits while there are any */
    uint32_t outside_fibers;              /* held by requests from outside */
};

/* Lanes that have something to run, the least spent first: a binary heap. */
struct order {
    struct lane **lanes;
    uint32_t count, room;
    uint64_t floor;     /* of the lane served last */
    size_t turn_offset; /* of the lane's turn in it */
};

struct lanes {
    struct order fresh, slices;
    struct cairn_link all;
    uint32_t count, sweep_at; /* when there are so many, those that have nothing are dropped */
    struct cairn_link admits; /* lanes with requests in admission */
};

void lanes_init(struct lanes *lanes);
void lanes_done(struct cairn_worker *worker);
/* The namespace's lane on the worker, which is made if there is none. */
struct lane *lane_make(struct cairn_worker *worker, struct space *space);
/* It has nothing to run, and nothing waits or holds a fiber. */
bool lane_is_idle(const struct lane *lane);
void lane_drop(struct cairn_worker *worker, struct lane *lane);

/* The lane has something to run in that order; `had`: it had something before. */
void order_add(struct order *order, struct lane *lane, bool had);
/* The one whose turn it is; NULL: none. */
static inline struct lane *order_first(const struct order *order)
{
    return order->count ? order->lanes[0] : NULL;
}
void order_remove(struct order *order, struct lane *lane);
/* So many nanoseconds of it were run. */
void order_charge(struct order *order, struct lane *lane, uint64_t ns);

#endif
