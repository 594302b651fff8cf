/* sweep.h - what namespaces that were removed have left among the messages goes: those that wait, and dead letters.
 *
 * A namespace that is made again under the name of one that is gone must get nothing of it.  Each removal is a number
 * (struct spaces); when a worker hears of a new one its housekeeper goes through the messages of its shards, a part at
 * a time, and drops those of namespaces that are not there.  What runs, or is about to go elsewhere, is waited for: a
 * pass that has seen none of them is the last.  A node that is opened with messages does the same, as it may have been
 * killed before it was through.  Until all workers are through the name is not given again.
 * Threads: a worker's; sweep_removed and sweep_is_over: any.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_SWEEP_H
#define CAIRN_OBJECT_SWEEP_H

#include <stdatomic.h>

#include "object/space.h"

struct cairn_node;
struct cairn_worker;
struct housekeeper;
struct messages;

/* Of a worker; zero-initialized. */
struct sweep {
    uint32_t target; /* the removal that a pass under way is for */
    bool under_way;
    bool stays; /* the pass has seen something that it could not drop yet */
    bool dead;  /* of `shard` the dead letters are next */
    uint32_t shard;
    struct cairn_buf at; /* where it is there (letters.h) */
    uint64_t retry_ns;
    _Atomic uint32_t done; /* the removal up to which all is gone; SWEEP_OPENED: what was there at the opening is not */
};

enum { SWEEP_OPENED = UINT32_MAX };

/* A shard that has messages is opened. */
void sweep_opened(struct cairn_worker *worker, const struct messages *messages);
/* The namespace has been removed, and its gate is closed. */
void sweep_removed(struct cairn_node *node);
/* Whether nothing is left of namespaces that were removed; `since_opening`: of those that were before the opening. */
bool sweep_is_over(struct cairn_node *node, bool since_opening);
extern const struct housekeeper sweep_housekeeper;

#endif
