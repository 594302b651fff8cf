/* fill.h - a new data folder that is filled from elsewhere, and is refused until that is done.
 *
 *   cairn_fill_begin -> cairn_fill_commit ... -> cairn_fill_end
 *
 * The folder is marked by a file IMPORT from before it is one, until all is durable.
 * Threads: one, which owns all shards.  Layer: shard. */
#ifndef CAIRN_SHARD_FILL_H
#define CAIRN_SHARD_FILL_H

#include "shard/shard.h"

/* Opens and starts a new store.  Nothing counts before all is durable, so that its log need not be synced.
 * CAIRN_ECONFLICT: the folder is none that is new. */
enum cairn_code cairn_fill_begin(const struct cairn_store_options *options, struct cairn_store **ret_store,
                                 struct cairn_err *err);
/* As cairn_shard_commit, but waits for room, and steps all shards meanwhile. */
enum cairn_code cairn_fill_commit(struct cairn_store *store, uint32_t shard, uint64_t wall_ms,
                                  const struct cairn_write *writes, size_t count, struct cairn_err *err);
/* Checkpoints, closes, and makes it a folder like any other.  Frees the store in any case. */
enum cairn_code cairn_fill_end(struct cairn_store *store, struct cairn_err *err);

#endif
