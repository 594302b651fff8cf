/* snapshots.h - versions of the node, as requests and by schedule (shard.h has them).
 * Threads: worker 0's, but for snapshots_request.  Layer: object (private). */
#ifndef CAIRN_OBJECT_SNAPSHOTS_H
#define CAIRN_OBJECT_SNAPSHOTS_H

#include "object/object_internal.h"

/* SNAPSHOT, VERSIONS and FORGET, on any worker. */
void snapshots_request(struct cairn_worker *worker, struct invocation *inv);
/* Begins one if it is time, and takes over the one that is being taken when it is over. */
void snapshots_poll(struct cairn_worker *worker);
/* Until poll is to be called again; UINT64_MAX: never. */
uint64_t snapshots_next_ns(struct cairn_worker *worker);
/* What is in flight when the node closes. */
void snapshots_drop(struct cairn_worker *worker);
void snapshots_drop_message(struct cairn_worker *worker, struct message *message);

#endif
