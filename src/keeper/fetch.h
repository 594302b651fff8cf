/* fetch.h - answers to reads whose data is in the blob store: it is fetched before the front is told.
 *
 * The read has been decided at the tree's owner, and keeps its place among events (keeper_ask.decided).
 * Threads: the link's worker.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_FETCH_H
#define CAIRN_KEEPER_FETCH_H

#include "keeper/answer.h"
#include "keeper/front.h"

/* `over` is called once with the answer that `value` is, its slots with their data; what cannot be had is error -1 and
 * the ask's `why`, of a multiRead's slot that slot's alone.  It may be called before this returns. */
void keeper_fetch(struct keeper_task *task, struct cairn_bytes value,
                  void (*over)(struct keeper_task *task, struct answer *answer));
/* Of a task that is freed as the node closes. */
void keeper_fetch_drop(struct keeper_task *task);

#endif
