/* object.h - objects, their methods, and the life of an invocation.
 *
 * A struct cairn_node is what runs on one data folder: workers, each owning some shards, and having the types that it
 * was given (admin/admin.h).  A request is submitted to any worker; it reaches the worker that owns the object's shard,
 * enters the object's mailbox (FIFO), runs segment by segment, and its reply comes back on the worker that it was
 * submitted to, once everything that it depends on may be acknowledged (output commit).
 *
 *   submit -> [inbox of the owner] -> mailbox -> run -> commit -> (calls leave) -> ... -> held -> reply
 *
 * The rules are in docs/promises.md.  A worker never blocks: its owner calls cairn_worker_run
 * whenever the wake callback has fired, something was submitted, or the time it asked for is
 * over.  In simulation one thread owns all workers.
 *
 * Threads: a worker's functions belong to its owner thread; cairn_node_* where said.
 * Layer: object; uses base, io, log, engine, shard, fn. */
#ifndef CAIRN_OBJECT_OBJECT_H
#define CAIRN_OBJECT_OBJECT_H

#include "base/budget.h"
#include "base/event.h"
#include "base/list.h"
#include "base/traceparent.h"
#include "base/value.h"
#include "fn/fn.h"
#include "shard/shard.h"

struct cairn_node;
struct cairn_worker;
struct cairn_zones;
struct node_hooks;
struct space;

/* 0 in any member means its default. */
struct cairn_limits {
    uint64_t cpu_ns;               /* CPU time of an invocation: 100 ms */
    uint32_t depth;                /* nested calls: 64 */
    uint32_t job_calls;            /* calls of a job: 100,000 */
    uint32_t value_bytes;          /* arguments, and result, each: 1 MiB */
    uint32_t write_set_bytes;      /* of a segment: 8 MiB */
    uint32_t mailbox;              /* requests from outside that wait in one mailbox: 10,000 */
    uint32_t requests;             /* requests from outside under way per worker: 20,000 */
    uint32_t keys_per_shard;       /* remembered idempotency keys: 100,000 */
    uint64_t key_ms;               /* how long they are remembered: a day */
    uint64_t cache_bytes;          /* of results that are kept, divided evenly among the workers; 0: none */
    uint64_t outcome_bytes;        /* of large outcomes of keys, divided evenly among the shards: 256 MiB */
    uint64_t memory_bytes;         /* requests, calls and their results: 1 GiB (docs/design/0019-bounds-in-bytes.md) */
    uint32_t journal_bytes;        /* of a durable invocation: 16 MiB */
    uint64_t job_bytes;            /* of it, calls and results of one job: 64 MiB */
    uint32_t transaction_objects;  /* that one locks: 10,000 */
    uint32_t transaction_bytes;    /* of its record, and of the results of a client's calls: 8 MiB each */
    uint64_t transaction_ns;       /* from its first lock to the end of its method: 5 s */
    uint32_t transaction_attempts; /* while others are in its way: 16... */
    uint64_t transaction_retry_ns; /* ...begun within: 1 s */
    uint64_t message_bytes;        /* messages of a shard that wait, and dead letters: 256 MiB */
    uint64_t space_messages;       /* the same of a namespace that has no limit of its own, but `default`: no limit */
    uint64_t space_message_bytes;  /* and their bytes: no limit */
};

/* Which jobs are traced: their spans are kept (tracing.h), and handed on. */
struct cairn_trace_options {
    bool on;
    double ratio; /* of the jobs of which no client says whether they are: 0 .. 1 */
    /* Takes a copy of the spans of a job that is over, u32 size and encoded span each (span.h).  Any worker's thread;
     * must not block.  NULL: they are kept, no more. */
    void (*take)(void *context, struct cairn_bytes spans);
    void *context;
};

struct cairn_node_options {
    struct cairn_store *store; /* opened, not started; borrowed until the node is closed */
    struct cairn_fn *fn;       /* borrowed */
    struct cairn_clock *clock;
    const struct cairn_zones *zones; /* for timers; NULL: UTC alone */
    struct cairn_tasks *tasks;       /* for compiling and for module files */
    uint32_t workers;
    struct cairn_limits limits;
    uint64_t seed; /* of the guests' random */
    /* Any thread: worker `index` has something to do.  May be called often; must be cheap. */
    void (*wake)(void *context, uint32_t index);
    void *context;
    const struct cairn_events *events; /* deploys, versions, restores; NULL: none is told */
    struct cairn_trace_options trace;
};

/* Has what stands above it open (operation.h; copied), which gives it its types, starts the store, and ends
 * what a crash cut off (outcome `interrupted`).  Callers want cairn_admin_open (admin.h).  Main thread. */
