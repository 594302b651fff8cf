/* mailbox.c - how invocations come to an object, wait there in order, and leave to run.
 *
 * A mailbox is FIFO.  Calls and resumptions always enter it; requests from outside that will need a fiber wait
 * before it (admission) while such requests hold their share of the fibers, and so does what comes behind them for
 * the same object.  One that needs a fiber stays at the head of the mailbox until one is free. */
#include "object/mailbox.h"

#include "object/account.h"
#include "object/cache.h"
#include "object/invocation.h"
#include "object/lock.h"
#include "object/once.h"
#include "object/operation.h"
#include "object/table.h"
#include "object/transaction.h"
#include "object/type.h"
#include "object/worker.h"

enum { ARRIVALS_MAX = 4 };

/* One that needs a fiber does not begin before there is one: it must not keep its object from those that
 * hold fibers and come back to it. */
static inline bool may_start(const struct cairn_worker *worker, const struct object *object,
                             const struct invocation *inv)
{
    if (inv->needs_fiber && !worker->failed && cairn_fn_worker_fibers_free(worker->fn) == 0)
        return false;
    return !object->holder && (inv->read_only || object->readers == 0);
}

/* What is next of an object that has a lock, if it may start: those that have the lock go first. */
static struct invocation *__attribute__((noinline)) next_locked(struct cairn_worker *worker, struct object *object)
{
    struct cairn_link *line = cairn_list_empty(&object->lock->granted) ? &object->mailbox : &object->lock->granted;
    struct invocation *head;

    if (cairn_list_empty(line))
        return NULL;
    head = cairn_container(line->next, struct invocation, link);
    return may_start(worker, object, head) && lock_lets(worker, object, head) ? head : NULL;
}

static void __attribute__((noinline)) make_ready_locked(struct cairn_worker *worker, struct object *object)
{
    struct invocation *head;

    lock_advance(worker, object);
    if (!object->lock) {
        object_make_ready(worker, object);
        return;
    }
    head = cairn_list_empty(&object->ready) ? next_locked(worker, object) : NULL;
    if (head)
        ready_add(worker, object, head);
}

void object_make_ready(struct cairn_worker *worker, struct object *object)
{
    struct invocation *head;

    if (__builtin_expect(object->lock != NULL, 0)) {
        make_ready_locked(worker, object);
        return;
    }
    if (cairn_list_empty(&object->mailbox) || !cairn_list_empty(&object->ready))
        return;
    head = cairn_container(object->mailbox.next, struct invocation, link);
    if (may_start(worker, object, head))
        ready_add(worker, object, head);
}

/* At the back. */
static void enter_mailbox(struct cairn_worker *worker, struct invocation *inv)
{
    struct object *object = inv->object;

    invocation_move(inv, INV_MAILBOX);
    cairn_list_push_back(&object->mailbox, &inv->link);
    stat_add(&worker->counts.mailbox_waiting, 1);
    object_make_ready(worker, object);
}

/* Requests from outside may hold half of the fibers; the rest is for calls.  And while there is none at all, one that
 * came in would only begin, find none and go back, again and again: the worker would never look idle, and so never
 * notice that all fibers wait for each other. */
static bool fibers_share_used(struct cairn_worker *worker, const struct invocation *inv)
{
    uint32_t left = cairn_fn_worker_fibers_free(worker->fn), share = (worker->fibers + left + 1) / 2;

    if (left == 0 || worker->outside_fibers >= share)
        return true;
    /* Where there are others one namespace leaves a quarter of them: else those would wait until its requests end. */
    return worker->lanes.count > 1 && worker_lane(worker, inv->space)->outside_fibers >= share - share / 4;
}

static bool holds_fiber(const struct method *method)
{
    return method->suspends || method->slow;
}

static void enter_admission(struct cairn_worker *worker, struct invocation *inv, struct cairn_link *before)
{
    struct lane *lane = worker_lane(worker, inv->space);

    if (cairn_list_empty(&lane->admits))
        cairn_list_push_back(&worker->lanes.admits, &lane->admits);
    invocation_move(inv, INV_ADMISSION);
    inv->object->before_mailbox++;
    cairn_list_push_back(before ? before : &lane->admission, &inv->link); /* right before it */
}

