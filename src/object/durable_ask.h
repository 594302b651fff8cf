/* durable_ask.h - an open durable invocation is asked to end, so that it can put back what it has done ("Durable
 * methods" in docs/promises.md).
 *
 * One record notes in its head that it is asked.  Its next wait that is not over, or the one in which it is, returns
 * at once, and what it waited for has the outcome `cancelled`, until it is waited for again.  The journal has that
 * wait, so that a run along it hears the same in the same place.  Calls that had not left do not leave; those that are
 * under way go on, and durable ones among them are asked, too.  From there on the method may do as it likes, for a
 * while; what it does is committed, and `cancelled` is the outcome.
 *
 *   open --(record)--> asked --(a wait)--> told --> returns: over, `cancelled`
 *                        |                  +-----> fails: over, `cancelled`; nothing of that segment
 *                        |                  +-----> DURABLE_TOLD_STEPS host calls later: fails
 *                        +--> returns without another wait: over, as it says
 *                        +------------------+-----> DURABLE_ASK_MS later: durable_cancel_now (durable_cancel.h)
 *
 * Threads: the shard's owner.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_DURABLE_ASK_H
#define CAIRN_OBJECT_DURABLE_ASK_H

#include "object/durable.h"

enum {
    DURABLE_ASK_MS = 60000, /* since it was asked, or since it was read after a start of the node */
    DURABLE_TOLD_STEPS = 10000,
};

/* It may have been asked before.  CAIRN_ENOTFOUND: no such invocation is open.  Any other error: nothing has changed.
 * One whose head cannot be read is ended instead. */
enum cairn_code durable_ask(struct cairn_worker *worker, struct shard *shard, uint64_t number,
                            struct dependency *ret_record, struct cairn_err *err);
/* The caller of what has that key (called.h) is over: if that is an open durable invocation it is asked.  False: it is
 * not over; to be tried again. */
bool durable_ask_called(struct cairn_worker *worker, struct shard *shard, struct cairn_bytes key);
extern const struct housekeeper ask_housekeeper;
/* The outcome of one that was told, whatever it was about to be. */
void durable_set_told(struct invocation *inv);

#endif