enum cairn_code cairn_node_open(const struct cairn_node_options *options, const struct node_hooks *const *hooks,
                                uint32_t hook_count, struct cairn_node **ret_node, struct cairn_err *err);
struct cairn_worker *cairn_node_worker(struct cairn_node *node, uint32_t index);
/* All worker threads have stopped and `tasks` runs nothing of this node's any more.  What is under
 * way is dropped as a crash would, without replies.  Accepts NULL; returns NULL. */
struct cairn_node *cairn_node_close(struct cairn_node *node);

/* Any thread: the namespace of that name, if there is one; it may be kept until the node is closed.  No compartment
 * (space.h): so clients cannot name one. */
struct space *cairn_node_space(struct cairn_node *node, struct cairn_bytes name);
/* Any thread: idempotency keys that were forgotten since the start. */
uint64_t cairn_node_evicted_keys(struct cairn_node *node);
/* Any thread: outcomes of keys that were dropped, or not kept, for their bytes since the start. */
uint64_t cairn_node_dropped_outcomes(struct cairn_node *node);
/* Any thread: from now on requests are refused with `unavailable`; what was admitted goes on. */
void cairn_node_drain(struct cairn_node *node);
/* Any thread: requests admitted and not yet replied to. */
uint64_t cairn_node_admitted(struct cairn_node *node);
/* Any thread: what clients make the node keep; limits.memory_bytes. */
struct cairn_budget *cairn_node_memory(struct cairn_node *node);
/* Any thread: wired to the log's events by what opened the store. */
void cairn_node_log_progress(struct cairn_node *node, uint32_t shard, uint64_t acknowledged);
void cairn_node_log_failed(struct cairn_node *node, const struct cairn_err *why);

/* --- requests --- */

