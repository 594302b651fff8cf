/* cache.h - what a cache of large values costs in the memory of a cloud's functions, and what as a machine.
 *
 * The model is InfiniCache's (A. Wang and others, FAST 2020, section 6): a GET calls the functions of all chunks; each
 * function is called once every warm_minutes, so that it is not reclaimed, and once every backup_minutes, so that its
 * peer gets what is new.  A machine costs what it costs, whatever it does.
 * Threads: any.  Layer: cost; uses base. */
#ifndef CAIRN_COST_CACHE_H
#define CAIRN_COST_CACHE_H

#include "cost/prices.h"

struct cairn_cache_work {
    double gets;           /* an hour */
    uint32_t chunks;       /* of a value: data and parity */
    uint32_t nodes;        /* functions that are kept */
    double memory_gib;     /* of one */
    double get_ms;         /* of one function, for its chunk */
    double warm_ms;        /* of a call that does nothing else */
    double warm_minutes;   /* between such calls */
    double backup_ms;      /* of a function, for what is new */
    double backup_minutes; /* between backups; 0: there are none */
    double billed_ms;      /* times are rounded up to multiples of it: 100 until 2020, 1 since */
};

/* Dollars an hour. */
struct cairn_cache_cost {
    double gets, warm, backup, total;
};

/* The paper's 400 functions of 1.5 GiB with chunks of 10 + 2, and its first trace: 3,654 GETs an hour. */
struct cairn_cache_work cairn_cache_work(void);

struct cairn_cache_cost cairn_cache_cost(const struct cairn_prices *prices, const struct cairn_cache_work *work);
/* GETs an hour at which functions cost as much as a machine; negative if they do without any. */
double cairn_cache_even(const struct cairn_prices *prices, const struct cairn_cache_work *work, double machine_hour);

#endif
