/* metered.h - what namespaces have used, over the node's restarts (base/metered.h).
 *
 * Threads: as said at each.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_METERED_H
#define CAIRN_ADMIN_METERED_H

#include "base/metered.h"

struct cairn_node;

/* Set before there are worker threads. */
struct metered {
    struct cairn_metered_time before; /* of the nodes before this one; since_ms may be this one's */
    uint64_t opened_ns;
    uint64_t removed[CAIRN_MEASURES]; /* by namespaces that were gone when this node opened */
};

/* Any thread. */
void metered_time(struct cairn_node *node, struct cairn_metered_time *ret);

#endif
