#include "object/called.h"

#include <stdlib.h>

#include "object/clock.h"
#include "object/durable.h"
#include "object/layout.h"
#include "object/tree.h"
#include "object/worker.h"

enum {
    PER_RECORD = 64,
    PER_MESSAGE = 64,
    WAIT_NS = 20000000,   /* what is to be forgotten waits so long for more */
    RETRY_NS = 100000000, /* the log had no room */
    ASKS_MAX = 64,        /* under way, of one worker */
};

/* Calls that a shard of the receiver is to forget. */
struct forget {
    struct message message;
    uint32_t shard, count;
    struct called calls[PER_MESSAGE];
};

/* Is that durable invocation open?  There and back. */
struct ask {
    struct message message;
    uint32_t from_worker, from_shard; /* which asks */
    struct called called;             /* the call is not looked at */
    bool open;
};

/* To be told to a shard, once the record is acknowledged. */
struct telling {
    struct called called;
    uint32_t to;
    struct dependency record;
};

struct own_shard {
    struct cairn_buf forgets;            /* struct called, each */
    uint64_t since_ns;                   /* the first of them came; 0: there is none */
    bool asked;                          /* all that was listed at the opening has been asked for */
    uint8_t after[CALLED_KEY_BYTES - 1]; /* the last that was */
    bool begun;
};

enum { CALLED_ALL = UINT32_MAX }; /* in the place of a call's number: all calls of that invocation */

struct calleds {
    bool (*end)(struct cairn_worker *worker, struct shard *shard, struct cairn_bytes key);
    struct telling *tellings; /* first to last, in the order of the records */
    uint32_t first, count, room;
    uint32_t asks;
    uint32_t asking; /* the shard that is next; shard_count: all have been asked for */
    struct own_shard *shards;
};

/* --- keys ------------------------------------------------------------------------------------------- */

static void put_be32(uint8_t *to, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(to, &v, sizeof v);
}

static uint32_t get_be32(const uint8_t *from)
{
    return __builtin_bswap32(cairn_get_u32(from));
}

void called_key(uint8_t to[CALLED_KEY_BYTES], const struct called *called)
{
    to[0] = KEY_CALLED;
    put_be32(to + 1, called->shard);
    cairn_put_be64(to + 5, called->number);
    put_be32(to + 13, called->call);
}

/* As a tree has it: without the first byte. */
static struct called called_in(struct cairn_bytes key)
{
    return (struct called){
        .shard = get_be32(key.data), .number = cairn_get_be64(key.data + 4), .call = get_be32(key.data + 12)};
}

static struct tree tree_of(struct overlay *overlay)
{
    static const uint8_t prefix[] = {KEY_CALLED_LIST};

    return (struct tree){.overlay = overlay, .prefix = cairn_bytes(prefix, sizeof prefix)};
}

void called_add(struct overlay *overlay, const struct called *called)
{
    struct tree tree = tree_of(overlay);
    uint8_t key[CALLED_KEY_BYTES];

    called_key(key, called);
    tree_add(&tree, cairn_bytes(key + 1, sizeof key - 1));
}

void called_remove(struct overlay *overlay, const struct called *called)
{
    struct tree tree = tree_of(overlay);
    uint8_t key[CALLED_KEY_BYTES];

    called_key(key, called);
    tree_remove(&tree, cairn_bytes(key + 1, sizeof key - 1));
}

void called_visit(struct overlay *overlay, void (*visit)(void *context, struct cairn_bytes key), void *context)
{
    struct tree tree = tree_of(overlay);
    struct tree_cursor cursor;

    for (bool there = tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(NULL, 0)); there;
         there = tree_next(&cursor)) {
        uint8_t key[CALLED_KEY_BYTES] = {KEY_CALLED};
        struct cairn_bytes k = tree_key(&cursor);

        if (k.size != sizeof key - 1)
            continue;
        memcpy(key + 1, k.data, k.size);
        visit(context, cairn_bytes(key, sizeof key));
    }
}

