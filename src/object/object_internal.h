/* object_internal.h - what the files of this room share.
 *
 * Ownership: a worker owns its objects, invocations, types and segments; only `struct message`
 * (an invocation is one) and the atomics of struct node cross threads.  An invocation made on
 * one worker for an object of another travels there, runs there, and travels back as the
 * carrier of its own result: so room for a result exists from the moment of the call.
 * Layer: object (private). */
#ifndef CAIRN_OBJECT_INTERNAL_H
#define CAIRN_OBJECT_INTERNAL_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/random.h"
#include "base/suggest.h"
#include "object/dependency.h"
#include "object/layout.h"
#include "object/object.h"
#include "object/overlay.h"
#include "object/stats.h"

/* --- messages between workers ------------------------------------------------------------- */

enum message_kind {
    MSG_INVOCATION, /* a new invocation for an object of the receiver */
    MSG_RESULT,     /* a finished one, back at its origin */
    MSG_CATALOG,    /* catalog.h: a new catalog */
    MSG_DEPLOY,     /* catalog.h: a deploy, back from compiling */
    MSG_GATHER,     /* gather.h: a question to every worker, and its way back */
    MSG_VERSION,    /* snapshots.h: a version that was forgotten */
    MSG_PAST,       /* past.h: back from reading what was */
};

struct message {
    struct message *next;
    enum message_kind kind;
    void (*receive)(struct cairn_worker *worker, struct message *message);
};

/* --- types, as one worker sees them ------------------------------------------------------- */

struct method {
    const struct cairn_method_decl *decl;
    struct method_stats *stats; /* the worker's, kept across versions; NULL until it has run here */
    bool suspends;              /* has waited before: it will need a fiber */
    bool results_known;         /* one has ended */
    size_t result_bytes;        /* of the largest result lately; 0: small (account.c) */
};

struct type_field {
    uint32_t number;            /* the type's own, for good; the module's number is the array's index */
    enum cairn_field_kind kind; /* 0: the module has no such field */
};

/* One version of a type on one worker, kept while an invocation uses it.  What all workers share of it lies in the
 * catalog's entry. */
struct type {
    struct type *next; /* in worker->types */
    struct type_entry *entry;
    uint64_t hash;
    struct cairn_bytes space, name; /* the entry's, as all pointers but `methods` */
    uint32_t number, version;
    uint32_t refs;
    struct cairn_module *module;
    const struct cairn_type_decl *decl;
    const struct type_field *fields; /* by the module's numbers, 0 .. field_end - 1 */
    uint32_t field_end;
    const uint32_t *values; /* numbers of all value fields that any of its versions declared: objects may have them */
    uint32_t value_count;
    const uint16_t *method_slots; /* open addressing by name: index + 1 */
    uint32_t method_mask;
    struct method methods[]; /* as in decl */
};

struct type *type_find(struct cairn_worker *worker, struct cairn_bytes space, struct cairn_bytes name);
struct method *type_method(struct type *type, struct cairn_bytes name);
/* " (did you mean 'NAME'?)", or "": for names that were not found. */
const char *type_suggest(struct cairn_worker *worker, struct cairn_bytes space, struct cairn_bytes name,
                         char to[CAIRN_SUGGEST_TEXT_BYTES]);
const char *type_suggest_method(struct type *type, struct cairn_bytes name, char to[CAIRN_SUGGEST_TEXT_BYTES]);
static inline struct type *type_ref(struct type *type)
{
    type->refs++;
    return type;
}
void type_unref(struct type *type);

/* --- objects ------------------------------------------------------------------------------ */

/* The object's header, decoded: which incarnation, and the extent of each list and map. */
struct container {
    uint32_t field; /* the type's number */
    uint64_t first, count;
};

struct header {
    uint64_t incarnation; /* 0: the object does not exist */
    struct container *containers;
    uint32_t count, room;
};

enum { HEADER_INLINE = 6 };

struct shard {
    struct cairn_shard *shard;
    struct cairn_engine *engine;
    uint32_t index;
    uint64_t incarnations;       /* given out, this epoch's */
    struct past *restoring;      /* one at a time */
    struct dependency directory; /* on its last change */
    struct shard_meta {
        uint64_t once_first, once_end;   /* numbers of 05 keys in use */
        uint64_t purge_first, purge_end; /* numbers of 06 keys in use */
    } meta;
};

