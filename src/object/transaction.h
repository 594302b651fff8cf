/* transaction.h - methods that take effect together with all that they call, or not at all.
 *
 * The method that has the attribute is the transaction's *root*; its worker is the transaction's home.  Each call below
 * it belongs to the transaction, too.  An object that one of them comes to gets a *branch* (branch.h), which holds a
 * lock on it (lock.h) and what the transaction has written there, until the end.
 *
 * What a transaction has on one worker is a *party*.  The root has ended, and with it all calls:
 *
 *   RUNS --> DECIDES: prepare, party by party in the order of the workers --> decide at home: one record --> apply
 *    |          |                                                              |
 *    |          +--------------------- it failed ------------------------------+--> roll back
 *    +--> DOOMED: an older one needs a lock, the root has failed, or time is over: calls fail, then roll back,
 *                 and the root runs again, or its caller is told
 *
 * The decision is in one function, `decide`: where shards have a log each, it would be a record of its own.
 * The rules are in docs/promises.md, why it is so in docs/design/0031-transactions.md.
 * Threads: a party is its worker's, and at home's disposal while no invocation of the transaction is left; the rest is
 * home's, or as said.  Layer: object (private). */
#ifndef CAIRN_OBJECT_TRANSACTION_H
#define CAIRN_OBJECT_TRANSACTION_H

#include <stdatomic.h>
#include <stdlib.h>

#include "base/list.h"
#include "object/branch.h"
#include "object/message.h"
#include "object/method_limits.h"

struct cairn_worker;
struct housekeeper;
struct invocation;

enum transaction_state { TRANSACTION_RUNS, TRANSACTION_DOOMED, TRANSACTION_DECIDES };

struct transaction {
    atomic_uint refs;
    _Atomic int state;       /* enum transaction_state; leaves RUNS once */
    _Atomic uint32_t locked; /* objects */
    _Atomic int64_t bytes;   /* that its branches have written, as they stand */
    /* The older one wins.  A transaction that runs again is as old as it was. */
    uint64_t age, number; /* since when, and of two that came at once which */
    uint32_t home, attempt;
    uint64_t deadline_ns, first_ns; /* of this attempt's end; when the first began; 0: it has not begun */
    struct invocation *root;
    struct method_limits limits; /* the root's, as it began */
    struct cairn_link link;      /* in worker->transactions while it runs */
    /* Which is called when it is over, with the root as it was without a transaction. */
    void (*over)(struct cairn_worker *worker, struct invocation *root, bool committed);
    struct cairn_buf error;  /* an encoded value: why it is doomed; empty: to run again */
    struct message decision; /* to home, from the last party that has prepared, or has failed to */
    enum cairn_code code;    /* of preparing */
    struct cairn_err err;
    bool decided;     /* its record is in the log */
    bool ends_itself; /* the root fails with the first call of its own that does */
    struct dependency record;
    uint64_t wall_ms;
    struct party parties[]; /* by worker */
};

/* Any thread. */
static inline void transaction_ref(struct transaction *transaction)
{
    atomic_fetch_add_explicit(&transaction->refs, 1, memory_order_relaxed);
}
static inline void transaction_unref(struct transaction *transaction)
{
    if (atomic_fetch_sub_explicit(&transaction->refs, 1, memory_order_acq_rel) != 1)
        return;
    cairn_buf_done(&transaction->error);
    free(transaction);
}

/* The invocation, of a method with the attribute, is a new one's root. */
void transaction_make(struct cairn_worker *worker, struct invocation *root);
static inline bool transaction_doomed(const struct transaction *transaction)
{
    return atomic_load_explicit((_Atomic int *)(uintptr_t)&transaction->state, memory_order_acquire) ==
           TRANSACTION_DOOMED;
}
static inline bool transaction_older(const struct transaction *a, const struct transaction *b)
{
    return a->age != b->age ? a->age < b->age : a->number < b->number;
}
/* If it still runs it comes to nothing.  `error`: the root's outcome, an encoded value, by one of the transaction's own
 * workers; empty: it runs again.  Any worker. */
void transaction_doom(struct cairn_worker *worker, struct transaction *transaction, struct cairn_bytes error);

/* One of its invocations is about to run a segment, and is counted at its object: the root gets its lock.  False: it is
 * doomed. */
bool transaction_may_run(struct cairn_worker *worker, struct invocation *inv);
/* Before the root goes back to wait for a fiber, having done nothing. */
void transaction_step_back(struct cairn_worker *worker, struct invocation *inv);
/* One of its invocations is over, and its calls are.  True: it was the root, which goes on with `over`. */
bool transaction_ends(struct cairn_worker *worker, struct invocation *inv,
                      void (*over)(struct cairn_worker *worker, struct invocation *root, bool committed));

/* Prepares and decides what had to wait; ends what takes too long. */
extern const struct housekeeper transactions_housekeeper;
/* The log has failed. */
void transactions_fail_all(struct cairn_worker *worker);
/* At the end, when no thread runs: what is decided is applied, the rest dropped. */
void transactions_drop(struct cairn_worker *worker);

#endif