void called_visit_of(struct overlay *overlay, const struct called *called,
                     void (*visit)(void *context, struct cairn_bytes key), void *context)
{
    struct tree tree = tree_of(overlay);
    struct tree_cursor cursor;
    uint8_t first[CALLED_KEY_BYTES], key[CALLED_KEY_BYTES] = {KEY_CALLED};

    called_key(first, &(struct called){.shard = called->shard, .number = called->number});
    for (bool there = tree_seek(&cursor, &tree, TREE_AT_OR_AFTER, cairn_bytes(first + 1, sizeof first - 1)); there;
         there = tree_next(&cursor)) {
        struct cairn_bytes k = tree_key(&cursor);

        if (k.size != sizeof key - 1 || memcmp(k.data, first + 1, 12) != 0 || called_in(k).call >= called->call)
            break;
        memcpy(key + 1, k.data, k.size);
        visit(context, cairn_bytes(key, sizeof key));
    }
}

/* --- the caller's side --------------------------------------------------------------------------------- */

void called_done(struct cairn_worker *worker, const struct called *called, uint32_t to, struct dependency record)
{
    struct calleds *c = worker->calleds;

    if (c->first + c->count == c->room) {
        if (c->count)
            memmove(c->tellings, c->tellings + c->first, c->count * sizeof *c->tellings);
        c->first = 0;
        if (2 * c->count >= c->room) {
            c->room = c->room ? 2 * c->room : 64;
            c->tellings = cairn_realloc(c->tellings, c->room * sizeof *c->tellings);
        }
    }
    c->tellings[c->first + c->count++] = (struct telling){.called = *called, .to = to, .record = record};
}

void called_over(struct cairn_worker *worker, uint32_t shard, uint64_t number, struct dependency record)
{
    struct called called = {.number = number, .shard = shard, .call = CALLED_ALL};

    for (uint32_t to = 0; to < worker->node->shard_count; to++)
        called_done(worker, &called, to, record);
}

static void receive_forget(struct cairn_worker *worker, struct message *message);
static void drop_message(struct cairn_worker *worker, struct message *message)
{
    (void)worker;
    free(message);
}

/* With one log nothing is to be waited for: the record that forgets comes behind it. */
static bool may_tell(const struct cairn_worker *worker, const struct telling *telling)
{
    return worker->node->has_one_log || dependency_acknowledged(worker->node, telling->record);
}

static void tell(struct cairn_worker *worker)
{
    struct calleds *c = worker->calleds;

    while (c->count && may_tell(worker, &c->tellings[c->first])) {
        struct forget *forget = cairn_alloc(sizeof *forget);

        forget->message.receive = receive_forget;
        forget->message.drop = drop_message;
        forget->shard = c->tellings[c->first].to;
        forget->count = 0;
        while (c->count && forget->count < PER_MESSAGE && c->tellings[c->first].to == forget->shard &&
               may_tell(worker, &c->tellings[c->first])) {
            forget->calls[forget->count++] = c->tellings[c->first++].called;
            c->count--;
        }
        worker_send(worker, node_owner(worker->node, forget->shard), &forget->message);
    }
}

/* --- the callee's side --------------------------------------------------------------------------------- */

static void forget_later(struct cairn_worker *worker, uint32_t shard, const struct called *called)
{
    struct own_shard *own = &worker->calleds->shards[shard];

    if (!own->since_ns)
        own->since_ns = worker_recent_ns(worker);
    cairn_buf_add(&own->forgets, called, sizeof *called);
}

struct forgets {
    struct cairn_worker *worker;
    uint32_t shard;
};

static void forget_one(void *context, struct cairn_bytes key)
{
    const struct forgets *f = context;
    struct called one = called_in(cairn_bytes(key.data + 1, key.size - 1));

    forget_later(f->worker, f->shard, &one);
}

