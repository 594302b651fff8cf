/* admin.h - the administration of a node: what can be asked of it beside calling methods.
 *
 * Modules and types (deploys, the catalog), listings and log lines, showing and deleting objects, versions of the node,
 * objects as they were, and the page of metrics.  It stands above the core of objects, and the core knows it by the
 * tables of operation.h alone.
 *
 *   DEPLOY ..    -> worker 0 -> background tasks -> worker 0 -> every worker -> reply       deploy.h
 *   LIST, LOGS   -> every worker -> reply                                                  gather.h
 *   SHOW, DELETE -> the object's mailbox -> reply                                           show.h
 *   RESTORE      -> the object's owner <-> background tasks -> its mailbox -> reply        past.h
 *   SNAPSHOT ..  -> worker 0 -> reply                                                       snapshots.h
 *
 * Layer: admin; uses base, io, log, engine, shard, fn, object. */
#ifndef CAIRN_ADMIN_ADMIN_H
#define CAIRN_ADMIN_ADMIN_H

#include "object/object.h"

struct cairn_admin_options {
    /* A version of the node is taken so often, and after so much log; with either when the archive needs one, too.  0
     * and 0: only when it is asked for.  Of these the newest are kept. */
    uint64_t snapshot_every_ns;
    uint64_t snapshot_log_bytes;
    uint32_t snapshots_kept;
    /* Other rooms that stand above the core (object/operation.h), opened behind this one. */
    const struct node_hooks *const *rooms;
    uint32_t room_count;
};

/* Opens a node that has it: replays the registry and compiles the modules in use (cached).  node->hooks is not looked
 * at.  The node is closed with cairn_node_close.  Main thread. */
enum cairn_code cairn_admin_open(const struct cairn_node_options *node, const struct cairn_admin_options *options,
                                 struct cairn_node **ret_node, struct cairn_err *err);

/* What is metered of the namespaces goes on from such a text, which nodes before this one have left (metered.h); empty:
 * it begins now.  Main thread, before there are worker threads.  On failure nothing is taken over. */
enum cairn_code cairn_admin_metered_load(struct cairn_node *node, struct cairn_bytes text, struct cairn_err *err);
/* The text for a later node.  Any thread. */
void cairn_admin_metered_write(struct cairn_node *node, struct cairn_buf *to);

/* Where the page of metrics goes on; zero-initialized: at its beginning. */
struct cairn_metrics_place {
    uint32_t series;
    const void *method;
};

/* Any thread: Prometheus text of invocations, latencies, queues, held replies, memory; `bytes` of it and a few more.
 * True: there is more, from *place on. */
bool cairn_admin_metrics(struct cairn_node *node, struct cairn_metrics_place *place, size_t bytes,
                         struct cairn_buf *to);

#endif
