/* backend.h - what the fronts need from the node behind them.
 *
 * A table of functions instead of calls into object/, so that sessions can be driven over a
 * stand-in, and so that requests can later go to another node.  server/house.h fills it in
 * with a real node.
 * Layer: server; uses object's types only. */
#ifndef CAIRN_SERVER_BACKEND_H
#define CAIRN_SERVER_BACKEND_H

#include "cache/table.h"
#include "io/timekeeper.h"
#include "keeper/keeper.h"
#include "object/object.h"
#include "server/health.h"

struct cairn_pool;
struct cairn_movers;

struct cairn_backend {
    void *context;
    uint32_t workers;
    struct cairn_budget *memory; /* what clients make the node keep; NULL: each front has a budget of its own */
    struct cairn_cache *cache;   /* NULL: there is none */
    uint64_t cache_bytes;        /* --cache: the most that its bound may be */
    uint32_t cache_large;        /* values of so many bytes are large; where there are no movers, none has more */
    struct cairn_pool *pool;     /* of large values; NULL: there are none */
    struct cairn_movers *movers; /* theirs */
    struct cairn_clock *clock;   /* whose wall clock is the node's time: when keys of the cache expire */
    struct cairn_worker *(*worker)(void *context, uint32_t index);
    /* By the worker's owner thread: is there a type of this name?  Asked if there is a cache. */
    bool (*has_type)(struct cairn_worker *worker, const struct space *space, struct cairn_bytes name);
    /* Any thread: as cairn_node_space.  NULL: there is `default` alone. */
    struct space *(*space)(void *context, struct cairn_bytes name);

    /* As their namesakes in object/object.h; by the worker's owner thread. */
    void (*submit)(struct cairn_worker *worker, struct cairn_request *request);
    bool (*run)(struct cairn_worker *worker, uint64_t budget_ns);
    uint64_t (*next_ns)(struct cairn_worker *worker);

    const struct keeper_ops *keeper; /* NULL: there is none, and nothing listens for its clients */

    /* Any thread. */
    void (*drain)(void *context);
    uint64_t (*admitted)(void *context);
    /* Prometheus text of everything behind the fronts, a part of about CAIRN_PAGE_BYTES: the first with an empty
     * cursor, the next with what the part before it has put into `next`, which stays empty at the end. */
    void (*metrics)(void *context, struct cairn_bytes cursor, struct cairn_buf *to, struct cairn_buf *next);
    /* exports.h; one thread, and it may block. */
    void (*export_page)(void *context, uint64_t id, uint32_t page, uint64_t version, struct cairn_bytes space,
                        struct cairn_buf *to);
    uint64_t (*log_bytes)(void *context); /* that are kept for recovery */
    /* What is checked to say whether the node is ready; how many there are. */
    size_t (*checks)(void *context, struct cairn_check checks[CAIRN_CHECKS_MAX]);
    /* Tells the operator what has changed; about once a second, on one thread.  May be NULL. */
    void (*watch)(void *context);
    /* The node's time beside the wall clock's.  With `accept` a jump of the wall clock is followed from now on; false:
     * there is no jump to accept. */
    bool (*time)(void *context, bool accept, struct cairn_time_state *ret_state);
    /* Lines "name:value" for INFO. */
    void (*info)(void *context, struct cairn_buf *to);
};

#endif
