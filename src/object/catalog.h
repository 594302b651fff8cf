/* catalog.h - modules and types: what is deployed, kept in the system shard.
 *
 * A catalog is immutable and reference counted; worker 0 owns the deploys and makes the next
 * one.  Each worker makes its own struct types from the catalog it was sent last.
 *
 *   request -> worker 0: queue -> task: compile, write modules/HASH.wasm -> worker 0: check,
 *   one record in the system shard -> every worker: new types -> worker 0 -> reply
 *
 * Keys and values: docs/formats/state.md.  Layer: object (private). */
#ifndef CAIRN_OBJECT_CATALOG_H
#define CAIRN_OBJECT_CATALOG_H

#include "object/object_internal.h"

/* DEPLOY, ROLLBACK, UNDEPLOY, MODULES, TYPES; inv carries the request and its answer. */
void catalog_request(struct cairn_worker *worker, struct invocation *inv);
/* At opening, on all workers in turn: reads the system shard and compiles what is current. */
enum cairn_code catalog_open(struct cairn_node *node, struct cairn_err *err);
/* Drops a worker's types and its hold on the catalog. */
void catalog_leave(struct cairn_worker *worker);

#endif
