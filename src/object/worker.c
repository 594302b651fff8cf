/* worker.c - a worker: its inbox, its loop, and the replies it holds back. */
#include <assert.h>
#include <stdlib.h>

#include "base/slot.h"
#include "object/catalog.h"
#include "object/gather.h"
#include "object/past.h"
#include "object/purge.h"
#include "object/snapshots.h"

/* --- time --------------------------------------------------------------------------------------- */

uint64_t worker_clock_ns(struct cairn_worker *worker)
{
    worker->recent_ns = worker->node->options.clock->monotonic_ns(worker->node->options.clock);
    return worker->recent_ns;
}

/* Never earlier than any time given before on this node. */
int64_t worker_now_ms(struct cairn_worker *worker)
{
    struct cairn_node *node = worker->node;
    int64_t now = (int64_t)node->options.clock->wall_ms(node->options.clock);
    int64_t last = atomic_load_explicit(&node->last_ms, memory_order_relaxed);

    while (now > last)
        if (atomic_compare_exchange_weak_explicit(&node->last_ms, &last, now, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            node->log->ops->reserve_time(node->log, (uint64_t)now);
            return now;
        }
    return last;
}

/* --- inbox ---------------------------------------------------------------------------------------- */

static void inbox_push(struct cairn_worker *to, struct message *message)
{
    struct message *head = atomic_load_explicit(&to->inbox, memory_order_relaxed);

    do
        message->next = head;
    while (
        !atomic_compare_exchange_weak_explicit(&to->inbox, &head, message, memory_order_release, memory_order_relaxed));
    if (!head && to->node->options.wake)
        to->node->options.wake(to->node->options.context, to->index);
}

void worker_send(struct cairn_worker *from, uint32_t to, struct message *message)
{
    (void)from;
    inbox_push(&from->node->workers[to], message);
}

void worker_post(struct cairn_node *node, uint32_t to, struct message *message)
{
    inbox_push(&node->workers[to], message);
}

static bool inbox_drain(struct cairn_worker *worker)
{
    struct message *stack, *first = NULL;

    if (!atomic_load_explicit(&worker->inbox, memory_order_relaxed))
        return false;
    stack = atomic_exchange_explicit(&worker->inbox, NULL, memory_order_acquire);
    while (stack) { /* the stack holds the newest first; they are taken in the order sent */
        struct message *next = stack->next;
        stack->next = first;
        first = stack;
        stack = next;
    }
    while (first) {
        struct message *next = first->next;
        stat_add(&worker->counts.messages, 1);
        first->receive(worker, first);
        first = next;
    }
    return true;
}

void worker_await_turn(struct cairn_worker *worker, struct message *message)
{
    message->next = NULL;
    if (worker->turns)
        worker->turns_last->next = message;
    else
        worker->turns = message;
    worker->turns_last = message;
}

static void take_turn(struct cairn_worker *worker)
{
    struct message *message = worker->turns;

    worker->turns = message->next;
    message->receive(worker, message);
}

/* --- output commit --------------------------------------------------------------------------------- */

/* How few requests are few enough to wait for each in person. */
enum { HELPS_HELD_MAX = 4 };

static void reply(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_request *request = inv->request;

    stat_add(&worker->admitted, (uint64_t)-1);
    request->effects = inv->effects;
    if (inv->effects != CAIRN_EFFECTS_NONE && atomic_load_explicit(&worker->node->failed, memory_order_relaxed))
        request->effects = CAIRN_EFFECTS_UNKNOWN;
    if (inv->op != CAIRN_OP_INVOKE)
        events_reply(worker, inv);
    account_replied(worker, inv);
    request->reply(request, cairn_buf_bytes(&inv->result));
    invocation_free(worker, inv);
}

void worker_hold(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_node *node = worker->node;
    struct cairn_link *at;

    if (atomic_load_explicit(&node->failed, memory_order_acquire)) {
        set_error(inv, CAIRN_EUNAVAILABLE, node->failure.text);
        reply(worker, inv);
        return;
    }
    if (dependency_met(node, inv->depends)) {
        reply(worker, inv);
        return;
    }
    if (!atomic_load_explicit(&worker->wants_progress, memory_order_relaxed)) {
        atomic_store(&worker->wants_progress, true);
        if (dependency_met(node, inv->depends)) { /* just now: nobody will tell */
            reply(worker, inv);
            return;
        }
    }
    invocation_move(inv, INV_HELD);
    /* Mostly in ascending order already. */
    for (at = worker->held.prev; at != &worker->held; at = at->prev)
        if (cairn_container(at, struct invocation, link)->depends.end <= inv->depends.end)
            break;
    cairn_list_insert(at, &inv->link);
    stat_add(&worker->counts.held, 1);
    dependency_join(&worker->wanted, inv->depends);
}

/* Once a turn, and not with each reply: then the sync that it starts is that of all replies of the turn, and waking the
 * log's thread is paid for once. */
static void want_held(struct cairn_worker *worker)
{
    dependency_want(worker->node, worker->wanted);
    worker->wanted = (struct dependency){0};
}

static void release_held(struct cairn_worker *worker)
{
    for (struct cairn_link *l = worker->held.next, *next; l != &worker->held; l = next) {
        struct invocation *inv = cairn_container(l, struct invocation, link);

        next = l->next;
        if (!dependency_met(worker->node, inv->depends)) {
            if (!dependency_acknowledged(worker->node, inv->depends))
                break;
            continue; /* only its time is still to be reserved */
        }
        cairn_list_remove(&inv->link);
        stat_add(&worker->counts.held, (uint64_t)-1);
        reply(worker, inv);
    }
    if (cairn_list_empty(&worker->held) && atomic_load_explicit(&worker->wants_progress, memory_order_relaxed))
        atomic_store(&worker->wants_progress, false);
}

/* A worker all of whose requests wait for the log, and they are few, writes and syncs by itself: that takes no change
 * of threads.  First it looks once more for other work, so that replies of this turn leave, and a request that is there
 * already shares the sync.  True if it is to be called again at once. */
static bool help_log(struct cairn_worker *worker, bool worked)
{
    uint64_t held = stat_get(&worker->counts.held);
    bool lingered = worker->lingers;

    worker->lingers = false;
    if (!worker->wanted.end || held > HELPS_HELD_MAX || stat_get(&worker->admitted) != held || (worked && lingered)) {
        want_held(worker);
        return false;
    }
    if (!lingered) {
        worker->lingers = true;
        return true;
    }
    dependency_help(worker->node, worker->wanted);
    worker->wanted = (struct dependency){0};
    release_held(worker);
    return false;
}

static void fail(struct cairn_worker *worker)
{
    struct cairn_link *l;

    worker->failed = true;
    while ((l = cairn_list_pop_front(&worker->held))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        stat_add(&worker->counts.held, (uint64_t)-1);
        set_error(inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        reply(worker, inv);
    }
    invocations_fail_all(worker);
}

/* --- requests ---------------------------------------------------------------------------------------- */

uint32_t node_shard_of(const struct cairn_node *node, struct cairn_bytes space, struct cairn_bytes id)
{
    /* Moved by the namespace, so that equal ids of different ones spread; part of the data folder's format. */
    return node->slots[(cairn_slot(id) + cairn_hash(space)) % CAIRN_SLOTS];
}

static enum cairn_code check_request(struct cairn_worker *worker, const struct cairn_request *request,
                                     struct cairn_err *err)
{
    const struct cairn_limits *limits = &worker->node->limits;
    bool object = request->op == CAIRN_OP_INVOKE || request->op == CAIRN_OP_SHOW || request->op == CAIRN_OP_DELETE ||
                  request->op == CAIRN_OP_RESTORE;

    if (atomic_load_explicit(&worker->node->failed, memory_order_acquire))
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "%s", worker->node->failure.text);
    if (atomic_load_explicit(&worker->node->draining, memory_order_relaxed) && !request->goes_on)
        return cairn_fail(err, CAIRN_EUNAVAILABLE, "the node is stopping");
    if (stat_get(&worker->admitted) > limits->requests)
        return cairn_fail(err, CAIRN_EOVERLOAD, "%u requests are under way; try again later", limits->requests);
    /* Of an invocation's names it is said only when they are not found. */
    if (request->op != CAIRN_OP_INVOKE && (object || request->op == CAIRN_OP_LIST) && !cairn_name_valid(request->type))
        return cairn_fail(err, CAIRN_EINVAL,
                          "a type's name has 1 to 64 letters, digits and _, and begins with a letter");
    if (object && (request->id.size == 0 || request->id.size > CAIRN_ID_BYTES_MAX))
        return cairn_fail(err, CAIRN_EINVAL, "an id has 1 to %d bytes", CAIRN_ID_BYTES_MAX);
    if (request->op == CAIRN_OP_RESTORE && !request->number && !request->at_ms)
        return cairn_fail(err, CAIRN_EINVAL, "give a version, or a moment");
    if (request->args.size > limits->value_bytes)
        return cairn_fail(err, CAIRN_ELIMIT, "the arguments have %zu bytes; at most %u are allowed", request->args.size,
                          limits->value_bytes);
    if (request->key.size > CAIRN_ONCE_KEY_BYTES_MAX)
        return cairn_fail(err, CAIRN_EINVAL, "an idempotency key has 1 to %d bytes", CAIRN_ONCE_KEY_BYTES_MAX);
    return CAIRN_OK;
}

void cairn_worker_submit(struct cairn_worker *worker, struct cairn_request *request)
{
    struct invocation *inv = invocation_new(worker);
    struct cairn_err err;
    enum cairn_code code;

    stat_add(&worker->admitted, 1);
    inv->request = request;
    inv->op = request->op;
    inv->origin = worker->index;
    inv->worker = worker;
    inv->started_ns = worker_recent_ns(worker);
    code = check_request(worker, request, &err);
    if (code != CAIRN_OK) {
        set_error(inv, code, err.text);
        stat_add(&worker->counts.refused, 1);
        reply(worker, inv);
        return;
    }
    inv->space = request->space.size ? request->space : cairn_str("default");
    inv->type_name = request->type;
    inv->id = request->id;
    inv->method_name = request->method;
    inv->args = request->args;
    inv->key = request->op == CAIRN_OP_INVOKE ? request->key : cairn_bytes(NULL, 0);
    inv->must_read_only = request->read_only;
    switch (request->op) {
    case CAIRN_OP_INVOKE:
    case CAIRN_OP_SHOW:
    case CAIRN_OP_DELETE:
    case CAIRN_OP_RESTORE: {
        uint32_t owner;
        inv->shard = node_shard_of(worker->node, inv->space, inv->id);
        if (request->op != CAIRN_OP_INVOKE && (request->number || request->at_ms)) {
            past_begin(worker, inv);
            return;
        }
        owner = node_owner(worker->node, inv->shard);
        if (owner == worker->index)
            invocation_arrive(worker, inv);
        else
            worker_send(worker, owner, &inv->message);
        return;
    }
    case CAIRN_OP_LIST:
    case CAIRN_OP_LOGS:
        gather_start(worker, inv);
        return;
    case CAIRN_OP_DEPLOY:
    case CAIRN_OP_ROLLBACK:
    case CAIRN_OP_UNDEPLOY:
    case CAIRN_OP_MODULES:
    case CAIRN_OP_TYPES:
        catalog_request(worker, inv);
        return;
    case CAIRN_OP_SNAPSHOT:
    case CAIRN_OP_VERSIONS:
    case CAIRN_OP_FORGET:
        snapshots_request(worker, inv);
        return;
    }
}

enum {
    PAGE_TURN_SHARE = 4, /* a turn with pages is so much shorter: what came in meanwhile waits for less */
    FRESH_PER_TURN = 4,  /* a few of the dearest are still well under a slice */
    ASIDE_PAUSE_NS = 1000000,
    CHECKPOINT_STEP_NS = 200000,
    CHECKPOINT_POLL_NS = 10000000,
    FIBERS_STUCK_NS = 50000000,
    FIBERS_STUCK_LOOKS = 5, /* a process that did not run for so long has seen nothing yet */
    FIBERS_POLL_NS = 5000000,
    ROOM_RETRY_NS = 500000,
};

/* --- the loop -------------------------------------------------------------------------------------------- */

static bool anything_ready(const struct cairn_worker *worker)
{
    return !ready_empty(&worker->ready) || !cairn_list_empty(&worker->aside) || worker->turns ||
           atomic_load_explicit((_Atomic(struct message *) *)(uintptr_t)&worker->inbox, memory_order_relaxed);
}

/* True if for a while all fibers were held by invocations that wait for calls, and none of those went on: they wait for
 * invocations that need a fiber themselves.  Other work, which never ends on a busy node, says nothing about that. */
static bool fibers_knotted(struct cairn_worker *worker)
{
    uint64_t now;

    if (cairn_fn_worker_fibers_free(worker->fn) > 0 || worker->fibers_waiting < worker->fibers) {
        worker->stuck.since_ns = 0;
        return false;
    }
    now = worker_clock_ns(worker);
    if (worker->stuck.since_ns == 0 || worker->stuck.resumed_count != worker->resumed_count) {
        worker->stuck.since_ns = now; /* an answer may be on its way */
        worker->stuck.resumed_count = worker->resumed_count;
        worker->stuck.looks = 0;
    }
    return ++worker->stuck.looks > FIBERS_STUCK_LOOKS && now - worker->stuck.since_ns >= FIBERS_STUCK_NS;
}

/* Whoever needs a fiber waits as long as one can come free. */
static void retry_waiters(struct cairn_worker *worker)
{
    if (cairn_list_empty(&worker->fiber_waiters)) {
        worker->stuck.since_ns = 0;
    } else if (fibers_knotted(worker)) {
        /* Many at a time: with one, a job that multiplies would be at it for minutes. */
        for (int n = 256; n && !cairn_list_empty(&worker->fiber_waiters); n--)
            fibers_stuck(worker);
    } else {
        fibers_freed(worker);
    }
    if (!cairn_list_empty(&worker->admission))
        admission_next(worker);
}

/* Work that nobody waits for: checkpoints, purging, and tries for room in the log. */
static bool upkeep(struct cairn_worker *worker, bool fresh_ran)
{
    uint64_t now = worker_clock_ns(worker);
    bool more = false;

    if (cairn_store_checkpoint_due(worker->node->options.store))
        for (uint32_t i = 0; i <= worker->node->shard_count; i++)
            if (worker->shards[i].shard)
                more |= cairn_shard_step(worker->shards[i].shard, CHECKPOINT_STEP_NS);
    if (worker->index == 0)
        snapshots_poll(worker);
    if (room_awaited(worker) && now >= worker->retry_ns) {
        worker->retry_ns = now + ROOM_RETRY_NS;
        room_retry(worker);
    }
    if (!worker->failed && (!fresh_ran || now >= worker->purge_ns)) {
        worker->purging = purge_step(worker);
        worker->purge_ns = now + ASIDE_PAUSE_NS;
    }
    more |= worker->purging && !worker->failed;
    objects_trim(worker);
    return more;
}

/* The objects that run next: where their headers lie is fetched while this one runs. */
static void look_ahead(struct cairn_worker *worker)
{
    const struct object *object = ready_peek(&worker->ready);

    if (object && !object->loaded)
        object->shard->engine->ops->prefetch(object->shard->engine, object->hash, 1);
}

static bool run_fresh(struct cairn_worker *worker, int most)
{
    struct object *object;
    int ran = 0;

    while (ran < most && (object = ready_next(worker))) {
        look_ahead(worker);
        object_run(worker, object);
        ran = worker->ready.heavy ? most : ran + 1;
    }
    ready_pause(worker);
    return ran > 0;
}

/* One slice of a segment that was set aside, or one page, by turns: when nothing fresh ran in this turn, since
 * replies to what did go out at its end, or fresh segments have had a slice's time since the last one. */
static bool run_aside(struct cairn_worker *worker, bool fresh_ran)
{
    bool slices = !cairn_list_empty(&worker->aside);

    if ((!slices && !worker->turns) || (fresh_ran && worker_clock_ns(worker) < worker->aside_ns))
        return false;
    if (worker->turns && (worker->turn_next || !slices))
        take_turn(worker);
    else
        invocation_resume_aside(worker, cairn_container(cairn_list_pop_front(&worker->aside), struct invocation, link));
    worker->turn_next = !worker->turn_next;
    worker->aside_ns = worker_clock_ns(worker) + ASIDE_PAUSE_NS;
    return true;
}

bool cairn_worker_run(struct cairn_worker *worker, uint64_t budget_ns)
{
    uint64_t start, spent = 0, most = budget_ns;
    bool more, fresh_ran = false;

    inbox_drain(worker);
    if (!worker->failed && atomic_load_explicit(&worker->node->failed, memory_order_acquire))
        fail(worker);
    if (!cairn_list_empty(&worker->held))
        release_held(worker);
    start = worker_clock_ns(worker);
    if (anything_ready(worker))
        cairn_fn_worker_busy(worker->fn, true);
    do {
        bool ran = run_fresh(worker, budget_ns ? FRESH_PER_TURN : 1);

        if (inbox_drain(worker))
            ran = true;
        fresh_ran |= ran;
        if (worker->turns || worker->ready.heavy)
            most = budget_ns / PAGE_TURN_SHARE;
        ran |= run_aside(worker, fresh_ran);
        retry_waiters(worker);
        if (!cairn_list_empty(&worker->held))
            release_held(worker);
        if (!ran)
            break;
        spent = worker_clock_ns(worker) - start;
    } while (spent < most);
    more = upkeep(worker, fresh_ran);
    retry_waiters(worker);
    more |= anything_ready(worker);
    if (more || budget_ns == 0)
        want_held(worker);
    else
        more = help_log(worker, fresh_ran);
    if (!more)
        cairn_fn_worker_busy(worker->fn, false);
    worker->recent_ns = 0;
    return more;
}

uint64_t cairn_worker_next_ns(struct cairn_worker *worker)
{
    uint64_t wait_ns = UINT64_MAX;

    if (room_awaited(worker))
        return ROOM_RETRY_NS;
    if (!cairn_list_empty(&worker->fiber_waiters))
        return FIBERS_POLL_NS;
    for (uint32_t i = 0; i < worker->node->shard_count; i++)
        if (worker->shards[i].shard && worker->shards[i].meta.purge_first != worker->shards[i].meta.purge_end)
            return 100000000; /* purging could not go on; the log had no room */
    if (cairn_store_checkpoint_due(worker->node->options.store))
        wait_ns = CHECKPOINT_POLL_NS;
    if (worker->index == 0 && snapshots_next_ns(worker) < wait_ns)
        wait_ns = snapshots_next_ns(worker);
    return wait_ns;
}
