#include "object/hold.h"

#include "object/account.h"
#include "object/invocation.h"
#include "object/span.h"
#include "object/worker.h"

/* How few requests are few enough to wait for each in person. */
enum { HELPS_HELD_MAX = 4 };

/* It has no request: its operation alone is told, once. */
static void tell(struct cairn_worker *worker, struct invocation *inv)
{
    inv->operation->told(worker, inv);
    invocation_free(worker, inv);
}

static void reply(struct cairn_worker *worker, struct invocation *inv)
{
    struct cairn_request *request = inv->request;

    if (__builtin_expect(!request, 0)) {
        tell(worker, inv);
        return;
    }
    stat_add(&worker->admitted, (uint64_t)-1);
    request->effects = inv->effects;
    if (inv->effects != CAIRN_EFFECTS_NONE && atomic_load_explicit(&worker->node->failed, memory_order_relaxed))
        request->effects = CAIRN_EFFECTS_UNKNOWN;
    if (inv->operation->told)
        inv->operation->told(worker, inv);
    account_replied(worker, inv);
    if (__builtin_expect(inv->job && inv->job->cost, 0))
        job_tell_cost(inv);
    if (__builtin_expect(inv->span != NULL, 0)) {
        span_moves(inv, INV_OVER); /* it was held perhaps */
        request->reply(request, cairn_buf_bytes(&inv->result));
        span_end(worker, inv);
    } else {
        request->reply(request, cairn_buf_bytes(&inv->result));
    }
    invocation_free(worker, inv);
}

static void release_held(struct cairn_worker *worker);

/* With one log all that was held before and may leave does so first.  False: replies are being given, and have others
 * come, which wait in line for a moment. */
static bool release_before(struct cairn_worker *worker)
{
    if (!worker->node->has_one_log)
        return true;
    worker->release_again = worker->releases;
    if (!worker->releases)
        release_held(worker);
    return !worker->releases;
}

/* With one log nothing overtakes what was decided before it, nor what only waits for its time to be reserved. */
static bool is_behind_held(const struct cairn_worker *worker, const struct invocation *inv)
{
    return worker->node->has_one_log && !cairn_list_empty(&worker->held) &&
           cairn_container(worker->held.next, struct invocation, link)->depends.end <= inv->depends.end;
}

static inline bool leaves(struct cairn_worker *worker, struct invocation *inv)
{
    return dependency_met(worker->node, inv->depends) &&
           (cairn_list_empty(&worker->held) || (release_before(worker) && !is_behind_held(worker, inv)));
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
    if (leaves(worker, inv)) {
        reply(worker, inv);
        return;
    }
    if (!atomic_load_explicit(&worker->wants_progress, memory_order_relaxed)) {
        atomic_store(&worker->wants_progress, true);
        if (leaves(worker, inv)) { /* just now: no other word of it will come */
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
    stat_add(&worker->counts.held, inv->request != NULL);
    if (node->has_one_log)
        dependency_join(&worker->wanted, inv->depends);
    else /* places in several logs do not join */
        dependency_want(node, inv->depends);
}

void hold_answer(struct cairn_worker *worker, struct message *message)
{
    worker_hold(worker, (struct invocation *)message);
}

void hold_refused(struct cairn_worker *worker, struct invocation *inv)
{
    stat_add(&worker->counts.refused, 1);
    reply(worker, inv);
}

/* Once a turn, and not with each reply: then the sync that it starts is that of all replies of the turn, and waking the
 * log's thread is paid for once. */
static void want_held(struct cairn_worker *worker)
{
    dependency_want(worker->node, worker->wanted);
    worker->wanted = (struct dependency){0};
}

static void release_once(struct cairn_worker *worker)
{
    struct cairn_link *last = &worker->held; /* of those that stay: what a reply puts in line is not passed over */

    while (last->next != &worker->held) {
        struct invocation *inv = cairn_container(last->next, struct invocation, link);

        if (!dependency_met(worker->node, inv->depends)) {
            if (worker->node->has_one_log)
                break;
            last = &inv->link; /* others wait for other logs */
            continue;
        }
        cairn_list_remove(&inv->link);
        stat_add(&worker->counts.held, inv->request ? (uint64_t)-1 : 0);
        reply(worker, inv);
    }
}

static void release_held(struct cairn_worker *worker)
{
    worker->releases = true;
    do {
        worker->release_again = false;
        release_once(worker);
    } while (worker->release_again);
    worker->releases = false;
}

/* --- from shard to shard, where each has a log of its own --- */

/* It depends on nothing any more that could be lost. */
static void pass(struct cairn_worker *worker, struct invocation *inv)
{
    uint32_t to = inv->state == INV_OVER ? inv->origin : node_owner(worker->node, inv->shard);

    inv->depends = (struct dependency){0};
    if (to == worker->index)
        inv->message.receive(worker, &inv->message);
    else
        worker_send(worker, to, &inv->message);
}

void hold_pass(struct cairn_worker *worker, struct invocation *inv)
{
    if (cairn_list_empty(&worker->passing) && dependency_met(worker->node, inv->depends)) {
        pass(worker, inv);
        return;
    }
    cairn_list_push_back(&worker->passing, &inv->link);
    atomic_store(&worker->wants_progress, true);
    dependency_want(worker->node, inv->depends);
    if (dependency_met(worker->node, inv->depends)) /* just now: no other word of it will come */
        worker->passes = true;
}

/* In order, so that calls of one object arrive at another in the order issued. */
static void release_passing(struct cairn_worker *worker)
{
    worker->passes = false;
    while (!worker->failed && !cairn_list_empty(&worker->passing)) {
        struct invocation *inv = cairn_container(worker->passing.next, struct invocation, link);

        if (!dependency_met(worker->node, inv->depends))
            break;
        cairn_list_remove(&inv->link);
        pass(worker, inv);
    }
}

void hold_release(struct cairn_worker *worker)
{
    if (!cairn_list_empty(&worker->passing))
        release_passing(worker);
    if (!cairn_list_empty(&worker->held))
        release_held(worker);
    if (cairn_list_empty(&worker->held) && cairn_list_empty(&worker->passing) &&
        atomic_load_explicit(&worker->wants_progress, memory_order_relaxed))
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
    hold_release(worker);
    return false;
}

bool hold_end_turn(struct cairn_worker *worker, bool idle, bool worked)
{
    if (idle)
        return help_log(worker, worked);
    want_held(worker);
    return false;
}

void hold_fail_all(struct cairn_worker *worker)
{
    struct cairn_link *l;

    while ((l = cairn_list_pop_front(&worker->held))) {
        struct invocation *inv = cairn_container(l, struct invocation, link);
        stat_add(&worker->counts.held, inv->request ? (uint64_t)-1 : 0);
        set_error(inv, CAIRN_EUNAVAILABLE, worker->node->failure.text);
        reply(worker, inv);
    }
}
