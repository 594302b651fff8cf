#include "object/lock.h"

#include <stdlib.h>

#include "object/invocation.h"
#include "object/mailbox.h"
#include "object/table.h"
#include "object/transaction.h"
#include "object/type.h"
#include "object/worker.h"

static struct lock *lock_of(struct object *object)
{
    if (!object->lock) {
        object->lock = cairn_alloc_zeroed(1, sizeof *object->lock);
        cairn_list_init(&object->lock->branches);
        cairn_list_init(&object->lock->waiting);
        cairn_list_init(&object->lock->granted);
    }
    return object->lock;
}

static struct branch *branch_of(const struct lock *lock, const struct transaction *transaction)
{
    for (struct cairn_link *l = lock->branches.next; l != &lock->branches; l = l->next) {
        struct branch *branch = cairn_container(l, struct branch, held);

        if (branch->party->transaction == transaction)
            return branch;
    }
    return NULL;
}

/* Whether it may have it now; if not, those that are younger and in its way are to go. */
static bool may_have(struct cairn_worker *worker, const struct lock *lock, const struct invocation *inv)
{
    const struct transaction *transaction = inv->transaction;
    const struct branch *own = branch_of(lock, transaction);
    bool may = true;

    if (own && (own->exclusive || inv->read_only))
        return true;
    for (struct cairn_link *l = lock->branches.next; l != &lock->branches; l = l->next) {
        const struct branch *branch = cairn_container(l, struct branch, held);

        if (branch == own || (inv->read_only && !branch->exclusive))
            continue;
        may = false;
        if (transaction_older(transaction, branch->party->transaction))
            transaction_doom(worker, branch->party->transaction, cairn_bytes(NULL, 0));
    }
    for (struct cairn_link *l = lock->waiting.next; may && !own && l != &lock->waiting; l = l->next) {
        const struct invocation *other = cairn_container(l, struct invocation, link);

        if (!transaction_older(other->transaction, transaction))
            break;
        may = inv->read_only && other->read_only;
    }
    return may;
}

/* The branch through which it has it. */
static void have(struct cairn_worker *worker, struct object *object, struct invocation *inv)
{
    struct transaction *transaction = inv->transaction;
    struct lock *lock = lock_of(object);

    inv->branch = branch_of(lock, transaction);
    if (!inv->branch) {
        inv->branch = branch_make(worker, &transaction->parties[worker->index], object);
        cairn_list_push_back(&lock->branches, &inv->branch->held);
        atomic_fetch_add_explicit(&transaction->locked, 1, memory_order_relaxed);
    }
    if (!inv->read_only)
        inv->branch->exclusive = true;
    lock->turn = NULL;
}

static void grant(struct cairn_worker *worker, struct object *object, struct invocation *inv)
{
    have(worker, object, inv);
    cairn_list_remove(&inv->link);
    cairn_list_remove(&inv->waiter);
    cairn_list_push_back(&object->lock->granted, &inv->link);
}

static bool waits_already(const struct lock *lock, const struct transaction *transaction)
{
    for (struct cairn_link *l = lock->waiting.next; l != &lock->waiting; l = l->next)
        if (cairn_container(l, struct invocation, link)->transaction == transaction)
            return true;
    return false;
}

/* The mailbox's head, if it could start now. */
static const struct invocation *mailbox_head(struct cairn_worker *worker, const struct object *object)
{
    const struct invocation *head;

    if (cairn_list_empty(&object->mailbox))
        return NULL;
    head = cairn_container(object->mailbox.next, struct invocation, link);
    return head->needs_fiber && cairn_fn_worker_fibers_free(worker->fn) == 0 ? NULL : head;
}

/* The root of an older transaction is about to start here, and would only have to send it away. */
static bool is_behind_root(struct cairn_worker *worker, const struct object *object, const struct invocation *inv)
{
    const struct invocation *head = mailbox_head(worker, object);

    return head && head->transaction && transaction_older(head->transaction, inv->transaction) &&
           !(head->read_only && inv->read_only) && !branch_of(object->lock, inv->transaction);
}

