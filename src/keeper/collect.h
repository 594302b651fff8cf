/* collect.h - blobs that nothing refers to any more are removed from the store.
 *
 *   for each of the store's 256 folders, in the background, once in `every_ns`:
 *
 *     list -> { take what may go -> ask the owners of all trees what is referred to -> act on that } per batch
 *
 * An object that is found dead gets a *tombstone*, keeper/XX/HASH.N.MS: N the newest version of the node at that time,
 * MS the node's time.  It is removed in a later round, when it is dead still and nothing that is kept can refer to it:
 * no version has a number up to N, or was asked for up to MS; the tombstone and the object are older than `grace_ms`,
 * and the object is older than the tombstone, as a put makes it new.  So a tombstone from before a put counts for
 * nothing. An object goes before its tombstone, so that a crash leaves nothing that no later round finds.
 *
 * Nothing goes that a put could make live meanwhile (register.h), that a tree refers to, or that a record refers to
 * which the log does not have durably otherwise: the owners' answers leave when the log is durable up to what they
 * show.
 * Threads: worker 0's, but for what tasks do.  Layer: keeper (private). */
#ifndef CAIRN_KEEPER_COLLECT_H
#define CAIRN_KEEPER_COLLECT_H

#include "keeper/keeper_internal.h"
#include "keeper/room.h"

struct keeper_collector;

/* NULL: nothing is ever put, so nothing is removed. */
struct keeper_collector *keeper_collector_open(struct keeper *keeper, const struct keeper_options *options);
void keeper_collector_close(struct keeper_collector *collector); /* accepts NULL */

/* Any worker: a tree has changed. */
void keeper_collector_wake(struct keeper_collector *collector);
/* Worker 0's housekeeping. */
void keeper_collector_step(struct keeper_collector *collector);
uint64_t keeper_collector_next_ns(struct keeper_collector *collector);

#endif
