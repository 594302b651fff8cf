/* snapshots.h - versions of the node, as requests and by schedule (shard.h has them).
 * Threads: worker 0's, but for the operations' submit.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_SNAPSHOTS_H
#define CAIRN_ADMIN_SNAPSHOTS_H

#include "object/operation.h"

/* The version of the node that is being taken. */
struct snapshots {
    bool taking;
    struct invocation *inv;  /* the request that asked for it; NULL: the schedule */
    struct invocation *next; /* a request that came while the schedule's was taken: it gets the one after it */
    uint64_t next_ns;        /* when the schedule takes the next; 0: not known yet */
    uint64_t look_ns;        /* when it is looked whether one is due for another reason */
};

extern const struct operation snapshot_operation, versions_operation, forget_operation;

/* Begins one if it is time, and takes over the one that is being taken when it is over. */
extern const struct housekeeper snapshots_housekeeper;
/* What is in flight when the node closes. */
void snapshots_drop(struct cairn_worker *worker);

#endif