/* Behind those of its transaction and of older ones. */
static void wait(struct cairn_worker *worker, struct lock *lock, struct invocation *inv)
{
    struct cairn_link *at = lock->waiting.prev;

    while (at != &lock->waiting &&
           transaction_older(inv->transaction, cairn_container(at, struct invocation, link)->transaction))
        at = at->prev;
    cairn_list_insert(at, &inv->link);
    cairn_list_push_back(&worker->lock_waiters, &inv->waiter);
}

void lock_arrive(struct cairn_worker *worker, struct invocation *inv)
{
    struct object *object = inv->object;
    struct transaction *transaction = inv->transaction;
    uint64_t most = transaction->limits.most[CAIRN_LIMIT_TRANSACTION_OBJECTS];
    struct cairn_err err;

    if (transaction_doomed(transaction)) {
        invocation_refuse(worker, inv, CAIRN_ECONFLICT, "the transaction is being undone");
        return;
    }
    if (atomic_load_explicit(&transaction->locked, memory_order_relaxed) >= most &&
        !(object->lock && branch_of(object->lock, transaction))) {
        cairn_fail(&err, CAIRN_ELIMIT, "the transaction has come to more than %llu objects", (unsigned long long)most);
        method_limit_tell_of(&transaction->limits, transaction->root, CAIRN_LIMIT_TRANSACTION_OBJECTS, &err);
        invocation_refuse(worker, inv, CAIRN_ELIMIT, "%s", err.text);
        return;
    }
    invocation_move(inv, INV_MAILBOX);
    stat_add(&worker->counts.mailbox_waiting, 1);
    if (!waits_already(lock_of(object), transaction) && !is_behind_root(worker, object, inv) &&
        may_have(worker, object->lock, inv))
        grant(worker, object, inv);
    else
        wait(worker, object->lock, inv);
    object_make_ready(worker, object);
}

bool lock_lets(struct cairn_worker *worker, struct object *object, const struct invocation *inv)
{
    const struct lock *lock = object->lock;

    if (inv->branch)
        return true;
    if (inv->transaction)
        return may_have(worker, lock, inv);
    return inv->read_only ? !lock->commits : cairn_list_empty(&lock->branches);
}

void lock_take(struct cairn_worker *worker, struct invocation *root)
{
    have(worker, root->object, root);
}

/* Between transactions the mailbox's head goes first, if it could start: the root of an older one; and one that is of
 * none and writes, once. */
static bool gives_turn(struct cairn_worker *worker, struct object *object)
{
    struct lock *lock = object->lock;
    const struct invocation *first, *head = mailbox_head(worker, object);

    if (!cairn_list_empty(&lock->branches) || object->holder || !head)
        return false;
    first = cairn_container(lock->waiting.next, struct invocation, link);
    if (head->transaction)
        return transaction_older(head->transaction, first->transaction);
    if (head->read_only || (lock->turn && lock->turn != head))
        return false;
    lock->turn = head;
    return true;
}

void lock_advance(struct cairn_worker *worker, struct object *object)
{
    struct lock *lock = object->lock;

    if (!cairn_list_empty(&lock->waiting) && !gives_turn(worker, object))
        while (!cairn_list_empty(&lock->waiting)) {
            struct invocation *first = cairn_container(lock->waiting.next, struct invocation, link);

            if (!may_have(worker, lock, first))
                break;
            grant(worker, object, first);
        }
    if (cairn_list_empty(&lock->branches) && cairn_list_empty(&lock->waiting)) {
        free(lock);
        object->lock = NULL;
    }
}

void lock_release(struct cairn_worker *worker, struct branch *branch)
{
    struct object *object = branch->object;

    object_ref(worker, object);
    object->lock->commits = false;
    branch_free(worker, branch);
    object_make_ready(worker, object);
    object_unref(worker, object);
}

void lock_refuse_waiting(struct cairn_worker *worker, const struct transaction *transaction)
{
    struct cairn_link *l = worker->lock_waiters.next;

    while (l != &worker->lock_waiters) {
        struct invocation *inv = cairn_container(l, struct invocation, waiter);
        struct object *object = inv->object;

        l = l->next;
        if (inv->transaction != transaction)
            continue;
        object_ref(worker, object);
        mailbox_leave(worker, inv);
        invocation_refuse(worker, inv, CAIRN_ECONFLICT, "the transaction is being undone");
        object_make_ready(worker, object);
        object_unref(worker, object);
        l = worker->lock_waiters.next; /* what has happened may have changed the list */
    }
}
