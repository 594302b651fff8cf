/* deploy.h - DEPLOY, ROLLBACK and UNDEPLOY.
 *
 *   request -> worker 0: queue -> task: compile, write modules/HASH.wasm -> worker 0: check,
 *   one record in the system shard -> every worker: new types -> worker 0 -> reply
 *
 * Threads: worker 0's, but for the operations' submit.  Layer: admin (private). */
#ifndef CAIRN_ADMIN_DEPLOY_H
#define CAIRN_ADMIN_DEPLOY_H

#include "object/dependency.h"
#include "object/operation.h"

struct catalog;
struct space;

struct deploys {
    struct deploy *compiles; /* in the order in which they came; compile_count of them bring a module */
    uint32_t compile_count, compiling_count;
    struct deploy *queue, *last; /* the first is under way */
};

extern const struct operation deploy_operation, rollback_operation, undeploy_operation;

/* The catalog that is committed: while it is being decided whether types may go, the one before it. */
struct catalog *deploy_committed(struct cairn_worker *worker);
/* Some DEPLOY, ROLLBACK or UNDEPLOY in the namespace is not over. */
bool deploys_any_in(struct cairn_worker *worker, const struct space *space);
/* A namespace, of which nothing is left but modules and types, goes with these, in its turn: `inv` is the caller's, has
 * no request, and ends; it is refused if there is something left.  `recorded` is called when the record is made. */
void deploys_remove_space(struct cairn_worker *worker, struct invocation *inv,
                          void (*recorded)(struct cairn_worker *worker, struct space *space, struct dependency record));
/* The worker's types have been made from that one. */
void deploy_catalog_set(struct cairn_worker *worker, struct catalog *catalog);
/* When the node closes. */
void deploys_drop(struct cairn_worker *worker);

#endif
