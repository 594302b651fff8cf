/* bill.h - what a run that was metered would have cost as functions, queues and entries of a cloud.
 *
 * Prices are those of a list; numbers are those of a node's meters (base/metered.h).  What is priced by size is priced
 * at the mean size of its kind, for sizes are metered as sums.  What is kept costs nothing, as in the paper's model.
 * Threads: any.  Layer: cost; uses base. */
#ifndef CAIRN_COST_BILL_H
#define CAIRN_COST_BILL_H

#include "base/metered.h"
#include "cost/prices.h"

enum cairn_bill_item {
    CAIRN_BILL_CALLS,  /* of functions */
    CAIRN_BILL_TIME,   /* of these: their CPU time */
    CAIRN_BILL_HOPS,   /* messages of a queue */
    CAIRN_BILL_READS,  /* of a key-value store */
    CAIRN_BILL_WRITES, /* to it */
    CAIRN_BILL_ITEMS
};

struct cairn_bill {
    const char *name; /* of the namespace; the caller's */
    uint64_t metered[CAIRN_MEASURES];
    double gib_seconds; /* that were billed */
    double dollars[CAIRN_BILL_ITEMS], total;
    double request;      /* dollars a request; 0 without any */
    double requests_day; /* while nodes were there */
};

/* memory_gib: that each function is billed for; 0: what its instance had. */
struct cairn_bill cairn_bill(const struct cairn_prices *prices, const char *name,
                             const uint64_t metered[CAIRN_MEASURES], uint64_t served_ms, double memory_gib);
/* The requests a day at which `count` such machines cost the same; 0: requests cost nothing. */
double cairn_bill_even(const struct cairn_bill *bill, const struct cairn_machine_price *machine, uint64_t count);

enum { CAIRN_BILL_DRAWN_MAX = 8 };

/* Dollars a million requests against requests a day: a level line for each of the bills, CAIRN_BILL_DRAWN_MAX at most,
 * with a dot at the rate that it had; and `machines` of each kind that the list has, which cost the same whatever they
 * do. */
void cairn_bill_draw(const struct cairn_prices *prices, const struct cairn_bill *bills, size_t count, uint64_t machines,
                     struct cairn_buf *to);

#endif
