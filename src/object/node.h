/* node.h - a node: what its workers share.
 *
 * Threads: what is not atomic is set before there are worker threads.  Layer: object, seen by admin. */
#ifndef CAIRN_OBJECT_NODE_H
#define CAIRN_OBJECT_NODE_H

#include <stdatomic.h>

#include "object/message.h"
#include "object/object.h"
#include "object/operation.h"
#include "object/space.h"
#include "object/stats.h"

struct admin;
struct keeper;
struct tracing;

struct cairn_node {
    struct cairn_node_options options;
    struct cairn_limits limits;
    struct cairn_log *log; /* the first shard's, in which the node's time is reserved */
    bool has_one_log;      /* all shards write to it */
    struct cairn_worker *workers;
    uint32_t shard_count;
    const uint16_t *slots;    /* the store's: the shard of each slot */
    struct node_hooks *hooks; /* in the order in which they are opened */
    uint32_t hook_count;
    const struct operation *operations[CAIRN_OP_COUNT]; /* the core's, and those of the hooks */
    struct admin *admin;   /* of the room above; NULL: there is none, or it is not open yet */
    struct keeper *keeper; /* the same */
    struct stats stats;
    struct spaces spaces;
    struct tracing *tracing;           /* NULL: jobs are not traced */
    struct cairn_budget memory, calls; /* calls: the part that calls and results have */

    /* crossing threads; relaxed unless said */
    atomic_bool draining, failed;
    _Atomic uint64_t *acknowledged; /* of the shards' one log, or of each; release by its thread, acquire by workers */
    _Atomic int64_t last_ms;        /* the latest `now` given out */
    struct cairn_err failure;       /* written before `failed` (release) */
};

/* The type has no say: objects with the same id, or the same tag in it, live together. */
static inline uint32_t node_shard_of(const struct cairn_node *node, const struct space *space, struct cairn_bytes id)
{
    return node->slots[(cairn_slot(id) + space->shift) % CAIRN_SLOTS];
}

static inline uint32_t node_owner(const struct cairn_node *node, uint32_t shard)
{
    return shard % node->options.workers;
}

#endif
