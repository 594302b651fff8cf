/* keeper_internal.h - what this room keeps of a node, by worker: the half of its links, and the half of the trees that
 * it owns.
 *
 * A link's worker speaks with the owner of its namespace's tree by messages alone; neither touches what the other has,
 * but for asks, which the owner reads while they are under way.
 * Threads: as said at each.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_KEEPER_INTERNAL_H
#define CAIRN_KEEPER_KEEPER_INTERNAL_H

#include "keeper/blobs.h"
#include "keeper/keeper.h"
#include "keeper/shelf.h"
#include "object/invocation.h"
#include "object/worker.h"

enum {
    KEEPER_SLOT_NS = 500000000, /* of the wheel of deadlines, and of what is told */
    KEEPER_WHEEL = 128,         /* slots: more than the longest timeout */
    KEEPER_TIMEOUT_MS_MIN = 2 * KEEPER_TICK_MS,
    KEEPER_TIMEOUT_MS_MAX = 20 * KEEPER_TICK_MS,
    KEEPER_ENDING_MAX = 32, /* sessions of a namespace that are ended at a time */
};

/* A namespace's keeper as a worker with links sees it. */
struct keeper_home {
    struct keeper_item item; /* by the namespace's address */
    struct cairn_worker *worker;
    struct space *space, *compartment;
    uint32_t owner;          /* worker of the tree */
    struct cairn_link links; /* that are connected */
    struct keeper_map by_session;
};

struct keeper_batch;
struct keeper_collector;

/* One worker's. */
struct keeper_worker {
    struct cairn_worker *worker;

    struct keeper_map homes;
    uint32_t link_count;
    struct cairn_link calls, tasks; /* under way */
    uint64_t heard_ns;              /* when the owners were last told what was heard */

    struct keeper_map trees;               /* by the compartment's address */
    struct overlay overlay;                /* of one read */
    struct cairn_link wheel[KEEPER_WHEEL]; /* sessions, by when they are looked at */
    uint64_t wheel_at;                     /* the slot that is next, counted from the clock's zero */
    uint64_t stepped_ns;                   /* the last step */
    uint64_t paused_ns;                    /* how much time has passed in which nothing ran: no session's */
    uint32_t session_count;                /* that are open */
    bool waiting;                          /* some tree may wait for something that is to be tried again */
    struct keeper_batch *batches;          /* by worker: events that are gathered (events.h) */
    struct cairn_purse purse;              /* of node->memory: watches, events, data on its way */
    struct keeper_shelf shelf;             /* blobs */
};

struct keeper {
    struct cairn_bytes module; /* .wasm */
    struct keeper_blobs blobs;
    struct keeper_collector *collector; /* NULL: there is nothing to collect */
    struct keeper_worker workers[];     /* as many as the node has */
};

static inline struct keeper_worker *keeper_worker_of(struct cairn_worker *worker)
{
    return &worker->node->keeper->workers[worker->index];
}

#endif