/* In memory while something is under way for it, and a while longer. */
struct object {
    struct object *hash_next;
    struct cairn_link ready;   /* in a line of worker->ready when the mailbox's head may start */
    struct cairn_link idle;    /* in worker->idle when nothing refers to it */
    struct cairn_link mailbox; /* invocations that wait to start or resume, FIFO */
    struct cairn_link keyed;   /* keyed invocations under way */
    struct shard *shard;
    struct dependency last;    /* on the last write applied */
    uint32_t type;             /* number */
    uint32_t refs;             /* invocations at this object: in the mailbox, running, waiting */
    uint32_t outside_waiting;  /* requests from outside in the mailbox or before it */
    uint32_t before_mailbox;   /* of them, still waiting for admission */
    uint32_t readers;          /* read-only segments in progress (running or set aside) */
    struct invocation *holder; /* whose mutating segment is in progress; NULL: nobody's */
    bool loaded;               /* header is the committed one */
    struct header header;      /* committed */
    struct container containers_inline[HEADER_INLINE];
    uint64_t hash;
    uint16_t key_size, id_offset;
    uint8_t key[]; /* the 01 key; the id is its tail */
};

static inline struct cairn_bytes object_id(const struct object *object)
{
    return cairn_bytes(object->key + object->id_offset, object->key_size - object->id_offset);
}

struct object *object_get(struct cairn_worker *worker, struct shard *shard, uint32_t type, struct cairn_bytes id);
void object_ref(struct cairn_worker *worker, struct object *object);
void object_unref(struct cairn_worker *worker, struct object *object);
void object_load(struct object *object);
/* Drops idle objects beyond the bound whose last write is acknowledged. */
void objects_trim(struct cairn_worker *worker);
void object_drop(struct cairn_worker *worker, struct object *object);
/* One of these types for an object of which something is under way; 0: none.  The numbers ascend. */
uint32_t objects_in_use(const struct cairn_worker *worker, const uint32_t *types, uint32_t count);

/* --- segments ----------------------------------------------------------------------------- */

/* Of the log, see log.h. */
struct claim {
    uint64_t bytes;
    uint32_t records;
};

/* What one segment has done so far; exists while a segment is in progress. */
struct segment {
    struct segment *next_free;
    struct overlay overlay;
    struct header header; /* as this segment sees it */
    bool header_dirty;
    bool deleted;            /* the committed incarnation was deleted in this segment */
    struct cairn_link calls; /* invocations queued by this segment, in the order issued */
    uint32_t call_count;
    struct claim need; /* what its commit was refused and waits for, claimed by nobody; 0: nothing */
};

/* --- invocations -------------------------------------------------------------------------- */

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
    INV_DUPLICATE, /* waits for the first invocation with its key */
    INV_OVER,
    INV_HELD, /* until what it depends on is met */
    INV_STATE_COUNT
};

struct job {
    atomic_uint refs;
    atomic_uint calls;
    _Atomic int64_t bytes; /* calls under way, with their arguments, and results that are kept (account.c) */
};

/* A call that an invocation has issued. */
struct call {
    enum { CALL_OUT, CALL_DONE } state;
    uint32_t size;
    uint8_t small[16]; /* the encoded result, or in `large` (malloc) if it does not fit */
    uint8_t *large;
};

struct invocation {
    struct message message; /* first */
    struct cairn_link link; /* mailbox, admission, aside, commits, begins, held, segment->calls */
    struct cairn_link keyed_link;
    struct cairn_link live;   /* in worker->live from its arrival to its end */
    struct cairn_link waiter; /* in worker->fiber_waiters while needs_fiber */
    enum invocation_state state;
    enum cairn_op op;

    /* who asked */
    struct cairn_request *request; /* from outside; NULL: a call */
    uint32_t origin;               /* worker to which the result goes back */
    struct invocation *caller;     /* on the origin worker */
    uint32_t caller_call;
    struct job *job;
    uint32_t depth;
    bool must_read_only, must_deterministic;
    bool may_internal; /* the caller's module is the callee's: types never change theirs */
    struct cairn_bytes caller_type, caller_id;

    /* what is asked; the bytes lie in the request or in `payload` */
    struct cairn_bytes space, type_name, id, method_name, args, key;
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
    uint64_t number; /* for records and people */
    uint32_t segment_number;
    bool read_only, resumes, fiber_counted, needs_fiber;
    int64_t now_ms;            /* of the segment; 0: not asked for yet (invocation_now_ms) */
    struct dependency depends; /* before the outcome may leave */

    struct past *past; /* SHOW and RESTORE of what was; else NULL */

    struct call *calls;
    uint32_t call_count, call_room, calls_out;
    uint32_t awaiting; /* index, or UINT32_MAX for all */