/* All that the invocation has called here. */
static void forget_all(struct cairn_worker *worker, uint32_t shard_index, struct called called)
{
    struct forgets forgets = {worker, shard_index};
    struct overlay overlay = {0};

    overlay_reset(&overlay, worker_shard(worker, shard_index)->engine);
    called.call = CALLED_ALL;
    called_visit_of(&overlay, &called, forget_one, &forgets);
    overlay_done(&overlay);
}

static void receive_forget(struct cairn_worker *worker, struct message *message)
{
    struct forget *forget = (struct forget *)message;

    for (uint32_t i = 0; i < forget->count; i++)
        if (forget->calls[i].call == CALLED_ALL)
            forget_all(worker, forget->shard, forget->calls[i]);
        else
            forget_later(worker, forget->shard, &forget->calls[i]);
    free(forget);
}

/* Ends those that are to be forgotten next, as far as that is possible now; what is under way goes behind the others.
 * How many may be forgotten: they are the first. */
static size_t end_some(struct cairn_worker *worker, struct shard *shard, struct own_shard *own)
{
    struct cairn_buf may = {0}, later = {0};
    size_t at = 0, count;

    for (int n = 0; n < PER_RECORD && at < own->forgets.size; n++, at += sizeof(struct called)) {
        uint8_t key[CALLED_KEY_BYTES];
        struct called called;

        memcpy(&called, own->forgets.data + at, sizeof called);
        called_key(key, &called);
        cairn_buf_add(worker->calleds->end(worker, shard, cairn_bytes(key, sizeof key)) ? &may : &later, &called,
                      sizeof called);
    }
    count = may.size / sizeof(struct called);
    cairn_buf_add(&may, own->forgets.data + at, own->forgets.size - at);
    cairn_buf_add(&may, later.data, later.size);
    cairn_buf_done(&later);
    cairn_buf_done(&own->forgets);
    own->forgets = may;
    return count;
}

/* True if there may be more. */
static bool forget_some(struct cairn_worker *worker, struct shard *shard, struct own_shard *own)
{
    struct overlay overlay = {0};
    struct dependency record;
    size_t at = 0, may = end_some(worker, shard, own);
    bool done;

    overlay_reset(&overlay, shard->engine);
    for (size_t n = 0; n < may; n++, at += sizeof(struct called)) {
        struct called called;
        uint8_t key[CALLED_KEY_BYTES];
        struct cairn_bytes k = cairn_bytes(key, sizeof key), value;

        memcpy(&called, own->forgets.data + at, sizeof called);
        called_key(key, &called);
        if (!overlay_get(&overlay, k, &value))
            continue;
        overlay_remove(&overlay, k);
        called_remove(&overlay, &called);
    }
    done = overlay.code == CAIRN_OK &&
           (!overlay.count || shard_commit_own(worker, shard, &overlay, "called", &record, NULL) == CAIRN_OK);
    overlay_done(&overlay);
    if (done)
        cairn_buf_consume(&own->forgets, at);
    done &= may > 0; /* else all wait for something */
    own->since_ns = own->forgets.size == 0 ? 0 : worker_clock_ns(worker) + (done ? 0 : RETRY_NS);
    return done && own->forgets.size > 0;
}

/* --- after a restart ----------------------------------------------------------------------------------- */

static void receive_ask(struct cairn_worker *worker, struct message *message);

static void receive_answer(struct cairn_worker *worker, struct message *message)
{
    struct ask *ask = (struct ask *)message;

    worker->calleds->asks--;
    if (!ask->open)
        forget_all(worker, ask->from_shard, ask->called);
    free(ask);
}

static void receive_ask(struct cairn_worker *worker, struct message *message)
{
    struct ask *ask = (struct ask *)message;
    struct shard *shard = worker_shard(worker, ask->called.shard);

    /* What cannot be read now counts as open: the next opening asks again. */
    ask->open =
        durable_is_open(shard, ask->called.number) || cairn_engine_take_failure(shard->engine, NULL) != CAIRN_OK;
    ask->message.receive = receive_answer;
    worker_send(worker, ask->from_worker, &ask->message);
}