bool mailbox_may_call(struct cairn_worker *worker, struct invocation *inv, struct type *type, struct method *method)
{
    char nearest[CAIRN_SUGGEST_TEXT_BYTES];

    if (!type && !cairn_name_valid(inv->type_name))
        invocation_refuse(worker, inv, CAIRN_EINVAL,
                          "a type's name has 1 to 64 letters, digits and _, and begins with a letter");
    else if (!type)
        invocation_refuse(worker, inv, CAIRN_ENOTYPE, "there is no type %.*s%s; see `cairn types`",
                          (int)inv->type_name.size, (const char *)inv->type_name.data,
                          type_suggest(worker, inv->space, inv->type_name, nearest));
    else if (inv->depth > worker->node->limits.depth)
        invocation_refuse(worker, inv, CAIRN_ELIMIT, "calls are nested more than %u deep", worker->node->limits.depth);
    else if (inv->operation->aim != AIM_METHOD)
        return true;
    else if (!method && type->entry->dropped)
        invocation_refuse(worker, inv, CAIRN_ENOMETHOD,
                          "type %s has no methods: version %u of module %s does not have the type, only objects of it "
                          "are left; to have its methods again, `cairn modules rollback %s`",
                          type->decl->name, type->version, type->module->name, type->module->name);
    else if (!method && !cairn_name_valid(inv->method_name))
        invocation_refuse(worker, inv, CAIRN_EINVAL,
                          "a method's name has 1 to 64 letters, digits and _, and begins with a letter");
    else if (!method)
        invocation_refuse(worker, inv, CAIRN_ENOMETHOD, "type %s has no method %.*s%s; see `cairn types`",
                          type->decl->name, (int)inv->method_name.size, (const char *)inv->method_name.data,
                          type_suggest_method(type, inv->method_name, nearest));
    else if (!method->decl->is_public && (inv->request || !inv->may_internal))
        invocation_refuse(worker, inv, CAIRN_ENOTPUBLIC,
                          "%s.%s is internal: only objects of its own module may call it", type->decl->name,
                          method->decl->name);
    else if (inv->must_read_only && !method->decl->read_only)
        invocation_refuse(worker, inv, CAIRN_ENOTREADONLY, "%s.%s may write, and only reading is allowed here",
                          type->decl->name, method->decl->name);
    else if (inv->must_deterministic && !method->decl->deterministic)
        invocation_refuse(worker, inv, CAIRN_ENOTDETERM,
                          "%s.%s is not deterministic, and a deterministic method called it", type->decl->name,
                          method->decl->name);
    else if (inv->transaction && method->decl->durable)
        invocation_refuse(worker, inv, CAIRN_ELIMIT, "%s.%s is durable, and a transaction cannot call it",
                          type->decl->name, method->decl->name);
    else
        return true;
    return false;
}

/* Its result is kept, and nothing is at the object or waits for it: then its turn would have come at once.  Replies may
 * bring the next request, which must not go on so for ever. */
static bool answered_on_arrival(struct cairn_worker *worker, struct invocation *inv)
{
    const struct object *object = inv->object;
    enum cairn_code code;
    const char *text;

    if (!object->latest || object->holder || object->lock || object->before_mailbox || inv->transaction ||
        !cairn_list_empty(&object->mailbox) || worker->arrivals >= ARRIVALS_MAX ||
        !account_may_begin(worker, inv, &code, &text) || !cache_has_latest(worker, inv))
        return false;
    worker->arrivals++;
    invocation_end(worker, inv);
    worker->arrivals--;
    return true;
}