    struct cairn_buf result; /* encoded; an error value if it failed */
    bool failed;
    bool refused; /* it failed because the node could not go on with it: that is no outcome of the method */
    enum cairn_effects effects; /* of what it has committed, and of the calls that have come back to it */

    void (*go_on)(struct cairn_worker *worker, struct invocation *inv); /* from INV_ROOM */
    uint64_t waits_ns;                   /* since when its first segment waits; 0: it does not */
    size_t charged_call, charged_result; /* account.c */

    /* once.h */
    uint64_t args_hash, once_number;
    bool once_recorded;
    uint64_t once_claim;
    struct cairn_link duplicates;

    uint64_t started_ns;
    uint64_t operations, read_bytes, written_bytes;
    struct cairn_run_meter meter;
};

/* --- the worker --------------------------------------------------------------------------- */

enum {
    OBJECTS_IDLE_MAX = 8192,
    CALLS_PER_SEGMENT_MAX = 4096,
    WRITES_PER_SEGMENT_MAX = 16384,
    LOG_LINES_MAX = 1000,
};

struct log_line {
    int64_t ms;
    uint32_t level;
    char *text[4]; /* type, id, method, line */
};

/* Objects that may run, in lines (ready.c). */
enum ready_line {
    READY_CALLS, /* the head is a call or a resumption */
    READY_OUTSIDE,
    READY_HEAVY, /* either, of a job that has made more than HEAVY_CALLS calls; a SHOW */
    READY_LINES
};

enum { HEAVY_CALLS = 1024 };

struct ready {
    struct cairn_link lines[READY_LINES];
    uint64_t spent[READY_LINES]; /* ns times stride */
    uint64_t floor;              /* of the line that was served last: where one that was empty starts */
    uint64_t since_ns;
    bool heavy; /* the object taken last was of READY_HEAVY: these run one by one */
    int last;   /* the line that is to be charged for what runs since then; READY_LINES: none */
};

struct cairn_worker {
    struct cairn_node *node;
    uint32_t index;
    struct cairn_fn_worker *fn;
    struct shard *shards; /* by shard index; only its own are filled in */
    struct cairn_random random;

    struct object **table; /* chained, a power of two */
    uint32_t table_size, object_count;
    struct cairn_link idle; /* oldest first */
    uint32_t idle_count;

    struct type **types; /* chained, a power of two */
    uint32_t types_size, type_count;
    struct ready ready;
    struct cairn_link aside;
    struct message *turns, *turns_last; /* pages, or parts of them: one is made in a turn (worker_await_turn) */
    bool turn_next;                     /* one of these is next, and no slice of what was set aside */
    struct cairn_link admission;        /* invocations from outside that need a fiber */
    struct cairn_link fiber_waiters;    /* invocations in mailboxes that need a fiber */
    struct cairn_link commits;          /* segments that have run and wait for room in the log, in the order of it */
    struct cairn_link begins;           /* invocations that hold nothing and wait until their segment may begin */
    struct cairn_link held;             /* by the places that they depend on, ascending */
    struct dependency wanted;           /* by what was held and was not told yet */
    bool lingers;                       /* it looks for other work once more before it helps the log */
    struct cairn_link live;             /* invocations at objects of this worker */
    uint32_t outside_fibers;            /* held by requests from outside */
    uint32_t fibers, fibers_waiting;    /* held; of them, by invocations that await calls */
    _Atomic uint64_t admitted;          /* requests submitted here and not replied to; read by any thread */

    struct invocation *free_invocations;
    uint32_t free_invocation_count;
    struct segment *free_segments;

    struct log_line *lines; /* ring */
    uint64_t line_count;
    uint64_t invocation_count;
    struct catalog *catalog; /* the one that its types were made from */
    uint32_t purge_cursor;
    bool purging;           /* there was something to purge the last time */
    uint64_t purge_ns;      /* until then fresh segments run before it */
    uint32_t pasts;         /* see past.h */
    uint64_t retry_ns;      /* when those that wait for room try again */
    uint64_t resumed_count; /* fibers that went on after a wait */
    struct {
        uint64_t since_ns, resumed_count; /* both when it began */
        uint32_t looks;                   /* at it since */
    } stuck;                              /* all fibers wait for calls and none goes on; since_ns 0: not so */
    uint64_t aside_ns;                    /* until then fresh segments run before those set aside */
    bool failed;                          /* the log has failed */
    uint64_t recent_ns;                   /* the last reading of the clock in this turn; 0: none yet */

    /* crossing threads: a stack of messages, pushed by any, taken whole by the owner */
    _Atomic(struct message *) inbox;
    atomic_bool wants_progress; /* something is held: tell when the log progresses */
    struct worker_counts counts;
    struct cairn_purse purse; /* of node->calls */
};

