/* keeper.h - what ZooKeeper's service costs as functions of a cloud, and what as machines of one's own.
 *
 * The model is FaaSKeeper's (M. Copik and others, HPDC 2024); docs/keeper.md has it.  A write goes through two queues
 * and two functions, which take a lock, commit and release in a key-value store, and writes the node: to an object
 * store (standard), or to the key-value store if it is small (hybrid).  A read is one read of where the node is.
 * Machines cost what they cost, whatever they do.
 * Threads: any.  Layer: cost; uses base. */
#ifndef CAIRN_COST_KEEPER_H
#define CAIRN_COST_KEEPER_H

#include "cost/prices.h"

enum cairn_keeper_storage { CAIRN_KEEPER_STANDARD, CAIRN_KEEPER_HYBRID, CAIRN_KEEPER_STORAGES };

/* Hybrid storage keeps nodes up to this size in the key-value store. */
enum { CAIRN_KEEPER_HYBRID_BYTES = 4096 };

/* What a request is like.  The times are those that the paper measured for 1 kB with 512 MiB; they are taken as they
 * are for other sizes and memories. */
struct cairn_keeper_work {
    uint64_t bytes;                          /* of a node */
    double memory_gib;                       /* of a function */
    double follower_ms;                      /* of a write, in the one function */
    double leader_ms[CAIRN_KEEPER_STORAGES]; /* and in the other */
};

/* Dollars a request. */
struct cairn_keeper_write {
    double queues;           /* two messages with the data */
    double system;           /* three writes and one read of what coordinates */
    double node;             /* the data itself */
    double follower, leader; /* a call each, and its time */
    double total;
};

/* 1 kB, 512 MiB, and the paper's times. */
struct cairn_keeper_work cairn_keeper_work(void);

struct cairn_keeper_write cairn_keeper_write_cost(const struct cairn_prices *prices,
                                                  const struct cairn_keeper_work *work,
                                                  enum cairn_keeper_storage storage);
double cairn_keeper_read_cost(const struct cairn_prices *prices, const struct cairn_keeper_work *work,
                              enum cairn_keeper_storage storage);
/* Of requests of which the share `reads` (0 to 1) are reads. */
double cairn_keeper_request_cost(const struct cairn_prices *prices, const struct cairn_keeper_work *work,
                                 enum cairn_keeper_storage storage, double reads);
/* Of a day; */
double cairn_keeper_machines_cost(const struct cairn_machine_price *machine, uint64_t count);
/* and how many times what functions cost that is. */
double cairn_keeper_ratio(double machines_day, double request, double requests_day);

/* What is compared: each of these with each. */
enum { CAIRN_KEEPER_SHARES_MAX = 2, CAIRN_KEEPER_COUNTS_MAX = 2, CAIRN_KEEPER_RATES_MAX = 5 };

struct cairn_keeper_plan {
    const struct cairn_prices *prices;
    struct cairn_keeper_work work;
    uint64_t reads[CAIRN_KEEPER_SHARES_MAX]; /* per cent */
    enum cairn_keeper_storage storages[CAIRN_KEEPER_STORAGES];
    uint64_t counts[CAIRN_KEEPER_COUNTS_MAX]; /* of machines */
    const struct cairn_machine_price *machines[CAIRN_PRICES_MACHINES_MAX];
    uint64_t rates[CAIRN_KEEPER_RATES_MAX]; /* requests a day */
    uint32_t read_count, storage_count, count_count, machine_count, rate_count;
};

/* The paper's tables: 90 and 80 % reads, both storages, 3 and 9 machines of all kinds that the list has, 100,000 to
 * 5,000,000 requests a day. */
struct cairn_keeper_plan cairn_keeper_plan(const struct cairn_prices *prices);
double cairn_keeper_plan_ratio(const struct cairn_keeper_plan *plan, uint32_t read, uint32_t storage, uint32_t count,
                               uint32_t machine, uint32_t rate);

const char *cairn_keeper_storage_name(enum cairn_keeper_storage storage);

#endif