void invocation_arrive(struct cairn_worker *worker, struct invocation *inv)
{
    const struct cairn_limits *limits = &worker->node->limits;
    struct type *type = type_find(worker, inv->space, inv->type_name);
    struct method *method = type && inv->operation->aim == AIM_METHOD ? type_method(type, inv->method_name) : NULL;
    struct object *object;

    inv->worker = worker;
    cairn_list_push_back(&worker->live, &inv->live);
    if (worker->failed) {
        invocation_refuse(worker, inv, CAIRN_EUNAVAILABLE, "the log has failed: %s", worker->node->failure.text);
        return;
    }
    if (!mailbox_may_call(worker, inv, type, method))
        return;
    object = object_get(worker, worker_shard(worker, inv->shard), type->number, inv->id);
    object_ref(worker, object);
    inv->type = type_ref(type);
    inv->method = method;
    inv->object = object;
    inv->read_only = method ? method->decl->read_only : inv->operation->reads;
    if (inv->keyed && inv->read_only) /* it may run again: there is nothing that a key would have to prevent */
        once_drop(inv);
    inv->number = ++worker->invocation_count;
    if ((method && method->decl->durable) || inv->called.number)
        inv->operation->enter(inv);
    if (__builtin_expect(inv->transaction != NULL, 0)) {
        lock_arrive(worker, inv);
        return;
    }
    if (__builtin_expect(method ? method->decl->transaction : inv->operation->is_transaction, 0))
        transaction_make(worker, inv);
    if (method && method->caches && answered_on_arrival(worker, inv))
        return;
    if (!invocation_from_outside(inv)) {
        enter_mailbox(worker, inv);
        return;
    }
    if (object->outside_waiting >= limits->mailbox) {
        invocation_refuse(worker, inv, CAIRN_EOVERLOAD, "%u requests wait for this object already; try again later",
                          limits->mailbox);
        return;
    }
    object->outside_waiting++;
    if (object->before_mailbox || (method && holds_fiber(method) && fibers_share_used(worker, inv))) {
        enter_admission(worker, inv, NULL);
        return;
    }
    enter_mailbox(worker, inv);
}

/* In order, and behind one that waited for a fiber those that only waited because it stood before them. */
static void admit(struct cairn_worker *worker, struct lane *lane)
{
    struct cairn_link *l;

    while ((l = lane->admission.next) != &lane->admission) {
        struct invocation *inv = cairn_container(l, struct invocation, link);

        if (inv->method && holds_fiber(inv->method) && fibers_share_used(worker, inv))
            return;
        cairn_list_remove(&inv->link);
        inv->object->before_mailbox--;
        enter_mailbox(worker, inv);
    }
    cairn_list_remove(&lane->admits);
}

/* Another namespace is the first to be looked at each time. */
void admission_next(struct cairn_worker *worker)
{
    struct cairn_link *admits = &worker->lanes.admits, *l = cairn_list_pop_front(admits);

    if (!l)
        return;
    cairn_list_push_back(admits, l);
    for (struct cairn_link *next = admits->next; (l = next) != admits;) {
        next = l->next;
        admit(worker, cairn_container(l, struct lane, admits));
    }
}

struct invocation *admission_take(struct cairn_worker *worker)
{
    struct lane *lane;
    struct cairn_link *l;

    if (cairn_list_empty(&worker->lanes.admits))
        return NULL;
    lane = cairn_container(worker->lanes.admits.next, struct lane, admits);
    l = cairn_list_pop_front(&lane->admission);
    if (cairn_list_empty(&lane->admission))
        cairn_list_remove(&lane->admits);
    return cairn_container(l, struct invocation, link);
}

void mailbox_enter(struct invocation *inv)
{
    if (invocation_from_outside(inv))
        inv->object->outside_waiting++;
    enter_mailbox(inv->worker, inv);
}

void receive_invocation(struct cairn_worker *worker, struct message *message)
{
    invocation_arrive(worker, (struct invocation *)message);
}

/* --- to the head, and away -------------------------------------------------------------------------- */

static void enter_at_head(struct cairn_worker *worker, struct invocation *inv)
{
    invocation_move(inv, INV_MAILBOX);
    cairn_list_push_front(inv->branch ? &inv->object->lock->granted : &inv->object->mailbox, &inv->link);
    stat_add(&worker->counts.mailbox_waiting, 1);
}

/* One that was in its way for being older stands at the head now: it goes first, else it would be so for ever. */
void mailbox_again(struct cairn_worker *worker, struct invocation *inv)
{
    struct object *object = inv->object;
    struct cairn_link *at = &object->mailbox;

    for (; at->next != &object->mailbox; at = at->next) {
        const struct invocation *next = cairn_container(at->next, struct invocation, link);

        if (!next->transaction || !transaction_older(next->transaction, inv->transaction))
            break;
    }
    if (invocation_from_outside(inv))
        object->outside_waiting++;
    invocation_move(inv, INV_MAILBOX);
    cairn_list_insert(at, &inv->link);
    stat_add(&worker->counts.mailbox_waiting, 1);
    object_make_ready(worker, object);
}