struct catalog; /* catalog.h */

/* The version of the node that is being taken; worker 0's. */
struct snapshots {
    bool taking;
    struct invocation *inv;  /* who asked for it; NULL: the schedule */
    struct invocation *next; /* who asked while the schedule's was taken, and gets the one after it */
    uint64_t next_ns;        /* when the schedule takes the next; 0: not known yet */
    uint64_t look_ns;        /* when it is looked whether one is due for another reason */
};

struct cairn_node {
    struct cairn_node_options options;
    struct cairn_limits limits;
    struct cairn_log *log;
    struct cairn_worker *workers;
    uint32_t shard_count;
    const uint16_t *slots;   /* the store's: the shard of each slot */
    struct deploy *compiles; /* worker 0's, in the order in which they came; compile_count of them */
    uint32_t compile_count, compiling_count;
    struct deploy *deploys, *deploys_last; /* worker 0's queue, the first is under way */
    struct snapshots snapshots;
    struct stats stats;
    struct cairn_budget memory, calls; /* calls: the part that calls and results have */

    /* crossing threads; relaxed unless said */
    atomic_bool draining, failed;
    _Atomic uint64_t acknowledged; /* release by the log's thread, acquire by workers */
    _Atomic int64_t last_ms;       /* the latest `now` given out */
    struct cairn_err failure;      /* written before `failed` (release) */
};

/* worker.c */
void worker_send(struct cairn_worker *from, uint32_t to, struct message *message);
void worker_post(struct cairn_node *node, uint32_t to, struct message *message); /* from any thread */
/* The message waits behind others; in its turn message->receive is called.  For what takes as long as a page. */
void worker_await_turn(struct cairn_worker *worker, struct message *message);
int64_t worker_now_ms(struct cairn_worker *worker);
uint64_t worker_clock_ns(struct cairn_worker *worker);
/* The same from some microseconds ago, which costs nothing: runs read the clock as they end. */
static inline uint64_t worker_recent_ns(struct cairn_worker *worker)
{
    return worker->recent_ns ? worker->recent_ns : worker_clock_ns(worker);
}
void worker_hold(struct cairn_worker *worker, struct invocation *inv); /* replies at once if it may */
static inline struct shard *worker_shard(struct cairn_worker *worker, uint32_t index)
{
    return &worker->shards[index];
}
/* The type has no say: objects with the same id, or the same tag in it, live together. */
uint32_t node_shard_of(const struct cairn_node *node, struct cairn_bytes space, struct cairn_bytes id);
static inline uint32_t node_owner(const struct cairn_node *node, uint32_t shard)
{
    return shard % node->options.workers;
}

/* events.c: tells of a request that changes the node, as its reply leaves. */
void events_reply(struct cairn_worker *worker, const struct invocation *inv);

/* A page of a long answer ends, at the latest, when it has CAIRN_PAGE_ENTRIES or CAIRN_PAGE_BYTES; and once it has
 * PAGE_ENTRIES_MIN, which is looked at as often, when PAGE_NS are over: what is not in memory yet takes long to
 * read. */
enum { PAGE_ENTRIES_MIN = 16, PAGE_NS = 100000, PAGE_LIMIT_DEFAULT = 100 };

struct page {
    struct cairn_worker *worker;
    uint64_t until_ns;
    bool late;
};

/* gather.c */
void page_begin(struct page *page, struct cairn_worker *worker);
bool page_full(struct page *page, uint64_t entries, size_t bytes);

/* gather.c, catalog.c: what is in flight when the node closes */
void gather_drop(struct cairn_worker *worker, struct message *message);
void deploys_drop(struct cairn_worker *worker);

/* invocation.c */
struct invocation *invocation_new(struct cairn_worker *worker);
void invocation_free(struct cairn_worker *worker, struct invocation *inv);
void invocation_move(struct invocation *inv, enum invocation_state to); /* the only writer of state */
/* The segment's time: the same however often it is asked for. */
static inline int64_t invocation_now_ms(struct invocation *inv)
{
    if (!inv->now_ms)
        inv->now_ms = worker_now_ms(inv->worker);
    return inv->now_ms;
}
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