/* Asks for the callers of one shard that were there when it was opened. */
static void ask_some(struct cairn_worker *worker, struct shard *shard, struct own_shard *own)
{
    struct overlay overlay = {0};
    struct tree tree = tree_of(&overlay);
    struct tree_cursor cursor;

    overlay_reset(&overlay, shard->engine);
    while (worker->calleds->asks < ASKS_MAX) {
        struct ask *ask;
        bool there = tree_seek(&cursor, &tree, own->begun ? TREE_AFTER : TREE_AT_OR_AFTER,
                               own->begun ? cairn_bytes(own->after, sizeof own->after) : cairn_bytes(NULL, 0));

        if (!there || overlay.code != CAIRN_OK || tree_key(&cursor).size != sizeof own->after) {
            own->asked = true;
            break;
        }
        memcpy(own->after, tree_key(&cursor).data, sizeof own->after);
        put_be32(own->after + 12, UINT32_MAX); /* behind all calls of that caller */
        own->begun = true;
        ask = cairn_alloc_zeroed(1, sizeof *ask);
        ask->called = called_in(tree_key(&cursor));
        if (ask->called.number >> 40 == shard->log->epoch || ask->called.shard >= worker->node->shard_count) {
            free(ask); /* it began after the opening; or no shard has that number */
            continue;
        }
        ask->message.receive = receive_ask;
        ask->message.drop = drop_message;
        ask->from_worker = worker->index;
        ask->from_shard = shard->index;
        worker->calleds->asks++;
        worker_send(worker, node_owner(worker->node, ask->called.shard), &ask->message);
    }
    overlay_done(&overlay);
}

/* --- housekeeping ------------------------------------------------------------------------------------ */

static bool step(struct cairn_worker *worker)
{
    struct calleds *c = worker->calleds;
    uint32_t shards = worker->node->shard_count;
    bool more = false;
    uint64_t now;

    if (worker->failed)
        return false;
    tell(worker);
    if (c->asking < shards && c->asks < ASKS_MAX) {
        struct shard *shard = worker_shard(worker, c->asking);

        if (shard->shard && !c->shards[c->asking].asked)
            ask_some(worker, shard, &c->shards[c->asking]);
        if (!shard->shard || c->shards[c->asking].asked)
            c->asking++;
        more = c->asking < shards && c->asks < ASKS_MAX;
    }
    now = worker_recent_ns(worker);
    for (uint32_t i = 0; i < shards; i++) {
        struct own_shard *own = &c->shards[i];

        if (own->since_ns && (own->forgets.size >= PER_RECORD * sizeof(struct called) ? now >= own->since_ns
                                                                                      : now >= own->since_ns + WAIT_NS))
            more |= forget_some(worker, worker_shard(worker, i), own);
    }
    return more;
}

static uint64_t next_ns(struct cairn_worker *worker)
{
    const struct calleds *c = worker->calleds;

    if (worker->failed)
        return UINT64_MAX;
    if (c->count)
        return WAIT_NS;
    for (uint32_t i = 0; i < worker->node->shard_count; i++)
        if (c->shards[i].since_ns)
            return WAIT_NS;
    return UINT64_MAX;
}

const struct housekeeper called_housekeeper = {.name = "outcomes of calls", .step = step, .next_ns = next_ns};

void called_open(struct cairn_worker *worker,
                 bool (*end)(struct cairn_worker *worker, struct shard *shard, struct cairn_bytes key))
{
    worker->calleds = cairn_alloc_zeroed(1, sizeof *worker->calleds);
    worker->calleds->end = end;
    worker->calleds->shards = cairn_alloc_zeroed(worker->node->shard_count + 1, sizeof *worker->calleds->shards);
}

void called_close(struct cairn_worker *worker)
{
    struct calleds *c = worker->calleds;

    if (!c)
        return;
    for (uint32_t i = 0; i <= worker->node->shard_count; i++)
        cairn_buf_done(&c->shards[i].forgets);
    free(c->shards);
    free(c->tellings);
    free(c);
    worker->calleds = NULL;
}