void mailbox_resume(struct cairn_worker *worker, struct invocation *inv)
{
    inv->resumes = true;
    enter_at_head(worker, inv);
    /* It may have come before a head that waits in the ready list: that one runs the new head. */
    object_make_ready(worker, inv->object);
}

/* Requests from outside that turn out to need a fiber while there is none wait before the mailbox, where calls pass
 * them, and with them all that came behind: they keep their order, also against those that wait there already. */
static void back_to_admission(struct cairn_worker *worker, struct object *object)
{
    struct cairn_link *before = NULL, *next, *admission;

    if (cairn_list_empty(&object->mailbox))
        return;
    admission = &worker_lane(worker, cairn_container(object->mailbox.next, struct invocation, link)->space)->admission;
    for (struct cairn_link *l = admission->next; object->before_mailbox && l != admission; l = l->next)
        if (cairn_container(l, struct invocation, link)->object == object) {
            before = l;
            break;
        }
    for (struct cairn_link *l = object->mailbox.next; l != &object->mailbox; l = next) {
        struct invocation *inv = cairn_container(l, struct invocation, link);

        next = l->next;
        if (!invocation_from_outside(inv) || inv->resumes)
            continue;
        cairn_list_remove(&inv->link);
        cairn_list_remove(&inv->waiter);
        inv->needs_fiber = false;
        stat_add(&worker->counts.mailbox_waiting, (uint64_t)-1);
        enter_admission(worker, inv, before);
    }
}

void mailbox_await_fiber(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->method)
        inv->method->suspends = true;
    inv->needs_fiber = true;
    enter_at_head(worker, inv);
    cairn_list_push_back(&worker->fiber_waiters, &inv->waiter);
    if (invocation_from_outside(inv)) {
        inv->object->outside_waiting++;
        back_to_admission(worker, inv->object);
    }
}

bool mailbox_puts_off(struct cairn_worker *worker, struct invocation *inv)
{
    if (inv->segment_number || !invocation_from_outside(inv) || inv->transaction || !fibers_share_used(worker, inv))
        return false;
    enter_at_head(worker, inv);
    inv->object->outside_waiting++;
    back_to_admission(worker, inv->object);
    object_make_ready(worker, inv->object); /* calls pass it */
    return true;
}

void mailbox_leave(struct cairn_worker *worker, struct invocation *inv)
{
    cairn_list_remove(&inv->link);
    cairn_list_remove(&inv->waiter);
    inv->needs_fiber = false;
    stat_add(&worker->counts.mailbox_waiting, (uint64_t)-1);
    if (invocation_from_outside(inv) && !inv->resumes)
        inv->object->outside_waiting--;
    invocation_move(inv, INV_RUNNING);
}

struct invocation *mailbox_take(struct cairn_worker *worker, struct object *object)
{
    struct invocation *head = NULL;

    if (__builtin_expect(object->lock != NULL, 0))
        head = next_locked(worker, object);
    else if (!cairn_list_empty(&object->mailbox))
        head = cairn_container(object->mailbox.next, struct invocation, link);
    if (!head || !may_start(worker, object, head))
        return NULL;
    mailbox_leave(worker, head);
    return head;
}

void mailbox_to_head(struct invocation *inv)
{
    cairn_list_remove(&inv->object->ready); /* by its head, which is another now */
    cairn_list_remove(&inv->link);
    cairn_list_push_front(&inv->object->mailbox, &inv->link);
}

void mailbox_withdraw(struct cairn_worker *worker, struct invocation *inv)
{
    mailbox_leave(worker, inv);
    cairn_list_remove(&inv->live);
    object_unref(worker, inv->object);
    type_unref(inv->type);
    invocation_free(worker, inv);
}

struct invocation *mailbox_give_up(struct cairn_worker *worker)
{
    struct invocation *inv = cairn_container(worker->fiber_waiters.next, struct invocation, waiter);

    mailbox_leave(worker, inv);
    return inv;
}

/* In order, as their objects let them. */
void fibers_freed(struct cairn_worker *worker)
{
    uint32_t most = cairn_fn_worker_fibers_free(worker->fn);

    for (struct cairn_link *l = worker->fiber_waiters.next; most && l != &worker->fiber_waiters; l = l->next, most--)
        object_make_ready(worker, cairn_container(l, struct invocation, waiter)->object);
}