/* What each asks for, and the value that it is answered with. */
enum cairn_op {
    /* type, id, method, args[, key]: the method's value, or an error value. */
    CAIRN_OP_INVOKE,
    /* type, prefix, cursor, limit: [list of ids, next cursor or nil]: a page, see below. */
    CAIRN_OP_LIST,
    /* type, id, limit, cursor[, number or at_ms][, name][, from, to, reverse]: [list of [field, kind, count, content],
     * next cursor or nil], a page; content is bytes or nil (value), a list of bytes (list: of the newest `limit`,
     * oldest first), or a list of [key, value] (map: of the first `limit`; ordered: of the first `limit` keys from
     * `from` on and below `to`, or with `reverse` of the last, the last first).  With `name` only that field.  A field
     * whose content did not fit comes again in the next page,
     * with what follows.  `not_found` if the object does not exist.  As it was at a version, or a moment, if one is
     * given; else, and without `name`, the last page of an object with timers has a third part: [list of the first 20,
     * as TIMERS has them, 1 if there are more]. */
    CAIRN_OP_SHOW,
    /* type, id: 1, or 0 if it did not exist. */
    CAIRN_OP_DELETE,
    /* body: the .wasm; name: what it must be called, or empty: [name, version, hash in hex, 1 if it is new, the version
     * before it or 0].  `conflict` if objects exist of a type that it no longer has, unless `drop` names the type. */
    CAIRN_OP_DEPLOY,
    /* name: nil.  Refused with `conflict` while objects of its types exist. */
    CAIRN_OP_UNDEPLOY,
    /* cursor: [list of [name, version, hash in hex, deployed ms, wasm bytes, list of other [version, hash, deployed
     * ms]], next cursor or nil]: a page. */
    CAIRN_OP_MODULES,
    /* cursor: [list of [type, module, version, list of [field, kind],
     * list of [method, public|internal, list of read-only|deterministic|transaction,
     * list of [limit, in force, node|namespace|type|method: where that is set, declared or 0]],
     * 1 if the module no longer has it: objects of it can only be listed, shown, deleted and restored],
     * next cursor or nil]: a page; the types of a module follow each other, and those that no module has come last. */
    CAIRN_OP_TYPES,
    /* limit, cursor: [list of [ms, level, type, id, method, line, job], next cursor or nil]: the newest `limit`, oldest
     * first, in pages.  The first is empty, and tells where the next begins. */
    CAIRN_OP_LOGS,
    /* Takes a version of the node: its number.  `bad_request` with an engine that keeps none. */
    CAIRN_OP_SNAPSHOT,
    /* list of [number, parent or 0, ms, 1 if by schedule, 1 if damaged, 1 if the archive has it], ascending. */
    CAIRN_OP_VERSIONS,
    /* number: nil; the version is no more. */
    CAIRN_OP_FORGET,
    /* type, id, number or at_ms: 1, or 0 if it did not exist then, and so does not now.  As one commit; `bad_request`
     * with an engine that keeps no versions, `conflict` while another object of its shard is restored. */
    CAIRN_OP_RESTORE,
    /* name, number of one of its versions (0: the one before the current), drop: as DEPLOY of that version's file. */
    CAIRN_OP_ROLLBACK,
    /* name, body (limits): as SPACES with that name; `conflict` if there is one of that name.  Limits are pairs of u8
     * enum space_limit and varint; 0: none. */
    CAIRN_OP_SPACE_CREATE,
    /* name, body: the same, with other limits; those that are not named stay. */
    CAIRN_OP_SPACE_SET,
    /* name: nil.  `conflict` if it has modules. */
    CAIRN_OP_SPACE_REMOVE,
    /* name: the namespace as SPACES has it; it is being removed with all that it has, and is gone when SPACES has it no
     * more. */
    CAIRN_OP_SPACE_REMOVE_ALL,
    /* cursor: [list of [name, created ms or 0, modules, list of limits by enum space_limit, [requests run, CPU us,
     * refused, connections, bytes of jobs, operations, bytes kept, objects, instances held,
     * messages kept, bytes of these], 1 if it is being removed], next cursor or nil], by name: a page.  With a name
     * that one alone, and no list. */
    CAIRN_OP_SPACES,
    /* limit, cursor: [list of spans (span.h), next cursor or nil]: the first of each of the newest jobs that were
     * traced, oldest first, in pages as those of LOGS; with parent.job all that there is of that job. */
    CAIRN_OP_TRACES,
    /* [type, id], limit, cursor: [list of [type, id, name, pending|fired, due ms (fired: when it was), once|every|cron,
     * period ms, cron line, time zone, method, bytes of its packed arguments], next cursor or nil]: a page of timers.
     * */
    CAIRN_OP_TIMERS,
    /* Of the room keeper, which says what they take and answer. */
    CAIRN_OP_KEEPER_READ,
    CAIRN_OP_KEEPER_ATTACH,
    /* [type, id], limit, cursor: [list of [id "SHARD-HEX", type, id, method, caller's type (a client: empty), its id,
     * the client's key or empty, starts|queued|runs|waits_call|waits_calls|sleeps|waits_promise|waits_all|put_off|
     * damaged, what (the called TYPE/ID METHOD, the promise's id, or empty), number (runs: of the host call that is
     * next; waits_call: of the call; waits_calls, waits_all: how many), since ms, until ms (0: no time is set), began
     * ms, version of its module, bytes of its packed arguments, when it was asked to end (ms; 0: it was not)], next
     * cursor or nil]: a page of open durable invocations. */
    CAIRN_OP_INVOCATIONS,
    /* name: the id of one: that, as an item of the list. */
    CAIRN_OP_INVOCATION,
    /* name, limit, cursor: [list of [number of the host call (an outcome: 0), its name or "outcome", number of the call
     * (-1: none), what (as above), ms (when a sleep or a promise's time is over; of now: that; else 0), error code of
     * an outcome, text of a result or the first of it, bytes of the result], next cursor or nil]: a page of its
     * journal. */
    CAIRN_OP_JOURNAL,
    /* name[, at_once]: nil; it is told to end at its next wait (durable_ask.h), or is over, with the error
     * `cancelled`. */
    CAIRN_OP_CANCEL,
    /* watches: for each of these objects, bytes that stand for its newest change, as long as the node runs. */
    CAIRN_OP_WATCH,
    /* calls, watches[, key]: the list of what the calls have returned; nil: an object of `watches` has changed.  One
     * transaction: each call begins when the one before is over, and if one fails nothing has happened. */
    CAIRN_OP_MULTI,
    /* [dead, type, id, limit, cursor]: [list of [number "SHARD-N" (leaving: empty), waits|runs|later|no
     * type|leaves|dead, type, id, method, sender's type, its id, sent ms, due ms (0: at once; dead: when it was given
     * up), attempts that have failed, the last one's error code, its text, some|none: effects of a dead letter, bytes
     * of its packed arguments, list of the first of them], next cursor or nil]: a page of the messages that wait, or of
     * dead letters. */
    CAIRN_OP_MESSAGES,
    /* name: that one, as an item of the list. */
    CAIRN_OP_MESSAGE,
    /* name, or [type, id] for all: so many dead letters are messages again; the first attempt is theirs. */
    CAIRN_OP_MESSAGE_RETRY,
    /* The same: so many dead letters are no more. */
    CAIRN_OP_MESSAGE_DROP,
    /* type, id, method, args[, key, delay_ms]: sends that as a message: its number.  Answered when it is durable. */
    CAIRN_OP_SEND,
    /* name: the id of a promise; body: an encoded value, an error to reject it: nil.  `not_found` if there is none,
     * `conflict` if it is settled already, or its time is over. */
    CAIRN_OP_SETTLE,
};

