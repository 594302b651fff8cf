/* durable_cancel.h - an open durable invocation is ended without being asked (durable_ask.h has the other way): by a
 * request that says so, when its object is restored, or when it took too long ("Durable methods" in docs/promises.md).
 *
 * One record removes all that the shard has of it, and makes `cancelled` the outcome of its key.  What is in memory of
 * it then ends, at once if it waits, else when it is to go on: none of its segments is committed any more.  What it has
 * called is told that it is over (called.h), so that a durable method below it is asked to end, too.
 *
 *   open --(record)--> cancelled: waits --> calls under way? --> RETURNING until these are back --> over
 *                                 in its mailbox, or runs --> refused as it goes on ---^
 *
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_DURABLE_CANCEL_H
#define CAIRN_OBJECT_DURABLE_CANCEL_H

#include "object/durable.h"

#define CANCELLED_TEXT \
    "the invocation was cancelled: what it had committed, and what its calls have done, stays; the rest was not done"

static inline enum cairn_code durable_cancelled_error(struct cairn_err *err)
{
    return cairn_fail(err, CAIRN_ECANCELLED, "%s", CANCELLED_TEXT);
}

/* Its outcome, whatever it was about to be: it is over here. */
static inline void durable_set_cancelled(struct invocation *inv)
{
    cairn_list_remove(&inv->durable->parked);
    set_error(inv, CAIRN_ECANCELLED, CANCELLED_TEXT);
    effects_raise(&inv->effects, CAIRN_EFFECTS_SOME);
    dependency_join(&inv->depends, inv->durable->cancelled_by);
}

/* CAIRN_ENOTFOUND: no such invocation is open.  Any other error: nothing has changed. */
enum cairn_code durable_cancel_now(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                                   struct dependency *ret_record, struct cairn_err *err);

#endif
