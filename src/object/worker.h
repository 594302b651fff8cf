/* worker.h - a worker: its shards, its objects and types, and the lists that its invocations wait in.
 *
 * A worker owns all of that; only its inbox and what is marked atomic is touched by other threads.
 * Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_WORKER_H
#define CAIRN_OBJECT_WORKER_H

#include "base/random.h"
#include "object/cache.h"
#include "object/clock.h"
#include "object/emptying.h"
#include "object/method_log.h"
#include "object/node.h"
#include "object/ready.h"
#include "object/shard.h"
#include "object/sweep.h"

struct invocation;
struct segment;
struct type;

/* Messages of this worker to another, not sent yet. */
struct outgoing {
    struct message *newest, *oldest;
};

struct cairn_worker {
    struct cairn_node *node;
    uint32_t index;
    struct cairn_fn_worker *fn;
    struct shard *shards;        /* by shard index; only its own are filled in */
    struct cairn_random random;  /* the guests' */
    struct cairn_random job_ids; /* and spans' */

    struct object **table; /* chained, a power of two */
    uint32_t table_size, object_count;
    struct cairn_link idle; /* oldest first */
    uint32_t idle_count;

    struct type **types; /* chained, a power of two */
    uint32_t types_size, type_count;
    uint64_t types_changed; /* how often it was given a type, or another version of one, or lost one */
    struct lanes lanes;
    struct ready ready;
    struct message *turns, *turns_last; /* pages, or parts of them: one is made in a turn (worker_await_turn) */
    bool turn_next;                     /* one of these is next, and no slice of what was set aside */
    struct cairn_link fiber_waiters;    /* invocations in mailboxes that need a fiber */
    struct cairn_link commits;          /* segments that have run and wait for room in the log, in the order of it */
    struct cairn_link begins;           /* invocations that hold nothing and wait until their segment may begin */
    struct cairn_link held;             /* by the places that they depend on, ascending */
    bool releases, release_again;       /* they are being replied to; what may leave has come in line meanwhile */
    struct dependency wanted;           /* by what was held and was not told yet */
    struct cairn_link passing;          /* calls and results that wait for a log; none with one log for all shards */
    bool passes;                        /* some of them need not wait any more */
    bool lingers;                       /* it looks for other work once more before it helps the log */
    struct cairn_link live;             /* invocations at objects of this worker */
    struct cairn_link transactions;     /* whose home is here and that have locks, oldest attempt first */
    struct cairn_link parties;          /* what transactions have here (branch.h) */
    struct cairn_link prepares;         /* parties that wait to be prepared, or decided */
    struct cairn_link lock_waiters;     /* invocations of transactions that wait for locks */
    uint64_t transaction_count;
    uint32_t outside_fibers;         /* held by requests from outside */
    uint32_t fibers, fibers_waiting; /* held; of them, by invocations that await calls */
    _Atomic uint64_t admitted;       /* requests submitted here and not replied to; read by any thread */

    struct invocation *free_invocations;
    uint32_t free_invocation_count;
    struct segment *free_segments;

    struct method_logs logs;
    uint64_t invocation_count;
    uint32_t purge_cursor;
    bool purging;           /* there was something to purge the last time */
    bool served;            /* this turn has run fresh segments */
    uint64_t purge_ns;      /* until then fresh segments run before it */
    uint64_t retry_ns;      /* when those that wait for room try again */
    uint64_t resumed_count; /* fibers that went on after a wait */
    struct {
        uint64_t since_ns, resumed_count; /* both when it began */
        uint32_t looks;                   /* at it since */
    } stuck;                              /* all fibers wait for calls and none goes on; since_ns 0: not so */
    uint64_t aside_ns;                    /* until then fresh segments run before those set aside */
    bool failed;                          /* the log has failed */
    bool messages_look;                   /* there may be something to do for messages (messages.h) */
    uint64_t messages_types;              /* types_changed as messages have seen it */
    uint64_t messages_due_ms;             /* the first of the agendas; UINT64_MAX: none */
    uint64_t messages_retry_ns;           /* what could not be done is tried again; UINT64_MAX: nothing */
    struct sweep sweep;                   /* of namespaces that were removed (sweep.h) */
    struct emptying emptying;             /* of one that is being removed (emptying.h) */
    uint64_t recent_ns;                   /* the last reading of the clock in this turn; 0: none yet */

    struct worker_counts counts;
    struct cache cache;
    uint32_t arrivals;                         /* results given as their requests arrived, one within the other */
    uint64_t generations;                      /* of objects: given out */
    struct cairn_purse purse;                  /* of node->calls */
    uint64_t instances_charged;                /* to it */
    struct outgoing *outgoing;                 /* by worker */
    bool sends;                                /* something is outgoing */
    const struct cairn_host_ops *durable_host; /* of durable invocations */
    struct durables *durables;                 /* durable.c's */
    struct calleds *calleds;                   /* called.c's */
    struct restored *restored;                 /* durable_restored.c's */

    /* Crossing threads, so on a line of their own: a stack of messages, pushed by any, taken whole by the owner. */
    _Atomic(struct message *) inbox __attribute__((aligned(CAIRN_LINE_BYTES)));
    atomic_bool wants_progress; /* something is held: tell when the log progresses */
};

static inline struct shard *worker_shard(struct cairn_worker *worker, uint32_t index)
{
    return &worker->shards[index];
}

static inline struct lane *worker_lane(struct cairn_worker *worker, struct space *space)
{
    struct lane *lane = space->meters[worker->index].lane;

    return lane ? lane : lane_make(worker, space);
}

/* worker_clock_ns from some microseconds ago, which costs nothing: runs read the clock as they end. */
static inline uint64_t worker_recent_ns(struct cairn_worker *worker)
{
    return worker->recent_ns ? worker->recent_ns : worker_clock_ns(worker);
}

#endif
