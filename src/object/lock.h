/* lock.h - which transactions have an object, and which wait for it.
 *
 * A lock is held by branches, from a transaction's first touch of the object to its end: shared by those that only
 * read, or by one exclusively.  A transaction waits only for older ones: of a younger one that is in its way it says
 * that it is to run again (wound-wait; Rosenkrantz, Stearns, Lewis 1978), so that none waits in a circle and none
 * for ever.  One that has begun to commit is not in the way for long.
 *
 * An invocation of a transaction that has locks already passes the mailbox: it stands in `waiting` until it is granted,
 * oldest transaction first, and then in `granted`, before the mailbox.  Others wait in the mailbox: a root, which holds
 * nothing; mutating invocations of no transaction, while there is a branch; read-only ones, while one commits.  Of
 * mutating ones, one gets its turn between transactions.
 * Threads: the object's worker.  Layer: object (private). */
#ifndef CAIRN_OBJECT_LOCK_H
#define CAIRN_OBJECT_LOCK_H

#include <stdbool.h>

#include "base/list.h"

struct branch;
struct cairn_worker;
struct invocation;
struct object;
struct transaction;

struct lock {
    struct cairn_link branches; /* struct branch, held */
    struct cairn_link waiting;  /* invocations, oldest transaction first */
    struct cairn_link granted;  /* the same, to run */
    bool commits;               /* its branch is being prepared, or is */
    const void *turn;           /* the invocation of no transaction that has its turn, or had it last */
};

/* A call of a transaction has come to its object. */
void lock_arrive(struct cairn_worker *worker, struct invocation *inv);
/* Whether the mailbox's head may start, as far as the lock goes; of an object that has one. */
bool lock_lets(struct cairn_worker *worker, struct object *object, const struct invocation *inv);
/* A root starts, which lock_lets has let. */
void lock_take(struct cairn_worker *worker, struct invocation *root);
/* Something has changed: those that may get it, do.  Of an object that has one; it may be gone after it. */
void lock_advance(struct cairn_worker *worker, struct object *object);
/* The branch is over. */
void lock_release(struct cairn_worker *worker, struct branch *branch);
/* Calls of the transaction that wait for locks on this worker fail. */
void lock_refuse_waiting(struct cairn_worker *worker, const struct transaction *transaction);

#endif
