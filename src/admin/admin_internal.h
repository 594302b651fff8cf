/* admin_internal.h - what the administration keeps of a node.
 *
 * Threads: as said at each.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_ADMIN_INTERNAL_H
#define CAIRN_ADMIN_ADMIN_INTERNAL_H

#include "admin/admin.h"
#include "admin/deploy.h"
#include "admin/metered.h"
#include "admin/past.h"
#include "admin/removals.h"
#include "admin/snapshots.h"
#include "admin/spaces.h"
#include "object/worker.h"

struct admin {
    struct cairn_admin_options options;
    struct deploys deploys;     /* worker 0's */
    struct snapshots snapshots; /* worker 0's */
    struct admin_spaces spaces; /* worker 0's */
    struct removals removals;   /* worker 0's */
    struct metered metered;
    struct past **restoring; /* by shard, its owner's; one at a time */
    struct admin_worker {
        struct catalog *catalog; /* the one that its types were made from */
        struct pasts pasts;
    } workers[]; /* each its worker's */
};

static inline struct admin_worker *admin_worker(struct cairn_worker *worker)
{
    return &worker->node->admin->workers[worker->index];
}

#endif
