/* invocation.h - an invocation: a request or a call on its way through its object.
 *
 * Threads: whose turn it is: an invocation is a message.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_INVOCATION_H
#define CAIRN_OBJECT_INVOCATION_H

#include "base/list.h"
#include "object/called.h"
#include "object/clock.h"
#include "object/dependency.h"
#include "object/job.h"
#include "object/message.h"
#include "object/object.h"

struct branch;
struct method;
struct object;
struct operation;
struct segment;
struct span;
struct transaction;
struct type;

/*             submit                       start          SLICE
 *   NEW -> [ADMISSION] -> MAILBOX -------> RUNNING <-> [ROOM]  <-> ASIDE
 *                           ^   ^            |  |
 *      all awaited are here |   | no fiber   |  | DONE, calls still out
 *                        WAITING <-----------+  +--> RETURNING
 *                               WAITS        |           |
 *                                            +-> OVER <--+ -> [HELD] -> replied and freed     */
enum invocation_state {
    INV_NEW,
    INV_ADMISSION, /* from outside, waits for its share of fibers */
    INV_MAILBOX,
    INV_ROOM, /* its next segment, or the commit of the last, waits for room */
    INV_RUNNING,
    INV_ASIDE,     /* its slice is over */
    INV_WAITING,   /* for results */
    INV_RETURNING, /* over but for calls still out */
    INV_ASLEEP,    /* durable: its journal is all that is left of its run, which begins again later */
    INV_DUPLICATE, /* waits for the first invocation with its key */
    INV_OVER,
    INV_HELD, /* until what it depends on is met */
    INV_STATE_COUNT
};

/* A call that an invocation has issued. */
struct call {
    enum { CALL_OUT, CALL_DONE } state;
    uint32_t size;
    bool seen;         /* the caller has asked for the result */
    bool told;         /* a wait for it has told the caller to end instead (durable_ask.h) */
    uint8_t small[16]; /* the encoded result, or in `large` (malloc) if it does not fit */
    uint8_t *large;
};

struct invocation {
    struct message message;   /* first */
    struct cairn_link link;   /* mailbox, admission, aside, commits, begins, held, segment->calls */
    struct cairn_link live;   /* in worker->live from its arrival to its end */
    struct cairn_link waiter; /* in worker->fiber_waiters while needs_fiber */
    enum invocation_state state;
    const struct operation *operation;

    /* what asked */
    struct cairn_request *request; /* from outside; NULL: a call */
    uint32_t origin;               /* worker to which the result goes back */
    struct invocation *caller;     /* on the origin worker */
    uint32_t caller_call;
    struct job *job;
    struct span *span; /* NULL: its job is not traced */
    uint32_t depth;
    bool must_read_only, must_deterministic;
    bool may_internal; /* the caller's module is the callee's: types never change theirs */
    bool by_message;   /* a message runs it, or, if it is durable, began it */
    struct cairn_bytes caller_type, caller_id;

    /* what is asked, in which namespace; the bytes lie in the request or in `payload` */
    struct space *space;
    struct cairn_bytes type_name, id, method_name, args;
    uint32_t shard; /* where the object lies */
    uint8_t *payload;
    size_t payload_room;

    /* where it runs */
    struct cairn_worker *worker;
    struct object *object;
    struct type *type;
    struct method *method;
    struct cairn_run *run;
    struct segment *segment;
    struct transaction *transaction; /* counted; NULL: none */
    struct branch *branch;           /* through which it has the object, once it may run */
    uint64_t number;                 /* for records and people */
    uint32_t segment_number;
    uint32_t args_read; /* arguments that the guest has read; UINT32_MAX: all, as far as is known */
    bool read_only, resumes, fiber_counted, needs_fiber;
    int64_t now_ms;            /* of the segment; 0: not asked for yet (invocation_now_ms) */
    struct dependency depends; /* before the outcome may leave */

    void *own;               /* the operation's; NULL: nothing */
    bool keyed;              /* `own` is a struct once: it has an idempotency key (once.h) */
    struct durable *durable; /* durable.h; NULL: its method is not */
    struct called called;    /* by a durable invocation: the call (called.h) */

    struct call *calls;
    uint32_t call_count, call_room, calls_out;
    uint32_t awaiting; /* index, or UINT32_MAX for all */

    struct cairn_buf result; /* encoded; an error value if it failed */
    bool failed;
    bool keeps_result;       /* when it ends well: it is in demand (cache.h) */
    bool told_reads;         /* its caller has what it was made of */
    struct cairn_buf *reads; /* of its calls, if it keeps its result (reads.h); NULL: none */
    struct dependency began; /* its object's last record when it began, if it keeps its result */
    bool refused;            /* it failed because the node could not go on with it: that is no outcome of the method */
    bool by_word;            /* it failed because the method said so */
    enum cairn_effects effects; /* of what it has committed, and of the calls that have come back to it */

    void (*go_on)(struct cairn_worker *worker, struct invocation *inv); /* from INV_ROOM */
    uint64_t waits_ns;                   /* since when its first segment waits; 0: it does not */
    size_t charged_call, charged_result; /* account.c */

    uint64_t started_ns;
    uint64_t operations, entries_read, read_bytes, entries_written, written_bytes;
    struct cairn_run_meter meter;
};

struct invocation *invocation_new(struct cairn_worker *worker, const struct operation *operation);
void invocation_free(struct cairn_worker *worker, struct invocation *inv);
void invocation_move(struct invocation *inv, enum invocation_state to); /* the only writer of state */
/* The segment's time: the same however often it is asked for. */
static inline int64_t invocation_now_ms(struct invocation *inv)
{
    if (!inv->now_ms)
        inv->now_ms = worker_now_ms(inv->worker);
    return inv->now_ms;
}
/* The next call's number. */
uint32_t invocation_add_call(struct invocation *inv);
extern const struct operation operation_deliver; /* a message's (deliver.h) */
/* It is a client's, or a message's: no call, and no durable one that goes on unless a message began it. */
static inline bool invocation_from_outside(const struct invocation *inv)
{
    return inv->request || inv->by_message;
}
/* All calls made so far, and their results. */
void invocation_forget_calls(struct cairn_worker *worker, struct invocation *inv);
void set_error(struct invocation *inv, enum cairn_code code, const char *text);
static inline void effects_raise(enum cairn_effects *to, enum cairn_effects effects)
{
    if (*to < effects)
        *to = effects;
}
/* It ends here with this error, as if it had run (its caller or client gets it). */
void invocation_refuse(struct cairn_worker *worker, struct invocation *inv, enum cairn_code code, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));
/* It has left its object, and its outcome is in inv->result: goes back to its origin. */
void invocation_finish(struct cairn_worker *worker, struct invocation *inv);
/* It is over, and was nowhere: as invocation_finish. */
void invocation_end(struct cairn_worker *worker, struct invocation *inv);

#endif
