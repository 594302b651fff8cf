/* moment.h - the state of a whole store at one moment, read shard by shard.
 *
 *   of a store that no node is on    its engines as they are
 *   of one that a node is on         a version of the node (engines that keep such), or
 *                                    checkpoints, and the log up to the position that it had when the moment was begun
 *                                    (the engine in memory): these stay until the moment is closed
 *
 * All shards are of one moment: what the log has below one position, which is durable, and nothing else.
 * Threads: any but an owner's, as it blocks; a moment belongs to one thread at a time.
 * Layer: history; uses base, log, engine, shard. */
#ifndef CAIRN_HISTORY_MOMENT_H
#define CAIRN_HISTORY_MOMENT_H

#include "shard/shard.h"

struct cairn_moment;

/* Of a store that was opened and not started, and that no other thread uses. */
struct cairn_moment *cairn_moment_still(struct cairn_store *store);
/* Of one that runs.  `version`: one of the node's, 0 with the engine in memory.  CAIRN_EINVAL: a version is needed, or
 * there are none, or each shard has a log of its own; CAIRN_ECONFLICT: another such moment is open; CAIRN_EUNAVAILABLE:
 * the log has failed.  The store must outlive it. */
enum cairn_code cairn_moment_begin(struct cairn_store *store, uint64_t version, struct cairn_moment **ret_moment,
                                   struct cairn_err *err);
/* The shard's state, to get from, until this is called for another or the moment is closed.  Index
 * cairn_store_shards() is the system shard. */
enum cairn_code cairn_moment_shard(struct cairn_moment *moment, uint32_t index, struct cairn_view **ret_view,
                                   struct cairn_err *err);
/* Every key of the system shard, in any order. */
enum cairn_code cairn_moment_system(struct cairn_moment *moment,
                                    void (*each)(void *context, struct cairn_bytes key, struct cairn_bytes value),
                                    void *context, struct cairn_err *err);
struct cairn_store *cairn_moment_store(const struct cairn_moment *moment);
/* Not before the time of any commit that is in it. */
uint64_t cairn_moment_wall_ms(const struct cairn_moment *moment);
struct cairn_moment *cairn_moment_close(struct cairn_moment *moment); /* returns NULL; accepts NULL */

#endif