enum { CAIRN_OP_COUNT = CAIRN_OP_SETTLE + 1 };

enum { CAIRN_ONCE_KEY_BYTES_MAX = 256 };

/* A page has at most so many entries and, but for its last entry, so many bytes; and it ends early when reading it
 * takes long.  So it may hold fewer than `limit`, and it is the last if and only if its cursor is nil.  Between two
 * pages the state may change: what was there all the time is in one of them, except for entries of a map from which
 * others are removed meanwhile, as the last takes the place of each that goes. */
enum { CAIRN_PAGE_ENTRIES = 250, CAIRN_PAGE_BYTES = 32 << 10 };

/* Of all invocations of a job. */
struct cairn_job_cost {
    uint64_t invocations, cpu_ns, memory_bytes /* of the largest instance */, operations, read_bytes, written_bytes;
};

/* Of CAIRN_OP_MULTI; the second of CAIRN_OP_WATCH, too. */
struct cairn_multi_call {
    struct cairn_bytes type, id, method, args; /* as of a request */
    bool read_only;
};
struct cairn_multi_watch {
    struct cairn_bytes type, id;
    struct cairn_bytes change; /* CAIRN_OP_WATCH's answer: nothing has changed since */
};

/* The caller's memory until reply has been called (exactly once per submit). */
struct cairn_request {
    enum cairn_op op;
    struct space *space; /* the namespace; NULL: `default` */
    struct cairn_bytes type, id, method;
    struct cairn_bytes args;     /* packed: per argument u32 size little-endian, bytes */
    struct cairn_bytes key;      /* idempotency key, at most CAIRN_ONCE_KEY_BYTES_MAX bytes; empty: none */
    bool read_only;              /* only read-only methods may run */
    bool goes_on;                /* the next page of a reply that has begun: the node's stopping does not refuse it */
    bool peek;                   /* of what is answered with a page: nil instead of it, if it would be */
    struct cairn_bytes from, to; /* keys of an ordered map */
    bool has_to, reverse;
    bool dead;         /* letters */
    bool at_once;      /* it is ended, and not asked to end */
    uint64_t delay_ms; /* of SEND: not before so long */
    struct cairn_bytes name, body, prefix, cursor;
    struct cairn_bytes drop; /* types, with commas between */
    const struct cairn_multi_call *calls;
    const struct cairn_multi_watch *watches;
    uint32_t call_count, watch_count;
    uint32_t limit;
    uint64_t number;            /* of a version; 0: none */
    uint64_t at_ms;             /* a moment; 0: none */
    uint32_t retry_ms;          /* set before reply; of `quota`: when to ask again */
    enum cairn_effects effects; /* set before reply; of an error: what the request has changed all the same */
    /* Of CAIRN_OP_INVOKE: the span that caused it, if the client says so.  With wants_job parent.job is set in any case
     * when the reply comes: the job's id. */
    struct cairn_traceparent parent;
    bool wants_job, wants_cost; /* the second needs the first */
    struct cairn_job_cost cost; /* set before reply, if it is wanted */
    /* On the submitting worker; the encoded value is borrowed for the call.  May submit again. */
    void (*reply)(struct cairn_request *request, struct cairn_bytes value);
    void *owner;                   /* the caller's */
    struct cairn_account *account; /* of the client, at least until reply; NULL: none.  Once it is marked as gone, what
                                    * has no key, is not durable and has not begun yet does not run any more */

    /* object's: where it is under way */
    struct cairn_request *next;
    struct cairn_link link;
    uint64_t started_ns;
};

/* Takes the request.  Pipelined requests for one object start in the order of submission.
 * The reply may come before submit returns (refusals). */
void cairn_worker_submit(struct cairn_worker *worker, struct cairn_request *request);

/* Runs what there is to run for about `budget_ns`; 0: one segment (simulation).  True if more is ready now. */
bool cairn_worker_run(struct cairn_worker *worker, uint64_t budget_ns);
/* Nanoseconds until run must be called again even without a wake; UINT64_MAX: never. */
uint64_t cairn_worker_next_ns(struct cairn_worker *worker);

/* Packs arguments. */
void cairn_args_add(struct cairn_buf *args, struct cairn_bytes arg);

#endif
