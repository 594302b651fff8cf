/* view.h - the state of a whole store at one moment, read shard by shard.
 *
 *   of a store that nobody uses      its engines as they are
 *   of one that a node is on         a version of the node (engines that keep such), or
 *                                    checkpoints, and the log up to the position that it had when the view was begun
 *                                    (the engine in memory): these stay until the view is closed
 *
 * All shards are of one moment: what the log has below one position, which is durable, and nothing else.
 * Threads: any but an owner's, as it blocks; a view belongs to one thread at a time.  Layer: shard. */
#ifndef CAIRN_SHARD_VIEW_H
#define CAIRN_SHARD_VIEW_H

#include "shard/shard.h"

struct cairn_view;

/* Of a store that was opened and not started, and nobody else uses. */
struct cairn_view *cairn_view_still(struct cairn_store *store);
/* Of one that runs.  `version`: one of the node's, 0 with the engine in memory.  CAIRN_EINVAL: a version is needed, or
 * there are none; CAIRN_ECONFLICT: another such view is open; CAIRN_EUNAVAILABLE: the log has failed.  The store must
 * outlive it. */
enum cairn_code cairn_view_begin(struct cairn_store *store, uint64_t version, struct cairn_view **ret_view,
                                 struct cairn_err *err);
/* The shard's state, to get from and for nothing else, until this is called for another or the view is closed.  Index
 * cairn_store_shards() is the system shard. */
enum cairn_code cairn_view_shard(struct cairn_view *view, uint32_t index, struct cairn_engine **ret_engine,
                                 struct cairn_err *err);
/* Every key of the system shard, in any order. */
enum cairn_code cairn_view_system(struct cairn_view *view,
                                  void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                                  void *context, struct cairn_err *err);
struct cairn_store *cairn_view_store(const struct cairn_view *view);
/* Not before the time of any commit that is in it. */
uint64_t cairn_view_wall_ms(const struct cairn_view *view);
struct cairn_view *cairn_view_close(struct cairn_view *view); /* returns NULL; accepts NULL */

#endif