/* account.c: the bytes of calls and results (docs/design/0019-bounds-in-bytes.md) */
/* A call is issued with that much: CAIRN_ELIMIT if its job keeps too much already. */
enum cairn_code account_call(struct cairn_worker *worker, struct job *job, size_t bytes, struct cairn_err *err);
/* An invocation is set aside while others may begin. */
void account_aside(struct cairn_worker *worker, struct invocation *inv);
/* An invocation is over, and its result goes to where it came from. */
void account_result(struct cairn_worker *worker, struct invocation *inv);
/* The result has become the caller's, who keeps `kept` bytes of it. */
void account_received(struct cairn_worker *worker, struct invocation *inv, size_t kept);
/* The caller gives up results of that many bytes. */
void account_dropped(struct cairn_worker *worker, struct job *job, size_t bytes);
/* What is charged for an invocation is released. */
void account_release(struct cairn_worker *worker, struct invocation *inv);
/* The same when its result is about to become its client's, whose session counts it from here on. */
void account_replied(struct cairn_worker *worker, struct invocation *inv);
/* Whether an invocation may begin; if not, the error that it ends with: `overloaded` (a request), `limit` (a call). */
bool account_may_begin(struct cairn_worker *worker, const struct invocation *inv, enum cairn_code *ret_code,
                       const char **ret_text);

/* mailbox.c */
/* An invocation has come to the worker that owns its object. */
void invocation_arrive(struct cairn_worker *worker, struct invocation *inv);
void receive_invocation(struct cairn_worker *worker, struct message *message);
/* Puts the object on the list of those to run, if its mailbox's head may start. */
void object_make_ready(struct cairn_worker *worker, struct object *object);
struct invocation *mailbox_take(struct cairn_worker *worker, struct object *object); /* NULL: none may start */
/* To the head: what it waited for is there. */
void mailbox_resume(struct cairn_worker *worker, struct invocation *inv);
/* To the head, or back to admission: it has turned out to need a fiber, and there is none. */
void mailbox_await_fiber(struct cairn_worker *worker, struct invocation *inv);
struct invocation *mailbox_give_up(struct cairn_worker *worker); /* takes the first that waits for a fiber */
/* There are fibers again: those that wait for one may start. */
void fibers_freed(struct cairn_worker *worker);
/* A fiber held by a request from outside is free: who waits for one comes in. */
void admission_next(struct cairn_worker *worker);

/* ready.c */
void ready_init(struct ready *ready);
void ready_add(struct ready *ready, struct object *object, const struct invocation *head);
bool ready_empty(const struct ready *ready);
/* Takes the object that is to run now; NULL: there is none. */
struct object *ready_next(struct cairn_worker *worker);
/* What follows is not the work of the object taken last. */
void ready_pause(struct cairn_worker *worker);
/* One that is likely to be next, or NULL. */
const struct object *ready_peek(const struct ready *ready);

/* invoke.c */
/* Runs one segment of the object's head. */
void object_run(struct cairn_worker *worker, struct object *object);
void invocation_resume_aside(struct cairn_worker *worker, struct invocation *inv);
/* Tries again with those that wait for room. */
void room_retry(struct cairn_worker *worker);
static inline bool room_awaited(const struct cairn_worker *worker)
{
    return !cairn_list_empty(&worker->commits) || !cairn_list_empty(&worker->begins);
}
/* All fibers are held by invocations that themselves wait for calls, and nothing moves: the first that
 * needs one will not get it. */
void fibers_stuck(struct cairn_worker *worker);
void invocations_fail_all(struct cairn_worker *worker);
void receive_result(struct cairn_worker *worker, struct message *message);

/* segment.c */
struct segment *segment_begin(struct cairn_worker *worker, struct object *object);
struct segment *segment_end(struct cairn_worker *worker, struct segment *segment); /* drops it; returns NULL */
void segment_restart(struct cairn_worker *worker, struct invocation *inv);
/* Into header->containers, which has room for all that a header can hold. */
bool header_decode(struct cairn_bytes bytes, struct header *header);
/* The numbers of the value fields that objects of the type may have; their count. */
uint32_t type_value_fields(const struct type *type, uint32_t *to);
struct container *header_container(struct cairn_arena *arena, struct header *header, uint32_t field, bool make);
uint64_t shard_incarnation(struct cairn_worker *worker, struct shard *shard);
/* Commits a worker's own small writes to a shard (purging, interrupted keys). */
enum cairn_code shard_commit_own(struct cairn_worker *worker, struct shard *shard, struct overlay *overlay,
                                 const char *note, struct dependency *ret_record, struct cairn_err *err);
enum cairn_code shard_meta_load(struct shard *shard, struct cairn_err *err);
void shard_meta_store(struct shard *shard, struct overlay *overlay);

/* host.c */
extern const struct cairn_host_ops object_host_ops;

/* show.c: SHOW and DELETE, which run as invocations without a guest */
void show_object(struct invocation *inv);
void delete_object(struct invocation *inv);

#endif
